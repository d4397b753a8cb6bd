//! Vector instructions: one macro for all hot loops.

/// What `wide!` moves; it must not be `Copy`.
pub(crate) struct Token;

/// Runs an expression with the widest vector instructions there are; what it calls must be `#[inline(always)]`.
///
/// The moved token makes the closure one that can be called only once: others reach `pulp` through a shim that the
/// compiler does not inline, and what is not inlined stays narrow. Arithmetic is neither fused nor reordered, so the
/// width does not change a bit of any result.
macro_rules! wide {
    ($body:expr) => {{
        let token = crate::wide::Token;
        pulp::Arch::new().dispatch(
            #[inline(always)]
            || {
                let crate::wide::Token = { token };
                $body
            },
        )
    }};
}

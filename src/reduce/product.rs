//! Matrix products, on one thread, through the `gemm` crate.
//!
//! This file is the only place in the room with `unsafe`: `gemm` takes raw pointers. [`product`] checks every extent
//! against its slice first. Callers parallelise over blocks of fixed shape, so that bits never depend on the thread
//! count.

use gemm::Parallelism;

/// A borrowed matrix with strides.
#[derive(Clone, Copy)]
pub(super) struct View<'a, T> {
    data: &'a [T],
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl<'a, T> View<'a, T> {
    /// `rows × cols`, row-major and dense.
    pub(super) fn row_major(data: &'a [T], rows: usize, cols: usize) -> Self {
        assert_eq!(data.len(), rows * cols, "a dense matrix fills its slice");
        Self {
            data,
            rows,
            cols,
            row_stride: cols,
            col_stride: 1,
        }
    }

    /// The same values with rows and columns exchanged.
    pub(super) fn transposed(self) -> Self {
        Self {
            data: self.data,
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
        }
    }
}

/// The element types that products are made of.
pub(super) trait Real: Copy + 'static {
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
}

impl Real for f32 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
}

impl Real for f64 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;
}

/// Writes `a · b` (`a.rows × b.cols`, row-major) into `out`.
#[allow(unsafe_code)]
pub(super) fn product<T: Real>(out: &mut [T], a: View<'_, T>, b: View<'_, T>) {
    assert_eq!(a.cols, b.rows, "inner dimensions agree");
    assert_eq!(out.len(), a.rows * b.cols, "the result fills its slice");
    if out.is_empty() {
        return;
    }
    if a.cols == 0 {
        out.fill(T::ZERO);
        return;
    }
    // SAFETY: `View`s are made only by `row_major`, which checks that `rows × cols` fills the slice, and by
    // `transposed`, which keeps the element set; so every address `i·row_stride + j·col_stride` lies in its slice.
    // `out` holds exactly `a.rows × b.cols` values, is borrowed exclusively, and is not read (`read_dst` is false).
    unsafe {
        gemm::gemm(
            a.rows,
            b.cols,
            a.cols,
            out.as_mut_ptr(),
            1,
            b.cols as isize,
            false,
            a.data.as_ptr(),
            a.col_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.col_stride as isize,
            b.row_stride as isize,
            T::ZERO,
            T::ONE,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strides_and_transposes_are_honoured() {
        let a = [1.0f32, 2., 3., 4., 5., 6.]; // 2 × 3
        let b = [1.0f32, 0., 2., 1., 1., 1.]; // 2 × 3
        let mut out = [f32::NAN; 4];
        product(
            &mut out,
            View::row_major(&a, 2, 3),
            View::row_major(&b, 2, 3).transposed(),
        );
        assert_eq!(out, [7., 6., 16., 15.]);
        let mut out = [f64::NAN; 9];
        let a = a.map(f64::from);
        let b = b.map(f64::from);
        product(
            &mut out,
            View::row_major(&a, 2, 3).transposed(),
            View::row_major(&b, 2, 3),
        );
        assert_eq!(out, [5., 4., 6., 7., 5., 9., 9., 6., 12.]);
    }

    #[test]
    fn an_empty_inner_dimension_gives_zeros() {
        let mut out = [1.0f32; 2];
        product(
            &mut out,
            View::row_major(&[], 2, 0),
            View::row_major(&[], 0, 1),
        );
        assert_eq!(out, [0.0; 2]);
    }
}

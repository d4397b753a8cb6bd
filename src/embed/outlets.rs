//! Recognising a model by its inputs and outputs: which takes pictures, which takes words, which gives embeddings.
//!
//! Names are hints; shapes and types decide. A model that cannot be used is refused with a list of what was found.
//! Pure.

use ort::value::{Outlet, TensorElementType, ValueType};

/// Floating-point numbers that a model takes or gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Float {
    F32,
    F16,
}

/// The model's picture input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PictureInput {
    pub(super) name: String,
    pub(super) float: Float,
    /// The batch the model insists on.
    pub(super) fixed_batch: Option<usize>,
    /// The side it insists on, pixels.
    pub(super) fixed_size: Option<u32>,
}

/// The model's inputs for token ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TextInput {
    /// Name of the ids' input.
    pub(super) ids: String,
    /// Name of the attention mask's input, if it has one.
    pub(super) mask: Option<String>,
    /// Whether they are 64-bit numbers, else 32-bit.
    pub(super) wide: bool,
    /// The batch the model insists on.
    pub(super) fixed_batch: Option<usize>,
    /// The number of tokens it insists on.
    pub(super) fixed_length: Option<usize>,
}

/// What is asked of the output, for messages.
pub(super) const POOLED: &str = "mosaicd needs one vector a picture, [N, D] or [N, 1, D], float32 or float16: export \
                                 the model with pooling (for CLIP, the projected `image_embeds`) or name another output \
                                 in model.toml";

/// The input that takes pictures, or what there is instead.
pub(super) fn picture_input(
    inputs: &[Outlet],
    wanted: Option<&str>,
) -> Result<PictureInput, String> {
    let outlet = match (wanted, inputs) {
        (Some(name), _) => inputs.iter().find(|i| i.name() == name).ok_or_else(|| {
            format!(
                "model.toml names the input `{name}`; it has {}",
                list(inputs)
            )
        })?,
        (None, [only]) => only,
        _ => {
            return Err(format!(
                "an image encoder has one input; it has {}. A whole CLIP model must be exported as its vision part",
                list(inputs)
            ));
        }
    };
    let name = outlet.name().to_owned();
    let wrong = |why: &str| {
        Err(format!(
            "its input `{name}` is {}; {why}",
            kind(outlet.dtype())
        ))
    };
    if inputs.len() > 1 {
        return wrong("it must be the only input: export the model's vision part alone");
    }
    let ValueType::Tensor { ty, shape, .. } = outlet.dtype() else {
        return wrong("it must be a tensor");
    };
    let Some(float) = float(*ty) else {
        return wrong(
            "it must be float32 or float16: export the model without its own preprocessing",
        );
    };
    let &[batch, channels, height, width] = &shape[..] else {
        return wrong("it must be [N, 3, H, W]");
    };
    if channels > 0 && channels != 3 {
        return wrong("it must be [N, 3, H, W], channels first");
    }
    if height > 0 && width > 0 && height != width {
        return wrong("it must be square");
    }
    let fixed_size = match height.max(width) {
        side @ 1.. => Some(u32::try_from(side).unwrap_or(u32::MAX)),
        _ => None,
    };
    Ok(PictureInput {
        fixed_batch: fixed(batch),
        fixed_size,
        float,
        name,
    })
}

/// The inputs that take token ids, or what there is instead.
pub(super) fn text_input(inputs: &[Outlet]) -> Result<TextInput, String> {
    const IDS: [&str; 4] = ["input_ids", "text", "tokens", "input"];
    let by_name = |name: &str| inputs.iter().find(|input| input.name() == name);
    let mask = by_name("attention_mask");
    let ids = IDS.iter().find_map(|name| by_name(name));
    let (Some(ids), true) = (ids.or(inputs.first()), inputs.len() <= 2) else {
        return Err(format!("its inputs are {}", list(inputs)));
    };
    if inputs.len() == 2 && mask.is_none() {
        return Err(format!(
            "besides token ids only `attention_mask` is understood; its inputs are {}",
            list(inputs)
        ));
    }
    let describe =
        |outlet: &Outlet| format!("its input `{}` is {}", outlet.name(), kind(outlet.dtype()));
    let ValueType::Tensor { ty, shape, .. } = ids.dtype() else {
        return Err(describe(ids));
    };
    let wide = match ty {
        TensorElementType::Int64 => true,
        TensorElementType::Int32 => false,
        _ => {
            return Err(format!(
                "{}; token ids must be whole numbers",
                describe(ids)
            ));
        }
    };
    let &[batch, length] = &shape[..] else {
        return Err(format!("{}; token ids must be [N, L]", describe(ids)));
    };
    Ok(TextInput {
        ids: ids.name().to_owned(),
        mask: mask.map(|mask| mask.name().to_owned()),
        wide,
        fixed_batch: fixed(batch),
        fixed_length: fixed(length),
    })
}

/// The output that holds embeddings, or what there is instead.
///
/// One that `wanted` names, else one of a usual name, projected before pooled, else the only one of the right shape.
pub(super) fn embedding_output(outputs: &[Outlet], wanted: Option<&str>) -> Result<String, String> {
    const USUAL: [&str; 9] = [
        "image_embeds",
        "image_embedding",
        "image_features",
        "text_embeds",
        "text_embedding",
        "text_features",
        "embedding",
        "embeddings",
        "pooler_output",
    ];
    if let Some(name) = wanted {
        let found = outputs.iter().find(|o| o.name() == name);
        let outlet = found.ok_or_else(|| {
            format!(
                "model.toml names the output `{name}`; it has {}",
                list(outputs)
            )
        })?;
        return match pooled(outlet) {
            true => Ok(name.to_owned()),
            false => Err(format!(
                "its output `{name}` is {}; {POOLED}",
                kind(outlet.dtype())
            )),
        };
    }
    let usual = USUAL.iter().find_map(|name| {
        let named = outputs.iter().find(|o| o.name() == *name);
        named.filter(|outlet| pooled(outlet))
    });
    let fitting: Vec<&Outlet> = outputs.iter().filter(|outlet| pooled(outlet)).collect();
    match (usual, &fitting[..]) {
        (Some(outlet), _) => Ok(outlet.name().to_owned()),
        (None, [only]) => Ok(only.name().to_owned()),
        (None, []) => Err(format!("its outputs are {}; {POOLED}", list(outputs))),
        (None, _) => Err(format!(
            "several of its outputs may be the embedding: {}; name one in model.toml (`output = ...`)",
            list(outputs)
        )),
    }
}

/// Whether the output may be one vector per picture; the trial run finds unknown lengths.
fn pooled(outlet: &Outlet) -> bool {
    match outlet.dtype() {
        ValueType::Tensor { ty, shape, .. } => {
            float(*ty).is_some() && matches!(shape[..], [_, _] | [_, 1 | -1, _])
        }
        _ => false,
    }
}

fn float(ty: TensorElementType) -> Option<Float> {
    match ty {
        TensorElementType::Float32 => Some(Float::F32),
        TensorElementType::Float16 => Some(Float::F16),
        _ => None,
    }
}

fn fixed(length: i64) -> Option<usize> {
    usize::try_from(length).ok().filter(|&n| n > 0)
}

/// Names, types and shapes, for messages.
pub(super) fn list(outlets: &[Outlet]) -> String {
    let each = outlets
        .iter()
        .take(8)
        .map(|o| format!("`{}` {}", o.name(), kind(o.dtype())));
    each.collect::<Vec<_>>().join(", ")
}

fn kind(value: &ValueType) -> String {
    match value {
        ValueType::Tensor { ty, shape, .. } => {
            let dims = shape.iter().map(|&d| match d {
                ..0 => "?".to_owned(),
                d => d.to_string(),
            });
            format!("{ty:?} [{}]", dims.collect::<Vec<_>>().join(", "))
        }
        other => format!("{other:?}").chars().take(80).collect(),
    }
}

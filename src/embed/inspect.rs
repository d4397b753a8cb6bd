//! Describing a model to people: its inputs and outputs, and how mosaicd would use it.

use super::{
    EncodeError, Encoder,
    card::{self, ModelFiles},
    clip::OnnxEncoder,
    outlets,
    preprocess::{Filter, Shape},
    session::{self, Runtime, Sessions},
};
use std::{fs, path::Path};

/// What was found.
#[derive(Debug)]
pub struct Inspection {
    /// What, and what was found, in the order to show it.
    pub facts: Vec<(&'static str, String)>,
    /// Why mosaicd cannot use it as an image encoder, if so.
    pub refused: Option<EncodeError>,
}

/// Looks at the model at `path`, an ONNX file or a folder with one.
///
/// The error is for a file that onnxruntime cannot open at all.
pub fn inspect(path: &Path, runtime: &Runtime) -> Result<Inspection, EncodeError> {
    let ModelFiles {
        onnx, card, sums, ..
    } = card::locate(path)?;
    let fingerprint = card::fingerprint(&onnx, &sums)?;
    let bytes = fs::metadata(&onnx).map_or(0, |metadata| metadata.len());
    let mut facts = vec![
        ("file", onnx.display().to_string()),
        ("bytes", bytes.to_string()),
        ("id", fingerprint.model.0.clone()),
    ];
    let look = |sessions: Sessions| {
        let session = sessions.free();
        let producer = session.metadata().ok().and_then(|m| m.producer());
        let producer = producer.filter(|name| !name.is_empty());
        Ok([
            ("inputs", outlets::list(session.inputs())),
            ("outputs", outlets::list(session.outputs())),
            ("made by", producer.unwrap_or_else(|| "unknown".into())),
        ])
    };
    let cpu = Runtime {
        device: session::Device::Cpu,
        ..runtime.clone()
    };
    let (found, _) = session::open(&onnx, &cpu, 1, look)?;
    facts.extend(found);
    facts.push((
        "card",
        match card == card::ModelCard::default() {
            true => "none; CLIP's values".into(),
            false => "model.toml".into(),
        },
    ));
    let encoder = match OnnxEncoder::load(path, runtime) {
        Ok(encoder) => encoder,
        Err(error) => {
            let refused = Some(error);
            return Ok(Inspection { facts, refused });
        }
    };
    let (input, output) = encoder.outlets();
    let recipe = encoder.recipe();
    let shape = match recipe.shape {
        Shape::Crop => format!("short side to {}, centre kept", recipe.short_side),
        Shape::Squash => "squashed".into(),
    };
    let filter = match recipe.filter {
        Filter::Bicubic => "bicubic",
        Filter::Bilinear => "bilinear",
    };
    let whole = if fingerprint.quantised {
        ", computes with whole numbers"
    } else {
        ""
    };
    facts.extend([
        ("used", format!("`{input}` to `{output}`{whole}")),
        ("embedding", format!("{} dimensions", encoder.dims())),
        (
            "picture",
            format!("{0} × {0}, {shape}, {filter}", recipe.size),
        ),
        ("mean, std", format!("{:?}, {:?}", recipe.mean, recipe.std)),
        ("batch", format!("{} at once", encoder.max_batch())),
        (
            "runs on",
            format!(
                "{}, {} threads, {} at a time",
                encoder.device(),
                runtime.threads(),
                match encoder.runs() {
                    1 => "one run".to_owned(),
                    runs => format!("{runs} runs"),
                },
            ),
        ),
    ]);
    Ok(Inspection {
        facts,
        refused: None,
    })
}

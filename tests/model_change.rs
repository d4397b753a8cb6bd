//! Another model embeds in shadow while the mosaic stays current. Needs onnxruntime, see `tests/onnx.rs`.
//!
//! The next model is `fixtures/slow/slow.onnx`, which takes about a tenth of a second a picture.

mod common;

use common::{Site, placed};

const WORKS: usize = 40;

/// The configuration that names the slow model.
fn slow() -> String {
    let library = std::env::var("ORT_DYLIB_PATH").expect("ORT_DYLIB_PATH is set");
    let model = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/slow/slow.onnx");
    format!("[embed]\nmodel = \"{model}\"\nlibrary = \"{library}\"\n")
}

#[test]
#[ignore = "needs onnxruntime: ORT_DYLIB_PATH=... cargo test -- --ignored"]
fn the_mosaic_stays_current_until_the_next_model_has_embedded_all_and_a_kill_loses_nothing() {
    let slow = slow();
    let site = Site::new();
    site.draw(0, WORKS);
    let daemon = site.start();
    let first = site.until_works(WORKS);
    site.configure(&slow);
    daemon.signal("HUP");
    let next = || site.status().next_model;
    let total = site.wait("the change of model", || {
        next().filter(|next| next.done > 0)
    });
    assert_eq!(total.total, WORKS as u64);

    site.draw(WORKS, 1);
    let grown = site.until("the arrival", |m| m.works.len() == WORKS + 1);
    assert_eq!(grown.model, "builtin", "it is placed under the old model");
    let (old, new) = (placed(&first), placed(&grown));
    let stayed = old.iter().filter(|(path, place)| new[*path] == **place);
    assert!(stayed.count() > WORKS / 2, "the old mosaic goes on");
    let done = site.wait("a quarter", || {
        next().filter(|next| next.done >= WORKS as u64 / 4)
    });
    assert!(done.done < WORKS as u64, "it is killed amid the change");
    daemon.kill();

    let daemon = site.start();
    let resumed = site.wait("the second start", || {
        next().filter(|next| next.total < WORKS as u64)
    });
    let kept = WORKS as u64 - resumed.total;
    assert!(kept >= done.done, "{kept} of {} were kept", done.done);
    assert_eq!(site.manifest().model, "builtin");
    let changed = site.until("the new model's mosaic", |m| m.model == "slow.onnx");
    assert_eq!(changed.generation, grown.generation + 1, "published once");
    assert_eq!(changed.works.len(), WORKS + 1);
    assert_eq!(site.log().matches("\"the model changed\"").count(), 1);
    site.wait("the end of the change", || {
        (site.status().next_model.is_none() && site.status().model == "slow.onnx").then_some(())
    });

    let embedded = site.metric("mosaicd_embedded_total");
    site.configure("");
    daemon.signal("HUP");
    let back = site.until("the way back", |m| m.model == "builtin");
    assert_eq!(back.generation, changed.generation + 1);
    assert_eq!(site.metric("mosaicd_embedded_total"), embedded);
    assert_eq!(daemon.stop(), 0);
}

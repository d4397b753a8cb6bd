//! Another model: `build` embeds all works again, the daemon embeds in shadow while the mosaic stays current. Needs
//! onnxruntime, see `tests/onnx`.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use common::{Site, embed_with, fixture, placed};

const WORKS: usize = 40;

#[test]
#[ignore = "needs onnxruntime: ORT_DYLIB_PATH=... cargo test -- --ignored"]
fn the_mosaic_stays_current_until_the_next_model_has_embedded_all_and_a_kill_loses_nothing() {
    // It takes about a tenth of a second a picture.
    let slow = embed_with(&fixture("slow/slow.onnx"), "");
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

#[test]
#[ignore = "needs onnxruntime: ORT_DYLIB_PATH=... cargo test -- --ignored"]
fn another_model_embeds_again_and_the_way_back_is_free() {
    let site = Site::new();
    site.draw(0, 24);
    let first = site.build();
    site.configure(&embed_with(&fixture("clip/tiny-clip.onnx"), ""));
    let second = site.build();
    assert_eq!(site.metric("mosaicd_embedded_total"), 24.0);
    assert_eq!(
        (second.model.as_str(), second.generation),
        ("tiny-clip.onnx", first.generation + 1)
    );
    let neighbours = |m: &mosaicd::publish::manifest::Manifest| {
        m.works
            .iter()
            .map(|w| w.neighbours.clone())
            .collect::<Vec<_>>()
    };
    assert_ne!(neighbours(&first), neighbours(&second));
    let ids = |m| {
        placed(m)
            .into_iter()
            .map(|(path, (id, _))| (path, id))
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(&first), ids(&second), "works keep their numbers");

    site.configure("");
    let third = site.build();
    assert_eq!(
        site.metric("mosaicd_embedded_total"),
        0.0,
        "the old embeddings were kept"
    );
    assert_eq!(third.model, "builtin");
    assert_eq!(neighbours(&first), neighbours(&third));
}

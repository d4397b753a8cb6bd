//! Names of things: a file's content, an artwork's number, an encoder.
//!
//! Invariants: a [`ContentHash`] depends on the file's bytes alone; an [`ArtworkId`] is never used twice.

use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::Error};
use std::{
    fmt,
    hash::{Hash, Hasher},
    str::FromStr,
};

/// BLAKE3 of a file's bytes: the same picture under two names is embedded once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ContentHash(pub [u8; 32]);

/// Its first bytes are as good for a table as all of them.
impl Hash for ContentHash {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&self.0[..8]);
    }
}

impl ContentHash {
    /// Hashes a file's content.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }
}

impl ContentHash {
    /// Its hexadecimal digits. Digit by digit: a manifest of 10,000 works holds 320,000 bytes of hashes, too many to
    /// format one by one.
    fn digits(&self) -> [u8; 64] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0; 64];
        for (two, byte) in text.as_chunks_mut::<2>().0.iter_mut().zip(self.0) {
            *two = [byte >> 4, byte & 15].map(|digit| DIGITS[usize::from(digit)]);
        }
        text
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        std::str::from_utf8(&self.digits()).map_or(Err(fmt::Error), |text| f.write_str(text))
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContentHash({self})")
    }
}

/// The text is not 64 hexadecimal digits.
#[derive(Debug, thiserror::Error)]
#[error("not a content hash (64 hexadecimal digits): {0:?}")]
pub struct NotAHash(String);

impl FromStr for ContentHash {
    type Err = NotAHash;

    fn from_str(text: &str) -> Result<Self, NotAHash> {
        let wrong = || NotAHash(text.chars().take(80).collect());
        if text.len() != 64 || !text.is_ascii() {
            return Err(wrong());
        }
        let mut hash = [0; 32];
        for (i, byte) in hash.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).map_err(|_| wrong())?;
        }
        Ok(Self(hash))
    }
}

impl Serialize for ContentHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            let digits = self.digits();
            serializer.serialize_str(std::str::from_utf8(&digits).map_err(S::Error::custom)?)
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for ContentHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            String::deserialize(deserializer)?
                .parse()
                .map_err(serde::de::Error::custom)
        } else {
            <[u8; 32]>::deserialize(deserializer).map(Self)
        }
    }
}

/// One artwork's number: given at first sight, kept through rename and edit, never given again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ArtworkId(pub u64);

/// Which encoder made an embedding: `builtin-<version>`, or the sha256 of the model's files in hexadecimal.
///
/// Embeddings of different models are never compared.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ModelId(pub String);

impl ModelId {
    /// Whether it is a network read from files, alone or blended with mosaicd's own descriptor: such an id begins with the
    /// sha256 of the files.
    pub fn is_a_network(&self) -> bool {
        let sum = self.0.split('+').next().unwrap_or_default();
        sum.len() == 64 && sum.bytes().all(|digit| digit.is_ascii_hexdigit())
    }
}

impl fmt::Display for ModelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

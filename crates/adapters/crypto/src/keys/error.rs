//! What can be wrong with keys.

use std::{fmt, io, path::PathBuf};

/// Why keys were not loaded.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file or directory cannot be read or written.
    #[error("{} cannot be read or written", path.display())]
    Io {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The key is not what its name says.
    #[error("{key}: {why}")]
    Unusable {
        /// Which one.
        key: String,
        /// What is wrong; never a part of the key.
        why: String,
    },
    /// There is no key to work with.
    #[error("there is no {wanted} in {origin}: `amrutamctl keys generate` makes what is missing")]
    Missing {
        /// The kind of key looked for.
        wanted: &'static str,
        /// Where.
        origin: String,
    },
    /// Not a key id.
    #[error("a key id is 1 to 64 letters, digits, '-' or '_'")]
    InvalidKeyId,
}

impl KeyError {
    pub(crate) fn unusable(key: impl fmt::Display, why: impl fmt::Display) -> Self {
        Self::Unusable { key: key.to_string(), why: why.to_string() }
    }

    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}

//! Where an operator says that the keys are.

use super::{KeyBundle, KeyDir, KeyError, Keys};
use amrutam_settings::{Problems, Secret, Validate};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Of section `tokens`, the part that every process reads: a directory, or all keys in one text.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
pub struct KeySource {
    /// A directory of key files.
    pub key_dir: Option<PathBuf>,
    /// The same files in one JSON text, see [`KeyBundle`].
    pub keys: Option<Secret>,
}

impl KeySource {
    /// Those of a directory.
    pub fn dir(path: impl Into<PathBuf>) -> Self {
        Self { key_dir: Some(path.into()), keys: None }
    }

    /// Reads them.
    pub fn load(&self) -> Result<Keys, KeyError> {
        match (&self.key_dir, &self.keys) {
            (Some(dir), None) => Keys::load(KeyDir::new(dir)),
            (None, Some(bundle)) => Keys::load(KeyBundle::parse(bundle.expose())?),
            _ => Err(KeyError::unusable("section tokens", ONE_OF_THEM)),
        }
    }
}

const ONE_OF_THEM: &str = "key_dir or keys is needed, one of them";

impl Validate for KeySource {
    fn validate(&self, problems: &mut Problems) {
        problems.check(self.key_dir.is_some() != self.keys.is_some(), "key_dir", ONE_OF_THEM);
    }
}

//! Where keys come from, as a port of this crate.

use super::{KeyError, KeyKind, KeyName};
use secrecy::zeroize::Zeroizing;
use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt, path::PathBuf};

/// A key as it is kept: its name and its content, wiped when dropped.
#[derive(Clone)]
pub struct ProvidedKey {
    /// What it is.
    pub name: KeyName,
    /// PEM, or 32 bytes in hexadecimal digits or base64; before that, on a line of its own, `Use-From: <RFC 3339 time>` when it is
    /// not to be used for signing or sealing before.
    pub content: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for ProvidedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProvidedKey").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Provides keys: a directory, the environment, a vault. It is asked at the start and again every few seconds.
pub trait KeyProvider: Send + Sync {
    /// All keys there are now, in any order. May block.
    fn keys(&self) -> Result<Vec<ProvidedKey>, KeyError>;
    /// Where that is, for messages.
    fn origin(&self) -> String;
}

/// Keys in the files of one directory.
///
/// Private ones are their owner's alone: files that others may read are refused. The owner's group may read, since that
/// is how orchestrators hand secrets to a process.
#[derive(Debug, Clone)]
pub struct KeyDir(PathBuf);

impl KeyDir {
    /// Of that directory.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self(dir.into())
    }
}

/// More than reading by owner and group, and writing by the owner.
const TOO_OPEN: u32 = 0o037;

impl KeyProvider for KeyDir {
    fn keys(&self) -> Result<Vec<ProvidedKey>, KeyError> {
        let mut keys = Vec::new();
        for entry in fs::read_dir(&self.0).map_err(KeyError::io(&self.0))? {
            let path = entry.map_err(KeyError::io(&self.0))?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()).and_then(KeyName::parse) else {
                continue;
            };
            let name = name?;
            let mode = fs::metadata(&path).map_err(KeyError::io(&path))?.permissions().mode();
            if name.kind != KeyKind::Verifying && mode & TOO_OPEN != 0 {
                return Err(KeyError::unusable(path.display(), "others may read or change it: chmod 600"));
            }
            let content = Zeroizing::new(fs::read(&path).map_err(KeyError::io(&path))?);
            keys.push(ProvidedKey { name, content });
        }
        Ok(keys)
    }

    fn origin(&self) -> String {
        self.0.display().to_string()
    }
}

/// Keys in one text, for an environment variable or a secret store: a JSON object of the files a directory would hold,
/// `{"2026-08-01.pem": "-----BEGIN PRIVATE KEY-----\n...", "2026-08-01.kek": "..."}`.
#[derive(Debug, Clone)]
pub struct KeyBundle(Vec<ProvidedKey>);

impl KeyBundle {
    /// Reads the text.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let broken = || KeyError::unusable("the bundle of keys", "not a JSON object of names and texts");
        let entries: BTreeMap<String, Zeroizing<String>> = serde_json::from_str::<BTreeMap<String, String>>(text)
            .map_err(|_| broken())?
            .into_iter()
            .map(|(name, content)| (name, Zeroizing::new(content)))
            .collect();
        let key = |(name, content): (String, Zeroizing<String>)| {
            let name =
                KeyName::parse(&name).unwrap_or_else(|| Err(KeyError::unusable(&name, "not the name of a key")))?;
            Ok(ProvidedKey { name, content: Zeroizing::new(content.as_bytes().to_vec()) })
        };
        entries.into_iter().map(key).collect::<Result<_, _>>().map(Self)
    }
}

impl KeyProvider for KeyBundle {
    fn keys(&self) -> Result<Vec<ProvidedKey>, KeyError> {
        Ok(self.0.clone())
    }

    fn origin(&self) -> String {
        "the bundle of keys".to_owned()
    }
}

//! Keys in a directory.

use aes_gcm::{Aes256Gcm, Key, aead::Generate};
use base64::{Engine, engine::general_purpose::STANDARD};
use josekit::jws::RS256;
use secrecy::zeroize::Zeroizing;
use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// NIST SP 800-57: good beyond 2030.
pub(crate) const RSA_BITS: u32 = 3072;
pub(crate) const KEK_BYTES: usize = 32;

/// Why keys were not loaded or made.
#[derive(Debug, thiserror::Error)]
pub enum KeyDirError {
    /// The file or directory cannot be read or written.
    #[error("{} cannot be read or written", path.display())]
    Io {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not what its name says.
    #[error("{}: {why}", path.display())]
    Unusable {
        /// Which one.
        path: PathBuf,
        /// What is wrong; never a part of the key.
        why: String,
    },
    /// There is no key to work with.
    #[error("there is no {wanted} in {}", dir.display())]
    Missing {
        /// The kind of file looked for.
        wanted: &'static str,
        /// Where.
        dir: PathBuf,
    },
    /// A key is never overwritten: what it sealed could not be read any more.
    #[error("{} exists", path.display())]
    Exists {
        /// Which one.
        path: PathBuf,
    },
    /// Not a key id.
    #[error("a key id is 1 to 64 letters, digits, '-' or '_'")]
    InvalidKeyId,
    /// No key could be drawn.
    #[error("no key could be made: {0}")]
    Generate(String),
}

impl KeyDirError {
    pub(crate) fn unusable(path: &Path, why: impl std::fmt::Display) -> Self {
        Self::Unusable { path: path.to_owned(), why: why.to_string() }
    }
}

/// The files [`generate_keys`] has made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GeneratedKeys {
    /// The private key that signs tokens.
    pub token_key: PathBuf,
    /// The key that seals values.
    pub sealing_key: PathBuf,
}

/// Makes `<kid>.pem` (RSA, 3072 bits, PKCS#8) and `<kid>.kek` (32 random bytes), readable by their owner alone. The
/// newest by name is used first, so a `kid` begins with its date: `2026-08-01`.
pub fn generate_keys(dir: &Path, kid: &str) -> Result<GeneratedKeys, KeyDirError> {
    if !is_key_id(kid) {
        return Err(KeyDirError::InvalidKeyId);
    }
    let made = GeneratedKeys { token_key: dir.join(format!("{kid}.pem")), sealing_key: dir.join(format!("{kid}.kek")) };
    for path in [&made.token_key, &made.sealing_key] {
        if path.exists() {
            return Err(KeyDirError::Exists { path: path.clone() });
        }
    }
    let pair = RS256.generate_key_pair(RSA_BITS).map_err(|e| KeyDirError::Generate(e.to_string()))?;
    let pem = Zeroizing::new(josekit::jwk::KeyPair::to_pem_private_key(&pair));
    let kek = Zeroizing::new(<[u8; KEK_BYTES]>::from(
        Key::<Aes256Gcm>::try_generate().map_err(|e| KeyDirError::Generate(e.to_string()))?,
    ));
    let kek = Zeroizing::new(format!("{}\n", STANDARD.encode(kek.as_slice())));

    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|source| KeyDirError::Io { path: dir.to_owned(), source })?;
    write_new(&made.token_key, &pem)?;
    write_new(&made.sealing_key, kek.as_bytes())?;
    Ok(made)
}

fn write_new(path: &Path, content: &[u8]) -> Result<(), KeyDirError> {
    let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_all()
    });
    written.map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => KeyDirError::Exists { path: path.to_owned() },
        _ => KeyDirError::Io { path: path.to_owned(), source },
    })
}

/// A key's file: its id and content, wiped when dropped.
pub(crate) struct KeyFile {
    pub(crate) id: String,
    pub(crate) path: PathBuf,
    pub(crate) content: Zeroizing<Vec<u8>>,
}

/// The files `<id><suffix>`, oldest name first. A file that ends so but has no key id for a name is an error: a key that
/// is silently not loaded is found out too late.
pub(crate) fn key_files(dir: &Path, suffix: &str, but_not: Option<&str>) -> Result<Vec<KeyFile>, KeyDirError> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |source| KeyDirError::Io { path, source }
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).map_err(unreadable(dir))? {
        let path = entry.map_err(unreadable(dir))?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        let Some(id) = name.strip_suffix(suffix) else { continue };
        if but_not.is_some_and(|other| name.ends_with(other)) {
            continue;
        }
        if !is_key_id(id) {
            return Err(KeyDirError::unusable(&path, KeyDirError::InvalidKeyId));
        }
        let content = Zeroizing::new(fs::read(&path).map_err(unreadable(&path))?);
        files.push(KeyFile { id: id.to_owned(), path: path.clone(), content });
    }
    files.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(files)
}

fn is_key_id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::{
        os::unix::fs::PermissionsExt,
        sync::atomic::{AtomicU32, Ordering},
    };

    /// A directory of its own, gone with the value.
    pub(crate) struct TempDir(pub(crate) PathBuf);

    impl TempDir {
        pub(crate) fn new() -> Self {
            static COUNT: AtomicU32 = AtomicU32::new(0);
            let name = format!("amrutam-crypto-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
            let path = std::env::temp_dir().join(name);
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for TempDir {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.0));
        }
    }

    #[test]
    fn keys_are_their_owner_s_alone_and_never_overwritten() {
        let temp = TempDir::new();
        let dir = temp.0.join("keys");
        let made = generate_keys(&dir, "2026-08-01").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&dir), mode(&made.token_key), mode(&made.sealing_key)), (0o700, 0o600, 0o600));
        assert!(fs::read_to_string(&made.token_key).unwrap().starts_with("-----BEGIN PRIVATE KEY-----"));

        let before = (fs::read(&made.token_key).unwrap(), fs::read(&made.sealing_key).unwrap());
        assert!(matches!(generate_keys(&dir, "2026-08-01"), Err(KeyDirError::Exists { .. })));
        fs::remove_file(&made.token_key).unwrap();
        assert!(matches!(generate_keys(&dir, "2026-08-01"), Err(KeyDirError::Exists { .. })));
        assert!(!made.token_key.exists(), "nothing is made by halves");
        assert_eq!(fs::read(&made.sealing_key).unwrap(), before.1);
    }

    #[test]
    fn of_two_writers_one_wins() {
        let temp = TempDir::new();
        let path = temp.0.join("k1.pem");
        write_new(&path, b"first").unwrap();
        assert!(matches!(write_new(&path, b"second"), Err(KeyDirError::Exists { .. })));
        assert_eq!(fs::read(&path).unwrap(), b"first");
    }

    #[test]
    fn a_key_id_is_no_path() {
        let temp = TempDir::new();
        for kid in ["", "../x", "a/b", "a.pub", "a b", &"x".repeat(65)] {
            assert!(matches!(generate_keys(&temp.0, kid), Err(KeyDirError::InvalidKeyId)), "{kid}");
        }
        fs::write(temp.0.join("a b.kek"), "x").unwrap();
        assert!(matches!(key_files(&temp.0, ".kek", None), Err(KeyDirError::Unusable { .. })));
    }
}

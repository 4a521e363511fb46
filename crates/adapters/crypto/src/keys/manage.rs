//! Making, rotating and retiring keys in a directory that running processes watch.
//!
//! Every step is one file that appears or goes, so a process never sees half of one.

use super::{
    KeyDir, KeyError, KeyKind, KeyName, KeyProvider,
    material::{Dated, RSA_BITS, SECRET_BYTES, TokenKeys, dated, is_tombstone, public_half, sealing_keys, tombstone},
};
use aes_gcm::aead::Generate;
use amrutam_identity::use_cases::ACCESS_TOKEN_LIFETIME;
use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::{SignedDuration, Timestamp};
use openssl::{pkey::PKey, rsa::Rsa};
use secrecy::zeroize::Zeroizing;
use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// A new key is there this long before it is used: twice the 300 seconds for which others may keep `jwks.json`. Processes
/// that watch the directory know it within seconds; to other machines it must be brought within this time.
pub const KEY_PUBLISHED_AHEAD: SignedDuration = SignedDuration::from_mins(10);

/// A key that signs no more is needed this long: the life of an access token, a minute for clocks that differ at its end,
/// and one for those that differ when its successor takes over.
pub const TOKENS_OUTLIVE_KEY: SignedDuration = SignedDuration::from_secs(ACCESS_TOKEN_LIFETIME.as_secs() + 120);

/// Why keys were not changed.
#[derive(Debug, thiserror::Error)]
pub enum ManageError {
    /// What is there can't be used, or there is nothing.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A key is never overwritten: what it sealed could not be read any more.
    #[error("{} exists", path.display())]
    Exists {
        /// Which one.
        path: PathBuf,
    },
    /// No key could be drawn.
    #[error("no key could be made: {0}")]
    Generate(String),
    /// There is no such key.
    #[error("there is no token key {0}")]
    Unknown(String),
    /// There is no such key.
    #[error("there is no sealing key {0}")]
    UnknownSealing(String),
    /// It wraps data keys now, or is the only one.
    #[error("{0} wraps data keys: rotate, and wait until the next key is in use")]
    SealsNow(String),
    /// It signs, or is the only one.
    #[error("{0} signs tokens: rotate, and wait until the next key signs")]
    InUse(String),
    /// Tokens signed with it may still be in force.
    #[error("tokens signed with {id} are in force until {until}: retire it then, or now if it is in wrong hands")]
    StillNeeded {
        /// Which key.
        id: String,
        /// When it may go.
        until: Timestamp,
    },
    /// Nothing says since when it has not signed.
    #[error("nothing says since when {0} has not signed: retire it now when its last token has ended")]
    UnknownSince(String),
}

/// What can be rotated: the kinds of which several are in use at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotatable {
    /// The key that signs tokens.
    Signing,
    /// The key that seals.
    Sealing,
}

/// What a rotation has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotated {
    /// The new key.
    pub path: PathBuf,
    /// From when it is used.
    pub use_from: Timestamp,
    /// The key that is used until then.
    pub before: String,
    /// When the key before may be retired; of sealing keys, the store of data keys tells.
    pub retire_from: Option<Timestamp>,
}

/// Makes one key of each kind the directory has none of, readable by their owner alone, and gives the files made. They are
/// used at once.
pub fn generate_missing(dir: &Path, id: &str, now: Timestamp) -> Result<Vec<PathBuf>, ManageError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700).create(dir).map_err(KeyError::io(dir))?;
    let there = KeyDir::new(dir).keys()?;
    let mut made = Vec::new();
    for kind in [KeyKind::Signing, KeyKind::Sealing, KeyKind::BlindIndex, KeyKind::Link, KeyKind::Audit] {
        if !there.iter().any(|key| key.name.kind == kind) {
            made.push(make(dir, id, kind, now)?);
        }
    }
    Ok(made)
}

/// Makes the next key that signs or seals. It is known at once and used [`KEY_PUBLISHED_AHEAD`] later, or, when the one before
/// is in wrong hands, `at_once`: then some requests are refused until every process has read it.
pub fn rotate(dir: &Path, id: &str, what: Rotatable, at_once: bool, now: Timestamp) -> Result<Rotated, ManageError> {
    let there = KeyDir::new(dir).keys()?;
    let (kind, before) = match what {
        Rotatable::Signing => {
            let keys = TokenKeys::of(&there)?.map(|keys| keys.signers);
            (KeyKind::Signing, keys.and_then(|keys| in_use(&keys, now)))
        }
        Rotatable::Sealing => (KeyKind::Sealing, sealing_keys(&there)?.and_then(|keys| in_use(&keys, now))),
    };
    let missing = || KeyError::Missing { wanted: kind.described(), origin: dir.display().to_string() };
    let (before, since) = before.ok_or_else(missing)?;
    let use_from = if at_once { now } else { later(now, KEY_PUBLISHED_AHEAD) };
    // Also where the clock that dated the one before was ahead.
    let use_from = use_from.max(later(since, SignedDuration::from_micros(1)));
    let path = make(dir, id, kind, use_from)?;
    let retire_from = (what == Rotatable::Signing).then(|| later(use_from, TOKENS_OUTLIVE_KEY));
    Ok(Rotated { path, use_from, before, retire_from })
}

/// Removes a token key that is not needed any more, but for its public half, which proves the prescriptions it has signed and no token.
/// `by_force` that is removed, too, and also a key whose tokens are in force: they are refused within seconds, and their holders go on
/// with their refresh tokens; prescriptions it has signed are checked by their code then.
pub fn retire(dir: &Path, id: &str, by_force: bool, now: Timestamp) -> Result<PathBuf, ManageError> {
    let there = KeyDir::new(dir).keys()?;
    let signers = TokenKeys::of(&there)?.map(|keys| keys.signers);
    let find = |kind| there.iter().map(|key| &key.name).find(|name| name.id == id && name.kind == kind);
    let unknown = || ManageError::Unknown(id.to_owned());
    let token_key = find(KeyKind::Signing).or_else(|| find(KeyKind::Verifying));
    let Some(name) = token_key else {
        // Its public half is all that is left of it.
        return match find(KeyKind::Proving).filter(|_| by_force) {
            Some(name) => remove(dir, name),
            None => Err(unknown()),
        };
    };
    let signers = signers.as_ref();
    if signers.and_then(|keys| keys.in_use(now)).is_some_and(|(used, _)| used == id) {
        return Err(ManageError::InUse(id.to_owned()));
    }
    if !by_force {
        let since = signers.and_then(|keys| keys.successor(id)).filter(|at| *at != Timestamp::MIN);
        let until = later(since.ok_or_else(|| ManageError::UnknownSince(id.to_owned()))?, TOKENS_OUTLIVE_KEY);
        if now < until {
            return Err(ManageError::StillNeeded { id: id.to_owned(), until });
        }
    }
    let proving = KeyName::new(id, KeyKind::Proving)?;
    if by_force {
        if find(KeyKind::Proving).is_some() {
            remove(dir, &proving)?;
        }
    } else if find(KeyKind::Proving).is_none()
        && let Some(key) = there.iter().find(|key| key.name == *name)
    {
        write_new(dir, &dir.join(proving.to_string()), &public_half(key)?)?;
    }
    remove(dir, name)
}

fn remove(dir: &Path, name: &KeyName) -> Result<PathBuf, ManageError> {
    let path = dir.join(name.to_string());
    fs::remove_file(&path).and_then(|()| sync(dir)).map_err(KeyError::io(&path))?;
    Ok(path)
}

/// Wipes a sealing key that wraps and seals nothing any more, which only its store can tell: what it has sealed is lost with it. Its name
/// stays taken.
pub fn retire_sealing(dir: &Path, id: &str, now: Timestamp) -> Result<PathBuf, ManageError> {
    let there = KeyDir::new(dir).keys()?;
    let found = there.iter().find(|key| key.name.id == id && key.name.kind == KeyKind::Sealing);
    let key = found.ok_or_else(|| ManageError::UnknownSealing(id.to_owned()))?;
    let path = dir.join(key.name.to_string());
    if is_tombstone(key) {
        return Ok(path);
    }
    if sealing_keys(&there)?.and_then(|keys| in_use(&keys, now)).is_none_or(|(used, _)| used == id) {
        return Err(ManageError::SealsNow(id.to_owned()));
    }
    let aside = beside(&path);
    write_aside(&aside, &tombstone(now))
        .and_then(|()| fs::rename(&aside, &path))
        .and_then(|()| sync(dir))
        .map_err(KeyError::io(&path))?;
    Ok(path)
}

fn in_use<T>(keys: &Dated<T>, now: Timestamp) -> Option<(String, Timestamp)> {
    let (id, _) = keys.in_use(now)?;
    Some((id.to_owned(), keys.since(id)?))
}

fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

fn make(dir: &Path, id: &str, kind: KeyKind, use_from: Timestamp) -> Result<PathBuf, ManageError> {
    let path = dir.join(KeyName::new(id, kind)?.to_string());
    let body = match kind {
        KeyKind::Signing | KeyKind::Verifying | KeyKind::Proving => Rsa::generate(RSA_BITS)
            .and_then(PKey::from_rsa)
            .and_then(|key| key.private_key_to_pem_pkcs8())
            .map(Zeroizing::new)
            .map_err(|error| ManageError::Generate(error.to_string()))?,
        KeyKind::Sealing | KeyKind::BlindIndex | KeyKind::Link | KeyKind::Audit => {
            let drawn = <[u8; SECRET_BYTES]>::try_generate().map_err(|e| ManageError::Generate(e.to_string()))?;
            let text = Zeroizing::new(STANDARD.encode(Zeroizing::new(drawn).as_slice()));
            Zeroizing::new([text.as_bytes(), b"\n"].concat())
        }
    };
    write_new(dir, &path, &dated(use_from, &body))?;
    Ok(path)
}

/// The whole file or nothing, never over another one.
fn write_new(dir: &Path, path: &Path, content: &[u8]) -> Result<(), ManageError> {
    let aside = beside(path);
    let written = (|| {
        write_aside(&aside, content)?;
        // A rename would replace what is there.
        let linked = fs::hard_link(&aside, path);
        fs::remove_file(&aside)?;
        linked.and_then(|()| sync(dir))
    })();
    written.map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => ManageError::Exists { path: path.to_owned() },
        _ => KeyError::io(path)(source).into(),
    })
}

fn beside(path: &Path) -> PathBuf {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".new");
    PathBuf::from(aside)
}

fn write_aside(aside: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(aside)?;
    file.write_all(content)?;
    file.sync_all()
}

fn sync(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

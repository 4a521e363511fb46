//! The keys in use, exchanged while they are used.

use super::{
    KeyError, KeyKind, KeyProvider, ProvidedKey,
    material::{Dated, SECRET_BYTES, TokenKeys, is_tombstone, only_secret, sealing_keys},
};
use aes_gcm::Aes256Gcm;
use amrutam_kernel::Pause;
use secrecy::zeroize::Zeroizing;
use sha2::{Digest, Sha256};
use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

/// How often the provider is asked again.
pub const RELOAD_INTERVAL: Duration = Duration::from_secs(5);

/// A process's keys. Clones share them. What is made of them follows their changes.
///
/// A process holds the kinds of keys it was given; who makes something of a kind that is missing is told then.
#[derive(Clone)]
pub struct Keys(Arc<Shared>);

struct Shared {
    provider: Box<dyn KeyProvider>,
    ring: RwLock<Arc<KeyRing>>,
}

impl Keys {
    /// Asks the provider for the first time.
    pub fn load(provider: impl KeyProvider + 'static) -> Result<Self, KeyError> {
        let ring = RwLock::new(Arc::new(KeyRing::of(&sorted(&provider)?)?));
        Ok(Self(Arc::new(Shared { provider: Box::new(provider), ring })))
    }

    /// Asks again, and says whether anything was different. On an error everything stays as it is.
    ///
    /// Token keys come and go. A key that seals may come but goes only when it has been retired, and those for blind indexes and links stay what they are:
    /// without them there is data that nobody finds or opens any more.
    pub fn reload(&self) -> Result<bool, KeyError> {
        let provided = sorted(&*self.0.provider)?;
        let old = self.ring();
        if fingerprint(&provided) == old.fingerprint {
            return Ok(false);
        }
        let new = KeyRing::of(&provided)?;
        new.can_replace(&old, &self.origin())?;
        *self.0.ring.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(new);
        Ok(true)
    }

    /// Reloads every [`RELOAD_INTERVAL`], for ever. What can't be loaded is logged, once for each reason.
    pub async fn watch(self, pause: Arc<dyn Pause>) {
        let mut said = None;
        loop {
            pause.pause(RELOAD_INTERVAL).await;
            let keys = self.clone();
            let reloaded = tokio::task::spawn_blocking(move || keys.reload()).await;
            let problem = match reloaded {
                Ok(Ok(changed)) => {
                    if changed {
                        tracing::info!(keys = ?self, "keys reloaded");
                    }
                    None
                }
                Ok(Err(error)) => Some(explained(&error)),
                Err(error) => Some(error.to_string()),
            };
            if let Some(error) = problem.as_ref().filter(|_| problem != said) {
                tracing::error!(error, "keys not reloaded; the ones before stay in use");
            }
            said = problem;
        }
    }

    pub(crate) fn ring(&self) -> Arc<KeyRing> {
        Arc::clone(&self.0.ring.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn missing(&self, kind: KeyKind) -> KeyError {
        missing(kind, &self.origin())
    }

    fn origin(&self) -> String {
        self.0.provider.origin()
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ring = self.ring();
        let tokens: Vec<_> = ring.tokens.iter().flat_map(|keys| keys.verifiers.keys()).collect();
        let sealing: Vec<_> = ring.sealing.iter().flat_map(Dated::ids).collect();
        f.debug_struct("Keys").field("tokens", &tokens).field("sealing", &sealing).finish_non_exhaustive()
    }
}

fn explained(error: &KeyError) -> String {
    let source = std::error::Error::source(error).map(|source| format!(": {source}"));
    format!("{error}{}", source.unwrap_or_default())
}

fn missing(kind: KeyKind, origin: &str) -> KeyError {
    KeyError::Missing { wanted: kind.described(), origin: origin.to_owned() }
}

fn sorted(provider: &dyn KeyProvider) -> Result<Vec<ProvidedKey>, KeyError> {
    let mut keys = provider.keys()?;
    keys.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(keys)
}

fn fingerprint(keys: &[ProvidedKey]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for key in keys {
        let name = key.name.to_string();
        for part in [name.as_bytes(), &key.content] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
    }
    hash.finalize().into()
}

/// One state of the keys.
pub(crate) struct KeyRing {
    pub(crate) fingerprint: [u8; 32],
    pub(crate) tokens: Option<TokenKeys>,
    pub(crate) sealing: Option<Dated<Aes256Gcm>>,
    pub(crate) blind_index: Option<Zeroizing<[u8; SECRET_BYTES]>>,
    pub(crate) link: Option<Zeroizing<[u8; SECRET_BYTES]>>,
    pub(crate) audit: Option<Zeroizing<[u8; SECRET_BYTES]>>,
    /// Of each sealing key, to notice one that has been replaced.
    sealing_prints: Vec<(String, [u8; 32])>,
    /// Sealing keys that have been retired: they may go.
    retired: Vec<String>,
}

impl KeyRing {
    fn of(keys: &[ProvidedKey]) -> Result<Self, KeyError> {
        let sealing = keys.iter().filter(|key| key.name.kind == KeyKind::Sealing);
        let (retired, sealing): (Vec<_>, Vec<_>) = sealing.partition(|key| is_tombstone(key));
        let print = |key: &ProvidedKey| (key.name.id.clone(), fingerprint(std::slice::from_ref(key)));
        Ok(Self {
            fingerprint: fingerprint(keys),
            tokens: TokenKeys::of(keys)?,
            sealing: sealing_keys(keys)?,
            blind_index: only_secret(keys, KeyKind::BlindIndex)?,
            link: only_secret(keys, KeyKind::Link)?,
            audit: only_secret(keys, KeyKind::Audit)?,
            sealing_prints: sealing.into_iter().map(print).collect(),
            retired: retired.into_iter().map(|key| key.name.id.clone()).collect(),
        })
    }

    fn can_replace(&self, old: &Self, origin: &str) -> Result<(), KeyError> {
        if old.tokens.is_some() && self.tokens.is_none() {
            return Err(missing(KeyKind::Signing, origin));
        }
        if old.sealing.is_some() && self.sealing.is_none() {
            return Err(missing(KeyKind::Sealing, origin));
        }
        let stays = |key: &(String, _)| self.sealing_prints.contains(key) || self.retired.contains(&key.0);
        if !old.sealing_prints.iter().all(stays) {
            return Err(KeyError::unusable(origin, "a sealing key in use is gone or another one"));
        }
        if old.blind_index.is_some() && old.blind_index != self.blind_index {
            return Err(KeyError::unusable(origin, "the blind-index key in use is gone or another one"));
        }
        if old.link.is_some() && old.link != self.link {
            return Err(KeyError::unusable(origin, "the link key in use is gone or another one"));
        }
        if old.audit.is_some() && old.audit != self.audit {
            return Err(KeyError::unusable(origin, "the audit key in use is gone or another one"));
        }
        Ok(())
    }
}

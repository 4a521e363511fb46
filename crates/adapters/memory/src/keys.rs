//! Data keys and what wraps them.

use amrutam_kernel::{AccountId, PortError};
use amrutam_keys::{
    UnwrapError,
    model::{DataKeyId, KekId, KekState, KeyMaterial, MAX_SEALS, StoredKey, WrappedKey},
    ports::{Found, KeyStore, KeyWrapper, Put, Retired, Taken},
};
use async_trait::async_trait;
use jiff::Timestamp;
use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{
        Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

#[derive(Debug, Default)]
struct Owner {
    version: u32,
    made_at: Timestamp,
    seals: u32,
    destroyed_at: Option<Timestamp>,
}

#[derive(Debug, Default)]
struct Tables {
    owners: BTreeMap<AccountId, Owner>,
    keys: BTreeMap<DataKeyId, StoredKey>,
    keks: BTreeMap<KekId, KekState>,
}

impl Tables {
    /// Whether something may be wrapped under it; from now on it is known.
    fn may_use(&mut self, kek: &KekId, at: Timestamp) -> bool {
        self.kek(kek, at).retired_at.is_none()
    }

    fn kek(&mut self, id: &KekId, at: Timestamp) -> &mut KekState {
        let new = || KekState { id: id.clone(), first_used_at: at, retired_at: None };
        self.keks.entry(id.clone()).or_insert_with(new)
    }

    fn wrapped_under<'a>(&'a self, kek: &'a KekId) -> impl Iterator<Item = &'a StoredKey> {
        self.keys.values().filter(move |key| key.wrapped.kek == *kek)
    }
}

/// Keeps data keys.
#[derive(Debug, Default)]
pub struct MemoryKeyStore(Mutex<Tables>);

impl MemoryKeyStore {
    /// Without any.
    pub fn new() -> Self {
        Self::default()
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl KeyStore for MemoryKeyStore {
    async fn take(&self, owner: AccountId, seals: u32, born_after: Timestamp) -> Result<Taken, PortError> {
        let mut tables = self.tables();
        let Some(known) = tables.owners.get_mut(&owner) else { return Ok(Taken::Next(1)) };
        if known.destroyed_at.is_some() {
            return Ok(Taken::Erased);
        }
        let (version, wanted) = (known.version, known.seals.saturating_add(seals));
        if version == 0 || wanted > MAX_SEALS || known.made_at <= born_after {
            return Ok(Taken::Next(version + 1));
        }
        known.seals = wanted;
        let key = tables.keys.get(&DataKeyId { owner, version }).cloned();
        Ok(key.map_or(Taken::Next(version + 1), Taken::Key))
    }

    async fn put(&self, key: &StoredKey, seals: u32, at: Timestamp) -> Result<Put, PortError> {
        let mut tables = self.tables();
        let known = tables.owners.get(&key.id.owner);
        if known.is_some_and(|owner| owner.destroyed_at.is_some()) {
            return Ok(Put::Erased);
        }
        if known.map_or(0, |owner| owner.version) + 1 != key.id.version {
            return Ok(Put::Outrun);
        }
        if !tables.may_use(&key.wrapped.kek, at) {
            return Ok(Put::KekRetired);
        }
        let owner = Owner { version: key.id.version, made_at: at, seals, destroyed_at: None };
        tables.owners.insert(key.id.owner, owner);
        tables.keys.insert(key.id, key.clone());
        Ok(Put::Stored)
    }

    async fn find(&self, id: DataKeyId) -> Result<Found, PortError> {
        let tables = self.tables();
        if tables.owners.get(&id.owner).is_some_and(|owner| owner.destroyed_at.is_some()) {
            return Ok(Found::Erased);
        }
        Ok(tables.keys.get(&id).cloned().map_or(Found::Unknown, Found::Key))
    }

    async fn renew(&self, owner: AccountId) -> Result<bool, PortError> {
        let mut tables = self.tables();
        let known = tables.owners.get_mut(&owner).filter(|owner| owner.destroyed_at.is_none() && owner.version > 0);
        Ok(known.map(|owner| owner.seals = MAX_SEALS).is_some())
    }

    async fn destroy(&self, owner: AccountId, at: Timestamp) -> Result<u64, PortError> {
        let mut tables = self.tables();
        tables.owners.entry(owner).or_default().destroyed_at.get_or_insert(at);
        let before = tables.keys.len();
        tables.keys.retain(|id, _| id.owner != owner);
        Ok((before - tables.keys.len()) as u64)
    }

    async fn destroyed_since(&self, since: Timestamp) -> Result<Vec<AccountId>, PortError> {
        let tables = self.tables();
        let destroyed = tables.owners.iter().filter(|(_, owner)| owner.destroyed_at.is_some_and(|at| at >= since));
        Ok(destroyed.map(|(id, _)| *id).collect())
    }

    async fn keks(&self) -> Result<Vec<KekState>, PortError> {
        let mut keks: Vec<_> = self.tables().keks.values().cloned().collect();
        keks.sort_by(|one, other| (one.first_used_at, &one.id).cmp(&(other.first_used_at, &other.id)));
        Ok(keks)
    }

    async fn count(&self, kek: &KekId) -> Result<u64, PortError> {
        Ok(self.tables().wrapped_under(kek).count() as u64)
    }

    async fn wrapped_under(
        &self,
        kek: &KekId,
        after: Option<DataKeyId>,
        most: u16,
    ) -> Result<Vec<StoredKey>, PortError> {
        let tables = self.tables();
        let later = tables.wrapped_under(kek).filter(|key| after.is_none_or(|after| key.id > after));
        Ok(later.take(usize::from(most)).cloned().collect())
    }

    async fn rewrap(&self, from: &KekId, keys: &[StoredKey], at: Timestamp) -> Result<u64, PortError> {
        let mut tables = self.tables();
        if !keys.iter().all(|key| tables.may_use(&key.wrapped.kek, at)) {
            return Ok(0);
        }
        let mut done = 0;
        for key in keys {
            if let Some(stored) = tables.keys.get_mut(&key.id).filter(|stored| stored.wrapped.kek == *from) {
                stored.wrapped = key.wrapped.clone();
                done += 1;
            }
        }
        Ok(done)
    }

    async fn retire(&self, kek: &KekId, at: Timestamp) -> Result<Retired, PortError> {
        let mut tables = self.tables();
        let wraps = tables.wrapped_under(kek).count() as u64;
        if wraps > 0 {
            return Ok(Retired::Wraps(wraps));
        }
        tables.kek(kek, at).retired_at.get_or_insert(at);
        Ok(Retired::Done)
    }
}

/// Wraps keys so that they don't show, and anybody can unwrap them: for tests.
#[derive(Debug)]
pub struct FakeKeks {
    /// By name, the last one wraps.
    secrets: RwLock<Vec<(KekId, u64)>>,
    nonces: AtomicU64,
}

impl FakeKeks {
    /// With one key of that name. Those of one secret unwrap each other's.
    pub fn new(id: KekId, secret: u64) -> Self {
        Self { secrets: RwLock::new(vec![(id, secret)]), nonces: AtomicU64::new(0) }
    }

    /// Wraps with this one from now on.
    pub fn rotate(&self, id: KekId, secret: u64) {
        self.secrets.write().unwrap_or_else(PoisonError::into_inner).push((id, secret));
    }

    fn newest(&self) -> Result<(KekId, u64), PortError> {
        let secrets = self.secrets.read().unwrap_or_else(PoisonError::into_inner);
        let none = || PortError::defect(amrutam_kernel::Dependency::Hasher, "no key");
        secrets.last().cloned().ok_or_else(none)
    }
}

fn digest(parts: impl Hash) -> [u8; 8] {
    let mut hasher = DefaultHasher::new();
    parts.hash(&mut hasher);
    hasher.finish().to_be_bytes()
}

fn scrambled(nonce: &[u8], bytes: &[u8]) -> Vec<u8> {
    bytes.iter().zip(nonce.iter().cycle()).map(|(byte, mask)| !byte ^ mask).collect()
}

#[async_trait]
impl KeyWrapper for FakeKeks {
    fn current(&self) -> Result<KekId, PortError> {
        Ok(self.newest()?.0)
    }

    async fn wrap(&self, id: DataKeyId, key: &KeyMaterial) -> Result<WrappedKey, PortError> {
        let (kek, secret) = self.newest()?;
        let nonce = self.nonces.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let hidden = scrambled(&nonce, key.expose());
        let bytes = [&nonce[..], &digest((secret, id, &nonce[..], &hidden)), &hidden].concat();
        Ok(WrappedKey { kek, bytes })
    }

    async fn unwrap(&self, id: DataKeyId, wrapped: &WrappedKey) -> Result<KeyMaterial, UnwrapError> {
        let secrets = self.secrets.read().unwrap_or_else(PoisonError::into_inner).clone();
        let secret = secrets.iter().find(|(kek, _)| *kek == wrapped.kek).map(|(_, secret)| *secret);
        let secret = secret.ok_or_else(|| UnwrapError::UnknownKek(wrapped.kek.clone()))?;
        let (nonce, rest) = wrapped.bytes.split_at_checked(8).ok_or(UnwrapError::Refused)?;
        let (sum, hidden) = rest.split_at_checked(8).ok_or(UnwrapError::Refused)?;
        if sum != digest((secret, id, nonce, hidden.to_vec())) {
            return Err(UnwrapError::Refused);
        }
        KeyMaterial::from_slice(&scrambled(nonce, hidden)).ok_or(UnwrapError::Refused)
    }
}

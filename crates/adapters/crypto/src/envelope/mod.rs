//! Values sealed under data keys of their owners.

mod data_key;
#[cfg(test)]
mod tests;

use crate::{AesGcmSealer, KeyError, Keys, LocalKeks, RELOAD_INTERVAL};
use amrutam_kernel::{AccountId, Clock, Dependency, MAX_SEALED_PLAIN, Pause, PortError, SealError, SealPlace, Sealer};
use amrutam_keys::{
    UnwrapError,
    model::{DataKeyId, KeyVersion, MAX_AGE, StoredKey},
    ports::{Found, KeyStore, KeyWrapper, Put, Taken},
};
use async_trait::async_trait;
use data_key::{DataKey, Value};
use jiff::Timestamp;
use moka::sync::Cache;
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

/// How often a key that others made meanwhile is asked for again.
const ROUNDS: u32 = 5;

const REFUSALS: &str = "amrutam_seal_refused_total";
const MALFORMED: &str = "malformed";
const UNKNOWN_KEY: &str = "unknown_key";
const REFUSED: &str = "refused";

/// Bounds on what a process has at hand.
#[derive(Debug, Clone, Copy)]
pub struct KeyCacheLimits {
    /// How long an unwrapped key stays: 5 minutes. A destroyed one goes within seconds, and after this also when the store can't
    /// be asked.
    pub lifetime: Duration,
    /// How many unwrapped keys: 10,000.
    pub entries: u64,
    /// How many seals are taken from a key's allowance at a time. Those that a process does not use are lost, which is a bound on
    /// versions, not on data: with 128, a person seals for weeks in several processes before the next version.
    pub seals: u32,
}

impl Default for KeyCacheLimits {
    fn default() -> Self {
        Self { lifetime: Duration::from_secs(300), entries: 10_000, seals: 128 }
    }
}

/// What a process may still seal under a version of a person's key.
struct Allowance {
    version: KeyVersion,
    left: AtomicU32,
}

impl Allowance {
    fn take(&self) -> bool {
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    }
}

/// Seals and opens under data keys of the owners, which it makes, fetches and unwraps as they are needed; opens also what was sealed
/// directly under a key of the process before there were any.
///
/// What does not open is told loudly: `amrutam_seal_refused_total` and an error in the log, with ids only.
pub struct EnvelopeSealer {
    store: Arc<dyn KeyStore>,
    wrapper: Arc<dyn KeyWrapper>,
    direct: Option<AesGcmSealer>,
    clock: Arc<dyn Clock>,
    limits: KeyCacheLimits,
    keys: Cache<DataKeyId, Arc<DataKey>>,
    allowances: Cache<AccountId, Arc<Allowance>>,
}

impl EnvelopeSealer {
    /// Data keys of `store` under the key-encryption keys of the process.
    pub fn new(keys: &Keys, store: Arc<dyn KeyStore>, clock: Arc<dyn Clock>) -> Result<Self, KeyError> {
        let wrapper = Arc::new(LocalKeks::new(keys, clock.clone())?);
        let direct = AesGcmSealer::new(keys, clock.clone())?;
        Ok(Self { direct: Some(direct), ..Self::with(store, wrapper, clock, KeyCacheLimits::default()) })
    }

    /// With any wrapper.
    pub fn with(
        store: Arc<dyn KeyStore>,
        wrapper: Arc<dyn KeyWrapper>,
        clock: Arc<dyn Clock>,
        limits: KeyCacheLimits,
    ) -> Self {
        let KeyCacheLimits { lifetime, entries, .. } = limits;
        // A counter that appears with its first refusal has not risen, for whoever watches.
        for cause in [MALFORMED, UNKNOWN_KEY, REFUSED] {
            metrics::counter!(REFUSALS, "cause" => cause).increment(0);
        }
        Self {
            store,
            wrapper,
            direct: None,
            clock,
            limits,
            keys: Cache::builder().max_capacity(entries).time_to_live(lifetime).build(),
            allowances: Cache::builder().max_capacity(entries).time_to_live(lifetime).build(),
        }
    }

    /// Forgets the keys of those whose keys have been destroyed, every 5 seconds, for ever; and wipes what is past its time.
    pub async fn watch(self: Arc<Self>, pause: Arc<dyn Pause>) {
        let mut failing = false;
        loop {
            pause.pause(RELOAD_INTERVAL).await;
            match self.forget_destroyed().await {
                Ok(()) => failing = false,
                Err(error) => {
                    if !failing {
                        let reason = error.reason();
                        tracing::warn!(%error, reason, "whose keys were destroyed is unknown; those here end by their time");
                    }
                    failing = true;
                }
            }
        }
    }

    /// Once. Those destroyed in the last two lifetimes: whatever was fetched before, and was slow to come, is found by then.
    pub async fn forget_destroyed(&self) -> Result<(), PortError> {
        let since = self.clock.now().checked_sub(2 * self.limits.lifetime).unwrap_or(Timestamp::MIN);
        let destroyed = self.store.destroyed_since(since).await;
        for owner in destroyed.iter().flatten() {
            self.allowances.invalidate(owner);
        }
        for (id, _) in &self.keys {
            if destroyed.as_ref().is_ok_and(|owners| owners.contains(&id.owner)) {
                self.keys.invalidate(&*id);
            }
        }
        self.allowances.run_pending_tasks();
        self.keys.run_pending_tasks();
        destroyed.map(drop)
    }

    /// A key to seal one value under.
    async fn sealing_key(&self, owner: AccountId) -> Result<Arc<DataKey>, SealError> {
        if let Some(allowance) = self.allowances.get(&owner).filter(|allowance| allowance.take()) {
            return self.key(DataKeyId { owner, version: allowance.version }).await;
        }
        self.take_allowance(owner, self.limits.seals.saturating_sub(1)).await
    }

    /// The newest key of the owner, made if there is none, with `left` seals at hand.
    async fn take_allowance(&self, owner: AccountId, left: u32) -> Result<Arc<DataKey>, SealError> {
        let seals = self.limits.seals;
        for _ in 0..ROUNDS {
            let now = self.clock.now();
            let born_after = now.checked_sub(MAX_AGE).unwrap_or(Timestamp::MIN);
            let key = match self.store.take(owner, seals, born_after).await? {
                Taken::Key(stored) => self.unwrap(&stored).await?,
                Taken::Erased => return Err(SealError::Erased),
                Taken::Next(version) => {
                    let id = DataKeyId { owner, version };
                    let material = data_key::draw()?;
                    let wrapped = self.wrapper.wrap(id, &material).await?;
                    let stored = StoredKey { id, wrapped, check: data_key::check_value(id, &material)? };
                    match self.store.put(&stored, seals, now).await? {
                        Put::Stored => self.keep(DataKey::new(id, &material)),
                        Put::Outrun => continue,
                        Put::Erased => return Err(SealError::Erased),
                        Put::KekRetired => return Err(unavailable("the key-encryption key here has been retired")),
                    }
                }
            };
            let allowance = Allowance { version: key.id().version, left: AtomicU32::new(left) };
            self.allowances.insert(owner, Arc::new(allowance));
            return Ok(key);
        }
        Err(unavailable("others keep making the owner's next key"))
    }

    async fn key(&self, id: DataKeyId) -> Result<Arc<DataKey>, SealError> {
        if let Some(key) = self.keys.get(&id) {
            return Ok(key);
        }
        match self.store.find(id).await? {
            Found::Key(stored) => self.unwrap(&stored).await,
            Found::Unknown => Err(SealError::UnknownKey),
            Found::Erased => Err(SealError::Erased),
        }
    }

    async fn unwrap(&self, stored: &StoredKey) -> Result<Arc<DataKey>, SealError> {
        if let Some(key) = self.keys.get(&stored.id) {
            return Ok(key);
        }
        let material = self.wrapper.unwrap(stored.id, &stored.wrapped).await.map_err(|error| match error {
            UnwrapError::UnknownKek(_) => SealError::UnknownKey,
            UnwrapError::Refused => SealError::Refused,
            UnwrapError::Port(error) => error.into(),
        })?;
        if !data_key::is_right(stored.id, &material, &stored.check)? {
            return Err(SealError::Refused);
        }
        Ok(self.keep(DataKey::new(stored.id, &material)))
    }

    fn keep(&self, key: DataKey) -> Arc<DataKey> {
        let (id, key) = (key.id(), Arc::new(key));
        self.keys.insert(id, key.clone());
        key
    }

    async fn open_either(&self, place: &SealPlace<'_>, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        if sealed.first() == Some(&crate::sealer::DIRECT) {
            let direct = self.direct.as_ref().ok_or(SealError::UnknownKey)?;
            return direct.open_now(place, sealed);
        }
        let value = Value::parse(sealed)?;
        let key = self.key(DataKeyId { owner: place.owner, version: value.version }).await?;
        key.open(place, &value)
    }
}

impl fmt::Debug for EnvelopeSealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnvelopeSealer").field("limits", &self.limits).finish_non_exhaustive()
    }
}

fn unavailable(why: &str) -> SealError {
    PortError::unavailable(Dependency::Database, why).into()
}

/// Says loudly that something is not as it was sealed, unless it is merely gone or away.
fn told(place: &SealPlace<'_>, error: SealError) -> SealError {
    let cause = match error {
        SealError::Malformed => MALFORMED,
        SealError::UnknownKey => UNKNOWN_KEY,
        SealError::Refused => REFUSED,
        SealError::Erased | SealError::Port(_) => return error,
    };
    metrics::counter!(REFUSALS, "cause" => cause).increment(1);
    let SealPlace { schema, table, column, row, owner, version } = place;
    tracing::error!(cause, schema, table, column, %row, %owner, version, "a sealed value was refused");
    error
}

#[async_trait]
impl Sealer for EnvelopeSealer {
    async fn seal(&self, place: &SealPlace<'_>, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        if plain.len() > MAX_SEALED_PLAIN {
            return Err(crate::sealer::defect(format_args!("{} bytes are too many to seal", plain.len())).into());
        }
        let key = self.sealing_key(place.owner).await.map_err(|error| told(place, error))?;
        Ok(key.seal(place, plain)?)
    }

    async fn open(&self, place: &SealPlace<'_>, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        self.open_either(place, sealed).await.map_err(|error| told(place, error))
    }

    async fn prepare(&self, owner: AccountId) {
        let at_hand = self.allowances.get(&owner).filter(|allowance| allowance.left.load(Ordering::Relaxed) > 0);
        // What went wrong comes again when something is sealed.
        drop(match at_hand {
            Some(allowance) => self.key(DataKeyId { owner, version: allowance.version }).await,
            None => self.take_allowance(owner, self.limits.seals).await,
        });
    }
}

use super::*;
use amrutam_keys::model::{KekId, KeyMaterial, WrappedKey};
use amrutam_memory::{FakeKeks, ManualClock, MemoryKeyStore};
use std::sync::atomic::AtomicUsize;
use uuid::Uuid;

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at("2026-08-03T05:00:00Z".parse().unwrap()))
}

fn owner(n: u128) -> AccountId {
    AccountId::from_uuid(Uuid::from_u128(n))
}

fn place() -> SealPlace<'static> {
    let row = Uuid::from_u128(7);
    SealPlace { schema: "phi", table: "accounts", column: "phone", row, owner: owner(8), version: 2 }
}

/// Counts what it is asked for.
#[derive(Default)]
struct Counting {
    inner: MemoryKeyStore,
    asked: AtomicUsize,
}

impl Counting {
    fn asked(&self) -> usize {
        self.asked.swap(0, Ordering::Relaxed)
    }

    fn count(&self) -> &MemoryKeyStore {
        self.asked.fetch_add(1, Ordering::Relaxed);
        &self.inner
    }
}

#[async_trait]
impl KeyStore for Counting {
    async fn take(&self, owner: AccountId, seals: u32, born_after: Timestamp) -> Result<Taken, PortError> {
        self.count().take(owner, seals, born_after).await
    }
    async fn put(&self, key: &StoredKey, seals: u32, at: Timestamp) -> Result<Put, PortError> {
        self.count().put(key, seals, at).await
    }
    async fn find(&self, id: DataKeyId) -> Result<Found, PortError> {
        self.count().find(id).await
    }
    async fn renew(&self, owner: AccountId) -> Result<bool, PortError> {
        self.inner.renew(owner).await
    }
    async fn destroy(&self, owner: AccountId, at: Timestamp) -> Result<u64, PortError> {
        self.inner.destroy(owner, at).await
    }
    async fn destroyed_since(&self, since: Timestamp) -> Result<Vec<AccountId>, PortError> {
        self.inner.destroyed_since(since).await
    }
    async fn keks(&self) -> Result<Vec<amrutam_keys::model::KekState>, PortError> {
        self.inner.keks().await
    }
    async fn count(&self, kek: &KekId) -> Result<u64, PortError> {
        self.inner.count(kek).await
    }
    async fn wrapped_under(
        &self,
        kek: &KekId,
        after: Option<DataKeyId>,
        most: u16,
    ) -> Result<Vec<StoredKey>, PortError> {
        self.inner.wrapped_under(kek, after, most).await
    }
    async fn rewrap(&self, from: &KekId, keys: &[StoredKey], at: Timestamp) -> Result<u64, PortError> {
        self.inner.rewrap(from, keys, at).await
    }
    async fn retire(&self, kek: &KekId, at: Timestamp) -> Result<amrutam_keys::ports::Retired, PortError> {
        self.inner.retire(kek, at).await
    }
}

struct World {
    store: Arc<Counting>,
    keks: Arc<FakeKeks>,
    clock: Arc<ManualClock>,
}

impl World {
    fn new() -> Self {
        let keks = Arc::new(FakeKeks::new("first".parse().unwrap(), 1));
        Self { store: Arc::default(), keks, clock: clock() }
    }

    fn sealer_with(&self, limits: KeyCacheLimits) -> Arc<EnvelopeSealer> {
        let (store, keks) = (self.store.clone(), self.keks.clone());
        Arc::new(EnvelopeSealer::with(store, keks, self.clock.clone(), limits))
    }

    /// A process of its own.
    fn sealer(&self) -> Arc<EnvelopeSealer> {
        self.sealer_with(KeyCacheLimits::default())
    }
}

fn version(sealed: &[u8]) -> u32 {
    u32::from_be_bytes(sealed[2..6].try_into().unwrap())
}

#[tokio::test]
async fn what_is_sealed_opens_in_every_process_and_no_two_sealings_are_alike() {
    let world = World::new();
    let [sealer, other] = [world.sealer(), world.sealer()];
    for plain in [b"".as_slice(), b"+91 98765 43210", &vec![7; MAX_SEALED_PLAIN]] {
        let sealed = sealer.seal(&place(), plain).await.unwrap();
        assert_eq!(other.open(&place(), &sealed).await.as_deref(), Ok(plain));
        assert_ne!(sealed, sealer.seal(&place(), plain).await.unwrap());
    }
    let sealed = sealer.seal(&place(), b"+91 98765 43210").await.unwrap();
    assert_eq!(sealed[..6], [2, 1, 0, 0, 0, 1]);
    assert_eq!(sealed.len(), 6 + 12 + 15 + 16);
    assert!(!sealed.windows(5).any(|w| w == b"98765"));
    assert!(sealer.seal(&place(), &vec![7; MAX_SEALED_PLAIN + 1]).await.is_err());
}

#[tokio::test]
async fn any_changed_bit_is_refused_and_any_cut() {
    let sealer = World::new().sealer();
    let sealed = sealer.seal(&place(), b"+91 98765 43210").await.unwrap();
    for at in 0..sealed.len() {
        for bit in 0..8 {
            let mut changed = sealed.clone();
            changed[at] ^= 1 << bit;
            let opened = sealer.open(&place(), &changed).await;
            assert!(matches!(opened, Err(SealError::Malformed | SealError::UnknownKey | SealError::Refused)), "{at}");
        }
        assert!(sealer.open(&place(), &sealed[..at]).await.is_err(), "cut at {at}");
    }
    let longer = [sealed.as_slice(), &[0]].concat();
    assert_eq!(sealer.open(&place(), &longer).await, Err(SealError::Refused));
}

#[tokio::test]
async fn a_value_opens_only_where_it_was_put() {
    let sealer = World::new().sealer();
    let sealed = sealer.seal(&place(), b"secret").await.unwrap();
    // So that each of them has a key of that version.
    for other in [7, 9] {
        sealer.seal(&SealPlace { owner: owner(other), ..place() }, b"").await.unwrap();
    }
    let elsewhere = [
        SealPlace { schema: "public", ..place() },
        SealPlace { table: "doctors", ..place() },
        SealPlace { column: "email", ..place() },
        SealPlace { row: Uuid::from_u128(8), ..place() },
        SealPlace { owner: owner(7), ..place() },
        SealPlace { owner: owner(9), ..place() },
        SealPlace { version: 1, ..place() },
        SealPlace { table: "accountsp", column: "hone", ..place() },
    ];
    for other in elsewhere {
        assert_eq!(sealer.open(&other, &sealed).await, Err(SealError::Refused), "{other:?}");
    }
    let nobody = SealPlace { owner: owner(10), ..place() };
    assert_eq!(sealer.open(&nobody, &sealed).await, Err(SealError::UnknownKey));
}

#[tokio::test]
async fn the_store_is_asked_only_for_what_is_not_at_hand() {
    let world = World::new();
    let sealer = world.sealer_with(KeyCacheLimits { seals: 4, ..KeyCacheLimits::default() });
    let sealed = sealer.seal(&place(), b"x").await.unwrap();
    assert_eq!(world.store.asked(), 2, "whether there is one, and to store it");
    for _ in 0..3 {
        sealer.seal(&place(), b"x").await.unwrap();
        sealer.open(&place(), &sealed).await.unwrap();
        sealer.prepare(owner(8)).await;
    }
    assert_eq!(world.store.asked(), 1, "only to prepare for a fifth seal");
    sealer.seal(&place(), b"x").await.unwrap();
    assert_eq!(world.store.asked(), 0);

    let other = world.sealer();
    other.prepare(owner(8)).await;
    assert_eq!(world.store.asked(), 1);
    other.seal(&place(), b"x").await.unwrap();
    other.open(&place(), &sealed).await.unwrap();
    assert_eq!(world.store.asked(), 0);
}

#[tokio::test]
async fn of_a_first_key_made_by_many_there_is_one() {
    let world = World::new();
    let sealers: Vec<_> = (0..8).map(|_| world.sealer()).collect();
    let places = place();
    let sealed = sealers.iter().map(|sealer| sealer.seal(&places, b"x"));
    let sealed = futures::future::join_all(sealed).await;
    for sealed in sealed {
        for sealer in &sealers {
            assert!(sealer.open(&place(), sealed.as_ref().unwrap()).await.is_ok());
        }
    }
}

#[tokio::test]
async fn a_version_ends_by_its_seals_by_its_age_and_by_hand() {
    let world = World::new();
    let seals = amrutam_keys::model::MAX_SEALS / 2;
    let limits = KeyCacheLimits { seals, ..KeyCacheLimits::default() };
    let mut all = Vec::new();
    let versions = async |all: &mut Vec<Vec<u8>>, expected: u32| {
        // Another process each time: what the one before has taken is taken.
        let sealed = world.sealer_with(limits).seal(&place(), b"x").await.unwrap();
        assert_eq!(version(&sealed), expected);
        all.push(sealed);
    };
    for expected in [1, 1, 2, 2, 3] {
        versions(&mut all, expected).await;
    }
    world.store.renew(owner(8)).await.unwrap();
    versions(&mut all, 4).await;
    world.clock.advance(MAX_AGE);
    versions(&mut all, 5).await;
    for sealed in all {
        assert_eq!(world.sealer().open(&place(), &sealed).await.as_deref(), Ok(b"x".as_slice()));
    }
}

#[tokio::test]
async fn keys_leave_after_their_time() {
    let world = World::new();
    let lifetime = Duration::from_millis(50);
    let sealer = world.sealer_with(KeyCacheLimits { lifetime, ..KeyCacheLimits::default() });
    let sealed = sealer.seal(&place(), b"x").await.unwrap();
    let key = sealer.keys.get(&DataKeyId { owner: owner(8), version: 1 }).map(|key| Arc::downgrade(&key)).unwrap();
    world.store.destroy(owner(8), world.clock.now()).await.unwrap();
    let begun = std::time::Instant::now();
    while sealer.open(&place(), &sealed).await.is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(sealer.open(&place(), &sealed).await, Err(SealError::Erased));
    // Also from memory, where it is wiped, though the cache frees what it has dropped a few looks later.
    while key.upgrade().is_some() {
        assert!(begun.elapsed() < Duration::from_secs(20));
        sealer.forget_destroyed().await.unwrap();
        sealer.seal(&SealPlace { owner: owner(9), ..place() }, b"x").await.unwrap();
    }
}

#[tokio::test]
async fn destroyed_keys_leave_every_process_when_it_looks_and_never_come_back() {
    let world = World::new();
    let [one, other] = [world.sealer(), world.sealer()];
    let sealed = one.seal(&place(), b"x").await.unwrap();
    let bystander = SealPlace { owner: owner(9), ..place() };
    let kept = one.seal(&bystander, b"x").await.unwrap();
    other.open(&place(), &sealed).await.unwrap();
    world.store.destroy(owner(8), world.clock.now()).await.unwrap();
    for sealer in [&one, &other] {
        sealer.forget_destroyed().await.unwrap();
        assert_eq!(sealer.open(&place(), &sealed).await, Err(SealError::Erased));
        assert_eq!(sealer.seal(&place(), b"x").await, Err(SealError::Erased));
        assert!(sealer.open(&bystander, &kept).await.is_ok());
    }
}

#[tokio::test]
async fn no_more_keys_are_at_hand_than_may_be() {
    let world = World::new();
    let sealer = world.sealer_with(KeyCacheLimits { entries: 10, ..KeyCacheLimits::default() });
    for n in 0..100 {
        sealer.seal(&SealPlace { owner: owner(n), ..place() }, b"x").await.unwrap();
    }
    sealer.forget_destroyed().await.unwrap();
    assert!(sealer.keys.entry_count() <= 10 && sealer.allowances.entry_count() <= 10);
}

/// What unwraps to another key than was wrapped, as only a defect or an attack on the wrapper makes it.
struct Swapped(Arc<FakeKeks>);

#[async_trait]
impl KeyWrapper for Swapped {
    fn current(&self) -> Result<KekId, PortError> {
        self.0.current()
    }
    async fn wrap(&self, id: DataKeyId, key: &KeyMaterial) -> Result<WrappedKey, PortError> {
        self.0.wrap(id, key).await
    }
    async fn unwrap(&self, _: DataKeyId, _: &WrappedKey) -> Result<KeyMaterial, UnwrapError> {
        Ok(KeyMaterial::from_slice(&[1; 32]).unwrap())
    }
}

#[tokio::test]
async fn a_wrong_key_is_known_before_it_is_used() {
    let world = World::new();
    let sealed = world.sealer().seal(&place(), b"x").await.unwrap();
    let wrapper = Arc::new(Swapped(world.keks.clone()));
    let limits = KeyCacheLimits::default();
    let swapped = EnvelopeSealer::with(world.store.clone(), wrapper, world.clock.clone(), limits);
    assert_eq!(swapped.open(&place(), &sealed).await, Err(SealError::Refused));
    assert_eq!(swapped.seal(&place(), b"x").await, Err(SealError::Refused));
    let stranger = FakeKeks::new("other".parse().unwrap(), 2);
    let stranger = EnvelopeSealer::with(world.store.clone(), Arc::new(stranger), world.clock.clone(), limits);
    assert_eq!(stranger.open(&place(), &sealed).await, Err(SealError::UnknownKey));
}

#[tokio::test]
async fn what_was_sealed_before_there_were_data_keys_still_opens() {
    let bundle = r#"{"k1.kek": "0101010101010101010101010101010101010101010101010101010101010101"}"#;
    let keys = Keys::load(crate::KeyBundle::parse(bundle).unwrap()).unwrap();
    let old = AesGcmSealer::new(&keys, clock()).unwrap().seal(&place(), b"x").await.unwrap();
    let sealer = EnvelopeSealer::new(&keys, Arc::new(MemoryKeyStore::new()), clock()).unwrap();
    assert_eq!(sealer.open(&place(), &old).await.as_deref(), Ok(b"x".as_slice()));
    assert_eq!(sealer.open(&SealPlace { version: 1, ..place() }, &old).await, Err(SealError::Refused));
    let new = sealer.seal(&place(), b"x").await.unwrap();
    assert_eq!(new.first(), Some(&2));
    assert_eq!(format!("{sealer:?}").matches("1, 1").count(), 0);
}

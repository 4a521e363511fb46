//! The acts on keys, in memory.
#![expect(clippy::unwrap_used, reason = "tests")]

use amrutam_identity::PolicyTable;
use amrutam_kernel::{
    AccountId, Actor, AuditEntry, Clock, Context, CorrelationId, Denial, Effects, Outcome, PortError, Role,
};
use amrutam_keys::{
    RetireError, ShredError, UnwrapError,
    model::{DataKeyId, KEY_BYTES, KekId, KeyMaterial, StoredKey},
    ports::{Found, KeyStore, KeyWrapper, Put, Records, Retention, Standing},
    use_cases::{Deps, Rewrapped, renew, retire_kek, rewrap, shred, shred_unless_kept, status},
};
use amrutam_memory::{FakeKeks, ManualClock, MemoryKeyStore, SeededIds};
use async_trait::async_trait;
use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};
use uuid::Uuid;

#[derive(Default)]
struct Recorded(Mutex<Vec<AuditEntry>>);

#[async_trait]
impl Records for Recorded {
    async fn record(&self, effects: &Effects) -> Result<(), PortError> {
        self.0.lock().unwrap().extend(effects.audit.clone());
        Ok(())
    }
}

struct Stands(Standing);

#[async_trait]
impl Retention for Stands {
    async fn standing(&self, _: AccountId, _: jiff::Timestamp) -> Result<Standing, PortError> {
        Ok(self.0)
    }
}

struct World {
    store: MemoryKeyStore,
    keks: FakeKeks,
    records: Recorded,
    clock: ManualClock,
    ids: SeededIds,
}

fn kek(name: &str) -> KekId {
    name.parse().unwrap()
}

fn owner(n: u128) -> AccountId {
    AccountId::from_uuid(Uuid::from_u128(n))
}

fn by(actor: Actor) -> Context {
    Context { actor, sign_in: None, correlation_id: CorrelationId::from(Uuid::nil()), trace_parent: None, origin: None }
}

fn operator() -> Context {
    by(Actor::System("test"))
}

impl World {
    fn new() -> Self {
        Self {
            store: MemoryKeyStore::new(),
            keks: FakeKeks::new(kek("first"), 1),
            records: Recorded::default(),
            clock: ManualClock::at("2026-08-03T05:00:00Z".parse().unwrap()),
            ids: SeededIds::new(7),
        }
    }

    fn deps(&self) -> Deps<'_> {
        let Self { store, records, clock, ids, .. } = self;
        Deps { store, records, policy: &PolicyTable, clock, ids }
    }

    async fn key(&self, owner: AccountId) -> StoredKey {
        let id = DataKeyId { owner, version: 1 };
        let material = KeyMaterial::from_slice(&[7; KEY_BYTES]).unwrap();
        let key = StoredKey { id, wrapped: self.keks.wrap(id, &material).await.unwrap(), check: [0; 16] };
        assert_eq!(self.store.put(&key, 1, self.clock.now()).await, Ok(Put::Stored));
        key
    }

    async fn keys(&self, count: u128) {
        for n in 0..count {
            self.key(owner(n)).await;
        }
    }

    async fn rewrap_while(&self, go_on: impl Fn() -> bool + Sync) -> Rewrapped {
        rewrap(&self.store, &self.keks, &self.clock, &go_on).await.unwrap()
    }

    fn audited(&self) -> Vec<(&'static str, String, Outcome)> {
        let entries = self.records.0.lock().unwrap();
        entries.iter().map(|entry| (entry.action, entry.resource_id.clone(), entry.outcome)).collect()
    }
}

#[tokio::test]
async fn a_persons_keys_are_destroyed_by_the_system_alone_and_on_the_record() {
    let world = World::new();
    let key = world.key(owner(8)).await;
    let people = Role::ALL.map(|role| Actor::Account { id: owner(8), role });
    for actor in people.into_iter().chain([Actor::Anonymous]) {
        let refused = shred(world.deps(), &by(actor), owner(8)).await;
        assert!(matches!(refused, Err(ShredError::Denied(Denial::Forbidden | Denial::NotSignedIn))), "{refused:?}");
        let refused = renew(world.deps(), &by(actor), owner(8)).await;
        assert!(matches!(refused, Err(ShredError::Denied(_))), "{refused:?}");
    }
    assert_eq!(world.store.find(key.id).await, Ok(Found::Key(key.clone())));
    let denied = world.audited();
    assert!(denied.len() == 12 && denied.iter().all(|(.., outcome)| *outcome == Outcome::Denied), "{denied:?}");

    assert_eq!(shred(world.deps(), &operator(), owner(8)).await.unwrap(), 1);
    assert_eq!(shred(world.deps(), &operator(), owner(8)).await.unwrap(), 0);
    assert_eq!(world.store.find(key.id).await, Ok(Found::Erased));
    let expected = ("keys.destroy", owner(8).to_string(), Outcome::Allowed);
    assert_eq!(world.audited()[12..], [expected.clone(), expected]);
    assert_eq!(world.records.0.lock().unwrap()[12].patient, Some(owner(8)));
}

#[tokio::test]
async fn every_data_key_follows_a_new_key_and_the_old_one_goes_when_none_needs_it() {
    let world = World::new();
    world.keys(1_200).await;
    assert_eq!(world.rewrap_while(|| true).await, Rewrapped { finished: true, ..Rewrapped::default() });
    world.keks.rotate(kek("second"), 2);
    let retire = async |id: &str| retire_kek(world.deps(), &world.keks, &operator(), &kek(id)).await;
    assert!(matches!(retire("second").await, Err(RetireError::InUse(_))));
    assert!(matches!(retire("first").await, Err(RetireError::Wraps { keys: 1_200, .. })));

    // A worker that is stopped, and the next one.
    let batches = AtomicUsize::new(0);
    let some = world.rewrap_while(|| batches.fetch_add(1, Ordering::Relaxed) < 1).await;
    assert_eq!((some.done, some.finished), (500, false));
    assert_eq!(status(&world.store, Some(&kek("second"))).await.unwrap()[0].keys, 700);
    let rest = world.rewrap_while(|| true).await;
    assert_eq!((rest.done, rest.failed, rest.finished), (700, 0, true));
    retire("first").await.unwrap();
    assert!(matches!(retire("second").await, Err(RetireError::InUse(_))));

    // All of them under the new one, and the same as they were.
    let first = DataKeyId { owner: owner(0), version: 1 };
    let Found::Key(stored) = world.store.find(first).await.unwrap() else { panic!("it is there") };
    assert_eq!(stored.wrapped.kek, kek("second"));
    assert_eq!(world.keks.unwrap(first, &stored.wrapped).await.map(|key| *key.expose()), Ok([7; KEY_BYTES]));
    let all = status(&world.store, None).await.unwrap();
    assert_eq!(all.iter().map(|kek| kek.keys).collect::<Vec<_>>(), [0, 1_200]);
    assert!(all[0].kek.retired_at.is_some());
}

#[tokio::test]
async fn a_key_that_does_not_unwrap_stays_and_hinders_no_other() {
    let world = World::new();
    world.keys(3).await;
    let id = DataKeyId { owner: owner(1), version: 1 };
    let Found::Key(mut broken) = world.store.find(id).await.unwrap() else { panic!("it is there") };
    broken.wrapped.bytes[20] ^= 1;
    assert_eq!(world.store.rewrap(&kek("first"), &[broken.clone()], world.clock.now()).await, Ok(1));
    world.keks.rotate(kek("second"), 2);
    let done = world.rewrap_while(|| true).await;
    let expected = Rewrapped { done: 2, failed: 1, problem: Some(UnwrapError::Refused), finished: true };
    assert_eq!(done, expected);
    assert_eq!(world.store.find(id).await, Ok(Found::Key(broken)));
}

#[tokio::test]
async fn an_operator_destroys_no_keys_that_something_keeps() {
    let world = World::new();
    let key = world.key(owner(8)).await;
    let by_hand =
        async |standing, meant| shred_unless_kept(world.deps(), &Stands(standing), &operator(), owner(8), meant).await;
    for meant in [false, true] {
        let refused = by_hand(Standing::OnHold, meant).await;
        assert!(matches!(refused, Err(ShredError::OnHold)), "{refused:?}");
    }
    let refused = by_hand(Standing::Kept, false).await;
    assert!(matches!(refused, Err(ShredError::NotDue)), "{refused:?}");
    assert_eq!(world.store.find(key.id).await, Ok(Found::Key(key.clone())));
    assert!(world.audited().iter().all(|(.., outcome)| *outcome == Outcome::Failed));
    assert_eq!(by_hand(Standing::Kept, true).await.unwrap(), 1);
    assert_eq!(by_hand(Standing::Due, false).await.unwrap(), 0);
    assert_eq!(world.store.find(key.id).await, Ok(Found::Erased));
    let refused = shred_unless_kept(world.deps(), &Stands(Standing::Due), &by(Actor::Anonymous), owner(8), true).await;
    assert!(matches!(refused, Err(ShredError::Denied(_))), "{refused:?}");
}

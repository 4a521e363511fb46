//! Copies and ends, from the wish to what is left, on the fake.
#![allow(clippy::unwrap_used, reason = "tests")]

use amrutam_identity::{
    Account, PolicyTable, Profile,
    model::PasswordHash,
    ports::{AccountStore, Inserted},
};
use amrutam_kernel::{
    AccountId, Actor, Clock, ConsultationId, Context, CorrelationId, Denial, Effects, EventEnvelope, ExportId, Handled,
    IdSource, Outcome, PortError, Role, SecondFactor, Sensitive, SessionId, SignIn,
};
use amrutam_memory::{FakeArchiver, FakeDestroyer, FakeTokens, ManualClock, MemoryWorld, SeededIds};
use amrutam_privacy::{
    EraseAgainError, EraseError, ExportError, HoldError,
    model::{ARCHIVE_LIVES, ErasureState, ExportState, LINK_LIVES, RetentionRules},
    ports::{Passwords, SessionsEnded, Visits},
    use_cases::{
        DestroyDeps, EraseDeps, ErasureDeps, ExportDeps, MakerDeps, destroy_due, download, erase, erase_again,
        handle_erasure, lift_hold, make_export, place_hold, read_erasure, read_export, request_export, sweep_exports,
    },
};
use async_trait::async_trait;
use jiff::{SignedDuration, tz::TimeZone};
use std::sync::{Arc, Mutex};

struct World {
    store: Arc<MemoryWorld>,
    clock: Arc<ManualClock>,
    ids: SeededIds,
    tokens: FakeTokens,
    keys: FakeDestroyer,
    rules: RetentionRules,
    ended: Mutex<Vec<SessionId>>,
}

#[async_trait]
impl Passwords for World {
    async fn is_right(&self, _: AccountId, password: &Sensitive<String>) -> Result<bool, PortError> {
        Ok(password.expose() == "right")
    }
}

#[async_trait]
impl Visits for World {
    async fn call_off(&self, _: &Context, _: ConsultationId) -> Result<bool, PortError> {
        Ok(true)
    }
}

#[async_trait]
impl SessionsEnded for World {
    async fn ended(&self, sessions: &[SessionId]) {
        self.ended.lock().unwrap().extend_from_slice(sessions);
    }
}

impl World {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::at("2026-11-30T04:30:00Z".parse().unwrap()));
        Self {
            store: Arc::new(MemoryWorld::new(clock.clone())),
            clock,
            ids: SeededIds::new(3),
            tokens: FakeTokens::new("tests"),
            keys: FakeDestroyer::new(),
            rules: RetentionRules::known().pop().unwrap(),
            ended: Mutex::default(),
        }
    }

    fn exports(&self) -> ExportDeps<'_> {
        ExportDeps {
            store: &*self.store,
            tokens: &self.tokens,
            policy: &PolicyTable,
            clock: &*self.clock,
            ids: &self.ids,
        }
    }

    fn erasures(&self) -> ErasureDeps<'_> {
        ErasureDeps { store: &*self.store, policy: &PolicyTable, clock: &*self.clock, ids: &self.ids }
    }

    async fn erase(&self, context: &Context, password: &str) -> Result<amrutam_privacy::model::Erasure, EraseError> {
        let deps = EraseDeps {
            core: self.erasures(),
            passwords: self,
            visits: self,
            sessions: self,
            rules: &self.rules,
            zone: &TimeZone::UTC,
        };
        erase(deps, context, &Sensitive::new(password.to_owned())).await
    }

    fn destroying(&self) -> DestroyDeps<'_> {
        DestroyDeps { store: &*self.store, keys: &self.keys, clock: &*self.clock, ids: &self.ids }
    }

    async fn made(&self, event: &EventEnvelope) -> Handled {
        let deps = MakerDeps {
            store: &*self.store,
            holdings: &*self.store,
            archiver: &FakeArchiver,
            trail: &*self.store,
            clock: &*self.clock,
            ids: &self.ids,
        };
        make_export(deps, event).await.unwrap()
    }

    async fn person(&self) -> Context {
        let now = self.clock.now();
        let id = AccountId::from_uuid(self.ids.uuid_v7(now));
        let profile = Profile {
            full_name: Sensitive::new("Asha Nair".parse().unwrap()),
            phone: None,
            date_of_birth: None,
            sex: None,
            time_zone: "Asia/Kolkata".to_owned(),
        };
        let email = Sensitive::new(format!("{id}@example.in").parse().unwrap());
        let hash = Some(PasswordHash::from_phc("none".to_owned()));
        let account = Account::new(id, Role::Patient, email, hash, profile, now);
        let inserted = AccountStore::insert(&*self.store, &account, None, &Effects::default()).await.unwrap();
        assert_eq!(inserted, Inserted::Created);
        self.signed_in(id, Role::Patient)
    }

    fn signed_in(&self, id: AccountId, role: Role) -> Context {
        let now = self.clock.now();
        let session = SessionId::from_uuid(self.ids.uuid_v7(now));
        Context {
            actor: Actor::Account { id, role },
            sign_in: Some(SignIn { session, second_factor_at: None, second_factor: SecondFactor::NotNeeded }),
            correlation_id: CorrelationId::from(self.ids.uuid_v7(now)),
            trace_parent: None,
            origin: None,
        }
    }

    fn last_event(&self, event_type: &str) -> EventEnvelope {
        self.store.outbox().into_iter().rfind(|event| event.event_type == event_type).unwrap()
    }

    fn audited(&self, action: &str, outcome: Outcome) -> usize {
        self.store.audit().iter().filter(|entry| entry.action == action && entry.outcome == outcome).count()
    }
}

fn operator(world: &World) -> Context {
    Context::of_system("amrutamctl", CorrelationId::from(world.ids.uuid_v7(world.clock.now())))
}

/// Enrolled, and not shown lately.
fn stale(context: &Context, world: &World) -> Context {
    let shown = world.clock.now() - SignedDuration::from_mins(6);
    let sign_in = context.sign_in.map(|sign_in| SignIn {
        second_factor: SecondFactor::Enrolled,
        second_factor_at: Some(shown),
        ..sign_in
    });
    Context { sign_in, ..context.clone() }
}

#[tokio::test]
async fn a_copy_is_ordered_once_made_and_given_away_once() {
    let world = World::new();
    let asha = world.person().await;
    let denied = request_export(world.exports(), &stale(&asha, &world), None).await;
    assert!(matches!(denied, Err(ExportError::Denied(Denial::StepUpRequired))));
    let (ordered, _) = request_export(world.exports(), &asha, None).await.unwrap();
    let (same, _) = request_export(world.exports(), &asha, None).await.unwrap();
    assert_eq!(ordered, same);
    let waiting = read_export(world.exports(), &asha, ordered.id).await.unwrap();
    assert!(waiting.state == ExportState::Preparing && waiting.link.is_none());

    let event = world.last_event("export.requested.v1");
    assert_eq!(event.payload["account_id"], serde_json::json!(asha.actor.account()));
    assert_eq!(world.made(&event).await, Handled::Applied);
    assert_eq!(world.made(&event).await, Handled::Ignored, "it is made");
    assert_eq!(world.audited("record.export", Outcome::Allowed), 1);

    let seen = read_export(world.exports(), &asha, ordered.id).await.unwrap();
    let (token, until) = seen.link.unwrap();
    assert_eq!(until, world.clock.now() + LINK_LIVES);
    let wrong = Sensitive::new("no token".to_owned());
    assert!(matches!(download(world.exports(), &asha, ordered.id, &wrong).await, Err(ExportError::NotFound)));
    let (taken, bytes) = download(world.exports(), &asha, ordered.id, &token).await.unwrap();
    assert_eq!(taken.state, ExportState::Downloaded);
    assert!(String::from_utf8(bytes.into_exposed()).unwrap().contains("Asha Nair"));
    assert!(matches!(download(world.exports(), &asha, ordered.id, &token).await, Err(ExportError::Gone)));
    assert_eq!(world.audited("export.download", Outcome::Allowed), 1);
    assert_ne!(
        request_export(world.exports(), &asha, None).await.unwrap().0.id,
        ordered.id,
        "another may be asked for"
    );
}

#[tokio::test]
async fn a_copy_is_its_owners_alone_and_its_link_ends() {
    let world = World::new();
    let (asha, ravi) = (world.person().await, world.person().await);
    let (ordered, _) = request_export(world.exports(), &asha, None).await.unwrap();
    world.made(&world.last_event("export.requested.v1")).await;
    let seen = read_export(world.exports(), &asha, ordered.id).await.unwrap();
    let (token, until) = seen.link.unwrap();
    let nothing = ExportId::from_uuid(world.ids.uuid_v7(world.clock.now()));
    for id in [ordered.id, nothing] {
        assert!(matches!(read_export(world.exports(), &ravi, id).await, Err(ExportError::NotFound)));
        assert!(matches!(download(world.exports(), &ravi, id, &token).await, Err(ExportError::NotFound)));
    }
    assert_eq!(world.audited("export.read", Outcome::Denied), 2);
    world.clock.set(until);
    assert!(matches!(download(world.exports(), &asha, ordered.id, &token).await, Err(ExportError::NotFound)));
    world.clock.set(seen.export.changed_at + ARCHIVE_LIVES);
    let over = read_export(world.exports(), &asha, ordered.id).await.unwrap();
    assert!(over.state == ExportState::Expired && over.link.is_none());
    let swept = sweep_exports(&*world.store, &*world.clock, &world.ids, &operator(&world), 10).await;
    assert_eq!(swept, Ok(1));
    assert!(matches!(download(world.exports(), &asha, ordered.id, &token).await, Err(ExportError::NotFound)));
}

#[tokio::test]
async fn whoever_has_no_record_is_shredded_at_once() {
    let world = World::new();
    let asha = world.person().await;
    let account = asha.actor.account().unwrap();
    let denied = world.erase(&stale(&asha, &world), "right").await;
    assert!(matches!(denied, Err(EraseError::Denied(Denial::StepUpRequired))));
    let doctor = world.signed_in(account, Role::Doctor);
    assert!(matches!(world.erase(&doctor, "right").await, Err(EraseError::Denied(Denial::Forbidden))));
    assert!(matches!(world.erase(&asha, "wrong").await, Err(EraseError::WrongPassword)));
    assert_eq!(world.audited("account.erase", Outcome::Denied), 3);
    let erasure = world.erase(&asha, "right").await.unwrap();
    assert!(AccountStore::by_id(&*world.store, account).await.unwrap().some().is_none());
    let event = world.last_event("erasure.accepted.v1");
    assert_eq!(handle_erasure(world.destroying(), &event).await, Ok(Handled::Applied));
    assert_eq!(handle_erasure(world.destroying(), &event).await, Ok(Handled::Ignored));
    assert_eq!(world.keys.destroyed(), [account]);

    let admin = world.signed_in(AccountId::from_uuid(world.ids.uuid_v7(world.clock.now())), Role::Admin);
    let read = read_erasure(world.erasures(), &admin, account).await.unwrap();
    assert_eq!(read.report, erasure.report);
    assert_eq!(read.state, ErasureState::Destroyed { at: world.clock.now() });
    assert!(read_erasure(world.erasures(), &asha, account).await.is_err());
    let text = world.store.outbox().iter().map(|event| event.payload.to_string()).collect::<String>();
    assert!(!text.contains("Asha") && !text.contains("example.in"), "{text}");
}

#[tokio::test]
async fn a_hold_keeps_what_is_due_and_is_the_operators() {
    let world = World::new();
    let asha = world.person().await;
    let account = asha.actor.account().unwrap();
    let case = || "CC-1/2026".parse().unwrap();
    let denied = place_hold(world.erasures(), &asha, account, case()).await;
    assert!(matches!(denied, Err(HoldError::Denied(Denial::Forbidden))));
    place_hold(world.erasures(), &operator(&world), account, case()).await.unwrap();
    world.erase(&asha, "right").await.unwrap();
    let event = world.last_event("erasure.accepted.v1");
    assert_eq!(handle_erasure(world.destroying(), &event).await, Ok(Handled::Ignored));
    assert_eq!(destroy_due(world.destroying(), &operator(&world), 10).await, Ok(0));
    lift_hold(world.erasures(), &operator(&world), account, &case()).await.unwrap();
    let again = lift_hold(world.erasures(), &operator(&world), account, &case()).await;
    assert!(matches!(again, Err(HoldError::UnknownHold)));
    assert_eq!(destroy_due(world.destroying(), &operator(&world), 10).await, Ok(1));
    let late = place_hold(world.erasures(), &operator(&world), account, case()).await;
    assert!(matches!(late, Err(HoldError::TooLate)));
    assert_eq!(world.keys.destroyed(), [account]);
}

#[tokio::test]
async fn an_operator_erases_again_what_a_backup_brought_back() {
    let world = World::new();
    let context = world.person().await;
    let account = context.actor.account().unwrap();
    let operator = Context { actor: Actor::System("amrutamctl"), sign_in: None, ..context.clone() };
    let again = async |context: &Context, account| {
        erase_again(world.erasures(), &world.rules, &TimeZone::UTC, context, account).await
    };
    let refused = again(&context, account).await;
    assert!(matches!(refused, Err(EraseAgainError::Denied(_))), "{refused:?}");
    let erasure = again(&operator, account).await.unwrap();
    assert_eq!((erasure.account, erasure.state), (account, ErasureState::Locked));
    assert!(matches!(again(&operator, account).await, Err(EraseAgainError::Unknown)), "erased once");
    let entries = world.store.audit();
    let told: Vec<_> =
        entries.iter().filter(|entry| entry.action == "account.erase").map(|entry| entry.outcome).collect();
    assert_eq!(told, [Outcome::Denied, Outcome::Allowed, Outcome::Failed]);
    let announced = world.store.outbox().into_iter().filter(|event| event.event_type == "erasure.accepted.v1").count();
    assert_eq!(announced, 1, "whoever destroys hears of it");
}

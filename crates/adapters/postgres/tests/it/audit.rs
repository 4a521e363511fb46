//! The audit trail on a real server: sealed without gaps whatever is cut short, and whatever its owner does to it is found.

use crate::support::{World, booking, id, now};
use amrutam_audit::{
    SealError,
    model::{Algorithm, Checkpoint, Entry, NoteSigner, Placed, Report, Tile, TileId, Tiles, proof},
    ports::{Head, Intake, LogStore, Seal, Taken, TrailReader, Written},
    use_cases::{SealDeps, Sealer},
};
use amrutam_booking::ports::ConsultationStore;
use amrutam_kernel::{
    AccountId, Actor, AuditEntry, AuditEntryId, AuditTrail, Clock, Context, CorrelationId, Dependency, Limit, Outcome,
    PageRequest, PortError, Role,
};
use amrutam_postgres::{AuditRange, Postgres};
use async_trait::async_trait;
use jiff::Timestamp;
use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicUsize, Ordering},
};

pub(crate) struct Now;

impl Clock for Now {
    fn now(&self) -> Timestamp {
        now()
    }
}

pub(crate) fn signer() -> NoteSigner {
    NoteSigner::new("amrutam.example/audit", Algorithm::Ed25519, &[7; 32]).unwrap()
}

pub(crate) fn entry(patient: Option<AccountId>) -> AuditEntry {
    let context = Context {
        actor: Actor::Account { id: AccountId::from_uuid(id(now())), role: Role::Doctor },
        ..Context::of_system("test", CorrelationId::from(id(now())))
    };
    let at = now();
    let resource = id(at).to_string();
    let entry = AuditEntry::new(
        AuditEntryId::from_uuid(id(at)),
        at,
        &context,
        "consultation.read",
        "consultation",
        resource,
        Outcome::Allowed,
    );
    AuditEntry { patient, ..entry }
}

/// Seals all there is. The server is shared: a transaction of another test may hold entries back for a moment.
pub(crate) async fn seal_all(store: &Postgres, signer: &NoteSigner) -> u64 {
    let deps = SealDeps { intake: store, log: store, signer, clock: &Now };
    let mut sealer = Sealer::begin(deps).await.unwrap();
    loop {
        sealer.round(deps).await.unwrap();
        if waiting(store).await == 0 {
            return sealer.size();
        }
        tokio::task::yield_now().await;
    }
}

pub(crate) async fn waiting(store: &Postgres) -> usize {
    // Also what the snapshot's horizon still holds back.
    store.audit_waiting().await.unwrap().0.try_into().unwrap()
}

pub(crate) async fn verify(store: &Postgres, given: &[Checkpoint]) -> Report {
    store.verify_audit(&signer().verifier(), given, AuditRange::default(), |_| ()).await.unwrap()
}

pub(crate) async fn last(store: &Postgres) -> Checkpoint {
    Checkpoint::of(&store.head().await.unwrap().note.unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_committed_is_sealed_found_and_proven() {
    let world = World::new();
    let changes = world.book(&world.slots(1).await[0]).await;
    let patient = world.patient().await;
    let entries: Vec<_> = (0..700).map(|n| entry((n % 7 == 0).then_some(patient))).collect();
    world.store.record(entries.clone()).await.unwrap();
    assert_eq!(seal_all(&world.store, &signer()).await, 701);
    let report = verify(&world.store, &[]).await;
    assert_eq!((report.findings, report.entries, report.size), (vec![], 701, 701));

    // The booking's own, and everything a filter asks for, newest first.
    let booked = changes.effects.audit[0].id;
    let found = world.store.entry(booked).await.unwrap().unwrap();
    assert_eq!(found.entry, Entry::from(&changes.effects.audit[0]));
    let filter = amrutam_audit::ports::EntryFilter { patient: Some(patient), ..Default::default() };
    let page = PageRequest { limit: Limit::new(60).unwrap(), after: None };
    let first = world.store.search(&filter, page).await.unwrap();
    let second = world.store.search(&filter, PageRequest { after: first.next, ..page }).await.unwrap();
    assert_eq!((first.items.len(), second.items.len(), second.next), (60, 40, None));
    assert!(first.items.windows(2).all(|two| two[0].entry.occurred_at >= two[1].entry.occurred_at));

    // Its proof leads to the signed root.
    let checkpoint = last(&world.store).await;
    let parts = proof::inclusion(found.index, checkpoint.size).unwrap();
    let tiles: Tiles = world.store.tiles(&Tiles::needs(&parts)).await.unwrap().into_iter().collect();
    let hashes = tiles.prove(&parts).unwrap();
    let leaf = found.entry.leaf();
    proof::verify_inclusion(found.index, checkpoint.size, &leaf, &checkpoint.root, &hashes).unwrap();
    assert_eq!(world.store.checkpoints(None, 10).await.unwrap()[0].checkpoint, checkpoint);
}

/// Dies after so many calls: before the call, or when its work is done and nobody hears of it.
struct Dying<'a> {
    store: &'a Postgres,
    calls: AtomicUsize,
    dies_at: usize,
    done: bool,
}

impl Dying<'_> {
    async fn through<T>(&self, call: impl Future<Output = Result<T, PortError>>) -> Result<T, PortError> {
        let died = || PortError::unavailable(Dependency::Database, "killed");
        let number = self.calls.fetch_add(1, Ordering::SeqCst);
        if number > self.dies_at || (number == self.dies_at && !self.done) {
            return Err(died());
        }
        let result = call.await;
        if number == self.dies_at { Err(died()) } else { result }
    }
}

#[async_trait]
impl Intake for Dying<'_> {
    async fn take(&self, most: u16) -> Result<Taken, PortError> {
        self.through(self.store.take(most)).await
    }
    async fn forget(&self, mark: &str, sealed: u64) -> Result<(), PortError> {
        self.through(self.store.forget(mark, sealed)).await
    }
}

#[async_trait]
impl LogStore for Dying<'_> {
    async fn begin(&self) -> Result<i64, PortError> {
        self.through(self.store.begin()).await
    }
    async fn head(&self) -> Result<Head, PortError> {
        self.through(self.store.head()).await
    }
    async fn append(&self, epoch: i64, entries: &[Entry]) -> Result<Written, PortError> {
        self.through(self.store.append(epoch, entries)).await
    }
    async fn entries(&self, from: u64, most: u32) -> Result<Vec<Placed>, PortError> {
        self.through(self.store.entries(from, most)).await
    }
    async fn seal(&self, epoch: i64, seal: &Seal) -> Result<Written, PortError> {
        self.through(self.store.seal(epoch, seal)).await
    }
    async fn tiles(&self, wanted: &[TileId]) -> Result<Vec<Tile>, PortError> {
        self.through(self.store.tiles(wanted)).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sealer_killed_at_any_step_leaves_no_gap_and_no_duplicate() {
    let world = World::new();
    let signer = signer();
    let mut recorded = BTreeSet::new();
    let mut killed = 0;
    for dies_at in 0..14 {
        for done in [false, true] {
            let entries: Vec<_> = (0..3).map(|_| entry(None)).collect();
            recorded.extend(entries.iter().map(|entry| entry.id));
            world.store.record(entries).await.unwrap();
            // A transaction of another test may hold them back for a moment.
            while world.store.take(1).await.unwrap().entries.is_empty() {
                tokio::task::yield_now().await;
            }
            let dying = Dying { store: &world.store, calls: AtomicUsize::new(0), dies_at, done };
            let deps = SealDeps { intake: &dying, log: &dying, signer: &signer, clock: &Now };
            let work = async {
                let mut sealer = Sealer::begin(deps).await?;
                sealer.round(deps).await?;
                sealer.round(deps).await
            };
            killed += usize::from(work.await.is_err());
        }
    }
    // One that finds what another has left takes fewer steps.
    assert!(killed >= 16, "it died {killed} times");
    assert_eq!(seal_all(&world.store, &signer).await, recorded.len() as u64);
    let report = verify(&world.store, &[]).await;
    assert_eq!((report.findings, report.entries), (vec![], recorded.len() as u64));
    let placed = world.store.entries(0, 1_000).await.unwrap();
    assert_eq!(placed.iter().map(|placed| placed.entry.id).collect::<BTreeSet<_>>(), recorded);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_sealers_the_older_one_stops() {
    let (world, signer) = (World::new(), signer());
    let deps = SealDeps { intake: &world.store, log: &world.store, signer: &signer, clock: &Now };
    let mut old = Sealer::begin(deps).await.unwrap();
    let mut new = Sealer::begin(deps).await.unwrap();
    world.store.record(vec![entry(None)]).await.unwrap();
    // Entries may be held back for a moment by others' transactions.
    let stopped = loop {
        match old.round(deps).await {
            Ok(0) => tokio::task::yield_now().await,
            other => break other,
        }
    };
    assert!(matches!(stopped, Err(SealError::Superseded)), "{stopped:?}");
    assert_eq!(new.round(deps).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_that_is_not_sealed_is_not_forgotten() {
    let world = World::new();
    world.store.record(vec![entry(None)]).await.unwrap();
    let taken = loop {
        let taken = world.store.take(10).await.unwrap();
        if !taken.entries.is_empty() {
            break taken;
        }
    };
    assert!(world.store.forget(&taken.mark.unwrap(), 0).await.is_err());
    assert_eq!(waiting(&world.store).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn not_even_the_owner_changes_the_trail() {
    let world = World::new();
    world.store.record(vec![entry(None)]).await.unwrap();
    seal_all(&world.store, &signer()).await;
    let owner = world.db.owner().await;
    let partition = owner.column("SELECT tableoid::regclass::text FROM audit_log", &[]).await.remove(0);
    for sql in [
        "UPDATE audit_log SET action = 'x'",
        "DELETE FROM audit_log",
        "TRUNCATE audit_log",
        &format!("UPDATE {partition} SET action = 'x'"),
        &format!("DELETE FROM {partition}"),
        &format!("TRUNCATE {partition}"),
        "UPDATE audit_tiles SET hashes = sha256('x')",
        "DELETE FROM audit_tiles",
        "UPDATE audit_checkpoints SET note = ''",
        "DELETE FROM audit_checkpoints",
        "TRUNCATE audit_intake",
        "UPDATE audit_intake SET entry = '{}'",
    ] {
        let error = owner.try_run(sql).await.err();
        // An empty table has no row to refuse; the intake is empty now.
        let refused = error.as_ref().is_some_and(|error| error.contains("only added to"));
        assert!(refused || sql == "UPDATE audit_intake SET entry = '{}'", "{sql}: {error:?}");
    }
    let month = "date_trunc('month', now())::date";
    assert!(owner.try_run(&format!("SELECT retire_audit_month({month}, 'x')")).await.is_err(), "it is not over");
}

/// A month that is over leaves by the procedure, and everything is still proven.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retention_leaves_an_entry_and_keeps_the_proofs() {
    let world = World::new();
    let owner = world.db.owner().await;
    let old: Timestamp = "2018-03-05T10:00:00Z".parse().unwrap();
    owner.run("SELECT ensure_partitions('2018-03-01', '2018-03-01')").await;
    let mut entries: Vec<_> = (0..9).map(|_| entry(None)).collect();
    for entry in entries.iter_mut().step_by(2) {
        (entry.id, entry.occurred_at) = (AuditEntryId::from_uuid(id(old)), old);
    }
    world.store.record(entries).await.unwrap();
    seal_all(&world.store, &signer()).await;
    assert_eq!(owner.column("SELECT retire_audit_month('2018-03-01', 'seven years')::text", &[]).await, ["5"]);
    assert_eq!(seal_all(&world.store, &signer()).await, 10);
    let report = verify(&world.store, &[]).await;
    assert_eq!((report.findings, report.size, report.entries, report.retired), (vec![], 10, 5, 5));
    assert_eq!(world.store.entries(9, 1).await.unwrap()[0].entry.action, "audit.retire");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_fails_leaves_no_entry() {
    let world = World::new();
    let slot = world.slots(1).await.remove(0);
    let mut changes = booking(&slot, world.patient().await);
    changes.slots[0].0.version += 7;
    assert!(ConsultationStore::commit(&world.store, &changes).await.is_err());
    assert_eq!(waiting(&world.store).await, 0);
}

/// What no sealer could store is refused to whoever would record it, and others go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_that_can_not_be_sealed_fails_by_itself() {
    let world = World::new();
    let poison: [fn(&mut AuditEntry); 4] = [
        |entry| entry.resource_id = "x".repeat(4_096),
        |entry| entry.resource_id = "Asha Rao".to_owned(),
        |entry| entry.action = "consultation",
        |entry| entry.occurred_at = "1999-01-01T00:00:00Z".parse().unwrap(),
    ];
    for (number, spoil) in poison.iter().enumerate() {
        let mut spoilt = entry(None);
        spoil(&mut spoilt);
        assert!(world.store.record(vec![spoilt]).await.is_err(), "poison {number}");
        world.store.record(vec![entry(None)]).await.unwrap();
    }
    // As a program with the app's role could, past every type of ours.
    let app = world.db.app().await;
    for row in ["{}", "[]", "null", r#"{"id": "x"}"#] {
        let sql = format!("INSERT INTO audit_intake (entry) VALUES ('{row}')");
        assert!(app.try_run(&sql).await.is_err(), "{row}");
    }
    for field in [
        "id",
        "occurred_at",
        "actor",
        "role",
        "purpose",
        "action",
        "resource_kind",
        "outcome",
        "correlation_id",
        "break_glass",
    ] {
        for change in [
            format!("entry - '{field}'"),
            format!("entry || '{{\"{field}\": 7}}'"),
            "entry || '{\"more\": 1}'".to_owned(),
        ] {
            let sql = format!("INSERT INTO audit_intake (entry) SELECT {change} FROM audit_intake LIMIT 1");
            assert!(app.try_run(&sql).await.is_err(), "{change}");
        }
    }
    // By whose number it is taken is not for the app to say.
    let error = app
        .try_run("INSERT INTO audit_intake (xid, entry) SELECT '3', entry FROM audit_intake LIMIT 1")
        .await
        .unwrap_err();
    assert!(error.contains("permission denied"), "{error}");
    assert_eq!(seal_all(&world.store, &signer()).await, 4);
    assert!(verify(&world.store, &[]).await.is_sound());
}

/// An id that is in the log already does not hide another entry.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_under_a_known_id_is_left_out_only_when_it_is_the_same() {
    let world = World::new();
    let sealed = entry(None);
    world.store.record(vec![sealed.clone()]).await.unwrap();
    seal_all(&world.store, &signer()).await;
    let epoch = world.store.begin().await.unwrap();
    let again = Entry::from(&sealed);
    assert_eq!(world.store.append(epoch, std::slice::from_ref(&again)).await.unwrap(), Written::Stored);
    let other = Entry { outcome: "denied".to_owned(), ..again };
    assert!(world.store.append(epoch, &[other]).await.is_err());
    assert_eq!(world.store.entries(0, 10).await.unwrap().len(), 1);
}

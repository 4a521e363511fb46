//! What the audit trail's owner does to it is found, and told at its place.

use crate::{
    audit::{Now, entry, last, seal_all, signer, verify},
    support::{Session, World},
};
use amrutam_audit::{
    ReadError,
    model::{Checkpoint, Finding, Report},
    ports::LogStore,
    use_cases::{ReadDeps, prove, prove_consistency},
};
use amrutam_identity::PolicyTable;
use amrutam_kernel::{AuditTrail, Context, CorrelationId, SecondFactor, SessionId, SignIn};
use amrutam_memory::SeededIds;
use amrutam_postgres::{AuditRange, VerifyError};

/// The database's owner at work, past the triggers.
async fn as_owner(session: &Session, sql: &str) {
    let disable = |word: &str| {
        format!(
            "DO $$ DECLARE t regclass; BEGIN
               FOR t IN SELECT unnest(ARRAY['audit_log', 'audit_tiles', 'audit_checkpoints', 'audit_cosignatures']::regclass[])
                        UNION ALL SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'audit_log'::regclass LOOP
                 EXECUTE format('ALTER TABLE %s {word} TRIGGER USER', t);
               END LOOP; END $$"
        )
    };
    session.run(&format!("{}; {sql}; {}", disable("DISABLE"), disable("ENABLE"))).await;
}

struct Tampered {
    world: World,
    /// What a witness keeps, after 60 entries and at the end.
    witnessed: Vec<Checkpoint>,
}

async fn hundred() -> Tampered {
    let world = World::new();
    let mut witnessed = Vec::new();
    for _ in 0..5 {
        for _ in 0..2 {
            world.store.record((0..10).map(|_| entry(None)).collect()).await.unwrap();
            seal_all(&world.store, &signer()).await;
        }
        witnessed.push(last(&world.store).await);
    }
    Tampered { world, witnessed }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_the_owner_does_is_found_at_its_place() {
    let find = async |sql: &str| {
        let Tampered { world, witnessed } = hundred().await;
        as_owner(&world.db.owner().await, sql).await;
        (verify(&world.store, &[]).await, verify(&world.store, &witnessed).await)
    };
    let places = |report: &Report| report.findings.iter().map(ToString::to_string).collect::<Vec<_>>();

    // One byte.
    let (report, _) = find("UPDATE audit_log SET action = 'consultation.reae' WHERE idx = 42").await;
    assert!(matches!(report.findings[..], [Finding::Altered { index: 42, .. }]), "{:?}", places(&report));
    // One in the middle.
    let (report, _) = find("DELETE FROM audit_log WHERE idx = 42").await;
    assert_eq!(report.findings, [Finding::Missing { from: 42, to: 43 }]);
    // The newest.
    let (report, _) = find("DELETE FROM audit_log WHERE idx >= 95").await;
    assert_eq!(report.findings, [Finding::Missing { from: 95, to: 100 }]);
    // Two exchanged.
    let (report, _) = find(
        "UPDATE audit_log SET idx = 1000 WHERE idx = 12; UPDATE audit_log SET idx = 12 WHERE idx = 15;
         UPDATE audit_log SET idx = 15 WHERE idx = 1000",
    )
    .await;
    assert_eq!(report.findings, [Finding::Swapped { first: 12, second: 15 }]);
    // One put in.
    let (report, _) = find(
        "INSERT INTO audit_log SELECT idx, gen_random_uuid(), occurred_at + interval '1 us', actor, actor_id, role, purpose, action,
           resource_kind, resource_id, patient_id, outcome, correlation_id, origin, ruleset, break_glass
         FROM audit_log WHERE idx = 42",
    )
    .await;
    assert!(matches!(report.findings[..], [Finding::Inserted { index: 42, .. }]), "{:?}", places(&report));
    // One put behind the end, older than a sealer needs.
    let (report, _) = find(
        "INSERT INTO audit_log SELECT 100, gen_random_uuid(), occurred_at - interval '2 minutes', actor, actor_id, role, purpose,
           action, resource_kind, resource_id, patient_id, outcome, correlation_id, origin, ruleset, break_glass
         FROM audit_log WHERE idx = 99",
    )
    .await;
    assert!(matches!(report.findings[..], [Finding::Unsealed { index: 100, .. }]), "{:?}", places(&report));
    // A checkpoint that is left out.
    let (report, _) = find("DELETE FROM audit_checkpoints WHERE size = 50").await;
    assert!(matches!(report.findings[..], [Finding::Checkpoint { size: 60, .. }]), "{:?}", places(&report));
    // Yesterday's tables: by themselves they are whole, and a checkpoint from elsewhere has seen more.
    let (alone, witnessed) = find(
        "DELETE FROM audit_log WHERE idx >= 60; DELETE FROM audit_checkpoints WHERE size > 60;
         UPDATE audit_tiles SET hashes = substr(hashes, 1, 60 * 32) WHERE level = 0; UPDATE audit_head SET size = 60, next_idx = 60",
    )
    .await;
    assert!(alone.is_sound(), "{:?}", places(&alone));
    let anchor = "a checkpoint from elsewhere";
    assert_eq!(witnessed.findings, [Finding::Truncated { has: 60, had: 100, anchor }]);
    // The same by somebody who leaves the log's own checkpoints where they are.
    let (alone, _) = find(
        "DELETE FROM audit_log WHERE idx >= 60;
         UPDATE audit_tiles SET hashes = substr(hashes, 1, 60 * 32) WHERE level = 0; UPDATE audit_head SET size = 60, next_idx = 60",
    )
    .await;
    assert_eq!(alone.findings, [Finding::Truncated { has: 60, had: 100, anchor: "the log's checkpoint" }]);
    // Some that are called retired by nobody.
    let (report, _) = find(
        "DELETE FROM audit_log WHERE idx BETWEEN 42 AND 44;
         INSERT INTO audit_retired (month, places, because) VALUES ('2019-03-01', '{[42,45)}', 'seven years')",
    )
    .await;
    let month = "2019-03".to_owned();
    assert_eq!(report.findings, [Finding::Retired { month }, Finding::Missing { from: 42, to: 45 }]);
    assert_eq!((report.entries, report.retired), (97, 0));
    // All checkpoints.
    let (report, _) = find("DELETE FROM audit_checkpoints").await;
    assert!(!report.is_sound());
}

/// A retirement that is on the record covers its own places, and no others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retirement_covers_what_its_entry_names() {
    let world = World::new();
    let owner = world.db.owner().await;
    let old: jiff::Timestamp = "2018-03-05T10:00:00Z".parse().unwrap();
    owner.run("SELECT ensure_partitions('2018-03-01', '2018-03-01')").await;
    let mut entries: Vec<_> = (0..9).map(|_| entry(None)).collect();
    for entry in entries.iter_mut().take(3) {
        (entry.id, entry.occurred_at) = (amrutam_kernel::AuditEntryId::from_uuid(crate::support::id(old)), old);
    }
    world.store.record(entries).await.unwrap();
    seal_all(&world.store, &signer()).await;
    owner.run("SELECT retire_audit_month('2018-03-01', 'seven years')").await;
    seal_all(&world.store, &signer()).await;
    assert!(verify(&world.store, &[]).await.is_sound());
    as_owner(
        &owner,
        "DELETE FROM audit_log WHERE idx = 5; ALTER TABLE audit_retired DISABLE TRIGGER USER;
         UPDATE audit_retired SET places = places + '{[5,6)}'; ALTER TABLE audit_retired ENABLE TRIGGER USER",
    )
    .await;
    let findings = verify(&world.store, &[]).await.findings;
    let month = "2018-03".to_owned();
    let missing = |from, to| Finding::Missing { from, to };
    assert_eq!(findings, [Finding::Retired { month }, missing(0, 3), missing(5, 6)]);
}

/// With the log's own key, all of it computed anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_that_was_rewritten_whole_is_found_by_what_a_witness_keeps() {
    let Tampered { world, witnessed } = hundred().await;
    let owner = world.db.owner().await;
    as_owner(
        &owner,
        "INSERT INTO audit_intake (entry) SELECT jsonb_set(to_jsonb(l) - 'idx', '{action}',
             to_jsonb(CASE WHEN idx = 42 THEN 'consultation.book' ELSE action END)) FROM audit_log l ORDER BY idx;
         DELETE FROM audit_log; DELETE FROM audit_tiles; DELETE FROM audit_checkpoints;
         UPDATE audit_head SET size = 0, next_idx = 0",
    )
    .await;
    assert_eq!(seal_all(&world.store, &signer()).await, 100);
    assert!(verify(&world.store, &[]).await.is_sound(), "by itself it is whole");
    let anchor = "a checkpoint from elsewhere";
    assert_eq!(verify(&world.store, &witnessed).await.findings, [Finding::NotAsSealed { from: 40, to: 60, anchor }]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_is_verified_by_itself() {
    let Tampered { world, .. } = hundred().await;
    as_owner(&world.db.owner().await, "UPDATE audit_log SET role = 'x' WHERE idx = 42").await;
    let part = async |from, to| {
        let range = AuditRange { from, to: Some(to) };
        world.store.verify_audit(&signer().verifier(), &[], range, |_| ()).await.unwrap()
    };
    assert!(part(50, 100).await.is_sound());
    // Nothing is left to read, and the last checkpoint agrees.
    assert!(part(100, 100).await.is_sound() && part(60, 60).await.is_sound());
    let report = part(40, 60).await;
    assert!(matches!(report.findings[..], [Finding::Altered { index: 42, .. }]), "{:?}", report.findings);
    let range = AuditRange { from: 101, to: None };
    let beyond = world.store.verify_audit(&signer().verifier(), &[], range, |_| ()).await;
    assert!(matches!(beyond, Err(VerifyError::NoSuchPart { size: 100, from: 101, to: 101 })), "{beyond:?}");
}

/// The end of a part is held against the checkpoint behind it: what was made to fit there shows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tail_of_a_part_is_held_against_the_next_checkpoint() {
    let Tampered { world, .. } = hundred().await;
    let owner = world.db.owner().await;
    as_owner(&owner, "UPDATE audit_log SET role = 'x' WHERE idx = 43").await;
    let range = AuditRange { from: 41, to: Some(45) };
    let report = world.store.verify_audit(&signer().verifier(), &[], range, |_| ()).await.unwrap();
    assert!(matches!(report.findings[..], [Finding::Altered { index: 43, .. }]), "{:?}", report.findings);
    assert_eq!((report.entries, report.checkpoints), (9, 1), "on to the checkpoint of 50");
    // With its stored hash made to fit, only a checkpoint can tell.
    let forged = world.store.entries(43, 1).await.unwrap().remove(0).entry.leaf();
    let forged: String = forged.0.iter().map(|byte| format!("{byte:02x}")).collect();
    let fit = format!(
        "UPDATE audit_tiles SET hashes = overlay(hashes PLACING decode('{forged}', 'hex') FROM 43 * 32 + 1) WHERE level = 0"
    );
    as_owner(&owner, &fit).await;
    let report = world.store.verify_audit(&signer().verifier(), &[], range, |_| ()).await.unwrap();
    assert_eq!(report.findings, [Finding::NotAsSealed { from: 41, to: 50, anchor: "the log's checkpoint" }]);
}

/// Proofs are made of the tiles above the leaves' too: one of them that was changed is found, and no proof is given by it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tile_above_the_leaves_that_was_changed_is_found_and_proves_nothing() {
    let world = World::new();
    world.store.record((0..520).map(|_| entry(None)).collect()).await.unwrap();
    seal_all(&world.store, &signer()).await;
    assert!(verify(&world.store, &[]).await.is_sound());
    let (policy, ids) = (PolicyTable, SeededIds::new(1));
    let (log, clock) = (&world.store, &Now);
    let deps = ReadDeps { reader: log, log, trail: log, objections: log, policy: &policy, clock, ids: &ids };
    let auditor = Context {
        actor: amrutam_kernel::Actor::Account {
            id: amrutam_kernel::AccountId::from_uuid(uuid::Uuid::from_u128(5)),
            role: amrutam_kernel::Role::Auditor,
        },
        sign_in: Some(SignIn {
            session: SessionId::from_uuid(uuid::Uuid::nil()),
            second_factor_at: None,
            second_factor: SecondFactor::NotNeeded,
        }),
        ..Context::of_system("test", CorrelationId::from(uuid::Uuid::nil()))
    };
    let first = world.store.entries(0, 1).await.unwrap().remove(0).entry.id;
    prove(deps, &auditor, first).await.unwrap();
    prove_consistency(deps, &auditor, 300, 520).await.unwrap();
    as_owner(
        &world.db.owner().await,
        "UPDATE audit_tiles SET hashes = overlay(hashes PLACING sha256('x') FROM 33) WHERE level = 1",
    )
    .await;
    assert_eq!(verify(&world.store, &[]).await.findings, [Finding::Tile { level: 1, index: 0 }]);
    assert!(matches!(prove(deps, &auditor, first).await, Err(ReadError::Port(_))));
    assert!(matches!(prove_consistency(deps, &auditor, 300, 520).await, Err(ReadError::Port(_))));
}

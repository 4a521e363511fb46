//! The rules on unusual access, each on what it is meant for, up to the end of its window.

use crate::{
    audit::{seal_all, signer},
    support::{World, id, now},
};
use amrutam_audit::ports::{Alerts, Unusual};
use amrutam_kernel::{
    AUDIT_ACTIONS, AccountId, Actor, AuditEntry, AuditEntryId, AuditTrail, Context, CorrelationId, Effects, Outcome,
    Role,
};
use amrutam_postgres::{AccessWatch, Postgres};
use jiff::{SignedDuration, Timestamp};

/// The beginning of the current window of the rules' hour.
fn window() -> Timestamp {
    let hours = now().as_second() / 3_600;
    Timestamp::from_second(hours * 3_600).unwrap()
}

fn account() -> AccountId {
    AccountId::from_uuid(id(now()))
}

fn access(actor: AccountId, patient: AccountId, action: &'static str, at: Timestamp) -> AuditEntry {
    let context = Context {
        actor: Actor::Account { id: actor, role: Role::Doctor },
        ..Context::of_system("test", CorrelationId::from(id(now())))
    };
    let entry = AuditEntryId::from_uuid(id(at));
    AuditEntry::new(entry, at, &context, action, "record", patient.to_string(), Outcome::Allowed).about(patient)
}

fn watch(world: &World) -> AccessWatch {
    let first: Postgres = world.store.clone();
    AccessWatch::new(first.clone(), first)
}

async fn found(world: &World, entries: Vec<AuditEntry>) -> Vec<Unusual> {
    world.store.record(entries).await.unwrap();
    seal_all(&world.store, &signer()).await;
    watch(world).unusual().await.unwrap().unusual
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_name_actions_that_exist() {
    let world = World::new();
    let named = "SELECT DISTINCT unnest(actions) FROM audit_alert_rules ORDER BY 1";
    let named = world.db.owner().await.column(named, &[]).await;
    let unknown: Vec<_> = named.iter().filter(|action| !AUDIT_ACTIONS.contains(&action.as_str())).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    for noun in ["note.", "prescription.", "payment.", "record."] {
        assert!(named.iter().any(|action| action.starts_with(noun)), "{noun}");
    }
}

/// What comes right before a window's end, after the last look into it, is seen by the next look; and so is what was sealed hours late.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_without_a_visit_is_told_up_to_the_end_of_the_window() {
    let world = World::new();
    let (doctor, patient, other) = (account(), account(), account());
    let last_moment = window() - SignedDuration::from_micros(1);
    let long_ago = window() - SignedDuration::from_hours(1) - SignedDuration::from_micros(1);
    let entries = vec![access(doctor, patient, "note.read", last_moment), access(doctor, other, "note.read", long_ago)];
    let mut told = found(&world, entries).await;
    told.sort_by_key(|unusual| std::cmp::Reverse(unusual.bucket));
    let late: Vec<_> = told.iter().map(|unusual| (unusual.patient, unusual.bucket)).skip(1).collect();
    assert_eq!(late, [(Some(other), window() - SignedDuration::from_hours(2))]);
    assert_eq!((told[0].code.as_str(), told[0].actor, told[0].patient), ("without_visit", doctor, Some(patient)));
    assert_eq!(told[0].bucket, window() - SignedDuration::from_hours(1));
    // Told once.
    assert!(watch(&world).raise(&told[0], &Effects::default()).await.unwrap());
    assert!(!watch(&world).raise(&told[0], &Effects::default()).await.unwrap());
    let again = watch(&world).unusual().await.unwrap();
    assert_eq!(again.unusual, told[1..]);
    watch(&world).looked(again.upto).await.unwrap();
    assert_eq!(watch(&world).unusual().await.unwrap().unusual, [], "nothing was sealed since");
    // Whom one treats is nobody unusual.
    let changes = {
        let slot = world.slots(1).await.remove(0);
        world.book(&slot).await
    };
    let visit = &changes.created[0].consultation;
    let sql = format!("SELECT account_id::text FROM doctors WHERE id = '{}'", visit.doctor);
    let treating = world.db.owner().await.column(&sql, &[]).await.remove(0).parse().unwrap();
    assert_eq!(found(&world, vec![access(treating, visit.patient, "prescription.read", now())]).await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_broken_glass_is_told() {
    let world = World::new();
    let (doctor, patient) = (account(), account());
    let told = found(&world, vec![access(doctor, patient, "record.read", now()).breaking_glass()]).await;
    let told: Vec<_> = told.iter().map(|unusual| (unusual.code.as_str(), unusual.patient)).collect();
    assert_eq!(told, [("break_glass", Some(patient))]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_patients_in_one_window_are_told() {
    let world = World::new();
    let (busy, curious) = (account(), account());
    // Nobody's clinical record: what staff sees of many.
    let seen = |actor, count: usize, at| (0..count).map(move |_| access(actor, account(), "payment.read", at));
    let before = window() - SignedDuration::from_secs(1);
    // Of the curious, fewer than the threshold in either window.
    let entries = seen(busy, 50, before).chain(seen(curious, 49, before)).chain(seen(curious, 49, now())).collect();
    let told = found(&world, entries).await;
    let told: Vec<_> = told.iter().map(|unusual| (unusual.code.as_str(), unusual.actor, unusual.patient)).collect();
    assert_eq!(told, [("many_patients", busy, None)]);
}

/// Those whom one look counts in part, the next counts whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_window_is_counted_whole_at_each_look() {
    let world = World::new();
    let busy = account();
    let seen = |count: usize| (0..count).map(|_| access(busy, account(), "payment.read", window())).collect();
    assert_eq!(found(&world, seen(30)).await, []);
    let look = watch(&world).unusual().await.unwrap();
    watch(&world).looked(look.upto).await.unwrap();
    assert_eq!(found(&world, seen(20)).await.len(), 1);
}

/// With the log elsewhere the rules and the visits stay where they are, and all three rules find what they are for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_in_another_database_is_watched_as_well() {
    let (world, apart) = (World::new(), World::new());
    let slot = world.slots(1).await.remove(0);
    let changes = world.book(&slot).await;
    let visit = &changes.created[0].consultation;
    let sql = format!("SELECT account_id::text FROM doctors WHERE id = '{}'", visit.doctor);
    let treating: AccountId = world.db.owner().await.column(&sql, &[]).await.remove(0).parse().unwrap();
    let (curious, breaking, busy, patient) = (account(), account(), account(), account());
    let mut entries: Vec<_> = (0..50).map(|_| access(busy, account(), "payment.read", now())).collect();
    entries.push(access(treating, visit.patient, "note.read", now()));
    entries.push(access(curious, visit.patient, "note.read", now()));
    entries.push(access(breaking, patient, "record.read", now()).breaking_glass());
    // Who was refused has seen nothing.
    let refused = access(account(), patient, "record.read", now()).breaking_glass();
    entries.push(AuditEntry { outcome: Outcome::Denied, ..refused });
    apart.store.record(entries).await.unwrap();
    seal_all(&apart.store, &signer()).await;
    let watch = AccessWatch::new(world.store.clone(), apart.store.clone());
    let mut told = watch.unusual().await.unwrap().unusual;
    told.sort_by(|one, other| one.code.cmp(&other.code));
    let found: Vec<_> = told.iter().map(|unusual| (unusual.code.as_str(), unusual.actor, unusual.patient)).collect();
    let expected = [
        ("break_glass", breaking, Some(patient)),
        ("many_patients", busy, None),
        ("without_visit", curious, Some(visit.patient)),
    ];
    assert_eq!(found, expected);
    assert!(watch.raise(&told[0], &Effects::default()).await.unwrap());
    assert_eq!(watch.unusual().await.unwrap().unusual.len(), 2, "told once");
}

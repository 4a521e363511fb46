//! Races, locks held by others, and work that is cut short.

use crate::support::{Session, World, booking, eventually, id, now};
use amrutam_booking::{
    model::{PatientCalendar, SlotStatus},
    ports::{Changes, ConsultationStore},
};
use amrutam_kernel::{AccountId, CommitError, CorrelationId, PortError, SlotId};
use amrutam_postgres::Postgres;
use std::{
    cell::Cell,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::Barrier;

fn lost(error: &CommitError) -> bool {
    matches!(error, CommitError::Stale | CommitError::Busy)
}

async fn live(session: &Session) -> i64 {
    let sql = "SELECT coalesce(max(n), 0)::int8 FROM (SELECT count(*) AS n FROM consultations \
               WHERE status IN ('pending', 'confirmed', 'in_progress') GROUP BY slot_id) AS x";
    session.count(sql).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_64_bookings_of_one_slot_one_wins_and_nobody_queues() {
    let world = World::new();
    let slots = world.slots(5).await;
    let watcher = world.db.owner().await;
    for slot in &slots {
        let start = Arc::new(Barrier::new(64));
        let mut tasks = Vec::new();
        for _ in 0..64 {
            let (store, start) = (world.store.clone(), Arc::clone(&start));
            let changes = booking(slot, world.patient().await);
            tasks.push(tokio::spawn(async move {
                start.wait().await;
                ConsultationStore::commit(&store, &changes).await
            }));
        }
        let mut results = Vec::new();
        while let Some(task) = tasks.pop() {
            assert!(live(&watcher).await <= 1);
            results.push(task.await.unwrap());
        }
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
        assert!(results.iter().filter_map(|result| result.as_ref().err()).all(lost), "{results:?}");
        assert_eq!(live(&watcher).await, 1);
        assert_eq!(world.slot(slot.id).await.status, SlotStatus::Booked);
    }
    for table in
        ["consultations", "consultation_timeline", "outbox", "audit_entries", "patient_calendars", "phi.visit_reasons"]
    {
        assert_eq!(watcher.count(&format!("SELECT count(*) FROM {table}")).await, 5, "{table}: of winners only");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_waits_for_a_locked_slot() {
    // A wait would be for ever, and seen.
    let world = World::with(|settings| settings.lock_timeout_ms = 30_000);
    let slot = world.slots(1).await.remove(0);
    let mut bookings = Vec::new();
    for _ in 0..64 {
        bookings.push(booking(&slot, world.patient().await));
    }
    let holder = world.db.app().await;
    holder.run(&format!("BEGIN; SELECT FROM slots WHERE id = '{}' FOR UPDATE", slot.id)).await;
    let commits = bookings.iter().map(|changes| ConsultationStore::commit(&world.store, changes));
    let results = tokio::time::timeout(Duration::from_secs(20), futures::future::join_all(commits)).await;
    let results = results.expect("they wait for the lock");
    assert!(results.iter().all(|result| matches!(result, Err(CommitError::Busy))), "{results:?}");
    // With warm connections the refusal takes one round trip.
    let begun = Instant::now();
    let refused = ConsultationStore::commit(&world.store, &bookings[0]).await;
    assert!(matches!(refused, Err(CommitError::Busy)), "{refused:?}");
    assert!(begun.elapsed() < Duration::from_millis(500), "{:?}", begun.elapsed());
    // Reading is never in anybody's way.
    assert_eq!(world.slot(slot.id).await, slot);

    holder.run("ROLLBACK").await;
    ConsultationStore::commit(&world.store, &bookings[0]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_calendar_is_busy_within_the_lock_timeout() {
    let world = World::new();
    let slots = world.slots(2).await;
    let first = world.book(&slots[0]).await;
    let (patient, calendar) = first.calendars[0].clone();
    let holder = world.db.app().await;
    holder.run(&format!("BEGIN; SELECT FROM patient_calendars WHERE patient_id = '{patient}' FOR UPDATE")).await;
    let mut second = booking(&slots[1], patient);
    second.calendars[0].1.version = calendar.version + 1;
    world.store.ping(Duration::from_secs(10)).await.unwrap();

    let begun = Instant::now();
    let refused = ConsultationStore::commit(&world.store, &second).await;
    let took = begun.elapsed();
    assert!(matches!(refused, Err(CommitError::Busy)), "{refused:?}");
    assert!((400..2_500).contains(&took.as_millis()), "the default lock timeout is 500 ms; it took {took:?}");
    assert_eq!(world.slot(slots[1].id).await, slots[1]);
    assert_eq!(world.store.pool_status().available, world.store.pool_status().size, "the connection is sound");

    holder.run("ROLLBACK").await;
    ConsultationStore::commit(&world.store, &second).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commits_correlation_id_is_the_sessions_name() {
    let world = World::with(|settings| settings.lock_timeout_ms = 20_000);
    let slots = world.slots(2).await;
    let first = world.book(&slots[0]).await;
    let (patient, calendar) = first.calendars[0].clone();
    let holder = world.db.app().await;
    holder.run(&format!("BEGIN; SELECT FROM patient_calendars WHERE patient_id = '{patient}' FOR UPDATE")).await;
    let mut second = booking(&slots[1], patient);
    second.calendars[0].1.version = calendar.version + 1;
    let name = format!("amrutam {}", second.effects.events[0].correlation_id);

    let store = world.store.clone();
    let commit = tokio::spawn(async move { ConsultationStore::commit(&store, &second).await });
    let watcher = world.db.app().await;
    let named = async || {
        let sql =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        watcher.count(&format!("{sql} AND application_name = '{name}'")).await == 1
    };
    eventually("the waiting session has the name", Duration::from_secs(10), named).await;
    holder.run("ROLLBACK").await;
    commit.await.unwrap().unwrap();
    // And after the commit it is nobody's again.
    let sql = format!("SELECT count(*) FROM pg_stat_activity WHERE application_name = '{name}'");
    assert_eq!(watcher.count(&sql).await, 0);
    let plain =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'amrutam'";
    assert!(watcher.count(plain).await >= 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_correlation_id_is_cut_not_refused() {
    let world = World::new();
    let slot = world.slots(1).await.remove(0);
    let mut changes = booking(&slot, world.patient().await);
    let long: CorrelationId = "~".repeat(128).parse().unwrap();
    changes.effects.events[0].correlation_id = long;
    ConsultationStore::commit(&world.store, &changes).await.unwrap();
}

/// The app has the pool's sessions and no others, none is in a transaction, and none holds or awaits a lock.
async fn quiet(watcher: &Session, store: &Postgres) -> bool {
    // A session beyond those of the pool may have a statement before it that it has not read yet.
    let sessions =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename = 'amrutam_app'";
    let open = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename = 'amrutam_app' \
                AND (state LIKE 'idle in transaction%' OR xact_start IS NOT NULL)";
    let locks = "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) \
                 WHERE a.datname = current_database() AND a.usename = 'amrutam_app'";
    let pooled = i64::try_from(store.pool_status().size).unwrap();
    watcher.count(sessions).await == pooled && watcher.count(open).await == 0 && watcher.count(locks).await == 0
}

/// Nothing of the booking is there, or all of it.
async fn whole_or_nothing(watcher: &Session, changes: &Changes) -> bool {
    let consultation = &changes.created[0].consultation;
    let sql = format!(
        "SELECT (SELECT count(*) FROM slots WHERE consultation_id = '{id}' AND status = 'booked') \
         + (SELECT count(*) FROM consultations WHERE id = '{id}') \
         + (SELECT count(*) FROM consultation_timeline WHERE consultation_id = '{id}') \
         + (SELECT count(*) FROM patient_calendars WHERE patient_id = '{patient}') \
         + (SELECT count(*) FROM phi.visit_reasons WHERE consultation_id = '{id}') \
         + (SELECT count(*) FROM outbox WHERE aggregate_id = '{id}') \
         + (SELECT count(*) FROM audit_entries WHERE resource_id = '{id}')",
        id = consultation.id,
        patient = consultation.patient
    );
    let parts = watcher.count(&sql).await;
    assert!(parts == 0 || parts == 7, "{parts} of 7 parts of the booking are there");
    parts == 7
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_dropped_call_leaves_no_transaction_and_no_lock() {
    const ROUNDS: usize = 120;
    let world = World::with(|settings| settings.pool_size = 4);
    let slots = world.slots(ROUNDS).await;
    let watcher = world.db.owner().await;
    world.store.ping(Duration::from_secs(10)).await.unwrap();
    let mut booked = 0;
    for (round, slot) in slots.iter().enumerate() {
        let changes = booking(slot, world.patient().await);
        let (store, asked, slot_id) = (world.store.clone(), changes.clone(), slot.id);
        let task = tokio::spawn(async move {
            let patient = asked.created[0].consultation.patient;
            let _ = store.booking_snapshot(slot_id, patient, None, None).await;
            let _ = ConsultationStore::commit(&store, &asked).await;
        });
        // From before the first await to after the last, in steps.
        tokio::time::sleep(Duration::from_micros(150 * (round as u64 % 60))).await;
        task.abort();
        let _ = task.await;
        eventually("the server has let go", Duration::from_secs(1), async || quiet(&watcher, &world.store).await).await;
        // A call that waits for its group's turn is not seen by the server: it may still be done between two looks.
        let whole = Cell::new(false);
        eventually("slot and booking agree", Duration::from_secs(1), async || {
            whole.set(whole_or_nothing(&watcher, &changes).await);
            let expected = if whole.get() { changes.slots[0].0.clone() } else { slot.clone() };
            world.slot(slot.id).await == expected
        })
        .await;
        booked += usize::from(whole.get());
    }
    assert!((1..ROUNDS).contains(&booked), "{booked} of {ROUNDS} were committed: the drops were not spread");
    assert_eq!(world.store.pool_status().size, world.store.pool_status().available, "nothing leaks from the pool");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_call_dropped_while_it_waits_for_a_lock_gives_back_its_own() {
    // Longer than this test is patient: the server must notice by itself that nobody waits.
    let world = World::with(|settings| {
        settings.lock_timeout_ms = 30_000;
        settings.statement_timeout_ms = 60_000;
        // Whatever the server or the URL says.
        let unaware = format!("{}?options=-c%20client_connection_check_interval%3D0", settings.url.expose());
        settings.url = unaware.parse().unwrap();
    });
    let slots = world.slots(2).await;
    let first = world.book(&slots[0]).await;
    let (patient, calendar) = first.calendars[0].clone();
    let holder = world.db.owner().await;
    holder.run(&format!("BEGIN; SELECT FROM patient_calendars WHERE patient_id = '{patient}' FOR UPDATE")).await;
    let mut second = booking(&slots[1], patient);
    second.calendars[0].1 = PatientCalendar { version: calendar.version + 1, ..calendar };
    let (store, asked) = (world.store.clone(), second.clone());
    let task = tokio::spawn(async move { ConsultationStore::commit(&store, &asked).await });
    let watcher = world.db.owner().await;
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    eventually("the commit waits", Duration::from_secs(10), async || watcher.count(waits).await == 1).await;
    assert!(!quiet(&watcher, &world.store).await);

    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    eventually("the server has let go", Duration::from_secs(1), async || quiet(&watcher, &world.store).await).await;
    // The slot can be had by another, while the calendar is still locked.
    ConsultationStore::commit(&world.store, &booking(&slots[1], world.patient().await)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_pool_is_unavailable_in_time() {
    let world = World::with(|settings| {
        settings.pool_size = 2;
        settings.wait_ms = 2_000;
    });
    world.store.ping(Duration::from_secs(10)).await.unwrap();
    let leaders = (world.store.try_lead(1).await.unwrap().unwrap(), world.store.try_lead(2).await.unwrap().unwrap());
    assert_eq!(world.store.pool_status().size, 2);

    let begun = Instant::now();
    let (slot, patient) = (SlotId::from_uuid(id(now())), AccountId::from_uuid(id(now())));
    let refused = world.store.booking_snapshot(slot, patient, None, None).await;
    let took = begun.elapsed();
    assert!(matches!(refused, Err(PortError::Unavailable { .. })), "{refused:?}");
    assert!((1_900..3_000).contains(&took.as_millis()), "{took:?}");
    drop(leaders);
    world.store.ping(Duration::from_secs(10)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_leads_until_its_connection_is_gone() {
    let world = World::new();
    let mut first = world.store.try_lead(7).await.unwrap().unwrap();
    assert!(world.store.try_lead(7).await.unwrap().is_none());
    assert!(world.store.try_lead(8).await.unwrap().is_some(), "another job");
    first.confirm().await.unwrap();
    drop(first);
    let watcher = world.db.owner().await;
    let holders = "FROM pg_locks WHERE locktype = 'advisory' AND objid = 7 AND database = \
                   (SELECT oid FROM pg_database WHERE datname = current_database())";
    let free = async || watcher.count(&format!("SELECT count(*) {holders}")).await == 0;
    eventually("the lock is free", Duration::from_secs(2), free).await;

    let mut second = world.store.try_lead(7).await.unwrap().unwrap();
    let kill = format!("SELECT count(pg_terminate_backend(pid)) {holders}");
    assert_eq!(watcher.count(&kill).await, 1);
    let confirmed = second.confirm().await;
    assert!(matches!(confirmed, Err(PortError::Unavailable { .. })), "{confirmed:?}");
}

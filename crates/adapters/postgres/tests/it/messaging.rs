//! The outbox, the messages and their upkeep, where one bad row or one slow part must not stop the rest.

use crate::support::{Database, World, eventually, id, now};
use amrutam_kernel::{AccountId, AggregateRef, CorrelationId, Effects, EventEnvelope, EventId, InboxMark, MessageId};
use amrutam_notifications::{Channel, MessageKind, ScheduledMessage, ports::MessageStore};
use jiff::SignedDuration;
use std::time::Duration;
use uuid::Uuid;

fn message() -> ScheduledMessage {
    let at = now();
    ScheduledMessage {
        id: MessageId::from_uuid(id(at)),
        kind: MessageKind::RegistrationRepeated,
        channel: Channel::Mail,
        dedupe_key: id(at).to_string(),
        recipient: AccountId::from_uuid(id(at)),
        consultation: None,
        slot_starts_at: None,
        link: None,
        due_at: at - SignedDuration::from_secs(1),
        attempts: 0,
        maybe_sent: false,
        correlation_id: CorrelationId::from(id(at)),
        trace_parent: None,
    }
}

fn marked() -> Effects {
    let inbox = Some(InboxMark { consumer: "test", event: EventId::from_uuid(id(now())) });
    Effects { inbox, ..Effects::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_can_not_be_read_is_given_up_and_holds_up_no_other() {
    let world = World::new();
    let (bad, good) = (message(), message());
    world.store.plan(&[bad.clone(), good.clone()], &Effects::default()).await.unwrap();
    let owner = world.db.owner().await;
    let of_bad = format!("FROM scheduled_messages WHERE id = '{}'", bad.id);
    owner.run(&format!("UPDATE scheduled_messages SET kind = 'pigeon' WHERE id = '{}'", bad.id)).await;
    let claimed = world.store.claim_due(SignedDuration::from_secs(30), 10).await.unwrap();
    assert_eq!(claimed.iter().map(|message| message.id).collect::<Vec<_>>(), [good.id]);
    assert_eq!(owner.column(&format!("SELECT status {of_bad} AND settled_at IS NOT NULL"), &[]).await, ["gave_up"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn planning_is_done_in_the_name_of_its_flow() {
    let world = World::new();
    world
        .db
        .owner()
        .await
        .run(
            "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS \
               $$ BEGIN NEW.detail := current_setting('application_name'); RETURN NEW; END $$; \
             CREATE TRIGGER note BEFORE INSERT ON scheduled_messages FOR EACH ROW EXECUTE FUNCTION note()",
        )
        .await;
    let planned = message();
    world.store.plan(std::slice::from_ref(&planned), &marked()).await.unwrap();
    let names = world.db.owner().await.column("SELECT detail FROM scheduled_messages", &[]).await;
    assert_eq!(names, [format!("amrutam {}", planned.correlation_id)]);
}

fn event(aggregate: Uuid) -> EventEnvelope {
    EventEnvelope {
        id: EventId::from_uuid(id(now())),
        event_type: "consultation.requested.v1".to_owned(),
        aggregate: AggregateRef { kind: "consultation".to_owned(), id: aggregate, version: 1 },
        occurred_at: now(),
        actor: "system:test".to_owned(),
        correlation_id: CorrelationId::from(id(now())),
        trace_parent: None,
        payload: serde_json::json!({}),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parked_event_holds_back_its_aggregate_and_no_other() {
    let world = World::new();
    let (stuck, other) = (id(now()), id(now()));
    let events = vec![event(stuck), event(other), event(stuck)];
    world.store.plan(&[], &Effects { events, ..Effects::default() }).await.unwrap();
    let rows = world.store.outbox_batch(10).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.aggregate).collect::<Vec<_>>(), [stuck, other, stuck]);

    assert_eq!(world.store.outbox_park(rows[0].seq, "no queue").await.unwrap(), Some(1));
    let aggregates = async || {
        let rows = world.store.outbox_batch(10).await.unwrap();
        rows.iter().map(|row| row.aggregate).collect::<Vec<_>>()
    };
    assert_eq!(aggregates().await, [other]);
    let state = world.store.outbox_state().await.unwrap();
    assert_eq!((state.depth, state.parked), (3, 1));

    // It comes again, and waits longer then.
    let owner = world.db.owner().await;
    owner.run("UPDATE outbox SET parked_until = now() WHERE parked_until IS NOT NULL").await;
    assert_eq!(aggregates().await, [stuck, other, stuck]);
    assert_eq!(world.store.outbox_park(rows[0].seq, "no queue").await.unwrap(), Some(2));
    let longer = "SELECT count(*) FROM outbox WHERE parked_until > now() + interval '50 seconds'";
    assert_eq!(owner.count(longer).await, 1);
    for attempts in 3..=40 {
        assert_eq!(world.store.outbox_park(rows[0].seq, "no queue").await.unwrap(), Some(attempts));
    }
    let bounded = "SELECT count(*) FROM outbox WHERE parked_until < now() + interval '601 seconds'";
    assert_eq!(owner.count(bounded).await, 1);

    world.store.outbox_published(&[rows[0].seq]).await.unwrap();
    assert_eq!(aggregates().await, [other, stuck]);
    assert_eq!(world.store.outbox_park(rows[0].seq, "gone").await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_over_is_forgotten_in_batches_and_nothing_else() {
    let world = World::new();
    let owner = world.db.owner().await;
    owner
        .run(
            "INSERT INTO inbox SELECT 'x', gen_random_uuid(), now() - interval '31 days' FROM generate_series(1, 5001); \
             INSERT INTO inbox VALUES ('x', gen_random_uuid(), now() - interval '29 days'); \
             INSERT INTO inbox_attempts VALUES ('x', gen_random_uuid(), 1, now() - interval '31 days'); \
             INSERT INTO scheduled_messages (id, dedupe_key, kind, recipient_id, due_at, next_attempt_at, correlation_id, status, settled_at) \
               SELECT gen_random_uuid(), age || status, 'reminder_1h', gen_random_uuid(), now(), now(), 'c', status, \
                      CASE WHEN status <> 'scheduled' THEN now() - age * interval '1 day' END \
               FROM unnest(ARRAY['sent', 'skipped', 'gave_up', 'scheduled']) status, unnest(ARRAY[89, 91, 92]) age; \
             INSERT INTO dead_letters (id, source, consumer, subject_id, kind, payload, headers, error, attempts, redeliveries, \
                                       deaths, requeues, first_failed_at, opened_at, died_at, state, updated_at, version) \
               SELECT id, 'message', 'mail', id, kind, '{}', '{}', 'no', 1, 0, 1, 0, now(), now(), now(), 'dead', now(), 1 \
               FROM scheduled_messages WHERE dedupe_key = '92gave_up'; \
             INSERT INTO dead_letters (id, source, consumer, subject_id, kind, payload, headers, error, attempts, redeliveries, \
                                       deaths, requeues, first_failed_at, opened_at, died_at, state, discard_reason, updated_at, version) \
               SELECT gen_random_uuid(), 'event', state || age, gen_random_uuid(), 'x', '{}', '{}', 'no', 1, 0, 1, 1, now(), now(), \
                      now(), state, CASE WHEN state = 'discarded' THEN 'obsolete' END, now() - age * interval '1 day', 2 \
               FROM unnest(ARRAY['dead', 'requeued', 'settled', 'discarded']) state, unnest(ARRAY[89, 91]) age",
        )
        .await;
    assert_eq!(world.store.forget_expired().await.unwrap().rows, 5_001 + 1 + 4 + 1 + 2);
    let letters = owner.column("SELECT consumer FROM dead_letters ORDER BY 1", &[]).await;
    assert_eq!(letters, ["dead89", "dead91", "discarded89", "mail", "requeued89", "requeued91", "settled89"]);
    assert_eq!(owner.count("SELECT count(*) FROM inbox").await, 1);
    let kept = owner.column("SELECT dedupe_key FROM scheduled_messages ORDER BY 1", &[]).await;
    let expected = ["89gave_up", "89scheduled", "89sent", "89skipped", "91scheduled", "92gave_up", "92scheduled"];
    assert_eq!(kept, expected, "what was given up stays with its dead letter");
    assert_eq!(world.store.forget_expired().await.unwrap().rows, 0);

    // One table that can't be had does not keep the others.
    owner
        .run(
            "INSERT INTO inbox VALUES ('x', gen_random_uuid(), now() - interval '31 days'); \
             REVOKE DELETE ON idempotency_keys FROM amrutam_app",
        )
        .await;
    assert!(world.store.forget_expired().await.is_err());
    assert_eq!(owner.count("SELECT count(*) FROM inbox").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_migrations_at_once_do_the_work_once() {
    let db = Database::bare();
    let runs = [db.owner_url(), db.owner_url()]
        .map(|url| tokio::spawn(async move { amrutam_postgres::migrate(&url).await.map(|ran| ran.len()) }));
    let mut ran = Vec::new();
    for run in runs {
        ran.push(run.await.unwrap().unwrap());
    }
    ran.sort_unstable();
    assert!(ran[0] == 0 && ran[1] > 5, "{ran:?}");
}

#[test]
fn a_connection_outlives_the_runtime_that_asked_for_it() {
    let runtime = || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let longest = runtime();
    let db = Database::new();
    let store = longest.block_on(async { db.pool_with(|_| ()) });
    let short = runtime();
    short.block_on(store.ping(Duration::from_secs(20))).unwrap();
    short.shutdown_timeout(Duration::from_secs(1));
    longest.block_on(async {
        let sessions =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
        let owner = db.owner().await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(owner.count(sessions).await, 1, "the connection is gone with the runtime");
        drop(store);
        eventually("no session", Duration::from_secs(5), async || owner.count(sessions).await == 0).await;
    });
}

//! Migrations up and down, grants, partitions and constraints.

use crate::support::{Database, Session, World, booking, id, now};
use amrutam_booking::ports::{AvailabilityStore, ConsultationStore};
use amrutam_kernel::{AccountId, CommitError, ConsultationId, TimeRange};
use jiff::{SignedDuration, Timestamp, ToSpan, civil::Date, tz::TimeZone};

/// Everything in the three schemas, one line each.
const CATALOG: &str = "
SELECT * FROM (
  SELECT format('column %s.%s %s %s null:%s default:%s generated:%s%s', c.oid::regclass, a.attname, a.attnum,
                format_type(a.atttypid, a.atttypmod), NOT a.attnotnull, pg_get_expr(d.adbin, d.adrelid), a.attgenerated, a.attidentity)
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 LEFT JOIN pg_attrdef d ON (d.adrelid, d.adnum) = (c.oid, a.attnum)
    WHERE c.relnamespace IN ('public'::regnamespace, to_regnamespace('phi'), to_regnamespace('keys'))
  UNION ALL
  SELECT format('relation %s kind:%s owner:%s options:%s bound:%s key:%s acl:%s', c.oid::regclass, c.relkind, c.relowner::regrole,
                c.reloptions, pg_get_expr(c.relpartbound, c.oid), pg_get_partkeydef(c.oid),
                (SELECT array_agg(x::text ORDER BY x::text) FROM unnest(c.relacl) x))
    FROM pg_class c WHERE c.relnamespace IN ('public'::regnamespace, to_regnamespace('phi'), to_regnamespace('keys'))
  UNION ALL
  SELECT format('constraint %s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
    FROM pg_constraint WHERE connamespace IN ('public'::regnamespace, to_regnamespace('phi'), to_regnamespace('keys'))
  UNION ALL
  SELECT format('index %s', pg_get_indexdef(indexrelid)) FROM pg_index JOIN pg_class c ON c.oid = indexrelid
    WHERE c.relnamespace IN ('public'::regnamespace, to_regnamespace('phi'), to_regnamespace('keys'))
  UNION ALL
  SELECT format('function %s acl:%s', pg_get_functiondef(p.oid), (SELECT array_agg(x::text ORDER BY x::text) FROM unnest(p.proacl) x))
    FROM pg_proc p WHERE p.pronamespace IN ('public'::regnamespace, to_regnamespace('phi'), to_regnamespace('keys')) AND p.prokind = 'f'
      AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = p.oid AND deptype = 'e')
  UNION ALL
  SELECT format('schema %s acl:%s', nspname, (SELECT array_agg(x::text ORDER BY x::text) FROM unnest(nspacl) x))
    FROM pg_namespace WHERE nspname IN ('public', 'phi', 'keys')
  UNION ALL
  SELECT format('extension %s', extname) FROM pg_extension
) AS catalog (line) ORDER BY line COLLATE \"C\"";

#[tokio::test(flavor = "multi_thread")]
async fn the_way_down_and_up_again_leads_to_the_same_schema() {
    let db = Database::bare();
    let session = db.owner().await;
    let catalog = async || session.column(CATALOG, &[]).await;
    let empty = catalog().await;
    let ran = amrutam_postgres::migrate(&db.owner_url()).await.unwrap();
    let up = catalog().await;
    assert!(up.len() > 300, "only {} lines", up.len());
    assert_eq!(
        amrutam_postgres::migrate(&db.owner_url()).await.unwrap(),
        Vec::<String>::new(),
        "nothing is left to run"
    );

    assert_eq!(amrutam_postgres::revert_all(&db.owner_url()).await.unwrap(), ran.len());
    let of_diesel = |line: &String| line.contains("__diesel_schema_migrations");
    let down: Vec<_> = catalog().await.into_iter().filter(|line| !of_diesel(line)).collect();
    let without_schemas = |lines: Vec<String>| -> Vec<_> {
        // The public schema's own grants may be spelled out after they were given and taken.
        lines.into_iter().filter(|line| !line.starts_with("schema public")).collect()
    };
    assert_eq!(without_schemas(down), without_schemas(empty));

    assert_eq!(amrutam_postgres::migrate(&db.owner_url()).await.unwrap(), ran);
    let again = catalog().await;
    let missing: Vec<_> = up.iter().filter(|line| !again.contains(line)).collect();
    let extra: Vec<_> = again.iter().filter(|line| !up.contains(line)).collect();
    assert!(missing.is_empty() && extra.is_empty(), "missing {missing:#?}, extra {extra:#?}");
}

async fn refused(session: &Session, statements: &[&str]) {
    for sql in statements {
        // Were it allowed, the next statements would see its effect.
        let outcome = session.try_run(&format!("BEGIN; {sql}; ROLLBACK")).await;
        session.run("ROLLBACK").await;
        let error = outcome.expect_err(sql);
        assert!(error.starts_with("42501 "), "{sql}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_app_can_not_change_the_schema_or_the_audit_trail() {
    let world = World::new();
    let changes = world.book(&world.slots(1).await[0]).await;
    let (owner, app) = (world.db.owner().await, world.db.app().await);
    assert_eq!(app.count("SELECT count(*) FROM audit_entries").await, 1);
    refused(
        &app,
        &[
            "CREATE TABLE mine (id int)",
            "CREATE TABLE phi.mine (id int)",
            "CREATE SCHEMA mine",
            "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "CREATE EXTENSION citext",
            "ALTER TABLE slots ADD COLUMN mine int",
            "ALTER TABLE slots DROP CONSTRAINT slots_do_not_overlap",
            "DROP TABLE audit_log",
            "DROP INDEX slots_by_doctor",
            "TRUNCATE slots",
            "DELETE FROM slots",
            "DELETE FROM consultations",
            "DELETE FROM accounts",
            "UPDATE accounts SET role = 'admin'",
            "UPDATE accounts SET email_index = ''",
            "DELETE FROM phi.contacts",
            "UPDATE phi.contacts SET account_id = account_id",
            "UPDATE sessions SET account_id = account_id",
            "UPDATE sessions SET expires_at = 'infinity'",
            "UPDATE refresh_tokens SET session_id = session_id",
            "UPDATE account_links SET expires_at = 'infinity'",
            "UPDATE totp_factors SET secret = ''",
            "UPDATE recovery_codes SET digest = ''",
            "DELETE FROM second_factor_tries",
            "UPDATE consultation_timeline SET cause = ''",
            "DELETE FROM consultation_timeline",
            "INSERT INTO erasures SELECT * FROM erasures",
            "UPDATE erasures SET state = 'destroying'",
            "DELETE FROM erasures",
            "UPDATE exports SET account_id = account_id",
            "UPDATE phi.export_chunks SET sealed = ''",
            "SELECT FROM removed_dependants",
            "DELETE FROM removed_dependants",
            "DELETE FROM legal_holds",
            "UPDATE legal_holds SET account_id = account_id",
            "DELETE FROM phi.note_versions",
            "DELETE FROM phi.prescriptions",
            "UPDATE phi.visit_reasons SET sealed = ''",
            "DELETE FROM phi.visit_reasons",
            "CREATE TABLE keys.mine (id int)",
            "DELETE FROM keys.owners",
            "DELETE FROM keys.keks",
            "UPDATE keys.keks SET id = id",
            "UPDATE keys.data_keys SET check_value = ''",
            "UPDATE keys.data_keys SET owner_id = owner_id",
            "UPDATE audit_log SET action = ''",
            "DELETE FROM audit_log",
            "TRUNCATE audit_log",
            "UPDATE payments SET amount = 1",
            "UPDATE payments SET patient_id = doctor_id",
            "DELETE FROM payments",
            "UPDATE payment_captures SET amount = 1",
            "DELETE FROM payment_captures",
            "UPDATE payment_timeline SET cause = ''",
            "DELETE FROM payment_timeline",
            "UPDATE ledger_journals SET kind = ''",
            "DELETE FROM ledger_journals",
            "UPDATE ledger_lines SET amount = 1",
            "DELETE FROM ledger_lines",
            "TRUNCATE ledger_lines",
            "UPDATE webhook_inbox SET event = ''",
            "UPDATE reconciliations SET differences = 0",
            "ALTER TABLE ledger_lines DISABLE TRIGGER USER",
            "INSERT INTO audit_log SELECT * FROM audit_log",
            "UPDATE audit_intake SET entry = '{}'",
            "DELETE FROM audit_intake",
            "TRUNCATE audit_intake",
            "UPDATE audit_tiles SET hashes = ''",
            "INSERT INTO audit_tiles VALUES (0, 0, '')",
            "DELETE FROM audit_checkpoints",
            "INSERT INTO audit_checkpoints (size, note) VALUES (1, '')",
            "DELETE FROM audit_cosignatures",
            "UPDATE audit_head SET size = 0, elsewhere = true",
            "SELECT retire_audit_month('2000-01-01', 'x')",
            "SET ROLE amrutam_owner",
        ],
    )
    .await;
    let partitions = owner
        .column("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'audit_log'::regclass", &[])
        .await;
    assert!(partitions.len() >= 4, "{partitions:?}");
    for partition in partitions {
        let statements = [
            format!("UPDATE {partition} SET action = ''"),
            format!("DELETE FROM {partition}"),
            format!("TRUNCATE {partition}"),
            format!("ALTER TABLE audit_log DETACH PARTITION {partition}"),
            format!("DROP TABLE {partition}"),
        ];
        refused(&app, &statements.each_ref().map(String::as_str)).await;
    }
    let id = changes.created[0].consultation.id;
    assert!(world.store.view(id).await.unwrap().map(|found| found.judge(Clone::clone)).is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reader_reads_reports_and_nothing_personal() {
    let world = World::new();
    world.book(&world.slots(1).await[0]).await;
    let reader = world.db.reader().await;
    for table in ["consultations", "slots", "doctors", "audit_entries"] {
        assert_eq!(reader.count(&format!("SELECT count(*) FROM {table}")).await, 1, "{table}");
    }
    refused(
        &reader,
        &[
            "SELECT FROM accounts",
            "SELECT FROM phi.contacts",
            "SELECT FROM account_links",
            "SELECT FROM sessions",
            "SELECT FROM refresh_tokens",
            "SELECT FROM totp_factors",
            "SELECT FROM recovery_codes",
            "SELECT FROM second_factor_tries",
            "SELECT second_factor(gen_random_uuid())",
            "SELECT session_states(ARRAY[gen_random_uuid()])",
            "SELECT FROM idempotency_keys",
            "SELECT FROM patient_calendars",
            "SELECT FROM phi.visit_reasons",
            "SELECT FROM phi.export_chunks",
            "SELECT commit_erasure('{}')",
            "SELECT begin_destruction(gen_random_uuid(), now())",
            "SELECT finish_destruction(gen_random_uuid(), now(), '{}')",
            "SELECT document FROM payments",
            "SELECT FROM webhook_inbox",
            "SELECT FROM keys.data_keys",
            "SELECT keys.find_key(gen_random_uuid(), 1)",
            "INSERT INTO inbox (consumer, event_id) VALUES ('x', gen_random_uuid())",
            "UPDATE consultations SET status = status",
            "DELETE FROM outbox",
            "SELECT ensure_partitions(current_date, current_date)",
            "CREATE TABLE mine (id int)",
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_that_does_not_balance_is_not_stored() {
    let db = Database::new();
    let app = db.app().await;
    let payment =
        "INSERT INTO payments VALUES ('019aaf00-0000-7000-8000-000000000001', gen_random_uuid(), gen_random_uuid(),
        100, 'INR', 'razorpay', 'created', NULL, NULL, now(), now(), 1, 1, '{}')";
    app.run(payment).await;
    let journal = |id: u32| {
        format!(
            "INSERT INTO ledger_journals VALUES ('019aaf00-0000-7000-8000-0000000001{id:02}',
             '019aaf00-0000-7000-8000-000000000001', 'capture', now(), '{{}}')"
        )
    };
    let line = |id: u32, position: u32, entry: &str, amount: i64, currency: &str| {
        format!(
            "INSERT INTO ledger_lines VALUES ('019aaf00-0000-7000-8000-0000000001{id:02}', {position}, 'a', '{entry}',
             {amount}, '{currency}')"
        )
    };
    let (debit, credit) = (|id| line(id, 1, "debit", 100, "INR"), |id| line(id, 2, "credit", 100, "INR"));
    let refused: [Vec<String>; 6] = [
        vec![journal(1)],
        vec![journal(2), debit(2)],
        vec![journal(3), debit(3), line(3, 2, "credit", 99, "INR")],
        vec![journal(4), debit(4), line(4, 2, "credit", 100, "USD")],
        vec![journal(5), debit(5), line(5, 2, "credit", -100, "INR")],
        vec![journal(6), debit(6), credit(6), line(6, 3, "debit", 1, "INR")],
    ];
    for statements in refused {
        let outcome = app.try_run(&format!("BEGIN; {}; COMMIT", statements.join(";"))).await;
        app.run("ROLLBACK").await;
        assert!(outcome.is_err(), "{statements:?}");
    }
    app.run(&format!("BEGIN; {}; {}; {}; COMMIT", journal(7), debit(7), credit(7))).await;
    // And it stays as it is: a line more, later, is refused, too.
    let later = app.try_run(&line(7, 3, "debit", 1, "INR")).await;
    assert!(later.is_err());
    assert_eq!(app.count("SELECT count(*) FROM ledger_lines").await, 2);
}

fn day(at: Timestamp) -> Date {
    TimeZone::UTC.to_datetime(at).date()
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_are_made_ahead_by_the_app() {
    // The second of two at once waits for the first.
    let world = World::with(|settings| settings.lock_timeout_ms = 20_000);
    let today = day(now());
    let runway = world.store.partition_runway_days(today).await.unwrap();
    // To the end of the third month after this one.
    let covered = today.first_of_month().checked_add(4.months()).unwrap();
    assert_eq!(runway, (covered - today).get_days());
    assert!(runway > 89);

    assert_eq!(world.store.ensure_partitions(today, covered.yesterday().unwrap()).await.unwrap(), 0, "they are there");
    let next = covered.checked_add(1.month()).unwrap();
    assert_eq!(world.store.ensure_partitions(today, next).await.unwrap(), 6, "two months of three tables");
    assert_eq!(world.store.ensure_partitions(today, next).await.unwrap(), 0, "they are there");
    assert_eq!(
        world.store.partition_runway_days(today).await.unwrap(),
        (covered.checked_add(2.months()).unwrap() - today).get_days()
    );

    // The table that lags is the one that counts.
    let last = covered.checked_add(1.month()).unwrap().strftime("audit_log_%Y_%m").to_string();
    world.db.owner().await.run(&format!("DROP TABLE {last}")).await;
    assert_eq!(world.store.partition_runway_days(today).await.unwrap(), (next - today).get_days());
    assert_eq!(world.store.ensure_partitions(today, next).await.unwrap(), 1);

    // Two workers at once.
    let far = next.checked_add(6.months()).unwrap();
    let twice =
        futures::future::join(world.store.ensure_partitions(today, far), world.store.ensure_partitions(today, far))
            .await;
    assert_eq!(twice.0.unwrap() + twice.1.unwrap(), 18);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_lie_in_the_partition_of_their_month() {
    let world = World::new();
    let slots = world.slots(3).await;
    let owner = world.db.owner().await;
    let this = day(now()).first_of_month();
    // The last microsecond of a month and the first of the next: both ends of a partition.
    let border = this.checked_add(1.month()).unwrap().to_zoned(TimeZone::UTC).unwrap().timestamp();
    for (slot, born) in slots.iter().zip([now(), border - SignedDuration::from_micros(1), border]) {
        let mut changes = booking(slot, world.patient().await);
        let consultation = &mut changes.created[0].consultation;
        (consultation.id, consultation.created_at) = (ConsultationId::from_uuid(id(born)), born);
        changes.slots[0].0.consultation = Some(consultation.id);
        changes.timeline[0].consultation = consultation.id;
        let id = consultation.id;
        ConsultationStore::commit(&world.store, &changes).await.unwrap();

        let month = day(born).strftime("%Y_%m").to_string();
        for (table, key, value) in
            [("consultations", "id", id.to_string()), ("consultation_timeline", "consultation_id", id.to_string())]
        {
            let sql = format!("SELECT tableoid::regclass::text FROM {table} WHERE {key}::text = $1");
            assert_eq!(owner.column(&sql, &[&value]).await, [format!("{table}_{month}")], "{born}");
        }
        // Every look-up by id finds it there.
        assert_eq!(
            world.store.view(id).await.unwrap().map(|found| found.judge(Clone::clone)).unwrap().consultation,
            changes.created[0].consultation
        );
        assert_eq!(world.store.timeline(id).await.unwrap().judge(Clone::clone), changes.timeline);
        let snapshot = world.store.consultation_snapshot(id, None, None).await.unwrap().unwrap();
        assert_eq!(snapshot.consultation, changes.created[0].consultation);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_partition_a_booking_fails_whole() {
    let world = World::new();
    let slots = world.slots(1).await;
    let mut changes = booking(&slots[0], world.patient().await);
    let born = now() + SignedDuration::from_hours(24 * 365);
    changes.created[0].consultation.id = ConsultationId::from_uuid(id(born));
    changes.created[0].consultation.created_at = born;
    changes.slots[0].0.consultation = Some(changes.created[0].consultation.id);
    let failed = ConsultationStore::commit(&world.store, &changes).await;
    assert!(matches!(&failed, Err(CommitError::Port(error)) if error.reason().contains("partition")), "{failed:?}");
    assert_eq!(world.slot(slots[0].id).await, slots[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_up_by_id_reads_one_partition() {
    let world = World::new();
    let changes = world.book(&world.slots(1).await[0]).await;
    let id = changes.created[0].consultation.id;
    let session = world.db.app().await;
    let month = day(now()).strftime("consultations_%Y_%m").to_string();
    let touched = async |plan: String| {
        let mut lines: Vec<_> =
            plan.lines().filter(|line| line.contains(" on consultations_")).map(str::to_owned).collect();
        lines.retain(|line| !line.contains("never executed"));
        assert!(lines.len() == 1 && lines[0].contains(&month), "{plan}");
    };
    // As the view asks, and as the SQL function does: there a parameter is compared, so that pruning is at run time.
    session
        .run(
            "PREPARE by_view (uuid, timestamptz, timestamptz) AS SELECT * FROM consultations c \
             JOIN doctors d ON d.id = c.doctor_id WHERE c.id = $1 AND c.created_at >= $2 AND c.created_at < $3",
        )
        .await;
    let born = "uuid_v7_time($1::text::uuid)";
    let sql = format!("SELECT format('%L, %L, %L', $1::text, {born}, {born} + interval '1 millisecond')");
    let arguments = session.column(&sql, &[&id.to_string()]).await.remove(0);
    for mode in ["force_generic_plan", "force_custom_plan"] {
        session.run(&format!("SET plan_cache_mode = {mode}")).await;
        touched(
            session
                .column(&format!("EXPLAIN (ANALYZE, COSTS OFF) EXECUTE by_view ({arguments})"), &[])
                .await
                .join("\n"),
        )
        .await;
    }
    // A look-up that forgets the time reads them all: what the test would see if pruning failed.
    let all = session.column(&format!("EXPLAIN SELECT * FROM consultations WHERE id = '{id}'"), &[]).await.join("\n");
    assert!(all.matches(" on consultations_").count() > 3, "{all}");

    // In the function: only that partition is scanned.
    let scans = async || {
        let sql = "SELECT relname::text FROM pg_stat_xact_user_tables WHERE relname LIKE 'consultations_20%' \
                   AND coalesce(idx_scan, 0) + seq_scan > 0 ORDER BY 1";
        session.column(sql, &[]).await
    };
    session.run("BEGIN").await;
    assert_eq!(session.count(&format!("SELECT count(*) FROM consultation_by_id('{id}')")).await, 1);
    assert_eq!(scans().await, [month.as_str()]);
    session.run("ROLLBACK").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_are_made_while_bookings_go_on() {
    // A busy machine takes longer than production's 500 ms now and then.
    let world = World::with(|settings| settings.lock_timeout_ms = 2_000);
    let slots = world.slots(60).await;
    let today = day(now());
    let making = async {
        for month in 1..=6 {
            let until = today.checked_add((month + 4).months()).unwrap();
            assert_eq!(world.store.ensure_partitions(today, until).await.unwrap(), if month == 1 { 6 } else { 3 });
        }
    };
    let booking = async {
        for slot in &slots {
            world.book(slot).await;
        }
    };
    futures::future::join(making, booking).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_of_one_practitioner_do_not_overlap() {
    let world = World::new();
    let (doctor, other) = (world.doctor().await.id, world.doctor().await.id);
    let start = now() + 24.hours();
    let range = |from: i64, to: i64| TimeRange::new(start + from.minutes(), start + to.minutes()).unwrap();
    let commit = async |doctor, ranges: Vec<TimeRange>| {
        let changes = world.making(doctor, ranges).await;
        AvailabilityStore::commit(&world.store, &changes).await
    };
    commit(doctor, vec![range(0, 30)]).await.unwrap();
    for overlapping in [range(0, 30), range(29, 59), range(-10, 1), range(10, 20), range(-10, 40)] {
        assert!(matches!(commit(doctor, vec![overlapping]).await, Err(CommitError::Stale)), "{overlapping:?}");
    }
    let among_themselves = vec![range(60, 90), range(80, 110)];
    assert!(matches!(commit(doctor, among_themselves).await, Err(CommitError::Stale)));
    commit(doctor, vec![range(30, 60), range(-30, 0)]).await.unwrap();
    commit(other, vec![range(0, 30)]).await.unwrap();

    // A withdrawn one is in nobody's way.
    let all = TimeRange::new(now(), start + 24.hours()).unwrap();
    let first = AvailabilityStore::slots(&world.store, doctor, all).await.unwrap().remove(1);
    assert_eq!(first.range, range(0, 30));
    let mut changes = world.making(doctor, vec![range(10, 20)]).await;
    changes.plan.withdraw = vec![(first.id, first.version)];
    AvailabilityStore::commit(&world.store, &changes).await.unwrap();
    // Nor may it come back.
    let back = format!("UPDATE slots SET status = 'open' WHERE id = '{}'", first.id);
    assert!(world.db.app().await.try_run(&back).await.unwrap_err().starts_with("23P01 "));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slots_row_can_not_contradict_itself() {
    let world = World::new();
    let slot = world.slots(1).await.remove(0);
    let app = world.db.app().await;
    for broken in [
        "status = 'booked'",
        "consultation_id = gen_random_uuid()",
        "held_until = now()",
        "status = 'gone'",
        "modes = '{}'",
        "modes = '{fax}'",
        "ends_at = starts_at",
        "version = 0",
    ] {
        let error =
            app.try_run(&format!("UPDATE slots SET {broken} WHERE id = '{}'", slot.id)).await.expect_err(broken);
        assert!(error.starts_with("23514 "), "{broken}: {error}");
    }
    // Nor can a consultation stand without its patient.
    let orphan = booking(&slot, AccountId::from_uuid(id(now())));
    assert!(matches!(ConsultationStore::commit(&world.store, &orphan).await, Err(CommitError::Port(_))));
    assert_eq!(world.slot(slot.id).await, slot);
}

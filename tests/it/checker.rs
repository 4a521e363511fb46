//! The checker of invariants finds what it is there to find.

use amrutam_tests::support::{Options, SOON, on_stack, until};

#[test]
fn each_breach_is_found() {
    on_stack(Options::named("checker"), async |stack| {
        let doctor = stack.doctor(1).await;
        let slots = doctor.slots().await;
        let patient = stack.patient("asha").await;
        let id = patient.booked(&slots[0]).await;
        stack.mail.mail(&patient.email, "confirmed").await;
        let sql = stack.sql().await;
        // Slots last: visits refer to them.
        let tables = ["consultations", "consultation_timeline", "patient_calendars", "slots"];
        let mut columns = Vec::new();
        for table in tables {
            sql.execute(&format!("CREATE TABLE saved_{table} AS TABLE {table}")).await;
            // A generated one can't be written.
            let query = format!(
                "SELECT string_agg(column_name, ', ') FROM information_schema.columns
                 WHERE table_name = '{table}' AND is_generated = 'NEVER'"
            );
            columns.push(sql.value::<String>(&query).await);
        }
        let (slot, other) = (&slots[0].id, &slots[1].id);
        let copy = |slot: &str, starts_at: &str| {
            format!(
                "INSERT INTO consultations SELECT gen_random_uuid(), created_at, patient_id, doctor_id, '{slot}', {starts_at}, ends_at,
                   mode, status, fee_amount, fee_currency, hold_expires_at, cancel_reason, updated_at, version
                 FROM consultations WHERE id = '{id}'"
            )
        };
        for (what, damage, breach) in [
            ("a second visit in the slot", copy(slot, "starts_at"), "I1"),
            ("a visit that overlaps", copy(other, "starts_at + interval '1 minute'"), "I1"),
            (
                "a visit without its slot",
                format!("UPDATE slots SET status = 'open', consultation_id = NULL WHERE id = '{slot}'"),
                "I4",
            ),
            (
                "a slot with another's visit",
                format!("UPDATE slots SET consultation_id = gen_random_uuid() WHERE id = '{slot}'"),
                "I4",
            ),
            (
                "a slot of nobody",
                format!("UPDATE slots SET status = 'booked', consultation_id = gen_random_uuid() WHERE id = '{other}'"),
                "I4",
            ),
            ("a hold on one side", format!("UPDATE slots SET held_until = now() WHERE id = '{slot}'"), "I4"),
            ("an empty calendar", "UPDATE patient_calendars SET live = '[]'".to_owned(), "I4"),
            (
                "a gap in the versions",
                format!("DELETE FROM consultation_timeline WHERE consultation_id = '{id}' AND version = 1"),
                "I13",
            ),
            (
                "an arrow there is not",
                "UPDATE consultation_timeline SET to_status = 'completed' WHERE version = 2".to_owned(),
                "I13",
            ),
            ("a change without a version", "UPDATE consultations SET status = 'in_progress'".to_owned(), "I13"),
        ] {
            assert_eq!(stack.breaches().await, Vec::<String>::new(), "before {what}");
            assert!(sql.execute(&damage).await > 0, "{what}");
            let found = stack.breaches().await;
            assert!(found.iter().any(|found| found.contains(breach)), "{what}: {found:?}");
            for table in tables {
                sql.execute(&format!("DELETE FROM {table}")).await;
            }
            for (table, columns) in tables.iter().zip(&columns).rev() {
                sql.execute(&format!("INSERT INTO {table} ({columns}) SELECT {columns} FROM saved_{table}")).await;
            }
        }
        // By itself: the trail is not touched before the booking is sealed.
        let damage = "CREATE TABLE saved_trail AS SELECT * FROM audit_log WHERE action = 'consultation.book';
            ALTER TABLE audit_log DISABLE TRIGGER stays; DELETE FROM audit_log WHERE action = 'consultation.book';
            ALTER TABLE audit_log ENABLE TRIGGER stays";
        until("the booking is sealed", SOON, async || {
            let sealed = format!("SELECT count(*) FROM audit_log WHERE resource_id = '{id}'");
            let waits = "SELECT count(*) FROM audit_intake";
            sql.value::<i64>(&sealed).await == 1 && sql.value::<i64>(waits).await == 0
        })
        .await;
        sql.execute(damage).await;
        let found = stack.breaches().await;
        assert!(found.iter().any(|found| found.contains("audit")), "a booking nobody recorded: {found:?}");
        sql.execute("INSERT INTO audit_log SELECT * FROM saved_trail; DROP TABLE saved_trail").await;
    });
}

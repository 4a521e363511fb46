//! Mails are sent once, whatever happens to who sends and who takes them.

use amrutam_notifications::use_cases::{CONCURRENT_SENDS, lease_for};
use amrutam_tests::support::{Options, Person, SOON, Slot, Sql, Stack, on_stack, subject, until};
use serde_json::json;
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

const UNSETTLED: &str = "SELECT count(*) FROM scheduled_messages WHERE status = 'scheduled' AND due_at <= now()";

/// Longer than the quick retries of a mail wait, and than a worker that lives takes to settle what it has claimed.
const QUICK_SECONDS: i64 = 10;

/// As if the leases of a worker that is gone had ended. What ends sooner is a retry, or the lease of a worker that has had
/// time enough if it lived; what has just begun may be a living one's.
async fn end_leases(sql: &Sql) {
    let lease = lease_for(CONCURRENT_SENDS).as_secs();
    assert!(lease > 2 * QUICK_SECONDS, "leases and retries can't be told apart");
    sql.execute(&format!(
        "UPDATE scheduled_messages SET next_attempt_at = now() WHERE status = 'scheduled' AND due_at <= now()
           AND next_attempt_at BETWEEN now() + interval '{QUICK_SECONDS} s' AND now() + interval '{} s'",
        lease - QUICK_SECONDS
    ))
    .await;
}

/// Everything is planned and everything due is settled.
async fn settled(stack: &Stack, confirmed: usize) {
    let sql = stack.sql().await;
    let planned = "SELECT count(*) FROM scheduled_messages WHERE kind = 'booking_confirmed'";
    until("every booking has its mail planned", SOON, async || sql.value::<usize>(planned).await == confirmed).await;
    let unplanned = "SELECT (SELECT count(*) FROM accounts WHERE email_verified_at IS NULL)
                          - (SELECT count(*) FROM scheduled_messages WHERE kind = 'verify_email')";
    until("so has every registration", SOON, async || sql.value::<i64>(unplanned).await == 0).await;
    let a_lease = lease_for(CONCURRENT_SENDS).unsigned_abs();
    until("every mail is settled", SOON + a_lease, async || {
        end_leases(&sql).await;
        sql.value::<i64>(UNSETTLED).await == 0
    })
    .await;
}

/// How often each message has arrived.
async fn copies(stack: &Stack) -> BTreeMap<String, usize> {
    let mut copies = BTreeMap::new();
    for mail in stack.mail.all().await {
        *copies.entry(mail.message_id.split('@').next().unwrap().to_owned()).or_insert(0) += 1;
    }
    copies
}

/// Each message that was sent has arrived: once if it was taken up once, and never more often than it was taken up.
async fn assert_none_lost(stack: &Stack) -> usize {
    let copies = copies(stack).await;
    let rows = stack
        .sql()
        .await
        .rows("SELECT id::text, attempts::text, status FROM scheduled_messages WHERE due_at <= now()")
        .await;
    for row in &rows {
        let (attempts, arrived): (usize, _) = (row[1].parse().unwrap(), copies.get(&row[0]).copied().unwrap_or(0));
        assert_eq!(row[2], "sent", "{row:?}");
        assert!(
            (1..=attempts).contains(&arrived),
            "message {} was taken up {attempts} times and arrived {arrived} times",
            row[0]
        );
    }
    assert_eq!(copies.len(), rows.len(), "nothing else was sent");
    copies.values().filter(|arrived| **arrived > 1).count()
}

#[test]
fn a_worker_killed_at_any_moment_loses_no_mail() {
    on_stack(Options::named("killed-worker"), async |stack| {
        const KILLS: usize = 10;
        let doctor = stack.doctor(8).await;
        let slots = doctor.slots().await;
        let patients = stack.patients(16).await;
        let done = AtomicBool::new(false);
        let bookings = async {
            let mut booked = 0;
            for (patient, slot) in patients.iter().cycle().zip(&slots) {
                if done.load(Ordering::SeqCst) {
                    break;
                }
                patient.booked(slot).await;
                booked += 1;
                // A load that the worker keeps up with, so that kills meet it at every step of its work.
                tokio::time::sleep(Duration::from_millis(15)).await;
            }
            booked
        };
        let kills = async {
            for _ in 0..KILLS {
                stack.worker_ready().await;
                tokio::time::sleep(Duration::from_millis(rand::random_range(0..400))).await;
                stack.worker.kill();
                stack.worker.start();
            }
            stack.worker_ready().await;
            done.store(true, Ordering::SeqCst);
        };
        let (booked, ()) = futures::join!(bookings, kills);
        settled(stack, booked).await;
        let twice = assert_none_lost(stack).await;
        println!("{booked} bookings, {KILLS} kills, {twice} mails sent more than once");
        assert!(booked >= 50, "too little happened: {booked} bookings");
        // A kill can fall between sending and noting for what is under way at that moment, which is at most 8 mails.
        assert!(twice <= KILLS * 8);
        assert!(twice * 4 < booked, "{twice} of {booked} mails came more than once");
    });
}

#[test]
fn killed_between_a_mail_and_its_note_it_sends_the_same_mail_once_more() {
    on_stack(Options::named("crash-mail"), async |stack| {
        let slot = stack.doctor(1).await.slots().await.remove(0);
        let patient = stack.patient("asha").await;
        stack.mail.mail(&patient.email, subject::VERIFY).await;
        let sql = stack.sql().await;
        until("it is noted as sent", SOON, async || sql.value::<i64>(UNSETTLED).await == 0).await;
        stack.worker.kill();
        let mortal = stack.worker.mortal("message.sent");
        mortal.start();
        patient.booked(&slot).await;
        mortal.dies(SOON).await;
        stack.worker.start();
        settled(stack, 1).await;
        assert_eq!(assert_none_lost(stack).await, 1, "the one that was under way, and no other");
        let mut mails = stack.mail.mails(&patient.email).await;
        mails.retain(|mail| mail.subject.contains("confirmed"));
        assert!(mails.len() == 2 && mails[0].message_id == mails[1].message_id, "{mails:?}");
    });
}

#[test]
fn two_workers_share_the_work_and_one_goes_on_alone() {
    on_stack(Options::named("two-workers").apis(2).more_workers(1), async |stack| {
        let doctor = stack.doctor(3).await;
        let slots = doctor.slots().await;
        let patients = stack.patients(10).await;
        let (before, after) = slots.split_at(slots.len() / 2);
        let book = async |slots: &[Slot]| {
            for (at, (patient, slot)) in patients.iter().cycle().zip(slots).enumerate() {
                let client = patient.client.at(&stack.apis[at % 2].url);
                Person { client, ..patient.clone() }.booked(slot).await;
            }
        };
        book(before).await;
        settled(stack, before.len()).await;
        assert_eq!(assert_none_lost(stack).await, 0, "nobody died, so each came once");
        // Whichever leads: the other takes over.
        stack.worker.kill();
        book(&after[..10]).await;
        settled(stack, before.len() + 10).await;
        stack.worker.start();
        stack.worker_ready().await;
        stack.more_workers[0].kill();
        book(&after[10..20]).await;
        settled(stack, before.len() + 20).await;
        assert_none_lost(stack).await;
    });
}

#[test]
fn a_mail_server_that_fails_gets_the_mail_again() {
    on_stack(Options::named("mail-server"), async |stack| {
        let doctor = stack.doctor(2).await;
        let slots = doctor.slots().await;
        let sql = stack.sql().await;
        let state = async |patient: &Person| {
            let query = format!(
                "SELECT status, attempts::text FROM scheduled_messages
                 WHERE recipient_id = '{}' AND kind = 'booking_confirmed' AND due_at <= now()",
                patient.id
            );
            sql.rows(&query).await
        };
        // Once the mail of the registration is out of the way.
        let registered = async |name: &str| {
            let patient = stack.patient(name).await;
            stack.mail.mail(&patient.email, subject::VERIFY).await;
            until("it is noted as sent", SOON, async || sql.value::<i64>(UNSETTLED).await == 0).await;
            patient
        };
        let mails = async |patient: &Person| {
            let mut mails = stack.mail.mails(&patient.email).await;
            mails.retain(|mail| mail.subject.contains("confirmed"));
            mails
        };
        let tried = async |patient: &Person, times: usize| {
            until("it is tried again", SOON, async || {
                state(patient).await.first().is_some_and(|row| row[1].parse::<usize>().unwrap() >= times)
            })
            .await;
        };

        // It refuses twice: the third attempt is the one that arrives.
        let patient = registered("refused").await;
        stack.mail.behave(&json!({ "fail_next": 2 })).await;
        patient.booked(&slots[0]).await;
        settled(stack, 1).await;
        assert_eq!((stack.mail.refused().await, mails(&patient).await.len()), (2, 1));
        assert_eq!(state(&patient).await, [["sent", "3"]]);

        // It is away.
        let patient = registered("away").await;
        stack.mail.behave(&json!({ "down": true })).await;
        patient.booked(&slots[1]).await;
        tried(&patient, 3).await;
        stack.mail.behave_well().await;
        settled(stack, 2).await;
        assert_eq!(mails(&patient).await.len(), 1);

        // It takes the mail and does not say so: then a second copy is the price of not losing one, and is known as one.
        let patient = registered("silent").await;
        stack.mail.behave(&json!({ "accept_then_drop": true })).await;
        patient.booked(&slots[2]).await;
        until("it is taken", SOON, async || !mails(&patient).await.is_empty()).await;
        stack.mail.behave_well().await;
        settled(stack, 3).await;
        let mails = mails(&patient).await;
        assert!(mails.len() == 2 && mails.iter().all(|mail| mail.message_id == mails[0].message_id), "{mails:?}");
        assert_none_lost(stack).await;

        // It will never take it: a person has to look.
        let patient = registered("never").await;
        stack.mail.behave(&json!({ "fail_next": 1, "fail_with": 550, "fail_stage": "rcpt" })).await;
        patient.booked(&slots[3]).await;
        settled(stack, 4).await;
        assert_eq!(state(&patient).await, [["gave_up", "1"]]);
        stack.mail.behave_well().await;
    });
}

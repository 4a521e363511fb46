//! Killed at the steps of what is rare: a hold that ends, money that comes late, a case and its resolution.

use crate::{
    cases::case_about,
    sagas::{
        Dies::{self, Api, Worker},
        LONG, act_whatever_dies, dying, order_of, paid_visit, until_payment, until_visit,
    },
};
use amrutam_tests::support::{Options, Stack, eventually, on_stack, unique, until};
use serde_json::{Value, json};

/// What went before is over: the next point that is reached is of what comes.
async fn quiet(stack: &Stack) {
    let sql = stack.sql().await;
    let unheard =
        "SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM consultation_timeline t WHERE NOT EXISTS (
        SELECT FROM inbox i WHERE i.consumer = 'payments' AND i.event_id = t.event_id))";
    until("all is heard", LONG, async || sql.value::<i64>(unheard).await == 0).await;
}

#[test]
fn killed_while_a_hold_ends_the_slot_is_free_and_nothing_is_owed() {
    let points = [
        "booking.before_commit",
        "booking.after_commit",
        "outbox.published",
        "payment.before_commit",
        "payment.after_commit",
        "event.before_ack",
    ];
    on_stack(Options::named("crash-hold").paid().alone(), async |stack| {
        let doctor = stack.doctor(2).await;
        let slot = doctor.slots().await.pop().unwrap();
        let patient = stack.patient("asha").await;
        for point in points {
            let id = patient.booked(&slot).await;
            let order = order_of(&patient, &id).await;
            quiet(stack).await;
            dying(stack, Worker, point, async {
                stack.hold_ends(&id).await;
                until_visit(&patient, &id, "expired").await;
                until_payment(&patient, &id, "cancelled").await;
                assert!(doctor.slots().await.contains(&slot), "{point}");
                assert_eq!(stack.gateway.order(&order).await["captures"], 0, "{point}");
            })
            .await;
        }
        stack.check_money().await;
    });
}

#[test]
fn killed_while_money_comes_too_late_all_of_it_goes_back_once() {
    let points: [(Dies, &str); 8] = [
        (Api, "webhook.received"),
        (Api, "payment.before_commit"),
        (Api, "webhook.committed"),
        (Worker, "booking.before_commit"),
        (Worker, "booking.after_commit"),
        (Worker, "outbox.published"),
        (Worker, "payment.before_commit"),
        (Worker, "payment.after_commit"),
    ];
    on_stack(Options::named("crash-late").paid().alone(), async |stack| {
        let doctor = stack.doctor(3).await;
        let mut slots = doctor.slots().await;
        let (late, quick) = (stack.patient("asha").await, stack.patient("ravi").await);
        for (dies, point) in points {
            let slot = slots.pop().unwrap();
            let id = late.booked(&slot).await;
            let order = order_of(&late, &id).await;
            stack.hold_ends(&id).await;
            until_visit(&late, &id, "expired").await;
            let sold = paid_visit(stack, &quick, &slot).await;
            quiet(stack).await;
            dying(stack, dies, point, async {
                stack.gateway.pay(&order, &json!({ "outcome": "captured" })).await;
                until_payment(&late, &id, "refunded").await;
                let order = stack.gateway.order(&order).await;
                assert_eq!((&order["captures"], &order["refunds"]), (&json!(1), &json!(1)), "{dies:?} {point}");
                assert_eq!(order["refunded"], 49_900, "{dies:?} {point}");
            })
            .await;
            until_visit(&quick, &sold, "confirmed").await;
        }
        stack.check_money().await;
    });
}

#[test]
fn killed_while_a_case_is_opened_and_resolved_there_is_one_and_its_choice_is_carried_out_once() {
    let points: [(&str, Dies, &str); 4] = [
        ("review.before_commit", Api, "review.before_commit"),
        ("review.after_commit", Api, "review.after_commit"),
        ("outbox.published:2", Worker, "payment.before_commit"),
        ("event.before_ack", Worker, "payment.after_commit"),
    ];
    on_stack(Options::named("crash-case").paid().alone(), async |stack| {
        let doctor = stack.doctor(2).await;
        let mut slots = doctor.slots().await;
        let patient = stack.patient("asha").await;
        let admin = &stack.admin().await.client;
        let sql = stack.sql().await;
        for (opening, dies, resolving) in points {
            let visit = paid_visit(stack, &patient, &slots.pop().unwrap()).await;
            let order = sql.value::<String>(&format!("SELECT order_ref FROM payments WHERE id = '{visit}'")).await;
            stack.gateway.behave(&json!({ "fail_next": 1, "fail_on": "refund", "fail_with": 400 })).await;
            quiet(stack).await;
            dying(stack, Worker, opening, async {
                act_whatever_dies(&patient, &visit).await;
                case_about(stack, &visit, "refund_failed").await;
            })
            .await;
            let case: Value = case_about(stack, &visit, "refund_failed").await;
            quiet(stack).await;
            let (path, key) = (format!("/v1/admin/reviews/{}/resolve", case["id"].as_str().unwrap()), unique("key"));
            dying(stack, dies, resolving, async {
                let answer = eventually("it is resolved", LONG, async || {
                    let call = admin.post(&path, &json!({ "choice": "retry" })).key(&key);
                    call.try_send().await.ok().filter(|answer| answer.status == 200)
                })
                .await;
                assert_eq!(answer.json()["state"], "resolved");
                until_payment(&patient, &visit, "refunded").await;
            })
            .await;
            assert_eq!(stack.gateway.order(&order).await["refunds"], 1, "{opening}, {resolving}");
            let cases = format!("SELECT state FROM review_cases WHERE subject_id = '{visit}'");
            assert_eq!(sql.column(&cases).await, ["resolved"], "{opening}, {resolving}");
        }
        stack.check_money().await;
    });
}

//! Visits are paid: at the sandbox's gateway, through the real processes.

use crate::sagas::{ended, order_of, paid_visit, payment_of, run_out, until_payment, until_visit};
use amrutam_tests::support::{Options, SOON, on_stack, unique, until};
use serde_json::json;

#[test]
fn a_visit_is_paid_and_then_confirmed() {
    on_stack(Options::named("paid").paid(), async |stack| {
        let doctor = stack.doctor(1).await;
        let slot = doctor.slots().await.remove(0);
        let patient = stack.patient("asha").await;
        let booked = patient.book(&slot).send().await.expect(201);
        let id = booked["id"].as_str().unwrap();
        assert_eq!(booked["status"], "pending");
        assert_eq!(booked["payment"]["id"], booked["id"]);
        assert_eq!(booked["payment"]["amount"], json!({ "amount": 49900, "currency": "INR" }));
        assert_eq!(booked["payment"]["expires_at"], booked["hold_expires_at"]);

        let order = order_of(&patient, id).await;
        let payment = payment_of(&patient, id).await;
        assert_eq!(payment["status"], "pending");
        let url = payment["checkout"]["url"].as_str().unwrap();
        assert!(url.ends_with(&format!("/checkout/{order}")), "{url}");
        assert_eq!(patient.consultation(id).await["payment"], payment, "the consultation tells the same");
        // What is paid is the price, under our own name for it.
        let at_gateway = stack.gateway.order(&order).await;
        assert_eq!(at_gateway["amount"], 49900);

        let preview = patient.client.get(&format!("/v1/consultations/{id}/cancellation")).send().await.expect(200);
        assert_eq!(preview["paid"]["amount"], 0, "{preview}");
        let key = unique("key");
        let retry = async || patient.act(id, "payment/retry", &json!({})).key(&key).send().await.expect(200);
        let retried = retry().await;
        assert_eq!(retried["checkout"], payment["checkout"], "the open order takes another try");
        assert_eq!(retry().await, retried);
        patient.act(id, "payment/retry", &json!({})).send().await.refused(400, "idempotency_key_required");

        stack.gateway.pay(&order, &json!({ "outcome": "captured" })).await;
        until_visit(&patient, id, "confirmed").await;
        let read = patient.consultation(id).await;
        assert_eq!((&read["payment"]["status"], &read["payment"]["checkout"]), (&json!("captured"), &json!(null)));
        stack.mail.mail(&patient.email, "confirmed").await;
        patient
            .act(id, "payment/retry", &json!({}))
            .key(&unique("key"))
            .send()
            .await
            .refused(409, "invalid_transition");

        let path = format!("/v1/consultations/{id}/timeline");
        let timeline = patient.client.get(&path).send().await.expect(200);
        let lines = timeline["items"].as_array().unwrap();
        let told: Vec<_> = lines
            .iter()
            .map(|line| format!("{} {}", line["about"].as_str().unwrap(), line["kind"].as_str().unwrap()))
            .collect();
        assert_eq!(told[0], "consultation status_changed");
        for step in ["payment created", "payment order_opened", "payment captured"] {
            assert!(told.iter().any(|line| line == step), "{step}: {told:?}");
        }
        assert!(
            lines
                .iter()
                .all(|line| line["at"].is_string() && line["event_id"].is_string() && line["cause"].is_string())
        );
        let captured = lines.iter().find(|line| line["kind"] == "captured").unwrap();
        assert!(captured["evidence"].as_str().unwrap().starts_with("webhook:"), "{captured}");
        let others = stack.admin().await.client.get(&path).send().await.expect(200);
        assert!(!others.to_string().contains(&patient.id), "administrators see no person");
        stack.check_money().await;
    });
}

#[test]
fn who_fails_twice_may_pay_the_third_time_and_not_the_fourth() {
    on_stack(Options::named("attempts").paid(), async |stack| {
        let doctor = stack.doctor(1).await;
        let slots = doctor.slots().await;
        let patient = stack.patient("asha").await;
        let (first, second) = (patient.booked(&slots[0]).await, patient.booked(&slots[1]).await);
        let failing = json!({ "outcome": "failed" });
        let order = order_of(&patient, &first).await;
        stack.gateway.pay(&order, &failing).await;
        stack.gateway.pay(&order, &failing).await;
        until("two tries are on the record", SOON, async || {
            let path = format!("/v1/consultations/{first}/timeline");
            let timeline = patient.client.get(&path).send().await.expect(200);
            let lines = timeline["items"].as_array().unwrap();
            lines.iter().filter(|line| line["kind"] == "attempt_failed").count() == 2
        })
        .await;
        assert!(payment_of(&patient, &first).await["checkout"].is_object(), "another try is open");
        stack.gateway.pay(&order, &json!({ "outcome": "captured" })).await;
        until_visit(&patient, &first, "confirmed").await;

        let order = order_of(&patient, &second).await;
        for _ in 0..3 {
            stack.gateway.pay(&order, &failing).await;
        }
        until_visit(&patient, &second, "cancelled").await;
        assert_eq!(payment_of(&patient, &second).await["status"], "failed");
        assert!(doctor.slots().await.contains(&slots[1]), "the slot is offered again");
        stack.check_money().await;
    });
}

#[test]
fn nobody_pays_and_the_slot_is_open_again() {
    on_stack(Options::named("unpaid").paid(), async |stack| {
        let doctor = stack.doctor(1).await;
        let slot = doctor.slots().await.remove(0);
        let patient = stack.patient("asha").await;
        let id = patient.booked(&slot).await;
        order_of(&patient, &id).await;
        run_out(stack, &id).await;
        until_payment(&patient, &id, "cancelled").await;
        assert!(doctor.slots().await.contains(&slot));
        let refused = patient.act(&id, "payment/retry", &json!({})).key(&unique("key")).send().await;
        refused.refused(409, "invalid_transition");
        stack.check_money().await;
    });
}

#[test]
fn late_money_brings_the_slot_back_while_it_is_free() {
    on_stack(Options::named("late").paid(), async |stack| {
        let doctor = stack.doctor(1).await;
        let slots = doctor.slots().await;
        let (first, second) = (stack.patient("first").await, stack.patient("second").await);
        let free = first.booked(&slots[0]).await;
        let sold = first.booked(&slots[1]).await;
        let (of_free, of_sold) = (order_of(&first, &free).await, order_of(&first, &sold).await);
        for id in [&free, &sold] {
            run_out(stack, id).await;
            until_visit(&first, id, "expired").await;
        }
        let other = paid_visit(stack, &second, &slots[1]).await;

        stack.gateway.pay(&of_free, &json!({ "outcome": "captured" })).await;
        until_visit(&first, &free, "confirmed").await;
        assert!(!doctor.slots().await.contains(&slots[0]));

        stack.gateway.pay(&of_sold, &json!({ "outcome": "captured" })).await;
        until_payment(&first, &sold, "refunded").await;
        assert_eq!(first.consultation(&sold).await["status"], "expired");
        assert_eq!(payment_of(&first, &sold).await["refunded"]["amount"], 49900);
        stack.mail.mail(&first.email, "came too late").await;
        assert_eq!(second.consultation(&other).await["status"], "confirmed");
        stack.check_money().await;
    });
}

#[test]
fn what_goes_back_is_shown_before_and_then_goes_back() {
    on_stack(Options::named("refunds").paid(), async |stack| {
        let doctor = stack.doctor(2).await;
        let slots = doctor.slots().await;
        let patient = stack.patient("asha").await;
        let preview = async |id: &str| {
            let path = format!("/v1/consultations/{id}/cancellation");
            patient.client.get(&path).send().await.expect(200)
        };
        // Long before the start: everything.
        let early = paid_visit(stack, &patient, slots.last().unwrap()).await;
        let shown = preview(&early).await;
        assert_eq!((&shown["refund"]["amount"], &shown["by"]), (&json!(49900), &json!("patient")), "{shown}");
        patient.act(&early, "cancel", &json!({ "reason": "patient_other" })).send().await.expect(200);
        until_payment(&patient, &early, "refunded").await;
        stack.mail.mail(&patient.email, "refund is on its way").await;

        // Within the last four hours: nothing, and that is said first.
        let late = paid_visit(stack, &patient, &slots[0]).await;
        stack.comes_near(&late, "2 hours").await;
        let shown = preview(&late).await;
        assert_eq!((&shown["refund"]["amount"], &shown["fee"]["amount"]), (&json!(0), &json!(49900)), "{shown}");
        patient.act(&late, "cancel", &json!({ "reason": "patient_other" })).send().await.expect(200);
        until_payment(&patient, &late, "settled").await;

        // Moved to next week within the last four hours, and called off then: who was too late stays too late.
        let moved = paid_visit(stack, &patient, &slots[4]).await;
        stack.comes_near(&moved, "1 hour").await;
        let far = &slots[slots.len() - 2];
        patient.act(&moved, "reschedule", &json!({ "slot_id": far.id })).send().await.expect(200);
        let shown = preview(&moved).await;
        assert_eq!((&shown["refund"]["amount"], &shown["policy"]), (&json!(0), &json!("refunds-2")), "{shown}");
        patient.act(&moved, "cancel", &json!({ "reason": "patient_other" })).send().await.expect(200);
        until_payment(&patient, &moved, "settled").await;

        // The doctor calls off: everything, however late.
        let theirs = paid_visit(stack, &patient, &slots[1]).await;
        stack.comes_near(&theirs, "3 hours").await;
        let path = format!("/v1/consultations/{theirs}/cancellation");
        let shown = doctor.person.client.get(&path).send().await.expect(200);
        assert_eq!((&shown["refund"]["amount"], &shown["by"]), (&json!(49900), &json!("doctor")), "{shown}");
        let body = json!({ "reason": "doctor_unavailable" });
        doctor.person.act(&theirs, "cancel", &body).send().await.expect(200);
        until_payment(&patient, &theirs, "refunded").await;

        // And does not come: everything.
        let missed = paid_visit(stack, &patient, &slots[2]).await;
        stack.comes_near(&missed, "5 minutes").await;
        patient.act(&missed, "check-in", &json!({})).send().await.expect(200);
        stack.comes_near(&missed, "-15 minutes").await;
        stack.checked_in_before(&missed, "17 minutes").await;
        patient.act(&missed, "no-show", &json!({})).send().await.expect(200);
        until_payment(&patient, &missed, "refunded").await;

        // It takes place: it is earned.
        let held = paid_visit(stack, &patient, &slots[3]).await;
        stack.comes_near(&held, "6 minutes").await;
        doctor.person.act(&held, "start", &json!({})).send().await.expect(200);
        doctor.person.act(&held, "complete", &json!({})).send().await.expect(200);
        until_payment(&patient, &held, "settled").await;
        let gone = patient.client.get(&format!("/v1/consultations/{held}/cancellation")).send().await;
        gone.refused(409, "not_cancellable");
        for id in [early, late, moved, theirs, missed, held] {
            ended(stack, &id).await;
        }
        stack.check_money().await;
    });
}

#[test]
fn what_the_gateway_has_and_we_have_not_becomes_a_case() {
    let options = Options::named("reconciled").paid();
    let options = options.with("PAYMENTS__RECONCILE_SPAN_SECS", "2").with("PAYMENTS__RECONCILE_AFTER_SECS", "1");
    on_stack(options.with("PAYMENTS__FIRST_POLL_MS", "600000"), async |stack| {
        let doctor = stack.doctor(1).await;
        let slots = doctor.slots().await;
        let patient = stack.patient("asha").await;
        let id = patient.booked(&slots[0]).await;
        let order = order_of(&patient, &id).await;
        // The gateway tells nobody.
        stack.gateway.behave(&json!({ "webhooks": { "lose_next": 100 } })).await;
        stack.gateway.pay(&order, &json!({ "outcome": "captured" })).await;
        until_visit(&patient, &id, "confirmed").await;
        let sql = stack.sql().await;
        let found = "SELECT coalesce(sum(differences), 0)::bigint FROM reconciliations";
        until("the difference is noted", SOON, async || sql.value::<i64>(found).await > 0).await;
        let path = format!("/v1/consultations/{id}/timeline");
        let timeline = patient.client.get(&path).send().await.expect(200);
        let asked = timeline["items"].as_array().unwrap().iter().any(|line| line["kind"] == "review_needed");
        assert!(asked, "a person is asked: {timeline}");
    });
}

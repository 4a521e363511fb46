//! What a saga can't finish, to its end: from the real thing that goes wrong to what a person has done about it.

use crate::{
    sagas::{order_of, paid_visit, payment_of, until_payment, until_visit},
    second_factor::unuse_codes,
};
use amrutam_tests::support::{
    Authenticator, Client, Options, Person, SOON, Stack, eventually, on_stack, until, within_a_step,
};
use serde_json::{Value, json};

/// The open case with this reason, about this: a visit's id, or a payment's.
pub(crate) async fn case_about(stack: &Stack, subject: &str, reason: &str) -> Value {
    let admin = &stack.admin().await.client;
    eventually(&format!("a case: {reason}"), SOON, async || {
        let page = admin.get("/v1/admin/reviews?state=open&kind=payment&limit=100").send().await.expect(200);
        let mut cases = page["items"].as_array().unwrap().iter();
        cases.find(|case| case["subject"]["id"] == subject && case["reason"] == reason).cloned()
    })
    .await
}

async fn resolve(admin: &Client, case: &Value, choice: &str) -> amrutam_tests::support::Reply {
    let path = format!("/v1/admin/reviews/{}/resolve", case["id"].as_str().unwrap());
    admin.post(&path, &json!({ "choice": choice, "note": "seen by the test" })).send().await
}

async fn balance(stack: &Stack, account: &str) -> i64 {
    let query = format!(
        "SELECT coalesce(sum(CASE entry WHEN 'debit' THEN amount ELSE -amount END), 0)::bigint FROM ledger_lines
         WHERE account = '{account}'"
    );
    stack.sql().await.value(&query).await
}

/// An administrator at an API that asks for second factors, with one that was just set up.
async fn with_factor(person: &Person, strict: &str) -> (Client, Authenticator) {
    let client = person.client.at(strict);
    let authenticator = Authenticator::enrol(&client).await;
    (client, authenticator)
}

#[test]
fn a_visit_that_nobody_tells_of_is_given_back_by_two_people() {
    let options = Options::named("case").paid().with("BUSINESS__APPROVAL_ABOVE__INR", "40000");
    on_stack(options, async |stack| {
        let strict = stack.another_api("strict", &[("MFA__REQUIRED_ROLES", "admin")]);
        strict.process.start();
        strict.ready().await;
        let doctor = stack.doctor(2).await;
        let patient = stack.patient("asha").await;
        let visit = paid_visit(stack, &patient, doctor.slots().await.last().unwrap()).await;
        let order = order_of_paid(stack, &visit).await;
        // More than a day after its end, nobody has said whether it took place.
        stack.comes_near(&visit, "-26 hours").await;
        let sql = stack.sql().await;
        assert_eq!(sql.execute(&format!("UPDATE payments SET look_at = now() WHERE id = '{visit}'")).await, 1);
        let case = case_about(stack, &visit, "no_outcome").await;
        assert_eq!((&case["consultation_id"], &case["amount"]["amount"]), (&json!(visit), &json!(49_900)));
        let choice = |word: &str| {
            case["choices"].as_array().unwrap().iter().find(|choice| choice["choice"] == word).cloned().unwrap()
        };
        assert_eq!(choice("refund_full")["needs_approval"], true, "above what one person may");
        assert_eq!(choice("mark_earned")["needs_approval"], false);

        let (first, second) = (stack.admin().await.clone(), stack.new_admin().await);
        resolve(&first.client.at(&strict.url), &case, "refund_full").await.refused(403, "second_factor_required");
        let (one, _) = with_factor(&first, &strict.url).await;
        let (other, authenticator) = with_factor(&second, &strict.url).await;
        let proposed = resolve(&one, &case, "refund_full").await.expect(200);
        assert_eq!(proposed["state"], "awaiting_approval");
        resolve(&one, &case, "refund_full").await.refused(403, "own_approval");
        // The other one's factor was shown too long ago.
        let stale = format!(
            "UPDATE sessions SET second_factor_at = now() - interval '6 minutes' WHERE account_id = '{}'",
            second.id
        );
        sql.execute(&stale).await;
        until("the factor is known to be stale", SOON, async || {
            let path = format!("/v1/admin/dead-letters/{}/requeue", uuid::Uuid::now_v7());
            other.call("POST", &path).send().await.code() == "step_up_required"
        })
        .await;
        resolve(&other, &case, "refund_full").await.refused(403, "step_up_required");
        assert_eq!(stack.gateway.order(&order).await["refunds"], 0, "a proposal moves nothing");
        within_a_step(15).await;
        unuse_codes(&sql, &second).await;
        let shown = json!({ "code": authenticator.code(0) });
        other.post("/v1/me/mfa/step-up", &shown).send().await.expect(204);
        let resolved = resolve(&other, &case, "refund_full").await.expect(200);
        assert_eq!(
            (&resolved["state"], &resolved["resolution"]["choice"]),
            (&json!("resolved"), &json!("refund_full"))
        );

        until_payment(&patient, &visit, "refunded").await;
        until_visit(&patient, &visit, "cancelled").await;
        let at_gateway = stack.gateway.order(&order).await;
        assert_eq!((&at_gateway["refunds"], &at_gateway["refunded"]), (&json!(1), &json!(49_900)));
        for account in ["gateway_receivable:razorpay", "patient_deposits", "refunds_payable"] {
            assert_eq!(balance(stack, account).await, 0, "{account}");
        }
        stack.mail.mail(&patient.email, "refund is on its way").await;
        let open = stack.admin().await.client.get("/v1/admin/reviews?state=open").send().await.expect(200);
        assert_eq!(open["items"], json!([]), "nothing is left before anybody");
        let path = format!("/v1/consultations/{visit}/timeline");
        let timeline = patient.client.get(&path).send().await.expect(200);
        let lines = timeline["items"].as_array().unwrap().iter();
        let told: Vec<_> = lines
            .filter(|line| line["about"] == "payment")
            .map(|line| format!("{} {}", line["kind"].as_str().unwrap(), line["cause"].as_str().unwrap()))
            .collect();
        let steps = ["review_needed no_outcome", "ruled refund_full", "refund_decided ruled", "refunded ruled"];
        assert_eq!(told[told.len() - 4..], steps, "{told:?}");
        let evidence = format!("case:{}", case["id"].as_str().unwrap());
        let ruled = timeline["items"].as_array().unwrap().iter().find(|line| line["kind"] == "ruled").unwrap();
        assert_eq!(ruled["evidence"], evidence);
        stack.check_money().await;
    });
}

/// The order of a visit that is paid already.
async fn order_of_paid(stack: &Stack, visit: &str) -> String {
    stack.sql().await.value::<String>(&format!("SELECT order_ref FROM payments WHERE id = '{visit}'")).await
}

#[test]
fn a_refund_that_the_gateway_fails_is_made_when_a_person_says_so() {
    on_stack(Options::named("refund-case").paid(), async |stack| {
        let doctor = stack.doctor(2).await;
        let patient = stack.patient("asha").await;
        let visit = paid_visit(stack, &patient, doctor.slots().await.last().unwrap()).await;
        let order = order_of_paid(stack, &visit).await;
        stack.gateway.behave(&json!({ "fail_next": 1, "fail_on": "refund", "fail_with": 400 })).await;
        patient.act(&visit, "cancel", &json!({ "reason": "patient_other" })).send().await.expect(200);
        let case = case_about(stack, &visit, "refund_failed").await;
        assert_eq!(payment_of(&patient, &visit).await["status"], "refund_failed");
        stack.gateway.behave(&json!({})).await;
        let admin = &stack.admin().await.client;
        shows_both_sides(admin, case["id"].as_str().unwrap(), &patient).await;
        assert_eq!(resolve(admin, &case, "retry").await.expect(200)["state"], "resolved");
        until_payment(&patient, &visit, "refunded").await;
        assert_eq!(stack.gateway.order(&order).await["refunds"], 1);
        stack.check_money().await;
    });
}

/// What became of the visit and of its money, in order of time, and what was asked of the gateway.
async fn shows_both_sides(admin: &Client, case: &str, patient: &Person) {
    let shown = admin.get(&format!("/v1/admin/reviews/{case}")).send().await.expect(200);
    let lines = shown["timeline"].as_array().unwrap();
    let at = |line: &Value| line["at"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert!(lines.windows(2).all(|pair| at(&pair[0]) <= at(&pair[1])), "{shown}");
    let of = |about: &str| -> Vec<_> {
        lines.iter().filter(|line| line["about"] == about).map(|line| line["kind"].as_str().unwrap()).collect()
    };
    let steps = ["created", "order_opened", "captured", "refund_decided", "refund_failed", "review_needed"];
    assert_eq!(of("payment"), steps);
    assert!(!of("consultation").is_empty(), "{shown}");
    let line = |kind: &str| lines.iter().find(|line| line["kind"] == kind).unwrap();
    assert!(lines.iter().all(|line| line["about"] == "consultation" || line["evidence"].is_string()), "{shown}");
    assert_eq!(line("refund_failed")["evidence"], "answer");
    assert_eq!(line("captured")["amount"]["amount"], 49_900);
    let attempts = shown["attempts"].as_array().unwrap();
    let refund = attempts.iter().find(|made| made["task"] == "refund").unwrap();
    assert_eq!((&refund["state"], &refund["begun"]), (&json!("done"), &json!(1)));
    assert!(refund["ended_at"].is_string(), "{shown}");
    assert!(!shown["timeline"].to_string().contains(&patient.id), "a person is a role here");
}

#[test]
fn an_order_that_can_not_be_opened_ends_where_everybody_sees_it() {
    on_stack(Options::named("no-order").paid(), async |stack| {
        let doctor = stack.doctor(1).await;
        let slot = doctor.slots().await.remove(0);
        let patient = stack.patient("asha").await;
        stack.gateway.behave(&json!({ "fail_next": 1, "fail_on": "create_order", "fail_with": 400 })).await;
        let visit = patient.booked(&slot).await;
        until_visit(&patient, &visit, "cancelled").await;
        // The patient: told, with the slot open to all again.
        assert_eq!(payment_of(&patient, &visit).await["status"], "failed");
        assert!(doctor.slots().await.contains(&slot));
        stack.mail.mail(&patient.email, "did not go through").await;
        let path = format!("/v1/consultations/{visit}/timeline");
        let timeline = patient.client.get(&path).send().await.expect(200);
        let last = |about: &str| {
            let lines = timeline["items"].as_array().unwrap();
            lines.iter().rfind(|line| line["about"] == about).cloned().unwrap()
        };
        assert_eq!(
            (&last("payment")["kind"], &last("consultation")["cause"]),
            (&json!("failed"), &json!("payment_failed"))
        );
        // Whoever runs the place: a dead letter with the gateway's word for why.
        let admin = &stack.admin().await.client;
        let letter = eventually("a dead letter", SOON, async || {
            let page = admin.get("/v1/admin/dead-letters?source=gateway_task&state=dead").send().await.expect(200);
            page["items"].as_array().unwrap().first().cloned()
        })
        .await;
        assert_eq!((&letter["kind"], &letter["consumer"]), (&json!("open_order"), &json!("payments")));
        assert!(letter["error"].as_str().unwrap().contains("the gateway refuses: "), "{letter}");
        // There is nothing to be done about this visit any more, and that is an end, too.
        let path = format!("/v1/admin/dead-letters/{}", letter["id"].as_str().unwrap());
        admin.call("POST", &format!("{path}/requeue")).send().await.expect(200);
        until("it is settled", SOON, async || admin.get(&path).send().await.expect(200)["state"] == "settled").await;
        assert_eq!(stack.gateway.orders().await.len(), 0, "no order for a visit that is off");
        // The next one is opened.
        let again = patient.booked(&slot).await;
        order_of(&patient, &again).await;
        stack.check_money().await;
    });
}

#[test]
fn money_that_nobody_claims_goes_back_or_is_written_off_and_both_are_on_the_books() {
    on_stack(Options::named("unclaimed").paid(), async |stack| {
        let sql = stack.sql().await;
        let admin = &stack.admin().await.client;
        let mut cases = Vec::new();
        for amount in [12_300, 45_600] {
            let order = stack.strange_order(amount).await;
            let name = stack.gateway.pay(&order, &json!({ "outcome": "captured" })).await;
            let query = format!("SELECT payment_id::text FROM payment_captures WHERE reference = '{name}'");
            let payment = eventually("it is booked", SOON, async || sql.column(&query).await.pop()).await;
            let case = case_about(stack, &payment, "unknown_payment").await;
            assert_eq!((&case["amount"]["amount"], &case["patient_id"]), (&json!(amount), &Value::Null));
            let choices: Vec<_> =
                case["choices"].as_array().unwrap().iter().map(|choice| choice["choice"].as_str().unwrap()).collect();
            assert_eq!(choices, ["refund_full", "write_off"]);
            // What a person needs to find it at the gateway.
            let shown = admin.get(&format!("/v1/admin/payments/{payment}")).send().await.expect(200);
            assert_eq!(
                (&shown["consultation_id"], &shown["captures"][0]["gateway_payment"]),
                (&Value::Null, &json!(name))
            );
            assert_eq!(shown["timeline"][0]["kind"], "stray_captured");
            cases.push((order, payment, case));
        }
        assert_eq!(balance(stack, "unclaimed_receipts").await, -57_900);

        let (order, payment, case) = &cases[0];
        assert_eq!(resolve(admin, case, "refund_full").await.expect(200)["state"], "resolved");
        let state = async |payment: &str| {
            sql.value::<String>(&format!("SELECT state FROM payments WHERE id = '{payment}'")).await
        };
        until("it is given back", SOON, async || state(payment).await == "refunded").await;
        let at_gateway = stack.gateway.order(order).await;
        assert_eq!((&at_gateway["refunds"], &at_gateway["refunded"]), (&json!(1), &json!(12_300)));

        let (order, payment, case) = &cases[1];
        resolve(admin, case, "write_off").await.expect(200);
        until("it is written off", SOON, async || state(payment).await == "settled").await;
        assert_eq!(stack.gateway.order(order).await["refunds"], 0);
        let journal = format!(
            "SELECT string_agg(l.entry || ' ' || l.account || ' ' || l.amount, ', ' ORDER BY l.position)
             FROM ledger_journals j JOIN ledger_lines l ON l.journal_id = j.id
             WHERE j.payment_id = '{payment}' AND j.kind = 'written_off'"
        );
        assert_eq!(sql.value::<String>(&journal).await, "debit unclaimed_receipts 45600, credit write_offs 45600");
        assert_eq!(balance(stack, "unclaimed_receipts").await, 0);
        assert_eq!(balance(stack, "gateway_receivable:razorpay").await, 45_600, "what is left there is ours");
        let open = admin.get("/v1/admin/reviews?state=open").send().await.expect(200);
        assert_eq!(open["items"], json!([]));
        assert_eq!(stack.dead_letters().await, 0, "nobody stumbles over money without a patient");
        stack.check_money().await;
    });
}

#[test]
fn a_doctor_who_leaves_leaves_nobody_waiting() {
    on_stack(Options::named("leaves").paid(), async |stack| {
        let doctor = stack.doctor(2).await;
        let slots = doctor.slots().await;
        let (asha, ravi) = (stack.patient("asha").await, stack.patient("ravi").await);
        let paid = paid_visit(stack, &asha, slots.last().unwrap()).await;
        let unpaid = ravi.booked(&slots[1]).await;
        let path = format!("/v1/admin/accounts/{}/deactivate", doctor.person.id);
        let closed = stack.admin().await.client.call("POST", &path).send().await;
        assert!(closed.status < 300, "{}", closed.text());
        for (patient, visit) in [(&asha, &paid), (&ravi, &unpaid)] {
            until_visit(patient, visit, "cancelled").await;
            stack.mail.mail(&patient.email, "is cancelled").await;
        }
        until_payment(&asha, &paid, "refunded").await;
        assert_eq!(payment_of(&asha, &paid).await["refunded"]["amount"], 49_900, "all of it, however late");
        until_payment(&ravi, &unpaid, "cancelled").await;
        let status = format!("SELECT status FROM doctors WHERE id = '{}'", doctor.id);
        assert_eq!(stack.sql().await.value::<String>(&status).await, "suspended");
        let refused = ravi.book(&slots[2]).send().await;
        assert!((400..500).contains(&refused.status), "{}", refused.text());
        stack.check_money().await;
    });
}

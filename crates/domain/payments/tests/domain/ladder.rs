//! Calls that fail: for good, later, or when the gateway is back.

use super::*;
use amrutam_booking::use_cases::expire_holds;
use amrutam_kernel::RetryPolicy;
use amrutam_memory::{Fault, GatewayFault};
use amrutam_payments::model::{MoneyState, RefundStep, TaskKind};
use std::time::Duration;

fn wait(till: &Till, end: &TaskEnd) -> SignedDuration {
    let now = amrutam_kernel::Clock::now(&*till.clinic.clock);
    match end {
        TaskEnd::Retry { at, .. }
        | TaskEnd::Wait { at, .. }
        | TaskEnd::Rest { at, .. }
        | TaskEnd::Renew { at, .. }
        | TaskEnd::Again { at } => at.duration_since(now),
        TaskEnd::Done | TaskEnd::Dead { .. } => SignedDuration::MAX,
    }
}

#[tokio::test]
async fn the_sixth_failure_is_a_dead_letter_not_the_fifth_nor_the_seventh() {
    let mut till = Till::open().await;
    till.clinic.gateway.fail_next_calls(vec![GatewayFault::Senseless; 6]);
    for retry in 1..=5 {
        let (task, end) = till.run_next().await;
        assert_eq!(task.tries, retry);
        assert!(matches!(end, TaskEnd::Retry { .. }), "{retry}: {end:?}");
        let bound = SignedDuration::try_from(RetryPolicy::STANDARD.bound(retry).unwrap()).unwrap();
        assert!(wait(&till, &end) <= bound, "{retry}: {end:?}");
    }
    let (task, end) = till.run_next().await;
    assert_eq!(task.tries, 6);
    assert!(matches!(end, TaskEnd::Dead { .. }), "{end:?}");
    till.relay().await;
    assert_eq!(till.payment().state, MoneyState::Failed);
    let visit = till.clinic.world.consultations().remove(0);
    assert_eq!(visit.status.as_str(), "cancelled", "its slot is open to others");
    assert_eq!(till.clinic.gateway.calls().len(), 6);
}

#[tokio::test]
async fn a_limit_is_waited_for_at_least_as_long_as_asked() {
    let till = Till::open().await;
    till.clinic.gateway.fail_next_calls([GatewayFault::Limited(Some(Duration::from_secs(20)))]);
    let (_, end) = till.run_next().await;
    assert!(matches!(&end, TaskEnd::Retry { .. }) && wait(&till, &end) >= SignedDuration::from_secs(20), "{end:?}");
    let (_, end) = till.run_next().await;
    assert_eq!(end, TaskEnd::Done);
}

#[tokio::test]
async fn an_outage_is_no_fault_of_the_task() {
    let mut till = Till::paid().await;
    cancel_by_doctor(&till).await;
    till.relay().await;
    till.clinic.gateway.set_away(true);
    for _ in 0..20 {
        let (task, end) = till.run_next().await;
        assert_eq!(task.tries, 1, "{task:?}");
        let wait = wait(&till, &end);
        assert!(matches!(end, TaskEnd::Wait { .. }), "{end:?}");
        assert!(wait >= SignedDuration::from_secs(5) && wait <= SignedDuration::from_secs(20), "{wait:?}");
    }
    till.clinic.gateway.set_away(false);
    let (_, end) = till.run_next().await;
    assert_eq!(end, TaskEnd::Done);
    assert_eq!(till.payment().state, MoneyState::Refunded);
}

/// As many failures as fit into ten minutes, or an hour, of a gateway that answers 500 to everything: whether it does what is asked
/// or not, nothing of it needs a person, and all of it ends rightly when the gateway is back.
#[tokio::test]
async fn a_gateway_that_fails_at_everything_for_long_is_outlasted() {
    for (minutes, does_it) in [(10, false), (10, true), (60, false), (60, true)] {
        let fault = if does_it { GatewayFault::LostAnswer } else { GatewayFault::LostRequest };
        // An order to be opened, an order that is paid meanwhile with nobody told, a refund.
        let mut opening = Till::open().await;
        let mut paying = Till::with_order().await;
        let mut refunding = Till::paid().await;
        cancel_by_doctor(&refunding).await;
        refunding.relay().await;
        for till in [&mut opening, &mut paying, &mut refunding] {
            till.clinic.gateway.fail_always(Some(fault.clone()));
            let ends = at(minutes);
            while till.clinic.world.next_gateway_task_at().is_some_and(|next| next < ends) {
                till.run_next().await;
                till.relay().await;
            }
            till.clinic.clock.set(ends);
            till.clinic.gateway.fail_always(None);
        }
        paying.pay();
        paying.clinic.gateway.drain_notices();
        for till in [&mut opening, &mut paying, &mut refunding] {
            expire_holds(till.clinic.deps(), &till.system(), 10).await.unwrap();
            till.relay().await;
            while till.clinic.world.next_gateway_task_at().is_some_and(|next| next < at(minutes + 1)) {
                till.run_next().await;
                till.relay().await;
            }
            assert_eq!(till.clinic.world.dead_letters().len(), 0, "{minutes} {does_it}");
            assert_eq!(till.announced("payment.review_needed.v1").len(), 0, "{minutes} {does_it}");
        }
        let visit = |till: &Till| till.clinic.world.consultations().remove(0).status.as_str();
        let in_time = minutes < 15;
        let expected = if in_time { ("pending", MoneyState::Pending) } else { ("expired", MoneyState::Cancelled) };
        assert_eq!((visit(&opening), opening.payment().state), expected, "{minutes} {does_it}");
        assert_eq!(
            (visit(&paying), paying.payment().state),
            ("confirmed", MoneyState::Captured),
            "{minutes} {does_it}"
        );
        assert_eq!(refunding.payment().state, MoneyState::Refunded, "{minutes} {does_it}");
        assert_eq!(refunding.clinic.gateway.refunds().len(), 1);
        assert_eq!(opening.clinic.gateway.orders().len(), usize::from(in_time || does_it));
    }
}

/// The looks between are no part of it.
async fn next_refund(till: &Till) -> (GatewayTask, TaskEnd) {
    loop {
        let ran = till.run_next().await;
        if ran.0.kind != TaskKind::Poll {
            return ran;
        }
    }
}

/// What only the answer to an act gives away as an outage is begun anew after each rest, and never asked for in a hurry.
#[tokio::test]
async fn an_act_in_doubt_rests_after_its_tries_and_begins_anew() {
    let mut till = Till::paid().await;
    cancel_by_doctor(&till).await;
    till.relay().await;
    till.clinic.gateway.fail_always(Some(GatewayFault::LostRequest));
    for _ in 0..3 {
        for retry in 1..=5 {
            let (task, end) = next_refund(&till).await;
            assert!(task.tries == retry && matches!(end, TaskEnd::Retry { .. }), "{retry}: {task:?} {end:?}");
        }
        let (_, end) = next_refund(&till).await;
        let wait = wait(&till, &end);
        assert!(matches!(end, TaskEnd::Rest { .. }), "{end:?}");
        assert!(wait >= SignedDuration::from_secs(5) && wait <= SignedDuration::from_secs(20), "{wait:?}");
    }
    assert_eq!(till.clinic.world.dead_letters().len(), 0);
    till.pass(60 * 24);
    for _ in 0..6 {
        till.run().await;
        till.pass(1);
    }
    // A day later it is a person's.
    assert_eq!(till.clinic.world.dead_letters().len(), 1);
    assert_eq!(till.payment().state, MoneyState::RefundFailed);
}

/// A gateway that stores its failure under the key, as Stripe does, says it for as long as it is asked under it.
#[tokio::test]
async fn a_failure_that_is_stored_under_its_key_is_asked_again_under_another() {
    for done in [false, true] {
        let mut till = Till::open().await;
        till.clinic.gateway.fail_next_calls([GatewayFault::Stored { done }, GatewayFault::Stored { done }]);
        let (first, end) = till.run_next().await;
        assert!(matches!(end, TaskEnd::Retry { .. }), "{end:?}");
        for renewals in [1, 2] {
            let (_, end) = till.run_next().await;
            let wait = wait(&till, &end);
            assert!(matches!(end, TaskEnd::Renew { .. }), "{end:?}");
            assert!(wait >= SignedDuration::from_secs(5) && wait <= SignedDuration::from_secs(20), "{wait:?}");
            let (task, end) = till.run_next().await;
            assert_eq!((task.tries, task.renewals, &task.key), (1, renewals, &first.key));
            assert_eq!(end == TaskEnd::Done, renewals == 2, "{end:?}");
        }
        assert_eq!(till.payment().state, MoneyState::Pending);
        till.pay();
        till.relay().await;

        cancel_by_doctor(&till).await;
        till.relay().await;
        till.clinic.gateway.fail_next_calls([GatewayFault::Stored { done }]);
        let (_, end) = next_refund(&till).await;
        assert!(matches!(end, TaskEnd::Retry { .. }), "{end:?}");
        let (_, mut end) = next_refund(&till).await;
        if !done {
            assert!(matches!(end, TaskEnd::Renew { .. }), "{end:?}");
            end = next_refund(&till).await.1;
        }
        assert_eq!(end, TaskEnd::Done, "who was given it already is not given it again");
        till.relay().await;
        assert_eq!((till.payment().state, till.payment().reviews.len()), (MoneyState::Refunded, 0), "{done}");
        assert_eq!(till.clinic.gateway.refunds().len(), 1, "{done}");
    }
}

/// Whether it was done, nobody knows then: a person who is told that it was refused would pay it out a second time.
#[tokio::test]
async fn a_look_that_is_refused_is_no_refusal_of_the_refund() {
    let mut till = Till::paid().await;
    cancel_by_doctor(&till).await;
    till.relay().await;
    till.clinic.gateway.fail_next_calls([GatewayFault::Stored { done: true }]);
    assert!(matches!(next_refund(&till).await.1, TaskEnd::Retry { .. }));
    till.clinic.gateway.fail_next_calls([GatewayFault::Rejected]);
    assert!(matches!(next_refund(&till).await.1, TaskEnd::Retry { .. }));
    assert_eq!(next_refund(&till).await.1, TaskEnd::Done);
    till.relay().await;
    assert_eq!((till.payment().state, till.payment().reviews.len()), (MoneyState::Refunded, 0));
    assert_eq!(till.clinic.gateway.refunds().len(), 1);
}

#[tokio::test]
async fn after_a_day_a_person_is_asked_and_can_have_it_tried_again() {
    let mut till = Till::paid().await;
    cancel_by_doctor(&till).await;
    till.relay().await;
    till.clinic.gateway.set_away(true);
    let begun = amrutam_kernel::Clock::now(&*till.clinic.clock);
    let end = loop {
        match till.run_next().await.1 {
            TaskEnd::Wait { .. } => {}
            end => break end,
        }
    };
    assert!(matches!(end, TaskEnd::Dead { .. }), "{end:?}");
    let waited = amrutam_kernel::Clock::now(&*till.clinic.clock).duration_since(begun);
    assert!(waited >= SignedDuration::from_hours(24) && waited < SignedDuration::from_hours(25), "{waited:?}");
    till.relay().await;
    assert_eq!(till.payment().state, MoneyState::RefundFailed);
    assert_eq!(till.announced("payment.review_needed.v1").len(), 1);
    till.clinic.gateway.set_away(false);
    till.resolve("retry").await;
    assert_eq!(till.run_next().await.1, TaskEnd::Done);
    till.relay().await;
    assert_eq!((till.payment().state, till.payment().reviews.len()), (MoneyState::Refunded, 0));
    assert_eq!(till.clinic.gateway.refunds().len(), 1);
}

#[tokio::test]
async fn what_is_refused_is_not_tried_again() {
    let mut till = Till::open().await;
    till.clinic.gateway.fail_next_calls([GatewayFault::Rejected]);
    let (task, end) = till.run_next().await;
    assert!(matches!(&end, TaskEnd::Dead { error } if error.contains("told_to_refuse")), "{end:?}");
    let letters = till.clinic.world.dead_letters();
    assert_eq!((letters.len(), letters[0].subject), (1, task.id.as_uuid()), "whoever runs the place sees it");
    till.relay().await;
    assert_eq!(till.payment().state, MoneyState::Failed);
    assert_eq!(till.announced("payment.failed.v1")[0].payload["cause"], "told_to_refuse");
    assert_eq!(till.clinic.world.consultations()[0].status.as_str(), "cancelled");
}

#[tokio::test]
async fn a_refund_whose_answer_is_lost_is_made_once() {
    for fault in [GatewayFault::LostAnswer, GatewayFault::LostRequest] {
        let mut till = Till::paid().await;
        cancel_by_doctor(&till).await;
        till.relay().await;
        till.clinic.gateway.fail_next_calls([fault]);
        assert!(matches!(till.run_next().await.1, TaskEnd::Retry { .. }));
        assert_eq!(till.run_next().await.1, TaskEnd::Done);
        assert_eq!((till.payment().state, till.clinic.gateway.refunds().len()), (MoneyState::Refunded, 1));
    }
}

#[tokio::test]
async fn whoever_dies_between_the_gateway_and_the_commit_leaves_the_same_end() {
    for fault in [Fault::Unavailable, Fault::LostAnswer] {
        let mut till = Till::paid().await;
        cancel_by_doctor(&till).await;
        till.relay().await;
        // The claim, then the result.
        let task = till.clinic.payment_deps().store.claim_tasks(SignedDuration::from_secs(60), 10).await.unwrap();
        let refund = task.iter().find(|task| matches!(task.kind, TaskKind::Refund { .. })).unwrap();
        till.clinic.world.fail_next_commits([fault]);
        let died = amrutam_payments::use_cases::run_task(till.clinic.payment_deps(), refund).await;
        assert!(died.is_err(), "{died:?}");
        till.pass(2);
        till.run().await;
        till.relay().await;
        let payment = till.payment();
        assert_eq!((payment.state, till.clinic.gateway.refunds().len()), (MoneyState::Refunded, 1));
        let refund = payment.captures[0].refund.as_ref().unwrap();
        assert!(matches!(refund.step, RefundStep::Processed { .. }), "{refund:?}");
        assert_eq!(till.announced("payment.refunded.v1").len(), 1);
    }
}

#[tokio::test]
async fn a_task_that_kills_whoever_runs_it_is_given_up() {
    let mut till = Till::open().await;
    for _ in 0..6 {
        let claimed = till.clinic.payment_deps().store.claim_tasks(SignedDuration::from_secs(60), 10).await.unwrap();
        assert_eq!(claimed.len(), 1);
        till.pass(2);
    }
    let (task, end) = till.run_next().await;
    assert_eq!(task.tries, 7);
    assert!(matches!(end, TaskEnd::Dead { .. }), "{end:?}");
    till.relay().await;
    assert_eq!((till.payment().state, till.clinic.gateway.calls().len()), (MoneyState::Failed, 0));
}

pub(super) async fn cancel_by_doctor(till: &Till) {
    try_cancel_by_doctor(till).await.unwrap();
}

pub(super) async fn try_cancel_by_doctor(till: &Till) -> Result<(), amrutam_booking::ConsultationError> {
    use amrutam_booking::{
        model::CancelReason,
        use_cases::{Cancel, cancel},
    };
    let doctor = till.clinic.context(Actor::Account { id: till.clinic.doctor_account, role: Role::Doctor });
    let command = Cancel { id: till.visit, reason: CancelReason::DoctorUnavailable, idempotency: None };
    cancel(till.clinic.deps(), &doctor, command).await.map(drop)
}

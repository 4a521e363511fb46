//! What must hold when all has come to rest: told from the gateway's own books, the ledger and the visits' timelines, not
//! from what the code under test says of itself.

use crate::{interleave::finish, play::Play};
use amrutam_booking::model::{Consultation, ConsultationStatus, TimelineEntry};
use amrutam_kernel::{ConsultationId, Currency, EventId};
use amrutam_payments::{
    model::{
        Account, GatewayPayment, Payment, PaymentSighting, RefundState, RefundStep, Review, ReviewReason, Ruling,
        StepKind,
    },
    ports::PaymentStore,
};
use jiff::SignedDuration;
use std::collections::{BTreeMap, BTreeSet};

pub(crate) fn violations(play: &Play<'_>) -> Vec<String> {
    let mut found = play.clinic.world.violations();
    ledger(play, &mut found);
    on_record(play, &mut found);
    once(play, &mut found);
    let payments = play.clinic.world.payments();
    for paid in play.clinic.gateway.payments() {
        if matches!(paid.state, PaymentSighting::Captured | PaymentSighting::Refunded) {
            outcome(play, &payments, &paid, &mut found);
        }
    }
    for visit in play.clinic.world.consultations() {
        if visit.status == ConsultationStatus::Pending {
            found.push(format!("{} still waits", visit.id));
        }
        let fate =
            payments.iter().find(|payment| payment.consultation() == Some(visit.id)).map(|payment| payment.visit);
        if fate.is_none_or(|fate| fate.version != visit.version) {
            found.push(format!("payments is behind on {}: {fate:?} of {}", visit.id, visit.version));
        }
    }
    found
}

/// I8: the ledger balances, and what it says the gateway holds is what the gateway holds.
fn ledger(play: &Play<'_>, found: &mut Vec<String>) {
    let store: &dyn PaymentStore = &play.clinic.world;
    let balances = finish(store.balances()).unwrap();
    if balances.values().sum::<i64>() != 0 {
        found.push(format!("I8: the ledger does not balance: {balances:?}"));
    }
    let held: i64 = play
        .clinic
        .gateway
        .payments()
        .iter()
        .filter(|paid| matches!(paid.state, PaymentSighting::Captured | PaymentSighting::Refunded))
        .map(|paid| paid.amount.amount())
        .sum();
    let refunds = play.clinic.gateway.refunds();
    let given: i64 = refunds
        .iter()
        .filter(|refund| refund.state == RefundState::Processed)
        .map(|refund| refund.amount.amount())
        .sum();
    let books = balances.get(&("gateway_receivable:fake".to_owned(), Currency::Inr)).copied().unwrap_or(0);
    if books != held - given {
        found.push(format!("I8: the gateway holds {}, the ledger says {books}", held - given));
    }
}

/// Each step of a payment is on the record of accesses once, by the same flow.
fn on_record(play: &Play<'_>, found: &mut Vec<String>) {
    let store: &dyn PaymentStore = &play.clinic.world;
    let mut steps = Vec::new();
    for payment in play.clinic.world.payments() {
        let timeline = finish(store.timeline(payment.id)).unwrap().undisclosed();
        steps.extend(timeline.into_iter().filter_map(|entry| {
            Some((entry.payment.to_string(), entry.kind.on_record()?, entry.correlation_id.to_string()))
        }));
    }
    let other = ["payment.inspect", "payment.read", "payment.retry"];
    let entries = play.clinic.world.audit().into_iter();
    let mut entries: Vec<_> = entries
        .filter(|entry| entry.action.starts_with("payment.") && !other.contains(&entry.action))
        .map(|entry| (entry.resource_id, entry.action, entry.correlation_id.to_string()))
        .collect();
    steps.sort_unstable();
    entries.sort_unstable();
    if steps != entries {
        found.push(format!("{} steps of payments, {} entries on the record", steps.len(), entries.len()));
    }
}

/// I7, I11: one effective refund for each captured payment, one effect of each event.
fn once(play: &Play<'_>, found: &mut Vec<String>) {
    let mut refunds = BTreeMap::<_, u32>::new();
    for refund in play.clinic.gateway.refunds() {
        if !matches!(refund.state, RefundState::Failed { .. }) {
            *refunds.entry(refund.of).or_default() += 1;
        }
    }
    for (of, count) in refunds.into_iter().filter(|(_, count)| *count > 1) {
        found.push(format!("I7: {of} was refunded {count} times"));
    }
    let mut effects = play.store.effects.lock().unwrap().clone();
    let all = effects.len();
    effects.sort_unstable();
    effects.dedup();
    if effects.len() != all {
        found.push(format!("I11: {} events had more than one effect", all - effects.len()));
    }
    let inbox: BTreeSet<_> = play.clinic.world.inbox().into_iter().collect();
    let unmarked = |(consumer, event): &&(&'static str, EventId)| !inbox.contains(&((*consumer).to_owned(), *event));
    let handled = play.handled.borrow();
    let unmarked = handled.iter().filter(unmarked).count();
    if unmarked > 0 {
        found.push(format!("I10: {unmarked} handled events are in no inbox"));
    }
}

/// I6: exactly one of a visit, money back, a case.
fn outcome(play: &Play<'_>, payments: &[Payment], paid: &GatewayPayment, found: &mut Vec<String>) {
    let Some(payment) = payments.iter().find(|payment| payment.capture(&paid.reference).is_some()) else {
        found.push(format!("I6: {} is in nobody's books", paid.reference));
        return;
    };
    let case = !payment.reviews.is_empty();
    let back = given_back(play, paid) + elsewhere(play, payment, paid);
    let pays = payment.paying().is_some_and(|capture| capture.reference == paid.reference);
    if !pays {
        if back != paid.amount.amount() && !case {
            found.push(format!("I6: {} pays nothing, and {back} went back: {payment:?}", paid.reference));
        }
        return;
    }
    let in_time = payment.order_opened_at.is_some_and(|opened| paid.at < opened + SignedDuration::from_hours(23));
    let found_late =
        |review: &Review| review.reason == ReviewReason::MissingHere && review.of.as_ref() == Some(&paid.reference);
    // A look that was given up is a case of its own, decided by now or not.
    let store: &dyn PaymentStore = &play.clinic.world;
    let steps = finish(store.timeline(payment.id)).unwrap().undisclosed();
    let given_up =
        steps.iter().any(|step| step.kind == StepKind::ReviewNeeded && step.cause == ReviewReason::TaskFailed.as_str());
    if payment.reviews.iter().any(found_late) && in_time && !given_up {
        found.push(format!("L1: {} was found by reconciliation alone: {payment:?}", paid.reference));
    }
    // Booking answers each announcement: a person is asked only while it can't.
    if payment.asks(ReviewReason::NotConfirmed) {
        found.push(format!("L1: booking never answered for {}", paid.reference));
    }
    let visit =
        play.clinic.world.consultations().into_iter().find(|visit| Some(visit.id) == payment.consultation()).unwrap();
    if let Some(ruling) = payment.ruling {
        let gives_back = matches!(ruling, Ruling::RefundFull | Ruling::RefundByPolicy { .. });
        if gives_back && visit.status.is_live() {
            found.push(format!("I6: {} is {}, and a person had its money given back", visit.id, visit.status));
        }
    }
    if case || payment.ruling.is_some() {
        return;
    }
    let expected = expected_back(play, &visit, payment.amount.amount());
    if back != expected {
        let state = payment.state;
        found.push(format!("I6: {} is {}: {back} went back, not {expected} ({state})", visit.id, visit.status));
    }
}

fn given_back(play: &Play<'_>, paid: &GatewayPayment) -> i64 {
    let refunds = play.clinic.gateway.refunds();
    let done = refunds.iter().filter(|refund| refund.of == paid.reference && refund.state == RefundState::Processed);
    done.map(|refund| refund.amount.amount()).sum()
}

/// What a person paid out by another way, as the ledger has it.
fn elsewhere(play: &Play<'_>, payment: &Payment, paid: &GatewayPayment) -> i64 {
    let (_, capture) = payment.capture(&paid.reference).unwrap();
    let by_hand = |step: &RefundStep| matches!(step, RefundStep::Processed { reference: None, .. });
    let Some(refund) = capture.refund.as_ref().filter(|refund| by_hand(&refund.step)) else { return 0 };
    let journals = play.clinic.world.journals();
    let theirs = journals.iter().filter(|journal| journal.payment == payment.id);
    let lines =
        theirs.flat_map(amrutam_payments::model::Journal::lines).filter(|line| line.account == Account::PaidElsewhere);
    lines.map(|line| line.amount.amount()).find(|amount| *amount == refund.amount.amount()).unwrap_or(0)
}

/// The rules of the field, written down a second time.
fn expected_back(play: &Play<'_>, visit: &Consultation, price: i64) -> i64 {
    let timeline = timeline(play, visit.id);
    let last = timeline.last().unwrap();
    match visit.status {
        ConsultationStatus::Completed if matches!(&*last.cause, "technical_issue" | "doctor_left") => {
            // A patient who says so is before a person, or a person has decided.
            if last.actor.starts_with("patient:") { i64::MIN } else { price }
        }
        ConsultationStatus::Confirmed | ConsultationStatus::InProgress | ConsultationStatus::Completed => 0,
        ConsultationStatus::NoShow => {
            if last.cause == "doctor_absent" {
                price
            } else {
                0
            }
        }
        ConsultationStatus::Pending | ConsultationStatus::Expired => price,
        ConsultationStatus::Cancelled => {
            let by_patient = last.actor.starts_with("patient:");
            // Whoever moved it when its start was near has no more notice for that.
            let ahead = visit.range.start().duration_since(last.at);
            let ahead = visit.least_notice.map_or(ahead, |least| least.min(ahead));
            if !by_patient || last.from != Some(ConsultationStatus::Confirmed) || ahead >= SignedDuration::from_hours(4)
            {
                price
            } else if ahead >= SignedDuration::from_hours(1) {
                price / 2
            } else {
                0
            }
        }
    }
}

fn timeline(play: &Play<'_>, id: ConsultationId) -> Vec<TimelineEntry> {
    let store: &dyn amrutam_booking::ports::ConsultationStore = &play.clinic.world;
    finish(store.timeline(id)).unwrap().judge(Clone::clone)
}

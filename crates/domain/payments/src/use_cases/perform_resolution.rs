//! A person has decided what a payment could not: it is done.

use super::{
    Deps,
    handle::{CONSUMER, ignore},
    record::{mark, new_task, note, update},
};
use crate::{
    NewsError,
    model::{Choice, Evidence, Payment, Progress, ReviewReason, Ruling, TaskKind},
    ports::{Locator, PaymentChanges},
};
use amrutam_kernel::{Context, Effects, EventEnvelope, Handled, PaymentId};
use serde::Deserialize;
use uuid::Uuid;

#[derive(Deserialize)]
struct Payload {
    case: Uuid,
    subject: Subject,
    reason: String,
    choice: String,
    /// By which version of the payment its question was asked; 0 for a case of before this was kept.
    #[serde(default)]
    asked_version: i64,
}

#[derive(Deserialize)]
struct Subject {
    kind: String,
    id: Uuid,
}

/// Handles `review.resolved.v1` of our cases. A choice that is moot by now, since the news it waited for came after all,
/// changes nothing: it acts on what is, as everything here does. Nor does one whose question another has taken the place of: who chose
/// has not seen what is asked now, nor how much it moves, and is asked anew.
pub async fn perform_resolution(deps: Deps<'_>, event: &EventEnvelope) -> Result<Handled, NewsError> {
    let payload = Payload::deserialize(&event.payload).map_err(|_| NewsError::Malformed("a resolution"))?;
    if payload.subject.kind != "payment" {
        // Other domains' cases.
        return ignore(deps, event).await;
    }
    let reason: ReviewReason = payload.reason.parse().map_err(|_| NewsError::Malformed("a case's reason"))?;
    let choice: Choice = payload.choice.parse().map_err(|_| NewsError::Malformed("a case's choice"))?;
    let id = PaymentId::from_uuid(payload.subject.id);
    let context = Context::following(CONSUMER, event);
    let evidence = Evidence::Case(payload.case);
    let noted = note(deps, Locator::Id(id), |snapshot| {
        let effects = Effects { inbox: mark(event), ..Effects::default() };
        let mut changes = PaymentChanges { effects, ..PaymentChanges::default() };
        let answered = |payment: &Payment| {
            let asked = payment.review(reason).map_or(0, |review| review.asked_version);
            [0, asked].contains(&payload.asked_version) || asked == 0
        };
        if let Some(before) = snapshot.payment.filter(answered) {
            let now = deps.clock.now();
            let mut progress = Progress::of(before.clone(), deps.rules, now).answering(reason);
            let asked = before.asks(reason);
            perform(&mut progress, reason, choice, &evidence, now);
            // Whatever was given up and is tried again: a look is the only task that is before a person as such.
            let look = choice == Choice::LookAgain || (choice == Choice::Retry && reason == ReviewReason::TaskFailed);
            if look && asked {
                look_now(deps, &context, &before, &mut changes);
            }
            finish(deps, &context, &before, progress, &mut changes);
        }
        Ok(changes)
    });
    Ok(noted.await?.handled())
}

/// A look at the gateway, due at once.
pub(super) fn look_now(
    deps: Deps<'_>,
    context: &amrutam_kernel::Context,
    payment: &Payment,
    changes: &mut PaymentChanges,
) {
    let now = deps.clock.now();
    changes.tasks.push(new_task(deps, context, payment, TaskKind::Poll, payment.poll_key(), now, now));
}

pub(super) fn finish(
    deps: Deps<'_>,
    context: &amrutam_kernel::Context,
    before: &Payment,
    progress: Progress,
    changes: &mut PaymentChanges,
) {
    let asked = std::mem::take(&mut changes.tasks);
    update(deps, context, before, progress, changes);
    // A look that is wanted now stands for one that is wanted later.
    changes.tasks.retain(|task| asked.iter().all(|now| now.key != task.key));
    changes.tasks.extend(asked);
}

fn perform(progress: &mut Progress, reason: ReviewReason, choice: Choice, evidence: &Evidence, now: jiff::Timestamp) {
    if !progress.payment.asks(reason) {
        return;
    }
    match choice {
        Choice::RefundFull => progress.ruled(Ruling::RefundFull, evidence),
        Choice::RefundByPolicy => progress.ruled(Ruling::RefundByPolicy { as_of: now }, evidence),
        Choice::MarkEarned => progress.ruled(Ruling::Earned, evidence),
        Choice::ConfirmAgain => progress.announce_again(evidence),
        Choice::Retry if reason == ReviewReason::RefundMissingThere => progress.make_missing_refunds(evidence),
        Choice::Retry if reason == ReviewReason::TaskFailed => progress.look_after_failure(evidence),
        Choice::Retry => {
            progress.close(reason, evidence);
            progress.retry_refunds(evidence);
        }
        Choice::LookAgain => progress.look_again(reason),
        Choice::PaidOutElsewhere => progress.paid_out_elsewhere(reason, evidence),
        Choice::WriteOff => progress.write_off(reason, evidence),
    }
}

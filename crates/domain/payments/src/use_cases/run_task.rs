//! What is to be done at a gateway is done: outside any transaction, and its result committed with the task's end.

use super::{
    Deps,
    handle::CONSUMER,
    record::{Noted, note, update},
};
use crate::{
    NewsError,
    model::{
        Evidence, GatewayPayment, GatewayPaymentRef, GatewayRefund, GatewayTask, MoneyState, NewOrder, NewRefund,
        Order, Payment, PaymentRules, Progress, RefundStep, Review, TaskEnd, TaskKind, VisitFate, next_poll,
        poll_wanted,
    },
    ports::{GatewayError, Locator, PaymentChanges, PaymentGateway},
};
use amrutam_kernel::{Context, DeadLetterId, DeadSource, Effects, GivenUp, PortError, RetryPolicy};
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// What became of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ran {
    /// The task ended like this.
    Ended(TaskEnd),
    /// Somebody else has the task by now, or it is over: what this run learned will be learned again.
    Lost,
}

/// What a run learned.
enum News {
    /// The payment needs nothing of this any more.
    Nothing,
    Opened(Order),
    Refund(GatewayRefund),
    /// What a person wanted to have looked at when it began, and what it shows.
    Look(Vec<Review>, Vec<GatewayPayment>, Vec<GatewayRefund>),
    Failed(GatewayError),
}

/// Claims up to `limit` due tasks and runs them one after another. Gives how each ended. Those that could not be begun within
/// half of their lease are left to whoever claims them next.
pub async fn run_due_tasks(deps: Deps<'_>, limit: u16) -> Result<Vec<(GatewayTask, Ran)>, PortError> {
    let mut ran = Vec::new();
    let begun = deps.clock.now();
    for task in deps.store.claim_tasks(deps.rules.lease, limit).await? {
        if deps.clock.now().duration_since(begun) > deps.rules.lease / 2 {
            break;
        }
        // What can't be noted now is run again when its lease has ended.
        let ended = run_task(deps, &task).await.unwrap_or(Ran::Lost);
        ran.push((task, ended));
    }
    Ok(ran)
}

/// Runs one claimed task. The future may be dropped at any await: the task is due again when its lease ends, and everything
/// asked of the gateway is asked under the same key, and what could have been done is looked for first.
pub async fn run_task(deps: Deps<'_>, task: &GatewayTask) -> Result<Ran, NewsError> {
    let snapshot = deps.store.snapshot(Locator::Id(task.payment), None).await?.undisclosed();
    let news = match snapshot.payment {
        None => News::Nothing,
        // It was begun too often without an end: whatever it is that kills it, it does not get another try.
        Some(_) if task.tries > RetryPolicy::STANDARD.max_retries + 1 => {
            News::Failed(GatewayError::Senseless { reason: "begun too often without an end".to_owned() })
        }
        Some(payment) => match deps.gateway(&payment.gateway) {
            None => News::Failed(GatewayError::Unavailable { reason: "the gateway is not set up".to_owned() }),
            Some(gateway) => match ask(gateway, &payment, task, (deps.rules, deps.clock.now())).await {
                Ok(News::Look(asked, seen, refunds)) => {
                    News::Look(asked, without_claimed(deps, &payment, seen).await?, refunds)
                }
                Ok(news) => news,
                Err(error) => News::Failed(error),
            },
        },
    };
    let context = Context::of_system(CONSUMER, task.correlation_id.clone());
    let end = std::sync::Mutex::new(TaskEnd::Done);
    let noted = note(deps, Locator::Id(task.payment), |snapshot| {
        let now = deps.clock.now();
        let mut changes = PaymentChanges { effects: Effects::default(), ..PaymentChanges::default() };
        let ended = match snapshot.payment {
            None => TaskEnd::Done,
            Some(before) => {
                let mut progress = Progress::of(before.clone(), deps.rules, now);
                let ended = take(deps, &mut progress, task, &news, now);
                update(deps, &context, &before, progress, &mut changes);
                // The running task stands for the next look: it is due again by its own end.
                changes.tasks.retain(|wanted| wanted.key != task.key);
                ended
            }
        };
        changes.ended = Some((task.id, task.claims, ended.clone()));
        if let TaskEnd::Dead { error } = &ended {
            changes.effects.given_up.push(dead_letter(deps, task, error, now));
        }
        if let Ok(mut end) = end.lock() {
            *end = ended;
        }
        Ok(changes)
    });
    match noted.await {
        Ok(Noted::Committed) => Ok(Ran::Ended(end.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner))),
        // A claim that is not ours any more is refused as often as it is tried.
        Ok(Noted::Already) | Err(NewsError::Contended) => Ok(Ran::Lost),
        Err(error) => Err(error),
    }
}

/// Money that is on another payment's books stays there: it was told of before it was known to be this one's, and a person
/// decides about it.
async fn without_claimed(
    deps: Deps<'_>,
    payment: &Payment,
    seen: Vec<GatewayPayment>,
) -> Result<Vec<GatewayPayment>, PortError> {
    let mut ours = Vec::with_capacity(seen.len());
    for seen in seen {
        let known = payment.capture(&seen.reference).is_some();
        let locator = Locator::Capture(&payment.gateway, &seen.reference);
        if known || deps.store.snapshot(locator, None).await?.undisclosed().payment.is_none() {
            ours.push(seen);
        }
    }
    Ok(ours)
}

async fn ask(
    gateway: &dyn PaymentGateway,
    payment: &Payment,
    task: &GatewayTask,
    (rules, now): (&PaymentRules, Timestamp),
) -> Result<News, GatewayError> {
    match &task.kind {
        TaskKind::OpenOrder => {
            let wanted = payment.state == MoneyState::Created && payment.visit.fate == VisitFate::Open;
            let Some(expires_at) = payment.visit.hold_until.filter(|_| wanted) else { return Ok(News::Nothing) };
            let (amount, idempotency_key) = (payment.amount, &*task.idempotency_key());
            let order = NewOrder { payment: payment.id, amount, key: &task.key, idempotency_key, expires_at };
            Ok(News::Opened(gateway.open_order(&order).await?))
        }
        TaskKind::Refund { of } => refund(gateway, payment, task, of).await,
        TaskKind::Poll if !poll_wanted(payment, rules, now) => Ok(News::Nothing),
        TaskKind::Poll => {
            let payments = match payment.order_ref() {
                Some(order) => gateway.order_payments(order).await?,
                None => Vec::new(),
            };
            let mut refunds = Vec::new();
            let open = |step: &RefundStep| !matches!(step, RefundStep::Processed { .. });
            // What a person wants to have looked at may be about any of them.
            let asked: Vec<_> = payment.reviews.iter().filter(|review| review.looking).cloned().collect();
            for capture in &payment.captures {
                if !asked.is_empty() || capture.refund.as_ref().is_some_and(|refund| open(&refund.step)) {
                    refunds.extend(gateway.refunds_of(&capture.reference).await?);
                }
            }
            Ok(News::Look(asked, payments, refunds))
        }
    }
}

async fn refund(
    gateway: &dyn PaymentGateway,
    payment: &Payment,
    task: &GatewayTask,
    of: &GatewayPaymentRef,
) -> Result<News, GatewayError> {
    let decided = payment.capture(of).and_then(|(index, capture)| Some((index, capture.refund.as_ref()?)));
    let wanted = decided.filter(|(index, refund)| {
        refund.step == RefundStep::Asked && payment.refund_key(*index, refund.round) == task.key
    });
    let Some((index, wanted)) = wanted else { return Ok(News::Nothing) };
    if task.claims > 1 || wanted.round > 0 {
        // It may have been done, by a run whose end nobody noted or in an earlier round: look before asking again.
        let known = |seen: &GatewayRefund| {
            let of_a_round = |round| seen.key.as_deref() == Some(&*payment.refund_key(index, round));
            let failed = matches!(seen.state, crate::model::RefundState::Failed { .. });
            let returned = wanted.returned.contains(&seen.reference);
            !returned && (0..=wanted.round).any(of_a_round) && (!failed || of_a_round(wanted.round))
        };
        let refunds = gateway.refunds_of(of).await.map_err(|error| match error {
            // The look is refused, not the refund: that may have been done, and whoever is asked about it now would pay it out twice.
            GatewayError::Rejected { code } => GatewayError::Senseless { reason: format!("it refuses a look: {code}") },
            error => error,
        })?;
        if let Some(done) = refunds.into_iter().find(known) {
            return Ok(News::Refund(done));
        }
    }
    let (amount, key, idempotency_key) = (wanted.amount, &*task.key, &*task.idempotency_key());
    let made = gateway.refund(&NewRefund { payment: payment.id, of, amount, key, idempotency_key }).await?;
    // The answer to our key is ours, whether or not the gateway says the key again.
    Ok(News::Refund(GatewayRefund { key: Some(key.to_owned()), ..made }))
}

/// Takes over what a run learned, and says how the task ends.
fn take(deps: Deps<'_>, progress: &mut Progress, task: &GatewayTask, news: &News, now: Timestamp) -> TaskEnd {
    let evidence = &Evidence::Answer;
    match news {
        // A person may have asked for a look while this run found that none is wanted.
        News::Nothing if task.kind == TaskKind::Poll && is_looked_for(&progress.payment) => {
            return TaskEnd::Again { at: now };
        }
        News::Nothing => return TaskEnd::Done,
        News::Opened(order) => progress.order_opened(order.clone(), evidence),
        News::Refund(seen) => progress.see_refund(seen, evidence),
        News::Look(asked, payments, refunds) => {
            progress.look(asked, payments, refunds, evidence);
            if is_looked_for(&progress.payment) {
                return TaskEnd::Again { at: now };
            }
            let next = next_poll(&progress.payment, deps.rules, now);
            return next.map_or(TaskEnd::Done, |at| TaskEnd::Again { at });
        }
        News::Failed(error) => return failed(deps, progress, task, error, now),
    }
    TaskEnd::Done
}

/// Whether a person waits for a look.
fn is_looked_for(payment: &Payment) -> bool {
    payment.reviews.iter().any(|review| review.looking)
}

/// What a failure means: for good, later, or when the gateway is back.
fn failed(
    deps: Deps<'_>,
    progress: &mut Progress,
    task: &GatewayTask,
    error: &GatewayError,
    now: Timestamp,
) -> TaskEnd {
    let text = error.to_string();
    match error {
        GatewayError::Rejected { code } => {
            give_up(progress, task, code);
            match task.kind {
                // A look that is refused is a defect, or a key that is wrong, and so is an order: the patient is told that it
                // could not be paid, and whoever runs the place why. Both are kept for a person.
                TaskKind::Poll | TaskKind::OpenOrder => TaskEnd::Dead { error: text },
                // Refused is an answer here: it is before a person as a case.
                TaskKind::Refund { .. } => TaskEnd::Done,
            }
        }
        GatewayError::Unavailable { .. } => match slow_lane(deps, task, now) {
            Some(at) => TaskEnd::Wait { at, error: text },
            None => {
                give_up(progress, task, "gateway_away");
                TaskEnd::Dead { error: text }
            }
        },
        GatewayError::Spent { .. } => match slow_lane(deps, task, now) {
            Some(at) => TaskEnd::Renew { at, error: text },
            None => {
                give_up(progress, task, "gateway_away");
                TaskEnd::Dead { error: text }
            }
        },
        GatewayError::Limited { .. } | GatewayError::Unknown { .. } | GatewayError::Senseless { .. } => {
            let asked = match error {
                GatewayError::Limited { retry_after } => retry_after.unwrap_or(Duration::ZERO),
                _ => Duration::ZERO,
            };
            let rest = || slow_lane(deps, task, now).filter(|_| matches!(error, GatewayError::Unknown { .. }));
            match RetryPolicy::STANDARD.delay(task.tries, |bound| deps.ids.below(bound)) {
                Some(delay) => {
                    let wait = SignedDuration::try_from(delay.max(asked)).unwrap_or(SignedDuration::MAX);
                    TaskEnd::Retry { at: later(now, wait), error: text }
                }
                None => match rest() {
                    Some(at) => TaskEnd::Rest { at, error: text },
                    None => {
                        give_up(progress, task, "gave_up");
                        TaskEnd::Dead { error: text }
                    }
                },
            }
        }
    }
}

/// When to ask a gateway again that can't do anything now; nothing when it has been waited for as long as it may. A look may wait for
/// ever: what it would see is asked for by other deadlines, or by nobody.
fn slow_lane(deps: Deps<'_>, task: &GatewayTask, now: Timestamp) -> Option<Timestamp> {
    let patient = task.kind == TaskKind::Poll || now < task.created_at + deps.rules.patience;
    patient.then(|| {
        let (least, most) = deps.rules.slow_lane;
        let spread = u64::try_from((most - least).as_millis()).unwrap_or(0);
        let jitter = i64::try_from(deps.ids.below(spread + 1)).unwrap_or(0);
        later(now, least + SignedDuration::from_millis(jitter))
    })
}

fn later(now: Timestamp, wait: SignedDuration) -> Timestamp {
    now.checked_add(wait).unwrap_or(Timestamp::MAX)
}

/// Kept in the same commit: nothing is both given up and unknown to whoever must look at it.
fn dead_letter(deps: Deps<'_>, task: &GatewayTask, error: &str, now: Timestamp) -> GivenUp {
    GivenUp {
        id: DeadLetterId::from_uuid(deps.ids.uuid_v7(now)),
        source: DeadSource::GatewayTask,
        consumer: CONSUMER,
        subject: task.id.as_uuid(),
        kind: task.kind.as_str().to_owned(),
        payload: serde_json::json!({ "payment_id": task.payment, "key": task.key, "task": task.kind }),
        error: error.to_owned(),
        attempts: task.tries,
        correlation_id: task.correlation_id.clone(),
        first_failed_at: None,
        at: now,
    }
}

/// The payment does without what the task was to do.
fn give_up(progress: &mut Progress, task: &GatewayTask, code: &str) {
    let evidence = &Evidence::Answer;
    match &task.kind {
        TaskKind::OpenOrder => progress.order_refused(code, evidence),
        TaskKind::Refund { of } => {
            let ours =
                progress.payment.capture(of).and_then(|(index, capture)| Some((index, capture.refund.as_ref()?.round)));
            if let Some((index, round)) = ours
                && progress.payment.refund_key(index, round) == task.key
            {
                progress.refund_failed(index, code, evidence);
            }
        }
        TaskKind::Poll => progress.look_failed(evidence),
    }
}

//! What is due is sent.

use super::Deps;
use crate::{
    ScheduledMessage, SkipReason,
    model::{AfterFailure, Decision, FailureClass, after_failure, decide_at_send, render},
    ports::{MailError, Settled, Watch},
};
use amrutam_kernel::PortError;
use futures::{FutureExt, StreamExt, stream};
use jiff::{SignedDuration, Timestamp};

/// How many messages are under way at one time: what they read and note together is one statement for all.
pub const CONCURRENT_SENDS: u16 = 16;

/// Bound on one call of the mailer, which it keeps by itself.
pub const SEND_BUDGET: SignedDuration = SignedDuration::from_secs(20);

/// For what is done beside the sends: the way of the claim, two reads a message. Who needs longer does not send.
const BESIDE_SENDS: SignedDuration = SignedDuration::from_secs(10);

/// The lease of a claim of `limit` messages: 30 s when they go out all at once. So long does a message wait whose worker
/// has died.
pub fn lease_for(limit: u16) -> SignedDuration {
    let rounds = limit.div_ceil(CONCURRENT_SENDS).max(1);
    SEND_BUDGET.saturating_mul(i32::from(rounds)).saturating_add(BESIDE_SENDS)
}

/// What became of one claim's messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DeliverySummary {
    /// Claimed. When it equals the limit, more may be due.
    pub claimed: usize,
    /// Taken by the mail server.
    pub sent: usize,
    /// Not true any more.
    pub skipped: usize,
    /// To be tried again.
    pub retried: usize,
    /// Not to be tried again.
    pub gave_up: usize,
    /// Not settled, because the lease ran out or the store was away: claimed again when the lease is over.
    pub unsettled: usize,
}

/// Claims up to `limit` due messages, decides on each from the current state, sends what is true, and notes the outcome.
///
/// Sent once; at most once more when the process dies between sending and settling, or the answer of the store is lost, and
/// at most once more when the mail server's answer is. Fails only when nothing could be claimed: what goes wrong with one message is that message's.
pub async fn deliver_due(deps: Deps<'_>, watch: &dyn Watch, limit: u16) -> Result<DeliverySummary, PortError> {
    // Before the store begins to count: by our clock the lease seems to end too early, never too late.
    let now = deps.clock.now();
    let lease = lease_for(limit);
    let claimed = deps.messages.claim_due(lease, limit).await?;
    let mut summary = DeliverySummary { claimed: claimed.len(), ..DeliverySummary::default() };
    // A send that could outlive its lease could meet the next claim's send of the same message.
    let last_start = now.checked_add(lease.saturating_sub(SEND_BUDGET)).unwrap_or(Timestamp::MAX);

    let mut outcomes = stream::iter(claimed)
        .map(|message| watch.watch(&message.clone(), deliver(deps, message, last_start).boxed()))
        .buffer_unordered(usize::from(CONCURRENT_SENDS));
    while let Some(outcome) = outcomes.next().await {
        let counter = match outcome {
            Some(Settled::Sent { .. }) => &mut summary.sent,
            Some(Settled::Skipped { .. }) => &mut summary.skipped,
            Some(Settled::RetryAt { .. } | Settled::MaybeSent { .. }) => &mut summary.retried,
            Some(Settled::GaveUp { .. }) => &mut summary.gave_up,
            None => &mut summary.unsettled,
        };
        *counter += 1;
    }
    Ok(summary)
}

/// What was noted about the message, if anything was.
async fn deliver(deps: Deps<'_>, message: ScheduledMessage, last_start: Timestamp) -> Option<Settled> {
    if deps.clock.now() > last_start {
        return None;
    }
    let settled = attempt(deps, &message, last_start).await?;
    match deps.messages.settle(message.id, message.attempts, settled.clone()).await {
        Ok(true) => Some(settled),
        Ok(false) | Err(_) => None,
    }
}

/// Nothing when it came too late to send.
async fn attempt(deps: Deps<'_>, message: &ScheduledMessage, last_start: Timestamp) -> Option<Settled> {
    let failed = |class, error| {
        let now = deps.clock.now();
        match after_failure(message, class, now, |bound| deps.ids.below(bound)) {
            AfterFailure::RetryAt(at) if class == FailureClass::Unknown => Settled::MaybeSent { at, error },
            AfterFailure::RetryAt(at) => Settled::RetryAt { at, error },
            AfterFailure::GiveUp => Settled::GaveUp { error, at: now },
        }
    };
    let settled = match send(deps, message, last_start).await {
        Ok(None) => Settled::Sent { at: deps.clock.now() },
        Ok(Some(reason)) => Settled::Skipped { reason, at: deps.clock.now() },
        Err(SendError::Late) => return None,
        Err(SendError::Port(error)) => failed(FailureClass::Transient, format!("{error}: {}", error.reason())),
        Err(SendError::Mail(MailError::Transient(reason))) => failed(FailureClass::Transient, reason),
        Err(SendError::Mail(MailError::Unknown(reason))) => failed(FailureClass::Unknown, reason),
        Err(SendError::Mail(MailError::Permanent(reason))) => failed(FailureClass::Permanent, reason),
    };
    Some(settled)
}

enum SendError {
    /// The send could outlive the lease.
    Late,
    Port(PortError),
    Mail(MailError),
}

/// Nothing when it was sent; else why it was not.
async fn send(
    deps: Deps<'_>,
    message: &ScheduledMessage,
    last_start: Timestamp,
) -> Result<Option<SkipReason>, SendError> {
    let visit = match message.consultation {
        Some(id) => deps.visits.visit(id).await.map_err(SendError::Port)?,
        None => None,
    };
    let letter = match decide_at_send(message, visit.as_ref(), deps.clock.now()) {
        Decision::Send(letter) => letter,
        Decision::Skip(reason) => return Ok(Some(reason)),
    };
    let Some(contact) = deps.contacts.contact(message.recipient).await.map_err(SendError::Port)? else {
        return Ok(Some(SkipReason::RecipientGone));
    };
    let mail = render(&letter, message, &contact, deps.pages);
    // The reads may have taken long.
    if deps.clock.now() > last_start {
        return Err(SendError::Late);
    }
    deps.mailer.send(&mail).await.map_err(SendError::Mail)?;
    Ok(None)
}

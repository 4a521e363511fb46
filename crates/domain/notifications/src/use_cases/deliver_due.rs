//! What is due is sent.

use super::Deps;
use crate::{
    Channel, Contact, ScheduledMessage, SkipReason, VisitFacts,
    model::{AfterFailure, Decision, FailureClass, after_failure, decide_at_send, give_up_at, render, render_sms},
    ports::{MailError, Settled, SmsError, Watch},
};
use amrutam_kernel::{AuditEntry, AuditEntryId, Context, Outcome, PortError, Unrecorded};
use futures::{FutureExt, StreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// How many messages are under way at one time: what they read and note together is one statement for all.
pub const CONCURRENT_SENDS: u16 = 32;

/// Bound on one call of whoever takes the message, which it keeps by itself.
pub const SEND_BUDGET: SignedDuration = SignedDuration::from_secs(20);

/// The system's part that sends.
const SENDER: &str = "message-sender";

/// For what is done beside the sends: the way of the claim, two reads and an entry on the record a message. Who needs longer does not send.
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
    /// Taken by the mail server, or by who carries texts.
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
/// at most once more when the other side's answer is. Fails only when nothing could be claimed: what goes wrong with one message is that message's.
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
    Some(match send(deps, message, last_start).await {
        Ok(None) => Settled::Sent { at: deps.clock.now() },
        Ok(Some(reason)) => Settled::Skipped { reason, at: deps.clock.now() },
        Err(SendError::Late) => return None,
        Err(SendError::Failed(failure)) => failed(deps, message, failure),
    })
}

fn failed(deps: Deps<'_>, message: &ScheduledMessage, failure: Failure) -> Settled {
    let Failure { class, error, retry_after } = failure;
    let now = deps.clock.now();
    let wait = SignedDuration::try_from(retry_after).unwrap_or(SignedDuration::MAX);
    let asked = now.checked_add(wait).unwrap_or(Timestamp::MAX);
    match after_failure(message, class, now, |bound| deps.ids.below(bound)) {
        AfterFailure::RetryAt(_) if asked >= give_up_at(message) => Settled::GaveUp { error, at: now },
        AfterFailure::RetryAt(at) if class == FailureClass::Unknown => Settled::MaybeSent { at: at.max(asked), error },
        AfterFailure::RetryAt(at) => Settled::RetryAt { at: at.max(asked), error },
        AfterFailure::GiveUp => Settled::GaveUp { error, at: now },
    }
}

enum SendError {
    /// The send could outlive the lease.
    Late,
    Failed(Failure),
}

struct Failure {
    class: FailureClass,
    error: String,
    /// How long the other side asks to be left alone.
    retry_after: Duration,
}

impl Failure {
    fn new(class: FailureClass, error: String) -> Self {
        Self { class, error, retry_after: Duration::ZERO }
    }
}

impl From<PortError> for SendError {
    fn from(error: PortError) -> Self {
        let text = format!("{error}: {}", error.reason());
        Self::Failed(Failure::new(FailureClass::Transient, text))
    }
}

impl From<MailError> for SendError {
    fn from(error: MailError) -> Self {
        Self::Failed(match error {
            MailError::Transient(reason) => Failure::new(FailureClass::Transient, reason),
            MailError::Unknown(reason) => Failure::new(FailureClass::Unknown, reason),
            MailError::Permanent(reason) => Failure::new(FailureClass::Permanent, reason),
        })
    }
}

impl From<SmsError> for SendError {
    fn from(error: SmsError) -> Self {
        Self::Failed(match error {
            SmsError::Transient { reason, retry_after } => {
                let retry_after = retry_after.unwrap_or_default();
                Failure { retry_after, ..Failure::new(FailureClass::Transient, reason) }
            }
            SmsError::Unknown(reason) => Failure::new(FailureClass::Unknown, reason),
            SmsError::Permanent(reason) => Failure::new(FailureClass::Permanent, reason),
        })
    }
}

/// Nothing when it was sent; else why it was not.
async fn send(
    deps: Deps<'_>,
    message: &ScheduledMessage,
    last_start: Timestamp,
) -> Result<Option<SkipReason>, SendError> {
    let visit = match message.consultation {
        Some(id) => deps.visits.visit(id).await?,
        None => None,
    };
    let letter = match decide_at_send(message, visit.as_ref(), deps.clock.now()) {
        Decision::Send(letter) => letter,
        Decision::Skip(reason) => return Ok(Some(reason)),
    };
    let Some(contact) = deps.contacts.contact(message.recipient).await? else {
        return Ok(Some(SkipReason::RecipientGone));
    };
    if let Some(reason) = unsendable(deps, message, visit.as_ref(), &contact) {
        return Ok(Some(reason));
    }
    // Whoever carries it is told nothing of whom it is to before that is on the record.
    let contact = contact.release(deps.trail, vec![opened(deps, message)]).await?;
    // The reads may have taken long.
    if deps.clock.now() > last_start {
        return Err(SendError::Late);
    }
    match message.channel {
        Channel::Mail => {
            deps.mailer.send(&render(&letter, message, &contact, deps.pages)).await?;
            Ok(None)
        }
        Channel::Sms => text(deps, message, visit.as_ref(), &contact).await,
    }
}

/// Why it can't be sent that way to that person, if it can't.
fn unsendable(
    deps: Deps<'_>,
    message: &ScheduledMessage,
    visit: Option<&VisitFacts>,
    contact: &Unrecorded<Contact>,
) -> Option<SkipReason> {
    match (message.channel, deps.texts, visit) {
        (Channel::Mail, ..) => None,
        (Channel::Sms, None, _) => Some(SkipReason::ChannelOff),
        (Channel::Sms, _, None) => Some(SkipReason::VisitGone),
        (Channel::Sms, Some(texts), Some(visit)) => contact
            .judge(|contact| render_sms(message, visit, contact, texts.templates).is_none())
            .then_some(SkipReason::NoPhone),
    }
}

/// How its recipient is reached is read, to be given to whoever carries it.
fn opened(deps: Deps<'_>, message: &ScheduledMessage) -> AuditEntry {
    let now = deps.clock.now();
    let id = AuditEntryId::from_uuid(deps.ids.uuid_v7(now));
    let context = Context::of_system(SENDER, message.correlation_id.clone());
    let account = message.recipient.to_string();
    AuditEntry::new(id, now, &context, "contact.read", "account", account, Outcome::Allowed).about(message.recipient)
}

async fn text(
    deps: Deps<'_>,
    message: &ScheduledMessage,
    visit: Option<&VisitFacts>,
    contact: &Contact,
) -> Result<Option<SkipReason>, SendError> {
    let Some(texts) = deps.texts else { return Ok(Some(SkipReason::ChannelOff)) };
    let Some(visit) = visit else { return Ok(Some(SkipReason::VisitGone)) };
    let Some(sms) = render_sms(message, visit, contact, texts.templates) else { return Ok(Some(SkipReason::NoPhone)) };
    texts.sender.send(&sms).await?;
    Ok(None)
}

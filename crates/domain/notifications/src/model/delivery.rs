//! When a send that failed is tried again, and when no more.

use super::decision::link_works_until;
use crate::ScheduledMessage;
use amrutam_kernel::RetryPolicy;
use jiff::{SignedDuration, Timestamp};

/// How a send failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureClass {
    /// The same message may be taken later.
    Transient,
    /// The same message may have been taken.
    Unknown,
    /// The same message will never be taken.
    Permanent,
}

/// What becomes of a message that could not be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterFailure {
    /// Not before this.
    RetryAt(Timestamp),
    /// It is kept with its error for a person to look at.
    GiveUp,
}

const PATIENCE: SignedDuration = SignedDuration::from_hours(24);
const SLOW_LANE: SignedDuration = SignedDuration::from_mins(2);
/// With the half minute for which a mail server that came back may still be left alone, below 5 minutes in all.
const SLOW_LANE_JITTER_MS: u64 = 120_000;

/// From when on a message is not tried again: 24 hours after it was due; for a reminder, the visit's start; for a link, its
/// end when that is sooner.
pub fn give_up_at(message: &ScheduledMessage) -> Timestamp {
    let patience = message.due_at.checked_add(PATIENCE).unwrap_or(Timestamp::MAX);
    match message.slot_starts_at {
        Some(start) if message.kind.is_reminder() => start,
        _ => message.kind.link_purpose().map_or(patience, |purpose| link_works_until(message, purpose).min(patience)),
    }
}

/// The standard ladder first, for a hiccup; then every 2 to 4 minutes, for an outage, so that a message is at most 5
/// minutes late once the mail server is back. A mail that may have been taken is sent once more, and never a third time.
/// `below(n)` gives a number in `0..n`.
///
/// ```
/// # use amrutam_kernel::{AccountId, CorrelationId, MessageId};
/// # use amrutam_notifications::{Channel, MessageKind, ScheduledMessage};
/// # use amrutam_notifications::model::{AfterFailure, FailureClass, after_failure};
/// # let id = "01890a5d-ac96-774b-bcce-b302099a8057";
/// # let due_at = "2026-08-03T05:00:00Z".parse::<jiff::Timestamp>()?;
/// let message = ScheduledMessage {
///     kind: MessageKind::BookingCancelled,
///     channel: Channel::Mail,
///     due_at,
///     attempts: 1,
///     // ...
/// #   maybe_sent: false, id: id.parse::<MessageId>()?, dedupe_key: String::new(), recipient: id.parse::<AccountId>()?, consultation: None,
/// #   slot_starts_at: None, link: None, correlation_id: "c".parse::<CorrelationId>()?, trace_parent: None,
/// };
/// let longest = |bound: u64| bound - 1;
/// let retry = after_failure(&message, FailureClass::Transient, due_at, longest);
/// assert_eq!(retry, AfterFailure::RetryAt("2026-08-03T05:00:00.5Z".parse()?));
/// assert_eq!(after_failure(&message, FailureClass::Permanent, due_at, longest), AfterFailure::GiveUp);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn after_failure(
    message: &ScheduledMessage,
    class: FailureClass,
    now: Timestamp,
    below: impl Fn(u64) -> u64,
) -> AfterFailure {
    let ladder = match class {
        FailureClass::Permanent => return AfterFailure::GiveUp,
        FailureClass::Unknown if message.maybe_sent => return AfterFailure::GiveUp,
        // Not at once: a server that is still busy with the first copy can then see that the second is the same.
        FailureClass::Unknown => {
            RetryPolicy::STANDARD.delay(RetryPolicy::STANDARD.max_retries, |bound| bound / 2 + below(bound / 2))
        }
        FailureClass::Transient => RetryPolicy::STANDARD.delay(message.attempts.max(1), &below),
    };
    let delay = ladder.and_then(|delay| SignedDuration::try_from(delay).ok()).unwrap_or_else(|| {
        let jitter = i64::try_from(below(SLOW_LANE_JITTER_MS + 1)).unwrap_or(0);
        SLOW_LANE.saturating_add(SignedDuration::from_millis(jitter))
    });
    match now.checked_add(delay) {
        Ok(at) if at < give_up_at(message) => AfterFailure::RetryAt(at),
        Ok(_) | Err(_) => AfterFailure::GiveUp,
    }
}

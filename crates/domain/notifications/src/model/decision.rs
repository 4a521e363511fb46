//! Whether a message is still true when its time has come.

use crate::{MessageKind, ScheduledMessage, VisitFacts, VisitStatus, model::Letter};
use amrutam_kernel::LinkPurpose;
use jiff::{SignedDuration, Timestamp};

/// Why a message is not sent, and never will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SkipReason {
    /// The visit is not known any more.
    VisitGone,
    /// It speaks of a visit as certain, and the visit is not confirmed (any more).
    NotConfirmed,
    /// It speaks of a start that is not the visit's start any more.
    Moved,
    /// It reminds of a visit that has started.
    Started,
    /// It reminds a day ahead, and the reminder of the last hour is due by now.
    Overtaken,
    /// It speaks of a cancellation, and the visit is not cancelled.
    NotCancelled,
    /// It speaks of a slot that was lost for want of payment, and the visit is not expired (any more).
    NotExpired,
    /// There is nobody to send it to.
    RecipientGone,
    /// Its link does not work any more.
    LinkGone,
    /// They have no telephone that a text can be sent to.
    NoPhone,
    /// Its channel is not set up (any more).
    ChannelOff,
}

impl SkipReason {
    /// The word used in tables and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::VisitGone => "visit_gone",
            Self::NotConfirmed => "not_confirmed",
            Self::Moved => "moved",
            Self::Started => "started",
            Self::Overtaken => "overtaken",
            Self::NotCancelled => "not_cancelled",
            Self::NotExpired => "not_expired",
            Self::RecipientGone => "recipient_gone",
            Self::LinkGone => "link_gone",
            Self::NoPhone => "no_phone",
            Self::ChannelOff => "channel_off",
        }
    }
}

/// How long before a visit its first reminder is due.
pub(super) const FIRST_REMINDER: SignedDuration = SignedDuration::from_hours(24);
/// How long before a visit its last reminder is due.
pub(super) const LAST_REMINDER: SignedDuration = SignedDuration::from_hours(1);

/// What becomes of a message whose time has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision<'a> {
    /// It is true: send this.
    Send(Letter<'a>),
    /// It is not.
    Skip(SkipReason),
}

/// Decides from the visit as it is now, not as it was when the message was planned: a visit that was cancelled or moved
/// in between is not reminded of.
pub fn decide_at_send<'a>(message: &ScheduledMessage, visit: Option<&'a VisitFacts>, now: Timestamp) -> Decision<'a> {
    let letter: fn(&'a VisitFacts) -> Letter<'a> = match message.kind {
        MessageKind::BookingConfirmed => Letter::BookingConfirmed,
        MessageKind::BookingRescheduled => Letter::BookingRescheduled,
        MessageKind::BookingCancelled => Letter::BookingCancelled,
        MessageKind::Reminder24h | MessageKind::Reminder1h => Letter::Reminder,
        MessageKind::PaymentFailed => Letter::PaymentFailed,
        MessageKind::HoldExpired => Letter::HoldExpired,
        MessageKind::LatePayment => Letter::LatePayment,
        MessageKind::RefundMade => Letter::RefundMade,
        MessageKind::RefundMadeInPart => Letter::RefundMadeInPart,
        MessageKind::PaymentReturned => Letter::PaymentReturned,
        MessageKind::RegistrationRepeated => return Decision::Send(Letter::RegistrationRepeated),
        MessageKind::PasswordChanged => return Decision::Send(Letter::PasswordChanged),
        MessageKind::SecondFactorChanged => return Decision::Send(Letter::SecondFactorChanged),
        MessageKind::SessionRevoked => return Decision::Send(Letter::SessionRevoked),
        MessageKind::RecordOpened => return Decision::Send(Letter::RecordOpened),
        MessageKind::VerifyEmail => return with_link(message, LinkPurpose::VerifyEmail, now),
        MessageKind::ResetPassword => return with_link(message, LinkPurpose::ResetPassword, now),
        MessageKind::Invitation => return with_link(message, LinkPurpose::Invitation, now),
    };
    let Some(visit) = visit else {
        return Decision::Skip(SkipReason::VisitGone);
    };
    let untrue = match message.kind {
        MessageKind::BookingCancelled | MessageKind::PaymentFailed => {
            (visit.status != VisitStatus::Cancelled).then_some(SkipReason::NotCancelled)
        }
        // Money that came late may have brought the slot back.
        MessageKind::HoldExpired | MessageKind::LatePayment => {
            (visit.status != VisitStatus::Expired).then_some(SkipReason::NotExpired)
        }
        // Money that went back does not come again.
        MessageKind::RefundMade | MessageKind::RefundMadeInPart | MessageKind::PaymentReturned => None,
        _ if visit.status != VisitStatus::Confirmed => Some(SkipReason::NotConfirmed),
        _ if message.slot_starts_at != Some(visit.starts_at) => Some(SkipReason::Moved),
        kind if kind.is_reminder() && visit.starts_at <= now => Some(SkipReason::Started),
        // After an outage both would come at once.
        MessageKind::Reminder24h => {
            (visit.starts_at.duration_since(now) <= LAST_REMINDER).then_some(SkipReason::Overtaken)
        }
        _ => None,
    };
    untrue.map_or_else(|| Decision::Send(letter(visit)), Decision::Skip)
}

/// A link that is over by now would only puzzle its reader.
fn with_link<'a>(message: &ScheduledMessage, purpose: LinkPurpose, now: Timestamp) -> Decision<'a> {
    match message.link.filter(|_| link_works_until(message, purpose) > now) {
        Some(link) => Decision::Send(Letter::Link(purpose, link)),
        None => Decision::Skip(SkipReason::LinkGone),
    }
}

/// Messages with links are due when their link is made.
pub(super) fn link_works_until(message: &ScheduledMessage, purpose: LinkPurpose) -> Timestamp {
    message.due_at.checked_add(purpose.lifetime()).unwrap_or(Timestamp::MAX)
}

//! The message itself: to whom, about what, when. What it says is decided when it is sent.

use amrutam_kernel::{AccountId, ConsultationId, CorrelationId, LinkId, LinkPurpose, MessageId, TraceParent};
use jiff::Timestamp;
use std::{fmt, str::FromStr};

/// What a message is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageKind {
    /// The visit is certain.
    BookingConfirmed,
    /// The visit has moved.
    BookingRescheduled,
    /// The visit will not take place.
    BookingCancelled,
    /// The visit is tomorrow.
    Reminder24h,
    /// The visit is within the hour.
    Reminder1h,
    /// The visit could not be paid, and its slot is open to others.
    PaymentFailed,
    /// The visit was not paid in time, and its slot is open to others.
    HoldExpired,
    /// Money came after the slot had gone to another.
    LatePayment,
    /// All that was paid for the visit went back.
    RefundMade,
    /// A part of it went back.
    RefundMadeInPart,
    /// A payment that was one too many, or not of the right amount, went back.
    PaymentReturned,
    /// Somebody registered with this person's address.
    RegistrationRepeated,
    /// The address is to be verified.
    VerifyEmail,
    /// The password is forgotten.
    ResetPassword,
    /// The person is invited.
    Invitation,
    /// The password has changed.
    PasswordChanged,
    /// The second factor has changed.
    SecondFactorChanged,
    /// A session was ended because a spent refresh token came back.
    SessionRevoked,
    /// The person's record was opened in an emergency.
    RecordOpened,
}

/// The way a message takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Channel {
    /// To their e-mail address.
    #[default]
    Mail,
    /// To their telephone.
    Sms,
}

/// Not a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a channel")]
pub struct UnknownChannel;

impl Channel {
    /// Every channel.
    pub const ALL: [Self; 2] = [Self::Mail, Self::Sms];

    /// The word used in tables, metrics, logs, and for whose work it is among the dead letters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mail => "mail",
            Self::Sms => "sms",
        }
    }
}

impl FromStr for Channel {
    type Err = UnknownChannel;
    fn from_str(word: &str) -> Result<Self, UnknownChannel> {
        Self::ALL.into_iter().find(|channel| channel.as_str() == word).ok_or(UnknownChannel)
    }
}

/// Not a kind of message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a kind of message")]
pub struct UnknownKind;

impl MessageKind {
    /// Every kind.
    pub const ALL: [Self; 19] = [
        Self::BookingConfirmed,
        Self::BookingRescheduled,
        Self::BookingCancelled,
        Self::Reminder24h,
        Self::Reminder1h,
        Self::PaymentFailed,
        Self::HoldExpired,
        Self::LatePayment,
        Self::RefundMade,
        Self::RefundMadeInPart,
        Self::PaymentReturned,
        Self::RegistrationRepeated,
        Self::VerifyEmail,
        Self::ResetPassword,
        Self::Invitation,
        Self::PasswordChanged,
        Self::SecondFactorChanged,
        Self::SessionRevoked,
        Self::RecordOpened,
    ];

    /// The word used in tables, metrics and dedupe keys.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BookingConfirmed => "booking_confirmed",
            Self::BookingRescheduled => "booking_rescheduled",
            Self::BookingCancelled => "booking_cancelled",
            Self::Reminder24h => "reminder_24h",
            Self::Reminder1h => "reminder_1h",
            Self::PaymentFailed => "payment_failed",
            Self::HoldExpired => "hold_expired",
            Self::LatePayment => "late_payment",
            Self::RefundMade => "refund_made",
            Self::RefundMadeInPart => "refund_made_in_part",
            Self::PaymentReturned => "payment_returned",
            Self::RegistrationRepeated => "registration_repeated",
            Self::VerifyEmail => "verify_email",
            Self::ResetPassword => "reset_password",
            Self::Invitation => "invitation",
            Self::PasswordChanged => "password_changed",
            Self::SecondFactorChanged => "second_factor_changed",
            Self::SessionRevoked => "session_revoked",
            Self::RecordOpened => "record_opened",
        }
    }

    /// Whether it is worthless once the visit has started.
    pub const fn is_reminder(self) -> bool {
        matches!(self, Self::Reminder24h | Self::Reminder1h)
    }

    /// What its link is for, when it carries one.
    pub const fn link_purpose(self) -> Option<LinkPurpose> {
        match self {
            Self::VerifyEmail => Some(LinkPurpose::VerifyEmail),
            Self::ResetPassword => Some(LinkPurpose::ResetPassword),
            Self::Invitation => Some(LinkPurpose::Invitation),
            Self::BookingConfirmed
            | Self::BookingRescheduled
            | Self::BookingCancelled
            | Self::Reminder24h
            | Self::Reminder1h
            | Self::PaymentFailed
            | Self::HoldExpired
            | Self::LatePayment
            | Self::RefundMade
            | Self::RefundMadeInPart
            | Self::PaymentReturned
            | Self::RegistrationRepeated
            | Self::PasswordChanged
            | Self::SecondFactorChanged
            | Self::SessionRevoked
            | Self::RecordOpened => None,
        }
    }
}

impl fmt::Display for MessageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for MessageKind {
    type Err = UnknownKind;
    fn from_str(word: &str) -> Result<Self, UnknownKind> {
        Self::ALL.into_iter().find(|k| k.as_str() == word).ok_or(UnknownKind)
    }
}

/// A message that waits to be sent. It holds ids and times only: names, addresses, numbers and links are
/// read and made when it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduledMessage {
    /// Its id, from which its Message-ID is made: two sends of one message can be told to be one.
    pub id: MessageId,
    /// What it is for.
    pub kind: MessageKind,
    /// Which way it takes.
    pub channel: Channel,
    /// Unique among all messages: planning twice adds nothing.
    pub dedupe_key: String,
    /// Whom it is for.
    pub recipient: AccountId,
    /// The visit it speaks of.
    pub consultation: Option<ConsultationId>,
    /// The start of the visit it speaks of.
    pub slot_starts_at: Option<Timestamp>,
    /// The one-time link it carries: the id alone, from which the link is made when the message is sent.
    pub link: Option<LinkId>,
    /// Not before.
    pub due_at: Timestamp,
    /// How often it has been claimed, this time included; 0 when planned.
    pub attempts: u32,
    /// Whether the other side may have taken it in an earlier attempt.
    pub maybe_sent: bool,
    /// The flow it belongs to.
    pub correlation_id: CorrelationId,
    /// The trace it belongs to.
    pub trace_parent: Option<TraceParent>,
}

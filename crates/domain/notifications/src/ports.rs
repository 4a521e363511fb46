//! What the domain needs from the world.

use crate::{Contact, Mail, ScheduledMessage, SkipReason, Sms, VisitFacts};
use amrutam_kernel::{AccountId, CommitError, ConsultationId, Effects, MessageId, PortError, Unrecorded};
use async_trait::async_trait;
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// The mail server, or who carries texts, took it.
    Sent {
        /// When.
        at: Timestamp,
    },
    /// It was not true any more.
    Skipped {
        /// Why.
        reason: SkipReason,
        /// When.
        at: Timestamp,
    },
    /// It is due again.
    RetryAt {
        /// When.
        at: Timestamp,
        /// What went wrong, without personal data.
        error: String,
    },
    /// Nobody knows whether the other side took it: it is due once more, and remembers that it may have been sent.
    MaybeSent {
        /// When it is due.
        at: Timestamp,
        /// What went wrong, without personal data.
        error: String,
    },
    /// It will not be tried again, and is kept for a person to look at.
    GaveUp {
        /// What went wrong, without personal data.
        error: String,
        /// When.
        at: Timestamp,
    },
}

/// Where messages wait.
#[async_trait]
pub trait MessageStore: Send + Sync {
    /// Adds the messages and commits the effects in one transaction. A message whose dedupe key is known is left out;
    /// that is no error. So is a text that is due within a minute and whose recipient has no number: it would only be
    /// skipped.
    async fn plan(&self, messages: &[ScheduledMessage], effects: &Effects) -> Result<(), CommitError>;

    /// Claims up to `limit` messages that are due, earliest first, skipping those another claim holds: nobody else gets
    /// them until `lease` has passed. Raises `attempts` of each, and gives the raised number. A message whose lease ran
    /// out without being settled is due again.
    ///
    /// What is due and when a lease ends is told by the store's one clock: those of the workers may differ by more than a
    /// lease. A message that can't be read is settled as given up, and holds up no other.
    async fn claim_due(&self, lease: SignedDuration, limit: u16) -> Result<Vec<ScheduledMessage>, PortError>;

    /// Notes what became of attempt number `attempt`. Says `false`, and notes nothing, when the message has been claimed
    /// again since (its attempts differ) or is settled for good.
    async fn settle(&self, id: MessageId, attempt: u32, settled: Settled) -> Result<bool, PortError>;
}

/// Reads visits, from the primary: the answer decides what is sent.
#[async_trait]
pub trait VisitReader: Send + Sync {
    /// The visit as it is now.
    async fn visit(&self, id: ConsultationId) -> Result<Option<VisitFacts>, PortError>;
}

/// Reads how people are reached.
#[async_trait]
pub trait Contacts: Send + Sync {
    /// How this person is reached now; nothing when the account is gone or closed.
    async fn contact(&self, id: AccountId) -> Result<Option<Unrecorded<Contact>>, PortError>;
}

/// Why a mail was not taken. The reasons are for logs and the store: no address, no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MailError {
    /// The server is away, slow or busy: it has not taken the mail.
    #[error("the mail was not taken this time: {0}")]
    Transient(String),
    /// The mail was handed over whole, and the server's answer is lost: it may have taken it.
    #[error("the mail may have been taken: {0}")]
    Unknown(String),
    /// The server will not take this mail.
    #[error("the mail is refused: {0}")]
    Permanent(String),
}

/// Sends mails.
#[async_trait]
pub trait Mailer: Send + Sync {
    /// Returns when the server has taken the mail, or has not: at the latest when
    /// [`SEND_BUDGET`](crate::use_cases::SEND_BUDGET) has passed.
    async fn send(&self, mail: &Mail) -> Result<(), MailError>;
}

/// Why a text was not taken. The reasons are for logs and the store: no number, no name, no words of the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SmsError {
    /// The provider is away, slow or busy: it has not taken the text.
    #[error("the text was not taken this time: {reason}")]
    Transient {
        /// For logs.
        reason: String,
        /// How long it asks to be left alone.
        retry_after: Option<Duration>,
    },
    /// The text was handed over, and the provider's answer is lost: it may have taken it.
    #[error("the text may have been taken: {0}")]
    Unknown(String),
    /// The provider will not take this text.
    #[error("the text is refused: {0}")]
    Permanent(String),
}

/// Sends texts to telephones.
#[async_trait]
pub trait SmsSender: Send + Sync {
    /// Returns when the provider has taken the text, or has not: at the latest when
    /// [`SEND_BUDGET`](crate::use_cases::SEND_BUDGET) has passed.
    async fn send(&self, sms: &Sms) -> Result<(), SmsError>;
}

/// Sees each delivery, so that it can be traced and told as part of its message's flow.
pub trait Watch: Send + Sync {
    /// Runs `delivery`: one message's reads, its send and its settling. It gives what was noted, if anything was.
    fn watch<'a>(
        &'a self,
        message: &ScheduledMessage,
        delivery: BoxFuture<'a, Option<Settled>>,
    ) -> BoxFuture<'a, Option<Settled>>;
}

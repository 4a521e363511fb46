//! What the domain needs from the world.
//!
//! Every method that writes is one transaction, and takes the effects committed with it. When it says that nothing was
//! stored, neither were its effects.

use crate::model::{Attempts, Code, DeadLetter, HistoryEntry, LetterState, ReviewCase, ReviewState, Subject};
use amrutam_kernel::{
    CommitError, ConsultationId, DeadLetterId, DeadSource, Effects, IdempotencyClaim, Page, PageRequest, PaymentId,
    PortError, Recorded, ReviewCaseId, Unrecorded,
};
use async_trait::async_trait;
use jiff::Timestamp;
use uuid::Uuid;

/// The sort key of a list by time, oldest first.
pub type ByTime<Id> = (Timestamp, Id);

/// What a decision is based on.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot<T> {
    /// The thing itself.
    pub found: T,
    /// What is known of the caller's claim.
    pub recorded: Option<Recorded>,
}

/// Which dead letters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LetterFilter {
    /// In this state.
    pub state: Option<LetterState>,
    /// Of this consumer.
    pub consumer: Option<String>,
    /// Of this kind of work.
    pub source: Option<DeadSource>,
}

/// Which review cases.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReviewFilter {
    /// In this state.
    pub state: Option<ReviewState>,
    /// Of this domain.
    pub kind: Option<Code>,
}

/// A dead letter, new or changed.
#[derive(Debug, Clone, Copy)]
pub struct LetterChange<'a> {
    /// As it becomes. New at version 1; else its version is one above the version the decision was based on.
    pub letter: &'a DeadLetter,
    /// Its work begins again, in the same transaction: an event is handed to the outbox for its consumer alone, a message
    /// is due at once. A gateway's task is made due by its own domain, told by the event among the effects.
    pub requeue: bool,
}

/// Puts on record what changes nothing: reads and denials.
#[async_trait]
pub trait Records: Send + Sync {
    /// Returns when the effects are on record.
    async fn put_on_record(&self, effects: &Effects) -> Result<(), PortError>;
}

/// Where dead letters are kept. Those of tasks come into it with the [`Effects`] that give the task up.
#[async_trait]
pub trait DeadLetterStore: Records {
    /// One of them, and what is known of the claim.
    async fn letter(
        &self,
        id: DeadLetterId,
        claim: Option<&IdempotencyClaim>,
    ) -> Result<Unrecorded<Option<Snapshot<DeadLetter>>>, PortError>;

    /// The one there is of this work.
    async fn letter_about(
        &self,
        source: DeadSource,
        consumer: &str,
        subject: Uuid,
    ) -> Result<Unrecorded<Option<DeadLetter>>, PortError>;

    /// By first death, oldest first.
    async fn letters(
        &self,
        filter: &LetterFilter,
        page: PageRequest<ByTime<DeadLetterId>>,
    ) -> Result<Unrecorded<Page<DeadLetter, ByTime<DeadLetterId>>>, PortError>;

    /// Stores a letter. [`CommitError::Stale`] when there is one of that work already, or when the stored version is not
    /// the one before.
    async fn put_letter(&self, change: LetterChange<'_>, effects: &Effects) -> Result<(), CommitError>;
}

/// Where review cases are kept.
#[async_trait]
pub trait ReviewStore: Records {
    /// One of them, and what is known of the claim.
    async fn review(
        &self,
        id: ReviewCaseId,
        claim: Option<&IdempotencyClaim>,
    ) -> Result<Unrecorded<Option<Snapshot<ReviewCase>>>, PortError>;

    /// By opening, oldest first.
    async fn reviews(
        &self,
        filter: &ReviewFilter,
        page: PageRequest<ByTime<ReviewCaseId>>,
    ) -> Result<Unrecorded<Page<ReviewCase, ByTime<ReviewCaseId>>>, PortError>;

    /// The case about this, for this reason, that is not resolved.
    async fn open_review_about(
        &self,
        subject: &Subject,
        reason: &Code,
    ) -> Result<Unrecorded<Option<ReviewCase>>, PortError>;

    /// Stores a new case and its effects; says `false`, and stores the inbox mark alone, when one that is not resolved
    /// has the same subject and reason.
    async fn open_review(&self, case: &ReviewCase, effects: &Effects) -> Result<bool, CommitError>;

    /// Stores a case's next version. [`CommitError::Stale`] when the stored version is not the one before.
    async fn put_review(&self, case: &ReviewCase, effects: &Effects) -> Result<(), CommitError>;
}

/// Reads what happened to a visit and to a payment.
#[async_trait]
pub trait VisitHistory: Send + Sync {
    /// Its changes, by version; none of a visit that there is not.
    async fn history(&self, id: ConsultationId) -> Result<Unrecorded<Vec<HistoryEntry>>, PortError>;

    /// A payment's steps, by version, and what was asked of its gateway, by beginning; none of a payment that there is not.
    async fn payment_history(&self, id: PaymentId)
    -> Result<Unrecorded<(Vec<HistoryEntry>, Vec<Attempts>)>, PortError>;
}

//! Why something was not done, saying what the caller can do.

use crate::model::{
    AdmissionRefusal, ConsentRefusal, Decision, DependantRefusal, InvalidChange, Missing, NoShowRefusal, NoteRefusal,
    Rule,
};
use amrutam_kernel::{Denial, PortError};
use jiff::Timestamp;

/// An item, or the whole, that can't be signed as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Objection {
    /// JSON Pointer into the draft: `/items/0`, a field of it, or empty for the whole.
    pub pointer: String,
    /// The rule.
    pub rule: Rule,
    /// In a sentence.
    pub reason: String,
    /// Where the rule comes from.
    pub source: String,
    /// An acknowledgement with a reason would do.
    pub answerable: bool,
}

/// Why a clinical use case did nothing.
#[derive(Debug, thiserror::Error)]
pub enum ClinicalError {
    /// Absent, or not this caller's to see.
    #[error("no such visit, record or prescription")]
    NotFound,
    /// The policy says no, which is on the record.
    #[error(transparent)]
    Denied(Denial),
    /// The caller's copy is stale.
    #[error("it has changed since it was read")]
    Precondition,
    /// The caller says not on what it builds.
    #[error("it takes the version that it builds on")]
    PreconditionRequired,
    /// Notes are not written now.
    #[error(transparent)]
    Note(#[from] NoteRefusal),
    /// The consent can't be recorded so.
    #[error(transparent)]
    Consent(#[from] ConsentRefusal),
    /// The adult beside a minor is not named completely.
    #[error("a name, and the last four of an identity document")]
    IncompleteGuardian,
    /// The visit can't begin.
    #[error(transparent)]
    Admission(#[from] AdmissionRefusal),
    /// The absence is not found.
    #[error(transparent)]
    NoShow(#[from] NoShowRefusal),
    /// The people an account keeps stay as they are.
    #[error(transparent)]
    Dependant(#[from] DependantRefusal),
    /// The idempotency claim has an answer already: give that one.
    #[error("the request has been answered before")]
    AlreadyAnswered,
    /// Checking in begins later.
    #[error("too early: possible from {from}")]
    TooEarly {
        /// First instant at which it can be done.
        from: Timestamp,
    },
    /// The visit is over, or never took place.
    #[error("the visit is not open for this")]
    VisitClosed,
    /// The prescription's state has no such arrow.
    #[error(transparent)]
    Change(#[from] InvalidChange),
    /// The prescription must carry more; each is named.
    #[error("{} things are missing", .0.len())]
    Incomplete(Vec<Missing>),
    /// The rules forbid it, or cautions are not answered; each is named.
    #[error("{} rules object", .0.len())]
    Objections(Vec<Objection>),
    /// An item names a code that the formulary in force does not have.
    #[error("item {index} is not in the formulary")]
    UnknownItem {
        /// Which, from 0.
        index: usize,
    },
    /// The document is being made: come back shortly.
    #[error("the document is being made")]
    DocumentAwaited,
    /// The rows are being fought over; try again shortly.
    #[error("too many changes at once")]
    Contended,
    /// Try again shortly.
    #[error(transparent)]
    Port(#[from] PortError),
}

impl ClinicalError {
    /// Whether it was allowed and not done: by what was said, or by the state of things. A denial is on the record by itself, and who
    /// is asked to come back has done nothing yet.
    pub(crate) fn is_failure(&self) -> bool {
        !matches!(
            self,
            Self::Denied(_)
                | Self::NotFound
                | Self::Precondition
                | Self::PreconditionRequired
                | Self::AlreadyAnswered
                | Self::Contended
                | Self::Port(_)
        )
    }
}

impl From<Denial> for ClinicalError {
    /// What is hidden from the caller can't be told from what does not exist.
    fn from(denial: Denial) -> Self {
        match denial {
            Denial::Hidden => Self::NotFound,
            told => Self::Denied(told),
        }
    }
}

/// The objections of a decision on `/items/{index}` that `acknowledged` does not answer.
pub(crate) fn objections(index: usize, decision: &Decision, answered: impl Fn(Rule) -> bool) -> Vec<Objection> {
    let field = |rule| match rule {
        Rule::ItemName => "/name",
        Rule::ItemForm => "/form",
        Rule::ItemCode => "/code",
        _ => "",
    };
    let of = |finding: &crate::model::Finding, answerable| Objection {
        pointer: format!("/items/{index}{}", field(finding.rule)),
        rule: finding.rule,
        reason: finding.reason.clone(),
        source: finding.source.clone(),
        answerable,
    };
    let denials = decision.denials().iter().map(|finding| of(finding, false));
    let cautions = decision.cautions().iter().filter(|finding| !answered(finding.rule));
    denials.chain(cautions.map(|finding| of(finding, true))).collect()
}

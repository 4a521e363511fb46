//! A copy of everything about a person, from its order to its end.

use amrutam_kernel::{AccountId, ExportId};
use jiff::{SignedDuration, Timestamp};
use std::str::FromStr;

/// (ours) How long an archive waits to be taken.
pub const ARCHIVE_LIVES: SignedDuration = SignedDuration::from_hours(24);
/// (ours) How long it may take to make one: longer than every retry of the event that asks for it.
pub const PREPARING_LIVES: SignedDuration = SignedDuration::from_hours(1);
/// (ours) How long a link to it works.
pub const LINK_LIVES: SignedDuration = SignedDuration::from_mins(5);

/// Not a word of that vocabulary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a {0}")]
pub struct UnknownWord(pub &'static str);

/// Why there is no archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureReason {
    /// It would be larger than [`MAX_DOSSIER`](super::MAX_DOSSIER): a person must help.
    TooLarge,
    /// It was not made in time.
    NotMade,
}

impl FailureReason {
    /// The word stored and sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            Self::NotMade => "not_made",
        }
    }
}

impl FromStr for FailureReason {
    type Err = UnknownWord;
    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        [Self::TooLarge, Self::NotMade].into_iter().find(|one| one.as_str() == word).ok_or(UnknownWord("failure"))
    }
}

/// Where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportState {
    /// The worker makes it.
    Preparing,
    /// It waits to be taken.
    Ready {
        /// Of the archive.
        bytes: u64,
        /// SHA-256 of it.
        sha256: [u8; 32],
    },
    /// It was given away, and is no more.
    Downloaded,
    /// Nobody came for it, and it is no more.
    Expired,
    /// There is none.
    Failed(FailureReason),
}

impl ExportState {
    /// The word stored and sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Preparing => "preparing",
            Self::Ready { .. } => "ready",
            Self::Downloaded => "downloaded",
            Self::Expired => "expired",
            Self::Failed(_) => "failed",
        }
    }
}

/// What happens to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The archive is made.
    Made {
        /// Its size.
        bytes: u64,
        /// SHA-256 of it.
        sha256: [u8; 32],
    },
    /// Its owner has it.
    TakenAway,
    /// Its time is over.
    RanOut,
    /// It can't be made.
    GaveUp(FailureReason),
}

/// The state has no such step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an export that is {} is not for this", .0.as_str())]
pub struct InvalidStep(pub ExportState);

/// A copy that somebody has asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    /// Its id.
    pub id: ExportId,
    /// Whose.
    pub account: AccountId,
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// Where it stands.
    pub state: ExportState,
    /// Since when.
    pub changed_at: Timestamp,
    /// Rises by one with each step, from 1.
    pub version: i64,
}

impl Export {
    /// A new one.
    pub const fn new(id: ExportId, account: AccountId, now: Timestamp) -> Self {
        Self { id, account, requested_at: now, state: ExportState::Preparing, changed_at: now, version: 1 }
    }

    /// Whether it is being made or waits. A person has at most one of those.
    pub const fn is_open(&self) -> bool {
        matches!(self.state, ExportState::Preparing | ExportState::Ready { .. })
    }

    /// Until when it is open, when it is.
    pub fn open_until(&self) -> Option<Timestamp> {
        let lives = match self.state {
            ExportState::Preparing => PREPARING_LIVES,
            ExportState::Ready { .. } => ARCHIVE_LIVES,
            ExportState::Downloaded | ExportState::Expired | ExportState::Failed(_) => return None,
        };
        Some(self.changed_at.checked_add(lives).unwrap_or(Timestamp::MAX))
    }

    /// Its next version: the one place that knows which step follows which state.
    pub fn step(&self, step: Step, now: Timestamp) -> Result<Self, InvalidStep> {
        let in_time = self.open_until().is_some_and(|until| now < until);
        let state = match (self.state, step) {
            (ExportState::Preparing, Step::Made { bytes, sha256 }) => ExportState::Ready { bytes, sha256 },
            (ExportState::Preparing, Step::GaveUp(reason)) => ExportState::Failed(reason),
            (ExportState::Preparing, Step::RanOut) if !in_time => ExportState::Failed(FailureReason::NotMade),
            (ExportState::Ready { .. }, Step::TakenAway) if in_time => ExportState::Downloaded,
            (ExportState::Ready { .. }, Step::RanOut) if !in_time => ExportState::Expired,
            (state, _) => return Err(InvalidStep(state)),
        };
        Ok(Self { state, changed_at: now, version: self.version + 1, ..self.clone() })
    }

    /// How it stands to whoever looks now: an archive whose time is over is gone, whether or not somebody has tidied up.
    pub fn seen_at(&self, now: Timestamp) -> ExportState {
        self.step(Step::RanOut, now).map_or(self.state, |ended| ended.state)
    }
}

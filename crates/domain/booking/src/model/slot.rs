//! One bookable interval of a practitioner.

use amrutam_kernel::{ConsultationId, DoctorId, SlotId, TimeRange};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// How a visit is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Seeing and hearing each other.
    Video,
    /// Hearing each other.
    Audio,
    /// Writing to each other.
    Chat,
}

impl Mode {
    /// Every mode.
    pub const ALL: [Self; 3] = [Self::Video, Self::Audio, Self::Chat];

    /// The word stored and sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Video => "video",
            Self::Audio => "audio",
            Self::Chat => "chat",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Mode {
    type Err = super::Unknown;
    fn from_str(word: &str) -> Result<Self, super::Unknown> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == word).ok_or(super::Unknown("mode"))
    }
}

/// A non-empty set of modes, in one order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Modes(Vec<Mode>);

impl Modes {
    /// Sorted and without repetition; nothing when empty.
    pub fn new(modes: impl IntoIterator<Item = Mode>) -> Option<Self> {
        let mut modes: Vec<_> = modes.into_iter().collect();
        modes.sort_unstable();
        modes.dedup();
        (!modes.is_empty()).then_some(Self(modes))
    }

    /// Whether `mode` is one of them.
    pub fn contains(&self, mode: Mode) -> bool {
        self.0.contains(&mode)
    }

    /// Those that are in `others`, too; nothing when there are none.
    pub fn and(&self, others: &Self) -> Option<Self> {
        Self::new(self.0.iter().copied().filter(|mode| others.contains(*mode)))
    }

    /// In order.
    pub fn as_slice(&self) -> &[Mode] {
        &self.0
    }
}

/// What can be done with a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SlotStatus {
    /// Can be booked.
    Open,
    /// Holds a consultation.
    Booked,
    /// Taken back by its practitioner: not offered, whatever the rules say, and its time is not cut into others.
    Blocked,
    /// No longer offered; its time may be cut into others.
    Withdrawn,
}

impl SlotStatus {
    /// The word stored and sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Booked => "booked",
            Self::Blocked => "blocked",
            Self::Withdrawn => "withdrawn",
        }
    }
}

impl FromStr for SlotStatus {
    type Err = super::Unknown;
    fn from_str(word: &str) -> Result<Self, super::Unknown> {
        [Self::Open, Self::Booked, Self::Blocked, Self::Withdrawn]
            .into_iter()
            .find(|status| status.as_str() == word)
            .ok_or(super::Unknown("slot status"))
    }
}

/// The one row that guards against a double booking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// Its id.
    pub id: SlotId,
    /// Whose time it is.
    pub doctor: DoctorId,
    /// When.
    pub range: TimeRange,
    /// How it may be held.
    pub modes: Modes,
    /// What can be done with it.
    pub status: SlotStatus,
    /// Present exactly when booked.
    pub consultation: Option<ConsultationId>,
    /// While the consultation is pending: when its hold ends. From then on the slot can be claimed again.
    pub held_until: Option<Timestamp>,
    /// It no longer fits the availability rules: it stays while booked and is withdrawn when freed.
    pub outside_rules: bool,
    /// Rises with every change: the fencing token that a lapsed lock can't forge.
    pub version: i64,
}

impl Slot {
    /// Whether a booking may take it at `now`: open, or held by a booking that ran out of time and still within the rules.
    pub fn is_claimable(&self, now: Timestamp) -> bool {
        match self.status {
            SlotStatus::Open => true,
            // Outside the rules it is withdrawn when freed: nobody gets it from the hold's hand.
            SlotStatus::Booked => !self.outside_rules && self.held_until.is_some_and(|until| until <= now),
            SlotStatus::Blocked | SlotStatus::Withdrawn => false,
        }
    }

    /// Whether it is among the slots offered at `now`: claimable, and yet to begin.
    pub fn is_offered(&self, now: Timestamp) -> bool {
        now < self.range.start() && self.is_claimable(now)
    }

    /// Taken by a consultation; pending ones until `held_until`.
    pub fn booked_by(&self, consultation: ConsultationId, held_until: Option<Timestamp>) -> Self {
        Self {
            status: SlotStatus::Booked,
            consultation: Some(consultation),
            held_until,
            version: self.version + 1,
            ..self.clone()
        }
    }

    /// Given back: open again, or withdrawn when the rules no longer offer it.
    pub fn freed(&self) -> Self {
        self.without_visit(if self.outside_rules { SlotStatus::Withdrawn } else { SlotStatus::Open })
    }

    /// Given back by a visit that its practitioner called off: nobody else gets it.
    pub fn taken_back(&self) -> Self {
        self.without_visit(SlotStatus::Blocked)
    }

    fn without_visit(&self, status: SlotStatus) -> Self {
        Self { status, consultation: None, held_until: None, version: self.version + 1, ..self.clone() }
    }
}

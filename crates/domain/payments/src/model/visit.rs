//! What payments knows of the visit: fed by booking's events, in whatever order they come.

use super::payment::words;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

words! {
    /// One side of a visit, or neither.
    Side = "side" {
        /// The patient.
        Patient = "patient",
        /// The practitioner.
        Doctor = "doctor",
        /// The system, or who runs it.
        System = "system",
    }
}

/// What became of the visit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fate", rename_all = "snake_case")]
pub enum VisitFate {
    /// Holds its slot and waits to be paid.
    Open,
    /// Will take place, or is taking place.
    Confirmed,
    /// The hold ran out. Money that comes now may still bring the slot back.
    Expired,
    /// Called off.
    Cancelled {
        /// By whom.
        by: Side,
        /// When.
        at: Timestamp,
        /// Before it was confirmed: nobody had been promised anything.
        unpaid: bool,
    },
    /// One side did not come.
    NoShow {
        /// Which.
        absent: Side,
    },
    /// Took place.
    Completed,
    /// Began, and was broken off because the technology failed or the practitioner was gone.
    BrokenOff {
        /// Who says so.
        by: Side,
        /// When.
        at: Timestamp,
    },
    /// Money came, but the slot could not be had any more.
    Unconfirmable,
    /// There is no visit: nobody knows what the money is for.
    Unknown,
}

impl VisitFate {
    /// The word stored and sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Confirmed => "confirmed",
            Self::Expired => "expired",
            Self::Cancelled { .. } => "cancelled",
            Self::NoShow { .. } => "no_show",
            Self::Completed => "completed",
            Self::BrokenOff { .. } => "broken_off",
            Self::Unconfirmable => "unconfirmable",
            Self::Unknown => "unknown",
        }
    }

    /// Whether the visit is over for whoever has not paid.
    pub const fn ends_unpaid(self) -> bool {
        !matches!(self, Self::Open | Self::Confirmed)
    }
}

/// The visit as far as the newest event that has been seen tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visit {
    /// The consultation's version of that event. Older events change nothing.
    pub version: i64,
    /// Its start.
    pub starts_at: Timestamp,
    /// Its end.
    pub ends_at: Timestamp,
    /// How long before its start the patient moved it, at the nearest; nothing while they have not.
    #[serde(default)]
    pub least_notice: Option<SignedDuration>,
    /// While it waits to be paid: how long.
    pub hold_until: Option<Timestamp>,
    /// What became of it.
    pub fate: VisitFate,
}

//! What a message needs to know of a visit.

use amrutam_kernel::Money;
use jiff::Timestamp;
use std::{fmt, str::FromStr};

/// The states a message speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VisitStatus {
    /// It will take place.
    Confirmed,
    /// It will not take place.
    Cancelled,
    /// It was not paid in time.
    Expired,
    /// Anything else: nothing is said of it.
    Other,
}

impl VisitStatus {
    /// From booking's word for the state.
    pub fn from_word(word: &str) -> Self {
        match word {
            "confirmed" => Self::Confirmed,
            "cancelled" => Self::Cancelled,
            "expired" => Self::Expired,
            _ => Self::Other,
        }
    }
}

/// How the two meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VisitMode {
    /// They see and hear each other.
    Video,
    /// They hear each other.
    Audio,
    /// They write to each other.
    Chat,
}

/// Not a mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not one of video, audio, chat")]
pub struct UnknownMode;

impl VisitMode {
    /// The word used in tables and mails.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Video => "video",
            Self::Audio => "audio",
            Self::Chat => "chat",
        }
    }
}

impl fmt::Display for VisitMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for VisitMode {
    type Err = UnknownMode;
    fn from_str(word: &str) -> Result<Self, UnknownMode> {
        [Self::Video, Self::Audio, Self::Chat].into_iter().find(|m| m.as_str() == word).ok_or(UnknownMode)
    }
}

/// A visit as it is now. The practitioner's part is public: the directory shows it before booking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VisitFacts {
    /// Its state.
    pub status: VisitStatus,
    /// Its current start.
    pub starts_at: Timestamp,
    /// Its current end.
    pub ends_at: Timestamp,
    /// How the two meet.
    pub mode: VisitMode,
    /// Its price.
    pub fee: Money,
    /// The practitioner's name.
    pub doctor_name: String,
    /// The practitioner's qualification: `BAMS, MD (Ayurveda)`.
    pub doctor_qualification: String,
    /// The practitioner's registration number.
    pub doctor_registration_number: String,
    /// The council that registered the practitioner.
    pub doctor_council: String,
}

//! Who was there: the evidence by which a no-show is decided.

use super::Side;
use jiff::{SignedDuration, Timestamp};

/// That a side was in the lobby or the call at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Presence {
    /// Which.
    pub side: Side,
    /// When.
    pub at: Timestamp,
}

/// Why a no-show is not found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoShowRefusal {
    /// The other side was there.
    #[error("the other side has checked in")]
    OtherSidePresent,
    /// Both were away, or whoever says it was not there in time either.
    #[error("whoever reports an absence has checked in by the end of the grace")]
    NotThereYourself,
    /// The grace is not over.
    #[error("the grace is not over")]
    TooEarly,
}

/// Whether the side other than `claimant` did not come, by what was seen until the end of the grace: who was there by then came; who
/// came later did not.
pub fn decide_no_show(
    evidence: &[Presence],
    claimant: Side,
    starts_at: Timestamp,
    grace: SignedDuration,
    now: Timestamp,
) -> Result<Side, NoShowRefusal> {
    let until = starts_at + grace;
    if now < until {
        return Err(NoShowRefusal::TooEarly);
    }
    let absent = match claimant {
        Side::Patient => Side::Doctor,
        Side::Doctor => Side::Patient,
    };
    let came = |side| evidence.iter().any(|seen| seen.side == side && seen.at <= until);
    if came(absent) {
        Err(NoShowRefusal::OtherSidePresent)
    } else if came(claimant) {
        Ok(absent)
    } else {
        Err(NoShowRefusal::NotThereYourself)
    }
}

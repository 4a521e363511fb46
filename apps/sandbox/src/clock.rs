//! The one place in the sandbox that reads the time.

use jiff::{Timestamp, Unit};

/// The present moment, to the microsecond like everywhere in Amrutam.
#[expect(
    clippy::disallowed_methods,
    reason = "the sandbox is the outside world: its time is the wall clock, and nothing in it is decided by time"
)]
pub(crate) fn now() -> Timestamp {
    let now = Timestamp::now();
    // Rounding fails only beyond the year 9999; the unrounded time is then as good.
    now.round(jiff::TimestampRound::new().smallest(Unit::Microsecond).mode(jiff::RoundMode::Trunc)).unwrap_or(now)
}

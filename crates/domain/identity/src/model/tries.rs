//! How often a second factor may be guessed.

use jiff::{SignedDuration, Timestamp};

/// Tries are forgotten after this.
const WINDOW: SignedDuration = SignedDuration::from_hours(24);
/// At most so many wrong codes of one account are looked at in any 24 hours: one guess in some 16,700 days hits (three codes
/// of a million are right at a time).
pub const MAX_TRIES: usize = 20;
/// No wait but the last is longer.
const MAX_DELAY: SignedDuration = SignedDuration::from_hours(1);

/// The wrong tries of the last 24 hours, oldest first. A try counts from before the code is looked at, so that many at
/// once, or a crash, gain nothing; a right code takes its own try back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tries {
    /// When each was made; at most [`MAX_TRIES`].
    pub at: Vec<Timestamp>,
    /// Rises with each change.
    pub version: i64,
}

/// Not looked at yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many wrong codes: the next one is looked at from {until} on")]
pub struct Delayed {
    /// When the next try is looked at.
    pub until: Timestamp,
    /// When this one came.
    pub asked_at: Timestamp,
}

impl Delayed {
    /// How long to wait, in whole seconds and at least one.
    pub fn wait_seconds(&self) -> u32 {
        let wait = self.until.duration_since(self.asked_at);
        let seconds = wait.as_secs() + i64::from(wait.subsec_nanos() > 0);
        u32::try_from(seconds.max(1)).unwrap_or(u32::MAX)
    }
}

impl Tries {
    /// One more, now; or when.
    pub fn claim(&self, now: Timestamp) -> Result<Self, Delayed> {
        let at: Vec<_> = self.at.iter().copied().filter(|at| now.duration_since(*at) < WINDOW).collect();
        if let Some(until) = open_again(&at).filter(|until| now < *until) {
            return Err(Delayed { until, asked_at: now });
        }
        Ok(Self { at: at.into_iter().chain([now]).collect(), version: self.version + 1 })
    }

    /// Without the try of that time: it was not wrong.
    #[must_use]
    pub fn without(mut self, tried_at: Timestamp) -> Self {
        self.at.retain(|at| *at != tried_at);
        self.version += 1;
        self
    }
}

/// 1 s after one wrong try, 2 s after two, doubled up to an hour; after the 20th, also not before the oldest is forgotten.
fn open_again(at: &[Timestamp]) -> Option<Timestamp> {
    let (first, last) = (at.first()?, at.last()?);
    let delay = SignedDuration::from_secs(1 << (at.len() - 1).min(16)).min(MAX_DELAY);
    let spaced = last.checked_add(delay);
    let until =
        if at.len() >= MAX_TRIES { spaced.and_then(|at| Ok(at.max(first.checked_add(WINDOW)?))) } else { spaced };
    Some(until.unwrap_or(Timestamp::MAX))
}

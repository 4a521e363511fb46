//! The second factor: time-based one-time passwords (RFC 6238: SHA-1, 6 digits, 30 seconds).

use super::Tries;
use crate::ports::Totp;
use amrutam_kernel::Sensitive;
use jiff::Timestamp;

/// Seconds per step.
pub const STEP_SECONDS: i64 = 30;

/// 160 bits, as RFC 4226 recommends, shared with the authenticator. The store seals it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TotpSecret(Sensitive<[u8; 20]>);

impl TotpSecret {
    /// Its length.
    pub const BYTES: usize = 20;

    /// As made, or as opened by the store.
    pub const fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(Sensitive::new(bytes))
    }

    /// For the authenticator and the store.
    pub const fn expose(&self) -> &[u8; Self::BYTES] {
        self.0.expose()
    }
}

/// A number of a 30-second step since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Step(pub i64);

impl Step {
    /// The one of that time.
    pub fn at(now: Timestamp) -> Self {
        Self(now.as_second().div_euclid(STEP_SECONDS))
    }
}

/// A factor whose first code has not been shown yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingFactor {
    /// What the authenticator was given.
    pub secret: TotpSecret,
    /// When.
    pub begun_at: Timestamp,
}

/// A factor in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfirmedFactor {
    /// What the authenticator holds.
    pub secret: TotpSecret,
    /// Since when.
    pub confirmed_at: Timestamp,
    /// No step up to this one is accepted any more.
    pub last_step: Step,
}

/// All that is known of an account's second factor.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Factors {
    /// In force.
    pub confirmed: Option<ConfirmedFactor>,
    /// Being set up, beside the one in force when that is being replaced.
    pub pending: Option<PendingFactor>,
    /// Recovery codes left.
    pub recovery_codes_left: usize,
    /// Wrong codes of late; recovery codes are not counted.
    pub tries: Tries,
}

/// Which step the code is of: now, the one before or the one after (clocks differ and people type slowly), and never one
/// that is not after `used`.
pub fn matching_step(
    totp: &dyn Totp,
    secret: &TotpSecret,
    code: &Sensitive<String>,
    used: Option<Step>,
    now: Timestamp,
) -> Option<Step> {
    let Step(current) = Step::at(now);
    let typed: String = code.expose().chars().filter(|c| !c.is_whitespace()).take(7).collect();
    let mut found = None;
    // All three, whichever it is: the time taken tells nothing.
    for step in [current - 1, current, current + 1].map(Step) {
        let equal = same(typed.as_bytes(), totp.code(secret, step).expose().as_bytes());
        if equal && used.is_none_or(|used| step > used) {
            found = Some(step);
        }
    }
    found
}

fn same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |differ, (a, b)| differ | (a ^ b)) == 0
}

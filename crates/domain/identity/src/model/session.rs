//! Sessions: where an account is signed in.

use super::IdentityRules;
use amrutam_kernel::{AccountId, Role, SessionId, SignIn};
use jiff::{SignedDuration, Timestamp};
use std::str::FromStr;

/// An unused session ends after this.
pub const IDLE_LIFETIME: SignedDuration = SignedDuration::from_hours(30 * 24);
/// A used one ends after this all the same.
pub const ABSOLUTE_LIFETIME: SignedDuration = SignedDuration::from_hours(90 * 24);

/// Why a session ended before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EndReason {
    /// Its owner logged out there.
    LoggedOut,
    /// Its owner, or somebody who looks after accounts, ended it from elsewhere.
    Ended,
    /// The password has changed.
    PasswordChanged,
    /// A spent refresh token came back: one of the two who hold it is a thief.
    TokenReused,
    /// The account is closed.
    Deactivated,
}

/// Not a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a reason why a session ended")]
pub struct UnknownEndReason;

impl EndReason {
    /// Every reason.
    pub const ALL: [Self; 5] =
        [Self::LoggedOut, Self::Ended, Self::PasswordChanged, Self::TokenReused, Self::Deactivated];

    /// The word stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LoggedOut => "logged_out",
            Self::Ended => "ended",
            Self::PasswordChanged => "password_changed",
            Self::TokenReused => "token_reused",
            Self::Deactivated => "deactivated",
        }
    }
}

impl FromStr for EndReason {
    type Err = UnknownEndReason;
    fn from_str(word: &str) -> Result<Self, UnknownEndReason> {
        Self::ALL.into_iter().find(|r| r.as_str() == word).ok_or(UnknownEndReason)
    }
}

/// A program's name for itself (`User-Agent`), cut to 200 characters, control characters out: for its owner to tell
/// sessions apart, believed by nobody.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SessionLabel(String);

impl SessionLabel {
    /// Longer ones are cut.
    pub const MAX_CHARS: usize = 200;

    /// Any text becomes a label.
    pub fn new(text: &str) -> Self {
        let plain = text.chars().filter(|c| !c.is_control()).skip_while(|c| c.is_whitespace());
        let cut: String = plain.take(Self::MAX_CHARS).collect();
        Self(cut.trim_end().to_owned())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One log-in of an account, until it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its id: `sid` in tokens.
    pub id: SessionId,
    /// Whose.
    pub account: AccountId,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When tokens were last issued for it.
    pub last_used_at: Timestamp,
    /// It ends then unless used before.
    pub idle_expires_at: Timestamp,
    /// It ends then at the latest.
    pub expires_at: Timestamp,
    /// When a second factor was last shown.
    pub second_factor_at: Option<Timestamp>,
    /// Which program.
    pub label: SessionLabel,
    /// When and why it was ended before its time.
    pub ended: Option<(Timestamp, EndReason)>,
}

impl Session {
    /// Begins now.
    pub fn open(
        id: SessionId,
        account: AccountId,
        second_factor_at: Option<Timestamp>,
        label: SessionLabel,
        now: Timestamp,
    ) -> Self {
        let expires_at = now.checked_add(ABSOLUTE_LIFETIME).unwrap_or(Timestamp::MAX);
        Self {
            id,
            account,
            created_at: now,
            last_used_at: now,
            idle_expires_at: idle_end(now, expires_at),
            expires_at,
            second_factor_at,
            label,
            ended: None,
        }
    }

    /// Whether it is still good.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.ended.is_none() && now < self.idle_expires_at && now < self.expires_at
    }

    /// Used now: the idle time begins anew, the absolute end stays.
    #[must_use]
    pub fn used(self, now: Timestamp) -> Self {
        Self { last_used_at: now, idle_expires_at: idle_end(now, self.expires_at), ..self }
    }

    /// How it was signed in.
    pub const fn assurance(&self) -> Assurance {
        if self.second_factor_at.is_some() { Assurance::TwoFactors } else { Assurance::Password }
    }
}

fn idle_end(now: Timestamp, expires_at: Timestamp) -> Timestamp {
    now.checked_add(IDLE_LIFETIME).unwrap_or(Timestamp::MAX).min(expires_at)
}

/// How sure we are of who signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Assurance {
    /// A password.
    Password,
    /// A password and a second factor.
    TwoFactors,
}

impl Assurance {
    /// `amr` in an access token (RFC 8176).
    pub const fn amr(self) -> &'static [&'static str] {
        match self {
            Self::Password => &["pwd"],
            Self::TwoFactors => &["pwd", "otp", "mfa"],
        }
    }

    /// From `amr`; nothing when it is neither of ours.
    pub fn from_amr<S: AsRef<str>>(amr: &[S]) -> Option<Self> {
        let said = || amr.iter().map(AsRef::as_ref);
        [Self::Password, Self::TwoFactors].into_iter().find(|one| said().eq(one.amr().iter().copied()))
    }
}

/// What each request asks of a session: as it is now, not as its token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionState {
    /// Whose.
    pub account: AccountId,
    /// The account's role now. A token that says another is refused.
    pub role: Role,
    /// Ended, past its time, or its account is closed.
    pub ended: bool,
    /// When a second factor was last shown in it.
    pub second_factor_at: Option<Timestamp>,
    /// Whether its account has a confirmed factor.
    pub enrolled: bool,
}

impl SessionState {
    /// For the request's [`Context`](amrutam_kernel::Context).
    pub fn sign_in(&self, session: SessionId, rules: &IdentityRules) -> SignIn {
        SignIn {
            session,
            second_factor_at: self.second_factor_at,
            second_factor: rules.second_factor(self.role, self.enrolled),
        }
    }
}

//! The account itself.

use crate::model::{EmailAddress, PasswordHash, PersonName};
use amrutam_kernel::{AccountId, Role, Sensitive};
use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// As recorded in identity documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sex {
    /// Female.
    Female,
    /// Male.
    Male,
    /// Another.
    Other,
}

/// What a person says about themself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// How they are addressed.
    pub full_name: Sensitive<PersonName>,
    /// E.164.
    pub phone: Option<Sensitive<String>>,
    /// For the age rules; never in the future.
    pub date_of_birth: Option<Sensitive<Date>>,
    /// For prescriptions.
    pub sex: Option<Sensitive<Sex>>,
    /// An IANA zone: times in messages are shown in it.
    pub time_zone: String,
}

/// Whether an account may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AccountStatus {
    /// It may.
    Active,
    /// It is closed: nobody signs in, nothing is sent.
    Deactivated,
}

/// Not a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a status of an account")]
pub struct UnknownStatus;

impl AccountStatus {
    /// The word stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Deactivated => "deactivated",
        }
    }
}

impl FromStr for AccountStatus {
    type Err = UnknownStatus;
    fn from_str(word: &str) -> Result<Self, UnknownStatus> {
        [Self::Active, Self::Deactivated].into_iter().find(|s| s.as_str() == word).ok_or(UnknownStatus)
    }
}

/// An account as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// What it may be.
    pub role: Role,
    /// Whether it may be used.
    pub status: AccountStatus,
    /// Its one address, unique in normalized form.
    pub email: Sensitive<EmailAddress>,
    /// When its owner showed that the address is theirs.
    pub email_verified_at: Option<Timestamp>,
    /// Argon2id, PHC text; nothing until an invited person has chosen a password.
    pub password_hash: Option<PasswordHash>,
    /// When the password was last set.
    pub password_set_at: Option<Timestamp>,
    /// About the person.
    pub profile: Profile,
    /// Since when.
    pub created_at: Timestamp,
    /// Rises by one with each change; the resource's `ETag`.
    pub version: i64,
}

impl Account {
    /// A new one, in use from now on, its address not shown to be anybody's yet.
    pub fn new(
        id: AccountId,
        role: Role,
        email: Sensitive<EmailAddress>,
        password_hash: Option<PasswordHash>,
        profile: Profile,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            role,
            status: AccountStatus::Active,
            email,
            email_verified_at: None,
            password_set_at: password_hash.as_ref().map(|_| now),
            password_hash,
            profile,
            created_at: now,
            version: 1,
        }
    }

    /// Whether it may be used.
    pub const fn is_active(&self) -> bool {
        matches!(self.status, AccountStatus::Active)
    }

    /// Whether it waits for the invited person to choose a password.
    pub const fn is_invited(&self) -> bool {
        self.is_active() && self.password_hash.is_none()
    }
}

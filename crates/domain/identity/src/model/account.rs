//! The account itself.

use crate::model::{EmailAddress, PasswordHash, PersonName};
use amrutam_kernel::{AccountId, Role, Sensitive};
use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};

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

/// An account as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// What it may be.
    pub role: Role,
    /// Its one address, unique in normalized form.
    pub email: Sensitive<EmailAddress>,
    /// Argon2id, PHC text.
    pub password_hash: PasswordHash,
    /// About the person.
    pub profile: Profile,
    /// Since when.
    pub created_at: Timestamp,
}

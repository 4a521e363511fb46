//! Who acts.

use crate::AccountId;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// What an account may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Books visits for themself.
    Patient,
    /// A practitioner.
    Doctor,
    /// Runs the directory and the accounts; sees nothing clinical.
    Admin,
    /// Reads the audit trail, nothing clinical.
    Auditor,
    /// Reads operational state, nothing clinical.
    Support,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 5] = [Self::Patient, Self::Doctor, Self::Admin, Self::Auditor, Self::Support];

    /// The word used in tokens and tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Patient => "patient",
            Self::Doctor => "doctor",
            Self::Admin => "admin",
            Self::Auditor => "auditor",
            Self::Support => "support",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Not a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a role")]
pub struct UnknownRole;

impl FromStr for Role {
    type Err = UnknownRole;
    fn from_str(word: &str) -> Result<Self, UnknownRole> {
        Self::ALL.into_iter().find(|r| r.as_str() == word).ok_or(UnknownRole)
    }
}

/// Who acts: established once, at the edge, and passed to every use case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// A signed-in person.
    Account {
        /// Their account.
        id: AccountId,
        /// The role in force for this request.
        role: Role,
    },
    /// A part of the system itself, by a fixed name such as `hold-sweeper`.
    System(&'static str),
    /// Nobody has signed in.
    Anonymous,
}

impl Actor {
    /// The account, when a person acts.
    pub const fn account(&self) -> Option<AccountId> {
        match self {
            Self::Account { id, .. } => Some(*id),
            Self::System(_) | Self::Anonymous => None,
        }
    }

    /// The word for logs, events and the audit trail: a role, `system` or `anonymous`.
    pub const fn role_word(&self) -> &'static str {
        match self {
            Self::Account { role, .. } => role.as_str(),
            Self::System(_) => "system",
            Self::Anonymous => "anonymous",
        }
    }

    /// Whether the actor is this account acting in this role.
    pub fn is(&self, account: AccountId, as_role: Role) -> bool {
        matches!(self, Self::Account { id, role } if *id == account && *role == as_role)
    }

    /// Whether the actor is signed in with this role.
    pub fn has_role(&self, wanted: Role) -> bool {
        matches!(self, Self::Account { role, .. } if *role == wanted)
    }
}

impl fmt::Display for Actor {
    /// `patient:<id>`, `system:<name>` or `anonymous`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account { id, role } => write!(f, "{role}:{id}"),
            Self::System(name) => write!(f, "system:{name}"),
            Self::Anonymous => f.write_str("anonymous"),
        }
    }
}

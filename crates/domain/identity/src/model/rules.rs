//! What an operator may set.

use super::Account;
use amrutam_kernel::{Role, SecondFactor};

/// The numbers and choices of this domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityRules {
    /// Accounts in these roles can only enrol until they have a second factor.
    pub mfa_required_roles: Vec<Role>,
    /// Whether a password opens a session before its account's address is verified. If not, nobody can use an account that
    /// was opened with another's address.
    pub log_in_unverified: bool,
}

impl Default for IdentityRules {
    fn default() -> Self {
        Self {
            mfa_required_roles: vec![Role::Doctor, Role::Admin, Role::Auditor, Role::Support],
            log_in_unverified: false,
        }
    }
}

impl IdentityRules {
    /// Whether its right password lets this account in.
    pub fn lets_in(&self, account: &Account) -> bool {
        account.is_active() && (self.log_in_unverified || account.email_verified_at.is_some())
    }

    /// What an account of this role has or lacks.
    pub fn second_factor(&self, role: Role, enrolled: bool) -> SecondFactor {
        if enrolled {
            SecondFactor::Enrolled
        } else if self.mfa_required_roles.contains(&role) {
            SecondFactor::Missing
        } else {
            SecondFactor::NotNeeded
        }
    }
}

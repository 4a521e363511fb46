//! What an operator may set.

use amrutam_kernel::{Role, SecondFactor};

/// The numbers and choices of this domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityRules {
    /// Accounts in these roles can only enrol until they have a second factor.
    pub mfa_required_roles: Vec<Role>,
}

impl Default for IdentityRules {
    fn default() -> Self {
        Self { mfa_required_roles: vec![Role::Doctor, Role::Admin, Role::Auditor] }
    }
}

impl IdentityRules {
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

//! A person opens a patient's account.

use super::Deps;
use crate::{
    RegisterError, events,
    model::{Account, EmailAddress, NewPassword, Profile},
    ports::Inserted,
};
use amrutam_kernel::{AccountId, Context, Effects, Outcome, Role, Sensitive};

/// What a person gives.
#[derive(Debug, Clone)]
pub struct Register {
    /// Their address.
    pub email: Sensitive<EmailAddress>,
    /// Their password.
    pub password: NewPassword,
    /// About them.
    pub profile: Profile,
}

/// What a person is told, whether or not the address was known before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Registered {
    /// The new account's id. For a known address an id that belongs to nobody: the answer must not tell the two apart.
    pub account: AccountId,
}

/// Registers a patient.
///
/// An address that is known already gets the same answer at the same cost, and its owner gets a mail.
pub async fn register(deps: Deps<'_>, context: &Context, command: Register) -> Result<Registered, RegisterError> {
    let password_hash = deps.hasher.hash(&command.password).await?;
    let now = deps.clock.now();
    let id = AccountId::from_uuid(deps.ids.uuid_v7(now));
    let account = Account {
        id,
        role: Role::Patient,
        email: command.email,
        password_hash,
        profile: command.profile,
        created_at: now,
    };
    let effects = Effects {
        audit: vec![deps.audit(context, now, "account.register", Some(id), Outcome::Allowed)],
        ..Effects::default()
    };
    if let Inserted::EmailTaken(owner) = deps.accounts.insert(&account, &effects).await? {
        let effects = Effects {
            events: vec![events::registration_repeated(deps.ids, context, owner, now)],
            audit: vec![deps.audit(context, now, "account.register", Some(owner), Outcome::Denied)],
            ..Effects::default()
        };
        deps.accounts.record(&effects).await?;
    }
    Ok(Registered { account: id })
}

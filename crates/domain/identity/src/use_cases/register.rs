//! A person opens a patient's account.

use super::LinkDeps;
use crate::{
    RegisterError,
    events::Announcement,
    model::{Account, EmailAddress, Link, NewPassword, Profile},
    ports::Inserted,
};
use amrutam_kernel::{AccountId, Context, LinkPurpose, Outcome, Role, Sensitive};
use std::time::Duration;

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

/// Longer than either write takes but on a server in trouble, and not felt beside the hash.
const WRITTEN_WITHIN: Duration = Duration::from_millis(25);

/// Registers a patient, and has a link mailed that verifies the address.
///
/// An address that is known already gets the same answer at the same cost (one hash, one look-up, one write) and, as there is less to
/// write for it, neither is answered before 25 ms of writing have passed; its owner gets a mail that says so.
pub async fn register(deps: LinkDeps<'_>, context: &Context, command: Register) -> Result<Registered, RegisterError> {
    let core = deps.core;
    let (email, name) = (command.email.expose(), command.profile.full_name.expose());
    let known = core.accounts.by_email(email).await?.undisclosed();
    let now = core.clock.now();
    let id = AccountId::from_uuid(core.ids.uuid_v7(now));
    // What a new account needs is made while its password is hashed: a known address, which needs nothing, takes as long.
    let hash = core.hash::<RegisterError>(&command.password, email, name);
    let prepared = async {
        if known.is_none() {
            core.accounts.prepare(id).await;
        }
    };
    let (hash, ()) = futures::join!(hash, prepared);
    let hash = hash?;
    let link = Link::new(deps.link_tokens, core.link_id(now), LinkPurpose::VerifyEmail, id, now);
    let account = Account::new(id, Role::Patient, command.email, Some(hash), command.profile, now);

    let begun = core.clock.now();
    let inserted = match known {
        Some(owner) => Inserted::EmailTaken(owner.id),
        None => {
            let announced = Announcement::EmailVerificationRequested(link.id);
            let effects = core.effects(context, now, "account.register", (id, Outcome::Allowed), Some(announced));
            core.accounts.insert(&account, Some(&link), &effects).await?
        }
    };
    if let Inserted::EmailTaken(owner) = inserted {
        let announced = Announcement::RegistrationRepeated;
        let effects = core.effects(context, now, "account.register", (owner, Outcome::Denied), Some(announced));
        core.accounts.record(&effects).await?;
    }
    let taken = Duration::try_from(core.clock.now().duration_since(begun)).unwrap_or_default();
    deps.pause.pause(WRITTEN_WITHIN.saturating_sub(taken)).await;
    Ok(Registered { account: id })
}

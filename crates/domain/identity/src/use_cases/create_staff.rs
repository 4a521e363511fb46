//! An admin makes an account for a doctor or another admin.

use super::Deps;
use crate::{
    CreateStaffError,
    model::{Account, EmailAddress, NewPassword, Profile},
    ports::Inserted,
};
use amrutam_kernel::{AccountId, Actor, Context, Effects, Idempotent, Outcome, Role, Sensitive};

/// What the admin gives.
#[derive(Debug, Clone)]
pub struct NewStaff {
    /// What the account may be.
    pub role: Role,
    /// Its address.
    pub email: Sensitive<EmailAddress>,
    /// Its first password.
    pub password: NewPassword,
    /// About the person.
    pub profile: Profile,
}

/// Creates the account. Allowed to admins and to the system itself (the operator's command line).
pub async fn create_staff(
    deps: Deps<'_>,
    context: &Context,
    command: NewStaff,
    idempotency: Option<Idempotent<'_, AccountId>>,
) -> Result<AccountId, CreateStaffError> {
    let now = deps.clock.now();
    if !matches!(context.actor, Actor::Account { role: Role::Admin, .. } | Actor::System(_)) {
        let entry = deps.audit(context, now, "account.create", None, Outcome::Denied);
        deps.accounts.record(&Effects { audit: vec![entry], ..Effects::default() }).await?;
        return Err(CreateStaffError::NotAllowed);
    }
    let id = AccountId::from_uuid(deps.ids.uuid_v7(now));
    let account = Account {
        id,
        role: command.role,
        email: command.email,
        password_hash: deps.hasher.hash(&command.password).await?,
        profile: command.profile,
        created_at: now,
    };
    let effects = Effects {
        audit: vec![deps.audit(context, now, "account.create", Some(id), Outcome::Allowed)],
        answer: idempotency.map(|idempotent| idempotent.answer(&id)),
        ..Effects::default()
    };
    match deps.accounts.insert(&account, &effects).await? {
        Inserted::Created => Ok(id),
        Inserted::EmailTaken(_) => Err(CreateStaffError::EmailTaken),
        Inserted::AlreadyAnswered => Err(CreateStaffError::AlreadyAnswered),
    }
}

//! The operator makes an account that can be used at once: the first admin, or a demonstration's people.

use super::Deps;
use crate::{
    CreateStaffError,
    model::{Account, EmailAddress, NewPassword, Profile},
    ports::Inserted,
};
use amrutam_kernel::{AccountId, Context, Effects, Idempotent, Outcome, Role, Sensitive};

/// What is given.
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

/// Creates the account. Whoever makes it vouches for the address.
pub async fn create_staff(
    deps: Deps<'_>,
    context: &Context,
    command: NewStaff,
    idempotency: Option<Idempotent<'_, AccountId>>,
) -> Result<AccountId, CreateStaffError> {
    deps.permit_making(context, command.role).await?;
    let (email, name) = (command.email.expose(), command.profile.full_name.expose());
    let hash = deps.hash::<CreateStaffError>(&command.password, email, name).await?;
    let now = deps.clock.now();
    let id = AccountId::from_uuid(deps.ids.uuid_v7(now));
    let account = Account {
        email_verified_at: Some(now),
        ..Account::new(id, command.role, command.email, Some(hash), command.profile, now)
    };
    let effects = Effects {
        answer: idempotency.map(|idempotent| idempotent.answer(&id)),
        ..deps.effects(context, now, "account.create", (id, Outcome::Allowed), None)
    };
    match deps.accounts.insert(&account, None, &effects).await? {
        Inserted::Created => Ok(id),
        Inserted::EmailTaken(_) => Err(CreateStaffError::EmailTaken),
        Inserted::AlreadyAnswered => Err(CreateStaffError::AlreadyAnswered),
    }
}

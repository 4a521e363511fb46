//! An admin invites a doctor or a member of staff.

use super::LinkDeps;
use crate::{
    InviteError,
    events::Announcement,
    model::{Account, EmailAddress, Link, Profile},
    ports::Inserted,
};
use amrutam_kernel::{
    AccountId, Action, CommitError, Context, Effects, Idempotent, LinkPurpose, Outcome, Role, Sensitive, recorded,
};

/// Who is invited.
#[derive(Debug, Clone)]
pub struct Invite {
    /// As what; never as a patient.
    pub role: Role,
    /// Where the link goes.
    pub email: Sensitive<EmailAddress>,
    /// About the person.
    pub profile: Profile,
}

/// Makes an account without a password and has a link mailed that sets one. Inviting an invited person again, in the same
/// role, mails a new link; the one before is void.
pub async fn invite(
    deps: LinkDeps<'_>,
    context: &Context,
    command: Invite,
    idempotency: Option<Idempotent<'_, AccountId>>,
) -> Result<AccountId, InviteError> {
    let (core, action) = (deps.core, Action::StaffInvite);
    core.permit_making(context, command.role).await?;
    if command.role == Role::Patient {
        return Err(InviteError::NotAStaffRole);
    }
    let now = core.clock.now();
    let id = AccountId::from_uuid(core.ids.uuid_v7(now));
    let account = Account::new(id, command.role, command.email, None, command.profile, now);
    let link = |account| Link::new(deps.link_tokens, core.link_id(now), LinkPurpose::Invitation, account, now);
    let effects = |account, link: &Link| {
        let announced = Some(Announcement::Invited(link.id));
        let answer = idempotency.as_ref().map(|idempotent| idempotent.answer(&account));
        Effects { answer, ..core.effects(context, now, action.as_str(), (account, Outcome::Allowed), announced) }
    };
    let first = link(id);
    match core.accounts.insert(&account, Some(&first), &effects(id, &first)).await? {
        Inserted::Created => Ok(id),
        Inserted::EmailTaken(owner) => {
            let waits = |owner: &Account| owner.is_invited() && owner.role == command.role;
            let owner = core.accounts.by_id(owner).await?.undisclosed().filter(waits).ok_or(InviteError::EmailTaken)?;
            let again = link(owner.id);
            match deps.links.issue(&again, now, &effects(owner.id, &again)).await {
                Ok(()) => Ok(owner.id),
                Err(CommitError::AlreadyAnswered) => Err(InviteError::AlreadyAnswered),
                Err(error) => Ok(recorded(Err(error)).map(|()| owner.id)?),
            }
        }
        Inserted::AlreadyAnswered => Err(InviteError::AlreadyAnswered),
    }
}

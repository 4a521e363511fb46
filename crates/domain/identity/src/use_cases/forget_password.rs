//! Somebody has forgotten a password.

use super::LinkDeps;
use crate::{
    events::Announcement,
    model::{Account, EmailAddress, Link},
};
use amrutam_kernel::{AccountId, Context, Effects, LinkId, LinkPurpose, Outcome, PortError, Sensitive, recorded};

/// Has a link mailed when there is an account. The answer and the steps (one look-up, one write) are the same when there is
/// none, and when what was typed is no address.
///
/// A link that sets a password goes to a verified address only: one that was mistyped at registration belongs to a stranger.
/// To an unverified one goes the link that verifies it.
pub async fn forget_password(
    deps: LinkDeps<'_>,
    context: &Context,
    email: Option<&Sensitive<EmailAddress>>,
) -> Result<(), PortError> {
    let core = deps.core;
    let account = match email {
        Some(email) => core.accounts.by_email(email.expose()).await?,
        None => None,
    };
    let now = core.clock.now();
    let purpose = account.as_ref().and_then(purpose_for);
    // Made for nobody as well: the same steps.
    let of = account.as_ref().map_or_else(|| AccountId::from_uuid(core.ids.uuid_v7(now)), |account| account.id);
    let link = Link::new(deps.link_tokens, core.link_id(now), purpose.unwrap_or(LinkPurpose::ResetPassword), of, now);
    let announced: Option<fn(LinkId) -> Announcement> = match purpose {
        Some(LinkPurpose::ResetPassword) => Some(Announcement::PasswordResetRequested),
        Some(LinkPurpose::VerifyEmail) => Some(Announcement::EmailVerificationRequested),
        Some(LinkPurpose::Invitation) | None => None,
    };
    match announced {
        Some(announced) => {
            let on_record = (of, Outcome::Allowed);
            let announced = Some(announced(link.id));
            let effects = core.effects(context, now, "account.forget_password", on_record, announced);
            recorded(deps.links.issue(&link, now, &effects).await)
        }
        None => {
            let about = account.map(|account| account.id);
            let entry = core.audit(context, now, "account.forget_password", about, Outcome::Denied);
            core.accounts.record(&Effects { audit: vec![entry], ..Effects::default() }).await
        }
    }
}

fn purpose_for(account: &Account) -> Option<LinkPurpose> {
    // An invited person has no password to forget; the invitation is renewed by whoever invited them.
    if !account.is_active() || account.is_invited() {
        None
    } else if account.email_verified_at.is_some() {
        Some(LinkPurpose::ResetPassword)
    } else {
        Some(LinkPurpose::VerifyEmail)
    }
}

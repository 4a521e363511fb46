//! Somebody has forgotten a password.

use super::LinkDeps;
use crate::{
    events::Announcement,
    model::{EmailAddress, Link},
};
use amrutam_kernel::{AccountId, Context, Effects, LinkPurpose, Outcome, PortError, Sensitive, recorded};

/// Has a link mailed when there is an account. The answer and the steps (one look-up, one write) are the same when there is
/// none, and when what was typed is no address.
///
/// An unverified address gets the same link, not the one that verifies it: a stranger may have registered it, and verifying would put
/// the stranger's password in force. Whoever reads the mailbox sets a new one, which verifies the address and ends every session.
pub async fn forget_password(
    deps: LinkDeps<'_>,
    context: &Context,
    email: Option<&Sensitive<EmailAddress>>,
) -> Result<(), PortError> {
    let core = deps.core;
    let account = match email {
        Some(email) => core.accounts.by_email(email.expose()).await?.undisclosed(),
        None => None,
    };
    let now = core.clock.now();
    // An invited person has no password to forget; the invitation is renewed by whoever invited them.
    let entitled = account.as_ref().is_some_and(|account| account.is_active() && !account.is_invited());
    // Made for nobody as well: the same steps.
    let of = account.as_ref().map_or_else(|| AccountId::from_uuid(core.ids.uuid_v7(now)), |account| account.id);
    let link = Link::new(deps.link_tokens, core.link_id(now), LinkPurpose::ResetPassword, of, now);
    if entitled {
        let announced = Some(Announcement::PasswordResetRequested(link.id));
        let effects = core.effects(context, now, ACTION, (of, Outcome::Allowed), announced);
        return recorded(deps.links.issue(&link, now, &effects).await);
    }
    let entry = core.audit(context, now, ACTION, account.map(|account| account.id), Outcome::Denied);
    core.accounts.record(&Effects { audit: vec![entry], ..Effects::default() }).await
}

const ACTION: &str = "account.forget_password";

//! A person shows that an address is theirs.

use super::{
    LinkDeps,
    shared::{ROUNDS, contended, lasting},
};
use crate::{
    AccountError, VerifyEmailError,
    events::Announcement,
    model::{Account, Link, SecretDigest},
    ports::AccountChange,
};
use amrutam_kernel::{Action, Context, Denial, LinkPurpose, Outcome, Sensitive, recorded};

/// Takes the token of the mailed link.
pub async fn verify_email(
    deps: LinkDeps<'_>,
    context: &Context,
    token: &Sensitive<String>,
) -> Result<(), VerifyEmailError> {
    let core = deps.core;
    for _ in 0..ROUNDS {
        let found = deps.working_link(LinkPurpose::VerifyEmail, token).await?;
        let Some((link, account)) = found else {
            core.record_denial(context, "account.verify_email", None).await?;
            return Err(VerifyEmailError::InvalidLink);
        };
        let now = core.clock.now();
        let account = Account {
            email_verified_at: account.email_verified_at.or(Some(now)),
            version: account.version + 1,
            ..account
        };
        let change =
            AccountChange { account: &account, spend: Some((link.id, now)), void_links: None, end_sessions: None };
        let effects = core.effects(context, now, "account.verify_email", (account.id, Outcome::Allowed), None);
        match core.accounts.update(change, &effects).await {
            Ok(_) => return Ok(()),
            Err(error) => lasting(error)?,
        }
    }
    Err(contended().into())
}

/// Has the link mailed once more, to the signed-in owner's address. Does nothing when that is verified.
pub async fn request_verification(deps: LinkDeps<'_>, context: &Context) -> Result<(), AccountError> {
    let core = deps.core;
    let caller = core.permit_own(context, Action::ProfileUpdate).await?;
    let account = core.accounts.by_id(caller.account).await?.undisclosed().ok_or(Denial::Hidden)?;
    if account.email_verified_at.is_some() {
        return Ok(());
    }
    let now = core.clock.now();
    let link = Link::new(deps.link_tokens, core.link_id(now), LinkPurpose::VerifyEmail, account.id, now);
    let announced = Announcement::EmailVerificationRequested(link.id);
    let on_record = (account.id, Outcome::Allowed);
    let effects = core.effects(context, now, "account.request_verification", on_record, Some(announced));
    Ok(recorded(deps.links.issue(&link, now, &effects).await)?)
}

impl LinkDeps<'_> {
    /// The link of this token and its account, when both may be used.
    pub(super) async fn working_link(
        &self,
        purpose: LinkPurpose,
        token: &Sensitive<String>,
    ) -> Result<Option<(Link, Account)>, amrutam_kernel::PortError> {
        let link = self.links.by_digest(purpose, &SecretDigest::of(token.expose())).await?;
        let Some(link) = link.filter(|link| link.works(self.core.clock.now())) else { return Ok(None) };
        let account = self.core.accounts.by_id(link.account).await?.undisclosed();
        Ok(account.filter(Account::is_active).map(|account| (link, account)))
    }
}

//! Recovery codes are replaced.

use super::{
    SessionDeps,
    shared::{contended, lasting},
    totp::permit_changing,
};
use crate::{
    FactorError,
    events::Announcement,
    model::{RECOVERY_CODE_BYTES, RECOVERY_CODES, RecoveryCode, SecretDigest},
};
use amrutam_kernel::{Action, CommitError, Context, Outcome, PortError, Sensitive};

/// Shown once; only digests are kept.
#[derive(Debug, Clone)]
pub struct RecoveryCodes(pub Vec<Sensitive<String>>);

/// Ten new codes in place of all before.
pub async fn regenerate_recovery_codes(deps: SessionDeps<'_>, context: &Context) -> Result<RecoveryCodes, FactorError> {
    let core = deps.core;
    let caller = core.permit_own(context, Action::FactorChange).await?;
    deps.factors.factors(caller.account).await?.confirmed.ok_or(FactorError::NotEnrolled)?;
    permit_changing(deps, context, caller).await?;
    let (codes, digests) = deps.recovery_codes()?;
    let now = core.clock.now();
    let (on_record, announced) = ((caller.account, Outcome::Allowed), Some(Announcement::SecondFactorChanged));
    let effects = core.effects(context, now, "factor.replace_recovery_codes", on_record, announced);
    match deps.factors.replace_codes(caller.account, &digests, &effects).await {
        Ok(()) => Ok(codes),
        Err(CommitError::Stale) => Err(FactorError::NotEnrolled),
        Err(error) => {
            lasting(error)?;
            Err(contended().into())
        }
    }
}

impl SessionDeps<'_> {
    pub(super) fn recovery_codes(&self) -> Result<(RecoveryCodes, Vec<SecretDigest>), PortError> {
        let (mut shown, mut digests) = (Vec::new(), Vec::new());
        for _ in 0..RECOVERY_CODES {
            let mut secret = [0; RECOVERY_CODE_BYTES];
            self.secrets.fill(&mut secret)?;
            let code = RecoveryCode::new(&secret);
            shown.push(code.in_groups());
            digests.push(code.digest());
        }
        Ok((RecoveryCodes(shown), digests))
    }
}

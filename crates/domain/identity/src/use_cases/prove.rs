//! A second factor is looked at.

use super::SessionDeps;
use crate::{
    ProofError,
    model::{ConfirmedFactor, Delayed, Factors, RecoveryCode, matching_step},
    ports::Proof,
};
use amrutam_kernel::{AccountId, Context, Outcome, Sensitive};
use jiff::{SignedDuration, Timestamp};

/// What a person types.
#[derive(Debug, Clone)]
pub enum TypedFactor {
    /// From the authenticator.
    Code(Sensitive<String>),
    /// From the list that was shown once.
    RecoveryCode(Sensitive<String>),
}

impl SessionDeps<'_> {
    /// Accepts a factor once. A code of six digits can be guessed: its try is on the books before it is looked at, and leaves
    /// them when it is right. A recovery code of 120 bits can't, so nobody's guesses keep its owner waiting.
    pub(super) async fn prove(
        &self,
        context: &Context,
        account: AccountId,
        (factors, confirmed): (&Factors, &ConfirmedFactor),
        typed: &TypedFactor,
    ) -> Result<(), ProofError> {
        let core = self.core;
        let now = core.clock.now();
        let proof = match typed {
            TypedFactor::Code(code) => {
                self.claim(account, factors, now).await?;
                matching_step(self.totp, &confirmed.secret, code, Some(confirmed.last_step), now).map(Proof::Step)
            }
            TypedFactor::RecoveryCode(text) => RecoveryCode::parse(text).map(|code| Proof::RecoveryCode(code.digest())),
        };
        if let Some(proof) = proof {
            let effects = core.effects(context, now, action(typed), (account, Outcome::Allowed), None);
            if self.factors.redeem(account, &proof, now, &effects).await? {
                return Ok(());
            }
        }
        core.record_denial(context, action(typed), Some(account)).await?;
        Err(ProofError::InvalidCode)
    }

    async fn claim(&self, account: AccountId, factors: &Factors, now: Timestamp) -> Result<(), ProofError> {
        let tries = factors.tries.claim(now)?;
        if self.factors.claim_try(account, &tries).await? {
            return Ok(());
        }
        // Another try at the same moment was first: this one waits as if it came after.
        let until = now.checked_add(SignedDuration::from_secs(1)).unwrap_or(Timestamp::MAX);
        Err(Delayed { until, asked_at: now }.into())
    }
}

const fn action(typed: &TypedFactor) -> &'static str {
    match typed {
        TypedFactor::Code(_) => "factor.show_code",
        TypedFactor::RecoveryCode(_) => "factor.use_recovery_code",
    }
}

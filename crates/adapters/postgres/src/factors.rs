//! Second factors, their secrets sealed.

use crate::{
    accounts::Accounts,
    effects::{EffectRows, hex, unhex, verdict},
    error::unreadable,
    functions,
    json::Json,
    vault::Vault,
};
use amrutam_identity::{
    model::{ConfirmedFactor, Factors, PendingFactor, SecretDigest, Step, TotpSecret, Tries},
    ports::{Confirmed, FactorStore, Proof},
};
use amrutam_kernel::{AccountId, CommitError, Effects, PortError, SealPlace, SessionId};
use async_trait::async_trait;
use jiff::Timestamp;
use jiff_diesel::ToDiesel;
use serde::{Deserialize, Serialize};

/// Where the secret of the factor that was begun then lies; it does not move when the factor comes into force.
fn place(account: AccountId, begun_at: Timestamp) -> SealPlace<'static> {
    SealPlace {
        schema: "public",
        table: "totp_factors",
        column: "secret",
        row: account.as_uuid(),
        owner: account,
        version: begun_at.as_microsecond(),
    }
}

#[derive(Debug, Deserialize)]
struct FactorsRow {
    factors: Vec<FactorRow>,
    recovery_codes: usize,
    tries: Option<TriesRow>,
}

#[derive(Debug, Deserialize)]
struct TriesRow {
    at: Vec<Timestamp>,
    version: i64,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
enum FactorRow {
    Pending { secret: String, begun_at: Timestamp },
    Confirmed { secret: String, begun_at: Timestamp, confirmed_at: Timestamp, last_step: i64 },
}

async fn open(vault: &Vault, account: AccountId, begun_at: Timestamp, sealed: &str) -> Result<TotpSecret, PortError> {
    let sealed = unhex(sealed).ok_or_else(|| unreadable("a factor's secret"))?;
    let plain = vault.open(&place(account, begun_at), &sealed).await?;
    plain.try_into().map(TotpSecret::from_bytes).map_err(|_| unreadable("a factor's secret of another length"))
}

#[derive(Debug, Serialize)]
struct Redeem<'a> {
    account: AccountId,
    step: Option<i64>,
    recovery_code: Option<String>,
    tried_at: Timestamp,
    effects: EffectRows<'a>,
}

#[derive(Debug, Serialize)]
struct Begin<'a> {
    account: AccountId,
    secret: String,
    begun_at: Timestamp,
    effects: EffectRows<'a>,
}

#[derive(Debug, Serialize)]
struct Confirm<'a> {
    account: AccountId,
    begun_at: Timestamp,
    step: i64,
    at: Timestamp,
    codes: Vec<String>,
    session: SessionId,
    effects: EffectRows<'a>,
}

#[derive(Debug, Serialize)]
struct ReplaceCodes<'a> {
    account: AccountId,
    codes: Vec<String>,
    effects: EffectRows<'a>,
}

#[derive(Debug, Serialize)]
struct Remove<'a> {
    account: AccountId,
    effects: EffectRows<'a>,
}

fn codes(digests: &[SecretDigest]) -> Vec<String> {
    digests.iter().map(|digest| hex(digest.as_bytes())).collect()
}

#[async_trait]
impl FactorStore for Accounts {
    async fn factors(&self, account: AccountId) -> Result<Factors, PortError> {
        let Json(row) = self.db.ask(diesel::select(functions::second_factor(account.as_uuid()))).await?;
        let FactorsRow { factors, recovery_codes, tries } = row;
        let tries = tries.map(|row| Tries { at: row.at, version: row.version }).unwrap_or_default();
        let mut all = Factors { recovery_codes_left: recovery_codes, tries, ..Factors::default() };
        for factor in factors {
            match factor {
                FactorRow::Pending { secret, begun_at } => {
                    let secret = open(&self.vault, account, begun_at, &secret).await?;
                    all.pending = Some(PendingFactor { secret, begun_at });
                }
                FactorRow::Confirmed { secret, begun_at, confirmed_at, last_step } => {
                    let secret = open(&self.vault, account, begun_at, &secret).await?;
                    all.confirmed = Some(ConfirmedFactor { secret, confirmed_at, last_step: Step(last_step) });
                }
            }
        }
        Ok(all)
    }

    async fn claim_try(&self, account: AccountId, tries: &Tries) -> Result<bool, PortError> {
        let at: Vec<_> = tries.at.iter().map(|at| at.to_diesel()).collect();
        let query = diesel::select(functions::claim_second_factor_try(account.as_uuid(), at, tries.version));
        Ok(self.db.ask(query).await?)
    }

    async fn redeem(
        &self,
        account: AccountId,
        proof: &Proof,
        tried_at: Timestamp,
        effects: &Effects,
    ) -> Result<bool, PortError> {
        let (step, recovery_code) = match proof {
            Proof::Step(Step(step)) => (Some(*step), None),
            Proof::RecoveryCode(digest) => (None, Some(hex(digest.as_bytes()))),
        };
        let change = Redeem { account, step, recovery_code, tried_at, effects: EffectRows::of(&[effects]) };
        Ok(self.db.ask(diesel::select(functions::redeem_second_factor(Json(change)))).await?)
    }

    async fn begin(&self, account: AccountId, pending: &PendingFactor, effects: &Effects) -> Result<(), PortError> {
        let secret = self.vault.seal(&place(account, pending.begun_at), pending.secret.expose()).await?;
        let change = Begin { account, secret, begun_at: pending.begun_at, effects: EffectRows::of(&[effects]) };
        let _ok: String = self.db.ask(diesel::select(functions::begin_totp_factor(Json(change)))).await?;
        Ok(())
    }

    async fn confirm(
        &self,
        account: AccountId,
        confirmed: Confirmed<'_>,
        effects: &Effects,
    ) -> Result<(), CommitError> {
        let Confirmed { begun_at, step: Step(step), at, codes: digests, session } = confirmed;
        let effects = EffectRows::of(&[effects]);
        let change = Confirm { account, begun_at, step, at, codes: codes(digests), session, effects };
        let word: String = self.db.ask(diesel::select(functions::confirm_totp_factor(Json(change)))).await?;
        verdict(&word)
    }

    async fn replace_codes(
        &self,
        account: AccountId,
        digests: &[SecretDigest],
        effects: &Effects,
    ) -> Result<(), CommitError> {
        let change = ReplaceCodes { account, codes: codes(digests), effects: EffectRows::of(&[effects]) };
        let word: String = self.db.ask(diesel::select(functions::replace_recovery_codes(Json(change)))).await?;
        verdict(&word)
    }

    async fn remove(&self, account: AccountId, effects: &Effects) -> Result<(), CommitError> {
        let change = Remove { account, effects: EffectRows::of(&[effects]) };
        let word: String = self.db.ask(diesel::select(functions::remove_totp_factor(Json(change)))).await?;
        verdict(&word)
    }
}

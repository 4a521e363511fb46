//! Identity's second factors.

use crate::world::{MemoryWorld, into_port_error};
use amrutam_identity::{
    model::{ConfirmedFactor, Factors, PendingFactor, SecretDigest, Tries},
    ports::{Confirmed, FactorStore, Proof},
};
use amrutam_kernel::{AccountId, CommitError, Effects, PortError};
use async_trait::async_trait;
use jiff::Timestamp;

#[async_trait]
impl FactorStore for MemoryWorld {
    async fn factors(&self, account: AccountId) -> Result<Factors, PortError> {
        self.read(|tables| {
            let row = tables.factors.get(&account).cloned().unwrap_or_default();
            Factors {
                confirmed: row.confirmed,
                pending: row.pending,
                recovery_codes_left: row.codes.len(),
                tries: row.tries,
            }
        })
    }

    async fn claim_try(&self, account: AccountId, tries: &Tries) -> Result<bool, PortError> {
        let mut tx = self.begin(&Effects::default()).map_err(into_port_error)?;
        let row = tx.tables().factors.entry(account).or_default();
        if row.tries.version + 1 != tries.version {
            return Ok(false);
        }
        row.tries = tries.clone();
        tx.commit().map_err(into_port_error)?;
        Ok(true)
    }

    async fn redeem(
        &self,
        account: AccountId,
        proof: &Proof,
        tried_at: Timestamp,
        effects: &Effects,
    ) -> Result<bool, PortError> {
        let mut tx = self.begin(effects).map_err(into_port_error)?;
        let Some(row) = tx.tables().factors.get_mut(&account) else { return Ok(false) };
        let Some(confirmed) = &mut row.confirmed else { return Ok(false) };
        let accepted = match proof {
            Proof::Step(step) if *step > confirmed.last_step => {
                confirmed.last_step = *step;
                row.tries = std::mem::take(&mut row.tries).without(tried_at);
                true
            }
            Proof::Step(_) => false,
            Proof::RecoveryCode(digest) => row.codes.remove(digest),
        };
        if !accepted {
            return Ok(false);
        }
        tx.commit().map_err(into_port_error)?;
        Ok(true)
    }

    async fn begin(&self, account: AccountId, pending: &PendingFactor, effects: &Effects) -> Result<(), PortError> {
        let mut tx = MemoryWorld::begin(self, effects).map_err(into_port_error)?;
        tx.tables().factors.entry(account).or_default().pending = Some(pending.clone());
        tx.commit().map_err(into_port_error)
    }

    async fn confirm(
        &self,
        account: AccountId,
        confirmed: Confirmed<'_>,
        effects: &Effects,
    ) -> Result<(), CommitError> {
        let mut tx = MemoryWorld::begin(self, effects)?;
        let tables = tx.tables();
        let row = tables.factors.get_mut(&account).ok_or(CommitError::Stale)?;
        let is_it = |pending: &PendingFactor| pending.begun_at == confirmed.begun_at;
        let pending = row.pending.take().filter(is_it).ok_or(CommitError::Stale)?;
        row.confirmed =
            Some(ConfirmedFactor { secret: pending.secret, confirmed_at: confirmed.at, last_step: confirmed.step });
        row.codes = confirmed.codes.iter().copied().collect();
        if let Some(session) = tables.sessions.get_mut(&confirmed.session) {
            session.second_factor_at = Some(confirmed.at);
        }
        tx.commit()
    }

    async fn replace_codes(
        &self,
        account: AccountId,
        codes: &[SecretDigest],
        effects: &Effects,
    ) -> Result<(), CommitError> {
        let mut tx = MemoryWorld::begin(self, effects)?;
        let row = tx.tables().factors.get_mut(&account).filter(|row| row.confirmed.is_some());
        row.ok_or(CommitError::Stale)?.codes = codes.iter().copied().collect();
        tx.commit()
    }

    async fn remove(&self, account: AccountId, effects: &Effects) -> Result<(), CommitError> {
        let mut tx = MemoryWorld::begin(self, effects)?;
        let row = tx.tables().factors.get_mut(&account).filter(|row| row.confirmed.is_some());
        let row = row.ok_or(CommitError::Stale)?;
        row.confirmed = None;
        row.pending = None;
        row.codes.clear();
        tx.commit()
    }
}

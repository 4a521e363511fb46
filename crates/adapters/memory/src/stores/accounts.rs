//! Identity's accounts.

use crate::world::{MemoryWorld, defect, into_port_error};
use amrutam_identity::{
    Account, EmailAddress,
    ports::{AccountStore, Inserted},
};
use amrutam_kernel::{AccountId, CommitError, Effects, PortError};
use async_trait::async_trait;

#[async_trait]
impl AccountStore for MemoryWorld {
    async fn insert(&self, account: &Account, effects: &Effects) -> Result<Inserted, PortError> {
        let mut tx = match self.begin(effects) {
            Err(CommitError::AlreadyAnswered) => return Ok(Inserted::AlreadyAnswered),
            begun => begun.map_err(into_port_error)?,
        };
        let tables = tx.tables();
        if let Some(owner) = tables.accounts.values().find(|other| other.email == account.email) {
            return Ok(Inserted::EmailTaken(owner.id));
        }
        if tables.accounts.insert(account.id, account.clone()).is_some() {
            return Err(defect("an account's id is unique"));
        }
        tx.commit().map_err(into_port_error)?;
        Ok(Inserted::Created)
    }

    async fn record(&self, effects: &Effects) -> Result<(), PortError> {
        self.record_alone(effects)
    }

    async fn by_email(&self, email: &EmailAddress) -> Result<Option<Account>, PortError> {
        self.read(|tables| tables.accounts.values().find(|account| account.email.expose() == email).cloned())
    }

    async fn by_id(&self, id: AccountId) -> Result<Option<Account>, PortError> {
        self.read(|tables| tables.accounts.get(&id).cloned())
    }
}

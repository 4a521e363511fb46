//! Identity's accounts.

use crate::world::{MemoryWorld, defect, into_port_error};
use amrutam_identity::{
    Account, EmailAddress,
    model::Link,
    ports::{AccountChange, AccountStore, Inserted},
};
use amrutam_kernel::{AccountId, CommitError, Effects, PortError, SessionId, Unrecorded};
use async_trait::async_trait;

#[async_trait]
impl AccountStore for MemoryWorld {
    async fn insert(&self, account: &Account, link: Option<&Link>, effects: &Effects) -> Result<Inserted, PortError> {
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
        link.map(|link| tables.put_link(link)).transpose()?;
        tx.commit().map_err(into_port_error)?;
        Ok(Inserted::Created)
    }

    async fn update(&self, change: AccountChange<'_>, effects: &Effects) -> Result<Vec<SessionId>, CommitError> {
        let mut tx = self.begin(effects)?;
        let (tables, account) = (tx.tables(), change.account);
        let stored = tables.accounts.get_mut(&account.id).ok_or(CommitError::Stale)?;
        if stored.version + 1 != account.version {
            return Err(CommitError::Stale);
        }
        if (stored.role, &stored.email, stored.created_at) != (account.role, &account.email, account.created_at) {
            return Err(defect("role, address and time of creation of an account stay").into());
        }
        *stored = account.clone();
        if let Some((id, at)) = change.spend {
            let unspent =
                tables.links.get_mut(&id).filter(|link| link.account == account.id && link.spent_at.is_none());
            unspent.ok_or(CommitError::Stale)?.spent_at = Some(at);
        }
        if let Some(at) = change.void_links {
            let links = tables.links.values_mut().filter(|link| link.account == account.id);
            links.for_each(|link| link.spent_at = link.spent_at.or(Some(at)));
        }
        let ended = change.end_sessions.map(|end| tables.end_sessions(account.id, end)).unwrap_or_default();
        tx.commit()?;
        Ok(ended)
    }

    async fn record(&self, effects: &Effects) -> Result<(), PortError> {
        self.record_alone(effects)
    }

    async fn by_email(&self, email: &EmailAddress) -> Result<Unrecorded<Option<Account>>, PortError> {
        self.read(|tables| {
            Unrecorded::new(tables.accounts.values().find(|account| account.email.expose() == email).cloned())
        })
    }

    async fn by_id(&self, id: AccountId) -> Result<Unrecorded<Option<Account>>, PortError> {
        self.read(|tables| Unrecorded::new(tables.accounts.get(&id).cloned()))
    }
}

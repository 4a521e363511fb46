//! The suite of privacy's stores, and what is left of whoever is erased.

use crate::{
    clinical::{Real, real},
    support::vault,
};
use amrutam_clinical::{contract::Harness as _, ports::ClinicalStore};
use amrutam_identity::ports::AccountStore;
use amrutam_kernel::{AccountId, ConsultationId, EventId};
use amrutam_postgres::{Exports, Held};
use amrutam_privacy::{
    contract::Harness,
    ports::{ErasureStore, ExportStore, Holdings},
};
use async_trait::async_trait;
use jiff::Timestamp;
use std::sync::Arc;
use uuid::Uuid;

#[async_trait]
impl Harness for Real {
    fn exports(&self) -> Arc<dyn ExportStore> {
        Arc::new(Exports::new((*self.store).clone(), vault()))
    }

    fn holdings(&self) -> Arc<dyn Holdings> {
        let db = (*self.store).clone();
        Arc::new(Held::new(db.clone(), db, (*self.accounts).clone(), (*self.clinical).clone(), vault()))
    }

    fn erasures(&self) -> Arc<dyn ErasureStore> {
        self.store.clone()
    }

    fn now(&self) -> Timestamp {
        self.began
    }

    async fn patient(&self, statuses: &[&str]) -> (AccountId, Vec<ConsultationId>) {
        let visits = self.visits(statuses).await;
        (visits[0].patient, visits.iter().map(|visit| visit.id).collect())
    }

    async fn is_known(&self, account: AccountId) -> bool {
        AccountStore::by_id(self.accounts.as_ref(), account).await.unwrap().is_some()
    }

    async fn opens(&self, visit: ConsultationId) -> bool {
        ClinicalStore::visit(self.clinical.as_ref(), visit).await.unwrap().is_some()
    }

    async fn announced(&self, aggregate: Uuid) -> Vec<EventId> {
        amrutam_clinical::contract::Harness::announced(self, aggregate).await
    }
}

amrutam_privacy::privacy_store_contract!(real());

//! Privacy's stores.

use crate::memory::{Memory, memory};
use amrutam_clinical::{
    contract::{Harness as _, seeds},
    model::Subject,
    ports::ClinicalStore,
};
use amrutam_identity::ports::AccountStore;
use amrutam_kernel::{AccountId, Clock, CommitError, ConsultationId, EventId};
use amrutam_privacy::{
    contract::Harness,
    ports::{ErasureStore, ExportStore, Holdings},
};
use async_trait::async_trait;
use jiff::Timestamp;
use std::sync::Arc;
use uuid::Uuid;

#[async_trait]
impl Harness for Memory {
    fn exports(&self) -> Arc<dyn ExportStore> {
        self.world.clone()
    }

    fn holdings(&self) -> Arc<dyn Holdings> {
        self.world.clone()
    }

    fn erasures(&self) -> Arc<dyn ErasureStore> {
        self.world.clone()
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    async fn patient(&self, statuses: &[&str]) -> (AccountId, Vec<ConsultationId>) {
        let visits = self.visits(statuses).await;
        (visits[0].patient, visits.iter().map(|visit| visit.id).collect())
    }

    async fn agrees(&self, patient: AccountId, visit: ConsultationId, purposes: &[&str]) -> Result<(), CommitError> {
        seeds::agree(self.world.as_ref(), Subject::Account(patient), visit, purposes, self.clock.now()).await
    }

    async fn agreed(&self, visit: ConsultationId) -> Vec<&'static str> {
        seeds::agreed(self.world.as_ref(), visit).await
    }

    async fn keeps(&self, keeper: AccountId, removed: bool) -> AccountId {
        let dependant = seeds::keep(self.world.as_ref(), keeper, self.clock.now()).await;
        if removed {
            seeds::remove(self.world.as_ref(), &dependant, self.clock.now()).await;
        }
        dependant.subject().key_owner()
    }

    async fn is_known(&self, account: AccountId) -> bool {
        AccountStore::by_id(self.world.as_ref(), account).await.unwrap().undisclosed().is_some()
    }

    async fn opens(&self, visit: ConsultationId) -> bool {
        ClinicalStore::visit(self.world.as_ref(), visit).await.unwrap().is_some()
    }

    async fn announced(&self, aggregate: Uuid) -> Vec<EventId> {
        self.announced_about(aggregate)
    }
}

amrutam_privacy::privacy_store_contract!(memory());

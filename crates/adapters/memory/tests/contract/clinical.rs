//! Clinical's stores.

use crate::memory::{Memory, memory};
use amrutam_booking::{contract::seeds, ports::ConsultationStore};
use amrutam_clinical::{
    contract::{Harness, MadeVisit},
    model::Subject,
    ports::{ClinicalStore, FormularyStore},
};
use amrutam_kernel::{AccountId, AuditEntryId, Clock, EventId, IdSource, Role};
use async_trait::async_trait;
use jiff::Timestamp;
use std::sync::Arc;
use uuid::Uuid;

#[async_trait]
impl Harness for Memory {
    fn clinical(&self) -> Arc<dyn ClinicalStore> {
        self.world.clone()
    }

    fn formularies(&self) -> Arc<dyn FormularyStore> {
        self.world.clone()
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    async fn visits_of(&self, whom: Option<Subject>, statuses: &[&str]) -> Vec<MadeVisit> {
        let doctor = self.registered(&self.ids, &self.ids.uuid_v7(self.clock.now()).to_string()).await;
        let patient = match whom {
            Some(whom) => whom.keeper(),
            None => self.insert(AccountId::from_uuid(self.ids.uuid_v7(self.clock.now())), Role::Patient).await.id,
        };
        let dependant = whom.as_ref().and_then(Subject::dependant);
        let now = self.clock.now();
        let slots = seeds::open_slots(self.world.as_ref(), doctor.id, statuses.len(), now).await;
        let mut visits = Vec::new();
        for (slot, status) in slots.iter().zip(statuses) {
            let (made, changes) = seeds::visit(slot, patient, dependant, status.parse().unwrap(), now);
            ConsultationStore::commit(self.world.as_ref(), &changes).await.unwrap();
            visits.push(MadeVisit {
                id: made.id,
                patient,
                doctor: doctor.id,
                doctor_account: doctor.account,
                starts_at: slot.range.start(),
                version: made.version,
            });
        }
        visits
    }

    async fn announced(&self, aggregate: Uuid) -> Vec<EventId> {
        self.announced_about(aggregate)
    }

    async fn audited(&self, resource_id: &str) -> Vec<AuditEntryId> {
        self.audited_on(resource_id)
    }
}

amrutam_clinical::clinical_store_contract!(memory());

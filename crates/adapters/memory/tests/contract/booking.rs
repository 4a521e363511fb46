use crate::memory::{Memory, memory};
use amrutam_booking::{
    contract::Harness,
    ports::{AvailabilityStore, ConsultationStore, DirectoryStore, SlotLocks},
};
use amrutam_kernel::{AccountId, AuditEntryId, Clock, EventId, Role};
use amrutam_memory::MemorySlotLocks;
use async_trait::async_trait;
use futures::future::BoxFuture;
use jiff::Timestamp;
use std::sync::Arc;
use uuid::Uuid;

#[async_trait]
impl Harness for Memory {
    fn consultations(&self) -> Arc<dyn ConsultationStore> {
        self.world.clone()
    }

    fn availability(&self) -> Arc<dyn AvailabilityStore> {
        self.world.clone()
    }

    fn directory(&self) -> Arc<dyn DirectoryStore> {
        self.world.clone()
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    async fn insert_account(&self, id: AccountId, role: Role) {
        self.insert(id, role).await;
    }

    async fn close_account(&self, id: AccountId) {
        amrutam_notifications::contract::Readers::close(self, id).await;
    }

    async fn announced(&self, aggregate: Uuid) -> Vec<EventId> {
        self.announced_about(aggregate)
    }

    async fn audited(&self, resource_id: &str) -> Vec<AuditEntryId> {
        self.audited_on(resource_id)
    }

    fn spawn(&self, work: BoxFuture<'static, ()>) {
        tokio::spawn(work);
    }
}

async fn locks() -> Arc<dyn SlotLocks> {
    Arc::new(MemorySlotLocks::new())
}

amrutam_booking::consultation_store_contract!(memory());
amrutam_booking::availability_store_contract!(memory());
amrutam_booking::directory_store_contract!(memory());
amrutam_booking::slot_locks_contract!(locks());

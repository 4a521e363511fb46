use crate::memory::{Memory, memory};
use amrutam_identity::{
    contract::{Harness, Tokens},
    ports::{AccountStore, PasswordHasher},
};
use amrutam_kernel::{AuditEntryId, Clock, EventId};
use amrutam_memory::{FakeHasher, FakeTokens};
use async_trait::async_trait;
use futures::future::BoxFuture;
use jiff::Timestamp;
use std::sync::Arc;
use uuid::Uuid;

#[async_trait]
impl Harness for Memory {
    fn accounts(&self) -> Arc<dyn AccountStore> {
        self.world.clone()
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
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

async fn hasher() -> Arc<dyn PasswordHasher> {
    Arc::new(FakeHasher::new())
}

async fn tokens() -> Tokens {
    let ours = Arc::new(FakeTokens::new("ours"));
    Tokens { issuer: ours.clone(), verifier: ours, stranger: Arc::new(FakeTokens::new("theirs")) }
}

amrutam_identity::account_store_contract!(memory());
amrutam_identity::password_hasher_contract!(hasher());
amrutam_identity::tokens_contract!(tokens());

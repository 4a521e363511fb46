use crate::memory::{Memory, memory};
use amrutam_identity::{
    contract::{CachedGate, GateMaker, Harness, Indexes, Links, Tokens},
    ports::{AccountStore, FactorStore, LinkStore, PasswordHasher, SecretSource, SessionGate, SessionStore, Totp},
};
use amrutam_kernel::{AuditEntryId, Clock, EventId};
use amrutam_memory::{FakeHasher, FakeIndex, FakeLinks, FakeSecrets, FakeTokens, MemoryGate, MemoryTotp};
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

    fn links(&self) -> Arc<dyn LinkStore> {
        self.world.clone()
    }

    fn sessions(&self) -> Arc<dyn SessionStore> {
        self.world.clone()
    }

    fn gate(&self) -> Arc<dyn SessionGate> {
        self.world.clone()
    }

    fn factors(&self) -> Arc<dyn FactorStore> {
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

#[async_trait]
impl GateMaker for Memory {
    async fn two(&self, inner: Arc<dyn SessionGate>) -> [CachedGate; 2] {
        let gate = Arc::new(MemoryGate::new(inner));
        [(); 2].map(|()| CachedGate { gate: gate.clone(), notices: gate.clone() })
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

async fn hasher() -> Arc<dyn PasswordHasher> {
    Arc::new(FakeHasher::new())
}

async fn tokens() -> Tokens {
    let ours = Arc::new(FakeTokens::new("ours"));
    Tokens { issuer: ours.clone(), verifier: ours, stranger: Arc::new(FakeTokens::new("theirs")) }
}

async fn totp() -> Arc<dyn Totp> {
    Arc::new(MemoryTotp)
}

async fn links() -> Links {
    Links { ours: Arc::new(FakeLinks::new("ours")), strangers: Arc::new(FakeLinks::new("theirs")) }
}

async fn secrets() -> Arc<dyn SecretSource> {
    Arc::new(FakeSecrets::new(7))
}

async fn indexes() -> Indexes {
    Indexes { ours: Arc::new(FakeIndex::new("ours")), strangers: Arc::new(FakeIndex::new("theirs")) }
}

amrutam_identity::account_store_contract!(memory());
amrutam_identity::link_store_contract!(memory());
amrutam_identity::session_store_contract!(memory());
amrutam_identity::session_gate_contract!(memory());
amrutam_identity::factor_store_contract!(memory());
amrutam_identity::cached_gate_contract!(memory());
amrutam_identity::password_hasher_contract!(hasher());
amrutam_identity::tokens_contract!(tokens());
amrutam_identity::totp_contract!(totp());
amrutam_identity::link_tokens_contract!(links());
amrutam_identity::secret_source_contract!(secrets());
amrutam_identity::blind_index_contract!(indexes());

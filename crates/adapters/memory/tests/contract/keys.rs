use amrutam_keys::{
    contract::Wrappers,
    model::KekId,
    ports::{KeyStore, KeyWrapper},
};
use amrutam_memory::{FakeKeks, MemoryKeyStore};
use async_trait::async_trait;
use std::sync::Arc;

mod store {
    use super::*;

    async fn store() -> Arc<dyn KeyStore> {
        Arc::new(MemoryKeyStore::new())
    }
    amrutam_keys::key_store_contract!(store());
}

struct Fakes(Arc<FakeKeks>);

fn kek(name: &str) -> KekId {
    name.parse().unwrap()
}

#[async_trait]
impl Wrappers for Fakes {
    fn wrapper(&self) -> Arc<dyn KeyWrapper> {
        self.0.clone()
    }
    async fn rotate(&self) {
        self.0.rotate(kek("second"), 2);
    }
    async fn impostor(&self) -> Arc<dyn KeyWrapper> {
        Arc::new(FakeKeks::new(kek("first"), 3))
    }
}

mod wrapper {
    use super::*;

    async fn wrappers() -> Fakes {
        Fakes(Arc::new(FakeKeks::new(kek("first"), 1)))
    }
    amrutam_keys::key_wrapper_contract!(wrappers());
}

//! How far a rotation is.

use crate::{
    model::{KekId, KekState},
    ports::KeyStore,
};
use amrutam_kernel::PortError;

/// A key-encryption key and what is wrapped under it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KekStatus {
    /// The key.
    pub kek: KekState,
    /// How many data keys are wrapped under it.
    pub keys: u64,
}

/// Of every key-encryption key but that one, when one is named: counting what is wrapped under the current one is the slow part.
pub async fn status(store: &dyn KeyStore, except: Option<&KekId>) -> Result<Vec<KekStatus>, PortError> {
    let mut all = Vec::new();
    for kek in store.keks().await?.into_iter().filter(|kek| Some(&kek.id) != except) {
        let keys = if kek.retired_at.is_some() { 0 } else { store.count(&kek.id).await? };
        all.push(KekStatus { kek, keys });
    }
    Ok(all)
}

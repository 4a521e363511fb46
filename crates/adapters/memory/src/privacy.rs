//! What packs archives and destroys keys, in truth neither.

use amrutam_kernel::{AccountId, Context, PortError};
use amrutam_privacy::{
    model::Dossier,
    ports::{Archiver, KeyDestroyer, PackError},
};
use async_trait::async_trait;
use std::sync::{Mutex, PoisonError};

/// Writes the files one after the other, each after its name.
#[derive(Debug, Clone, Copy, Default)]
pub struct FakeArchiver;

impl Archiver for FakeArchiver {
    fn pack(&self, dossier: &Dossier) -> Result<Vec<u8>, PackError> {
        let line = |file: &amrutam_privacy::model::DossierFile| {
            [file.name.as_bytes(), b": ", file.content.expose().as_slice(), b"\n"].concat()
        };
        Ok(dossier.files().iter().flat_map(line).collect())
    }
}

/// Remembers whose keys were to be destroyed.
#[derive(Debug, Default)]
pub struct FakeDestroyer {
    destroyed: Mutex<Vec<AccountId>>,
}

impl FakeDestroyer {
    /// One that has destroyed nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whose, in order.
    pub fn destroyed(&self) -> Vec<AccountId> {
        self.destroyed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl KeyDestroyer for FakeDestroyer {
    async fn destroy(&self, _: &Context, owner: AccountId) -> Result<u64, PortError> {
        let mut destroyed = self.destroyed.lock().unwrap_or_else(PoisonError::into_inner);
        let known = destroyed.contains(&owner);
        destroyed.push(owner);
        Ok(u64::from(!known))
    }
}

//! Passwords, protected by nothing.

use amrutam_identity::{
    model::{NewPassword, PasswordHash},
    ports::PasswordHasher,
};
use amrutam_kernel::{PortError, Sensitive};
use async_trait::async_trait;
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::atomic::{AtomicU64, Ordering},
};

/// Hashes at once and protects nothing: for tests.
#[derive(Debug, Default)]
pub struct FakeHasher {
    salts: AtomicU64,
}

impl FakeHasher {
    /// A hasher.
    pub fn new() -> Self {
        Self::default()
    }
}

fn fake_hash(salt: u64, password: &str) -> String {
    let mut hasher = DefaultHasher::new();
    (salt, password).hash(&mut hasher);
    format!("$fake${salt}${:016x}", hasher.finish())
}

#[async_trait]
impl PasswordHasher for FakeHasher {
    async fn hash(&self, password: &NewPassword) -> Result<PasswordHash, PortError> {
        let salt = self.salts.fetch_add(1, Ordering::Relaxed);
        Ok(PasswordHash::from_phc(fake_hash(salt, password.expose().expose())))
    }

    async fn verify(&self, password: &Sensitive<String>, hash: Option<&PasswordHash>) -> Result<bool, PortError> {
        let salt = |phc: &str| phc.strip_prefix("$fake$")?.split('$').next()?.parse().ok();
        Ok(hash.is_some_and(|hash| {
            salt(hash.as_phc()).is_some_and(|salt| fake_hash(salt, password.expose()) == hash.as_phc())
        }))
    }
}

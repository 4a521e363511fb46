//! Sealing and blind indexes that hide nothing.

use amrutam_kernel::{BlindIndex, Dependency, MAX_SEALED_PLAIN, PortError, SealError, SealPlace, Sealer};
use async_trait::async_trait;
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::atomic::{AtomicU64, Ordering},
};

/// Marks a value as sealed and binds it to its place; anybody can read it: for tests.
#[derive(Debug, Default)]
pub struct FakeSealer {
    nonces: AtomicU64,
}

const MAGIC: &[u8] = b"fake";

impl FakeSealer {
    /// A sealer. All of them open each other's values.
    pub fn new() -> Self {
        Self::default()
    }
}

fn checksum(place: &SealPlace<'_>, nonce: &[u8], hidden: &[u8]) -> [u8; 8] {
    let mut hasher = DefaultHasher::new();
    (place.to_bytes(), nonce, hidden).hash(&mut hasher);
    hasher.finish().to_be_bytes()
}

// A plain text that is looked for in what is stored must not be found there.
fn scramble(nonce: &[u8], bytes: &[u8]) -> Vec<u8> {
    bytes.iter().zip(nonce.iter().cycle()).map(|(byte, mask)| !byte ^ mask).collect()
}

#[async_trait]
impl Sealer for FakeSealer {
    async fn seal(&self, place: &SealPlace<'_>, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        if plain.len() > MAX_SEALED_PLAIN {
            return Err(PortError::defect(Dependency::Database, "more than one sealed value may hold").into());
        }
        let nonce = self.nonces.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let hidden = scramble(&nonce, plain);
        Ok([MAGIC, &nonce, &checksum(place, &nonce, &hidden), &hidden].concat())
    }

    async fn open(&self, place: &SealPlace<'_>, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let rest = sealed.strip_prefix(MAGIC).ok_or(SealError::Malformed)?;
        let (nonce, rest) = rest.split_at_checked(8).ok_or(SealError::Malformed)?;
        let (sum, hidden) = rest.split_at_checked(8).ok_or(SealError::Malformed)?;
        if sum != checksum(place, nonce, hidden) {
            return Err(SealError::Refused);
        }
        Ok(scramble(nonce, hidden))
    }
}

/// Digests that anybody can make: for tests. Makers with different keys make different ones.
#[derive(Debug)]
pub struct FakeIndex {
    key: String,
}

impl FakeIndex {
    /// With this key.
    pub fn new(key: impl Into<String>) -> Self {
        Self { key: key.into() }
    }
}

impl BlindIndex for FakeIndex {
    fn digest(&self, column: &str, normalized: &str) -> [u8; 16] {
        let half = |half: u8| {
            let mut hasher = DefaultHasher::new();
            (&self.key, column, normalized, half).hash(&mut hasher);
            u128::from(hasher.finish())
        };
        (half(0) << 64 | half(1)).to_be_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use amrutam_kernel::AccountId;
    use uuid::Uuid;

    #[tokio::test]
    async fn opens_where_it_was_sealed_and_nowhere_else() {
        let (sealer, owner) = (FakeSealer::new(), AccountId::from_uuid(Uuid::nil()));
        let place = SealPlace { schema: "phi", table: "t", column: "c", row: Uuid::nil(), owner, version: 1 };
        let sealed = sealer.seal(&place, b"canary").await.unwrap();
        assert_ne!(sealed, sealer.seal(&place, b"canary").await.unwrap());
        assert!(!sealed.windows(6).any(|window| window == b"canary"));
        assert_eq!(sealer.open(&place, &sealed).await, Ok(b"canary".to_vec()));
        assert_eq!(sealer.open(&SealPlace { row: Uuid::max(), ..place }, &sealed).await, Err(SealError::Refused));
        assert_eq!(sealer.open(&place, b"canary").await, Err(SealError::Malformed));
        let mut altered = sealed;
        *altered.last_mut().unwrap() ^= 1;
        assert_eq!(sealer.open(&place, &altered).await, Err(SealError::Refused));
    }
}

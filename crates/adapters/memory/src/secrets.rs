//! Secrets that repeat.

use crate::SeededIds;
use amrutam_identity::ports::SecretSource;
use amrutam_kernel::{IdSource, PortError};

/// Bytes that follow from a seed: for tests, and never for anything else.
#[derive(Debug)]
pub struct FakeSecrets(SeededIds);

impl FakeSecrets {
    /// Begins the sequence that belongs to `seed`.
    pub fn new(seed: u64) -> Self {
        Self(SeededIds::new(seed))
    }
}

impl SecretSource for FakeSecrets {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), PortError> {
        for chunk in bytes.chunks_mut(8) {
            let number = self.0.below(u64::MAX).to_be_bytes();
            chunk.iter_mut().zip(number).for_each(|(byte, random)| *byte = random);
        }
        Ok(())
    }
}

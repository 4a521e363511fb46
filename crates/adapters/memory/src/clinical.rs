//! What signs and prints prescriptions, in truth neither.

use amrutam_clinical::{
    model::{Prescription, SignedFacts, VerifyCode},
    ports::{PrescriptionRenderer, PrescriptionSigner, Printer, RenderError, SignedClaims, VerifyCodes},
};
use amrutam_kernel::PortError;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Signs nothing, and draws codes that anybody can guess.
#[derive(Debug, Default)]
pub struct FakeSigner {
    drawn: AtomicU64,
}

impl FakeSigner {
    /// Draws from the first code on.
    pub fn new() -> Self {
        Self::default()
    }
}

impl PrescriptionSigner for FakeSigner {
    fn sign(&self, claims: &SignedClaims) -> Result<String, PortError> {
        Ok(format!("fake.{}.{}", claims.prescription, claims.content_sha256))
    }
}

impl VerifyCodes for FakeSigner {
    fn verify_code(&self) -> VerifyCode {
        let mut bytes = [0; 26];
        let drawn = self.drawn.fetch_add(1, Ordering::Relaxed);
        for (place, byte) in bytes.iter_mut().zip(drawn.to_be_bytes()) {
            *place = byte;
        }
        VerifyCode::from_random(bytes)
    }
}

/// Prints the id and the code, and fails as often as it is told to.
#[derive(Debug, Default)]
pub struct FakeRenderer {
    failures: AtomicU32,
}

impl FakeRenderer {
    /// One that does not fail.
    pub fn new() -> Self {
        Self::default()
    }

    /// The next so many documents can't be made.
    pub fn fail_next(&self, times: u32) {
        self.failures.store(times, Ordering::Relaxed);
    }
}

impl PrescriptionRenderer for FakeRenderer {
    fn render(&self, prescription: &Prescription, facts: &SignedFacts) -> Result<Vec<u8>, RenderError> {
        let one_less = |left: u32| left.checked_sub(1);
        if self.failures.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok() {
            return Err(RenderError("told to fail".to_owned()));
        }
        Ok(format!("{} {}", prescription.id, facts.verify_code).into_bytes())
    }
}

impl Printer for FakeRenderer {
    /// Neither Tamil nor what came later.
    fn is_printable(&self, text: &str) -> bool {
        text.chars().all(|letter| letter < '\u{b80}' || ('\u{1e00}'..='\u{20ff}').contains(&letter))
    }
}

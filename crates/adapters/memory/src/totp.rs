//! One-time codes: the real algorithm, and what an authenticator would show.

use amrutam_identity::{
    EmailAddress,
    model::{STEP_SECONDS, Step, TotpSecret},
    ports::{Enrolment, Totp},
};
use amrutam_kernel::{PortError, Sensitive};
use data_encoding::BASE32_NOPAD;
use jiff::Timestamp;
use totp_rs::{Algorithm, Builder, Secret};

/// RFC 6238 by a library; the QR code is a blank one.
#[derive(Debug, Clone, Copy, Default)]
pub struct MemoryTotp;

impl MemoryTotp {
    /// What the authenticator that was given this secret shows at `now`.
    pub fn shown_at(secret: &Sensitive<String>, now: Timestamp) -> Option<Sensitive<String>> {
        let bytes = BASE32_NOPAD.decode(secret.expose().as_bytes()).ok()?;
        Some(Self.code(&TotpSecret::from_bytes(bytes.try_into().ok()?), Step::at(now)))
    }
}

impl Totp for MemoryTotp {
    fn code(&self, secret: &TotpSecret, Step(step): Step) -> Sensitive<String> {
        // Noncompliant is only that the URI's fields are not checked: they are not used.
        let totp = Builder::new()
            .with_algorithm(Algorithm::SHA1)
            .with_digits(6)
            .with_step_duration(STEP_SECONDS.unsigned_abs())
            .with_secret(Secret::new_stack(*secret.expose()))
            .build_noncompliant();
        Sensitive::new(totp.generate(step.saturating_mul(STEP_SECONDS).unsigned_abs()).to_string())
    }

    fn enrolment(&self, secret: &TotpSecret, email: &EmailAddress) -> Result<Enrolment, PortError> {
        let secret = BASE32_NOPAD.encode(secret.expose());
        let uri = format!("otpauth://totp/Fake:{}?secret={secret}&issuer=Fake", email.as_str());
        Ok(Enrolment {
            secret: Sensitive::new(secret),
            otpauth_uri: Sensitive::new(uri),
            qr_svg: Sensitive::new("<svg xmlns=\"http://www.w3.org/2000/svg\"></svg>".to_owned()),
        })
    }
}

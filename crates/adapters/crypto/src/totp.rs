//! One-time codes, and what sets up an authenticator.

use amrutam_identity::{
    EmailAddress,
    model::{STEP_SECONDS, Step, TotpSecret},
    ports::{Enrolment, Totp},
};
use amrutam_kernel::{Dependency, PortError, Sensitive};
use qrcode::{EcLevel, QrCode, render::svg};
use totp_rs::{Algorithm, Builder, Secret};

/// RFC 6238.
#[derive(Debug, Clone)]
pub struct Rfc6238 {
    issuer: String,
}

impl Rfc6238 {
    /// Authenticators show this name beside the address. A colon in it is an error of each enrolment.
    pub fn new(issuer: impl Into<String>) -> Self {
        Self { issuer: issuer.into() }
    }
}

fn totp(secret: &TotpSecret) -> Builder {
    Builder::new()
        .with_algorithm(Algorithm::SHA1)
        .with_digits(6)
        .with_step_duration(STEP_SECONDS.unsigned_abs())
        .with_secret(Secret::new_stack(*secret.expose()))
}

impl Totp for Rfc6238 {
    fn code(&self, secret: &TotpSecret, Step(step): Step) -> Sensitive<String> {
        // Nothing here can be against the RFC: its length, digits and step are constants.
        let totp = totp(secret).build_noncompliant();
        Sensitive::new(totp.generate(step.saturating_mul(STEP_SECONDS).unsigned_abs()).to_string())
    }

    fn enrolment(&self, secret: &TotpSecret, email: &EmailAddress) -> Result<Enrolment, PortError> {
        let totp = totp(secret).with_issuer(Some(self.issuer.as_str())).with_account_name(email.as_str());
        let totp = totp.build().map_err(defect)?;
        let uri = totp.to_url().map_err(defect)?;
        // On a screen nothing is smudged: the lowest correction, fewest modules.
        let code = QrCode::with_error_correction_level(&uri, EcLevel::L).map_err(defect)?;
        let svg = code.render::<svg::Color<'_>>().min_dimensions(240, 240).build();
        Ok(Enrolment {
            secret: Sensitive::new(totp.secret().to_base32()),
            otpauth_uri: Sensitive::new(uri),
            qr_svg: Sensitive::new(svg),
        })
    }
}

fn defect(error: impl std::fmt::Display) -> PortError {
    PortError::defect(Dependency::Hasher, format_args!("enrolment: {error}"))
}

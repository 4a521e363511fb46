//! The printed prescription as PDF: A4, in English with Hindi headings, Devanagari shaped, with a QR code that carries the address of
//! the public check and the signed payload for the offline one.
//!
//! The same prescription gives the same bytes: the date in the file is that of the signature, its id that of the prescription, and
//! nothing else is drawn from the world. A character that neither font has is an error, not a box.
#![deny(missing_docs)]

mod content;
mod page;
mod text;

use amrutam_clinical::{
    model::{Prescription, SignedFacts},
    ports::{PrescriptionRenderer, Printer, RenderError},
};
use jiff::tz::TimeZone;

/// Knows which letters there are, without printing any.
pub struct Letters(text::Fonts);

impl std::fmt::Debug for Letters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Letters")
    }
}

impl Letters {
    /// Of this build's fonts.
    ///
    /// # Errors
    /// When they can't be read.
    pub fn load() -> Result<Self, RenderError> {
        Ok(Self(text::Fonts::load()?))
    }
}

impl Printer for Letters {
    fn is_printable(&self, text: &str) -> bool {
        self.0.has(text)
    }
}

/// Prints prescriptions.
pub struct PdfRenderer {
    verify_url: String,
    zone: TimeZone,
    fonts: text::Fonts,
}

impl std::fmt::Debug for PdfRenderer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PdfRenderer").field("verify_url", &self.verify_url).finish_non_exhaustive()
    }
}

impl PdfRenderer {
    /// `verify_url` is what a code is appended to, such as `https://amrutam.example/v1/prescriptions/verify/`; times are shown in
    /// `zone`.
    ///
    /// # Errors
    /// When the fonts in this build can't be read.
    pub fn new(verify_url: impl Into<String>, zone: TimeZone) -> Result<Self, RenderError> {
        Ok(Self { verify_url: verify_url.into(), zone, fonts: text::Fonts::load()? })
    }

    /// What the QR code says: the public check, and behind the `#` the signed payload, which no server is sent.
    pub fn qr_text(&self, facts: &SignedFacts) -> String {
        format!("{}{}#{}", self.verify_url, facts.verify_code, facts.jws)
    }
}

impl PrescriptionRenderer for PdfRenderer {
    fn render(&self, prescription: &Prescription, facts: &SignedFacts) -> Result<Vec<u8>, RenderError> {
        let blocks = content::blocks(prescription, facts, &self.zone)?;
        let check = format!("{}{}", self.verify_url, facts.verify_code);
        page::Layout::new(&self.fonts, prescription, facts, &self.zone).render(&blocks, &self.qr_text(facts), &check)
    }
}

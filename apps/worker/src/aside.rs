//! What computes for long, without the others of its thread waiting for it.

use amrutam_clinical::{
    model::{Prescription, SignedFacts},
    ports::{PrescriptionRenderer, RenderError},
};
use amrutam_privacy::{
    model::Dossier,
    ports::{Archiver, PackError},
};
use tokio::task::block_in_place;

/// Another thread takes over what waits on this one, until the work is done: an archive has tens of megabytes.
pub(crate) struct Aside<'a, T>(pub(crate) &'a T);

impl<T: Archiver> Archiver for Aside<'_, T> {
    fn pack(&self, dossier: &Dossier) -> Result<Vec<u8>, PackError> {
        block_in_place(|| self.0.pack(dossier))
    }
}

impl<T: PrescriptionRenderer> PrescriptionRenderer for Aside<'_, T> {
    fn render(&self, prescription: &Prescription, facts: &SignedFacts) -> Result<Vec<u8>, RenderError> {
        block_in_place(|| self.0.render(prescription, facts))
    }
}

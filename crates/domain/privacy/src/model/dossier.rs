//! All that is held of a person, as files.

use crate::GatherError;
use amrutam_kernel::{Dependency, Personal, PortError, RecordRef, Sensitive};
use serde::Serialize;

/// (ours) 24 MiB in all: what a process can hold beside its other work. A file more is refused, never left out.
pub const MAX_DOSSIER: usize = 24 << 20;

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DossierFile {
    /// `consultations.json`, `prescriptions/<id>.pdf`: ids and words of ours.
    pub name: String,
    /// What is in it.
    pub content: Sensitive<Vec<u8>>,
}

/// All that is held of one person.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dossier {
    files: Vec<DossierFile>,
    records: Vec<RecordRef>,
    bytes: usize,
}

impl Dossier {
    /// Adds a file, and says which records are in it.
    pub fn add(
        &mut self,
        name: impl Into<String>,
        content: Vec<u8>,
        records: impl IntoIterator<Item = RecordRef>,
    ) -> Result<(), GatherError> {
        self.bytes = self.bytes.saturating_add(content.len());
        if self.bytes > MAX_DOSSIER {
            return Err(GatherError::TooLarge);
        }
        self.files.push(DossierFile { name: name.into(), content: Sensitive::new(content) });
        for record in records {
            if !self.records.contains(&record) {
                self.records.push(record);
            }
        }
        Ok(())
    }

    /// Adds a file of JSON, indented to be read by people, too.
    pub fn add_json<T: Serialize>(
        &mut self,
        name: impl Into<String>,
        content: &T,
        records: impl IntoIterator<Item = RecordRef>,
    ) -> Result<(), GatherError> {
        // Not the error's own words: some repeat what they were given.
        let broken = |_| PortError::defect(Dependency::Database, "what is held of a person can't be written as JSON");
        self.add(name, serde_json::to_vec_pretty(content).map_err(broken)?, records)
    }

    /// In the order in which they were added.
    pub fn files(&self) -> &[DossierFile] {
        &self.files
    }
}

impl Personal for Dossier {
    fn records(&self) -> Vec<RecordRef> {
        self.records.clone()
    }
}

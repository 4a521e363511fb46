//! By which names the record of accesses knows what is read here: dead letters and cases, each by itself.

use crate::{
    model::{Attempts, DeadLetter, HistoryEntry, ReviewCase},
    ports::Snapshot,
};
use amrutam_kernel::{Personal, RecordRef};

impl Personal for DeadLetter {
    fn records(&self) -> Vec<RecordRef> {
        vec![RecordRef { kind: "dead_letter", id: self.id.to_string() }]
    }
}

impl Personal for ReviewCase {
    fn records(&self) -> Vec<RecordRef> {
        vec![RecordRef { kind: "review", id: self.id.to_string() }]
    }
}

impl<T: Personal> Personal for Snapshot<T> {
    fn records(&self) -> Vec<RecordRef> {
        self.found.records()
    }
}

/// Shown with a case alone, and without persons: the entry that names the case says whose it is.
impl Personal for HistoryEntry {
    fn records(&self) -> Vec<RecordRef> {
        Vec::new()
    }
}

/// As [`HistoryEntry`].
impl Personal for Attempts {
    fn records(&self) -> Vec<RecordRef> {
        Vec::new()
    }
}

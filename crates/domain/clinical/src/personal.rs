//! By which names the record of accesses knows what is read here: what was said at a visit by the visit, who is kept by themself.

use crate::{
    model::{Consent, Dependant, EarlierVisit, Note, Prescription},
    ports::{Document, Kept, RecordEntry, RecordedGuardian},
};
use amrutam_kernel::{ConsultationId, Personal, RecordRef};

fn visit(id: ConsultationId) -> Vec<RecordRef> {
    vec![RecordRef { kind: "consultation", id: id.to_string() }]
}

impl Personal for Note {
    fn records(&self) -> Vec<RecordRef> {
        visit(self.consultation)
    }
}

impl Personal for Consent {
    fn records(&self) -> Vec<RecordRef> {
        visit(self.consultation)
    }
}

impl Personal for RecordedGuardian {
    fn records(&self) -> Vec<RecordRef> {
        visit(self.consultation)
    }
}

impl Personal for Prescription {
    fn records(&self) -> Vec<RecordRef> {
        visit(self.consultation)
    }
}

impl Personal for Document {
    fn records(&self) -> Vec<RecordRef> {
        visit(self.consultation)
    }
}

impl Personal for EarlierVisit {
    fn records(&self) -> Vec<RecordRef> {
        visit(self.consultation)
    }
}

impl Personal for RecordEntry {
    fn records(&self) -> Vec<RecordRef> {
        // Of what is withheld no more is left than that there was a visit.
        if self.withheld { Vec::new() } else { visit(self.consultation) }
    }
}

impl Personal for Dependant {
    fn records(&self) -> Vec<RecordRef> {
        vec![RecordRef { kind: "dependant", id: self.id.to_string() }]
    }
}

impl Personal for Kept {
    fn records(&self) -> Vec<RecordRef> {
        self.dependant.records()
    }
}

//! Values and pure decisions.

mod dossier;
mod erasure;
mod export;
mod hold;
mod retention;

pub use dossier::{Dossier, DossierFile, MAX_DOSSIER};
pub use erasure::{
    Erasure, ErasureState, Facts, Fate, Item, Line, LiveVisit, UnderWay, WRITING_UP, decide_erasure, upcoming,
};
pub use export::{
    ARCHIVE_LIVES, Export, ExportState, FailureReason, InvalidStep, LINK_LIVES, PREPARING_LIVES, Step, UnknownWord,
};
pub use hold::{HoldReference, InvalidReference, LegalHold};
pub use retention::{ClassRule, Grounded, InvalidRules, RecordClass, RetentionRules};

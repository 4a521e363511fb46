//! What things are and what may become of them: values and pure decisions, no waiting and no world.

mod completeness;
mod consent;
mod dependant;
mod formulary;
mod identity;
mod measure;
mod note;
mod prescribing;
mod prescription;
mod presence;
mod printed;
mod ruleset;
mod search;
mod tag;
mod visit;
mod words;

pub use completeness::{Missing, missing_fields};
pub use consent::{
    AdmissionRefusal, Consent, ConsentRefusal, Guardian, Notice, admit, check_consent, check_guardian,
    check_withdrawal, notices, standing,
};
pub use dependant::{
    Dependant, DependantDetails, DependantRefusal, MAX_DEPENDANTS, StandingVisit, check_removal, check_room,
};
pub use formulary::{
    DoseBounds, Formulary, FormularyItem, InvalidFormulary, InvalidItemCode, ItemCode, MINERAL_INGREDIENTS,
    NDPS_INGREDIENTS, SCHEDULE_E1_INGREDIENTS,
};
pub use identity::decide_item;
pub use measure::{Amount, Measure};
pub use note::{Addendum, Note, NoteContent, NoteRefusal};
pub use prescribing::{Candidate, Circumstances, Course, Decision, Finding, checks_of_the_whole, decide};
pub use prescription::{
    Acknowledgement, AyurvedicFindings, Change, Diagnosis, DocumentState, InvalidChange, PrescribedItem, Prescription,
    PrescriptionContent, PrescriptionStatus, Signatory, SignedFacts, StoredCourse, VerifyCode, circumstances,
};
pub use presence::{NoShowRefusal, Presence, decide_no_show};
pub use printed::printed_texts;
pub use ruleset::{InvalidRuleSet, NOBODY_YET, Rule, RuleSet, ScheduleE1};
pub use search::FormularyFilter;
pub use tag::PrescriptionTag;
pub use visit::{
    Condition, EarlierVisit, NOT_BEGUN, Person, Practitioner, Subject, Visit, age_on, is_treating, visit_kind,
};
pub use words::{
    AushadhaKala, BreakGlassReason, ConsentDecision, ConsentMethod, ConsentPurpose, DependantRelation, Form, IdType,
    Kinship, Mode, OverrideReason, Pregnancy, PregnancyFlag, PrescribingList, RevokeReason, Sex, Side, System, Unit,
    UnknownWord, VisitKind, VisitStatus,
};

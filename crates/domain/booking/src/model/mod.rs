//! What things are and what may become of them: values and pure decisions, no waiting and no world.

mod availability;
mod booking;
mod consultation;
mod practitioner;
mod rules;
mod slot;
mod slot_plan;

pub use availability::{DesiredSlot, InvalidRules, RuleProblem, TimeOff, WeeklyRule, desired_slots, validate_rules};
pub use booking::{
    BookableDoctor, BookingRefusal, LiveVisit, PatientCalendar, Wanted, refuse_booking, refuse_late_payment,
    refuse_move,
};
pub use consultation::{
    CancelReason, Consultation, ConsultationStatus, EndReason, IdentityCheck, InvalidTransition, TimelineEntry,
    TimelineKind, TimingRefusal, Unknown,
};
pub use practitioner::{
    InvalidPractitioner, MedicalSystem, Practitioner, PractitionerDetails, PractitionerStatus, Registration,
    SPECIALIZATIONS, Specialization,
};
pub use rules::{BookingRules, PaymentsMode};
pub use slot::{Mode, Modes, Slot, SlotStatus};
pub use slot_plan::{SlotPlan, plan_slots};

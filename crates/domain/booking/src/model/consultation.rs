//! A consultation and its state machine.

use crate::model::{BookingRules, Mode, PaymentsMode};
use amrutam_kernel::{
    AccountId, ConsultationId, CorrelationId, DependantId, DoctorId, EventId, Money, PaymentId, SlotId, TimeRange,
};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// A word that is not in the vocabulary named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a {0}")]
pub struct Unknown(pub &'static str);

/// Where a consultation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConsultationStatus {
    /// Holds its slot and waits to be paid.
    Pending,
    /// Will take place.
    Confirmed,
    /// Is taking place.
    InProgress,
    /// Took place.
    Completed,
    /// Was not paid in time.
    Expired,
    /// Was called off.
    Cancelled,
    /// One side did not come.
    NoShow,
}

impl ConsultationStatus {
    /// Every status.
    pub const ALL: [Self; 7] = [
        Self::Pending,
        Self::Confirmed,
        Self::InProgress,
        Self::Completed,
        Self::Expired,
        Self::Cancelled,
        Self::NoShow,
    ];

    /// The word stored and sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Confirmed => "confirmed",
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::NoShow => "no_show",
        }
    }

    /// The arrows of the state machine; there are no others.
    pub const fn can_become(self, to: Self) -> bool {
        matches!(
            (self, to),
            (Self::Pending, Self::Confirmed | Self::Expired | Self::Cancelled)
                | (Self::Confirmed, Self::InProgress | Self::Cancelled | Self::NoShow)
                | (Self::InProgress, Self::Completed)
                // Money that came late brings the visit back while its slot is free. No caller's act leads here.
                | (Self::Expired, Self::Confirmed)
        )
    }

    /// Whether it is still to come or under way: it occupies the two calendars.
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Pending | Self::Confirmed | Self::InProgress)
    }

    /// Whether its slot is its own: a visit that took place, or was waited for, has used its slot up.
    pub const fn keeps_slot(self) -> bool {
        !matches!(self, Self::Expired | Self::Cancelled)
    }
}

impl fmt::Display for ConsultationStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ConsultationStatus {
    type Err = Unknown;
    fn from_str(word: &str) -> Result<Self, Unknown> {
        Self::ALL.into_iter().find(|status| status.as_str() == word).ok_or(Unknown("consultation status"))
    }
}

/// The state machine has no such arrow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a consultation that is {from} can't become {to}")]
pub struct InvalidTransition {
    /// Where it stands.
    pub from: ConsultationStatus,
    /// Where the act would lead.
    pub to: ConsultationStatus,
}

/// Too early or too late for this act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TimingRefusal {
    /// It can be done from `from` on.
    #[error("too early: possible from {from}")]
    TooEarly {
        /// First instant at which it can.
        from: Timestamp,
    },
    /// It could be done before `until`.
    #[error("too late: was possible until {until}")]
    TooLate {
        /// First instant at which it no longer can.
        until: Timestamp,
    },
}

/// Why a consultation was called off (coded; free text would be clinical data).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CancelReason {
    /// Something urgent came up for the patient.
    PatientEmergency,
    /// The patient is better.
    PatientImproved,
    /// The patient booked by mistake.
    PatientBookedInError,
    /// The patient found another way.
    PatientAlternative,
    /// Another reason of the patient's.
    PatientOther,
    /// The practitioner can't be there.
    DoctorUnavailable,
    /// The practitioner's schedule changed.
    DoctorScheduleChange,
    /// The technology fails the practitioner.
    TechnicalIssue,
    /// Another reason of the practitioner's.
    DoctorOther,
    /// It could not be paid. Nobody gives it: payments tells.
    PaymentFailed,
    /// Its money was given back because a person decided so. Nobody gives it: payments tells.
    Refunded,
}

impl CancelReason {
    /// Every reason.
    pub const ALL: [Self; 11] = [
        Self::PatientEmergency,
        Self::PatientImproved,
        Self::PatientBookedInError,
        Self::PatientAlternative,
        Self::PatientOther,
        Self::DoctorUnavailable,
        Self::DoctorScheduleChange,
        Self::TechnicalIssue,
        Self::DoctorOther,
        Self::PaymentFailed,
        Self::Refunded,
    ];

    /// The word stored and sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PatientEmergency => "patient_emergency",
            Self::PatientImproved => "patient_improved",
            Self::PatientBookedInError => "patient_booked_in_error",
            Self::PatientAlternative => "patient_alternative",
            Self::PatientOther => "patient_other",
            Self::DoctorUnavailable => "doctor_unavailable",
            Self::DoctorScheduleChange => "doctor_schedule_change",
            Self::TechnicalIssue => "technical_issue",
            Self::DoctorOther => "doctor_other",
            Self::PaymentFailed => "payment_failed",
            Self::Refunded => "refunded",
        }
    }

    /// Whether a patient can give it.
    pub const fn is_patients(self) -> bool {
        matches!(
            self,
            Self::PatientEmergency
                | Self::PatientImproved
                | Self::PatientBookedInError
                | Self::PatientAlternative
                | Self::PatientOther
        )
    }

    /// Whether a practitioner can give it.
    pub const fn is_doctors(self) -> bool {
        matches!(self, Self::DoctorUnavailable | Self::DoctorScheduleChange | Self::TechnicalIssue | Self::DoctorOther)
    }

    /// Whether an administrator can give it: every reason that a person has.
    pub const fn is_a_persons(self) -> bool {
        self.is_patients() || self.is_doctors()
    }

    /// Whether the freed slot may be offered to others: not when the practitioner won't be there.
    pub const fn leaves_slot_open(self) -> bool {
        !matches!(self, Self::DoctorUnavailable | Self::DoctorScheduleChange | Self::DoctorOther)
    }
}

impl FromStr for CancelReason {
    type Err = Unknown;
    fn from_str(word: &str) -> Result<Self, Unknown> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == word).ok_or(Unknown("cancel reason"))
    }
}

/// Why a visit that was under way is over (coded; free text would be clinical data).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// Everything is said; either side.
    Concluded,
    /// The technology failed; either side.
    TechnicalIssue,
    /// The patient has to leave, does not wish to go on, or is gone; either side.
    PatientLeft,
    /// The practitioner has to leave, or is gone; either side.
    DoctorLeft,
    /// The patient must be seen in person. The practitioner's to say.
    NeedsVisitInPerson,
    /// The patient must go to an emergency service. The practitioner's to say.
    EmergencyReferral,
}

impl EndReason {
    /// Every reason.
    pub const ALL: [Self; 6] = [
        Self::Concluded,
        Self::TechnicalIssue,
        Self::PatientLeft,
        Self::DoctorLeft,
        Self::NeedsVisitInPerson,
        Self::EmergencyReferral,
    ];

    /// The word stored and sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Concluded => "concluded",
            Self::TechnicalIssue => "technical_issue",
            Self::PatientLeft => "patient_left",
            Self::DoctorLeft => "doctor_left",
            Self::NeedsVisitInPerson => "needs_visit_in_person",
            Self::EmergencyReferral => "emergency_referral",
        }
    }

    /// Whether a patient can give it: not what is a judgement on their health.
    pub const fn is_patients(self) -> bool {
        !matches!(self, Self::NeedsVisitInPerson | Self::EmergencyReferral)
    }

    /// What timelines, events and staff are told. A judgement on the patient's health is not among it.
    pub const fn cause(self) -> &'static str {
        if self.is_patients() { self.as_str() } else { "ended" }
    }
}

impl FromStr for EndReason {
    type Err = Unknown;
    fn from_str(word: &str) -> Result<Self, Unknown> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == word).ok_or(Unknown("reason to end a visit"))
    }
}

/// How the practitioner made sure, before the visit, that the patient is who they are said to be (Telemedicine Practice Guidelines
/// 2020, 3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IdentityCheck {
    /// Name and age were asked, and compared with the record. Whoever starts and says nothing says this. (ours)
    #[default]
    Asked,
    /// A photo id was shown on camera.
    PhotoId,
    /// The practitioner knows them from an earlier visit.
    Known,
}

impl IdentityCheck {
    /// Every way.
    pub const ALL: [Self; 3] = [Self::Asked, Self::PhotoId, Self::Known];

    /// The word sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::PhotoId => "photo_id",
            Self::Known => "known",
        }
    }

    /// What the timeline and the event say of a start.
    pub const fn cause(self) -> &'static str {
        match self {
            Self::Asked => "identity_asked",
            Self::PhotoId => "identity_photo_id",
            Self::Known => "identity_known",
        }
    }
}

impl FromStr for IdentityCheck {
    type Err = Unknown;
    fn from_str(word: &str) -> Result<Self, Unknown> {
        Self::ALL.into_iter().find(|way| way.as_str() == word).ok_or(Unknown("way to make sure of an identity"))
    }
}

/// A consultation as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consultation {
    /// Its id.
    pub id: ConsultationId,
    /// Who booked it.
    pub patient: AccountId,
    /// Who is treated, when it is not the one who booked: a person that account keeps.
    pub dependant: Option<DependantId>,
    /// With whom.
    pub doctor: DoctorId,
    /// In which slot.
    pub slot: SlotId,
    /// When; the slot's interval.
    pub range: TimeRange,
    /// How it is held.
    pub mode: Mode,
    /// Where it stands, by the last change stored. Ask [`Consultation::status_at`].
    pub status: ConsultationStatus,
    /// The price at booking.
    pub fee: Money,
    /// While pending: when the hold ends.
    pub hold_expires_at: Option<Timestamp>,
    /// When cancelled: why.
    pub cancel_reason: Option<CancelReason>,
    /// How long before its start the patient moved it, at the nearest, in whole seconds; nothing while they have not. What
    /// goes back when they call it off later goes by it: who moves late has called off late.
    pub least_notice: Option<SignedDuration>,
    /// Since when; equals the id's time to the millisecond.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
    /// Rises by one with every change and its event.
    pub version: i64,
}

impl Consultation {
    /// Where it stands at `now`: a hold that ran out is expired, whether or not the sweeper has come by.
    pub fn status_at(&self, now: Timestamp) -> ConsultationStatus {
        match (self.status, self.hold_expires_at) {
            (ConsultationStatus::Pending, Some(until)) if until <= now => ConsultationStatus::Expired,
            (status, _) => status,
        }
    }

    /// The one transition function: the consultation after the change, or why there is no such change.
    pub fn become_status(&self, to: ConsultationStatus, now: Timestamp) -> Result<Self, InvalidTransition> {
        // Expiring is how a run-out hold leaves `pending`; every other act sees it as expired already.
        let from = if to == ConsultationStatus::Expired { self.status } else { self.status_at(now) };
        if !from.can_become(to) {
            return Err(InvalidTransition { from, to });
        }
        Ok(Self { status: to, hold_expires_at: None, updated_at: now, version: self.version + 1, ..self.clone() })
    }

    /// Under whose key its sealed values lie: a dependant has one of their own.
    pub fn key_owner(&self) -> AccountId {
        self.dependant.map_or(self.patient, |dependant| AccountId::from_uuid(dependant.as_uuid()))
    }

    /// Its payment, when it is one that must be paid: a visit that costs nothing is confirmed like one that nobody pays.
    pub fn payment(&self, mode: PaymentsMode) -> Option<PaymentId> {
        (mode == PaymentsMode::Required && !self.fee.is_zero()).then(|| PaymentId::of(self.id))
    }

    /// Another version of it in which neither slot nor status is another.
    pub(crate) fn noted(&self, now: Timestamp) -> Self {
        Self { updated_at: now, version: self.version + 1, ..self.clone() }
    }

    /// When the visit may start.
    pub fn check_start(&self, rules: &BookingRules, now: Timestamp) -> Result<(), TimingRefusal> {
        let from = self.range.start() - rules.start_early;
        if now < from {
            Err(TimingRefusal::TooEarly { from })
        } else if now >= self.range.end() {
            Err(TimingRefusal::TooLate { until: self.range.end() })
        } else {
            Ok(())
        }
    }

    /// When an absence counts as a no-show.
    pub fn check_no_show(&self, rules: &BookingRules, now: Timestamp) -> Result<(), TimingRefusal> {
        let from = self.range.start() + rules.no_show_grace;
        if now < from { Err(TimingRefusal::TooEarly { from }) } else { Ok(()) }
    }

    /// Cancelling and moving end when the visit begins.
    pub fn check_before_start(&self, now: Timestamp) -> Result<(), TimingRefusal> {
        let until = self.range.start();
        if now < until { Ok(()) } else { Err(TimingRefusal::TooLate { until }) }
    }
}

/// What a line of the timeline tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimelineKind {
    /// The status changed.
    StatusChanged,
    /// The slot changed, the status did not.
    Rescheduled,
    /// The visit under way is held in another mode from now on, which is the cause.
    ModeChanged,
    /// Something happened that changed neither.
    Noted,
}

impl TimelineKind {
    /// The word stored and sent.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StatusChanged => "status_changed",
            Self::Rescheduled => "rescheduled",
            Self::ModeChanged => "mode_changed",
            Self::Noted => "noted",
        }
    }
}

impl FromStr for TimelineKind {
    type Err = Unknown;
    fn from_str(word: &str) -> Result<Self, Unknown> {
        [Self::StatusChanged, Self::Rescheduled, Self::ModeChanged, Self::Noted]
            .into_iter()
            .find(|kind| kind.as_str() == word)
            .ok_or(Unknown("timeline kind"))
    }
}

/// One change of a consultation: exactly one per version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimelineEntry {
    /// Which consultation.
    pub consultation: ConsultationId,
    /// The version the change led to.
    pub version: i64,
    /// When.
    pub at: Timestamp,
    /// What kind of change.
    pub kind: TimelineKind,
    /// Status before; nothing at the beginning.
    pub from: Option<ConsultationStatus>,
    /// Status after.
    pub to: ConsultationStatus,
    /// The slot after.
    pub slot: SlotId,
    /// Who: `patient:<id>`, `system:<name>`.
    pub actor: String,
    /// Why: a fixed word such as `booked`, `paid`, `payment_not_required`, `hold_expired`, `late_payment`, `refunded`, a reason code, the mode
    /// that a visit is held in from then on, or how the patient's identity was made sure of when it started.
    pub cause: String,
    /// The event that announced it.
    pub event: EventId,
    /// The flow it belongs to.
    pub correlation_id: CorrelationId,
}

#[cfg(test)]
mod tests {
    use super::ConsultationStatus::*;
    use super::*;

    #[test]
    fn the_state_machine_has_the_contracts_arrows_and_no_others() {
        let arrows = [
            (Pending, Confirmed),
            (Pending, Expired),
            (Pending, Cancelled),
            (Confirmed, InProgress),
            (Confirmed, Cancelled),
            (Confirmed, NoShow),
            (InProgress, Completed),
            (Expired, Confirmed),
        ];
        for from in ConsultationStatus::ALL {
            for to in ConsultationStatus::ALL {
                assert_eq!(from.can_become(to), arrows.contains(&(from, to)), "{from} -> {to}");
            }
        }
    }

    #[test]
    fn every_word_reads_back() {
        for status in ConsultationStatus::ALL {
            assert_eq!(status.as_str().parse(), Ok(status));
        }
        for reason in EndReason::ALL {
            assert_eq!(reason.as_str().parse(), Ok(reason));
        }
        for way in IdentityCheck::ALL {
            assert_eq!((way.as_str().parse(), way.cause()), (Ok(way), &*format!("identity_{}", way.as_str())));
        }
        for reason in CancelReason::ALL {
            assert_eq!(reason.as_str().parse(), Ok(reason));
            let told = [CancelReason::PaymentFailed, CancelReason::Refunded];
            assert_eq!(reason.is_a_persons(), !told.contains(&reason));
        }
    }
}

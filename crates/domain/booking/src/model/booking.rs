//! Whether a slot can be had: one pure decision, asked by booking and by moving.

use crate::model::{
    BookingRules, Consultation, ConsultationStatus, Mode, Modes, PractitionerStatus, Registration, Slot,
};
use amrutam_kernel::{AccountId, ConsultationId, DependantId, DoctorId, Money, TimeRange};
use jiff::{Timestamp, civil::Date};

/// What a booking needs to know of the practitioner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookableDoctor {
    /// Who.
    pub id: DoctorId,
    /// Their account: their side of a visit.
    pub account: AccountId,
    /// Of the profile: a change of it meanwhile refuses what was decided on this.
    pub version: i64,
    /// Only a listed one takes bookings.
    pub status: PractitionerStatus,
    /// When they may practise.
    pub registration: Registration,
    /// Modes they offer at all.
    pub modes: Modes,
    /// The price now.
    pub fee: Money,
}

impl BookableDoctor {
    /// Whether they may practise on `day` (business zone) and do so with us.
    pub fn practises_on(&self, day: Date) -> bool {
        self.status == PractitionerStatus::Listed && self.registration.covers(day)
    }
}

/// A visit that occupies the patient's time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveVisit {
    /// Which.
    pub consultation: ConsultationId,
    /// Who is treated, when it is not the one who booked.
    pub dependant: Option<DependantId>,
    /// When.
    pub range: TimeRange,
    /// While unpaid: when the hold ends.
    pub held_until: Option<Timestamp>,
}

/// A patient's live visits, and the version under which they were read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PatientCalendar {
    /// Rises with every change to the patient's visits; 0 when there has been none.
    pub version: i64,
    /// Pending, confirmed and running ones. One that was to end more than a day ago may be missing.
    pub live: Vec<LiveVisit>,
}

impl PatientCalendar {
    /// The visits that still count at `now`: holds that ran out do not.
    fn live_at(&self, now: Timestamp) -> impl Iterator<Item = &LiveVisit> {
        self.live.iter().filter(move |visit| visit.held_until.is_none_or(|until| now < until))
    }
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// Who asks.
    pub patient: AccountId,
    /// Who is to be treated, when it is another.
    pub dependant: Option<DependantId>,
    /// With whom.
    pub doctor: DoctorId,
    /// How.
    pub mode: Mode,
}

impl Wanted {
    /// The same as a consultation that there is.
    fn of(consultation: &Consultation) -> Self {
        let Consultation { patient, dependant, doctor, mode, .. } = *consultation;
        Self { patient, dependant, doctor, mode }
    }
}

/// Why a slot can't be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BookingRefusal {
    /// There is no such slot.
    #[error("there is no such slot")]
    UnknownSlot,
    /// The slot is another practitioner's.
    #[error("the slot belongs to another practitioner")]
    SlotOfAnotherDoctor,
    /// The slot has begun or is over.
    #[error("the slot has begun or is over")]
    SlotInThePast,
    /// The practitioner does not offer this mode in this slot.
    #[error("the slot is not offered in this mode")]
    ModeNotOffered,
    /// Somebody else has it, or it is no longer offered.
    #[error("the slot is no longer available")]
    SlotUnavailable,
    /// The practitioner takes no bookings (not listed, or not registered on that day).
    #[error("the practitioner takes no bookings for this day")]
    DoctorNotAvailable,
    /// Whoever is to be treated has another visit at that time.
    #[error("the patient has another consultation at this time")]
    OverlappingConsultation,
    /// The patient holds too many unpaid slots.
    #[error("the patient holds too many unpaid slots")]
    TooManyUnpaidHolds,
    /// The account has no such dependent.
    #[error("the account has no such dependent")]
    UnknownDependent,
}

/// Refuses, or does not, to give `slot` to a new consultation. Nobody is treated twice at one time, while the one who books may hold
/// several people's visits at one time, and no more unpaid ones than the rules allow for all of them together.
pub fn refuse_booking(
    wanted: &Wanted,
    slot: &Slot,
    doctor: &BookableDoctor,
    calendar: &PatientCalendar,
    rules: &BookingRules,
    now: Timestamp,
) -> Result<(), BookingRefusal> {
    refuse_slot(wanted, slot, doctor, rules, now)?;
    refuse_overlap(slot, calendar, wanted.dependant, None, now)?;
    let holds = calendar.live_at(now).filter(|visit| visit.held_until.is_some()).count();
    if holds >= rules.max_unpaid_holds {
        return Err(BookingRefusal::TooManyUnpaidHolds);
    }
    Ok(())
}

/// Refuses, or does not, to move `moving` into `slot`. The visit's own time does not stand in its way.
pub fn refuse_move(
    moving: &Consultation,
    slot: &Slot,
    doctor: &BookableDoctor,
    calendar: &PatientCalendar,
    rules: &BookingRules,
    now: Timestamp,
) -> Result<(), BookingRefusal> {
    let wanted = Wanted::of(moving);
    refuse_slot(&wanted, slot, doctor, rules, now)?;
    refuse_overlap(slot, calendar, moving.dependant, Some(moving.id), now)
}

/// Refuses, or does not, to confirm a visit for which money came. While its hold runs, the slot is its own, and so is the time:
/// only a visit that is over is refused. After that the slot must be free, by the rules of any booking, though begun or
/// not makes no difference to a slot that nobody else has had.
pub fn refuse_late_payment(
    paid: &Consultation,
    slot: &Slot,
    doctor: &BookableDoctor,
    calendar: &PatientCalendar,
    rules: &BookingRules,
    now: Timestamp,
) -> Result<(), BookingRefusal> {
    if slot.range.end() <= now {
        return Err(BookingRefusal::SlotInThePast);
    }
    if paid.status_at(now) == ConsultationStatus::Pending {
        return Ok(());
    }
    if slot.consultation != Some(paid.id) {
        let wanted = Wanted::of(paid);
        refuse_slot(&wanted, slot, doctor, rules, now)?;
    } else if !slot.is_claimable(now) {
        return Err(BookingRefusal::SlotUnavailable);
    }
    refuse_overlap(slot, calendar, paid.dependant, Some(paid.id), now)
}

/// What is wrong with the request comes before what is wrong with the moment, and the slot before the patient: of many
/// who want one slot, each is told that it is gone.
fn refuse_slot(
    wanted: &Wanted,
    slot: &Slot,
    doctor: &BookableDoctor,
    rules: &BookingRules,
    now: Timestamp,
) -> Result<(), BookingRefusal> {
    if slot.doctor != wanted.doctor {
        return Err(BookingRefusal::SlotOfAnotherDoctor);
    }
    if slot.range.start() <= now {
        return Err(BookingRefusal::SlotInThePast);
    }
    if !slot.modes.contains(wanted.mode) || !doctor.modes.contains(wanted.mode) {
        return Err(BookingRefusal::ModeNotOffered);
    }
    if !doctor.practises_on(rules.business_day(slot.range.start())) {
        return Err(BookingRefusal::DoctorNotAvailable);
    }
    if !slot.is_claimable(now) {
        return Err(BookingRefusal::SlotUnavailable);
    }
    Ok(())
}

fn refuse_overlap(
    slot: &Slot,
    calendar: &PatientCalendar,
    treated: Option<DependantId>,
    except: Option<ConsultationId>,
    now: Timestamp,
) -> Result<(), BookingRefusal> {
    let mut theirs = calendar.live_at(now).filter(|visit| visit.dependant == treated);
    let clash = theirs.any(|visit| Some(visit.consultation) != except && visit.range.overlaps(&slot.range));
    if clash { Err(BookingRefusal::OverlappingConsultation) } else { Ok(()) }
}

impl LiveVisit {
    /// A consultation's entry in its patient's calendar.
    pub fn of(consultation: &Consultation) -> Option<Self> {
        consultation.status.is_live().then_some(Self {
            consultation: consultation.id,
            dependant: consultation.dependant,
            range: consultation.range,
            held_until: match consultation.status {
                ConsultationStatus::Pending => consultation.hold_expires_at,
                _ => None,
            },
        })
    }
}

//! Collects what one use case changes, so that a status, its timeline entry, its event and its audit entry can't part.

use super::Deps;
use crate::{
    events::{self, Told, consultation_event},
    model::{
        BookableDoctor, BookingRules, Consultation, ConsultationStatus, LiveVisit, PatientCalendar, PaymentsMode, Slot,
        TimelineEntry, TimelineKind,
    },
    ports::{Changes, NewConsultation, SlotUpdate},
};
use amrutam_kernel::{
    Action, Actor, AuditEntry, AuditEntryId, ConsultationId, Context, CorrelationId, EventId, IdSource, Outcome, Role,
    TimeRange,
};
use jiff::{SignedDuration, Timestamp};

/// For whoever looks a little late.
const KEPT_AFTER_ITS_END: SignedDuration = SignedDuration::from_hours(24);

pub(super) struct Recorder<'a> {
    pub(super) ids: &'a dyn IdSource,
    pub(super) rules: &'a BookingRules,
    payments: PaymentsMode,
    pub(super) now: Timestamp,
    pub(super) changes: Changes,
}

impl<'a> Recorder<'a> {
    pub(super) fn new(deps: Deps<'a>, now: Timestamp) -> Self {
        Self { ids: deps.ids, rules: deps.rules, payments: deps.payments, now, changes: Changes::default() }
    }

    /// A version of a consultation: its timeline entry and its event.
    pub(super) fn version(
        &mut self,
        context: &Context,
        after: &Consultation,
        from: Option<ConsultationStatus>,
        event_type: &'static str,
        cause: &str,
    ) {
        let event = EventId::from_uuid(self.ids.uuid_v7(self.now));
        let kind = match event_type {
            events::RESCHEDULED => TimelineKind::Rescheduled,
            events::MODE_CHANGED => TimelineKind::ModeChanged,
            events::UNCONFIRMABLE => TimelineKind::Noted,
            _ => TimelineKind::StatusChanged,
        };
        self.changes.timeline.push(TimelineEntry {
            consultation: after.id,
            version: after.version,
            at: self.now,
            kind,
            from,
            to: after.status,
            slot: after.slot,
            actor: context.actor.to_string(),
            cause: cause.to_owned(),
            event,
            correlation_id: context.correlation_id.clone(),
        });
        let told = Told { event_type, from, cause, payments: self.payments };
        self.changes.effects.events.push(consultation_event(event, after, told, context, self.now));
    }

    /// A hold that ran out, met while claiming its slot: it ends here, by the system's hand, not the claimant's, and in a
    /// flow of its own: a name that the claimant has chosen has no place in another patient's record.
    pub(super) fn expire(&mut self, held: &Consultation) {
        let correlation_id = CorrelationId::from(self.ids.uuid_v7(self.now));
        let system = Context::of_system("hold-expiry", correlation_id);
        if let Ok(expired) = held.become_status(ConsultationStatus::Expired, self.now) {
            self.version(&system, &expired, Some(held.status), events::EXPIRED, "hold_expired");
            self.audit(&system, Action::ConsultationExpire.as_str(), &expired, Outcome::Allowed);
            self.changes.updated.push((expired, held.version));
        }
    }

    /// The decision holds for the practitioner as they were read.
    pub(super) fn based_on(&mut self, doctor: &BookableDoctor) {
        self.changes.doctors.push((doctor.id, doctor.version));
    }

    pub(super) fn slot(&mut self, slot: Slot) {
        self.changes.slots.push(SlotUpdate(slot));
    }

    pub(super) fn created(&mut self, consultation: Consultation) {
        self.changes.created.push(NewConsultation { consultation, sealed_reason: None });
    }

    /// The patient's calendar after `consultation` became what it is now. Holds that ran out are swept along.
    pub(super) fn calendar(&mut self, calendar: &PatientCalendar, consultation: &Consultation) {
        // One that nobody has ended takes up nobody's time a day later, but would make every booking's row longer for good.
        let long_over = |visit: &LiveVisit| self.now.duration_since(visit.range.end()) > KEPT_AFTER_ITS_END;
        let others = calendar.live.iter().filter(|visit| {
            visit.consultation != consultation.id
                && visit.held_until.is_none_or(|until| self.now < until)
                && !long_over(visit)
        });
        let live = others.cloned().chain(LiveVisit::of(consultation)).collect();
        self.changes.calendars.push((consultation.patient, PatientCalendar { version: calendar.version + 1, live }));
    }

    pub(super) fn audit(
        &mut self,
        context: &Context,
        action: &'static str,
        consultation: &Consultation,
        outcome: Outcome,
    ) {
        let entry = audit_entry(self.ids, context, self.now, action, consultation, outcome);
        self.changes.effects.audit.push(entry);
    }

    pub(super) fn new_consultation_id(&self) -> ConsultationId {
        ConsultationId::from_uuid(self.ids.uuid_v7(self.now))
    }
}

pub(super) fn audit_entry(
    ids: &dyn IdSource,
    context: &Context,
    now: Timestamp,
    action: &'static str,
    consultation: &Consultation,
    outcome: Outcome,
) -> AuditEntry {
    let id = AuditEntryId::from_uuid(ids.uuid_v7(now));
    AuditEntry::new(id, now, context, action, "consultation", consultation.id.to_string(), outcome)
        .about(consultation.patient)
}

impl Consultation {
    /// The same visit in another slot. A patient's move of a visit that was promised to them keeps the notice that they gave
    /// with it.
    pub(super) fn moved_to(&self, slot: &Slot, by: &Actor, now: Timestamp) -> Self {
        let range: TimeRange = slot.range;
        let theirs = self.status == ConsultationStatus::Confirmed && by.is(self.patient, Role::Patient);
        let notice = SignedDuration::from_secs(self.range.start().duration_since(now).as_secs());
        let least_notice =
            if theirs { Some(self.least_notice.map_or(notice, |least| least.min(notice))) } else { self.least_notice };
        Self { slot: slot.id, range, least_notice, updated_at: now, version: self.version + 1, ..self.clone() }
    }
}

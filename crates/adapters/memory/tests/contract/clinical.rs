//! Clinical's stores.

use crate::memory::{Memory, memory};
use amrutam_booking::{
    model::{
        CancelReason, Consultation, ConsultationStatus, DesiredSlot, Mode, Modes, Practitioner, Slot, SlotPlan,
        TimelineEntry, TimelineKind,
    },
    ports::{AvailabilityChanges, AvailabilityStore, Changes, ConsultationStore, NewConsultation},
};
use amrutam_clinical::{
    contract::{Harness, MadeVisit},
    model::Subject,
    ports::{ClinicalStore, FormularyStore},
};
use amrutam_kernel::{
    AccountId, AuditEntryId, Clock, ConsultationId, CorrelationId, Currency, DependantId, Effects, EventId, IdSource,
    Money, Role, SlotId, TimeRange,
};
use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use std::sync::Arc;
use uuid::Uuid;

fn dependant_of(whom: Subject) -> Option<DependantId> {
    match whom {
        Subject::Account(_) => None,
        Subject::Dependant { dependant, .. } => Some(dependant),
    }
}

#[async_trait]
impl Harness for Memory {
    fn clinical(&self) -> Arc<dyn ClinicalStore> {
        self.world.clone()
    }

    fn formularies(&self) -> Arc<dyn FormularyStore> {
        self.world.clone()
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    async fn visits_of(&self, whom: Option<Subject>, statuses: &[&str]) -> Vec<MadeVisit> {
        let doctor = self.registered(&self.ids, &self.ids.uuid_v7(self.clock.now()).to_string()).await;
        let patient = match whom {
            Some(whom) => whom.keeper(),
            None => self.insert(AccountId::from_uuid(self.ids.uuid_v7(self.clock.now())), Role::Patient).await.id,
        };
        let dependant = whom.and_then(dependant_of);
        let rules = self.clinical_slots(&doctor, statuses.len()).await;
        let mut visits = Vec::new();
        for (slot, status) in rules.iter().zip(statuses) {
            let status: ConsultationStatus = status.parse().unwrap();
            let consultation = Consultation {
                id: ConsultationId::from_uuid(self.ids.uuid_v7(self.clock.now())),
                patient,
                dependant,
                doctor: doctor.id,
                slot: slot.id,
                range: slot.range,
                mode: Mode::Video,
                status,
                fee: Money::new(0, Currency::Inr).unwrap(),
                hold_expires_at: None,
                least_notice: None,
                cancel_reason: (status == ConsultationStatus::Cancelled).then_some(CancelReason::PatientOther),
                created_at: self.clock.now(),
                updated_at: self.clock.now(),
                version: 1,
            };
            let line = TimelineEntry {
                consultation: consultation.id,
                version: 1,
                at: self.clock.now(),
                kind: TimelineKind::StatusChanged,
                from: None,
                to: status,
                slot: slot.id,
                actor: "system:tests".to_owned(),
                cause: "made".to_owned(),
                event: EventId::from_uuid(self.ids.uuid_v7(self.clock.now())),
                correlation_id: CorrelationId::from(self.ids.uuid_v7(self.clock.now())),
            };
            let created = vec![NewConsultation { consultation: consultation.clone(), sealed_reason: None }];
            let changes = Changes { created, timeline: vec![line], ..Changes::default() };
            ConsultationStore::commit(self.world.as_ref(), &changes).await.unwrap();
            visits.push(MadeVisit {
                id: consultation.id,
                patient,
                doctor: doctor.id,
                doctor_account: doctor.account,
                starts_at: slot.range.start(),
                version: 1,
            });
        }
        visits
    }

    async fn announced(&self, aggregate: Uuid) -> Vec<EventId> {
        self.announced_about(aggregate)
    }

    async fn audited(&self, resource_id: &str) -> Vec<AuditEntryId> {
        self.audited_on(resource_id)
    }
}

impl Memory {
    /// Slots of half an hour, an hour apart from tomorrow on.
    async fn clinical_slots(&self, doctor: &Practitioner, count: usize) -> Vec<Slot> {
        let now = self.clock.now();
        let starts = (24..).take(count).map(|hour| now + SignedDuration::from_hours(hour));
        let ranges: Vec<_> =
            starts.map(|start| TimeRange::new(start, start + SignedDuration::from_mins(30)).unwrap()).collect();
        let state = AvailabilityStore::load(self.world.as_ref(), doctor.id, now).await.unwrap().unwrap();
        let changes = AvailabilityChanges {
            doctor: doctor.id,
            expected_revision: state.revision,
            expected_profile: state.practitioner.version,
            profile: None,
            rules: None,
            add_time_off: None,
            remove_time_off: None,
            new_slots: ranges.iter().map(|_| SlotId::from_uuid(self.ids.uuid_v7(self.clock.now()))).collect(),
            plan: SlotPlan {
                create: ranges
                    .iter()
                    .map(|range| DesiredSlot { range: *range, modes: Modes::new(Mode::ALL).unwrap() })
                    .collect(),
                ..SlotPlan::default()
            },
            generated_until: TimeZone::UTC.to_datetime(now).date().tomorrow().unwrap(),
            effects: Effects::default(),
        };
        AvailabilityStore::commit(self.world.as_ref(), &changes).await.unwrap();
        let all = TimeRange::new(now, now + SignedDuration::from_hours(24 * 30)).unwrap();
        AvailabilityStore::slots(self.world.as_ref(), doctor.id, all).await.unwrap()
    }
}

amrutam_clinical::clinical_store_contract!(memory());

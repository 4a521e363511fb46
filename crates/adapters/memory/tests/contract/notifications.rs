use crate::memory::{Memory, memory};
use amrutam_booking::{
    model::{
        CancelReason, Consultation, ConsultationStatus, DesiredSlot, Mode, Modes, SlotPlan, TimelineEntry, TimelineKind,
    },
    ports::{AvailabilityChanges, AvailabilityStore, Changes, ConsultationStore, NewConsultation, SlotUpdate},
};
use amrutam_identity::{
    Account,
    model::AccountStatus,
    ports::{AccountChange, AccountStore},
};
use amrutam_kernel::{
    AccountId, AuditEntryId, Clock, ConsultationId, CorrelationId, Currency, Effects, EventId, IdSource, MessageId,
    Money, RedeliveryLedger, Role, Sensitive, SlotId, TimeRange,
};
use amrutam_memory::SeededIds;
use amrutam_notifications::{
    Contact, VisitFacts, VisitMode, VisitStatus,
    contract::{Harness, Readers},
    ports::{Contacts, MessageStore, VisitReader},
};
use async_trait::async_trait;
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp, civil::date};
use std::sync::Arc;
use uuid::Uuid;

#[async_trait]
impl Harness for Memory {
    fn messages(&self) -> Arc<dyn MessageStore> {
        self.world.clone()
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    async fn pass(&self, time: SignedDuration) {
        self.clock.advance(time);
    }

    async fn announced(&self, aggregate: Uuid) -> Vec<EventId> {
        self.announced_about(aggregate)
    }

    async fn audited(&self, resource_id: &str) -> Vec<AuditEntryId> {
        self.audited_on(resource_id)
    }

    async fn dead_letters(&self, message: MessageId) -> Vec<String> {
        let letters = self.world.dead_letters().into_iter();
        let about = letters.filter(|letter| letter.subject == message.as_uuid());
        about.map(|letter| format!("{}: {}", letter.consumer, letter.error)).collect()
    }

    fn spawn(&self, work: BoxFuture<'static, ()>) {
        tokio::spawn(work);
    }
}

const IN_A_DAY: SignedDuration = SignedDuration::from_hours(24);

#[async_trait]
impl Readers for Memory {
    fn visits(&self) -> Arc<dyn VisitReader> {
        self.world.clone()
    }

    fn contacts(&self) -> Arc<dyn Contacts> {
        self.world.clone()
    }

    async fn visits_in_every_state(&self) -> Vec<(ConsultationId, &'static str, VisitFacts)> {
        let (ids, now) = (SeededIds::new(1), self.clock.now());
        let patient = self.insert(AccountId::from_uuid(ids.uuid_v7(now)), Role::Patient).await.id;
        let practitioner = self.practitioner(&ids).await;
        let doctor = &practitioner.details;
        let mut made = Vec::new();
        for (index, status) in ConsultationStatus::ALL.into_iter().enumerate() {
            let start = now + IN_A_DAY + SignedDuration::from_hours(i64::try_from(index).unwrap());
            let range = TimeRange::new(start, start + SignedDuration::from_mins(20)).unwrap();
            let slot = SlotId::from_uuid(ids.uuid_v7(now));
            let availability = AvailabilityChanges {
                doctor: practitioner.id,
                expected_revision: i64::try_from(index).unwrap(),
                expected_profile: practitioner.version,
                profile: None,
                rules: None,
                add_time_off: None,
                remove_time_off: None,
                plan: SlotPlan {
                    create: vec![DesiredSlot { range, modes: Modes::new(Mode::ALL).unwrap() }],
                    ..SlotPlan::default()
                },
                new_slots: vec![slot],
                generated_until: date(2026, 12, 1),
                effects: Effects::default(),
            };
            AvailabilityStore::commit(self.world.as_ref(), &availability).await.unwrap();
            let (mode, expected_mode) =
                [(Mode::Video, VisitMode::Video), (Mode::Audio, VisitMode::Audio), (Mode::Chat, VisitMode::Chat)]
                    [index % 3];
            let consultation = Consultation {
                id: ConsultationId::from_uuid(ids.uuid_v7(now)),
                patient,
                dependant: None,
                doctor: practitioner.id,
                slot,
                range,
                mode,
                status,
                fee: Money::new(1, Currency::Inr).unwrap(),
                hold_expires_at: (status == ConsultationStatus::Pending).then_some(start),
                least_notice: None,
                cancel_reason: (status == ConsultationStatus::Cancelled).then_some(CancelReason::DoctorOther),
                created_at: now,
                updated_at: now,
                version: 1,
            };
            self.store(&ids, &consultation).await;
            let facts = VisitFacts {
                status: match status {
                    ConsultationStatus::Confirmed => VisitStatus::Confirmed,
                    ConsultationStatus::Cancelled => VisitStatus::Cancelled,
                    ConsultationStatus::Expired => VisitStatus::Expired,
                    _ => VisitStatus::Other,
                },
                starts_at: range.start(),
                ends_at: range.end(),
                mode: expected_mode,
                fee: consultation.fee,
                doctor_name: doctor.full_name.clone(),
                doctor_qualification: doctor.qualifications.join(", "),
                doctor_registration_number: doctor.registration_number.clone(),
                doctor_council: doctor.council.clone(),
            };
            made.push((consultation.id, status.as_str(), facts));
        }
        made
    }

    async fn person(&self) -> (AccountId, Contact) {
        let account = self.insert(AccountId::from_uuid(Uuid::max()), Role::Patient).await;
        let contact = Contact {
            account: account.id,
            email: Sensitive::new(account.email.expose().as_str().to_owned()),
            phone: account.profile.phone.clone(),
            name: Sensitive::new("Asha Nair".to_owned()),
            time_zone: "Asia/Kolkata".to_owned(),
        };
        (account.id, contact)
    }

    fn messages(&self) -> Arc<dyn MessageStore> {
        self.world.clone()
    }

    async fn have_number(&self, id: AccountId, number: Option<&str>) {
        self.change(id, |account| account.profile.phone = number.map(|number| Sensitive::new(number.to_owned()))).await;
    }

    async fn close(&self, id: AccountId) {
        self.change(id, |account| account.status = AccountStatus::Deactivated).await;
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

impl Memory {
    async fn change(&self, id: AccountId, change: impl FnOnce(&mut Account)) {
        let mut account = self.world.by_id(id).await.unwrap().undisclosed().unwrap();
        change(&mut account);
        account.version += 1;
        let change = AccountChange { account: &account, spend: None, void_links: None, end_sessions: None };
        self.world.update(change, &Effects::default()).await.unwrap();
    }

    async fn store(&self, ids: &SeededIds, consultation: &Consultation) {
        let now = self.clock.now();
        let found = self.world.booking_snapshot(consultation.slot, consultation.patient, None, None).await.unwrap();
        let slot = found.slot.unwrap().booked_by(consultation.id, consultation.hold_expires_at);
        let changes = Changes {
            slots: if consultation.status.is_live() { vec![SlotUpdate(slot)] } else { Vec::new() },
            created: vec![NewConsultation { consultation: consultation.clone(), sealed_reason: None }],
            timeline: vec![TimelineEntry {
                consultation: consultation.id,
                version: 1,
                at: now,
                kind: TimelineKind::StatusChanged,
                from: None,
                to: consultation.status,
                slot: consultation.slot,
                actor: "system:contract".to_owned(),
                cause: "contract".to_owned(),
                event: EventId::from_uuid(ids.uuid_v7(now)),
                correlation_id: CorrelationId::from(ids.uuid_v7(now)),
            }],
            ..Changes::default()
        };
        ConsultationStore::commit(self.world.as_ref(), &changes).await.unwrap();
    }
}

async fn ledger() -> Arc<dyn RedeliveryLedger> {
    memory().await.world
}

amrutam_notifications::message_store_contract!(memory());
amrutam_notifications::readers_contract!(memory());
amrutam_notifications::redelivery_ledger_contract!(ledger());

//! The use cases on the memory adapter: what callers are told, and what is left behind.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod acts;
mod availability;
mod booking;
mod departures;
mod directory;
mod paid;
mod policy;
mod simulation;

use amrutam_booking::{
    BookError,
    model::Mode,
    use_cases::{Book, Booked, Idempotent, book},
};
use amrutam_kernel::{AccountId, ConsultationId, Fingerprint, IdempotencyClaim, Role, Sensitive, SlotId, StoredAnswer};
use amrutam_memory::Clinic;

/// A Monday, 9:00 in India: the first slot begins now, the others are in the future.
async fn clinic() -> Clinic {
    Clinic::open("2026-11-23T03:30:00Z".parse().unwrap(), 7).await.unwrap()
}

async fn patient(clinic: &Clinic, name: &str) -> AccountId {
    clinic.person(Role::Patient, &format!("{name}@amrutam.example")).await.unwrap()
}

async fn slot(clinic: &Clinic, n: usize) -> SlotId {
    clinic.open_slots().await.unwrap()[n].id
}

fn wanted(clinic: &Clinic, slot: SlotId) -> Book<'static> {
    Book {
        doctor: clinic.doctor,
        slot,
        mode: Mode::Video,
        reason: Some(Sensitive::new("headache".to_owned())),
        for_dependent: None,
        idempotency: None,
    }
}

async fn book_slot(clinic: &Clinic, patient: AccountId, slot: SlotId) -> Result<Booked, BookError> {
    book(clinic.deps(), &clinic.patient(patient), wanted(clinic, slot)).await.map(|(booked, _)| booked)
}

async fn booked(clinic: &Clinic, patient: AccountId, n: usize) -> ConsultationId {
    let slot = slot(clinic, n).await;
    book_slot(clinic, patient, slot).await.unwrap().consultation.id
}

fn claim(caller: AccountId, key: &str, body: &str) -> IdempotencyClaim {
    let fingerprint = Fingerprint::of("POST", "/v1/consultations", body.as_bytes());
    IdempotencyClaim { caller, key: key.parse().unwrap(), fingerprint }
}

fn render(booked: &Booked) -> StoredAnswer {
    StoredAnswer {
        status: 201,
        location: None,
        content_type: "application/json".to_owned(),
        etag: None,
        body: booked.consultation.id.to_string(),
    }
}

async fn book_with_key(
    clinic: &Clinic,
    patient: AccountId,
    slot: SlotId,
    claim: &IdempotencyClaim,
) -> Result<(Booked, Option<StoredAnswer>), BookError> {
    let command = Book { idempotency: Some(Idempotent { claim, render: &render }), ..wanted(clinic, slot) };
    book(clinic.deps(), &clinic.patient(patient), command).await
}

/// Nothing that the database would refuse, and nothing that the checker's list forbids.
fn assert_sound(clinic: &Clinic) {
    assert_eq!(clinic.world.violations(), Vec::<String>::new());
    assert_eq!(clinic.locks.held(), 0, "a lock was left behind");
}

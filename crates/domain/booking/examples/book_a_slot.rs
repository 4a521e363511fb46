//! Books a slot in memory, as another team would: `cargo run -p amrutam-booking --example book_a_slot`.
//!
//! `Clinic` brings the ports in memory and one listed practitioner with working hours; against real servers the same calls
//! take `amrutam-postgres` and `amrutam-redis`.

use amrutam_booking::{
    model::Mode,
    use_cases::{Book, book},
};
use amrutam_kernel::{Role, Sensitive};
use amrutam_memory::Clinic;
use std::error::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let clinic = Clinic::open("2026-11-23T03:30:00Z".parse()?, 1).await?;
    let patient = clinic.patient(clinic.person(Role::Patient, "asha@amrutam.example").await?);

    // What a patient sees ...
    let open = clinic.open_slots().await?;
    let first = open.first().ok_or("no open slot")?;

    // ... and asks for.
    let wanted = Book {
        doctor: clinic.doctor,
        slot: first.id,
        mode: Mode::Video,
        reason: Some(Sensitive::new("Recurring headache in the afternoons".to_owned())),
        for_dependent: None,
        idempotency: None,
    };
    let (booked, _) = book(clinic.deps(), &patient, wanted).await?;

    let visit = &booked.consultation;
    println!("{} from {} to {} for {}", visit.status, visit.range.start(), visit.range.end(), visit.fee);
    println!("{} slots are left", clinic.open_slots().await?.len());
    for event in clinic.world.outbox() {
        println!("announced {} (version {})", event.event_type, event.aggregate.version);
    }
    Ok(())
}

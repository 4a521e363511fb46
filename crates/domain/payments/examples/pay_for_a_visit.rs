//! Pays for a visit in memory, as another team would: `cargo run -p amrutam-payments --example pay_for_a_visit`.
//!
//! `Clinic` brings the ports in memory, a listed practitioner and a gateway that takes no money. What a relay and a broker do
//! between the domains is the loop in `deliver`; against real servers the same calls take `amrutam-postgres` and
//! `amrutam-gateways`.

use amrutam_booking::{
    model::{CancelReason, Mode, PaymentsMode},
    use_cases::{Book, Cancel, book, cancel},
};
use amrutam_kernel::{Actor, Role};
use amrutam_memory::Clinic;
use amrutam_payments::{
    model::Webhook,
    ports::PaymentGateway,
    use_cases::{preview_cancellation, record_webhook, run_due_tasks},
};
use std::error::Error;

/// Events to whom they concern, until there are none.
async fn deliver(clinic: &Clinic) -> Result<(), Box<dyn Error>> {
    loop {
        let events = clinic.world.drain_outbox();
        if events.is_empty() {
            return Ok(());
        }
        for event in events {
            println!("  {} (version {})", event.event_type, event.aggregate.version);
            amrutam_payments::use_cases::handle(clinic.payment_deps(), &event).await?;
            amrutam_booking::use_cases::handle(clinic.deps(), &event).await?;
        }
    }
}

/// What the gateway would post to us.
async fn notify(clinic: &Clinic) -> Result<(), Box<dyn Error>> {
    for (number, news) in clinic.gateway.drain_notices().into_iter().enumerate() {
        let event = format!("evt_{number}").parse()?;
        let webhook = Webhook { event, at: None, news };
        let (system, name) = (clinic.context(Actor::System("webhooks")), PaymentGateway::name(&*clinic.gateway));
        record_webhook(clinic.payment_deps(), &system, name, &webhook).await?;
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut clinic = Clinic::open("2026-11-23T03:30:00Z".parse()?, 1).await?;
    clinic.payments = PaymentsMode::Required;
    let patient = clinic.patient(clinic.person(Role::Patient, "asha@amrutam.example").await?);
    // Of the next morning: more than four hours ahead.
    let open = clinic.open_slots().await?;
    let slot = open.get(8).ok_or("no open slot")?.id;

    println!("booked");
    let wanted =
        Book { doctor: clinic.doctor, slot, mode: Mode::Video, reason: None, for_dependent: None, idempotency: None };
    let visit = book(clinic.deps(), &patient, wanted).await?.0.consultation;
    deliver(&clinic).await?;

    println!("its order is opened");
    run_due_tasks(clinic.payment_deps(), 10).await?;
    deliver(&clinic).await?;

    println!("the patient pays");
    let order = clinic.gateway.orders().pop().ok_or("no order")?;
    clinic.gateway.pay(&order.order, visit.fee);
    notify(&clinic).await?;
    deliver(&clinic).await?;

    let preview = preview_cancellation(clinic.payment_deps(), &patient, visit.id).await?;
    println!("calling off now would give back {} of {}", preview.refund, preview.paid);
    let command = Cancel { id: visit.id, reason: CancelReason::PatientOther, idempotency: None };
    cancel(clinic.deps(), &patient, command).await?;
    deliver(&clinic).await?;
    run_due_tasks(clinic.payment_deps(), 10).await?;
    deliver(&clinic).await?;

    for ((account, currency), balance) in clinic.payment_deps().store.balances().await? {
        println!("{account}: {balance} {}", currency.code());
    }
    Ok(())
}

//! Decisions as pure functions, and the use cases on the memory adapter: what callers are told, and what is left behind.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod cases;
mod ladder;
mod ledger;
mod news;
mod people;
mod policy;
mod returned;
mod unasked;
mod words;

use amrutam_booking::{
    model::{Mode, PaymentsMode},
    use_cases::{Book, book},
};
use amrutam_kernel::{AccountId, Actor, ConsultationId, Context, Currency, EventEnvelope, Money, PaymentId, Role};
use amrutam_memory::Clinic;
use amrutam_payments::{
    model::{GatewayPaymentRef, GatewayTask, Payment, TaskEnd, Webhook, WebhookNews},
    ports::PaymentGateway,
    use_cases::{Ran, WebhookOutcome, record_webhook, run_due_tasks},
};
use jiff::{SignedDuration, Timestamp};
use std::sync::atomic::{AtomicU32, Ordering};

fn rupees(rupees: i64) -> Money {
    Money::new(rupees * 100, Currency::Inr).unwrap()
}

fn at(minute: i64) -> Timestamp {
    "2026-11-23T03:30:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_mins(minute)
}

/// A practice that is paid first, and a patient with a visit that waits, its payment opened.
struct Till {
    clinic: Clinic,
    patient: AccountId,
    visit: ConsultationId,
    /// Every event so far.
    announced: Vec<EventEnvelope>,
    notices: AtomicU32,
}

impl Till {
    async fn open() -> Self {
        let mut clinic = Clinic::open_for(at(0), 7, 2).await.unwrap();
        clinic.payments = PaymentsMode::Required;
        let patient = clinic.person(Role::Patient, "asha@amrutam.example").await.unwrap();
        let slot = clinic.open_slots().await.unwrap()[3].id;
        let wanted = Book {
            doctor: clinic.doctor,
            slot,
            mode: Mode::Video,
            reason: None,
            for_dependent: None,
            idempotency: None,
        };
        let booked = book(clinic.deps(), &clinic.patient(patient), wanted).await.unwrap().0;
        let visit = booked.consultation.id;
        let mut till = Self { clinic, patient, visit, announced: Vec::new(), notices: AtomicU32::default() };
        till.relay().await;
        till
    }

    /// The same with its order open.
    async fn with_order() -> Self {
        let mut till = Self::open().await;
        till.run().await;
        till.relay().await;
        till
    }

    /// The same, paid and confirmed.
    async fn paid() -> Self {
        let mut till = Self::with_order().await;
        till.pay();
        till.notify().await;
        till.relay().await;
        till
    }

    fn system(&self) -> Context {
        self.clinic.context(Actor::System("test"))
    }

    fn payment(&self) -> Payment {
        self.clinic.world.payments().into_iter().find(|found| found.id == PaymentId::of(self.visit)).unwrap()
    }

    fn pass(&self, minutes: i64) {
        self.clinic.clock.advance(SignedDuration::from_mins(minutes));
    }

    /// The patient's hand.
    fn pay(&self) -> GatewayPaymentRef {
        let payment = self.payment();
        self.clinic.gateway.pay(payment.order_ref().unwrap(), payment.amount).unwrap()
    }

    /// Delivers what the gateway would notify.
    async fn notify(&self) -> Vec<WebhookOutcome> {
        let mut outcomes = Vec::new();
        for news in self.clinic.gateway.drain_notices() {
            let number = self.notices.fetch_add(1, Ordering::Relaxed);
            let event = format!("notice_{number}");
            outcomes.push(self.tell(&event, news).await);
        }
        outcomes
    }

    async fn tell(&self, event: &str, news: WebhookNews) -> WebhookOutcome {
        let webhook = Webhook { event: event.parse().unwrap(), at: None, news };
        let name = PaymentGateway::name(&*self.clinic.gateway);
        record_webhook(self.clinic.payment_deps(), &self.system(), name, &webhook).await.unwrap()
    }

    /// Events to whom they concern, until there are none.
    async fn relay(&mut self) {
        loop {
            let events = self.clinic.world.drain_outbox();
            if events.is_empty() {
                return;
            }
            for event in events {
                amrutam_payments::use_cases::handle(self.clinic.payment_deps(), &event).await.unwrap();
                amrutam_booking::use_cases::handle(self.clinic.deps(), &event).await.unwrap();
                self.announced.push(event);
            }
        }
    }

    async fn run(&self) -> Vec<(GatewayTask, Ran)> {
        run_due_tasks(self.clinic.payment_deps(), 10).await.unwrap()
    }

    /// Runs the one task that is next, when it is due.
    async fn run_next(&self) -> (GatewayTask, TaskEnd) {
        let next = self.clinic.world.next_gateway_task_at().unwrap();
        self.clinic.clock.set(next);
        let mut ran = self.run().await;
        let (task, ran) = ran.remove(0);
        match ran {
            Ran::Ended(end) => (task, end),
            Ran::Lost => unreachable!("nobody else runs tasks"),
        }
    }

    fn announced(&self, event_type: &str) -> Vec<&EventEnvelope> {
        self.announced.iter().filter(|event| event.event_type == event_type).collect()
    }

    /// A person decides the open case.
    async fn resolve(&mut self, choice: &str) {
        let needed = (*self.announced("payment.review_needed.v1").last().unwrap()).clone();
        self.resolve_case(needed, choice).await;
    }

    /// A person decides the case that this opened.
    async fn resolve_case(&mut self, needed: EventEnvelope, choice: &str) {
        let event = EventEnvelope {
            id: amrutam_kernel::EventId::from_uuid(amrutam_kernel::IdSource::uuid_v7(&self.clinic.ids, at(0))),
            event_type: "review.resolved.v1".to_owned(),
            payload: serde_json::json!({
                "case": needed.id, "kind": "payment", "choice": choice, "reason": needed.payload["reason"],
                "asked_version": needed.aggregate.version,
                "subject": { "kind": needed.aggregate.kind, "id": needed.aggregate.id },
            }),
            ..needed
        };
        amrutam_payments::use_cases::handle(self.clinic.payment_deps(), &event).await.unwrap();
        self.relay().await;
    }
}

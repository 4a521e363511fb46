use crate::memory::{Memory, memory};
use amrutam_kernel::{AccountId, AuditEntryId, Clock, ConsultationId, Currency, DoctorId, EventId, Money};
use amrutam_memory::{FakeGateway, GatewayFault, ManualClock};
use amrutam_payments::{
    contract::{Harness, Sender, Till},
    model::{GatewayPayment, GatewayPaymentRef, GatewayRefund, OrderRef, PaymentSighting, RefundState, WebhookNews},
    ports::{PaymentGateway, PaymentStore, WebhookVerifier},
};
use async_trait::async_trait;
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::Duration,
};
use uuid::Uuid;

fn random_id() -> Uuid {
    let half = || RandomState::new().hash_one(0);
    Uuid::from_u64_pair(half(), half())
}

#[async_trait]
impl Harness for Memory {
    fn payments(&self) -> Arc<dyn PaymentStore> {
        self.world.clone()
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    async fn pass(&self, time: SignedDuration) {
        self.clock.advance(time);
    }

    async fn visit(&self) -> (ConsultationId, AccountId, DoctorId) {
        let [visit, patient, doctor] = [random_id(), random_id(), random_id()];
        (ConsultationId::from_uuid(visit), AccountId::from_uuid(patient), DoctorId::from_uuid(doctor))
    }

    async fn announced(&self, aggregate: Uuid) -> Vec<EventId> {
        self.announced_about(aggregate)
    }

    async fn audited(&self, resource_id: &str) -> Vec<AuditEntryId> {
        self.audited_on(resource_id)
    }

    fn spawn(&self, work: BoxFuture<'static, ()>) {
        tokio::spawn(work);
    }
}

struct Fake {
    gateway: Arc<FakeGateway>,
    clock: Arc<ManualClock>,
}

async fn fake() -> Fake {
    let clock = Arc::new(ManualClock::at("2026-11-23T03:30:00Z".parse().unwrap()));
    Fake { gateway: Arc::new(FakeGateway::new("fake".parse().unwrap(), clock.clone())), clock }
}

#[async_trait]
impl Till for Fake {
    fn gateway(&self) -> Arc<dyn PaymentGateway> {
        self.gateway.clone()
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    async fn pay(&self, order: &OrderRef, amount: Money) -> GatewayPaymentRef {
        self.gateway.pay(order, amount).unwrap()
    }

    async fn fail(&self, order: &OrderRef) -> GatewayPaymentRef {
        self.gateway.decline(order, "card_declined").unwrap()
    }

    async fn away(&self, away: bool) {
        self.gateway.set_away(away);
    }

    async fn lose_next_answer(&self) {
        self.gateway.fail_next_calls([GatewayFault::LostAnswer]);
    }

    async fn limit_next(&self, seconds: u32) {
        self.gateway.fail_next_calls([GatewayFault::Limited(Some(Duration::from_secs(seconds.into())))]);
    }
}

impl Sender for Fake {
    fn verifier(&self) -> Arc<dyn WebhookVerifier> {
        self.gateway.clone()
    }

    fn captured(&self, number: u32, at: Timestamp) -> (Vec<(String, String)>, Vec<u8>) {
        self.gateway.notification(&format!("evt_{number}").parse().unwrap(), &self.captured_news(number, at), at)
    }

    fn refunded(&self, number: u32, at: Timestamp) -> (Vec<(String, String)>, Vec<u8>) {
        let refund = GatewayRefund {
            reference: format!("refund_{number}").parse().unwrap(),
            of: format!("pay_{number}").parse().unwrap(),
            amount: Money::new(49_900, Currency::Inr).unwrap(),
            state: RefundState::Processed,
            key: None,
            at,
        };
        self.gateway.notification(&format!("evt_r{number}").parse().unwrap(), &WebhookNews::Refund(refund), at)
    }

    fn other(&self, number: u32, at: Timestamp) -> (Vec<(String, String)>, Vec<u8>) {
        let news = WebhookNews::Ignored { kind: "settlement".to_owned() };
        self.gateway.notification(&format!("evt_o{number}").parse().unwrap(), &news, at)
    }

    fn signed(&self, body: &[u8], at: Timestamp) -> Vec<(String, String)> {
        FakeGateway::sign(body, at)
    }

    fn captured_news(&self, number: u32, at: Timestamp) -> WebhookNews {
        WebhookNews::Payment(GatewayPayment {
            reference: format!("pay_{number}").parse().unwrap(),
            order: Some(format!("order_{number}").parse().unwrap()),
            payment: None,
            amount: Money::new(49_900, Currency::Inr).unwrap(),
            refunded: Money::zero(Currency::Inr),
            state: PaymentSighting::Captured,
            at,
        })
    }

    fn signs_its_time(&self) -> bool {
        true
    }
}

amrutam_payments::payment_store_contract!(memory());
amrutam_payments::payment_gateway_contract!(fake());
amrutam_payments::webhook_verifier_contract!(fake());

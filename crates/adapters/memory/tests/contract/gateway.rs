//! The fake gateway passes the suite that real ones pass.

use amrutam_kernel::{Clock, Money};
use amrutam_memory::{FakeGateway, GatewayFault};
use amrutam_payments::{
    contract::GatewayHarness,
    ports::{GatewayPaymentRef, OrderRef, PaymentGateway},
};
use async_trait::async_trait;
use jiff::Timestamp;
use std::sync::Arc;

struct Standing;

impl Clock for Standing {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(1_796_028_000).unwrap()
    }
}

struct Fake(Arc<FakeGateway>);

async fn fake() -> Fake {
    Fake(Arc::new(FakeGateway::new("fake".parse().unwrap(), Arc::new(Standing))))
}

#[async_trait]
impl GatewayHarness for Fake {
    fn gateway(&self) -> Arc<dyn PaymentGateway> {
        Arc::clone(&self.0) as _
    }

    fn now(&self) -> Timestamp {
        Standing.now()
    }

    async fn pay(&self, order: &OrderRef, amount: Money) -> GatewayPaymentRef {
        self.0.pay(order, amount).unwrap()
    }

    async fn decline(&self, order: &OrderRef) -> GatewayPaymentRef {
        self.0.decline(order, "card_declined").unwrap()
    }

    async fn lose_next_answer(&self) {
        self.0.fail_next_calls([GatewayFault::LostAnswer]);
    }

    async fn set_away(&self, away: bool) {
        self.0.set_away(away);
    }
}

amrutam_payments::payment_gateway_contract!(fake());

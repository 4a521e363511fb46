//! The ports with an await before and after each call, and with what is broken on purpose.

use crate::{interleave::breathe, play::Mutant};
use amrutam_booking::{
    model::TimelineEntry,
    ports::{
        BookingSnapshot, ByStart, Changes, ConsultationFilter, ConsultationPage, ConsultationSnapshot,
        ConsultationStore, ConsultationView,
    },
};
use amrutam_kernel::{
    AccountId, AuditEntry, AuditTrail, CommitError, ConsultationId, DependantId, EventId, IdempotencyClaim,
    PageRequest, PaymentId, PortError, SlotId, TimeRange, Unrecorded,
};
use amrutam_memory::{FakeGateway, MemoryWorld};
use amrutam_payments::{
    model::{
        GatewayName, GatewayPayment, GatewayPaymentRef, GatewayRefund, GatewayTask, NewOrder, NewRefund, Order,
        OrderRef, PaymentEntry, SettledPage,
    },
    ports::{Balances, Booked, GatewayError, Locator, PaymentChanges, PaymentGateway, PaymentSnapshot, PaymentStore},
};
use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use std::sync::{Arc, Mutex};

pub(crate) struct Wrapped<'a> {
    pub(crate) world: &'a MemoryWorld,
    pub(crate) mutant: Mutant,
    /// Each commit that changed something because of an event: by whom, which.
    pub(crate) effects: Mutex<Vec<(&'static str, EventId)>>,
}

impl Wrapped<'_> {
    fn effect(&self, mark: Option<&amrutam_kernel::InboxMark>, changed: bool) {
        if let Some(mark) = mark.filter(|_| changed) {
            self.effects.lock().unwrap().push((mark.consumer, mark.event));
        }
    }
}

#[async_trait]
impl AuditTrail for Wrapped<'_> {
    async fn record(&self, entries: Vec<AuditEntry>) -> Result<(), PortError> {
        breathe().await;
        AuditTrail::record(self.world, entries).await
    }
}

#[async_trait]
impl ConsultationStore for Wrapped<'_> {
    async fn booking_snapshot(
        &self,
        slot: SlotId,
        patient: AccountId,
        dependant: Option<DependantId>,
        claim: Option<&IdempotencyClaim>,
    ) -> Result<BookingSnapshot, PortError> {
        breathe().await;
        self.world.booking_snapshot(slot, patient, dependant, claim).await
    }

    async fn consultation_snapshot(
        &self,
        id: ConsultationId,
        target: Option<SlotId>,
        claim: Option<&IdempotencyClaim>,
    ) -> Result<Option<ConsultationSnapshot>, PortError> {
        breathe().await;
        self.world.consultation_snapshot(id, target, claim).await
    }

    async fn commit(&self, changes: &Changes) -> Result<(), CommitError> {
        breathe().await;
        let mut changes = changes.clone();
        let mark = changes.effects.inbox.clone();
        if self.mutant == Mutant::InboxOff {
            changes.effects.inbox = None;
        }
        let committed = ConsultationStore::commit(self.world, &changes).await;
        self.effect(mark.as_ref(), committed.is_ok() && !changes.updated.is_empty());
        breathe().await;
        committed
    }

    async fn view(&self, id: ConsultationId) -> Result<Option<Unrecorded<ConsultationView>>, PortError> {
        self.world.view(id).await
    }

    async fn sealed_reason(&self, id: ConsultationId) -> Result<Option<Vec<u8>>, PortError> {
        self.world.sealed_reason(id).await
    }

    async fn sealed_summary(&self, id: ConsultationId) -> Result<Option<Vec<u8>>, PortError> {
        self.world.sealed_summary(id).await
    }

    async fn list(
        &self,
        filter: &ConsultationFilter,
        page: PageRequest<ByStart<ConsultationId>>,
    ) -> Result<Unrecorded<ConsultationPage>, PortError> {
        self.world.list(filter, page).await
    }

    async fn timeline(&self, id: ConsultationId) -> Result<Unrecorded<Vec<TimelineEntry>>, PortError> {
        breathe().await;
        ConsultationStore::timeline(self.world, id).await
    }

    async fn expired_holds(&self, now: Timestamp, limit: u16) -> Result<Vec<ConsultationId>, PortError> {
        breathe().await;
        self.world.expired_holds(now, limit).await
    }
}

#[async_trait]
impl PaymentStore for Wrapped<'_> {
    async fn snapshot(
        &self,
        locator: Locator<'_>,
        claim: Option<&IdempotencyClaim>,
    ) -> Result<Unrecorded<PaymentSnapshot>, PortError> {
        breathe().await;
        self.world.snapshot(locator, claim).await
    }

    async fn commit(&self, changes: &PaymentChanges) -> Result<(), CommitError> {
        breathe().await;
        let mut changes = changes.clone();
        let mark = changes.effects.inbox.clone();
        match self.mutant {
            Mutant::InboxOff => changes.effects.inbox = None,
            Mutant::RefundTasksLost => {
                changes.tasks.retain(|task| !matches!(task.kind, amrutam_payments::model::TaskKind::Refund { .. }));
            }
            Mutant::LedgerForgets => {
                changes
                    .journals
                    .retain(|journal| journal.kind != amrutam_payments::model::JournalKind::RefundProcessed);
            }
            _ => {}
        }
        let committed = PaymentStore::commit(self.world, &changes).await;
        self.effect(mark.as_ref(), committed.is_ok() && changes.payment.is_some());
        breathe().await;
        committed
    }

    async fn timeline(&self, id: PaymentId) -> Result<Unrecorded<Vec<PaymentEntry>>, PortError> {
        PaymentStore::timeline(self.world, id).await
    }

    async fn claim_tasks(&self, lease: SignedDuration, limit: u16) -> Result<Vec<GatewayTask>, PortError> {
        breathe().await;
        let claimed = self.world.claim_tasks(lease, limit).await;
        breathe().await;
        claimed
    }

    async fn overdue(&self, now: Timestamp, limit: u16) -> Result<Vec<PaymentId>, PortError> {
        breathe().await;
        self.world.overdue(now, limit).await
    }

    async fn booked(
        &self,
        gateway: &GatewayName,
        range: TimeRange,
        after: Option<&Booked>,
        limit: u16,
    ) -> Result<Vec<Booked>, PortError> {
        self.world.booked(gateway, range, after, limit).await
    }

    async fn balances(&self) -> Result<Balances, PortError> {
        self.world.balances().await
    }
}

pub(crate) struct WrappedGateway(pub(crate) Arc<FakeGateway>);

#[async_trait]
impl PaymentGateway for WrappedGateway {
    fn name(&self) -> &GatewayName {
        PaymentGateway::name(&*self.0)
    }

    async fn open_order(&self, order: &NewOrder<'_>) -> Result<Order, GatewayError> {
        breathe().await;
        let answer = self.0.open_order(order).await;
        breathe().await;
        answer
    }

    async fn order_payments(&self, order: &OrderRef) -> Result<Vec<GatewayPayment>, GatewayError> {
        breathe().await;
        let answer = self.0.order_payments(order).await;
        breathe().await;
        answer
    }

    async fn refund(&self, refund: &NewRefund<'_>) -> Result<GatewayRefund, GatewayError> {
        breathe().await;
        let answer = self.0.refund(refund).await;
        breathe().await;
        answer
    }

    async fn refunds_of(&self, payment: &GatewayPaymentRef) -> Result<Vec<GatewayRefund>, GatewayError> {
        breathe().await;
        let answer = self.0.refunds_of(payment).await;
        breathe().await;
        answer
    }

    async fn settled(&self, range: TimeRange, cursor: Option<String>) -> Result<SettledPage, GatewayError> {
        breathe().await;
        self.0.settled(range, cursor).await
    }
}

//! Payments as they are shown.

use super::{
    consultation_views::TimelineEntryView,
    shared::{Fee, PaymentStatusWord, Time},
};
use crate::http::{JSON, json};
use amrutam_booking::model::Consultation;
use amrutam_kernel::{ConsultationId, Context, Money, PaymentId, Role, StoredAnswer};
use amrutam_payments::{
    model::{Checkout, MoneyState, Payment, PaymentEntry, Refund, RefundStep},
    ports::VisitFacts,
    use_cases::{CancellationPreview, Retried, SeenPayment},
};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

/// What a client needs to pay.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Checkout)]
pub(crate) struct CheckoutView {
    /// Where: `razorpay`, `stripe`.
    gateway: String,
    /// The order (Razorpay) or payment intent (Stripe).
    order_id: String,
    /// The key id for Razorpay's checkout, the client secret for Stripe's.
    key: String,
    /// A page to pay on, where the gateway has one.
    url: Option<String>,
}

impl From<&Checkout> for CheckoutView {
    fn from(checkout: &Checkout) -> Self {
        Self {
            gateway: checkout.gateway.to_string(),
            order_id: checkout.order.to_string(),
            key: checkout.key.clone(),
            url: checkout.url.clone(),
        }
    }
}

/// What a visit costs, and how that stands.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Payment, example = json!({
    "id": "019aaf3c-5e00-7c11-9d2e-0a6b1c2d3e4f", "status": "pending", "amount": {"amount": 49900, "currency": "INR"},
    "refunded": {"amount": 0, "currency": "INR"}, "expires_at": "2026-11-23T03:45:00.000000Z",
    "checkout": {"gateway": "razorpay", "order_id": "order_9A33XWu170gUtm", "key": "rzp_live_1", "url": null}
}))]
pub(crate) struct PaymentView {
    /// The consultation's id.
    #[schema(value_type = Uuid)]
    id: PaymentId,
    #[schema(value_type = PaymentStatusWord)]
    status: &'static str,
    /// The price.
    amount: Fee,
    /// How much of it has gone back.
    refunded: Fee,
    /// While it can be paid: when the slot is given back.
    expires_at: Option<Time>,
    /// How to pay it: once its order is open, while the slot is held, for the patient alone.
    checkout: Option<CheckoutView>,
}

impl PaymentView {
    /// Of a visit that waits to be paid, before anything is known of its payment.
    pub(crate) fn expected(id: ConsultationId, amount: Money, expires_at: Timestamp) -> Self {
        Self {
            id: PaymentId::of(id),
            status: MoneyState::Created.as_str(),
            amount: amount.into(),
            refunded: Money::zero(amount.currency()).into(),
            expires_at: Some(Time(expires_at)),
            checkout: None,
        }
    }

    /// As `context`'s caller sees it at `now`.
    pub(crate) fn of(payment: &Payment, context: &Context, now: Timestamp) -> Self {
        let unpaid = matches!(payment.state, MoneyState::Created | MoneyState::Pending);
        let held = payment.visit.hold_until.filter(|until| unpaid && now < *until);
        let payer = payment.patient().is_some_and(|patient| context.actor.is(patient, Role::Patient));
        Self {
            id: payment.id,
            status: payment.state.as_str(),
            amount: payment.amount.into(),
            refunded: payment.refunded().into(),
            expires_at: held.map(Time),
            checkout: payment.checkout_at(now).filter(|_| payer).map(CheckoutView::from),
        }
    }

    /// Of a consultation that waits: what its own row tells.
    pub(crate) fn waiting(consultation: &Consultation, expires_at: Timestamp) -> Self {
        Self::expected(consultation.id, consultation.fee, expires_at)
    }

    pub(crate) fn seen(seen: &SeenPayment, id: ConsultationId, context: &Context, now: Timestamp) -> Option<Self> {
        match seen {
            SeenPayment::Begun(payment) => Some(Self::of(payment, context, now)),
            SeenPayment::Expected(VisitFacts { fee, hold_until, .. }) => {
                hold_until.map(|until| Self::expected(id, *fee, until))
            }
        }
    }
}

/// Money that arrived, and what goes back of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PaymentCapture)]
pub(crate) struct CaptureView {
    /// The gateway's name for it.
    gateway_payment: String,
    amount: Fee,
    captured_at: Time,
    /// What goes back of it; `null` while nothing does.
    refund: Option<RefundView>,
}

/// What goes back.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PaymentRefund)]
pub(crate) struct RefundView {
    amount: Fee,
    /// `visit_cancelled`, `doctor_absent`, `visit_broken_off`, `late_payment`, `paid_twice`, `wrong_amount`, `ruled`.
    reason: &'static str,
    /// `asked`, `pending`, `processed`, `failed`.
    step: &'static str,
    /// The gateway's name for it, once there is one.
    gateway_refund: Option<String>,
}

impl From<&Refund> for RefundView {
    fn from(refund: &Refund) -> Self {
        let (step, reference) = match &refund.step {
            RefundStep::Asked => ("asked", None),
            RefundStep::Pending { reference } => ("pending", Some(reference)),
            RefundStep::Processed { reference, .. } => ("processed", reference.as_ref()),
            RefundStep::Failed { .. } => ("failed", None),
        };
        Self {
            amount: refund.amount.into(),
            reason: refund.reason.as_str(),
            step,
            gateway_refund: reference.map(ToString::to_string),
        }
    }
}

/// A payment as those who run the place see it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "7c9e6679-7425-80de-944b-e07fc1f90ae7", "consultation_id": null, "gateway": "razorpay", "order_id": null,
    "status": "captured", "amount": {"amount": 12300, "currency": "INR"}, "refunded": {"amount": 0, "currency": "INR"},
    "captures": [{"gateway_payment": "pay_29QQoUBi66xm2f", "amount": {"amount": 12300, "currency": "INR"},
                  "captured_at": "2026-11-22T10:00:00.000000Z", "refund": null}],
    "reviews": ["unknown_payment"],
    "timeline": [{"about": "payment", "version": 1, "at": "2026-11-22T10:00:01.000000Z", "kind": "stray_captured", "from": null,
                  "to": null, "slot_id": null, "amount": {"amount": 12300, "currency": "INR"}, "evidence": "webhook:evt_1",
                  "actor": "system:webhooks", "cause": "paid", "event_id": "019aaf3c-5e00-7c11-9d2e-0a6b1c2d3e51",
                  "correlation_id": "checkout-42"}]
}))]
pub(crate) struct InspectedPayment {
    #[schema(value_type = Uuid)]
    id: PaymentId,
    /// `null` while nobody has claimed the money.
    #[schema(value_type = Option<Uuid>)]
    consultation_id: Option<ConsultationId>,
    gateway: String,
    /// The gateway's name for its order.
    order_id: Option<String>,
    #[schema(value_type = PaymentStatusWord)]
    status: &'static str,
    /// The price, or what arrived.
    amount: Fee,
    /// How much of it has gone back.
    refunded: Fee,
    captures: Vec<CaptureView>,
    /// What a person is being asked: the reasons of its open cases.
    reviews: Vec<&'static str>,
    /// By version; persons by their roles alone.
    timeline: Vec<TimelineEntryView>,
}

impl InspectedPayment {
    pub(crate) fn of(payment: &Payment, timeline: Vec<PaymentEntry>) -> Self {
        let captures = payment.captures.iter().map(|capture| CaptureView {
            gateway_payment: capture.reference.to_string(),
            amount: capture.amount.into(),
            captured_at: Time(capture.at),
            refund: capture.refund.as_ref().map(RefundView::from),
        });
        Self {
            id: payment.id,
            consultation_id: payment.consultation(),
            gateway: payment.gateway.to_string(),
            order_id: payment.order_ref().map(ToString::to_string),
            status: payment.state.as_str(),
            amount: payment.amount.into(),
            refunded: payment.refunded().into(),
            captures: captures.collect(),
            reviews: payment.reviews.iter().map(|review| review.reason.as_str()).collect(),
            timeline: timeline.into_iter().map(TimelineEntryView::from).collect(),
        }
    }
}

/// The answer to another try to pay, as it is kept.
pub(crate) fn retried_answer(retried: &Retried, id: ConsultationId, context: &Context, now: Timestamp) -> StoredAnswer {
    StoredAnswer {
        status: 200,
        location: None,
        content_type: JSON.to_owned(),
        etag: None,
        body: json(&PaymentView::seen(&retried.payment, id, context, now)),
    }
}

/// What calling a visit off would give back, now.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CancellationPreview, example = json!({
    "consultation_id": "019aaf3c-5e00-7c11-9d2e-0a6b1c2d3e4f", "by": "patient", "as_of": "2026-11-22T10:00:00.000000Z",
    "starts_at": "2026-11-23T03:30:00.000000Z", "paid": {"amount": 49900, "currency": "INR"},
    "refund": {"amount": 49900, "currency": "INR"}, "fee": {"amount": 0, "currency": "INR"}, "policy": "refunds-2"
}))]
pub(crate) struct CancellationView {
    #[schema(value_type = Uuid)]
    consultation_id: ConsultationId,
    /// As whose cancellation it would count: `patient`, `doctor`, `system`.
    by: &'static str,
    /// A later one may give back less.
    as_of: Time,
    starts_at: Time,
    paid: Fee,
    /// What would go back of it.
    refund: Fee,
    /// What would be kept.
    fee: Fee,
    /// The refund policy's version.
    policy: String,
}

impl From<CancellationPreview> for CancellationView {
    fn from(preview: CancellationPreview) -> Self {
        Self {
            consultation_id: preview.consultation,
            by: preview.by.as_str(),
            as_of: Time(preview.as_of),
            starts_at: Time(preview.starts_at),
            paid: preview.paid.into(),
            refund: preview.refund.into(),
            fee: preview.fee.into(),
            policy: preview.policy,
        }
    }
}

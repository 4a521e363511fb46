//! Booking tells what became of a visit.

use super::{
    Deps,
    handle::{CONSUMER, ignore},
    record::{create, mark, note, update},
};
use crate::{
    NewsError,
    model::{Evidence, GatewayName, MoneyState, Parties, Payment, Progress, Side, Visit, VisitFate},
    ports::{Locator, PaymentChanges},
};
use amrutam_kernel::{AccountId, ConsultationId, Context, DoctorId, Effects, EventEnvelope, Handled, Money, PaymentId};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

// Fields that are not read here may come and go.
#[derive(Deserialize)]
struct Payload {
    consultation_id: ConsultationId,
    patient_id: AccountId,
    doctor_id: DoctorId,
    starts_at: Timestamp,
    ends_at: Timestamp,
    status: String,
    cause: String,
    #[serde(default)]
    from: Option<String>,
    #[serde(default)]
    by: Option<Side>,
    #[serde(default)]
    fee: Option<Money>,
    #[serde(default)]
    hold_expires_at: Option<Timestamp>,
    #[serde(default)]
    least_notice_s: Option<i64>,
    /// Named exactly when the visit is to be paid.
    #[serde(default)]
    payment_id: Option<PaymentId>,
}

/// An event of a visit, read.
pub(super) struct VisitNews {
    id: ConsultationId,
    patient: AccountId,
    doctor: DoctorId,
    /// The price of a visit that is to be paid.
    price: Option<Money>,
    visit: Visit,
}

impl VisitNews {
    pub(super) fn read(event: &EventEnvelope) -> Result<Self, NewsError> {
        let payload = Payload::deserialize(&event.payload).map_err(|_| NewsError::Malformed("a visit"))?;
        let fate = fate(event, &payload)?;
        Ok(Self {
            id: payload.consultation_id,
            patient: payload.patient_id,
            doctor: payload.doctor_id,
            price: payload.fee.filter(|_| payload.payment_id.is_some()),
            visit: Visit {
                version: event.aggregate.version,
                starts_at: payload.starts_at,
                ends_at: payload.ends_at,
                least_notice: payload.least_notice_s.map(SignedDuration::from_secs),
                hold_until: payload.hold_expires_at,
                fate,
            },
        })
    }
}

fn fate(event: &EventEnvelope, payload: &Payload) -> Result<VisitFate, NewsError> {
    if event.event_type == "consultation.unconfirmable.v1" {
        return Ok(VisitFate::Unconfirmable);
    }
    Ok(match payload.status.as_str() {
        "pending" => VisitFate::Open,
        "confirmed" | "in_progress" => VisitFate::Confirmed,
        "completed" => match payload.cause.as_str() {
            "technical_issue" | "doctor_left" => VisitFate::BrokenOff {
                by: payload.by.ok_or(NewsError::Malformed("who broke the visit off"))?,
                at: event.occurred_at,
            },
            _ => VisitFate::Completed,
        },
        "expired" => VisitFate::Expired,
        "cancelled" => VisitFate::Cancelled {
            by: payload.by.ok_or(NewsError::Malformed("who called the visit off"))?,
            at: event.occurred_at,
            unpaid: payload.from.as_deref() == Some("pending"),
        },
        "no_show" => VisitFate::NoShow {
            absent: match payload.cause.as_str() {
                "patient_absent" => Side::Patient,
                "doctor_absent" => Side::Doctor,
                _ => return Err(NewsError::Malformed("who did not come")),
            },
        },
        _ => return Err(NewsError::Malformed("a visit's status")),
    })
}

/// Handles any `consultation.*.v1`: notes the visit's fate, and does what follows from it. Events may come in any order:
/// older ones than the newest seen change nothing, and the first to come makes the payment, whichever it is.
pub async fn follow_visit(deps: Deps<'_>, event: &EventEnvelope) -> Result<Handled, NewsError> {
    follow(deps, event, &VisitNews::read(event)?).await
}

pub(super) async fn follow(deps: Deps<'_>, event: &EventEnvelope, news: &VisitNews) -> Result<Handled, NewsError> {
    let id = PaymentId::of(news.id);
    let to_be_paid = news.price.zip(deps.gateways.first().map(|gateway| gateway.name().clone()));
    if to_be_paid.is_none() && deps.store.snapshot(Locator::Id(id), None).await?.undisclosed().payment.is_none() {
        return ignore(deps, event).await;
    }
    let context = Context::following(CONSUMER, event);
    let evidence = Evidence::Visit(event.id);
    let noted = note(deps, Locator::Id(id), |snapshot| {
        let now = deps.clock.now();
        let effects = Effects { inbox: mark(event), ..Effects::default() };
        let mut changes = PaymentChanges { effects, ..PaymentChanges::default() };
        match (snapshot.payment, &to_be_paid) {
            (Some(before), _) => {
                let mut progress = Progress::of(before.clone(), deps.rules, now);
                progress.see_visit(news.visit, &evidence);
                update(deps, &context, &before, progress, &mut changes);
            }
            (None, Some((price, gateway))) => {
                let payment = begin(id, news, *price, gateway.clone(), now);
                create(deps, &context, Progress::begun(payment, deps.rules, now, &evidence), &mut changes);
            }
            (None, None) => {}
        }
        Ok(changes)
    });
    Ok(noted.await?.handled())
}

fn begin(id: PaymentId, news: &VisitNews, price: Money, gateway: GatewayName, now: Timestamp) -> Payment {
    Payment {
        id,
        parties: Some(Parties { consultation: news.id, patient: news.patient, doctor: news.doctor }),
        amount: price,
        gateway,
        state: MoneyState::Created,
        visit: news.visit,
        order: None,
        order_opened_at: None,
        failed_attempts: Vec::new(),
        captures: Vec::new(),
        announced_at: None,
        ruling: None,
        reviews: Vec::new(),
        waiting: Vec::new(),
        look_at: None,
        created_at: now,
        updated_at: now,
        version: 0,
        revision: 0,
    }
}

//! What calling a visit off would cost, before anybody does.

use super::{
    Deps,
    permit::{Deed, permit, shown},
};
use crate::{
    PaymentError,
    model::{MoneyState, Side, notice, refund_for_cancellation},
    ports::{Locator, VisitFacts},
};
use amrutam_kernel::{Action, ConsultationId, Context, Money, PaymentId, Relation, Role};
use jiff::Timestamp;

/// What would go back if the caller called the visit off now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CancellationPreview {
    /// The visit.
    pub consultation: ConsultationId,
    /// As whose cancellation it would count.
    pub by: Side,
    /// As of when: a later one may give back less.
    pub as_of: Timestamp,
    /// The visit's start.
    pub starts_at: Timestamp,
    /// What has been paid; nothing when nothing has.
    pub paid: Money,
    /// What would go back of it.
    pub refund: Money,
    /// What would be kept.
    pub fee: Money,
    /// Which policy says so.
    pub policy: String,
}

/// Computes by the same function as the refund itself.
pub async fn preview_cancellation(
    deps: Deps<'_>,
    context: &Context,
    consultation: ConsultationId,
) -> Result<CancellationPreview, PaymentError> {
    let visit = deps.visits.visit(consultation).await?;
    let by = visit.judge(|visit| {
        visit.map_or(Side::System, |visit| {
            if context.actor.is(visit.patient, Role::Patient) {
                Side::Patient
            } else if context.actor.is(visit.doctor_account, Role::Doctor) {
                Side::Doctor
            } else {
                Side::System
            }
        })
    });
    let relation = if by == Side::System { Relation::None } else { Relation::Own };
    let deed = Deed {
        action: Action::ConsultationCancel,
        name: "consultation.preview_cancellation",
        consultation,
        patient: visit.judge(|visit| visit.map(|visit| visit.patient)),
        relation,
    };
    permit(deps, context, deed).await?;
    let visit = visit.some().ok_or(PaymentError::NotFound)?;
    let as_of = deps.clock.now();
    // As booking itself refuses it.
    let over = |visit: &VisitFacts| visit.starts_at <= as_of || visit.hold_until.is_some_and(|until| until <= as_of);
    if visit.judge(|visit| !visit.cancellable || over(visit)) {
        return Err(PaymentError::NotCancellable);
    }
    let payment = deps.store.snapshot(Locator::Id(PaymentId::of(consultation)), None).await?;
    let payment = payment.map(|snapshot| snapshot.payment);
    let (visit, payment) = shown(deps, context, deed, visit.and(payment)).await?;
    let paid = payment.as_ref().filter(|payment| payment.state == MoneyState::Captured);
    let price = paid.map_or(Money::zero(visit.fee.currency()), |payment| payment.amount);
    // Before it is confirmed, nobody has been promised the visit. The visit itself says so: payments may not have heard yet.
    let promised = visit.hold_until.is_none();
    let given = notice(visit.starts_at, visit.least_notice, as_of);
    let refund = if promised { refund_for_cancellation(&deps.rules.refunds, price, by, given) } else { price };
    let fee = price.minus(&refund).unwrap_or(Money::zero(price.currency()));
    let (starts_at, policy) = (visit.starts_at, deps.rules.refunds.version.clone());
    Ok(CancellationPreview { consultation, by, as_of, starts_at, paid: price, refund, fee, policy })
}

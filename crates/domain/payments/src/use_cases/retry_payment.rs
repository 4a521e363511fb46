//! A patient tries to pay again.

use super::{
    Deps, SeenPayment,
    permit::{Deed, entry, permit},
    record::pause,
};
use crate::{
    PaymentError,
    model::{InvalidTransition, MoneyState, Payment},
    ports::{Locator, PaymentChanges},
};
use amrutam_kernel::{
    Action, CommitError, ConsultationId, Context, Effects, Idempotent, Outcome, PaymentId, Recorded, Relation, Role,
    StoredAnswer,
};
use jiff::Timestamp;

/// How often a commit that met a change is decided anew.
const MAX_COMMITS: u32 = 10;

/// A payment that can be tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retried {
    /// As it stands: with the checkout of its open order, or with none while the order is being opened.
    pub payment: SeenPayment,
}

/// Answers how to pay again: the order that is open takes another attempt, so nothing is opened twice. When the hold is over, or
/// the payment is, there is nothing to try.
pub async fn retry_payment(
    deps: Deps<'_>,
    context: &Context,
    consultation: ConsultationId,
    idempotency: Option<Idempotent<'_, Retried>>,
) -> Result<(Retried, Option<StoredAnswer>), PaymentError> {
    let claim = idempotency.as_ref().map(|idempotent| idempotent.claim);
    for round in 1..=MAX_COMMITS {
        // What is shown of it has its entry in the commit below.
        let snapshot = deps.store.snapshot(Locator::Id(PaymentId::of(consultation)), claim).await?.undisclosed();
        let visit =
            if snapshot.payment.is_some() { None } else { deps.visits.visit(consultation).await?.undisclosed() };
        let patient = snapshot.payment.as_ref().and_then(Payment::patient).or(visit.map(|visit| visit.patient));
        let own = patient.is_some_and(|patient| context.actor.is(patient, Role::Patient));
        let relation = if own { Relation::Own } else { Relation::None };
        let deed = Deed { action: Action::PaymentMake, name: "payment.retry", consultation, patient, relation };
        permit(deps, context, deed).await?;
        match snapshot.recorded {
            Some(Recorded::Same(answer)) => return Err(PaymentError::Replay(answer)),
            Some(Recorded::Other) => return Err(PaymentError::KeyReused),
            None => {}
        }
        let payment = match (snapshot.payment, visit.filter(|visit| visit.hold_until.is_some())) {
            (Some(payment), _) => SeenPayment::Begun(Box::new(payment)),
            (None, Some(visit)) => SeenPayment::Expected(visit),
            (None, None) => return Err(PaymentError::NotFound),
        };
        can_be_paid(&payment, deps.clock.now())?;
        let retried = Retried { payment };
        let answer = idempotency.as_ref().map(|idempotent| idempotent.answer(&retried));
        let audit = vec![entry(deps, context, deed, Outcome::Allowed)];
        let effects = Effects { audit, answer: answer.clone(), ..Effects::default() };
        match deps.store.commit(&PaymentChanges { effects, ..PaymentChanges::default() }).await {
            Ok(()) => return Ok((retried, answer.map(|(_, answer)| answer))),
            Err(CommitError::Port(error)) => return Err(error.into()),
            Err(_) => pause(deps, round).await,
        }
    }
    Err(PaymentError::Contended)
}

fn can_be_paid(payment: &SeenPayment, now: Timestamp) -> Result<(), PaymentError> {
    let hold_until = match payment {
        SeenPayment::Begun(payment) => {
            if !matches!(payment.state, MoneyState::Created | MoneyState::Pending) {
                return Err(InvalidTransition { from: payment.state, to: MoneyState::Pending }.into());
            }
            payment.visit.hold_until
        }
        SeenPayment::Expected(visit) => visit.hold_until,
    };
    if hold_until.is_none_or(|until| until <= now) { Err(PaymentError::HoldEnded) } else { Ok(()) }
}

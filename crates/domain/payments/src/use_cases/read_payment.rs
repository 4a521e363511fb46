//! Reading a payment. Each one that is shown is on the record before it leaves.

use super::{
    Deps,
    permit::{Deed, permit, shown},
};
use crate::{
    PaymentError,
    model::{Payment, PaymentEntry},
    ports::{Locator, VisitFacts},
};
use amrutam_kernel::{
    AccountId, Action, ConsultationId, Context, PaymentId, PortError, Relation, Role, Sight, Unrecorded,
};

/// A visit's payment as one caller sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SeenPayment {
    /// It exists.
    Begun(Box<Payment>),
    /// The visit has just been booked, and its payment is about to begin.
    Expected(VisitFacts),
}

/// A visit's payment: the patient's own, or anybody's for those who run the place.
pub async fn read_payment(
    deps: Deps<'_>,
    context: &Context,
    consultation: ConsultationId,
) -> Result<SeenPayment, PaymentError> {
    let payment = deps.store.snapshot(Locator::Id(PaymentId::of(consultation)), None).await?;
    let payment = payment.map(|snapshot| snapshot.payment).some();
    let visit = if payment.is_some() { None } else { deps.visits.visit(consultation).await?.some() };
    let patient = match (&payment, &visit) {
        (Some(payment), _) => payment.judge(Payment::patient),
        (None, visit) => visit.as_ref().map(|visit| visit.judge(|visit| visit.patient)),
    };
    let deed = reading(context, "payment.read", consultation, patient);
    permit(deps, context, deed).await?;
    let begun = payment.map(|payment| payment.map(|payment| SeenPayment::Begun(Box::new(payment))));
    let waits = |visit: &Unrecorded<VisitFacts>| visit.judge(|visit| visit.hold_until.is_some());
    let expected = || visit.filter(waits).map(|visit| visit.map(SeenPayment::Expected));
    let found = begun.or_else(expected).ok_or(PaymentError::NotFound)?;
    Ok(shown(deps, context, deed, found).await?)
}

/// One payment with all that happened to it, for those who run the place: also money that nobody has claimed. Persons are named
/// by their roles alone.
pub async fn inspect_payment(
    deps: Deps<'_>,
    context: &Context,
    id: PaymentId,
) -> Result<(Payment, Vec<PaymentEntry>), PaymentError> {
    let payment = deps.store.snapshot(Locator::Id(id), None).await?;
    let payment = payment.map(|snapshot| snapshot.payment).some();
    let patient = payment.as_ref().and_then(|payment| payment.judge(Payment::patient));
    let deed = inspecting(ConsultationId::from_uuid(id.as_uuid()), patient);
    permit(deps, context, deed).await?;
    let payment = payment.ok_or(PaymentError::NotFound)?;
    let timeline = deps.store.timeline(id).await?;
    let (payment, timeline) = shown(deps, context, deed, payment.and(timeline)).await?;
    Ok((payment, timeline.into_iter().map(without_person).collect()))
}

/// The payment's part of its visit's timeline, by version; with the actors' roles alone for those who see persons masked.
/// `sight` is what the caller was found to see of this patient's visit.
pub async fn read_timeline(
    deps: Deps<'_>,
    context: &Context,
    consultation: ConsultationId,
    (patient, sight): (AccountId, Sight),
) -> Result<Vec<PaymentEntry>, PortError> {
    let entries = deps.store.timeline(PaymentId::of(consultation)).await?;
    if entries.judge(Vec::is_empty) {
        return Ok(Vec::new());
    }
    let entries = shown(deps, context, inspecting(consultation, Some(patient)), entries).await?;
    Ok(match sight {
        Sight::Full => entries,
        Sight::Masked | Sight::Aggregated => entries.into_iter().map(without_person).collect(),
    })
}

/// `patient:<id>` becomes `patient`; the system's parts are no persons and keep their names.
fn without_person(entry: PaymentEntry) -> PaymentEntry {
    match entry.actor.split_once(':') {
        Some((role, _)) if role != "system" => PaymentEntry { actor: role.to_owned(), ..entry },
        _ => entry,
    }
}

fn reading(context: &Context, name: &'static str, consultation: ConsultationId, patient: Option<AccountId>) -> Deed {
    let own = patient.is_some_and(|patient| context.actor.is(patient, Role::Patient));
    let relation = if own { Relation::Own } else { Relation::None };
    Deed { action: Action::PaymentRead, name, consultation, patient, relation }
}

fn inspecting(consultation: ConsultationId, patient: Option<AccountId>) -> Deed {
    // Not even the patient's own: they see it with their visit.
    let (action, relation) = (Action::PaymentRead, Relation::None);
    Deed { action, name: "payment.inspect", consultation, patient, relation }
}

//! Reading a payment. Each one that is shown is on the record before it leaves.

use super::{
    Deps,
    permit::{Deed, permit, seen},
};
use crate::{
    PaymentError,
    model::{Payment, PaymentEntry},
    ports::{Locator, VisitFacts},
};
use amrutam_kernel::{AccountId, Action, ConsultationId, Context, PaymentId, Relation, Role, Sight};

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
    let payment = deps.store.snapshot(Locator::Id(PaymentId::of(consultation)), None).await?.payment;
    let visit = if payment.is_some() { None } else { deps.visits.visit(consultation).await? };
    let patient = payment.as_ref().and_then(Payment::patient).or(visit.map(|visit| visit.patient));
    let deed = reading(context, "payment.read", consultation, patient);
    permit(deps, context, deed).await?;
    let expected = || visit.filter(|visit| visit.hold_until.is_some()).map(SeenPayment::Expected);
    let found = payment.map(|payment| SeenPayment::Begun(Box::new(payment))).or_else(expected);
    let found = found.ok_or(PaymentError::NotFound)?;
    seen(deps, context, deed).await?;
    Ok(found)
}

/// One payment with all that happened to it, for those who run the place: also money that nobody has claimed. Persons are named
/// by their roles alone.
pub async fn inspect_payment(
    deps: Deps<'_>,
    context: &Context,
    id: PaymentId,
) -> Result<(Payment, Vec<PaymentEntry>), PaymentError> {
    let payment = deps.store.snapshot(Locator::Id(id), None).await?.payment;
    let deed = Deed {
        action: Action::PaymentRead,
        name: "payment.inspect",
        consultation: ConsultationId::from_uuid(id.as_uuid()),
        patient: payment.as_ref().and_then(Payment::patient),
        // Not even the patient's own: they see it with their visit.
        relation: Relation::None,
    };
    permit(deps, context, deed).await?;
    let payment = payment.ok_or(PaymentError::NotFound)?;
    let timeline = deps.store.timeline(id).await?;
    seen(deps, context, deed).await?;
    Ok((payment, timeline.into_iter().map(without_person).collect()))
}

/// The payment's part of its visit's timeline, by version; with the actors' roles alone for those who see persons masked.
/// `sight` is what the caller was found to see of the visit: its reading is on the record already.
pub async fn read_timeline(
    deps: Deps<'_>,
    consultation: ConsultationId,
    sight: Sight,
) -> Result<Vec<PaymentEntry>, PaymentError> {
    let entries = deps.store.timeline(PaymentId::of(consultation)).await?;
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

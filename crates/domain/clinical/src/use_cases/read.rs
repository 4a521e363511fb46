//! Reading a prescription and its document.

use super::{
    Deps,
    frame::{Deed, side_of},
};
use crate::{
    ClinicalError,
    model::{DocumentState, Prescription, PrescriptionStatus, Side},
    ports::Document,
};
use amrutam_kernel::{Action, ConsultationId, Context, Unrecorded};

/// A visit's prescription as one side sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenPrescription {
    /// The draft, to its author alone.
    pub draft: Option<Prescription>,
    /// The last version that was signed.
    pub signed: Option<Prescription>,
}

/// Whether a side of the visit may read what is said in it of the patient: its practitioner until their relation to the patient has
/// ended. Nothing is read or put on the record here, and whose visit it is not hears of that elsewhere.
pub async fn is_open_to_side(deps: Deps<'_>, context: &Context, id: ConsultationId) -> Result<bool, ClinicalError> {
    let Some(visit) = deps.store.visit(id).await? else { return Ok(true) };
    let Some(side) = side_of(context, &visit) else { return Ok(true) };
    Ok(deps.closed_to(context, &visit, side).await?.is_none())
}

/// The draft and the last signed version. A draft is invisible to all but its author.
pub async fn read_prescription(
    deps: Deps<'_>,
    context: &Context,
    id: ConsultationId,
) -> Result<SeenPrescription, ClinicalError> {
    let deed = Deed { action: Action::RecordRead, name: "prescription.read" };
    let (visit, side) = deps.open_record(context, deed, id).await?;
    let all = deps.store.prescriptions(id).await?;
    let all = deps.show(all, vec![deps.done(context, deed.name, &visit, deps.clock.now())]).await?;
    let is_draft = |one: &&Prescription| one.status == PrescriptionStatus::Draft;
    let draft = all.iter().find(is_draft).filter(|_| side == Side::Doctor).cloned();
    let signed = all.iter().filter(|one| !is_draft(one)).max_by_key(|one| one.number).cloned();
    if draft.is_none() && signed.is_none() {
        return Err(ClinicalError::NotFound);
    }
    Ok(SeenPrescription { draft, signed })
}

/// The document of the last signed version, byte for byte as it was issued.
pub async fn read_document(
    deps: Deps<'_>,
    context: &Context,
    id: ConsultationId,
) -> Result<(Prescription, Document), ClinicalError> {
    let deed = Deed { action: Action::RecordRead, name: "prescription.document" };
    let (visit, _) = deps.open_record(context, deed, id).await?;
    let all = deps.store.prescriptions(id).await?;
    let is_signed = |one: &Prescription| one.status != PrescriptionStatus::Draft;
    let signed = all.map(|all| all.into_iter().filter(is_signed).max_by_key(|one| one.number));
    let issued = |one: &Prescription| matches!(one.document, DocumentState::Issued { .. }).then_some(one.id);
    let document = match signed.judge(|signed| signed.as_ref().and_then(issued)) {
        Some(id) => deps.store.document(id).await?,
        None => Unrecorded::new(None),
    };
    let entry = deps.done(context, deed.name, &visit, deps.clock.now());
    let (signed, document) = deps.show(signed.and(document), vec![entry]).await?;
    let signed = signed.ok_or(ClinicalError::NotFound)?;
    Ok((signed, document.ok_or(ClinicalError::DocumentAwaited)?))
}

//! The practitioner writes a draft.

use super::{
    Deps,
    frame::{Deed, again, check_any},
};
use crate::{
    ClinicalError,
    model::{DocumentState, Prescription, PrescriptionContent, PrescriptionStatus, PrescriptionTag},
    ports::ClinicalChanges,
};
use amrutam_kernel::{Action, ConsultationId, Context, Effects, PrescriptionId, Sensitive};

/// Writes the visit's draft, the next version's when one is in force. `seen` is what the caller says to have: the draft; without one the
/// last version, as it stands, or [`PrescriptionTag::NONE`].
pub async fn put_draft(
    deps: Deps<'_>,
    context: &Context,
    id: ConsultationId,
    content: PrescriptionContent,
    seen: Option<&[PrescriptionTag]>,
) -> Result<Prescription, ClinicalError> {
    let done = write_draft(deps, context, id, content, seen).await;
    deps.told(context, "prescription.draft", id, done).await
}

async fn write_draft(
    deps: Deps<'_>,
    context: &Context,
    id: ConsultationId,
    content: PrescriptionContent,
    seen: Option<&[PrescriptionTag]>,
) -> Result<Prescription, ClinicalError> {
    let deed = Deed { action: Action::RecordWrite, name: "prescription.draft" };
    let mut round = 0;
    loop {
        round += 1;
        let (visit, _) = deps.open(context, deed, id).await?;
        let now = deps.clock.now();
        let all = deps.store.prescriptions(id).await?.undisclosed();
        let draft = all.iter().find(|one| one.status == PrescriptionStatus::Draft);
        let last = all.iter().max_by_key(|one| one.number).map_or(PrescriptionTag::NONE, PrescriptionTag::of);
        match draft {
            Some(draft) => check_any(seen, &[PrescriptionTag::of(draft)])?,
            None => check_any(seen, &[last, PrescriptionTag::NONE])?,
        }
        if !visit.is_open_for_prescribing(deps.rules_at(now)?, now) {
            return Err(ClinicalError::VisitClosed);
        }
        let next = match draft {
            Some(draft) => draft.rewritten(content.clone(), now)?,
            None => Prescription {
                id: PrescriptionId::from_uuid(deps.ids.uuid_v7(now)),
                consultation: id,
                subject: visit.subject,
                doctor: visit.practitioner.id,
                number: all.iter().map(|one| one.number).max().unwrap_or(0) + 1,
                status: PrescriptionStatus::Draft,
                content: Sensitive::new(content.clone()),
                signed: None,
                code_digest: None,
                revoked: None,
                document: DocumentState::Awaited { failures: 0 },
                updated_at: now,
                version: 1,
            },
        };
        let effects = Effects { audit: vec![deps.done(context, deed.name, &visit, now)], ..Effects::default() };
        let based_on = Some((visit.id, visit.version));
        let prescriptions = vec![next.clone()];
        let changes = ClinicalChanges { based_on, prescriptions, effects, ..ClinicalChanges::default() };
        match deps.store.commit(&changes).await {
            Ok(()) => return Ok(next),
            Err(error) => again(error, round)?,
        }
    }
}

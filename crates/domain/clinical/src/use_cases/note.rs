//! The practitioner's notes.

use super::{
    Deps,
    frame::{Deed, again, check_version},
};
use crate::{
    ClinicalError,
    model::{Note, NoteContent, Visit},
    ports::ClinicalChanges,
};
use amrutam_kernel::{Action, ConsultationId, Context, Effects};

/// Replaces the notes while the visit is under way. `versions` are those the caller says to have: 0 is none.
pub async fn write_note(
    deps: Deps<'_>,
    context: &Context,
    id: ConsultationId,
    content: NoteContent,
    versions: Option<&[i64]>,
) -> Result<Note, ClinicalError> {
    let deed = Deed { action: Action::RecordWrite, name: "note.write" };
    let done = next_version(deps, context, id, deed, versions, |before, visit, now| {
        Ok(Note::write(before, visit, content.clone(), now)?)
    });
    deps.told(context, deed.name, id, done.await).await
}

/// Adds to the notes once the visit is over, for as long as their author may read them. Without `versions` what is sent twice would be
/// added twice.
pub async fn add_to_note(
    deps: Deps<'_>,
    context: &Context,
    id: ConsultationId,
    text: String,
    versions: Option<&[i64]>,
) -> Result<Note, ClinicalError> {
    let deed = Deed { action: Action::RecordWrite, name: "note.add" };
    let done = next_version(deps, context, id, deed, versions, |before, visit, now| {
        let next = Note::add(before, visit, text.clone(), now)?;
        if versions.is_some() { Ok(next) } else { Err(ClinicalError::PreconditionRequired) }
    });
    deps.told(context, deed.name, id, done.await).await
}

async fn next_version(
    deps: Deps<'_>,
    context: &Context,
    id: ConsultationId,
    deed: Deed,
    versions: Option<&[i64]>,
    decide: impl Fn(Option<&Note>, &Visit, jiff::Timestamp) -> Result<Note, ClinicalError> + Send + Sync,
) -> Result<Note, ClinicalError> {
    let mut round = 0;
    loop {
        round += 1;
        let (visit, _) = deps.open_record(context, deed, id).await?;
        let before = deps.store.note(id).await?.undisclosed();
        check_version(versions, before.as_ref().map_or(0, |note| note.version))?;
        let now = deps.clock.now();
        let note = decide(before.as_ref(), &visit, now)?;
        let effects = Effects { audit: vec![deps.done(context, deed.name, &visit, now)], ..Effects::default() };
        let based_on = Some((visit.id, visit.version));
        let changes = ClinicalChanges { based_on, note: Some(note.clone()), effects, ..ClinicalChanges::default() };
        match deps.store.commit(&changes).await {
            Ok(()) => return Ok(note),
            Err(error) => again(error, round)?,
        }
    }
}

/// The last version, for either side. The look is on the record.
pub async fn read_note(deps: Deps<'_>, context: &Context, id: ConsultationId) -> Result<Note, ClinicalError> {
    let deed = Deed { action: Action::RecordRead, name: "note.read" };
    let (visit, _) = deps.open_record(context, deed, id).await?;
    let note = deps.store.note(id).await?;
    let note = deps.show(note, vec![deps.done(context, deed.name, &visit, deps.clock.now())]).await?;
    note.ok_or(ClinicalError::NotFound)
}

//! Looking at dead letters. Every look is on the record before anything is shown.

use super::{
    Deps,
    permit::{Deed, body_place},
};
use crate::{
    LetterError,
    model::{DeadLetter, Payload},
    ports::{ByTime, LetterFilter},
};
use amrutam_kernel::{
    Action, Context, DeadLetterId, Outcome, Page, PageRequest, PortError, Sensitive, Sight, Unrecorded,
    failed_on_record,
};

/// A dead letter as one caller sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct SeenLetter {
    /// The letter.
    pub letter: DeadLetter,
    /// Whether to show what it says: its payload names people, by ids.
    pub shows_payload: bool,
}

/// One letter.
pub async fn read_letter(deps: Deps<'_>, context: &Context, id: DeadLetterId) -> Result<SeenLetter, LetterError> {
    let deed = Deed::of_letter("dead_letter.read", Some(id.as_uuid()));
    let sight = deps.permit::<LetterError>(context, Action::OperationsRead, deed).await?;
    let letter = find(deps, id).await?;
    let deed = Deed { patient: letter.judge(DeadLetter::patient), ..deed };
    let letter = deps.shown(vec![deps.entry(context, deed, Outcome::Allowed)], letter).await?;
    Ok(SeenLetter { letter, shows_payload: sight == Sight::Full })
}

/// A page of letters, oldest first.
pub async fn list_letters(
    deps: Deps<'_>,
    context: &Context,
    filter: &LetterFilter,
    page: PageRequest<ByTime<DeadLetterId>>,
) -> Result<Page<DeadLetter, ByTime<DeadLetterId>>, LetterError> {
    let deed = Deed::of_letter("dead_letter.list", None);
    deps.permit::<LetterError>(context, Action::OperationsRead, deed).await?;
    let page = deps.letters.letters(filter, page).await?;
    let named = |letter: &DeadLetter| (letter.id.as_uuid(), letter.patient());
    Ok(deps.shown_list(context, deed, page, named).await?)
}

async fn find(deps: Deps<'_>, id: DeadLetterId) -> Result<Unrecorded<DeadLetter>, LetterError> {
    let letter = deps.letters.letter(id, None).await?.some().ok_or(LetterError::NotFound)?;
    Ok(letter.map(|snapshot| snapshot.found))
}

/// The body of a message that is no event, for whoever must find out where it came from; nothing of any other letter.
pub async fn open_payload(
    deps: Deps<'_>,
    context: &Context,
    id: DeadLetterId,
) -> Result<Option<Sensitive<Vec<u8>>>, LetterError> {
    let deed = Deed::of_letter("dead_letter.open_payload", Some(id.as_uuid()));
    deps.permit::<LetterError>(context, Action::OperationsManage, deed).await?;
    let letter = find(deps, id).await?;
    if letter.judge(|letter| !matches!(letter.payload, Payload::Sealed(_))) {
        return Ok(None);
    }
    let letter = deps.shown(vec![deps.entry(context, deed, Outcome::Allowed)], letter).await?;
    let Payload::Sealed(sealed) = &letter.payload else { return Ok(None) };
    let body = deps.sealer.open(&body_place(id.as_uuid()), sealed).await.map_err(PortError::from);
    let failed = async || deps.tell(deps.entry(context, deed, Outcome::Failed)).await;
    Ok(Some(Sensitive::new(failed_on_record(body, |_| true, failed).await?)))
}

//! A requeued letter was handled in the end.

use super::{Deps, MAX_COMMITS};
use crate::{LetterError, ports::LetterChange};
use amrutam_kernel::{CommitError, DeadSource, Effects};
use uuid::Uuid;

/// Notes it; says whether that was news. May be told again, and of work that never lay here.
pub async fn settle(deps: Deps<'_>, source: DeadSource, consumer: &str, subject: Uuid) -> Result<bool, LetterError> {
    for round in 1..=MAX_COMMITS {
        let known = deps.letters.letter_about(source, consumer, subject).await?.undisclosed();
        let Some(letter) = known.and_then(|letter| letter.settled(deps.clock.now())) else { return Ok(false) };
        let change = LetterChange { letter: &letter, requeue: false };
        match deps.letters.put_letter(change, &Effects::default()).await {
            Ok(()) => return Ok(true),
            Err(CommitError::Port(error)) => return Err(error.into()),
            Err(_) => deps.step_aside(round).await,
        }
    }
    Err(LetterError::Contended)
}

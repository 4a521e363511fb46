//! A dead message is taken over from the broker.

use super::{Deps, MAX_COMMITS, permit::body_place};
use crate::{LetterError, model::DeadLetter, ports::LetterChange};
use amrutam_kernel::{CommitError, DeadLetterId, DeadMessage, DeadSource, Effects, PortError};

/// Keeps a dead message. Says whether that was news: the same death may be told many times, and one of a copy from before a
/// requeue says nothing about what is under way.
pub async fn take(deps: Deps<'_>, dead: &DeadMessage) -> Result<bool, LetterError> {
    let subject = DeadLetter::subject_of(dead);
    for round in 1..=MAX_COMMITS {
        let now = deps.clock.now();
        let known = deps.letters.letter_about(DeadSource::Event, &dead.consumer, subject).await?.undisclosed();
        let letter = match known {
            Some(known) => match known.died(dead, now) {
                Some(died) => died,
                None => return Ok(false),
            },
            None => {
                let id = deps.ids.uuid_v7(now);
                let sealed = match &dead.event {
                    Some(_) => Vec::new(),
                    None => deps.sealer.seal(&body_place(id), &dead.body).await.map_err(PortError::from)?,
                };
                DeadLetter::of(dead, DeadLetterId::from_uuid(id), sealed, now)
            }
        };
        let change = LetterChange { letter: &letter, requeue: false };
        match deps.letters.put_letter(change, &Effects::default()).await {
            Ok(()) => return Ok(true),
            Err(CommitError::Port(error)) => return Err(error.into()),
            Err(_) => deps.step_aside(round).await,
        }
    }
    Err(LetterError::Contended)
}

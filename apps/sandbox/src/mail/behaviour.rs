//! How the sink misbehaves, so that tests can see what the senders make of it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// Longest delay; above it every client has long given up.
const MAX_DELAY_MS: u64 = 600_000;

/// Where in the dialogue something happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// The greeting. A refusal here also closes the connection.
    Connect,
    /// The answer to `MAIL`.
    Mail,
    /// The answer to `RCPT`.
    Rcpt,
    /// The answer to the end of the message (not the 354 before it). A refused message is not stored.
    #[default]
    Data,
}

/// The scripted behaviour. The default behaves well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Behaviour {
    /// How many more times `fail_stage` is refused; counts down.
    pub fail_next: u32,
    /// The code of those refusals, 400 to 599. After 421 the connection is closed, as the RFC wants.
    pub fail_with: u16,
    /// Where it is refused, and where `delay_ms` applies.
    pub fail_stage: Stage,
    /// How long the answer at `fail_stage` waits, refused or not. At `data` the message is stored before the wait.
    pub delay_ms: u64,
    /// Store each message, then cut the connection instead of answering 250: the sender cannot know. `fail_next`
    /// goes first.
    pub accept_then_drop: bool,
    /// Close every connection at once, also those that exist.
    pub down: bool,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            fail_next: 0,
            fail_with: 451,
            fail_stage: Stage::Data,
            delay_ms: 0,
            accept_then_drop: false,
            down: false,
        }
    }
}

/// A behaviour that cannot be played.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBehaviour {
    /// `fail_with` is not a refusal.
    #[error("fail_with must be from 400 to 599, not {0}")]
    FailWith(u16),
    /// `delay_ms` is too long.
    #[error("delay_ms must be at most {MAX_DELAY_MS}, not {0}")]
    DelayMs(u64),
}

/// What to do at a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Verdict {
    pub(super) delay: Duration,
    pub(super) refuse_with: Option<u16>,
}

/// The behaviour being played.
#[derive(Debug)]
pub(super) struct Script {
    behaviour: Mutex<Behaviour>,
    down: watch::Sender<bool>,
}

impl Default for Script {
    fn default() -> Self {
        Self { behaviour: Mutex::default(), down: watch::Sender::new(false) }
    }
}

impl Script {
    pub(super) fn get(&self) -> Behaviour {
        self.lock().clone()
    }

    pub(super) fn set(&self, behaviour: Behaviour) -> Result<(), InvalidBehaviour> {
        if !(400..=599).contains(&behaviour.fail_with) {
            return Err(InvalidBehaviour::FailWith(behaviour.fail_with));
        }
        if behaviour.delay_ms > MAX_DELAY_MS {
            return Err(InvalidBehaviour::DelayMs(behaviour.delay_ms));
        }
        let mut current = self.lock();
        self.down.send_replace(behaviour.down);
        *current = behaviour;
        Ok(())
    }

    /// The dialogue is at `stage`: what now? Takes one off `fail_next` when it refuses.
    pub(super) fn arrive(&self, stage: Stage) -> Verdict {
        let mut behaviour = self.lock();
        if behaviour.fail_stage != stage {
            return Verdict::default();
        }
        let refuse_with = (behaviour.fail_next > 0).then_some(behaviour.fail_with);
        behaviour.fail_next = behaviour.fail_next.saturating_sub(1);
        Verdict { delay: Duration::from_millis(behaviour.delay_ms), refuse_with }
    }

    pub(super) fn drops_after_accepting(&self) -> bool {
        self.lock().accept_then_drop
    }

    /// Ready when the sink is to play dead.
    pub(super) async fn down(&self) {
        let mut down = self.down.subscribe();
        if down.wait_for(|down| *down).await.is_err() {
            // The sender lives in `self`, so this does not happen; if it did, the sink would simply stay up.
            std::future::pending::<()>().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Behaviour> {
        self.behaviour.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_as_often_as_it_was_told_and_only_at_its_stage() {
        let script = Script::default();
        let fail_twice = Behaviour { fail_next: 2, fail_with: 550, fail_stage: Stage::Rcpt, ..Behaviour::default() };
        script.set(fail_twice).unwrap();
        assert_eq!(script.arrive(Stage::Mail).refuse_with, None);
        assert_eq!(script.arrive(Stage::Rcpt).refuse_with, Some(550));
        assert_eq!(script.get().fail_next, 1);
        assert_eq!(script.arrive(Stage::Rcpt).refuse_with, Some(550));
        assert_eq!(script.arrive(Stage::Rcpt).refuse_with, None);
    }

    #[test]
    fn a_behaviour_out_of_range_changes_nothing() {
        let script = Script::default();
        let success = Behaviour { fail_with: 250, ..Behaviour::default() };
        assert_eq!(script.set(success), Err(InvalidBehaviour::FailWith(250)));
        let forever = Behaviour { delay_ms: u64::MAX, down: true, ..Behaviour::default() };
        assert_eq!(script.set(forever), Err(InvalidBehaviour::DelayMs(u64::MAX)));
        assert_eq!(script.get(), Behaviour::default());
    }
}

//! Who carries texts to telephones, and carries none.
//!
//! Speaks the part of Exotel's API that sends one text (`POST /v1/Accounts/{sid}/Sms/send.json`). What it takes is kept in
//! memory and shown in a JSON API; it can be told to refuse, to be slow, to be down, or to take a text and lose its answer.
//! As the operators do in India, it refuses what names no registered template.

pub(crate) mod http;

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock;

/// Longest delay; above it every client has long given up.
const MAX_DELAY_MS: u64 = 600_000;
/// The newest are kept.
const MAX_TEXTS: usize = 50_000;

/// A text that was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Text {
    /// Its number, from 1.
    pub id: u64,
    /// When it was taken.
    pub received_at: String,
    /// The sender's header.
    pub from: String,
    /// The number.
    pub to: String,
    /// What it says.
    pub body: String,
    /// `plain` or `unicode`.
    pub encoding: String,
    /// The business's id with the registry.
    pub entity_id: String,
    /// The template's id with the registry.
    pub template_id: String,
    /// What the sender calls it.
    pub custom_field: Option<String>,
}

/// The scripted behaviour. The default behaves well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Behaviour {
    /// How many more texts are refused; counts down.
    pub fail_next: u32,
    /// The status of those refusals, 400 to 599.
    pub fail_with: u16,
    /// `Retry-After` of those refusals, as it is.
    pub retry_after: Option<String>,
    /// How long each answer waits, refused or not. The text is kept before the wait.
    pub delay_ms: u64,
    /// Keep each text, then cut the connection instead of answering: the sender cannot know. `fail_next` goes first.
    pub accept_then_drop: bool,
    /// Answer 503 to every text, as the machine before a service that is down does, and keep nothing.
    pub down: bool,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self { fail_next: 0, fail_with: 503, retry_after: None, delay_ms: 0, accept_then_drop: false, down: false }
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

/// What happened since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Stats {
    /// Texts taken.
    pub received: u64,
    /// Texts refused.
    pub refused: u64,
    /// Calls, those while it was down included.
    pub calls: u64,
}

/// What becomes of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Taken, under this number.
    Taken(u64),
    /// Refused with a status and a `Retry-After`.
    Refused(u16, Option<String>),
    /// No answer.
    Cut,
}

/// The provider.
#[derive(Debug, Default)]
pub struct SmsSink {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    behaviour: Behaviour,
    stats: Stats,
    texts: VecDeque<Text>,
}

impl SmsSink {
    /// An empty one that behaves well.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How it behaves.
    #[must_use]
    pub fn behaviour(&self) -> Behaviour {
        self.lock().behaviour.clone()
    }

    /// Behaves so from now on.
    ///
    /// # Errors
    /// When that cannot be played; then it behaves as before.
    pub fn behave(&self, behaviour: Behaviour) -> Result<(), InvalidBehaviour> {
        if !(400..=599).contains(&behaviour.fail_with) {
            return Err(InvalidBehaviour::FailWith(behaviour.fail_with));
        }
        if behaviour.delay_ms > MAX_DELAY_MS {
            return Err(InvalidBehaviour::DelayMs(behaviour.delay_ms));
        }
        self.lock().behaviour = behaviour;
        Ok(())
    }

    /// What happened since the start.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.lock().stats
    }

    /// The texts for a number, or all; newest last.
    #[must_use]
    pub fn texts(&self, to: Option<&str>) -> Vec<Text> {
        self.lock().texts.iter().filter(|text| to.is_none_or(|to| text.to == to)).cloned().collect()
    }

    /// Forgets the texts; the numbers go on.
    pub fn clear(&self) {
        self.lock().texts.clear();
    }

    /// A text arrives: what becomes of it, and how long that takes.
    pub(crate) fn arrive(&self, text: impl FnOnce(u64, String) -> Text) -> (Verdict, Duration) {
        let mut state = self.lock();
        state.stats.calls += 1;
        let delay = Duration::from_millis(state.behaviour.delay_ms);
        if state.behaviour.down {
            return (Verdict::Refused(503, None), Duration::ZERO);
        }
        if state.behaviour.fail_next > 0 {
            state.behaviour.fail_next -= 1;
            state.stats.refused += 1;
            return (Verdict::Refused(state.behaviour.fail_with, state.behaviour.retry_after.clone()), delay);
        }
        state.stats.received += 1;
        let id = state.stats.received;
        let taken = text(id, clock::now().to_string());
        state.texts.push_back(taken);
        if state.texts.len() > MAX_TEXTS {
            state.texts.pop_front();
        }
        (if state.behaviour.accept_then_drop { Verdict::Cut } else { Verdict::Taken(id) }, delay)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

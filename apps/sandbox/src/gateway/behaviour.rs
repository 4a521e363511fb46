//! How the gateway misbehaves, so that tests can see what its callers make of it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::model::RefundStatus;

/// Longest wait of any kind; above it every client has long given up.
const MAX_WAIT_MS: u64 = 3_600_000;

/// Which calls go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    /// Each.
    #[default]
    Any,
    /// Every `POST`.
    Write,
    /// `POST /v1/orders`.
    CreateOrder,
    /// `POST /v1/payments/{id}/refund`.
    Refund,
    /// Every `GET`.
    Read,
    /// `POST /v1/payments/{id}/capture`.
    Capture,
}

/// How a call goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Refused with `fail_with`, nothing done.
    #[default]
    Error,
    /// Refused with 429 and `retry_after`, nothing done.
    Limited,
    /// Done, but answered with `fail_with`.
    ErrorAfter,
    /// The connection is cut, nothing done.
    DropBefore,
    /// Done, then the connection is cut: the answer is lost.
    DropAfter,
    /// Done, then never answered.
    Hang,
    /// Done, then answered with a page instead of JSON.
    Nonsense,
    /// Done, then answered without an end.
    Flood,
}

/// The scripted behaviour. The default behaves well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Behaviour {
    /// How many more calls go wrong; counts down.
    pub fail_next: u32,
    /// Which calls go wrong, and which `delay_ms` is for.
    pub fail_on: Call,
    /// How they go wrong.
    pub fail_how: Fault,
    /// The status of `error` and `error_after`, 400 to 599.
    pub fail_with: u16,
    /// `Retry-After` of `limited`, as it is: seconds or a date. Absent: no header.
    pub retry_after: Option<String>,
    /// How long answers wait; what is asked is done before the wait.
    pub delay_ms: u64,
    /// Refuse connections and cut those that exist. The control API stays.
    pub down: bool,
    /// Be up again after this long.
    pub down_for_ms: Option<u64>,
    /// What becomes of a refund when it is made.
    pub refunds: RefundStatus,
    /// How events are told.
    pub webhooks: Webhooks,
}

/// How events are told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Webhooks {
    /// Wait so long before the first try of each.
    pub delay_ms: u64,
    /// Send each so many times.
    pub copies: u32,
    /// So many of the next events are never sent; counts down.
    pub lose_next: u32,
    /// Keep events back until they are released.
    pub hold: bool,
    /// How each is altered.
    pub tamper: Tamper,
    /// Wait of the first retry, doubled up to a minute, for 24 hours.
    pub retry_ms: u64,
}

/// What is wrong with a webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tamper {
    /// Nothing.
    #[default]
    None,
    /// Signed with another secret.
    Signature,
    /// Not signed.
    Unsigned,
    /// A digit of it is changed after it was signed.
    Byte,
    /// Its last byte is missing, the signature is of all of it.
    Truncated,
    /// A byte follows, the signature is without it.
    Longer,
    /// It says it is 30 days old, and is rightly signed.
    Stale,
    /// Its type is one that nobody knows, rightly signed.
    UnknownType,
    /// It has no event id.
    Nameless,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            fail_next: 0,
            fail_on: Call::Any,
            fail_how: Fault::Error,
            fail_with: 500,
            retry_after: None,
            delay_ms: 0,
            down: false,
            down_for_ms: None,
            refunds: RefundStatus::Processed,
            webhooks: Webhooks::default(),
        }
    }
}

impl Default for Webhooks {
    fn default() -> Self {
        Self { delay_ms: 0, copies: 1, lose_next: 0, hold: false, tamper: Tamper::None, retry_ms: 1_000 }
    }
}

/// A behaviour that cannot be played.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBehaviour {
    /// `fail_with` is not a refusal.
    #[error("fail_with must be from 400 to 599, not {0}")]
    FailWith(u16),
    /// A wait is too long.
    #[error("{0} must be at most {MAX_WAIT_MS}")]
    Wait(&'static str),
    /// `copies` is none or too many.
    #[error("webhooks.copies must be from 1 to 100")]
    Copies,
    /// `retry_ms` is too short.
    #[error("webhooks.retry_ms must be at least 10")]
    Retry,
}

/// What to do with a call.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Verdict {
    pub(super) delay: Duration,
    pub(super) fault: Option<Fault>,
    pub(super) status: u16,
    pub(super) retry_after: Option<String>,
}

/// What to do with an event.
pub(super) enum Telling {
    Send(Webhooks),
    Hold,
    Lose,
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
        for (name, wait) in [
            ("delay_ms", behaviour.delay_ms),
            ("down_for_ms", behaviour.down_for_ms.unwrap_or(0)),
            ("webhooks.delay_ms", behaviour.webhooks.delay_ms),
            ("webhooks.retry_ms", behaviour.webhooks.retry_ms),
        ] {
            if wait > MAX_WAIT_MS {
                return Err(InvalidBehaviour::Wait(name));
            }
        }
        if !(1..=100).contains(&behaviour.webhooks.copies) {
            return Err(InvalidBehaviour::Copies);
        }
        if behaviour.webhooks.retry_ms < 10 {
            return Err(InvalidBehaviour::Retry);
        }
        let mut current = self.lock();
        self.down.send_replace(behaviour.down);
        *current = behaviour;
        Ok(())
    }

    /// A call has come: what now? Takes one off `fail_next` when it goes wrong.
    pub(super) fn arrive(&self, call: Call) -> Verdict {
        let mut behaviour = self.lock();
        let meant = match behaviour.fail_on {
            Call::Any => true,
            Call::Write => call != Call::Read,
            one => one == call,
        };
        if !meant {
            return Verdict::default();
        }
        let fault = (behaviour.fail_next > 0).then_some(behaviour.fail_how);
        behaviour.fail_next = behaviour.fail_next.saturating_sub(1);
        Verdict {
            delay: Duration::from_millis(behaviour.delay_ms),
            fault,
            status: behaviour.fail_with,
            retry_after: behaviour.retry_after.clone(),
        }
    }

    /// An event is to be told: what now? Takes one off `lose_next` when it is lost.
    pub(super) fn tell(&self) -> Telling {
        let mut behaviour = self.lock();
        if behaviour.webhooks.lose_next > 0 {
            behaviour.webhooks.lose_next -= 1;
            return Telling::Lose;
        }
        if behaviour.webhooks.hold { Telling::Hold } else { Telling::Send(behaviour.webhooks.clone()) }
    }

    /// Ready when the gateway is to be away.
    pub(super) async fn down(&self) {
        self.becomes(true).await;
    }

    /// Ready when it may be back: told so, or after its time.
    pub(super) async fn up(&self) {
        let limit = self.lock().down_for_ms;
        let Some(limit) = limit else { return self.becomes(false).await };
        if tokio::time::timeout(Duration::from_millis(limit), self.becomes(false)).await.is_err() {
            self.lock().down = false;
            self.down.send_replace(false);
        }
    }

    /// Ready when it is not away.
    pub(super) async fn up_again(&self) {
        self.becomes(false).await;
    }

    async fn becomes(&self, wanted: bool) {
        let mut down = self.down.subscribe();
        if down.wait_for(|down| *down == wanted).await.is_err() {
            // The sender lives in `self`, so this does not happen; if it did, nothing would change any more.
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
    fn goes_wrong_as_often_as_it_was_told_and_only_there() {
        let script = Script::default();
        let twice = Behaviour { fail_next: 2, fail_on: Call::Refund, fail_how: Fault::Hang, ..Behaviour::default() };
        script.set(twice).unwrap();
        assert_eq!(script.arrive(Call::Read).fault, None);
        assert_eq!(script.arrive(Call::Refund).fault, Some(Fault::Hang));
        assert_eq!(script.get().fail_next, 1);
        assert_eq!(script.arrive(Call::Refund).fault, Some(Fault::Hang));
        assert_eq!(script.arrive(Call::Refund).fault, None);
    }

    #[test]
    fn a_behaviour_out_of_range_changes_nothing() {
        let script = Script::default();
        let with = |change: fn(&mut Behaviour)| {
            let mut behaviour = Behaviour { down: true, ..Behaviour::default() };
            change(&mut behaviour);
            script.set(behaviour).unwrap_err()
        };
        assert_eq!(with(|b| b.fail_with = 200), InvalidBehaviour::FailWith(200));
        assert_eq!(with(|b| b.delay_ms = u64::MAX), InvalidBehaviour::Wait("delay_ms"));
        assert_eq!(with(|b| b.webhooks.copies = 0), InvalidBehaviour::Copies);
        assert_eq!(with(|b| b.webhooks.retry_ms = 0), InvalidBehaviour::Retry);
        assert_eq!(script.get(), Behaviour::default());
    }

    #[test]
    fn some_events_are_lost_and_the_next_are_not() {
        let script = Script::default();
        let webhooks = Webhooks { lose_next: 1, ..Webhooks::default() };
        script.set(Behaviour { webhooks, ..Behaviour::default() }).unwrap();
        assert!(matches!(script.tell(), Telling::Lose));
        assert!(matches!(script.tell(), Telling::Send(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_back_after_its_time() {
        let script = Script::default();
        script.set(Behaviour { down: true, down_for_ms: Some(600_000), ..Behaviour::default() }).unwrap();
        script.down().await;
        let begun = tokio::time::Instant::now();
        script.up().await;
        assert_eq!(begun.elapsed().as_secs(), 600);
        assert!(!script.get().down);
    }
}

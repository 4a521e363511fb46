//! A circuit breaker: who keeps failing is left alone for a while, and asked again by one call alone.

use amrutam_kernel::Clock;
use jiff::{SignedDuration, Timestamp};
use metrics::{counter, gauge};
use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{pin, sync::Notify, time::timeout};

/// When a circuit opens, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CircuitPolicy {
    /// So many failures in a row open it.
    pub failures: u32,
    /// For so long at first; doubled each time the probe fails.
    pub first_pause: Duration,
    /// At most for so long.
    pub longest_pause: Duration,
    /// A probe that has not ended after this long is taken for lost, and another call may be the probe. Above the longest
    /// call.
    pub probe_limit: Duration,
}

impl CircuitPolicy {
    /// Open after 5 failures in a row, for 1 s to 30 s.
    pub const STANDARD: Self = Self {
        failures: 5,
        first_pause: Duration::from_secs(1),
        longest_pause: Duration::from_secs(30),
        probe_limit: Duration::from_secs(30),
    };
}

/// Where a circuit stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Calls pass; so many have failed in a row.
    Closed { failures: u32 },
    /// No call passes before its time.
    Open { since: Timestamp, pause: Duration },
    /// One call is out to see.
    Probing { since: Timestamp, pause: Duration },
}

/// What happens to a circuit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Happening {
    /// A call wants to pass.
    Asked,
    /// A call was answered.
    Succeeded,
    /// A call was not answered.
    Failed,
    /// A call was given up by its caller: it tells nothing.
    Abandoned,
}

/// The one transition function, and whether a call that asks may pass. A clock that jumps backwards ends a pause: asking
/// too early does less harm than not asking for hours.
fn step(state: State, happening: Happening, now: Timestamp, policy: &CircuitPolicy) -> (State, bool) {
    let passed = |since: Timestamp, limit: Duration| {
        let elapsed = now.duration_since(since);
        elapsed.is_negative() || elapsed >= SignedDuration::try_from(limit).unwrap_or(SignedDuration::MAX)
    };
    match (state, happening) {
        (State::Closed { .. }, Happening::Asked) => (state, true),
        (State::Closed { .. } | State::Probing { .. }, Happening::Succeeded) => (State::Closed { failures: 0 }, false),
        (State::Closed { failures }, Happening::Failed) if failures + 1 >= policy.failures => {
            (State::Open { since: now, pause: policy.first_pause }, false)
        }
        (State::Closed { failures }, Happening::Failed) => (State::Closed { failures: failures + 1 }, false),
        (State::Open { since, pause }, Happening::Asked) if passed(since, pause) => {
            (State::Probing { since: now, pause }, true)
        }
        (State::Probing { since, pause }, Happening::Asked) if passed(since, policy.probe_limit) => {
            (State::Probing { since: now, pause }, true)
        }
        (State::Probing { pause, .. }, Happening::Failed) => {
            (State::Open { since: now, pause: pause.saturating_mul(2).min(policy.longest_pause) }, false)
        }
        // The next may be the probe at once.
        (State::Probing { pause, .. }, Happening::Abandoned) => {
            let due = SignedDuration::try_from(pause).ok().and_then(|pause| now.checked_sub(pause).ok());
            (State::Open { since: due.unwrap_or(now), pause }, false)
        }
        (State::Open { .. } | State::Probing { .. }, Happening::Asked)
        | (State::Open { .. }, Happening::Succeeded | Happening::Failed)
        | (State::Closed { .. } | State::Open { .. }, Happening::Abandoned) => (state, false),
    }
}

struct Inner {
    state: State,
    /// Raised when the circuit opens and when a probe goes out: what began before tells nothing any more.
    epoch: u64,
}

/// The circuit to one destination. Shared by all calls there.
pub struct Circuit {
    destination: &'static str,
    clock: Arc<dyn Clock>,
    policy: CircuitPolicy,
    inner: Mutex<Inner>,
    /// Told when a probe has ended.
    settled: Notify,
}

/// The circuit is open: not asked, nothing done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} has kept failing and is left alone for a while")]
pub struct CircuitOpen(&'static str);

/// A call under way. It says how it went, or is dropped by a caller who has given up.
#[must_use]
pub struct Pass<'a> {
    circuit: &'a Circuit,
    epoch: u64,
    told: bool,
}

impl Circuit {
    /// A closed one. `destination` is what the metrics call it.
    pub fn new(destination: &'static str, clock: Arc<dyn Clock>, policy: CircuitPolicy) -> Self {
        let inner = Mutex::new(Inner { state: State::Closed { failures: 0 }, epoch: 0 });
        let circuit = Self { destination, clock, policy, inner, settled: Notify::new() };
        circuit.report(State::Closed { failures: 0 });
        circuit
    }

    /// Lets a call pass, or says that the destination is left alone. While another call is out to see, this one waits for
    /// what it sees, at most for `patience`: those who are held up together go on together when it is back.
    pub async fn enter(&self, patience: Duration) -> Result<Pass<'_>, CircuitOpen> {
        let entered = timeout(patience, async {
            loop {
                let settled = self.settled.notified();
                pin!(settled);
                // Before the look: a probe that ends in between is not missed.
                settled.as_mut().enable();
                match self.try_enter() {
                    Ok(pass) => return Some(pass),
                    Err(State::Probing { .. }) => settled.await,
                    Err(State::Open { .. } | State::Closed { .. }) => return None,
                }
            }
        });
        entered.await.ok().flatten().ok_or_else(|| {
            counter!("amrutam_circuit_refused_total", "destination" => self.destination).increment(1);
            CircuitOpen(self.destination)
        })
    }

    fn try_enter(&self) -> Result<Pass<'_>, State> {
        let now = self.clock.now();
        let mut inner = self.lock();
        let (state, pass) = step(inner.state, Happening::Asked, now, &self.policy);
        if !pass {
            return Err(inner.state);
        }
        self.become_(&mut inner, state);
        Ok(Pass { circuit: self, epoch: inner.epoch, told: false })
    }

    fn tell(&self, epoch: u64, happening: Happening) {
        let now = self.clock.now();
        let mut inner = self.lock();
        if inner.epoch == epoch {
            let (state, _) = step(inner.state, happening, now, &self.policy);
            self.become_(&mut inner, state);
        }
    }

    fn become_(&self, inner: &mut Inner, state: State) {
        if inner.state == state {
            return;
        }
        let was_closed = matches!(inner.state, State::Closed { .. });
        let is_closed = matches!(state, State::Closed { .. });
        inner.state = state;
        if !is_closed {
            inner.epoch += 1;
        }
        if was_closed && is_closed {
            return;
        }
        self.report(state);
        if !matches!(state, State::Probing { .. }) {
            self.settled.notify_waiters();
        }
        match state {
            State::Open { pause, .. } => tracing::warn!(
                destination = self.destination,
                pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
                "a destination keeps failing and is left alone"
            ),
            State::Closed { .. } => tracing::info!(destination = self.destination, "a destination answers again"),
            State::Probing { .. } => {}
        }
    }

    fn report(&self, state: State) {
        let value = match state {
            State::Closed { .. } => 0.0,
            State::Probing { .. } => 1.0,
            State::Open { .. } => 2.0,
        };
        gauge!("amrutam_circuit_state", "destination" => self.destination).set(value);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass<'_> {
    /// The destination answered, whatever it said.
    pub fn succeeded(mut self) {
        self.tell(Happening::Succeeded);
    }

    /// It did not, or said that it can't.
    pub fn failed(mut self) {
        self.tell(Happening::Failed);
    }

    /// One or the other.
    pub fn ended(self, answered: bool) {
        if answered {
            self.succeeded();
        } else {
            self.failed();
        }
    }

    fn tell(&mut self, happening: Happening) {
        self.told = true;
        self.circuit.tell(self.epoch, happening);
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if !self.told {
            self.tell(Happening::Abandoned);
        }
    }
}

impl fmt::Debug for Circuit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Circuit")
            .field("destination", &self.destination)
            .field("state", &self.lock().state)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

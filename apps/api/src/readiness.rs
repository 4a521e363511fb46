//! Whether this process should be sent requests.

use async_trait::async_trait;
use serde::Serialize;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::Mutex;

/// Whoever asks more often is told the same: the question must not become a load.
const FRESH: Duration = Duration::from_secs(1);

/// Whether a dependency answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DependencyState {
    /// It answers.
    Up,
    /// It does not.
    Down,
}

/// How one dependency does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(example = json!({"name": "database", "state": "up", "required": true}))]
pub(crate) struct DependencyReport {
    /// `database`, `cache-0` and on for the lock nodes, `cache` for where limits and sessions are kept.
    pub(crate) name: String,
    /// Whether it answers.
    pub(crate) state: DependencyState,
    /// Whether nothing can be booked without it.
    pub(crate) required: bool,
}

/// How the service does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ReadyState {
    /// Everything works.
    Ready,
    /// Booking works; what does not is named.
    Degraded,
    /// Booking does not work, or the process is about to end.
    Unavailable,
}

/// The answer of `/readyz`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(example = json!({
    "status": "degraded", "draining": false, "dependencies": [
        {"name": "database", "state": "up", "required": true}, {"name": "cache-0", "state": "down", "required": false}
    ]
}))]
pub(crate) struct ReadyReport {
    /// All in one word.
    pub(crate) status: ReadyState,
    /// Whether the process has been told to end.
    pub(crate) draining: bool,
    /// Each dependency.
    pub(crate) dependencies: Vec<DependencyReport>,
}

/// Asks dependencies how they do, within a bound of its own.
#[async_trait]
pub(crate) trait Probe: Send + Sync {
    /// One report per dependency.
    async fn probe(&self) -> Vec<DependencyReport>;
}

/// Asks, and remembers for a second.
#[derive(Default)]
pub(crate) struct Readiness {
    probes: Vec<Arc<dyn Probe>>,
    draining: AtomicBool,
    last: Mutex<Option<(Instant, Vec<DependencyReport>)>>,
}

impl Readiness {
    /// With these to ask.
    pub(crate) fn new(probes: Vec<Arc<dyn Probe>>) -> Self {
        Self { probes, ..Self::default() }
    }

    /// From now on the process wants no more requests.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
    }

    /// Whether the process has been told to end.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    /// How the service does.
    pub(crate) async fn report(&self) -> ReadyReport {
        let draining = self.is_draining();
        let dependencies = self.dependencies().await;
        let mut down = dependencies.iter().filter(|report| report.state == DependencyState::Down).peekable();
        let any_down = down.peek().is_some();
        let status = if draining || down.any(|report| report.required) {
            ReadyState::Unavailable
        } else if any_down {
            ReadyState::Degraded
        } else {
            ReadyState::Ready
        };
        ReadyReport { status, draining, dependencies }
    }

    /// One asks, the others wait for what it learns.
    async fn dependencies(&self) -> Vec<DependencyReport> {
        let mut last = self.last.lock().await;
        if let Some((at, known)) = &*last
            && at.elapsed() < FRESH
        {
            return known.clone();
        }
        let reports = futures::future::join_all(self.probes.iter().map(|probe| probe.probe())).await.concat();
        *last = Some((Instant::now(), reports.clone()));
        reports
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    struct Fixed(&'static str, DependencyState, bool, Arc<AtomicUsize>);

    #[async_trait]
    impl Probe for Fixed {
        async fn probe(&self) -> Vec<DependencyReport> {
            self.3.fetch_add(1, Ordering::SeqCst);
            vec![DependencyReport { name: self.0.into(), state: self.1, required: self.2 }]
        }
    }

    fn asked(database: DependencyState, cache: DependencyState) -> (Readiness, Arc<AtomicUsize>) {
        let count = Arc::new(AtomicUsize::new(0));
        let probes: Vec<Arc<dyn Probe>> = vec![
            Arc::new(Fixed("database", database, true, Arc::clone(&count))),
            Arc::new(Fixed("cache-0", cache, false, Arc::clone(&count))),
        ];
        (Readiness::new(probes), count)
    }

    #[tokio::test]
    async fn only_what_is_required_makes_unavailable() {
        use DependencyState::{Down, Up};
        for (database, cache, expected) in [
            (Up, Up, ReadyState::Ready),
            (Up, Down, ReadyState::Degraded),
            (Down, Up, ReadyState::Unavailable),
            (Down, Down, ReadyState::Unavailable),
        ] {
            assert_eq!(asked(database, cache).0.report().await.status, expected);
        }
        let (draining, _) = asked(Up, Up);
        draining.drain();
        assert_eq!(draining.report().await.status, ReadyState::Unavailable);
    }

    #[tokio::test]
    async fn a_thousand_questions_are_asked_once() {
        let (readiness, count) = asked(DependencyState::Up, DependencyState::Up);
        futures::future::join_all((0..1000).map(|_| readiness.report())).await;
        assert_eq!(count.load(Ordering::SeqCst), 2);
    }
}

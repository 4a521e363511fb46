//! A broker that only remembers.

use amrutam_kernel::{Dependency, EventEnvelope, EventPublisher, PortError, Requeue};
use async_trait::async_trait;
use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

/// Keeps what was published, in order.
#[derive(Debug, Default)]
pub struct RecordingPublisher {
    published: Mutex<Vec<EventEnvelope>>,
    refusals: Mutex<VecDeque<bool>>,
}

impl RecordingPublisher {
    /// Nothing published yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// What was published, repetitions included.
    pub fn published(&self) -> Vec<EventEnvelope> {
        self.published.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The next call fails; `taken_anyway` when the event is published and only the confirmation is lost.
    pub fn fail_next(&self, taken_anyway: bool) {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner).push_back(taken_anyway);
    }
}

#[async_trait]
impl EventPublisher for RecordingPublisher {
    async fn publish(&self, event: &EventEnvelope) -> Result<(), PortError> {
        let failure = self.refusals.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        if failure != Some(false) {
            self.published.lock().unwrap_or_else(PoisonError::into_inner).push(event.clone());
        }
        match failure {
            None => Ok(()),
            Some(_) => Err(PortError::unavailable(Dependency::Broker, "told to fail")),
        }
    }

    async fn requeue(&self, event: &EventEnvelope, _: &Requeue) -> Result<(), PortError> {
        self.publish(event).await
    }
}

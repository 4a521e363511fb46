//! A provider of texts that only remembers.

use amrutam_notifications::{
    Sms,
    ports::{SmsError, SmsSender},
};
use async_trait::async_trait;
use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

/// Keeps the texts it took, in order, and fails as it is told to.
#[derive(Debug, Default)]
pub struct RecordingSmsSender {
    sent: Mutex<Vec<Sms>>,
    failures: Mutex<VecDeque<(SmsError, bool)>>,
}

impl RecordingSmsSender {
    /// Without a text.
    pub fn new() -> Self {
        Self::default()
    }

    /// What was taken, repetitions included.
    pub fn sent(&self) -> Vec<Sms> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The next text is answered with `error`; `taken_anyway` when it is delivered and only the answer is lost.
    pub fn fail_next(&self, error: SmsError, taken_anyway: bool) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).push_back((error, taken_anyway));
    }
}

#[async_trait]
impl SmsSender for RecordingSmsSender {
    async fn send(&self, sms: &Sms) -> Result<(), SmsError> {
        let failure = self.failures.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        if failure.as_ref().is_none_or(|(_, taken_anyway)| *taken_anyway) {
            self.sent.lock().unwrap_or_else(PoisonError::into_inner).push(sms.clone());
        }
        failure.map_or(Ok(()), |(error, _)| Err(error))
    }
}

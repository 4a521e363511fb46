//! A mail server that only remembers.

use amrutam_notifications::{
    Mail,
    ports::{MailError, Mailer},
};
use async_trait::async_trait;
use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

/// Keeps the mails it took, in order, and fails as it is told to.
#[derive(Debug, Default)]
pub struct RecordingMailer {
    sent: Mutex<Vec<Mail>>,
    failures: Mutex<VecDeque<(MailError, bool)>>,
}

impl RecordingMailer {
    /// An empty mailbox.
    pub fn new() -> Self {
        Self::default()
    }

    /// What was taken, repetitions included.
    pub fn sent(&self) -> Vec<Mail> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The next mail is answered with `error`; `taken_anyway` when it is delivered and only the answer is lost.
    pub fn fail_next(&self, error: MailError, taken_anyway: bool) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).push_back((error, taken_anyway));
    }
}

#[async_trait]
impl Mailer for RecordingMailer {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        let failure = self.failures.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        if failure.as_ref().is_none_or(|(_, taken_anyway)| *taken_anyway) {
            self.sent.lock().unwrap_or_else(PoisonError::into_inner).push(mail.clone());
        }
        failure.map_or(Ok(()), |(error, _)| Err(error))
    }
}

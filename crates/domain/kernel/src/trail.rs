//! Personal data is on the record before it leaves: by construction, not by diligence.
//!
//! A store hands out what it read as [`Unrecorded`]. A use case may look at it to decide who may see it ([`Unrecorded::judge`]);
//! to pass it on it must say what goes on the record, and gets the data when that is durable ([`Unrecorded::release`]). Every
//! record in it must be named by an entry, each of a list too.

use crate::{AuditEntry, Dependency, Outcome, PortError};
use async_trait::async_trait;
use std::fmt;

/// Where entries go that belong to no change: reads, denials, failures. Implementations let those that come together share
/// one flush.
#[async_trait]
pub trait AuditTrail: Send + Sync {
    /// When this returns without an error, the entries are durable.
    async fn record(&self, entries: Vec<AuditEntry>) -> Result<(), PortError>;
}

/// One record of a person, by the words of [`AuditEntry::resource_kind`] and [`AuditEntry::resource_id`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordRef {
    /// `consultation`.
    pub kind: &'static str,
    /// Which one.
    pub id: String,
}

/// What is somebody's, and by which names the audit trail knows it.
pub trait Personal {
    /// Every record in it.
    fn records(&self) -> Vec<RecordRef>;
}

impl<T: Personal> Personal for Vec<T> {
    fn records(&self) -> Vec<RecordRef> {
        self.iter().flat_map(Personal::records).collect()
    }
}

impl<T: Personal> Personal for Option<T> {
    fn records(&self) -> Vec<RecordRef> {
        self.iter().flat_map(Personal::records).collect()
    }
}

impl<T: Personal, U: Personal> Personal for (T, U) {
    fn records(&self) -> Vec<RecordRef> {
        let (one, other) = self;
        [one.records(), other.records()].concat()
    }
}

impl<T: Personal, K> Personal for crate::Page<T, K> {
    fn records(&self) -> Vec<RecordRef> {
        self.items.records()
    }
}

/// Personal data that was read and is not on the record yet. It shows nothing of itself, not even in logs.
pub struct Unrecorded<T>(T);

impl<T> fmt::Debug for Unrecorded<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unrecorded(..)")
    }
}

impl<T: Personal> Unrecorded<T> {
    /// As a store has read it.
    pub fn new(read: T) -> Self {
        Self(read)
    }

    /// A look, to decide who may see it and what goes on the record. What the look gives must not be what is seen.
    pub fn judge<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        look(&self.0)
    }

    /// A part of it, or with something left out.
    pub fn map<U: Personal>(self, change: impl FnOnce(T) -> U) -> Unrecorded<U> {
        Unrecorded(change(self.0))
    }

    /// Both, to be released by the same entries.
    pub fn and<U: Personal>(self, other: Unrecorded<U>) -> Unrecorded<(T, U)> {
        Unrecorded((self.0, other.0))
    }

    /// Taken whole for what is decided or changed, or into something that is [`Unrecorded`] itself. None of it is shown by that,
    /// or the entry of the change names it.
    pub fn undisclosed(self) -> T {
        self.0
    }

    /// The data, when these entries are durable. They must name every record in it: what is read and not named is a defect,
    /// and stays here; so is what is named by a denial. When nothing can be put on the record, nothing is released.
    pub async fn release(self, trail: &dyn AuditTrail, entries: Vec<AuditEntry>) -> Result<T, PortError> {
        self.release_by(entries, async |entries| if entries.is_empty() { Ok(()) } else { trail.record(entries).await })
            .await
    }

    /// The same where the entries are made durable in another way: with a change, or an event that tells of the look.
    pub async fn release_by<E: From<PortError>>(
        self,
        entries: Vec<AuditEntry>,
        record: impl AsyncFnOnce(Vec<AuditEntry>) -> Result<(), E>,
    ) -> Result<T, E> {
        let named = |record: &RecordRef| {
            let names = |entry: &AuditEntry| entry.resource_kind == record.kind && entry.resource_id == record.id;
            entries.iter().any(|entry| entry.outcome == Outcome::Allowed && names(entry))
        };
        if let Some(missing) = self.0.records().iter().find(|record| !named(record)) {
            let reason = format!("a {} was read, and no entry names it", missing.kind);
            return Err(PortError::defect(Dependency::Database, reason).into());
        }
        record(entries).await?;
        Ok(self.0)
    }
}

impl<T: Personal> Unrecorded<Option<T>> {
    /// What was found.
    pub fn some(self) -> Option<Unrecorded<T>> {
        self.0.map(Unrecorded)
    }
}

/// Puts on the record, as `failed`, an act that the policy allowed and that was not done all the same: what `fails` says of the
/// refusal. Denials are on the record where the policy is asked, and what could not be looked at at all is no access. When the
/// record can't be written, that is the answer.
pub async fn failed_on_record<T, E, F>(
    done: Result<T, E>,
    fails: impl FnOnce(&E) -> bool,
    record: impl FnOnce() -> F,
) -> Result<T, E>
where
    F: Future<Output = Result<(), E>>,
{
    match done {
        Err(refused) if fails(&refused) => {
            record().await?;
            Err(refused)
        }
        done => done,
    }
}

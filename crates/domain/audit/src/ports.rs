//! What the domain needs from the world.

use crate::model::{Checkpoint, Entry, NoteSignature, Placed, SignedNote, Tile, TileId};
use amrutam_kernel::{AccountId, AuditEntryId, Effects, Page, PageRequest, PortError};
use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Entries that are committed and wait to be sealed, oldest first.
#[derive(Debug, Clone, Default)]
pub struct Taken {
    /// The entries, in the order in which they go into the log. Nothing older can appear any more.
    pub entries: Vec<Entry>,
    /// Up to where, in the store's own words: given back to [`Intake::forget`].
    pub mark: Option<String>,
}

/// Where entries are committed, with the changes they tell of. It serializes no writers.
#[async_trait]
pub trait Intake: Send + Sync {
    /// The oldest that nothing older can join any more: those of transactions before every one that is still open.
    async fn take(&self, most: u16) -> Result<Taken, PortError>;
    /// Removes all up to the mark, which are sealed: in the log's first `sealed` entries.
    async fn forget(&self, mark: &str, sealed: u64) -> Result<(), PortError>;
}

/// How far the log is sealed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Head {
    /// Sealed entries.
    pub size: u64,
    /// The last checkpoint as it was signed; none at the beginning.
    pub note: Option<SignedNote>,
}

/// One batch's end.
#[derive(Debug, Clone)]
pub struct Seal {
    /// Sealed before.
    pub from: u64,
    /// Sealed now.
    pub size: u64,
    /// The tiles that have changed.
    pub tiles: Vec<Tile>,
    /// The signed checkpoint.
    pub note: SignedNote,
}

/// What became of a write to the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It is stored.
    Stored,
    /// Nothing is: another sealer leads, or the log is at another place.
    Superseded,
}

/// Where the log is: the same database as the intake, or another. Entries are only added, one place after the other.
#[async_trait]
pub trait LogStore: Send + Sync {
    /// Begins a new sealer's time: what those before it still write is refused. Gives its number.
    async fn begin(&self) -> Result<i64, PortError>;
    /// How far it is sealed.
    async fn head(&self) -> Result<Head, PortError>;
    /// Stores entries behind the last one, those left out that it has already.
    async fn append(&self, epoch: i64, entries: &[Entry]) -> Result<Written, PortError>;
    /// What stands from a place on, as stored.
    async fn entries(&self, from: u64, most: u32) -> Result<Vec<Placed>, PortError>;
    /// Seals what was appended.
    async fn seal(&self, epoch: i64, seal: &Seal) -> Result<Written, PortError>;
    /// Tiles; those that are not there are left out.
    async fn tiles(&self, wanted: &[TileId]) -> Result<Vec<Tile>, PortError>;
}

/// Which entries to find; those that match all that is said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EntryFilter {
    /// Done by this account.
    pub actor: Option<AccountId>,
    /// About this person's data.
    pub patient: Option<AccountId>,
    /// On this object: its kind and id.
    pub resource: Option<(String, String)>,
    /// Of this action.
    pub action: Option<String>,
    /// Of this flow.
    pub correlation_id: Option<String>,
    /// At or after.
    pub from: Option<Timestamp>,
    /// Before.
    pub to: Option<Timestamp>,
}

/// The sort key of the last entry seen: newest first.
pub type ByTime = (Timestamp, AuditEntryId);

/// A checkpoint with all who have signed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witnessed {
    /// What it says.
    pub checkpoint: Checkpoint,
    /// As signed, the witnesses' lines behind the log's.
    pub note: SignedNote,
}

/// The trail for those who look things up in it.
#[async_trait]
pub trait TrailReader: Send + Sync {
    /// Sealed entries, newest first.
    async fn search(&self, filter: &EntryFilter, page: PageRequest<ByTime>) -> Result<Page<Placed, ByTime>, PortError>;
    /// One sealed entry.
    async fn entry(&self, id: AuditEntryId) -> Result<Option<Placed>, PortError>;
    /// Checkpoints, largest first, from the one after `before` on.
    async fn checkpoints(&self, before: Option<u64>, limit: u16) -> Result<Vec<Witnessed>, PortError>;
}

/// Where people object to what is on the record about them: beside the intake, wherever the log is.
#[async_trait]
pub trait Objections: Send + Sync {
    /// Notes that a person objects to an entry, and commits the effects: `false`, and nothing is stored, when they did before.
    async fn object(&self, entry: AuditEntryId, by: AccountId, effects: &Effects) -> Result<bool, PortError>;
}

/// Where a witness's signatures are put for others to see.
#[async_trait]
pub trait Cosignatures: Send + Sync {
    /// Beside the checkpoint of that size.
    async fn add(&self, size: u64, signature: &NoteSignature) -> Result<(), PortError>;
}

/// A witness's own memory. It lies apart from the log.
#[async_trait]
pub trait WitnessStore: Send + Sync {
    /// The last checkpoint it has cosigned.
    async fn last(&self) -> Result<Option<SignedNote>, PortError>;
    /// Remembers this one, durably, before its signature is given to anybody.
    async fn remember(&self, note: &SignedNote) -> Result<(), PortError>;
}

/// A store of objects that are written once: a bucket with a lock, or a directory.
#[async_trait]
pub trait CheckpointArchive: Send + Sync {
    /// Keeps a checkpoint under its size. One that is there already stays, and must be the same.
    async fn keep(&self, checkpoint: &Checkpoint, note: &SignedNote) -> Result<(), PortError>;
}

/// An access, or many, that a rule calls unusual.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unusual {
    /// The rule's code.
    pub code: String,
    /// Its version.
    pub version: i32,
    /// Whose doing.
    pub actor: AccountId,
    /// Whose data, when it is about one person.
    pub patient: Option<AccountId>,
    /// The beginning of the window in which it happened.
    pub bucket: Timestamp,
    /// The last entry that shows it.
    pub entry: AuditEntryId,
}

/// What a look at the trail found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// What is unusual.
    pub unusual: Vec<Unusual>,
    /// The place in the log up to which it was looked at.
    pub upto: u64,
}

/// Where rules are held against the trail.
#[async_trait]
pub trait Alerts: Send + Sync {
    /// What is unusual by the rules in force, and was not raised yet, in every window of time that holds something sealed since the
    /// last look.
    async fn unusual(&self) -> Result<Look, PortError>;
    /// Raises it, and commits the effects: `false`, and nothing is stored, when somebody else did.
    async fn raise(&self, unusual: &Unusual, effects: &Effects) -> Result<bool, PortError>;
    /// All that a look found is raised: the next one begins where it ended.
    async fn looked(&self, upto: u64) -> Result<(), PortError>;
}

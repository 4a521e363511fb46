//! What the domain needs from the world. `adapters/postgres` and `adapters/memory` implement the stores and pass their contract
//! suites; what other domains do (passwords, visits, keys, sessions) is brought here by the process that wires them.

use crate::{
    GatherError,
    model::{Dossier, Erasure, Export, Facts, HoldReference, LegalHold},
};
use amrutam_kernel::{
    AccountId, CommitError, ConsultationId, Context, Effects, ExportId, IdempotencyClaim, Personal, PortError,
    RecordRef, Recorded, Sensitive, SessionId, Unrecorded,
};
use async_trait::async_trait;
use jiff::Timestamp;

/// What an order of a copy is decided on.
#[derive(Debug, Clone, Default)]
pub struct ExportSnapshot {
    /// The one the person has open.
    pub open: Option<Export>,
    /// What is known of the claim.
    pub recorded: Option<Recorded>,
}

/// What becomes of the archive in a commit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ArchiveChange {
    /// Nothing.
    #[default]
    Stays,
    /// It is stored, sealed.
    Put(Sensitive<Vec<u8>>),
    /// It is deleted.
    Discard,
}

/// Everything one use case of exports changes: one transaction, all or nothing.
#[derive(Debug, Clone)]
pub struct ExportChanges {
    /// Its next version. [`CommitError::Stale`] unless the stored one is `version - 1` (0 when there is none), and when a first
    /// version meets another open export of its account.
    pub export: Export,
    /// Its archive.
    pub archive: ArchiveChange,
    /// Events, audit, inbox, answer.
    pub effects: Effects,
}

/// An export's archive, to be given away.
#[derive(Debug)]
pub struct Archive {
    /// Whose archive.
    pub export: ExportId,
    /// It, as it was made.
    pub bytes: Sensitive<Vec<u8>>,
}

impl Personal for Archive {
    fn records(&self) -> Vec<RecordRef> {
        vec![RecordRef { kind: "export", id: self.export.to_string() }]
    }
}

/// Copies of what is held of people.
#[async_trait]
pub trait ExportStore: Send + Sync {
    /// For an order by that person.
    async fn snapshot(&self, account: AccountId, claim: Option<&IdempotencyClaim>)
    -> Result<ExportSnapshot, PortError>;
    /// One of them.
    async fn find(&self, id: ExportId) -> Result<Option<Export>, PortError>;
    /// Its archive, byte for byte as it was made.
    async fn archive(&self, export: &Export) -> Result<Option<Unrecorded<Archive>>, PortError>;
    /// Those that were made or begun so long ago that their time is over at `now`, at most so many.
    async fn due(&self, now: Timestamp, most: u16) -> Result<Vec<Export>, PortError>;
    /// Commits all of `changes` in one transaction, or nothing.
    async fn commit(&self, changes: &ExportChanges) -> Result<(), CommitError>;
    /// Effects that stand alone.
    async fn put_on_record(&self, effects: &Effects) -> Result<(), PortError>;
}

/// All that is held of people, wherever it is.
#[async_trait]
pub trait Holdings: Send + Sync {
    /// Everything of one person.
    async fn gather(&self, account: AccountId) -> Result<Unrecorded<Dossier>, GatherError>;
}

/// Why there is no archive. Without personal data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the archive can't be made: {0}")]
pub struct PackError(pub String);

/// Makes one file of many.
pub trait Archiver: Send + Sync {
    /// ZIP. The same dossier gives the same bytes.
    fn pack(&self, dossier: &Dossier) -> Result<Vec<u8>, PackError>;
}

/// What a link to an archive says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DownloadClaims {
    /// To which.
    pub export: ExportId,
    /// Whose.
    pub account: AccountId,
    /// When it was made.
    pub issued_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// Signs links to archives. A token of this kind is none of any other kind, nor the reverse.
pub trait DownloadTokens: Send + Sync {
    /// A signed token. `token_id` is its name.
    fn issue_download(&self, claims: &DownloadClaims, token_id: uuid::Uuid) -> Result<Sensitive<String>, PortError>;
    /// The claims of one that is ours and in force at `now`; one word for every refusal.
    fn verify_download(&self, token: &str, now: Timestamp) -> Option<DownloadClaims>;
}

/// Everything an erasure changes: one transaction, all or nothing.
#[derive(Debug, Clone)]
pub struct ErasureChanges {
    /// As decided. The account is closed; its contact details, its address's digest, password, second factor, sessions, links, kept
    /// answers, exports and pending messages go; what was said for visits that never took place and people kept whom no other visit names,
    /// when it says so: stale when a hold has come or gone meanwhile.
    pub erasure: Erasure,
    /// [`CommitError::Stale`] unless the account is there, in this version, and not erased.
    pub account_version: i64,
    /// Stale unless the person's calendar is in this version; it has another one afterwards.
    pub calendar_version: i64,
    /// Events, audit.
    pub effects: Effects,
}

/// What became of a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldOutcome {
    /// It is as asked for.
    Done,
    /// There is no such account, or no such hold in force.
    Unknown,
    /// The keys are destroyed, or are being destroyed.
    TooLate,
}

/// Erasures, and what keeps them from being completed.
#[async_trait]
pub trait ErasureStore: Send + Sync {
    /// What an erasure of that account is decided on; none when there is none, or it is erased.
    async fn facts(&self, account: AccountId) -> Result<Option<Facts>, PortError>;
    /// Commits all of it in one transaction, or nothing. Says which sessions ended.
    async fn erase(&self, changes: &ErasureChanges) -> Result<Vec<SessionId>, CommitError>;
    /// The erasure of that account.
    async fn find(&self, account: AccountId) -> Result<Option<Erasure>, PortError>;
    /// Those whose time is over at `now` and that no hold keeps, and those whose destruction was begun; at most so many.
    async fn due(&self, now: Timestamp, most: u16) -> Result<Vec<AccountId>, PortError>;
    /// Begins the destruction, unless it is not due at `now`, a hold keeps it, or it is done. Says whose keys are to be destroyed:
    /// the account's and those of people it kept, whom it had removed before among them. From then on no hold is placed.
    async fn begin_destruction(&self, account: AccountId, now: Timestamp) -> Result<Option<Vec<AccountId>>, PortError>;
    /// Ends it when the keys are destroyed: what was sealed is deleted.
    async fn finish_destruction(&self, account: AccountId, at: Timestamp, effects: &Effects)
    -> Result<(), CommitError>;
    /// Places a hold; one that is in force stays as it is.
    async fn place_hold(&self, hold: &LegalHold, effects: &Effects) -> Result<HoldOutcome, PortError>;
    /// Lifts a hold.
    async fn lift_hold(
        &self,
        account: AccountId,
        reference: &HoldReference,
        at: Timestamp,
        effects: &Effects,
    ) -> Result<HoldOutcome, PortError>;
    /// Effects that stand alone.
    async fn put_on_record(&self, effects: &Effects) -> Result<(), PortError>;
}

/// Whether it is them.
#[async_trait]
pub trait Passwords: Send + Sync {
    /// Whether that is the account's password.
    async fn is_right(&self, account: AccountId, password: &Sensitive<String>) -> Result<bool, PortError>;
}

/// Visits that are booked.
#[async_trait]
pub trait Visits: Send + Sync {
    /// Calls one off at its patient's wish, with what the policy gives back. One that can't be called off any more stays as it is:
    /// `false`, and the caller looks again.
    async fn call_off(&self, context: &Context, visit: ConsultationId) -> Result<bool, PortError>;
}

/// Told of sessions that ended.
#[async_trait]
pub trait SessionsEnded: Send + Sync {
    /// Never fails: whoever is not told finds out by themselves.
    async fn ended(&self, sessions: &[SessionId]);
}

/// Keys of people.
#[async_trait]
pub trait KeyDestroyer: Send + Sync {
    /// Destroys every key of that person; again: nothing more. It is on the record.
    async fn destroy(&self, context: &Context, owner: AccountId) -> Result<u64, PortError>;
}

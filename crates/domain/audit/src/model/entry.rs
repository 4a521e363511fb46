//! An entry as it is sealed: words and ids, and the one sequence of bytes that stands for it.

use super::Hash;
use amrutam_kernel::{AccountId, AuditEntry, AuditEntryId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The version of the canonical bytes: their first byte.
const VERSION: u8 = 1;
/// In place of a length: the field is absent.
const ABSENT: u32 = u32::MAX;

/// An entry of the log. By opaque ids only: no name, no address, no clinical word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its own id.
    pub id: AuditEntryId,
    /// When, in microseconds.
    pub occurred_at: Timestamp,
    /// Who: `patient:<id>`, `system:<name>` or `anonymous`.
    pub actor: String,
    /// Their account, when a person acted.
    pub actor_id: Option<AccountId>,
    /// In which role: that of an account, `system` or `anonymous`.
    pub role: String,
    /// What for.
    pub purpose: String,
    /// What was done: `consultation.book`.
    pub action: String,
    /// The kind of object: `consultation`.
    pub resource_kind: String,
    /// Which object; empty when none was reached.
    pub resource_id: String,
    /// Whose data it is.
    pub patient_id: Option<AccountId>,
    /// `allowed`, `denied` or `failed`.
    pub outcome: String,
    /// The flow it belongs to.
    pub correlation_id: String,
    /// From which network.
    pub origin: Option<String>,
    /// The version of the rules it was decided by.
    pub ruleset: Option<String>,
    /// Whether the glass was broken.
    pub break_glass: bool,
}

/// An entry at its place in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placed {
    /// Its place, from 0.
    pub index: u64,
    /// What stands there.
    #[serde(flatten)]
    pub entry: Entry,
}

impl From<&AuditEntry> for Entry {
    fn from(entry: &AuditEntry) -> Self {
        Self {
            id: entry.id,
            occurred_at: amrutam_kernel::truncate_to_micros(entry.occurred_at),
            actor: entry.actor.to_string(),
            actor_id: entry.actor.account(),
            role: entry.actor.role_word().to_owned(),
            purpose: entry.purpose.as_str().to_owned(),
            action: entry.action.to_owned(),
            resource_kind: entry.resource_kind.to_owned(),
            resource_id: entry.resource_id.clone(),
            patient_id: entry.patient,
            outcome: entry.outcome.as_str().to_owned(),
            correlation_id: entry.correlation_id.to_string(),
            origin: entry.origin.map(|network| network.to_string()),
            ruleset: entry.ruleset.clone(),
            break_glass: entry.break_glass,
        }
    }
}

/// The same, borrowed: whoever reads millions need not copy them.
#[derive(Debug, Clone, Copy)]
pub struct EntryRef<'a> {
    /// See [`Entry::id`].
    pub id: [u8; 16],
    /// See [`Entry::occurred_at`]: microseconds since 1970.
    pub occurred_at_us: i64,
    /// See [`Entry::actor`].
    pub actor: &'a [u8],
    /// See [`Entry::actor_id`].
    pub actor_id: Option<&'a [u8]>,
    /// See [`Entry::role`].
    pub role: &'a [u8],
    /// See [`Entry::purpose`].
    pub purpose: &'a [u8],
    /// See [`Entry::action`].
    pub action: &'a [u8],
    /// See [`Entry::resource_kind`].
    pub resource_kind: &'a [u8],
    /// See [`Entry::resource_id`].
    pub resource_id: &'a [u8],
    /// See [`Entry::patient_id`].
    pub patient_id: Option<&'a [u8]>,
    /// See [`Entry::outcome`].
    pub outcome: &'a [u8],
    /// See [`Entry::correlation_id`].
    pub correlation_id: &'a [u8],
    /// See [`Entry::origin`].
    pub origin: Option<&'a [u8]>,
    /// See [`Entry::ruleset`].
    pub ruleset: Option<&'a [u8]>,
    /// See [`Entry::break_glass`].
    pub break_glass: bool,
}

impl EntryRef<'_> {
    /// The bytes that stand for it, in place of what is in `bytes`: the version, then each field in a fixed order, variable ones
    /// with their length (32 bits, most significant byte first) before them, so that no two entries give the same bytes.
    pub fn write_canonical(&self, bytes: &mut Vec<u8>) {
        bytes.clear();
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.id);
        bytes.extend_from_slice(&self.occurred_at_us.to_be_bytes());
        let fields = [
            Some(self.actor),
            self.actor_id,
            Some(self.role),
            Some(self.purpose),
            Some(self.action),
            Some(self.resource_kind),
            Some(self.resource_id),
            self.patient_id,
            Some(self.outcome),
            Some(self.correlation_id),
            self.origin,
            self.ruleset,
        ];
        for field in fields {
            // No column holds 4 GiB; a longer one would be told from this one by its content.
            let length = field.map_or(ABSENT, |field| u32::try_from(field.len()).unwrap_or(ABSENT - 1));
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(field.unwrap_or_default());
        }
        bytes.push(u8::from(self.break_glass));
    }

    /// Its hash as a leaf. `scratch` is overwritten.
    pub fn leaf(&self, scratch: &mut Vec<u8>) -> Hash {
        self.write_canonical(scratch);
        Hash::leaf(scratch)
    }
}

impl Entry {
    fn with_ref<T>(&self, work: impl FnOnce(&EntryRef<'_>) -> T) -> T {
        let (actor, patient) = (self.actor_id.map(|id| id.as_uuid()), self.patient_id.map(|id| id.as_uuid()));
        work(&EntryRef {
            id: *self.id.as_uuid().as_bytes(),
            occurred_at_us: self.occurred_at.as_microsecond(),
            actor: self.actor.as_bytes(),
            actor_id: actor.as_ref().map(|id| id.as_bytes().as_slice()),
            role: self.role.as_bytes(),
            purpose: self.purpose.as_bytes(),
            action: self.action.as_bytes(),
            resource_kind: self.resource_kind.as_bytes(),
            resource_id: self.resource_id.as_bytes(),
            patient_id: patient.as_ref().map(|id| id.as_bytes().as_slice()),
            outcome: self.outcome.as_bytes(),
            correlation_id: self.correlation_id.as_bytes(),
            origin: self.origin.as_deref().map(str::as_bytes),
            ruleset: self.ruleset.as_deref().map(str::as_bytes),
            break_glass: self.break_glass,
        })
    }

    /// See [`EntryRef::write_canonical`].
    pub fn canonical(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(320);
        self.with_ref(|entry| entry.write_canonical(&mut bytes));
        bytes
    }

    /// Its hash as a leaf of the log.
    pub fn leaf(&self) -> Hash {
        Hash::leaf(&self.canonical())
    }
}

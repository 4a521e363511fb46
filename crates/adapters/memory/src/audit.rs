//! The audit trail's log. Its intake is what the world has on record.

use crate::world::{MemoryWorld, defect};
use amrutam_audit::{
    model::{Checkpoint, Entry, NoteSignature, Placed, SignedNote, Tile, TileId},
    ports::{
        ByTime, Cosignatures, EntryFilter, Head, Intake, LogStore, Objections, Seal, Taken, TrailReader, Witnessed,
        Written,
    },
};
use amrutam_kernel::{AccountId, AuditEntry, AuditEntryId, AuditTrail, Effects, Page, PageRequest, PortError};
use async_trait::async_trait;
use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

#[derive(Default)]
struct State {
    /// Of the world's entries, so many are forgotten.
    forgotten: usize,
    epoch: i64,
    entries: Vec<Entry>,
    sealed: usize,
    tiles: BTreeMap<TileId, Tile>,
    notes: BTreeMap<u64, SignedNote>,
    cosignatures: BTreeMap<u64, Vec<NoteSignature>>,
    objections: HashSet<(AuditEntryId, AccountId)>,
}

/// The log, beside a world whose entries are sealed in it.
pub struct MemoryLog {
    world: Arc<MemoryWorld>,
    state: Mutex<State>,
}

impl MemoryLog {
    /// Empty.
    pub fn new(world: Arc<MemoryWorld>) -> Self {
        Self { world, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for MemoryLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryLog").finish_non_exhaustive()
    }
}

#[async_trait]
impl AuditTrail for MemoryWorld {
    async fn record(&self, entries: Vec<AuditEntry>) -> Result<(), PortError> {
        self.record_alone(&Effects { audit: entries, ..Effects::default() })
    }
}

#[async_trait]
impl Intake for MemoryLog {
    async fn take(&self, most: u16) -> Result<Taken, PortError> {
        let from = self.state().forgotten;
        let waiting: Vec<_> = self.world.audit().into_iter().skip(from).take(usize::from(most)).collect();
        let mark = (!waiting.is_empty()).then(|| (from + waiting.len()).to_string());
        Ok(Taken { entries: waiting.iter().map(Entry::from).collect(), mark })
    }

    async fn forget(&self, mark: &str, _: u64) -> Result<(), PortError> {
        let to: usize = mark.parse().map_err(|_| defect("a mark is given back as it was"))?;
        let gone: HashSet<_> = self.world.audit().into_iter().take(to).map(|entry| entry.id).collect();
        let mut state = self.state();
        let sealed: HashSet<_> = state.entries.iter().take(state.sealed).map(|entry| entry.id).collect();
        if !gone.is_subset(&sealed) {
            return Err(defect("an entry that is not sealed is not forgotten"));
        }
        state.forgotten = state.forgotten.max(to);
        Ok(())
    }
}

#[async_trait]
impl LogStore for MemoryLog {
    async fn begin(&self) -> Result<i64, PortError> {
        let mut state = self.state();
        state.epoch += 1;
        Ok(state.epoch)
    }

    async fn head(&self) -> Result<Head, PortError> {
        let state = self.state();
        let size = state.sealed as u64;
        Ok(Head { size, note: state.notes.get(&size).cloned() })
    }

    async fn append(&self, epoch: i64, entries: &[Entry]) -> Result<Written, PortError> {
        let mut state = self.state();
        if state.epoch != epoch {
            return Ok(Written::Superseded);
        }
        let there: HashSet<_> = state.entries.iter().map(|entry| entry.id).collect();
        state.entries.extend(entries.iter().filter(|entry| !there.contains(&entry.id)).cloned());
        Ok(Written::Stored)
    }

    async fn entries(&self, from: u64, most: u32) -> Result<Vec<Placed>, PortError> {
        let state = self.state();
        let placed = (0..).zip(&state.entries).map(|(index, entry)| Placed { index, entry: entry.clone() });
        Ok(placed.skip_while(|placed| placed.index < from).take(most as usize).collect())
    }

    async fn seal(&self, epoch: i64, seal: &Seal) -> Result<Written, PortError> {
        let mut state = self.state();
        if state.epoch != epoch || state.sealed as u64 != seal.from || seal.size > state.entries.len() as u64 {
            return Ok(Written::Superseded);
        }
        state.tiles.extend(seal.tiles.iter().map(|tile| (tile.id, tile.clone())));
        state.notes.insert(seal.size, seal.note.clone());
        state.sealed = usize::try_from(seal.size).map_err(|_| defect("a log fits in memory"))?;
        Ok(Written::Stored)
    }

    async fn tiles(&self, wanted: &[TileId]) -> Result<Vec<Tile>, PortError> {
        let state = self.state();
        Ok(wanted.iter().filter_map(|id| state.tiles.get(id).cloned()).collect())
    }
}

#[async_trait]
impl TrailReader for MemoryLog {
    async fn search(&self, filter: &EntryFilter, page: PageRequest<ByTime>) -> Result<Page<Placed, ByTime>, PortError> {
        let sealed = self.state().sealed;
        let mut found = self.entries(0, u32::try_from(sealed).unwrap_or(u32::MAX)).await?;
        let resource =
            |entry: &Entry, (kind, id): &(String, String)| entry.resource_kind == *kind && entry.resource_id == *id;
        found.retain(|Placed { entry, .. }| {
            filter.actor.is_none_or(|actor| entry.actor_id == Some(actor))
                && filter.patient.is_none_or(|patient| entry.patient_id == Some(patient))
                && filter.resource.as_ref().is_none_or(|wanted| resource(entry, wanted))
                && filter.action.as_ref().is_none_or(|action| entry.action == *action)
                && filter.correlation_id.as_ref().is_none_or(|flow| entry.correlation_id == *flow)
                && filter.from.is_none_or(|from| from <= entry.occurred_at)
                && filter.to.is_none_or(|to| entry.occurred_at < to)
                && page.after.is_none_or(|after| (entry.occurred_at, entry.id) < after)
        });
        found.sort_by_key(|placed| std::cmp::Reverse((placed.entry.occurred_at, placed.entry.id)));
        found.truncate(usize::from(page.limit.get()) + 1);
        Ok(Page::cut(found, page.limit, |last| (last.entry.occurred_at, last.entry.id)))
    }

    async fn entry(&self, id: AuditEntryId) -> Result<Option<Placed>, PortError> {
        let sealed = u32::try_from(self.state().sealed).unwrap_or(u32::MAX);
        Ok(self.entries(0, sealed).await?.into_iter().find(|placed| placed.entry.id == id))
    }

    async fn checkpoints(&self, before: Option<u64>, limit: u16) -> Result<Vec<Witnessed>, PortError> {
        let state = self.state();
        let witnessed = |(size, note): (&u64, &SignedNote)| {
            let mut note = note.clone();
            note.signatures.extend(state.cosignatures.get(size).into_iter().flatten().cloned());
            let checkpoint = Checkpoint::of(&note).map_err(|_| defect("a note is a checkpoint's"))?;
            Ok(Witnessed { checkpoint, note })
        };
        let older = state.notes.iter().rev().filter(|(size, _)| before.is_none_or(|before| **size < before));
        older.take(usize::from(limit)).map(witnessed).collect()
    }
}

#[async_trait]
impl Cosignatures for MemoryLog {
    async fn add(&self, size: u64, signature: &NoteSignature) -> Result<(), PortError> {
        let mut state = self.state();
        let there = state.cosignatures.entry(size).or_default();
        if there.iter().all(|other| other.name != signature.name) {
            there.push(signature.clone());
        }
        Ok(())
    }
}

#[async_trait]
impl Objections for MemoryLog {
    async fn object(&self, entry: AuditEntryId, by: AccountId, effects: &Effects) -> Result<bool, PortError> {
        if self.state().objections.contains(&(entry, by)) {
            return Ok(false);
        }
        self.world.record_alone(effects)?;
        Ok(self.state().objections.insert((entry, by)))
    }
}

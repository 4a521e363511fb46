//! Entries get their places, and the log is signed. Each step is whole by itself, and the next sealer goes on from whichever
//! was the last: no gap, no duplicate.
//!
//! 1. take: the oldest entries of the intake; 2. append: stored in the log, those it has already left out; 3. read back, and
//!    compare with what was taken; 4. seal: tiles and a signed checkpoint; 5. forget them in the intake.

use crate::{
    SealError,
    model::{Checkpoint, Edge, Hash, NoteSigner, SignedNote, Tiles},
    ports::{Intake, LogStore, Seal, Taken, Written},
};
use amrutam_kernel::{AuditEntryId, Clock};
use std::collections::HashMap;

/// Entries sealed at a time: large enough for 5,000 a second, small enough for one statement.
pub const BATCH: u16 = 2_048;

/// What a sealer works with.
#[derive(Clone, Copy)]
pub struct SealDeps<'a> {
    /// Where entries wait.
    pub intake: &'a dyn Intake,
    /// Where they go.
    pub log: &'a dyn LogStore,
    /// Signs checkpoints; its name is the log's origin.
    pub signer: &'a NoteSigner,
    /// Time.
    pub clock: &'a dyn Clock,
}

/// The one sealer at a time, with the log's edge in mind.
#[derive(Debug)]
pub struct Sealer {
    epoch: i64,
    edge: Edge,
    last: Option<Checkpoint>,
    /// Whether entries may stand behind the last checkpoint: those of a sealer that was cut short.
    unsure: bool,
}

impl Sealer {
    /// Takes over. The log must be what its last checkpoint says.
    pub async fn begin(deps: SealDeps<'_>) -> Result<Self, SealError> {
        let epoch = deps.log.begin().await?;
        let head = deps.log.head().await?;
        let tiles: Tiles = deps.log.tiles(&Edge::needs(head.size)).await?.into_iter().collect();
        let edge = Edge::load(head.size, &tiles)?;
        let last = match &head.note {
            None if head.size == 0 => None,
            None => return Err(SealError::Broken("it has entries and no checkpoint".to_owned())),
            Some(note) => {
                deps.signer.verifier().check(note)?;
                let last = Checkpoint::of(note)?;
                if last.size != head.size || last.root != edge.root() {
                    return Err(SealError::Broken(format!("root or size differ at {} entries", last.size)));
                }
                Some(last)
            }
        };
        Ok(Self { epoch, edge, last, unsure: true })
    }

    /// How many entries are sealed.
    pub fn size(&self) -> u64 {
        self.edge.size()
    }

    /// The last checkpoint it knows of.
    pub fn last(&self) -> Option<&Checkpoint> {
        self.last.as_ref()
    }

    /// One round; says how many entries it has sealed. After an error begin anew.
    pub async fn round(&mut self, deps: SealDeps<'_>) -> Result<u64, SealError> {
        let taken = deps.intake.take(BATCH).await?;
        if taken.entries.is_empty() && !self.unsure {
            return Ok(0);
        }
        let mut standing = Vec::new();
        if self.unsure {
            standing = deps.log.entries(self.edge.size(), u32::from(BATCH)).await?;
            self.unsure = !standing.is_empty();
        }
        if standing.is_empty() && !taken.entries.is_empty() {
            written(deps.log.append(self.epoch, &taken.entries).await?)?;
            standing = deps.log.entries(self.edge.size(), u32::from(BATCH)).await?;
        }
        if !standing.is_empty() {
            let leaves = self.as_taken(&taken, &standing)?;
            self.seal(deps, &leaves).await?;
        }
        // Not while a part of what was taken may still be missing from the log.
        let all = taken.entries.len() <= standing.len() || standing.is_empty();
        if let Some(mark) = taken.mark.as_deref().filter(|_| all) {
            deps.intake.forget(mark, self.edge.size()).await?;
        }
        Ok(standing.len() as u64)
    }

    /// What stands behind the last checkpoint must be what was taken in, one place after the other.
    fn as_taken(&self, taken: &Taken, standing: &[crate::model::Placed]) -> Result<Vec<Hash>, SealError> {
        let leaves: HashMap<AuditEntryId, Hash> = taken.entries.iter().map(|entry| (entry.id, entry.leaf())).collect();
        let expected = standing.iter().zip(self.edge.size()..);
        expected
            .map(|(placed, index)| {
                let leaf = placed.entry.leaf();
                let as_taken = placed.index == index && leaves.get(&placed.entry.id) == Some(&leaf);
                if as_taken { Ok(leaf) } else { Err(SealError::NotAsTaken { index: placed.index }) }
            })
            .collect()
    }

    async fn seal(&mut self, deps: SealDeps<'_>, leaves: &[Hash]) -> Result<(), SealError> {
        let mut edge = self.edge.clone();
        let tiles = edge.append(leaves);
        let now = deps.clock.now();
        let checkpoint = Checkpoint {
            origin: deps.signer.verifier().name().to_owned(),
            size: edge.size(),
            root: edge.root(),
            time: now,
            previous: self.last.as_ref().map(Checkpoint::hash),
        };
        let text = checkpoint.to_string();
        let signatures = vec![deps.signer.sign(&text, now)];
        let note = SignedNote { text, signatures };
        let seal = Seal { from: self.edge.size(), size: edge.size(), tiles, note };
        written(deps.log.seal(self.epoch, &seal).await?)?;
        self.edge = edge;
        self.last = Some(checkpoint);
        Ok(())
    }
}

fn written(written: Written) -> Result<(), SealError> {
    match written {
        Written::Stored => Ok(()),
        Written::Superseded => Err(SealError::Superseded),
    }
}

//! A witness looks at the log once.

use crate::{
    model::{
        Checkpoint, InvalidNote, MissingTile, NotCosigned, NoteSigner, NoteVerifier, SignedNote, Tiles, cosign,
        proof::{OutOfRange, consistency},
    },
    ports::{CheckpointArchive, Cosignatures, LogStore, WitnessStore},
};
use amrutam_kernel::{Clock, PortError};

/// What a witness works with.
#[derive(Clone, Copy)]
pub struct WatchDeps<'a> {
    /// The log it watches.
    pub log: &'a dyn LogStore,
    /// Checks the log's signature.
    pub log_key: &'a NoteVerifier,
    /// Signs for the witness.
    pub witness: &'a NoteSigner,
    /// What it remembers.
    pub store: &'a dyn WitnessStore,
    /// Where its signatures go.
    pub cosignatures: &'a dyn Cosignatures,
    /// Where checkpoints are kept for good.
    pub archive: Option<&'a dyn CheckpointArchive>,
    /// Time.
    pub clock: &'a dyn Clock,
}

/// Why nothing was cosigned.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// A store could not be used: try again.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The log is not what it was. A person must look.
    #[error(transparent)]
    NotCosigned(#[from] NotCosigned),
    /// The log can't prove that it is: tiles are missing. A person must look.
    #[error("the log can't prove its consistency: {0}")]
    NoProof(#[from] MissingTile),
    /// What the witness remembers can't be read. A person must look.
    #[error("what the witness remembers can't be read: {0}")]
    Memory(#[from] InvalidNote),
}

impl From<OutOfRange> for WatchError {
    fn from(OutOfRange(seen, now): OutOfRange) -> Self {
        Self::NotCosigned(NotCosigned::Shrunk { seen, now })
    }
}

/// Cosigns the newest checkpoint, if it is new and follows from the last. Gives it then.
pub async fn watch(deps: WatchDeps<'_>) -> Result<Option<Checkpoint>, WatchError> {
    let last = deps.store.last().await?;
    let seen = last.as_ref().map(Checkpoint::of).transpose()?;
    let head = deps.log.head().await?;
    let Some(note) = head.note else {
        return match seen {
            Some(seen) => Err(NotCosigned::Shrunk { seen: seen.size, now: 0 }.into()),
            None => Ok(None),
        };
    };
    let size = Checkpoint::of(&note).map_err(NotCosigned::from)?.size;
    let parts = consistency(seen.as_ref().map_or(0, |seen| seen.size), size)?;
    let tiles: Tiles = deps.log.tiles(&Tiles::needs(&parts)).await?.into_iter().collect();
    let proof = tiles.prove(&parts)?;
    let (checkpoint, signature) = cosign(seen.as_ref(), &note, &proof, deps.log_key, deps.witness, deps.clock.now())?;
    if let (Some(last), Some(seen)) = (&last, &seen) {
        // Whoever remembered it may have died before it was outside.
        if let Some(archive) = deps.archive {
            archive.keep(seen, last).await?;
        }
        if *seen == checkpoint {
            let own = last.signatures.iter().filter(|signature| signature.name == deps.witness.verifier().name());
            for signature in own {
                deps.cosignatures.add(seen.size, signature).await?;
            }
            return Ok(None);
        }
    }
    let mut signatures = note.signatures.clone();
    signatures.push(signature.clone());
    let cosigned = SignedNote { text: note.text, signatures };
    deps.store.remember(&cosigned).await?;
    if let Some(archive) = deps.archive {
        archive.keep(&checkpoint, &cosigned).await?;
    }
    deps.cosignatures.add(checkpoint.size, &signature).await?;
    Ok(Some(checkpoint))
}

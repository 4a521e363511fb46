//! A witness: it remembers how the log was, and signs only what follows from that.

use super::{
    Checkpoint, Hash,
    note::{InvalidNote, NotSigned, NoteSignature, NoteSigner, NoteVerifier, SignedNote},
    proof::verify_consistency,
};
use jiff::Timestamp;

/// Why a witness does not sign. All but the first are worth a person's look.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotCosigned {
    /// It can't be read.
    #[error(transparent)]
    Invalid(#[from] InvalidNote),
    /// The log's own signature is missing.
    #[error(transparent)]
    NotSigned(#[from] NotSigned),
    /// Of another log.
    #[error("it is a checkpoint of {found}, not of {expected}")]
    OtherLog {
        /// Which one is watched.
        expected: String,
        /// Which one came.
        found: String,
    },
    /// The log has become shorter.
    #[error("the log had {seen} entries and has {now} now")]
    Shrunk {
        /// How many were seen.
        seen: u64,
        /// How many there are.
        now: u64,
    },
    /// What was seen is not the beginning of it any more.
    #[error("the log of {now} entries does not begin with the {seen} that were seen")]
    Forked {
        /// How many were seen.
        seen: u64,
        /// How many there are.
        now: u64,
    },
}

/// The witness's signature of a checkpoint, if the log that it has seen last is the beginning of that one. `proof` is from the
/// size of `seen`, or 0.
pub fn cosign(
    seen: Option<&Checkpoint>,
    note: &SignedNote,
    proof: &[Hash],
    log: &NoteVerifier,
    witness: &NoteSigner,
    now: Timestamp,
) -> Result<(Checkpoint, NoteSignature), NotCosigned> {
    log.check(note)?;
    let new = Checkpoint::of(note)?;
    let expected = seen.map_or(log.name(), |seen| &seen.origin);
    if new.origin != expected {
        return Err(NotCosigned::OtherLog { expected: expected.to_owned(), found: new.origin });
    }
    let (size, root) = seen.map_or((0, Hash::empty_root()), |seen| (seen.size, seen.root));
    if new.size < size {
        return Err(NotCosigned::Shrunk { seen: size, now: new.size });
    }
    verify_consistency((size, &root), (new.size, &new.root), proof)
        .map_err(|_| NotCosigned::Forked { seen: size, now: new.size })?;
    let signature = witness.sign(&note.text, now);
    Ok((new, signature))
}

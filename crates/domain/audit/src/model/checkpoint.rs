//! A checkpoint: what the log was at a time, in C2SP's form (tlog-checkpoint), with two lines of our own.

use super::{
    Hash,
    note::{InvalidNote, SignedNote, text_hash},
};
use jiff::Timestamp;
use std::fmt;

/// What the log was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log.
    pub origin: String,
    /// How many entries.
    pub size: u64,
    /// Their Merkle root.
    pub root: Hash,
    /// When it was made, by the sealer's clock.
    pub time: Timestamp,
    /// The hash of the checkpoint's text before it: a checkpoint that is left out shows.
    pub previous: Option<Hash>,
}

impl fmt::Display for Checkpoint {
    /// The note's text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n{}\ntime {:.6}", self.origin, self.size, self.root, self.time)?;
        match self.previous {
            Some(previous) => writeln!(f, "previous {previous}"),
            None => Ok(()),
        }
    }
}

impl Checkpoint {
    /// From a note's text. Nothing else is read than what is written.
    pub fn parse(text: &str) -> Result<Self, InvalidNote> {
        let mut lines = text.lines();
        let mut line = || lines.next().ok_or(InvalidNote("a checkpoint has more lines"));
        let origin = line()?.to_owned();
        let size = line()?.parse().map_err(|_| InvalidNote("a checkpoint's size"))?;
        let root = line()?.parse().map_err(|_| InvalidNote("a checkpoint's root"))?;
        let time = line()?.strip_prefix("time ").and_then(|time| time.parse().ok());
        let time = time.ok_or(InvalidNote("a checkpoint's time"))?;
        let previous = match lines.next() {
            Some(line) => {
                let previous = line.strip_prefix("previous ").and_then(|hash| hash.parse().ok());
                Some(previous.ok_or(InvalidNote("a checkpoint's predecessor"))?)
            }
            None => None,
        };
        let read = Self { origin, size, root, time, previous };
        // One spelling: what is signed is what is shown.
        if read.to_string() == text { Ok(read) } else { Err(InvalidNote("a checkpoint's text")) }
    }

    /// Of a note, whoever has signed it.
    pub fn of(note: &SignedNote) -> Result<Self, InvalidNote> {
        Self::parse(&note.text)
    }

    /// What the next checkpoint calls it.
    pub fn hash(&self) -> Hash {
        text_hash(&self.to_string())
    }
}

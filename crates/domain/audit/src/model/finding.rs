//! What a verification finds, in words that name the place.

use amrutam_kernel::AuditEntryId;
use std::fmt;

/// Something that is not as it was sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// The entries of these places are gone.
    Missing {
        /// The first.
        from: u64,
        /// The one after the last.
        to: u64,
    },
    /// The entry at this place is another than was sealed.
    Altered {
        /// Where.
        index: u64,
        /// What its id says now.
        id: AuditEntryId,
    },
    /// Two entries have changed places.
    Swapped {
        /// One place.
        first: u64,
        /// The other.
        second: u64,
    },
    /// There is one entry more at this place than was sealed.
    Inserted {
        /// Where.
        index: u64,
        /// Which.
        id: AuditEntryId,
    },
    /// The entries are as sealed; the hash that is stored beside them is not.
    StoredHash {
        /// Of which entry.
        index: u64,
    },
    /// The log is not the one of a checkpoint: among these entries, at least one is not what was sealed. What was stored has been
    /// made to fit.
    NotAsSealed {
        /// The first of them: up to here the checkpoints agree.
        from: u64,
        /// The one after the last.
        to: u64,
        /// Whose checkpoint says so.
        anchor: &'static str,
    },
    /// The newest entries are gone.
    Truncated {
        /// How many there are.
        has: u64,
        /// How many a checkpoint has seen.
        had: u64,
        /// Whose checkpoint says so.
        anchor: &'static str,
    },
    /// A checkpoint is not one of this log's line.
    Checkpoint {
        /// Of which size.
        size: u64,
        /// What is wrong with it.
        problem: String,
    },
    /// An entry lies behind the last checkpoint longer than a sealer needs.
    Unsealed {
        /// Where.
        index: u64,
        /// Which.
        id: AuditEntryId,
    },
    /// A month is called retired, and no sealed entry says that its places were: they are not passed over.
    Retired {
        /// `2019-03`.
        month: String,
    },
    /// A stored tile is not what the hashes below it make.
    Tile {
        /// Its level, above that of leaves.
        level: u8,
        /// Which one of its level.
        index: u64,
    },
    /// There is no checkpoint that says what the log is.
    Unanchored,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { from, to } if to - from == 1 => write!(f, "entry {from} is missing"),
            Self::Missing { from, to } => write!(f, "entries {from} to {} are missing", to - 1),
            Self::Altered { index, id } => write!(f, "entry {index} ({id}) is not what was sealed"),
            Self::Swapped { first, second } => write!(f, "entries {first} and {second} have changed places"),
            Self::Inserted { index, id } => write!(f, "entry {index} ({id}) was put in after sealing"),
            Self::StoredHash { index } => write!(f, "the stored hash of entry {index} was changed; the entry was not"),
            Self::NotAsSealed { from, to, anchor } => {
                write!(f, "among entries {from} to {} one or more are not what was sealed, by {anchor}", to - 1)
            }
            Self::Truncated { has, had, anchor } => {
                write!(f, "entries {has} to {} are gone from the end, by {anchor}", had - 1)
            }
            Self::Checkpoint { size, problem } => write!(f, "the checkpoint of {size} entries: {problem}"),
            Self::Unsealed { index, id } => write!(f, "entry {index} ({id}) was never sealed"),
            Self::Retired { month } => {
                write!(f, "{month} is called retired, and no sealed entry says that just these places of it were")
            }
            Self::Tile { level, index } => {
                write!(f, "tile {index} of level {level} is not what the hashes below it make")
            }
            Self::Unanchored => f.write_str("no checkpoint says what the log is"),
        }
    }
}

//! The whole log as it stands, or a part of it, held against its checkpoints by [`amrutam_audit::model::Verification`].

use crate::{
    audit_reader::{LogHead, Piece, Reader, hashed},
    pool::Postgres,
};
use amrutam_audit::model::{
    Checkpoint, Finding, Frontier, Hash, MissingTile, NoteVerifier, Report, SignedNote, TileId, Tiles, Verification,
    WIDTH, proof::Node,
};
use amrutam_kernel::{Dependency, PortError};
use tokio::sync::mpsc;

/// Entries read at a time: whole tiles, and a statement of some 50 ms.
const PIECE: u64 = 64 * WIDTH;
/// Pieces read ahead.
const AHEAD: usize = 2;
/// In whose name the database's own checkpoints speak.
const OWN: &str = "the log's checkpoint";

/// Which part of the log; it is read on to the first checkpoint behind it, and held against those.
#[derive(Debug, Clone, Copy, Default)]
pub struct AuditRange {
    /// The first place.
    pub from: u64,
    /// The one after the last; the end of what is sealed unless given.
    pub to: Option<u64>,
}

/// Why nothing was verified.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The log could not be read.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The part is none of the log: nothing of it would be looked at.
    #[error("the log has {size} entries: {from} to {to} is no part of it")]
    NoSuchPart {
        /// How many there are.
        size: u64,
        /// The first place asked for.
        from: u64,
        /// The one after the last.
        to: u64,
    },
}

/// How far a verification is.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// The next place.
    pub at: u64,
    /// The one after the last.
    pub to: u64,
}

/// The line of the log's own checkpoints, as it is walked.
struct Line<'a> {
    key: &'a NoteVerifier,
    last: Option<Checkpoint>,
    /// Whether the first one has none before it.
    from_start: bool,
    read_to: u64,
}

impl Line<'_> {
    /// Reads checkpoints up to that place at least; what is expected of those behind `end` is never reached.
    async fn advance(
        &mut self,
        reader: &Reader,
        verification: &mut Verification,
        to: u64,
        end: u64,
    ) -> Result<(), PortError> {
        while self.read_to < to {
            let found = reader.checkpoints(self.read_to).await?;
            if found.is_empty() {
                break;
            }
            for (size, note) in found {
                if size > end {
                    self.read_to = u64::MAX;
                    break;
                }
                self.walk(verification, size, &note);
            }
        }
        Ok(())
    }

    fn walk(&mut self, verification: &mut Verification, size: u64, note: &str) {
        self.read_to = size;
        match self.step(size, note) {
            Ok((checkpoint, follows)) => {
                if !follows {
                    let problem = "it does not follow from the one before".to_owned();
                    verification.note(Finding::Checkpoint { size, problem });
                }
                // Signed all the same: those after it are told of by themselves.
                verification.expect(&checkpoint, OWN);
                self.last = Some(checkpoint);
            }
            Err(problem) => verification.note(Finding::Checkpoint { size, problem }),
        }
    }

    /// A checkpoint of the log's own, and whether it follows from the one before.
    fn step(&self, size: u64, note: &str) -> Result<(Checkpoint, bool), String> {
        let note: SignedNote = note.parse().map_err(|error| format!("{error}"))?;
        self.key.check(&note).map_err(|error| error.to_string())?;
        let checkpoint = Checkpoint::of(&note).map_err(|error| error.to_string())?;
        let follows = match &self.last {
            Some(last) => checkpoint.previous == Some(last.hash()) && last.time <= checkpoint.time,
            None => !self.from_start || checkpoint.previous.is_none(),
        };
        if checkpoint.size != size || checkpoint.origin != self.key.name() {
            Err("it says another size or origin".to_owned())
        } else {
            Ok((checkpoint, follows))
        }
    }
}

impl Postgres {
    /// Verifies the log, or a part of it, against its own checkpoints and those `given`: signed ones that lie elsewhere.
    pub async fn verify_audit(
        &self,
        key: &NoteVerifier,
        given: &[Checkpoint],
        range: AuditRange,
        mut progress: impl FnMut(Progress),
    ) -> Result<Report, VerifyError> {
        let reader = Reader { client: self.raw_client().await? };
        let LogHead { size, seen } = reader.head().await?;
        let (from, to) = (range.from, range.to.unwrap_or(size.max(range.from)));
        if from > to || to > size {
            return Err(VerifyError::NoSuchPart { size, from, to });
        }
        let end = if to < size { reader.next_checkpoint(to).await?.unwrap_or(size).min(size) } else { size };
        let before = match reader.tiles(&Tiles::needs_for_root(from)).await?.frontier(from) {
            Ok(before) => before,
            // Without it nothing behind it can be told.
            Err(MissingTile(TileId { level, index })) => {
                let mut verification = Verification::from(Frontier::default());
                verification.note(Finding::Tile { level, index });
                return Ok(verification.finish());
            }
        };
        let mut verification = Verification::from(before);
        let whole = end == size;
        for checkpoint in given.iter().filter(|checkpoint| whole || checkpoint.size <= end) {
            verification.expect(checkpoint, "a checkpoint from elsewhere");
        }
        if seen > size {
            verification.note(Finding::Truncated { has: size, had: seen, anchor: OWN });
        }
        for (retired, places) in reader.retired(key, size).await? {
            match places {
                Some(places) => verification.pass_over(places),
                None => verification.note(Finding::Retired { month: retired.month }),
            }
        }
        for finding in if whole { reader.unsealed(size).await? } else { Vec::new() } {
            verification.note(finding);
        }
        let mut line = Line { key, last: None, from_start: from == 0, read_to: from.saturating_sub(1) };
        let (pieces, mut read) = mpsc::channel(AHEAD);
        let reading = Reader { client: self.raw_client().await? };
        let task = tokio::spawn(async move {
            let mut at = from;
            while at < end {
                let next = ((at / PIECE + 1) * PIECE).min(end);
                let piece = reading.piece(at, next).await;
                at = next;
                // Whoever waits may be gone.
                if pieces.send((next, piece)).await.is_err() {
                    return;
                }
            }
        });
        let mut scratch = Vec::with_capacity(512);
        line.advance(&reader, &mut verification, from, end).await?;
        while let Some((next, piece)) = read.recv().await {
            line.advance(&reader, &mut verification, next, end).await?;
            go_over(&mut verification, next, &piece?, &mut scratch)?;
            let subtrees = verification.take_subtrees();
            compare_tiles(&mut verification, &reader, &subtrees).await?;
            progress(Progress { at: next, to: end });
        }
        task.await.map_err(|error| PortError::defect(Dependency::Database, error))?;
        if whole && size > 0 && line.last.as_ref().is_none_or(|last| last.size != size) {
            let problem = "the last one is missing".to_owned();
            verification.note(Finding::Checkpoint { size, problem });
        }
        Ok(verification.finish())
    }
}

/// Proofs are made of the tiles above the leaves' too.
async fn compare_tiles(
    verification: &mut Verification,
    reader: &Reader,
    subtrees: &[(Node, Hash)],
) -> Result<(), PortError> {
    let wanted: Vec<_> = subtrees.iter().map(|(node, _)| vec![*node]).collect();
    let tiles = reader.tiles(&Tiles::needs(&wanted)).await?;
    let mut told = None;
    for (node, hash) in subtrees {
        // 256 of its hashes are a tile: see `Tiles`.
        let (level, index) = (node.level / 8, node.index / WIDTH);
        if tiles.node(*node) != Ok(*hash) && told != Some((level, index)) {
            verification.note(Finding::Tile { level, index });
            told = Some((level, index));
        }
    }
    Ok(())
}

/// One piece of the log. Where a stored hash is missing, the entry's own stands in for it.
fn go_over(verification: &mut Verification, to: u64, piece: &Piece, scratch: &mut Vec<u8>) -> Result<(), PortError> {
    let from = verification.at();
    let rows = piece.rows.iter().map(|row| hashed(row, scratch)).collect::<Result<Vec<_>, _>>()?;
    let mut stored = Vec::with_capacity(usize::try_from(to - from).unwrap_or_default());
    let mut found = 0;
    for index in from..to {
        while rows.get(found).is_some_and(|row| row.index < index) {
            found += 1;
        }
        let node = Node { level: 0, index };
        let hash: Option<Hash> = match piece.tiles.node(node) {
            Ok(hash) => Some(hash),
            Err(_) => {
                verification.note(Finding::StoredHash { index });
                rows.get(found).filter(|row| row.index == index).map(|row| row.leaf)
            }
        };
        // Nothing is known of what stood here: the checkpoints to come will not agree.
        stored.push(hash.unwrap_or_else(Hash::empty_root));
    }
    verification.go_over(&stored, &rows);
    Ok(())
}

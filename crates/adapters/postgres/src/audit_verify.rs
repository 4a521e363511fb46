//! The whole log as it stands, read fast, for [`amrutam_audit::model::Verification`]. Rows are read as the server sends them: no
//! text is copied before it is hashed.

use crate::{
    audit_log::{hashes, idx, place},
    error::unreadable,
    pool::Postgres,
};
use amrutam_audit::model::{
    Checkpoint, EntryRef, Finding, Hash, NoteVerifier, Report, Row as LogRow, SignedNote, Tile, TileId, Tiles,
    Verification, WIDTH,
};
use amrutam_kernel::{AuditEntryId, Dependency, PortError};
use std::error::Error;
use tokio::sync::mpsc;
use tokio_postgres::{
    Client, Row,
    types::{FromSql, Type},
};
use uuid::Uuid;

/// Entries read at a time: whole tiles, and a statement of some 50 ms.
const PIECE: u64 = 64 * WIDTH;
/// Pieces read ahead.
const AHEAD: usize = 2;
/// Checkpoints read at a time.
const CHECKPOINTS: i64 = 2_000;
/// From 1970 to 2000, where PostgreSQL begins to count, in microseconds.
const EPOCH_US: i64 = 946_684_800_000_000;
/// In whose name the database's own checkpoints speak.
const OWN: &str = "the log's checkpoint";

const COLUMNS: &str = "SELECT idx, id, occurred_at, actor, actor_id, role, purpose, action, resource_kind, resource_id, patient_id, \
     outcome, correlation_id, origin, ruleset, break_glass FROM audit_log WHERE idx >= $1 AND idx < $2 ORDER BY idx";

/// Which part of the log; a part is held against the checkpoints in it and the first behind it.
#[derive(Debug, Clone, Copy, Default)]
pub struct AuditRange {
    /// The first place.
    pub from: u64,
    /// The one after the last; the end of what is sealed unless given.
    pub to: Option<u64>,
}

/// How far a verification is.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// The next place.
    pub at: u64,
    /// The one after the last.
    pub to: u64,
}

/// A column as it came.
struct Raw<'a>(&'a [u8]);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(raw))
    }
    fn accepts(_: &Type) -> bool {
        true
    }
}

fn away(error: &tokio_postgres::Error) -> PortError {
    PortError::unavailable(Dependency::Database, error)
}

fn number(raw: &[u8]) -> Result<i64, PortError> {
    Ok(i64::from_be_bytes(raw.try_into().map_err(unreadable)?))
}

/// An entry's place, id and hash.
fn hashed(row: &Row, scratch: &mut Vec<u8>) -> Result<LogRow, PortError> {
    let text = |at: usize| row.try_get::<_, Raw<'_>>(at).map(|raw| raw.0).map_err(unreadable);
    let may = |at: usize| row.try_get::<_, Option<Raw<'_>>>(at).map(|raw| raw.map(|raw| raw.0)).map_err(unreadable);
    let id: [u8; 16] = text(1)?.try_into().map_err(unreadable)?;
    let entry = EntryRef {
        id,
        occurred_at_us: number(text(2)?)?.checked_add(EPOCH_US).ok_or_else(|| unreadable("a time"))?,
        actor: text(3)?,
        actor_id: may(4)?,
        role: text(5)?,
        purpose: text(6)?,
        action: text(7)?,
        resource_kind: text(8)?,
        resource_id: text(9)?,
        patient_id: may(10)?,
        outcome: text(11)?,
        correlation_id: text(12)?,
        origin: may(13)?,
        ruleset: may(14)?,
        break_glass: text(15)? == [1],
    };
    let index = place(number(text(0)?)?)?;
    Ok(LogRow { index, id: AuditEntryId::from_uuid(Uuid::from_bytes(id)), leaf: entry.leaf(scratch) })
}

/// What stands in one piece of the log.
struct Piece {
    rows: Vec<Row>,
    tiles: Tiles,
}

struct Reader {
    client: Client,
}

impl Reader {
    async fn head(&self) -> Result<u64, PortError> {
        let row = self.client.query_one("SELECT size FROM audit_head", &[]).await.map_err(|error| away(&error))?;
        place(row.try_get(0).map_err(unreadable)?)
    }

    async fn tiles(&self, wanted: &[TileId]) -> Result<Tiles, PortError> {
        let mut found = Vec::new();
        for id in wanted {
            let sql = "SELECT hashes FROM audit_tiles WHERE level = $1 AND idx = $2";
            let (level, at) = (i16::from(id.level), idx(id.index)?);
            let row = self.client.query_opt(sql, &[&level, &at]).await.map_err(|error| away(&error))?;
            if let Some(row) = row {
                found.push(Tile { id: *id, hashes: hashes(row.try_get(0).map_err(unreadable)?)? });
            }
        }
        Ok(found.into_iter().collect())
    }

    async fn piece(&self, from: u64, to: u64) -> Result<Piece, PortError> {
        let sql = "SELECT idx, hashes FROM audit_tiles WHERE level = 0 AND idx >= $1 AND idx <= $2 ORDER BY idx";
        let (first, last) = (idx(from / WIDTH)?, idx(to.saturating_sub(1) / WIDTH)?);
        let rows = self.client.query(sql, &[&first, &last]).await.map_err(|error| away(&error))?;
        let tile = |row: &Row| {
            let index = place(row.try_get(0).map_err(unreadable)?)?;
            Ok::<_, PortError>(Tile {
                id: TileId { level: 0, index },
                hashes: hashes(row.try_get(1).map_err(unreadable)?)?,
            })
        };
        let tiles = rows.iter().map(tile).collect::<Result<_, _>>()?;
        let rows = self.client.query(COLUMNS, &[&idx(from)?, &idx(to)?]).await.map_err(|error| away(&error))?;
        Ok(Piece { rows, tiles })
    }

    async fn checkpoints(&self, after: u64) -> Result<Vec<(u64, String)>, PortError> {
        let sql = "SELECT size, note FROM audit_checkpoints WHERE size > $1 ORDER BY size LIMIT $2";
        let rows = self.client.query(sql, &[&idx(after)?, &CHECKPOINTS]).await.map_err(|error| away(&error))?;
        let read = |row: &Row| Ok((place(row.try_get(0).map_err(unreadable)?)?, row.try_get(1).map_err(unreadable)?));
        rows.iter().map(read).collect()
    }

    async fn retired(&self) -> Result<Vec<(u64, u64)>, PortError> {
        let sql = "SELECT lower(r), upper(r) FROM audit_retired, unnest(places) AS r ORDER BY 1";
        let rows = self.client.query(sql, &[]).await.map_err(|error| away(&error))?;
        let read =
            |row: &Row| Ok((place(row.try_get(0).map_err(unreadable)?)?, place(row.try_get(1).map_err(unreadable)?)?));
        rows.iter().map(read).collect()
    }

    async fn unsealed(&self, size: u64) -> Result<Vec<Finding>, PortError> {
        // A sealer needs two seconds; one that is away for long has its own alarm.
        let sql = "SELECT idx, id FROM audit_log WHERE idx >= $1 AND occurred_at < now() - interval '1 minute' ORDER BY idx LIMIT 100";
        let rows = self.client.query(sql, &[&idx(size)?]).await.map_err(|error| away(&error))?;
        let read = |row: &Row| {
            let (index, id) = (place(row.try_get(0).map_err(unreadable)?)?, row.try_get::<_, Raw<'_>>(1));
            let id = id.map_err(unreadable).and_then(|raw| raw.0.try_into().map_err(unreadable))?;
            Ok(Finding::Unsealed { index, id: AuditEntryId::from_uuid(Uuid::from_bytes(id)) })
        };
        rows.iter().map(read).collect()
    }
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
    ) -> Result<Report, PortError> {
        let reader = Reader { client: self.raw_client().await? };
        let size = reader.head().await?;
        let from = range.from.min(size);
        let to = range.to.unwrap_or(size).clamp(from, size);
        let tiles = reader.tiles(&Tiles::needs_for_root(from)).await?;
        let before = tiles.frontier(from).map_err(unreadable)?;
        let mut verification = Verification::from(before);
        let whole = to == size;
        for checkpoint in given.iter().filter(|checkpoint| whole || checkpoint.size <= to) {
            verification.expect(checkpoint, "a checkpoint from elsewhere");
        }
        let retired = reader.retired().await?;
        for finding in if whole { reader.unsealed(size).await? } else { Vec::new() } {
            verification.note(finding);
        }
        let mut line = Line { key, last: None, from_start: from == 0, read_to: from.saturating_sub(1) };
        let (pieces, mut read) = mpsc::channel(AHEAD);
        let reading = Reader { client: self.raw_client().await? };
        let task = tokio::spawn(async move {
            let mut at = from;
            while at < to {
                let next = ((at / PIECE + 1) * PIECE).min(to);
                let piece = reading.piece(at, next).await;
                at = next;
                // Whoever waits may be gone.
                if pieces.send((next, piece)).await.is_err() {
                    return;
                }
            }
        });
        let mut scratch = Vec::with_capacity(512);
        while let Some((next, piece)) = read.recv().await {
            while line.read_to < next {
                let found = reader.checkpoints(line.read_to).await?;
                if found.is_empty() {
                    break;
                }
                for (size, note) in found {
                    // Of a part's end, the first behind it is of no use: the entries up to it are not read.
                    if size <= to {
                        line.walk(&mut verification, size, &note);
                    } else {
                        line.read_to = u64::MAX;
                        break;
                    }
                }
            }
            go_over(&mut verification, next, &piece?, &retired, &mut scratch)?;
            progress(Progress { at: next, to });
        }
        task.await.map_err(|error| PortError::defect(Dependency::Database, error))?;
        if whole && size > 0 && line.last.as_ref().is_none_or(|last| last.size != size) {
            let problem = "the last one is missing".to_owned();
            verification.note(Finding::Checkpoint { size, problem });
        }
        Ok(verification.finish())
    }
}

/// One piece of the log. Where a stored hash is missing, the entry's own stands in for it.
fn go_over(
    verification: &mut Verification,
    to: u64,
    piece: &Piece,
    retired: &[(u64, u64)],
    scratch: &mut Vec<u8>,
) -> Result<(), PortError> {
    let from = verification.at();
    let mut rows = piece.rows.iter().map(|row| hashed(row, scratch)).collect::<Result<Vec<_>, _>>()?;
    let mut stored = Vec::with_capacity(usize::try_from(to - from).unwrap_or_default());
    let mut found = 0;
    for index in from..to {
        while rows.get(found).is_some_and(|row| row.index < index) {
            found += 1;
        }
        let node = amrutam_audit::model::proof::Node { level: 0, index };
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
    let is_retired = |index: u64| retired.iter().any(|(first, end)| (*first..*end).contains(&index));
    if retired.iter().any(|(first, end)| *first < to && from < *end) {
        let there: std::collections::HashSet<u64> = rows.iter().map(|row| row.index).collect();
        let gone = (from..to).zip(&stored).filter(|(index, _)| is_retired(*index) && !there.contains(index));
        let nobody = AuditEntryId::from_uuid(Uuid::nil());
        let gone: Vec<_> = gone.map(|(index, leaf)| LogRow { index, id: nobody, leaf: *leaf }).collect();
        rows.extend(gone);
        rows.sort_by_key(|row| row.index);
    }
    verification.go_over(&stored, &rows);
    Ok(())
}

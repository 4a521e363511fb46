//! The audit log as it stands, read fast for its verification: rows as the server sends them, of which no text is copied before it is
//! hashed.

use crate::{
    audit_log::{hashes, idx, place},
    effects::hex,
    error::unreadable,
};
use amrutam_audit::model::{
    Checkpoint, EntryRef, Finding, Hash, NoteVerifier, Row as LogRow, SignedNote, Tile, TileId, Tiles, WIDTH, proof,
};
use amrutam_kernel::{AuditEntryId, Dependency, PortError};
use std::{error::Error, ops::Range};
use tokio_postgres::{
    Client, Row,
    types::{FromSql, Type},
};
use uuid::Uuid;

/// Checkpoints read at a time.
const CHECKPOINTS: i64 = 2_000;
/// From 1970 to 2000, where PostgreSQL begins to count, in microseconds.
const EPOCH_US: i64 = 946_684_800_000_000;

const COLUMNS: &str = "SELECT idx, id, occurred_at, actor, actor_id, role, purpose, action, resource_kind, resource_id, patient_id, \
     outcome, correlation_id, origin, ruleset, break_glass FROM audit_log";

/// How far the log says it is.
pub(crate) struct LogHead {
    /// Sealed entries.
    pub(crate) size: u64,
    /// The size of the largest checkpoint; 0 when there is none.
    pub(crate) seen: u64,
}

/// A month that is called retired.
pub(crate) struct RetiredMonth {
    /// `2019-03`.
    pub(crate) month: String,
    /// As the database writes it: `{[0,5),[7,9)}`.
    places: String,
}

impl RetiredMonth {
    /// What the entry that tells of it names: the month, and exactly these places (`retire_audit_month`).
    fn named(&self) -> String {
        format!("{}-{}", self.month, hex(&Hash::of(self.places.as_bytes()).0))
    }

    fn places(&self) -> Option<Vec<Range<u64>>> {
        let places = self.places.strip_prefix('{')?.strip_suffix('}')?;
        let range = |text: &str| {
            let (from, to) = text.trim_start_matches('[').trim_end_matches(')').split_once(',')?;
            Some(from.parse().ok()?..to.parse().ok()?)
        };
        if places.is_empty() { Some(Vec::new()) } else { places.split("),[").map(range).collect() }
    }
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
pub(crate) fn hashed(row: &Row, scratch: &mut Vec<u8>) -> Result<LogRow, PortError> {
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
pub(crate) struct Piece {
    pub(crate) rows: Vec<Row>,
    pub(crate) tiles: Tiles,
}

pub(crate) struct Reader {
    pub(crate) client: Client,
}

impl Reader {
    /// Of one snapshot: a sealer may be at work.
    pub(crate) async fn head(&self) -> Result<LogHead, PortError> {
        let sql = "SELECT size, coalesce((SELECT max(size) FROM audit_checkpoints), 0) FROM audit_head";
        let row = self.client.query_one(sql, &[]).await.map_err(|error| away(&error))?;
        let number = |at: usize| row.try_get::<_, i64>(at).map_err(unreadable).and_then(place);
        Ok(LogHead { size: number(0)?, seen: number(1)? })
    }

    /// The size of the first checkpoint of at least so many entries.
    pub(crate) async fn next_checkpoint(&self, size: u64) -> Result<Option<u64>, PortError> {
        let sql = "SELECT size FROM audit_checkpoints WHERE size >= $1 ORDER BY size LIMIT 1";
        let row = self.client.query_opt(sql, &[&idx(size)?]).await.map_err(|error| away(&error))?;
        row.map(|row| row.try_get(0).map_err(unreadable).and_then(place)).transpose()
    }

    pub(crate) async fn tiles(&self, wanted: &[TileId]) -> Result<Tiles, PortError> {
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

    pub(crate) async fn piece(&self, from: u64, to: u64) -> Result<Piece, PortError> {
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
        let rows = self
            .client
            .query(&format!("{COLUMNS} WHERE idx >= $1 AND idx < $2 ORDER BY idx"), &[&idx(from)?, &idx(to)?])
            .await
            .map_err(|error| away(&error))?;
        Ok(Piece { rows, tiles })
    }

    pub(crate) async fn checkpoints(&self, after: u64) -> Result<Vec<(u64, String)>, PortError> {
        let sql = "SELECT size, note FROM audit_checkpoints WHERE size > $1 ORDER BY size LIMIT $2";
        let rows = self.client.query(sql, &[&idx(after)?, &CHECKPOINTS]).await.map_err(|error| away(&error))?;
        let read = |row: &Row| Ok((place(row.try_get(0).map_err(unreadable)?)?, row.try_get(1).map_err(unreadable)?));
        rows.iter().map(read).collect()
    }

    /// The months that are called retired, and of each the places, if a sealed entry says so.
    pub(crate) async fn retired(
        &self,
        key: &NoteVerifier,
        size: u64,
    ) -> Result<Vec<(RetiredMonth, Option<Vec<Range<u64>>>)>, PortError> {
        let sql = "SELECT to_char(month, 'YYYY-MM'), places::text FROM audit_retired ORDER BY month";
        let rows = self.client.query(sql, &[]).await.map_err(|error| away(&error))?;
        let told = if rows.is_empty() { Vec::new() } else { self.retirements(key, size).await? };
        let read = |row: &Row| {
            let (month, places) = (row.try_get(0).map_err(unreadable)?, row.try_get(1).map_err(unreadable)?);
            let retired = RetiredMonth { month, places };
            let places = retired.places().filter(|_| told.contains(&retired.named()));
            Ok((retired, places))
        };
        rows.iter().map(read).collect()
    }

    /// What the entries of retirements name that are proven to be in the log of the last checkpoint.
    async fn retirements(&self, key: &NoteVerifier, size: u64) -> Result<Vec<String>, PortError> {
        let sql = "SELECT note FROM audit_checkpoints WHERE size = $1";
        let note = self.client.query_opt(sql, &[&idx(size)?]).await.map_err(|error| away(&error))?;
        let note = note.map(|row| row.try_get::<_, String>(0).map_err(unreadable)).transpose()?;
        let note = note.and_then(|note| note.parse::<SignedNote>().ok()).filter(|note| key.check(note).is_ok());
        let Some(checkpoint) = note.and_then(|note| Checkpoint::of(&note).ok()) else { return Ok(Vec::new()) };
        let sql = format!("{COLUMNS} WHERE action = 'audit.retire' AND outcome = 'allowed' ORDER BY idx");
        let rows = self.client.query(&sql, &[]).await.map_err(|error| away(&error))?;
        let (mut told, mut scratch) = (Vec::new(), Vec::new());
        for row in &rows {
            let LogRow { index, leaf, .. } = hashed(row, &mut scratch)?;
            let Ok(parts) = proof::inclusion(index, checkpoint.size) else { continue };
            let Ok(proof) = self.tiles(&Tiles::needs(&parts)).await?.prove(&parts) else { continue };
            if proof::verify_inclusion(index, checkpoint.size, &leaf, &checkpoint.root, &proof).is_ok() {
                told.push(row.try_get(9).map_err(unreadable)?);
            }
        }
        Ok(told)
    }

    pub(crate) async fn unsealed(&self, size: u64) -> Result<Vec<Finding>, PortError> {
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

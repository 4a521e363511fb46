//! The audit trail's intake and log, for its sealer and its witnesses.

use crate::{
    effects::hex,
    error::{Optional, unreadable},
    functions,
    json::Json,
    pool::{Postgres, bounded},
    schema::{audit_checkpoints, audit_head, audit_log, audit_tiles},
};
use amrutam_audit::{
    model::{Entry, Hash, NoteSignature, Placed, SignedNote, Tile, TileId},
    ports::{Cosignatures, Head, Intake, LogStore, Seal, Taken, Written},
};
use amrutam_kernel::{AccountId, AuditEntryId, PortError};
use async_trait::async_trait;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// An entry of the log as it stands.
#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = crate::schema::audit_log)]
pub(crate) struct PlacedRow {
    idx: i64,
    id: Uuid,
    #[diesel(deserialize_as = jiff_diesel::Timestamp)]
    occurred_at: Timestamp,
    actor: String,
    actor_id: Option<Uuid>,
    role: String,
    purpose: String,
    action: String,
    resource_kind: String,
    resource_id: String,
    patient_id: Option<Uuid>,
    outcome: String,
    correlation_id: String,
    origin: Option<String>,
    ruleset: Option<String>,
    break_glass: bool,
}

impl TryFrom<PlacedRow> for Placed {
    type Error = PortError;
    fn try_from(row: PlacedRow) -> Result<Self, PortError> {
        Ok(Self {
            index: place(row.idx)?,
            entry: Entry {
                id: AuditEntryId::from_uuid(row.id),
                occurred_at: row.occurred_at,
                actor: row.actor,
                actor_id: row.actor_id.map(AccountId::from_uuid),
                role: row.role,
                purpose: row.purpose,
                action: row.action,
                resource_kind: row.resource_kind,
                resource_id: row.resource_id,
                patient_id: row.patient_id.map(AccountId::from_uuid),
                outcome: row.outcome,
                correlation_id: row.correlation_id,
                origin: row.origin,
                ruleset: row.ruleset,
                break_glass: row.break_glass,
            },
        })
    }
}

/// A place as the domain counts.
pub(crate) fn place(idx: i64) -> Result<u64, PortError> {
    u64::try_from(idx).map_err(unreadable)
}

/// A place as the database counts.
pub(crate) fn idx(place: u64) -> Result<i64, PortError> {
    i64::try_from(place).map_err(unreadable)
}

/// The hashes of a tile.
pub(crate) fn hashes(bytes: &[u8]) -> Result<Vec<Hash>, PortError> {
    bytes.chunks(Hash::LEN).map(|bytes| Hash::from_bytes(bytes).map_err(unreadable)).collect()
}

#[derive(Debug, Deserialize)]
struct TakenRow {
    mark: String,
    entry: Entry,
}

#[async_trait]
impl Intake for Postgres {
    async fn take(&self, most: u16) -> Result<Taken, PortError> {
        let query = diesel::select(functions::take_audit_intake(i32::from(most)));
        let mut conn = self.connection().await?;
        let result = bounded(conn.limit(), query.load::<Json<TakenRow>>(conn.raw()?)).await;
        let mut taken = Taken::default();
        for Json(row) in conn.settle(result)? {
            taken.mark = Some(row.mark);
            taken.entries.push(row.entry);
        }
        Ok(taken)
    }

    async fn forget(&self, mark: &str, sealed: u64) -> Result<(), PortError> {
        let _gone: i64 = self.ask(diesel::select(functions::forget_audit_intake(mark, idx(sealed)?))).await?;
        Ok(())
    }
}

#[derive(Debug, Serialize)]
struct TileRow {
    level: u8,
    idx: u64,
    hashes: String,
}

impl From<&Tile> for TileRow {
    fn from(tile: &Tile) -> Self {
        let bytes: Vec<u8> = tile.hashes.iter().flat_map(|hash| hash.0).collect();
        Self { level: tile.id.level, idx: tile.id.index, hashes: hex(&bytes) }
    }
}

fn written(stored: bool) -> Written {
    if stored { Written::Stored } else { Written::Superseded }
}

#[async_trait]
impl LogStore for Postgres {
    async fn begin(&self) -> Result<i64, PortError> {
        Ok(self.ask(diesel::select(functions::begin_audit_epoch())).await?)
    }

    async fn head(&self) -> Result<Head, PortError> {
        let query = audit_head::table
            .left_join(audit_checkpoints::table.on(audit_checkpoints::size.eq(audit_head::size)))
            .select((audit_head::size, audit_checkpoints::note.nullable()));
        let mut conn = self.connection().await?;
        let result = bounded(conn.limit(), query.first::<(i64, Option<String>)>(conn.raw()?)).await;
        let Some((size, note)) = conn.settle(result.optional())? else { return Ok(Head::default()) };
        let note = note.map(|note| note.parse::<SignedNote>()).transpose().map_err(unreadable)?;
        Ok(Head { size: place(size)?, note })
    }

    async fn append(&self, epoch: i64, entries: &[Entry]) -> Result<Written, PortError> {
        let entries = entries.to_vec();
        Ok(written(self.ask(diesel::select(functions::append_audit(epoch, Json(entries)))).await?))
    }

    async fn entries(&self, from: u64, most: u32) -> Result<Vec<Placed>, PortError> {
        let query = audit_log::table
            .filter(audit_log::idx.ge(idx(from)?))
            .order(audit_log::idx.asc())
            .limit(i64::from(most))
            .select(PlacedRow::as_select());
        let mut conn = self.connection().await?;
        let result = bounded(conn.limit(), query.load::<PlacedRow>(conn.raw()?)).await;
        conn.settle(result)?.into_iter().map(Placed::try_from).collect()
    }

    async fn seal(&self, epoch: i64, seal: &Seal) -> Result<Written, PortError> {
        let tiles: Vec<_> = seal.tiles.iter().map(TileRow::from).collect();
        let (from, size) = (idx(seal.from)?, idx(seal.size)?);
        let query = functions::seal_audit(epoch, from, size, Json(tiles), seal.note.to_string());
        Ok(written(self.ask(diesel::select(query)).await?))
    }

    async fn tiles(&self, wanted: &[TileId]) -> Result<Vec<Tile>, PortError> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let mut query =
            audit_tiles::table.select((audit_tiles::level, audit_tiles::idx, audit_tiles::hashes)).into_boxed();
        for id in wanted {
            query =
                query.or_filter(audit_tiles::level.eq(i16::from(id.level)).and(audit_tiles::idx.eq(idx(id.index)?)));
        }
        let mut conn = self.connection().await?;
        let result = bounded(conn.limit(), query.load::<(i16, i64, Vec<u8>)>(conn.raw()?)).await;
        let tile = |(level, index, bytes): (i16, i64, Vec<u8>)| {
            let id = TileId { level: u8::try_from(level).map_err(unreadable)?, index: place(index)? };
            Ok(Tile { id, hashes: hashes(&bytes)? })
        };
        conn.settle(result)?.into_iter().map(tile).collect()
    }
}

#[async_trait]
impl Cosignatures for Postgres {
    async fn add(&self, size: u64, signature: &NoteSignature) -> Result<(), PortError> {
        let line = signature.to_string();
        let query = functions::add_audit_cosignature(idx(size)?, signature.name.as_str(), line.as_str());
        let _new: bool = self.ask(diesel::select(query)).await?;
        Ok(())
    }
}

impl Postgres {
    /// How many entries wait to be sealed, and for how many seconds the oldest has.
    pub async fn audit_waiting(&self) -> Result<(i64, f64), PortError> {
        #[derive(QueryableByName)]
        struct Waiting {
            #[diesel(sql_type = diesel::sql_types::BigInt)]
            entries: i64,
            #[diesel(sql_type = diesel::sql_types::Double)]
            seconds: f64,
        }
        // The oldest is at the left edge of the primary key; counting reads the whole intake, which is short.
        let query = diesel::sql_query(
            "SELECT (SELECT count(*) FROM audit_intake) AS entries,
                    coalesce((SELECT extract(epoch FROM now() - (entry ->> 'occurred_at')::timestamptz)::float8
                                FROM audit_intake ORDER BY xid, seq LIMIT 1), 0) AS seconds",
        );
        let mut conn = self.connection().await?;
        let result = bounded(conn.limit(), query.get_result::<Waiting>(conn.raw()?)).await;
        let waiting = conn.settle(result)?;
        Ok((waiting.entries, waiting.seconds.max(0.0)))
    }
}

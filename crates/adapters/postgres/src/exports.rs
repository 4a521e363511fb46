//! Copies of what is held of people, and their archives: sealed in pieces on their way in, opened on their way out.

use crate::{
    booking::RecordedRow,
    effects::{EffectRows, hex, verdict},
    error::unreadable,
    functions,
    json::Json,
    pool::{Postgres, bounded},
    schema::{export_chunks, exports},
    vault::{Unopened, Vault},
};
use amrutam_kernel::{
    AccountId, CommitError, Effects, ExportId, IdempotencyClaim, MAX_SEALED_PLAIN, PortError, SealPlace, Sensitive,
    Unrecorded, recorded,
};
use amrutam_privacy::{
    model::{ARCHIVE_LIVES, Export, ExportState, PREPARING_LIVES},
    ports::{Archive, ArchiveChange, ExportChanges, ExportSnapshot, ExportStore},
};
use async_trait::async_trait;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use jiff::Timestamp;
use jiff_diesel::ToDiesel;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The store of exports. Cheap to clone.
#[derive(Clone)]
pub struct Exports {
    db: Postgres,
    vault: Vault,
}

impl Exports {
    /// Over that pool.
    pub fn new(db: Postgres, vault: Vault) -> Self {
        Self { db, vault }
    }

    async fn sealed(&self, export: &Export, bytes: &[u8]) -> Result<Vec<Vec<u8>>, PortError> {
        let mut chunks = Vec::new();
        for (n, piece) in (1..).zip(bytes.chunks(MAX_SEALED_PLAIN)) {
            chunks.push(self.vault.seal_bytes(&place(export, n), piece).await?);
        }
        Ok(chunks)
    }
}

/// Of a piece; its number is bound like a version, so that none takes another's place.
fn place(export: &Export, n: i64) -> SealPlace<'static> {
    let row = export.id.as_uuid();
    SealPlace { schema: "phi", table: "export_chunks", column: "sealed", row, owner: export.account, version: n }
}

#[derive(Debug, Queryable, Selectable, Deserialize)]
#[diesel(table_name = crate::schema::exports)]
struct ExportRow {
    id: Uuid,
    account_id: Uuid,
    #[diesel(deserialize_as = jiff_diesel::Timestamp)]
    requested_at: Timestamp,
    state: String,
    failure: Option<String>,
    bytes: Option<i64>,
    #[serde(deserialize_with = "from_bytea")]
    sha256: Option<Vec<u8>>,
    #[diesel(deserialize_as = jiff_diesel::Timestamp)]
    changed_at: Timestamp,
    version: i64,
}

/// As `to_jsonb` writes it.
fn from_bytea<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<u8>>, D::Error> {
    let bytes: Option<crate::clinical_rows::Bytes> = Deserialize::deserialize(deserializer)?;
    Ok(bytes.map(|bytes| bytes.0))
}

impl TryFrom<ExportRow> for Export {
    type Error = PortError;
    fn try_from(row: ExportRow) -> Result<Self, PortError> {
        let state = match (&*row.state, row.failure, row.bytes, row.sha256) {
            ("preparing", None, None, None) => ExportState::Preparing,
            ("ready", None, Some(bytes), Some(sha256)) => ExportState::Ready {
                bytes: bytes.try_into().map_err(unreadable)?,
                sha256: sha256.try_into().map_err(|_| unreadable("a digest has 32 bytes"))?,
            },
            ("downloaded", None, None, None) => ExportState::Downloaded,
            ("expired", None, None, None) => ExportState::Expired,
            ("failed", Some(word), None, None) => ExportState::Failed(word.parse().map_err(unreadable)?),
            _ => return Err(unreadable("an export's state is none there is")),
        };
        Ok(Self {
            id: ExportId::from_uuid(row.id),
            account: AccountId::from_uuid(row.account_id),
            requested_at: row.requested_at,
            state,
            changed_at: row.changed_at,
            version: row.version,
        })
    }
}

/// As `put_export` takes it.
#[derive(Debug, Serialize)]
struct NewExportRow {
    id: ExportId,
    account_id: AccountId,
    requested_at: Timestamp,
    state: &'static str,
    failure: Option<&'static str>,
    bytes: Option<u64>,
    sha256: Option<String>,
    changed_at: Timestamp,
    version: i64,
}

impl From<&Export> for NewExportRow {
    fn from(export: &Export) -> Self {
        let (bytes, sha256, failure) = match export.state {
            ExportState::Ready { bytes, sha256 } => (Some(bytes), Some(hex(&sha256)), None),
            ExportState::Failed(reason) => (None, None, Some(reason.as_str())),
            ExportState::Preparing | ExportState::Downloaded | ExportState::Expired => (None, None, None),
        };
        Self {
            id: export.id,
            account_id: export.account,
            requested_at: export.requested_at,
            state: export.state.as_str(),
            failure,
            bytes,
            sha256,
            changed_at: export.changed_at,
            version: export.version,
        }
    }
}

#[derive(Debug, Deserialize)]
struct SnapshotRow {
    open: Option<ExportRow>,
    recorded: Option<RecordedRow>,
}

#[async_trait]
impl ExportStore for Exports {
    async fn snapshot(
        &self,
        account: AccountId,
        claim: Option<&IdempotencyClaim>,
    ) -> Result<ExportSnapshot, PortError> {
        let key = claim.map(|claim| claim.key.as_str());
        let query = diesel::select(functions::export_snapshot(account.as_uuid(), key));
        let Json(row): Json<SnapshotRow> = self.db.ask(query).await?;
        let recorded = row.recorded.zip(claim).map(|(row, claim)| row.against(claim)).transpose()?;
        Ok(ExportSnapshot { open: row.open.map(Export::try_from).transpose()?, recorded })
    }

    async fn find(&self, id: ExportId) -> Result<Option<Export>, PortError> {
        let query = exports::table.find(id.as_uuid()).select(ExportRow::as_select());
        let mut conn = self.db.connection().await?;
        let result = bounded(conn.limit(), query.load::<ExportRow>(conn.raw()?)).await;
        conn.settle(result)?.pop().map(Export::try_from).transpose()
    }

    async fn archive(&self, export: &Export) -> Result<Option<Unrecorded<Archive>>, PortError> {
        let query = export_chunks::table
            .filter(export_chunks::export_id.eq(export.id.as_uuid()))
            .order(export_chunks::n.asc())
            .select((export_chunks::n, export_chunks::sealed));
        let mut conn = self.db.connection().await?;
        let result = bounded(conn.limit(), query.load::<(i32, Vec<u8>)>(conn.raw()?)).await;
        let chunks = conn.settle(result)?;
        let ExportState::Ready { bytes: expected, .. } = export.state else { return Ok(None) };
        let mut bytes = Vec::new();
        for (n, sealed) in chunks {
            match self.vault.open(&place(export, i64::from(n)), &sealed).await {
                Ok(piece) => bytes.extend_from_slice(&piece),
                Err(Unopened::Erased) => return Ok(None),
                Err(Unopened::Port(error)) => return Err(error),
            }
        }
        // Given away meanwhile; a piece that was taken out is refused as well.
        let whole = u64::try_from(bytes.len()).is_ok_and(|length| length == expected);
        if bytes.is_empty() {
            Ok(None)
        } else if whole {
            Ok(Some(Unrecorded::new(Archive { export: export.id, bytes: Sensitive::new(bytes) })))
        } else {
            Err(unreadable("an archive is not whole"))
        }
    }

    async fn due(&self, now: Timestamp, most: u16) -> Result<Vec<Export>, PortError> {
        let before = |lives| now.checked_sub(lives).unwrap_or(Timestamp::MIN).to_diesel();
        let preparing =
            BoolExpressionMethods::and(exports::state.eq("preparing"), exports::changed_at.le(before(PREPARING_LIVES)));
        let ready =
            BoolExpressionMethods::and(exports::state.eq("ready"), exports::changed_at.le(before(ARCHIVE_LIVES)));
        let query = exports::table
            .filter(BoolExpressionMethods::or(preparing, ready))
            .order(exports::changed_at.asc())
            .limit(i64::from(most))
            .select(ExportRow::as_select());
        let mut conn = self.db.connection().await?;
        let result = bounded(conn.limit(), query.load::<ExportRow>(conn.raw()?)).await;
        conn.settle(result)?.into_iter().map(Export::try_from).collect()
    }

    async fn commit(&self, changes: &ExportChanges) -> Result<(), CommitError> {
        let (chunks, discard) = match &changes.archive {
            ArchiveChange::Stays => (Vec::new(), false),
            ArchiveChange::Discard => (Vec::new(), true),
            ArchiveChange::Put(bytes) => (self.sealed(&changes.export, bytes.expose()).await?, false),
        };
        let effects = Json(EffectRows::of(&[&changes.effects]));
        let query = functions::put_export(Json(NewExportRow::from(&changes.export)), chunks, discard, effects);
        let word: String = self.db.ask(diesel::select(query)).await?;
        verdict(&word)
    }

    async fn put_on_record(&self, effects: &Effects) -> Result<(), PortError> {
        recorded(self.db.commit_effects(effects).await)
    }
}

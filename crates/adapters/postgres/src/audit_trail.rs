//! The audit trail for those who look things up in it.

use crate::{
    audit_log::{PlacedRow, idx, place},
    effects::EffectRows,
    error::{Optional, unreadable},
    functions::{object_to_audit_entry, uuid_v7_time},
    json::Json,
    pool::{Postgres, bounded},
    schema::{audit_checkpoints, audit_cosignatures, audit_head, audit_log},
};
use amrutam_audit::{
    model::{Checkpoint, Placed, SignedNote},
    ports::{ByTime, EntryFilter, Objections, TrailReader, Witnessed},
};
use amrutam_kernel::{AccountId, AuditEntryId, Effects, Page, PageRequest, PortError};
use async_trait::async_trait;
use diesel::{dsl::IntervalDsl, prelude::*};
use diesel_async::RunQueryDsl;
use jiff_diesel::ToDiesel;
use std::collections::HashMap;

#[async_trait]
impl TrailReader for Postgres {
    async fn search(&self, filter: &EntryFilter, page: PageRequest<ByTime>) -> Result<Page<Placed, ByTime>, PortError> {
        // What lies behind the last checkpoint is not shown yet: it has no proof.
        let sealed = audit_head::table.select(audit_head::size).single_value();
        let mut query = audit_log::table.filter(audit_log::idx.nullable().lt(sealed)).into_boxed();
        if let Some(actor) = filter.actor {
            query = query.filter(audit_log::actor_id.eq(actor.as_uuid()));
        }
        if let Some(patient) = filter.patient {
            query = query.filter(audit_log::patient_id.eq(patient.as_uuid()));
        }
        if let Some((kind, id)) = &filter.resource {
            query = query.filter(audit_log::resource_kind.eq(kind)).filter(audit_log::resource_id.eq(id));
        }
        if let Some(action) = &filter.action {
            query = query.filter(audit_log::action.eq(action));
        }
        if let Some(flow) = &filter.correlation_id {
            query = query.filter(audit_log::correlation_id.eq(flow));
        }
        if let Some(from) = filter.from {
            query = query.filter(audit_log::occurred_at.ge(from.to_diesel()));
        }
        if let Some(to) = filter.to {
            query = query.filter(audit_log::occurred_at.lt(to.to_diesel()));
        }
        if let Some((at, id)) = page.after {
            let at = at.to_diesel();
            // Says nothing new, but bounds the scan of an index: an OR can't.
            query = query.filter(audit_log::occurred_at.le(at)).filter(
                audit_log::occurred_at.lt(at).or(audit_log::occurred_at.eq(at).and(audit_log::id.lt(id.as_uuid()))),
            );
        }
        let query = query
            .order((audit_log::occurred_at.desc(), audit_log::id.desc()))
            .limit(i64::from(page.limit.get()) + 1)
            .select(PlacedRow::as_select());
        let mut conn = self.connection().await?;
        let result = bounded(conn.limit(), query.load::<PlacedRow>(conn.raw()?)).await;
        let found = conn.settle(result)?.into_iter().map(Placed::try_from).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::cut(found, page.limit, |last| (last.entry.occurred_at, last.entry.id)))
    }

    async fn entry(&self, id: AuditEntryId) -> Result<Option<Placed>, PortError> {
        let sealed = audit_head::table.select(audit_head::size).single_value();
        let born = uuid_v7_time(id.as_uuid());
        let query = audit_log::table
            .filter(audit_log::id.eq(id.as_uuid()))
            .filter(audit_log::occurred_at.ge(born))
            .filter(audit_log::occurred_at.lt(uuid_v7_time(id.as_uuid()) + 1.millisecond()))
            .filter(audit_log::idx.nullable().lt(sealed))
            .select(PlacedRow::as_select());
        let mut conn = self.connection().await?;
        let result = bounded(conn.limit(), query.first::<PlacedRow>(conn.raw()?)).await;
        conn.settle(result.optional())?.map(Placed::try_from).transpose()
    }

    async fn checkpoints(&self, before: Option<u64>, limit: u16) -> Result<Vec<Witnessed>, PortError> {
        let before = before.map_or(Ok(i64::MAX), idx)?;
        let query = audit_checkpoints::table
            .filter(audit_checkpoints::size.lt(before))
            .order(audit_checkpoints::size.desc())
            .limit(i64::from(limit))
            .select((audit_checkpoints::size, audit_checkpoints::note));
        let mut conn = self.connection().await?;
        let result = bounded(conn.limit(), query.load::<(i64, String)>(conn.raw()?)).await;
        let notes = conn.settle(result)?;
        let sizes: Vec<i64> = notes.iter().map(|(size, _)| *size).collect();
        let query = audit_cosignatures::table
            .filter(audit_cosignatures::size.eq_any(sizes))
            .order((audit_cosignatures::size, audit_cosignatures::witness))
            .select((audit_cosignatures::size, audit_cosignatures::line));
        let mut conn = self.connection().await?;
        let result = bounded(conn.limit(), query.load::<(i64, String)>(conn.raw()?)).await;
        let mut lines: HashMap<i64, Vec<String>> = HashMap::new();
        for (size, line) in conn.settle(result)? {
            lines.entry(size).or_default().push(line);
        }
        let witnessed = |(size, note): (i64, String)| {
            let mut note: SignedNote = note.parse().map_err(unreadable)?;
            for line in lines.remove(&size).unwrap_or_default() {
                note.signatures.push(line.parse().map_err(unreadable)?);
            }
            let checkpoint = Checkpoint::of(&note).map_err(unreadable)?;
            if checkpoint.size != place(size)? {
                return Err(unreadable("a checkpoint of another size"));
            }
            Ok(Witnessed { checkpoint, note })
        };
        notes.into_iter().map(witnessed).collect()
    }
}

#[async_trait]
impl Objections for Postgres {
    async fn object(&self, entry: AuditEntryId, by: AccountId, effects: &Effects) -> Result<bool, PortError> {
        let effects = Json(EffectRows::of(&[effects]));
        Ok(self.ask(diesel::select(object_to_audit_entry(entry.as_uuid(), by.as_uuid(), effects))).await?)
    }
}

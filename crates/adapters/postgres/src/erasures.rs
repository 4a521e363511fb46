//! Erasures, and what keeps a record.

use crate::{
    effects::{EffectRows, verdict},
    error::{Optional, unreadable},
    functions,
    json::Json,
    pool::{Postgres, bounded},
    schema::erasures,
};
use amrutam_kernel::{AccountId, CommitError, ConsultationId, Effects, PortError, SessionId, recorded};
use amrutam_keys::ports::{Retention, Standing};
use amrutam_privacy::{
    model::{Erasure, ErasureState, Facts, HoldReference, LegalHold, Line, LiveVisit},
    ports::{ErasureChanges, ErasureStore, HoldOutcome},
};
use async_trait::async_trait;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use jiff::Timestamp;
use jiff_diesel::ToDiesel;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = crate::schema::erasures)]
struct ErasureRow {
    account_id: Uuid,
    #[diesel(deserialize_as = jiff_diesel::Timestamp)]
    erased_at: Timestamp,
    #[diesel(deserialize_as = jiff_diesel::NullableTimestamp)]
    last_visit: Option<Timestamp>,
    #[diesel(deserialize_as = jiff_diesel::Timestamp)]
    keep_until: Timestamp,
    rules: String,
    report: Json<Vec<Line>>,
    state: String,
    #[diesel(deserialize_as = jiff_diesel::NullableTimestamp)]
    destroyed_at: Option<Timestamp>,
}

impl TryFrom<ErasureRow> for Erasure {
    type Error = PortError;
    fn try_from(row: ErasureRow) -> Result<Self, PortError> {
        let state = match (&*row.state, row.destroyed_at) {
            ("locked", None) => ErasureState::Locked,
            ("destroying", None) => ErasureState::Destroying,
            ("destroyed", Some(at)) => ErasureState::Destroyed { at },
            _ => return Err(unreadable("an erasure's state is none there is")),
        };
        Ok(Self {
            account: AccountId::from_uuid(row.account_id),
            erased_at: row.erased_at,
            last_visit: row.last_visit,
            keep_until: row.keep_until,
            rules: row.rules,
            report: row.report.0,
            state,
        })
    }
}

/// As `commit_erasure` takes it.
#[derive(Debug, Serialize)]
struct Change<'a> {
    erasure: NewErasureRow<'a>,
    account_version: i64,
    calendar_version: i64,
    forgets_unheld: bool,
    effects: EffectRows<'a>,
}

#[derive(Debug, Serialize)]
struct NewErasureRow<'a> {
    account_id: AccountId,
    erased_at: Timestamp,
    last_visit: Option<Timestamp>,
    keep_until: Timestamp,
    rules: &'a str,
    report: &'a [Line],
    state: &'static str,
}

#[derive(Debug, Deserialize)]
struct FactsRow {
    account_version: i64,
    calendar_version: i64,
    live: Vec<LiveRow>,
    last_visit: Option<Timestamp>,
    on_hold: bool,
}

#[derive(Debug, Deserialize)]
struct LiveRow {
    id: ConsultationId,
    starts_at: Timestamp,
    ends_at: Timestamp,
    begun: bool,
}

#[derive(Debug, Serialize)]
struct HoldRow<'a> {
    account_id: AccountId,
    reference: &'a str,
    placed_at: Timestamp,
}

fn outcome(word: &str) -> Result<HoldOutcome, PortError> {
    match word {
        "ok" => Ok(HoldOutcome::Done),
        "unknown" => Ok(HoldOutcome::Unknown),
        "too_late" => Ok(HoldOutcome::TooLate),
        other => Err(unreadable(other)),
    }
}

#[async_trait]
impl ErasureStore for Postgres {
    async fn facts(&self, account: AccountId) -> Result<Option<Facts>, PortError> {
        let query = diesel::select(functions::erasure_facts(account.as_uuid()));
        let found: Option<Json<FactsRow>> = self.ask(query).await?;
        Ok(found.map(|Json(row)| Facts {
            account,
            account_version: row.account_version,
            calendar_version: row.calendar_version,
            live: row
                .live
                .into_iter()
                .map(|LiveRow { id, starts_at, ends_at, begun }| LiveVisit { id, starts_at, ends_at, begun })
                .collect(),
            last_visit: row.last_visit,
            on_hold: row.on_hold,
        }))
    }

    async fn erase(&self, changes: &ErasureChanges) -> Result<Vec<SessionId>, CommitError> {
        let erasure = &changes.erasure;
        let change = Change {
            erasure: NewErasureRow {
                account_id: erasure.account,
                erased_at: erasure.erased_at,
                last_visit: erasure.last_visit,
                keep_until: erasure.keep_until,
                rules: &erasure.rules,
                report: &erasure.report,
                state: erasure.state.as_str(),
            },
            account_version: changes.account_version,
            calendar_version: changes.calendar_version,
            forgets_unheld: erasure.forgets_unheld(),
            effects: EffectRows::of(&[&changes.effects]),
        };
        let ended: Option<Vec<Uuid>> = self.ask(diesel::select(functions::commit_erasure(Json(change)))).await?;
        Ok(ended.ok_or(CommitError::Stale)?.into_iter().map(SessionId::from_uuid).collect())
    }

    async fn find(&self, account: AccountId) -> Result<Option<Erasure>, PortError> {
        let query = erasures::table.find(account.as_uuid()).select(ErasureRow::as_select());
        let mut conn = self.connection().await?;
        let result = bounded(conn.limit(), query.first::<ErasureRow>(conn.raw()?)).await;
        conn.settle(result.optional())?.map(Erasure::try_from).transpose()
    }

    async fn due(&self, now: Timestamp, most: u16) -> Result<Vec<AccountId>, PortError> {
        let query = diesel::select(functions::erasures_due_at(now.to_diesel(), i32::from(most)));
        let due: Vec<Uuid> = self.ask(query).await?;
        Ok(due.into_iter().map(AccountId::from_uuid).collect())
    }

    async fn begin_destruction(&self, account: AccountId, now: Timestamp) -> Result<Option<Vec<AccountId>>, PortError> {
        let query = diesel::select(functions::begin_destruction(account.as_uuid(), now.to_diesel()));
        let owners: Option<Vec<Uuid>> = self.ask(query).await?;
        Ok(owners.map(|owners| owners.into_iter().map(AccountId::from_uuid).collect()))
    }

    async fn finish_destruction(
        &self,
        account: AccountId,
        at: Timestamp,
        effects: &Effects,
    ) -> Result<(), CommitError> {
        let effects = Json(EffectRows::of(&[effects]));
        let query = diesel::select(functions::finish_destruction(account.as_uuid(), at.to_diesel(), effects));
        let word: String = self.ask(query).await?;
        verdict(&word)
    }

    async fn place_hold(&self, hold: &LegalHold, effects: &Effects) -> Result<HoldOutcome, PortError> {
        let row = HoldRow { account_id: hold.account, reference: hold.reference.as_str(), placed_at: hold.placed_at };
        let effects = Json(EffectRows::of(&[effects]));
        let word: String = self.ask(diesel::select(functions::place_hold(Json(row), effects))).await?;
        outcome(&word)
    }

    async fn lift_hold(
        &self,
        account: AccountId,
        reference: &HoldReference,
        at: Timestamp,
        effects: &Effects,
    ) -> Result<HoldOutcome, PortError> {
        let effects = Json(EffectRows::of(&[effects]));
        let query = functions::lift_hold(account.as_uuid(), reference.as_str(), at.to_diesel(), effects);
        let word: String = self.ask(diesel::select(query)).await?;
        outcome(&word)
    }

    async fn put_on_record(&self, effects: &Effects) -> Result<(), PortError> {
        recorded(self.commit_effects(effects).await)
    }
}

#[async_trait]
impl Retention for Postgres {
    async fn standing(&self, owner: AccountId, now: Timestamp) -> Result<Standing, PortError> {
        let query = diesel::select(functions::keys_standing(owner.as_uuid(), now.to_diesel()));
        let word: String = self.ask(query).await?;
        match &*word {
            "on_hold" => Ok(Standing::OnHold),
            "kept" => Ok(Standing::Kept),
            "due" => Ok(Standing::Due),
            other => Err(unreadable(other)),
        }
    }
}

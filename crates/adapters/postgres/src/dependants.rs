//! The people an account keeps: sealed under a key of their own on the way in, opened on the way out.

use crate::{
    clinical::Clinical,
    clinical_rows::{Bytes, place, seal},
    effects::{EffectRows, verdict},
    error::unreadable,
    functions,
    json::Json,
    vault::{Unopened, Vault, unless_erased},
};
use amrutam_clinical::{
    model::{Dependant, DependantDetails, StandingVisit, Subject},
    ports::{DependantChange, DependantPage, DependantStore, Kept},
};
use amrutam_kernel::{
    AccountId, CommitError, DependantId, Effects, Page, PageRequest, PortError, SealPlace, Sensitive, Unrecorded,
};
use async_trait::async_trait;
use jiff::Timestamp;
use jiff_diesel::ToDiesel;
use serde::{Deserialize, Serialize};

fn place_of(keeper: AccountId, id: DependantId, version: i64) -> SealPlace<'static> {
    place("dependants", "sealed", id.as_uuid(), Subject::Dependant { keeper, dependant: id }, version)
}

#[derive(Debug, Deserialize)]
pub(crate) struct DependantRow {
    id: DependantId,
    keeper_id: AccountId,
    version: i64,
    sealed: Bytes,
    added_at: Timestamp,
    updated_at: Timestamp,
    removed_at: Option<Timestamp>,
}

impl DependantRow {
    /// Nothing once their key is destroyed.
    pub(crate) async fn open(self, vault: &Vault) -> Result<Option<Dependant>, PortError> {
        let place = place_of(self.keeper_id, self.id, self.version);
        let Some(details) = unless_erased(self.details(vault, &place).await)? else { return Ok(None) };
        Ok(Some(Dependant {
            id: self.id,
            keeper: self.keeper_id,
            details: Sensitive::new(details),
            added_at: self.added_at,
            updated_at: self.updated_at,
            removed_at: self.removed_at,
            version: self.version,
        }))
    }

    async fn details(&self, vault: &Vault, place: &SealPlace<'_>) -> Result<DependantDetails, Unopened> {
        let plain = vault.open(place, &self.sealed.0).await?;
        Ok(serde_json::from_slice(&plain).map_err(|_| unreadable("what was sealed is not of its form"))?)
    }
}

#[derive(Debug, Deserialize)]
struct VisitRow {
    ends_at: Timestamp,
    held_until: Option<Timestamp>,
}

#[derive(Debug, Deserialize)]
struct KeptRow {
    dependant: DependantRow,
    calendar: i64,
    visits: Vec<VisitRow>,
    ever_booked: bool,
}

/// The argument of `commit_dependant`.
#[derive(Debug, Serialize)]
struct ChangeRow {
    kind: &'static str,
    id: DependantId,
    keeper_id: AccountId,
    version: i64,
    sealed: String,
    added_at: Timestamp,
    updated_at: Timestamp,
    removed_at: Option<Timestamp>,
    others: Option<usize>,
    calendar: Option<i64>,
    forget: bool,
}

impl ChangeRow {
    async fn of(change: &DependantChange, vault: &Vault) -> Result<Self, PortError> {
        let (kind, dependant) = match change {
            DependantChange::Added { dependant, .. } => ("added", dependant),
            DependantChange::Changed(dependant) => ("changed", dependant),
            DependantChange::Removed { dependant, .. } => ("removed", dependant),
        };
        let place = place_of(dependant.keeper, dependant.id, dependant.version);
        let row = Self {
            kind,
            id: dependant.id,
            keeper_id: dependant.keeper,
            version: dependant.version,
            sealed: seal(vault, &place, dependant.details.expose()).await?,
            added_at: dependant.added_at,
            updated_at: dependant.updated_at,
            removed_at: dependant.removed_at,
            others: None,
            calendar: None,
            forget: false,
        };
        Ok(match *change {
            DependantChange::Added { others, .. } => Self { others: Some(others), ..row },
            DependantChange::Changed(_) => row,
            DependantChange::Removed { calendar, forget, .. } => Self { calendar: Some(calendar), forget, ..row },
        })
    }
}

#[async_trait]
impl DependantStore for Clinical {
    async fn kept(&self, keeper: AccountId, id: DependantId) -> Result<Unrecorded<Option<Kept>>, PortError> {
        let query = diesel::select(functions::dependant_kept(keeper.as_uuid(), id.as_uuid()));
        let Some(row): Option<KeptRow> = self.maybe(query).await? else { return Ok(Unrecorded::new(None)) };
        let Some(dependant) = row.dependant.open(self.vault()).await? else { return Ok(Unrecorded::new(None)) };
        let visit = |visit: VisitRow| StandingVisit { ends_at: visit.ends_at, held_until: visit.held_until };
        let visits = row.visits.into_iter().map(visit).collect();
        let kept = Kept { dependant, visits, calendar: row.calendar, ever_booked: row.ever_booked };
        Ok(Unrecorded::new(Some(kept)))
    }

    async fn count_kept(&self, keeper: AccountId) -> Result<usize, PortError> {
        let count: i64 = self.db().ask(diesel::select(functions::count_dependants(keeper.as_uuid()))).await?;
        usize::try_from(count).map_err(|_| unreadable("a count is not negative"))
    }

    async fn dependants(
        &self,
        keeper: AccountId,
        page: PageRequest<(Timestamp, DependantId)>,
    ) -> Result<Unrecorded<DependantPage>, PortError> {
        let (at, id) = page.after.map(|(at, id)| (at.to_diesel(), id.as_uuid())).unzip();
        let most = i32::from(page.limit.get()) + 1;
        let query = functions::list_dependants(keeper.as_uuid(), at, id, most);
        let rows: Vec<DependantRow> = self.all(diesel::select(query)).await?;
        let mut found = Vec::with_capacity(rows.len());
        for row in rows {
            found.extend(row.open(self.vault()).await?);
        }
        Ok(Unrecorded::new(Page::cut(found, page.limit, |one| (one.added_at, one.id))))
    }

    async fn commit_dependant(&self, change: &DependantChange, effects: &Effects) -> Result<(), CommitError> {
        let row = ChangeRow::of(change, self.vault()).await?;
        let effects = EffectRows::of(&[effects]);
        let query = functions::commit_dependant(Json(row), Json(effects));
        let word: String = self.db().ask(diesel::select(query)).await?;
        verdict(&word)
    }
}

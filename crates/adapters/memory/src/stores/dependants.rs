//! The people that accounts keep.

use super::after;
use crate::world::MemoryWorld;
use amrutam_clinical::{
    model::{Dependant, StandingVisit},
    ports::{DependantChange, DependantPage, DependantStore, Kept},
};
use amrutam_kernel::{AccountId, CommitError, DependantId, Effects, Page, PageRequest, PortError, Unrecorded};
use async_trait::async_trait;
use jiff::Timestamp;

#[async_trait]
impl DependantStore for MemoryWorld {
    async fn kept(&self, keeper: AccountId, id: DependantId) -> Result<Unrecorded<Option<Kept>>, PortError> {
        self.read_personal(|tables| {
            let dependant = tables.dependants.get(&id).filter(|one| one.keeper == keeper)?.clone();
            let calendar = tables.calendar(keeper);
            let theirs = calendar.live.iter().filter(|visit| visit.dependant == Some(id));
            let visits = theirs
                .map(|visit| StandingVisit { ends_at: visit.range.end(), held_until: visit.held_until })
                .collect();
            let ever_booked = tables.consultations.values().any(|one| one.dependant == Some(id));
            Some(Kept { dependant, visits, calendar: calendar.version, ever_booked })
        })
    }

    async fn count_kept(&self, keeper: AccountId) -> Result<usize, PortError> {
        self.read(|tables| tables.kept_by(keeper).count())
    }

    async fn dependants(
        &self,
        keeper: AccountId,
        page: PageRequest<(Timestamp, DependantId)>,
    ) -> Result<Unrecorded<DependantPage>, PortError> {
        let key = |one: &Dependant| (one.added_at, one.id);
        let found = self.read(|tables| tables.kept_by(keeper).cloned().collect())?;
        Ok(Unrecorded::new(Page::cut(after(found, &page, key), page.limit, key)))
    }

    async fn commit_dependant(&self, change: &DependantChange, effects: &Effects) -> Result<(), CommitError> {
        let mut tx = self.begin(effects)?;
        let tables = tx.tables();
        let (DependantChange::Added { dependant, .. }
        | DependantChange::Changed(dependant)
        | DependantChange::Removed { dependant, .. }) = change;
        let stored = tables.dependants.get(&dependant.id).filter(|stored| stored.removed_at.is_none());
        if stored.map_or(0, |stored| stored.version) != dependant.version - 1 {
            return Err(CommitError::Stale);
        }
        match *change {
            DependantChange::Added { others, .. } if tables.kept_by(dependant.keeper).count() != others => {
                return Err(CommitError::Stale);
            }
            DependantChange::Removed { calendar, .. } => {
                let mut theirs = tables.calendar(dependant.keeper);
                if theirs.version != calendar {
                    return Err(CommitError::Stale);
                }
                theirs.version += 1;
                tables.calendars.insert(dependant.keeper, theirs);
            }
            DependantChange::Added { .. } | DependantChange::Changed(_) => {}
        }
        if matches!(change, DependantChange::Removed { forget: true, .. }) {
            tables.dependants.remove(&dependant.id);
            tables.removed_dependants.insert(dependant.id, dependant.keeper);
        } else {
            tables.dependants.insert(dependant.id, dependant.clone());
        }
        tx.commit()
    }
}

//! Booking's directory of practitioners.

use crate::world::{MemoryWorld, Tables, defect, into_port_error};
use amrutam_booking::{
    model::{Practitioner, PractitionerStatus, Slot},
    ports::{DirectoryStore, DoctorFilter, DoctorKey, DoctorSort, ProfileInserted},
};
use amrutam_kernel::{AccountId, CommitError, DoctorId, Effects, Page, PortError, Role};
use async_trait::async_trait;

fn same_registration(one: &Practitioner, other: &Practitioner) -> bool {
    one.details.council == other.details.council && one.details.registration_number == other.details.registration_number
}

fn practises(tables: &Tables, account: AccountId) -> bool {
    tables.accounts.get(&account).is_some_and(|account| account.role == Role::Doctor && account.is_active())
}

#[async_trait]
impl DirectoryStore for MemoryWorld {
    async fn insert(&self, practitioner: &Practitioner, effects: &Effects) -> Result<ProfileInserted, PortError> {
        let mut tx = match self.begin(effects) {
            Err(CommitError::AlreadyAnswered) => return Ok(ProfileInserted::AlreadyAnswered),
            begun => begun.map_err(into_port_error)?,
        };
        let tables = tx.tables();
        if !practises(tables, practitioner.account) {
            return Ok(ProfileInserted::NotADoctorsAccount);
        }
        if tables.practitioners.values().any(|other| other.account == practitioner.account) {
            return Ok(ProfileInserted::AccountHasProfile);
        }
        if tables.practitioners.values().any(|other| same_registration(other, practitioner)) {
            return Ok(ProfileInserted::RegistrationTaken);
        }
        if tables.practitioners.insert(practitioner.id, practitioner.clone()).is_some() {
            return Err(defect("a practitioner's id is unique"));
        }
        tx.commit().map_err(into_port_error)?;
        Ok(ProfileInserted::Created)
    }

    async fn update(&self, practitioner: &Practitioner, effects: &Effects) -> Result<(), CommitError> {
        let mut tx = self.begin(effects)?;
        let tables = tx.tables();
        put_profile(tables, practitioner)?;
        tx.commit()
    }

    async fn by_id(&self, id: DoctorId) -> Result<Option<Practitioner>, PortError> {
        self.read(|tables| tables.practitioners.get(&id).cloned())
    }

    async fn by_account(&self, account: AccountId) -> Result<Option<Practitioner>, PortError> {
        self.read(|tables| tables.practitioners.values().find(|p| p.account == account).cloned())
    }

    async fn practises(&self, account: AccountId) -> Result<bool, PortError> {
        self.read(|tables| practises(tables, account))
    }

    async fn search(&self, filter: &DoctorFilter) -> Result<Page<Practitioner, DoctorKey>, PortError> {
        self.read(|tables| {
            let key = |p: &Practitioner| match filter.sort {
                DoctorSort::Name => DoctorKey::Name(p.details.full_name.clone(), p.id),
                DoctorSort::Fee(_) => DoctorKey::Fee(p.details.fee.amount(), p.id),
            };
            let mut found: Vec<_> =
                tables.practitioners.values().filter(|p| matches(tables, filter, p)).cloned().collect();
            match filter.sort {
                DoctorSort::Name => {
                    found.sort_by(|a, b| (&a.details.full_name, a.id).cmp(&(&b.details.full_name, b.id)));
                }
                DoctorSort::Fee(_) => found.sort_by_key(|p| (p.details.fee.amount(), p.id)),
            }
            found.retain(|p| filter.after.as_ref().is_none_or(|after| comes_after(p, after)));
            Page::cut(found, filter.limit, key)
        })
    }

    async fn record(&self, effects: &Effects) -> Result<(), PortError> {
        self.record_alone(effects)
    }
}

/// Stores a profile's next version.
pub(super) fn put_profile(tables: &mut Tables, practitioner: &Practitioner) -> Result<(), CommitError> {
    let stored = tables.practitioners.get(&practitioner.id);
    let stored = stored.filter(|stored| stored.version == practitioner.version - 1).ok_or(CommitError::Stale)?;
    if stored.account != practitioner.account || stored.created_at != practitioner.created_at {
        return Err(defect("a profile keeps its account and its creation time").into());
    }
    let mut others = tables.practitioners.values().filter(|other| other.id != practitioner.id);
    if others.any(|other| same_registration(other, practitioner)) {
        return Err(defect("council and registration number are unique").into());
    }
    tables.practitioners.insert(practitioner.id, practitioner.clone());
    Ok(())
}

fn sorted_by_its_currency(filter: &DoctorFilter, practitioner: &Practitioner) -> bool {
    match filter.sort {
        DoctorSort::Name => true,
        DoctorSort::Fee(currency) => practitioner.details.fee.currency() == currency,
    }
}

fn comes_after(practitioner: &Practitioner, after: &DoctorKey) -> bool {
    match after {
        DoctorKey::Name(name, id) => (&practitioner.details.full_name, practitioner.id) > (name, *id),
        DoctorKey::Fee(fee, id) => (practitioner.details.fee.amount(), practitioner.id) > (*fee, *id),
    }
}

fn matches(tables: &Tables, filter: &DoctorFilter, practitioner: &Practitioner) -> bool {
    let details = &practitioner.details;
    let has_part = |part: &String| details.full_name.to_lowercase().contains(&part.to_lowercase());
    let has_slot = |range: &amrutam_kernel::TimeRange| {
        let offered = |slot: &&Slot| slot.doctor == practitioner.id && slot.is_offered(filter.now);
        tables.slots.values().filter(offered).any(|slot| range.contains(slot.range.start()))
    };
    practitioner.status == PractitionerStatus::Listed
        && practitioner.is_registered_on(filter.today)
        && filter.text.as_ref().is_none_or(has_part)
        && filter.specialization.as_ref().is_none_or(|code| details.specializations.contains(code))
        && filter.language.as_ref().is_none_or(|tag| details.languages.contains(tag))
        && filter.mode.is_none_or(|mode| details.modes.contains(mode))
        && filter
            .max_fee
            .is_none_or(|max| details.fee.currency() == max.currency() && details.fee.amount() <= max.amount())
        && sorted_by_its_currency(filter, practitioner)
        && filter.available.as_ref().is_none_or(has_slot)
}

//! What every suite needs of the fake.

use amrutam_booking::{
    contract::seeds,
    model::Practitioner,
    ports::{DirectoryStore, ProfileInserted},
};
use amrutam_identity::{
    Account, Profile,
    model::PasswordHash,
    ports::{AccountStore, Inserted},
};
use amrutam_kernel::{AccountId, AuditEntryId, Clock, Effects, EventId, IdSource, Role, Sensitive};
use amrutam_memory::{ManualClock, MemoryWorld, SeededIds};
use std::sync::Arc;
use uuid::Uuid;

pub(crate) struct Memory {
    pub(crate) world: Arc<MemoryWorld>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) ids: SeededIds,
}

pub(crate) async fn memory() -> Memory {
    let clock = Arc::new(ManualClock::at("2026-11-23T03:30:00.123456Z".parse().unwrap()));
    Memory { world: Arc::new(MemoryWorld::new(clock.clone())), clock, ids: SeededIds::new(4_711) }
}

impl Memory {
    pub(crate) async fn insert(&self, id: AccountId, role: Role) -> Account {
        let profile = Profile {
            full_name: Sensitive::new("Asha Nair".parse().unwrap()),
            phone: Some(Sensitive::new("+919812345678".to_owned())),
            date_of_birth: None,
            sex: None,
            time_zone: "Asia/Kolkata".to_owned(),
        };
        let email = Sensitive::new(format!("{id}@example.in").parse().unwrap());
        let hash = Some(PasswordHash::from_phc("none".to_owned()));
        let account = Account::new(id, role, email, hash, profile, self.clock.now());
        let inserted = AccountStore::insert(self.world.as_ref(), &account, None, &Effects::default()).await.unwrap();
        assert_eq!(inserted, Inserted::Created);
        account
    }

    /// Stores a listed practitioner with an account.
    pub(crate) async fn practitioner(&self, ids: &SeededIds) -> Practitioner {
        self.registered(ids, "12345").await
    }

    /// The same with that number.
    pub(crate) async fn registered(&self, ids: &SeededIds, number: &str) -> Practitioner {
        let now = self.clock.now();
        let account = self.insert(AccountId::from_uuid(ids.uuid_v7(now)), Role::Doctor).await.id;
        let mut practitioner = seeds::profile(account, now);
        practitioner.details.registration_number = number.to_owned();
        let inserted = DirectoryStore::insert(self.world.as_ref(), &practitioner, &Effects::default()).await.unwrap();
        assert_eq!(inserted, ProfileInserted::Created);
        practitioner
    }

    pub(crate) fn announced_about(&self, aggregate: Uuid) -> Vec<EventId> {
        self.world.outbox().iter().filter(|event| event.aggregate.id == aggregate).map(|event| event.id).collect()
    }

    pub(crate) fn audited_on(&self, resource_id: &str) -> Vec<AuditEntryId> {
        self.world.audit().iter().filter(|entry| entry.resource_id == resource_id).map(|entry| entry.id).collect()
    }
}

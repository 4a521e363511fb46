//! The stores, the clock that can stand in the past, and the parts of a booking that seeding does not need.

use crate::settings::Settings;
use amrutam_booking::{
    model::{BookingRules, PaymentsMode},
    ports::{LockOutcome, SlotLocks},
    use_cases::{AvailabilityDeps, Deps, DirectoryDeps},
};
use amrutam_crypto::{Argon2Hasher, EnvelopeSealer, HasherSettings, SystemClock, SystemIds, TokioPause};
use amrutam_identity::{PolicyTable, model::EmailAddress, ports::AccountStore};
use amrutam_kernel::{
    AccountId, Actor, Clock, Context, CorrelationId, IdSource, Role, SecondFactor, SessionId, SignIn, SlotId,
};
use amrutam_postgres::{Accounts, Postgres};
use async_trait::async_trait;
use jiff::{Timestamp, tz::TimeZone};
use std::{
    error::Error,
    sync::{Arc, Mutex, PoisonError},
};

/// A clock that is set by hand until it follows the system's.
pub(crate) struct SeedClock {
    set: Mutex<Option<Timestamp>>,
}

impl SeedClock {
    pub(crate) fn set(&self, at: Timestamp) {
        *self.set.lock().unwrap_or_else(PoisonError::into_inner) = Some(at);
    }

    pub(crate) fn follow_system(&self) {
        *self.set.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Clock for SeedClock {
    fn now(&self) -> Timestamp {
        self.set.lock().unwrap_or_else(PoisonError::into_inner).unwrap_or_else(|| SystemClock.now())
    }
}

pub(crate) struct World {
    pub(crate) postgres: Postgres,
    accounts: Accounts,
    pub(crate) hasher: Argon2Hasher,
    pub(crate) clock: SeedClock,
    pub(crate) ids: SystemIds,
    pub(crate) rules: BookingRules,
    sealer: Arc<EnvelopeSealer>,
}

impl World {
    pub(crate) fn connect(settings: &Settings) -> Result<Self, Box<dyn Error>> {
        let keys = settings.tokens.load()?;
        let postgres = Postgres::connect(&settings.database.pool())?;
        Ok(Self {
            accounts: settings.accounts(&postgres, &keys)?,
            sealer: settings.sealer(&postgres, &keys)?,
            postgres,
            hasher: Argon2Hasher::new(HasherSettings::default())?,
            clock: SeedClock { set: Mutex::new(None) },
            ids: SystemIds,
            rules: BookingRules::v1(TimeZone::get("Asia/Kolkata")?),
        })
    }

    pub(crate) async fn account(&self, email: &str) -> Result<Option<AccountId>, Box<dyn Error>> {
        Ok(self.accounts.by_email(&email.parse::<EmailAddress>()?).await?.undisclosed().map(|account| account.id))
    }

    /// In the name of one of the demonstration's people, as if they had signed in.
    pub(crate) fn acting(&self, id: AccountId, role: Role) -> Context {
        let uuid = || self.ids.uuid_v7(self.clock.now());
        let session = SessionId::from_uuid(uuid());
        Context {
            actor: Actor::Account { id, role },
            sign_in: Some(SignIn { session, second_factor_at: None, second_factor: SecondFactor::NotNeeded }),
            correlation_id: CorrelationId::from(uuid()),
            trace_parent: None,
            origin: None,
        }
    }

    pub(crate) fn identity(&self) -> amrutam_identity::use_cases::Deps<'_> {
        amrutam_identity::use_cases::Deps {
            accounts: &self.accounts,
            hasher: &self.hasher,
            clock: &self.clock,
            ids: &self.ids,
        }
    }

    pub(crate) fn directory(&self) -> DirectoryDeps<'_> {
        DirectoryDeps {
            store: &self.postgres,
            policy: &PolicyTable,
            clock: &self.clock,
            ids: &self.ids,
            rules: &self.rules,
        }
    }

    pub(crate) fn availability(&self) -> AvailabilityDeps<'_> {
        AvailabilityDeps {
            store: &self.postgres,
            policy: &PolicyTable,
            clock: &self.clock,
            ids: &self.ids,
            pause: &TokioPause,
            rules: &self.rules,
        }
    }

    pub(crate) fn booking(&self) -> Deps<'_> {
        Deps {
            store: &self.postgres,
            policy: &PolicyTable,
            locks: &AloneHere,
            sealer: &*self.sealer,
            clock: &self.clock,
            ids: &self.ids,
            pause: &TokioPause,
            rules: &self.rules,
            // The demonstration's visits cost nobody anything: whoever wants to see one paid books it.
            payments: PaymentsMode::None,
        }
    }
}

/// One booking at a time: there is no herd to spare the database.
struct AloneHere;

#[async_trait]
impl SlotLocks for AloneHere {
    async fn try_lock(&self, _: SlotId) -> LockOutcome {
        LockOutcome::Unavailable
    }
}

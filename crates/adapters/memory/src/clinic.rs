//! A small practice, open for bookings: where an example or a test of the booking domain begins.

use crate::{FakeGateway, FakeHasher, FakeSealer, ManualClock, MemorySlotLocks, MemoryWorld, SeededIds, VirtualPause};
use amrutam_booking::{
    model::{BookingRules, MedicalSystem, Mode, Modes, PaymentsMode, PractitionerDetails, Slot, WeeklyRule},
    use_cases::{
        AvailabilityDeps, Deps, DirectoryDeps, NewProfile, create_profile, list_open_slots, set_availability, verify,
    },
};
use amrutam_identity::{
    PolicyTable,
    model::{NewPassword, Profile},
    use_cases::{NewStaff, create_staff},
};
use amrutam_kernel::{
    AccountId, Actor, Clock, Context, CorrelationId, Currency, DoctorId, IdSource, Limit, Money, PageRequest, Role,
    SecondFactor, Sensitive, SessionId, SignIn, TimeRange,
};
use amrutam_payments::{model::PaymentRules, ports::PaymentGateway};
use jiff::{
    SignedDuration, Timestamp,
    civil::{Weekday, time},
    tz::TimeZone,
};
use std::{error::Error, sync::Arc};

/// One listed practitioner who works every day from 9 to 12 in India, in slots of half an hour, and the world around them.
pub struct Clinic {
    /// Everything stored.
    pub world: MemoryWorld,
    /// Moves when told to, and while somebody pauses.
    pub clock: Arc<ManualClock>,
    /// Repeatable.
    pub ids: SeededIds,
    /// Takes no real time.
    pub pause: VirtualPause,
    /// The lock service.
    pub locks: MemorySlotLocks,
    /// Seals nothing in truth.
    pub sealer: FakeSealer,
    /// The numbers.
    pub rules: BookingRules,
    /// Whether bookings are paid first; [`PaymentsMode::None`] until changed.
    pub payments: PaymentsMode,
    /// Where bookings are paid.
    pub gateway: Arc<FakeGateway>,
    /// The same, as payments takes it.
    pub gateways: Vec<Arc<dyn PaymentGateway>>,
    /// The numbers of payments.
    pub payment_rules: PaymentRules,
    /// The practitioner's profile.
    pub doctor: DoctorId,
    /// The practitioner's account.
    pub doctor_account: AccountId,
}

impl Clinic {
    /// Opens at `now`. The seed makes ids and jitter repeatable.
    pub async fn open(now: Timestamp, seed: u64) -> Result<Self, Box<dyn Error>> {
        Self::open_for(now, seed, 60).await
    }

    /// The same with slots for so many days: the fewer there are, the faster thousands of histories run.
    pub async fn open_for(now: Timestamp, seed: u64, days: i32) -> Result<Self, Box<dyn Error>> {
        let clock = Arc::new(ManualClock::at(now));
        let gateway = Arc::new(FakeGateway::new("fake".parse()?, clock.clone()));
        let mut clinic = Self {
            world: MemoryWorld::new(clock.clone()),
            pause: VirtualPause::new(clock.clone()),
            clock,
            ids: SeededIds::new(seed),
            locks: MemorySlotLocks::new(),
            sealer: FakeSealer::new(),
            rules: BookingRules { horizon_days: days, ..BookingRules::v1(TimeZone::get("Asia/Kolkata")?) },
            payments: PaymentsMode::None,
            gateways: vec![gateway.clone()],
            gateway,
            payment_rules: PaymentRules::v1(),
            doctor: DoctorId::from_uuid(uuid::Uuid::nil()),
            doctor_account: AccountId::from_uuid(uuid::Uuid::nil()),
        };
        clinic.doctor_account = clinic.person(Role::Doctor, "doctor@amrutam.example").await?;
        clinic.doctor = clinic.list_doctor(clinic.doctor_account, "D-1").await?;
        Ok(clinic)
    }

    /// Another clinic that begins as this one is, with a clock, a gateway and a seed of its own.
    pub fn fork(&self, seed: u64) -> Self {
        let clock = Arc::new(ManualClock::at(self.clock.now()));
        let gateway = Arc::new(FakeGateway::new(PaymentGateway::name(&*self.gateway).clone(), clock.clone()));
        Self {
            world: self.world.fork(clock.clone()),
            pause: VirtualPause::new(clock.clone()),
            clock,
            ids: SeededIds::new(seed),
            locks: MemorySlotLocks::new(),
            sealer: FakeSealer::new(),
            rules: self.rules.clone(),
            payments: self.payments,
            gateways: vec![gateway.clone()],
            gateway,
            payment_rules: self.payment_rules.clone(),
            doctor: self.doctor,
            doctor_account: self.doctor_account,
        }
    }

    /// A new account.
    pub async fn person(&self, role: Role, email: &str) -> Result<AccountId, Box<dyn Error>> {
        let hasher = FakeHasher::new();
        let deps = amrutam_identity::use_cases::Deps {
            accounts: &self.world,
            hasher: &hasher,
            clock: &*self.clock,
            ids: &self.ids,
        };
        let command = NewStaff {
            role,
            email: Sensitive::new(email.parse()?),
            password: NewPassword::parse(Sensitive::new("nobody's pass phrase".to_owned()))?,
            profile: Profile {
                full_name: Sensitive::new("Somebody".parse()?),
                phone: None,
                date_of_birth: None,
                sex: None,
                time_zone: "Asia/Kolkata".to_owned(),
            },
        };
        Ok(create_staff(deps, &self.context(Actor::System("clinic")), command, None).await?)
    }

    /// A flow of the actor's own; a person has just signed in with a second factor.
    pub fn context(&self, actor: Actor) -> Context {
        let now = self.clock.now();
        let sign_in = actor.account().map(|_| SignIn {
            session: SessionId::from_uuid(self.ids.uuid_v7(now)),
            second_factor_at: Some(now),
            second_factor: SecondFactor::Enrolled,
        });
        let correlation_id = CorrelationId::from(self.ids.uuid_v7(now));
        Context { actor, sign_in, correlation_id, trace_parent: None, origin: None }
    }

    /// A patient's flow.
    pub fn patient(&self, id: AccountId) -> Context {
        self.context(Actor::Account { id, role: Role::Patient })
    }

    /// What the use cases on consultations work with.
    pub fn deps(&self) -> Deps<'_> {
        Deps {
            store: &self.world,
            policy: &PolicyTable,
            locks: &self.locks,
            sealer: &self.sealer,
            clock: &*self.clock,
            ids: &self.ids,
            pause: &self.pause,
            rules: &self.rules,
            payments: self.payments,
        }
    }

    /// What the use cases on payments work with.
    pub fn payment_deps(&self) -> amrutam_payments::use_cases::Deps<'_> {
        amrutam_payments::use_cases::Deps {
            store: &self.world,
            visits: &self.world,
            gateways: &self.gateways,
            policy: &PolicyTable,
            clock: &*self.clock,
            ids: &self.ids,
            pause: &self.pause,
            rules: &self.payment_rules,
        }
    }

    /// What the use cases on the directory work with.
    pub fn directory(&self) -> DirectoryDeps<'_> {
        DirectoryDeps {
            store: &self.world,
            policy: &PolicyTable,
            clock: &*self.clock,
            ids: &self.ids,
            rules: &self.rules,
        }
    }

    /// What the use cases on availability work with.
    pub fn availability(&self) -> AvailabilityDeps<'_> {
        AvailabilityDeps {
            store: &self.world,
            policy: &PolicyTable,
            clock: &*self.clock,
            ids: &self.ids,
            pause: &self.pause,
            rules: &self.rules,
        }
    }

    /// One more practitioner who keeps the same hours.
    pub async fn another_doctor(&self) -> Result<DoctorId, Box<dyn Error>> {
        let id = self.ids.uuid_v7(self.clock.now());
        let account = self.person(Role::Doctor, &format!("{id}@amrutam.example")).await?;
        self.list_doctor(account, &id.to_string()).await
    }

    /// The practitioner's open slots of the coming week, by start.
    pub async fn open_slots(&self) -> Result<Vec<Slot>, Box<dyn Error>> {
        self.open_slots_of(self.doctor).await
    }

    /// As [`Clinic::open_slots`], of that practitioner.
    pub async fn open_slots_of(&self, doctor: DoctorId) -> Result<Vec<Slot>, Box<dyn Error>> {
        let now = self.clock.now();
        let week = TimeRange::new(now, now + SignedDuration::from_hours(7 * 24)).ok_or("an empty week")?;
        let page = PageRequest { limit: Limit::new(100).ok_or("the largest page")?, after: None };
        Ok(list_open_slots(self.availability(), &self.context(Actor::Anonymous), doctor, week, None, page).await?.items)
    }

    async fn list_doctor(&self, account: AccountId, registration: &str) -> Result<DoctorId, Box<dyn Error>> {
        let operator = self.context(Actor::System("clinic"));
        let directory = self.directory();
        let all = Modes::new(Mode::ALL).ok_or("no modes")?;
        let details = PractitionerDetails {
            full_name: "Vaidya Demo".to_owned(),
            system: MedicalSystem::Ayurveda,
            council: "Demo Council".to_owned(),
            registration_number: registration.to_owned(),
            registered_on: None,
            valid_until: None,
            qualifications: vec!["BAMS".to_owned()],
            specializations: vec!["kayachikitsa".to_owned()],
            languages: vec!["hi".to_owned(), "en".to_owned()],
            modes: all.clone(),
            fee: Money::new(49_900, Currency::Inr)?,
            bio: String::new(),
            time_zone: "Asia/Kolkata".to_owned(),
        };
        let profile = NewProfile { account: Some(account), details };
        let id = create_profile(directory, &operator, profile, None).await?.id;
        verify(directory, &operator, id, None).await?;
        let rule = |weekday| WeeklyRule {
            weekday,
            start: time(9, 0, 0, 0),
            end: time(12, 0, 0, 0),
            slot_minutes: 30,
            buffer_minutes: 0,
            modes: all.clone(),
            valid_from: None,
            valid_until: None,
        };
        let days = Weekday::Monday.cycle_forward().take(7);
        set_availability(self.availability(), &operator, id, days.map(rule).collect(), None).await?;
        Ok(id)
    }
}

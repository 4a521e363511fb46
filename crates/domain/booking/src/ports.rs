//! What the domain needs from the world. One narrow trait per concern; `adapters/postgres` and `adapters/memory`
//! implement the stores, `adapters/redis` the lock, and each passes the contract suite of its port.

use crate::model::{
    BookableDoctor, Consultation, ConsultationStatus, Mode, PatientCalendar, Practitioner, Slot, SlotPlan, TimeOff,
    TimelineEntry, WeeklyRule,
};
use amrutam_kernel::{
    AccountId, AuditTrail, CommitError, ConsultationId, Currency, DependantId, DoctorId, Effects, IdempotencyClaim,
    Money, Page, PageRequest, Personal, PortError, RecordRef, Recorded, SlotId, TimeOffId, TimeRange, Unrecorded,
};
use async_trait::async_trait;
use jiff::{Timestamp, civil::Date};

/// What a booking is decided on, read in one snapshot.
#[derive(Debug, Clone, Default)]
pub struct BookingSnapshot {
    /// What is known of the idempotency claim.
    pub recorded: Option<Recorded>,
    /// The slot, when there is one.
    pub slot: Option<Slot>,
    /// Its practitioner.
    pub doctor: Option<BookableDoctor>,
    /// The consultation that has the slot now.
    pub occupant: Option<Consultation>,
    /// The patient's live visits.
    pub calendar: PatientCalendar,
    /// Whether the patient's account keeps the dependant that was asked about.
    pub keeps_dependant: bool,
}

/// What an act on a consultation is decided on, read in one snapshot.
#[derive(Debug, Clone)]
pub struct ConsultationSnapshot {
    /// What is known of the idempotency claim.
    pub recorded: Option<Recorded>,
    /// The consultation.
    pub consultation: Consultation,
    /// Its slot.
    pub slot: Slot,
    /// The consultation that has its slot now: itself, or another after its own hold ran out.
    pub occupant: Option<Consultation>,
    /// Its practitioner.
    pub doctor: BookableDoctor,
    /// The slot to move to, and the consultation that has it.
    pub target: Option<(Slot, Option<Consultation>)>,
    /// The patient's live visits.
    pub calendar: PatientCalendar,
}

/// A slot's new state. Refused as [`CommitError::Stale`] unless the stored version is `slot.version - 1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotUpdate(pub Slot);

/// A consultation to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewConsultation {
    /// As it stands at the end of the transaction.
    pub consultation: Consultation,
    /// The patient's reason for the visit, sealed.
    pub sealed_reason: Option<Vec<u8>>,
}

/// Everything one use case changes: one transaction, all or nothing.
///
/// Adapters take row locks in the order slots (by id), consultations (by id), calendars (by patient), and never wait for
/// a slot: a slot held by another transaction is [`CommitError::Busy`].
#[derive(Debug, Clone, Default)]
pub struct Changes {
    /// The practitioners the decision was based on, in the version that was read. Refused as [`CommitError::Stale`] when
    /// one has changed.
    pub doctors: Vec<(DoctorId, i64)>,
    /// New states of slots.
    pub slots: Vec<SlotUpdate>,
    /// New consultations.
    pub created: Vec<NewConsultation>,
    /// New states of consultations, with the version that was read.
    pub updated: Vec<(Consultation, i64)>,
    /// Practitioners' summaries of visits, sealed; written once.
    pub summaries: Vec<(ConsultationId, Vec<u8>)>,
    /// New states of patients' calendars. Refused as [`CommitError::Stale`] unless the stored version (0 when there is
    /// none) is `version - 1`: this serializes one patient's bookings as the slot's row serializes one slot's.
    pub calendars: Vec<(AccountId, PatientCalendar)>,
    /// One entry per new version of a consultation.
    pub timeline: Vec<TimelineEntry>,
    /// Events, audit, inbox, idempotent answer.
    pub effects: Effects,
}

/// A consultation with what is shown beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsultationView {
    /// The consultation.
    pub consultation: Consultation,
    /// The practitioner's account: their side of the relation.
    pub doctor_account: AccountId,
    /// The practitioner's name.
    pub doctor_name: String,
    /// Their council.
    pub doctor_council: String,
    /// Their registration number.
    pub doctor_registration: String,
    /// Their degrees.
    pub doctor_qualifications: Vec<String>,
}

/// A page of them.
pub type ConsultationPage = Page<ConsultationView, ByStart<ConsultationId>>;

impl Personal for ConsultationView {
    fn records(&self) -> Vec<RecordRef> {
        vec![RecordRef { kind: "consultation", id: self.consultation.id.to_string() }]
    }
}

impl Personal for TimelineEntry {
    fn records(&self) -> Vec<RecordRef> {
        vec![RecordRef { kind: "consultation", id: self.consultation.to_string() }]
    }
}

/// Whose consultations to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// A patient's.
    Patient(AccountId),
    /// Those of the practitioner whose account this is.
    Doctor(AccountId),
    /// Everybody's (administration; masked by the caller).
    Everybody,
}

/// Which consultations to list, by the start of the visit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsultationFilter {
    /// Whose.
    pub whose: Whose,
    /// In which status, as of `now`.
    pub status: Option<ConsultationStatus>,
    /// Starting at or after.
    pub from: Option<Timestamp>,
    /// Starting before.
    pub to: Option<Timestamp>,
    /// The instant at which holds are compared.
    pub now: Timestamp,
}

/// The sort key of a list by start.
pub type ByStart<Id> = (Timestamp, Id);

/// Consultations and the slots they stand in. What is read to be shown comes out [`Unrecorded`]: it is on the record before it is
/// seen. What a decision is based on (the snapshots) is on the record with the decision.
#[async_trait]
pub trait ConsultationStore: AuditTrail + Send + Sync {
    /// Reads what a booking is decided on.
    async fn booking_snapshot(
        &self,
        slot: SlotId,
        patient: AccountId,
        dependant: Option<DependantId>,
        claim: Option<&IdempotencyClaim>,
    ) -> Result<BookingSnapshot, PortError>;

    /// Reads what an act on a consultation is decided on.
    async fn consultation_snapshot(
        &self,
        id: ConsultationId,
        target: Option<SlotId>,
        claim: Option<&IdempotencyClaim>,
    ) -> Result<Option<ConsultationSnapshot>, PortError>;

    /// Commits all of `changes` in one transaction, or nothing.
    async fn commit(&self, changes: &Changes) -> Result<(), CommitError>;

    /// One consultation.
    async fn view(&self, id: ConsultationId) -> Result<Option<Unrecorded<ConsultationView>>, PortError>;

    /// The sealed reason for the visit.
    async fn sealed_reason(&self, id: ConsultationId) -> Result<Option<Vec<u8>>, PortError>;

    /// The practitioner's sealed summary of the visit.
    async fn sealed_summary(&self, id: ConsultationId) -> Result<Option<Vec<u8>>, PortError>;

    /// A page of consultations by start, then id.
    async fn list(
        &self,
        filter: &ConsultationFilter,
        page: PageRequest<ByStart<ConsultationId>>,
    ) -> Result<Unrecorded<ConsultationPage>, PortError>;

    /// Every change of a consultation, by version.
    async fn timeline(&self, id: ConsultationId) -> Result<Unrecorded<Vec<TimelineEntry>>, PortError>;

    /// Up to `limit` pending consultations whose hold ended at or before `now`.
    async fn expired_holds(&self, now: Timestamp, limit: u16) -> Result<Vec<ConsultationId>, PortError>;
}

/// What is known of a slot's lock.
pub enum LockOutcome {
    /// Ours until released or its lifetime ends.
    Held(Box<dyn SlotLock>),
    /// Somebody else's.
    Taken,
    /// No quorum in time: go on without; the database decides anyway.
    Unavailable,
}

/// A lock that is ours. Releasing, like dropping, hands the work to the background: no answer waits for it.
pub trait SlotLock: Send {
    /// Gives it back; only the holder's own token can.
    fn release(self: Box<Self>);
}

/// Spares the database the herd; never trusted to decide.
#[async_trait]
pub trait SlotLocks: Send + Sync {
    /// Tries once, within a small bound.
    async fn try_lock(&self, slot: SlotId) -> LockOutcome;
}

/// How the directory is sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DoctorSort {
    /// By name.
    Name,
    /// By fee, lowest first; those who ask for this currency.
    Fee(Currency),
}

/// The sort key of the last practitioner seen: the name or the fee, then the id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DoctorKey {
    /// When sorted by name.
    Name(String, DoctorId),
    /// When sorted by fee, in minor units.
    Fee(i64, DoctorId),
}

/// Which listed practitioners to find.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoctorFilter {
    /// A part of the name, any case.
    pub text: Option<String>,
    /// Code of a specialization.
    pub specialization: Option<String>,
    /// BCP 47 tag.
    pub language: Option<String>,
    /// Offers this mode.
    pub mode: Option<Mode>,
    /// At most this fee, in its currency.
    pub max_fee: Option<Money>,
    /// Offers a slot at `now` that starts in here.
    pub available: Option<TimeRange>,
    /// Order.
    pub sort: DoctorSort,
    /// Page size.
    pub limit: amrutam_kernel::Limit,
    /// After this one.
    pub after: Option<DoctorKey>,
    /// The day on which a registration must be valid.
    pub today: Date,
    /// The instant at which slots must be yet to begin, and holds are compared.
    pub now: Timestamp,
}

/// What became of a new profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProfileInserted {
    /// Stored with its effects.
    Created,
    /// The account does not exist or is no doctor's.
    NotADoctorsAccount,
    /// The account has one already.
    AccountHasProfile,
    /// Council and number are another's.
    RegistrationTaken,
    /// The idempotency claim among the effects has an answer already.
    AlreadyAnswered,
}

/// Practitioners' profiles.
#[async_trait]
pub trait DirectoryStore: Send + Sync {
    /// Stores a profile.
    async fn insert(&self, practitioner: &Practitioner, effects: &Effects) -> Result<ProfileInserted, PortError>;
    /// Stores a profile's new state; [`CommitError::Stale`] unless the stored version is `practitioner.version - 1`.
    async fn update(&self, practitioner: &Practitioner, effects: &Effects) -> Result<(), CommitError>;
    /// By id.
    async fn by_id(&self, id: DoctorId) -> Result<Option<Practitioner>, PortError>;
    /// By the account that acts for it.
    async fn by_account(&self, account: AccountId) -> Result<Option<Practitioner>, PortError>;
    /// Whether this account is a doctor's, and open.
    async fn practises(&self, account: AccountId) -> Result<bool, PortError>;
    /// Listed ones.
    async fn search(&self, filter: &DoctorFilter) -> Result<Page<Practitioner, DoctorKey>, PortError>;
    /// Commits effects that change no profile (a refusal on the record).
    async fn record(&self, effects: &Effects) -> Result<(), PortError>;
}

/// What availability is decided on, read in one snapshot.
#[derive(Debug, Clone)]
pub struct AvailabilitySnapshot {
    /// Whose.
    pub practitioner: Practitioner,
    /// The rules.
    pub rules: Vec<WeeklyRule>,
    /// Rises with every change to rules, time off or what the profile says of them; the `ETag`.
    pub version: i64,
    /// Rises with every commit: what the next one is guarded by.
    pub revision: i64,
    /// Absences that end after the instant asked about, by start.
    pub time_off: Vec<TimeOff>,
    /// Slots exist for the practitioner's days before this one.
    pub generated_until: Option<Date>,
}

/// What one availability use case changes: one transaction, all or nothing.
#[derive(Debug, Clone)]
pub struct AvailabilityChanges {
    /// Whose.
    pub doctor: DoctorId,
    /// [`CommitError::Stale`] unless this is the stored revision, which rises by one.
    pub expected_revision: i64,
    /// [`CommitError::Stale`] unless this is the version of the practitioner's profile: zone, modes and registration are
    /// part of the plan.
    pub expected_profile: i64,
    /// The profile's new state, one version on.
    pub profile: Option<Practitioner>,
    /// Replaces all rules.
    pub rules: Option<Vec<WeeklyRule>>,
    /// A new absence.
    pub add_time_off: Option<TimeOff>,
    /// An absence that ends.
    pub remove_time_off: Option<TimeOffId>,
    /// What becomes of the slots; [`CommitError::Stale`] when one has changed since.
    pub plan: SlotPlan,
    /// Ids for `plan.create`, in order.
    pub new_slots: Vec<SlotId>,
    /// Slots exist for the days before this one now.
    pub generated_until: Date,
    /// Events and audit.
    pub effects: Effects,
}

impl AvailabilityChanges {
    /// Whether the `ETag` rises: not when there are only more days.
    pub fn change_the_schedule(&self) -> bool {
        self.rules.is_some() || self.add_time_off.is_some() || self.remove_time_off.is_some() || self.profile.is_some()
    }
}

/// Rules, absences and the slots made of them.
#[async_trait]
pub trait AvailabilityStore: Send + Sync {
    /// Rules and absences that end after `now`.
    async fn load(&self, doctor: DoctorId, now: Timestamp) -> Result<Option<AvailabilitySnapshot>, PortError>;
    /// Every slot starting in `range` that is not withdrawn, by start.
    async fn slots(&self, doctor: DoctorId, range: TimeRange) -> Result<Vec<Slot>, PortError>;
    /// A page of slots that are offered at `now`, by start.
    async fn open_slots(
        &self,
        doctor: DoctorId,
        range: TimeRange,
        mode: Option<Mode>,
        now: Timestamp,
        page: PageRequest<ByStart<SlotId>>,
    ) -> Result<Page<Slot, ByStart<SlotId>>, PortError>;
    /// Commits all of `changes` in one transaction, or nothing.
    async fn commit(&self, changes: &AvailabilityChanges) -> Result<(), CommitError>;
    /// Practitioners with rules whose slots reach less far than `until`, by id, from the one after `after`: those that can't
    /// be extended stay due, and must not stand before the others for ever.
    async fn due_for_extension(
        &self,
        until: Date,
        after: Option<DoctorId>,
        limit: u16,
    ) -> Result<Vec<DoctorId>, PortError>;
    /// Commits effects that change nothing else (a refusal on the record).
    async fn record(&self, effects: &Effects) -> Result<(), PortError>;
}

//! The use cases on the memory adapter: what callers are told, and what is left behind.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[path = "../support/content.rs"]
mod content;
mod dependants;
mod documents;
mod formulary;
mod notes;
mod people;
mod prescribing;
mod records;

use amrutam_booking::{
    BookError,
    model::{IdentityCheck, Mode, Slot},
    use_cases::{Book, book, complete, start},
};
use amrutam_clinical::{
    ClinicalError,
    model::{
        Acknowledgement, Amount, AushadhaKala, Diagnosis, Form, Formulary, Measure, OverrideReason, PrescribedItem,
        PrescriptionContent, Rule, StoredCourse, Unit,
    },
    ports::FormularyStore,
    use_cases::{self, Deps},
};
use amrutam_identity::{
    Account, PolicyTable, Profile,
    model::{PasswordHash, Sex},
    ports::AccountStore,
};
use amrutam_kernel::{
    AccountId, Actor, Clock, ConsultationId, Context, DependantId, Effects, IdSource, Outcome, Role, Sensitive,
};
use amrutam_memory::{Clinic, FakeRenderer, FakeSigner};
use content::examined;
use jiff::{SignedDuration, tz::TimeZone};

/// A practice with a formulary, and a patient.
struct Stage {
    clinic: Clinic,
    signer: FakeSigner,
    renderer: FakeRenderer,
    zone: TimeZone,
    patient: AccountId,
}

fn formulary() -> Formulary {
    Formulary::parse(include_str!("../../../../../infra/formulary/ayurveda-v1.json")).unwrap()
}

/// A Monday, 9:00 in India: the first slot begins now.
async fn stage() -> Stage {
    stage_of("1990-05-17").await
}

/// Without a date of birth when that is none.
async fn stage_of(born: &str) -> Stage {
    let clinic = Clinic::open("2026-11-23T03:30:00Z".parse().unwrap(), 7).await.unwrap();
    clinic.world.import(&formulary(), &Effects::default()).await.unwrap();
    let patient = person(&clinic, Role::Patient, born).await;
    let zone = TimeZone::get("Asia/Kolkata").unwrap();
    Stage { clinic, signer: FakeSigner::new(), renderer: FakeRenderer::new(), zone, patient }
}

async fn person(clinic: &Clinic, role: Role, born: &str) -> AccountId {
    let now = clinic.clock.now();
    let id = AccountId::from_uuid(clinic.ids.uuid_v7(now));
    let profile = Profile {
        full_name: Sensitive::new("Asha Rao".parse().unwrap()),
        phone: None,
        date_of_birth: born.parse().ok().map(Sensitive::new),
        sex: Some(Sensitive::new(Sex::Male)),
        time_zone: "Asia/Kolkata".to_owned(),
    };
    let email = Sensitive::new(format!("{id}@example.in").parse().unwrap());
    let account = Account::new(id, role, email, Some(PasswordHash::from_phc("none".to_owned())), profile, now);
    AccountStore::insert(&clinic.world, &account, None, &Effects::default()).await.unwrap();
    id
}

impl Stage {
    fn deps(&self) -> Deps<'_> {
        Deps {
            store: &self.clinic.world,
            formularies: &self.clinic.world,
            signer: &self.signer,
            codes: &self.signer,
            printer: &self.renderer,
            policy: &PolicyTable,
            clock: &*self.clinic.clock,
            ids: &self.clinic.ids,
            zone: &self.zone,
        }
    }

    fn as_patient(&self) -> Context {
        self.clinic.patient(self.patient)
    }

    fn as_doctor(&self) -> Context {
        self.clinic.context(Actor::Account { id: self.clinic.doctor_account, role: Role::Doctor })
    }

    async fn booked(&self, slot: &Slot, mode: Mode) -> ConsultationId {
        self.booked_for(slot, mode, None).await.unwrap()
    }

    async fn booked_for(
        &self,
        slot: &Slot,
        mode: Mode,
        for_dependent: Option<DependantId>,
    ) -> Result<ConsultationId, BookError> {
        let wanted = Book { doctor: slot.doctor, slot: slot.id, mode, reason: None, for_dependent, idempotency: None };
        let booked = book(self.clinic.deps(), &self.as_patient(), wanted).await?;
        Ok(booked.0.consultation.id)
    }

    /// A visit that the clock has come to.
    async fn confirmed(&self, mode: Mode) -> ConsultationId {
        let slot = self.clinic.open_slots().await.unwrap().remove(0);
        let id = self.booked(&slot, mode).await;
        self.clinic.clock.set(slot.range.start());
        id
    }

    async fn begun_by(&self, mode: Mode) -> ConsultationId {
        let id = self.confirmed(mode).await;
        self.begin(id).await.unwrap();
        id
    }

    async fn begun(&self) -> ConsultationId {
        self.begun_by(Mode::Video).await
    }

    async fn begin(&self, id: ConsultationId) -> Result<(), ClinicalError> {
        use_cases::admit(self.deps(), &self.as_doctor(), id, SignedDuration::from_mins(10)).await?;
        start(self.clinic.deps(), &self.as_doctor(), id, IdentityCheck::Asked, None).await.unwrap();
        Ok(())
    }

    async fn end(&self, id: ConsultationId) {
        complete(self.clinic.deps(), &self.as_doctor(), id, None, None).await.unwrap();
    }

    /// What was put on the record under that name, and how each ended.
    fn audited(&self, action: &str) -> Vec<Outcome> {
        let entries = self.clinic.world.audit();
        entries.iter().filter(|entry| entry.action == action).map(|entry| entry.outcome).collect()
    }

    fn announced(&self, event_type: &str) -> usize {
        self.clinic.world.outbox().iter().filter(|event| event.event_type == event_type).count()
    }
}

fn measure(amount: &str, unit: Unit) -> Measure {
    Measure { amount: amount.parse::<Amount>().unwrap(), unit }
}

/// As the formulary calls it, if it does.
fn item(code: &str, dose: &str, unit: Unit, total: &str) -> PrescribedItem {
    let code = code.to_owned().try_into().unwrap();
    let row = formulary().get(&code).map(|row| (row.name.clone(), row.form));
    let (name, form) = row.unwrap_or_else(|| ("Of the house".into(), Form::Churna));
    PrescribedItem {
        code: Some(code),
        name,
        form,
        strength: "as in the text".into(),
        course: StoredCourse { dose: measure(dose, unit), times_per_day: 2, days: 14, quantity: measure(total, unit) },
        kala: AushadhaKala::Pragbhakta,
        anupana: "warm water".into(),
        pathya: "milk".into(),
        apathya: "sour food".into(),
        instructions: "before food".into(),
        acknowledged: vec![],
    }
}

fn answered(rule: Rule) -> Acknowledgement {
    Acknowledgement { rule, reason: OverrideReason::CheckedByPractitioner }
}

/// Of Avipattikara for hyperacidity, complete and with nothing against it.
fn complete_content() -> PrescriptionContent {
    PrescriptionContent {
        items: vec![item("AYU-CHU-005", "3", Unit::Gram, "84")],
        acknowledged: vec![answered(Rule::InteractionCheck), answered(Rule::AllergyCheck)],
        ..examined()
    }
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, ClinicalError>) -> ClinicalError {
    match result {
        Ok(done) => panic!("not refused: {done:?}"),
        Err(error) => error,
    }
}

fn minutes(minutes: i64) -> SignedDuration {
    SignedDuration::from_mins(minutes)
}

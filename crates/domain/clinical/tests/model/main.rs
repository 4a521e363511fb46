//! What is decided without any world.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod consents;
#[path = "../support/content.rs"]
mod content;
mod every_rule;
mod formulary;
mod oracle;
mod prescribing;
mod prescriptions;
mod visits;

use amrutam_clinical::model::{
    Circumstances, Course, DoseBounds, Form, FormularyItem, Measure, Mode, Person, Practitioner, Pregnancy,
    PregnancyFlag, PrescribingList, RuleSet, Sex, Subject, System, Unit, Visit, VisitKind, VisitStatus,
};
use amrutam_kernel::{AccountId, ConsultationId, DoctorId, Sensitive, TimeRange};
use jiff::{Timestamp, tz::TimeZone};
use uuid::Uuid;

use content::examined;

fn rules() -> RuleSet {
    RuleSet::in_force("2026-11-30".parse().unwrap()).unwrap().clone()
}

fn zone() -> TimeZone {
    TimeZone::get("Asia/Kolkata").unwrap()
}

fn measure(amount: &str, unit: Unit) -> Measure {
    Measure { amount: amount.parse().unwrap(), unit }
}

/// Five grams twice a day for a week, as much as that takes.
fn course() -> Course {
    let (dose, quantity) = (measure("5", Unit::Gram), measure("70", Unit::Gram));
    Course { dose, times_per_day: 2, days: 7, quantity }
}

/// A powder with nothing against it.
fn powder() -> FormularyItem {
    FormularyItem {
        code: "AYU-CHU-999".to_owned().try_into().unwrap(),
        name: "Cūrṇa".into(),
        name_deva: "चूर्ण".into(),
        system: System::Ayurveda,
        form: Form::Churna,
        list: PrescribingList::O,
        key_ingredients: vec![],
        schedule_e1: false,
        ndps: false,
        schedule_x: false,
        mineral: false,
        pregnancy: PregnancyFlag::Used,
        min_age_years: 5,
        dose: Some(DoseBounds {
            min: "3".parse().unwrap(),
            max: "6".parse().unwrap(),
            unit: Unit::Gram,
            max_times_per_day: 2,
        }),
        external: false,
        reference: "a text".into(),
    }
}

/// A grown man at his first visit, by video, with a diagnosis.
fn plain() -> Circumstances {
    Circumstances {
        mode: Mode::Video,
        visit: VisitKind::FirstVisit,
        age_years: Some(40),
        pregnancy: Pregnancy::No,
        system: System::Ayurveda,
        diagnosed: true,
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Under way, of a woman of 36.
fn visit() -> Visit {
    let account = AccountId::from_uuid(Uuid::from_u128(1));
    Visit {
        id: ConsultationId::from_uuid(Uuid::from_u128(2)),
        subject: Subject::Account(account),
        person: Sensitive::new(Person {
            name: "Asha Rao".into(),
            date_of_birth: Some("1990-05-17".parse().unwrap()),
            sex: Some(Sex::Female),
        }),
        practitioner: Practitioner {
            id: DoctorId::from_uuid(Uuid::from_u128(3)),
            account: AccountId::from_uuid(Uuid::from_u128(4)),
            name: "Vaidya Meera Nair".into(),
            qualifications: vec!["BAMS".into()],
            council: "NCISM".into(),
            registration: "KL-1".into(),
            system: System::Ayurveda,
            listed: true,
            registered_on: None,
            valid_until: Some("2027-01-01".parse().unwrap()),
        },
        range: TimeRange::new(at("2026-11-30T04:00:00Z"), at("2026-11-30T04:30:00Z")).unwrap(),
        mode: Mode::Video,
        status: VisitStatus::InProgress,
        changed_at: at("2026-11-30T04:00:00Z"),
        version: 3,
    }
}

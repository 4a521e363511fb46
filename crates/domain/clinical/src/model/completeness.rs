//! What a prescription must carry, and what of it is missing.

use super::{PrescriptionContent, System, Visit};
use jiff::tz::TimeZone;

/// Something that a prescription must carry and does not, or not in letters that can be printed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Missing {
    /// JSON Pointer into the draft; `/patient/..` and `/practitioner/..` stand in the profiles.
    pub field: String,
    /// In a sentence.
    pub what: &'static str,
}

/// All of it, in the order of the document. Telemedicine Practice Guidelines 2020, Annexure 1 (prescription format), and the Ayurvedic
/// fields of the guidelines of 7 April 2020.
pub fn missing_fields(content: &PrescriptionContent, visit: &Visit, zone: &TimeZone) -> Vec<Missing> {
    let mut missing = Vec::new();
    let mut need = |there: bool, field: &str, what: &'static str| {
        if !there {
            missing.push(Missing { field: field.to_owned(), what });
        }
    };
    let said = |text: &str| !text.trim().is_empty();
    let practitioner = &visit.practitioner;
    need(said(&practitioner.name), "/practitioner/name", "the practitioner's name");
    need(practitioner.qualifications.iter().any(|one| said(one)), "/practitioner/qualifications", "a qualification");
    need(said(&practitioner.council), "/practitioner/council", "the council");
    need(said(&practitioner.registration), "/practitioner/registration_number", "the registration number");
    need(said(&content.practice_address), "/practice_address", "the practitioner's address");
    need(said(&content.practice_contact), "/practice_contact", "how the practitioner is reached");

    let person = visit.person.expose();
    need(said(&person.name), "/patient/name", "the patient's name");
    need(visit.age_years(zone).is_some(), "/patient/date_of_birth", "the patient's age");
    need(person.sex.is_some(), "/patient/sex", "the patient's sex");
    need(said(&content.patient_address), "/patient_address", "the patient's address");

    need(said(&content.complaint), "/complaint", "the complaint");
    need(said(&content.history), "/history", "the relevant history, or that there is none");
    need(said(&content.findings), "/findings", "the findings");
    need(said(&content.findings_limits), "/findings_limits", "what could not be examined");
    need(said(&content.investigations), "/investigations", "investigations, or that none are needed");
    need(content.is_diagnosed(), "/diagnoses", "a diagnosis, provisional at least");
    for (index, diagnosis) in content.diagnoses.iter().enumerate() {
        need(said(&diagnosis.text), &format!("/diagnoses/{index}/text"), "the diagnosis in words");
    }
    need(said(&content.advice), "/advice", "advice");
    need(content.follow_up_on.is_some() || said(&content.referral), "/follow_up_on", "a follow-up date or a referral");
    need(!content.items.is_empty(), "/items", "an item");

    if practitioner.system == System::Ayurveda {
        let found = &content.ayurveda;
        need(said(&found.prakriti), "/ayurveda/prakriti", "the constitution");
        need(said(&found.vikriti), "/ayurveda/vikriti", "the imbalance");
        need(said(&found.agni), "/ayurveda/agni", "the digestive fire");
        need(said(&found.koshtha), "/ayurveda/koshtha", "the nature of the bowel");
        need(said(&found.nidana), "/ayurveda/nidana", "the causes");
    }
    for (index, item) in content.items.iter().enumerate() {
        let at = |field: &str| format!("/items/{index}/{field}");
        need(said(&item.name), &at("name"), "the medicine's name");
        need(said(&item.strength), &at("strength"), "its strength");
        need(item.course.times_per_day > 0, &at("times_per_day"), "how often a day");
        need(item.course.days > 0, &at("days"), "for how many days");
        need(said(&item.instructions), &at("instructions"), "how to take it");
        if practitioner.system == System::Ayurveda {
            need(said(&item.anupana), &at("anupana"), "with what it is taken");
            need(said(&item.pathya), &at("pathya"), "what is wholesome with it");
            need(said(&item.apathya), &at("apathya"), "what is to be avoided with it");
        }
    }
    missing
}

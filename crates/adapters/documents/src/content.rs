//! What is printed, in order.

use amrutam_clinical::{
    model::{
        AushadhaKala, Decision, Mode, PrescribedItem, Prescription, PrescriptionContent, Rule, RuleSet, SignedFacts,
        System, VisitKind,
    },
    ports::RenderError,
};
use jiff::{Timestamp, tz::TimeZone};

/// A part of the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Block {
    /// The document's name.
    Title(String),
    /// Above what follows.
    Heading(String),
    /// A name and what is said of it.
    Field(&'static str, String),
    /// A medicine's first line.
    Item(String),
    /// A line below another.
    Line(String),
    /// Set off from the rest.
    Caution(String),
    /// Room.
    Gap,
}

/// `30 November 2026, 09:30 (Asia/Kolkata)`.
pub(crate) fn shown(at: Timestamp, zone: &TimeZone) -> String {
    let name = zone.iana_name().unwrap_or("UTC");
    format!("{} ({name})", at.to_zoned(zone.clone()).strftime("%-d %B %Y, %H:%M"))
}

fn kala(kala: AushadhaKala) -> &'static str {
    match kala {
        AushadhaKala::Abhakta => "on an empty stomach (abhakta)",
        AushadhaKala::Pragbhakta => "before food (prāgbhakta)",
        AushadhaKala::Madhyabhakta => "in the middle of a meal (madhyabhakta)",
        AushadhaKala::Adhobhakta => "after food (adhobhakta)",
        AushadhaKala::Antarabhakta => "between two meals (antarabhakta)",
        AushadhaKala::Sabhakta => "mixed with food (sabhakta)",
        AushadhaKala::Samudga => "before and after a light meal (samudga)",
        AushadhaKala::Muhurmuhu => "again and again (muhurmuhu)",
        AushadhaKala::Sagrasa => "with each morsel (sagrāsa)",
        AushadhaKala::Grasantara => "between morsels (grāsāntara)",
        AushadhaKala::Nisha => "at night (niśā)",
        AushadhaKala::AsDirected => "as directed",
    }
}

fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Video => "video",
        Mode::Audio => "audio",
        Mode::Chat => "text",
    }
}

/// Every line of the document.
pub(crate) fn blocks(
    prescription: &Prescription,
    facts: &SignedFacts,
    zone: &TimeZone,
) -> Result<Vec<Block>, RenderError> {
    let content = prescription.content.expose();
    let mut blocks = vec![Block::Title("Prescription / चिकित्सा पत्र".to_owned())];
    people(&mut blocks, content, facts);
    visit(&mut blocks, prescription, facts, zone);
    clinical(&mut blocks, content, facts.signatory.system);
    blocks.push(Block::Heading("Medicines / औषधियाँ".to_owned()));
    for (index, item) in content.items.iter().enumerate() {
        medicine(&mut blocks, index, item, facts)?;
    }
    after(&mut blocks, content);
    blocks.push(Block::Gap);
    blocks.push(Block::Field("Signed by", format!("{}, {}", facts.signatory.name, registration(facts))));
    blocks.push(Block::Field("Signed at", shown(facts.signed_at, zone)));
    Ok(blocks)
}

fn registration(facts: &SignedFacts) -> String {
    format!("{} {}", facts.signatory.council, facts.signatory.registration)
}

fn people(blocks: &mut Vec<Block>, content: &PrescriptionContent, facts: &SignedFacts) {
    let signatory = &facts.signatory;
    blocks.push(Block::Heading("Practitioner / चिकित्सक".to_owned()));
    blocks.push(Block::Field("Name", signatory.name.clone()));
    blocks.push(Block::Field("Qualification", signatory.qualifications.join(", ")));
    blocks.push(Block::Field("Registration", registration(facts)));
    blocks.push(Block::Field("Address", content.practice_address.clone()));
    blocks.push(Block::Field("Contact", content.practice_contact.clone()));
    let person = &facts.person;
    blocks.push(Block::Heading("Patient / रोगी".to_owned()));
    blocks.push(Block::Field("Name", person.name.clone()));
    let sex = person.sex.map_or("not stated", amrutam_clinical::model::Sex::as_str);
    blocks.push(Block::Field("Age and sex", format!("{} years, {sex}", facts.age_years)));
    blocks.push(Block::Field("Address", content.patient_address.clone()));
    if let Some(weight) = content.weight_kg {
        blocks.push(Block::Field("Weight", format!("{weight} kg")));
    }
    if let Some(height) = content.height_cm {
        blocks.push(Block::Field("Height", format!("{height} cm")));
    }
}

fn visit(blocks: &mut Vec<Block>, prescription: &Prescription, facts: &SignedFacts, zone: &TimeZone) {
    blocks.push(Block::Heading("Visit / परामर्श".to_owned()));
    let kind = match facts.kind {
        VisitKind::FirstVisit => "first visit",
        VisitKind::FollowUp => "follow-up",
    };
    blocks.push(Block::Field("Date and time", shown(facts.visit_started_at, zone)));
    blocks.push(Block::Field("Mode", format!("{}, {kind}", mode(facts.mode))));
    blocks.push(Block::Field("Visit no.", prescription.consultation.to_string()));
    blocks.push(Block::Field("Prescription no.", format!("{}, version {}", prescription.id, prescription.number)));
    blocks.push(Block::Line("Issued on teleconsultation".to_owned()));
}

fn clinical(blocks: &mut Vec<Block>, content: &PrescriptionContent, system: System) {
    blocks.push(Block::Heading("Findings / निष्कर्ष".to_owned()));
    let mut said = |name, text: &str| {
        if !text.trim().is_empty() {
            blocks.push(Block::Field(name, text.to_owned()));
        }
    };
    said("Complaint", &content.complaint);
    said("History", &content.history);
    said("Findings", &content.findings);
    said("Not examined", &content.findings_limits);
    said("Investigations", &content.investigations);
    if system == System::Ayurveda {
        let found = &content.ayurveda;
        said("Prakṛti", &found.prakriti);
        said("Vikṛti", &found.vikriti);
        said("Agni", &found.agni);
        said("Koṣṭha", &found.koshtha);
        said("Nidāna", &found.nidana);
    }
    for diagnosis in &content.diagnoses {
        let codes = [("NAMASTE", &diagnosis.namaste_code), ("ICD-11 TM2", &diagnosis.icd11_tm2_code)];
        let codes: String =
            codes.iter().filter_map(|(name, code)| code.as_ref().map(|code| format!(" [{name} {code}]"))).collect();
        let certain = if diagnosis.provisional { " (provisional)" } else { "" };
        said("Diagnosis", &format!("{}{codes}{certain}", diagnosis.text));
    }
}

fn medicine(
    blocks: &mut Vec<Block>,
    index: usize,
    item: &PrescribedItem,
    facts: &SignedFacts,
) -> Result<(), RenderError> {
    let course = item.course;
    blocks.push(Block::Item(format!("{}. {} ({}), {}", index + 1, item.name, item.form, item.strength)));
    let times = if course.times_per_day == 1 { "once".to_owned() } else { format!("{} times", course.times_per_day) };
    blocks.push(Block::Line(format!(
        "Dose (mātrā): {}, {times} a day, for {} days; quantity: {}",
        course.dose, course.days, course.quantity
    )));
    blocks.push(Block::Line(format!("When (auṣadha-kāla): {}", kala(item.kala))));
    for (name, text) in [
        ("With (anupāna)", &item.anupana),
        ("Wholesome (pathya)", &item.pathya),
        ("To avoid (apathya)", &item.apathya),
        ("Instructions", &item.instructions),
    ] {
        if !text.trim().is_empty() {
            blocks.push(Block::Line(format!("{name}: {text}")));
        }
    }
    if facts.decisions.get(index).is_some_and(needs_caution) {
        // A poison without its caution is no document.
        let rules = RuleSet::known().iter().find(|set| set.version == facts.ruleset);
        let rules = rules.ok_or_else(|| RenderError(format!("the rules {} are not known", facts.ruleset)))?;
        blocks.push(Block::Caution(rules.schedule_e1.caution.clone()));
        blocks.push(Block::Caution(rules.schedule_e1.caution_hi.clone()));
    }
    Ok(())
}

fn needs_caution(decision: &Decision) -> bool {
    decision.cautions().iter().any(|finding| finding.rule == Rule::E1Caution)
}

fn after(blocks: &mut Vec<Block>, content: &PrescriptionContent) {
    blocks.push(Block::Heading("Advice / सलाह".to_owned()));
    blocks.push(Block::Line(content.advice.clone()));
    if let Some(day) = content.follow_up_on {
        blocks.push(Block::Field("Follow-up", day.strftime("%-d %B %Y").to_string()));
    }
    if !content.referral.trim().is_empty() {
        blocks.push(Block::Field("Referral", content.referral.clone()));
    }
}

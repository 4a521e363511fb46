//! What is written in notes and prescriptions, as sent; and how it becomes the domain's.

use super::shared::{ModeWord, Time};
use crate::{http::Fields, problem::Problem};
use amrutam_clinical::model::{
    Acknowledgement, Amount, AyurvedicFindings, Diagnosis, ItemCode, Measure, NoteContent, PrescribedItem,
    PrescriptionContent, StoredCourse, Unit,
};
use serde::{Deserialize, Serialize};
use std::str::FromStr;
use utoipa::ToSchema;

/// Of one text.
const MAX_TEXT_CHARS: usize = 4_000;
/// Of one list.
const MAX_ITEMS: usize = 40;

/// A diagnosis: text always, codes only when known.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Diagnosis, example = json!({"text": "Amlapitta", "provisional": true, "namaste_code": null, "icd11_tm2_code": null}))]
pub(crate) struct DiagnosisDto {
    /// In words.
    text: String,
    /// Yet to be made sure of.
    #[serde(default)]
    provisional: bool,
    /// National AYUSH Morbidity and Standardized Terminologies code.
    namaste_code: Option<String>,
    /// ICD-11, Traditional Medicine Module 2.
    icd11_tm2_code: Option<String>,
}

/// What an Ayurvedic examination adds.
#[derive(Debug, Clone, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = AyurvedicFindings, example = json!({
    "prakriti": "pitta-kapha", "vikriti": "pitta", "agni": "vishama", "koshtha": "mridu", "nidana": "sour food"
}))]
pub(crate) struct AyurvedaDto {
    prakriti: String,
    vikriti: String,
    agni: String,
    koshtha: String,
    nidana: String,
}

/// SOAP, and what an Ayurvedic examination adds. What is left out is empty.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = NoteContent, example = json!({
    "subjective": "Burning after meals", "objective": "Tongue coated", "assessment": "Amlapitta", "plan": "Diet, Avipattikara",
    "ayurveda": {"prakriti": "pitta-kapha", "vikriti": "pitta", "agni": "vishama", "koshtha": "mridu", "nidana": "sour food"},
    "ashtavidha_pariksha": "", "samprapti": "",
    "diagnoses": [{"text": "Amlapitta", "provisional": true, "namaste_code": null, "icd11_tm2_code": null}],
    "treat_as_first_visit": false
}))]
pub(crate) struct NoteDto {
    subjective: String,
    objective: String,
    assessment: String,
    plan: String,
    ayurveda: AyurvedaDto,
    /// The eightfold examination.
    ashtavidha_pariksha: String,
    /// Stages of the disease.
    samprapti: String,
    diagnoses: Vec<DiagnosisDto>,
    /// That a follow-up is to be treated as a first visit. The reverse can't be said.
    treat_as_first_visit: bool,
}

/// An amount of something.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Measure, example = json!({"amount": "3", "unit": "g"}))]
pub(crate) struct MeasureDto {
    /// A decimal of at most three places.
    amount: String,
    /// `mg`, `g`, `ml`, `tablet`, `drop`, `application`.
    unit: String,
}

/// Why a caution was weighed.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Acknowledgement, example = json!({"rule": "interaction_check", "reason": "checked_by_practitioner"}))]
pub(crate) struct AcknowledgementDto {
    /// The rule that spoke, as the dry run names it.
    rule: String,
    /// `benefit_outweighs_risk`, `tolerated_before`, `checked_by_practitioner`, `monitoring_arranged`, `no_alternative`.
    reason: String,
}

/// One medicine.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PrescribedItem, example = json!({
    "code": "AYU-CHU-005", "name": "Avipattikara Cūrṇa", "form": "churna", "strength": "AFI Part I",
    "dose": {"amount": "3", "unit": "g"}, "times_per_day": 2, "days": 14, "quantity": {"amount": "84", "unit": "g"},
    "kala": "pragbhakta", "anupana": "warm water", "pathya": "milk", "apathya": "sour food", "instructions": "before food",
    "acknowledged": []
}))]
pub(crate) struct ItemDto {
    /// The formulary's code; without one it counts as list A and is flagged.
    code: Option<String>,
    name: String,
    /// The dosage form: `vati`, `churna`, `arishta`, ...
    form: String,
    strength: String,
    dose: MeasureDto,
    times_per_day: u8,
    days: u16,
    quantity: MeasureDto,
    /// When, relative to food: `pragbhakta`, `adhobhakta`, ...
    kala: String,
    /// With what it is taken.
    #[serde(default)]
    anupana: String,
    /// What is wholesome with it.
    #[serde(default)]
    pathya: String,
    /// What is to be avoided with it.
    #[serde(default)]
    apathya: String,
    #[serde(default)]
    instructions: String,
    #[serde(default)]
    acknowledged: Vec<AcknowledgementDto>,
}

/// A draft: what is left out is empty, and named as missing when it is signed.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = PrescriptionContent, example = json!({
    "practice_address": "12 MG Road, Kochi", "practice_contact": "+91 484 000 0000", "patient_address": "7 Beach Road, Kochi",
    "weight_kg": "61.5", "height_cm": null, "pregnancy": "no", "complaint": "Burning after meals", "history": "For two months",
    "findings": "Tongue coated", "findings_limits": "Abdomen not palpated", "investigations": "None needed",
    "diagnoses": [{"text": "Amlapitta", "provisional": true, "namaste_code": null, "icd11_tm2_code": null}],
    "ayurveda": {"prakriti": "pitta-kapha", "vikriti": "pitta", "agni": "vishama", "koshtha": "mridu", "nidana": "sour food"},
    "items": [], "advice": "Regular meals", "follow_up_on": "2026-12-14", "referral": "", "acknowledged": []
}))]
pub(crate) struct PrescriptionDto {
    practice_address: String,
    practice_contact: String,
    patient_address: String,
    weight_kg: Option<String>,
    height_cm: Option<String>,
    /// `no`, `yes`, `unknown`.
    pregnancy: Option<String>,
    complaint: String,
    history: String,
    findings: String,
    findings_limits: String,
    investigations: String,
    diagnoses: Vec<DiagnosisDto>,
    ayurveda: AyurvedaDto,
    items: Vec<ItemDto>,
    advice: String,
    follow_up_on: Option<String>,
    referral: String,
    acknowledged: Vec<AcknowledgementDto>,
}

/// Checks a text's length and letters.
pub(crate) fn text(fields: &mut Fields, pointer: &str, text: String) -> String {
    let plain = !text.chars().any(|c| c.is_control() && c != '\n' && c != '\t');
    let fits = text.chars().count() <= MAX_TEXT_CHARS;
    fields.check(plain && fits, pointer, "out_of_range", "at most 4000 characters, no control characters");
    text
}

fn word<T: FromStr>(fields: &mut Fields, pointer: &str, word: &str) -> Option<T>
where
    T::Err: std::fmt::Display,
{
    fields.parse(pointer, "unknown_value", word)
}

impl DiagnosisDto {
    fn parse(self, fields: &mut Fields, at: &str) -> Diagnosis {
        let code = |fields: &mut Fields, name: &str, code: Option<String>| {
            let fits = code.as_ref().is_none_or(|code| (1..=64).contains(&code.len()) && code.is_ascii());
            fields.check(fits, &format!("{at}/{name}"), "out_of_range", "1 to 64 ASCII characters");
            code
        };
        Diagnosis {
            text: text(fields, &format!("{at}/text"), self.text),
            provisional: self.provisional,
            namaste_code: code(fields, "namaste_code", self.namaste_code),
            icd11_tm2_code: code(fields, "icd11_tm2_code", self.icd11_tm2_code),
        }
    }

    fn parse_all(all: Vec<Self>, fields: &mut Fields) -> Vec<Diagnosis> {
        fields.check(all.len() <= MAX_ITEMS, "/diagnoses", "out_of_range", "at most 40");
        all.into_iter().enumerate().map(|(n, one)| one.parse(fields, &format!("/diagnoses/{n}"))).collect()
    }
}

impl AyurvedaDto {
    fn parse(self, fields: &mut Fields) -> AyurvedicFindings {
        AyurvedicFindings {
            prakriti: text(fields, "/ayurveda/prakriti", self.prakriti),
            vikriti: text(fields, "/ayurveda/vikriti", self.vikriti),
            agni: text(fields, "/ayurveda/agni", self.agni),
            koshtha: text(fields, "/ayurveda/koshtha", self.koshtha),
            nidana: text(fields, "/ayurveda/nidana", self.nidana),
        }
    }
}

impl NoteDto {
    pub(crate) fn parse(self) -> Result<NoteContent, Problem> {
        let mut fields = Fields::default();
        let content = NoteContent {
            subjective: text(&mut fields, "/subjective", self.subjective),
            objective: text(&mut fields, "/objective", self.objective),
            assessment: text(&mut fields, "/assessment", self.assessment),
            plan: text(&mut fields, "/plan", self.plan),
            ayurveda: self.ayurveda.parse(&mut fields),
            ashtavidha_pariksha: text(&mut fields, "/ashtavidha_pariksha", self.ashtavidha_pariksha),
            samprapti: text(&mut fields, "/samprapti", self.samprapti),
            diagnoses: DiagnosisDto::parse_all(self.diagnoses, &mut fields),
            treat_as_first_visit: self.treat_as_first_visit,
        };
        fields.finish()?;
        Ok(content)
    }
}

impl MeasureDto {
    fn parse(&self, fields: &mut Fields, at: &str) -> Option<Measure> {
        let amount = fields.parse::<Amount>(&format!("{at}/amount"), "invalid_amount", &self.amount);
        let unit = word::<Unit>(fields, &format!("{at}/unit"), &self.unit);
        Some(Measure { amount: amount?, unit: unit? })
    }
}

impl AcknowledgementDto {
    fn parse_all(all: &[Self], fields: &mut Fields, at: &str) -> Vec<Acknowledgement> {
        let mut parsed = Vec::new();
        for (n, one) in all.iter().enumerate() {
            let rule = word(fields, &format!("{at}/{n}/rule"), &one.rule);
            let reason = word(fields, &format!("{at}/{n}/reason"), &one.reason);
            parsed.extend(rule.zip(reason).map(|(rule, reason)| Acknowledgement { rule, reason }));
        }
        parsed
    }
}

impl ItemDto {
    fn parse(self, fields: &mut Fields, at: &str) -> Option<PrescribedItem> {
        let code = match self.code {
            Some(code) => {
                let parsed = ItemCode::try_from(code);
                let known = parsed.is_ok();
                fields.check(known, &format!("{at}/code"), "invalid_code", "3 to 32 of A-Z, 0-9 and -");
                Some(parsed.ok())
            }
            None => Some(None),
        };
        let form = word(fields, &format!("{at}/form"), &self.form);
        let kala = word(fields, &format!("{at}/kala"), &self.kala);
        let dose = self.dose.parse(fields, &format!("{at}/dose"));
        let quantity = self.quantity.parse(fields, &format!("{at}/quantity"));
        fields.check(self.times_per_day <= 24, &format!("{at}/times_per_day"), "out_of_range", "0 to 24");
        fields.check(self.days <= 366, &format!("{at}/days"), "out_of_range", "0 to 366");
        Some(PrescribedItem {
            name: text(fields, &format!("{at}/name"), self.name),
            strength: text(fields, &format!("{at}/strength"), self.strength),
            anupana: text(fields, &format!("{at}/anupana"), self.anupana),
            pathya: text(fields, &format!("{at}/pathya"), self.pathya),
            apathya: text(fields, &format!("{at}/apathya"), self.apathya),
            instructions: text(fields, &format!("{at}/instructions"), self.instructions),
            acknowledged: AcknowledgementDto::parse_all(&self.acknowledged, fields, &format!("{at}/acknowledged")),
            code: code?,
            form: form?,
            kala: kala?,
            course: StoredCourse {
                dose: dose?,
                times_per_day: self.times_per_day,
                days: self.days,
                quantity: quantity?,
            },
        })
    }
}

impl PrescriptionDto {
    pub(crate) fn parse(self) -> Result<PrescriptionContent, Problem> {
        let mut fields = Fields::default();
        let fields = &mut fields;
        fields.check(self.items.len() <= MAX_ITEMS, "/items", "out_of_range", "at most 40");
        let amount = |fields: &mut Fields, pointer: &str, text: Option<String>| {
            text.and_then(|text| fields.parse::<Amount>(pointer, "invalid_amount", &text))
        };
        let items = self.items.into_iter().enumerate();
        let content = PrescriptionContent {
            practice_address: text(fields, "/practice_address", self.practice_address),
            practice_contact: text(fields, "/practice_contact", self.practice_contact),
            patient_address: text(fields, "/patient_address", self.patient_address),
            weight_kg: amount(fields, "/weight_kg", self.weight_kg),
            height_cm: amount(fields, "/height_cm", self.height_cm),
            pregnancy: self.pregnancy.and_then(|state| word(fields, "/pregnancy", &state)),
            complaint: text(fields, "/complaint", self.complaint),
            history: text(fields, "/history", self.history),
            findings: text(fields, "/findings", self.findings),
            findings_limits: text(fields, "/findings_limits", self.findings_limits),
            investigations: text(fields, "/investigations", self.investigations),
            diagnoses: DiagnosisDto::parse_all(self.diagnoses, fields),
            ayurveda: self.ayurveda.parse(fields),
            items: items.filter_map(|(n, item)| item.parse(fields, &format!("/items/{n}"))).collect(),
            advice: text(fields, "/advice", self.advice),
            follow_up_on: self.follow_up_on.and_then(|day| fields.date("/follow_up_on", &day)),
            referral: text(fields, "/referral", self.referral),
            acknowledged: AcknowledgementDto::parse_all(&self.acknowledged, fields, "/acknowledged"),
        };
        std::mem::take(fields).finish()?;
        Ok(content)
    }
}

/// Who signed, in which capacity.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Signatory, example = json!({
    "name": "Vaidya Meera Nair", "qualifications": ["BAMS"], "council": "NCISM", "registration_number": "KL-4711", "system": "ayurveda"
}))]
pub(crate) struct SignatoryView {
    name: String,
    qualifications: Vec<String>,
    council: String,
    registration_number: String,
    system: String,
}

impl From<&amrutam_clinical::model::Signatory> for SignatoryView {
    fn from(signatory: &amrutam_clinical::model::Signatory) -> Self {
        Self {
            name: signatory.name.clone(),
            qualifications: signatory.qualifications.clone(),
            council: signatory.council.clone(),
            registration_number: signatory.registration.clone(),
            system: signatory.system.as_str().to_owned(),
        }
    }
}

/// What signing fixed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Signature, example = json!({
    "signed_at": "2026-11-30T04:20:00.000000Z",
    "signatory": {"name": "Vaidya Meera Nair", "qualifications": ["BAMS"], "council": "NCISM", "registration_number": "KL-4711",
                  "system": "ayurveda"},
    "mode": "video", "visit_kind": "first_visit", "ruleset": "prescribing-1", "formulary": "ayurveda-1",
    "verify_code": "0123456789ABCDEFGHJKMNPQRS", "jws": "eyJ0eXAiOiJwcmVzY3JpcHRpb24randzIn0.e30.c2ln"
}))]
pub(crate) struct SignatureView {
    signed_at: Time,
    signatory: SignatoryView,
    #[schema(value_type = ModeWord)]
    mode: String,
    /// `first_visit` or `follow_up`, as computed.
    visit_kind: String,
    /// The rules that decided.
    ruleset: String,
    /// The formulary that was asked.
    formulary: String,
    /// For `GET /v1/prescriptions/verify/{code}`.
    verify_code: String,
    /// For the check without us, against `/.well-known/jwks.json`.
    jws: String,
}

impl From<&amrutam_clinical::model::SignedFacts> for SignatureView {
    fn from(facts: &amrutam_clinical::model::SignedFacts) -> Self {
        Self {
            signed_at: Time(facts.signed_at),
            signatory: SignatoryView::from(&facts.signatory),
            mode: facts.mode.as_str().to_owned(),
            visit_kind: facts.kind.as_str().to_owned(),
            ruleset: facts.ruleset.clone(),
            formulary: facts.formulary.clone(),
            verify_code: facts.verify_code.clone(),
            jws: facts.jws.clone(),
        }
    }
}

//! Every text that the document shows as it was written.

use super::{PrescriptionContent, Visit};

/// Each with its JSON Pointer, as [`Missing`](super::Missing) names fields.
pub fn printed_texts<'a>(content: &'a PrescriptionContent, visit: &'a Visit) -> Vec<(String, &'a str)> {
    let PrescriptionContent { ayurveda, .. } = content;
    let practitioner = &visit.practitioner;
    let mut texts: Vec<(String, &str)> = [
        ("/practitioner/name", &practitioner.name),
        ("/practitioner/council", &practitioner.council),
        ("/practitioner/registration_number", &practitioner.registration),
        ("/practice_address", &content.practice_address),
        ("/practice_contact", &content.practice_contact),
        ("/patient/name", &visit.person.expose().name),
        ("/patient_address", &content.patient_address),
        ("/complaint", &content.complaint),
        ("/history", &content.history),
        ("/findings", &content.findings),
        ("/findings_limits", &content.findings_limits),
        ("/investigations", &content.investigations),
        ("/ayurveda/prakriti", &ayurveda.prakriti),
        ("/ayurveda/vikriti", &ayurveda.vikriti),
        ("/ayurveda/agni", &ayurveda.agni),
        ("/ayurveda/koshtha", &ayurveda.koshtha),
        ("/ayurveda/nidana", &ayurveda.nidana),
        ("/advice", &content.advice),
        ("/referral", &content.referral),
    ]
    .map(|(field, text)| (field.to_owned(), text.as_str()))
    .to_vec();
    let qualifications = practitioner.qualifications.iter();
    texts.extend(qualifications.map(|one| ("/practitioner/qualifications".to_owned(), one.as_str())));
    for (index, diagnosis) in content.diagnoses.iter().enumerate() {
        let codes = [("namaste_code", &diagnosis.namaste_code), ("icd11_tm2_code", &diagnosis.icd11_tm2_code)];
        let codes = codes.into_iter().filter_map(|(field, code)| Some((field, code.as_deref()?)));
        let all = [("text", diagnosis.text.as_str())].into_iter().chain(codes);
        texts.extend(all.map(|(field, text)| (format!("/diagnoses/{index}/{field}"), text)));
    }
    for (index, item) in content.items.iter().enumerate() {
        let fields = [
            ("name", &item.name),
            ("strength", &item.strength),
            ("anupana", &item.anupana),
            ("pathya", &item.pathya),
            ("apathya", &item.apathya),
            ("instructions", &item.instructions),
        ];
        texts.extend(fields.map(|(field, text)| (format!("/items/{index}/{field}"), text.as_str())));
    }
    texts
}

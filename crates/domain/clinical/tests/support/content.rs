//! What a practitioner of Ayurveda writes, for every test that prescribes.

use amrutam_clinical::model::{AyurvedicFindings, Diagnosis, PrescriptionContent};

/// Hyperacidity, with all that a prescription must carry but the medicines.
pub(crate) fn examined() -> PrescriptionContent {
    PrescriptionContent {
        practice_address: "12 MG Road, Kochi".into(),
        practice_contact: "+91 484 000 0000".into(),
        patient_address: "7 Beach Road, Kochi".into(),
        complaint: "burning after meals".into(),
        history: "for two months".into(),
        findings: "tongue coated".into(),
        findings_limits: "abdomen not palpated".into(),
        investigations: "none needed".into(),
        diagnoses: vec![Diagnosis {
            text: "Amlapitta".into(),
            provisional: true,
            namaste_code: None,
            icd11_tm2_code: None,
        }],
        ayurveda: AyurvedicFindings {
            prakriti: "pitta-kapha".into(),
            vikriti: "pitta".into(),
            agni: "vishama".into(),
            koshtha: "mridu".into(),
            nidana: "sour food".into(),
        },
        advice: "regular meals".into(),
        follow_up_on: Some("2026-12-14".parse().unwrap()),
        ..PrescriptionContent::default()
    }
}

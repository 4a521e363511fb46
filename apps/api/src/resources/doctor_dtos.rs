//! A doctor's profile, as sent and as shown.

use super::availability::{OutsideRulesView, SlotChangesView, outside, slot_changes};
use super::shared::{
    CurrencyWord, DoctorStatusWord, Fee, ModeWord, SystemWord, Time, kept, mode_words, parse_modes, present,
};
use crate::{
    http::{Fields, Object},
    problem::Problem,
};
use amrutam_booking::{
    model::{MedicalSystem, Practitioner, PractitionerDetails},
    use_cases::{Access, NewProfile, SeenPractitioner, UpdatedProfile},
};
use amrutam_kernel::{AccountId, DoctorId};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

const SYSTEMS: &str = "ayurveda, siddha, unani, homoeopathy, allopathy";

/// A doctor in the directory.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Doctor, example = json!({
    "id": "019aaf00-0000-7000-8000-000000000001", "status": "listed", "full_name": "Dr. Meera Rao",
    "system": "ayurveda", "council": "Kerala State Medical Councils", "registration_number": "KL-AY-10482",
    "registered_on": "2014-06-02", "valid_until": null, "qualifications": ["BAMS", "MD (Ayurveda)"],
    "specializations": ["kayachikitsa"], "languages": ["ml", "en"], "modes": ["video", "audio"],
    "fee": {"amount": 49900, "currency": "INR"}, "bio": "General medicine.", "time_zone": "Asia/Kolkata",
    "created_at": "2026-11-20T10:00:00.123456Z", "updated_at": "2026-11-21T08:30:00.000000Z", "version": 2
}))]
pub(crate) struct DoctorView {
    #[schema(value_type = uuid::Uuid)]
    id: DoctorId,
    /// The account that acts for it; for the doctor and admins only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<uuid::Uuid>)]
    account_id: Option<AccountId>,
    #[schema(value_type = DoctorStatusWord)]
    status: &'static str,
    full_name: String,
    #[schema(value_type = SystemWord)]
    system: &'static str,
    council: String,
    registration_number: String,
    #[schema(value_type = Option<String>, format = Date)]
    registered_on: Option<Date>,
    #[schema(value_type = Option<String>, format = Date)]
    valid_until: Option<Date>,
    qualifications: Vec<String>,
    /// Codes of `GET /v1/specializations`.
    specializations: Vec<String>,
    /// BCP 47.
    languages: Vec<String>,
    #[schema(value_type = Vec<ModeWord>)]
    modes: Vec<&'static str>,
    fee: Fee,
    bio: String,
    /// IANA zone of the working hours.
    time_zone: String,
    created_at: Time,
    updated_at: Time,
    /// Rises with every change; also the `ETag`.
    version: i64,
}

impl DoctorView {
    /// As somebody with this access sees it.
    pub(crate) fn of(doctor: Practitioner, access: Access) -> Self {
        let details = doctor.details;
        Self {
            id: doctor.id,
            account_id: (access == Access::Full).then_some(doctor.account),
            status: doctor.status.as_str(),
            full_name: details.full_name,
            system: details.system.as_str(),
            council: details.council,
            registration_number: details.registration_number,
            registered_on: details.registered_on,
            valid_until: details.valid_until,
            qualifications: details.qualifications,
            specializations: details.specializations,
            languages: details.languages,
            modes: mode_words(&details.modes),
            fee: details.fee.into(),
            bio: details.bio,
            time_zone: details.time_zone,
            created_at: Time(doctor.created_at),
            updated_at: Time(doctor.updated_at),
            version: doctor.version,
        }
    }
}

impl From<SeenPractitioner> for DoctorView {
    fn from(seen: SeenPractitioner) -> Self {
        Self::of(seen.practitioner, seen.access)
    }
}

/// A doctor after a change, and what it did to the slots.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UpdatedDoctor, example = json!({
    "id": "019aaf00-0000-7000-8000-000000000001", "status": "listed", "full_name": "Dr. Meera Rao",
    "system": "ayurveda", "council": "Kerala State Medical Councils", "registration_number": "KL-AY-10482",
    "registered_on": "2014-06-02", "valid_until": null, "qualifications": ["BAMS", "MD (Ayurveda)"],
    "specializations": ["kayachikitsa"], "languages": ["ml", "en"], "modes": ["video"],
    "fee": {"amount": 49900, "currency": "INR"}, "bio": "General medicine.", "time_zone": "Asia/Kolkata",
    "created_at": "2026-11-20T10:00:00.123456Z", "updated_at": "2026-11-21T08:30:00.000000Z", "version": 3,
    "slots": {"created": 12, "withdrawn": 12}, "outside_rules": []
}))]
pub(crate) struct UpdatedDoctorView {
    #[serde(flatten)]
    doctor: DoctorView,
    /// When other slots follow from the rules than before.
    #[serde(skip_serializing_if = "Option::is_none")]
    slots: Option<SlotChangesView>,
    /// Then the bookings that stand outside the rules.
    #[serde(skip_serializing_if = "Option::is_none")]
    outside_rules: Option<Vec<OutsideRulesView>>,
}

impl From<UpdatedProfile> for UpdatedDoctorView {
    fn from(updated: UpdatedProfile) -> Self {
        Self {
            slots: updated.schedule.as_ref().map(slot_changes),
            outside_rules: updated.schedule.as_ref().map(outside),
            // Who may change a profile sees it whole.
            doctor: DoctorView::of(updated.practitioner, Access::Full),
        }
    }
}

/// A profile to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "full_name": "Dr. Meera Rao", "system": "ayurveda", "council": "Kerala State Medical Councils",
    "registration_number": "KL-AY-10482", "registered_on": "2014-06-02", "qualifications": ["BAMS", "MD (Ayurveda)"],
    "specializations": ["kayachikitsa"], "languages": ["ml", "en"], "modes": ["video", "audio"],
    "fee": {"amount": 49900, "currency": "INR"}, "bio": "General medicine.", "time_zone": "Asia/Kolkata"
}))]
pub(crate) struct CreateDoctorRequest {
    /// Whose profile; required of admins, a doctor's own account otherwise.
    #[schema(value_type = Option<uuid::Uuid>)]
    account_id: Option<String>,
    full_name: String,
    #[schema(value_type = SystemWord)]
    system: String,
    council: String,
    registration_number: String,
    #[schema(format = Date)]
    registered_on: Option<String>,
    /// Last day of the registration, when it is limited.
    #[schema(format = Date)]
    valid_until: Option<String>,
    qualifications: Vec<String>,
    /// Codes of `GET /v1/specializations`.
    specializations: Vec<String>,
    /// BCP 47.
    languages: Vec<String>,
    #[schema(value_type = Vec<ModeWord>)]
    modes: Vec<String>,
    #[schema(value_type = Fee)]
    fee: Object<Fee>,
    #[serde(default)]
    bio: String,
    time_zone: String,
}

impl CreateDoctorRequest {
    /// The command, or every value that has no sense by itself.
    pub(crate) fn parse(self) -> Result<NewProfile, Problem> {
        let mut fields = Fields::default();
        let account = self.account_id.as_deref().and_then(|text| fields.id("/account_id", text));
        let system = fields.word::<MedicalSystem>("/system", SYSTEMS, &self.system);
        let registered_on = self.registered_on.and_then(|text| fields.date("/registered_on", &text));
        let valid_until = self.valid_until.and_then(|text| fields.date("/valid_until", &text));
        let modes = parse_modes(&mut fields, "/modes", &self.modes);
        let fee = self.fee.0.parse(&mut fields, "/fee");
        let time_zone = fields.time_zone("/time_zone", &self.time_zone);
        let (Some(system), Some(modes), Some(fee), Some(time_zone)) = (system, modes, fee, time_zone) else {
            return Err(fields.into_problem());
        };
        fields.finish()?;
        let details = PractitionerDetails {
            full_name: self.full_name,
            system,
            council: self.council,
            registration_number: self.registration_number,
            registered_on,
            valid_until,
            qualifications: self.qualifications,
            specializations: self.specializations,
            languages: self.languages,
            modes,
            fee,
            bio: self.bio,
            time_zone,
        };
        Ok(NewProfile { account, details })
    }
}

/// What changes in a profile; absent fields stay as they are.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"fee": {"amount": 59900, "currency": "INR"}, "valid_until": null}))]
pub(crate) struct UpdateDoctorRequest {
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    full_name: Option<Option<String>>,
    #[schema(value_type = Option<SystemWord>)]
    #[serde(default, deserialize_with = "present")]
    system: Option<Option<String>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    council: Option<Option<String>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    registration_number: Option<Option<String>>,
    /// `null` clears it.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, format = Date)]
    registered_on: Option<Option<String>>,
    /// `null` clears it.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, format = Date)]
    valid_until: Option<Option<String>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Vec<String>>)]
    qualifications: Option<Option<Vec<String>>>,
    /// Codes of `GET /v1/specializations`.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Vec<String>>)]
    specializations: Option<Option<Vec<String>>>,
    /// BCP 47.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Vec<String>>)]
    languages: Option<Option<Vec<String>>>,
    #[schema(value_type = Option<Vec<ModeWord>>)]
    #[serde(default, deserialize_with = "present")]
    modes: Option<Option<Vec<String>>>,
    #[schema(value_type = Option<Fee>)]
    #[serde(default, deserialize_with = "present")]
    fee: Option<Option<Object<Fee>>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    bio: Option<Option<String>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    time_zone: Option<Option<String>>,
}

impl UpdateDoctorRequest {
    /// The change, or every value that has no sense by itself.
    pub(crate) fn parse(self) -> Result<impl Fn(PractitionerDetails) -> PractitionerDetails + Send + Sync, Problem> {
        let mut fields = Fields::default();
        let full_name = kept(&mut fields, "/full_name", self.full_name);
        let council = kept(&mut fields, "/council", self.council);
        let registration_number = kept(&mut fields, "/registration_number", self.registration_number);
        let qualifications = kept(&mut fields, "/qualifications", self.qualifications);
        let specializations = kept(&mut fields, "/specializations", self.specializations);
        let languages = kept(&mut fields, "/languages", self.languages);
        let bio = kept(&mut fields, "/bio", self.bio);
        let system = kept(&mut fields, "/system", self.system);
        let system = system.and_then(|word| fields.word::<MedicalSystem>("/system", SYSTEMS, &word));
        let mut date =
            |pointer, text: Option<Option<String>>| text.map(|text| text.and_then(|text| fields.date(pointer, &text)));
        let registered_on = date("/registered_on", self.registered_on);
        let valid_until = date("/valid_until", self.valid_until);
        let modes = kept(&mut fields, "/modes", self.modes);
        let modes = modes.and_then(|words| parse_modes(&mut fields, "/modes", &words));
        let fee = kept(&mut fields, "/fee", self.fee);
        let fee = fee.and_then(|Object(fee)| fee.parse(&mut fields, "/fee"));
        let time_zone = kept(&mut fields, "/time_zone", self.time_zone);
        let time_zone = time_zone.and_then(|zone| fields.time_zone("/time_zone", &zone));
        fields.finish()?;
        Ok(move |stored: PractitionerDetails| PractitionerDetails {
            full_name: full_name.clone().unwrap_or(stored.full_name),
            system: system.unwrap_or(stored.system),
            council: council.clone().unwrap_or(stored.council),
            registration_number: registration_number.clone().unwrap_or(stored.registration_number),
            registered_on: registered_on.unwrap_or(stored.registered_on),
            valid_until: valid_until.unwrap_or(stored.valid_until),
            qualifications: qualifications.clone().unwrap_or(stored.qualifications),
            specializations: specializations.clone().unwrap_or(stored.specializations),
            languages: languages.clone().unwrap_or(stored.languages),
            modes: modes.clone().unwrap_or(stored.modes),
            fee: fee.unwrap_or(stored.fee),
            bio: bio.clone().unwrap_or(stored.bio),
            time_zone: time_zone.clone().unwrap_or(stored.time_zone),
        })
    }
}

/// A branch of the art.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Specialization, example = json!({"code": "kayachikitsa", "name": "Kayachikitsa", "description": "General medicine"}))]
pub(crate) struct SpecializationView {
    pub(crate) code: &'static str,
    pub(crate) name: &'static str,
    pub(crate) description: &'static str,
}

/// What doctors can be found by.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DoctorQuery {
    /// A part of the name, any case.
    pub(crate) q: Option<String>,
    /// Code of a specialization.
    pub(crate) specialization: Option<String>,
    /// BCP 47 tag of a language spoken.
    pub(crate) language: Option<String>,
    /// Offers this mode.
    #[param(value_type = Option<ModeWord>)]
    pub(crate) mode: Option<String>,
    /// At most this fee, in minor units of `currency`.
    #[param(value_type = Option<i64>, minimum = 0)]
    pub(crate) max_fee: Option<String>,
    /// The currency in which `max_fee` and `sort=fee` compare: doctors who ask for another are left out. INR unless said.
    #[param(value_type = Option<CurrencyWord>)]
    pub(crate) currency: Option<String>,
    /// With `available_to`: offers a slot that starts at or after this time.
    #[param(value_type = Option<String>, format = DateTime)]
    pub(crate) available_from: Option<String>,
    /// With `available_from`: offers a slot that starts before this time.
    #[param(value_type = Option<String>, format = DateTime)]
    pub(crate) available_to: Option<String>,
    /// `name` (the default) or `fee`, lowest first.
    pub(crate) sort: Option<String>,
    /// Page size.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 100, default = 20)]
    pub(crate) limit: Option<String>,
    /// `next_cursor` of the page before.
    pub(crate) cursor: Option<String>,
}

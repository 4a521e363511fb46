//! Section `sms`.

use crate::BuildError;
use amrutam_crypto::SystemClock;
use amrutam_gateways::{Circuit, CircuitPolicy, ExotelSettings, ExotelSms, InvalidGatewaySettings, Network};
use amrutam_notifications::{SmsKind, SmsTemplates};
use amrutam_settings::{Environment, Problems, Secret, Validate};
use amrutam_tls::Trust;
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, sync::Arc};

/// Texts to telephones, carried by Exotel or what speaks like it.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct SmsSettings {
    /// Where: `https://api.in.exotel.com`. Nothing: no texts are sent, and all else here is passed over.
    pub url: Option<String>,
    /// The account's name in the path.
    pub account_sid: String,
    /// The API key.
    pub api_key: String,
    /// The API token.
    pub api_token: Option<Secret>,
    /// The sender (header) that the texts are registered for.
    pub sender: String,
    /// The business's id with the operators' registry (DLT).
    pub dlt_entity_id: String,
    /// The ids under which the texts are registered there.
    pub templates: SmsTemplateSettings,
    /// A file in PEM with the authorities that the provider (or the proxy before it) is known by, instead of the public ones.
    pub ca_file: Option<PathBuf>,
    /// Bound on one call, in milliseconds.
    pub timeout_ms: u64,
}

impl Default for SmsSettings {
    fn default() -> Self {
        Self {
            url: None,
            account_sid: String::new(),
            api_key: String::new(),
            api_token: None,
            sender: String::new(),
            dlt_entity_id: String::new(),
            templates: SmsTemplateSettings::default(),
            ca_file: None,
            timeout_ms: 5_000,
        }
    }
}

/// One for each text; the words are those of `amrutam-notifications`.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct SmsTemplateSettings {
    /// The visit is certain.
    pub booking_confirmed: Option<String>,
    /// The visit will not take place.
    pub booking_cancelled: Option<String>,
    /// The visit is within the hour.
    pub reminder_1h: Option<String>,
    /// All that was paid went back.
    pub refund_made: Option<String>,
    /// A part of it did.
    pub refund_made_in_part: Option<String>,
    /// A payment that was one too many, or of the wrong amount, went back.
    pub payment_returned: Option<String>,
}

impl SmsTemplateSettings {
    pub(crate) fn read(&self) -> Result<SmsTemplates, BuildError> {
        let id = |kind| match kind {
            SmsKind::Confirmed => self.booking_confirmed.clone(),
            SmsKind::Cancelled => self.booking_cancelled.clone(),
            SmsKind::Reminder => self.reminder_1h.clone(),
            SmsKind::Refunded => self.refund_made.clone(),
            SmsKind::RefundedInPart => self.refund_made_in_part.clone(),
            SmsKind::Returned => self.payment_returned.clone(),
        };
        Ok(SmsTemplates::new(id)?)
    }
}

impl SmsSettings {
    /// As the provider's adapter wants them; nothing where no texts are sent.
    pub(crate) fn exotel(&self, environment: Environment) -> Result<Option<ExotelSettings>, BuildError> {
        let Some(url) = &self.url else { return Ok(None) };
        Ok(Some(ExotelSettings {
            network: Network {
                base_url: url.clone(),
                timeout_ms: self.timeout_ms,
                plain_allowed: environment == Environment::Development,
                trust: Trust::load(self.ca_file.as_deref())?,
            },
            account_sid: self.account_sid.clone(),
            api_key: self.api_key.clone(),
            api_token: self.api_token.as_ref().map_or_else(String::new, |token| token.expose().to_owned()).into(),
            sender: self.sender.clone(),
            dlt_entity_id: self.dlt_entity_id.clone(),
        }))
    }
}

/// What is asked of the settings where the worker runs.
pub(super) struct ForHere<'a>(pub(super) &'a SmsSettings, pub(super) Environment);

impl Validate for ForHere<'_> {
    fn validate(&self, problems: &mut Problems) {
        let Self(settings, environment) = *self;
        let exotel = match settings.exotel(environment) {
            Ok(None) => return,
            Ok(Some(exotel)) => exotel,
            Err(error) => return problems.add("ca_file", error.to_string()),
        };
        let there = [
            ("account_sid", &settings.account_sid),
            ("api_key", &settings.api_key),
            ("sender", &settings.sender),
            ("dlt_entity_id", &settings.dlt_entity_id),
        ];
        for (field, text) in there {
            problems.check(!text.is_empty(), field, "texts need it");
        }
        let token = settings.api_token.as_ref().is_some_and(|token| !token.is_empty());
        problems.check(token, "api_token", "texts need it");
        if let Err(error) = settings.templates.read() {
            problems.add("templates", error.to_string());
        }
        let clock = Arc::new(SystemClock);
        let circuit = Circuit::new("sms", Arc::clone(&clock) as Arc<_>, CircuitPolicy::STANDARD);
        match ExotelSms::new(&exotel, circuit, clock).err() {
            Some(error @ (InvalidGatewaySettings::BaseUrl | InvalidGatewaySettings::Unencrypted)) => {
                problems.add("url", error.to_string());
            }
            Some(error @ InvalidGatewaySettings::Timeout) => problems.add("timeout_ms", error.to_string()),
            Some(InvalidGatewaySettings::Key) if token && there.iter().all(|(_, text)| !text.is_empty()) => {
                problems.add("account_sid", "letters, digits, hyphens, underscores");
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole() -> SmsSettings {
        let id = || Some("1707160000000000001".to_owned());
        SmsSettings {
            url: Some("https://api.in.exotel.com".to_owned()),
            account_sid: "amrutam1".to_owned(),
            api_key: "key".to_owned(),
            api_token: Some("token-canary".to_owned().into()),
            sender: "AMRTAM".to_owned(),
            dlt_entity_id: "1701".to_owned(),
            templates: SmsTemplateSettings {
                booking_confirmed: id(),
                booking_cancelled: id(),
                reminder_1h: id(),
                refund_made: id(),
                refund_made_in_part: id(),
                payment_returned: id(),
            },
            ..SmsSettings::default()
        }
    }

    fn problems_of(settings: &SmsSettings, environment: Environment) -> Vec<String> {
        let mut problems = Problems::default();
        ForHere(settings, environment).validate(&mut problems);
        problems.into_result().map_or_else(|error| error.problems().to_vec(), |()| Vec::new())
    }

    #[test]
    fn texts_are_off_unless_set_and_then_need_everything() {
        assert_eq!(problems_of(&SmsSettings::default(), Environment::Production), Vec::<String>::new());
        assert_eq!(problems_of(&whole(), Environment::Production), Vec::<String>::new());
        let named = |field: &str, change: fn(&mut SmsSettings)| {
            let mut settings = whole();
            change(&mut settings);
            let problems = problems_of(&settings, Environment::Production);
            assert!(problems.len() == 1 && problems[0].contains(field), "{field}: {problems:?}");
        };
        named("url", |settings| settings.url = Some("http://api.in.exotel.com".to_owned()));
        named("account_sid", |settings| settings.account_sid.clear());
        named("account_sid", |settings| settings.account_sid = "../v2".to_owned());
        named("api_key", |settings| settings.api_key.clear());
        named("api_token", |settings| settings.api_token = None);
        named("sender", |settings| settings.sender.clear());
        named("templates", |settings| settings.templates.refund_made = None);
        named("templates", |settings| settings.templates.reminder_1h = Some("the last one".to_owned()));
        named("timeout_ms", |settings| settings.timeout_ms = 1);
        named("ca_file", |settings| settings.ca_file = Some("/nowhere/ca.pem".into()));
    }

    #[test]
    fn the_token_is_not_shown() {
        assert!(!format!("{:?} {}", whole(), serde_json::to_string(&whole()).unwrap()).contains("canary"));
    }
}

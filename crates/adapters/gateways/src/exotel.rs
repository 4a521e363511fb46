//! Texts to telephones by Exotel (<https://developer.exotel.com/api/sms>): `POST /v1/Accounts/{sid}/Sms/send.json`, a form, with
//! the API key and token as basic authorization.
//!
//! Exotel has no idempotency key: a text whose answer is lost may have been taken, and the domain sends it once more at most.
//! The message's id goes along as `CustomField`, so that two copies can be told to be one in Exotel's list.

use crate::{
    Circuit, InvalidGatewaySettings, Network,
    caller::{Caller, Dialect},
    razorpay::segment,
};
use amrutam_kernel::Clock;
use amrutam_notifications::{
    Sms,
    ports::{SmsError, SmsSender},
};
use amrutam_payments::ports::GatewayError;
use async_trait::async_trait;
use data_encoding::BASE64;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::sync::Arc;
use url::form_urlencoded;

/// What metrics and the circuit call it.
const NAME: &str = "sms";
const FORM: &str = "application/x-www-form-urlencoded";

/// How a business sends texts.
#[derive(Debug, Clone)]
pub struct ExotelSettings {
    /// Where: `https://api.in.exotel.com` (Mumbai), `https://api.exotel.com` (Singapore).
    pub network: Network,
    /// The account's name in the path.
    pub account_sid: String,
    /// The API key.
    pub api_key: String,
    /// The API token.
    pub api_token: SecretString,
    /// The sender (header) that the texts are registered for: `AMRTAM`.
    pub sender: String,
    /// The business's id with the operators' registry.
    pub dlt_entity_id: String,
}

/// Exotel over HTTP.
pub struct ExotelSms {
    caller: Caller,
    path: String,
    sender: String,
    entity: String,
}

impl ExotelSms {
    /// Checks the settings; connects when first asked.
    pub fn new(
        settings: &ExotelSettings,
        circuit: Circuit,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, InvalidGatewaySettings> {
        let token = settings.api_token.expose_secret();
        if [&settings.api_key, token, &settings.sender, &settings.dlt_entity_id].iter().any(|text| text.is_empty()) {
            return Err(InvalidGatewaySettings::Key);
        }
        let credentials = BASE64.encode(format!("{}:{token}", settings.api_key).as_bytes());
        let account = segment(&settings.account_sid).map_err(|_| InvalidGatewaySettings::Key)?;
        let path = format!("/v1/Accounts/{account}/Sms/send.json");
        // Its words quote the recipient's number: the status says enough.
        let dialect = Dialect { destination: NAME, header: None, error_code: |_| None, repeated: None };
        Ok(Self {
            caller: Caller::new(dialect, &settings.network, &format!("Basic {credentials}").into(), circuit, clock)?,
            path,
            sender: settings.sender.clone(),
            entity: settings.dlt_entity_id.clone(),
        })
    }
}

#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "SMSMessage")]
    message: Taken,
}

#[derive(Deserialize)]
struct Taken {
    #[serde(rename = "Status")]
    status: String,
}

#[async_trait]
impl SmsSender for ExotelSms {
    async fn send(&self, sms: &Sms) -> Result<(), SmsError> {
        let text = sms.text.expose();
        let body = form_urlencoded::Serializer::new(String::new())
            .append_pair("From", &self.sender)
            .append_pair("To", sms.to.expose())
            .append_pair("Body", text)
            .append_pair("EncodingType", if text.is_ascii() { "plain" } else { "unicode" })
            .append_pair("SmsType", "transactional")
            .append_pair("DltEntityId", &self.entity)
            .append_pair("DltTemplateId", &sms.template)
            .append_pair("CustomField", &sms.message.to_string())
            .finish();
        let answer: Answer = self.caller.act(&self.path, FORM, None, body).await.map_err(refused)?;
        match answer.message.status.as_str() {
            "failed" | "failed_dnd" | "failed-dnd" => Err(SmsError::Permanent(answer.message.status)),
            _ => Ok(()),
        }
    }
}

fn refused(error: GatewayError) -> SmsError {
    let transient = |reason| SmsError::Transient { reason, retry_after: None };
    match error {
        GatewayError::Rejected { code } => SmsError::Permanent(code),
        GatewayError::Limited { retry_after } => {
            SmsError::Transient { reason: "too many at once".to_owned(), retry_after }
        }
        GatewayError::Unavailable { reason } => transient(reason),
        GatewayError::Unknown { reason } | GatewayError::Spent { reason } | GatewayError::Senseless { reason } => {
            SmsError::Unknown(reason)
        }
    }
}

#[cfg(test)]
mod tests;

//! The app on a phone that shows codes.

use super::{Client, Person};
use amrutam_crypto::Rfc6238;
use amrutam_identity::{
    model::{STEP_SECONDS, Step, TotpSecret},
    ports::Totp,
};
use data_encoding::BASE32_NOPAD;
use jiff::Timestamp;
use serde_json::{Value, json};

/// Holds one account's secret.
pub struct Authenticator {
    secret: TotpSecret,
    /// Good for one log-in each.
    pub recovery_codes: Vec<String>,
}

impl Authenticator {
    /// From the secret an enrolment shows.
    pub fn new(secret: &str) -> Self {
        let bytes = BASE32_NOPAD.decode(secret.as_bytes()).expect("base32");
        Self { secret: TotpSecret::from_bytes(bytes.try_into().expect("160 bits")), recovery_codes: vec![] }
    }

    /// Sets up a person's second factor. The code that confirms it is of the step before: that of now can still be used.
    pub async fn enrol(client: &Client) -> Self {
        let begun = client.call("POST", "/v1/me/mfa/totp").patiently().await.expect(200);
        let mut authenticator = Self::new(begun["secret"].as_str().unwrap());
        let code = json!({ "code": authenticator.code(-1) });
        let confirmed = client.post("/v1/me/mfa/totp/confirm", &code).patiently().await.expect(200);
        authenticator.recovery_codes = serde_json::from_value(confirmed["recovery_codes"].clone()).unwrap();
        authenticator
    }

    /// The code so many steps from now.
    pub fn code(&self, steps_from_now: i64) -> String {
        let Step(now) = Step::at(Timestamp::now());
        self.code_of(now + steps_from_now)
    }

    /// The code of a step.
    pub fn code_of(&self, step: i64) -> String {
        Rfc6238::new("").code(&self.secret, Step(step)).into_exposed()
    }

    /// A code that is right at no time near now.
    pub fn wrong_code(&self) -> String {
        let near: Vec<_> = (-4..=4).map(|step| self.code(step)).collect();
        (0..).map(|number| format!("{number:06}")).find(|code| !near.contains(code)).expect("there are a million")
    }
}

impl Person {
    /// The first step of a log-in: what says who has shown the password.
    pub async fn mfa_token(&self) -> String {
        let body = json!({ "email": self.email, "password": self.password });
        let half_way = self.client.post("/v1/auth/login", &body).patiently().await.expect(200);
        assert_eq!((&half_way["mfa_required"], &half_way["access_token"]), (&Value::Bool(true), &Value::Null));
        half_way["mfa_token"].as_str().unwrap().to_owned()
    }
}

/// Waits until the step has this many seconds left, so that what follows happens within one.
pub async fn within_a_step(seconds: i64) {
    let left = || STEP_SECONDS - Timestamp::now().as_second() % STEP_SECONDS;
    super::until("a new step", super::SOON * 2, async || left() >= seconds).await;
}

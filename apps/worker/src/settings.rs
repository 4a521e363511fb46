//! The worker's settings. The environment may hold the api's sections as well; they are passed over.

mod sms;

pub(crate) use sms::SmsSettings;

use amrutam_crypto::KeySource;
use amrutam_gateways::{InvalidSmtpSettings, SmtpMailer, SmtpSettings};
use amrutam_postgres::ProductionKeys;
use amrutam_settings::{Audit, Business, Environment, Payments, Problems, SecretUrl, Validate};
use amrutam_telemetry::TelemetrySettings;
use amrutam_tls::Trust;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// Everything the worker can be told.
#[derive(Debug, Clone, Deserialize)]
pub struct Settings {
    /// Where it runs.
    #[serde(default)]
    pub environment: Environment,
    /// Its own listener and pace.
    pub worker: WorkerSettings,
    /// PostgreSQL.
    pub database: amrutam_postgres::Settings,
    /// RabbitMQ.
    pub amqp: amrutam_rabbitmq::Settings,
    /// The way out for mail.
    pub mail: MailSettings,
    /// Printed prescriptions.
    #[serde(default)]
    pub documents: DocumentSettings,
    /// The way out for texts to telephones; off unless set.
    #[serde(default)]
    pub sms: SmsSettings,
    /// Keys: contact details are sealed, and links in mails are made when a mail is sent.
    #[serde(default)]
    pub tokens: KeySource,
    /// Where the data keys of people are.
    #[serde(default)]
    pub keys: amrutam_postgres::KeysSettings,
    /// Logs, traces.
    #[serde(default)]
    pub telemetry: TelemetrySettings,
    /// Whether visits are paid, and where.
    #[serde(default)]
    pub payments: Payments,
    /// The business's own calendar.
    #[serde(default)]
    pub business: Business,
    /// The audit trail's log.
    #[serde(default)]
    pub audit: Audit,
}

/// Section `worker`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerSettings {
    /// Where `/healthz`, `/readyz` and `/metrics` are served: an internal address.
    pub listen: SocketAddr,
    /// How long the relay and the mail run rest when there is nothing to do, in milliseconds.
    #[serde(default = "default_idle_ms")]
    pub idle_ms: u64,
    /// How often run-out holds are swept, in milliseconds.
    #[serde(default = "default_sweep_ms")]
    pub sweep_ms: u64,
}

fn default_idle_ms() -> u64 {
    100
}
fn default_sweep_ms() -> u64 {
    5_000
}

/// Section `documents`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct DocumentSettings {
    /// What a verification code is appended to, in QR codes and beside them: the public address of
    /// `/v1/prescriptions/verify/`, with the slash.
    pub verify_url: String,
}

impl Default for DocumentSettings {
    fn default() -> Self {
        Self { verify_url: "https://api.amrutam.example/v1/prescriptions/verify/".to_owned() }
    }
}

/// Section `mail`.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct MailSettings {
    /// `smtp://host:port`, `smtps://user:password@host`.
    pub smtp_url: SecretUrl,
    /// The sender.
    #[serde(default = "default_from")]
    pub from: String,
    /// What follows the `@` in a `Message-ID`.
    #[serde(default = "default_domain")]
    pub message_id_domain: String,
    /// Where the pages of links in mails are, without a slash at the end: `/verify-email`, `/reset-password`,
    /// `/accept-invitation`, each with the token in its fragment.
    #[serde(default = "default_pages_url")]
    pub pages_url: String,
    /// Bound on one mail until it is handed over, in milliseconds.
    #[serde(default = "default_timeout_ms")]
    pub timeout_ms: u64,
}

fn default_from() -> String {
    "Amrutam <no-reply@amrutam.example>".to_owned()
}
fn default_pages_url() -> String {
    "https://app.amrutam.example".to_owned()
}
fn default_domain() -> String {
    "amrutam.example".to_owned()
}
fn default_timeout_ms() -> u64 {
    5_000
}

impl From<&MailSettings> for SmtpSettings {
    fn from(settings: &MailSettings) -> Self {
        Self {
            smtp_url: settings.smtp_url.expose().to_owned(),
            from: settings.from.clone(),
            timeout_ms: settings.timeout_ms,
            message_id_domain: settings.message_id_domain.clone(),
        }
    }
}

impl Settings {
    /// For `--print-config`: secrets masked.
    pub fn printable(&self) -> String {
        amrutam_settings::printable(&serde_json::json!({
            "worker": self.worker,
            "database": self.database,
            "amqp": self.amqp,
            "mail": self.mail,
            "sms": self.sms,
            "tokens": self.tokens,
            "payments": self.payments,
            "keys": self.keys,
            "documents": self.documents,
            "telemetry": self.telemetry,
            "business": self.business,
            "audit": self.audit,
        }))
    }
}

impl Validate for Settings {
    fn validate(&self, problems: &mut Problems) {
        problems.within("worker", &self.worker);
        problems.within("database", &self.database);
        problems.within("amqp", &self.amqp);
        problems.within("mail", &self.mail);
        problems.within("sms", &sms::ForHere(&self.sms, self.environment));
        problems.within("tokens", &self.tokens);
        problems.within("payments", &ForHere(&self.payments, self.environment));
        problems.within("keys", &self.keys);
        if self.environment == Environment::Production {
            problems.within("keys", &ProductionKeys { keys: &self.keys, main: &self.database.url });
            let own = self.mail.pages_url.starts_with("https://") && self.mail.pages_url != default_pages_url();
            problems.check(
                own,
                "mail.pages_url",
                "production needs https:// pages of its own: links in mails lead there",
            );
        }
        let url = url::Url::parse(&self.documents.verify_url);
        let is_address =
            url.is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host() && url.query().is_none());
        problems.check(
            is_address && self.documents.verify_url.ends_with('/'),
            "documents.verify_url",
            "an http(s):// address that ends with a slash",
        );
        if self.environment == Environment::Production {
            let own = self.documents.verify_url.starts_with("https://")
                && self.documents.verify_url != DocumentSettings::default().verify_url;
            problems.check(
                own,
                "documents.verify_url",
                "production needs its own https:// address: QR codes lead there",
            );
        }
        // Three are held by the jobs that this worker may lead; the rest is for work.
        problems.check(self.database.pool_size >= 5, "database.pool_size", "at least 5 for a worker");
        problems.within("telemetry", &self.telemetry);
        problems.within("business", &self.business);
        problems.within("audit", &self.audit);
    }
}

struct ForHere<'a>(&'a Payments, Environment);

impl Validate for ForHere<'_> {
    fn validate(&self, problems: &mut Problems) {
        self.0.validate(problems);
        self.0.validate_for(self.1, problems);
        if let Err(problem) = Trust::load(self.0.ca_file.as_deref()) {
            problems.add("ca_file", problem);
        }
    }
}

impl Validate for MailSettings {
    fn validate(&self, problems: &mut Problems) {
        if let Err(error) = SmtpMailer::new(&SmtpSettings::from(self)) {
            let field = match error {
                InvalidSmtpSettings::Url | InvalidSmtpSettings::CredentialsInTheOpen => "smtp_url",
                InvalidSmtpSettings::From => "from",
                InvalidSmtpSettings::Timeout => "timeout_ms",
                InvalidSmtpSettings::MessageIdDomain => "message_id_domain",
            };
            problems.add(field, error.to_string());
        }
        let is_origin = url::Url::parse(&self.pages_url).is_ok_and(|url| {
            matches!(url.scheme(), "http" | "https")
                && url.has_host()
                && url.query().is_none()
                && url.fragment().is_none()
        });
        problems.check(is_origin && !self.pages_url.ends_with('/'), "pages_url", "such as https://app.example.in");
    }
}

impl Validate for WorkerSettings {
    fn validate(&self, problems: &mut Problems) {
        problems.check((10..=10_000).contains(&self.idle_ms), "idle_ms", "10 to 10000 milliseconds");
        problems.check((100..=600_000).contains(&self.sweep_ms), "sweep_ms", "100 to 600000 milliseconds");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems_of(change: impl FnOnce(&mut Settings)) -> Vec<String> {
        let mut settings = Settings {
            environment: Environment::Development,
            worker: WorkerSettings { listen: ([127, 0, 0, 1], 0).into(), idle_ms: 100, sweep_ms: 5_000 },
            database: amrutam_postgres::Settings::for_url("postgres://u:p@db/amrutam".parse().unwrap()),
            amqp: amrutam_rabbitmq::Settings::new("amqp://u:p@mq/".parse().unwrap()),
            mail: MailSettings {
                smtp_url: "smtp://mail.example".parse().unwrap(),
                from: default_from(),
                message_id_domain: default_domain(),
                pages_url: default_pages_url(),
                timeout_ms: default_timeout_ms(),
            },
            sms: SmsSettings::default(),
            tokens: KeySource::dir("keys"),
            documents: DocumentSettings::default(),
            payments: Payments::default(),
            keys: amrutam_postgres::KeysSettings::default(),
            telemetry: TelemetrySettings::default(),
            business: Business::default(),
            audit: Audit::default(),
        };
        change(&mut settings);
        let mut problems = Problems::default();
        settings.validate(&mut problems);
        problems.into_result().map_or_else(|error| error.problems().to_vec(), |()| Vec::new())
    }

    #[test]
    fn what_the_worker_can_not_run_with_is_named_at_the_start() {
        assert_eq!(problems_of(|_| {}), Vec::<String>::new());
        let named = |field: &str, change: fn(&mut Settings)| {
            let problems = problems_of(change);
            assert!(problems.len() == 1 && problems[0].contains(field), "{field}: {problems:?}");
        };
        named("database.pool_size", |settings| settings.database.pool_size = 4);
        named("mail.smtp_url", |settings| settings.mail.smtp_url = "http://mail.example".parse().unwrap());
        named("mail.from", |settings| settings.mail.from = "nobody".to_owned());
        named("mail.message_id_domain", |settings| settings.mail.message_id_domain = String::new());
        named("mail.pages_url", |settings| settings.mail.pages_url = "https://app.example.in/".to_owned());
        named("documents.verify_url", |settings| settings.documents.verify_url = "https://app.example.in".to_owned());
        let problems = problems_of(|settings| settings.environment = Environment::Production);
        let own = ["keys.database_url", "mail.pages_url", "documents.verify_url"];
        assert!(
            problems.len() == 3 && own.iter().zip(&problems).all(|(field, text)| text.contains(field)),
            "{problems:?}"
        );
        named("tokens.key_dir", |settings| settings.tokens = KeySource::default());
        named("payments.lease_ms", |settings| settings.payments.lease_ms = 1_000);
        named("mail.timeout_ms", |settings| settings.mail.timeout_ms = 0);
        named("payments.ca_file", |settings| settings.payments.ca_file = Some("/nowhere/ca.pem".into()));
    }
}

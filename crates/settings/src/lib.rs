//! Settings from an optional file and the environment, the environment first.
//!
//! The variable for `rabbitmq.prefetch` is `AMRUTAM__RABBITMQ__PREFETCH`. Numbers, booleans and comma-separated lists are
//! read as the field's type asks, never guessed from the text: a password of digits stays text. No message shows a value.
//!
//! Leave `#[serde(flatten)]` and tagged enums out of settings: serde then reads before it knows the type, and a number
//! in the environment stays text.
//!
//! ```
//! use amrutam_settings::{Problems, SecretUrl, Validate};
//!
//! #[derive(serde::Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Settings { broker: Broker }
//!
//! #[derive(serde::Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Broker { url: SecretUrl, prefetch: u16 }
//!
//! impl Validate for Settings {
//!     fn validate(&self, problems: &mut Problems) { problems.within("broker", &self.broker); }
//! }
//!
//! impl Validate for Broker {
//!     fn validate(&self, problems: &mut Problems) {
//!         problems.check(self.prefetch > 0, "prefetch", "must be at least 1");
//!     }
//! }
//!
//! let env = [("AMRUTAM__BROKER__URL", "amqp://u:p@mq/%2f"), ("AMRUTAM__BROKER__PREFETCH", "0")];
//! let error = amrutam_settings::load_from::<Settings>(None, env).err().map(|e| e.to_string());
//! assert_eq!(error.as_deref(), Some("1 problem in the settings:\n- broker.prefetch (AMRUTAM__BROKER__PREFETCH): must be at least 1"));
//! ```
#![deny(missing_docs)]

mod audit;
mod business;
mod environment;
mod payments;
mod problems;
mod read;
mod retention;
mod secret;

pub use audit::Audit;
pub use business::{ApprovalAbove, Business};
pub use environment::Environment;
pub use payments::{GatewayKind, Payments, PaymentsMode};
pub use problems::{Problems, SettingsError, Validate};
pub use retention::{ProductionRetention, Retention};
pub use secret::{InvalidUrl, Secret, SecretUrl, printable};

use config::{Config, File, FileFormat};
use serde::de::DeserializeOwned;
use std::path::Path;

const PREFIX: &str = "AMRUTAM__";

/// Reads the file, if one is given, then the process's environment over it, and validates.
///
/// # Errors
/// Every problem of [`Validate`] at once; a file or value that can't be read is reported alone, since nothing can be
/// validated then.
pub fn load<T: DeserializeOwned + Validate>(file: Option<&Path>) -> Result<T, SettingsError> {
    let mut problems = Problems::default();
    let mut variables = Vec::new();
    for (name, value) in std::env::vars_os() {
        let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else {
            continue;
        };
        match value.into_string() {
            Ok(value) => variables.push((name.to_owned(), value)),
            Err(_) => problems.add_at(&key_of(name), "is not UTF-8"),
        }
    }
    problems.into_result()?;
    load_from(file, variables)
}

/// As [`load`], from given variables. Names without the prefix `AMRUTAM__` are passed over.
///
/// # Errors
/// As [`load`].
pub fn load_from<T: DeserializeOwned + Validate>(
    file: Option<&Path>,
    variables: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>,
) -> Result<T, SettingsError> {
    let mut builder = Config::builder();
    if let Some(path) = file {
        builder = builder.add_source(File::from(path).format(FileFormat::Toml));
    }
    // Sorted, so that two variables at odds (a section and a field of it) give the same outcome each time.
    let mut variables: Vec<(String, String)> = variables.into_iter().map(|(k, v)| (k.into(), v.into())).collect();
    variables.sort_by(|(a, _), (b, _)| a.cmp(b));
    for (name, value) in variables {
        if !name.starts_with(PREFIX) {
            continue;
        }
        let key = key_of(&name);
        builder = builder.set_override(&key, value).map_err(|_| SettingsError::one(&key, "is not a settings name"))?;
    }
    let tree = builder
        .build()
        .and_then(Config::try_deserialize::<serde_json::Value>)
        .map_err(|error| SettingsError::unreadable(file, &error))?;
    let settings: T = read::from_tree(tree)?;
    let mut problems = Problems::default();
    settings.validate(&mut problems);
    problems.into_result()?;
    Ok(settings)
}

fn key_of(variable: &str) -> String {
    variable.strip_prefix(PREFIX).unwrap_or(variable).to_ascii_lowercase().replace("__", ".")
}

fn variable_of(key: &str) -> String {
    format!("{PREFIX}{}", key.split('[').next().unwrap_or(key).to_ascii_uppercase().replace('.', "__"))
}

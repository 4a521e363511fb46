//! What the command line needs of the environment; the processes' own sections are passed over.

pub(crate) use amrutam_settings::Environment;
use amrutam_settings::{Problems, SecretUrl, SettingsError, Validate};
use serde::Deserialize;
use std::path::PathBuf;

#[derive(Debug, Deserialize)]
pub(crate) struct Settings {
    #[serde(default)]
    pub(crate) environment: Environment,
    pub(crate) database: Database,
    #[serde(default)]
    pub(crate) tokens: Tokens,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Database {
    pub(crate) url: SecretUrl,
    pub(crate) role: Option<String>,
    admin_url: Option<SecretUrl>,
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Tokens {
    pub(crate) key_dir: Option<PathBuf>,
}

impl Settings {
    pub(crate) fn load() -> Result<Self, SettingsError> {
        amrutam_settings::load(None)
    }
}

impl Database {
    /// The owner's log-in; without one, the app's may be both.
    pub(crate) fn admin_url(&self) -> &str {
        self.admin_url.as_ref().unwrap_or(&self.url).expose()
    }

    pub(crate) fn pool(&self) -> amrutam_postgres::Settings {
        let mut settings = amrutam_postgres::Settings::for_url(self.url.clone());
        settings.role = self.role.clone();
        settings
    }
}

impl Validate for Settings {
    fn validate(&self, _: &mut Problems) {}
}

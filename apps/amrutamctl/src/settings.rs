//! What the command line needs of the environment; the processes' own sections are passed over.

use amrutam_crypto::{AesGcmSealer, HmacBlindIndex, KeySource, Keys, SystemClock};
use amrutam_postgres::{Accounts, Postgres, Vault};
pub(crate) use amrutam_settings::Environment;
use amrutam_settings::{Business, Problems, SecretUrl, SettingsError, Validate};
use serde::Deserialize;
use std::{error::Error, sync::Arc};

#[derive(Debug, Deserialize)]
pub(crate) struct Settings {
    #[serde(default)]
    pub(crate) environment: Environment,
    pub(crate) database: Database,
    #[serde(default)]
    pub(crate) tokens: KeySource,
    #[serde(default)]
    pub(crate) business: Business,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Database {
    pub(crate) url: SecretUrl,
    pub(crate) role: Option<String>,
    admin_url: Option<SecretUrl>,
}

impl Settings {
    pub(crate) fn load() -> Result<Self, SettingsError> {
        amrutam_settings::load(None)
    }

    /// Accounts, whose contact details are sealed.
    pub(crate) fn accounts(&self, postgres: &Postgres, keys: &Keys) -> Result<Accounts, Box<dyn Error>> {
        let sealer = Arc::new(AesGcmSealer::new(keys, Arc::new(SystemClock))?);
        let vault = Vault::new(sealer, Arc::new(HmacBlindIndex::new(keys)?));
        Ok(Accounts::new(postgres.clone(), vault))
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
    fn validate(&self, problems: &mut Problems) {
        problems.within("business", &self.business);
    }
}

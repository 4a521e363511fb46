//! What the command line needs of the environment; the processes' own sections are passed over.

use amrutam_crypto::{EnvelopeSealer, HmacBlindIndex, KeySource, Keys, SystemClock};
use amrutam_kernel::PortError;
use amrutam_postgres::{Accounts, KeysSettings, Postgres, Vault};
pub(crate) use amrutam_settings::Environment;
use amrutam_settings::{Audit, Business, Problems, ProductionRetention, Retention, SecretUrl, SettingsError, Validate};
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
    #[serde(default)]
    pub(crate) keys: DataKeys,
    #[serde(default)]
    pub(crate) audit: Audit,
    #[serde(default)]
    pub(crate) retention: Retention,
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

    /// Seals under the data keys of people.
    pub(crate) fn sealer(&self, postgres: &Postgres, keys: &Keys) -> Result<Arc<EnvelopeSealer>, Box<dyn Error>> {
        let store = Arc::new(self.keys.pool(postgres)?);
        Ok(Arc::new(EnvelopeSealer::new(keys, store, Arc::new(SystemClock))?))
    }

    /// Accounts, whose contact details are sealed.
    pub(crate) fn accounts(&self, postgres: &Postgres, keys: &Keys) -> Result<Accounts, Box<dyn Error>> {
        let vault = Vault::new(self.sealer(postgres, keys)?, Arc::new(HmacBlindIndex::new(keys)?));
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

/// Section `keys`; the pool's size is the processes' own.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct DataKeys {
    database_url: Option<SecretUrl>,
    role: Option<String>,
    admin_url: Option<SecretUrl>,
}

impl DataKeys {
    /// The owner's log-in to a database of their own, where there is one.
    pub(crate) fn admin_url(&self) -> Option<&str> {
        let url = self.database_url.as_ref()?;
        Some(self.admin_url.as_ref().unwrap_or(url).expose())
    }

    pub(crate) fn pool(&self, main: &Postgres) -> Result<Postgres, PortError> {
        let (database_url, role) = (self.database_url.clone(), self.role.clone());
        KeysSettings { database_url, role, ..KeysSettings::default() }.connect(main)
    }
}

impl Validate for Settings {
    fn validate(&self, problems: &mut Problems) {
        problems.within("business", &self.business);
        problems.within("retention", &self.retention);
        if self.environment == Environment::Production {
            problems.within("retention", &ProductionRetention(&self.retention));
        }
    }
}

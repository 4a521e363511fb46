//! The demo log-ins: made once per database, kept in a file that only its owner reads.

use super::people;
use rand::{Rng, distr::Alphanumeric};
use std::{
    error::Error,
    fs::{self, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

const PASSWORD: &str = "DEMO_PASSWORD";

pub(crate) struct DemoLogins {
    pub(crate) password: String,
}

impl DemoLogins {
    pub(crate) fn generate() -> Self {
        Self { password: rand::rng().sample_iter(&Alphanumeric).take(20).map(char::from).collect() }
    }

    pub(crate) fn read(path: &Path) -> Result<Option<Self>, Box<dyn Error>> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let value = text.lines().find_map(|line| line.strip_prefix(PASSWORD)?.strip_prefix('='));
        Ok(value.map(|password| Self { password: password.to_owned() }))
    }

    pub(crate) fn write(&self, path: &Path) -> Result<(), Box<dyn Error>> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        let roles = [
            ("PATIENT", people::DEMO_PATIENT),
            ("DOCTOR", super::practitioners::demo_email()),
            ("ADMIN", people::ADMIN.email),
        ];
        writeln!(file, "{PASSWORD}={}", self.password)?;
        for (role, email) in roles {
            writeln!(file, "DEMO_{role}_EMAIL={email}\nDEMO_{role}_PASSWORD={}", self.password)?;
        }
        file.sync_all()?;
        Ok(())
    }
}

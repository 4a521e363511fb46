//! What is wrong with the settings, all of it at once.

use crate::variable_of;
use std::{fmt, path::Path};

/// Settings that know what is wrong with them.
pub trait Validate {
    /// Adds every problem found; says nothing when there is none.
    fn validate(&self, problems: &mut Problems) {
        let _ = problems;
    }
}

/// Collects problems, each with the key and the environment variable it concerns.
#[derive(Debug, Default)]
pub struct Problems {
    section: Vec<String>,
    found: Vec<String>,
}

impl Problems {
    /// `field` of the current section is wrong. Leave the value out of the text: it may be a secret.
    pub fn add(&mut self, field: &str, text: impl fmt::Display) {
        let mut path = self.section.clone();
        path.extend((!field.is_empty()).then(|| field.to_owned()));
        self.add_at(&path.join("."), text);
    }

    /// As [`Problems::add`], unless `holds`.
    pub fn check(&mut self, holds: bool, field: &str, text: impl fmt::Display) {
        if !holds {
            self.add(field, text);
        }
    }

    /// Validates a section of the current one.
    pub fn within(&mut self, section: &str, settings: &impl Validate) {
        self.section.push(section.to_owned());
        settings.validate(self);
        self.section.pop();
    }

    pub(crate) fn add_at(&mut self, key: &str, text: impl fmt::Display) {
        self.found.push(line(key, text));
    }

    /// The problems as an error, if there are any.
    ///
    /// # Errors
    /// When there is a problem.
    pub fn into_result(self) -> Result<(), SettingsError> {
        if self.found.is_empty() { Ok(()) } else { Err(SettingsError { problems: self.found }) }
    }
}

fn line(key: &str, text: impl fmt::Display) -> String {
    if key.is_empty() { text.to_string() } else { format!("{key} ({}): {text}", variable_of(key)) }
}

/// The settings can't be used. Shows every problem on a line of its own, and no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct SettingsError {
    problems: Vec<String>,
}

impl SettingsError {
    pub(crate) fn one(key: &str, text: impl fmt::Display) -> Self {
        Self { problems: vec![line(key, text)] }
    }

    pub(crate) fn unreadable(file: Option<&Path>, error: &config::ConfigError) -> Self {
        let problem = match (file, error) {
            (Some(file), config::ConfigError::FileParse { cause, .. }) => {
                // The parser's message quotes the line at fault, which may hold a secret; its first line tells where.
                let place = cause.to_string();
                format!("{}: {}", file.display(), place.lines().next().unwrap_or("not TOML"))
            }
            (Some(file), _) => format!("{}: {error}", file.display()),
            (None, _) => error.to_string(),
        };
        Self { problems: vec![problem] }
    }

    /// Each problem.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.problems.len();
        write!(f, "{count} problem{} in the settings:", if count == 1 { "" } else { "s" })?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n- {problem}"))
    }
}

//! Section `limits`: how often the API may be asked.

use amrutam_settings::{Problems, Validate};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A day.
const LONGEST_WINDOW_SECS: u32 = 86_400;
/// One caller's log then takes some 10 MB in Redis.
const MOST_REQUESTS: u32 = 1_000_000;

/// Routes that are limited together. A route that names none is of class `default`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RouteClass {
    /// Counted per account for who is signed in, per address for who is not.
    Default,
    /// A password is shown. Counted per e-mail address named and per address asked from.
    Login,
    /// A second factor is shown. Per account and per address.
    Mfa,
    /// An account is opened. Per e-mail address named and per address.
    Register,
    /// A lost password, a link from a mail. Per account or e-mail address named and per address.
    Reset,
    /// The next tokens of a session. Per session and per address.
    Refresh,
    /// Other systems tell us something. Per address.
    Webhooks,
    /// Balancers ask how we do. Per address.
    Health,
}

/// How often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ClassLimit {
    /// So many requests in any span of the window's length: of one caller, or about one subject.
    pub requests: u32,
    /// Where a subject is counted: so many from one address, whatever the subject.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address_requests: Option<u32>,
    /// Seconds.
    pub window_secs: u32,
}

impl RouteClass {
    /// Every class.
    pub const ALL: [Self; 8] = [
        Self::Default,
        Self::Login,
        Self::Mfa,
        Self::Register,
        Self::Reset,
        Self::Refresh,
        Self::Webhooks,
        Self::Health,
    ];

    /// The name in settings, answers and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Login => "login",
            Self::Mfa => "mfa",
            Self::Register => "register",
            Self::Reset => "reset",
            Self::Refresh => "refresh",
            Self::Webhooks => "webhooks",
            Self::Health => "health",
        }
    }

    /// Whether it counts what requests are about, and beside that from where they come; else it counts who asks.
    pub const fn counts_subjects(self) -> bool {
        self.defaults().address_requests.is_some()
    }

    /// What holds unless it is set.
    pub const fn defaults(self) -> ClassLimit {
        const QUARTER: u32 = 15 * 60;
        const HOUR: u32 = 60 * 60;
        let (requests, address_requests, window_secs) = match self {
            Self::Default => (100, None, QUARTER),
            Self::Login | Self::Mfa => (10, Some(50), QUARTER),
            Self::Register | Self::Reset => (5, Some(20), HOUR),
            // Every app asks each 15 minutes by itself, and many of them share a carrier's address.
            Self::Refresh => (30, Some(1_000), QUARTER),
            Self::Webhooks | Self::Health => (6_000, None, QUARTER),
        };
        ClassLimit { requests, address_requests, window_secs }
    }
}

/// Section `limits`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Given")]
pub struct RateLimits {
    /// Whether anything is limited.
    pub enabled: bool,
    /// Every class. What is not set keeps its default, field by field.
    pub classes: BTreeMap<RouteClass, ClassLimit>,
}

impl RateLimits {
    /// The limit of a class.
    pub fn of(&self, class: RouteClass) -> ClassLimit {
        self.classes.get(&class).copied().unwrap_or_else(|| class.defaults())
    }
}

impl Default for RateLimits {
    fn default() -> Self {
        Given::default().into()
    }
}

/// What somebody has set.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Given {
    enabled: Option<bool>,
    classes: BTreeMap<RouteClass, GivenLimit>,
}

#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct GivenLimit {
    requests: Option<u32>,
    address_requests: Option<u32>,
    window_secs: Option<u32>,
}

impl From<Given> for RateLimits {
    fn from(given: Given) -> Self {
        let whole = |class: RouteClass| {
            let (set, default) = (given.classes.get(&class).copied().unwrap_or_default(), class.defaults());
            let limit = ClassLimit {
                requests: set.requests.unwrap_or(default.requests),
                address_requests: set.address_requests.or(default.address_requests),
                window_secs: set.window_secs.unwrap_or(default.window_secs),
            };
            (class, limit)
        };
        Self { enabled: given.enabled.unwrap_or(true), classes: RouteClass::ALL.map(whole).into() }
    }
}

impl Validate for RateLimits {
    fn validate(&self, problems: &mut Problems) {
        for (class, limit) in &self.classes {
            let field = |name| format!("classes.{}.{name}", class.as_str());
            let requests = 1..=MOST_REQUESTS;
            problems.check(requests.contains(&limit.requests), &field("requests"), "1 to 1000000");
            let window = 1..=LONGEST_WINDOW_SECS;
            problems.check(window.contains(&limit.window_secs), &field("window_secs"), "1 to 86400 seconds");
            let Some(address_requests) = limit.address_requests else { continue };
            let field = field("address_requests");
            problems.check(requests.contains(&address_requests), &field, "1 to 1000000");
            problems.check(class.counts_subjects(), &field, "this class counts callers only; set its requests");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use amrutam_settings::load_from;

    fn load(variables: &[(&str, &str)]) -> Result<RateLimits, Vec<String>> {
        load_from::<RateLimits>(None, variables.iter().copied()).map_err(|error| error.problems().to_vec())
    }

    #[test]
    fn the_defaults_are_those_of_the_contract() {
        let limits = load(&[]).unwrap();
        assert_eq!(limits, RateLimits::default());
        assert!(limits.enabled);
        let default = limits.of(RouteClass::Default);
        assert_eq!((default.requests, default.window_secs, default.address_requests), (100, 900, None));
        for tight in [RouteClass::Login, RouteClass::Mfa, RouteClass::Register, RouteClass::Reset] {
            let limit = limits.of(tight);
            let per_quarter = |requests: u32| requests * 900 / limit.window_secs;
            assert!(
                per_quarter(limit.requests) < 100 && per_quarter(limit.address_requests.unwrap()) < 100,
                "{tight:?}"
            );
        }
        for wide in [RouteClass::Webhooks, RouteClass::Health] {
            assert!(limits.of(wide).requests > default.requests);
        }
    }

    #[test]
    fn what_is_set_of_a_class_leaves_the_rest_of_it() {
        let limits = load(&[
            ("AMRUTAM__ENABLED", "false"),
            ("AMRUTAM__CLASSES__LOGIN__REQUESTS", "3"),
            ("AMRUTAM__CLASSES__DEFAULT__WINDOW_SECS", "60"),
        ])
        .unwrap();
        assert!(!limits.enabled);
        assert_eq!(limits.of(RouteClass::Login), ClassLimit { requests: 3, ..RouteClass::Login.defaults() });
        assert_eq!(limits.of(RouteClass::Default), ClassLimit { window_secs: 60, ..RouteClass::Default.defaults() });
        let shown = amrutam_settings::printable(&limits);
        assert!(shown.contains("\"webhooks\"") && shown.contains("6000"), "what is not set is shown as well: {shown}");
    }

    #[test]
    fn a_limit_that_is_none_and_a_class_that_is_none_are_refused() {
        let problems = load(&[
            ("AMRUTAM__CLASSES__LOGIN__REQUESTS", "0"),
            ("AMRUTAM__CLASSES__LOGIN__ADDRESS_REQUESTS", "1000001"),
            ("AMRUTAM__CLASSES__HEALTH__WINDOW_SECS", "0"),
            ("AMRUTAM__CLASSES__HEALTH__ADDRESS_REQUESTS", "5"),
        ])
        .unwrap_err();
        let fields = ["login.requests", "login.address_requests", "health.window_secs", "health.address_requests"];
        assert_eq!(problems.len(), 4, "{problems:?}");
        for field in fields {
            assert!(problems.iter().any(|problem| problem.starts_with(&format!("classes.{field} "))), "{problems:?}");
        }
        for wrong in [("AMRUTAM__CLASSES__LOGN__REQUESTS", "1"), ("AMRUTAM__CLASSES__LOGIN__REQUEST", "1")] {
            assert!(load(&[wrong]).is_err());
        }
    }

    #[test]
    fn each_class_is_written_as_it_is_named() {
        for class in RouteClass::ALL {
            assert_eq!(serde_json::to_value(class).unwrap(), class.as_str());
        }
    }
}

//! Whether visits are paid, and where; the same for every process.

use crate::{Environment, Problems, Secret, Validate};
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, time::Duration};

/// Whether visits are paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentsMode {
    /// A booking is confirmed at once.
    #[default]
    None,
    /// A booking holds its slot until it is paid.
    Required,
}

/// Which gateway takes new payments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GatewayKind {
    /// Razorpay, or what speaks like it.
    #[default]
    Razorpay,
    /// Stripe.
    Stripe,
}

/// Section `payments`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Payments {
    /// Whether visits are paid.
    pub mode: PaymentsMode,
    /// Where.
    pub gateway: GatewayKind,
    /// Where the gateway's API is, when it is not the gateway's own: `https://api.razorpay.com`.
    pub base_url: Option<String>,
    /// A file in PEM with the authorities that the gateway (or the proxy before it) is known by, instead of the public ones.
    pub ca_file: Option<PathBuf>,
    /// A page to pay on, with `{order}` where the order's name goes. Nothing when clients bring their own.
    pub checkout_url: Option<String>,
    /// The merchant's public name at Razorpay: the key id. Stripe needs none.
    pub key_id: Option<String>,
    /// The merchant's secret at the gateway.
    pub key_secret: Option<Secret>,
    /// What the gateway signs its notifications with.
    pub webhook_secret: Option<Secret>,
    /// Bound on one call of the gateway, in milliseconds.
    pub timeout_ms: u64,
    /// How long a worker's claim on a task lasts, in milliseconds: above all of a task's calls together.
    pub lease_ms: u64,
    /// The least a task waits while the gateway is away, in milliseconds.
    pub slow_lane_min_ms: u64,
    /// The most it waits.
    pub slow_lane_max_ms: u64,
    /// The first look at an unanswered order comes after this long, in milliseconds, the next after double that.
    pub first_poll_ms: u64,
    /// Spans of this length are compared with the gateway's list, in seconds.
    pub reconcile_span_secs: u64,
    /// So long after their end, in seconds.
    pub reconcile_after_secs: u64,
}

impl Default for Payments {
    fn default() -> Self {
        Self {
            mode: PaymentsMode::None,
            gateway: GatewayKind::Razorpay,
            base_url: None,
            ca_file: None,
            checkout_url: None,
            key_id: None,
            key_secret: None,
            webhook_secret: None,
            timeout_ms: 5_000,
            lease_ms: 60_000,
            slow_lane_min_ms: 5_000,
            slow_lane_max_ms: 20_000,
            first_poll_ms: 60_000,
            reconcile_span_secs: 86_400,
            reconcile_after_secs: 7_200,
        }
    }
}

impl Payments {
    /// Bound on one call.
    pub const fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }

    /// What a process outside of development can't take paid bookings without.
    pub fn validate_for(&self, environment: Environment, problems: &mut Problems) {
        if self.mode == PaymentsMode::None || environment == Environment::Development {
            return;
        }
        let there = |text: Option<&str>| text.is_some_and(|text| !text.is_empty());
        let secret = |secret: &Option<Secret>| there(secret.as_ref().map(Secret::expose));
        let named = self.gateway == GatewayKind::Stripe || there(self.key_id.as_deref());
        problems.check(named, "key_id", "paid visits need the merchant's key id");
        problems.check(secret(&self.key_secret), "key_secret", "paid visits need the gateway's secret");
        problems.check(
            secret(&self.webhook_secret),
            "webhook_secret",
            "paid visits need what notifications are signed with",
        );
        let plain = self.base_url.as_deref().is_some_and(|url| !url.starts_with("https://"));
        problems.check(!plain, "base_url", "secrets are sent there: https:// outside of development");
    }
}

impl Validate for Payments {
    fn validate(&self, problems: &mut Problems) {
        for (field, text) in [("base_url", &self.base_url), ("checkout_url", &self.checkout_url)] {
            let is_url = |text: &String| {
                url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            };
            problems.check(text.as_ref().is_none_or(is_url), field, "such as https://gateway.example.in");
        }
        problems.check((100..=30_000).contains(&self.timeout_ms), "timeout_ms", "100 to 30000 milliseconds");
        // A poll asks for the order and for each capture's refunds.
        let covers = self.lease_ms >= 4 * self.timeout_ms && self.lease_ms <= 600_000;
        problems.check(covers, "lease_ms", "at least four times timeout_ms, at most 600000 milliseconds");
        let lane = (10..=600_000).contains(&self.slow_lane_min_ms)
            && (self.slow_lane_min_ms..=600_000).contains(&self.slow_lane_max_ms);
        problems.check(lane, "slow_lane_min_ms", "10 milliseconds to slow_lane_max_ms, which is at most 600000");
        problems.check((100..=600_000).contains(&self.first_poll_ms), "first_poll_ms", "100 to 600000 milliseconds");
        let span = (1..=604_800).contains(&self.reconcile_span_secs);
        problems.check(span, "reconcile_span_secs", "1 second to a week");
        problems.check(self.reconcile_after_secs <= 604_800, "reconcile_after_secs", "at most a week");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems_of(environment: Environment, settings: &Payments) -> Vec<String> {
        let mut problems = Problems::default();
        settings.validate(&mut problems);
        settings.validate_for(environment, &mut problems);
        problems.into_result().map_or_else(|error| error.problems().to_vec(), |()| Vec::new())
    }

    #[test]
    fn paid_visits_outside_of_development_need_all_of_a_gateway() {
        let paid = Payments { mode: PaymentsMode::Required, ..Payments::default() };
        assert_eq!(problems_of(Environment::Development, &paid), Vec::<String>::new());
        assert_eq!(problems_of(Environment::Production, &paid).len(), 3);
        assert_eq!(problems_of(Environment::Production, &Payments::default()), Vec::<String>::new());
        let secret = || Some(Secret::from("s".to_owned()));
        let whole = Payments { key_id: Some("k".into()), key_secret: secret(), webhook_secret: secret(), ..paid };
        assert_eq!(problems_of(Environment::Production, &whole), Vec::<String>::new());
        let open = Payments { base_url: Some("http://gateway.example".into()), ..whole };
        let problems = problems_of(Environment::Production, &open);
        assert!(problems.len() == 1 && problems[0].contains("base_url"), "{problems:?}");
    }

    #[test]
    fn a_claim_outlasts_its_calls() {
        let short = Payments { lease_ms: 10_000, ..Payments::default() };
        assert_eq!(problems_of(Environment::Development, &short).len(), 1);
        let upside_down = Payments { slow_lane_min_ms: 3_000, slow_lane_max_ms: 2_000, ..Payments::default() };
        assert_eq!(problems_of(Environment::Development, &upside_down).len(), 1);
    }
}

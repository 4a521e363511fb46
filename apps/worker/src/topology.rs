//! Who hears which event. Every event type has a queue or is on the list of those that may have none: the broker returns what nobody
//! hears, and the relay keeps such an event and all that follow of its aggregate back.

use crate::{documents::Documents, notifications::Notifications, payments::Payments, privacy::Privacy};
use amrutam_operations::{REVIEWS_BINDINGS, REVIEWS_CONSUMER};
use amrutam_rabbitmq::ConsumerSpec;

/// All there are, in this process or another.
pub(crate) fn consumers(payments: &Payments) -> Vec<ConsumerSpec> {
    let (bindings, retired) = payments.bindings();
    vec![
        ConsumerSpec {
            name: Notifications::NAME,
            bindings: Notifications::BINDINGS,
            retired: Notifications::RETIRED_BINDINGS,
        },
        ConsumerSpec { name: amrutam_payments::use_cases::CONSUMER, bindings, retired },
        ConsumerSpec {
            name: amrutam_booking::use_cases::CONSUMER,
            bindings: amrutam_booking::use_cases::BINDINGS,
            retired: &[],
        },
        ConsumerSpec { name: Documents::NAME, bindings: Documents::BINDINGS, retired: &[] },
        ConsumerSpec {
            name: amrutam_booking::use_cases::DEPARTURES_CONSUMER,
            bindings: amrutam_booking::use_cases::DEPARTURES_BINDINGS,
            retired: &[],
        },
        ConsumerSpec { name: Privacy::NAME, bindings: Privacy::BINDINGS, retired: &[] },
        ConsumerSpec { name: REVIEWS_CONSUMER, bindings: REVIEWS_BINDINGS, retired: &[] },
    ]
}

/// What may reach no queue. Payments listen to all of a visit's events where visits are paid.
pub(crate) fn unheard(payments: &Payments) -> &'static [&'static str] {
    if payments.required { &[] } else { UNPAID_UNHEARD }
}

/// Every booking begins with the first, and nobody acts on it where visits are not paid: through a queue it cost as much as the
/// confirmation. Nor does anybody on the second.
const UNPAID_UNHEARD: &[&str] = &[amrutam_booking::events::REQUESTED, amrutam_booking::events::MODE_CHANGED];

#[cfg(test)]
mod tests {
    use super::{UNPAID_UNHEARD, consumers, unheard};
    use crate::payments::Payments;
    use amrutam_payments::model::PaymentRules;
    use std::{collections::BTreeSet, fs, path::Path, time::Duration};

    /// As the domains' sources name them.
    fn every_event_type() -> BTreeSet<String> {
        let domains = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crates/domain");
        let sources = fs::read_dir(domains).unwrap().filter_map(|domain| {
            // A domain that announces nothing has no such file.
            fs::read_to_string(domain.unwrap().path().join("src/events.rs")).ok()
        });
        let quoted = sources.flat_map(|source| source.split('"').map(str::to_owned).collect::<Vec<_>>());
        quoted.filter(|word| word.ends_with(".v1") && !word.contains(['*', '#', ' ', '/'])).collect()
    }

    /// As a topic exchange compares them.
    fn hears(binding: &str, event_type: &str) -> bool {
        let (mut pattern, mut words) = (binding.split('.'), event_type.split('.'));
        loop {
            match (pattern.next(), words.next()) {
                (Some("#"), _) | (None, None) => return true,
                (Some(expected), Some(word)) if expected == "*" || expected == word => {}
                _ => return false,
            }
        }
    }

    #[test]
    fn every_event_has_a_queue_or_may_have_none() {
        let events = every_event_type();
        assert!(events.len() > 40, "{events:?}");
        for required in [true, false] {
            let wait = (Duration::ZERO, Duration::ZERO);
            let payments = Payments { required, gateways: Vec::new(), rules: PaymentRules::v1(), reconcile: wait };
            let bindings: Vec<_> =
                consumers(&payments).iter().flat_map(|consumer| consumer.bindings).copied().collect();
            for event in &events {
                let heard = bindings.iter().any(|binding| hears(binding, event));
                assert_ne!(heard, unheard(&payments).contains(&&**event), "{event}, visits are paid: {required}");
            }
        }
        assert!(UNPAID_UNHEARD.iter().all(|unheard| events.contains(*unheard)));
    }
}

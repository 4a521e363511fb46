//! Section `proxies`: who may say from where a request comes.

use amrutam_settings::{Problems, Validate};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// What our proxies write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ForwardedField {
    /// `X-Forwarded-For`.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// Section `proxies`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Proxies {
    /// The networks of our own proxies and balancers, such as `10.0.0.0/8, fd00::/8`. None unless set: then a request comes from
    /// where its connection does.
    pub trusted: Vec<IpNet>,
    /// Which header field they write. The other one is never read: a proxy passes on what it does not know, so a caller could write
    /// it.
    pub field: ForwardedField,
}

impl Validate for Proxies {
    fn validate(&self, problems: &mut Problems) {
        for (index, network) in self.trusted.iter().enumerate() {
            let field = format!("trusted[{index}]");
            problems.check(network.prefix_len() > 0, &field, "would trust everybody to say who they are");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use amrutam_settings::load_from;

    fn load(variables: &[(&str, &str)]) -> Result<Proxies, Vec<String>> {
        load_from::<Proxies>(None, variables.iter().copied()).map_err(|error| error.problems().to_vec())
    }

    #[test]
    fn networks_are_read_from_a_list() {
        assert_eq!(load(&[]).unwrap(), Proxies::default());
        let proxies =
            load(&[("AMRUTAM__TRUSTED", "10.0.0.0/8, fd00::/8,192.0.2.7/32"), ("AMRUTAM__FIELD", "forwarded")])
                .unwrap();
        assert_eq!((proxies.trusted.len(), proxies.field), (3, ForwardedField::Forwarded));
        assert_eq!(load(&[("AMRUTAM__FIELD", "x-forwarded-for")]).unwrap().field, ForwardedField::XForwardedFor);
    }

    #[test]
    fn nobody_is_trusted_by_mistake() {
        for wrong in ["0.0.0.0/0", "10.0.0.0/8,::/0", "10.0.0.0/33", "proxy.internal", "10.0.0.1"] {
            let problems = load(&[("AMRUTAM__TRUSTED", wrong)]).unwrap_err();
            assert!(problems.len() == 1 && problems[0].starts_with("trusted["), "{wrong}: {problems:?}");
        }
        assert!(load(&[("AMRUTAM__FIELD", "x-real-ip")]).is_err());
    }
}

//! The settings, from the environment only.

use std::fmt;

/// Where the sandbox listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `AMRUTAM__SANDBOX__HTTP_LISTEN`: `host:port` of the inbox page and the API. Port 0 takes any free one.
    pub http_listen: String,
    /// `AMRUTAM__SANDBOX__SMTP_LISTEN`: `host:port` of the mail sink. Port 0 takes any free one.
    pub smtp_listen: String,
    /// The payment gateway; none unless its address is set.
    pub gateway: Option<GatewaySettings>,
}

/// The payment gateway's.
#[derive(Clone, PartialEq, Eq)]
pub struct GatewaySettings {
    /// `AMRUTAM__SANDBOX__GATEWAY_LISTEN`: `host:port` of its API and its checkout page. Port 0 takes any free one.
    pub listen: String,
    /// `AMRUTAM__SANDBOX__GATEWAY_KEY_ID`: the merchant's name.
    pub key_id: String,
    /// `AMRUTAM__SANDBOX__GATEWAY_KEY_SECRET`: the merchant's password.
    pub key_secret: String,
    /// `AMRUTAM__SANDBOX__GATEWAY_WEBHOOK_URL`: where events are told; nowhere unless set, also later by the control API.
    pub webhook_url: Option<String>,
    /// `AMRUTAM__SANDBOX__GATEWAY_WEBHOOK_SECRET`: what they are signed with.
    pub webhook_secret: String,
}

impl fmt::Debug for GatewaySettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GatewaySettings")
            .field("listen", &self.listen)
            .field("key_id", &self.key_id)
            .field("webhook_url", &self.webhook_url)
            .finish_non_exhaustive()
    }
}

/// Everything that is wrong with the settings, told at once.
#[derive(Debug, PartialEq, Eq)]
pub struct SettingsError {
    problems: Vec<String>,
}

impl SettingsError {
    /// One sentence per wrong setting.
    #[must_use]
    pub fn problems(&self) -> &[String] {
        &self.problems
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid settings: {}", self.problems.join("; "))
    }
}

impl std::error::Error for SettingsError {}

impl Settings {
    /// Reads the settings from the environment of the process.
    ///
    /// # Errors
    /// When a setting is missing or is not `host:port`; the error names every such setting.
    pub fn from_env() -> Result<Self, SettingsError> {
        Self::from_vars(|name| std::env::var(name).ok())
    }

    /// Reads the settings through `var`, which answers the value of a variable.
    ///
    /// # Errors
    /// As [`Settings::from_env`].
    pub fn from_vars(var: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let mut problems = Vec::new();
        let given = |name: &str| var(name).filter(|value| !value.is_empty());
        let mut listen = |name: &str, example: &str| {
            let value = var(name).unwrap_or_default();
            if value.is_empty() {
                problems.push(format!("{name} is not set (host:port, for example {example})"));
            } else if !is_host_and_port(&value) {
                problems.push(format!("{name} is {value:?}, not host:port (for example {example})"));
            }
            value
        };
        let http_listen = listen("AMRUTAM__SANDBOX__HTTP_LISTEN", "127.0.0.1:8025");
        let smtp_listen = listen("AMRUTAM__SANDBOX__SMTP_LISTEN", "127.0.0.1:1025");
        let gateway_listen = given("AMRUTAM__SANDBOX__GATEWAY_LISTEN");
        let gateway_listen = gateway_listen.map(|_| listen("AMRUTAM__SANDBOX__GATEWAY_LISTEN", "127.0.0.1:8026"));
        let gateway = gateway_listen.map(|listen| {
            let mut needed = |name: &str| {
                let value = given(name);
                if value.is_none() {
                    problems.push(format!("{name} is not set, which a gateway needs"));
                }
                value.unwrap_or_default()
            };
            GatewaySettings {
                listen,
                key_id: needed("AMRUTAM__SANDBOX__GATEWAY_KEY_ID"),
                key_secret: needed("AMRUTAM__SANDBOX__GATEWAY_KEY_SECRET"),
                webhook_url: given("AMRUTAM__SANDBOX__GATEWAY_WEBHOOK_URL"),
                webhook_secret: needed("AMRUTAM__SANDBOX__GATEWAY_WEBHOOK_SECRET"),
            }
        });
        if problems.is_empty() {
            Ok(Self { http_listen, smtp_listen, gateway })
        } else {
            Err(SettingsError { problems })
        }
    }
}

fn is_host_and_port(value: &str) -> bool {
    value.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(http: Option<&str>, smtp: Option<&str>) -> Result<Settings, SettingsError> {
        let value = |name: &str| match name {
            "AMRUTAM__SANDBOX__HTTP_LISTEN" => http,
            "AMRUTAM__SANDBOX__SMTP_LISTEN" => smtp,
            _ => None,
        };
        Settings::from_vars(|name| value(name).map(str::to_owned))
    }

    #[test]
    fn names_and_addresses_with_a_port_are_taken() {
        let settings = read(Some("localhost:8025"), Some("[::1]:0")).unwrap();
        assert_eq!(settings.http_listen, "localhost:8025");
        assert_eq!(settings.smtp_listen, "[::1]:0");
    }

    #[test]
    fn every_problem_is_told_at_once() {
        let error = read(None, Some("127.0.0.1:70000")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "invalid settings: AMRUTAM__SANDBOX__HTTP_LISTEN is not set (host:port, for example 127.0.0.1:8025); \
             AMRUTAM__SANDBOX__SMTP_LISTEN is \"127.0.0.1:70000\", not host:port (for example 127.0.0.1:1025)"
        );
        assert_eq!(read(Some("127.0.0.1:0"), None).unwrap_err().problems().len(), 1);
        assert_eq!(read(Some(":80"), Some("host")).unwrap_err().problems().len(), 2);
    }

    #[test]
    fn a_gateway_is_there_when_it_has_an_address_and_keeps_its_secrets() {
        assert_eq!(read(Some("127.0.0.1:0"), Some("127.0.0.1:0")).unwrap().gateway, None);
        let whole = |name: &str| {
            let value = match name.strip_prefix("AMRUTAM__SANDBOX__").unwrap() {
                name if name.ends_with("LISTEN") => "127.0.0.1:0",
                "GATEWAY_WEBHOOK_URL" => "",
                name => name,
            };
            Some(value.to_owned())
        };
        let settings = Settings::from_vars(whole).unwrap();
        let text = format!("{settings:?}");
        let gateway = settings.gateway.unwrap();
        assert_eq!((gateway.key_id.as_str(), gateway.webhook_url), ("GATEWAY_KEY_ID", None));
        assert!(!text.contains("SECRET"), "{text}");
        let without_secrets = |name: &str| whole(name).filter(|_| !name.ends_with("SECRET"));
        assert_eq!(Settings::from_vars(without_secrets).unwrap_err().problems().len(), 2);
    }
}

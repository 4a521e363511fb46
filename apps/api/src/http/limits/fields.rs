//! What an answer says of limits: draft-ietf-httpapi-ratelimit-headers-11, in structured fields (RFC 9651).

use super::throttle::whole_seconds;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use amrutam_kernel::LimitState;
use std::fmt::Write;

static POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
static STATE: HeaderName = HeaderName::from_static("ratelimit");

/// `RateLimit-Policy` and `RateLimit`, one item per policy.
#[derive(Debug, Default)]
pub(crate) struct LimitFields {
    policy: String,
    state: String,
}

impl LimitFields {
    /// Of policies' names (letters and dashes) with their states.
    pub(crate) fn of<'a>(states: impl Iterator<Item = (&'a str, &'a LimitState)>) -> Self {
        let mut fields = Self::default();
        for (name, state) in states {
            let comma = if fields.policy.is_empty() { "" } else { ", " };
            let (quota, window) = (state.policy.requests(), state.policy.window().as_secs());
            let (remaining, more_in) = (state.remaining, whole_seconds(state.reset_after));
            // Writing to a text can't fail.
            let _ = write!(fields.policy, "{comma}\"{name}\";q={quota};w={window}");
            let _ = write!(fields.state, "{comma}\"{name}\";r={remaining};t={more_in}");
        }
        fields
    }

    /// Puts them on an answer.
    pub(crate) fn mark(&self, headers: &mut HeaderMap) {
        for (name, text) in [(&POLICY, &self.policy), (&STATE, &self.state)] {
            if let Ok(value) = HeaderValue::from_str(text) {
                headers.insert(name.clone(), value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use amrutam_kernel::LimitPolicy;
    use std::{num::NonZeroU32, time::Duration};

    #[test]
    fn each_policy_is_an_item_with_its_parameters() {
        let state = |requests, remaining, reset_after| LimitState {
            policy: LimitPolicy::new(NonZeroU32::new(requests).unwrap(), Duration::from_secs(900)),
            remaining,
            reset_after,
        };
        let states = [state(10, 9, Duration::from_millis(899_001)), state(50, 0, Duration::ZERO)];
        let mut headers = HeaderMap::new();
        LimitFields::of(["login", "login-address"].into_iter().zip(&states)).mark(&mut headers);
        let shown = |name: &str| headers.get(name).unwrap().to_str().unwrap().to_owned();
        assert_eq!(shown("ratelimit-policy"), r#""login";q=10;w=900, "login-address";q=50;w=900"#);
        assert_eq!(shown("ratelimit"), r#""login";r=9;t=900, "login-address";r=0;t=0"#);
    }
}

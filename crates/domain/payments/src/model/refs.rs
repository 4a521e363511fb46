//! Names that gateways give to things, and the names of the gateways.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The text is empty, too long, or has a character that such a name never has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a {0}")]
pub struct InvalidRef(pub &'static str);

macro_rules! text_ref {
    ($($(#[$doc:meta])* $name:ident = $what:literal, $max:literal, $allowed:expr;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str { &self.0 }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidRef;
            fn try_from(text: String) -> Result<Self, InvalidRef> {
                let allowed: fn(u8) -> bool = $allowed;
                if (1..=$max).contains(&text.len()) && text.bytes().all(allowed) { Ok(Self(text)) } else { Err(InvalidRef($what)) }
            }
        }

        impl FromStr for $name {
            type Err = InvalidRef;
            fn from_str(text: &str) -> Result<Self, InvalidRef> { Self::try_from(text.to_owned()) }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self { name.0 }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(&self.0) }
        }
    )+};
}

text_ref! {
    /// Which gateway: `razorpay`, `stripe`. Lower-case letters.
    GatewayName = "gateway's name", 32, |byte| byte.is_ascii_lowercase();
    /// The gateway's name for an order (Razorpay) or a payment intent (Stripe).
    OrderRef = "gateway's order", 255, |byte| byte.is_ascii_graphic();
    /// The gateway's name for one payment: an attempt to pay an order. Each attempt has its own (Stripe: the charge).
    GatewayPaymentRef = "gateway's payment", 255, |byte| byte.is_ascii_graphic();
    /// The gateway's name for one refund.
    GatewayRefundRef = "gateway's refund", 255, |byte| byte.is_ascii_graphic();
    /// The gateway's name for one notification: the same for each delivery of it.
    GatewayEventId = "gateway's event", 255, |byte| byte.is_ascii_graphic();
}

//! E-mail addresses.

use std::str::FromStr;

/// An address in normalized form: trimmed, lower case. Two spellings of one address are one account.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct EmailAddress(String);

/// Not an address we can send to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an e-mail address")]
pub struct InvalidEmail;

impl EmailAddress {
    /// Normalized text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EmailAddress {
    type Err = InvalidEmail;

    /// The HTML standard's practical subset of RFC 5321 (ASCII, one `@`, a dotted domain), at most 254 bytes. Whether the
    /// address exists is shown by a mail alone.
    fn from_str(text: &str) -> Result<Self, InvalidEmail> {
        let text = text.trim().to_ascii_lowercase();
        let (local, domain) = text.split_once('@').ok_or(InvalidEmail)?;
        let local_ok = (1..=64).contains(&local.len())
            && local.bytes().all(|b| b.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&b))
            && !local.starts_with('.')
            && !local.ends_with('.')
            && !local.contains("..");
        let label_ok = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        let domain_ok = domain.contains('.') && domain.split('.').all(label_ok);
        if local_ok && domain_ok && text.len() <= 254 { Ok(Self(text)) } else { Err(InvalidEmail) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_address_are_one() {
        assert_eq!(" Asha.Nair@Example.IN ".parse::<EmailAddress>(), "asha.nair@example.in".parse());
    }

    #[test]
    fn what_cannot_be_sent_to_is_refused() {
        let long = format!("{}@example.in", "a".repeat(65));
        for bad in [
            "",
            "a",
            "a@",
            "@b.in",
            "a@b",
            "a b@c.in",
            "a@b..in",
            ".a@b.in",
            "a..b@c.in",
            "a@-b.in",
            "a@b.in\r\nBcc: x@y.in",
            "a@b@c.in",
            &long,
        ] {
            assert_eq!(bad.parse::<EmailAddress>(), Err(InvalidEmail), "{bad:?}");
        }
    }
}

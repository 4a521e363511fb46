//! Links' tokens, made with no key.

use amrutam_kernel::{LinkId, LinkPurpose, LinkTokens, Sensitive};
use data_encoding::BASE64URL_NOPAD;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Tokens of the right form that anybody can make: for tests. Makers with different keys make different ones.
#[derive(Debug)]
pub struct FakeLinks {
    key: String,
}

impl FakeLinks {
    /// With this key.
    pub fn new(key: impl Into<String>) -> Self {
        Self { key: key.into() }
    }
}

impl LinkTokens for FakeLinks {
    fn token(&self, purpose: LinkPurpose, id: LinkId) -> Sensitive<String> {
        let mut bytes = id.as_uuid().as_bytes().to_vec();
        for part in 0..4_u8 {
            let mut hasher = DefaultHasher::new();
            (&self.key, purpose, id, part).hash(&mut hasher);
            bytes.extend_from_slice(&hasher.finish().to_be_bytes());
        }
        Sensitive::new(BASE64URL_NOPAD.encode(&bytes))
    }
}

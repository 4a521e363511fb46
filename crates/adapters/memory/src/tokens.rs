//! Access tokens, signed by nothing that would stop anybody.

use amrutam_identity::ports::{AccessClaims, InvalidToken, TokenIssuer, TokenVerifier};
use amrutam_kernel::{PortError, Sensitive};
use jiff::Timestamp;
use std::hash::{DefaultHasher, Hash, Hasher};
use uuid::Uuid;

/// Readable tokens with a checksum: for tests. Issuers of different realms don't take each other's tokens.
#[derive(Debug)]
pub struct FakeTokens {
    realm: String,
}

impl FakeTokens {
    /// Of this realm.
    pub fn new(realm: impl Into<String>) -> Self {
        Self { realm: realm.into() }
    }

    fn checksum(&self, text: &str) -> String {
        let mut hasher = DefaultHasher::new();
        (&self.realm, text).hash(&mut hasher);
        format!("{:016x}", hasher.finish())
    }
}

impl TokenIssuer for FakeTokens {
    fn issue(&self, claims: &AccessClaims, token_id: Uuid) -> Result<Sensitive<String>, PortError> {
        let text = format!(
            "fake~{}~{}~{}~{}~{}~{token_id}",
            claims.account, claims.session, claims.role, claims.issued_at, claims.expires_at
        );
        let checksum = self.checksum(&text);
        Ok(Sensitive::new(format!("{text}~{checksum}")))
    }
}

impl TokenVerifier for FakeTokens {
    fn verify(&self, token: &str, now: Timestamp) -> Result<AccessClaims, InvalidToken> {
        let (text, checksum) = token.rsplit_once('~').ok_or(InvalidToken)?;
        if self.checksum(text) != checksum {
            return Err(InvalidToken);
        }
        let fields: Vec<_> = text.split('~').collect();
        let &["fake", account, session, role, issued_at, expires_at, _] = fields.as_slice() else {
            return Err(InvalidToken);
        };
        let claims = AccessClaims {
            account: account.parse().map_err(|_| InvalidToken)?,
            session: session.parse().map_err(|_| InvalidToken)?,
            role: role.parse().map_err(|_| InvalidToken)?,
            issued_at: issued_at.parse().map_err(|_| InvalidToken)?,
            expires_at: expires_at.parse().map_err(|_| InvalidToken)?,
        };
        if (claims.issued_at..claims.expires_at).contains(&now) { Ok(claims) } else { Err(InvalidToken) }
    }
}

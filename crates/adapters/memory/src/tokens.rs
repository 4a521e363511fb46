//! Tokens, signed by nothing that would stop anybody.

use amrutam_identity::{
    model::Assurance,
    ports::{AccessClaims, InvalidToken, MfaClaims, TokenIssuer, TokenVerifier},
};
use amrutam_kernel::{PortError, Sensitive};
use amrutam_privacy::ports::{DownloadClaims, DownloadTokens};
use jiff::Timestamp;
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    str::FromStr,
};
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

impl FakeTokens {
    fn seal(&self, text: &str) -> Sensitive<String> {
        Sensitive::new(format!("{text}~{}", self.checksum(text)))
    }

    fn fields<'a>(&self, token: &'a str) -> Result<Vec<&'a str>, InvalidToken> {
        let (text, checksum) = token.rsplit_once('~').ok_or(InvalidToken)?;
        if self.checksum(text) == checksum { Ok(text.split('~').collect()) } else { Err(InvalidToken) }
    }
}

fn parse<T: FromStr>(field: &str) -> Result<T, InvalidToken> {
    field.parse().map_err(|_| InvalidToken)
}

fn in_force(issued_at: Timestamp, expires_at: Timestamp, now: Timestamp) -> Result<(), InvalidToken> {
    if (issued_at..expires_at).contains(&now) { Ok(()) } else { Err(InvalidToken) }
}

impl TokenIssuer for FakeTokens {
    fn issue_access(&self, claims: &AccessClaims, token_id: Uuid) -> Result<Sensitive<String>, PortError> {
        let AccessClaims { account, session, role, assurance, issued_at, expires_at } = claims;
        let amr = assurance.amr().join("+");
        Ok(self.seal(&format!("access~{account}~{session}~{role}~{amr}~{issued_at}~{expires_at}~{token_id}")))
    }

    fn issue_mfa(&self, claims: &MfaClaims, token_id: Uuid) -> Result<Sensitive<String>, PortError> {
        let MfaClaims { account, issued_at, expires_at } = claims;
        Ok(self.seal(&format!("mfa~{account}~{issued_at}~{expires_at}~{token_id}")))
    }
}

impl TokenVerifier for FakeTokens {
    fn verify_access(&self, token: &str, now: Timestamp) -> Result<AccessClaims, InvalidToken> {
        let fields = self.fields(token)?;
        let &["access", account, session, role, amr, issued_at, expires_at, _] = fields.as_slice() else {
            return Err(InvalidToken);
        };
        let amr: Vec<_> = amr.split('+').collect();
        let claims = AccessClaims {
            account: parse(account)?,
            session: parse(session)?,
            role: parse(role)?,
            assurance: Assurance::from_amr(&amr).ok_or(InvalidToken)?,
            issued_at: parse(issued_at)?,
            expires_at: parse(expires_at)?,
        };
        in_force(claims.issued_at, claims.expires_at, now).map(|()| claims)
    }

    fn verify_mfa(&self, token: &str, now: Timestamp) -> Result<MfaClaims, InvalidToken> {
        let fields = self.fields(token)?;
        let &["mfa", account, issued_at, expires_at, _] = fields.as_slice() else { return Err(InvalidToken) };
        let claims =
            MfaClaims { account: parse(account)?, issued_at: parse(issued_at)?, expires_at: parse(expires_at)? };
        in_force(claims.issued_at, claims.expires_at, now).map(|()| claims)
    }
}

impl DownloadTokens for FakeTokens {
    fn issue_download(&self, claims: &DownloadClaims, token_id: Uuid) -> Result<Sensitive<String>, PortError> {
        let DownloadClaims { export, account, issued_at, expires_at } = claims;
        Ok(self.seal(&format!("download~{export}~{account}~{issued_at}~{expires_at}~{token_id}")))
    }

    fn verify_download(&self, token: &str, now: Timestamp) -> Option<DownloadClaims> {
        let fields = self.fields(token).ok()?;
        let &["download", export, account, issued_at, expires_at, _] = fields.as_slice() else { return None };
        let claims = DownloadClaims {
            export: export.parse().ok()?,
            account: account.parse().ok()?,
            issued_at: issued_at.parse().ok()?,
            expires_at: expires_at.parse().ok()?,
        };
        in_force(claims.issued_at, claims.expires_at, now).ok().map(|()| claims)
    }
}

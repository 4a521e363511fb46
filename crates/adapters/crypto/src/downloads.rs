//! Links to archives: tokens of a type of their own, so that none is taken for one that opens a session, nor the reverse.

use crate::tokens::{Frame, JwtTokens};
use amrutam_kernel::{PortError, Sensitive};
use amrutam_privacy::ports::{DownloadClaims, DownloadTokens};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

const DOWNLOAD: &str = "download+jwt";

#[derive(Serialize, Deserialize)]
struct Payload {
    iss: String,
    aud: String,
    sub: String,
    jti: String,
    iat: i64,
    nbf: i64,
    exp: i64,
    /// The export.
    export: String,
}

impl DownloadTokens for JwtTokens {
    fn issue_download(&self, claims: &DownloadClaims, token_id: Uuid) -> Result<Sensitive<String>, PortError> {
        let issued_at = claims.issued_at.as_second();
        let payload = Payload {
            iss: self.issuer().to_owned(),
            aud: self.audience().to_owned(),
            sub: claims.account.to_string(),
            jti: token_id.hyphenated().to_string(),
            iat: issued_at,
            nbf: issued_at,
            exp: claims.expires_at.as_second(),
            export: claims.export.to_string(),
        };
        self.sign(DOWNLOAD, claims.issued_at, &payload)
    }

    fn verify_download(&self, token: &str, now: Timestamp) -> Option<DownloadClaims> {
        let payload: Payload = self.signed_claims(DOWNLOAD, token)?;
        let Payload { iss, aud, sub, jti, iat, nbf, exp, export } = &payload;
        let frame = Frame { iss, aud, sub, jti, iat: *iat, nbf: *nbf, exp: *exp };
        let in_force = self.in_force(&frame, now)?;
        Some(DownloadClaims {
            export: export.parse().ok()?,
            account: in_force.account,
            issued_at: in_force.issued_at,
            expires_at: in_force.expires_at,
        })
    }
}

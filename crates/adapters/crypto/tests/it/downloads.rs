//! Links to archives.

use crate::support::{access, now, tokens};
use amrutam_identity::ports::TokenVerifier;
use amrutam_kernel::{AccountId, ExportId};
use amrutam_privacy::ports::{DownloadClaims, DownloadTokens};
use jiff::SignedDuration;
use uuid::Uuid;

fn claims() -> DownloadClaims {
    DownloadClaims {
        export: ExportId::from_uuid(Uuid::from_u128(1)),
        account: AccountId::from_uuid(Uuid::from_u128(2)),
        issued_at: now(),
        expires_at: now() + SignedDuration::from_mins(5),
    }
}

#[test]
fn a_link_is_no_other_token_and_no_other_token_is_a_link() {
    let tokens = tokens();
    let link = tokens.issue_download(&claims(), Uuid::from_u128(3)).unwrap().into_exposed();
    assert!(tokens.verify_access(&link, now()).is_err() && tokens.verify_mfa(&link, now()).is_err());
    let read = tokens.verify_download(&link, now()).unwrap();
    assert_eq!((read.export, read.account), (claims().export, claims().account));
    assert_eq!(tokens.verify_download(&access(&tokens), now()), None);
    assert_eq!(tokens.verify_download(&link.replacen('.', ".A", 1), now()), None);
    assert_eq!(tokens.verify_download("", now()), None);
    // Clocks may be apart by a minute.
    assert_eq!(tokens.verify_download(&link, now() + SignedDuration::from_mins(7)), None);
}

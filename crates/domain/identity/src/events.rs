//! What this domain announces. Schemas: `docs/events/`. Payloads carry ids only, never a secret: the token of a link is made
//! from its id when the mail is sent.

use amrutam_kernel::{AccountId, AggregateRef, Context, EventEnvelope, EventId, IdSource, LinkId, SessionId};
use jiff::Timestamp;
use serde_json::json;

/// Somebody registered with an address that has an account: its owner is told by mail.
pub const REGISTRATION_REPEATED: &str = "account.registration_repeated.v1";
/// An account's owner is to show by a mailed link that the address is theirs.
pub const EMAIL_VERIFICATION_REQUESTED: &str = "account.email_verification_requested.v1";
/// Somebody has forgotten their password: a link is mailed.
pub const PASSWORD_RESET_REQUESTED: &str = "account.password_reset_requested.v1";
/// A doctor or a member of staff is invited by a mailed link.
pub const INVITED: &str = "account.invited.v1";
/// A password has changed: its owner is told.
pub const PASSWORD_CHANGED: &str = "account.password_changed.v1";
/// A second factor was set up, replaced or removed, or its recovery codes were replaced: its owner is told.
pub const SECOND_FACTOR_CHANGED: &str = "account.second_factor_changed.v1";
/// A spent refresh token came back and its session was ended: its owner is told.
pub const SESSION_REVOKED: &str = "account.session_revoked.v1";
/// An account is closed.
pub const DEACTIVATED: &str = "account.deactivated.v1";

/// What is announced of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Announcement {
    RegistrationRepeated,
    EmailVerificationRequested(LinkId),
    PasswordResetRequested(LinkId),
    Invited(LinkId),
    PasswordChanged,
    SecondFactorChanged,
    SessionRevoked(SessionId),
    Deactivated,
}

impl Announcement {
    pub(crate) fn envelope(
        self,
        ids: &dyn IdSource,
        context: &Context,
        account: AccountId,
        now: Timestamp,
    ) -> EventEnvelope {
        let of_link = |link: LinkId| json!({ "account_id": account, "link_id": link });
        let plain = || json!({ "account_id": account });
        let (event_type, payload) = match self {
            Self::RegistrationRepeated => (REGISTRATION_REPEATED, plain()),
            Self::EmailVerificationRequested(link) => (EMAIL_VERIFICATION_REQUESTED, of_link(link)),
            Self::PasswordResetRequested(link) => (PASSWORD_RESET_REQUESTED, of_link(link)),
            Self::Invited(link) => (INVITED, of_link(link)),
            Self::PasswordChanged => (PASSWORD_CHANGED, plain()),
            Self::SecondFactorChanged => (SECOND_FACTOR_CHANGED, plain()),
            Self::SessionRevoked(session) => (SESSION_REVOKED, json!({ "account_id": account, "session_id": session })),
            Self::Deactivated => (DEACTIVATED, plain()),
        };
        EventEnvelope {
            id: EventId::from_uuid(ids.uuid_v7(now)),
            event_type: event_type.to_owned(),
            // Nobody rebuilds an account from these, so there is no version to raise.
            aggregate: AggregateRef { kind: "account".to_owned(), id: account.as_uuid(), version: 0 },
            occurred_at: now,
            actor: context.actor.to_string(),
            correlation_id: context.correlation_id.clone(),
            trace_parent: context.trace_parent.clone(),
            payload,
        }
    }
}

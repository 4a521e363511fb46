//! One type per kind of id, so that a doctor's id never passes for a patient's.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use uuid::Uuid;

/// The text was not a canonical (lower-case, hyphenated) UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a UUID in canonical text form")]
pub struct InvalidId;

macro_rules! typed_id {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Wraps a UUID that is already known to be of this kind.
            pub const fn from_uuid(id: Uuid) -> Self { Self(id) }
            /// The bare UUID, for adapters.
            pub const fn as_uuid(&self) -> Uuid { self.0 }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                // Uuid's own parser also takes braces, URNs and bare hex: two spellings of one id would be two cache keys.
                let id = Uuid::try_parse(text).map_err(|_| InvalidId)?;
                if id.hyphenated().encode_lower(&mut [0; 36]) == text { Ok(Self(id)) } else { Err(InvalidId) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { self.0.hyphenated().fmt(f) }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { write!(f, "{}({})", stringify!($name), self.0) }
        }
    )+};
}

typed_id! {
    /// A person's (or service's) account; a patient is known by it.
    AccountId;
    /// A log-in of an account; ends with its tokens.
    SessionId;
    /// A one-time link in a mail. Not a secret: the link's token is made from it with a key.
    LinkId;
    /// A practitioner's profile in the directory.
    DoctorId;
    /// One bookable interval of a practitioner.
    SlotId;
    /// A practitioner's absence.
    TimeOffId;
    /// A consultation; its first 48 bits are its creation time, which names its partition.
    ConsultationId;
    /// A person whose visits another's account books: a child, a parent.
    DependantId;
    /// A consent given or withdrawn.
    ConsentId;
    /// One version of a visit's prescription.
    PrescriptionId;
    /// A published event; consumers deduplicate by it.
    EventId;
    /// A message to a person (mail, SMS, push).
    MessageId;
    /// A message or task that no try helped.
    DeadLetterId;
    /// Something that needs a person's decision.
    ReviewCaseId;
    /// An entry of the audit trail.
    AuditEntryId;
    /// A copy of what is held of a person, made at their wish.
    ExportId;
    /// The payment of a consultation. There is one per consultation, under the same UUID: see [`PaymentId::of`].
    PaymentId;
    /// Something to be done at a payment gateway.
    GatewayTaskId;
    /// A journal of the ledger.
    JournalId;
}

impl PaymentId {
    /// The payment of a consultation: one per consultation, so that it can be named before it exists and creating it twice
    /// is creating it once.
    pub const fn of(consultation: ConsultationId) -> Self {
        Self(consultation.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_canonical_form_is_an_id() {
        let text = "01890a5d-ac96-774b-bcce-b302099a8057";
        assert_eq!(text.parse::<SlotId>().map(|id| id.to_string()), Ok(text.to_owned()));
        for other in [
            "",
            "01890A5D-AC96-774B-BCCE-B302099A8057",
            "01890a5dac96774bbcceb302099a8057",
            "{01890a5d-ac96-774b-bcce-b302099a8057}",
            "x",
        ] {
            assert_eq!(other.parse::<SlotId>(), Err(InvalidId), "{other}");
        }
    }
}

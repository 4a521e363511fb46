//! How a person is reached.

use amrutam_kernel::{AccountId, Personal, RecordRef, Sensitive};

/// Read when a message is sent, never stored with it: an address that changed is the address used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// Whose.
    pub account: AccountId,
    /// Their address.
    pub email: Sensitive<String>,
    /// Their telephone in E.164 (`+919812345678`), if they have given one.
    pub phone: Option<Sensitive<String>>,
    /// How they are addressed.
    pub name: Sensitive<String>,
    /// An IANA zone: times are shown in it.
    pub time_zone: String,
}

impl Personal for Contact {
    fn records(&self) -> Vec<RecordRef> {
        vec![RecordRef { kind: "account", id: self.account.to_string() }]
    }
}

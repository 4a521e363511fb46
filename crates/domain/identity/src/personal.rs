//! By which names the record of accesses knows what is read here: all of it belongs to an account.

use crate::model::{Account, Session};
use amrutam_kernel::{AccountId, Personal, RecordRef};

fn account(id: AccountId) -> Vec<RecordRef> {
    vec![RecordRef { kind: "account", id: id.to_string() }]
}

impl Personal for Account {
    fn records(&self) -> Vec<RecordRef> {
        account(self.id)
    }
}

impl Personal for Session {
    fn records(&self) -> Vec<RecordRef> {
        account(self.account)
    }
}

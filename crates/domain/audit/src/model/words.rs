//! An entry in plain words, for the person it is about.

use super::Entry;
use amrutam_kernel::AccountId;

/// Who did it, to the one it is about.
fn who(entry: &Entry, reader: AccountId) -> &'static str {
    if entry.actor_id == Some(reader) {
        return "You";
    }
    match entry.role.as_str() {
        "patient" => "Another patient",
        "doctor" => "A doctor",
        "support" => "Our support",
        "admin" => "Our administration",
        "auditor" => "An auditor",
        "anonymous" => "Somebody who was not signed in",
        _ => "Our system",
    }
}

/// What was done; the last arm is for what is younger than this table.
fn what(entry: &Entry) -> (&'static str, &'static str) {
    match entry.action.as_str() {
        "account.read" => ("saw your profile", "tried to see your profile"),
        "account.update" => ("changed your profile", "tried to change your profile"),
        "account.register" => ("opened your account", "tried to open an account with your address"),
        "account.log_in" | "account.log_in_first_step" => ("logged in", "tried to log in to your account"),
        "account.verify_email" => ("confirmed your e-mail address", "tried to confirm your e-mail address"),
        "account.change_password" | "account.reset_password" => {
            ("set a new password", "tried to set another password for your account")
        }
        "account.deactivate" => ("closed your account", "tried to close your account"),
        "session.list" => ("saw where you are logged in", "tried to see where you are logged in"),
        "session.end" | "session.end_all" => ("ended log-ins of yours", "tried to end log-ins of yours"),
        "consultation.book" => ("booked a visit", "tried to book a visit for you"),
        "consultation.read" => ("saw one of your visits", "tried to see one of your visits"),
        "consultation.list" => ("saw one of your visits in a list", "tried to list your visits"),
        "consultation.timeline" => {
            ("saw the course of one of your visits", "tried to see the course of one of your visits")
        }
        "consultation.cancel" => ("cancelled a visit", "tried to cancel one of your visits"),
        "consultation.reschedule" => ("moved a visit", "tried to move one of your visits"),
        "consultation.start" => ("began a visit", "tried to begin one of your visits"),
        "consultation.complete" => ("ended a visit", "tried to end one of your visits"),
        "consultation.no_show" => ("noted that a visit was missed", "tried to note that you missed a visit"),
        "consultation.expire" => ("released a slot that was not paid for", "tried to release a slot of yours"),
        "record.read" => ("read your medical record", "tried to read your medical record"),
        "record.write" => ("wrote in your medical record", "tried to write in your medical record"),
        "record.break_glass" => ("opened your medical record in an emergency", "tried to open your medical record"),
        "record.export" => ("read your data for a copy you asked for", "tried to read your data for a copy"),
        "record.hold" => ("put a legal hold on your record", "tried to put a legal hold on your record"),
        "record.lift_hold" => ("lifted a legal hold on your record", "tried to lift a legal hold on your record"),
        "record.destroy" => ("destroyed what was kept of you", "tried to destroy what was kept of you"),
        "export.request" => ("asked for a copy of your data", "tried to ask for a copy of your data"),
        "export.make" => ("made a copy of your data", "tried to make a copy of your data"),
        "export.read" => ("looked how a copy of your data stands", "tried to look at a copy of your data"),
        "export.download" => ("took a copy of your data", "tried to take a copy of your data"),
        "export.end" => ("deleted a copy of your data that nobody took", "tried to delete a copy of your data"),
        "account.erase" => ("erased your account", "tried to erase your account"),
        "erasure.read" => ("read what was erased of you", "tried to read what was erased of you"),
        "audit.read_own" => ("looked at this list", "tried to look at this list"),
        "audit.search" | "audit.prove" => {
            ("looked at the list of who opened your data", "tried to look at who opened your data")
        }
        "audit.alert" => ("noticed an unusual access to your data, and told a person", "noticed an unusual access"),
        "audit.object" => ("objected to an access", "tried to object to an access"),
        _ => ("used data about you", "tried to use data about you"),
    }
}

impl Entry {
    /// A sentence for the person it is about.
    pub fn in_plain_words(&self, reader: AccountId) -> String {
        let (done, tried) = what(self);
        match self.outcome.as_str() {
            "denied" => format!("{} {tried}, and was refused.", who(self, reader)),
            "failed" => format!("{} {tried}; it failed on the way.", who(self, reader)),
            _ if self.break_glass => {
                format!("{} {done}, without being asked to: an emergency was declared.", who(self, reader))
            }
            _ => format!("{} {done}.", who(self, reader)),
        }
    }
}

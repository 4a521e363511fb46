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

/// What was done, and what somebody tried to do: of everything in [`amrutam_kernel::AUDIT_ACTIONS`].
fn what(action: &str) -> Option<(&'static str, &'static str)> {
    let words = match action {
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
        "account.accept_invitation" => ("accepted the invitation to your account", "tried to accept your invitation"),
        "account.create" | "account.invite" => ("made an account for you", "tried to make an account for you"),
        "account.forget_password" => {
            ("asked for a new password for your account", "asked for a new password for your account")
        }
        "account.request_verification" => {
            ("asked for a mail that confirms your address", "tried to have your address confirmed")
        }
        "session.refresh" => ("stayed logged in", "tried to go on with a log-in of yours"),
        "session.use" => ("used a log-in of yours", "tried to use a log-in of yours that had ended or changed"),
        "session.step_up" => ("showed your second factor again", "tried to show your second factor"),
        "factor.begin" | "factor.enrol" => {
            ("began to set up a second factor", "tried to set up a second factor for you")
        }
        "factor.confirm" => ("set up a second factor", "tried to set up a second factor for you"),
        "factor.change" => ("changed your second factor", "tried to change your second factor"),
        "factor.end" | "factor.remove" => ("removed your second factor", "tried to remove your second factor"),
        "factor.replace_recovery_codes" => {
            ("made new recovery codes for you", "tried to make new recovery codes for you")
        }
        "factor.show_code" => {
            ("showed a code of your second factor", "tried to log in with a code of your second factor")
        }
        "factor.use_recovery_code" => ("used one of your recovery codes", "tried to use a recovery code of yours"),
        "availability.read" => ("saw your hours", "tried to see your hours"),
        "availability.set" | "availability.extend" => ("changed your hours", "tried to change your hours"),
        "availability.time_off" => ("saw or changed your days off", "tried to see or change your days off"),
        "doctor.create" => ("made your practitioner's profile", "tried to make a practitioner's profile for you"),
        "doctor.read" => ("saw your practitioner's profile", "tried to see your practitioner's profile"),
        "doctor.update" => ("changed your practitioner's profile", "tried to change your practitioner's profile"),
        "doctor.verify" => ("verified you as a practitioner", "tried to verify you as a practitioner"),
        "doctor.suspend" => ("took you out of the directory", "tried to take you out of the directory"),
        "slot.read" => ("looked at your free times", "tried to look at your free times"),
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
        "consultation.confirm" => ("confirmed a visit", "tried to confirm one of your visits"),
        "consultation.release" => ("released the slot of a visit", "tried to release the slot of one of your visits"),
        "consultation.end" => ("ended a visit, and said why", "tried to end one of your visits"),
        "consultation.change_mode" => {
            ("went on with a visit in another way", "tried to go on with one of your visits in another way")
        }
        "consultation.check_in" => ("came to a visit", "tried to come to one of your visits"),
        "consultation.person" => ("saw for whom a visit is", "tried to see for whom one of your visits is"),
        "consultation.preview_cancellation" => {
            ("saw what cancelling a visit would cost", "tried to see what cancelling one of your visits would cost")
        }
        "consent.give" => ("agreed to a visit", "tried to agree to a visit for you"),
        "consent.withdraw" => ("withdrew the consent to a visit", "tried to withdraw your consent to a visit"),
        "consent.read" => ("saw what you have agreed to", "tried to see what you have agreed to"),
        "guardian.record" => ("said who comes with a minor", "tried to say who comes with a minor of yours"),
        "dependant.add" => ("added somebody you keep visits for", "tried to add somebody you keep visits for"),
        "dependant.list" | "dependant.read" => {
            ("saw somebody you keep visits for", "tried to see whom you keep visits for")
        }
        "dependant.update" => ("changed somebody you keep visits for", "tried to change somebody you keep visits for"),
        "dependant.remove" => ("removed somebody you keep visits for", "tried to remove somebody you keep visits for"),
        "note.read" => ("read the notes of a visit", "tried to read the notes of one of your visits"),
        "note.write" => ("wrote the notes of a visit", "tried to write notes of one of your visits"),
        "contact.read" => ("looked up how you are reached, to write to you", "tried to look up how you are reached"),
        "note.add" => ("added to the notes of a visit", "tried to add to the notes of one of your visits"),
        "prescription.read" => ("read a prescription", "tried to read a prescription of yours"),
        "prescription.document" => ("took a prescription as a document", "tried to take a prescription of yours"),
        "prescription.draft" => ("drafted a prescription", "tried to draft a prescription for you"),
        "prescription.dry_run" => {
            ("checked a prescription against the rules", "tried to check a prescription for you against the rules")
        }
        "prescription.sign" => ("signed a prescription", "tried to sign a prescription for you"),
        "prescription.issue" => ("made the document of a prescription", "tried to make the document of a prescription"),
        "prescription.revoke" => ("revoked a prescription", "tried to revoke a prescription of yours"),
        "prescription.verify" => ("checked that a prescription is genuine", "tried to check a prescription of yours"),
        "payment.read" | "payment.inspect" => ("saw a payment", "tried to see a payment of yours"),
        "payment.retry" => ("tried a payment again", "tried to repeat a payment of yours"),
        "payment.create" | "payment.open_order" => ("asked for the payment of a visit", "tried to ask for a payment"),
        "payment.capture" | "payment.capture_stray" => ("noted a payment of yours", "tried to note a payment of yours"),
        "payment.fail" | "payment.fail_attempt" | "payment.cancel" => {
            ("noted that a visit was not paid", "tried to note that a visit was not paid")
        }
        "payment.settle" => ("closed the payment of a visit", "tried to close a payment of yours"),
        "payment.decide_refund" | "payment.refund" | "payment.fail_refund" => {
            ("gave money of yours back, or tried to", "tried to give money of yours back")
        }
        "review.open" => ("opened a case about you for a person to look at", "tried to open a case about you"),
        "review.read" | "review.list" => ("saw a case about you", "tried to see a case about you"),
        "review.propose" => ("proposed how to settle a case about you", "tried to settle a case about you"),
        "review.withdraw" => ("closed a case about you that nothing is left of", "tried to close a case about you"),
        "review.approve" | "review.resolve" => ("settled a case about you", "tried to settle a case about you"),
        "dead_letter.list" | "dead_letter.read" => {
            ("saw that a message about you could not be handled", "tried to see a message about you")
        }
        "dead_letter.open_payload" => {
            ("read a message about you that could not be handled", "tried to read a message about you")
        }
        "dead_letter.requeue" | "dead_letter.discard" => {
            ("handled a message about you that had failed", "tried to handle a message about you that had failed")
        }
        "keys.destroy" => {
            ("destroyed the keys of what is kept of you", "tried to destroy the keys of what is kept of you")
        }
        "keys.manage" => ("renewed the keys of what is kept of you", "tried to renew the keys of what is kept of you"),
        "formulary.read" | "formulary.import" => ("used the list of medicines", "tried to use the list of medicines"),
        "record.read" => ("read your medical record", "tried to read your medical record"),
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
        "audit.search" | "audit.prove" | "audit.export" => {
            ("looked at the list of who opened your data", "tried to look at who opened your data")
        }
        "audit.read_checkpoints" => ("looked at the seals of the record", "tried to look at the seals of the record"),
        "audit.retire" => ("took entries that are too old off the record", "tried to take entries off the record"),
        "audit.alert" => ("noticed an unusual access to your data, and told a person", "noticed an unusual access"),
        "audit.object" => ("objected to an access", "tried to object to an access"),
        _ => return None,
    };
    Some(words)
}

impl Entry {
    /// A sentence for the person it is about.
    pub fn in_plain_words(&self, reader: AccountId) -> String {
        // What is younger than this version.
        let (done, tried) = what(&self.action).unwrap_or(("used data about you", "tried to use data about you"));
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

#[cfg(test)]
mod tests {
    use super::what;
    use amrutam_kernel::AUDIT_ACTIONS;

    #[test]
    fn there_are_words_for_everything_that_is_put_on_the_record() {
        let without: Vec<_> = AUDIT_ACTIONS.iter().filter(|action| what(action).is_none()).collect();
        assert!(without.is_empty(), "{without:?}");
    }
}

//! What happened to a visit and to its payment, as a reviewer sees it.

use amrutam_kernel::{EventId, Money};
use jiff::Timestamp;

/// What a line is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HistorySubject {
    /// The visit.
    Consultation,
    /// Its payment, or money that nobody claims.
    Payment,
}

impl HistorySubject {
    /// The word in answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Consultation => "consultation",
            Self::Payment => "payment",
        }
    }
}

/// One change of a consultation or one step of a payment, in the words of its domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryEntry {
    /// Of which of the two.
    pub about: HistorySubject,
    /// Its version.
    pub version: i64,
    /// When.
    pub at: Timestamp,
    /// The kind of change: `status_changed`, `refunded`.
    pub kind: String,
    /// Of a visit: the status before, when there was one.
    pub from: Option<String>,
    /// Of a visit: the status after.
    pub to: Option<String>,
    /// Of a payment: how much is meant, when an amount is.
    pub amount: Option<Money>,
    /// Of a payment: what proves it.
    pub evidence: Option<String>,
    /// Who: a person by role alone, a part of the system by its name.
    pub actor: String,
    /// A fixed word: `booked`, `hold_expired`.
    pub cause: String,
    /// The event that announced it.
    pub event: EventId,
}

/// How often something was asked of a gateway, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempts {
    /// What: `open_order`, `refund`, `poll`.
    pub task: String,
    /// Where it stands: `live`, `done`, `dead`.
    pub state: String,
    /// How often it was begun.
    pub begun: u32,
    /// What went wrong the last time that something did; a code, no personal data.
    pub last_error: Option<String>,
    /// When it is due again, while it is.
    pub due_at: Option<Timestamp>,
    /// When it ended, if it has.
    pub ended_at: Option<Timestamp>,
}

/// By time; each side's own by its versions, whatever the clocks said.
pub(crate) fn merged(visit: Vec<HistoryEntry>, payment: Vec<HistoryEntry>) -> Vec<HistoryEntry> {
    let mut payment = payment.into_iter().peekable();
    let mut all = Vec::new();
    for entry in visit {
        while let Some(earlier) = payment.next_if(|step| step.at < entry.at) {
            all.push(earlier);
        }
        all.push(entry);
    }
    all.extend(payment);
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn two_histories_are_one_in_order_of_time_and_each_keeps_its_own_order() {
        let entry = |about, version, second| HistoryEntry {
            about,
            version,
            at: Timestamp::from_second(second).unwrap(),
            kind: String::new(),
            from: None,
            to: None,
            amount: None,
            evidence: None,
            actor: String::new(),
            cause: String::new(),
            event: EventId::from_uuid(Uuid::nil()),
        };
        let visit = |version, second| entry(HistorySubject::Consultation, version, second);
        let payment = |version, second| entry(HistorySubject::Payment, version, second);
        let all = merged(vec![visit(1, 10), visit(2, 30)], vec![payment(1, 20), payment(2, 40), payment(3, 39)]);
        let order: Vec<_> = all.iter().map(|entry| (entry.about.as_str(), entry.version)).collect();
        let expected = [("consultation", 1), ("payment", 1), ("consultation", 2), ("payment", 2), ("payment", 3)];
        assert_eq!(order, expected);
    }
}

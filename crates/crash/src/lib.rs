//! Points at which a test can have a process die, as a power failure would have it: nothing is finished, flushed or told.
//!
//! `AMRUTAM_CRASH_AT=task.before_commit:2` ends the process the second time it comes to that point; without a number, the
//! first time. One point is named at a time. Builds without debug assertions, which is what is released, have no such
//! points: [`here`] is empty there, and the variable's name is not in the binary (`infra/dev/no-crash-points` looks).
#![deny(missing_docs)]

/// A step's boundary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// A gateway's notification is verified, and nothing of it stored.
    WebhookReceived,
    /// It is stored, and its sender not answered.
    WebhookCommitted,
    /// A booking or an act on a visit is decided, and not stored.
    BookingBeforeCommit,
    /// It is stored, and nobody told.
    BookingAfterCommit,
    /// An event arrived, and its handler has not begun.
    EventReceived,
    /// A payment's change is decided, and not stored.
    PaymentBeforeCommit,
    /// It is stored, and nobody told.
    PaymentAfterCommit,
    /// An event's effect is stored, and the broker not told.
    EventBeforeAck,
    /// A task is this worker's, and nothing of it done.
    TaskClaimed,
    /// The gateway has answered, and the answer is not stored.
    TaskBeforeCommit,
    /// The answer is stored, and the task over.
    TaskAfterCommit,
    /// The broker has taken events, and they are still in the outbox.
    OutboxPublished,
    /// A review case is to be opened, or a person has decided it, and nothing of it is stored.
    ReviewBeforeCommit,
    /// It is stored, and neither broker nor person told.
    ReviewAfterCommit,
    /// A mail or a text is taken, and not noted as sent.
    MessageSent,
}

impl Point {
    /// Every one.
    pub const ALL: [Self; 15] = [
        Self::WebhookReceived,
        Self::WebhookCommitted,
        Self::BookingBeforeCommit,
        Self::BookingAfterCommit,
        Self::EventReceived,
        Self::PaymentBeforeCommit,
        Self::PaymentAfterCommit,
        Self::EventBeforeAck,
        Self::TaskClaimed,
        Self::TaskBeforeCommit,
        Self::TaskAfterCommit,
        Self::OutboxPublished,
        Self::ReviewBeforeCommit,
        Self::ReviewAfterCommit,
        Self::MessageSent,
    ];

    /// Its name in the variable.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WebhookReceived => "webhook.received",
            Self::WebhookCommitted => "webhook.committed",
            Self::BookingBeforeCommit => "booking.before_commit",
            Self::BookingAfterCommit => "booking.after_commit",
            Self::EventReceived => "event.received",
            Self::PaymentBeforeCommit => "payment.before_commit",
            Self::PaymentAfterCommit => "payment.after_commit",
            Self::EventBeforeAck => "event.before_ack",
            Self::TaskClaimed => "task.claimed",
            Self::TaskBeforeCommit => "task.before_commit",
            Self::TaskAfterCommit => "task.after_commit",
            Self::OutboxPublished => "outbox.published",
            Self::ReviewBeforeCommit => "review.before_commit",
            Self::ReviewAfterCommit => "review.after_commit",
            Self::MessageSent => "message.sent",
        }
    }
}

/// Ends the process here when it was told to.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn here(_: Point) {}

/// Ends the process here when it was told to.
#[cfg(debug_assertions)]
pub fn here(point: Point) {
    if armed::fires(point) {
        // No destructor, no buffer, no goodbye.
        std::process::abort();
    }
}

#[cfg(debug_assertions)]
mod armed {
    use super::Point;
    use std::sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    };

    const VARIABLE: &str = "AMRUTAM_CRASH_AT";

    static WANTED: LazyLock<Option<(String, u32)>> =
        LazyLock::new(|| std::env::var(VARIABLE).ok().map(|text| parse(&text)));
    static REACHED: AtomicU32 = AtomicU32::new(0);

    pub(super) fn parse(text: &str) -> (String, u32) {
        let numbered = text.rsplit_once(':').and_then(|(name, nth)| Some((name.to_owned(), nth.parse().ok()?)));
        numbered.unwrap_or_else(|| (text.to_owned(), 1))
    }

    pub(super) fn fires(point: Point) -> bool {
        let Some((name, nth)) = &*WANTED else { return false };
        name == point.as_str() && REACHED.fetch_add(1, Ordering::SeqCst) + 1 == *nth
    }
}

#[cfg(test)]
mod tests {
    use super::{Point, armed::parse};

    #[test]
    fn each_point_has_a_name_of_its_own_and_may_be_counted() {
        let names: std::collections::BTreeSet<_> = Point::ALL.map(Point::as_str).into_iter().collect();
        assert_eq!(names.len(), Point::ALL.len());
        assert_eq!(parse("task.claimed"), ("task.claimed".to_owned(), 1));
        assert_eq!(parse("task.claimed:3"), ("task.claimed".to_owned(), 3));
    }
}

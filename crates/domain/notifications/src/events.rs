//! What this domain listens to. Schemas: `docs/events/`.

/// The name under which this domain's consumer keeps its inbox.
pub const CONSUMER: &str = "notifications";

/// A visit is certain.
pub const CONSULTATION_CONFIRMED: &str = "consultation.confirmed.v1";
/// A visit has moved to another slot.
pub const CONSULTATION_RESCHEDULED: &str = "consultation.rescheduled.v1";
/// A visit will not take place.
pub const CONSULTATION_CANCELLED: &str = "consultation.cancelled.v1";
/// Somebody registered with an address that has an account.
pub const REGISTRATION_REPEATED: &str = "account.registration_repeated.v1";

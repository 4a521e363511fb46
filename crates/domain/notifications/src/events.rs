//! What this domain listens to. Schemas: `docs/events/`.

/// The name under which this domain's consumer keeps its inbox.
pub const CONSUMER: &str = "notifications";

/// A visit is certain.
pub const CONSULTATION_CONFIRMED: &str = "consultation.confirmed.v1";
/// A visit has moved to another slot.
pub const CONSULTATION_RESCHEDULED: &str = "consultation.rescheduled.v1";
/// A visit will not take place.
pub const CONSULTATION_CANCELLED: &str = "consultation.cancelled.v1";
/// A visit was not paid in time.
pub const CONSULTATION_EXPIRED: &str = "consultation.expired.v1";
/// Money for a visit came when its slot was gone.
pub const CONSULTATION_UNCONFIRMABLE: &str = "consultation.unconfirmable.v1";
/// Money went back.
pub const PAYMENT_REFUNDED: &str = "payment.refunded.v1";
/// Somebody registered with an address that has an account.
pub const REGISTRATION_REPEATED: &str = "account.registration_repeated.v1";
/// An address is to be verified.
pub const EMAIL_VERIFICATION_REQUESTED: &str = "account.email_verification_requested.v1";
/// A password is forgotten.
pub const PASSWORD_RESET_REQUESTED: &str = "account.password_reset_requested.v1";
/// Somebody is invited.
pub const INVITED: &str = "account.invited.v1";
/// A password has changed.
pub const PASSWORD_CHANGED: &str = "account.password_changed.v1";
/// A second factor has changed.
pub const SECOND_FACTOR_CHANGED: &str = "account.second_factor_changed.v1";
/// A session was ended because a spent refresh token came back.
pub const SESSION_REVOKED: &str = "account.session_revoked.v1";
/// A patient's record was opened in an emergency by a doctor who does not treat them.
pub const RECORD_OPENED: &str = "record.break_glass.v1";

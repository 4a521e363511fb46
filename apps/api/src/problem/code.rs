//! The stable words of the API's problems: the one list of what can go wrong, with status and title.

use actix_web::http::StatusCode;
use serde::Serialize;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $word:literal, $status:literal, $title:literal;)+) => {
        /// What went wrong, as a word a program can act on.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
        #[schema(as = ProblemCode)]
        pub(crate) enum Code {
            $($(#[$doc])* #[serde(rename = $word)] $name,)+
        }

        impl Code {
            /// Every code.
            pub(crate) const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The word.
            pub(crate) const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }

            /// The HTTP status as a number.
            pub(crate) const fn number(self) -> u16 {
                match self { $(Self::$name => $status,)+ }
            }

            /// In a few words, the same for every occurrence.
            pub(crate) const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)+ }
            }
        }
    };
}

codes! {
    /// Not HTTP as we understand it.
    MalformedRequest = "malformed_request", 400, "The request is malformed";
    /// The body is no JSON text in UTF-8, or names a field twice.
    MalformedBody = "malformed_body", 400, "The body is malformed";
    /// A JSON value has another type than the field.
    InvalidType = "invalid_type", 400, "A value has the wrong type";
    /// There is no such field or parameter.
    UnknownField = "unknown_field", 400, "A field is unknown";
    /// The query string can't be read.
    MalformedQuery = "malformed_query", 400, "The query is malformed";
    /// Not a cursor of this list with these filters.
    InvalidCursor = "invalid_cursor", 400, "The cursor is invalid";
    /// `Idempotency-Key` is not 1 to 255 visible ASCII characters.
    InvalidIdempotencyKey = "invalid_idempotency_key", 400, "The idempotency key is invalid";
    /// `Idempotency-Key` is missing where it is required.
    IdempotencyKeyRequired = "idempotency_key_required", 400, "An idempotency key is required";
    /// No valid access token.
    Unauthenticated = "unauthenticated", 401, "Authentication is required";
    /// A notification that no gateway of ours has signed, or that was changed or kept on the way.
    InvalidSignature = "invalid_signature", 401, "The signature is not valid";
    /// Unknown address or wrong password.
    InvalidCredentials = "invalid_credentials", 401, "The credentials are wrong";
    /// The session was ended because one of its refresh tokens came twice: log in.
    SessionRevoked = "session_revoked", 401, "The session was ended";
    /// Not a refresh token in force: log in.
    InvalidRefreshToken = "invalid_refresh_token", 401, "The refresh token is not in force";
    /// The first step of the log-in is over: log in again.
    InvalidMfaToken = "invalid_mfa_token", 401, "The first step of the log-in is over";
    /// Only setting up a second factor is open until the account has one.
    SecondFactorRequired = "second_factor_required", 403, "A second factor must be set up first";
    /// The second factor must be shown again: `POST /v1/me/mfa/step-up`.
    StepUpRequired = "step_up_required", 403, "The second factor must be shown again first";
    /// Signed in, yet not allowed to do this.
    Forbidden = "forbidden", 403, "Not allowed";
    /// Whoever proposed a choice can't approve it: another admin must.
    OwnApproval = "own_approval", 403, "Another person must approve";
    /// Absent, or not visible to this caller.
    NotFound = "not_found", 404, "Not found";
    /// The resource has no such method.
    MethodNotAllowed = "method_not_allowed", 405, "The method is not allowed";
    /// The body did not arrive in time.
    RequestTimeout = "request_timeout", 408, "The request took too long to arrive";
    /// Somebody else has the slot, or it is no longer offered.
    SlotUnavailable = "slot_unavailable", 409, "The slot is no longer available";
    /// The patient has another visit at that time.
    OverlappingConsultation = "overlapping_consultation", 409, "Another consultation takes place at this time";
    /// The patient holds too many unpaid slots.
    TooManyUnpaidHolds = "too_many_unpaid_holds", 409, "Too many unpaid bookings";
    /// The practitioner takes no bookings for that day.
    DoctorNotAvailable = "doctor_not_available", 409, "The doctor takes no bookings";
    /// The state machine has no such arrow.
    InvalidTransition = "invalid_transition", 409, "Not possible in this state";
    /// The visit is held in that mode already.
    SameMode = "same_mode", 409, "The visit is held in this mode already";
    /// The account keeps as many dependants as it can.
    TooManyDependants = "too_many_dependants", 409, "Too many dependants";
    /// A visit of the dependant is yet to come or under way: call it off first.
    DependantHasVisits = "dependant_has_visits", 409, "A visit of the dependant is yet to come";
    /// Possible later.
    TooEarly = "too_early", 409, "Too early";
    /// Was possible earlier.
    TooLate = "too_late", 409, "Too late";
    /// The time to pay has passed: the slot is no longer held.
    HoldEnded = "hold_ended", 409, "The slot is no longer held";
    /// The visit has begun or is over: there is nothing to call off.
    NotCancellable = "not_cancellable", 409, "The visit can't be cancelled";
    /// An account with this address exists.
    EmailTaken = "email_taken", 409, "The e-mail address is taken";
    /// The account has no second factor.
    SecondFactorNotEnrolled = "second_factor_not_enrolled", 409, "No second factor is set up";
    /// Nothing is being set up (any more): begin again.
    SecondFactorNotBegun = "second_factor_not_begun", 409, "No second factor is being set up";
    /// The account has a profile already.
    ProfileExists = "profile_exists", 409, "The account has a profile already";
    /// An objection to this access has been raised before.
    ObjectionRaised = "objection_raised", 409, "An objection was raised before";
    /// The registration number is in the directory already.
    RegistrationTaken = "registration_taken", 409, "The registration number is taken";
    /// The registration is not valid today.
    RegistrationNotValid = "registration_not_valid", 409, "The registration is not valid today";
    /// A dead letter that can't be read can't be handled: discard it.
    NotRequeueable = "not_requeueable", 409, "What can't be read can't be requeued";
    /// The first request with this key is still running.
    IdempotencyInProgress = "idempotency_in_progress", 409, "The first request with this key is still running";
    /// The patient is a minor and no adult is recorded: `PUT .../guardian` first.
    GuardianRequired = "guardian_required", 409, "An accompanying adult must be recorded first";
    /// The patient has withdrawn the consent to the visit.
    ConsentWithdrawn = "consent_withdrawn", 409, "The consent to the visit was withdrawn";
    /// Who is said to be known from an earlier visit had none with this doctor: say `asked` or `photo_id`.
    NoEarlierVisit = "no_earlier_visit", 409, "Doctor and patient have had no visit before";
    /// Another version of the notice is shown now.
    NoticeOutdated = "notice_outdated", 409, "The notice shown was not the current one";
    /// Notes are written during the visit, addenda after it.
    NoteNotOpen = "note_not_open", 409, "Notes can't be written now";
    /// The visit has not begun, or is over for this.
    VisitClosed = "visit_closed", 409, "The visit is not open for this";
    /// Who checked in is not absent.
    OtherSidePresent = "other_side_present", 409, "The other side has checked in";
    /// Who did not check in by 10 minutes after the start can't say that the other side did not come.
    NotCheckedIn = "not_checked_in", 409, "The caller has not checked in";
    /// The document is being made.
    DocumentNotReady = "document_not_ready", 409, "The document is not ready";
    /// The archive is being made.
    ExportNotReady = "export_not_ready", 409, "The archive is not ready";
    /// A visit takes place: possible again when it is over.
    VisitUnderWay = "visit_under_way", 409, "A visit is under way";
    /// The archive was given away, ran out, or was never made: ask for another one.
    ExportGone = "export_gone", 410, "The archive is gone";
    /// The caller's copy is stale.
    PreconditionFailed = "precondition_failed", 412, "The resource has changed";
    /// Sent twice it would be done twice: `If-Match` says on what it builds.
    PreconditionRequired = "precondition_required", 428, "If-Match is required";
    /// The body is too large.
    PayloadTooLarge = "payload_too_large", 413, "The body is too large";
    /// The body is not `application/json`.
    UnsupportedMediaType = "unsupported_media_type", 415, "The media type is not supported";
    /// Well-formed, but at least one value is invalid; each is named in `errors`.
    ValidationFailed = "validation_failed", 422, "A value is invalid";
    /// The one-time link is unknown, used or too old: ask for a new one.
    InvalidLink = "invalid_link", 422, "The link does not work any more";
    /// The present password is another one.
    WrongPassword = "wrong_password", 422, "The password is wrong";
    /// The code is wrong, was used before, or is too old: try the next one.
    InvalidProof = "invalid_code", 422, "The code is wrong or was used";
    /// The slot has begun or is over.
    SlotInPast = "slot_in_past", 422, "The slot has begun or is over";
    /// There is no such slot.
    UnknownSlot = "unknown_slot", 422, "There is no such slot";
    /// The slot is another practitioner's.
    SlotOfAnotherDoctor = "slot_of_another_doctor", 422, "The slot is another doctor's";
    /// The slot is not offered in this mode.
    ModeNotOffered = "mode_not_offered", 422, "The mode is not offered";
    /// The account has no such dependent.
    UnknownDependent = "unknown_dependent", 422, "There is no such dependent";
    /// The reason is another side's to give.
    ReasonNotAllowed = "reason_not_allowed", 422, "The reason is not the caller's to give";
    /// Not one of the review case's choices.
    ChoiceNotOffered = "choice_not_offered", 422, "The choice is not offered";
    /// The account named is no doctor's.
    NotADoctorsAccount = "not_a_doctors_account", 422, "The account is not a doctor's";
    /// Who records a consent for somebody else says how it was given.
    ConsentEvidenceRequired = "consent_evidence_required", 422, "The consent needs its method and evidence";
    /// Something is missing that a prescription must carry; each is named in `errors`.
    PrescriptionIncomplete = "prescription_incomplete", 422, "The prescription is incomplete";
    /// A rule denies an item, or a caution is not answered; each is named in `errors`.
    PrescriptionRefused = "prescription_refused", 422, "The rules object to the prescription";
    /// The formulary in force has no such code.
    UnknownFormularyItem = "unknown_formulary_item", 422, "The formulary has no such item";
    /// Not one of the reasons for opening a record in an emergency.
    InvalidBreakGlassReason = "invalid_break_glass_reason", 422, "The reason is none to break the glass for";
    /// The key was used for another request.
    IdempotencyKeyReused = "idempotency_key_reused", 422, "The idempotency key was used for another request";
    /// Too many requests: come back when `Retry-After` says.
    RateLimited = "rate_limited", 429, "Too many requests";
    /// The head is too large.
    HeadersTooLarge = "headers_too_large", 431, "The header fields are too large";
    /// Ours to mend.
    Internal = "internal_error", 500, "Something went wrong";
    /// Something we depend on is away.
    DependencyUnavailable = "dependency_unavailable", 503, "A dependency is unavailable";
    /// Too many changes at once.
    Contended = "contended", 503, "Too many changes at once";
    /// The work took too long.
    Timeout = "timeout", 503, "The request took too long";
}

impl Code {
    /// The HTTP status.
    pub(crate) fn status(self) -> StatusCode {
        StatusCode::from_u16(self.number()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// What stands for a status that the framework has chosen.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        match status.as_u16() {
            401 => Self::Unauthenticated,
            403 => Self::Forbidden,
            404 => Self::NotFound,
            405 => Self::MethodNotAllowed,
            408 => Self::RequestTimeout,
            412 => Self::PreconditionFailed,
            413 => Self::PayloadTooLarge,
            415 => Self::UnsupportedMediaType,
            422 => Self::ValidationFailed,
            429 => Self::RateLimited,
            431 => Self::HeadersTooLarge,
            503 => Self::DependencyUnavailable,
            400..=499 => Self::MalformedRequest,
            _ => Self::Internal,
        }
    }
}

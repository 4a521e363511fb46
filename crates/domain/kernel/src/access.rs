//! The words in which a use case asks whether somebody may do something. The answers are identity's policy table.

use crate::{Context, SessionId};
use jiff::{SignedDuration, Timestamp};

/// How long a second factor counts as just shown: long enough for one piece of work, too short for a screen left alone.
pub const STEP_UP_LIFETIME: SignedDuration = SignedDuration::from_mins(5);

/// Whether an account has a second factor, or ought to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecondFactor {
    /// It has none and its role asks for none.
    NotNeeded,
    /// It has one.
    Enrolled,
    /// Its role asks for one and it has none: its sessions can only enrol.
    Missing,
}

/// How the caller of this request signed in, as it is now: not as the token said when it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignIn {
    /// The session.
    pub session: SessionId,
    /// When a second factor was last shown in this session.
    pub second_factor_at: Option<Timestamp>,
    /// What its account has.
    pub second_factor: SecondFactor,
}

impl SignIn {
    /// Whether a second factor was shown within [`STEP_UP_LIFETIME`], or none is asked of this account.
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        match self.second_factor {
            SecondFactor::NotNeeded => true,
            SecondFactor::Missing => false,
            SecondFactor::Enrolled => {
                self.second_factor_at.is_some_and(|shown| now.duration_since(shown) < STEP_UP_LIFETIME)
            }
        }
    }
}

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)+) => {
        /// What somebody may want to do, `noun.verb`; also the action's name in the audit trail.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Action { $($(#[$doc])* $name,)+ }

        impl Action {
            /// Every action.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The word in the audit trail.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }
        }
    };
}

actions! {
    /// Read a person's profile.
    ProfileRead = "account.read",
    /// Change a profile.
    ProfileUpdate = "account.update",
    /// Set another password, knowing the old one.
    PasswordChange = "account.change_password",
    /// Have what is kept of oneself erased.
    AccountErase = "account.erase",
    /// Close an account.
    AccountDeactivate = "account.deactivate",
    /// Make an account for a doctor or staff, or have one make itself by a mailed link.
    StaffInvite = "account.invite",
    /// See where an account is signed in.
    SessionList = "session.list",
    /// End a session, log out.
    SessionEnd = "session.end",
    /// Show a second factor again.
    StepUp = "session.step_up",
    /// Set up a second factor where there is none.
    FactorEnrol = "factor.enrol",
    /// Replace a second factor, or its recovery codes.
    FactorChange = "factor.change",
    /// Remove one's second factor, showing it and the password.
    FactorRemove = "factor.remove",
    /// Remove the second factor of somebody who has lost it.
    FactorEnd = "factor.end",
    /// See the slots of a practitioner.
    SlotRead = "slot.read",
    /// Set a practitioner's hours and absences.
    AvailabilityManage = "availability.manage",
    /// Read a practitioner's profile that is not listed; listed ones are public.
    DoctorRead = "doctor.read",
    /// Make a practitioner's profile.
    DoctorCreate = "doctor.create",
    /// Change a practitioner's profile.
    DoctorUpdate = "doctor.update",
    /// Verify a practitioner.
    DoctorVerify = "doctor.verify",
    /// Take a practitioner out of the directory.
    DoctorSuspend = "doctor.suspend",
    /// Book a visit.
    ConsultationBook = "consultation.book",
    /// Read a visit.
    ConsultationRead = "consultation.read",
    /// Cancel a visit.
    ConsultationCancel = "consultation.cancel",
    /// Move a visit.
    ConsultationReschedule = "consultation.reschedule",
    /// Begin a visit.
    ConsultationStart = "consultation.start",
    /// Complete a visit.
    ConsultationComplete = "consultation.complete",
    /// End a visit with a reason.
    ConsultationEnd = "consultation.end",
    /// Go on with a visit in another mode.
    ConsultationMode = "consultation.change_mode",
    /// Note that the other side did not come.
    ConsultationNoShow = "consultation.no_show",
    /// Confirm a visit whose payment came.
    ConsultationConfirm = "consultation.confirm",
    /// Release the slot of a visit that could not be paid.
    ConsultationRelease = "consultation.release",
    /// End a hold that ran out.
    ConsultationExpire = "consultation.expire",
    /// Read notes, prescriptions and records.
    RecordRead = "record.read",
    /// Write notes and prescriptions.
    RecordWrite = "record.write",
    /// Read the record of a patient one does not treat, in an emergency.
    RecordBreakGlass = "record.break_glass",
    /// Have a copy made of everything that is held of oneself.
    RecordExport = "record.export",
    /// See how such a copy stands, and take it.
    ExportRead = "export.read",
    /// Keep a record beyond its time, for a court or a claim.
    RecordHold = "record.hold",
    /// Read what was erased of somebody, and what is kept.
    ErasureRead = "erasure.read",
    /// Sign a prescription, or revoke one.
    PrescriptionSign = "prescription.sign",
    /// Give or withdraw consent for a visit, say who accompanies a minor, check in.
    ConsentRecord = "consent.record",
    /// Look up what may be prescribed.
    FormularyRead = "formulary.read",
    /// Keep the people whose visits one's account books.
    DependantManage = "dependant.manage",
    /// Read a payment or refund.
    PaymentRead = "payment.read",
    /// Pay, or try again.
    PaymentMake = "payment.make",
    /// Grant a refund.
    RefundApprove = "refund.approve",
    /// Read the audit trail and its proofs.
    AuditRead = "audit.read",
    /// Read reports.
    ReportRead = "report.read",
    /// Read dead letters and reviews.
    OperationsRead = "operations.read",
    /// Requeue and discard dead letters, resolve reviews.
    OperationsManage = "operations.manage",
    /// Destroy a person's keys, and with them what is sealed of them.
    KeysDestroy = "keys.destroy",
    /// Renew a person's key, retire a key-encryption key.
    KeysManage = "keys.manage",
}

impl Action {
    /// Whether it asks for a second factor shown within [`STEP_UP_LIFETIME`]. Closing one's own account asks for the
    /// password instead.
    pub const fn needs_fresh_factor(self, relation: Relation) -> bool {
        match self {
            Self::FactorChange
            | Self::AccountErase
            | Self::RecordExport
            | Self::FactorEnd
            | Self::StaffInvite
            | Self::DoctorVerify
            | Self::DoctorSuspend
            | Self::RecordBreakGlass
            | Self::PrescriptionSign
            | Self::RefundApprove
            | Self::OperationsManage => true,
            Self::AccountDeactivate => !matches!(relation, Relation::Own),
            _ => false,
        }
    }
}

/// What the thing is to the one who acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Relation {
    /// Theirs: a patient's own visit, a doctor's own calendar, one's own sessions.
    Own,
    /// A doctor's, by a treating relationship with the patient it is about.
    Treating,
    /// None; also for what belongs to nobody.
    None,
}

impl Relation {
    /// Every relation.
    pub const ALL: [Self; 3] = [Self::Own, Self::Treating, Self::None];
}

/// How much of it may be seen by whoever may do it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sight {
    /// All of it.
    Full,
    /// Without what says anything about a person's health, and with contact details masked.
    Masked,
    /// Numbers over many only.
    Aggregated,
}

/// Why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Denial {
    /// Nobody is signed in.
    #[error("nobody is signed in")]
    NotSignedIn,
    /// This role never may.
    #[error("not for this role")]
    Forbidden,
    /// This role may, but not with this one: to be answered like one that does not exist.
    #[error("no such thing")]
    Hidden,
    /// The account must set up a second factor first.
    #[error("a second factor must be set up first")]
    SecondFactorRequired,
    /// The second factor must be shown again first.
    #[error("the second factor must be shown again first")]
    StepUpRequired,
}

/// Answers whether somebody may do something. What it does not know is denied.
pub trait Policy: Send + Sync {
    /// Whether the one who acts in `context` may do `action` with a thing of that relation.
    fn decide(&self, context: &Context, action: Action, relation: Relation, now: Timestamp) -> Result<Sight, Denial>;
}

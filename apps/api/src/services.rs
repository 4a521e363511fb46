//! What the handlers work with: ports, never technologies.

use crate::{
    http::{Beat, Headers, InFlight, Quotas, Refusals},
    readiness::Readiness,
    settings::Retention,
};
use amrutam_audit::{
    ports::{LogStore, Objections, TrailReader},
    use_cases as audit,
};
use amrutam_booking::{
    model::{BookingRules, PaymentsMode},
    ports::{AvailabilityStore, ConsultationStore, DirectoryStore, SlotLocks},
    use_cases as booking,
};
use amrutam_clinical::{
    ports::{ClinicalStore, FormularyStore, PrescriptionSigner, Printer, VerifyCodes},
    use_cases as clinical,
};
use amrutam_identity::{
    PolicyTable,
    model::IdentityRules,
    ports::{
        AccountStore, FactorStore, LinkStore, PasswordHasher, SecretSource, SessionGate, SessionNotices, SessionStore,
        TokenIssuer, TokenVerifier, Totp,
    },
    use_cases as identity,
};
use amrutam_kernel::{AuditTrail, Clock, IdSource, LinkTokens, Pause, Sealer};
use amrutam_operations::{
    model::ApprovalLimits,
    ports::{DeadLetterStore, ReviewStore, VisitHistory},
    use_cases as operations,
};
use amrutam_payments::{
    model::PaymentRules,
    ports::{PaymentStore, VisitReader, WebhookVerifier},
    use_cases as paying,
};
use amrutam_privacy::ports::{DownloadTokens, ErasureStore, ExportStore};
use std::{sync::Arc, time::Duration};

/// Bounds of one request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Of a body.
    pub(crate) body_bytes: usize,
    /// From the first to the last byte of a body.
    pub(crate) body_timeout: Duration,
    /// From the head to the answer.
    pub(crate) request_timeout: Duration,
    /// Header fields.
    pub(crate) headers: usize,
    /// Header fields and target together.
    pub(crate) header_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 64 * 1024,
            body_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(20),
            headers: 64,
            header_bytes: 16 * 1024,
        }
    }
}

/// Everything behind the handlers.
pub(crate) struct Services {
    /// Accounts.
    pub(crate) accounts: Arc<dyn AccountStore>,
    /// Passwords.
    pub(crate) hasher: Arc<dyn PasswordHasher>,
    /// One-time links.
    pub(crate) links: Arc<dyn LinkStore>,
    /// Their tokens.
    pub(crate) link_tokens: Arc<dyn LinkTokens>,
    /// Sessions and refresh tokens.
    pub(crate) sessions: Arc<dyn SessionStore>,
    /// How a session stands, asked by every request.
    pub(crate) gate: Arc<dyn SessionGate>,
    /// Told of sessions that end or change.
    pub(crate) notices: Arc<dyn SessionNotices>,
    /// Second factors.
    pub(crate) factors: Arc<dyn FactorStore>,
    /// One-time codes.
    pub(crate) totp: Arc<dyn Totp>,
    /// Randomness for secrets.
    pub(crate) secrets: Arc<dyn SecretSource>,
    /// Who may log in, and who needs a second factor.
    pub(crate) identity_rules: IdentityRules,
    /// Makes access tokens.
    pub(crate) issuer: Arc<dyn TokenIssuer>,
    /// Checks access tokens.
    pub(crate) verifier: Arc<dyn TokenVerifier>,
    /// The public keys, as they are published now.
    pub(crate) jwks: Box<dyn Fn() -> serde_json::Value + Send + Sync>,
    /// Consultations.
    pub(crate) consultations: Arc<dyn ConsultationStore>,
    /// The clinical record.
    pub(crate) clinical: Arc<dyn ClinicalStore>,
    /// The formulary.
    pub(crate) formularies: Arc<dyn FormularyStore>,
    /// Signs prescriptions for the check without us.
    pub(crate) signer: Arc<dyn PrescriptionSigner>,
    /// Codes for the public check.
    pub(crate) codes: Arc<dyn VerifyCodes>,
    /// What can be printed can be signed.
    pub(crate) printer: Arc<dyn Printer>,
    /// Profiles.
    pub(crate) directory: Arc<dyn DirectoryStore>,
    /// Rules and slots.
    pub(crate) availability: Arc<dyn AvailabilityStore>,
    /// Copies of what is held of people.
    pub(crate) exports: Arc<dyn ExportStore>,
    /// Links to their archives.
    pub(crate) downloads: Arc<dyn DownloadTokens>,
    /// Erasures, and what keeps records.
    pub(crate) erasures: Arc<dyn ErasureStore>,
    /// How long what is kept, where the operator differs from the rules.
    pub(crate) retention: Retention,
    /// Dead letters.
    pub(crate) letters: Arc<dyn DeadLetterStore>,
    /// Review cases.
    pub(crate) reviews: Arc<dyn ReviewStore>,
    /// What happened to the visits of review cases.
    pub(crate) history: Arc<dyn VisitHistory>,
    /// When one person is not enough.
    pub(crate) approval: ApprovalLimits,
    /// Where the audit trail is looked up.
    pub(crate) audit_reader: Arc<dyn TrailReader>,
    /// The audit trail's tree.
    pub(crate) audit_log: Arc<dyn LogStore>,
    /// Where entries go.
    pub(crate) trail: Arc<dyn AuditTrail>,
    /// Whose refusals are on the record already.
    pub(crate) refusals: Refusals,
    /// Where objections to entries go.
    pub(crate) objections: Arc<dyn Objections>,
    /// The filter before the database.
    pub(crate) locks: Arc<dyn SlotLocks>,
    /// Seals what a patient writes.
    pub(crate) sealer: Arc<dyn Sealer>,
    /// Time.
    pub(crate) clock: Arc<dyn Clock>,
    /// Ids and jitter.
    pub(crate) ids: Arc<dyn IdSource>,
    /// Waiting.
    pub(crate) pause: Arc<dyn Pause>,
    /// The numbers.
    pub(crate) rules: BookingRules,
    /// Whether a visit is paid before it is confirmed.
    pub(crate) payments: PaymentsMode,
    /// What visits cost.
    pub(crate) payment_store: Arc<dyn PaymentStore>,
    /// Visits, as payments see them.
    pub(crate) paid_visits: Arc<dyn VisitReader>,
    /// The numbers of payments.
    pub(crate) payment_rules: PaymentRules,
    /// Who proves gateways' notifications.
    pub(crate) webhooks: Vec<Arc<dyn WebhookVerifier>>,
    /// Bounds of one request.
    pub(crate) limits: Limits,
    /// What answers tell browsers.
    pub(crate) headers: Headers,
    /// How often each caller may ask.
    pub(crate) quotas: Quotas,
    /// Claims at work.
    pub(crate) in_flight: InFlight,
    /// Whether to be sent requests.
    pub(crate) readiness: Readiness,
    pub(crate) beat: Beat,
}

impl Services {
    /// For accounts.
    pub(crate) fn identity(&self) -> identity::Deps<'_> {
        identity::Deps { accounts: &*self.accounts, hasher: &*self.hasher, clock: &*self.clock, ids: &*self.ids }
    }

    /// For accounts and links in mails.
    pub(crate) fn links(&self) -> identity::LinkDeps<'_> {
        identity::LinkDeps {
            core: self.identity(),
            links: &*self.links,
            link_tokens: &*self.link_tokens,
            notices: &*self.notices,
            pause: &*self.pause,
        }
    }

    /// For sessions and second factors.
    pub(crate) fn sessions(&self) -> identity::SessionDeps<'_> {
        identity::SessionDeps {
            core: self.identity(),
            sessions: &*self.sessions,
            factors: &*self.factors,
            issuer: &*self.issuer,
            verifier: &*self.verifier,
            secrets: &*self.secrets,
            totp: &*self.totp,
            notices: &*self.notices,
            rules: &self.identity_rules,
        }
    }

    /// For consultations.
    pub(crate) fn booking(&self) -> booking::Deps<'_> {
        booking::Deps {
            store: &*self.consultations,
            policy: &PolicyTable,
            locks: &*self.locks,
            sealer: &*self.sealer,
            clock: &*self.clock,
            ids: &*self.ids,
            pause: &*self.pause,
            rules: &self.rules,
            payments: self.payments,
        }
    }

    /// For consents, notes, prescriptions and records.
    pub(crate) fn clinical(&self) -> clinical::Deps<'_> {
        clinical::Deps {
            store: &*self.clinical,
            formularies: &*self.formularies,
            signer: &*self.signer,
            codes: &*self.codes,
            printer: &*self.printer,
            policy: &PolicyTable,
            clock: &*self.clock,
            ids: &*self.ids,
            zone: &self.rules.business_zone,
        }
    }

    /// For payments. No gateway: what is asked of one is a task of the worker's.
    pub(crate) fn paying(&self) -> paying::Deps<'_> {
        paying::Deps {
            store: &*self.payment_store,
            visits: &*self.paid_visits,
            gateways: &[],
            policy: &PolicyTable,
            clock: &*self.clock,
            ids: &*self.ids,
            pause: &*self.pause,
            rules: &self.payment_rules,
        }
    }

    /// For dead letters and review cases.
    pub(crate) fn operations(&self) -> operations::Deps<'_> {
        operations::Deps {
            letters: &*self.letters,
            reviews: &*self.reviews,
            history: &*self.history,
            sealer: &*self.sealer,
            policy: &PolicyTable,
            clock: &*self.clock,
            ids: &*self.ids,
            pause: &*self.pause,
            limits: &self.approval,
        }
    }

    /// For the audit trail.
    pub(crate) fn audit(&self) -> audit::ReadDeps<'_> {
        audit::ReadDeps {
            reader: &*self.audit_reader,
            log: &*self.audit_log,
            trail: &*self.trail,
            objections: &*self.objections,
            policy: &PolicyTable,
            clock: &*self.clock,
            ids: &*self.ids,
        }
    }

    /// For profiles.
    pub(crate) fn directory(&self) -> booking::DirectoryDeps<'_> {
        booking::DirectoryDeps {
            store: &*self.directory,
            policy: &PolicyTable,
            clock: &*self.clock,
            ids: &*self.ids,
            rules: &self.rules,
        }
    }

    /// For rules and slots.
    pub(crate) fn availability(&self) -> booking::AvailabilityDeps<'_> {
        booking::AvailabilityDeps {
            store: &*self.availability,
            policy: &PolicyTable,
            clock: &*self.clock,
            ids: &*self.ids,
            pause: &*self.pause,
            rules: &self.rules,
        }
    }
}

//! What an erasure asks of other domains.

use crate::{problem::Problem, services::Services};
use amrutam_booking::{ConsultationError, model::CancelReason, use_cases as booking};
use amrutam_kernel::{AccountId, ConsultationId, Context, Dependency, PortError, Sensitive, SessionId};
use amrutam_privacy::{
    model::{Erasure, RecordClass, RetentionRules},
    ports::{Passwords, SessionsEnded, Visits},
    use_cases as privacy,
};
use async_trait::async_trait;

/// The other domains, as an erasure sees them.
struct Others<'a>(&'a Services);

#[async_trait]
impl Passwords for Others<'_> {
    async fn is_right(&self, account: AccountId, password: &Sensitive<String>) -> Result<bool, PortError> {
        let found = self.0.accounts.by_id(account).await?.undisclosed();
        self.0.hasher.verify(password, found.as_ref().and_then(|account| account.password_hash.as_ref())).await
    }
}

#[async_trait]
impl Visits for Others<'_> {
    /// As by the patient, whose wish it is: the policy gives back what it gives to them.
    async fn call_off(&self, context: &Context, visit: ConsultationId) -> Result<bool, PortError> {
        let command = booking::Cancel { id: visit, reason: CancelReason::PatientOther, idempotency: None };
        match booking::cancel(self.0.booking(), context, command).await {
            Ok(_) => Ok(true),
            // It has begun, or is over: whoever asked looks again.
            Err(
                ConsultationError::NotFound | ConsultationError::InvalidTransition(_) | ConsultationError::Timing(_),
            ) => Ok(false),
            Err(ConsultationError::Contended) => {
                Err(PortError::unavailable(Dependency::Database, "too many changes of one visit at once"))
            }
            Err(ConsultationError::Port(error)) => Err(error),
            Err(error) => Err(PortError::defect(Dependency::Database, error)),
        }
    }
}

#[async_trait]
impl SessionsEnded for Others<'_> {
    async fn ended(&self, sessions: &[SessionId]) {
        self.0.notices.ended(sessions).await;
    }
}

impl Services {
    /// For exports.
    pub(crate) fn exporting(&self) -> privacy::ExportDeps<'_> {
        privacy::ExportDeps {
            store: &*self.exports,
            tokens: &*self.downloads,
            policy: &amrutam_identity::PolicyTable,
            clock: &*self.clock,
            ids: &*self.ids,
        }
    }

    /// For erasures.
    pub(crate) fn erasures(&self) -> privacy::ErasureDeps<'_> {
        privacy::ErasureDeps {
            store: &*self.erasures,
            policy: &amrutam_identity::PolicyTable,
            clock: &*self.clock,
            ids: &*self.ids,
        }
    }

    /// Erases the caller's account by the rules that hold today.
    pub(crate) async fn erase(&self, context: &Context, password: &Sensitive<String>) -> Result<Erasure, Problem> {
        let zone = &self.rules.business_zone;
        let rules = RetentionRules::in_force(self.rules.business_day(self.clock.now()))
            .map(|rules| {
                rules
                    .with_years(RecordClass::ClinicalRecord, self.retention.clinical_years)
                    .with_years(RecordClass::Payments, self.retention.financial_years)
            })
            .ok_or_else(|| Problem::internal("no rules of retention are in force"))?;
        let others = Others(self);
        let deps = privacy::EraseDeps {
            core: self.erasures(),
            passwords: &others,
            visits: &others,
            sessions: &others,
            rules: &rules,
            zone,
        };
        Ok(privacy::erase(deps, context, password).await?)
    }
}

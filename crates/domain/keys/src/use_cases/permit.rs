//! The policy's word, and the record of it.

use super::Deps;
use amrutam_kernel::{
    AccountId, Action, AuditEntry, AuditEntryId, Context, Denial, Effects, Outcome, PortError, Relation,
};

/// What is acted on.
pub(super) struct Object<'a> {
    pub(super) kind: &'static str,
    pub(super) id: &'a str,
    pub(super) owner: Option<AccountId>,
}

impl Deps<'_> {
    /// Asks the policy. Either answer is on the record when this returns: the keys may be in another database than the record, and what
    /// is about to happen to them is rather on it twice than not at all.
    pub(super) async fn permit<E: From<Denial> + From<PortError>>(
        &self,
        context: &Context,
        action: Action,
        object: Object<'_>,
    ) -> Result<(), E> {
        self.permit_unless(context, action, object, None).await
    }

    /// The same, when nothing else stands in the way.
    pub(super) async fn permit_unless<E: From<Denial> + From<PortError>>(
        &self,
        context: &Context,
        action: Action,
        object: Object<'_>,
        refusal: Option<E>,
    ) -> Result<(), E> {
        let now = self.clock.now();
        let decision = self.policy.decide(context, action, Relation::None, now);
        let outcome = match (&decision, &refusal) {
            (Err(_), _) => Outcome::Denied,
            (Ok(_), Some(_)) => Outcome::Failed,
            (Ok(_), None) => Outcome::Allowed,
        };
        let id = AuditEntryId::from_uuid(self.ids.uuid_v7(now));
        let mut entry = AuditEntry::new(id, now, context, action.as_str(), object.kind, object.id.to_owned(), outcome);
        entry.patient = object.owner;
        self.records.record(&Effects { audit: vec![entry], ..Effects::default() }).await?;
        decision.map_err(E::from)?;
        refusal.map_or(Ok(()), Err)
    }
}

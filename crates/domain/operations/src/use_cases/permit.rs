//! Asking the policy, and what goes on the record.

use super::Deps;
use amrutam_kernel::{
    AccountId, Action, AuditEntry, AuditEntryId, Context, Denial, Effects, Outcome, Page, Personal, PortError,
    Relation, SealPlace, Sight, Unrecorded,
};
use std::time::Duration;
use uuid::Uuid;

/// What is done to what, as it stands in the audit trail.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deed {
    /// `dead_letter.read`.
    pub(super) name: &'static str,
    /// `dead_letter`.
    pub(super) kind: &'static str,
    /// Nothing for a list.
    pub(super) id: Option<Uuid>,
    /// Whose data it is.
    pub(super) patient: Option<AccountId>,
}

impl Deed {
    pub(super) fn of_letter(name: &'static str, id: Option<Uuid>) -> Self {
        Self { name, kind: "dead_letter", id, patient: None }
    }

    pub(super) fn of_review(name: &'static str, id: Option<Uuid>) -> Self {
        Self { name, kind: "review", id, patient: None }
    }
}

impl Deps<'_> {
    pub(super) fn entry(&self, context: &Context, deed: Deed, outcome: Outcome) -> AuditEntry {
        let now = self.clock.now();
        let id = AuditEntryId::from_uuid(self.ids.uuid_v7(now));
        let resource = deed.id.map(|id| id.hyphenated().to_string()).unwrap_or_default();
        let entry = AuditEntry::new(id, now, context, deed.name, deed.kind, resource, outcome);
        AuditEntry { patient: deed.patient, ..entry }
    }

    /// Whether the caller may, and how much they see. A denial is on the record when this returns. Nothing here belongs to
    /// anybody, so whoever may do it to one may do it to all.
    pub(super) async fn permit<E: From<Denial> + From<PortError>>(
        &self,
        context: &Context,
        action: Action,
        deed: Deed,
    ) -> Result<Sight, E> {
        let answer = match self.policy.decide(context, action, Relation::None, self.clock.now()) {
            // Nothing here is a number over many.
            Ok(Sight::Aggregated) => Err(Denial::Forbidden),
            answer => answer,
        };
        match answer {
            Ok(sight) => Ok(sight),
            Err(denial) => {
                self.tell(self.entry(context, deed, Outcome::Denied)).await?;
                Err(denial.into())
            }
        }
    }

    /// In a transaction of its own. What it tells of must not go on unless this is on the record.
    pub(super) async fn tell(&self, entry: AuditEntry) -> Result<(), PortError> {
        self.tell_all(vec![entry]).await
    }

    async fn tell_all(&self, audit: Vec<AuditEntry>) -> Result<(), PortError> {
        self.letters.put_on_record(&Effects { audit, ..Effects::default() }).await
    }

    /// What is shown, when the look is on the record.
    pub(super) async fn shown<T: Personal>(
        &self,
        entries: Vec<AuditEntry>,
        read: Unrecorded<T>,
    ) -> Result<T, PortError> {
        read.release_by(entries, async |entries| self.tell_all(entries).await).await
    }

    /// A list that is shown: each thing in it is named; of an empty one, that it was looked at.
    pub(super) async fn shown_list<T: Personal, K>(
        &self,
        context: &Context,
        list: Deed,
        page: Unrecorded<Page<T, K>>,
        named: impl Fn(&T) -> (Uuid, Option<AccountId>),
    ) -> Result<Page<T, K>, PortError> {
        let one = |(id, patient)| self.entry(context, Deed { id: Some(id), patient, ..list }, Outcome::Allowed);
        let mut entries: Vec<_> = page.judge(|page| page.items.iter().map(|item| one(named(item))).collect());
        if entries.is_empty() {
            entries.push(self.entry(context, list, Outcome::Allowed));
        }
        self.shown(entries, page).await
    }

    /// Before a decision is made anew.
    pub(super) async fn step_aside(&self, round: u32) {
        let millis = 1 + self.ids.below(25 * u64::from(round.min(4)));
        self.pause.pause(Duration::from_millis(millis)).await;
    }
}

/// Where a body lies that nobody can read. It is nobody's.
pub(super) fn body_place(letter: Uuid) -> SealPlace<'static> {
    SealPlace {
        schema: "public",
        table: "dead_letters",
        column: "sealed_body",
        row: letter,
        owner: AccountId::from_uuid(Uuid::nil()),
        version: 1,
    }
}

//! Looking things up in the trail. Each look is on the record itself.

use crate::{
    ReadError,
    model::{Checkpoint, Hash, Placed, SignedNote, Tiles, proof},
    ports::{ByTime, EntryFilter, LogStore, Objections, TrailReader, Witnessed},
};
use amrutam_kernel::{
    AccountId, Action, AuditEntry, AuditEntryId, AuditTrail, Clock, Context, Dependency, Effects, EventId, IdSource,
    Limit, Outcome, Page, PageRequest, Policy, PortError, Relation,
};

/// What the use cases work with.
#[derive(Clone, Copy)]
pub struct ReadDeps<'a> {
    /// Entries.
    pub reader: &'a dyn TrailReader,
    /// The tree.
    pub log: &'a dyn LogStore,
    /// Where looks at it go.
    pub trail: &'a dyn AuditTrail,
    /// Where objections go.
    pub objections: &'a dyn Objections,
    /// Who may do what.
    pub policy: &'a dyn Policy,
    /// Time.
    pub clock: &'a dyn Clock,
    /// Ids.
    pub ids: &'a dyn IdSource,
}

/// That an entry is in the log of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InclusionProof {
    /// The entry, from which the leaf is computed.
    pub placed: Placed,
    /// The leaf.
    pub leaf: Hash,
    /// The hashes from the leaf to the root, nearest first.
    pub proof: Vec<Hash>,
    /// What it leads to.
    pub checkpoint: Checkpoint,
    /// As signed.
    pub note: SignedNote,
}

impl ReadDeps<'_> {
    fn entry(&self, context: &Context, action: &'static str, resource: String, outcome: Outcome) -> AuditEntry {
        let now = self.clock.now();
        let id = AuditEntryId::from_uuid(self.ids.uuid_v7(now));
        AuditEntry::new(id, now, context, action, "audit_trail", resource, outcome)
    }

    /// Asks the policy; a denial is on the record when this returns.
    async fn permit(
        &self,
        context: &Context,
        relation: Relation,
        action: &'static str,
        about: Option<AccountId>,
    ) -> Result<(), ReadError> {
        match self.policy.decide(context, Action::AuditRead, relation, self.clock.now()) {
            Ok(_) => Ok(()),
            Err(denial) => {
                let entry =
                    AuditEntry { patient: about, ..self.entry(context, action, String::new(), Outcome::Denied) };
                self.trail.record(vec![entry]).await?;
                Err(denial.into())
            }
        }
    }

    async fn note(
        &self,
        context: &Context,
        action: &'static str,
        resource: String,
        about: Option<AccountId>,
    ) -> Result<(), PortError> {
        let entry = AuditEntry { patient: about, ..self.entry(context, action, resource, Outcome::Allowed) };
        self.trail.record(vec![entry]).await
    }
}

/// Entries, newest first: for whoever looks over what others did.
pub async fn search(
    deps: ReadDeps<'_>,
    context: &Context,
    filter: &EntryFilter,
    page: PageRequest<ByTime>,
) -> Result<Page<Placed, ByTime>, ReadError> {
    deps.permit(context, Relation::None, "audit.search", filter.patient).await?;
    let found = deps.reader.search(filter, page).await?;
    // What was looked for, as far as it is no person: a person is named as the one it is about. Only what is an id: a word that
    // somebody typed would stay in the log for good.
    let id = filter.resource.as_ref().and_then(|(_, id)| id.parse::<AuditEntryId>().ok());
    let looked_for = id.map(|id| id.to_string()).unwrap_or_default();
    deps.note(context, "audit.search", looked_for, filter.patient).await?;
    Ok(found)
}

/// That an entry is in the log, as of the last checkpoint.
pub async fn prove(deps: ReadDeps<'_>, context: &Context, id: AuditEntryId) -> Result<InclusionProof, ReadError> {
    deps.permit(context, Relation::None, "audit.prove", None).await?;
    let head = deps.log.head().await?;
    let placed = deps.reader.entry(id).await?.ok_or(ReadError::NotFound)?;
    let note = head.note.ok_or(ReadError::NotFound)?;
    let checkpoint = Checkpoint::of(&note).map_err(broken)?;
    // Sealed by a checkpoint that is younger than the one just read.
    if placed.index >= checkpoint.size {
        return Err(ReadError::NotFound);
    }
    let parts = proof::inclusion(placed.index, checkpoint.size)?;
    let (leaf, proof) = (placed.entry.leaf(), hashes(deps, &parts).await?);
    // What proves nothing is not handed out: the entry or a tile is not what was sealed.
    proof::verify_inclusion(placed.index, checkpoint.size, &leaf, &checkpoint.root, &proof).map_err(broken)?;
    deps.note(context, "audit.prove", id.to_string(), placed.entry.patient_id).await?;
    Ok(InclusionProof { leaf, placed, proof, checkpoint, note })
}

/// Checkpoints, newest first, before one of that size.
pub async fn checkpoints(
    deps: ReadDeps<'_>,
    context: &Context,
    before: Option<u64>,
    limit: u16,
) -> Result<Vec<Witnessed>, ReadError> {
    deps.permit(context, Relation::None, "audit.read_checkpoints", None).await?;
    Ok(deps.reader.checkpoints(before, limit).await?)
}

/// That the log of `from` entries is the beginning of the one of `to`, which must be sealed.
pub async fn prove_consistency(
    deps: ReadDeps<'_>,
    context: &Context,
    from: u64,
    to: u64,
) -> Result<Vec<Hash>, ReadError> {
    deps.permit(context, Relation::None, "audit.prove", None).await?;
    let head = deps.log.head().await?;
    if to > head.size {
        return Err(proof::OutOfRange(to, head.size).into());
    }
    let parts = proof::consistency(from, to)?;
    let proof = hashes(deps, &parts).await?;
    let (old, new) = (root(deps, from).await?, root(deps, to).await?);
    proof::verify_consistency((from, &old), (to, &new), &proof).map_err(broken)?;
    let signed = head.note.map(|note| Checkpoint::of(&note)).transpose().map_err(broken)?;
    if signed.is_some_and(|signed| signed.size == to && signed.root != new) {
        return Err(broken("the tiles are not those of the last checkpoint").into());
    }
    Ok(proof)
}

async fn hashes(deps: ReadDeps<'_>, parts: &[proof::Part]) -> Result<Vec<Hash>, PortError> {
    let tiles: Tiles = deps.log.tiles(&Tiles::needs(parts)).await?.into_iter().collect();
    tiles.prove(parts).map_err(broken)
}

async fn root(deps: ReadDeps<'_>, size: u64) -> Result<Hash, PortError> {
    let tiles: Tiles = deps.log.tiles(&Tiles::needs_for_root(size)).await?.into_iter().collect();
    tiles.root(size).map_err(broken)
}

fn broken(error: impl std::fmt::Display) -> PortError {
    PortError::defect(Dependency::Database, error)
}

/// Who opened the caller's own record, newest first.
pub async fn access_log(
    deps: ReadDeps<'_>,
    context: &Context,
    page: PageRequest<ByTime>,
) -> Result<Page<Placed, ByTime>, ReadError> {
    let own = context.actor.account();
    deps.permit(context, Relation::Own, "audit.read_own", own).await?;
    let found = match own {
        Some(own) => {
            let filter = EntryFilter { patient: Some(own), ..EntryFilter::default() };
            deps.reader.search(&filter, page).await?
        }
        None => Page { items: Vec::new(), next: None },
    };
    deps.note(context, "audit.read_own", String::new(), own).await?;
    Ok(found)
}

/// Why somebody objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectionReason {
    /// They don't know who that is.
    Unknown,
    /// There was no visit or other occasion.
    NoOccasion,
    /// They had not agreed.
    NotAgreed,
    /// Something else; they are asked.
    Other,
}

impl ObjectionReason {
    /// Every reason.
    pub const ALL: [Self; 4] = [Self::Unknown, Self::NoOccasion, Self::NotAgreed, Self::Other];

    /// The word in requests and events.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown_person",
            Self::NoOccasion => "no_occasion",
            Self::NotAgreed => "not_agreed",
            Self::Other => "other",
        }
    }
}

/// The caller objects to an access to their own data: a person will look at it.
pub async fn object(
    deps: ReadDeps<'_>,
    context: &Context,
    id: AuditEntryId,
    reason: ObjectionReason,
) -> Result<(), ReadError> {
    let own = context.actor.account();
    deps.permit(context, Relation::Own, "audit.object", own).await?;
    let about_them = |placed: &Placed| placed.entry.patient_id == own;
    let placed = deps.reader.entry(id).await?.filter(about_them).ok_or(ReadError::NotFound)?;
    let own = placed.entry.patient_id.ok_or(ReadError::NotFound)?;
    let now = deps.clock.now();
    let event = EventId::from_uuid(deps.ids.uuid_v7(now));
    let entry = deps.entry(context, "audit.object", id.to_string(), Outcome::Allowed).about(own);
    let effects = Effects {
        events: vec![crate::events::review_needed(event, id, Some(own), reason.as_str(), context, now)],
        audit: vec![entry],
        ..Effects::default()
    };
    if deps.objections.object(id, own, &effects).await? { Ok(()) } else { Err(ReadError::AlreadyRaised) }
}

/// Up to so many entries are exported at a time.
pub const EXPORT: usize = 10_000;

/// Many entries for keeping, newest first; [`EXPORT`] at most.
pub async fn export(
    deps: ReadDeps<'_>,
    context: &Context,
    filter: &EntryFilter,
    after: Option<ByTime>,
) -> Result<Page<Placed, ByTime>, ReadError> {
    deps.permit(context, Relation::None, "audit.export", filter.patient).await?;
    let mut all = Page { items: Vec::new(), next: after };
    while all.items.len() < EXPORT {
        let limit = Limit::new(Limit::MAX).unwrap_or_default();
        let page = deps.reader.search(filter, PageRequest { limit, after: all.next }).await?;
        all.items.extend(page.items);
        all.next = page.next;
        if all.next.is_none() {
            break;
        }
    }
    deps.note(context, "audit.export", String::new(), filter.patient).await?;
    Ok(all)
}

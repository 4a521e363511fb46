//! What the use cases share.

use crate::{
    EmailAddress, IdentityRules, NewPassword, PermitError, PersonName,
    events::Announcement,
    model::{InvalidPassword, PasswordHash},
    policy,
    ports::{
        AccountStore, FactorStore, LinkStore, PasswordHasher, SecretSource, SessionNotices, SessionStore, TokenIssuer,
        TokenVerifier, Totp,
    },
};
use amrutam_kernel::{
    AccountId, Action, Actor, AuditEntry, AuditEntryId, Clock, CommitError, Context, Denial, Dependency, Effects,
    IdSource, LinkId, LinkTokens, Outcome, Pause, Personal, PortError, Relation, Role, SignIn, Unrecorded,
};
use jiff::Timestamp;

/// How often a change is decided anew when another one came in between.
pub(super) const ROUNDS: usize = 3;

/// What the use cases on accounts work with.
#[derive(Clone, Copy)]
pub struct Deps<'a> {
    /// Accounts.
    pub accounts: &'a dyn AccountStore,
    /// Passwords.
    pub hasher: &'a dyn PasswordHasher,
    /// Time.
    pub clock: &'a dyn Clock,
    /// Ids.
    pub ids: &'a dyn IdSource,
}

/// What the use cases with links in mails work with.
#[derive(Clone, Copy)]
pub struct LinkDeps<'a> {
    /// Accounts.
    pub core: Deps<'a>,
    /// Links.
    pub links: &'a dyn LinkStore,
    /// Their tokens.
    pub link_tokens: &'a dyn LinkTokens,
    /// Told of sessions that ended.
    pub notices: &'a dyn SessionNotices,
    /// Waiting.
    pub pause: &'a dyn Pause,
}

/// What the use cases on sessions and second factors work with.
#[derive(Clone, Copy)]
pub struct SessionDeps<'a> {
    /// Accounts.
    pub core: Deps<'a>,
    /// Sessions.
    pub sessions: &'a dyn SessionStore,
    /// Second factors.
    pub factors: &'a dyn FactorStore,
    /// Signs.
    pub issuer: &'a dyn TokenIssuer,
    /// Checks what was signed.
    pub verifier: &'a dyn TokenVerifier,
    /// Randomness for refresh tokens, TOTP secrets and recovery codes.
    pub secrets: &'a dyn SecretSource,
    /// One-time codes.
    pub totp: &'a dyn Totp,
    /// Told of sessions that ended or changed.
    pub notices: &'a dyn SessionNotices,
    /// Who may log in.
    pub rules: &'a IdentityRules,
}

impl Deps<'_> {
    pub(super) fn audit(
        &self,
        context: &Context,
        now: Timestamp,
        action: &'static str,
        account: Option<AccountId>,
        outcome: Outcome,
    ) -> AuditEntry {
        let id = AuditEntryId::from_uuid(self.ids.uuid_v7(now));
        let resource = account.map(|id| id.to_string()).unwrap_or_default();
        let entry = AuditEntry::new(id, now, context, action, "account", resource, outcome);
        AuditEntry { patient: account, ..entry }
    }

    /// One entry and, if anything, one announcement about one account.
    pub(super) fn effects(
        &self,
        context: &Context,
        now: Timestamp,
        action: &'static str,
        (account, outcome): (AccountId, Outcome),
        announced: Option<Announcement>,
    ) -> Effects {
        let envelope = |announced: Announcement| announced.envelope(self.ids, context, account, now);
        Effects {
            events: announced.map(envelope).into_iter().collect(),
            audit: vec![self.audit(context, now, action, Some(account), outcome)],
            ..Effects::default()
        }
    }

    /// What is shown of an account, when that is on the record.
    pub(super) async fn shown<T: Personal>(
        &self,
        context: &Context,
        action: &'static str,
        account: AccountId,
        read: Unrecorded<T>,
    ) -> Result<T, PortError> {
        let entry = self.audit(context, self.clock.now(), action, Some(account), Outcome::Allowed);
        let record = async |audit| self.accounts.record(&Effects { audit, ..Effects::default() }).await;
        read.release_by(vec![entry], record).await
    }

    /// Puts on the record what was refused: in a transaction of its own, or a rollback would erase it.
    pub(super) async fn record_denial(
        &self,
        context: &Context,
        action: &'static str,
        account: Option<AccountId>,
    ) -> Result<(), PortError> {
        let entry = self.audit(context, self.clock.now(), action, account, Outcome::Denied);
        self.accounts.record(&Effects { audit: vec![entry], ..Effects::default() }).await
    }

    /// What was found of an account that is named; that it is not there, or stands no more, is on the record when this returns.
    pub(super) async fn named<T, E: From<Denial> + From<PortError>>(
        &self,
        context: &Context,
        action: &'static str,
        account: AccountId,
        found: Option<T>,
    ) -> Result<T, E> {
        if let Some(found) = found {
            return Ok(found);
        }
        self.record_denial(context, action, Some(account)).await?;
        Err(Denial::Hidden.into())
    }

    /// Asks the policy; a denial is on the record when this returns.
    pub(super) async fn permit(
        &self,
        context: &Context,
        action: Action,
        relation: Relation,
        about: Option<AccountId>,
    ) -> Result<(), PermitError> {
        match policy::decide(context, action, relation, self.clock.now()) {
            Ok(_) => Ok(()),
            Err(denial) => {
                self.record_denial(context, action.as_str(), about).await?;
                Err(denial.into())
            }
        }
    }

    /// As [`Deps::permit`], for making an account of that role. Administrators are made by the operator alone, so that one
    /// stolen session does not make more of its kind.
    pub(super) async fn permit_making(&self, context: &Context, role: Role) -> Result<(), PermitError> {
        let action = Action::StaffInvite;
        self.permit(context, action, Relation::None, None).await?;
        if role == Role::Admin && !matches!(context.actor, Actor::System(_)) {
            self.record_denial(context, action.as_str(), None).await?;
            return Err(Denial::Forbidden.into());
        }
        Ok(())
    }

    /// The signed-in person, when the policy lets them do this with what is theirs.
    pub(super) async fn permit_own(&self, context: &Context, action: Action) -> Result<Caller, PermitError> {
        self.permit(context, action, Relation::Own, context.actor.account()).await?;
        Ok(Caller::of(context)?)
    }

    /// Hashes a password that is fit for this person.
    pub(super) async fn hash<E: From<InvalidPassword> + From<PortError>>(
        &self,
        password: &NewPassword,
        email: &EmailAddress,
        name: &PersonName,
    ) -> Result<PasswordHash, E> {
        password.check_guessable(email, name)?;
        Ok(self.hasher.hash(password).await?)
    }

    pub(super) fn link_id(&self, now: Timestamp) -> LinkId {
        LinkId::from_uuid(self.ids.uuid_v7(now))
    }
}

/// A signed-in person.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caller {
    pub(super) account: AccountId,
    pub(super) sign_in: SignIn,
}

impl Caller {
    pub(super) fn of(context: &Context) -> Result<Self, Denial> {
        match (context.actor, context.sign_in) {
            (Actor::Account { id, .. }, Some(sign_in)) => Ok(Self { account: id, sign_in }),
            _ => Err(Denial::NotSignedIn),
        }
    }
}

/// What an account is to the one who acts.
pub(super) fn relation_to(context: &Context, account: AccountId) -> Relation {
    if context.actor.account() == Some(account) { Relation::Own } else { Relation::None }
}

/// What a commit's refusal is where the caller can't do anything about it; nothing when the decision is to be made anew.
pub(super) fn lasting(error: CommitError) -> Result<(), PortError> {
    match error {
        CommitError::Stale | CommitError::Busy => Ok(()),
        CommitError::Port(error) => Err(error),
        CommitError::AlreadyAnswered | CommitError::AlreadyHandled => {
            Err(PortError::defect(Dependency::Database, error))
        }
    }
}

pub(super) fn contended() -> PortError {
    PortError::unavailable(Dependency::Database, "too many changes of one account at once")
}

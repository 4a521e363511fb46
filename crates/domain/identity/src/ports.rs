//! What the domain needs from the world.
//!
//! Every method that writes is one transaction, and takes the effects committed with it. When it says that nothing was
//! stored, neither were its effects.

use crate::model::{
    Account, Assurance, EmailAddress, EndReason, Factors, Link, NewPassword, PasswordHash, PendingFactor, SecretDigest,
    Session, SessionState, Step, TotpSecret, Tries,
};
use amrutam_kernel::{
    AccountId, CommitError, Effects, LinkId, LinkPurpose, Page, PageRequest, PortError, Role, Sensitive, SessionId,
    Unrecorded,
};
use async_trait::async_trait;
use jiff::Timestamp;

/// What became of an insert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inserted {
    /// The account exists now, and its link and effects are committed.
    Created,
    /// Nothing was stored: the address belongs to this account.
    EmailTaken(AccountId),
    /// Nothing was stored: the idempotency claim among the effects has an answer already.
    AlreadyAnswered,
}

/// Which sessions of an account end with a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndSessions {
    /// Noted on each that is not ended yet.
    pub reason: EndReason,
    /// All but this one.
    pub except: Option<SessionId>,
    /// When.
    pub at: Timestamp,
}

/// A change of an account with all that must happen with it or not at all.
#[derive(Debug, Clone, Copy)]
pub struct AccountChange<'a> {
    /// As it becomes. Its version is one above the version the decision was based on.
    pub account: &'a Account,
    /// The link that allows the change: spent at that time, and refused when it is spent already.
    pub spend: Option<(LinkId, Timestamp)>,
    /// Every other unspent link of the account is spent as well, at that time.
    pub void_links: Option<Timestamp>,
    /// Sessions that end.
    pub end_sessions: Option<EndSessions>,
}

/// Where accounts are kept.
#[async_trait]
pub trait AccountStore: Send + Sync {
    /// Makes ready what inserting an account of that id needs, so that it can be awaited beside something else. Whether that went
    /// well, inserting tells.
    async fn prepare(&self, _id: AccountId) {}
    /// Stores an account of version 1, a link for it, and the effects. Of two concurrent inserts with one address, one wins.
    async fn insert(&self, account: &Account, link: Option<&Link>, effects: &Effects) -> Result<Inserted, PortError>;
    /// Stores a changed account and what goes with it. [`CommitError::Stale`] when the stored version is not the one
    /// before, or the link to be spent is spent, or there is no such link of this account. Role, address and time of creation of
    /// an account never change here. Gives the sessions that ended now.
    async fn update(&self, change: AccountChange<'_>, effects: &Effects) -> Result<Vec<SessionId>, CommitError>;
    /// Commits effects that change no account.
    async fn record(&self, effects: &Effects) -> Result<(), PortError>;
    /// By normalized address. The store finds it by a keyed digest and must not say in its timing whether it was there.
    async fn by_email(&self, email: &EmailAddress) -> Result<Unrecorded<Option<Account>>, PortError>;
    /// By id.
    async fn by_id(&self, id: AccountId) -> Result<Unrecorded<Option<Account>>, PortError>;
}

/// Where one-time links are kept.
#[async_trait]
pub trait LinkStore: Send + Sync {
    /// Stores a link for an account that exists; other unspent links of the account with the same purpose are spent at
    /// `now`, so that only the newest works.
    async fn issue(&self, link: &Link, now: Timestamp, effects: &Effects) -> Result<(), CommitError>;
    /// By purpose and digest, spent and expired ones too.
    async fn by_digest(&self, purpose: LinkPurpose, digest: &SecretDigest) -> Result<Option<Link>, PortError>;
}

/// A refresh token as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredRefresh {
    /// By which it is found.
    pub digest: SecretDigest,
    /// 1 for the first of a session, then one more each.
    pub generation: u32,
    /// When it was issued.
    pub issued_at: Timestamp,
}

/// What a presented refresh token leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presented {
    /// Its session, live or not.
    pub session: Session,
    /// Its own place in the session's line.
    pub generation: u32,
    /// Whether it has been exchanged before.
    pub spent: bool,
}

/// One token for the next.
#[derive(Debug, Clone, Copy)]
pub struct Rotation<'a> {
    /// What was presented.
    pub presented: &'a SecretDigest,
    /// What is given for it.
    pub next: &'a StoredRefresh,
    /// The session as used now; only its times of use change.
    pub session: &'a Session,
}

/// What became of a rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotated {
    /// The presented token is spent, the next one and the first effects are stored.
    Rotated,
    /// It had been spent before: the session is ended with [`EndReason::TokenReused`] and the second effects are stored.
    Reused,
    /// There is no such token, or its session has ended: nothing is stored.
    Ended,
}

/// The sort key of a list of sessions: when it began.
pub type ByLogIn = (Timestamp, SessionId);

/// Where sessions and refresh tokens are kept. Every read is from the primary.
#[async_trait]
pub trait SessionStore: Send + Sync {
    /// Stores a session and its first refresh token, if the account is active and its password is still the one that was
    /// set at `password_set_at`: otherwise [`CommitError::Stale`]. A log-in that has read the old password just before a reset
    /// opens nothing after it.
    async fn open(
        &self,
        session: &Session,
        first: &StoredRefresh,
        password_set_at: Option<Timestamp>,
        effects: &Effects,
    ) -> Result<(), CommitError>;
    /// What the token of that digest leads to.
    async fn by_refresh(&self, digest: &SecretDigest) -> Result<Option<Presented>, PortError>;
    /// Exchanges a token: of many at once with one token, one is [`Rotated::Rotated`], and the next one ends the session.
    /// Exactly one of the two effects is stored, or none. The time of `reused` is the end of a session that ends.
    async fn rotate(
        &self,
        rotation: Rotation<'_>,
        effects: &Effects,
        reused: (Timestamp, &Effects),
    ) -> Result<Rotated, PortError>;
    /// By id, live or not.
    async fn by_id(&self, id: SessionId) -> Result<Option<Session>, PortError>;
    /// The account's sessions that are live at `now`, last used first.
    async fn live(&self, account: AccountId, now: Timestamp) -> Result<Vec<Session>, PortError>;
    /// A page of the account's sessions that are live at `now`, the newest log-in first: an order that no use changes.
    async fn page(
        &self,
        account: AccountId,
        now: Timestamp,
        page: PageRequest<ByLogIn>,
    ) -> Result<Unrecorded<Page<Session, ByLogIn>>, PortError>;
    /// Ends this session. `false`, and nothing is stored, when it has ended already.
    async fn end(&self, id: SessionId, at: Timestamp, reason: EndReason, effects: &Effects) -> Result<bool, PortError>;
    /// Ends sessions of an account and stores the effects, also when none was left to end. Gives those that ended now.
    async fn end_all(
        &self,
        account: AccountId,
        end: EndSessions,
        effects: &Effects,
    ) -> Result<Vec<SessionId>, PortError>;
    /// Notes that a second factor was shown in this session.
    async fn step_up(&self, id: SessionId, at: Timestamp, effects: &Effects) -> Result<(), PortError>;
}

/// Asked by every request.
#[async_trait]
pub trait SessionGate: Send + Sync {
    /// How the session stands at `now`; nothing when there is no such session. An answer from a cache is at most 15 seconds
    /// old, and never says that a session lives whose end was noted through [`SessionNotices`].
    async fn state(&self, session: SessionId, now: Timestamp) -> Result<Option<SessionState>, PortError>;
}

/// Told after a commit, so that gates with a cache know before it ages. What can't be told is logged and counted by the
/// adapter: it shows within 15 seconds all the same.
#[async_trait]
pub trait SessionNotices: Send + Sync {
    /// These sessions have ended.
    async fn ended(&self, sessions: &[SessionId]);
    /// What is cached of these sessions is out of date; they live.
    async fn changed(&self, sessions: &[SessionId]);
}

/// What shows that somebody holds the second factor. Each works once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// The code of this step.
    Step(Step),
    /// The recovery code of this digest.
    RecoveryCode(SecretDigest),
}

/// Where second factors are kept, their secrets sealed. Reads are from the primary.
#[async_trait]
pub trait FactorStore: Send + Sync {
    /// All that is known; of an account without any, [`Factors::default`].
    async fn factors(&self, account: AccountId) -> Result<Factors, PortError>;
    /// Stores a claimed try: `false` when the stored version is not the one before `tries.version`. Of many at once, one wins.
    async fn claim_try(&self, account: AccountId, tries: &Tries) -> Result<bool, PortError>;
    /// Uses a proof up; a step takes back the try of that time. `false`, and nothing is stored, when the proof is used up: a step
    /// not after the last one of the factor in force, a recovery code that is not (any more) there. Of many at once with one
    /// proof, one is accepted, also by a store that has just restarted.
    async fn redeem(
        &self,
        account: AccountId,
        proof: &Proof,
        tried_at: Timestamp,
        effects: &Effects,
    ) -> Result<bool, PortError>;
    /// Stores a factor that is being set up, in place of another such one; the one in force stays.
    async fn begin(&self, account: AccountId, pending: &PendingFactor, effects: &Effects) -> Result<(), PortError>;
    /// The pending factor comes into force in place of the one before: confirmed at `at`, its `step` used, with these
    /// recovery codes instead of all others, and counts as shown in `session`. [`CommitError::Stale`] when the pending factor is not
    /// (any more) the one that was begun at `begun_at`.
    async fn confirm(&self, account: AccountId, confirmed: Confirmed<'_>, effects: &Effects)
    -> Result<(), CommitError>;
    /// Other recovery codes in place of all before. [`CommitError::Stale`] when no factor is in force.
    async fn replace_codes(
        &self,
        account: AccountId,
        codes: &[SecretDigest],
        effects: &Effects,
    ) -> Result<(), CommitError>;
    /// Removes the factor in force, a pending one and the recovery codes; tries stay counted. [`CommitError::Stale`] when no
    /// factor is in force.
    async fn remove(&self, account: AccountId, effects: &Effects) -> Result<(), CommitError>;
}

/// A pending factor that comes into force.
#[derive(Debug, Clone, Copy)]
pub struct Confirmed<'a> {
    /// Which pending one: that of this time.
    pub begun_at: Timestamp,
    /// The step of the code that was shown.
    pub step: Step,
    /// When.
    pub at: Timestamp,
    /// The new recovery codes.
    pub codes: &'a [SecretDigest],
    /// Where it was shown.
    pub session: SessionId,
}

/// What a person needs to set up an authenticator. Each of the three holds the secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolment {
    /// In base32, to be typed.
    pub secret: Sensitive<String>,
    /// `otpauth://totp/...`.
    pub otpauth_uri: Sensitive<String>,
    /// The URI as a QR code: an SVG document without script or outside references.
    pub qr_svg: Sensitive<String>,
}

/// RFC 6238 with SHA-1, 6 digits and steps of 30 seconds, which every authenticator knows.
pub trait Totp: Send + Sync {
    /// The code of a step: six digits.
    fn code(&self, secret: &TotpSecret, step: Step) -> Sensitive<String>;
    /// For the authenticator of the account with this address.
    fn enrolment(&self, secret: &TotpSecret, email: &EmailAddress) -> Result<Enrolment, PortError>;
}

/// Argon2id off the async threads, behind a bounded queue. A full queue is [`PortError::Unavailable`].
#[async_trait]
pub trait PasswordHasher: Send + Sync {
    /// Hashes with a fresh salt.
    async fn hash(&self, password: &NewPassword) -> Result<PasswordHash, PortError>;
    /// Compares. Without a hash it does the same work against a dummy and says no, so that an unknown address costs what a
    /// known one does.
    async fn verify(&self, password: &Sensitive<String>, hash: Option<&PasswordHash>) -> Result<bool, PortError>;
}

/// Where secrets come from: the system's generator of cryptographic randomness, never seeded.
pub trait SecretSource: Send + Sync {
    /// Fills all of `bytes`.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), PortError>;
}

/// What an access token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessClaims {
    /// Whose it is.
    pub account: AccountId,
    /// Of which log-in.
    pub session: SessionId,
    /// In which role.
    pub role: Role,
    /// How they signed in: `amr`.
    pub assurance: Assurance,
    /// When it was made.
    pub issued_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// What a token for the second step of a log-in says: the password was right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MfaClaims {
    /// Whose.
    pub account: AccountId,
    /// When it was made.
    pub issued_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// Signs tokens, one kind per purpose: a token of one kind is never taken for another (`typ`).
pub trait TokenIssuer: Send + Sync {
    /// A signed access token (`at+jwt`). `token_id` becomes its `jti`.
    fn issue_access(&self, claims: &AccessClaims, token_id: uuid::Uuid) -> Result<Sensitive<String>, PortError>;
    /// A signed token for the second step (`mfa+jwt`).
    fn issue_mfa(&self, claims: &MfaClaims, token_id: uuid::Uuid) -> Result<Sensitive<String>, PortError>;
}

/// The token is not one of ours, not of this kind, or not in force (any more). One word for every reason: the caller logs
/// in again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a valid token")]
pub struct InvalidToken;

/// Checks tokens.
pub trait TokenVerifier: Send + Sync {
    /// The claims of an access token that is ours and in force at `now`.
    fn verify_access(&self, token: &str, now: Timestamp) -> Result<AccessClaims, InvalidToken>;
    /// The claims of a token for the second step that is ours and in force at `now`.
    fn verify_mfa(&self, token: &str, now: Timestamp) -> Result<MfaClaims, InvalidToken>;
}

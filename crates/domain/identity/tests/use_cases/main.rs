//! The use cases on the memory adapter: what callers are told, and what is left behind.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod links;
mod log_in;
mod passwords;
mod profile;
mod refresh;
mod second_factor;
mod sessions;
mod staff;
mod trouble;

use amrutam_identity::{
    EmailAddress, IdentityRules, NewPassword, Profile,
    model::SessionLabel,
    ports::{Enrolment, SessionGate, TokenVerifier},
    use_cases::{
        Deps, LinkDeps, LogIn, LoggedIn, NewStaff, RecoveryCodes, Register, SecondStep, SessionDeps, Tokens,
        TypedFactor, begin_totp, confirm_totp, create_staff, log_in, register, second_factor,
    },
};
use amrutam_kernel::{
    AccountId, Actor, AuditEntry, Clock, Context, CorrelationId, EventEnvelope, IdSource, Limit, LinkId, LinkPurpose,
    LinkTokens, Outcome, PageRequest, Role, Sensitive,
};
use amrutam_memory::{
    FakeHasher, FakeLinks, FakeSecrets, FakeTokens, ManualClock, MemoryGate, MemoryTotp, MemoryWorld, SeededIds,
    VirtualPause,
};
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;

const PASSWORD: &str = "aruna likes old trains";
const OTHER_PASSWORD: &str = "and slow boats in the rain";

fn first_page<K>() -> PageRequest<K> {
    PageRequest { limit: Limit::default(), after: None }
}

/// A Monday morning, and nobody has an account yet.
struct Stage {
    world: Arc<MemoryWorld>,
    clock: Arc<ManualClock>,
    ids: SeededIds,
    hasher: FakeHasher,
    tokens: FakeTokens,
    links: FakeLinks,
    secrets: FakeSecrets,
    gate: MemoryGate,
    rules: IdentityRules,
    // On a clock of its own: the stage's stands still.
    pause: VirtualPause,
}

impl Stage {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::at("2026-11-23T03:30:00Z".parse().unwrap()));
        let world = Arc::new(MemoryWorld::new(clock.clone()));
        Self {
            gate: MemoryGate::new(world.clone()),
            world,
            clock,
            ids: SeededIds::new(7),
            hasher: FakeHasher::new(),
            tokens: FakeTokens::new("test"),
            links: FakeLinks::new("test"),
            secrets: FakeSecrets::new(7),
            pause: VirtualPause::new(Arc::new(ManualClock::at("2026-11-23T03:30:00Z".parse().unwrap()))),
            // Most people here have just registered.
            rules: IdentityRules { log_in_unverified: true, ..IdentityRules::default() },
        }
    }

    fn core(&self) -> Deps<'_> {
        Deps { accounts: &*self.world, hasher: &self.hasher, clock: &*self.clock, ids: &self.ids }
    }

    fn mail(&self) -> LinkDeps<'_> {
        LinkDeps {
            core: self.core(),
            links: &*self.world,
            link_tokens: &self.links,
            notices: &self.gate,
            pause: &self.pause,
        }
    }

    fn deps(&self) -> SessionDeps<'_> {
        SessionDeps {
            core: self.core(),
            sessions: &*self.world,
            factors: &*self.world,
            issuer: &self.tokens,
            verifier: &self.tokens,
            secrets: &self.secrets,
            totp: &MemoryTotp,
            notices: &self.gate,
            rules: &self.rules,
        }
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn wait(&self, seconds: i64) {
        self.clock.advance(SignedDuration::from_secs(seconds));
    }

    fn context(&self, actor: Actor) -> Context {
        let correlation_id = CorrelationId::from(self.ids.uuid_v7(self.now()));
        Context { actor, sign_in: None, correlation_id, trace_parent: None, origin: None }
    }

    fn nobody(&self) -> Context {
        self.context(Actor::Anonymous)
    }

    fn operator(&self) -> Context {
        self.context(Actor::System("test"))
    }

    /// What the edge makes of a request with this token; nothing when it answers 401.
    async fn caller(&self, tokens: &Tokens) -> Option<Context> {
        let claims = self.tokens.verify_access(tokens.access_token.expose(), self.now()).ok()?;
        let state = self.gate.state(claims.session, self.now()).await.unwrap()?;
        if state.ended || state.role != claims.role || state.account != claims.account {
            return None;
        }
        let context = self.context(Actor::Account { id: state.account, role: state.role });
        Some(Context { sign_in: Some(state.sign_in(claims.session, &self.rules)), ..context })
    }

    /// The caller, who is let in.
    async fn signed_in(&self, tokens: &Tokens) -> Context {
        self.caller(tokens).await.unwrap()
    }

    /// A person in this role with [`PASSWORD`], their address verified.
    async fn person(&self, role: Role, name: &str) -> AccountId {
        let command = NewStaff { role, email: email(name), password: new(PASSWORD), profile: profile() };
        create_staff(self.core(), &self.operator(), command, None).await.unwrap()
    }

    async fn register(&self, name: &str) -> AccountId {
        let command = Register { email: email(name), password: new(PASSWORD), profile: profile() };
        register(self.mail(), &self.nobody(), command).await.unwrap().account
    }

    async fn try_log_in(&self, name: &str, password: &str) -> Result<LoggedIn, amrutam_identity::LogInError> {
        let command = LogIn {
            email: Some(email(name)),
            password: Sensitive::new(password.to_owned()),
            label: SessionLabel::new("a test"),
        };
        log_in(self.deps(), &self.nobody(), command).await
    }

    async fn log_in(&self, name: &str) -> Tokens {
        match self.try_log_in(name, PASSWORD).await.unwrap() {
            LoggedIn::In(tokens) => *tokens,
            LoggedIn::SecondFactor { .. } => panic!("{name} has a second factor"),
        }
    }

    async fn first_step(&self, name: &str) -> Sensitive<String> {
        match self.try_log_in(name, PASSWORD).await.unwrap() {
            LoggedIn::SecondFactor { mfa_token, .. } => mfa_token,
            LoggedIn::In(_) => panic!("{name} has no second factor"),
        }
    }

    async fn second_step(
        &self,
        mfa_token: &Sensitive<String>,
        factor: TypedFactor,
    ) -> Result<Tokens, amrutam_identity::SecondFactorError> {
        let command = SecondStep { mfa_token: mfa_token.clone(), factor, label: SessionLabel::new("a test") };
        second_factor(self.deps(), &self.nobody(), command).await
    }

    /// Both steps, with a fresh code.
    async fn log_in_with(&self, name: &str, factor: &Enrolment) -> Tokens {
        let mfa_token = self.first_step(name).await;
        self.wait(30);
        self.second_step(&mfa_token, self.code(factor)).await.unwrap()
    }

    fn shown(&self, factor: &Enrolment) -> Sensitive<String> {
        MemoryTotp::shown_at(&factor.secret, self.now()).unwrap()
    }

    fn code(&self, factor: &Enrolment) -> TypedFactor {
        TypedFactor::Code(self.shown(factor))
    }

    /// Sets up a factor in the session of these tokens.
    async fn enrol(&self, tokens: &Tokens) -> (Enrolment, RecoveryCodes) {
        let context = self.signed_in(tokens).await;
        let factor = begin_totp(self.deps(), &context).await.unwrap();
        let codes = confirm_totp(self.deps(), &context, &self.shown(&factor)).await.unwrap();
        (factor, codes)
    }

    /// A person in a role that asks for a factor, who has one and has just logged in with it.
    async fn enrolled(&self, role: Role, name: &str) -> (AccountId, Enrolment, Tokens) {
        let id = self.person(role, name).await;
        let (factor, _) = self.enrol(&self.log_in(name).await).await;
        let tokens = self.log_in_with(name, &factor).await;
        (id, factor, tokens)
    }

    /// Announced since the last call.
    fn announced(&self) -> Vec<EventEnvelope> {
        self.world.drain_outbox()
    }

    fn announced_types(&self) -> Vec<String> {
        self.announced().into_iter().map(|event| event.event_type).collect()
    }

    /// The token of the link that was announced last, as the mail would carry it.
    fn mailed(&self, purpose: LinkPurpose) -> Sensitive<String> {
        let events = self.announced();
        let id: LinkId = events.last().unwrap().payload["link_id"].as_str().unwrap().parse().unwrap();
        self.links.token(purpose, id)
    }

    fn last_entry(&self) -> AuditEntry {
        self.world.audit().pop().unwrap()
    }

    fn assert_last_entry(&self, action: &str, about: Option<AccountId>, outcome: Outcome) {
        let entry = self.last_entry();
        assert_eq!((entry.action, entry.patient, entry.outcome), (action, about, outcome));
    }
}

fn email(name: &str) -> Sensitive<EmailAddress> {
    Sensitive::new(format!("{name}@amrutam.example").parse().unwrap())
}

fn secret(text: &str) -> Sensitive<String> {
    Sensitive::new(text.to_owned())
}

fn new(password: &str) -> NewPassword {
    NewPassword::parse(secret(password)).unwrap()
}

fn profile() -> Profile {
    Profile {
        full_name: Sensitive::new("Somebody Special".parse().unwrap()),
        phone: None,
        date_of_birth: None,
        sex: None,
        time_zone: "Asia/Kolkata".to_owned(),
    }
}

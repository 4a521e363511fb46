//! From settings to services: the one place that knows which technology stands behind which port.

use crate::{
    http::{Beat, Headers, InFlight, Quotas, Refusals},
    readiness::{DependencyReport, DependencyState, Probe, Readiness},
    services::{Limits, Services},
    settings::{Http, Settings},
};
use amrutam_booking::model::BookingRules;
use amrutam_clinical::ports::RenderError;
use amrutam_crypto::{
    Argon2Hasher, CachedTokens, EnvelopeSealer, HmacBlindIndex, HmacLinkTokens, JwsPrescriptions, JwtTokens, KeyError,
    Keys, Rfc6238, SystemClock, SystemIds, SystemSecrets, TokioPause,
};
use amrutam_documents::Letters;
use amrutam_gateways::{InvalidGatewaySettings, RazorpayWebhooks, StripeWebhooks};
use amrutam_kernel::{Dependency, PortError};
use amrutam_operations::model::ApprovalLimits;
use amrutam_payments::{model::PaymentRules, ports::WebhookVerifier};
use amrutam_postgres::{Accounts, Clinical, Exports, Postgres, Vault};
use amrutam_redis::{Cache, CachedGate, InvalidSettings, RedlockSlots, SessionCache};
use amrutam_settings::{GatewayKind, Payments};
use async_trait::async_trait;
use jiff::tz::TimeZone;
use std::{sync::Arc, time::Duration};

/// Longer than a healthy server ever takes, shorter than an orchestrator's patience.
const DATABASE_PING: Duration = Duration::from_millis(500);
const LOCK_PING: Duration = Duration::from_millis(250);

/// What an authenticator shows a code for.
const ISSUER: &str = "Amrutam";

/// Why the process can't begin.
#[derive(Debug, thiserror::Error)]
pub enum WiringError {
    /// The fonts of this build can't be read.
    #[error(transparent)]
    Letters(#[from] RenderError),
    /// Keys are missing or unusable.
    #[error("the keys can't be used")]
    Keys(#[from] KeyError),
    /// An adapter can't be made.
    #[error("an adapter can't be made")]
    Adapter(#[from] PortError),
    /// The settings of Redis can't be used.
    #[error("the settings of Redis can't be used")]
    Redis(#[from] InvalidSettings),
    /// The payments section.
    #[error("the payment settings can't be used: {0}")]
    Gateway(#[from] InvalidGatewaySettings),
    /// No such zone.
    #[error("the business time zone is unknown")]
    TimeZone(#[from] jiff::Error),
}

/// The services, and what of them the process itself has to deal with.
pub(crate) struct Wired {
    pub(crate) services: Services,
    pub(crate) postgres: Postgres,
    pub(crate) locks: RedlockSlots,
    pub(crate) keys: Keys,
    pub(crate) sealer: Arc<EnvelopeSealer>,
    pub(crate) keys_postgres: Postgres,
}

/// Connects nothing that may be away: the process begins, and says what is missing.
pub(crate) async fn wire(settings: &Settings) -> Result<Wired, WiringError> {
    let keys = settings.tokens.source().load()?;
    let tokens = Arc::new(JwtTokens::new(settings.tokens.to_adapter(), &keys)?);
    let index = Arc::new(HmacBlindIndex::new(&keys)?);
    let hasher = Argon2Hasher::new(settings.hasher.to_adapter())?;
    let rules = BookingRules::v1(TimeZone::get(&settings.business.time_zone)?);
    let postgres = Postgres::connect(&settings.database)?;
    let keys_postgres = settings.keys.connect(&postgres)?;
    let sealer = Arc::new(EnvelopeSealer::new(&keys, Arc::new(keys_postgres.clone()), Arc::new(SystemClock))?);
    let locks = RedlockSlots::connect(settings.redis.clone()).await?;
    let cache = Cache::connect(&settings.redis).await?;
    let store = Arc::new(postgres.clone());
    let audit_log = Arc::new(postgres.with_audit_at(settings.audit.url.as_ref())?);
    let vault = Vault::new(sealer.clone(), index.clone());
    let clinical = Clinical::new(postgres.clone(), Accounts::new(postgres.clone(), vault.clone()), vault.clone());
    let exports = Arc::new(Exports::new(postgres.clone(), vault.clone()));
    let accounts = Arc::new(Accounts::new(postgres.clone(), vault));
    let gate = Arc::new(CachedGate::new(SessionCache::new(cache.clone()), store.clone()));
    let mut probes: Vec<Arc<dyn Probe>> =
        vec![Arc::new(Database(postgres.clone())), Arc::new(LockNodes(locks.clone()))];
    if settings.keys.database_url.is_some() {
        probes.push(Arc::new(KeysDatabase(keys_postgres.clone())));
    }
    if let Some(cache) = &cache {
        probes.push(Arc::new(SharedCache(cache.clone())));
    }
    let signer = Arc::new(JwsPrescriptions::new(tokens.clone()));
    let services = Services {
        accounts: accounts.clone(),
        links: store.clone(),
        link_tokens: Arc::new(HmacLinkTokens::new(&keys)?),
        sessions: store.clone(),
        gate: gate.clone(),
        notices: gate,
        factors: accounts,
        totp: Arc::new(Rfc6238::new(ISSUER)),
        secrets: Arc::new(SystemSecrets),
        identity_rules: settings.identity_rules(),
        hasher: Arc::new(hasher),
        jwks: {
            let tokens = tokens.clone();
            Box::new(move || tokens.jwks())
        },
        exports,
        downloads: tokens.clone(),
        erasures: store.clone(),
        retention: settings.retention,
        issuer: tokens.clone(),
        verifier: Arc::new(CachedTokens::new(tokens)),
        consultations: store.clone(),
        clinical: Arc::new(clinical),
        formularies: store.clone(),
        signer,
        codes: Arc::new(SystemSecrets),
        printer: Arc::new(Letters::load()?),
        directory: store.clone(),
        availability: store.clone(),
        payment_store: store.clone(),
        paid_visits: store.clone(),
        payment_rules: PaymentRules::v1(),
        webhooks: webhooks(&settings.payments)?,
        letters: store.clone(),
        reviews: store.clone(),
        history: store.clone(),
        approval: ApprovalLimits::new(settings.business.approval_above.per_currency()),
        audit_reader: audit_log.clone(),
        audit_log,
        trail: store.clone(),
        refusals: Refusals::default(),
        objections: store,
        locks: Arc::new(locks.clone()),
        sealer: sealer.clone(),
        clock: Arc::new(SystemClock),
        ids: Arc::new(SystemIds),
        pause: Arc::new(TokioPause),
        rules,
        payments: settings.payments_mode(),
        limits: limits(&settings.http),
        headers: Headers::of(&settings.tls, &settings.cors),
        quotas: Quotas {
            limits: settings.limits.clone(),
            proxies: settings.proxies.clone(),
            limiter: Arc::new(amrutam_redis::Limits::new(cache)),
            digests: index,
        },
        in_flight: InFlight::default(),
        readiness: Readiness::new(probes),
        beat: Beat::default(),
    };
    Ok(Wired { services, postgres, locks, keys, sealer, keys_postgres })
}

/// None where no secret is set: its route is then not there.
fn webhooks(settings: &Payments) -> Result<Vec<Arc<dyn WebhookVerifier>>, WiringError> {
    let Some(secrets) = &settings.webhook_secret else { return Ok(Vec::new()) };
    // The old one beside the new one while it is changed.
    let secrets = secrets.expose().split(' ').filter(|secret| !secret.is_empty());
    let secrets = secrets.map(|secret| secret.to_owned().into()).collect();
    let verifier: Arc<dyn WebhookVerifier> = match settings.gateway {
        GatewayKind::Razorpay => Arc::new(RazorpayWebhooks::new(secrets)?),
        GatewayKind::Stripe => Arc::new(StripeWebhooks::new(secrets)?),
    };
    Ok(vec![verifier])
}

fn limits(http: &Http) -> Limits {
    Limits {
        body_bytes: http.body_limit_bytes,
        body_timeout: Duration::from_secs(http.body_timeout_secs),
        request_timeout: Duration::from_secs(http.request_timeout_secs),
        headers: http.max_headers,
        header_bytes: http.header_limit_bytes,
    }
}

fn state(up: bool) -> DependencyState {
    if up { DependencyState::Up } else { DependencyState::Down }
}

struct Database(Postgres);

#[async_trait]
impl Probe for Database {
    async fn probe(&self) -> Vec<DependencyReport> {
        let up = self.0.ping(DATABASE_PING).await.is_ok();
        vec![DependencyReport { name: Dependency::Database.as_str().to_owned(), state: state(up), required: true }]
    }
}

struct KeysDatabase(Postgres);

#[async_trait]
impl Probe for KeysDatabase {
    async fn probe(&self) -> Vec<DependencyReport> {
        let up = self.0.ping(DATABASE_PING).await.is_ok();
        // Without it, what is sealed of people whose keys are at hand still opens.
        vec![DependencyReport { name: format!("keys-{}", Dependency::Database), state: state(up), required: false }]
    }
}

struct SharedCache(Cache);

#[async_trait]
impl Probe for SharedCache {
    async fn probe(&self) -> Vec<DependencyReport> {
        let name = Dependency::Cache.as_str().to_owned();
        vec![DependencyReport { name, state: state(self.0.is_up()), required: false }]
    }
}

struct LockNodes(RedlockSlots);

#[async_trait]
impl Probe for LockNodes {
    async fn probe(&self) -> Vec<DependencyReport> {
        let nodes = self.0.ping(LOCK_PING).await.into_iter();
        let name = |index| format!("{}-{index}", Dependency::Cache);
        nodes.map(|node| DependencyReport { name: name(node.index), state: state(node.up), required: false }).collect()
    }
}

//! Wiring: the parts of the worker, started together and stopped together.

use crate::{
    Settings, audit, delivery,
    documents::Documents,
    gateway_tasks,
    gateways::{Sms, connect_sms},
    gauges, holds, housekeeping, http,
    notifications::Notifications,
    operations::{Office, Reviews},
    payments::{self, BookingEvents, Departures, PaymentEvents, Payments},
    privacy::{self, Privacy},
    reconciliation, relay, rewrap,
    supervisor::{REST, supervised},
    topology::{consumers, unheard},
};
use amrutam_booking::model::BookingRules;
use amrutam_clinical::ports::RenderError;
use amrutam_crypto::{
    EnvelopeSealer, HmacBlindIndex, HmacLinkTokens, KeyError, Keys, LocalKeks, SystemClock, SystemIds, TokioPause,
    audit_signer,
};
use amrutam_documents::PdfRenderer;
use amrutam_gateways::{Circuit, CircuitPolicy, InvalidGatewaySettings, InvalidSmtpSettings, SmtpMailer, SmtpSettings};
use amrutam_kernel::{EventHandler, PortError};
use amrutam_notifications::model::NoTemplate;
use amrutam_operations::model::ApprovalLimits;
use amrutam_postgres::{Accounts, Clinical, Exports, Held, Postgres, Vault};
use amrutam_rabbitmq::{Consumers, DeadLetters, Parts, Publisher};
use amrutam_telemetry::Telemetry;
use amrutam_tls::TrustError;
use jiff::tz::TimeZone;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// What every part of the worker works with.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) postgres: Postgres,
    pub(crate) accounts: Accounts,
    pub(crate) clinical: Clinical,
    pub(crate) exports: Exports,
    pub(crate) held: Held,
    pub(crate) renderer: Arc<PdfRenderer>,
    pub(crate) publisher: Publisher,
    pub(crate) mailer: Arc<SmtpMailer>,
    pub(crate) sms: Option<Arc<Sms>>,
    pub(crate) link_tokens: Arc<HmacLinkTokens>,
    pub(crate) pages_url: Arc<str>,
    pub(crate) keys: Keys,
    pub(crate) sealer: Arc<EnvelopeSealer>,
    pub(crate) keks: LocalKeks,
    pub(crate) keys_postgres: Postgres,
    pub(crate) approval: Arc<ApprovalLimits>,
    pub(crate) rules: Arc<BookingRules>,
    pub(crate) payments: Arc<Payments>,
    pub(crate) clock: SystemClock,
    pub(crate) ids: SystemIds,
    pub(crate) idle: Duration,
    pub(crate) sweep: Duration,
    pub(crate) audit: Arc<audit::Audit>,
}

/// Why the worker can't be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A setting that no check caught.
    #[error("the database settings can't be used: {}", .0.reason())]
    Database(#[from] PortError),
    /// Keys are missing or unusable.
    #[error("the keys can't be used")]
    Keys(#[from] KeyError),
    /// The mail section.
    #[error("the mail settings can't be used: {0}")]
    Mail(#[from] InvalidSmtpSettings),
    /// The fonts of this build.
    #[error("documents can't be made")]
    Documents(#[from] RenderError),
    /// The payments section.
    #[error("the payment settings can't be used: {0}")]
    Gateway(#[from] InvalidGatewaySettings),
    /// The text settings.
    #[error("the text settings can't be used: {0}")]
    Sms(#[from] NoTemplate),
    /// Whom gateways are known by.
    #[error("certificates of authorities can't be used")]
    Trust(#[from] TrustError),
    /// The business zone.
    #[error("the business time zone is unknown")]
    Zone(#[from] jiff::Error),
    /// The address is taken.
    #[error("can't listen on {address}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
}

/// A worker that is ready to run.
pub struct Worker {
    world: World,
    settings: Settings,
    telemetry: Telemetry,
    listener: std::net::TcpListener,
}

impl Worker {
    /// Binds its listener and prepares its connections; none of the servers needs to be up. Inside a tokio runtime.
    pub fn build(settings: Settings, telemetry: Telemetry) -> Result<Self, BuildError> {
        let address = settings.worker.listen;
        let listener = std::net::TcpListener::bind(address).map_err(|source| BuildError::Listen { address, source })?;
        let ids = SystemIds;
        let payments = Arc::new(Payments::of(&settings.payments, settings.environment)?);
        let keys = settings.tokens.load()?;
        let postgres = Postgres::connect(&settings.database)?;
        let keys_postgres = settings.keys.connect(&postgres)?;
        let sealer = Arc::new(EnvelopeSealer::new(&keys, Arc::new(keys_postgres.clone()), Arc::new(SystemClock))?);
        let vault = Vault::new(sealer.clone(), Arc::new(HmacBlindIndex::new(&keys)?));
        let audit_log = postgres.with_audit_at(settings.audit.url.as_ref())?;
        let zone = TimeZone::get(&settings.business.time_zone)?;
        let accounts = Accounts::new(postgres.clone(), vault.clone());
        let clinical = Clinical::new(postgres.clone(), accounts.clone(), vault.clone());
        let (pool, log) = (postgres.clone(), audit_log.clone());
        let world = World {
            held: Held::new(pool, log, accounts.clone(), clinical.clone(), vault.clone()),
            exports: Exports::new(postgres.clone(), vault),
            clinical,
            accounts,
            renderer: Arc::new(PdfRenderer::new(&*settings.documents.verify_url, zone.clone())?),
            postgres,
            publisher: Publisher::start_with(&settings.amqp, consumers(&payments), unheard(&payments), Arc::new(ids)),
            mailer: Arc::new(SmtpMailer::new(&SmtpSettings::from(&settings.mail))?.guarded(Circuit::new(
                "mail",
                Arc::new(SystemClock),
                CircuitPolicy::STANDARD,
            ))),
            sms: connect_sms(&settings.sms, settings.environment)?.map(Arc::new),
            link_tokens: Arc::new(HmacLinkTokens::new(&keys)?),
            pages_url: settings.mail.pages_url.as_str().into(),
            keks: LocalKeks::new(&keys, Arc::new(SystemClock))?,
            keys: keys.clone(),
            sealer,
            keys_postgres,
            approval: Arc::new(ApprovalLimits::new(settings.business.approval_above.per_currency())),
            rules: Arc::new(BookingRules::v1(zone)),
            payments,
            clock: SystemClock,
            ids,
            idle: Duration::from_millis(settings.worker.idle_ms),
            sweep: Duration::from_millis(settings.worker.sweep_ms),
            audit: Arc::new(audit::Audit {
                log: audit_log,
                signer: audit_signer(&keys, &settings.audit.origin)?,
                rest: Duration::from_millis(settings.audit.seal_ms),
            }),
        };
        Ok(Self { world, settings, telemetry, listener })
    }

    /// Where `/metrics` is served.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Runs until `stop`, then finishes what is under way.
    pub async fn run(self, stop: CancellationToken) {
        let Self { world, settings, telemetry, listener } = self;
        let handlers: Vec<Arc<dyn EventHandler>> = vec![
            Arc::new(Notifications::new(world.clone())),
            Arc::new(Documents::new(world.clone())),
            Arc::new(Privacy::new(world.clone())),
            Arc::new(Reviews::new(world.clone())),
            Arc::new(PaymentEvents(world.clone())),
            Arc::new(BookingEvents(world.clone())),
            Arc::new(Departures(world.clone())),
        ];
        let parts = Parts {
            publisher: world.publisher.clone(),
            ledger: Arc::new(world.postgres.clone()),
            office: Arc::new(Office::new(world.clone())),
            clock: Arc::new(world.clock),
            ids: Arc::new(world.ids),
        };
        let consumers = Consumers::start(&settings.amqp, handlers, &parts, &stop);
        let dead_letters = DeadLetters::start(&settings.amqp, &parts, &stop);
        let tasks = TaskTracker::new();
        start(&tasks, "relay", &world, &stop, relay::run);
        start(&tasks, "delivery", &world, &stop, delivery::run);
        start(&tasks, "holds", &world, &stop, holds::run);
        start(&tasks, "privacy", &world, &stop, privacy::sweep);
        start(&tasks, "gateway-tasks", &world, &stop, gateway_tasks::run);
        start(&tasks, "payment-deadlines", &world, &stop, payments::sweep);
        start(&tasks, "reconciliation", &world, &stop, reconciliation::run);
        start(&tasks, "audit", &world, &stop, audit::run);
        start(&tasks, "housekeeping", &world, &stop, housekeeping::run);
        start(&tasks, "gauges", &world, &stop, gauges::run);
        start(&tasks, "keys", &world, &stop, watch_keys);
        start(&tasks, "destroyed-keys", &world, &stop, watch_destroyed);
        start(&tasks, "rewrap", &world, &stop, rewrap::run);
        tasks.close();
        let health = consumers.watch().and(dead_letters.watch());
        let server = http::serve(listener, world.clone(), health, telemetry, stop.clone());
        tracing::info!(listen = %settings.worker.listen, "worker started");
        server.await;
        consumers.stopped().await;
        dead_letters.stopped().await;
        // Longer than any statement, and than a mail with its reads and its settling as a rule; else its lease ends.
        if tokio::time::timeout(Duration::from_secs(25), tasks.wait()).await.is_err() {
            tracing::warn!("some work was still under way after 25 s");
        }
        world.publisher.close().await;
        world.postgres.close();
        world.keys_postgres.close();
        tracing::info!("worker stopped");
    }
}

fn start<F: Future<Output = ()> + Send + 'static>(
    tasks: &TaskTracker,
    name: &'static str,
    world: &World,
    stop: &CancellationToken,
    run: impl Fn(World, CancellationToken) -> F + Send + 'static,
) {
    let (world, told) = (world.clone(), stop.clone());
    tasks.spawn(supervised(name, stop.clone(), REST, move || run(world.clone(), told.clone())));
}

/// Keys change under a running worker.
async fn watch_keys(world: World, stop: CancellationToken) {
    stop.run_until_cancelled(world.keys.clone().watch(Arc::new(TokioPause))).await;
}

/// Keys of people are destroyed under a running worker.
async fn watch_destroyed(world: World, stop: CancellationToken) {
    stop.run_until_cancelled(world.sealer.clone().watch(Arc::new(TokioPause))).await;
}

/// Rests, or returns `false` when it is time to stop.
pub(crate) async fn rest(stop: &CancellationToken, time: Duration) -> bool {
    tokio::select! {
        () = stop.cancelled() => false,
        () = tokio::time::sleep(time) => true,
    }
}

//! The process: two listeners, one life.

use crate::{
    http::{edge, limit},
    openapi::{self, Document},
    problem::Problem,
    resources,
    services::Services,
    settings::Settings,
    tls::{Handshakes, Termination, TlsError},
    wiring::{WiringError, wire},
};
use actix_web::{
    App, Error, HttpRequest, HttpResponse, HttpServer,
    body::BoxBody,
    dev::{Server, ServiceFactory, ServiceRequest, ServiceResponse},
    middleware::from_fn,
    web::{self, Data},
};
use amrutam_crypto::{EnvelopeSealer, Keys, TokioPause};
use amrutam_postgres::Postgres;
use amrutam_redis::RedlockSlots;
use amrutam_telemetry::{Telemetry, TelemetryError};
use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};
use tokio::net::TcpSocket;
use utoipa_actix_web::AppExt;
use utoipa_swagger_ui::{Config, SwaggerUi};

/// What the operating system queues for us while all workers are busy.
const BACKLOG: u32 = 1_024;
/// Handshakes under way in one thread. The default, 256, is what one caller could hold open for nothing.
const HANDSHAKES: usize = 1_024;
/// A caller who does not close is closed.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Locks that are not given back by then end with their lifetime.
const DRAIN_LIMIT: Duration = Duration::from_secs(2);

/// How long a scrape waits for figures from the database.
const SCRAPE_LIMIT: Duration = Duration::from_millis(500);
/// Logging in is the slow part, and all do it at once.
const WARM_UP_LIMIT: Duration = Duration::from_secs(2);

/// Where the process listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// The API.
    pub http: SocketAddr,
    /// The metrics.
    pub metrics: SocketAddr,
}

/// Why the process can't begin.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Something it works with can't be made.
    #[error(transparent)]
    Wiring(#[from] WiringError),
    /// Metrics can't be collected.
    #[error("metrics can't be collected")]
    Telemetry(#[from] TelemetryError),
    /// TLS can't be spoken.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// An address is taken or not ours.
    #[error("cannot listen on {address} ({setting})")]
    Listen {
        /// Which setting.
        setting: &'static str,
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

/// Why the process ended although nobody asked it to.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A listener can't serve.
    #[error("a listener failed")]
    Server(#[from] io::Error),
    /// A listener ended by itself.
    #[error("the {0} listener ended by itself")]
    Ended(&'static str),
}

/// The whole process, with its listeners bound: connections queue up from here on, [`Application::run`] answers them.
pub struct Application {
    http: TcpListener,
    metrics: TcpListener,
    addresses: Addresses,
    tls: Option<Termination>,
    settings: Settings,
    services: Data<Services>,
    postgres: Postgres,
    locks: RedlockSlots,
    keys: Keys,
    sealer: Arc<EnvelopeSealer>,
    keys_postgres: Postgres,
    telemetry: Telemetry,
}

impl Application {
    /// Wires everything and binds the listeners. Servers that are away do not hinder it.
    ///
    /// # Errors
    /// See [`BuildError`].
    pub async fn build(settings: Settings) -> Result<Self, BuildError> {
        let telemetry = Telemetry::metrics_only()?;
        let tls = Termination::of(&settings.tls)?;
        let wired = wire(&settings).await?;
        warm_up(&wired.postgres, settings.database.pool_size).await;
        let (http, http_addr) = bind("AMRUTAM__HTTP__LISTEN", settings.http.listen)?;
        let (metrics, metrics_addr) = bind("AMRUTAM__HTTP__METRICS_LISTEN", settings.http.metrics_listen)?;
        Ok(Self {
            http,
            metrics,
            addresses: Addresses { http: http_addr, metrics: metrics_addr },
            tls,
            settings,
            services: Data::new(wired.services),
            postgres: wired.postgres,
            locks: wired.locks,
            keys: wired.keys,
            sealer: wired.sealer,
            keys_postgres: wired.keys_postgres,
            telemetry,
        })
    }

    /// Where it listens.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Serves until `shutdown` is ready; then says that it is not ready, waits for balancers to notice, stops accepting,
    /// finishes what is under way, and gives back the locks.
    ///
    /// # Errors
    /// When a listener fails before it was asked to stop.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), RunError> {
        let services = self.services.clone();
        let limit = self.settings.http.shutdown_timeout_secs;
        let grace = Duration::from_millis(self.settings.http.shutdown_grace_ms);
        let (tls, renewal) = self.tls.map(Termination::split).unzip();
        let http = serve(self.http, &self.settings, services.clone(), tls)?;
        let metrics = serve_metrics(self.metrics, self.telemetry, self.postgres.clone())?;
        let (http_handle, metrics_handle) = (http.handle(), metrics.handle());
        let (mut http, mut metrics) = (tokio::spawn(http), tokio::spawn(metrics));
        let renewal = renewal.map(|renewal| tokio::spawn(renewal.run()));
        let keys = tokio::spawn(self.keys.watch(Arc::new(TokioPause)));
        let destroyed = tokio::spawn(self.sealer.watch(Arc::new(TokioPause)));
        tracing::info!(http = %self.addresses.http, tls = renewal.is_some(), metrics = %self.addresses.metrics, "listening");

        let outcome = tokio::select! {
            () = shutdown => Ok(()),
            ended = &mut http => Err(ended_early("API", ended)),
            ended = &mut metrics => Err(ended_early("metrics", ended)),
        };
        tracing::info!("stopping: not ready any more");
        services.readiness.drain();
        if outcome.is_ok() {
            tokio::time::sleep(grace).await;
        }
        // Actix ends its workers after its own limit; the second bound is for the case that it does not.
        if tokio::time::timeout(Duration::from_secs(limit + 1), http_handle.stop(true)).await.is_err() {
            tracing::warn!("requests under way took too long and were cut");
        }
        if !self.locks.drain(DRAIN_LIMIT).await {
            tracing::warn!("some locks were not given back; they end with their lifetime");
        }
        if let Some(renewal) = renewal {
            renewal.abort();
        }
        keys.abort();
        destroyed.abort();
        metrics_handle.stop(false).await;
        self.postgres.close();
        self.keys_postgres.close();
        tracing::info!("stopped");
        outcome
    }
}

/// Opens the pool's connections before the first request needs one: a crowd at a cold process would wait for all of them
/// to log in at once. A server that is away does not hinder the start.
async fn warm_up(postgres: &Postgres, connections: usize) {
    let pings = (0..connections).map(|_| postgres.ping(WARM_UP_LIMIT));
    let opened = futures::future::join_all(pings).await.into_iter().filter(Result::is_ok).count();
    tracing::info!(opened, connections, "database connections");
}

fn ended_early(name: &'static str, ended: Result<io::Result<()>, tokio::task::JoinError>) -> RunError {
    match ended {
        Ok(Err(error)) => error.into(),
        Ok(Ok(())) | Err(_) => RunError::Ended(name),
    }
}

fn bind(setting: &'static str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), BuildError> {
    listen(address).map_err(|source| BuildError::Listen { setting, address, source })
}

/// With a queue of our length: that of the standard library's listener is 128, and actix leaves what it is given as it is.
fn listen(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Else the port of a process that has just ended can't be had for a minute.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    let listener = socket.listen(BACKLOG)?.into_std()?;
    let bound = listener.local_addr()?;
    Ok((listener, bound))
}

fn serve(
    listener: TcpListener,
    settings: &Settings,
    services: Data<Services>,
    tls: Option<Handshakes>,
) -> io::Result<Server> {
    let http = &settings.http;
    let document = Data::new(openapi::document());
    let server = HttpServer::new(move || app(services.clone(), document.clone()))
        .workers(http.workers)
        .client_request_timeout(Duration::from_secs(http.header_timeout_secs))
        .client_disconnect_timeout(DISCONNECT_TIMEOUT)
        .keep_alive(Duration::from_secs(http.keep_alive_secs))
        .shutdown_timeout(http.shutdown_timeout_secs)
        .disable_signals();
    let server = match tls {
        // Over HTTP/1.1 alone: actix would offer HTTP/2 if it were built with it.
        Some(tls) => server
            .max_connection_rate(HANDSHAKES)
            .tls_handshake_timeout(tls.timeout)
            .listen_rustls_0_23(listener, tls.config)?,
        None => server.listen(listener)?,
    };
    Ok(server.run())
}

fn serve_metrics(listener: TcpListener, telemetry: Telemetry, postgres: Postgres) -> io::Result<Server> {
    Ok(HttpServer::new(move || {
        let (postgres, telemetry) = (postgres.clone(), telemetry.clone());
        let metrics = move || {
            let (postgres, telemetry) = (postgres.clone(), telemetry.clone());
            async move {
                measure(&postgres).await;
                HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(telemetry.render())
            }
        };
        App::new()
            .route("/metrics", web::get().to(metrics))
            .route("/metrics", web::head().to(|| async { HttpResponse::Ok().finish() }))
            .route("/healthz", web::get().to(|| async { resources::alive() }))
            .route("/healthz", web::head().to(|| async { HttpResponse::Ok().finish() }))
    })
    .workers(1)
    .shutdown_timeout(1)
    .disable_signals()
    .listen(listener)?
    .run())
}

/// What is looked up when somebody scrapes. A database that is away leaves the outbox's last figures standing.
async fn measure(postgres: &Postgres) {
    if let Ok(Err(error)) = tokio::time::timeout(SCRAPE_LIMIT, postgres.publish_gauges()).await {
        tracing::debug!(%error, reason = error.reason(), "no figures from the database");
    }
}

/// The public listener's application, also for tests.
pub(crate) fn app(
    services: Data<Services>,
    document: Data<Document>,
) -> App<
    impl ServiceFactory<ServiceRequest, Config = (), Response = ServiceResponse<BoxBody>, Error = Error, InitError = ()>,
> {
    // Nothing from the internet: the page and its scripts are in the binary.
    let pages = SwaggerUi::new("/docs/{_:.*}").config(Config::from("/openapi.json"));
    App::new()
        .into_utoipa_app()
        .app_data(services)
        .app_data(document)
        .configure(resources::configure)
        .map(|app| app.service(web::redirect("/docs", "/docs/")).service(pages).default_service(web::to(nothing)))
        .into_app()
        .wrap(from_fn(limit))
        .wrap(from_fn(edge))
}

/// No route took the request.
async fn nothing(request: HttpRequest, document: Data<Document>) -> Result<HttpResponse, Problem> {
    Err(document.routes.refuse(request.path()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpStream;

    /// The system's own bound is higher than ours everywhere but in the smallest containers.
    #[tokio::test]
    async fn a_crowd_queues_up_while_nobody_accepts() {
        let (listener, address) = listen(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let mut crowd = Vec::new();
        while crowd.len() < 400 {
            let arrived = tokio::time::timeout(Duration::from_millis(500), TcpStream::connect(address)).await;
            crowd.push(arrived.unwrap_or_else(|_| panic!("no place for the {}th", crowd.len() + 1)).unwrap());
        }
        drop(listener);
    }
}

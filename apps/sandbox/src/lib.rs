//! # The sandbox: stand-ins for the outside world
//!
//! **This is a fake.** It plays, for development and tests, the services that Amrutam talks to over the network. It
//! has no access control, forgets everything when it stops, and misbehaves on request. Bind it to a loopback address
//! and never run it in production.
//!
//! What it plays today:
//!
//! - [`mail`]: a mail server that delivers nothing. What it accepts is kept in memory and shown on an inbox page and
//!   in a JSON API; it can be told to refuse, to be slow, to be down, or to accept a message and then hang up.
//! - [`sms`]: a provider that carries no texts to telephones. It speaks the part of Exotel's API that sends one, keeps what it
//!   takes, and refuses, is slow, is down or loses its answer as it is told.
//! - [`gateway`]: a payment gateway that moves no money. It speaks Razorpay's dialect, has a checkout page, tells what
//!   happens by signed webhooks, and pays, fails, delays, duplicates, reorders, loses and forges as it is told.
//!
//! ## How to extend it
//! Each stand-in is one module beside [`mail`], with its own state, its own `configure` for its routes and, if it has
//! its own protocol, its own listener. `Sandbox::build` makes its state and binds its listener, `Sandbox::run_until`
//! runs it, and `http::configure` mounts its routes.

#![warn(missing_docs)]

mod clock;
pub mod gateway;
mod http;
pub mod mail;
mod settings;
pub mod sms;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::{App, HttpServer};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

pub use crate::settings::{GatewaySettings, Settings, SettingsError};

use crate::gateway::Gateway;
use crate::mail::MailSink;
use crate::sms::SmsSink;

/// The whole of stopping takes less than this; supervisors are told 5 s.
const STOP_LIMIT: Duration = Duration::from_secs(4);
/// As long as what stands before real services keeps an idle connection (nginx: `keepalive_timeout 75s`): longer than
/// callers keep theirs, so that no request crosses its closing.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How long HTTP requests and SMTP sessions may finish what they are doing.
const STOP_GRACE: Duration = Duration::from_secs(1);

/// The sandbox with its listeners bound: connections queue up from here on, [`Sandbox::run_until`] answers them.
#[derive(Debug)]
pub struct Sandbox {
    http: std::net::TcpListener,
    http_addr: SocketAddr,
    smtp: TcpListener,
    smtp_addr: SocketAddr,
    mail: Arc<MailSink>,
    sms: Arc<SmsSink>,
    gateway: Option<BoundGateway>,
}

#[derive(Debug)]
struct BoundGateway {
    listener: std::net::TcpListener,
    addr: SocketAddr,
    gateway: Arc<Gateway>,
    jobs: mpsc::UnboundedReceiver<gateway::courier::Job>,
}

/// Why the sandbox cannot be built.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} ({setting})")]
pub struct BuildError {
    setting: &'static str,
    address: String,
    source: io::Error,
}

/// Why the sandbox stopped although nobody asked it to.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The HTTP server failed.
    #[error("the HTTP server failed")]
    Http(#[source] io::Error),
    /// A part of the sandbox ended that runs until it is told to stop.
    #[error("the {0} server ended by itself")]
    Ended(&'static str),
}

impl Sandbox {
    /// Binds the listeners.
    ///
    /// # Errors
    /// When an address cannot be resolved or bound.
    pub async fn build(settings: &Settings) -> Result<Self, BuildError> {
        let (http, http_addr) = bind("AMRUTAM__SANDBOX__HTTP_LISTEN", &settings.http_listen).await?;
        let (smtp, smtp_addr) = bind("AMRUTAM__SANDBOX__SMTP_LISTEN", &settings.smtp_listen).await?;
        let smtp = TcpListener::from_std(smtp).map_err(|source| BuildError {
            setting: "AMRUTAM__SANDBOX__SMTP_LISTEN",
            address: settings.smtp_listen.clone(),
            source,
        })?;
        let gateway = match &settings.gateway {
            None => None,
            Some(settings) => {
                let (listener, addr) = bind("AMRUTAM__SANDBOX__GATEWAY_LISTEN", &settings.listen).await?;
                let (gateway, jobs) = Gateway::new(settings);
                Some(BoundGateway { listener, addr, gateway: Arc::new(gateway), jobs })
            }
        };
        let (mail, sms) = (Arc::new(MailSink::new()), Arc::new(SmsSink::new()));
        Ok(Self { http, http_addr, smtp, smtp_addr, mail, sms, gateway })
    }

    /// Where the inbox page and the API are.
    #[must_use]
    pub fn http_addr(&self) -> SocketAddr {
        self.http_addr
    }

    /// Where the mail sink is.
    #[must_use]
    pub fn smtp_addr(&self) -> SocketAddr {
        self.smtp_addr
    }

    /// The mail sink, for tests that run the sandbox in their own process.
    #[must_use]
    pub fn mail(&self) -> Arc<MailSink> {
        Arc::clone(&self.mail)
    }

    /// The provider of texts, for tests that run the sandbox in their own process.
    #[must_use]
    pub fn sms(&self) -> Arc<SmsSink> {
        Arc::clone(&self.sms)
    }

    /// Where the payment gateway is, if there is one.
    #[must_use]
    pub fn gateway_addr(&self) -> Option<SocketAddr> {
        self.gateway.as_ref().map(|bound| bound.addr)
    }

    /// The payment gateway, for tests that run the sandbox in their own process.
    #[must_use]
    pub fn gateway(&self) -> Option<Arc<Gateway>> {
        self.gateway.as_ref().map(|bound| Arc::clone(&bound.gateway))
    }

    /// Serves until `stop` is ready, then finishes within 4 seconds: SMTP sessions are told 421 where they wait,
    /// requests under way may end, the rest is cut.
    ///
    /// # Errors
    /// When a server fails before it was asked to stop.
    pub async fn run_until(self, stop: impl Future<Output = ()>) -> Result<(), RunError> {
        let (mail, sms, control) = (Arc::clone(&self.mail), Arc::clone(&self.sms), self.gateway());
        let app = move || App::new().configure(|config| http::configure(config, &mail, &sms, control.as_ref()));
        let http = HttpServer::new(app)
            .workers(1)
            .disable_signals()
            .keep_alive(KEEP_ALIVE)
            .shutdown_timeout(STOP_GRACE.as_secs())
            .listen(self.http)
            .map_err(RunError::Http)?
            .run();
        let http_handle = http.handle();
        let (stop_tx, stopping) = watch::channel(false);
        let mut http = tokio::spawn(http);
        let mut smtp = tokio::spawn(mail::smtp::serve(self.smtp, self.mail, stopping.clone(), STOP_GRACE));
        let mut gateway = tokio::spawn(run_gateway(self.gateway, stopping));

        let outcome = tokio::select! {
            () = stop => Ok(()),
            ended = &mut http => match ended {
                Ok(Err(error)) => Err(RunError::Http(error)),
                Ok(Ok(())) | Err(_) => Err(RunError::Ended("HTTP")),
            },
            _ = &mut smtp => Err(RunError::Ended("SMTP")),
            _ = &mut gateway => Err(RunError::Ended("gateway")),
        };

        stop_tx.send_replace(true);
        let stopped = async {
            // Whether a part ended well no longer matters, only that it ended.
            let smtp_ended = async { if smtp.is_finished() { Ok(()) } else { (&mut smtp).await } };
            let gateway_ended = async { if gateway.is_finished() { Ok(()) } else { (&mut gateway).await } };
            drop(futures::future::join3(http_handle.stop(true), smtp_ended, gateway_ended).await);
        };
        if tokio::time::timeout(STOP_LIMIT, stopped).await.is_err() {
            tracing::warn!("stopping took too long, what was left is cut");
        }
        http.abort();
        smtp.abort();
        gateway.abort();
        outcome
    }
}

/// The gateway's server and its courier, until told to stop.
async fn run_gateway(bound: Option<BoundGateway>, mut stopping: watch::Receiver<bool>) {
    let Some(BoundGateway { listener, addr, gateway, jobs }) = bound else {
        // Whether told or left alone, there is nothing to do.
        drop(stopping.wait_for(|stopping| *stopping).await);
        return;
    };
    let serving = gateway::serve::serve(listener, addr, Arc::clone(&gateway), stopping, STOP_GRACE);
    let served = tokio::select! {
        served = serving => served,
        () = gateway::courier::run(gateway, jobs) => Ok(()),
    };
    if let Err(error) = served {
        tracing::error!(%error, "the gateway's server failed");
    }
}

async fn bind(setting: &'static str, address: &str) -> Result<(std::net::TcpListener, SocketAddr), BuildError> {
    let bound = async {
        let listener = TcpListener::bind(address).await?;
        let bound = listener.local_addr()?;
        Ok((listener.into_std()?, bound))
    };
    bound.await.map_err(|source| BuildError { setting, address: address.to_owned(), source })
}

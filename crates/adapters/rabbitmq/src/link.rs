//! One connection, and the patience between two of them.

use crate::{settings::Settings, topology::short};
use amrutam_kernel::IdSource;
use amrutam_tls::TrustError;
use lapin::{
    AsyncTcpStream, Connection, ConnectionProperties,
    tcp::{AMQPUriTcpExt, RustlsConnector, TLSConfig},
    uri::{AMQPScheme, AMQPUri},
};
use std::{
    io::{self, ErrorKind},
    net::{Shutdown, TcpStream},
    os::fd::{AsFd, OwnedFd},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

/// Why there is no connection (any more).
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    #[error("the URL is not usable")]
    Url,
    #[error("ca_file {0}")]
    Authorities(#[from] TrustError),
    #[error("no answer in time")]
    Timeout,
    #[error("the consumer was cancelled by the broker")]
    Cancelled,
    #[error("the connection was given up: {0}")]
    GivenUp(String),
    #[error("{0}")]
    Broker(#[from] lapin::Error),
}

pub(crate) async fn connect(settings: &Settings, name: &str) -> Result<Connection, LinkError> {
    let uri = settings.uri().map_err(|_| LinkError::Url)?;
    let tls = match uri.scheme {
        AMQPScheme::AMQP => None,
        AMQPScheme::AMQPS => Some(RustlsConnector::from(settings.trust()?.client_config()?)),
    };
    let limit = settings.connect_timeout();
    let properties = ConnectionProperties::default().with_connection_name(name.into());
    let plug = Plug::default();
    let socket = plug.clone();
    let runtime = lapin::runtime::default_runtime()?;
    let connecting = Connection::connector(
        uri,
        runtime,
        async move |uri, runtime| {
            let opening = async {
                let plain = AMQPUri { scheme: AMQPScheme::AMQP, ..uri.clone() };
                let stream = plain.connect_with_config_async(TLSConfig::default(), &runtime).await?;
                if let AsyncTcpStream::Plain(tcp) = &stream {
                    socket.hold(tcp.get_ref().as_fd().try_clone_to_owned()?)?;
                }
                match &tls {
                    None => Ok(stream),
                    Some(tls) => stream.into_rustls(tls, &uri.authority.host).await,
                }
            };
            let opened: io::Result<_> =
                timeout(limit, opening).await.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()));
            Ok(opened?)
        },
        properties,
    );
    // Also when the caller gives up first.
    let guard = Unplug(plug);
    let connection = timeout(limit, connecting).await.map_err(|_| LinkError::Timeout)??;
    guard.0.release();
    Ok(connection)
}

/// A second handle to the socket of a connection that is being made.
///
/// lapin has no way to give up a handshake: a thread of its own goes on waiting, for ever when the other side is silent.
/// Cutting the socket ends it.
#[derive(Clone, Default)]
struct Plug(Arc<Mutex<Socket>>);

#[derive(Default)]
enum Socket {
    #[default]
    None,
    Open(TcpStream),
    Cut,
}

impl Plug {
    fn hold(&self, socket: OwnedFd) -> io::Result<()> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*held, Socket::Cut) {
            return Err(ErrorKind::TimedOut.into());
        }
        *held = Socket::Open(TcpStream::from(socket));
        Ok(())
    }

    fn release(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Socket::None;
    }
}

struct Unplug(Plug);

impl Drop for Unplug {
    fn drop(&mut self) {
        let mut held = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Socket::Open(socket) = std::mem::replace(&mut *held, Socket::Cut) {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

/// Returns once the connection is down.
pub(crate) async fn down(connection: &Connection) {
    // The status follows the socket and the heartbeats; lapin's event stream also tells of channels and would have to be
    // checked against it anyway.
    while connection.status().connected() {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

pub(crate) async fn close(connection: &Connection) {
    // The broker sees the socket close even when this is not answered.
    let _ = timeout(Duration::from_secs(1), connection.close(200, short("bye"))).await;
}

/// The pause between two connections: doubled from 100 ms to 2 s, half of it jitter. Logs the first failure and then one
/// line in 30 s.
pub(crate) struct Backoff {
    what: String,
    ids: Arc<dyn IdSource>,
    failures: u32,
    last_line: Option<Instant>,
}

impl Backoff {
    const LAST: Duration = Duration::from_secs(2);
    const LINE_EVERY: Duration = Duration::from_secs(30);
    const STABLE_AFTER: Duration = Duration::from_secs(5);

    pub(crate) fn new(what: String, ids: Arc<dyn IdSource>) -> Self {
        Self { what, ids, failures: 0, last_line: None }
    }

    /// Waits, unless told to stop. `held` is how long the connection was usable before.
    pub(crate) async fn failed(&mut self, error: &LinkError, held: Duration, stop: &CancellationToken) {
        // A connection that fails as soon as it is made is no success: the pause goes on growing.
        if held >= Self::STABLE_AFTER {
            self.failures = 0;
            self.last_line = None;
        }
        self.failures = self.failures.saturating_add(1);
        if self.last_line.is_none_or(|line| line.elapsed() >= Self::LINE_EVERY) {
            self.last_line = Some(Instant::now());
            tracing::warn!(connection = %self.what, failures = self.failures, %error, "no connection to the broker, trying on");
        }
        tokio::select! {
            () = tokio::time::sleep(self.pause()) => {}
            () = stop.cancelled() => {}
        }
    }

    fn pause(&self) -> Duration {
        let bound =
            Duration::from_millis(100).saturating_mul(1 << (self.failures.saturating_sub(1)).min(10)).min(Self::LAST);
        let half = bound / 2;
        let jitter = self.ids.below(u64::try_from(half.as_millis()).unwrap_or(u64::MAX).saturating_add(1));
        half.saturating_add(Duration::from_millis(jitter))
    }
}

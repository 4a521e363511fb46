//! The gateway's listener: there, away, there again.

use std::any::Any;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Extensions;
use actix_web::{App, HttpRequest, HttpServer, rt};
use tokio::sync::watch;

use super::{Gateway, api};

/// For the address to be free again.
const REBIND: Duration = Duration::from_millis(50);

/// A second handle on a caller's connection, to cut it under the server.
struct Line(TcpStream);

/// Serves until `stopping` says so; while the gateway plays dead nothing listens, and connections that existed are cut.
pub(crate) async fn serve(
    listener: TcpListener,
    address: SocketAddr,
    gateway: Arc<Gateway>,
    mut stopping: watch::Receiver<bool>,
    grace: Duration,
) -> io::Result<()> {
    let mut listener = Some(listener);
    loop {
        let listening = match listener.take() {
            Some(listening) => listening,
            None => match bind_again(address, &mut stopping).await {
                Some(listening) => listening?,
                None => return Ok(()),
            },
        };
        let shared = Arc::clone(&gateway);
        let server = HttpServer::new(move || App::new().configure(|config| api::configure(config, &shared)))
            .workers(1)
            .disable_signals()
            .keep_alive(crate::KEEP_ALIVE)
            .shutdown_timeout(grace.as_secs())
            .on_connect(remember)
            .listen(listening)?
            .run();
        let handle = server.handle();
        let mut server = tokio::spawn(server);
        let graceful = tokio::select! {
            ended = &mut server => return ended.unwrap_or_else(|error| Err(io::Error::other(error))),
            () = gateway.script.down() => false,
            _ = stopping.wait_for(|stopping| *stopping) => true,
        };
        handle.stop(graceful).await;
        drop(server.await);
        if graceful {
            return Ok(());
        }
        tokio::select! {
            () = gateway.script.up() => {}
            _ = stopping.wait_for(|stopping| *stopping) => return Ok(()),
        }
    }
}

/// Nothing when it is time to stop.
async fn bind_again(address: SocketAddr, stopping: &mut watch::Receiver<bool>) -> Option<io::Result<TcpListener>> {
    loop {
        match tokio::net::TcpListener::bind(address).await {
            Ok(listener) => return Some(listener.into_std()),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            Err(error) => return Some(Err(error)),
        }
        tokio::select! {
            () = tokio::time::sleep(REBIND) => {}
            _ = stopping.wait_for(|stopping| *stopping) => return None,
        }
    }
}

fn remember(connection: &dyn Any, extensions: &mut Extensions) {
    let stream = connection.downcast_ref::<rt::net::TcpStream>();
    if let Some(copy) = stream.and_then(|stream| stream.as_fd().try_clone_to_owned().ok()) {
        extensions.insert(Line(TcpStream::from(copy)));
    }
}

/// Cuts the connection that a request came by: whatever is answered, nobody hears it.
pub(super) fn cut(request: &HttpRequest) {
    if let Some(line) = request.conn_data::<Line>() {
        // It fails when the caller has cut it first, which is as good.
        drop(line.0.shutdown(Shutdown::Both));
    }
}

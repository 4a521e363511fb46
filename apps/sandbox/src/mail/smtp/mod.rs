//! The SMTP side: a strict subset of RFC 5321 without TLS and without authentication.
//!
//! The commands are parsed, and the dots of the messages unstuffed, by Stalwart's `smtp-proto`. The dialogue between
//! them is ours (`dialogue`, which does no input or output), because the servers that exist as crates
//! (`mailin-embedded` and the like) run blocking on a pool of threads, know no size limit, and have no place for the
//! misbehaviour that the sandbox is there for: to wait, to hang up after accepting, to play dead in mid-dialogue.

mod dialogue;

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use self::dialogue::{Dialogue, Step};
use super::MailSink;

/// RFC 5321, 4.5.3.2.7: a server waits at least five minutes for the next command. Pools keep connections idle.
const READ_TIMEOUT: Duration = Duration::from_secs(300);
/// A client that does not take a reply of one line for this long is gone.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// So many connections at a time; a message in each of them must fit in memory.
const MAX_SESSIONS: usize = 512;
/// The pause after a failed accept, which mostly means that the process is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Answers connections until `stopping` turns true, then gives the sessions `grace` to end.
pub(crate) async fn serve(
    listener: TcpListener,
    sink: Arc<MailSink>,
    mut stopping: watch::Receiver<bool>,
    grace: Duration,
) {
    let mut sessions = JoinSet::new();
    loop {
        tokio::select! {
            () = told_to_stop(&mut stopping) => break,
            Some(_) = sessions.join_next(), if !sessions.is_empty() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    sink.count_connection();
                    if sessions.len() < MAX_SESSIONS {
                        sessions.spawn(session(stream, Arc::clone(&sink), stopping.clone()));
                    } else {
                        sink.count_refusal();
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept an SMTP connection");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    let ended = async { while sessions.join_next().await.is_some() {} };
    if timeout(grace, ended).await.is_err() {
        tracing::debug!("SMTP sessions are cut");
    }
    // Dropping the set ends what is left in it.
}

/// Ready when the sandbox stops, also when it went without saying so.
async fn told_to_stop(stopping: &mut watch::Receiver<bool>) {
    drop(stopping.wait_for(|stopping| *stopping).await);
}

/// One connection. Dropping the stream closes it.
async fn session(mut stream: TcpStream, sink: Arc<MailSink>, stopping: watch::Receiver<bool>) {
    tokio::select! {
        biased;
        () = sink.script.down() => sink.count_refusal(),
        ended = converse(&mut stream, &sink, stopping) => {
            if let Err(error) = ended {
                tracing::debug!(%error, "an SMTP connection broke");
            }
        }
    }
}

async fn converse(stream: &mut TcpStream, sink: &Arc<MailSink>, mut stopping: watch::Receiver<bool>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut dialogue = Dialogue::new(Arc::clone(sink));
    let mut input = vec![0; 16 * 1024];
    if perform(stream, dialogue.greet()).await?.is_break() {
        return Ok(());
    }
    loop {
        while let Some(step) = dialogue.step() {
            if perform(stream, step).await?.is_break() {
                return Ok(());
            }
        }
        let last_words = tokio::select! {
            biased;
            () = told_to_stop(&mut stopping) => dialogue.good_bye("4.3.2 the sandbox stops"),
            read = timeout(READ_TIMEOUT, stream.read(&mut input)) => match read {
                Ok(Ok(0)) => return Ok(()),
                Ok(Ok(read)) => {
                    dialogue.feed(input.get(..read).unwrap_or_default());
                    continue;
                }
                Ok(Err(error)) => return Err(error),
                Err(_) => dialogue.good_bye("4.4.2 nothing came for too long"),
            },
        };
        return perform(stream, last_words).await.map(drop);
    }
}

/// Does what the dialogue wants done; breaks when the connection is over.
async fn perform(stream: &mut TcpStream, step: Step) -> io::Result<ControlFlow<()>> {
    match step {
        Step::Cut => Ok(ControlFlow::Break(())),
        Step::Reply { text, delay, close } => {
            if !delay.is_zero() {
                sleep(delay).await;
            }
            timeout(WRITE_TIMEOUT, stream.write_all(text.as_bytes())).await??;
            if close {
                stream.shutdown().await?;
                return Ok(ControlFlow::Break(()));
            }
            Ok(ControlFlow::Continue(()))
        }
    }
}

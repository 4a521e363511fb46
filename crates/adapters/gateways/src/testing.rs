//! A small HTTP server that answers as it is told.

use amrutam_kernel::Clock;
use jiff::Timestamp;
use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

pub(crate) const NOW: i64 = 1_796_028_000;

pub(crate) struct Standing;

impl Clock for Standing {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(NOW).unwrap()
    }
}

/// What the server does with a request.
#[derive(Debug, Clone)]
pub(crate) enum Reaction {
    Answers(u16, &'static str, String),
    HangsUp,
    Waits,
    /// Says that more is coming, and hangs up.
    StopsHalfway,
    /// Sends and sends.
    Floods,
}

#[derive(Default)]
struct Seen {
    requests: Vec<String>,
    reactions: VecDeque<Reaction>,
}

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
}

impl Server {
    pub(crate) async fn start(reactions: impl IntoIterator<Item = Reaction>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Seen { requests: vec![], reactions: reactions.into_iter().collect() }));
        let shared = Arc::clone(&seen);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self { address, seen }
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.seen.lock().unwrap().requests.clone()
    }
}

async fn serve(mut stream: TcpStream, seen: Arc<Mutex<Seen>>) -> Option<()> {
    loop {
        let request = read(&mut stream).await?;
        let reaction = {
            let mut seen = seen.lock().unwrap();
            seen.requests.push(request);
            seen.reactions.pop_front()
        };
        match reaction.unwrap_or(Reaction::Answers(200, "", r#"{"data":[],"has_more":false}"#.to_owned())) {
            Reaction::Answers(status, head, body) => {
                let length = body.len();
                let answer = format!("HTTP/1.1 {status} x\r\nContent-Length: {length}\r\n{head}\r\n{body}");
                stream.write_all(answer.as_bytes()).await.ok()?;
            }
            Reaction::HangsUp => return None,
            Reaction::Waits => std::future::pending().await,
            Reaction::StopsHalfway => {
                stream.write_all(b"HTTP/1.1 200 x\r\nContent-Length: 100\r\n\r\n{").await.ok()?;
                return None;
            }
            Reaction::Floods => {
                stream.write_all(b"HTTP/1.1 200 x\r\n\r\n").await.ok()?;
                loop {
                    stream.write_all(&[b' '; 64 * 1024]).await.ok()?;
                }
            }
        }
    }
}

async fn read(stream: &mut TcpStream) -> Option<String> {
    let mut request = Vec::new();
    loop {
        let mut piece = [0; 4_096];
        let count = stream.read(&mut piece).await.ok().filter(|count| *count > 0)?;
        request.extend(&piece[..count]);
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return Some(text);
            }
        }
    }
}

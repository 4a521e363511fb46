//! As little HTTP/1.1 client as the load needs: one buffer, no header map, keep-alive.

use serde_json::Value;
use std::{io, net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// Longer than the api's own limit, so that what it says is heard.
const PATIENCE: Duration = Duration::from_secs(40);

pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

struct Head {
    status: u16,
    body: usize,
    end: usize,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(4096) })
    }

    /// Status and body. After an error the connection is of no more use.
    pub(crate) async fn send(&mut self, request: &[u8]) -> io::Result<(u16, &[u8])> {
        let head = timeout(PATIENCE, self.exchange(request)).await.map_err(|_| io::ErrorKind::TimedOut)??;
        Ok((head.status, self.buffer.get(head.body..head.end).unwrap_or_default()))
    }

    async fn exchange(&mut self, request: &[u8]) -> io::Result<Head> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            match parse(&self.buffer)? {
                Some(head) if self.buffer.len() >= head.end => return Ok(head),
                _ => {}
            }
        }
    }
}

fn parse(answer: &[u8]) -> io::Result<Option<Head>> {
    let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Ok(None);
    };
    let bad = || io::Error::new(io::ErrorKind::InvalidData, "an answer without status or length");
    let head = answer.get(..end).and_then(|head| str::from_utf8(head).ok()).ok_or_else(bad)?;
    let mut lines = head.split("\r\n");
    let status =
        lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|word| word.parse().ok()).ok_or_else(bad)?;
    let length = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse::<usize>().ok())
        .ok_or_else(bad)?;
    Ok(Some(Head { status, body: end + 4, end: end + 4 + length }))
}

/// One JSON request on a connection of its own, for what is not measured.
pub(crate) async fn once(
    address: SocketAddr,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> io::Result<(u16, Value)> {
    let body = body.map(Value::to_string).unwrap_or_default();
    let kind = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
    let request =
        format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\n{kind}Content-Length: {}\r\n\r\n{body}", body.len());
    let mut connection = Connection::open(address).await?;
    let (status, body) = connection.send(request.as_bytes()).await?;
    Ok((status, serde_json::from_slice(body).unwrap_or(Value::Null)))
}

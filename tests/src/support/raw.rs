//! Bytes over TCP, for what no decent client sends.

use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// A connection to where a client asks.
pub async fn raw_connection(base: &str) -> TcpStream {
    let address = base.strip_prefix("http://").expect("an http URL");
    let stream = TcpStream::connect(address).await.expect("a connection");
    // Each write is a segment of its own: what is cut is what was not written.
    stream.set_nodelay(true).expect("an option");
    stream
}

/// The head of a request with a JSON body, and the body.
pub fn raw_request(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let mut request = format!("{method} {path} HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
    request.into_bytes()
}

/// Sends bytes and reads until the other side closes, or has nothing to say for a while.
pub async fn raw_exchange(base: &str, request: &[u8]) -> String {
    let mut stream = raw_connection(base).await;
    // The answer may come, and the connection end, before everything is sent.
    drop(stream.write_all(request).await);
    let mut answer = Vec::new();
    let mut chunk = [0; 4096];
    while let Ok(Ok(read @ 1..)) = tokio::time::timeout(Duration::from_secs(3), stream.read(&mut chunk)).await {
        answer.extend_from_slice(&chunk[..read]);
    }
    String::from_utf8_lossy(&answer).into_owned()
}

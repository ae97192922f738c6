//! An upstream that keeps its connection and says nothing is taken for gone, and asked anew.

use std::sync::Arc;
use std::time::Duration;

use tenfold_httpkit::streams::Limits;
use tenfold_relay::{Config, Relay};
use tenfold_types::{Clock, Entropy, Timestamp};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(30);

struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp(0)
    }
}

impl Entropy for Still {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}

/// Reads a request; true when it is for the stream.
async fn asks_for_stream(socket: &mut TcpStream) -> bool {
    let mut request = Vec::new();
    let mut piece = [0; 4096];
    while !String::from_utf8_lossy(&request).contains("\r\n\r\n") {
        // one that has had to wait for too long is gone already
        let n = socket.read(&mut piece).await.unwrap_or(0);
        if n == 0 {
            return false;
        }
        request.extend_from_slice(&piece[..n]);
    }
    String::from_utf8_lossy(&request).starts_with("GET /api/client/streaming")
}

#[tokio::test]
async fn a_silent_upstream_is_asked_anew() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let config = Config {
        upstream: format!("http://{}", listener.local_addr().unwrap()),
        tokens: vec!["own".into()],
        data: dir.path().to_owned(),
        limits: Limits::default(),
        silence_max: Duration::from_millis(100),
        clock: Arc::new(Still),
        entropy: Arc::new(Still),
    };
    let stop = CancellationToken::new();
    let (_relay, tasks) = Relay::start(config, &stop).unwrap();
    let mut silent = Vec::new();
    tokio::time::timeout(PATIENCE, async {
        while silent.len() < 2 {
            let (mut socket, _) = listener.accept().await.unwrap();
            if asks_for_stream(&mut socket).await {
                let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
                let _ = socket.write_all(head.as_bytes()).await;
                // Kept open.
                silent.push(socket);
            } else {
                let body = r#"{"tokens":[{"token":"own","type":"client","environment":"production","projects":["*"]}]}"#;
                let answer = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                    body.len()
                );
                let _ = socket.write_all(answer.as_bytes()).await;
            }
        }
    })
    .await
    .expect("the stream is opened a second time");
    stop.cancel();
    drop(listener);
    tasks.wait().await;
}

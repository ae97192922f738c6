//! The streams of flag clients on real sockets: many of them, stalled ones, and clients that must go.

mod common;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use common::World;
use serde_json::{Value, json};
use tenfold_app::Caller;
use tenfold_app::people::{NewToken, TokenKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_util::sync::CancellationToken;

/// Nothing here takes longer unless it never comes.
const PATIENCE: Duration = Duration::from_secs(30);

struct Server {
    world: World,
    address: SocketAddr,
    token: String,
    stop: CancellationToken,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Server {
    async fn start(clients_max: Option<usize>) -> Self {
        let world = match clients_max {
            Some(limit) => common::world_with(|settings| settings.streams.clients_max = limit).await,
            None => common::world().await,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("it works");
        let (address, stop) = (listener.local_addr().expect("it works"), CancellationToken::new());
        tokio::spawn(tenfold_http::server::serve(listener, world.router.clone(), stop.clone()));
        let token = world.token(TokenKind::Client, None).await;
        let server = Self { world, address, token, stop };
        server.put("a", &json!({"environments": {"production": {"enabled": true}}})).await;
        server
    }

    async fn put(&self, key: &str, update: &Value) {
        let update = serde_json::from_value(update.clone()).expect("it works");
        self.world.app.flag_put(&Caller::system(), key, update).await.expect("it works");
    }

    /// Changes the flag so that its description is `mark`.
    async fn mark(&self, mark: &str) {
        self.put("a", &json!({"description": mark})).await;
    }

    async fn connect(&self) -> Stream {
        Stream::over(TcpStream::connect(self.address).await.expect("it works"))
    }

    fn request(&self, version: &str) -> String {
        format!("GET /api/client/streaming HTTP/{version}\r\nHost: x\r\nAuthorization: {}\r\n\r\n", self.token)
    }

    /// A stream that is through its head.
    async fn open(&self) -> Stream {
        let mut stream = self.connect().await;
        stream.send(&self.request("1.1")).await;
        let head = stream.head().await;
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        stream
    }

    async fn metric(&self, name: &str, wanted: impl Fn(f64) -> bool) {
        let until = Instant::now() + PATIENCE;
        while !wanted(self.world.app.metrics.own.get(name, &[])) {
            assert!(Instant::now() < until, "{name} is {}", self.world.app.metrics.own.get(name, &[]));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// A client that reads what a browser would.
struct Stream {
    socket: TcpStream,
    raw: Vec<u8>,
}

impl Stream {
    fn over(socket: TcpStream) -> Self {
        Self { socket, raw: Vec::new() }
    }

    async fn send(&mut self, text: &str) {
        self.socket.write_all(text.as_bytes()).await.expect("it works");
    }

    /// Reads more; 0 at the end.
    async fn more(&mut self) -> usize {
        let mut piece = vec![0; 16 * 1024];
        let read = tokio::time::timeout(PATIENCE, self.socket.read(&mut piece)).await.expect("something comes");
        let n = read.unwrap_or(0);
        self.raw.extend_from_slice(&piece[..n]);
        n
    }

    /// Takes everything up to and with `end`.
    async fn take(&mut self, end: &str) -> String {
        loop {
            if let Some(at) = self.raw.windows(end.len()).position(|w| w == end.as_bytes()) {
                let taken: Vec<u8> = self.raw.drain(..at + end.len()).collect();
                return String::from_utf8(taken).expect("it works");
            }
            assert!(self.more().await > 0, "the connection ended after {:?}", String::from_utf8_lossy(&self.raw));
        }
    }

    async fn head(&mut self) -> String {
        self.take("\r\n\r\n").await
    }

    /// One chunk of the body; empty at its end.
    async fn chunk(&mut self) -> String {
        let size = self.take("\r\n").await;
        let size = usize::from_str_radix(size.trim(), 16).expect("a chunk's size");
        while self.raw.len() < size + 2 {
            assert!(self.more().await > 0, "the connection ended in a chunk");
        }
        let text: Vec<u8> = self.raw.drain(..size).collect();
        assert_eq!(self.raw.drain(..2).collect::<Vec<_>>(), b"\r\n");
        String::from_utf8(text).expect("it works")
    }

    /// The next event: its name and its data. Passes comments and `retry` over.
    async fn event(&mut self) -> (String, String) {
        loop {
            let text = self.chunk().await;
            assert!(!text.is_empty(), "the stream ended");
            let field = |name: &str| text.lines().find_map(|l| l.strip_prefix(name)).map(str::to_owned);
            if let Some(data) = field("data: ") {
                return (field("event: ").unwrap_or_default(), data);
            }
        }
    }

    /// Reads to the end.
    async fn end(mut self) -> String {
        while self.more().await > 0 {}
        String::from_utf8(self.raw).expect("it works")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_parked_and_goes_on() {
    let server = Server::start(None).await;
    let mut stream = server.connect().await;
    // A connection that was used before, and a question that comes right behind another one.
    stream.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(stream.head().await.starts_with("HTTP/1.1 200"));
    stream.take("}").await;
    let both = format!("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n{}", server.request("1.1"));
    stream.send(&both).await;
    assert!(stream.head().await.contains("application/json"));
    stream.take("}").await;

    let head = stream.head().await.to_ascii_lowercase();
    for line in ["http/1.1 200", "content-type: text/event-stream", "transfer-encoding: chunked", "nosniff", "no-cache"]
    {
        assert!(head.contains(line), "{line}: {head}");
    }
    let retry = stream.chunk().await;
    let ms: u64 = retry.trim().strip_prefix("retry: ").and_then(|t| t.parse().ok()).expect("a time to come back");
    assert!((1_000..5_000).contains(&ms), "{ms}");
    let (name, data) = stream.event().await;
    assert_eq!(name, "unleash-connected");
    assert!(data.contains("\"hydration\"") && data.contains("\"a\""), "{data}");
    server.metric("tenfold_streams_parked", |n| n == 1.0).await;

    server.mark("first").await;
    let (name, data) = stream.event().await;
    assert!(name == "unleash-updated" && data.contains("first"), "{name} {data}");
    assert!(data.contains("feature-updated") && !data.contains("hydration"), "only what changed: {data}");
    drop(stream);
    server.metric("tenfold_streams_open", |n| n == 0.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_has_the_newest_is_told_only_what_comes_after() {
    let server = Server::start(None).await;
    let mut first = server.open().await;
    first.chunk().await;
    let text = first.chunk().await;
    let id = text.lines().find_map(|l| l.strip_prefix("id: ")).expect("an id").to_owned();
    let mut again = server.connect().await;
    let request = server.request("1.1").replace("\r\n\r\n", &format!("\r\nLast-Event-ID: {id}\r\n\r\n"));
    again.send(&request).await;
    again.head().await;
    assert!(again.chunk().await.starts_with("retry: "));
    server.mark("later").await;
    let (_, data) = again.event().await;
    assert!(data.contains("later") && !data.contains("hydration"), "{data}");
    // One that missed it is told just that when it comes back.
    let mut missed = server.connect().await;
    missed.send(&request).await;
    missed.head().await;
    let (name, data) = missed.event().await;
    assert!(name == "unleash-connected" && data.contains("later") && !data.contains("hydration"), "{name} {data}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_client_gets_no_chunks_and_a_question_for_the_head_no_stream() {
    let server = Server::start(None).await;
    let mut old = server.connect().await;
    old.send(&server.request("1.0")).await;
    let head = old.head().await.to_ascii_lowercase();
    assert!(!head.contains("transfer-encoding"), "{head}");
    let text = old.take("\n\n").await;
    assert!(text.starts_with("retry: "), "{text}");
    assert!(old.take("\n\n").await.starts_with("event: unleash-connected\n"));
    server.mark("x").await;
    assert!(old.take("\n\n").await.starts_with("event: unleash-updated\n"));

    let mut head_only = server.connect().await;
    head_only.send(&server.request("1.1").replace("GET", "HEAD")).await;
    assert!(head_only.head().await.starts_with("HTTP/1.1 200"));
    head_only.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(head_only.head().await.contains("200"), "the connection is used again");
}

#[tokio::test(flavor = "multi_thread")]
async fn http_2_gets_the_same_events_as_an_ordinary_body() {
    use futures_util::StreamExt;
    let server = Server::start(None).await;
    let socket = TcpStream::connect(server.address).await.unwrap();
    let io = hyper_util::rt::TokioIo::new(socket);
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut sender, connection) = hyper::client::conn::http2::handshake(executor, io).await.unwrap();
    tokio::spawn(connection);
    let request = axum::http::Request::get(format!("http://{}/api/client/streaming", server.address))
        .header("authorization", &server.token)
        .body(axum::body::Body::empty())
        .unwrap();
    let incoming = sender.send_request(request).await.unwrap().into_body();
    let mut body = axum::body::Body::new(incoming).into_data_stream();
    let mut next = async || {
        let piece = tokio::time::timeout(PATIENCE, body.next()).await.unwrap().unwrap().unwrap();
        String::from_utf8(piece.to_vec()).unwrap()
    };
    assert!(next().await.starts_with("retry: "));
    assert!(next().await.starts_with("event: unleash-connected\n"));
    server.mark("second").await;
    let updated = next().await;
    assert!(updated.starts_with("event: unleash-updated\n") && updated.contains("second"), "{updated}");
    server.metric("tenfold_streams_open", |n| n == 1.0).await;
    server.metric("tenfold_streams_parked", |n| n == 0.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_streams_learn_of_a_flip() {
    const STREAMS: usize = 2_000;
    tenfold_http::server::raise_file_limit();
    let server = Server::start(Some(STREAMS + 100)).await;
    let mut streams = Vec::new();
    for _ in 0..STREAMS {
        let mut stream = server.open().await;
        assert_eq!(stream.event().await.0, "unleash-connected");
        streams.push(stream);
    }
    server.metric("tenfold_streams_parked", |n| n == STREAMS as f64).await;
    server.mark("flip").await;
    for stream in &mut streams {
        assert!(stream.event().await.1.contains("flip"));
    }
    server.metric("tenfold_streams_stalled", |n| n == 0.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_reader_holds_nobody_up_and_gets_only_the_newest() {
    const CHANGES: usize = 120;
    let server = Server::start(None).await;
    let bulk = "x".repeat(900);
    // Little room on this side too, so that a part of the changes fills every buffer on the way.
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 * 1024).unwrap();
    let mut stalled = Stream::over(socket.connect(server.address).await.unwrap());
    stalled.send(&server.request("1.1")).await;
    stalled.head().await;
    let mut awake = server.open().await;
    awake.event().await;
    for n in 0..CHANGES {
        server.mark(&format!("mark {n}.{bulk}")).await;
        while !awake.event().await.1.contains(&format!("mark {n}.")) {}
    }
    server.metric("tenfold_streams_stalled", |n| n == 1.0).await;
    let mut seen = Vec::new();
    while seen.last().is_none_or(|data: &String| !data.contains(&format!("mark {}.", CHANGES - 1))) {
        seen.push(stalled.event().await.1);
    }
    assert!(seen.len() < CHANGES, "{} events of {CHANGES}: the rest was never queued", seen.len());
    for data in &seen {
        serde_json::from_str::<Value>(data).expect("each event is whole");
    }
    server.metric("tenfold_streams_stalled", |n| n == 0.0).await;
}

/// A browser's stream carries no token; its address stands for one.
#[tokio::test(flavor = "multi_thread")]
async fn a_browser_s_stream_ends_with_the_token_its_address_stands_for() {
    let server = Server::start(None).await;
    let new = json!({"name": "page", "kind": "frontend", "environment": "production"});
    let new: NewToken = serde_json::from_value(new).unwrap();
    let doomed = server.world.app.token_create(&Caller::system(), new).await.unwrap();
    let address = server.world.app.flag_channel("production", Some(&doomed.token), None);
    let head = |address: &str| format!("GET /ofrep/v1/events?channel={address} HTTP/1.1\r\nhost: x\r\n\r\n");
    let mut going = server.connect().await;
    going.send(&head(&address)).await;
    assert!(going.head().await.starts_with("HTTP/1.1 200"));
    let revoked_at = Instant::now();
    server.world.app.token_revoke(&Caller::system(), &doomed.token.id).await.unwrap();
    let rest = going.end().await;
    assert!(rest.ends_with("0\r\n\r\n"), "it ends in good order: {rest:?}");
    assert!(revoked_at.elapsed() < Duration::from_secs(5), "{:?}", revoked_at.elapsed());
    for wrong in [address.as_str(), "in:production.00000000000000000000000000000000", "in:production", "."] {
        let mut back = server.connect().await;
        back.send(&head(wrong)).await;
        assert!(back.head().await.starts_with("HTTP/1.1 404"), "{wrong}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_ends_closes_its_streams_and_no_others() {
    let server = Server::start(None).await;
    let new = json!({"name": "doomed", "kind": "client", "environment": "production"});
    let new: NewToken = serde_json::from_value(new).unwrap();
    let doomed = server.world.app.token_create(&Caller::system(), new).await.unwrap();
    let mut going = server.connect().await;
    going.send(&server.request("1.1").replace(&server.token, &doomed.secret)).await;
    going.head().await;
    going.event().await;
    let mut staying = server.open().await;
    staying.event().await;
    let revoked_at = Instant::now();
    server.world.app.token_revoke(&Caller::system(), &doomed.token.id).await.unwrap();
    let rest = going.end().await;
    assert!(rest.ends_with("0\r\n\r\n"), "it ends in good order: {rest:?}");
    assert!(revoked_at.elapsed() < Duration::from_secs(5), "{:?}", revoked_at.elapsed());
    server.mark("on").await;
    assert!(staying.event().await.1.contains("on"));
    let mut back = server.connect().await;
    back.send(&server.request("1.1").replace(&server.token, &doomed.secret)).await;
    assert!(back.head().await.starts_with("HTTP/1.1 401"));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_stream_too_many_is_told_when_to_come_again() {
    let server = Server::start(Some(3)).await;
    let mut streams = Vec::new();
    for _ in 0..3 {
        streams.push(server.open().await);
    }
    let refused = async || {
        let mut more = server.connect().await;
        more.send(&server.request("1.1")).await;
        more.head().await.to_ascii_lowercase()
    };
    let mut waits = std::collections::BTreeSet::new();
    for _ in 0..12 {
        let head = refused().await;
        assert!(head.starts_with("http/1.1 503"), "{head}");
        let after = head.lines().find_map(|l| l.strip_prefix("retry-after: ")).expect("a time").trim().to_owned();
        waits.insert(after);
    }
    assert!(waits.len() > 1, "not everybody comes back at once: {waits:?}");
    streams.pop();
    server.metric("tenfold_streams_open", |n| n == 2.0).await;
    server.open().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_clients_get_what_they_get_elsewhere() {
    let server = Server::start(None).await;
    let many = (0..200).fold(String::new(), |head, n| head + &format!("X-{n}: y\r\n"));
    let long = format!("X: {}\r\n", "y".repeat(1 << 20));
    for (head, status) in [
        (server.request("1.1").replace("Host: x\r\n", &format!("Host: x\r\n{many}")), "431"),
        (server.request("1.1").replace("Host: x\r\n", &format!("Host: x\r\n{long}")), "431"),
        (server.request("1.1").replace("HTTP/1.1", "HTTP/9.9"), "400"),
        ("\u{0}\u{1}nonsense\r\n\r\n".to_owned(), "400"),
        (server.request("1.1").replace(&server.token, "guessed"), "401"),
        (server.request("1.1").replace("GET", "POST"), "405"),
    ] {
        let mut client = server.connect().await;
        // The server may hang up in the middle of it.
        let _ = client.socket.write_all(head.as_bytes()).await;
        let answer = client.head().await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{status}: {answer}");
    }
    // A client that talks on while its stream runs is heard for a while, and no longer.
    let mut talker = server.open().await;
    talker.event().await;
    talker.send("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await;
    server.mark("still there").await;
    assert!(talker.event().await.1.contains("still there"));
    while talker.socket.write_all(&[b'x'; 4096]).await.is_ok() {}
    server.metric("tenfold_streams_open", |n| n == 0.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_ends_its_streams() {
    let server = Server::start(None).await;
    let mut stream = server.open().await;
    stream.event().await;
    // It stops, and with it goes the last handle on the router.
    drop(server);
    let rest = stream.end().await;
    assert!(rest.ends_with("0\r\n\r\n"), "{rest:?}");
}

//! Requests a second of processor time: OFREP beside the bare HTTP layer, the frontend API with 350 flags and the client
//! features beside Unleash Edge in offline mode, all in turns in one run.
//!
//! `UNLEASH_EDGE=/path/to/unleash-edge cargo run --release -p tenfold-http --example flag_bench [SECONDS]`; without the
//! variable its lines are left out. Each server is a process of its own, so that its processor time is its own, and
//! every one is asked by the same client over the same number of connections that are kept open. Times of one round are
//! short: what counts is the ratio, whatever else the machine does.

#[path = "../tests/common/mod.rs"]
mod common;

use std::convert::Infallible;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::{get, post};
use bytes::Bytes;
use serde_json::{Value, json};
use tenfold_app::Caller;
use tenfold_app::flags::FlagImport;
use tenfold_app::people::TokenKind;
use tenfold_http::{Front, server};
use tokio_util::sync::CancellationToken;
use tower::Service;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const FLAGS: usize = 350;
const CONNECTIONS: usize = 32;
const ROUNDS: usize = 5;
/// With less the client, and not the server, would be what is measured on large answers.
const READ_BYTES: usize = 256 << 10;
const ANSWER_BYTES_MAX: usize = 4 << 20;
const EDGE_START: Duration = Duration::from_secs(20);

fn main() -> Outcome<()> {
    let mut args = std::env::args().skip(1);
    match args.next().as_deref() {
        Some("--ours") => serve(ours),
        Some("--bare") => serve(bare),
        seconds => compare(Duration::from_secs_f64(seconds.map_or(Ok(2.0), str::parse)?)),
    }
}

fn compare(round: Duration) -> Outcome<()> {
    let dir = tempfile::tempdir()?;
    let ours = Far::of_this_program("--ours")?;
    let bare = Far::of_this_program("--bare")?;
    let edge =
        std::env::var_os("UNLEASH_EDGE").map(|program| Far::edge(Path::new(&program), dir.path())).transpose()?;
    let sides = Sides { ours: &ours, bare: &bare, edge: edge.as_ref(), round };
    println!(
        "requests a second of the server's processor time, {FLAGS} flags, {CONNECTIONS} connections, medians of {ROUNDS} rounds"
    );
    let context = json!({"context": {"targetingKey": "user-7", "plan": "pro", "email": "a@example.com", "age": "30"}});
    let query = "/api/frontend?userId=user-7&properties[plan]=pro&properties[email]=a%40example.com&properties[age]=30";
    sides.show("OFREP, one flag", Ask::Client, Some("/bare"), &|secret| {
        request("POST", "/ofrep/v1/evaluate/flags/flag-00006", secret, &context.to_string(), "")
    })?;
    sides.show("OFREP, every flag", Ask::Client, None, &|secret| {
        request("POST", "/ofrep/v1/evaluate/flags", secret, &context.to_string(), "")
    })?;
    sides.show("/api/frontend", Ask::Frontend, None, &|secret| request("GET", query, secret, "", ""))?;
    sides.show("/api/client/features", Ask::Client, Some("/document"), &|secret| {
        request("GET", "/api/client/features", secret, "", "")
    })?;
    sides.show("/api/client/features, gzip", Ask::Client, None, &|secret| {
        request("GET", "/api/client/features", secret, "", "Accept-Encoding: gzip\r\n")
    })
}

fn request(method: &str, path: &str, secret: &str, body: &str, headers: &str) -> Vec<u8> {
    let bytes = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {secret}\r\nContent-Type: application/json\r\n\
         {headers}Content-Length: {bytes}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// Which token a request bears.
#[derive(Clone, Copy)]
enum Ask {
    Client,
    Frontend,
}

struct Sides<'a> {
    ours: &'a Far,
    bare: &'a Far,
    edge: Option<&'a Far>,
    round: Duration,
}

impl Sides<'_> {
    /// Asks all that know the question, in turns.
    fn show(&self, what: &str, ask: Ask, bare: Option<&str>, build: &dyn Fn(&str) -> Vec<u8>) -> Outcome<()> {
        let secret = |far: &Far| match ask {
            Ask::Client => far.client.clone(),
            Ask::Frontend => far.frontend.clone(),
        };
        let mut questions = vec![("tenfold", self.ours, build(&secret(self.ours)))];
        if let Some(path) = bare {
            let method = if path == "/bare" { "POST" } else { "GET" };
            let body = if path == "/bare" { "{\"context\":{\"targetingKey\":\"user-7\"}}" } else { "" };
            questions.push(("bare HTTP layer", self.bare, request(method, path, "none", body, "")));
        }
        if let Some(edge) = self.edge.filter(|_| !what.starts_with("OFREP")) {
            questions.push(("Unleash Edge", edge, build(&secret(edge))));
        }
        let mut rates = vec![Vec::new(); questions.len()];
        let mut sizes = vec![0; questions.len()];
        for _ in 0..ROUNDS {
            for (i, (_, far, question)) in questions.iter().enumerate() {
                let (rate, bytes) = far.load(question, self.round)?;
                rates[i].push(rate);
                sizes[i] = bytes;
            }
        }
        let medians: Vec<f64> = rates.into_iter().map(median).collect();
        for (i, (name, ..)) in questions.iter().enumerate() {
            let ratio = medians[0] / medians[i];
            println!("{what:<28} {name:<16} {:>9.0} /s {:>8} B  {ratio:>6.2}", medians[i], sizes[i]);
        }
        Ok(())
    }
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}

/// A server in a process of its own.
struct Far {
    child: Child,
    address: SocketAddr,
    client: String,
    frontend: String,
}

impl Drop for Far {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Far {
    /// This program again; it prints its address and its tokens.
    fn of_this_program(kind: &str) -> Outcome<Self> {
        let mut child = Command::new(std::env::current_exe()?).arg(kind).stdout(Stdio::piped()).spawn()?;
        let mut lines = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
        let mut line = || -> Outcome<String> { Ok(lines.next().ok_or("the server ended")??) };
        Ok(Self { address: line()?.parse()?, client: line()?, frontend: line()?, child })
    }

    fn edge(program: &Path, dir: &Path) -> Outcome<Self> {
        let file = dir.join("features.json");
        fs::write(&file, document().to_string())?;
        let port = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let (client, frontend) = ("*:production.client", "*:production.frontend");
        let child = Command::new(program)
            .args(["--port", &port.to_string(), "offline", "--client-tokens", client, "--frontend-tokens", frontend])
            .arg("--bootstrap-file")
            .arg(&file)
            .stdout(Stdio::null())
            .spawn()?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let far = Self { child, address, client: client.into(), frontend: frontend.into() };
        let deadline = Instant::now() + EDGE_START;
        while TcpStream::connect(address).is_err() {
            if Instant::now() > deadline {
                return Err("Unleash Edge did not start".into());
            }
            std::thread::yield_now();
        }
        Ok(far)
    }

    /// User and system time.
    fn cpu(&self) -> Outcome<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let after_name = stat.rsplit_once(')').ok_or("no name in stat")?.1;
        let ticks = |n: usize| after_name.split_whitespace().nth(n).and_then(|t| t.parse::<u64>().ok());
        let (user, system) = ticks(11).zip(ticks(12)).ok_or("no times in stat")?;
        Ok(Duration::from_millis((user + system) * 10))
    }

    /// Answers a second of processor time, and the size of one.
    fn load(&self, question: &[u8], round: Duration) -> Outcome<(f64, usize)> {
        let open = || -> Outcome<Connection> { Connection::open(self.address) };
        let mut connections = (0..CONNECTIONS).map(|_| open()).collect::<Outcome<Vec<_>>>()?;
        let (mut answers, mut bytes, mut started) = (0u64, 0, None);
        let deadline = Instant::now() + round;
        while Instant::now() < deadline {
            for connection in &mut connections {
                connection.stream.write_all(question)?;
            }
            for connection in &mut connections {
                bytes = connection.answer()?;
            }
            // The first turn warms up.
            match &started {
                None => started = Some(self.cpu()?),
                Some(_) => answers += CONNECTIONS as u64,
            }
        }
        let spent = self.cpu()?.saturating_sub(started.ok_or("the round was too short")?);
        Ok((answers as f64 / spent.as_secs_f64(), bytes))
    }
}

struct Connection {
    stream: TcpStream,
    chunk: Box<[u8]>,
    buffer: Vec<u8>,
}

impl Connection {
    fn open(address: SocketAddr) -> Outcome<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        Ok(Self { stream, chunk: vec![0; READ_BYTES].into(), buffer: Vec::new() })
    }

    /// Reads one whole answer, gives the size of its body, and fails unless it is 200.
    fn answer(&mut self) -> Outcome<usize> {
        self.buffer.clear();
        loop {
            let read = self.stream.read(&mut self.chunk)?;
            if read == 0 || self.buffer.len() > ANSWER_BYTES_MAX {
                return Err("the server closed the connection, or answers without end".into());
            }
            self.buffer.extend_from_slice(&self.chunk[..read]);
            let Some(head) = self.buffer.windows(4).position(|w| w == b"\r\n\r\n") else { continue };
            let text = str::from_utf8(&self.buffer[..head])?.to_ascii_lowercase();
            if !text.starts_with("http/1.1 200") {
                return Err(format!("not answered: {text}\n{}", String::from_utf8_lossy(&self.buffer[head..])).into());
            }
            let header = |name: &str| text.lines().find_map(|l| l.strip_prefix(name)).map(str::trim);
            let body = &self.buffer[head + 4..];
            match header("content-length:") {
                Some(length) if body.len() == length.parse::<usize>()? => return Ok(body.len()),
                None if body.ends_with(b"0\r\n\r\n") => return Ok(body.len()),
                _ => {}
            }
        }
    }
}

/// What a server is made of: its routes, and the tokens for clients and browsers.
struct Served<S> {
    routes: S,
    tokens: [String; 2],
    _kept: Option<common::World>,
}

fn serve<S, F>(make: impl Fn() -> F) -> Outcome<()>
where
    S: Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static,
    F: Future<Output = Outcome<Served<S>>>,
{
    server::raise_file_limit();
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let served = make().await?;
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        println!("{}\n{}\n{}", listener.local_addr()?, served.tokens[0], served.tokens[1]);
        server::serve(listener, served.routes.clone(), CancellationToken::new()).await;
        Ok(())
    })
}

/// The listener with its limits and a handler that takes the body and copies an answer, as large as the real one.
async fn bare() -> Outcome<Served<Router>> {
    let one = Bytes::from_static(&[b' '; 180]);
    let all = Bytes::from(document().to_string());
    let router = Router::new()
        .route("/bare", post(move |body: Bytes| async move { if body.is_empty() { Bytes::new() } else { one } }))
        .route("/document", get(move || async move { all }));
    Ok(Served { routes: router, tokens: ["none".into(), "none".into()], _kept: None })
}

async fn ours() -> Outcome<Served<Front>> {
    let world = common::world().await;
    let import = FlagImport {
        document: document(),
        format: None,
        environment: Some("production".into()),
        project: None,
        dry_run: false,
        allow_rebucketing: false,
    };
    let report = world.app.flag_import(&Caller::system(), import).await.map_err(|f| f.to_string())?;
    if report.created.len() != FLAGS {
        return Err(format!("{report:?}").into());
    }
    let tokens = [world.token(TokenKind::Client, None).await, world.token(TokenKind::Frontend, None).await];
    Ok(Served { routes: world.router.clone(), tokens, _kept: Some(world) })
}

/// Rollouts, four of five with a constraint, variants on every seventh.
fn document() -> Value {
    let features: Vec<Value> = (0..FLAGS).map(feature).collect();
    json!({"version": 2, "features": features, "segments": []})
}

fn feature(i: usize) -> Value {
    let name = format!("flag-{i:05}");
    let constraints = match i % 5 {
        0 => json!([]),
        1 => json!([{"contextName": "plan", "operator": "IN", "values": ["pro", "team", "free"]}]),
        2 => json!([{"contextName": "email", "operator": "STR_ENDS_WITH", "values": ["@example.com"]}]),
        3 => json!([{"contextName": "age", "operator": "NUM_LT", "value": "99"}]),
        _ => json!([{"contextName": "age", "operator": "NUM_GT", "value": "18"}]),
    };
    let parameters = json!({"rollout": (i * 7 % 101).to_string(), "stickiness": "default", "groupId": name});
    let strategy = json!({"name": "flexibleRollout", "parameters": parameters, "constraints": constraints});
    let variants = if i.is_multiple_of(7) {
        json!([{"name": "a", "weight": 500, "weightType": "variable"}, {"name": "b", "weight": 500, "weightType": "variable"}])
    } else {
        json!([])
    };
    json!({"name": name, "type": "release", "project": "default", "enabled": true, "strategies": [strategy], "variants": variants})
}

//! Streams beside a bare loop of `write(2)` over as many sockets, in one run: processor time for a client and a change, the
//! time until the last client has it, memory for an idle stream, and what stalled readers cost.
//!
//! Two processes: this one is the clients, and it starts itself again as the server, so that each side's processor time
//! and memory are its own. Usage: `stream_bench [CLIENTS] [CHANGES]`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::socket::{setsockopt, sockopt::SndBuf};
use parking_lot::Mutex;
use tenfold_httpkit::server;
use tenfold_httpkit::streams::{Limits, News, Opening, Streams, Subscription, Told, Topic, event};
use tokio_util::sync::CancellationToken;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const PAYLOAD_BYTES: usize = 1_000;
const STALLED: usize = 300;
const STALLED_CHANGES: usize = 4_000;

fn main() -> Outcome<()> {
    server::raise_file_limit();
    let mut args = std::env::args().skip(1);
    let first = args.next();
    if first.as_deref() == Some("--server") {
        return serve();
    }
    let clients = first.map_or(Ok(10_000), |a| a.parse())?;
    let changes = args.next().map_or(Ok(100), |a| a.parse())?;
    let mut far = Far::start()?;
    println!("{clients} clients, {changes} changes of {PAYLOAD_BYTES} bytes, medians of 3 rounds");
    let (mut bare, mut parked) = (Vec::new(), Vec::new());
    let (plain, http) = (far.bare, far.parked);
    for _ in 0..3 {
        bare.push(round(&mut far, plain, false, clients, changes)?);
        parked.push(round(&mut far, http, true, clients, changes)?);
    }
    show("bare write loop", &mut bare);
    show("parked streams", &mut parked);
    stalled(&mut far)?;
    Ok(())
}

struct Round {
    cpu_us: f64,
    p50: Duration,
    p99: Duration,
    rss_bytes: f64,
}

fn show(name: &str, rounds: &mut [Round]) {
    let mut median = |of: fn(&Round) -> f64| -> f64 {
        rounds.sort_by(|a, b| of(a).total_cmp(&of(b)));
        of(&rounds[rounds.len() / 2])
    };
    println!(
        "{name:16} {:6.2} us of server CPU a client and change; last client p50 {:6.1} ms, p99 {:6.1} ms; {:6.0} B of RSS a client",
        median(|r| r.cpu_us),
        median(|r| r.p50.as_secs_f64() * 1e3),
        median(|r| r.p99.as_secs_f64() * 1e3),
        // Later rounds find the memory of the first one again.
        rounds.iter().map(|r| r.rss_bytes).fold(0.0, f64::max),
    );
}

/// The server process, and how it is told what to do.
struct Far {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    bare: SocketAddr,
    parked: SocketAddr,
}

impl Drop for Far {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Far {
    fn start() -> Outcome<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("--server")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let orders = child.stdin.take().ok_or("no stdin")?;
        let mut answers = BufReader::new(child.stdout.take().ok_or("no stdout")?);
        let mut text = String::new();
        answers.read_line(&mut text)?;
        let bare = text.trim().parse()?;
        text.clear();
        answers.read_line(&mut text)?;
        let parked = text.trim().parse()?;
        Ok(Self { child, orders, answers, bare, parked })
    }

    /// Gives the numbers of the answer.
    fn ask(&mut self, order: &str) -> Outcome<Vec<f64>> {
        writeln!(self.orders, "{order}")?;
        let mut text = String::new();
        self.answers.read_line(&mut text)?;
        Ok(text.split_whitespace().map(str::parse).collect::<Result<_, _>>()?)
    }
}

fn round(far: &mut Far, address: SocketAddr, http: bool, clients: usize, changes: usize) -> Outcome<Round> {
    let before = far.ask("usage")?;
    let mut crowd = Crowd::new()?;
    for _ in 0..clients {
        crowd.join(address, http)?;
    }
    while far.ask(if http { "parked-settled" } else { "bare-settled" })? != [clients as f64] {
        std::thread::yield_now();
    }
    let opened = far.ask("usage")?;
    let mut times = Vec::new();
    for _ in 0..changes {
        let at = Instant::now();
        far.ask(if http { "parked" } else { "bare" })?;
        crowd.wait_for_all()?;
        times.push(at.elapsed());
    }
    let after = far.ask("usage")?;
    times.sort();
    drop(crowd);
    far.ask("forget")?;
    Ok(Round {
        cpu_us: (after[0] - opened[0]) / (clients * changes) as f64,
        p50: times[times.len() / 2],
        p99: times[times.len() * 99 / 100],
        rss_bytes: (opened[1] - before[1]) / clients as f64,
    })
}

fn stalled(far: &mut Far) -> Outcome<()> {
    let before = (far.ask("usage")?[1], tcp_bytes()?);
    let mut sockets = Vec::new();
    for _ in 0..STALLED {
        sockets.push(connect(far.parked, true)?);
    }
    // As fast as one reader takes them, so that not everything falls together into one.
    let mut awake = Crowd::new()?;
    awake.join(far.parked, true)?;
    for _ in 0..STALLED_CHANGES {
        far.ask("parked")?;
        awake.wait_for_all()?;
    }
    println!("{} of {STALLED} are stalled", far.ask("stalled-settled")?[0]);
    let after = (far.ask("usage")?[1], tcp_bytes()?);
    println!(
        "{STALLED} readers that read nothing, {STALLED_CHANGES} changes: {:.1} MB of RSS, {:.1} MB of kernel TCP memory (both ends of the loopback)",
        (after.0 - before.0) / 1e6,
        (after.1 - before.1) / 1e6,
    );
    Ok(())
}

/// What all TCP sockets of this machine hold.
fn tcp_bytes() -> Outcome<f64> {
    let text = std::fs::read_to_string("/proc/net/sockstat")?;
    let line = text.lines().find(|l| l.starts_with("TCP:")).ok_or("no TCP")?;
    let pages: f64 = line.rsplit(' ').next().ok_or("no number")?.parse()?;
    Ok(pages * 4096.0)
}

fn connect(address: SocketAddr, http: bool) -> Outcome<TcpStream> {
    let mut socket = TcpStream::connect(address)?;
    if http {
        socket.write_all(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")?;
    }
    Ok(socket)
}

/// Many clients, read by one thread.
struct Crowd {
    epoll: Epoll,
    sockets: Vec<TcpStream>,
    /// Bytes each has got since the last change.
    got: Vec<usize>,
}

impl Crowd {
    fn new() -> Outcome<Self> {
        Ok(Self { epoll: Epoll::new(EpollCreateFlags::empty())?, sockets: Vec::new(), got: Vec::new() })
    }

    fn join(&mut self, address: SocketAddr, http: bool) -> Outcome<()> {
        let mut socket = connect(address, http)?;
        if http {
            // Through head, `retry` and the first event.
            let (mut seen, mut piece) = (Vec::new(), [0; 4096]);
            while !seen.ends_with(b"END\n\n\r\n") {
                let n = socket.read(&mut piece)?;
                if n == 0 {
                    return Err("the stream ended".into());
                }
                seen.extend_from_slice(&piece[..n]);
            }
        }
        socket.set_nonblocking(true)?;
        self.epoll.add(&socket, EpollEvent::new(EpollFlags::EPOLLIN, self.sockets.len() as u64))?;
        self.sockets.push(socket);
        self.got.push(0);
        Ok(())
    }

    /// Reads until every client has the whole change.
    fn wait_for_all(&mut self) -> Outcome<()> {
        self.got.fill(0);
        let mut missing = self.sockets.len();
        let mut events = vec![EpollEvent::empty(); 1024];
        let mut piece = [0; 4096];
        while missing > 0 {
            let count = self.epoll.wait(&mut events, EpollTimeout::try_from(Duration::from_secs(20))?)?;
            if count == 0 {
                return Err(format!("{missing} clients wait for 20 s").into());
            }
            for event in &events[..count] {
                let at = event.data() as usize;
                let n = (&self.sockets[at]).read(&mut piece)?;
                let before = self.got[at];
                // A comment that keeps the stream alive is short.
                self.got[at] += if n < 20 { 0 } else { n };
                missing -= usize::from(before < PAYLOAD_BYTES && self.got[at] >= PAYLOAD_BYTES);
            }
        }
        Ok(())
    }
}

// The server's side.

struct Said(u64);

impl News for Said {
    fn version(&self) -> Arc<str> {
        self.0.to_string().into()
    }
    fn revision(&self) -> u64 {
        self.0
    }
    fn text(&self, _: &Told) -> String {
        event(Some("change"), &self.0.to_string(), &format!("{}END", "x".repeat(PAYLOAD_BYTES)))
    }
}

#[derive(Clone)]
struct Site {
    streams: Arc<Streams>,
    topic: Arc<Topic>,
}

async fn stream(State(site): State<Site>, opening: Opening) -> Response {
    site.streams.open(opening, Subscription { topic: site.topic.clone(), since: None, gate: None })
}

fn serve() -> Outcome<()> {
    let bare = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let parked = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    println!("{}\n{}", bare.local_addr()?, parked.local_addr()?);
    parked.set_nonblocking(true)?;
    let crowd = Arc::new(Mutex::new(Vec::new()));
    let arriving = crowd.clone();
    std::thread::spawn(move || -> std::io::Result<()> {
        for socket in bare.incoming() {
            let socket = socket?;
            socket.set_nonblocking(true)?;
            socket.set_nodelay(true)?;
            setsockopt(&socket, SndBuf, &Limits::default().send_buffer_bytes)?;
            arriving.lock().push(socket);
        }
        Ok(())
    });
    let streams = Streams::new(Limits::default())?;
    let topic = streams.topic("bench", || Arc::new(Said(0)), |_| {})?;
    let router = Router::new().route("/stream", get(stream));
    let router = router.with_state(Site { streams: streams.clone(), topic: topic.clone() });
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.spawn(async move {
        if let Ok(listener) = tokio::net::TcpListener::from_std(parked) {
            server::serve(listener, router, CancellationToken::new()).await;
        }
    });
    let text = Said(0).text(&Told { opening: false, since: None });
    let mut version = 0;
    for line in std::io::stdin().lines() {
        match line?.as_str() {
            "usage" => println!("{} {}", cpu_us()?, rss_bytes()?),
            "bare-settled" => println!("{}", crowd.lock().len()),
            "parked-settled" => println!("{}", streams.stats().parked),
            "stalled-settled" => println!("{}", streams.stats().stalled),
            "bare" => {
                for mut socket in &*crowd.lock() {
                    socket.write_all(text.as_bytes())?;
                }
                println!("0");
            }
            "parked" => {
                version += 1;
                topic.publish(Arc::new(Said(version)));
                println!("0");
            }
            "forget" => {
                crowd.lock().clear();
                while streams.stats().parked > 0 {
                    std::thread::yield_now();
                }
                println!("0");
            }
            other => return Err(format!("unknown order {other}").into()),
        }
    }
    Ok(())
}

fn cpu_us() -> Outcome<f64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let us = |t: nix::sys::time::TimeVal| t.tv_sec() as f64 * 1e6 + t.tv_usec() as f64;
    Ok(us(usage.user_time()) + us(usage.system_time()))
}

fn rss_bytes() -> Outcome<f64> {
    let pages = std::fs::read_to_string("/proc/self/statm")?;
    Ok(pages.split(' ').nth(1).ok_or("no RSS")?.parse::<f64>()? * 4096.0)
}

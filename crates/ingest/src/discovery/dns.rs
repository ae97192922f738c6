//! Targets by name: SRV records, or addresses, mail hosts and name servers with a port.
//!
//! The servers are those of the settings, or those of `/etc/resolv.conf`, whose `search` counts as well. A question goes out
//! over UDP; an answer that did not fit is asked for again over TCP.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tenfold_app::App;
use tenfold_protocols::dns::{Answer, Kind, Record, answer, question};
use tenfold_scrape::{DnsSd, Group, RecordType};
use tenfold_types::{Entropy, Labels};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio_util::sync::CancellationToken;

use super::Trouble;

const KIND: &str = "dns_sd";
/// How long a server is waited for.
const WITHIN: Duration = Duration::from_secs(3);
/// Each server is asked so often.
const ATTEMPTS: usize = 2;
const DATAGRAM_BYTES_MAX: usize = 4_096;
/// `ndots` of the machine's resolver unless its file says otherwise, and the most that counts.
const DOTS_MIN: usize = 1;
const DOTS_MOST: usize = 15;

fn place(sd: &DnsSd, name: &str) -> String {
    format!("{KIND} {:?} {name} {}", sd.kind, sd.port)
}

pub(super) fn looks(all: &[DnsSd], from: &str) -> bool {
    all.iter().any(|sd| sd.names.iter().any(|name| place(sd, name) == from))
}

pub(super) async fn follow(app: App, job: String, sd: DnsSd, stop: CancellationToken) {
    let mut tick = tokio::time::interval(Duration::from_millis(sd.refresh_ms));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut trouble = Trouble::default();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        let resolver = Resolver::of(&app).await;
        for name in &sd.names {
            let from = place(&sd, name);
            let found = tokio::select! {
                () = stop.cancelled() => return,
                found = resolver.look_up(&*app.entropy, name, sd.kind) => found,
            };
            match found {
                Ok(records) => {
                    trouble.ends(&from);
                    app.metrics.set_found(&job, &from, vec![group(&sd, name, &records)]);
                }
                Err(reason) => trouble.fails(&app, &job, KIND, &from, reason),
            }
        }
    }
}

fn group(sd: &DnsSd, name: &str, records: &[Record]) -> Group {
    let one = |record: &Record| {
        let mut labels = Labels::new();
        match record {
            Record::A(ip) => labels.set("__address__", format!("{ip}:{}", sd.port)),
            Record::Aaaa(ip) => labels.set("__address__", format!("[{ip}]:{}", sd.port)),
            Record::Mx(target) => {
                labels.set("__address__", format!("{target}:{}", sd.port));
                labels.set("__meta_dns_mx_record_target", format!("{target}."));
            }
            Record::Ns(target) => {
                labels.set("__address__", format!("{target}:{}", sd.port));
                labels.set("__meta_dns_ns_record_target", format!("{target}."));
            }
            Record::Srv { target, port } => {
                labels.set("__address__", format!("{target}:{port}"));
                labels.set("__meta_dns_srv_record_target", format!("{target}."));
                labels.set("__meta_dns_srv_record_port", port.to_string());
            }
        }
        labels
    };
    // The root as a host says that there is none (RFC 2782, RFC 7505).
    let has_host = |record: &&Record| match record {
        Record::A(_) | Record::Aaaa(_) => true,
        Record::Mx(host) | Record::Ns(host) | Record::Srv { target: host, .. } => !host.is_empty(),
    };
    let targets = records.iter().filter(has_host).map(one).collect();
    Group { targets, labels: Labels::from_pairs([("__meta_dns_name", name)]) }
}

struct Resolver {
    servers: Vec<SocketAddr>,
    search: Vec<String>,
    /// A name with so many dots is tried as it is before the searched domains: in a cluster `web.dev` is a service there, and
    /// not a site of somebody else's.
    dots_min: usize,
}

impl Resolver {
    async fn of(app: &App) -> Self {
        let servers = &app.settings.metrics.dns_servers;
        if !servers.is_empty() {
            return Self { servers: servers.clone(), search: Vec::new(), dots_min: DOTS_MIN };
        }
        Self::from_text(&tokio::fs::read_to_string("/etc/resolv.conf").await.unwrap_or_default())
    }

    /// As the machine's own resolver reads the file.
    fn from_text(text: &str) -> Self {
        let mut out = Self { servers: Vec::new(), search: Vec::new(), dots_min: DOTS_MIN };
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("nameserver") => {
                    let address = words.next().and_then(|w| w.parse::<IpAddr>().ok());
                    out.servers.extend(address.map(|ip| SocketAddr::new(ip, 53)));
                }
                Some("search" | "domain") => out.search = words.map(str::to_owned).collect(),
                Some("options") => {
                    let told = |word: &str| word.strip_prefix("ndots:")?.parse::<usize>().ok();
                    let dots = words.filter_map(told).next_back();
                    out.dots_min = dots.unwrap_or(out.dots_min).min(DOTS_MOST);
                }
                _ => {}
            }
        }
        if out.servers.is_empty() {
            out.servers.push(SocketAddr::from(([127, 0, 0, 1], 53)));
        }
        out.servers.truncate(3);
        out.search.truncate(6);
        out
    }

    /// The names that a written one may mean, in the order in which they are tried.
    fn names(&self, name: &str) -> Vec<String> {
        if name.ends_with('.') {
            return vec![name.to_owned()];
        }
        let mut all: Vec<String> = self.search.iter().map(|domain| format!("{name}.{domain}")).collect();
        let at = if name.matches('.').count() >= self.dots_min { 0 } else { all.len() };
        all.insert(at, name.to_owned());
        all
    }

    /// No such name is an empty answer, not a failure: the targets are gone. That is known only when every name that may be
    /// meant was answered; one whose server fails keeps none of the others from being asked.
    async fn look_up(&self, entropy: &dyn Entropy, name: &str, kind: RecordType) -> Result<Vec<Record>, String> {
        let kind = match kind {
            RecordType::A => Kind::A,
            RecordType::Aaaa => Kind::Aaaa,
            RecordType::Mx => Kind::Mx,
            RecordType::Ns => Kind::Ns,
            RecordType::Srv => Kind::Srv,
        };
        let mut failed = None;
        for name in self.names(name) {
            match self.ask_all(entropy, &name, kind).await {
                Ok(Answer::Records(records)) if !records.is_empty() => return Ok(records),
                Ok(_) => {}
                Err(reason) => failed = failed.or(Some(format!("{name}: {reason}"))),
            }
        }
        failed.map_or(Ok(Vec::new()), Err)
    }

    async fn ask_all(&self, entropy: &dyn Entropy, name: &str, kind: Kind) -> Result<Answer, String> {
        let mut last = "no DNS server is known".to_owned();
        for server in self.servers.iter().cycle().take(self.servers.len() * ATTEMPTS) {
            let mut id = [0; 2];
            entropy.fill(&mut id);
            let asked = question(u16::from_be_bytes(id), name, kind).map_err(|e| e.to_string())?;
            match tokio::time::timeout(WITHIN, ask(*server, &asked, kind)).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(reason)) => last = format!("{server}: {reason}"),
                Err(_) => last = format!("{server} did not answer within {} s", WITHIN.as_secs()),
            }
        }
        Err(last)
    }
}

async fn ask(server: SocketAddr, asked: &[u8], kind: Kind) -> Result<Answer, String> {
    let told = |e: std::io::Error| e.to_string();
    let any: SocketAddr = if server.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
    let socket = UdpSocket::bind(any).await.map_err(told)?;
    socket.connect(server).await.map_err(told)?;
    socket.send(asked).await.map_err(told)?;
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        let length = socket.recv(&mut buffer).await.map_err(told)?;
        match answer(asked, &buffer[..length], kind) {
            // Somebody else's; ours may yet come.
            Err(tenfold_protocols::dns::DnsError::Other) => {}
            Ok(Answer::Truncated) => break,
            read => return read.map_err(|e| e.to_string()),
        }
    }
    let mut stream = TcpStream::connect(server).await.map_err(told)?;
    let length = u16::try_from(asked.len()).map_err(|e| e.to_string())?;
    stream.write_all(&[&length.to_be_bytes()[..], asked].concat()).await.map_err(told)?;
    let length = stream.read_u16().await.map_err(told)?;
    let mut message = vec![0; usize::from(length)];
    stream.read_exact(&mut message).await.map_err(told)?;
    answer(asked, &message, kind).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_resolver_file_is_read() {
        let resolver =
            Resolver::from_text("# x\nnameserver 10.0.0.1\nnameserver fe80::1\nsearch a.example b.example\n");
        assert_eq!(resolver.servers, ["10.0.0.1:53".parse().unwrap(), "[fe80::1]:53".parse().unwrap()]);
        assert_eq!(resolver.names("web"), ["web.a.example", "web.b.example", "web"]);
        assert_eq!(resolver.names("web.prod"), ["web.prod", "web.prod.a.example", "web.prod.b.example"]);
        assert_eq!(resolver.names("web."), ["web."]);
        assert_eq!(Resolver::from_text("").servers, ["127.0.0.1:53".parse().unwrap()]);
        let cluster = Resolver::from_text("search a.svc.local svc.local\noptions edns0 ndots:2 timeout:1\n");
        assert_eq!(cluster.names("web.dev"), ["web.dev.a.svc.local", "web.dev.svc.local", "web.dev"]);
        assert_eq!(cluster.names("web.dev.x")[0], "web.dev.x");
        assert_eq!(Resolver::from_text("options ndots:99 rotate").dots_min, DOTS_MOST);
        assert_eq!(Resolver::from_text("options ndots:x").dots_min, DOTS_MIN);
    }

    /// Knows `web.good.example`; nothing of the zone `bad.example` can be told.
    async fn half_broken() -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut buffer = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                let mut answer = buffer[..length].to_vec();
                let asked = String::from_utf8_lossy(&answer[12..]).into_owned();
                // A response; then the code: server failure, or no such name.
                (answer[2], answer[3]) = (0x81, if asked.contains("bad") { 0x82 } else { 0x83 });
                if asked.contains("good") {
                    (answer[3], answer[7]) = (0x80, 1);
                    answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 10, 0, 0, 7]);
                }
                let _ = socket.send_to(&answer, from).await;
            }
        });
        address
    }

    #[tokio::test]
    async fn a_zone_that_fails_hides_no_other() {
        let search = |zones: &[&str]| zones.iter().map(|z| (*z).to_owned()).collect();
        let mut resolver = Resolver {
            servers: vec![half_broken().await],
            search: search(&["bad.example", "good.example"]),
            dots_min: 1,
        };
        let entropy = tenfold_testkit::TestEntropy::default();
        let found = resolver.look_up(&entropy, "web", RecordType::A).await;
        assert_eq!(found, Ok(vec![Record::A([10, 0, 0, 7].into())]));
        resolver.search = search(&["bad.example", "other.example"]);
        let reason = resolver.look_up(&entropy, "web", RecordType::A).await.unwrap_err();
        assert!(reason.starts_with("web.bad.example: "), "not known to be gone: {reason}");
        resolver.search = search(&["other.example"]);
        assert_eq!(resolver.look_up(&entropy, "web", RecordType::A).await, Ok(Vec::new()), "known to be gone");
    }
}

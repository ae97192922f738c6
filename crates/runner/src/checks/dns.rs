//! A name that resolves: by this machine's own resolver, or as one server says, for records of one kind.

mod wire;

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use tenfold_alerting::checks::CheckStatus;
use tenfold_app::checks::{Dns, DnsRecord};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use super::{Said, seconds};
use wire::Answer;

const PORT: u16 = 53;
/// A datagram may be lost: it is sent again after this long, until the check's time is over.
const AGAIN: Duration = Duration::from_secs(2);
const DATAGRAM_BYTES_MAX: usize = 4_096;
const RESOLVERS: &str = "/etc/resolv.conf";
/// Of those that it names, as the C library takes them.
const SERVERS_MAX: usize = 3;

pub async fn look(dns: &Dns) -> Said {
    let began = Instant::now();
    let found = match found(dns).await {
        Ok(found) => found,
        Err(e) => return (CheckStatus::Critical, format!("DNS CRITICAL - {}: {e}", dns.name)),
    };
    let took = seconds(began);
    // What stands behind `|` in a line would be performance data.
    let shown = found.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let shown = shown.replace(|c: char| c == '|' || c.is_control(), "?");
    match dns.expect.iter().find(|wanted| !found.iter().any(|found| same(found, wanted))) {
        Some(missing) => {
            (CheckStatus::Critical, format!("DNS CRITICAL - {} is {shown}, not {missing}|time={took:.6}s", dns.name))
        }
        None => (CheckStatus::Ok, format!("DNS OK - {} is {shown}|time={took:.6}s", dns.name)),
    }
}

/// Names are the same whatever their case, and with the last dot or without. Texts may stand in quotes, as `dig` writes them.
fn same(found: &str, wanted: &str) -> bool {
    let quoted = wanted.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    let wanted = quoted.map_or_else(|| wanted.to_owned(), |text| text.replace("\" \"", ""));
    found.trim_end_matches('.').eq_ignore_ascii_case(wanted.trim_end_matches('.'))
}

async fn found(dns: &Dns) -> Result<BTreeSet<String>, String> {
    if dns.record.is_none() && dns.server.is_empty() {
        let addresses = tokio::net::lookup_host((dns.name.as_str(), 0)).await.map_err(|e| e.to_string())?;
        return Ok(addresses.map(|a| a.ip().to_string()).collect());
    }
    let record = dns.record.unwrap_or(DnsRecord::A);
    let servers = servers(&dns.server).await?;
    // Which question an answer is to, nobody else is to guess.
    let id = RandomState::new().hash_one(record as u8) as u16;
    let question = wire::question(id, &dns.name, record)?;
    let (server, records) = ask(&servers, &question, record).await?;
    let records = records.map_err(|e| format!("{server}: {e}"))?;
    if records.is_empty() {
        return Err(format!("{server}: it has no record {}", record.as_str()));
    }
    Ok(records.into_iter().collect())
}

/// The server that a check names, or those of this machine in their order.
async fn servers(named: &str) -> Result<Vec<SocketAddr>, String> {
    if named.is_empty() {
        let text = tokio::fs::read_to_string(RESOLVERS).await.map_err(|e| format!("{RESOLVERS}: {e}"))?;
        let all = all_of(&text);
        return if all.is_empty() { Err(format!("{RESOLVERS} names no server")) } else { Ok(all) };
    }
    if let Ok(ip) = named.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, PORT)]);
    }
    if let Ok(address) = named.parse::<SocketAddr>() {
        return Ok(vec![address]);
    }
    let with_port = if named.contains(':') { named.to_owned() } else { format!("{named}:{PORT}") };
    let mut found = tokio::net::lookup_host(&with_port).await.map_err(|e| format!("the server {named}: {e}"))?;
    let first = found.next().ok_or_else(|| format!("the server {named} has no address"))?;
    Ok(vec![first])
}

fn all_of(resolvers: &str) -> Vec<SocketAddr> {
    let servers = resolvers.lines().filter_map(|line| line.trim().strip_prefix("nameserver"));
    let servers = servers.filter_map(|rest| rest.trim().parse::<IpAddr>().ok());
    servers.map(|ip| SocketAddr::new(ip, PORT)).take(SERVERS_MAX).collect()
}

/// Asks one server after the other, again and again, until one says something: which one, and what. Fails where none of them can
/// be reached.
async fn ask(
    servers: &[SocketAddr],
    question: &[u8],
    record: DnsRecord,
) -> Result<(SocketAddr, Result<Vec<String>, String>), String> {
    // Each keeps its own: an answer that comes late is heard when it is asked again.
    let mut sockets = Vec::with_capacity(servers.len());
    for server in servers {
        sockets.push(connected(*server).await);
    }
    let mut unreached = 0;
    for (server, socket) in servers.iter().copied().zip(&sockets).cycle() {
        match tokio::time::timeout(AGAIN, said(socket, question, record)).await {
            Ok(Ok(Ok(Answer::Records(records)))) => return Ok((server, Ok(records))),
            Ok(Ok(Ok(Answer::Truncated))) => return Ok((server, by_tcp(server, question, record).await)),
            Ok(Ok(Err(wrong))) => return Ok((server, Err(wrong))),
            Ok(Err(_)) if unreached + 1 < servers.len() => unreached += 1,
            Ok(Err(e)) => return Err(format!("{server}: {e}")),
            Err(_) => unreached = 0,
        }
    }
    Err("there is no server to ask".to_owned())
}

async fn connected(server: SocketAddr) -> Result<UdpSocket, String> {
    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await.map_err(|e| e.to_string())?;
    socket.connect(server).await.map_err(|e| e.to_string())?;
    Ok(socket)
}

/// What a server says; fails where it cannot be reached.
async fn said(
    socket: &Result<UdpSocket, String>,
    question: &[u8],
    record: DnsRecord,
) -> Result<Result<Answer, String>, String> {
    let socket = socket.as_ref().map_err(Clone::clone)?;
    socket.send(question).await.map_err(|e| e.to_string())?;
    heard(socket, question, record).await
}

/// The first datagram that answers the question. Fails where none can come.
async fn heard(socket: &UdpSocket, question: &[u8], record: DnsRecord) -> Result<Result<Answer, String>, String> {
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        let length = socket.recv(&mut buffer).await.map_err(|e| e.to_string())?;
        if let Some(answer) = wire::answer(&buffer[..length], question, record) {
            return Ok(answer);
        }
    }
}

async fn by_tcp(server: SocketAddr, question: &[u8], record: DnsRecord) -> Result<Vec<String>, String> {
    let exchange = async {
        let mut stream = TcpStream::connect(server).await?;
        let length = u16::try_from(question.len()).unwrap_or(u16::MAX);
        stream.write_all(&[&length.to_be_bytes(), question].concat()).await?;
        let length = stream.read_u16().await?;
        let mut message = vec![0; usize::from(length)];
        stream.read_exact(&mut message).await?;
        Ok::<Vec<u8>, std::io::Error>(message)
    };
    let message = exchange.await.map_err(|e| e.to_string())?;
    match wire::answer(&message, question, record) {
        Some(Ok(Answer::Records(records))) => Ok(records),
        Some(Err(e)) => Err(e),
        Some(Ok(Answer::Truncated)) | None => Err("what it answers by TCP is no whole answer".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_of_the_machine_are_found() {
        let text = "# made by hand\nsearch example\nnameserver fe80::1%eth0\nnameserver 192.0.2.1\nnameserver ::1\n";
        let all = [Ipv4Addr::new(192, 0, 2, 1).into(), Ipv6Addr::LOCALHOST.into()];
        assert_eq!(all_of(text), all.map(|ip: IpAddr| SocketAddr::new(ip, PORT)));
        assert!(all_of("search example\n").is_empty());
    }

    #[tokio::test]
    async fn a_server_that_is_out_of_order_is_passed_over() {
        let local = (Ipv4Addr::LOCALHOST, 0);
        let (gone, there) = (UdpSocket::bind(local).await.unwrap(), UdpSocket::bind(local).await.unwrap());
        let [dead, alive] = [&gone, &there].map(|socket| socket.local_addr().unwrap());
        drop(gone);
        let question = wire::question(7, "db1.example", DnsRecord::A).unwrap();
        let none = ask(&[dead, dead], &question, DnsRecord::A).await;
        assert!(none.expect_err("nobody is there").contains(&dead.to_string()));
        let server = async {
            let mut asked = [0; 512];
            let (length, from) = there.recv_from(&mut asked).await.unwrap();
            let mut answer = asked[..length].to_vec();
            // An answer with one record: the name that was asked for, A, IN, for a minute, 4 bytes.
            (answer[2], answer[3], answer[7]) = (0x81, 0x80, 1);
            answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 7]);
            there.send_to(&answer, from).await.unwrap();
        };
        let all = [dead, alive];
        let (said, ()) = tokio::join!(ask(&all, &question, DnsRecord::A), server);
        assert_eq!(said, Ok((alive, Ok(vec!["192.0.2.7".to_owned()]))));
    }

    #[test]
    fn names_are_compared_as_names() {
        assert!(same("10 Mail.example", "10 mail.EXAMPLE.") && !same("mail.example", "mail.example.org"));
        assert!(same("v=spf1 -all", "\"v=spf1 -all\"") && same("v=1; k=2", "\"v=1; \" \"k=2\""));
        assert!(same("It ends.", "It ends.") && !same("It ends.", "\"It goes on.\""));
    }
}

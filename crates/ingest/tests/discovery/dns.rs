//! Names answered by a DNS server of the test, over UDP and, where the answer is too long for it, over TCP.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};

use crate::world::World;

/// Records by name and number of the kind.
type Zone = Arc<Mutex<BTreeMap<(String, u16), Vec<Vec<u8>>>>>;

/// Largest datagram it sends.
const DATAGRAM_BYTES: usize = 512;

async fn serve(zone: Zone) -> SocketAddr {
    let tcp = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = tcp.local_addr().expect("an address");
    let udp = UdpSocket::bind(address).await.expect("the same port over UDP");
    let shared = zone.clone();
    tokio::spawn(async move {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = udp.recv_from(&mut buffer).await {
            let mut answer = answer(&shared, &buffer[..length]);
            if answer.len() > DATAGRAM_BYTES {
                // Cut off after the question, and said so.
                answer[2] |= 2;
                answer[6..8].fill(0);
                answer.truncate(length);
            }
            let _ = udp.send_to(&answer, from).await;
        }
    });
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = tcp.accept().await {
            let Ok(length) = stream.read_u16().await else { continue };
            let mut question = vec![0; usize::from(length)];
            if stream.read_exact(&mut question).await.is_ok() {
                let answer = answer(&zone, &question);
                let length = u16::try_from(answer.len()).expect("a short answer");
                let _ = stream.write_all(&[&length.to_be_bytes()[..], &answer].concat()).await;
            }
        }
    });
    address
}

fn answer(zone: &Zone, question: &[u8]) -> Vec<u8> {
    let (mut at, mut labels) = (12, Vec::new());
    while question[at] != 0 {
        let end = at + 1 + usize::from(question[at]);
        labels.push(String::from_utf8_lossy(&question[at + 1..end]).into_owned());
        at = end;
    }
    let kind = u16::from_be_bytes([question[at + 1], question[at + 2]]);
    let zone = zone.lock().expect("no panic holds it");
    let name = labels.join(".");
    let records = zone.get(&(name.clone(), kind)).cloned().unwrap_or_default();
    let known = zone.keys().any(|(known, _)| *known == name);
    let mut out = question.to_vec();
    out[2] = 0x81;
    out[3] = if known { 0x80 } else { 0x83 };
    out[6..8].copy_from_slice(&u16::try_from(records.len()).expect("few").to_be_bytes());
    for data in records {
        out.extend([0xc0, 12]);
        out.extend(kind.to_be_bytes());
        out.extend([0, 1, 0, 0, 0, 1]);
        out.extend(u16::try_from(data.len()).expect("short").to_be_bytes());
        out.extend(data);
    }
    out
}

/// Priority and weight, the port, and the host.
fn srv(port: u16, host: &str) -> Vec<u8> {
    [&[0, 10, 0, 5][..], &port.to_be_bytes(), &written(host)].concat()
}

fn written(host: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for label in host.split('.') {
        out.push(u8::try_from(label.len()).expect("short"));
        out.extend(label.bytes());
    }
    out.push(0);
    out
}

#[tokio::test]
async fn names_are_followed() {
    let zone = Zone::default();
    let set = |name: &str, kind: u16, records: Vec<Vec<u8>>| {
        zone.lock().expect("no panic holds it").insert((name.to_owned(), kind), records);
    };
    set("_web._tcp.example", 33, vec![srv(8080, "h1.example"), srv(8081, "h2.example")]);
    set("v4.example", 1, vec![vec![10, 0, 0, 1]]);
    set("v6.example", 28, vec![[0_u8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1].to_vec()]);
    set("mail.example", 15, vec![[&[0, 10][..], &written("mx1.example")].concat(), vec![0, 20, 0]]);
    set("zone.example", 2, vec![written("ns1.example")]);
    let server = serve(zone.clone()).await;
    let yaml = "scrape_configs:\n- job_name: names\n  dns_sd_configs:\n  - {names: [_web._tcp.example], refresh_interval: 1s}\n  \
                - {names: [v4.example, unknown.example], type: A, port: 90, refresh_interval: 1s}\n  \
                - {names: [v6.example], type: AAAA, port: 90, refresh_interval: 1s}\n  \
                - {names: [mail.example], type: MX, port: 91}\n  - {names: [zone.example], type: NS, port: 92}\n  relabel_configs:\n  \
                - {source_labels: [__meta_dns_name, __meta_dns_srv_record_target, __meta_dns_srv_record_port], target_label: dns}\n";
    let world = World::new(yaml, |settings| settings.metrics.dns_servers = vec![server]).await.start().await;
    let addresses = ["http://10.0.0.1:90/metrics", "http://[::1]:90/metrics"];
    let srvs = ["http://h1.example:8080/metrics", "http://h2.example:8081/metrics"];
    let hosts = ["http://mx1.example:91/metrics", "http://ns1.example:92/metrics"];
    world.targets("records of each kind", &[addresses, srvs, hosts].concat()).await;
    let statuses = world.app.metrics.target_statuses();
    for (url, label, target) in [
        (hosts[0], "__meta_dns_mx_record_target", "mx1.example."),
        (hosts[1], "__meta_dns_ns_record_target", "ns1.example."),
    ] {
        let shown = statuses.iter().find(|status| status.url == url).expect("the target");
        assert_eq!(shown.discovered.get(label), Some(target));
    }
    let mut dns: Vec<_> = world.app.metrics.targets().iter().map(|t| t.labels.get("dns").unwrap().to_owned()).collect();
    dns.sort();
    assert_eq!(
        dns,
        [
            "_web._tcp.example;h1.example.;8080",
            "_web._tcp.example;h2.example.;8081",
            "mail.example;;",
            "v4.example;;",
            "v6.example;;",
            "zone.example;;",
        ]
    );
    // More than fits a datagram.
    let many: Vec<Vec<u8>> = (0..60).map(|n| vec![10, 0, 1, n]).collect();
    set("v4.example", 1, many);
    world.until("the long answer", |app| (app.metrics.targets().len() == 65).then_some(())).await;
    zone.lock().expect("no panic holds it").remove(&("v4.example".to_owned(), 1));
    world.targets("the name is gone", &[&addresses[1..], &srvs, &hosts].concat()).await;
}

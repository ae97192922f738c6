//! Records of names, asked of a name server that the test plays.

#![expect(clippy::unwrap_used, reason = "a test that fails should panic where it fails")]

use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use tenfold_alerting::checks::CheckStatus;
use tenfold_app::checks::{CheckRunner, Ran, Run};
use tenfold_runner::Looker;
use tenfold_testkit::TestClock;

async fn look(looker: &Looker, json: serde_json::Value) -> (CheckStatus, String) {
    let what: Run = serde_json::from_value(json).unwrap();
    let Ran { status, output } = looker.run(&what, Duration::from_secs(10)).await;
    (status, String::from_utf8(output).unwrap())
}

/// A name server that answers every question with a mail exchanger, by TCP alone when it is to.
fn name_server(by_tcp: bool) -> u16 {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = tcp.local_addr().unwrap().port();
    let udp = UdpSocket::bind(("127.0.0.1", port)).unwrap();
    let answer = |asked: &[u8]| {
        let mut said = asked.to_vec();
        (said[2], said[3], said[7]) = (0x81, 0x80, 1);
        // Of the name that was asked for: 10 mail, and that name behind it.
        said.extend(b"\xc0\x0c\x00\x0f\x00\x01\x00\x00\x00\x3c\x00\x09\x00\x0a\x04mail\xc0\x0c");
        said
    };
    std::thread::spawn(move || {
        for stream in tcp.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut asked = [0; 512];
            let length = stream.read(&mut asked).unwrap_or(0);
            if length > 2 {
                let said = answer(&asked[2..length]);
                let _ = stream.write_all(&[&(said.len() as u16).to_be_bytes()[..], &said].concat());
            }
        }
    });
    std::thread::spawn(move || {
        let mut asked = [0; 512];
        while let Ok((length, from)) = udp.recv_from(&mut asked) {
            let mut said = if by_tcp { asked[..length].to_vec() } else { answer(&asked[..length]) };
            if by_tcp {
                said[2] = 0x83;
            }
            let _ = udp.send_to(&said, from);
        }
    });
    port
}

#[tokio::test]
async fn records_are_asked_of_a_server_by_udp_and_where_they_are_long_by_tcp() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    // No plugin is started here.
    let starter = env!("CARGO_BIN_EXE_tenfold-sandbox").into();
    let looker = Looker::new(Vec::new(), starter, Arc::new(TestClock::default())).unwrap();
    for by_tcp in [false, true] {
        let server = format!("127.0.0.1:{}", name_server(by_tcp));
        let dns = |record: &str, expect: &str| {
            let expect: Vec<&str> = expect.split_terminator(';').collect();
            serde_json::json!({"dns": {"name": "photos.example", "server": server, "record": record, "expect": expect}})
        };
        let (status, said) = look(&looker, dns("MX", "10 MAIL.photos.example.")).await;
        assert!(status == CheckStatus::Ok && said.contains("is 10 mail.photos.example"), "{by_tcp}: {said}");
        let (status, said) = look(&looker, dns("MX", "20 mail.photos.example")).await;
        assert!(status == CheckStatus::Critical && said.contains("not 20 mail.photos.example"), "{by_tcp}: {said}");
        let (status, said) = look(&looker, dns("AAAA", "")).await;
        assert!(status == CheckStatus::Critical && said.contains("no record AAAA"), "{by_tcp}: {said}");
    }
}

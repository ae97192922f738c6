//! NRPE with arguments, beside a daemon written out of the protocol's own description: Debian's is built without them. It
//! reads and writes the packets by itself, so that an error in ours is not made twice.

#![expect(clippy::unwrap_used, reason = "a test that fails should panic where it fails")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use serde_json::json;
use tenfold_alerting::checks::CheckStatus;
use tenfold_app::checks::{CheckRunner, Run};
use tenfold_runner::Looker;
use tenfold_testkit::TestClock;
use tenfold_types::Timestamp;

const QUERY: u16 = 1;
const RESPONSE: u16 = 2;
const OLD_PACKET: usize = 1_036;
const HEADER: usize = 16;
/// What version 3 sends behind its buffer, beside the byte that it counts.
const PADDING_3: usize = 3;

/// What a connection is answered with.
#[derive(Clone)]
struct Reply {
    version: u16,
    result: u16,
    text: String,
    /// A bit of the checksum is turned.
    damaged: bool,
}

struct Daemon {
    port: u16,
    replies: Sender<Reply>,
    heard: Receiver<(u16, String)>,
}

fn number(packet: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([packet[at], packet[at + 1]])
}

/// Reads a question: its version and what it asks for.
fn read_question(stream: &mut TcpStream) -> (u16, String) {
    let mut packet = vec![0; HEADER];
    stream.read_exact(&mut packet).unwrap();
    let version = number(&packet, 0);
    let (length, begin) = match version {
        2 => (OLD_PACKET, 10),
        4 => (HEADER + u32::from_be_bytes(packet[12..16].try_into().unwrap()) as usize, HEADER),
        other => panic!("a question of version {other}"),
    };
    packet.resize(length, 0);
    stream.read_exact(&mut packet[HEADER..]).unwrap();
    assert_eq!(number(&packet, 2), QUERY);
    let sent: [u8; 4] = packet[4..8].try_into().unwrap();
    packet[4..8].fill(0);
    assert_eq!(crc32fast::hash(&packet).to_be_bytes(), sent, "the checksum of the question");
    let text = &packet[begin..];
    let end = text.iter().position(|b| *b == 0).expect("a zero behind the text");
    (version, String::from_utf8(text[..end].to_vec()).unwrap())
}

fn packet_of(reply: &Reply) -> Vec<u8> {
    let text = reply.text.as_bytes();
    let mut packet = if reply.version == 2 {
        let mut packet = vec![0; OLD_PACKET];
        packet[10..10 + text.len()].copy_from_slice(text);
        packet
    } else {
        let length = (text.len() + 1).max(1_024);
        let padding = if reply.version == 3 { PADDING_3 } else { 0 };
        let mut packet = vec![0; HEADER + length + padding];
        packet[12..16].copy_from_slice(&(length as u32).to_be_bytes());
        packet[HEADER..HEADER + text.len()].copy_from_slice(text);
        packet
    };
    packet[..2].copy_from_slice(&reply.version.to_be_bytes());
    packet[2..4].copy_from_slice(&RESPONSE.to_be_bytes());
    packet[8..10].copy_from_slice(&reply.result.to_be_bytes());
    let sum = crc32fast::hash(&packet) ^ u32::from(reply.damaged);
    packet[4..8].copy_from_slice(&sum.to_be_bytes());
    packet
}

impl Daemon {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let ((replies, next), (told, heard)) = (channel::<Reply>(), channel());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (Ok(mut stream), Ok(reply)) = (stream, next.recv()) else { return };
                if told.send(read_question(&mut stream)).is_err() {
                    return;
                }
                // In two pieces, as a network may bring it.
                let packet = packet_of(&reply);
                let (first, rest) = packet.split_at(HEADER / 2);
                let _ = stream.write_all(first).and_then(|()| stream.write_all(rest));
            }
        });
        Self { port, replies, heard }
    }

    async fn ask(&self, reply: &Reply, more: serde_json::Value) -> (CheckStatus, String, (u16, String)) {
        self.replies.send(reply.clone()).unwrap();
        let mut nrpe = json!({"address": format!("127.0.0.1:{}", self.port), "command": "args"});
        for (key, value) in more.as_object().unwrap() {
            nrpe[key] = value.clone();
        }
        let run: Run = serde_json::from_value(json!({"nrpe": nrpe})).unwrap();
        let looker = Looker::new(Vec::new(), "no-starter".into(), Arc::new(TestClock::at(Timestamp(0)))).unwrap();
        let ran = looker.run(&run, Duration::from_secs(10)).await;
        (ran.status, String::from_utf8(ran.output).unwrap(), self.heard.recv().unwrap())
    }
}

fn reply(version: u16, result: u16, text: &str) -> Reply {
    Reply { version, result, text: text.to_owned(), damaged: false }
}

fn ready() -> Daemon {
    let _ = rustls::crypto::ring::default_provider().install_default();
    Daemon::start()
}

#[tokio::test]
async fn arguments_go_behind_the_command_and_answers_of_every_version_are_read() {
    let daemon = ready();
    for (old, asked) in [(false, 4), (true, 2)] {
        for answered in [2, 3, 4] {
            let more = json!({"arguments": ["1", "hm", "-w 80% -c 90%"], "version_2": old});
            let (status, said, heard) = daemon.ask(&reply(answered, 1, "WARNING: hm|a=5s"), more).await;
            assert_eq!((status, said.as_str()), (CheckStatus::Warning, "WARNING: hm|a=5s"), "version {answered}");
            assert_eq!(heard, (asked, "args!1!hm!-w 80% -c 90%".to_owned()));
        }
    }
    let (status, _, heard) = daemon.ask(&reply(4, 0, "OK"), json!({})).await;
    assert_eq!((status, heard.1.as_str()), (CheckStatus::Ok, "args"));
}

#[tokio::test]
async fn a_long_answer_is_whole_and_a_long_question_too() {
    let daemon = ready();
    let long = format!("OK - {}|a=5s", "x".repeat(6_000));
    for version in [3, 4] {
        let (status, said, _) = daemon.ask(&reply(version, 0, &long), json!({})).await;
        assert_eq!((status, said.len(), said == long), (CheckStatus::Ok, long.len(), true), "version {version}");
    }
    let argument = "y".repeat(3_000);
    let (_, _, heard) = daemon.ask(&reply(4, 0, "OK"), json!({"arguments": [argument]})).await;
    assert_eq!(heard.1, format!("args!{argument}"));
}

#[tokio::test]
async fn an_answer_that_was_damaged_or_has_no_known_result_is_unknown() {
    let daemon = ready();
    for version in [2, 3, 4] {
        let damaged = Reply { damaged: true, ..reply(version, 0, "OK - all is well") };
        let (status, said, _) = daemon.ask(&damaged, json!({})).await;
        assert_eq!(status, CheckStatus::Unknown, "{said}");
        assert!(said.contains("checksum") && !said.contains("all is well"), "{said}");
    }
    let (status, ..) = daemon.ask(&reply(4, 3, "UNKNOWN: who knows"), json!({})).await;
    assert_eq!(status, CheckStatus::Unknown);
    let (status, ..) = daemon.ask(&reply(4, 77, "strange"), json!({})).await;
    assert_eq!(status, CheckStatus::Unknown);
}

//! The words between the server and its agents over one WebSocket: JSON text frames, and binary frames that carry blobs.
//!
//! Orders name a service, an environment and the fencing epoch of the runner that gives them. An agent keeps the highest
//! epoch it has seen per service and environment and answers a lower one with `refused`, so a server that lost its lease
//! can do no harm. Nothing here trusts the other side: frames, lists and texts have limits, and a digest is 32 bytes.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tenfold_types::Timestamp;

/// Version of this protocol; both sides close the connection when it differs.
pub const PROTOCOL: u32 = 2;
/// Largest text frame. A manifest of 50 000 files fits.
pub const TEXT_FRAME_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Largest chunk of a blob in one binary frame.
pub const CHUNK_BYTES_MAX: usize = 256 * 1024;
/// Largest binary frame: the blob's digest and a chunk.
pub const BINARY_FRAME_BYTES_MAX: usize = 32 + CHUNK_BYTES_MAX;
/// Most blobs asked for in one message.
pub const NEED_BLOBS_MAX: usize = 1024;
/// Most releases in one report.
pub const RELEASES_MAX: usize = 256;
/// Largest page of a host's metrics.
pub const METRICS_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Longest text a message carries (an error, the end of a log).
pub const TEXT_BYTES_MAX: usize = 16 * 1024;
const NAME_BYTES_MAX: usize = 253;
const LABELS_MAX: usize = 32;

/// Why a frame was refused. The connection is closed after it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("the frame has {0} bytes, more than {TEXT_FRAME_BYTES_MAX}")]
    TextTooLarge(usize),
    #[error("the binary frame has {0} bytes; it takes 33 to {BINARY_FRAME_BYTES_MAX}")]
    BinarySize(usize),
    #[error("the frame cannot be read: {0}")]
    Json(String),
    #[error("`{field}` is refused: {why}")]
    Field { field: &'static str, why: &'static str },
}

/// A BLAKE3 digest; 64 lower-case hex digits in JSON, so that it can stand in a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobDigest(pub [u8; 32]);

impl std::fmt::Display for BlobDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl Serialize for BlobDigest {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for BlobDigest {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        let mut bytes = [0; 32];
        let lower = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        match hex::decode_to_slice(&text, &mut bytes) {
            Ok(()) if lower => Ok(Self(bytes)),
            _ => Err(serde::de::Error::custom("a digest is 64 lower-case hex digits")),
        }
    }
}

/// Which order a message is about. An answer repeats the order's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderRef {
    pub service: String,
    pub environment: String,
    /// The deploy's number.
    pub deploy: i64,
    /// The fencing epoch of the runner.
    pub epoch: i64,
}

/// How to start a release and when it counts as healthy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunSpec {
    /// The program and its arguments; no shell.
    pub command: Vec<String>,
    pub env: BTreeMap<String, String>,
    pub port_env: String,
    /// The path that must answer 2xx.
    pub health_path: String,
    pub health_within_ms: u64,
    /// The old release goes on this long after the flip.
    pub drain_ms: u64,
    pub stop_within_ms: u64,
    /// Path of the metrics page, if the service has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics_path: Option<String>,
    /// The commit the release was built from.
    pub sha: String,
    /// For a release without a process: what is run after the flip, such as a web server's reload.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reload: Vec<String>,
}

impl RunSpec {
    /// The release is files that another program serves: its flip is the link, and `reload` where there is one.
    pub const fn is_link_only(&self) -> bool {
        self.command.is_empty()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReleaseState {
    Running,
    Stopped,
    /// Its process died or its health check fails.
    Unhealthy,
}

/// What an agent runs of one service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    pub service: String,
    pub environment: String,
    pub digest: BlobDigest,
    pub sha: String,
    /// The deploy that activated it.
    pub deploy: i64,
    pub state: ReleaseState,
    /// `address:port` it takes traffic on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics_path: Option<String>,
    pub since: Timestamp,
}

/// From the server to an agent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToAgent {
    Welcome {
        protocol: u32,
        heartbeat_ms: u64,
        /// How often the agent is to say how its host is doing.
        metrics_ms: u64,
    },
    /// Hold this artifact ready. `manifest` is checked by the agent against `digest`.
    Stage { order: OrderRef, digest: BlobDigest, manifest: serde_json::Value },
    /// Run this release. Without `run`, as it was run last on this host.
    Activate {
        order: OrderRef,
        digest: BlobDigest,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        run: Option<RunSpec>,
        /// The process that serves until now stays beside it until `discard`.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        keep_warm: bool,
    },
    /// Start this release beside the one that serves and find it healthy, ahead of its flip. Only for agents whose `hello`
    /// says `prepares`, as are `flip` and `discard`.
    Prepare { order: OrderRef, digest: BlobDigest, run: RunSpec },
    /// Turn to the release that was prepared. Nothing is started.
    Flip {
        order: OrderRef,
        digest: BlobDigest,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        keep_warm: bool,
    },
    /// End, after a while, what stands beside the release that serves by an order of the same deploy.
    Discard { order: OrderRef, after_ms: u64 },
    /// Run nothing of the service.
    Deactivate { order: OrderRef },
    /// Say what runs.
    Report,
    /// A blob asked for is not there (any more).
    NoBlob { digest: BlobDigest },
    /// A blob asked for comes as a delta over one that the host has. The delta's own bytes follow under its digest.
    Delta { blob: BlobDigest, base: BlobDigest, delta: BlobDigest, size: u64 },
    /// The server refuses the agent; it says why and closes.
    Refused { reason: String },
}

/// From an agent to the server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FromAgent {
    Hello {
        protocol: u32,
        name: String,
        environment: String,
        labels: BTreeMap<String, String>,
        version: String,
        releases: Vec<Release>,
        /// It knows `prepare`, `flip` and `discard`.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        prepares: bool,
        /// By which orders processes stand beside those that serve, for as long as nobody has said when they end.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        beside: Vec<OrderRef>,
    },
    /// Send these blobs; what was sent before need not be sent again.
    Need {
        blobs: Vec<BlobDigest>,
        /// What the host has in the place of some of them; a delta over it may come instead of the blob.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        bases: BTreeMap<BlobDigest, BlobDigest>,
    },
    Staging {
        order: OrderRef,
        digest: BlobDigest,
        have_bytes: u64,
        total_bytes: u64,
    },
    Staged {
        order: OrderRef,
        digest: BlobDigest,
    },
    /// The release stands beside the one that serves, healthy. Should it end before its flip, `failed` follows.
    Prepared {
        order: OrderRef,
        digest: BlobDigest,
    },
    Activating {
        order: OrderRef,
        digest: BlobDigest,
        /// The process runs and its health check is being asked.
        checking: bool,
        message: String,
    },
    Activated {
        order: OrderRef,
        release: Release,
    },
    Deactivated {
        order: OrderRef,
    },
    Failed {
        order: OrderRef,
        /// The order's digest; absent for a deactivation.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        digest: Option<BlobDigest>,
        error: String,
        /// The last lines the release printed.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        log_tail: String,
        /// What the host runs instead.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        running: Option<Release>,
    },
    /// The order's epoch is lower than one seen before.
    Refused {
        order: OrderRef,
        highest_epoch: i64,
    },
    /// What runs on the host: on every change, on request and as heartbeat.
    Observed {
        releases: Vec<Release>,
    },
    /// How the host is doing, in the Prometheus text format, and how long it took to find out.
    Metrics {
        page: String,
        took_ms: u64,
    },
}

/// Reads a text frame of an agent and checks its limits.
pub fn decode_from_agent(text: &str) -> Result<FromAgent, FrameError> {
    let message: FromAgent = decode(text)?;
    check_from_agent(&message)?;
    Ok(message)
}

/// Reads a text frame of the server and checks its limits.
pub fn decode_to_agent(text: &str) -> Result<ToAgent, FrameError> {
    let message: ToAgent = decode(text)?;
    match &message {
        ToAgent::Stage { order, .. }
        | ToAgent::Activate { order, .. }
        | ToAgent::Prepare { order, .. }
        | ToAgent::Flip { order, .. }
        | ToAgent::Discard { order, .. }
        | ToAgent::Deactivate { order } => order_ok(order)?,
        ToAgent::Refused { reason } => text_ok("reason", reason)?,
        ToAgent::Welcome { .. } | ToAgent::Report | ToAgent::NoBlob { .. } | ToAgent::Delta { .. } => {}
    }
    Ok(message)
}

fn decode<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, FrameError> {
    if text.len() > TEXT_FRAME_BYTES_MAX {
        return Err(FrameError::TextTooLarge(text.len()));
    }
    serde_json::from_str(text).map_err(|e| FrameError::Json(e.to_string().chars().take(200).collect()))
}

/// A binary frame: the blob's digest, then a chunk. Chunks of one blob come in order.
pub fn encode_chunk(digest: BlobDigest, chunk: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(32 + chunk.len());
    frame.extend_from_slice(&digest.0);
    frame.extend_from_slice(chunk);
    frame
}

/// Reads a binary frame.
pub fn decode_chunk(frame: &[u8]) -> Result<(BlobDigest, &[u8]), FrameError> {
    if frame.len() <= 32 || frame.len() > BINARY_FRAME_BYTES_MAX {
        return Err(FrameError::BinarySize(frame.len()));
    }
    let (head, chunk) = frame.split_at(32);
    let mut digest = [0; 32];
    digest.copy_from_slice(head);
    Ok((BlobDigest(digest), chunk))
}

/// Cuts a text to what a message may carry, keeping its end, where errors stand.
pub fn tail_of(text: &str) -> String {
    let mut from = text.len().saturating_sub(TEXT_BYTES_MAX);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    text[from..].to_owned()
}

fn check_from_agent(message: &FromAgent) -> Result<(), FrameError> {
    match message {
        FromAgent::Hello { name, environment, labels, version, releases, beside, .. } => {
            name_ok("name", name)?;
            name_ok("environment", environment)?;
            text_ok("version", version)?;
            if labels.len() > LABELS_MAX {
                return Err(FrameError::Field { field: "labels", why: "there are more than 32" });
            }
            for (key, value) in labels {
                name_ok("labels", key)?;
                name_ok("labels", value)?;
            }
            if beside.len() > RELEASES_MAX {
                return Err(FrameError::Field { field: "beside", why: "there are more than 256" });
            }
            beside.iter().try_for_each(order_ok)?;
            releases_ok(releases)
        }
        FromAgent::Need { blobs, bases } => {
            if blobs.len() > NEED_BLOBS_MAX {
                return Err(FrameError::Field { field: "blobs", why: "there are more than 1024" });
            }
            if bases.len() > blobs.len() {
                return Err(FrameError::Field { field: "bases", why: "there are more than blobs" });
            }
            Ok(())
        }
        FromAgent::Observed { releases } => releases_ok(releases),
        FromAgent::Metrics { page, .. } if page.len() > METRICS_BYTES_MAX => {
            Err(FrameError::Field { field: "page", why: "it is larger than 2 MiB" })
        }
        FromAgent::Metrics { .. } => Ok(()),
        FromAgent::Activating { order, message, .. } => {
            order_ok(order)?;
            text_ok("message", message)
        }
        FromAgent::Failed { order, error, log_tail, running, .. } => {
            order_ok(order)?;
            text_ok("error", error)?;
            text_ok("log_tail", log_tail)?;
            running.as_ref().map_or(Ok(()), release_ok)
        }
        FromAgent::Activated { order, release } => {
            order_ok(order)?;
            release_ok(release)
        }
        FromAgent::Staging { order, .. }
        | FromAgent::Staged { order, .. }
        | FromAgent::Prepared { order, .. }
        | FromAgent::Deactivated { order }
        | FromAgent::Refused { order, .. } => order_ok(order),
    }
}

fn releases_ok(releases: &[Release]) -> Result<(), FrameError> {
    if releases.len() > RELEASES_MAX {
        return Err(FrameError::Field { field: "releases", why: "there are more than 256" });
    }
    releases.iter().try_for_each(release_ok)
}

fn release_ok(release: &Release) -> Result<(), FrameError> {
    name_ok("service", &release.service)?;
    name_ok("environment", &release.environment)?;
    text_ok("sha", &release.sha)?;
    let path_ok =
        |p: &String| p.starts_with('/') && p.len() <= NAME_BYTES_MAX && p.chars().all(|c| c.is_ascii_graphic());
    if !release.metrics_path.as_ref().is_none_or(path_ok) {
        return Err(FrameError::Field { field: "metrics_path", why: "it is not a path" });
    }
    match release.address.as_deref() {
        Some(address) if !address_ok(address) => {
            Err(FrameError::Field { field: "address", why: "it is not an address with a port" })
        }
        _ => Ok(()),
    }
}

/// `host:port`, `1.2.3.4:port` or `[v6]:port`: what may stand in a URL.
fn address_ok(address: &str) -> bool {
    address.rsplit_once(':').is_some_and(|(host, port)| {
        port.parse::<u16>().is_ok_and(|p| p > 0)
            && !host.is_empty()
            && host.len() <= NAME_BYTES_MAX
            && host.chars().all(|c| c.is_ascii_alphanumeric() || ".-[]:".contains(c))
    })
}

fn order_ok(order: &OrderRef) -> Result<(), FrameError> {
    name_ok("service", &order.service)?;
    name_ok("environment", &order.environment)
}

/// Names become folders and labels, so they hold no separators and do not start with a dot.
fn name_ok(field: &'static str, name: &str) -> Result<(), FrameError> {
    let ok = !name.is_empty()
        && name.len() <= NAME_BYTES_MAX
        && !name.starts_with(['.', '-'])
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    if ok {
        return Ok(());
    }
    Err(FrameError::Field {
        field,
        why: "it takes letters, digits, `.`, `_` and `-`, and starts with a letter or a digit",
    })
}

fn text_ok(field: &'static str, text: &str) -> Result<(), FrameError> {
    if text.len() <= TEXT_BYTES_MAX {
        return Ok(());
    }
    Err(FrameError::Field { field, why: "it is longer than 16384 bytes" })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn order() -> OrderRef {
        OrderRef { service: "photos".into(), environment: "production".into(), deploy: 3, epoch: 7 }
    }
    fn release() -> Release {
        Release {
            service: "photos".into(),
            environment: "production".into(),
            digest: BlobDigest([7; 32]),
            sha: "4f2c91a".into(),
            deploy: 3,
            state: ReleaseState::Running,
            address: Some("127.0.0.1:4100".into()),
            metrics_path: Some("/metrics".into()),
            since: Timestamp(1_000),
        }
    }
    fn hello(name: &str) -> FromAgent {
        FromAgent::Hello {
            protocol: PROTOCOL,
            name: name.into(),
            environment: "production".into(),
            labels: BTreeMap::from([("role".into(), "web".into())]),
            version: "0.1.0".into(),
            releases: vec![release()],
            prepares: true,
            beside: vec![order()],
        }
    }

    #[test]
    fn every_message_survives_the_way() {
        let failed = FromAgent::Failed {
            order: order(),
            digest: Some(BlobDigest([1; 32])),
            error: "exited with code 1".into(),
            log_tail: "boom".into(),
            running: Some(release()),
        };
        for message in [
            hello("host-1"),
            failed,
            FromAgent::Need {
                blobs: vec![BlobDigest([2; 32])],
                bases: BTreeMap::from([(BlobDigest([2; 32]), BlobDigest([3; 32]))]),
            },
            FromAgent::Activated { order: order(), release: release() },
            FromAgent::Refused { order: order(), highest_epoch: 9 },
            FromAgent::Prepared { order: order(), digest: BlobDigest([3; 32]) },
        ] {
            let text = serde_json::to_string(&message).unwrap();
            assert_eq!(decode_from_agent(&text).unwrap(), message);
        }
        let stage = ToAgent::Stage {
            order: order(),
            digest: BlobDigest([3; 32]),
            manifest: serde_json::json!({"entries": []}),
        };
        let digest = BlobDigest([3; 32]);
        let flip = ToAgent::Flip { order: order(), digest, keep_warm: true };
        let discard = ToAgent::Discard { order: order(), after_ms: 60_000 };
        for message in [stage, flip, discard] {
            assert_eq!(decode_to_agent(&serde_json::to_string(&message).unwrap()).unwrap(), message);
        }
    }

    #[test]
    fn an_older_side_is_understood() {
        let hello = r#"{"type":"hello","protocol":2,"name":"host-1","environment":"production","labels":{},"version":"0.1.0","releases":[]}"#;
        let FromAgent::Hello { prepares, beside, .. } = decode_from_agent(hello).unwrap() else { panic!("no hello") };
        assert!(!prepares && beside.is_empty());
        let order = r#"{"service":"photos","environment":"production","deploy":3,"epoch":7}"#;
        let activate = format!(r#"{{"type":"activate","order":{order},"digest":"{}"}}"#, BlobDigest([3; 32]));
        let ToAgent::Activate { run, keep_warm, .. } = decode_to_agent(&activate).unwrap() else { panic!("no order") };
        assert!(run.is_none() && !keep_warm);
    }

    #[test]
    fn hostile_values_are_refused() {
        for name in ["", "../x", "a/b", ".hidden", "-rf", "a b", "a\"b", &"a".repeat(300)] {
            let text = serde_json::to_string(&hello(name)).unwrap();
            assert!(matches!(decode_from_agent(&text), Err(FrameError::Field { field: "name", .. })), "{name:?}");
        }
        for address in ["x", "x:0", "x:99999", "a@b:1", "http://x:1", "x/y:1"] {
            let observed =
                FromAgent::Observed { releases: vec![Release { address: Some(address.into()), ..release() }] };
            assert!(decode_from_agent(&serde_json::to_string(&observed).unwrap()).is_err(), "{address}");
        }
        let many = FromAgent::Need { blobs: vec![BlobDigest([0; 32]); NEED_BLOBS_MAX + 1], bases: BTreeMap::new() };
        assert!(decode_from_agent(&serde_json::to_string(&many).unwrap()).is_err());
        assert!(decode_from_agent(r#"{"type":"need","blobs":["../../etc/passwd"]}"#).is_err());
        assert!(decode_from_agent(r#"{"type":"launch"}"#).is_err());
        let FromAgent::Hello { protocol, name, environment, labels, version, releases, prepares, .. } = hello("host-1")
        else {
            panic!("no hello")
        };
        let beside = vec![order(); RELEASES_MAX + 1];
        let many = FromAgent::Hello { protocol, name, environment, labels, version, releases, prepares, beside };
        assert!(decode_from_agent(&serde_json::to_string(&many).unwrap()).is_err());
    }

    #[test]
    fn chunks_carry_their_digest() {
        let frame = encode_chunk(BlobDigest([9; 32]), b"abc");
        assert_eq!(decode_chunk(&frame).unwrap(), (BlobDigest([9; 32]), &b"abc"[..]));
        assert!(decode_chunk(&frame[..32]).is_err());
        assert!(decode_chunk(&vec![0; BINARY_FRAME_BYTES_MAX + 1]).is_err());
    }

    #[test]
    fn a_tail_keeps_the_end_and_whole_characters() {
        let long = "ä".repeat(TEXT_BYTES_MAX);
        assert!(tail_of(&long).len() <= TEXT_BYTES_MAX);
        assert_eq!(tail_of("short"), "short");
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_decoder_panic(text in ".{0,400}", bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = decode_from_agent(&text);
            let _ = decode_to_agent(&text);
            let _ = decode_chunk(&bytes);
        }
        #[test]
        fn nearly_right_messages_do_not_panic(
            kind in "(hello|need|staged|prepared|activated|failed|observed|refused)",
            key in "(order|digest|releases|blobs|name)", value in "(null|1|\\[\\]|\\{\\}|\"x\")",
        ) {
            let _ = decode_from_agent(&format!(r#"{{"type":"{kind}","{key}":{value}}}"#));
        }
    }
}

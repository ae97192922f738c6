//! The words between the server and its agents over one WebSocket: JSON text frames, and binary frames that carry blobs.
//!
//! Orders name a service, an environment and the fencing epoch of the runner that gives them. An agent keeps the highest
//! epoch it has seen per service and environment and answers a lower one with `refused`, so a server that lost its lease
//! can do no harm. Nothing here trusts the other side: frames, lists and texts have limits, and a digest is 32 bytes.

mod chunk;
mod digest;
mod limits;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tenfold_types::Timestamp;

pub use chunk::{decode_chunk, encode_chunk};
pub use digest::BlobDigest;
pub use limits::{LIMIT_BYTES_MAX, LIMITS_MAX, LimitsReport, RunLimits};

/// Version of this protocol; both sides close the connection when it differs.
pub const PROTOCOL: u32 = 2;
/// Largest text frame. A manifest of 50 000 files fits.
pub const TEXT_FRAME_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes that are asked of a connection at one time. The library clears as many before each read, and its own 128 KiB are more than
/// most messages have.
pub const READ_BYTES: usize = 16 * 1024;
/// Largest chunk of a blob in one binary frame.
pub const CHUNK_BYTES_MAX: usize = 256 * 1024;
/// Largest binary frame: the blob's digest and a chunk.
pub const BINARY_FRAME_BYTES_MAX: usize = 32 + CHUNK_BYTES_MAX;
/// Most content of one pack: what an agent undoes at a time.
pub const PACK_CONTENT_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Largest pack; content that does not compress becomes a little longer.
pub const PACK_BYTES_MAX: u64 = PACK_CONTENT_BYTES_MAX + 64 * 1024;
/// Most parts of one pack.
pub const PACK_PARTS_MAX: usize = 1024;
/// Longest message that both sides keep, to tell the next one as the difference.
pub const LONG_KEPT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Most blobs asked for in one message.
pub const NEED_BLOBS_MAX: usize = 1024;
/// Most releases in one report.
pub const RELEASES_MAX: usize = 256;
/// Largest page of a host's metrics.
pub const METRICS_BYTES_MAX: usize = 2 * 1024 * 1024;
/// The series of a page that says how many others had no room on it.
pub const METRICS_DROPPED: &str = "tenfold_agent_series_dropped";
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
    #[serde(default, skip_serializing_if = "RunLimits::is_empty")]
    pub limits: RunLimits,
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
    /// Where limits were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<LimitsReport>,
    pub since: Timestamp,
}

/// Some bytes of a pack's content, and whose they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackPart {
    pub blob: BlobDigest,
    /// How many. Without `base` they are the next ones of the blob.
    pub bytes: u64,
    /// They are a delta over this one, which the host has in the blob's place, and make the whole blob.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<BlobDigest>,
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
    /// Blobs asked for come together, in gzip; only to an agent that said it takes packs. The pack's own bytes follow under
    /// its digest; undone they are its parts, one after the other.
    Pack { pack: BlobDigest, size: u64, parts: Vec<PackPart> },
    /// A message comes in gzip; only to an agent that said it takes packs. Its `size` bytes follow under their digest;
    /// undone they are a text frame of `bytes`, or with `base` a delta that makes it of the text with this digest: the last
    /// `stage` that came this way over this connection and had at most [`LONG_KEPT_BYTES_MAX`].
    Long {
        pack: BlobDigest,
        size: u64,
        bytes: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        base: Option<BlobDigest>,
    },
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
        /// It takes `pack` and `long`.
        #[serde(default)]
        packs: bool,
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
        ToAgent::Pack { size, parts, .. } => pack_ok(*size, parts)?,
        ToAgent::Long { size, bytes, .. } if (*size).max(*bytes) > TEXT_FRAME_BYTES_MAX as u64 => {
            return Err(FrameError::Field { field: "bytes", why: "there are more than 16 MiB" });
        }
        ToAgent::Long { .. } => {}
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

fn pack_ok(size: u64, parts: &[PackPart]) -> Result<(), FrameError> {
    if size > PACK_BYTES_MAX {
        return Err(FrameError::Field { field: "size", why: "the pack is larger than 8 MiB and 64 KiB" });
    }
    if parts.is_empty() || parts.len() > PACK_PARTS_MAX {
        return Err(FrameError::Field { field: "parts", why: "there are none, or more than 1024" });
    }
    let content = parts.iter().try_fold(0u64, |sum, part| sum.checked_add(part.bytes));
    if content.is_none_or(|bytes| bytes > PACK_CONTENT_BYTES_MAX) {
        return Err(FrameError::Field { field: "parts", why: "they have more than 8 MiB" });
    }
    Ok(())
}

/// Cuts a text to what a message may carry, keeping its end, where errors stand.
pub fn tail_of(text: &str) -> String {
    let from = text.ceil_char_boundary(text.len().saturating_sub(TEXT_BYTES_MAX));
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
    release.limits.as_ref().map_or(Ok(()), limits::limits_ok)?;
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
mod tests;

//! How a check is written down, and what is refused.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tenfold_alerting::checks::CheckRules;
use tenfold_types::Fault;
use tenfold_types::parse_duration_ms;

/// The shortest interval.
const INTERVAL_MIN_MS: i64 = 1_000;
const INTERVAL_MAX_MS: i64 = 7 * 86_400_000;
const TIMEOUT_MAX_MS: i64 = 300_000;
const ARGUMENTS_MAX: usize = 64;
const TEXT_BYTES_MAX: usize = 4_096;
const PARENTS_MAX: usize = 20;

/// A check as people write it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckSpec {
    /// What it looks at; becomes the label `host`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub host: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    pub run: Run,
    /// Between two looks.
    #[serde(default = "minute")]
    pub interval: String,
    /// Between two looks while a problem is not yet sure.
    #[serde(default = "quarter")]
    pub retry_interval: String,
    #[serde(default = "ten")]
    pub timeout: String,
    /// Problems in a row before it is believed.
    #[serde(default = "three")]
    pub attempts: u32,
    /// Without a result for so long it is a problem by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freshness: Option<String>,
    /// Checks that stand between; while all of them have problems, this one's are not told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parents: Vec<String>,
    #[serde(default)]
    pub flapping: Flapping,
    /// Severity of the alert when it is critical, and when nothing was heard for longer than `freshness`.
    #[serde(default = "critical")]
    pub severity: String,
    /// When nothing was heard for too long, instead of `severity`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stale_severity: Option<String>,
    /// More labels of the alert.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations of the alert, such as `runbook_url`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// From which share of changes on a state is said to flap; `high: 0` never says it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Flapping {
    pub low: f64,
    pub high: f64,
}

impl Default for Flapping {
    fn default() -> Self {
        Self { low: 20.0, high: 30.0 }
    }
}

/// What a look is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Run {
    /// A program in one of the plugin folders, and its arguments. No shell sees them.
    Plugin(Vec<String>),
    Tcp(Tcp),
    Http(Http),
    Tls(Tls),
    Disk(Disk),
    Process(Process),
    Dns(Dns),
    Nrpe(Nrpe),
    /// Results are sent from outside.
    Passive(Passive),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Passive {}

/// Connects; may send a text and wait for one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Tcp {
    /// `host:port`.
    pub address: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub send: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub expect: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning_seconds: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Http {
    pub url: String,
    /// Statuses that are good; 200 to 399 when none is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub status: Vec<u16>,
    /// A text the answer must hold.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub contains: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning_seconds: Option<f64>,
    /// A file with authorities that are trusted beside those of the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
}

/// When the certificate ends that a server shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// `host:port`.
    pub address: String,
    /// The name asked for, when it is not that of the address.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub server_name: String,
    /// A file with authorities that are trusted beside those of the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
    #[serde(default = "month")]
    pub warning_days: f64,
    #[serde(default = "week")]
    pub critical_days: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Disk {
    pub path: String,
    #[serde(default = "eighty")]
    pub warning_percent: f64,
    #[serde(default = "ninety")]
    pub critical_percent: f64,
}

/// How many processes have a name (`/proc/PID/comm`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Process {
    pub name: String,
    #[serde(default = "one")]
    pub min: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Dns {
    pub name: String,
    /// Addresses of which each must be in the answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expect: Vec<String>,
}

/// Asks an NRPE daemon to run a command of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Nrpe {
    /// `host` or `host:port`.
    pub address: String,
    pub command: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<String>,
    /// A file with the authority that signed the daemon's certificate. Without it the connection is plain (`nrpe -n`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
    /// The name in the daemon's certificate, when it is not that of the address.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub server_name: String,
    /// For daemons before NRPE 3.
    #[serde(default)]
    pub version_2: bool,
}

fn minute() -> String {
    "1m".to_owned()
}
fn quarter() -> String {
    "15s".to_owned()
}
fn ten() -> String {
    "10s".to_owned()
}
const fn three() -> u32 {
    3
}
const fn one() -> u32 {
    1
}
fn critical() -> String {
    "critical".to_owned()
}
const fn month() -> f64 {
    30.0
}
const fn week() -> f64 {
    7.0
}
const fn eighty() -> f64 {
    80.0
}
const fn ninety() -> f64 {
    90.0
}

/// The durations of a check, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_field_names, reason = "a name ends in its unit")]
pub(super) struct Times {
    pub interval_ms: i64,
    pub retry_ms: i64,
    pub timeout_ms: i64,
    pub freshness_ms: Option<i64>,
}

impl CheckSpec {
    pub(super) fn rules(&self) -> CheckRules {
        CheckRules { attempts_max: self.attempts, flap_low: self.flapping.low, flap_high: self.flapping.high }
    }

    /// Checks what is written and reads its durations.
    pub(super) fn times(&self) -> Result<Times, Fault> {
        let between = |key: &str, text: &str, min: i64, max: i64| {
            let ms = parse_duration_ms(text).map_err(|e| Fault::invalid(format!("`{key}` of a check: {e}")))?;
            if (min..=max).contains(&ms) {
                return Ok(ms);
            }
            Err(Fault::invalid(format!("`{key}` of a check is between {min} ms and {max} ms, not `{text}`")))
        };
        let interval_ms = between("interval", &self.interval, INTERVAL_MIN_MS, INTERVAL_MAX_MS)?;
        Ok(Times {
            interval_ms,
            retry_ms: between("retry_interval", &self.retry_interval, INTERVAL_MIN_MS, INTERVAL_MAX_MS)?
                .min(interval_ms),
            timeout_ms: between("timeout", &self.timeout, 100, TIMEOUT_MAX_MS)?,
            freshness_ms: self
                .freshness
                .as_deref()
                .map(|text| between("freshness", text, INTERVAL_MIN_MS, INTERVAL_MAX_MS))
                .transpose()?,
        })
    }

    /// Whether it may be so.
    pub(crate) fn check(&self, name: &str) -> Result<(), Fault> {
        self.times()?;
        let wrong = |message: String| Err(Fault::invalid(format!("the check {name}: {message}")));
        if !(1..=100).contains(&self.attempts) {
            return wrong("`attempts` is between 1 and 100".to_owned());
        }
        if !(0.0..=100.0).contains(&self.flapping.low) || !(0.0..=100.0).contains(&self.flapping.high) {
            return wrong("the thresholds of `flapping` are percentages".to_owned());
        }
        if self.parents.len() > PARENTS_MAX || self.parents.iter().any(|p| p == name) {
            return wrong(format!("it has at most {PARENTS_MAX} parents and is not its own"));
        }
        let severities = std::iter::once(&self.severity).chain(&self.stale_severity);
        if severities.into_iter().any(|s| !["critical", "warning", "info"].contains(&s.as_str())) {
            return wrong("`severity` and `stale_severity` are critical, warning or info".to_owned());
        }
        let texts = self.labels.iter().chain(&self.annotations).map(|(n, v)| n.len() + v.len());
        if self.labels.len() + self.annotations.len() > 40 || texts.max().unwrap_or(0) > TEXT_BYTES_MAX {
            return wrong(format!("it has at most 40 labels and annotations of {TEXT_BYTES_MAX} bytes"));
        }
        match self.run.wrong() {
            Some(message) => wrong(message),
            None => Ok(()),
        }
    }
}

impl Run {
    /// One word for what is done.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Plugin(_) => "plugin",
            Self::Tcp(_) => "tcp",
            Self::Http(_) => "http",
            Self::Tls(_) => "tls",
            Self::Disk(_) => "disk",
            Self::Process(_) => "process",
            Self::Dns(_) => "dns",
            Self::Nrpe(_) => "nrpe",
            Self::Passive(_) => "passive",
        }
    }

    fn wrong(&self) -> Option<String> {
        let long = |text: &str| text.is_empty() || text.len() > TEXT_BYTES_MAX || text.contains('\0');
        let port = |address: &str| {
            let port = address.rsplit_once(':').and_then(|(_, p)| p.parse::<u16>().ok());
            (long(address) || port.is_none()).then(|| format!("`{address:.100}` is not an address like host:port"))
        };
        match self {
            Self::Plugin(argv) => match argv.split_first() {
                None => Some("`plugin` names a program and its arguments".to_owned()),
                Some((program, arguments)) => {
                    let parts = program.split('/').any(|p| p == "..");
                    if long(program) || parts || (program.contains('/') && !program.starts_with('/')) {
                        return Some(format!("`{program:.100}` is neither a file name nor a whole path"));
                    }
                    let bytes: usize = arguments.iter().map(String::len).sum();
                    (arguments.len() > ARGUMENTS_MAX
                        || bytes > 2 * TEXT_BYTES_MAX
                        || arguments.iter().any(|a| a.contains('\0')))
                    .then(|| {
                        format!("a plugin takes at most {ARGUMENTS_MAX} arguments of {} bytes", 2 * TEXT_BYTES_MAX)
                    })
                }
            },
            Self::Tcp(tcp) => port(&tcp.address),
            Self::Tls(tls) => port(&tls.address),
            Self::Http(http) => {
                let known = http.url.starts_with("http://") || http.url.starts_with("https://");
                (!known || long(&http.url)).then(|| format!("`{:.100}` is not an http address", http.url))
            }
            Self::Disk(disk) => (!disk.path.starts_with('/')).then(|| "`path` is a whole path".to_owned()),
            Self::Process(process) => long(&process.name).then(|| "`name` of a process is missing".to_owned()),
            Self::Dns(dns) => long(&dns.name).then(|| "`name` to look up is missing".to_owned()),
            Self::Nrpe(nrpe) => {
                let command = long(&nrpe.command) || nrpe.command.contains('!') || nrpe.arguments.len() > ARGUMENTS_MAX;
                (long(&nrpe.address) || command).then(|| "`nrpe` takes an address and a command without `!`".to_owned())
            }
            Self::Passive(_) => None,
        }
    }
}

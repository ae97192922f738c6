//! Prometheus' configuration file, as far as it says who is scraped.

mod access;
mod names;
mod raw;
mod read;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use crate::{Group, Rule};

pub(crate) use read::{INTERVAL_MS_MIN, too_often};
pub use read::{JOBS_MAX, parse_config, parse_further, parse_http_config};

/// What is wrong with a configuration, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct ConfigError {
    /// Counted from 1; 0 when the file as a whole is meant.
    pub line: u64,
    pub message: String,
}

/// Everything a file says of scraping.
#[derive(Debug, Clone, Default)]
pub struct ScrapeConfigs {
    pub jobs: Vec<Job>,
    /// What stands in the file and is not read from here, in words with the line.
    pub notes: Vec<String>,
    /// Further files with jobs: paths whose last part may be a pattern ([`crate::Glob`]).
    pub files: Vec<String>,
    /// What counts for all jobs, and for those of the further files.
    pub globals: Globals,
}

/// What `global` of a file said, read once however many further files there are.
#[derive(Debug, Clone, Default)]
pub struct Globals(Arc<raw::Global>);

impl ScrapeConfigs {
    /// Files are meant from the folder of the configuration file, unless their paths say more.
    pub fn relative_to(&mut self, folder: &str) {
        let whole = |path: &mut String| {
            if !folder.is_empty() && !path.starts_with('/') {
                *path = format!("{folder}/{path}");
            }
        };
        self.files.iter_mut().for_each(whole);
        for job in &mut self.jobs {
            job.client.each_path(&whole);
            job.http_sd.iter_mut().for_each(|sd| sd.client.each_path(&whole));
            job.file_sd.iter_mut().flat_map(|sd| &mut sd.files).for_each(whole);
        }
    }
}

/// One `scrape_config`, complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    pub name: String,
    /// Line of its entry.
    pub line: u64,
    pub interval_ms: u64,
    pub timeout_ms: u64,
    pub metrics_path: String,
    pub scheme: String,
    pub params: BTreeMap<String, Vec<String>>,
    /// Whether labels of the page win over the target's.
    pub honor_labels: bool,
    /// Whether times on the page count.
    pub honor_timestamps: bool,
    /// Whether series with times of their own end when they vanish.
    pub track_timestamps_staleness: bool,
    /// Whether the page may come compressed.
    pub compression: bool,
    pub client: HttpClient,
    /// What is asked for, best first.
    pub protocols: Vec<Protocol>,
    /// How a page is read that does not say what it is, or says something unknown; without one such a page fails.
    pub fallback: Option<Protocol>,
    /// How names that are not of the old letters are to come.
    pub escaping: Escaping,
    pub native_histograms: bool,
    /// Whether classic buckets are kept beside native ones.
    pub classic_histograms: bool,
    /// Whether classic histograms become native ones with custom buckets.
    pub convert_histograms: bool,
    /// Whether names of the old letters alone are taken; a page with another fails.
    pub legacy_names: bool,
    pub limits: Limits,
    /// Whether each scrape brings series of its limits as well, to be compared with what came.
    pub limit_series: bool,
    /// Targets shown that relabelling dropped; 0 for the server's own limit.
    pub keep_dropped_max: usize,
    pub relabel: Vec<Rule>,
    pub metric_relabel: Vec<Rule>,
    pub static_groups: Vec<Group>,
    pub file_sd: Vec<FileSd>,
    pub http_sd: Vec<HttpSd>,
    pub dns_sd: Vec<DnsSd>,
}

impl Job {
    /// Whether both ask the same targets in the same way, wherever their entries stand.
    pub fn asks_like(&self, other: &Self) -> bool {
        *self == Self { line: self.line, ..other.clone() }
    }

    /// A job with Prometheus' defaults.
    pub fn new(name: impl Into<String>, interval_ms: u64, timeout_ms: u64) -> Self {
        Self {
            name: name.into(),
            line: 0,
            interval_ms,
            timeout_ms,
            metrics_path: "/metrics".to_owned(),
            scheme: "http".to_owned(),
            params: BTreeMap::new(),
            honor_labels: false,
            honor_timestamps: true,
            track_timestamps_staleness: false,
            compression: true,
            client: HttpClient::default(),
            protocols: Protocol::USUAL.to_vec(),
            fallback: None,
            escaping: Escaping::default(),
            native_histograms: false,
            classic_histograms: false,
            convert_histograms: false,
            legacy_names: false,
            limits: Limits::default(),
            limit_series: false,
            keep_dropped_max: 0,
            relabel: Vec::new(),
            metric_relabel: Vec::new(),
            static_groups: Vec::new(),
            file_sd: Vec::new(),
            http_sd: Vec::new(),
            dns_sd: Vec::new(),
        }
    }

    pub const fn histograms(&self) -> TakenHistograms {
        TakenHistograms {
            native: self.native_histograms,
            classic: self.classic_histograms,
            convert: self.convert_histograms,
        }
    }

    /// The same job for targets of which other histograms are wanted. The protocols go with them, unless the configuration
    /// lists its own.
    #[must_use]
    pub fn with_histograms(&self, wanted: TakenHistograms) -> Self {
        let mut job = self.clone();
        job.native_histograms = wanted.native;
        job.classic_histograms = wanted.classic;
        job.convert_histograms = wanted.convert;
        if wanted.native && job.protocols == Protocol::USUAL {
            job.protocols = Protocol::NATIVE.to_vec();
        } else if !wanted.native && job.protocols == Protocol::NATIVE {
            job.protocols = Protocol::USUAL.to_vec();
        }
        job
    }

    /// The header `Accept`: each protocol with a weight, and anything at the end. Without the parameter `escaping` a client
    /// library writes names of UTF-8 with underscores; versions of the text before 1.0.0 do not know it.
    pub fn accept(&self) -> String {
        let mut out = String::new();
        for (at, protocol) in self.protocols.iter().enumerate() {
            let media = protocol.media_type();
            let weight = 9_usize.saturating_sub(at).max(2);
            // Writing into a string does not fail.
            let _ = if protocol.knows_escaping() {
                write!(out, "{media};escaping={};q=0.{weight},", self.escaping.name())
            } else {
                write!(out, "{media};q=0.{weight},")
            };
        }
        out + "*/*;q=0.1"
    }
}

/// Which histograms of a page are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TakenHistograms {
    pub native: bool,
    /// Classic buckets beside native ones as well.
    pub classic: bool,
    /// Classic ones as native ones with custom buckets.
    pub convert: bool,
}

/// Limits of one scrape; 0 is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Of the page, after decompression.
    pub body_bytes_max: u64,
    /// After relabelling.
    pub samples_max: u64,
    /// Of one series, after relabelling.
    pub labels_max: u64,
    pub label_name_bytes_max: u64,
    pub label_value_bytes_max: u64,
    /// Of one native histogram, which is made coarser until it keeps within.
    pub histogram_buckets_max: u64,
    /// The finest schema of native histograms.
    pub histogram_schema_max: Option<i32>,
    /// Of the job. More of them make every scrape of the job fail.
    pub targets_max: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    PrometheusProto,
    OpenMetrics1_0_0,
    OpenMetrics0_0_1,
    PrometheusText1_0_0,
    PrometheusText0_0_4,
}

impl Protocol {
    /// What is asked for unless the configuration says otherwise.
    pub const USUAL: [Self; 4] =
        [Self::OpenMetrics1_0_0, Self::OpenMetrics0_0_1, Self::PrometheusText1_0_0, Self::PrometheusText0_0_4];
    /// The same where native histograms are wanted: only protobuf carries them.
    pub const NATIVE: [Self; 5] = [
        Self::PrometheusProto,
        Self::OpenMetrics1_0_0,
        Self::OpenMetrics0_0_1,
        Self::PrometheusText1_0_0,
        Self::PrometheusText0_0_4,
    ];

    const fn knows_escaping(self) -> bool {
        match self {
            Self::PrometheusProto | Self::OpenMetrics1_0_0 | Self::PrometheusText1_0_0 => true,
            Self::OpenMetrics0_0_1 | Self::PrometheusText0_0_4 => false,
        }
    }

    pub const fn media_type(self) -> &'static str {
        match self {
            Self::PrometheusProto => {
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
            }
            Self::OpenMetrics1_0_0 => "application/openmetrics-text;version=1.0.0",
            Self::OpenMetrics0_0_1 => "application/openmetrics-text;version=0.0.1",
            Self::PrometheusText1_0_0 => "text/plain;version=1.0.0",
            Self::PrometheusText0_0_4 => "text/plain;version=0.0.4",
        }
    }
}

/// How a target is asked to write names that hold more than letters, digits, `_` and `:`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Escaping {
    /// As they are, in quotes.
    #[default]
    None,
    /// Everything else becomes `_`.
    Underscores,
    /// A dot becomes `_dot_`, `_` becomes `__`.
    Dots,
    /// With `U__` in front and code points in hexadecimal.
    Values,
}

impl Escaping {
    fn parse(text: &str) -> Option<Self> {
        [Self::None, Self::Underscores, Self::Dots, Self::Values].into_iter().find(|e| e.name() == text)
    }

    /// As Prometheus writes it, in its configuration and in the header.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "allow-utf-8",
            Self::Underscores => "underscores",
            Self::Dots => "dots",
            Self::Values => "values",
        }
    }
}

/// A secret, or the file that holds it.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    Text(String),
    File(String),
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(_) => f.write_str("Text(..)"),
            Self::File(path) => write!(f, "File({path:?})"),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Auth {
    Basic {
        username: Secret,
        password: Secret,
    },
    /// The header `Authorization` with a kind, mostly `Bearer`.
    Credentials {
        kind: String,
        credentials: Secret,
    },
    /// A token that a server of OAuth 2.0 gives to the client itself (RFC 6749, section 4.4).
    Oauth2(Box<Oauth2>),
}

/// Where a token is had, and who asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Oauth2 {
    pub client_id: String,
    pub client_secret: Secret,
    pub scopes: Vec<String>,
    pub token_url: String,
    /// Further fields of the form.
    pub parameters: BTreeMap<String, String>,
    pub tls: Tls,
    pub proxy: Proxy,
}

/// What requests go through.
#[derive(Clone, PartialEq, Eq, Default)]
pub enum Proxy {
    /// Nothing, whatever the environment says.
    #[default]
    None,
    /// A proxy, but not for what `except` names: hosts, domains, addresses and networks, with commas in between.
    Url { url: String, except: String },
    /// As the variables `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` say.
    Environment,
}

/// Its address may hold a password.
impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Url { .. } => "Url(..)",
            Self::Environment => "Environment",
        })
    }
}

/// How requests are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpClient {
    pub auth: Option<Auth>,
    pub follow_redirects: bool,
    pub tls: Tls,
    /// Sent besides those of the request. A name may be there more than once.
    pub headers: Vec<Header>,
    pub proxy: Proxy,
    /// Sent to a proxy that is asked for a tunnel, and not through it.
    pub proxy_headers: Vec<Header>,
}

/// A header and one value of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    pub name: String,
    pub value: Secret,
}

impl Default for HttpClient {
    fn default() -> Self {
        Self {
            auth: None,
            follow_redirects: true,
            tls: Tls::default(),
            headers: Vec::new(),
            proxy: Proxy::None,
            proxy_headers: Vec::new(),
        }
    }
}

impl HttpClient {
    /// Every file that is named.
    pub fn files(&self) -> Vec<String> {
        let seen = std::cell::RefCell::new(Vec::new());
        self.clone().each_path(&|path: &mut String| seen.borrow_mut().push(path.clone()));
        seen.into_inner()
    }

    fn each_path(&mut self, change: &impl Fn(&mut String)) {
        let secret = |secret: &mut Secret| {
            if let Secret::File(path) = secret {
                change(path);
            }
        };
        match &mut self.auth {
            Some(Auth::Basic { username, password }) => {
                secret(username);
                secret(password);
            }
            Some(Auth::Credentials { credentials, .. }) => secret(credentials),
            Some(Auth::Oauth2(oauth)) => {
                secret(&mut oauth.client_secret);
                oauth.tls.each_path(change);
            }
            None => {}
        }
        self.headers.iter_mut().for_each(|header| secret(&mut header.value));
        self.tls.each_path(change);
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tls {
    /// Certificates to trust besides the machine's own, as PEM.
    pub ca: Option<String>,
    /// A file of the same.
    pub ca_file: Option<String>,
    /// Our certificate and its key as PEM, or their files.
    pub cert: Option<String>,
    pub cert_file: Option<String>,
    pub key: Option<Secret>,
    pub key_file: Option<String>,
    pub version_min: Option<TlsVersion>,
    pub version_max: Option<TlsVersion>,
    /// Told the other side, and looked for in its certificate, instead of the name in the address.
    pub server_name: Option<String>,
    pub insecure_skip_verify: bool,
}

/// Those that are spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsVersion {
    V1_2,
    V1_3,
}

impl Tls {
    fn each_path(&mut self, change: &impl Fn(&mut String)) {
        [&mut self.ca_file, &mut self.cert_file, &mut self.key_file].into_iter().flatten().for_each(change);
    }
}

/// Lists of targets in files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSd {
    /// Paths whose last part may be a pattern ([`crate::Glob`]).
    pub files: Vec<String>,
    pub refresh_ms: u64,
}

/// A list of targets behind an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpSd {
    pub url: String,
    pub refresh_ms: u64,
    pub client: HttpClient,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RecordType {
    A,
    Aaaa,
    Mx,
    Ns,
    Srv,
}

/// Targets by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsSd {
    pub names: Vec<String>,
    pub kind: RecordType,
    /// For records that have none of their own: all but SRV.
    pub port: u16,
    pub refresh_ms: u64,
}

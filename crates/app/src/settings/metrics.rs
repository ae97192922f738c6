//! Where metrics come from, how long they are kept, and where they go.

use std::path::PathBuf;

use serde::Deserialize;

use super::{QueryLimits, Size, SourceLimits, Span};

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Metrics {
    pub scrape_interval_ms: u64,
    pub scrape_timeout_ms: u64,
    pub retention_days: u32,
    /// The oldest samples are dropped once all together take more; 0 for no limit.
    pub retention_size: Size,
    /// A sample older than the newest of its series is taken when it is older by at most this; 0 takes none.
    pub out_of_order_time_window: Span,
    pub downsample: Downsample,
    pub query: QueryLimits,
    /// Whether queries may use what Prometheus has behind flags (experimental functions and modifiers).
    pub experimental_promql: bool,
    /// Targets besides those the agents report: full URLs of metrics pages.
    pub static_targets: Vec<StaticTarget>,
    /// Configuration files of Prometheus, of which the `scrape_configs` are obeyed; read again when they change.
    pub scrape_config_files: Vec<PathBuf>,
    /// Who is asked for `dns_sd_configs`, as `ADDRESS:PORT`; empty for the servers of /etc/resolv.conf.
    pub dns_servers: Vec<std::net::SocketAddr>,
    pub scrape: Scrape,
    pub push: Push,
    /// Limits that differ for one source, by `NAME` or `PROTOCOL/NAME`.
    pub sources: std::collections::BTreeMap<String, SourceLimits>,
    pub otlp: Otlp,
    pub engine: Engine,
    pub remote: Remote,
    pub remote_write: Vec<Receiver>,
}

/// Where samples are kept and queries are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// In the data directory.
    #[default]
    Embedded,
    /// In a cluster that speaks Prometheus' API: `remote` answers, `remote_write` takes.
    Remote,
}

/// The cluster that answers.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Remote {
    /// Its address, to which `/api/v1/query` is put.
    pub url: String,
    /// Sent with every question: the tenant, mostly.
    pub headers: std::collections::BTreeMap<String, String>,
    /// A file with a bearer token.
    pub token_file: PathBuf,
    /// Put to every question.
    pub parameters: std::collections::BTreeMap<String, String>,
}

/// A store to which samples are sent on by remote write.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Receiver {
    pub name: String,
    pub url: String,
    pub headers: std::collections::BTreeMap<String, String>,
    /// A file with a bearer token.
    pub token_file: PathBuf,
    /// Requests under way at one time; each shard has its own series.
    pub shards: usize,
    /// Samples that wait on disk for the receiver.
    pub queue_bytes_max: u64,
    /// Which message it is sent. One that answers that it does not read 2.0 is sent 1.0.
    pub version: WriteVersion,
    /// Whether exemplars are sent as well.
    pub send_exemplars: bool,
    /// How often a receiver of version 1.0, whose samples do not carry it, is told what is known of metrics; 0 for never.
    pub metadata_interval_ms: u64,
    /// Rules by which series are renamed or left out on their way.
    pub write_relabel_configs: Vec<tenfold_scrape::RuleSpec>,
}

/// The versions of remote write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub enum WriteVersion {
    /// `prometheus.WriteRequest`, which every receiver reads.
    #[default]
    #[serde(rename = "1.0")]
    V1,
    /// `io.prometheus.write.v2.Request`: smaller, and with what is known of each metric.
    #[serde(rename = "2.0")]
    V2,
}

impl Default for Receiver {
    fn default() -> Self {
        Self {
            name: String::new(),
            url: String::new(),
            headers: std::collections::BTreeMap::new(),
            token_file: PathBuf::new(),
            shards: 2,
            queue_bytes_max: 1 << 30,
            version: WriteVersion::default(),
            send_exemplars: true,
            metadata_interval_ms: 60_000,
            write_relabel_configs: Vec::new(),
        }
    }
}

impl Metrics {
    pub fn is_remote(&self) -> bool {
        self.engine == Engine::Remote
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            scrape_interval_ms: 15_000,
            scrape_timeout_ms: 10_000,
            retention_days: 15,
            retention_size: Size::default(),
            out_of_order_time_window: Span(30 * 60_000),
            downsample: Downsample::default(),
            query: QueryLimits::default(),
            experimental_promql: true,
            static_targets: Vec::new(),
            scrape_config_files: Vec::new(),
            dns_servers: Vec::new(),
            scrape: Scrape::default(),
            push: Push::default(),
            sources: std::collections::BTreeMap::new(),
            otlp: Otlp::default(),
            engine: Engine::default(),
            remote: Remote::default(),
            remote_write: Vec::new(),
        }
    }
}

/// How the targets that agents report, and the static ones, are asked. Zero is no limit.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Scrape {
    pub body_bytes_max: u64,
    pub samples_max: u64,
    pub labels_max: u64,
    pub label_name_bytes_max: u64,
    pub label_value_bytes_max: u64,
    /// Whether native histograms are asked for.
    pub native_histograms: bool,
    /// Whether the classic buckets of a native histogram are kept as well.
    pub classic_histograms: bool,
}

impl Default for Scrape {
    fn default() -> Self {
        Self {
            body_bytes_max: 16 << 20,
            samples_max: 0,
            labels_max: 0,
            label_name_bytes_max: 0,
            label_value_bytes_max: 0,
            native_histograms: true,
            classic_histograms: true,
        }
    }
}

/// How long old days are kept as rows of aggregates; 0 for not at all.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Downsample {
    /// Days for which there is a row for every five minutes of a series.
    pub five_minutes_days: u32,
    /// Days for which there is a row for every hour.
    pub one_hour_days: u32,
}

impl Downsample {
    /// Both, when any is kept.
    pub fn kept_days(&self) -> Option<[u32; 2]> {
        let kept = [self.five_minutes_days, self.one_hour_days];
        (kept != [0, 0]).then_some(kept)
    }
}

/// How OTLP becomes series.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Otlp {
    /// Whether names get their unit and `_total`.
    pub suffixes: bool,
    /// Attributes of the resource that become labels of every series; the others are on `target_info`.
    pub promote_resource_attributes: Vec<String>,
    /// Whether the scope's name, version, schema and attributes become labels (`otel_scope_...`).
    pub promote_scope: bool,
    /// Whether histograms with explicit bounds are kept as native ones with custom buckets.
    pub native_histograms: bool,
}

impl Default for Otlp {
    fn default() -> Self {
        Self { suffixes: true, promote_resource_attributes: Vec::new(), promote_scope: false, native_histograms: false }
    }
}

impl Metrics {
    /// How targets are asked that no configuration file names.
    pub fn usual_job(&self) -> tenfold_scrape::Job {
        use tenfold_scrape::{HttpClient, Job, Limits, Protocol};
        let scrape = &self.scrape;
        let mut job = Job::new("", self.scrape_interval_ms.max(100), self.scrape_timeout_ms.max(1));
        job.native_histograms = scrape.native_histograms;
        job.classic_histograms = scrape.classic_histograms;
        if scrape.native_histograms {
            job.protocols = Protocol::NATIVE.to_vec();
        }
        // An agent's word must not point the server at something it must not ask.
        job.client = HttpClient { follow_redirects: false, ..HttpClient::default() };
        job.limits = Limits {
            body_bytes_max: scrape.body_bytes_max,
            samples_max: scrape.samples_max,
            labels_max: scrape.labels_max,
            label_name_bytes_max: scrape.label_name_bytes_max,
            label_value_bytes_max: scrape.label_value_bytes_max,
            targets_max: 0,
        };
        job
    }
}

impl Otlp {
    pub fn rules(&self) -> tenfold_protocols::otlp::Rules {
        tenfold_protocols::otlp::Rules {
            suffixes: self.suffixes,
            promoted: self.promote_resource_attributes.clone(),
            promote_scope: self.promote_scope,
            native_histograms: self.native_histograms,
        }
    }
}

/// Limits of each source that pushes samples: a token, a listener.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Push {
    /// Different series within an hour.
    pub series_per_source_max: usize,
    /// Samples a second, with a burst of ten seconds' worth; 0 for no limit.
    pub samples_per_second_max: u64,
}

impl Default for Push {
    fn default() -> Self {
        Self { series_per_source_max: 500_000, samples_per_second_max: 0 }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StaticTarget {
    pub job: String,
    pub url: String,
    #[serde(default)]
    pub labels: std::collections::BTreeMap<String, String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Statsd {
    /// UDP address; empty for none.
    pub listen: String,
    /// TCP address, for lines; empty for none.
    pub tcp_listen: String,
    /// Path of a Unix datagram socket, which is made; empty for none.
    pub unix_socket: PathBuf,
    pub flush_interval_ms: u64,
}

impl Default for Statsd {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8125".into(),
            tcp_listen: String::new(),
            unix_socket: PathBuf::new(),
            flush_interval_ms: 10_000,
        }
    }
}

/// Graphite knows no tokens: whoever reaches an address may send. All are off unless set.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Graphite {
    /// TCP address for lines (carbon's 2003).
    pub listen: String,
    /// UDP address for lines.
    pub udp_listen: String,
    /// TCP address for pickles (carbon's 2004).
    pub pickle_listen: String,
    /// From dotted paths to names and labels; the first that fits counts.
    pub templates: Vec<String>,
}

/// Ganglia knows no tokens: whoever reaches the address may send. It is off unless set.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ganglia {
    /// UDP address for what gmond sends (its 8649).
    pub listen: String,
    /// The group that gmonds send to (their 239.2.11.71), to be joined.
    pub multicast_group: Option<std::net::Ipv4Addr>,
    /// gmond or gmetad, to be asked for all they know.
    pub sources: Vec<GangliaSource>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GangliaSource {
    pub job: String,
    /// `HOST:PORT` of a gmond (8649) or of gmetad (8651).
    pub address: String,
    #[serde(default)]
    pub labels: std::collections::BTreeMap<String, String>,
}

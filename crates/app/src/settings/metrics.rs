//! Where metrics come from, how long they are kept, and where they go.

use std::path::PathBuf;

use serde::Deserialize;
use tenfold_protocols::otlp::{Naming, Promoted};
use tenfold_scrape::HttpClient;
use tenfold_types::Fault;

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
    /// Series with samples in memory, those of the last few hours; ten times as many are known at most, ended ones too.
    pub series_max: usize,
    pub downsample: Downsample,
    pub query: QueryLimits,
    /// Whether queries may use what Prometheus has behind flags (experimental functions and modifiers).
    pub experimental_promql: bool,
    /// Origins whose pages may ask the Prometheus API from a browser, as `https://perses.example.org`; `*` for any.
    pub cors_origins: Vec<String>,
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

/// An `http_config` of Prometheus: `basic_auth`, `authorization`, `oauth2`, `tls_config`, `proxy_url` and so on. It is read
/// where it is used: what is wrong with the settings as a whole is told with the lines around it, and a secret is not.
#[derive(Clone, Default, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct HttpConfig(serde_json::Value);

impl HttpConfig {
    /// What it says, as Prometheus' programs read it; their defaults where nothing is set.
    ///
    /// # Errors
    /// The first thing that is wrong. A secret is not repeated.
    pub fn client(&self) -> Result<HttpClient, String> {
        if self.0.is_null() {
            return Ok(HttpClient::default());
        }
        // JSON is YAML as well; where in it something stands helps nobody.
        tenfold_scrape::parse_http_config(&self.0.to_string())
            .map_err(|e| format!("http_config: {}", e.message.split(" at line ").next().unwrap_or_default()))
    }
}

/// It may hold a secret.
impl std::fmt::Debug for HttpConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HttpConfig(..)")
    }
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
    /// How else requests are made.
    pub http_config: HttpConfig,
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
    /// How else requests are made.
    pub http_config: HttpConfig,
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
            http_config: HttpConfig::default(),
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
            series_max: tenfold_tsdb::Options::default().series_max,
            downsample: Downsample::default(),
            query: QueryLimits::default(),
            experimental_promql: true,
            cors_origins: Vec::new(),
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
    /// Whether classic histograms become native ones with custom buckets; with `classic_histograms` they stay as well.
    pub convert_histograms: bool,
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
            convert_histograms: false,
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
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Otlp {
    /// How names are made.
    pub translation_strategy: Naming,
    /// Attributes of the resource that become labels of every series; the others are on `target_info`.
    pub promote_resource_attributes: Vec<String>,
    /// Whether all of them do, but for those that are ignored.
    pub promote_all_resource_attributes: bool,
    pub ignore_resource_attributes: Vec<String>,
    /// Whether `target_info` has `service.name`, `service.namespace` and `service.instance.id` under their own names as well.
    pub keep_identifying_resource_attributes: bool,
    /// Whether the scope's name, version, schema and attributes become labels (`otel_scope_...`).
    #[serde(alias = "promote_scope_metadata")]
    pub promote_scope: bool,
    /// Whether histograms with explicit bounds are kept as native ones with custom buckets.
    #[serde(alias = "convert_histograms_to_nhcb")]
    pub native_histograms: bool,
}

impl Metrics {
    /// How targets are asked that no configuration file names.
    pub fn usual_job(&self) -> tenfold_scrape::Job {
        use tenfold_scrape::{Job, Limits, Protocol};
        let scrape = &self.scrape;
        let mut job = Job::new("", self.scrape_interval_ms.max(100), self.scrape_timeout_ms.max(1));
        job.native_histograms = scrape.native_histograms;
        job.classic_histograms = scrape.classic_histograms;
        job.convert_histograms = scrape.convert_histograms;
        // What a release tells is read whatever it calls it: nobody wrote a job in which to say how.
        job.fallback = Some(Protocol::PrometheusText0_0_4);
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
            ..Limits::default()
        };
        job
    }
}

impl Otlp {
    pub fn rules(&self) -> tenfold_protocols::otlp::Rules {
        let promoted = if self.promote_all_resource_attributes {
            Promoted::AllBut(self.ignore_resource_attributes.clone())
        } else {
            Promoted::These(self.promote_resource_attributes.clone())
        };
        tenfold_protocols::otlp::Rules {
            naming: self.translation_strategy,
            promoted,
            keep_identifying: self.keep_identifying_resource_attributes,
            promote_scope: self.promote_scope,
            native_histograms: self.native_histograms,
        }
    }

    /// What the types alone do not say, as Prometheus checks it.
    pub fn check(&self) -> Result<(), Fault> {
        if self.promote_all_resource_attributes && !self.promote_resource_attributes.is_empty() {
            return Err(Fault::invalid(
                "metrics.otlp has promote_all_resource_attributes and promote_resource_attributes; one of them at most",
            ));
        }
        if !self.promote_all_resource_attributes && !self.ignore_resource_attributes.is_empty() {
            return Err(Fault::invalid(
                "metrics.otlp.ignore_resource_attributes says which are not promoted where promote_all_resource_attributes is true",
            ));
        }
        Ok(())
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
    /// Path of a Unix socket for streams, which is made; empty for none.
    pub unix_stream_socket: PathBuf,
    pub flush_interval_ms: u64,
    /// Whether a sign makes a gauge's value a change, as Etsy's clients mean it; Datadog's mean the value itself.
    pub gauge_deltas: bool,
    /// The label that gets the container a client names (DogStatsD's `|c:`); empty for none.
    pub container_label: String,
    /// How many of DogStatsD's events (`_e{..}`) go into the record in a minute; 0 counts them only.
    pub events_per_minute_max: u32,
}

impl Default for Statsd {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8125".into(),
            tcp_listen: String::new(),
            unix_socket: PathBuf::new(),
            unix_stream_socket: PathBuf::new(),
            flush_interval_ms: 10_000,
            gauge_deltas: true,
            container_label: String::new(),
            events_per_minute_max: 30,
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

/// collectd's plugin `network` knows no tokens: whoever reaches the address may send, unless datagrams have to be signed. It is off
/// unless set.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Collectd {
    /// UDP address (collectd's 25826).
    pub listen: String,
    /// The group to join where collectd sends to one.
    pub multicast_group: Option<std::net::Ipv4Addr>,
    /// Files that name the values of types which collectd itself does not bring.
    pub types_db: Vec<PathBuf>,
    /// Passwords of those who sign or encrypt, `user: password` in each line, as collectd's `AuthFile`; empty for none.
    pub auth_file: PathBuf,
    pub security_level: CollectdSecurity,
}

/// How safe collectd's datagrams have to be, as its `SecurityLevel`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CollectdSecurity {
    /// Plain ones are taken as well.
    #[default]
    None,
    /// They are signed or encrypted.
    Sign,
    Encrypt,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn otlp(json: serde_json::Value) -> Otlp {
        serde_json::from_value(json).expect("settings")
    }

    #[test]
    fn an_http_config_is_read_and_its_secrets_are_not_told() {
        let set = |json: serde_json::Value| -> Receiver { serde_json::from_value(json).expect("settings") };
        assert_eq!(set(serde_json::json!({})).http_config.client(), Ok(HttpClient::default()));
        let basic = set(serde_json::json!({"http_config": {
            "basic_auth": {"username": "123", "password": "s3cret"}, "tls_config": {"ca_file": "/etc/ca.pem"},
            "proxy_url": "http://u:s3cret@proxy.example.org:3128", "follow_redirects": false,
        }}));
        let client = basic.http_config.client().expect("it is right");
        assert!(matches!(client.auth, Some(tenfold_scrape::Auth::Basic { .. })) && !client.follow_redirects);
        assert_eq!(client.tls.ca_file.as_deref(), Some("/etc/ca.pem"));
        assert!(!format!("{basic:?}{client:?}").contains("s3cret"));
        for (wrong, said) in [
            (serde_json::json!({"basic_auht": {"password": "s3cret"}}), "basic_auht"),
            (serde_json::json!({"basic_auth": {"password": ["s3cret"]}}), "not of its kind"),
            (serde_json::json!("s3cret"), "not of its kind"),
            (serde_json::json!({"proxy_url": "s3cret"}), "proxy_url"),
        ] {
            let told = set(serde_json::json!({"http_config": wrong})).http_config.client().expect_err("it is wrong");
            assert!(told.starts_with("http_config: ") && told.contains(said) && !told.contains("s3cret"), "{told}");
        }
    }

    #[test]
    fn otlp_is_set_as_in_prometheus() {
        let usual = otlp(serde_json::json!({})).rules();
        assert_eq!(
            (usual.naming, usual.promoted),
            (Naming::UnderscoreEscapingWithSuffixes, Promoted::These(Vec::new()))
        );
        let all = otlp(serde_json::json!({
            "translation_strategy": "NoUTF8EscapingWithSuffixes", "promote_all_resource_attributes": true,
            "ignore_resource_attributes": ["a"], "keep_identifying_resource_attributes": true,
            "convert_histograms_to_nhcb": true, "promote_scope_metadata": true,
        }));
        assert_eq!(all.check(), Ok(()));
        let rules = all.rules();
        assert_eq!(
            (rules.naming, rules.promoted),
            (Naming::NoUtf8EscapingWithSuffixes, Promoted::AllBut(vec!["a".into()]))
        );
        assert!(rules.keep_identifying && rules.native_histograms && rules.promote_scope);
        for wrong in [
            serde_json::json!({"promote_all_resource_attributes": true, "promote_resource_attributes": ["a"]}),
            serde_json::json!({"ignore_resource_attributes": ["a"]}),
        ] {
            assert!(otlp(wrong.clone()).check().is_err(), "{wrong}");
        }
    }
}

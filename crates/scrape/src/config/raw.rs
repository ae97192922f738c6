//! The file's keys as they are written.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de::Error};
use serde_saphyr::Spanned;

use super::access::{Credentials, auth, connect_headers, headers, proxy, tls};
use super::{ConfigError, HttpClient, Protocol, RecordType};
use crate::groups::{RawGroup, or_nothing};
use crate::relabel::RuleSpec;
use crate::units::parse_bytes;

/// What asks others over HTTP has the keys of an `http_config` beside its own. serde refuses unknown keys or flattens, not both:
/// so they are written into each.
macro_rules! with_http_client {
    ($(#[$of:meta])* pub struct $name:ident { $($(#[$of_key:meta])* pub $key:ident: $type:ty,)* }) => {
        $(#[$of])*
        pub struct $name {
            $($(#[$of_key])* pub $key: $type,)*
            pub basic_auth: Option<Spanned<BasicAuth>>,
            pub authorization: Option<Spanned<Authorization>>,
            pub bearer_token: Option<Spanned<String>>,
            pub bearer_token_file: Option<Spanned<String>>,
            pub follow_redirects: Option<bool>,
            pub enable_http2: Option<bool>,
            pub tls_config: Option<Spanned<RawTls>>,
            pub oauth2: Option<Spanned<RawOauth2>>,
            pub proxy_url: Option<Spanned<String>>,
            pub no_proxy: Option<Spanned<String>>,
            pub proxy_from_environment: Option<Spanned<bool>>,
            pub proxy_connect_header: Option<Spanned<BTreeMap<String, Vec<String>>>>,
            pub http_headers: Option<Spanned<BTreeMap<String, RawHeader>>>,
        }

        impl $name {
            pub fn client(&self) -> Result<HttpClient, ConfigError> {
                // HTTP/2 is used where TLS agrees on it; that changes nothing about an answer.
                let _ = self.enable_http2;
                let environment = self.proxy_from_environment.as_ref();
                let proxy = proxy(self.proxy_url.as_ref(), self.no_proxy.as_ref(), environment)?;
                Ok(HttpClient {
                    auth: auth(&Credentials {
                        basic: self.basic_auth.as_ref(),
                        authorization: self.authorization.as_ref(),
                        bearer: self.bearer_token.as_ref(),
                        bearer_file: self.bearer_token_file.as_ref(),
                        oauth2: self.oauth2.as_ref(),
                    })?,
                    follow_redirects: self.follow_redirects.unwrap_or(true),
                    tls: tls(self.tls_config.as_ref())?,
                    headers: headers(self.http_headers.as_ref())?,
                    proxy_headers: connect_headers(self.proxy_connect_header.as_ref(), &proxy)?,
                    proxy,
                })
            }
        }
    };
}

/// Milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct Duration(pub u64);

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let read = tenfold_types::parse_duration_ms(&String::deserialize(d)?);
        read.map(|ms| Self(ms.unsigned_abs())).map_err(D::Error::custom)
    }
}

#[derive(Debug, Clone, Copy)]
pub struct Bytes(pub u64);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        parse_bytes(&String::deserialize(d)?).map(Self).map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Protocol {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        Ok(match text.as_str() {
            "PrometheusProto" => Self::PrometheusProto,
            "OpenMetricsText1.0.0" => Self::OpenMetrics1_0_0,
            "OpenMetricsText0.0.1" => Self::OpenMetrics0_0_1,
            "PrometheusText1.0.0" => Self::PrometheusText1_0_0,
            "PrometheusText0.0.4" => Self::PrometheusText0_0_4,
            _ => {
                return Err(D::Error::custom(format!(
                    "`{text}` is not a scrape protocol; known are PrometheusProto, OpenMetricsText1.0.0, \
                     OpenMetricsText0.0.1, PrometheusText1.0.0 and PrometheusText0.0.4"
                )));
            }
        })
    }
}

impl<'de> Deserialize<'de> for RecordType {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        match text.to_ascii_uppercase().as_str() {
            "A" => Ok(Self::A),
            "AAAA" => Ok(Self::Aaaa),
            "MX" => Ok(Self::Mx),
            "NS" => Ok(Self::Ns),
            "SRV" => Ok(Self::Srv),
            _ => Err(D::Error::custom(format!("`{text}` records are not asked for; A, AAAA, MX, NS and SRV are"))),
        }
    }
}

/// What stands in a part of the file that is not read here.
pub type Elsewhere = Option<Spanned<serde::de::IgnoredAny>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    pub global: Option<Global>,
    pub scrape_configs: Option<Vec<Spanned<Scrape>>>,
    pub scrape_config_files: Option<Vec<Spanned<String>>>,
    pub rule_files: Elsewhere,
    pub alerting: Elsewhere,
    pub remote_write: Elsewhere,
    pub remote_read: Elsewhere,
    pub storage: Elsewhere,
    pub tracing: Elsewhere,
    pub otlp: Elsewhere,
    pub runtime: Elsewhere,
}

/// A file that `scrape_config_files` of another names.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Further {
    pub scrape_configs: Option<Vec<Spanned<Scrape>>>,
}

#[derive(Debug, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Global {
    pub scrape_interval: Option<Duration>,
    pub scrape_timeout: Option<Duration>,
    pub scrape_protocols: Option<Vec<Protocol>>,
    pub scrape_native_histograms: Option<bool>,
    pub always_scrape_classic_histograms: Option<bool>,
    pub body_size_limit: Option<Bytes>,
    pub sample_limit: Option<u64>,
    pub label_limit: Option<u64>,
    pub label_name_length_limit: Option<u64>,
    pub label_value_length_limit: Option<u64>,
    pub target_limit: Option<u64>,
    pub keep_dropped_targets: Option<usize>,
    pub metric_name_validation_scheme: Option<Spanned<String>>,
    pub metric_name_escaping_scheme: Option<Spanned<String>>,
    pub convert_classic_histograms_to_nhcb: Option<bool>,
    pub extra_scrape_metrics: Option<bool>,
    pub external_labels: Elsewhere,
    pub evaluation_interval: Elsewhere,
    pub rule_query_offset: Elsewhere,
    pub query_log_file: Elsewhere,
    pub scrape_failure_log_file: Elsewhere,
}

with_http_client! {
    #[derive(Deserialize, Default)]
    #[serde(deny_unknown_fields, default)]
    #[expect(clippy::struct_field_names, reason = "the file's own keys")]
    pub struct Scrape {
        pub job_name: Option<Spanned<String>>,
        pub scrape_interval: Option<Duration>,
        pub scrape_timeout: Option<Spanned<Duration>>,
        pub metrics_path: Option<String>,
        pub scheme: Option<Spanned<String>>,
        #[serde(deserialize_with = "or_nothing")]
        pub params: BTreeMap<String, Vec<String>>,
        #[serde(deserialize_with = "or_nothing")]
        pub honor_labels: bool,
        pub honor_timestamps: Option<bool>,
        #[serde(deserialize_with = "or_nothing")]
        pub track_timestamps_staleness: bool,
        pub enable_compression: Option<bool>,
        pub scrape_protocols: Option<Spanned<Vec<Protocol>>>,
        pub fallback_scrape_protocol: Option<Protocol>,
        pub scrape_native_histograms: Option<bool>,
        pub always_scrape_classic_histograms: Option<bool>,
        pub scrape_classic_histograms: Option<bool>,
        pub body_size_limit: Option<Bytes>,
        pub sample_limit: Option<u64>,
        pub label_limit: Option<u64>,
        pub label_name_length_limit: Option<u64>,
        pub label_value_length_limit: Option<u64>,
        pub native_histogram_bucket_limit: Option<u64>,
        pub native_histogram_min_bucket_factor: Option<f64>,
        pub target_limit: Option<u64>,
        pub keep_dropped_targets: Option<usize>,
        pub scrape_failure_log_file: Elsewhere,
        pub metric_name_validation_scheme: Option<Spanned<String>>,
        pub metric_name_escaping_scheme: Option<Spanned<String>>,
        pub convert_classic_histograms_to_nhcb: Option<bool>,
        pub extra_scrape_metrics: Option<bool>,
        #[serde(deserialize_with = "or_nothing")]
        pub relabel_configs: Vec<Spanned<RuleSpec>>,
        #[serde(deserialize_with = "or_nothing")]
        pub metric_relabel_configs: Vec<Spanned<RuleSpec>>,
        #[serde(deserialize_with = "or_nothing")]
        pub static_configs: Vec<Spanned<RawGroup>>,
        #[serde(deserialize_with = "or_nothing")]
        pub file_sd_configs: Vec<RawFileSd>,
        #[serde(deserialize_with = "or_nothing")]
        pub http_sd_configs: Vec<RawHttpSd>,
        #[serde(deserialize_with = "or_nothing")]
        pub dns_sd_configs: Vec<RawDnsSd>,
    }
}

with_http_client! {
    /// An `http_config` by itself.
    #[derive(Deserialize, Default)]
    #[serde(deny_unknown_fields, default)]
    pub struct RawHttp {
    }
}

/// Values of one header, wherever they stand.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct RawHeader {
    #[serde(deserialize_with = "or_nothing")]
    pub values: Vec<String>,
    #[serde(deserialize_with = "or_nothing")]
    pub secrets: Vec<String>,
    #[serde(deserialize_with = "or_nothing")]
    pub files: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct BasicAuth {
    pub username: Option<String>,
    pub username_file: Option<String>,
    pub password: Option<String>,
    pub password_file: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Authorization {
    #[serde(rename = "type")]
    pub kind: Option<String>,
    pub credentials: Option<String>,
    pub credentials_file: Option<String>,
}

#[derive(Deserialize, Default, Clone)]
#[serde(deny_unknown_fields, default)]
pub struct RawTls {
    pub ca: Option<String>,
    pub ca_file: Option<String>,
    pub cert: Option<String>,
    pub cert_file: Option<String>,
    pub key: Option<String>,
    pub key_file: Option<String>,
    pub min_version: Option<String>,
    pub max_version: Option<String>,
    pub server_name: Option<String>,
    #[serde(deserialize_with = "or_nothing")]
    pub insecure_skip_verify: bool,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct RawOauth2 {
    pub client_id: String,
    pub client_secret: Option<String>,
    pub client_secret_file: Option<String>,
    #[serde(deserialize_with = "or_nothing")]
    pub scopes: Vec<String>,
    pub token_url: String,
    #[serde(deserialize_with = "or_nothing")]
    pub endpoint_params: BTreeMap<String, String>,
    pub tls_config: Option<Spanned<RawTls>>,
    pub proxy_url: Option<Spanned<String>>,
    pub no_proxy: Option<Spanned<String>>,
    pub proxy_from_environment: Option<Spanned<bool>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawFileSd {
    pub files: Vec<Spanned<String>>,
    pub refresh_interval: Option<Duration>,
}

with_http_client! {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub struct RawHttpSd {
        pub url: Spanned<String>,
        pub refresh_interval: Option<Duration>,
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawDnsSd {
    pub names: Vec<Spanned<String>>,
    #[serde(rename = "type")]
    pub kind: Option<RecordType>,
    pub port: Option<Spanned<u16>>,
    pub refresh_interval: Option<Duration>,
}

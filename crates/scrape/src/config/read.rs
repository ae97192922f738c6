//! From what is written to complete jobs, with Prometheus' defaults and its checks.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_saphyr::Spanned;
use tenfold_types::format_duration_ms;
use tenfold_types::histogram::EXPONENTIAL_SCHEMAS;

use super::names::{makes_legacy_names, names};
use super::raw::{File, Further, Global, RawDnsSd, RawFileSd, RawHttp, RawHttpSd, Scrape};
use super::{
    ConfigError, DnsSd, FileSd, Globals, HttpClient, HttpSd, Job, Limits, Protocol, RecordType, ScrapeConfigs,
};
use crate::glob::Glob;
use crate::groups::{Group, first_part};
use crate::relabel::{Rule, RuleSpec};

/// Bytes of one file.
const FILE_BYTES_MAX: usize = 4 << 20;
/// Jobs of all files together.
pub const JOBS_MAX: usize = 1_000;
const RULES_MAX: usize = 500;
const INTERVAL_MS: u64 = 60_000;
const TIMEOUT_MS: u64 = 10_000;
/// No target is asked more often.
pub(crate) const INTERVAL_MS_MIN: u64 = 100;

pub(crate) fn too_often() -> String {
    format!("a target is asked every {INTERVAL_MS_MIN} ms at most")
}
/// Of a file of targets.
const FILE_ENDS: [&str; 6] = [".json", ".yml", ".yaml", ".JSON", ".YML", ".YAML"];
const PATTERN_PLACE: &str = "*, ? and [a-z] stand in the last part of a path alone, and a bracket is closed";
const FILE_REFRESH_MS: u64 = 5 * 60_000;
const HTTP_REFRESH_MS: u64 = 60_000;
const DNS_REFRESH_MS: u64 = 30_000;
/// What is asked of others for discovery is asked no more often.
const REFRESH_MS_MIN: u64 = 1_000;

pub(super) fn wrong<T>(at: &Spanned<T>, message: impl Into<String>) -> ConfigError {
    ConfigError { line: at.referenced.line(), message: message.into() }
}

/// Reads a configuration file of Prometheus. What is not about scraping is passed over with a note.
///
/// # Errors
/// The first thing that is wrong or not supported, with its line.
pub fn parse_config(yaml: &str) -> Result<ScrapeConfigs, ConfigError> {
    let file: File = read(yaml)?;
    let global = file.global.unwrap_or_default();
    let mut notes = Vec::new();
    for (key, given, where_else) in [
        ("global.external_labels", &global.external_labels, "the setting is alerts.external_labels"),
        ("global.evaluation_interval", &global.evaluation_interval, "the setting is alerts.evaluation_interval_ms"),
        ("global.rule_query_offset", &global.rule_query_offset, "rules bring their own"),
        ("global.query_log_file", &global.query_log_file, "queries are not logged to a file"),
        ("global.scrape_failure_log_file", &global.scrape_failure_log_file, "failures are shown with the targets"),
        ("rule_files", &file.rule_files, "send rule files with `tenfold apply`"),
        ("alerting", &file.alerting, "alerts are sent from here"),
        ("remote_write", &file.remote_write, "it is set in the server's own settings"),
        ("remote_read", &file.remote_read, "it is set in the server's own settings"),
        ("storage", &file.storage, "it is set in the server's own settings"),
        ("tracing", &file.tracing, "it is set in the server's own settings"),
        ("otlp", &file.otlp, "the setting is metrics.otlp"),
        ("runtime", &file.runtime, "it is Go's"),
    ] {
        if let Some(at) = given {
            notes.push(format!("line {}: `{key}` is not read from here: {where_else}", at.referenced.line()));
        }
    }
    names((None, None), schemes(&global))?;
    let files = file.scrape_config_files.unwrap_or_default();
    if let Some(bad) = files.iter().find(|file| !is_path(&file.value)) {
        let message = format!("`{}`: {PATTERN_PLACE}", bad.value);
        return Err(wrong(bad, message));
    }
    let files = files.into_iter().map(|file| file.value).collect();
    let mut config = ScrapeConfigs { notes, files, ..ScrapeConfigs::default() };
    put_jobs(&global, file.scrape_configs.unwrap_or_default(), &mut config)?;
    config.globals = Globals(Arc::new(global));
    Ok(config)
}

/// Reads a file that `scrape_config_files` of a main one names: jobs alone, for which the main file's `global` counts.
///
/// # Errors
/// The first thing that is wrong or not supported, with its line in the further file.
pub fn parse_further(further: &str, globals: &Globals) -> Result<ScrapeConfigs, ConfigError> {
    let mut config = ScrapeConfigs { globals: globals.clone(), ..ScrapeConfigs::default() };
    put_jobs(&globals.0, read::<Further>(further)?.scrape_configs.unwrap_or_default(), &mut config)?;
    Ok(config)
}

fn read<T: DeserializeOwned>(yaml: &str) -> Result<T, ConfigError> {
    if yaml.len() > FILE_BYTES_MAX {
        return Err(ConfigError { line: 0, message: format!("the file has more than {FILE_BYTES_MAX} bytes") });
    }
    serde_saphyr::from_str(yaml).map_err(|e| from_yaml(&e))
}

/// Whether it names files. In its last part there may be a pattern.
fn is_path(text: &str) -> bool {
    let (folder, name) = text.rsplit_once('/').unwrap_or(("", text));
    !name.is_empty() && !folder.contains('*') && Glob::read(name).is_some()
}

fn put_jobs(global: &Global, raw: Vec<Spanned<Scrape>>, config: &mut ScrapeConfigs) -> Result<(), ConfigError> {
    if raw.len() > JOBS_MAX {
        return Err(ConfigError {
            line: 0,
            message: format!(
                "all files together have at most {JOBS_MAX} jobs, this one alone has {}: join jobs that differ in their \
                 targets alone",
                raw.len()
            ),
        });
    }
    let mut names = BTreeSet::new();
    for scrape in raw {
        let job = job(global, &scrape)?;
        if let Some(at) = &scrape.value.scrape_failure_log_file {
            let line = at.referenced.line();
            config.notes.push(format!(
                "line {line}: `scrape_failure_log_file` is not read from here: failures are shown with the targets"
            ));
        }
        if !names.insert(job.name.clone()) {
            return Err(wrong(&scrape, format!("the job `{}` is there twice", job.name)));
        }
        config.jobs.push(job);
    }
    Ok(())
}

/// Keys that Prometheus knows and this program does not are said to be so.
fn from_yaml(error: &serde_saphyr::Error) -> ConfigError {
    let line = error.location().map_or(0, |l| l.line());
    let error = error.without_snippet();
    let message = match error {
        serde_saphyr::Error::SerdeUnknownField { field, .. } if field.ends_with("_sd_configs") => format!(
            "`{field}` is not supported; targets are found by static_configs, file_sd_configs, http_sd_configs and \
             dns_sd_configs, and by the agents without any configuration"
        ),
        serde_saphyr::Error::SerdeUnknownField { field, expected, .. } => {
            let known: Vec<_> = expected.iter().copied().filter(|e| alike(e, field)).collect();
            match known.first() {
                Some(known) => format!("`{field}` is not supported; did you mean `{known}`?"),
                None => format!("`{field}` is not supported here"),
            }
        }
        other => first_part(&other.to_string(), " at line "),
    };
    ConfigError { line, message }
}

/// Whether one is the other with a letter more, fewer or changed.
fn alike(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let start = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let (a, b) = (&a[start..], &b[start..]);
    let end = a.iter().rev().zip(b.iter().rev()).take_while(|(x, y)| x == y).count();
    a.len() - end <= 1 && b.len() - end <= 1
}

/// What is said of names for all jobs: of their validation, and of their escaping.
fn schemes(global: &Global) -> (Option<&Spanned<String>>, Option<&Spanned<String>>) {
    (global.metric_name_validation_scheme.as_ref(), global.metric_name_escaping_scheme.as_ref())
}

fn job(global: &Global, scrape: &Spanned<Scrape>) -> Result<Job, ConfigError> {
    let raw = &scrape.value;
    let name = match &raw.job_name {
        Some(name) if !name.value.is_empty() => name.value.clone(),
        _ => return Err(wrong(scrape, "a scrape configuration has a `job_name`")),
    };
    let (interval_ms, timeout_ms) = times(global, scrape)?;
    let mut job = Job::new(name, interval_ms, timeout_ms);
    job.line = scrape.referenced.line();
    if let Some(path) = &raw.metrics_path {
        job.metrics_path.clone_from(path);
    }
    if let Some(scheme) = &raw.scheme {
        if !matches!(scheme.value.as_str(), "http" | "https") {
            return Err(wrong(scheme, format!("`scheme` is http or https, not `{}`", scheme.value)));
        }
        job.scheme.clone_from(&scheme.value);
    }
    job.params.clone_from(&raw.params);
    job.honor_labels = raw.honor_labels;
    job.honor_timestamps = raw.honor_timestamps.unwrap_or(true);
    job.track_timestamps_staleness = raw.track_timestamps_staleness;
    job.compression = raw.enable_compression.unwrap_or(true);
    job.client = raw.client()?;
    formats(global, raw, &mut job)?;
    let own = (raw.metric_name_validation_scheme.as_ref(), raw.metric_name_escaping_scheme.as_ref());
    (job.legacy_names, job.escaping) = names(own, schemes(global))?;
    if job.legacy_names {
        raw.relabel_configs.iter().chain(&raw.metric_relabel_configs).try_for_each(makes_legacy_names)?;
    }
    job.limits = limits(global, raw);
    job.limit_series = raw.extra_scrape_metrics.or(global.extra_scrape_metrics).unwrap_or(false);
    job.keep_dropped_max = raw.keep_dropped_targets.or(global.keep_dropped_targets).unwrap_or(0);
    job.relabel = rules(&raw.relabel_configs, job.legacy_names)?;
    job.metric_relabel = rules(&raw.metric_relabel_configs, job.legacy_names)?;
    job.static_groups = raw.static_configs.iter().map(static_group).collect::<Result<_, _>>()?;
    job.file_sd = raw.file_sd_configs.iter().map(file_sd).collect::<Result<_, _>>()?;
    job.http_sd = raw.http_sd_configs.iter().map(http_sd).collect::<Result<_, _>>()?;
    job.dns_sd = raw.dns_sd_configs.iter().map(dns_sd).collect::<Result<_, _>>()?;
    Ok(job)
}

fn times(global: &Global, scrape: &Spanned<Scrape>) -> Result<(u64, u64), ConfigError> {
    let raw = &scrape.value;
    let or = |own: Option<u64>, global: Option<u64>| own.filter(|ms| *ms > 0).or(global.filter(|ms| *ms > 0));
    let interval_ms = or(raw.scrape_interval.map(|d| d.0), global.scrape_interval.map(|d| d.0)).unwrap_or(INTERVAL_MS);
    let own_ms = raw.scrape_timeout.as_ref().map(|d| d.value.0);
    let timeout_ms = or(own_ms, global.scrape_timeout.map(|d| d.0)).unwrap_or(TIMEOUT_MS);
    if let Some(at) = raw.scrape_timeout.as_ref().filter(|d| d.value.0 > interval_ms) {
        let [timeout, interval] = [timeout_ms, interval_ms].map(|ms| format_duration_ms(ms as i64));
        return Err(wrong(at, format!("`scrape_timeout` ({timeout}) is longer than the interval ({interval})")));
    }
    if interval_ms < INTERVAL_MS_MIN {
        return Err(wrong(scrape, too_often()));
    }
    Ok((interval_ms, timeout_ms.min(interval_ms)))
}

fn formats(global: &Global, raw: &Scrape, job: &mut Job) -> Result<(), ConfigError> {
    job.native_histograms = raw.scrape_native_histograms.or(global.scrape_native_histograms).unwrap_or(false);
    job.classic_histograms = raw
        .always_scrape_classic_histograms
        .or(raw.scrape_classic_histograms)
        .or(global.always_scrape_classic_histograms)
        .unwrap_or(false);
    job.convert_histograms =
        raw.convert_classic_histograms_to_nhcb.or(global.convert_classic_histograms_to_nhcb).unwrap_or(false);
    job.fallback = raw.fallback_scrape_protocol;
    job.protocols = match (&raw.scrape_protocols, &global.scrape_protocols) {
        (Some(own), _) => {
            let twice = own.value.iter().enumerate().find(|(i, p)| own.value[..*i].contains(p));
            if twice.is_some() {
                return Err(wrong(own, "`scrape_protocols` names one twice"));
            }
            if own.value.is_empty() {
                return Err(wrong(own, "`scrape_protocols` is empty; leave it out for the usual ones"));
            }
            own.value.clone()
        }
        (None, Some(global)) if !global.is_empty() => global.clone(),
        _ if job.native_histograms => Protocol::NATIVE.to_vec(),
        _ => Protocol::USUAL.to_vec(),
    };
    Ok(())
}

fn limits(global: &Global, raw: &Scrape) -> Limits {
    // As in Prometheus, a zero of the job means the global one.
    let or = |own: Option<u64>, global: Option<u64>| own.filter(|n| *n > 0).or(global).unwrap_or(0);
    Limits {
        body_bytes_max: or(raw.body_size_limit.map(|b| b.0), global.body_size_limit.map(|b| b.0)),
        samples_max: or(raw.sample_limit, global.sample_limit),
        labels_max: or(raw.label_limit, global.label_limit),
        label_name_bytes_max: or(raw.label_name_length_limit, global.label_name_length_limit),
        label_value_bytes_max: or(raw.label_value_length_limit, global.label_value_length_limit),
        histogram_buckets_max: raw.native_histogram_bucket_limit.unwrap_or(0),
        histogram_schema_max: raw.native_histogram_min_bucket_factor.and_then(schema_of),
        targets_max: or(raw.target_limit, global.target_limit),
    }
}

/// The finest schema whose buckets are each at least `factor` times as wide as the one before; `None` where all are. Those of
/// schema `n` grow by 2^(2^-n).
fn schema_of(factor: f64) -> Option<i32> {
    if factor <= 1.0 {
        return None;
    }
    let finest = (-factor.log2().log2()).floor();
    let coarsest = f64::from(*EXPONENTIAL_SCHEMAS.start());
    (finest < f64::from(*EXPONENTIAL_SCHEMAS.end())).then(|| finest.max(coarsest) as i32)
}

fn rules(specs: &[Spanned<RuleSpec>], legacy_names: bool) -> Result<Vec<Rule>, ConfigError> {
    if let Some(at) = specs.get(RULES_MAX) {
        return Err(wrong(at, format!("a job has at most {RULES_MAX} relabelling rules of each kind")));
    }
    let rule = |spec: &Spanned<RuleSpec>| {
        let rule = spec.value.compile().map_err(|message| wrong(spec, message));
        rule.map(|rule| rule.with_legacy_names(legacy_names))
    };
    specs.iter().map(rule).collect()
}

fn static_group(group: &Spanned<crate::groups::RawGroup>) -> Result<Group, ConfigError> {
    match group.value.targets.iter().flatten().find(|t| t.contains('/')) {
        Some(target) => {
            Err(wrong(group, format!("\"{target}\" is not a valid hostname: write host:port without a path")))
        }
        None => Ok(group.value.clone().into()),
    }
}

fn refresh(given: Option<super::raw::Duration>, default_ms: u64) -> u64 {
    given.map_or(default_ms, |d| d.0.max(REFRESH_MS_MIN))
}

fn file_sd(raw: &RawFileSd) -> Result<FileSd, ConfigError> {
    for file in &raw.files {
        let known = FILE_ENDS.iter().any(|end| file.value.ends_with(end));
        if !known || !is_path(&file.value) {
            return Err(wrong(
                file,
                format!("`{}`: a file of targets ends in .json, .yml or .yaml; {PATTERN_PLACE}", file.value),
            ));
        }
    }
    let files = raw.files.iter().map(|f| f.value.clone()).collect();
    Ok(FileSd { files, refresh_ms: refresh(raw.refresh_interval, FILE_REFRESH_MS) })
}

fn http_sd(raw: &RawHttpSd) -> Result<HttpSd, ConfigError> {
    if !["http://", "https://"].iter().any(|scheme| raw.url.value.starts_with(scheme)) {
        return Err(wrong(&raw.url, format!("`url` starts with http:// or https://, not `{}`", raw.url.value)));
    }
    Ok(HttpSd {
        url: raw.url.value.clone(),
        refresh_ms: refresh(raw.refresh_interval, HTTP_REFRESH_MS),
        client: raw.client()?,
    })
}

fn dns_sd(raw: &RawDnsSd) -> Result<DnsSd, ConfigError> {
    let kind = raw.kind.unwrap_or(RecordType::Srv);
    if let Some(name) = raw.names.iter().find(|n| n.value.is_empty() || n.value.len() > 253) {
        return Err(wrong(name, "a name has 1 to 253 bytes"));
    }
    let Some(first) = raw.names.first() else {
        return Err(ConfigError { line: 0, message: "`dns_sd_configs` needs `names`".to_owned() });
    };
    let port = raw.port.as_ref().map_or(0, |p| p.value);
    if kind != RecordType::Srv && port == 0 {
        return Err(wrong(first, "`port` is needed: only records of the type SRV have one"));
    }
    let names = raw.names.iter().map(|n| n.value.clone()).collect();
    Ok(DnsSd { names, kind, port, refresh_ms: refresh(raw.refresh_interval, DNS_REFRESH_MS) })
}

/// Reads an `http_config`, as Prometheus' programs have it where they ask others. `follow_redirects` is true where it says
/// nothing.
///
/// # Errors
/// The first thing that is wrong or not supported. A secret is not repeated.
pub fn parse_http_config(yaml: &str) -> Result<HttpClient, ConfigError> {
    let raw: RawHttp = serde_saphyr::from_str(yaml).map_err(|e| {
        let line = e.location().map_or(0, |l| l.line());
        // What was found instead may be a secret.
        let message = e.without_snippet().to_string();
        let message =
            if message.contains("unknown field") { message } else { "a key holds what is not of its kind".to_owned() };
        ConfigError { line, message }
    })?;
    raw.client()
}

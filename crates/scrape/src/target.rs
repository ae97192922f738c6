//! What becomes of a found target: its labels after relabelling, its address, or the reason why it is not asked.
//!
//! Source: `PopulateLabels` and `Target.URL` of Prometheus 3 (`scrape/target.go`).

use std::fmt::Write;

use tenfold_types::{Labels, format_duration_ms, parse_duration_ms};

use crate::config::{INTERVAL_MS_MIN, Job, TakenHistograms, too_often};
use crate::groups::Group;
use crate::relabel::apply;

/// Labels that only relabelling sees.
pub const META: &str = "__meta_";
const ADDRESS: &str = "__address__";
const SCHEME: &str = "__scheme__";
const PATH: &str = "__metrics_path__";
const INTERVAL: &str = "__scrape_interval__";
const TIMEOUT: &str = "__scrape_timeout__";
const PARAM: &str = "__param_";
const NATIVE: &str = "__scrape_native_histograms__";
const CLASSIC: &str = "__always_scrape_classic_histograms__";
const CONVERT: &str = "__convert_classic_histograms_to_nhcb__";

/// Where and how often a target is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub url: String,
    /// What its series get.
    pub labels: Labels,
    pub interval_ms: u64,
    pub timeout_ms: u64,
    pub histograms: TakenHistograms,
}

/// One target of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its labels before relabelling.
    pub discovered: Labels,
    /// `None` when relabelling dropped it; an error when it makes no target.
    pub outcome: Option<Result<Place, String>>,
}

/// Every target of a group.
pub fn resolve(job: &Job, group: &Group) -> Vec<Found> {
    group
        .targets
        .iter()
        .map(|own| {
            let discovered = discovered(job, own, &group.labels);
            let outcome = apply(&job.relabel, discovered.clone()).map(|labels| place(job, labels));
            Found { discovered, outcome }
        })
        .collect()
}

fn discovered(job: &Job, own: &Labels, common: &Labels) -> Labels {
    let mut labels = common.clone();
    for (name, value) in own.iter() {
        labels.set(name, value);
    }
    let mut default = |name: &str, value: &str| {
        if labels.get(name).is_none() {
            labels.set(name, value);
        }
    };
    default("job", &job.name);
    default(INTERVAL, &format_duration_ms(job.interval_ms as i64));
    default(TIMEOUT, &format_duration_ms(job.timeout_ms as i64));
    default(PATH, &job.metrics_path);
    default(SCHEME, &job.scheme);
    for (name, values) in &job.params {
        if let Some(value) = values.first() {
            default(&format!("{PARAM}{name}"), value);
        }
    }
    labels
}

fn place(job: &Job, mut labels: Labels) -> Result<Place, String> {
    let address = labels.get(ADDRESS).ok_or("no address")?.to_owned();
    if address.contains('/') {
        return Err(format!("\"{address}\" is not a valid hostname"));
    }
    let duration = |name: &str, what: &str| {
        let text = labels.get(name).unwrap_or_default();
        match parse_duration_ms(text) {
            Ok(0) => Err(format!("scrape {what} cannot be 0")),
            Ok(ms) => Ok(ms.unsigned_abs()),
            Err(error) => Err(format!("error parsing scrape {what}: {error}")),
        }
    };
    let (interval_ms, timeout_ms) = (duration(INTERVAL, "interval")?, duration(TIMEOUT, "timeout")?);
    if timeout_ms > interval_ms {
        let [timeout, interval] = [timeout_ms, interval_ms].map(|ms| format_duration_ms(ms as i64));
        return Err(format!("scrape timeout cannot be greater than scrape interval (\"{timeout}\" > \"{interval}\")"));
    }
    if interval_ms < INTERVAL_MS_MIN {
        return Err(format!("{INTERVAL}: {}", too_often()));
    }
    let histograms = histograms(job, &labels)?;
    let url = url(job, &labels, &address)?;
    if labels.get("instance").is_none() {
        labels.set("instance", address);
    }
    let hidden: Vec<String> =
        labels.iter().map(|(n, _)| n).filter(|n| n.starts_with("__")).map(str::to_owned).collect();
    for name in hidden {
        labels.remove(&name);
    }
    Ok(Place { url, labels, interval_ms, timeout_ms, histograms })
}

/// What the labels say of histograms, else what the job says. Words for true and false are Go's (`strconv.ParseBool`).
fn histograms(job: &Job, labels: &Labels) -> Result<TakenHistograms, String> {
    let flag = |name: &str, usual: bool| match labels.get(name) {
        None => Ok(usual),
        Some("true" | "True" | "TRUE" | "t" | "T" | "1") => Ok(true),
        Some("false" | "False" | "FALSE" | "f" | "F" | "0") => Ok(false),
        Some(other) => Err(format!("{name}: \"{other}\" is neither true nor false")),
    };
    let usual = job.histograms();
    Ok(TakenHistograms {
        native: flag(NATIVE, usual.native)?,
        classic: flag(CLASSIC, usual.classic)?,
        convert: flag(CONVERT, usual.convert)?,
    })
}

fn url(job: &Job, labels: &Labels, address: &str) -> Result<String, String> {
    let scheme = labels.get(SCHEME).unwrap_or_default();
    if !matches!(scheme, "http" | "https") {
        return Err(format!("\"{scheme}\" is not a scheme that can be scraped; http and https are"));
    }
    let path = labels.get(PATH).unwrap_or_default();
    let mut url = format!("{scheme}://{address}");
    if !path.starts_with('/') {
        url.push('/');
    }
    escape(path, b"/:@!$&'()*+,;=%?", &mut url);
    let mut params = job.params.clone();
    for (name, value) in labels.iter() {
        if let Some(name) = name.strip_prefix(PARAM) {
            let values = params.entry(name.to_owned()).or_default();
            match values.first_mut() {
                Some(first) => value.clone_into(first),
                None => values.push(value.to_owned()),
            }
        }
    }
    let mut next = if path.contains('?') { '&' } else { '?' };
    for (name, values) in &params {
        for value in values {
            url.push(next);
            next = '&';
            escape(name, b"", &mut url);
            url.push('=');
            escape(value, b"", &mut url);
        }
    }
    Ok(url)
}

/// Percent-encodes all but letters, digits, `-._~` and the bytes in `kept`.
fn escape(text: &str, kept: &[u8], out: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || kept.contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing into a string does not fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse_config;

    fn found(yaml: &str) -> Vec<Found> {
        let config = parse_config(yaml).unwrap();
        let job = &config.jobs[0];
        job.static_groups.iter().flat_map(|group| resolve(job, group)).collect()
    }

    fn outcome(yaml: &str) -> Option<Result<Place, String>> {
        found(yaml).swap_remove(0).outcome
    }

    #[test]
    fn a_target_gets_its_labels_and_address() {
        let yaml = "scrape_configs:\n- job_name: probes\n  metrics_path: /probe\n  params: {module: [http, tcp], 'a b': ['c&d']}\n  \
                    static_configs: [{targets: ['web:80'], labels: {zone: a, __meta_x: y}}]\n  relabel_configs:\n  \
                    - {source_labels: [__address__], target_label: __param_target}\n  \
                    - {target_label: __address__, replacement: 'prober:9115'}\n  \
                    - {target_label: __scheme__, replacement: https}\n  \
                    - {target_label: __scrape_interval__, replacement: 1m30s}\n";
        let place = outcome(yaml).unwrap().unwrap();
        assert_eq!(place.url, "https://prober:9115/probe?a%20b=c%26d&module=http&module=tcp&target=web%3A80");
        assert_eq!(place.labels, Labels::from_pairs([("job", "probes"), ("instance", "prober:9115"), ("zone", "a")]));
        assert_eq!((place.interval_ms, place.timeout_ms), (90_000, 10_000));
        let discovered = Labels::from_pairs([
            ("__address__", "web:80"),
            ("__meta_x", "y"),
            ("__metrics_path__", "/probe"),
            ("__param_a b", "c&d"),
            ("__param_module", "http"),
            ("__scheme__", "http"),
            ("__scrape_interval__", "1m"),
            ("__scrape_timeout__", "10s"),
            ("job", "probes"),
            ("zone", "a"),
        ]);
        assert_eq!(found(yaml)[0].discovered, discovered);
    }

    #[test]
    fn labels_say_which_histograms_are_taken_of_a_target() {
        let with = |native: &str, rule: &str| {
            let yaml = format!(
                "scrape_configs:\n- job_name: a\n  scrape_native_histograms: {native}\n  static_configs: \
                 [{{targets: ['h:1']}}]\n  relabel_configs: [{rule}]\n"
            );
            let place = outcome(&yaml).unwrap().unwrap();
            assert!(place.labels.iter().all(|(name, _)| !name.starts_with("__")), "{}", place.labels);
            place.histograms
        };
        let plain = TakenHistograms { native: false, classic: false, convert: false };
        assert_eq!(with("false", ""), plain);
        let native = "{target_label: __scrape_native_histograms__, replacement: 'true'}";
        assert_eq!(with("false", native), TakenHistograms { native: true, ..plain });
        let not = "{target_label: __scrape_native_histograms__, replacement: 'F'}";
        assert_eq!(with("true", not), plain);
        let both = "{target_label: __always_scrape_classic_histograms__, replacement: '1'}, \
                    {target_label: __convert_classic_histograms_to_nhcb__, replacement: 'true'}";
        assert_eq!(with("true", both), TakenHistograms { native: true, classic: true, convert: true });
    }

    #[test]
    fn what_makes_no_target_says_why() {
        let with = |rule: &str| {
            outcome(&format!(
                "scrape_configs:\n- job_name: a\n  static_configs: [{{targets: ['h:1']}}]\n  relabel_configs: [{rule}]\n"
            ))
        };
        assert_eq!(with("{source_labels: [__address__], regex: 'h:.*', action: drop}"), None);
        for (rule, message) in [
            ("{target_label: __address__, replacement: ''}", "no address"),
            ("{target_label: __address__, replacement: 'h/x'}", "\"h/x\" is not a valid hostname"),
            (
                "{target_label: __scrape_interval__, replacement: 1s}",
                "scrape timeout cannot be greater than scrape interval (\"10s\" > \"1s\")",
            ),
            ("{target_label: __scrape_timeout__, replacement: '0'}", "scrape timeout cannot be 0"),
            (
                "{source_labels: [__address__], regex: h:1, target_label: __scrape_interval__, replacement: 20ms}, \
                 {target_label: __scrape_timeout__, replacement: 10ms}",
                "__scrape_interval__: a target is asked every 100 ms at most",
            ),
            (
                "{target_label: __scrape_native_histograms__, replacement: 'yes'}",
                "__scrape_native_histograms__: \"yes\" is neither true nor false",
            ),
            (
                "{target_label: __scheme__, replacement: ftp}",
                "\"ftp\" is not a scheme that can be scraped; http and https are",
            ),
        ] {
            assert_eq!(with(rule), Some(Err(message.to_owned())), "{rule}");
        }
    }
}

//! What Nagios' main file says of all hosts and services. What it does not say has Nagios' own defaults.

use tenfold_protocols::nagios::{Fields, Matching};

/// Nagios' flap thresholds in percent when nothing says.
const FLAP: (f64, f64) = (20.0, 30.0);

/// What is said for all hosts, or for all services.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Kind {
    /// Seconds that a look may take.
    pub timeout_s: f64,
    /// Flapping ends below the first share of changes, in percent, and begins at the second.
    pub flap: (f64, f64),
    /// Whether silence counts at all.
    pub freshness: bool,
    /// Whether Nagios looks itself; else results are sent to it.
    pub active: bool,
    /// What it runs at each change of any of them.
    pub event_handler: Option<String>,
}

/// The main file.
#[derive(Debug, Clone, PartialEq)]
pub struct NagiosMain {
    /// Seconds of an interval.
    pub(super) interval_s: f64,
    pub(super) hosts: Kind,
    pub(super) services: Kind,
    pub(super) flapping: bool,
    /// Seconds that silence may last longer than the interval.
    pub(super) freshness_latency_s: f64,
    pub(super) event_handlers: bool,
    /// A host that answers with a warning is down.
    pub(super) aggressive: bool,
    /// How names in lists of objects are read.
    pub matching: Matching,
    /// Where its clock is, such as `Europe/Berlin`; empty when the file does not say.
    pub timezone: String,
}

impl NagiosMain {
    /// Reads the pairs of the file; of a key that is there twice the last counts.
    pub fn of(pairs: &[(String, String)]) -> Self {
        let text = |key: &str| pairs.iter().rev().find(|(name, _)| name == key).map_or("", |(_, value)| value.as_str());
        let number = |key: &str, otherwise: f64| {
            text(key).parse::<f64>().ok().filter(|n| n.is_finite() && *n > 0.0).unwrap_or(otherwise)
        };
        let on = |key: &str, otherwise: bool| match text(key) {
            "" => otherwise,
            said => said != "0",
        };
        let kind = |name: &str, timeout_s: f64, freshness: bool| Kind {
            timeout_s: number(&format!("{name}_check_timeout"), timeout_s),
            flap: (
                number(&format!("low_{name}_flap_threshold"), FLAP.0),
                number(&format!("high_{name}_flap_threshold"), FLAP.1),
            ),
            freshness: on(&format!("check_{name}_freshness"), freshness),
            active: on(&format!("execute_{name}_checks"), true),
            event_handler: Some(text(&format!("global_{name}_event_handler")))
                .filter(|handler| !handler.is_empty())
                .map(str::to_owned),
        };
        let latency = text("additional_freshness_latency").parse::<f64>().ok().filter(|s| *s >= 0.0 && s.is_finite());
        let matching = match (on("use_regexp_matching", false), on("use_true_regexp_matching", false)) {
            (false, _) => Matching::Exact,
            (true, false) => Matching::Marked,
            (true, true) => Matching::All,
        };
        Self {
            interval_s: number("interval_length", 60.0),
            hosts: kind("host", 30.0, false),
            services: kind("service", 60.0, true),
            flapping: on("enable_flap_detection", false),
            freshness_latency_s: latency.unwrap_or(15.0),
            event_handlers: on("enable_event_handlers", true),
            aggressive: on("use_aggressive_host_checking", false),
            matching,
            timezone: text("use_timezone").trim_start_matches(':').to_owned(),
        }
    }

    /// What counts for a host or a service with these fields.
    pub(super) fn kind(&self, fields: &Fields) -> &Kind {
        if fields.contains_key("service_description") { &self.services } else { &self.hosts }
    }
}

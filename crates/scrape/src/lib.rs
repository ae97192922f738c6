//! Who is scraped and how, without asking anybody: Prometheus' `scrape_configs`, relabelling, what discovery finds, and
//! what becomes of a found target.
//!
//! Pure: files, addresses and answers come in as bytes. Everything follows Prometheus 3 (its documentation
//! `configuration/configuration.md` and the packages `config`, `model/relabel` and `scrape`), so that a configuration that
//! works there works here; what is not supported is refused with its line, never passed over.

mod config;
mod glob;
mod groups;
mod relabel;
mod target;
mod units;

pub use config::{
    Auth, ConfigError, DnsSd, Escaping, FileSd, Globals, Header, HttpClient, HttpSd, JOBS_MAX, Job, Limits, Oauth2,
    Protocol, Proxy, RecordType, ScrapeConfigs, Secret, TakenHistograms, Tls, TlsVersion, parse_config, parse_further,
    parse_http_config,
};
pub use glob::Glob;
pub use groups::{GROUPS_BYTES_MAX, Group, GroupError, parse_groups};
pub use relabel::{Action, Rule, RuleShown, RuleSpec, Step, apply, steps};
pub use target::{Found, META, Place, resolve};
pub use units::parse_bytes;

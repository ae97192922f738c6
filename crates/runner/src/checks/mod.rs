//! Looks at things for the checks: plugins by argument vector, built-in looks without a process, NRPE daemons.
//!
//! No shell sees anything, every look ends within its timeout, and of what it says a bounded part is read.

mod disk;
mod dns;
mod http;
mod nrpe;
mod plugin;
mod process;
mod roots;
pub(crate) mod starter;
mod tcp;
mod tls;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tenfold_alerting::checks::CheckStatus;
use tenfold_app::checks::{CheckRunner, Ran, Run};
use tenfold_httpkit::outgoing::Files;
use tenfold_types::Clock;

/// What to set so that files of secrets are read.
const NO_FOLDER: &str = "set `secrets_dir` in `[alerts]` of tenfold.toml";

/// What a built-in look says: a status and a line, with performance data behind `|`.
type Said = (CheckStatus, String);

/// Runs checks on this machine.
pub struct Looker {
    plugins: plugin::Plugins,
    http: http::Clients,
    roots: roots::Roots,
    /// Where files of secrets are.
    files: Arc<Files>,
    clock: Arc<dyn Clock>,
}

impl Looker {
    /// Plugins are started from these folders alone, by a process of their own: `starter` is the program for it, which is called
    /// as `PROGRAM sandbox starter` when the first is looked at.
    ///
    /// # Errors
    /// The HTTP client cannot be set up.
    pub fn new(plugin_dirs: Vec<PathBuf>, starter: PathBuf, clock: Arc<dyn Clock>) -> Result<Self, reqwest::Error> {
        let files = Arc::new(Files::Nowhere(NO_FOLDER));
        let http = http::Clients::new(files.clone())?;
        let plugins = plugin::Plugins::new(plugin_dirs, starter);
        Ok(Self { plugins, http, roots: roots::Roots::default(), files, clock })
    }

    /// With the folder out of which files of secrets are read; without one none is.
    pub fn with_secrets(mut self, folder: Option<PathBuf>) -> Self {
        if let Some(folder) = folder {
            self.files = Arc::new(Files::Within(folder));
            self.http = self.http.with_files(self.files.clone());
        }
        self
    }

    async fn look(&self, what: &Run, timeout: Duration) -> Ran {
        let said = match what {
            Run::Plugin(argv) => return self.plugins.run(argv, timeout).await,
            Run::Nrpe(nrpe) => {
                return nrpe::look(nrpe, &self.files)
                    .await
                    .unwrap_or_else(|e| Ran::unknown(&format!("NRPE UNKNOWN - {e}")));
            }
            Run::Tcp(tcp) => tcp::look(tcp).await,
            Run::Http(http) => http::look(&self.http, http).await,
            Run::Tls(tls) => tls::look(&self.roots, tls, self.clock.now()).await,
            Run::Disk(disk) => disk::look(disk).await,
            Run::Process(process) => process::look(process).await,
            Run::Dns(dns) => dns::look(dns).await,
            Run::Passive(_) => (CheckStatus::Unknown, "a passive check is not looked at".to_owned()),
        };
        Ran { status: said.0, output: said.1.into_bytes() }
    }
}

#[async_trait]
impl CheckRunner for Looker {
    async fn run(&self, what: &Run, timeout: Duration) -> Ran {
        // A plugin is ended in time by who started it; the others are dropped.
        if matches!(what, Run::Plugin(_)) {
            return self.look(what, timeout).await;
        }
        match tokio::time::timeout(timeout, self.look(what, timeout)).await {
            Ok(ran) => ran,
            Err(_) => timed_out(what.kind(), timeout),
        }
    }

    async fn check(&self, what: &Run) -> Result<(), String> {
        let (files, names) = (self.files.clone(), what.secret_files());
        let looked = tokio::task::spawn_blocking(move || names.iter().try_for_each(|name| files.path(name).map(drop)));
        looked.await.map_err(|e| e.to_string())?
    }
}

/// What did not answer in time is critical, as with Nagios' own plugins.
fn timed_out(kind: &str, timeout: Duration) -> Ran {
    let text = format!("{} CRITICAL - no answer within {} s", kind.to_uppercase(), timeout.as_secs_f64());
    Ran { status: CheckStatus::Critical, output: text.into_bytes() }
}

/// Seconds since an instant, for performance data.
fn seconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64()
}

/// What it is when it took so many seconds.
fn slow(took: f64, warning: Option<f64>, critical: Option<f64>) -> CheckStatus {
    let longer = |limit: Option<f64>| limit.is_some_and(|limit| took > limit);
    match (longer(critical), longer(warning)) {
        (true, _) => CheckStatus::Critical,
        (false, true) => CheckStatus::Warning,
        (false, false) => CheckStatus::Ok,
    }
}

/// The thresholds behind a value of performance data; nothing without one.
fn limits(warning: Option<f64>, critical: Option<f64>) -> String {
    let limit = |limit: Option<f64>| limit.map(|l| l.to_string()).unwrap_or_default();
    if warning.or(critical).is_none() { String::new() } else { format!(";{};{}", limit(warning), limit(critical)) }
}

fn word(status: CheckStatus) -> String {
    status.as_str().to_uppercase()
}

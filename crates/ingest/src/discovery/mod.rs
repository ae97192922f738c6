//! Who is to be scraped, from outside: Prometheus' configuration files, and what their `file_sd_configs`,
//! `http_sd_configs` and `dns_sd_configs` find. What was found is handed to `app.metrics`, which decides what it means.
//!
//! Whatever fails keeps what was found before: a list that is away for a minute is no reason to forget its targets.

mod dns;
mod files;
mod lists;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use tenfold_app::App;
use tenfold_httpkit::outgoing::{Stamp, stamp};
use tenfold_scrape::{Job, parse_config};
use tokio_util::sync::CancellationToken;

/// How often files are looked at for changes.
const LOOK: Duration = Duration::from_secs(1);

/// What the configuration files said when they were read.
pub(crate) struct Loaded {
    jobs: Vec<Job>,
    stamps: Vec<Stamp>,
}

/// Reads the configuration files.
pub(crate) fn load(files: &[PathBuf]) -> Result<Loaded, String> {
    let stamps = files.iter().map(|file| stamp(file)).collect();
    let mut jobs: Vec<Job> = Vec::new();
    for file in files {
        let shown = file.display();
        let text = std::fs::read_to_string(file).map_err(|e| format!("{shown} cannot be read: {e}"))?;
        let mut config = parse_config(&text).map_err(|e| format!("{shown}, {e}"))?;
        for note in &config.notes {
            tracing::info!(file = %shown, "{note}");
        }
        let folder = file.parent().map(|p| p.to_string_lossy().into_owned()).unwrap_or_default();
        config.relative_to(&folder);
        for job in config.jobs {
            if jobs.iter().any(|known| known.name == job.name) {
                return Err(format!(
                    "{shown}, line {}: the job `{}` stands in another file already",
                    job.line, job.name
                ));
            }
            jobs.push(job);
        }
    }
    Ok(Loaded { jobs, stamps })
}

/// Follows the configuration files and what they say to follow.
pub(crate) async fn run(app: App, mut loaded: Loaded, stop: CancellationToken) {
    let files = app.settings.metrics.scrape_config_files.clone();
    loop {
        let round = stop.child_token();
        begin(&app, std::mem::take(&mut loaded.jobs), &round);
        loaded = tokio::select! {
            () = stop.cancelled() => return,
            next = changed(&app, &files, loaded.stamps) => next,
        };
        round.cancel();
        tracing::info!("the scrape configuration was read anew");
    }
}

/// Waits until the files changed to something that can be obeyed.
async fn changed(app: &App, files: &[PathBuf], stamps: Vec<Stamp>) -> Loaded {
    let mut look = tokio::time::interval(LOOK);
    let mut told: Option<String> = None;
    loop {
        look.tick().await;
        let now: Vec<Stamp> = files.iter().map(|file| stamp(file)).collect();
        if now == stamps {
            if told.take().is_some() {
                // It is again as it is obeyed.
                app.metrics.set_config_trouble(None);
            }
            continue;
        }
        let to_load = files.to_vec();
        let read = tokio::task::spawn_blocking(move || load(&to_load)).await;
        match read.unwrap_or_else(|e| Err(e.to_string())) {
            Ok(loaded) => {
                app.metrics.set_config_trouble(None);
                return loaded;
            }
            // Read again at the next look, since reading may have failed for a moment.
            Err(reason) => {
                if told.as_ref() != Some(&reason) {
                    tracing::error!(reason, "the changed scrape configuration is not obeyed; the one before goes on");
                }
                app.metrics.set_config_trouble(Some(reason.clone()));
                told = Some(reason);
            }
        }
    }
}

fn begin(app: &App, jobs: Vec<Job>, round: &CancellationToken) {
    let lookers: Vec<_> = jobs
        .iter()
        .map(|job| (job.name.clone(), job.file_sd.clone(), job.http_sd.clone(), job.dns_sd.clone()))
        .collect();
    // The jobs first: what is found for one that is not known yet would be dropped.
    app.metrics.set_jobs(jobs, |job, from| {
        files::looks(&job.file_sd, from) || lists::looks(&job.http_sd, from) || dns::looks(&job.dns_sd, from)
    });
    for (job, file_sd, http_sd, dns_sd) in lookers {
        for sd in file_sd {
            tokio::spawn(files::follow(app.clone(), job.clone(), sd, round.clone()));
        }
        for sd in http_sd {
            tokio::spawn(lists::follow(app.clone(), job.clone(), sd, round.clone()));
        }
        for sd in dns_sd {
            tokio::spawn(dns::follow(app.clone(), job.clone(), sd, round.clone()));
        }
    }
}

/// Tells of failures once, and counts all of them.
#[derive(Default)]
struct Trouble(BTreeMap<String, String>);

impl Trouble {
    fn fails(&mut self, app: &App, job: &str, kind: &str, from: &str, reason: String) {
        app.metrics.own.add("tenfold_discovery_failures_total", &[("job", job), ("kind", kind)], 1.0);
        if self.0.get(from) != Some(&reason) {
            tracing::warn!(job, kind, from, reason, "targets could not be looked up; those found before stay");
            self.0.insert(from.to_owned(), reason);
        }
    }
    fn ends(&mut self, from: &str) {
        self.0.remove(from);
    }
}

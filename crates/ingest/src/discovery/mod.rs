//! Who is to be scraped, from outside: Prometheus' configuration files, and what their `file_sd_configs`,
//! `http_sd_configs` and `dns_sd_configs` find. What was found is handed to `app.metrics`, which decides what it means.
//!
//! Whatever fails keeps what was found before: a list that is away for a minute is no reason to forget its targets.

mod dns;
mod files;
mod lists;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tenfold_app::App;
use tenfold_httpkit::outgoing::{Stamp, stamp};
use tenfold_scrape::{Globals, JOBS_MAX, Job, ScrapeConfigs, parse_config, parse_further};
use tokio_util::sync::CancellationToken;

/// How often files are looked at for changes.
const LOOK: Duration = Duration::from_secs(1);

/// Configuration files, with those that they name.
const FILES_MAX: usize = 500;

/// What can be told of files without reading them, in the order in which they are read.
type Stamps = Vec<(PathBuf, Stamp)>;

/// What the configuration files said when they were read.
pub(crate) struct Loaded {
    jobs: Vec<Job>,
    /// The further files that they name, as paths whose last part may be a pattern.
    further: Vec<String>,
    stamps: Stamps,
}

fn stamps(files: impl IntoIterator<Item = PathBuf>) -> Stamps {
    let one = |file: PathBuf| {
        let stamp = stamp(&file);
        (file, stamp)
    };
    files.into_iter().map(one).collect()
}

fn text_of(file: &Path) -> Result<String, String> {
    std::fs::read_to_string(file).map_err(|e| format!("{} cannot be read: {e}", file.display()))
}

impl Loaded {
    /// Takes the jobs of a file in; gives the further files that it names.
    fn take(&mut self, file: &Path, mut config: ScrapeConfigs) -> Result<Vec<String>, String> {
        let shown = file.display();
        for note in &config.notes {
            tracing::info!(file = %shown, "{note}");
        }
        let folder = file.parent().map(|p| p.to_string_lossy().into_owned()).unwrap_or_default();
        config.relative_to(&folder);
        for job in config.jobs {
            if self.jobs.iter().any(|known| known.name == job.name) {
                return Err(format!(
                    "{shown}, line {}: the job `{}` stands in another file already",
                    job.line, job.name
                ));
            }
            if self.jobs.len() >= JOBS_MAX {
                return Err(format!(
                    "{shown}, line {}: the configuration has more than {JOBS_MAX} jobs over all its files: join jobs that \
                     differ in their targets alone",
                    job.line
                ));
            }
            self.jobs.push(job);
        }
        Ok(config.files)
    }

    /// Takes a further file in, for which `global` of the one that names it counts.
    fn take_further(&mut self, file: PathBuf, globals: &Globals) -> Result<(), String> {
        let stamp = stamp(&file);
        // As in Prometheus: it is taken in once it is there.
        if stamp != Stamp::Absent {
            let config = parse_further(&text_of(&file)?, globals);
            self.take(&file, config.map_err(|e| format!("{}, {e}", file.display()))?)?;
        }
        self.stamps.push((file, stamp));
        if self.stamps.len() > FILES_MAX {
            return Err(format!("the configuration has more than {FILES_MAX} files"));
        }
        Ok(())
    }
}

/// Reads the configuration files.
pub(crate) fn load(files: &[PathBuf]) -> Result<Loaded, String> {
    let mut loaded = Loaded { jobs: Vec::new(), further: Vec::new(), stamps: stamps(files.iter().cloned()) };
    for file in files {
        let config = parse_config(&text_of(file)?).map_err(|e| format!("{}, {e}", file.display()))?;
        let globals = config.globals.clone();
        for pattern in loaded.take(file, config)? {
            for further in files::expand(&pattern)? {
                loaded.take_further(further, &globals)?;
            }
            loaded.further.push(pattern);
        }
    }
    Ok(loaded)
}

/// The files as they are now. A folder that cannot be listed seems empty, which is a change: reading says what is wrong.
fn look(files: Vec<PathBuf>, further: &[String]) -> Stamps {
    let named = further.iter().flat_map(|pattern| files::expand(pattern).unwrap_or_default());
    stamps(files.into_iter().chain(named))
}

/// Follows the configuration files and what they say to follow.
pub(crate) async fn run(app: App, mut loaded: Loaded, stop: CancellationToken) {
    let files = app.settings.metrics.scrape_config_files.clone();
    loop {
        let round = stop.child_token();
        begin(&app, std::mem::take(&mut loaded.jobs), &round);
        loaded = tokio::select! {
            () = stop.cancelled() => return,
            next = changed(&app, &files, loaded) => next,
        };
        round.cancel();
        tracing::info!("the scrape configuration was read anew");
    }
}

/// Waits until the files changed to something that can be obeyed.
async fn changed(app: &App, files: &[PathBuf], before: Loaded) -> Loaded {
    let mut tick = tokio::time::interval(LOOK);
    let mut told: Option<String> = None;
    let further = Arc::new(before.further);
    loop {
        tick.tick().await;
        let (files_now, further) = (files.to_vec(), further.clone());
        let looked = tokio::task::spawn_blocking(move || look(files_now, &further)).await;
        let Ok(now) = looked else { continue };
        if now == before.stamps {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_are_counted_over_all_files() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let put = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).expect("it is written");
        let jobs = |prefix: &str, count: usize| {
            let entries: Vec<_> = (0..count).map(|n| format!("- job_name: {prefix}{n}\n")).collect();
            format!("scrape_configs:\n{}", entries.concat())
        };
        let files = [dir.path().join("main.yml")];
        put("main.yml", &format!("scrape_config_files: ['more/*.yml']\n{}", jobs("a", 1)));
        std::fs::create_dir(dir.path().join("more")).expect("a folder");
        put("more/b.yml", &jobs("b", JOBS_MAX - 2));
        put("more/c.yml", &jobs("c", 1));
        assert_eq!(load(&files).map(|loaded| loaded.jobs.len()), Ok(JOBS_MAX));
        put("more/c.yml", &jobs("c", 2));
        let reason = load(&files).map(|loaded| loaded.jobs.len()).expect_err("one too many");
        let wanted = format!("more/c.yml, line 3: the configuration has more than {JOBS_MAX} jobs over all its files");
        assert!(reason.contains(&wanted), "{reason}");
        put("more/b.yml", &jobs("a", 1));
        let reason = load(&files).map(|loaded| loaded.jobs.len()).expect_err("a name is there twice");
        assert!(reason.ends_with("more/b.yml, line 2: the job `a0` stands in another file already"), "{reason}");
    }
}

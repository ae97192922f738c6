//! One host without an agent: looks at it again and again, takes its orders one by one, and answers as an agent would.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tenfold_app::App;
use tenfold_app::settings::SshHost;
use tenfold_deploys::{Digest, Manifest};
use tenfold_protocols::agent::{
    BlobDigest, FromAgent, OrderRef, PROTOCOL, RELEASES_MAX, Release, RunSpec, ToAgent, tail_of,
};
use tenfold_protocols::capistrano::{self, Layout};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::line::{CallError, Line};
use super::release::{self, Note, current};
use super::{scripts, stage::Sums};

/// How often a host is looked at.
const LOOK: Duration = Duration::from_secs(5);
const CALL: Duration = Duration::from_secs(30);
/// A restart may take this long, a health check is asked this often.
const RESTART: Duration = Duration::from_mins(2);
const PROBE: Duration = Duration::from_secs(2);
const ASK: Duration = Duration::from_millis(200);
const PAUSE_MS_MIN: u64 = 1_000;
const PAUSE_MS_MAX: u64 = 30_000;
const RELEASES_KEPT: usize = 5;

/// Why an order was not followed.
pub(super) enum Refusal {
    /// The host has seen this higher epoch.
    Stale(i64),
    Failed(String),
}

impl From<CallError> for Refusal {
    fn from(error: CallError) -> Self {
        Self::Failed(error.to_string())
    }
}

pub(super) type Answer<T> = Result<T, Refusal>;
pub(super) type Say = Arc<dyn Fn(FromAgent) + Send + Sync>;

pub(super) struct SshAgent {
    pub app: App,
    pub line: Line,
    pub host: SshHost,
    pub sums: Arc<Sums>,
    pub http: reqwest::Client,
}

/// What a fenced script printed, where it did not refuse.
pub(super) fn plain(said: &[u8]) -> Answer<String> {
    let text = String::from_utf8_lossy(said).trim().to_owned();
    match text.strip_prefix("refused ") {
        Some(epoch) => Err(Refusal::Stale(epoch.parse().unwrap_or(i64::MAX))),
        None => Ok(text),
    }
}

impl SshAgent {
    pub async fn run(&self, stop: CancellationToken) {
        let mut pause = PAUSE_MS_MIN;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                ended = self.connected() => {
                    let (was_there, reason) = ended;
                    tracing::warn!(host = %self.host.name, %reason, "the host is not reached by ssh");
                    pause = if was_there { PAUSE_MS_MIN } else { (pause * 2).min(PAUSE_MS_MAX) };
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(Duration::from_millis(pause)) => {}
            }
        }
    }

    /// Until the host cannot be reached any more; returns whether it was reached at all, and why it is not.
    async fn connected(&self) -> (bool, String) {
        let releases = match self.look().await {
            Ok(releases) => releases,
            Err(reason) => return (false, reason),
        };
        let hello = FromAgent::Hello {
            protocol: PROTOCOL,
            name: self.host.name.clone(),
            environment: self.host.environment.clone(),
            labels: self.host.labels.clone(),
            version: "ssh".to_owned(),
            releases,
        };
        let mut session = match self.app.agent_connect(hello).await {
            Ok(session) => session,
            Err(fault) => return (false, fault.message),
        };
        tracing::info!(host = %self.host.name, "the host is reached by ssh");
        let (said, mut words) = mpsc::unbounded_channel();
        let (orders, mut taken) = mpsc::unbounded_channel();
        let say: Say = Arc::new(move |word| drop(said.send(word)));
        let work = async {
            while let Some(order) = taken.recv().await {
                self.take(order, &say).await;
            }
        };
        let beat = async {
            loop {
                tokio::time::sleep(LOOK).await;
                match self.look().await {
                    Ok(releases) => say(FromAgent::Observed { releases }),
                    Err(reason) => return reason,
                }
            }
        };
        tokio::pin!(work, beat);
        let reason = loop {
            tokio::select! {
                reason = &mut beat => break reason,
                () = &mut work => break "its orders ended".to_owned(),
                Some(word) = words.recv() => {
                    if let Err(fault) = self.app.agent_message(&session, word).await {
                        break fault.message;
                    }
                }
                order = session.messages.recv() => match order {
                    Some(order) => drop(orders.send(order)),
                    None => break "another agent connected under its name".to_owned(),
                },
            }
        };
        self.app.agent_disconnect(&session);
        (true, reason)
    }

    pub(super) fn folder(&self, service: &str) -> String {
        self.host.deploy_to.replace("{service}", service)
    }

    fn address(&self) -> Option<String> {
        self.host.health_port.map(|port| {
            if self.host.address.contains(':') {
                format!("[{}]:{port}", self.host.address)
            } else {
                format!("{}:{port}", self.host.address)
            }
        })
    }

    /// The current release of each service that may be here.
    async fn look(&self) -> Result<Vec<Release>, String> {
        let services = self.app.services().await.map_err(|f| f.message)?;
        let here = |names: &[String]| names.contains(&self.host.environment);
        let services: Vec<String> =
            services.into_iter().filter(|s| here(&s.environments)).map(|s| s.name).take(RELEASES_MAX).collect();
        let folders: Vec<String> = services.iter().map(|s| self.folder(s)).collect();
        let layouts = self.layouts(&folders).await.map_err(|e| e.to_string())?;
        let release = |(service, folder): (&String, &String)| {
            current(layouts.get(folder)?, service, &self.host.environment, self.address())
        };
        Ok(services.iter().zip(&folders).filter_map(release).collect())
    }

    async fn layouts(&self, folders: &[String]) -> Result<BTreeMap<String, Layout>, CallError> {
        let args: Vec<&str> = folders.iter().map(String::as_str).collect();
        let command = scripts::command(scripts::LOOK, &args);
        let said = self.line.ask(&command, CALL, &[], capistrano::ANSWER_BYTES_MAX).await?;
        capistrano::layouts(&said).map_err(|e| CallError::Failed(e.to_string()))
    }

    pub(super) async fn layout(&self, service: &str) -> Answer<Layout> {
        let folder = self.folder(service);
        let mut all = self.layouts(std::slice::from_ref(&folder)).await?;
        Ok(all.remove(&folder).unwrap_or_default())
    }

    /// Runs a script that changes something; it refuses an epoch that is too low.
    pub(super) async fn fenced(&self, script: &str, args: &[&str], within: Duration, send: &[u8]) -> Answer<String> {
        let command = scripts::command(&scripts::fenced(script), args);
        plain(&self.line.ask(&command, within, send, 4_096).await?)
    }

    async fn take(&self, order: ToAgent, say: &Say) {
        match order {
            ToAgent::Stage { order, digest, manifest } => {
                let done = match serde_json::from_value::<Manifest>(manifest) {
                    Ok(manifest) if manifest.digest().bytes() == &digest.0 => self.stage(&order, &manifest, say).await,
                    Ok(_) => Err(Refusal::Failed("the manifest has another digest than the order".to_owned())),
                    Err(error) => Err(Refusal::Failed(format!("the manifest is refused: {error}"))),
                };
                match done {
                    Ok(()) => say(FromAgent::Staged { order, digest }),
                    Err(refusal) => self.refuse(order, Some(digest), refusal, say).await,
                }
            }
            ToAgent::Activate { order, digest, run } => match self.activate(&order, digest, run, say).await {
                Ok(release) => say(FromAgent::Activated { order, release }),
                Err(refusal) => self.refuse(order, Some(digest), refusal, say).await,
            },
            ToAgent::Deactivate { order } => match self.deactivate(&order).await {
                Ok(()) => say(FromAgent::Deactivated { order }),
                Err(refusal) => self.refuse(order, None, refusal, say).await,
            },
            ToAgent::Report => {
                if let Ok(releases) = self.look().await {
                    say(FromAgent::Observed { releases });
                }
            }
            ToAgent::Welcome { .. } | ToAgent::NoBlob { .. } | ToAgent::Delta { .. } | ToAgent::Refused { .. } => {}
        }
    }

    async fn refuse(&self, order: OrderRef, digest: Option<BlobDigest>, refusal: Refusal, say: &Say) {
        match refusal {
            Refusal::Stale(highest_epoch) => say(FromAgent::Refused { order, highest_epoch }),
            Refusal::Failed(error) => {
                let layout = self.layout(&order.service).await.ok();
                let running = layout.and_then(|l| current(&l, &order.service, &self.host.environment, self.address()));
                let error = tail_of(&error);
                say(FromAgent::Failed { order, digest, error, log_tail: String::new(), running });
            }
        }
    }

    /// The flip, the restart, the health check; when one fails, what ran before is put back.
    async fn activate(&self, order: &OrderRef, digest: BlobDigest, run: Option<RunSpec>, say: &Say) -> Answer<Release> {
        let layout = self.layout(&order.service).await?;
        if layout.epoch > order.epoch {
            return Err(Refusal::Stale(layout.epoch));
        }
        let wanted = Digest::from_bytes(digest.0);
        // the newest of equal ones: a release that was made anew stands beside the one that was changed
        let mut names: Vec<_> = layout.releases.iter().filter(|r| release::digest(r) == wanted).collect();
        names.sort_by(|a, b| a.name.cmp(&b.name));
        let found = names
            .pop()
            .ok_or_else(|| Refusal::Failed(format!("the release {} is not on this host", wanted.short())))?;
        let before = Note::of(found).and_then(|n| n.run);
        let back = run.is_none() || (before.is_some() && layout.current != found.name);
        let note =
            Note { digest: wanted.to_string(), deploy: order.deploy, since: self.app.now(), run: run.or(before) };
        let sha = note.run.as_ref().map_or("", |r| r.sha.as_str());
        let log = if back {
            format!("tenfold rolled back to release {}", found.name)
        } else {
            format!("Deploy {} (at {sha}) deployed as release {} by tenfold", order.deploy, found.name)
        };
        self.flip(order, &found.name, sha, &note.text(), &log).await?;
        let message = format!("flipped to release {}", found.name);
        say(FromAgent::Activating { order: order.clone(), digest, checking: true, message });
        if let Err(error) = self.comes_up(order, note.run.as_ref()).await {
            if layout.current != found.name && layout.find(&layout.current).is_some() {
                let log = format!("tenfold rolled back to release {}", layout.current);
                self.flip(order, &layout.current, "", "", &log).await?;
                let restarted = self.restart(&order.service).await.err();
                let restarted = restarted.map_or_else(String::new, |e| format!("; restarting what ran before: {e}"));
                return Err(Refusal::Failed(format!("{error}{restarted}")));
            }
            return Err(Refusal::Failed(error));
        }
        self.prune(order).await;
        let layout = self.layout(&order.service).await?;
        current(&layout, &order.service, &self.host.environment, self.address())
            .ok_or_else(|| Refusal::Failed("`current` leads nowhere after the flip".to_owned()))
    }

    async fn flip(&self, order: &OrderRef, name: &str, sha: &str, note: &str, log: &str) -> Answer<()> {
        let (folder, epoch) = (self.folder(&order.service), order.epoch.to_string());
        match self.fenced(scripts::FLIP, &[&folder, &epoch, name, sha, note, log], CALL, &[]).await?.as_str() {
            "done" => Ok(()),
            _ => Err(Refusal::Failed(format!("the release {name} is gone"))),
        }
    }

    async fn comes_up(&self, order: &OrderRef, run: Option<&RunSpec>) -> Result<(), String> {
        self.restart(&order.service).await?;
        let (Some(address), Some(run)) = (self.address(), run) else { return Ok(()) };
        let url = format!("http://{address}{}", run.health_path);
        let mut said = "it did not answer".to_owned();
        let healthy = async {
            loop {
                said = match self.http.get(&url).timeout(PROBE).send().await {
                    Ok(answer) if answer.status().is_success() => return,
                    Ok(answer) => format!("it answered {}", answer.status()),
                    Err(_) => "nothing answered".to_owned(),
                };
                tokio::time::sleep(ASK).await;
            }
        };
        if tokio::time::timeout(Duration::from_millis(run.health_within_ms), healthy).await.is_ok() {
            return Ok(());
        }
        Err(format!("{} was not healthy within {} s: {said}", run.health_path, run.health_within_ms / 1_000))
    }

    async fn restart(&self, service: &str) -> Result<(), String> {
        if self.host.restart.is_empty() {
            return Ok(());
        }
        let argv: Vec<String> = self.host.restart.iter().map(|word| word.replace("{service}", service)).collect();
        let command = scripts::program(&format!("{}/current", self.folder(service)), &argv);
        let done = self.line.ask(&command, RESTART, &[], 64 * 1024).await;
        done.map(|_| ()).map_err(|e| format!("{}: {e}", argv.join(" ")))
    }

    async fn deactivate(&self, order: &OrderRef) -> Answer<()> {
        let (folder, epoch) = (self.folder(&order.service), order.epoch.to_string());
        let log = "tenfold took the release out, since nothing ran before";
        self.fenced(scripts::UNLINK, &[&folder, &epoch, log], CALL, &[]).await.map(|_| ())
    }

    async fn prune(&self, order: &OrderRef) {
        let (folder, epoch) = (self.folder(&order.service), order.epoch.to_string());
        let from = (RELEASES_KEPT + 1).to_string();
        if let Err(Refusal::Failed(error)) = self.fenced(scripts::PRUNE, &[&folder, &epoch, &from], CALL, &[]).await {
            tracing::warn!(host = %self.host.name, %error, "old releases stay");
        }
    }
}

//! Making a release the current one: flip, restart, health check. The note beside the release says how far that got, so a
//! connection that ends in between leaves nothing that looks finished.

use std::time::Duration;

use tenfold_deploys::Digest;
use tenfold_protocols::agent::{BlobDigest, FromAgent, OrderRef, Release, RunSpec};
use tenfold_protocols::capistrano::Layout;

use super::host::{Answer, CALL, PROBE, Refusal, Say, SshAgent};
use super::line::CallError;
use super::release::{self, Note, Phase, current};
use super::scripts;

/// A restart may take this long, a health check is asked this often.
const RESTART: Duration = Duration::from_mins(2);
const ASK: Duration = Duration::from_millis(200);
/// One run of the host's own health check.
const HEALTH: Duration = Duration::from_secs(10);
/// A release that nobody said more of is healthy within this.
const HEALTHY: Duration = Duration::from_secs(30);

impl SshAgent {
    /// The flip, the restart, the health check; when one fails, what ran before is put back.
    pub(super) async fn activate(
        &self,
        order: &OrderRef,
        digest: BlobDigest,
        run: Option<RunSpec>,
        say: &Say,
    ) -> Answer<Release> {
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
        let kept = Note::of(found).and_then(|n| n.run);
        let back = run.is_none() || (kept.is_some() && layout.current != found.name);
        let before = release::before(&layout, &found.name);
        let mut note = Note {
            digest: wanted.to_string(),
            deploy: order.deploy,
            since: self.app.now(),
            run: run.or(kept),
            phase: Phase::Activating,
            before: before.clone(),
        };
        let sha = note.run.as_ref().map_or("", |r| r.sha.as_str());
        let log = if back {
            format!("tenfold rolled back to release {}", found.name)
        } else {
            format!("Deploy {} (at {sha}) deployed as release {} by tenfold", order.deploy, found.name)
        };
        self.flip(order, &found.name, sha, &note.text().map_err(Refusal::Failed)?, &log).await?;
        let message = format!("flipped to release {}", found.name);
        say(FromAgent::Activating { order: order.clone(), digest, checking: true, message });
        match self.comes_up(order, note.run.as_ref()).await {
            Ok(()) => {}
            Err(Refusal::Failed(error)) => {
                let Some(before) = before else { return Err(Refusal::Failed(error)) };
                let more = match self.put_back(order, &layout, &before).await {
                    Ok(more) => more,
                    Err(Refusal::Failed(more)) => format!("; going back to what ran before: {more}"),
                    Err(other) => return Err(other),
                };
                return Err(Refusal::Failed(format!("{error}{more}")));
            }
            // whether it came up is not known
            Err(other) => return Err(other),
        }
        (note.phase, note.before) = (Phase::Healthy, None);
        self.mark(order, &found.name, &note).await?;
        self.prune(order).await;
        let layout = self.layout(&order.service).await?;
        current(&layout, &order.service, &self.host.environment, self.address())
            .ok_or_else(|| Refusal::Failed("`current` leads nowhere after the flip".to_owned()))
    }

    /// Flips to the release that ran before and restarts; returns what went wrong with it, for the end of a sentence.
    async fn put_back(&self, order: &OrderRef, layout: &Layout, name: &str) -> Answer<String> {
        let log = format!("tenfold rolled back to release {name}");
        // a release that is not ours has no note, and gets none from going back to it
        let note = layout.find(name).and_then(Note::of).map(|n| Note { phase: Phase::Activating, before: None, ..n });
        let text = note.as_ref().map_or_else(|| Ok(String::new()), Note::text).map_err(Refusal::Failed)?;
        self.flip(order, name, "", &text, &log).await?;
        match self.restart(&order.service).await {
            Ok(()) => {}
            Err(Refusal::Failed(error)) => return Ok(format!("; restarting what ran before: {error}")),
            Err(other) => return Err(other),
        }
        // it ran before; whether it is healthy is asked with every look from here on
        if let Some(note) = note {
            self.mark(order, name, &Note { phase: Phase::Healthy, ..note }).await?;
        }
        Ok(String::new())
    }

    async fn flip(&self, order: &OrderRef, name: &str, sha: &str, note: &str, log: &str) -> Answer<()> {
        let (folder, epoch) = (self.folder(&order.service), order.epoch.to_string());
        match self.fenced(scripts::FLIP, &[&folder, &epoch, name, sha, note, log], CALL, &[]).await?.as_str() {
            "done" => Ok(()),
            _ => Err(Refusal::Failed(format!("the release {name} is gone"))),
        }
    }

    /// Notes that the current release came up.
    async fn mark(&self, order: &OrderRef, name: &str, note: &Note) -> Answer<()> {
        let (folder, epoch) = (self.folder(&order.service), order.epoch.to_string());
        let text = note.text().map_err(Refusal::Failed)?;
        match self.fenced(scripts::MARK, &[&folder, &epoch, name, &text], CALL, &[]).await?.as_str() {
            "done" => Ok(()),
            _ => Err(Refusal::Failed(format!("somebody else changed `current` while {name} came up"))),
        }
    }

    async fn comes_up(&self, order: &OrderRef, run: Option<&RunSpec>) -> Answer<()> {
        self.restart(&order.service).await?;
        let url = self.address().zip(run).map(|(address, run)| format!("http://{address}{}", run.health_path));
        if url.is_none() && self.host.health.is_empty() {
            return Ok(());
        }
        let within = run.map_or(HEALTHY, |run| Duration::from_millis(run.health_within_ms));
        let mut said = "it did not answer".to_owned();
        let healthy = async {
            loop {
                match self.is_well(&order.service, url.as_deref()).await {
                    Ok(()) => return,
                    Err(why) => said = why,
                }
                tokio::time::sleep(ASK).await;
            }
        };
        if tokio::time::timeout(within, healthy).await.is_ok() {
            return Ok(());
        }
        let what =
            run.filter(|_| url.is_some()).map_or_else(|| self.host.health.join(" "), |run| run.health_path.clone());
        Err(Refusal::Failed(format!("{what} was not healthy within {} s: {said}", within.as_secs())))
    }

    /// The health check at the service's port, then the host's own program; each where there is one. The error says what came.
    pub(super) async fn is_well(&self, service: &str, url: Option<&str>) -> Result<(), String> {
        if let Some(url) = url {
            match self.http.get(url).timeout(PROBE).send().await {
                Ok(answer) if answer.status().is_success() => {}
                Ok(answer) => return Err(format!("it answered {}", answer.status())),
                Err(_) => return Err("nothing answered".to_owned()),
            }
        }
        if self.host.health.is_empty() {
            return Ok(());
        }
        self.in_current(service, &self.host.health, HEALTH).await.map_err(|error| error.to_string())
    }

    async fn restart(&self, service: &str) -> Answer<()> {
        if self.host.restart.is_empty() {
            return Ok(());
        }
        Ok(self.in_current(service, &self.host.restart, RESTART).await?)
    }

    /// Runs a program of the settings in the current release.
    async fn in_current(&self, service: &str, words: &[String], within: Duration) -> Result<(), CallError> {
        let argv: Vec<String> = words.iter().map(|word| word.replace("{service}", service)).collect();
        let command = scripts::program(&format!("{}/current", self.folder(service)), &argv);
        let done = self.line.ask(&command, within, &[], 64 * 1024).await;
        let named = |error: String| format!("{}: {error}", argv.join(" "));
        done.map(|_| ()).map_err(|error| match error {
            CallError::Away(error) => CallError::Away(named(error)),
            CallError::Failed(error) => CallError::Failed(named(error)),
        })
    }
}

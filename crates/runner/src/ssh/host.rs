//! One host without an agent: looks at it again and again, takes its orders one by one, and answers as an agent would.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use parking_lot::Mutex;
use tenfold_app::App;
use tenfold_app::settings::SshHost;
use tenfold_deploys::Manifest;
use tenfold_protocols::agent::{
    BlobDigest, FromAgent, OrderRef, PROTOCOL, RELEASES_MAX, Release, ReleaseState, ToAgent, tail_of,
};
use tenfold_protocols::capistrano::{self, Layout};
use tenfold_types::Timestamp;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::line::{CallError, Line};
use super::release::{self, current};
use super::{archive::Archives, scripts, stage::Sums};

/// How often a host is looked at.
const LOOK: Duration = Duration::from_secs(5);
pub(super) const CALL: Duration = Duration::from_secs(30);
/// One health check.
pub(super) const PROBE: Duration = Duration::from_secs(2);
/// Health checks in a row that fail before a release counts as unhealthy.
const FAILURES_MAX: u32 = 3;
/// Looks that an order overtook, before the next beat is waited for.
const LOOKS_MAX: u32 = 5;
/// Orders in a row during which the line broke: the last of them has failed, so that a line that carries looks and no
/// artifact ends the deploy.
const BREAKS_MAX: u32 = 5;
const PAUSE_MS_MIN: u64 = 1_000;
const PAUSE_MS_MAX: u64 = 30_000;
const RELEASES_KEPT: usize = 5;

/// Why an order was not followed.
pub(super) enum Refusal {
    /// The host has seen this higher epoch.
    Stale(i64),
    /// The line broke: what came of the order is not known.
    Away(String),
    Failed(String),
}

impl From<CallError> for Refusal {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Away(error) => Self::Away(error),
            CallError::Failed(error) => Self::Failed(error),
        }
    }
}

pub(super) type Answer<T> = Result<T, Refusal>;
pub(super) type Say = Arc<dyn Fn(FromAgent) + Send + Sync>;

pub(super) struct SshAgent {
    pub app: App,
    pub line: Line,
    pub host: SshHost,
    pub sums: Arc<Sums>,
    pub archives: Arc<Archives>,
    pub http: reqwest::Client,
    /// Moves when an order begins and when it ends: what was seen while it moved is out of date.
    pub turns: AtomicU64,
    pub breaks: Breaks,
    /// Health checks that failed in a row, by service, for the release that was activated then.
    pub failures: Mutex<BTreeMap<String, (Timestamp, u32)>>,
}

/// Orders in a row that the line broke under, by service and epoch: what one deploy met counts for no other.
#[derive(Default)]
pub(super) struct Breaks(Mutex<BTreeMap<String, (i64, u32)>>);

impl Breaks {
    /// One more; returns how many there are. Only the newest epoch of a service is counted: an older one is refused soon.
    fn count(&self, order: &OrderRef) -> u32 {
        let mut all = self.0.lock();
        let (epoch, count) = all.entry(order.service.clone()).or_insert((order.epoch, 0));
        if *epoch != order.epoch {
            (*epoch, *count) = (order.epoch, 0);
        }
        *count = count.saturating_add(1);
        *count
    }

    /// The line held for the whole of an order.
    fn held(&self, order: &OrderRef) {
        self.0.lock().remove(&order.service);
    }
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
        // an order that was cut off with the last connection may have ended in between
        let releases = match self.observe().await {
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
            packs: false,
            // a host of this layout runs nothing of ours: its flip is the link already
            prepares: false,
            beside: Vec::new(),
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
                if let Err(reason) = self.take(order, &say).await {
                    return reason;
                }
            }
            "its orders ended".to_owned()
        };
        let beat = async {
            loop {
                tokio::time::sleep(LOOK).await;
                for _ in 0..LOOKS_MAX {
                    let turn = self.turns.load(Ordering::Relaxed);
                    match self.observe().await {
                        // said before anything else is awaited, so no order's answer comes in between
                        Ok(releases) if turn == self.turns.load(Ordering::Relaxed) => {
                            say(FromAgent::Observed { releases });
                            break;
                        }
                        Ok(_) => {}
                        Err(reason) => return reason,
                    }
                }
            }
        };
        tokio::pin!(work, beat);
        let reason = loop {
            tokio::select! {
                reason = &mut beat => break reason,
                reason = &mut work => break reason,
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

    pub(super) fn address(&self) -> Option<String> {
        self.host.health_port.map(|port| {
            if self.host.address.contains(':') {
                format!("[{}]:{port}", self.host.address)
            } else {
                format!("{}:{port}", self.host.address)
            }
        })
    }

    /// The current release of each service that may be here, and how it is.
    async fn observe(&self) -> Result<Vec<Release>, String> {
        let seen = join_all(self.look().await?.into_iter().map(|(mut release, path)| async move {
            let running = release.state == ReleaseState::Running;
            let url = path.zip(release.address.as_ref()).map(|(path, address)| format!("http://{address}{path}"));
            if running && (url.is_some() || !self.host.health.is_empty()) {
                let fine = self.is_well(&release.service, url.as_deref()).await.is_ok();
                if !self.counts_as_healthy(&release, fine) {
                    release.state = ReleaseState::Unhealthy;
                }
            }
            release
        }));
        Ok(seen.await)
    }

    fn counts_as_healthy(&self, release: &Release, fine: bool) -> bool {
        let mut failures = self.failures.lock();
        if fine {
            failures.remove(&release.service);
            return true;
        }
        let (since, count) = failures.entry(release.service.clone()).or_insert((release.since, 0));
        if *since != release.since {
            (*since, *count) = (release.since, 0);
        }
        *count = count.saturating_add(1);
        *count < FAILURES_MAX
    }

    /// The current release of each service that may be here, and the path of its health check.
    async fn look(&self) -> Result<Vec<(Release, Option<String>)>, String> {
        let services = self.app.services().await.map_err(|f| f.message)?;
        let here = |names: &[String]| names.contains(&self.host.environment);
        let services: Vec<String> =
            services.into_iter().filter(|s| here(&s.environments)).map(|s| s.name).take(RELEASES_MAX).collect();
        let folders: Vec<String> = services.iter().map(|s| self.folder(s)).collect();
        let layouts = self.layouts(&folders).await.map_err(|e| e.to_string())?;
        let release = |(service, folder): (&String, &String)| {
            let layout = layouts.get(folder)?;
            let release = current(layout, service, &self.host.environment, self.address())?;
            Some((release, release::health_path(layout)))
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

    /// Follows one order. The answer is said in the same moment in which the order's turn ends. Where the line broke there is
    /// none: the host is away, as one whose agent is, and gets the order again when it is back.
    async fn take(&self, order: ToAgent, say: &Say) -> Result<(), String> {
        self.turns.fetch_add(1, Ordering::Relaxed);
        let answer = self.follow(order, say).await;
        self.turns.fetch_add(1, Ordering::Relaxed);
        if let Some(answer) = answer? {
            say(answer);
        }
        Ok(())
    }

    /// An error, in words, where the line broke.
    async fn follow(&self, order: ToAgent, say: &Say) -> Result<Option<FromAgent>, String> {
        Ok(Some(match order {
            ToAgent::Stage { order, digest, manifest } => {
                let done = match serde_json::from_value::<Manifest>(manifest) {
                    Ok(manifest) if manifest.digest().bytes() == &digest.0 => self.stage(&order, &manifest, say).await,
                    Ok(_) => Err(Refusal::Failed("the manifest has another digest than the order".to_owned())),
                    Err(error) => Err(Refusal::Failed(format!("the manifest is refused: {error}"))),
                };
                match done {
                    Ok(()) => {
                        self.breaks.held(&order);
                        FromAgent::Staged { order, digest }
                    }
                    Err(refusal) => self.refusal(order, Some(digest), refusal).await?,
                }
            }
            ToAgent::Activate { order, digest, run, .. } => match self.activate(&order, digest, run, say).await {
                Ok(release) => {
                    self.breaks.held(&order);
                    FromAgent::Activated { order, release }
                }
                Err(refusal) => self.refusal(order, Some(digest), refusal).await?,
            },
            ToAgent::Deactivate { order } => match self.deactivate(&order).await {
                Ok(()) => {
                    self.breaks.held(&order);
                    FromAgent::Deactivated { order }
                }
                Err(refusal) => self.refusal(order, None, refusal).await?,
            },
            ToAgent::Report => match self.observe().await {
                Ok(releases) => FromAgent::Observed { releases },
                Err(_) => return Ok(None),
            },
            ToAgent::Welcome { .. }
            | ToAgent::NoBlob { .. }
            | ToAgent::Delta { .. }
            | ToAgent::Pack { .. }
            | ToAgent::Long { .. }
            | ToAgent::Prepare { .. }
            | ToAgent::Flip { .. }
            | ToAgent::Discard { .. }
            | ToAgent::Refused { .. } => return Ok(None),
        }))
    }

    async fn refusal(
        &self,
        order: OrderRef,
        digest: Option<BlobDigest>,
        refusal: Refusal,
    ) -> Result<FromAgent, String> {
        let error = match refusal {
            Refusal::Stale(highest_epoch) => return Ok(FromAgent::Refused { order, highest_epoch }),
            Refusal::Away(error) => {
                let breaks = self.breaks.count(&order);
                if breaks < BREAKS_MAX {
                    return Err(error);
                }
                format!("the line broke during {breaks} orders in a row: {error}")
            }
            Refusal::Failed(error) => error,
        };
        let layout = self.layout(&order.service).await.ok();
        let running = layout.and_then(|l| current(&l, &order.service, &self.host.environment, self.address()));
        let error = tail_of(&error);
        self.breaks.held(&order);
        Ok(FromAgent::Failed { order, digest, error, log_tail: String::new(), running })
    }

    async fn deactivate(&self, order: &OrderRef) -> Answer<()> {
        let (folder, epoch) = (self.folder(&order.service), order.epoch.to_string());
        let log = "tenfold took the release out, since nothing ran before";
        self.fenced(scripts::UNLINK, &[&folder, &epoch, log], CALL, &[]).await.map(|_| ())
    }

    pub(super) async fn prune(&self, order: &OrderRef) {
        let (folder, epoch) = (self.folder(&order.service), order.epoch.to_string());
        let from = (RELEASES_KEPT + 1).to_string();
        if let Err(Refusal::Failed(error)) = self.fenced(scripts::PRUNE, &[&folder, &epoch, &from], CALL, &[]).await {
            tracing::warn!(host = %self.host.name, %error, "old releases stay");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(service: &str, epoch: i64) -> OrderRef {
        OrderRef { service: service.to_owned(), environment: "production".to_owned(), deploy: epoch, epoch }
    }

    #[test]
    fn what_broke_under_one_deploy_counts_for_no_other() {
        let (breaks, photos, mail) = (Breaks::default(), order("photos", 3), order("mail", 8));
        for count in 1..BREAKS_MAX {
            assert_eq!(breaks.count(&photos), count);
        }
        assert_eq!(breaks.count(&mail), 1, "another service");
        breaks.held(&mail);
        assert_eq!(breaks.count(&photos), BREAKS_MAX, "an order of another service says nothing of this one");
        assert_eq!(breaks.count(&order("photos", 4)), 1, "another deploy");
        breaks.held(&order("photos", 4));
        assert_eq!(breaks.count(&photos), 1);
    }
}

//! One task per target asks for its page every interval, at a moment of the interval that depends on the target, so that
//! a thousand targets are not asked at once. Pages are capped.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use tenfold_app::App;
use tenfold_app::metrics::{BURST_INTERVAL_MS, GANGLIA, Scraped, Target};
use tenfold_protocols::exposition::Format;
use tenfold_scrape::Job;
use tokio_util::sync::CancellationToken;

use crate::client::{Asking, Client};

/// How often the list of targets is looked at.
const LOOK_MS: u64 = 500;

/// The clients of the jobs, made when they are first needed.
#[derive(Default)]
struct Clients(Vec<(Arc<Job>, Arc<Client>)>);

impl Clients {
    fn of(&mut self, job: &Arc<Job>) -> Arc<Client> {
        if let Some((_, client)) = self.0.iter().find(|(known, _)| Arc::ptr_eq(known, job)) {
            return client.clone();
        }
        // Those of jobs that were replaced are held by nobody else.
        self.0.retain(|(known, _)| Arc::strong_count(known) > 1);
        let client = Arc::new(Client::new(&job.client));
        self.0.push((job.clone(), client.clone()));
        client
    }
}

pub async fn run(app: App, stop: CancellationToken) {
    let mut clients = Clients::default();
    let mut running: HashMap<String, CancellationToken> = HashMap::new();
    let mut look = tokio::time::interval(Duration::from_millis(LOOK_MS));
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = look.tick() => {}
        }
        let targets: HashMap<String, Target> = app.metrics.targets().into_iter().map(|t| (key(&t), t)).collect();
        running.retain(|key, task| {
            let wanted = targets.contains_key(key);
            if !wanted {
                task.cancel();
            }
            wanted
        });
        for (key, target) in targets {
            running.entry(key).or_insert_with(|| {
                let task = stop.child_token();
                let job = app.metrics.job_of(&target);
                let watched = Watched { app: app.clone(), client: clients.of(&job), job, target };
                tokio::spawn(watched.run(task.clone()));
                task
            });
        }
        if let Err(fault) = app.metrics.end_gone_targets(app.now()) {
            tracing::warn!(%fault, "the series of gone targets could not be ended");
        }
    }
}

/// Another key is another task: a job that was read anew asks by its new rules.
fn key(target: &Target) -> String {
    let plan = target.plan.as_ref();
    let plan = plan.map(|p| format!("{:p} {} {}", Arc::as_ptr(&p.job), p.interval_ms, p.timeout_ms));
    format!("{} {} {}", target.url, target.labels, plan.unwrap_or_default())
}

struct Watched {
    app: App,
    client: Arc<Client>,
    job: Arc<Job>,
    target: Target,
}

impl Watched {
    /// A target seen for the first time is asked soon, then once every interval.
    async fn run(self, stop: CancellationToken) {
        let (app, target) = (&self.app, &self.target);
        let usual_ms = target.plan.as_ref().map_or(self.job.interval_ms, |plan| plan.interval_ms);
        let timeout_ms = target.plan.as_ref().map_or(self.job.timeout_ms, |plan| plan.timeout_ms);
        // Looks up at least that often whether it is time: the interval shrinks while the service is deployed.
        let look = Duration::from_millis(BURST_INTERVAL_MS);
        let spread = Duration::from_millis(offset_ms(target, usual_ms.min(BURST_INTERVAL_MS)));
        let mut due = tokio::time::Instant::now() + spread;
        let mut last = None;
        loop {
            let now = tokio::time::Instant::now();
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep_until(due.min(now + look)) => {}
            }
            let now = tokio::time::Instant::now();
            let interval = Duration::from_millis(app.metrics.interval_ms(target, usual_ms, app.now()));
            if let Some(last) = last {
                due = due.min(last + interval);
            }
            if now < due {
                continue;
            }
            last = Some(due);
            // What was missed is not made up for.
            due = (due + interval).max(now);
            let at = app.now();
            let page = tokio::select! {
                () = stop.cancelled() => return,
                page = self.ask(timeout_ms) => page,
            };
            let scraped = Scraped { at, duration_ms: app.now().since_ms(at), page };
            if stop.is_cancelled() {
                return;
            }
            self.keep(scraped).await;
        }
    }

    async fn ask(&self, timeout_ms: u64) -> Result<(bytes::Bytes, Format), String> {
        if let Some(reason) = self.app.metrics.not_asked(&self.target) {
            return Err(reason);
        }
        if let Some(address) = self.target.url.strip_prefix(GANGLIA) {
            return Ok((crate::ganglia::ask(address, timeout_ms).await?, Format::Ganglia));
        }
        let asking = Asking {
            accept: &self.job.accept(),
            timeout_ms,
            compressed: self.job.compression,
            bytes_max: self.job.limits.body_bytes_max,
            fallback: self.job.fallback,
        };
        self.client.page(&self.target.url, &asking).await
    }

    /// Reading a page and writing it take their time: not on a thread that waits for the network.
    async fn keep(&self, scraped: Scraped) {
        let (app, target) = (self.app.clone(), self.target.clone());
        let instance = self.target.instance();
        match tokio::task::spawn_blocking(move || app.metrics.scraped(&target, scraped)).await {
            Ok(Ok(())) => {}
            Ok(Err(fault)) => tracing::warn!(%fault, instance, "a scrape could not be kept"),
            Err(error) => tracing::error!(%error, instance, "keeping a scrape panicked"),
        }
    }
}

fn offset_ms(target: &Target, within_ms: u64) -> u64 {
    let mut hasher = std::collections::hash_map::DefaultHasher::new();
    target.url.hash(&mut hasher);
    hasher.finish() % within_ms.max(1)
}

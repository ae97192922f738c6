//! One task per target asks for its page every interval, at a moment of the interval that depends on the target, so that
//! a thousand targets are not asked at once. Pages are capped.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use tenfold_app::App;
use tenfold_app::metrics::{BURST_INTERVAL_MS, GANGLIA, NoPage, Scraped, Target};
use tenfold_protocols::exposition::Format;
use tenfold_scrape::Job;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::client::{Asking, Client};

/// How often the list of targets is looked at.
const LOOK_MS: u64 = 500;
/// Of the time within which new targets are asked, each takes so much.
const TARGET_MS: u64 = 1;

/// The clients of the jobs, made when they are first needed: one for what an agent elsewhere names, and one for all else.
#[derive(Default)]
struct Clients(Vec<(Arc<Job>, bool, Arc<Client>)>);

impl Clients {
    fn of(&mut self, job: &Arc<Job>, elsewhere: bool) -> Arc<Client> {
        if let Some((.., client)) = self.0.iter().find(|(known, far, _)| *far == elsewhere && Arc::ptr_eq(known, job)) {
            return client.clone();
        }
        // Those of jobs that were replaced are held by nobody else.
        self.0.retain(|(known, ..)| Arc::strong_count(known) > 1);
        let client = Arc::new(if elsewhere { Client::elsewhere(&job.client) } else { Client::new(&job.client) });
        self.0.push((job.clone(), elsewhere, client.clone()));
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
        let spread_ms = spread_ms(targets.len());
        for (key, target) in targets {
            running.entry(key).or_insert_with(|| {
                let task = stop.child_token();
                let job = app.metrics.job_of(&target);
                let watched =
                    Watched { app: app.clone(), client: clients.of(&job, target.elsewhere), job, target, spread_ms };
                tokio::spawn(watched.run(task.clone()));
                task
            });
        }
        end_gone(&app).await;
    }
}

/// Writing takes its time: not on a thread that waits for the network.
async fn end_gone(app: &App) {
    let app = app.clone();
    match tokio::task::spawn_blocking(move || app.metrics.end_gone_targets(app.now())).await {
        Ok(Ok(())) => {}
        Ok(Err(fault)) => tracing::warn!(%fault, "the series of gone targets could not be ended"),
        Err(error) => tracing::error!(%error, "ending the series of gone targets panicked"),
    }
}

/// Another key is another task: a job that was read anew asks by its new rules.
fn key(target: &Target) -> String {
    let plan = target.plan.as_ref();
    let plan = plan.map(|p| format!("{:p} {} {}", Arc::as_ptr(&p.job), p.interval_ms, p.timeout_ms));
    format!("{} {} {} {}", target.url, target.labels, target.elsewhere, plan.unwrap_or_default())
}

struct Watched {
    app: App,
    client: Arc<Client>,
    job: Arc<Job>,
    target: Target,
    /// Targets seen for the first time are asked within this time.
    spread_ms: u64,
}

/// Soon, and yet not a thousand targets at once.
fn spread_ms(targets: usize) -> u64 {
    (targets as u64 * TARGET_MS).max(BURST_INTERVAL_MS)
}

impl Watched {
    /// A target seen for the first time is asked soon, then once every interval, at its own moment of it.
    async fn run(self, stop: CancellationToken) {
        let (app, target) = (&self.app, &self.target);
        let usual_ms = target.plan.as_ref().map_or(self.job.interval_ms, |plan| plan.interval_ms);
        let timeout_ms = target.plan.as_ref().map_or(self.job.timeout_ms, |plan| plan.timeout_ms);
        // Looks up at least that often whether it is time: the interval shrinks while the service is deployed.
        let look = Duration::from_millis(BURST_INTERVAL_MS);
        let spread = Duration::from_millis(offset_ms(target, usual_ms.min(self.spread_ms)));
        let mut due = Instant::now() + spread;
        let mut last = None;
        loop {
            let now = Instant::now();
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep_until(due.min(now + look)) => {}
            }
            let now = Instant::now();
            let interval = Duration::from_millis(app.metrics.interval_ms(target, usual_ms));
            if let Some(last) = last.filter(|_| interval < Duration::from_millis(usual_ms)) {
                due = due.min(last + interval);
            }
            if now < due {
                continue;
            }
            let (at, asked) = (app.now(), due);
            let (turn, next) = match last {
                Some(_) => {
                    let turn = newest_turn(asked, interval, now);
                    (turn, turn + interval)
                }
                None => (asked, now + Duration::from_millis(until_own_moment_ms(target, at.millis(), usual_ms))),
            };
            (last, due) = (Some(turn), next);
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

    async fn ask(&self, timeout_ms: u64) -> Result<(bytes::Bytes, Format), NoPage> {
        if let Some(reason) = self.app.metrics.not_asked(&self.target) {
            return Err(reason.into());
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

/// Of the turns that came since one was due, the newest: what was missed is not made up for, and the moment of the interval stays.
fn newest_turn(due: Instant, interval: Duration, now: Instant) -> Instant {
    let missed = now.saturating_duration_since(due).as_millis() / interval.as_millis().max(1);
    due + interval.saturating_mul(u32::try_from(missed).unwrap_or(u32::MAX))
}

/// From the first time a target is asked to the second: a tenth of an interval at least, so that from then on it is asked
/// at its own moment of each interval of the clock, and still is after a restart.
fn until_own_moment_ms(target: &Target, now_ms: i64, interval_ms: u64) -> u64 {
    let early_ms = interval_ms / 10;
    let (own, at) = (offset_ms(target, interval_ms), (now_ms.unsigned_abs() + early_ms) % interval_ms.max(1));
    early_ms + if own >= at { own - at } else { own + interval_ms - at }
}

fn offset_ms(target: &Target, within_ms: u64) -> u64 {
    let mut hasher = std::collections::hash_map::DefaultHasher::new();
    target.url.hash(&mut hasher);
    hasher.finish() % within_ms.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenfold_types::Labels;

    fn target(n: usize) -> Target {
        Target {
            url: format!("http://host-{n}:9100/metrics"),
            labels: Labels::new(),
            host: None,
            elsewhere: false,
            plan: None,
        }
    }

    #[test]
    fn what_was_missed_is_not_made_up_for() {
        let (due, second) = (Instant::now(), Duration::from_secs(1));
        for (late_ms, turns) in [(0, 0_u32), (999, 0), (1_000, 1), (1_001, 1), (60_300, 60)] {
            let turn = newest_turn(due, second, due + Duration::from_millis(late_ms));
            assert_eq!(turn, due + second * turns, "{late_ms} ms late");
        }
        assert_eq!(newest_turn(due + second, second, due), due + second, "never before it is due");
    }

    #[test]
    fn targets_are_spread_over_their_interval() {
        const INTERVAL_MS: u64 = 60_000;
        let mut quarters = [0; 4];
        for n in 0..1_000 {
            let (target, now_ms) = (target(n), 1_795_424_000_123 + n as i64 * 777);
            let until = until_own_moment_ms(&target, now_ms, INTERVAL_MS);
            assert!((INTERVAL_MS / 10..=INTERVAL_MS * 11 / 10).contains(&until), "{until}");
            let moment = (now_ms as u64 + until) % INTERVAL_MS;
            let later = now_ms + 86_400_000 + 4_321;
            let again = until_own_moment_ms(&target, later, INTERVAL_MS);
            assert_eq!((later as u64 + again) % INTERVAL_MS, moment, "the same after a restart");
            quarters[(moment * 4 / INTERVAL_MS) as usize] += 1;
        }
        assert!(quarters.iter().all(|n| (180..320).contains(n)), "{quarters:?}");
        assert_eq!((spread_ms(3), spread_ms(10_000)), (1_000, 10_000));
    }
}

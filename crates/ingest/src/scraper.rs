//! One task per target asks for its page every interval, at a moment of the interval that depends on the target, so that
//! a thousand targets are not asked at once. Pages are capped; redirects are not followed.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::time::Duration;

use futures_util::StreamExt;
use tenfold_app::App;
use tenfold_app::metrics::{BURST_INTERVAL_MS, Scraped, Target};
use tenfold_protocols::prom_text::Format;
use tokio_util::sync::CancellationToken;

/// Largest metrics page, in bytes.
const PAGE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How often the list of targets is looked at.
const LOOK_MS: u64 = 500;
const ACCEPT: &str = "application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

pub async fn run(app: App, stop: CancellationToken) {
    let timeout = Duration::from_millis(app.settings.metrics.scrape_timeout_ms.max(1));
    let client = reqwest::Client::builder()
        .timeout(timeout)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .user_agent(concat!("tenfold/", env!("CARGO_PKG_VERSION")))
        .build();
    let client = match client {
        Ok(client) => client,
        Err(error) => {
            tracing::error!(%error, "the scraper could not be started");
            return;
        }
    };
    let mut running: HashMap<String, CancellationToken> = HashMap::new();
    let mut look = tokio::time::interval(Duration::from_millis(LOOK_MS));
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = look.tick() => {}
        }
        let targets: HashMap<String, Target> =
            app.metrics.targets().into_iter().map(|t| (format!("{} {}", t.url, t.labels), t)).collect();
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
                tokio::spawn(watch(app.clone(), client.clone(), target, task.clone()));
                task
            });
        }
        if let Err(fault) = app.metrics.end_gone_targets(app.now()) {
            tracing::warn!(%fault, "the series of gone targets could not be ended");
        }
    }
}

/// A target seen for the first time is asked soon, then once every interval.
async fn watch(app: App, client: reqwest::Client, target: Target, stop: CancellationToken) {
    let usual_ms = app.settings.metrics.scrape_interval_ms.max(100);
    // Looks up at least that often whether it is time: the interval shrinks while the service is deployed.
    let look = Duration::from_millis(BURST_INTERVAL_MS);
    let spread = Duration::from_millis(offset_ms(&target, usual_ms.min(BURST_INTERVAL_MS)));
    let mut due = tokio::time::Instant::now() + spread;
    let mut last = None;
    loop {
        let now = tokio::time::Instant::now();
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep_until(due.min(now + look)) => {}
        }
        let now = tokio::time::Instant::now();
        let interval = Duration::from_millis(app.metrics.interval_ms(&target, usual_ms, app.now()));
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
            page = fetch(&client, &target.url) => page,
        };
        let scraped = Scraped { at, duration_ms: app.now().since_ms(at), page };
        if stop.is_cancelled() {
            return;
        }
        if let Err(fault) = app.metrics.scraped(&target, scraped) {
            tracing::warn!(%fault, instance = target.instance(), "a scrape could not be kept");
        }
    }
}

fn offset_ms(target: &Target, within_ms: u64) -> u64 {
    let mut hasher = std::collections::hash_map::DefaultHasher::new();
    target.url.hash(&mut hasher);
    hasher.finish() % within_ms.max(1)
}

async fn fetch(client: &reqwest::Client, url: &str) -> Result<(String, Format), String> {
    let response = client.get(url).header("accept", ACCEPT).send().await.map_err(|e| plain(&e))?;
    if !response.status().is_success() {
        return Err(format!("the target answered {}", response.status()));
    }
    let kind = response.headers().get("content-type").and_then(|v| v.to_str().ok()).unwrap_or_default();
    let format = Format::from_content_type(kind);
    let mut body = Vec::new();
    let mut stream = response.bytes_stream();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|e| plain(&e))?;
        if body.len() + chunk.len() > PAGE_BYTES_MAX {
            return Err(format!("the page is larger than {PAGE_BYTES_MAX} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    let text = String::from_utf8(body).map_err(|_| "the page is not UTF-8".to_owned())?;
    Ok((text, format))
}

/// The innermost reason, which is the one that helps.
pub(crate) fn plain(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "the target did not answer in time".into();
    }
    let mut at: &dyn std::error::Error = error;
    while let Some(source) = at.source() {
        at = source;
    }
    at.to_string()
}

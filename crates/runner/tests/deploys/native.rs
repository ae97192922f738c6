//! The judge with native histograms alone: requests are counted by them, and slow ones are told by their buckets.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tenfold_app::App;
use tenfold_app::metrics::Source;
use tenfold_judge::Verdict;
use tenfold_protocols::batch::Batch;
use tenfold_types::histogram::Buckets;
use tenfold_types::{Histogram, HistogramPoint};
use tokio_util::sync::CancellationToken;

use crate::judged::{HOSTS, REQUESTS, SCRAPE, judged, next, scrape};
use crate::world::{World, ready};

/// Quick requests of up to an eighth of a second and slow ones of up to a second, in the buckets of a schema.
fn histogram(schema: i32, quick: u64, slow: u64) -> Histogram {
    let at = |doublings: i32| doublings << schema;
    let positive = Buckets::from_indexed([(at(-3), quick as f64), (at(0), slow as f64)]);
    let count = (quick + slow) as f64;
    Histogram { schema, count, sum: count, zero_threshold: 1e-9, positive, ..Histogram::default() }
}

/// Histograms of all hosts until it is stopped; `slow_percent` of host-1's requests are slow, one in fifty elsewhere.
fn scrape_native(app: &App, slow_percent: &Arc<AtomicU64>) -> CancellationToken {
    let stop = CancellationToken::new();
    let (app, percent, stopped) = (app.clone(), slow_percent.clone(), stop.clone());
    tokio::spawn(async move {
        let mut tick = tokio::time::interval(SCRAPE);
        let mut sums = [[0u64; 2]; HOSTS];
        loop {
            tokio::select! {
                () = stopped.cancelled() => return,
                _ = tick.tick() => {}
            }
            let hosts: Vec<String> = (1..=HOSTS).map(|i| format!("host-{i}")).collect();
            let mut batch = Batch::default();
            for (i, (sum, host)) in sums.iter_mut().zip(&hosts).enumerate() {
                let percent = if i == 0 { percent.load(Ordering::Relaxed) } else { 2 };
                sum[0] += REQUESTS * (100 - percent) / 100;
                sum[1] += REQUESTS * percent / 100;
                for (name, value) in [("__name__", "http_request_duration_seconds"), ("host", host), ("job", "photos")]
                {
                    batch.label(name, value).unwrap();
                }
                // Not every host has the newest client library.
                let histogram = Arc::new(histogram(if i == 0 { 3 } else { 1 }, sum[0], sum[1]));
                batch.histogram(HistogramPoint { t_ms: app.now().millis(), histogram }).unwrap();
                batch.end().unwrap();
            }
            let pushed = app.metrics.push(&Source::new("remote_write", "test"), &batch, app.now()).unwrap();
            assert!(pushed.refused.is_empty(), "{:?}", pushed.refused);
        }
    });
    stop
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_canary_is_told_by_native_histograms() {
    if !ready() {
        return;
    }
    let world = World::new(HOSTS).await;
    let first = world.deploy().await;
    world.state(first.number, &["succeeded"]).await;
    let (failing, slow) = (Arc::new(AtomicU64::new(1)), Arc::new(AtomicU64::new(2)));
    let scrapes = [scrape(world.app(), &failing), scrape_native(world.app(), &slow)];
    while world.app().metrics.last_values("http_requests_total").values().sum::<f64>() < (15 * REQUESTS) as f64 * 3.0 {
        tokio::time::sleep(SCRAPE).await;
    }
    // Neither a `_bucket` nor a `_count` is there to be named.
    let native = [
        ("http_request_duration_seconds_bucket{", "http_request_duration_seconds{"),
        ("total: http_requests_total{", "total: http_request_duration_seconds{"),
    ];
    // Longer than it takes until the slow ones begin.
    let longer = [&native[..], &[("hold_s: 1", "hold_s: 10")]].concat();
    let good = next(&world, "two", &judged(60, &native)).await;
    let good = world.state(good.number, &["succeeded"]).await;
    let report = good.judged.and_then(|judged| judged.report).unwrap();
    assert_eq!(report.verdict, Verdict::NotWorse);
    assert!(report.seen.canary.total >= REQUESTS, "counted by the histogram: {:?}", report.seen);
    let seen = report.slow.unwrap();
    assert!((0.019..0.021).contains(&seen.canary.rate().unwrap()), "one in fifty is slow: {seen:?}");

    let bad = next(&world, "three", &judged(60, &longer)).await;
    world.state(bad.number, &["canary"]).await;
    slow.store(10, Ordering::Relaxed);
    let bad = world.state(bad.number, &["rolled_back"]).await;
    let why = bad.error.as_deref().unwrap();
    assert!(why.contains("the canary's hosts are slower than the others: "), "{why}");
    let report = bad.judged.and_then(|judged| judged.report).unwrap();
    let evidence = report.series.last().unwrap();
    assert!(evidence.latency.unwrap() > evidence.errors, "{evidence:?}");
    scrapes.iter().for_each(CancellationToken::cancel);
    world.end().await;
}

//! The watch after a promotion: it says when it cannot watch, what got worse goes back even when that is refused at first and
//! the server is killed before it is granted, and slow answers count as failed ones do.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tenfold_app::App;
use tenfold_app::record::EventQuery;
use tenfold_tsdb::Sample;
use tenfold_types::Labels;
use tokio_util::sync::CancellationToken;

use crate::judged::{HOSTS, REQUESTS, SCRAPE, judged, next, scrape};
use crate::world::{World, mei, ready};

async fn told(world: &World, kind: &str) -> Vec<String> {
    let query = EventQuery { kinds: vec![kind.into()], limit: 10, ..EventQuery::default() };
    world.app().events(query).await.unwrap().into_iter().map(|e| e.text).collect()
}

async fn until_told(world: &World, kind: &str) -> String {
    let mut seqs = world.app().record.subscribe();
    let look = async {
        loop {
            if let Some(text) = told(world, kind).await.pop() {
                return text;
            }
            let _ = seqs.changed().await;
        }
    };
    tokio::time::timeout(crate::world::PATIENCE, look).await.unwrap_or_else(|_| panic!("{kind} is never told"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_got_worse_goes_back_through_a_refusal_and_a_kill() {
    if !ready() {
        return;
    }
    let mut world = World::new(HOSTS).await;
    let first = world.deploy().await;
    world.state(first.number, &["succeeded"]).await;

    // Nobody counted anything before: there is nothing to hold it against, and that is said once.
    let silent = next(&world, "two", &judged(2, &[])).await;
    world.state(silent.number, &["held"]).await;
    world.app().deploy_promote(&mei(), silent.number).await.unwrap();
    world.state(silent.number, &["succeeded"]).await;
    let why = until_told(&world, "deploy.unwatched").await;
    assert!(why.contains("not watched after its promotion: 0 requests were counted"), "{why}");

    let percent = Arc::new(AtomicU64::new(1));
    let stop = scrape(world.app(), &percent);
    while world.app().metrics.last_values("http_requests_total").values().sum::<f64>() < (15 * REQUESTS) as f64 * 3.0 {
        tokio::time::sleep(SCRAPE).await;
    }
    let bad = next(&world, "three", &judged(60, &[])).await;
    world.state(bad.number, &["succeeded"]).await;

    // What it would go back to is away. People are called, and the bad release stays for now.
    let (kept, away) = (world.dir.path().join("data/manifests"), world.dir.path().join("manifests-away"));
    std::fs::rename(&kept, &away).unwrap();
    percent.store(40, Ordering::Relaxed);
    let stays = until_told(&world, "deploy.stays_worse").await;
    assert!(stays.contains("is no longer kept") && stays.ends_with("people are called"), "{stays}");
    assert_eq!(told(&world, "incident.opened").await.len(), 1);
    assert_eq!(world.versions().await, ["three"; HOSTS]);
    percent.store(1, Ordering::Relaxed);
    stop.cancel();

    // The server dies with the verdict written and nothing taken back. The next one takes it back.
    world.restart_server().await;
    world.connected(HOSTS).await;
    std::fs::rename(&away, &kept).unwrap();
    let mut changes = world.app().deploys.changes();
    let back = loop {
        let newest = world.app().deploys(serde_json::from_str("{}").unwrap()).await.unwrap().remove(0);
        if newest.reverts == Some(bad.number) {
            break newest;
        }
        tokio::time::timeout(crate::world::PATIENCE, changes.recv()).await.expect("it is tried again").unwrap();
    };
    world.state(back.number, &["succeeded"]).await;
    assert_eq!(world.versions().await, ["two"; HOSTS]);
    for (kind, times) in
        [("deploy.worse_after", 1), ("deploy.stays_worse", 1), ("deploy.unwatched", 1), ("lock.created", 1)]
    {
        assert_eq!(told(&world, kind).await.len(), times, "{kind}");
    }
    world.end().await;
}

/// Histograms of all hosts until it is stopped; `slow_percent` of their requests take longer than half a second.
fn scrape_durations(app: &App, slow_percent: &Arc<AtomicU64>) -> CancellationToken {
    let stop = CancellationToken::new();
    let (app, percent, stopped) = (app.clone(), slow_percent.clone(), stop.clone());
    tokio::spawn(async move {
        let mut tick = tokio::time::interval(SCRAPE);
        let (mut quick, mut all) = (0, 0);
        loop {
            tokio::select! {
                () = stopped.cancelled() => return,
                _ = tick.tick() => {}
            }
            quick += REQUESTS * (100 - percent.load(Ordering::Relaxed)) / 100;
            all += REQUESTS;
            let mut samples = Vec::new();
            for i in 1..=HOSTS {
                for (le, count) in [("0.1", quick / 2), ("0.5", quick), ("+Inf", all)] {
                    let host = format!("host-{i}");
                    let labels = Labels::from_pairs([
                        (Labels::NAME, "http_request_duration_seconds_bucket"),
                        ("job", "photos"),
                        ("host", host.as_str()),
                        ("le", le),
                    ]);
                    samples.push(Sample::new(labels, app.now().millis(), count as f64));
                }
            }
            app.metrics.append(&samples).expect("the samples are taken");
        }
    });
    stop
}

/// Nothing fails, but the database is full or a cache is cold: the answers are slow, and that is a reason to go back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_got_slow_goes_back() {
    if !ready() {
        return;
    }
    let world = World::new(HOSTS).await;
    let first = world.deploy().await;
    world.state(first.number, &["succeeded"]).await;
    let (failing, slow) = (Arc::new(AtomicU64::new(1)), Arc::new(AtomicU64::new(2)));
    let scrapes = [scrape(world.app(), &failing), scrape_durations(world.app(), &slow)];
    while world.app().metrics.last_values("http_requests_total").values().sum::<f64>() < (15 * REQUESTS) as f64 * 3.0 {
        tokio::time::sleep(SCRAPE).await;
    }
    let bad = next(&world, "two", &judged(60, &[])).await;
    world.state(bad.number, &["succeeded"]).await;
    slow.store(30, Ordering::Relaxed);
    let worse = until_told(&world, "deploy.worse_after").await;
    assert!(
        worse.contains("requests were slow since the promotion, 2.0") && worse.ends_with("it goes back"),
        "{worse}"
    );
    let mut changes = world.app().deploys.changes();
    let back = loop {
        let newest = world.app().deploys(serde_json::from_str("{}").unwrap()).await.unwrap().remove(0);
        if newest.reverts == Some(bad.number) {
            break newest;
        }
        tokio::time::timeout(crate::world::PATIENCE, changes.recv()).await.expect("it goes back").unwrap();
    };
    world.state(back.number, &["succeeded"]).await;
    assert_eq!(world.versions().await, ["one"; HOSTS]);
    scrapes.iter().for_each(CancellationToken::cancel);
    world.end().await;
}

/// A gauge of all hosts until it is stopped: the work that waits on each.
fn scrape_queue(app: &App, length: &Arc<AtomicU64>) -> CancellationToken {
    let stop = CancellationToken::new();
    let (app, length, stopped) = (app.clone(), length.clone(), stop.clone());
    tokio::spawn(async move {
        let mut tick = tokio::time::interval(SCRAPE);
        loop {
            tokio::select! {
                () = stopped.cancelled() => return,
                _ = tick.tick() => {}
            }
            let samples: Vec<Sample> = (1..=HOSTS)
                .map(|i| {
                    let host = format!("host-{i}");
                    let labels = Labels::from_pairs([
                        (Labels::NAME, "queue_length"),
                        ("job", "photos"),
                        ("host", host.as_str()),
                    ]);
                    Sample::new(labels, app.now().millis(), length.load(Ordering::Relaxed) as f64)
                })
                .collect();
            app.metrics.append(&samples).expect("the samples are taken");
        }
    });
    stop
}

/// Nothing fails and nothing is slow, but work is left lying.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_level_that_changed_with_the_release_is_told() {
    if !ready() {
        return;
    }
    let world = World::new(HOSTS).await;
    let first = world.deploy().await;
    world.state(first.number, &["succeeded"]).await;
    let (failing, length) = (Arc::new(AtomicU64::new(1)), Arc::new(AtomicU64::new(5)));
    let scrapes = [scrape(world.app(), &failing), scrape_queue(world.app(), &length)];
    // Two looks of a level, which are three seconds apart here, and one to spare.
    while world.app().metrics.last_values("http_requests_total").values().sum::<f64>() < (45 * REQUESTS) as f64 * 3.0 {
        tokio::time::sleep(SCRAPE).await;
    }
    let levels = "after: {for_s: 15, then: page, levels: [{query: 'max(queue_length{job=\"$service\"})', unit: 1}, {query: \
                  unheard_of, unit: 1}]}";
    let target = judged(60, &[("after: {for_s: 900, factor: 2, then: rollback}", levels)]);
    let same = next(&world, "two", &target).await;
    world.state(same.number, &["succeeded"]).await;
    let said = until_told(&world, "deploy.levels").await;
    assert!(
        said.contains("no level changed after the promotion; the most: `max(queue_length{job=\"photos\"})`"),
        "{said}"
    );
    let query = EventQuery { kinds: vec!["deploy.levels".into()], limit: 10, ..EventQuery::default() };
    let event = world.app().events(query).await.unwrap().remove(0);
    assert_eq!(event.data["levels"][1]["query"], "unheard_of");
    assert!(event.data["levels"][1]["deviations"].is_null(), "what is not known is not unchanged: {}", event.data);
    assert!(told(&world, "deploy.worse_after").await.is_empty());

    let bad = next(&world, "three", &target).await;
    world.state(bad.number, &["succeeded"]).await;
    length.store(60, Ordering::Relaxed);
    let worse = until_told(&world, "deploy.worse_after").await;
    assert!(worse.contains(" went from 5.0000 to 60.0000, ") && worse.ends_with("people are called"), "{worse}");
    assert_eq!(told(&world, "incident.opened").await.len(), 1);
    assert_eq!(told(&world, "deploy.levels").await.len(), 1, "the first deploy's, and no other");
    scrapes.iter().for_each(CancellationToken::cancel);
    world.end().await;
}

/// Requests that nobody counts give nothing to hold a release against; its levels do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn levels_are_watched_also_where_nothing_was_counted() {
    if !ready() {
        return;
    }
    let world = World::new(HOSTS).await;
    let first = world.deploy().await;
    world.state(first.number, &["succeeded"]).await;
    let (failing, length) = (Arc::new(AtomicU64::new(1)), Arc::new(AtomicU64::new(5)));
    let scrapes = [scrape(world.app(), &failing), scrape_queue(world.app(), &length)];
    while world.app().metrics.last_values("http_requests_total").values().sum::<f64>() < (45 * REQUESTS) as f64 * 3.0 {
        tokio::time::sleep(SCRAPE).await;
    }
    let uncounted = [
        ("http_requests_total{", "nobody_counts{"),
        ("http_request_duration_seconds_bucket{", "nobody_counts_bucket{"),
        (
            "after: {for_s: 900, factor: 2, then: rollback}",
            "after: {for_s: 15, then: page, levels: [{query: 'max(queue_length{job=\"$service\"})', unit: 1}]}",
        ),
    ];
    let bad = next(&world, "two", &judged(2, &uncounted)).await;
    world.state(bad.number, &["held"]).await;
    world.app().deploy_promote(&mei(), bad.number).await.unwrap();
    world.state(bad.number, &["succeeded"]).await;
    length.store(60, Ordering::Relaxed);
    until_told(&world, "deploy.unwatched").await;
    let worse = until_told(&world, "deploy.worse_after").await;
    assert!(worse.contains(" went from 5.0000 to 60.0000, "), "{worse}");
    scrapes.iter().for_each(CancellationToken::cancel);
    world.end().await;
}

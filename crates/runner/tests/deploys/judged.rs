//! The judge behind the canary, with a real deploy and counters that a test writes as a scraper would.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tenfold_app::App;
use tenfold_app::deploys::views::Deploy;
use tenfold_judge::Verdict;
use tenfold_tsdb::Sample;
use tenfold_types::Labels;
use tokio_util::sync::CancellationToken;

use crate::world::{World, mei, new_deploy, ready};

pub const HOSTS: usize = 3;
/// Between two scrapes.
pub const SCRAPE: Duration = Duration::from_millis(200);
/// Requests of one host between two scrapes, one in a hundred failing where nothing is wrong.
pub const REQUESTS: u64 = 5_000;

/// Scrapes of all hosts until it is stopped; `canary_percent` of host-1's requests fail.
pub fn scrape(app: &App, canary_percent: &Arc<AtomicU64>) -> CancellationToken {
    let stop = CancellationToken::new();
    let (app, percent, stopped) = (app.clone(), canary_percent.clone(), stop.clone());
    tokio::spawn(async move {
        let mut tick = tokio::time::interval(SCRAPE);
        let mut sums = [[0u64; 2]; HOSTS];
        loop {
            tokio::select! {
                () = stopped.cancelled() => return,
                _ = tick.tick() => {}
            }
            let mut samples = Vec::new();
            for (i, sum) in sums.iter_mut().enumerate() {
                let percent = if i == 0 { percent.load(Ordering::Relaxed) } else { 1 };
                sum[0] += REQUESTS * (100 - percent) / 100;
                sum[1] += REQUESTS * percent / 100;
                for (code, count) in [("200", sum[0]), ("500", sum[1])] {
                    let host = format!("host-{}", i + 1);
                    let labels = Labels::from_pairs([
                        (Labels::NAME, "http_requests_total"),
                        ("job", "photos"),
                        ("host", host.as_str()),
                        ("code", code),
                    ]);
                    samples.push(Sample::new(labels, app.now().millis(), count as f64));
                }
            }
            app.metrics.append(&samples).expect("the samples are taken");
        }
    });
    stop
}

/// The canary of the guide's example, in less time.
pub fn judged(max_s: u32, more: &[(&str, &str)]) -> String {
    let guide = include_str!("../../../../docs/guide/deploys.md").split_once("## The judge").unwrap().1;
    let file = guide.split("```yaml\n").nth(1).and_then(|b| b.split("```").next()).unwrap();
    let canary = &file[file.find("canary:").unwrap()..];
    let (hold, every, max) = ("hold_s: 30", "every_s: 5", "max_s: 600");
    let max_s = format!("max_s: {max_s}");
    let quick = [(hold, "hold_s: 1"), (every, "every_s: 1"), (max, max_s.as_str())];
    quick.iter().chain(more).fold(canary.trim_end().to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{text} lacks {from}");
        text.replace(from, to)
    })
}

pub async fn next(world: &World, version: &str, target: &str) -> Deploy {
    world.write_pipeline(target);
    world.commit(version);
    world.deploy().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_is_judged_beside_the_hosts_that_run_the_old_release() {
    if !ready() {
        return;
    }
    let world = World::new(HOSTS).await;
    let first = world.deploy().await;
    world.state(first.number, &["succeeded"]).await;

    // Nobody counts anything: no data, held, and a person ends it.
    let silent = next(&world, "two", &judged(2, &[])).await;
    let silent = world.state(silent.number, &["held"]).await;
    let why = silent.error.unwrap();
    assert!(why.contains("cannot tell whether the canary is good: no data"), "{why}");
    world.app().deploy_abort(&mei(), silent.number).await.unwrap();
    world.state(silent.number, &["rolled_back"]).await;

    let planned = world.app().deploy_next("photos", "production", None).await.unwrap();
    let names: Vec<&str> = planned.plan.iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["building", "staging", "canary", "promoting"]);
    assert_eq!(planned.plan[2].hosts, [["host-1"]]);
    assert!(
        planned.plan[2].says.contains("judged by errors and latency beside the others"),
        "{}",
        planned.plan[2].says
    );
    world.write_pipeline(&judged(2, &[("bad: http", "bad: sum(http"), ("5..\"}", "5..\"})")]));
    world.commit_all("A counter that is none");
    let refused = world.app().deploy_start(&mei(), new_deploy(None)).await.unwrap_err();
    assert!(refused.message.contains("deploy.yaml at ") && refused.message.contains("line "), "{refused}");

    let percent = Arc::new(AtomicU64::new(1));
    let stop = scrape(world.app(), &percent);
    // What is normal is known from before the deploy.
    while world.app().metrics.last_values("http_requests_total").values().sum::<f64>() < (15 * REQUESTS) as f64 * 3.0 {
        tokio::time::sleep(SCRAPE).await;
    }
    let good = next(&world, "three", &judged(60, &[])).await;
    let good = world.state(good.number, &["succeeded"]).await;
    let seen = good.judged.as_ref().unwrap();
    assert_eq!(seen.verdict, Verdict::NotWorse);
    let report = seen.report.as_ref().unwrap();
    assert!(report.seen.canary.total >= REQUESTS && report.ratio_high.unwrap() < 1.6, "{report:?}");
    assert_eq!(report.seen.control.total, 2 * report.seen.canary.total, "the other two hosts");
    let said = world.text(good.number, "deploy.judged").await;
    assert!(said.contains(" is judged not worse: "), "{said}");
    assert_eq!(world.versions().await, ["three"; HOSTS]);

    // It turns bad when all hosts run it, and nobody is left to compare with.
    percent.store(40, Ordering::Relaxed);
    let back = loop {
        let newest = world.app().deploys(serde_json::from_str("{}").unwrap()).await.unwrap().remove(0);
        if newest.reverts == Some(good.number) {
            break newest;
        }
        tokio::time::sleep(SCRAPE).await;
    };
    percent.store(1, Ordering::Relaxed);
    world.state(back.number, &["succeeded"]).await;
    assert_eq!(world.versions().await, ["one"; HOSTS]);
    let told = world.text(good.number, "deploy.worse_after").await;
    assert!(told.contains("got worse after the promotion") && told.ends_with("it goes back"), "{told}");
    assert_eq!(world.app().unlock(&mei(), "photos", "production").await.unwrap(), 1);

    // Longer than it takes until they fail.
    let bad = next(&world, "four", &judged(60, &[("hold_s: 1", "hold_s: 10")])).await;
    world.state(bad.number, &["canary"]).await;
    percent.store(4, Ordering::Relaxed);
    let bad = world.state(bad.number, &["rolled_back"]).await;
    let why = bad.error.as_deref().unwrap();
    assert!(why.contains("the canary's hosts fail ") && why.ends_with(" to 1 is wanted"), "{why}");
    assert_eq!(bad.judged.as_ref().unwrap().verdict, Verdict::Worse);
    assert!(!bad.judged.as_ref().unwrap().report.as_ref().unwrap().series.is_empty());
    assert_eq!(world.versions().await, ["one"; HOSTS]);
    let listed = world.app().deploys(serde_json::from_str("{}").unwrap()).await.unwrap();
    assert!(listed[0].judged.as_ref().is_some_and(|j| j.report.is_none()), "a list is not burdened with curves");

    // Nobody ships it again before somebody has looked.
    let refused = world.app().deploy_start(&mei(), new_deploy(None)).await.unwrap_err();
    assert!(
        refused.message.contains("by the judge") && refused.message.contains("found the canary worse"),
        "{refused}"
    );
    assert_eq!(world.app().unlock(&mei(), "photos", "production").await.unwrap(), 1);

    stop.cancel();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_while_the_judge_watches_loses_no_evidence() {
    if !ready() {
        return;
    }
    let mut world = World::new(HOSTS).await;
    let first = world.deploy().await;
    world.state(first.number, &["succeeded"]).await;
    // So small a margin is not refuted while this test waits.
    let deploy = next(
        &world,
        "two",
        &judged(600, &[("tolerate: 1.25", "tolerate: 1.01"), ("prove_below: 1.5", "prove_below: 1.02")]),
    )
    .await;
    world.state(deploy.number, &["canary"]).await;
    // Only now, so that the hosts have no past that raises what is tolerated.
    let percent = Arc::new(AtomicU64::new(1));
    let stop = scrape(world.app(), &percent);
    let mut changes = world.app().deploys.changes();
    let before = loop {
        let now = world.app().deploy(deploy.number).await.unwrap();
        assert!(now.finished_at.is_none() && now.state != "held", "{now:?}");
        match now.judged.and_then(|j| j.report).filter(|r| r.series.len() >= 2) {
            Some(report) => break report,
            None => drop(changes.recv().await),
        }
    };
    stop.cancel();
    world.restart_server().await;
    world.connected(HOSTS).await;
    percent.store(20, Ordering::Relaxed);
    let stop = scrape(world.app(), &percent);
    let bad = world.state(deploy.number, &["rolled_back"]).await;
    let after = bad.judged.and_then(|j| j.report).unwrap();
    assert_eq!(after.series[0], before.series[0], "the evidence begins where it began");
    assert!(after.seen.control.total > before.seen.control.total);
    stop.cancel();
    world.end().await;
}

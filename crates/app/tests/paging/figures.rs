//! The delivery figures out of the record, with the events behind them.

use serde_json::json;
use tenfold_app::delivery::DeliveryQuery;

use crate::world::World;

#[tokio::test]
async fn figures_are_projections_of_the_record() {
    let w = World::new(30).await;
    let nothing = w.app.delivery_figures(7 * 86_400_000).await.expect("figures");
    assert_eq!((nothing.deploys_today, nothing.week.figures.change_fail_rate.value), (0, None));
    let commits = |sha: &str| {
        json!({"commit_count": 2, "commits": [
            {"sha": sha, "at": "2026-11-23T08:00:00Z", "author": "Mei"}, {"sha": "x", "at": "2026-11-23T08:00:00Z", "author": "Ana"}]})
    };
    let whole = ["deploy.queued", "deploy.canary_started", "deploy.promoting", "deploy.succeeded"];
    w.deploy(1, &whole, "mei", commits("a")).await;
    w.deploy(2, &whole, "mei", commits("b")).await;
    let back = json!({"deploy_kind": "rollback", "reverts": 2});
    w.deploy(3, &["deploy.queued", "deploy.rolled_back"], "ana", back).await;
    let week = w.app.delivery_figures(7 * 86_400_000).await.expect("figures");
    assert_eq!(week.deploys_today, 2);
    assert_eq!(week.week.sentence, "2 deploys of 4 changes by 2 people");
    let figures = &week.week.figures;
    assert_eq!((figures.change_fail_rate.value, figures.recovery_ms.value), (Some(0.5), Some(2_000.0)));
    assert_eq!(figures.lead_time_ms.n, 3, "a commit counts with the first deploy that shipped it");
    let events = w.events().await;
    let behind = |seqs: &[i64]| -> Vec<(String, Option<i64>)> {
        seqs.iter()
            .filter_map(|s| events.iter().find(|e| e.seq == *s))
            .map(|e| (e.kind.clone(), e.subject.deploy))
            .collect()
    };
    assert_eq!(behind(&figures.change_fail_rate.events), [("deploy.succeeded".to_owned(), Some(2))]);
    assert_eq!(
        behind(&figures.recovery_ms.events),
        [("deploy.succeeded".to_owned(), Some(2)), ("deploy.rolled_back".to_owned(), Some(3))]
    );
    let elsewhere = DeliveryQuery { service: Some("search".to_owned()), ..DeliveryQuery::default() };
    assert_eq!(w.app.delivery(&elsewhere).await.expect("figures").deploys, 0);
    let backwards = DeliveryQuery {
        from: Some(w.clock.advance_ms(0)),
        to: Some(w.clock.advance_ms(0)),
        ..DeliveryQuery::default()
    };
    assert!(w.app.delivery(&backwards).await.expect_err("refused").message.contains("`from` comes first"));
}

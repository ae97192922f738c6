//! The list of alerts in a storm: what a page of it has, and that nothing is missed behind it.

use std::collections::BTreeSet;

use serde_json::json;
use tenfold_app::Role;
use tenfold_app::alerts::{AlertAsk, PostedAlert};
use tenfold_app::chat::grammar::parse;

use crate::world::{World, caller, from};

const MINUTE_MS: i64 = 60_000;
const OF_PHOTOS: usize = 130;
const OF_NOBODY: usize = 20;

async fn storm(w: &World) {
    let ends = w.clock_now().plus_ms(30 * MINUTE_MS);
    let posted = |n: usize, service: Option<&str>| -> PostedAlert {
        let mut labels = json!({"alertname": "Slow", "n": n.to_string(), "severity": "warning"});
        if let Some(service) = service {
            labels["service"] = json!(service);
        }
        from(json!({"labels": labels, "annotations": {}, "endsAt": ends}))
    };
    let photos = (0..OF_PHOTOS).map(|n| posted(n, Some("photos")));
    let nobody = (0..OF_NOBODY).map(|n| posted(n, None));
    w.app.alerts_receive(&caller("raj", Role::Admin), photos.chain(nobody).collect()).await.expect("it is taken");
    w.tick().await;
}

#[tokio::test]
async fn pages_of_the_list_are_the_list() {
    let w = World::new(211).await;
    storm(&w).await;
    let all: Vec<String> = w.app.alerts_list(None).await.expect("alerts").into_iter().map(|a| a.fingerprint).collect();
    assert_eq!(all.len(), OF_PHOTOS + OF_NOBODY);
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let ask = AlertAsk { limit: Some(40), after, ..AlertAsk::default() };
        let page = w.app.alerts_page(ask).await.expect("a page");
        assert!(page.items.len() <= 40);
        assert_eq!(page.counts.iter().map(|c| c.firing).sum::<usize>(), all.len(), "the counts are of all pages");
        seen.extend(page.items.into_iter().map(|a| a.fingerprint));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, all);
}

#[tokio::test]
async fn a_page_has_the_first_of_each_service_and_counts_the_others() {
    let w = World::new(212).await;
    storm(&w).await;
    let ask = AlertAsk { per_service: Some(20), ..AlertAsk::default() };
    let page = w.app.alerts_page(ask).await.expect("a page");
    let of = |service: Option<&str>| page.items.iter().filter(|a| a.service.as_deref() == service).count();
    assert_eq!((of(Some("photos")), of(None)), (20, 20));
    assert_eq!(page.next, None);
    let counts: BTreeSet<_> = page.counts.iter().map(|c| (c.service.clone(), c.firing, c.worst.clone())).collect();
    let warning = Some("warning".to_owned());
    assert_eq!(
        counts,
        BTreeSet::from([(None, OF_NOBODY, warning.clone()), (Some("photos".to_owned()), OF_PHOTOS, warning)])
    );
    // The empty text asks for those that name none.
    let ask = AlertAsk { service: Some(String::new()), ..AlertAsk::default() };
    assert_eq!(w.app.alerts_page(ask).await.expect("a page").items.len(), OF_NOBODY);
}

#[tokio::test]
async fn what_cannot_be_asked_is_refused() {
    let w = World::new(213).await;
    for ask in [
        AlertAsk { limit: Some(0), ..AlertAsk::default() },
        AlertAsk { limit: Some(10_001), ..AlertAsk::default() },
        AlertAsk { per_service: Some(0), ..AlertAsk::default() },
        AlertAsk { after: Some("7".into()), ..AlertAsk::default() },
        AlertAsk { state: Some("burning".into()), ..AlertAsk::default() },
    ] {
        let fault = w.app.alerts_page(ask.clone()).await.expect_err("it is refused");
        assert!(!fault.advice.is_empty(), "{ask:?}");
    }
}

#[tokio::test]
async fn a_room_is_told_the_most_urgent_and_how_many_more_there_are() {
    let w = World::new(214).await;
    let raj = caller("raj", Role::Responder);
    let say = async |line: &str| {
        let command = parse(line).expect(line);
        assert!(command.only_reads(), "{line}");
        w.app.execute(&raj, command).await.expect(line).lines
    };
    assert_eq!(say("alerts list").await, ["no alerts"]);
    storm(&w).await;
    let lines = say("alerts list --service photos").await;
    assert_eq!(lines.len(), 13, "{lines:?}");
    assert!(lines[12].starts_with(&format!("and {} more: ", OF_PHOTOS - 12)), "{lines:?}");
    let (fingerprint, rest) = lines[0].split_once(' ').expect("a fingerprint");
    assert!(rest.starts_with("warning firing: "), "{rest}");
    let one = say(&format!("alerts show {fingerprint}")).await;
    assert_eq!(one[0], lines[0]);
    assert!(one.iter().any(|line| line.contains("service=photos")), "{one:?}");
    assert_eq!(say("alerts list --state resolved").await, ["no alerts"]);
    let wrong = parse("alerts list --state on-fire").expect("a command");
    w.app.execute(&raj, wrong).await.expect_err("it is no state");
    parse("alerts").expect_err("what to do is missing");
}

//! The server's own alerts, sent on to other Alertmanagers: what is sent when, receivers in trouble, and what is never sent.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tenfold_app::Role;
use tenfold_app::alerts::{AlertSender, ForwardError, NotifyError};
use tenfold_app::settings::ForwardTo;
use tokio::sync::Notify;

use crate::world::{World, caller, from};

const GOOD: &str = "http://good.example:9093";
const BAD: &str = "http://bad.example:9093";

/// What a receiver answers.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Answer {
    Fail(ForwardError),
    Hang,
    /// Takes so many in one request.
    AtMost(usize),
}

#[derive(Default)]
struct Receivers {
    /// By address, what each has taken.
    taken: Mutex<BTreeMap<String, Vec<Value>>>,
    answers: Mutex<BTreeMap<String, Answer>>,
    names: Mutex<Vec<String>>,
    took: Notify,
}

impl Receivers {
    /// What one has taken since it was asked last: name, whether it is over, and seconds from `at` to its end.
    fn heard(&self, url: &str, w: &World) -> Vec<(String, i64)> {
        let taken = self.taken.lock().remove(url).unwrap_or_default();
        let one = |alert: &Value| {
            let ends: tenfold_types::Timestamp = from(alert["endsAt"].clone());
            (alert["labels"]["alertname"].as_str().unwrap_or_default().to_owned(), ends.since_ms(w.clock_now()) / 1_000)
        };
        taken.iter().map(one).collect()
    }

    fn answer(&self, url: &str, answer: Option<Answer>) {
        match answer {
            Some(answer) => self.answers.lock().insert(url.to_owned(), answer),
            None => self.answers.lock().remove(url),
        };
    }
}

#[async_trait]
impl AlertSender for Receivers {
    async fn send(&self, to: &ForwardTo, body: String, from: &str) -> Result<(), ForwardError> {
        let answer = self.answers.lock().get(&to.url).cloned();
        match answer {
            Some(Answer::Fail(error)) => return Err(error),
            Some(Answer::Hang) => std::future::pending::<()>().await,
            Some(Answer::AtMost(_)) | None => {}
        }
        let alerts: Vec<Value> = serde_json::from_str(&body).expect("it is a list");
        if let Some(Answer::AtMost(most)) = answer
            && alerts.len() > most
        {
            let message = "it answers 413".to_owned();
            let error = NotifyError { permanent: true, too_large: true, retry_after_ms: None, message };
            return Err(ForwardError::Failed(error));
        }
        self.taken.lock().entry(to.url.clone()).or_default().extend(alerts);
        self.names.lock().push(from.to_owned());
        self.took.notify_one();
        Ok(())
    }
}

fn fails(permanent: bool) -> Answer {
    let message = "it answers 503".to_owned();
    Answer::Fail(ForwardError::Failed(NotifyError { permanent, too_large: false, retry_after_ms: None, message }))
}

/// A server that was started again with these receivers.
async fn start(w: &mut World, receivers: &Arc<Receivers>, urls: &[&str]) {
    let to: Vec<ForwardTo> = urls.iter().map(|url| from(json!(url))).collect();
    w.restart_with(|settings| {
        settings.alerts.forward = to;
        settings.alerts.external_labels.insert("region".to_owned(), "eu".to_owned());
    })
    .await;
    w.app.set_alert_sender(receivers.clone());
}

async fn world(seed: u64, urls: &[&str]) -> (World, Arc<Receivers>) {
    let mut w = World::new(seed).await;
    let receivers = Arc::new(Receivers::default());
    start(&mut w, &receivers, urls).await;
    (w, receivers)
}

async fn pass(w: &World, seconds: i64) {
    for _ in 0..seconds / 5 {
        w.pass(5).await;
        w.app.forward_tick().await.expect("it is sent");
    }
}

fn one(name: &str, ends: i64) -> Vec<(String, i64)> {
    vec![(name.to_owned(), ends)]
}

const NAME: &str = "HighErrorRate";
const NOTHING: [(String, i64); 0] = [];

#[tokio::test]
async fn it_is_said_as_prometheus_says_it_and_over_a_kill() {
    let (mut w, receivers) = world(91, &[GOOD]).await;
    w.errors(9.0);
    pass(&w, 5).await;
    assert_eq!(receivers.heard(GOOD, &w), NOTHING, "it is pending");
    pass(&w, 10).await;
    let alert = receivers.taken.lock()[GOOD][0].clone();
    assert_eq!(alert["labels"]["region"], "eu", "{alert}");
    let url = alert["generatorURL"].as_str().unwrap_or_default();
    assert!(url.starts_with(&w.app.settings.link("/alerts/")), "{alert}");
    assert!(alert["annotations"]["runbook_url"].is_string(), "{alert}");
    assert_eq!(receivers.heard(GOOD, &w), one(NAME, 240));
    pass(&w, 55).await;
    assert_eq!(receivers.heard(GOOD, &w), NOTHING, "not again before a minute is over");
    pass(&w, 5).await;
    assert_eq!(receivers.heard(GOOD, &w), one(NAME, 240));

    // No data is no end.
    *w.samples.errors.lock() = Some(Vec::new());
    pass(&w, 60).await;
    assert_eq!(receivers.heard(GOOD, &w), one(NAME, 240));

    // It ends, and the server is killed before anybody was told.
    w.errors(0.0);
    w.pass(5).await;
    start(&mut w, &receivers, &[GOOD]).await;
    pass(&w, 5).await;
    let heard = receivers.heard(GOOD, &w);
    assert!(heard.len() == 1 && heard[0].1 <= 0, "{heard:?}");
    pass(&w, 16 * 60).await;
    let heard = receivers.heard(GOOD, &w);
    assert!((13..=15).contains(&heard.len()) && heard.iter().all(|(_, ends)| *ends < 0), "{heard:?}");
    pass(&w, 300).await;
    assert_eq!(receivers.heard(GOOD, &w), NOTHING, "a quarter of an hour and no longer");
}

#[tokio::test]
async fn one_in_trouble_holds_up_nobody_and_hears_the_newest_when_it_is_back() {
    let (w, receivers) = world(92, &[BAD, GOOD]).await;
    receivers.answer(BAD, Some(Answer::Hang));
    w.errors(9.0);
    w.pass(15).await;
    let app = w.app.clone();
    let hangs = tokio::spawn(async move { app.forward_tick().await });
    receivers.took.notified().await;
    assert_eq!(receivers.heard(GOOD, &w), one(NAME, 240));
    assert!(!hangs.is_finished(), "the other has not answered");
    hangs.abort();
    assert!(hangs.await.expect_err("it was ended").is_cancelled());

    receivers.answer(BAD, Some(fails(false)));
    pass(&w, 180).await;
    assert_eq!((w.count("forward.failed").await, w.count("forward.recovered").await), (1, 0), "said once");
    assert_eq!(receivers.heard(GOOD, &w).len(), 3, "each minute");
    let by = [("receiver", BAD)];
    assert!(w.app.metrics.own.get("tenfold_alerts_forward_waiting", &by) > 0.0);
    // It fires no more: that is what is left to say.
    w.errors(0.0);
    pass(&w, 10).await;
    receivers.answer(BAD, None);
    pass(&w, 60).await;
    let heard = receivers.heard(BAD, &w);
    assert!(!heard.is_empty() && heard.iter().all(|(_, ends)| *ends < 0), "{heard:?}");
    assert_eq!(w.count("forward.recovered").await, 1);

    // What is refused for good is dropped, counted and said.
    receivers.answer(BAD, Some(fails(true)));
    w.errors(9.0);
    pass(&w, 15).await;
    assert_eq!(w.count("forward.dropped").await, 1);
    assert!(w.app.metrics.own.get("tenfold_alerts_forward_dropped_total", &by) > 0.0);
}

#[tokio::test]
async fn what_others_send_is_not_sent_on_and_nothing_goes_to_the_server_itself() {
    let (w, receivers) = world(93, &[GOOD, BAD]).await;
    receivers.answer(BAD, Some(Answer::Fail(ForwardError::Own)));
    let ends = w.clock_now().plus_ms(3_600_000);
    let sent = from(json!({"labels": {"alertname": "Foreign", "service": "photos"}, "endsAt": ends}));
    w.app.alerts_receive(&caller("raj", Role::Admin), vec![sent]).await.expect("it is taken");
    w.errors(9.0);
    pass(&w, 15).await;
    assert_eq!(receivers.heard(GOOD, &w), one(NAME, 240), "our own alone");
    let name = receivers.names.lock()[0].clone();
    assert!(w.app.forward_is_own(&name).await.expect("it is asked"));
    assert!(!w.app.forward_is_own("another").await.expect("it is asked"));
    assert_eq!(w.count("forward.own").await, 1);
    let address = |url: &str| format!("{url}/api/v2/alerts");
    assert_eq!(w.app.forward_receivers(), [(address(GOOD), true), (address(BAD), false)]);
    receivers.answer(BAD, None);
    pass(&w, 120).await;
    assert_eq!(receivers.heard(BAD, &w), NOTHING, "it was this server");
}

#[tokio::test]
async fn the_alert_of_a_check_is_sent_on() {
    let (w, receivers) = world(94, &[GOOD]).await;
    let who = caller("raj", Role::Admin);
    let spec = from(json!({"run": {"passive": {}}, "freshness": "1h", "attempts": 1}));
    w.app.check_put(&who, "backup", spec).await.expect("it is put");
    let say = |status: &str| from(json!({"status": status, "output": "the disk is full"}));
    w.app.check_passive(&who, "backup", say("critical")).await.expect("it is taken");
    w.app.forward_tick().await.expect("it is sent");
    let alert = receivers.taken.lock()[GOOD][0].clone();
    assert_eq!(
        (&alert["labels"]["alertname"], &alert["labels"]["region"]),
        (&json!("backup"), &json!("eu")),
        "{alert}"
    );
    assert_eq!(receivers.heard(GOOD, &w), one("backup", 240));
    w.clock.advance_ms(1_000);
    w.app.check_passive(&who, "backup", say("ok")).await.expect("it is taken");
    w.app.forward_tick().await.expect("it is sent");
    assert_eq!(receivers.heard(GOOD, &w), one("backup", 0));
}

#[tokio::test]
async fn what_is_too_large_together_is_sent_in_parts_and_what_is_too_large_alone_is_counted_and_said() {
    let (w, receivers) = world(95, &[GOOD]).await;
    let who = caller("raj", Role::Admin);
    let names: Vec<String> = (0..5).map(|n| format!("backup-{n}")).collect();
    for name in &names {
        let spec = from(json!({"run": {"passive": {}}, "freshness": "1h", "attempts": 1}));
        w.app.check_put(&who, name, spec).await.expect("it is put");
        let said = from(json!({"status": "critical", "output": "the disk is full"}));
        w.app.check_passive(&who, name, said).await.expect("it is taken");
    }
    receivers.answer(GOOD, Some(Answer::AtMost(2)));
    w.app.forward_tick().await.expect("it is sent");
    let mut heard: Vec<String> = receivers.heard(GOOD, &w).into_iter().map(|(name, _)| name).collect();
    heard.sort();
    assert_eq!(heard, names, "nothing is lost");
    assert_eq!(w.count("forward.dropped").await, 0);

    receivers.answer(GOOD, Some(Answer::AtMost(0)));
    pass(&w, 120).await;
    let dropped = w.app.metrics.own.get("tenfold_alerts_forward_dropped_total", &[("receiver", GOOD)]);
    assert!((dropped - 10.0).abs() < 0.5, "each one, both times: {dropped}");
    assert_eq!(w.count("forward.dropped").await, 5, "and said once of each");
    receivers.answer(GOOD, None);
    pass(&w, 60).await;
    assert_eq!(receivers.heard(GOOD, &w).len(), 5);
}

//! Webhooks of a configuration at a receiver that is in trouble for minutes: 200 alerts in 200 groups fire into it, and half
//! of them are over before it is well. It hears of each, and of none twice. Real requests, a clock that is moved.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use serde_json::{Value, json};
use tenfold_app::alerts::{NotifyError, PostedAlert, WebhookPoster, WebhookSpec};
use tenfold_app::{App, Caller, Settings, metrics};
use tenfold_notify::Webhook;
use tenfold_store::Db;
use tenfold_store::events::EventQuery;
use tenfold_testkit::{Answer, FakeWebhook, TestClock, TestEntropy};
use tenfold_types::Clock as _;

/// Real time that a receiver which never answers costs for each try.
const PATIENCE_MS: i64 = 100;
/// The clock is moved by so much: less than a node may go without its lease.
const HOP_S: i64 = 5;
/// Tries that are due are made at every so manieth hop.
const HOPS_A_TRY: i64 = 6;
const MINUTE_S: i64 = 60;

/// The sender of the program, but for how long it waits while the receiver hangs.
struct Impatient {
    webhook: Webhook,
    hangs: AtomicBool,
}

#[async_trait]
impl WebhookPoster for Impatient {
    async fn post(&self, to: &WebhookSpec, body: String, key: &str) -> Result<(), NotifyError> {
        let mut to = to.clone();
        if self.hangs.load(Ordering::Relaxed) {
            to.timeout_ms = PATIENCE_MS;
        }
        self.webhook.post(&to, body, key).await
    }
}

struct Scene {
    app: App,
    clock: TestClock,
    server: FakeWebhook,
    poster: Arc<Impatient>,
    _dir: tempfile::TempDir,
}

impl Scene {
    async fn new() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (dir, server, clock) = (tempfile::tempdir().unwrap(), FakeWebhook::start().await, TestClock::default());
        let settings = Settings { data_dir: dir.path().to_owned(), ..Settings::default() };
        let db = Db::open_sqlite(dir.path().join("state.db"), tenfold_testkit::sealer()).await.unwrap();
        let metrics = metrics::State::open(&settings).unwrap();
        let webhook = Webhook::open(dir.path(), Arc::new(clock.clone()), &|bytes| bytes.fill(7)).unwrap();
        let app = App::new(db, Arc::new(clock.clone()), Arc::new(TestEntropy::default()), settings, metrics);
        let poster = Arc::new(Impatient { webhook, hangs: AtomicBool::new(false) });
        app.set_webhook_poster(poster.clone());
        tenfold_app::load(&app).await.unwrap();
        let routing = format!(
            "route: {{receiver: programs, group_by: [alertname, instance], group_wait: 0s, group_interval: 5m, repeat_interval: 4h}}\n\
             receivers: [{{name: programs, quiet: true, webhook_configs: [{{url: '{}'}}]}}]\n",
            server.url("/hook")
        );
        app.routing_put(&Caller::system(), &routing, false).await.unwrap();
        Self { app, clock, server, poster, _dir: dir }
    }

    fn answer(&self, answer: Answer) {
        self.poster.hangs.store(answer == Answer::Hang, Ordering::Relaxed);
        self.server.answer(answer);
    }

    /// Alerts of these numbers go on for so many hours, or are over when they are none.
    async fn say(&self, name: &str, numbers: impl Iterator<Item = usize>, hours: i64) {
        let ends = self.clock.now().plus_ms(hours * 3_600_000);
        let alert = |n: usize| -> PostedAlert {
            let labels = json!({"alertname": name, "instance": format!("i-{n}")});
            serde_json::from_value(json!({"labels": labels, "endsAt": ends})).unwrap()
        };
        self.app.alerts_receive(&Caller::system(), numbers.map(alert).collect()).await.unwrap();
    }

    async fn pass(&self, seconds: i64) {
        for hop in 1..=seconds / HOP_S {
            self.clock.advance_ms(HOP_S * 1_000);
            self.app.alerts_tick().await.unwrap();
            if hop % HOPS_A_TRY == 0 {
                self.app.webhooks_tick().await.unwrap();
            }
        }
    }

    /// What the receiver has heard of alerts with this name: of each, its states in their order.
    fn heard(&self, name: &str) -> BTreeMap<String, Vec<String>> {
        let mut out: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for hook in self.server.hooks() {
            let message: Value = serde_json::from_str(&hook.body).unwrap();
            let of_name = |alert: &&Value| alert["labels"]["alertname"] == name;
            for alert in message["alerts"].as_array().unwrap().iter().filter(of_name) {
                let instance = alert["labels"]["instance"].as_str().unwrap().to_owned();
                out.entry(instance).or_default().push(alert["status"].as_str().unwrap().to_owned());
            }
        }
        out
    }

    async fn count(&self, kind: &str) -> usize {
        let query = EventQuery { kinds: vec![kind.to_owned()], limit: 100, ..EventQuery::default() };
        self.app.events(query).await.unwrap().len()
    }
}

#[tokio::test]
async fn a_receiver_in_trouble_for_minutes_hears_of_each_alert_and_of_none_twice() {
    let scene = Scene::new().await;
    // One that hangs keeps its connections, so fewer meet it.
    let troubles = [
        ("Limit", Answer::Limit, 200),
        ("Unavailable", Answer::RefuseForNow, 200),
        ("Reset", Answer::Hangup, 200),
        ("Hang", Answer::Hang, 40),
    ];
    let mut tried = 0;
    for (i, (name, trouble, alerts)) in troubles.into_iter().enumerate() {
        scene.answer(trouble);
        scene.say(name, 0..alerts, 10).await;
        scene.pass(3 * MINUTE_S).await;
        // Alertmanager would forget these now: nobody was told that they fired.
        scene.say(name, (0..alerts).step_by(2), 0).await;
        scene.pass(MINUTE_S).await;
        tried += 2 * alerts;
        scene.server.wait_for_attempts(tried).await;
        assert_eq!(scene.heard(name), BTreeMap::new());

        scene.answer(Answer::Accept);
        scene.pass(2 * MINUTE_S).await;
        let heard = scene.heard(name);
        assert_eq!(heard.len(), alerts, "{name}: each is heard of");
        for (instance, states) in &heard {
            let is_over = instance.trim_start_matches("i-").parse::<usize>().unwrap().is_multiple_of(2);
            // A try that came after the group was looked at again tells what became of it, and no more.
            let good: &[&[&str]] = if is_over { &[&["firing", "resolved"], &["resolved"]] } else { &[&["firing"]] };
            assert!(good.iter().any(|good| states == good), "{name}: {instance} was told of as {states:?}");
        }
        // Groups are looked at again, and there is nothing new to say.
        scene.pass(6 * MINUTE_S).await;
        assert_eq!(scene.heard(name), heard, "{name}");
        let said = (scene.count("webhook.failed").await, scene.count("webhook.recovered").await);
        assert_eq!(said, (i + 1, i + 1), "once for each trouble");
    }
}

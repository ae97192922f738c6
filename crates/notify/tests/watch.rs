//! A watcher against a server that answers, answers without working, refuses and hangs up, with a clock that is moved.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tenfold_notify::watch::{Watch, WatchSettings};
use tenfold_testkit::{Answer, FakeWebhook, TestClock};

const WELL: &str = r#"{"status":"ok","rules_ms_ago":900,"pages_ms_ago":400}"#;
const STUCK: &str = r#"{"status":"ok","rules_ms_ago":900,"pages_ms_ago":600000}"#;
const MINUTE_MS: i64 = 60_000;

struct World {
    dir: tempfile::TempDir,
    clock: TestClock,
    server: FakeWebhook,
    receiver: FakeWebhook,
    watch: Watch,
}

fn open(dir: &Path, clock: &TestClock, server: &FakeWebhook, receiver: &FakeWebhook) -> Watch {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let beat = dir.join("heartbeat");
    std::fs::write(&beat, format!("{}\n", server.url("/api/heartbeats/watch/s3cret"))).unwrap();
    let settings: WatchSettings = serde_json::from_value(json!({
        "servers": [server.url("/")],
        "data_dir": dir.join("data"),
        "misses": 3,
        "heartbeat_file": beat,
        "tell": [{"channel": "webhook", "to": receiver.url("/page")}],
    }))
    .unwrap();
    Watch::open(settings, Arc::new(clock.clone()), &|bytes| bytes.fill(7)).unwrap()
}

impl World {
    async fn new() -> Self {
        let (dir, clock) = (tempfile::tempdir().unwrap(), TestClock::default());
        let (server, receiver) = (FakeWebhook::start().await, FakeWebhook::start().await);
        server.reply(WELL);
        let watch = open(dir.path(), &clock, &server, &receiver);
        Self { dir, clock, server, receiver, watch }
    }

    /// Looks so many times, a minute apart.
    async fn look(&mut self, times: usize) {
        for _ in 0..times {
            self.watch.look().await.unwrap();
            self.clock.advance_ms(MINUTE_MS);
        }
    }

    /// Killed, and started again on what it left.
    fn restart(&mut self) {
        self.watch = open(self.dir.path(), &self.clock, &self.server, &self.receiver);
    }

    /// Subject and text of each message.
    fn told(&self) -> Vec<(String, String)> {
        let read = |body: &str| -> (String, String) {
            let page: Value = serde_json::from_str(body).unwrap();
            let text = |key: &str| page["data"][key].as_str().unwrap().to_owned();
            (text("subject"), text("text"))
        };
        self.receiver.hooks().iter().map(|hook| read(&hook.body)).collect()
    }
}

#[tokio::test]
async fn a_server_that_answers_and_does_not_work_is_told_of_until_it_does() {
    let mut w = World::new().await;
    w.look(5).await;
    assert!(w.told().is_empty());
    let asked: Vec<(String, String)> = w.server.hooks().into_iter().map(|h| (h.method, h.path)).collect();
    // In either order.
    assert!(asked[..2].contains(&("GET".to_owned(), "/readyz".to_owned())), "{asked:?}");
    assert!(asked[..2].contains(&("POST".to_owned(), "/api/heartbeats/watch/s3cret".to_owned())), "{asked:?}");

    w.server.reply(STUCK);
    w.look(2).await;
    assert!(w.told().is_empty(), "twice is not yet often enough");
    w.receiver.answer(Answer::RefuseForNow);
    w.look(1).await;
    assert!(w.told().is_empty());
    // It is owed still, also by a watcher that was killed meanwhile.
    w.restart();
    w.receiver.answer(Answer::Accept);
    w.look(2).await;
    let told = w.told();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].0, "[critical] watch: the tenfold server is not well");
    assert!(told[0].1.contains("pages were worked on last 10m ago"), "{}", told[0].1);
    assert!(!told[0].1.contains("s3cret"));

    // Again after half an hour, and once when it is over.
    w.look(30).await;
    assert_eq!(w.told().len(), 2);
    assert!(w.told()[1].0.contains("still not well"), "{:?}", w.told()[1]);
    w.server.reply(WELL);
    w.restart();
    w.look(40).await;
    let told = w.told();
    assert_eq!((told.len(), told[2].0.as_str()), (3, "[ok] watch: the tenfold server is well again"));
}

#[tokio::test]
async fn whatever_keeps_a_server_from_answering_is_named() {
    for (answer, word) in [(Answer::RefuseForNow, "503"), (Answer::Refuse, "410"), (Answer::Hangup, "does not answer")]
    {
        let mut w = World::new().await;
        w.server.answer(answer);
        w.look(3).await;
        let told = w.told();
        assert!(told.len() == 1 && told[0].1.contains(word), "{answer:?}: {told:?}");
        assert!(told[0].1.contains("the watcher's heartbeat is not taken"), "{told:?}");
    }
    let mut w = World::new().await;
    w.server.reply("<html>it works</html>");
    w.look(3).await;
    assert!(w.told()[0].1.contains("not as a tenfold server does"), "{:?}", w.told());
}

#[tokio::test]
async fn a_server_that_hangs_keeps_neither_the_others_nor_the_heartbeat_waiting() {
    let w = World::new().await;
    let hanging = FakeWebhook::start().await;
    hanging.answer(Answer::Hang);
    let beat = w.dir.path().join("heartbeat");
    let settings = json!({
        "servers": [hanging.url("/"), w.server.url("/")],
        "data_dir": w.dir.path().join("other"),
        "timeout": "60s",
        "heartbeat_file": beat,
        "tell": [{"channel": "webhook", "to": w.receiver.url("/page")}],
    });
    let settings: WatchSettings = serde_json::from_value(settings).unwrap();
    let mut watch = Watch::open(settings, Arc::new(w.clock.clone()), &|bytes| bytes.fill(7)).unwrap();
    tokio::select! {
        _ = watch.look() => panic!("the first does not answer"),
        asked = tokio::time::timeout(Duration::from_secs(20), w.server.wait_for(2)) => {
            let asked = asked.expect("the second is asked, and hears the heartbeat, while the first hangs");
            assert_eq!(asked.len(), 2);
        }
    }
}

#[tokio::test]
async fn a_state_that_is_none_is_named_and_not_written_over() {
    let w = World::new().await;
    let data = w.dir.path().join("data");
    std::fs::create_dir_all(&data).unwrap();
    let path = data.join("watch-state.json");
    std::fs::write(&path, "{torn").unwrap();
    let settings = json!({
        "servers": [w.server.url("")],
        "data_dir": data,
        "tell": [{"channel": "webhook", "to": w.receiver.url("/page")}],
    });
    let settings: WatchSettings = serde_json::from_value(settings).unwrap();
    let opened = Watch::open(settings, Arc::new(w.clock.clone()), &|bytes| bytes.fill(7));
    let error = opened.err().unwrap().to_string();
    assert!(error.contains("watch-state.json") && error.contains("move it away"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "{torn");
}

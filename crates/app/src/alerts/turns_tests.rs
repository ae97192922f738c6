//! The order of words about one alert where another node's word fails while this node is told more.

use std::pin::pin;

use tenfold_store::alert_inbox;
use tenfold_testkit::{TempDb, TestClock, TestEntropy, temp_db};

use super::posted::{Said, read};
use super::waits::{self, Names};
use super::*;
use crate::settings::Settings;

struct Node {
    app: App,
    _db: TempDb,
    _dir: tempfile::TempDir,
}

impl Node {
    /// It has the lease, and knows it.
    async fn start() -> Self {
        let (db, dir) = (temp_db().await, tempfile::tempdir().unwrap());
        let settings = Settings { data_dir: dir.path().to_owned(), ..Settings::default() };
        let metrics = crate::metrics::State::open(&settings).unwrap();
        let (clock, entropy) = (Arc::new(TestClock::default()), Arc::new(TestEntropy::default()));
        let app = App::new((*db).clone(), clock, entropy, settings, metrics);
        crate::load(&app).await.unwrap();
        app.alerts_taking().await.unwrap();
        Self { app, _db: db, _dir: dir }
    }

    fn said(&self, name: &str) -> Said {
        let labels = BTreeMap::from([("alertname".to_owned(), name.to_owned())]);
        read(PostedAlert { labels, ..PostedAlert::default() }, self.app.now(), 300_000).unwrap()
    }

    /// A request about the alert is tried now, or is tried again after so long.
    fn put_off(&self, name: &str, ms: i64) {
        let until = self.app.now().plus_ms(ms);
        self.app.alerts.waits.lock().put_off(1, &self.names(name), until);
    }

    fn names(&self, name: &str) -> Names {
        Names::from([waits::name(&self.said(name).alert.fingerprint)])
    }

    /// The alerts that were heard of, and how many requests wait in the inbox.
    async fn known(&self) -> (Vec<String>, i64) {
        let waiting = self.app.read(|tx| Ok(alert_inbox::waiting(tx)?)).await.unwrap().requests;
        let received = self.app.alerts.received.lock();
        let name = |one: &received::Received| one.alert.labels.get("alertname").unwrap_or_default().to_owned();
        let mut names: Vec<String> = received.values().map(name).collect();
        names.sort();
        (names, waiting)
    }
}

#[tokio::test]
async fn what_was_looked_at_before_another_word_failed_waits_behind_it() {
    let node = Node::start().await;
    let app = &node.app;
    let hearing = app.alerts.hearing.lock().await;
    let mut heard = pin!(app.hear_in_turn(vec![node.said("Late"), node.said("Other")], app.now()));
    // It has looked, nothing waits, and it waits for its turn.
    tokio::select! {
        biased;
        _ = &mut heard => panic!("somebody else is heard"),
        () = std::future::ready(()) => {}
    }
    node.put_off("Late", 1_000);
    drop(hearing);
    heard.await.unwrap();
    assert_eq!(node.known().await, (vec!["Other".to_owned()], 1));
}

#[tokio::test]
async fn what_is_said_while_another_word_is_tried_waits_for_what_comes_of_that() {
    for (fails, expected) in [(false, (vec!["Late".to_owned()], 0)), (true, (vec![], 1))] {
        let node = Node::start().await;
        let app = &node.app;
        let look = app.alerts.keyed.lock().await;
        node.put_off("Late", 0);
        let mut heard = pin!(app.hear_in_turn(vec![node.said("Late")], app.now()));
        tokio::select! {
            biased;
            _ = &mut heard => panic!("the other one is tried"),
            () = std::future::ready(()) => {}
        }
        assert_eq!(node.known().await, (vec![], 0));
        if fails {
            node.put_off("Late", 1_000);
        } else {
            app.alerts.waits.lock().done(1, &node.names("Late"));
        }
        drop(look);
        heard.await.unwrap();
        assert_eq!(node.known().await, expected, "it fails: {fails}");
    }
}

#[tokio::test]
async fn what_only_goes_on_waits_as_well() {
    let node = Node::start().await;
    let app = &node.app;
    app.hear_in_turn(vec![node.said("Late")], app.now()).await.unwrap();
    let updated = |app: &App| -> Vec<Timestamp> {
        let received = app.alerts.received.lock();
        received.values().map(|one| one.updated_at).collect()
    };
    let before = updated(app);
    node.put_off("Late", 1_000);
    app.hear_in_turn(vec![node.said("Late")], app.now().plus_ms(60_000)).await.unwrap();
    assert_eq!((updated(app), node.known().await), (before, (vec!["Late".to_owned()], 1)));
}

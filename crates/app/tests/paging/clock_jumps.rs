//! The server's clock is set, by an hour or a day, back or ahead: a page is not sent twice, the next step and what a receiver
//! put off come in their time, checks are looked at, and a downtime that has not ended by the clock goes on.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use serde_json::json;
use tenfold_alerting::checks::CheckStatus;
use tenfold_app::alerts::{NewMute, NotifyError, WebhookPoster, WebhookSpec};
use tenfold_app::checks::{CheckRunner, Ran, Run};
use tenfold_app::{Caller, Role};
use tenfold_testkit::TestEntropy;

use crate::world::{Answer, World, caller, from, put_off};

const HOUR_MS: i64 = 3_600_000;
const JUMPS_MS: [i64; 4] = [-24 * HOUR_MS, -HOUR_MS, HOUR_MS, 24 * HOUR_MS];
const ANA: &str = "ana@example.org";
const RAJ: &str = "raj@example.org";

fn jump(w: &World, by_ms: i64) {
    w.clock.set(w.clock_now().plus_ms(by_ms));
}

fn refuse(w: &World) {
    w.receivers.answers.lock().push_back(Answer::put_off(None));
}

#[tokio::test]
async fn a_step_is_paged_once_and_the_next_one_in_its_time() {
    for by_ms in JUMPS_MS {
        let w = World::new(8_000).await;
        w.errors(9.0);
        w.pass(15).await;
        assert_eq!(w.receivers.subjects_to(ANA).len(), 1, "{by_ms}");
        jump(&w, by_ms);
        w.tick().await;
        let late = usize::from(by_ms > 0);
        assert_eq!(w.receivers.subjects_to(RAJ).len(), late, "{by_ms}: ahead of its time the step is due, once");
        w.pass(70).await;
        assert_eq!(w.receivers.subjects_to(ANA).len(), 1, "{by_ms}: nothing is repeated");
        assert_eq!(w.receivers.subjects_to(RAJ).len(), 1, "{by_ms}: nothing is lost");
        assert_eq!(w.states().await.len(), 1, "{by_ms}");
    }
}

#[tokio::test]
async fn what_a_receiver_put_off_comes_though_the_clock_is_set() {
    for by_ms in JUMPS_MS {
        let w = World::new(8_100).await;
        refuse(&w);
        w.errors(9.0);
        w.pass(15).await;
        assert_eq!(w.receivers.subjects_to(ANA).len(), 0, "{by_ms}: it is put off");
        jump(&w, by_ms);
        w.tick().await;
        w.pass(15).await;
        assert_eq!(w.receivers.subjects_to(ANA).len(), 1, "{by_ms}");
    }
}

#[tokio::test]
async fn news_that_was_put_off_comes_though_the_clock_is_set() {
    for by_ms in JUMPS_MS {
        let w = World::new(8_110).await;
        w.tick().await;
        w.errors(9.0);
        w.pass(15).await;
        w.receivers.update_refusals.lock().push_back(put_off("450 later", None));
        w.errors(1.0);
        w.pass(5).await;
        assert!(w.receivers.update_refusals.lock().is_empty(), "{by_ms}: it was tried");
        assert!(w.receivers.updates.lock().is_empty(), "{by_ms}: it is put off");
        jump(&w, by_ms);
        w.tick().await;
        w.pass(15).await;
        assert_eq!(w.receivers.updates.lock().len(), 1, "{by_ms}: that it is over");
    }
}

/// Takes what it is told, or answers that it is out of order.
#[derive(Default)]
struct Hook {
    down: AtomicBool,
    asked: AtomicUsize,
    taken: AtomicUsize,
}

#[async_trait]
impl WebhookPoster for Hook {
    async fn post(&self, _: &WebhookSpec, _: String, _: &str) -> Result<(), NotifyError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if self.down.load(Ordering::Relaxed) {
            return Err(put_off("450 later", None));
        }
        self.taken.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

const ROUTING: &str = "
route: {receiver: programs, group_by: [service], group_wait: 0s, group_interval: 1m, repeat_interval: 4h}
receivers: [{name: programs, quiet: true, webhook_configs: [{url: 'http://hook.example/'}]}]
";

#[tokio::test]
async fn what_a_webhook_did_not_take_comes_though_the_clock_is_set() {
    for by_ms in [-24 * HOUR_MS, -HOUR_MS, -HOUR_MS / 12, HOUR_MS] {
        let w = World::new(8_120).await;
        let hook = Arc::new(Hook::default());
        w.app.set_webhook_poster(hook.clone());
        w.app.routing_put(&caller("raj", Role::Admin), ROUTING, false).await.expect("it is taken");
        hook.down.store(true, Ordering::Relaxed);
        let ends = w.clock_now().plus_ms(48 * HOUR_MS);
        let alert = from(json!({"labels": {"alertname": "Late", "service": "photos"}, "endsAt": ends}));
        w.app.alerts_receive(&Caller::system(), vec![alert]).await.expect("it is taken");
        w.pass(5).await;
        w.app.webhooks_tick().await.expect("it is told");
        let count = |of: &AtomicUsize| of.load(Ordering::Relaxed);
        assert!(count(&hook.asked) > 0 && count(&hook.taken) == 0, "{by_ms}: it is put off");
        jump(&w, by_ms);
        hook.down.store(false, Ordering::Relaxed);
        for _ in 0..4 {
            w.pass(30).await;
            w.app.webhooks_tick().await.expect("it is told");
        }
        assert_eq!(count(&hook.taken), 1, "{by_ms}: within two minutes, and once");
    }
}

/// Finds what it is told to find.
struct Finds(Mutex<CheckStatus>);

#[async_trait]
impl CheckRunner for Finds {
    async fn run(&self, _: &Run, _: Duration) -> Ran {
        Ran { status: *self.0.lock(), output: b"found".to_vec() }
    }
}

/// Time goes on, and checks that are due are looked at.
async fn looks(w: &World, seconds: i64) {
    for _ in 0..seconds / 5 {
        w.clock.advance_ms(5_000);
        w.tick().await;
        w.app.checks_tick().await.expect("checks are looked at");
        w.app.checks_settle().await;
    }
}

#[tokio::test]
async fn checks_are_looked_at_and_their_silence_is_counted_though_the_clock_is_set() {
    for by_ms in JUMPS_MS {
        let w = World::new(8_130).await;
        let finds = Arc::new(Finds(Mutex::new(CheckStatus::Ok)));
        w.app.set_check_runner(finds.clone());
        let disk = json!({"run": {"plugin": ["disk"]}, "interval": "10s", "attempts": 1});
        let backup = json!({"run": {"passive": {}}, "freshness": "5m", "attempts": 1});
        for (name, spec) in [("disk", disk), ("backup", backup)] {
            w.app.check_put(&Caller::system(), name, from(spec)).await.expect("a check is put");
        }
        looks(&w, 30).await;
        let status = |name: &str| w.app.check(name).expect("it is there").status;
        assert_eq!(status("disk"), "ok", "{by_ms}");
        jump(&w, by_ms);
        *finds.0.lock() = CheckStatus::Critical;
        looks(&w, 30).await;
        assert_eq!(status("disk"), "critical", "{by_ms}: it is looked at");
        *finds.0.lock() = CheckStatus::Ok;
        looks(&w, 30).await;
        let firing = w.app.alerts_list(Some("firing")).await.expect("alerts");
        assert!(firing.iter().all(|alert| alert.rule != "disk"), "{by_ms}: it is over");
        looks(&w, 310).await;
        assert_eq!(status("backup"), "unknown", "{by_ms}: nobody has heard of it");
    }
}

#[tokio::test]
async fn a_new_alert_is_told_of_after_the_clock_was_set_back() {
    let w = World::new(8_150).await;
    w.errors(9.0);
    w.pass(15).await;
    jump(&w, -24 * HOUR_MS);
    w.tick().await;
    let late = from(json!({
        "labels": {"alertname": "Late", "service": "search", "severity": "critical"},
        "annotations": {"summary": "the index is late"},
        "endsAt": w.clock_now().plus_ms(24 * HOUR_MS),
    }));
    w.app.alerts_receive(&Caller::system(), vec![late]).await.expect("it is taken");
    w.tick().await;
    w.pass(600).await;
    assert_eq!(w.count("incident.opened").await, 2, "no group waits until the old time comes again");
}

#[tokio::test]
async fn a_downtime_goes_on_until_its_end_by_the_clock() {
    let w = World::new(8_200).await;
    let until = w.clock_now().plus_ms(48 * HOUR_MS);
    let mute = NewMute::from_text("service=photos", "moving disks", until);
    w.app.mute_create(&caller("raj", Role::Responder), mute).await.expect("a mute");
    w.errors(9.0);
    w.pass(20).await;
    for by_ms in [24 * HOUR_MS, -24 * HOUR_MS, HOUR_MS, -HOUR_MS] {
        jump(&w, by_ms);
        w.tick().await;
        w.pass(30).await;
        assert_eq!(w.count("incident.opened").await, 0, "{by_ms}: the mute holds");
        assert_eq!(w.count("mute.expired").await, 0, "{by_ms}");
    }
    w.clock.set(until);
    w.tick().await;
    w.pass(15).await;
    assert_eq!((w.count("mute.expired").await, w.count("incident.opened").await), (1, 1), "then it is over, once");
}

#[tokio::test]
async fn over_many_jumps_nothing_is_sent_twice_and_somebody_is_always_asked() {
    for seed in 8_300..8_306 {
        let w = World::new(seed).await;
        let dice = TestEntropy::seeded(seed.wrapping_mul(13));
        w.errors(9.0);
        w.pass(15).await;
        for _ in 0..12 {
            if dice.below(3) == 0 {
                refuse(&w);
            }
            jump(&w, JUMPS_MS[dice.below(4) as usize]);
            w.tick().await;
            w.pass(5 * (1 + dice.below(6) as i64)).await;
        }
        w.receivers.answers.lock().clear();
        // The longest back-off, and both steps of the policy.
        w.pass(600).await;
        let taken: Vec<String> = w.receivers.taken.lock().iter().map(|s| s.key.clone()).collect();
        let keys: BTreeSet<&String> = taken.iter().collect();
        assert_eq!(keys.len(), taken.len(), "seed {seed}: nothing is repeated");
        for to in [ANA, RAJ] {
            assert!(!w.receivers.subjects_to(to).is_empty(), "seed {seed}: {to} was asked");
        }
        for page in w.app.pages(None).await.expect("pages") {
            assert_eq!(page.state, "delivered", "seed {seed}: {page:?}");
        }
        assert_eq!(w.states().await.len(), 1, "seed {seed}");
    }
}

//! Webhooks of receivers: told once, told again until they take it, and after a kill told of what they have not heard.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tenfold_app::Role;
use tenfold_app::alerts::{NewMute, NotifyError, WebhookPoster, WebhookSpec};
use tokio::sync::Notify;

use crate::world::{World, caller, from, put_off};

const ROUTING: &str = "
route: {receiver: programs, group_by: [service], group_wait: 0s, group_interval: 1m, repeat_interval: 4h}
receivers: [{name: programs, quiet: true, webhook_configs: [{url: 'http://hook.example/'}]}]
";

#[derive(Default)]
struct Hook {
    taken: Mutex<Vec<Value>>,
    down: AtomicBool,
    /// It never answers.
    hangs: AtomicBool,
    /// It takes what it is told, and answers when the test lets go of `held`.
    slow: AtomicBool,
    held: tokio::sync::Mutex<()>,
    /// Told of each try.
    asked: Notify,
}

impl Hook {
    /// What it has taken since it was asked last: for each message its alerts.
    fn heard(&self) -> Vec<String> {
        let said = |alert: &Value| {
            let silent = if alert["silent"] == true { " silent" } else { "" };
            format!(
                "{} {}{silent}",
                alert["labels"]["alertname"].as_str().expect("a text"),
                alert["status"].as_str().expect("a text")
            )
        };
        let message =
            |m: &Value| m["alerts"].as_array().expect("a list").iter().map(said).collect::<Vec<_>>().join(", ");
        std::mem::take(&mut *self.taken.lock()).iter().map(message).collect()
    }
}

#[async_trait]
impl WebhookPoster for Hook {
    async fn post(&self, to: &WebhookSpec, body: String, _key: &str) -> Result<(), NotifyError> {
        assert_eq!(to.url, "http://hook.example/");
        self.asked.notify_one();
        if self.hangs.load(Ordering::Relaxed) {
            return std::future::pending().await;
        }
        if self.down.load(Ordering::Relaxed) {
            return Err(put_off("it answers 503", None));
        }
        self.taken.lock().push(serde_json::from_str(&body).expect("it is JSON"));
        if self.slow.load(Ordering::Relaxed) {
            drop(self.held.lock().await);
        }
        Ok(())
    }
}

/// The alert goes on for so many minutes, or is over when they are none.
async fn say(w: &World, name: &str, minutes: i64) {
    let ends = w.clock_now().plus_ms(minutes * 60_000);
    let alert = from(json!({"labels": {"alertname": name, "service": "photos"}, "endsAt": ends}));
    w.app.alerts_receive(&caller("raj", Role::Admin), vec![alert]).await.expect("it is taken");
}

async fn minutes(w: &World, count: i64) {
    for _ in 0..count {
        w.pass(60).await;
        w.app.webhooks_tick().await.expect("they are told");
    }
}

async fn world(seed: u64) -> (World, Arc<Hook>) {
    let w = World::new(seed).await;
    let hook = Arc::new(Hook::default());
    w.app.set_webhook_poster(hook.clone());
    w.app.routing_put(&caller("raj", Role::Admin), ROUTING, false).await.expect("it is taken");
    (w, hook)
}

#[tokio::test]
async fn a_webhook_hears_what_is_news_and_after_a_kill_only_what_it_has_not_heard() {
    let (mut w, hook) = world(51).await;
    say(&w, "Late", 600).await;
    minutes(&w, 2).await;
    assert_eq!(hook.heard(), ["Late firing"]);
    w.restart().await;
    w.app.set_webhook_poster(hook.clone());
    minutes(&w, 2).await;
    assert_eq!(hook.heard(), Vec::<String>::new(), "it knows");
    say(&w, "Full", 600).await;
    minutes(&w, 2).await;
    assert_eq!(hook.heard(), ["Full firing, Late firing"]);
    // It ends while nobody can be told, and the server is killed before it is looked at again.
    say(&w, "Full", 0).await;
    w.restart().await;
    w.app.set_webhook_poster(hook.clone());
    minutes(&w, 2).await;
    assert_eq!(hook.heard(), ["Full resolved, Late firing"]);
    minutes(&w, 60 * 4).await;
    assert_eq!(hook.heard(), ["Late firing"], "it is repeated");
}

#[tokio::test]
async fn what_fired_and_ended_while_a_webhook_was_down_is_told_when_it_is_back_even_after_a_kill() {
    let (mut w, hook) = world(52).await;
    say(&w, "Late", 600).await;
    minutes(&w, 1).await;
    assert_eq!(hook.heard(), ["Late firing"]);
    hook.down.store(true, Ordering::Relaxed);
    say(&w, "Full", 600).await;
    minutes(&w, 2).await;
    say(&w, "Full", 0).await;
    minutes(&w, 2).await;
    assert_eq!((w.count("webhook.failed").await, w.count("webhook.recovered").await), (1, 0), "said once");
    w.restart().await;
    w.app.set_webhook_poster(hook.clone());
    minutes(&w, 2).await;
    hook.down.store(false, Ordering::Relaxed);
    minutes(&w, 3).await;
    let heard = hook.heard().join(", ");
    assert_eq!(heard.matches("Full resolved").count(), 1, "{heard}");
    assert!(!heard.contains("Full firing"), "{heard}");
    assert_eq!(w.count("webhook.recovered").await, 1);
    minutes(&w, 3).await;
    assert_eq!(hook.heard(), Vec::<String>::new());
}

#[tokio::test]
async fn what_was_refused_and_ended_just_before_a_kill_is_told_as_over() {
    let (mut w, hook) = world(54).await;
    hook.down.store(true, Ordering::Relaxed);
    say(&w, "Full", 600).await;
    minutes(&w, 1).await;
    say(&w, "Full", 0).await;
    w.restart().await;
    w.app.set_webhook_poster(hook.clone());
    hook.down.store(false, Ordering::Relaxed);
    minutes(&w, 3).await;
    assert_eq!(hook.heard(), ["Full resolved"]);
}

/// After a kill, with a webhook that is well: what it hears in three minutes.
async fn heard_after_kill(w: &mut World) -> Vec<String> {
    w.restart().await;
    let hook = Arc::new(Hook::default());
    w.app.set_webhook_poster(hook.clone());
    minutes(w, 3).await;
    hook.heard()
}

#[tokio::test]
async fn what_ended_while_the_first_try_hung_is_told_as_over_after_a_kill() {
    let (mut w, hook) = world(56).await;
    hook.hangs.store(true, Ordering::Relaxed);
    say(&w, "Full", 600).await;
    w.pass(5).await;
    hook.asked.notified().await;
    say(&w, "Full", 0).await;
    assert_eq!(heard_after_kill(&mut w).await, ["Full resolved"]);
}

#[tokio::test]
async fn what_a_removed_rule_raised_while_the_first_try_hung_is_told_as_over_after_a_kill() {
    let (mut w, hook) = world(58).await;
    hook.hangs.store(true, Ordering::Relaxed);
    w.tick().await;
    w.errors(9.0);
    w.pass(15).await;
    hook.asked.notified().await;
    w.app.rules_delete(&caller("raj", Role::Admin), "photos").await.expect("it is removed");
    assert_eq!(heard_after_kill(&mut w).await, ["HighErrorRate resolved"]);
}

#[tokio::test]
async fn what_a_webhook_took_just_before_it_ended_is_told_as_over_after_a_kill() {
    let (mut w, hook) = world(57).await;
    say(&w, "Full", 600).await;
    w.pass(5).await;
    hook.asked.notified().await;
    assert_eq!(hook.heard(), ["Full firing"]);
    // That it took it has not been stored yet.
    say(&w, "Full", 0).await;
    assert_eq!(heard_after_kill(&mut w).await, ["Full resolved"]);
}

#[tokio::test]
async fn what_a_webhook_took_just_before_a_kill_is_told_as_over_though_it_ends_right_after_the_start() {
    let (mut w, hook) = world(60).await;
    say(&w, "Full", 600).await;
    w.pass(5).await;
    hook.asked.notified().await;
    assert_eq!(hook.heard(), ["Full firing"]);
    // That it took it has not been stored.
    w.restart().await;
    w.app.set_webhook_poster(hook.clone());
    // Nothing was due since the start.
    say(&w, "Full", 0).await;
    minutes(&w, 3).await;
    assert_eq!(hook.heard().last().map(String::as_str), Some("Full resolved"));
}

#[tokio::test]
async fn what_fires_again_after_its_end_was_taken_just_before_a_kill_is_told() {
    let (mut w, hook) = world(62).await;
    say(&w, "Full", 600).await;
    minutes(&w, 1).await;
    hook.asked.notified().await;
    say(&w, "Full", 0).await;
    w.pass(60).await;
    hook.asked.notified().await;
    // That it took the end is not stored, and it hears no more before the kill.
    assert_eq!(hook.heard(), ["Full firing", "Full resolved"]);
    hook.hangs.store(true, Ordering::Relaxed);
    say(&w, "Full", 600).await;
    assert_eq!(heard_after_kill(&mut w).await, ["Full firing"]);
}

#[tokio::test]
async fn what_waits_for_its_for_again_when_the_server_is_killed_is_told_as_over() {
    let (mut w, hook) = world(63).await;
    w.tick().await;
    w.errors(9.0);
    w.pass(15).await;
    w.app.webhooks_tick().await.expect("they are told");
    assert_eq!(hook.heard(), ["HighErrorRate firing"]);
    w.errors(1.0);
    w.pass(5).await;
    w.errors(9.0);
    w.pass(5).await;
    assert_eq!(w.app.alerts_list(None).await.expect("alerts")[0].state, "pending");
    w.errors(1.0);
    assert_eq!(heard_after_kill(&mut w).await, ["HighErrorRate resolved"]);
}

/// The webhook has taken that `Full` fires and has not answered; since then that was muted, and is over.
async fn muted_and_over_before_the_answer(w: &World, hook: &Hook) {
    hook.slow.store(true, Ordering::Relaxed);
    say(w, "Full", 600).await;
    w.pass(5).await;
    hook.asked.notified().await;
    let until = w.clock_now().plus_ms(3_600_000);
    let mute = NewMute::from_text("alertname=Full", "moving disks", until);
    w.app.mute_create(&caller("raj", Role::Responder), mute).await.expect("a mute");
    w.pass(60).await;
    say(w, "Full", 0).await;
}

#[tokio::test]
async fn what_is_muted_and_over_before_a_webhook_answers_is_told_as_over() {
    let (w, hook) = world(64).await;
    let held = hook.held.lock().await;
    muted_and_over_before_the_answer(&w, &hook).await;
    w.pass(60).await;
    assert_eq!(hook.heard(), ["Full firing"]);
    drop(held);
    minutes(&w, 2).await;
    assert_eq!(hook.heard(), ["Full resolved"]);
}

#[tokio::test]
async fn what_is_muted_and_over_before_a_webhook_answers_is_told_as_over_after_a_kill() {
    let (mut w, hook) = world(65).await;
    let _held = hook.held.lock().await;
    muted_and_over_before_the_answer(&w, &hook).await;
    assert_eq!(hook.heard(), ["Full firing"]);
    assert_eq!(heard_after_kill(&mut w).await, ["Full resolved"]);
}

#[tokio::test]
async fn when_a_webhook_takes_something_again_the_other_groups_do_not_wait_their_turn() {
    const GROUPS: usize = 8;
    let (w, hook) = world(55).await;
    hook.down.store(true, Ordering::Relaxed);
    let ends = w.clock_now().plus_ms(10 * 3_600_000);
    let alert =
        |n: usize| from(json!({"labels": {"alertname": "Full", "service": format!("photos-{n}")}, "endsAt": ends}));
    let alerts = (0..GROUPS).map(alert).collect();
    w.app.alerts_receive(&caller("raj", Role::Admin), alerts).await.expect("they are taken");
    minutes(&w, 10).await;
    assert_eq!(hook.heard(), Vec::<String>::new());
    hook.down.store(false, Ordering::Relaxed);
    let (mut first, mut last, mut heard) = (None, 0, 0);
    for second in 1..=60 {
        w.pass(1).await;
        w.app.webhooks_tick().await.expect("they are told");
        let new = hook.heard().len();
        if new > 0 {
            first = first.or(Some(second));
            (last, heard) = (second, heard + new);
        }
    }
    assert_eq!(heard, GROUPS, "each within a minute, and once");
    // By then each would wait for half a minute at least, at another time than the others.
    assert!(first.is_some_and(|first| last - first <= 1), "{first:?} to {last}");
}

#[tokio::test]
async fn an_end_that_has_passed_in_silence_is_told_as_resolved_and_marked() {
    let (w, hook) = world(53).await;
    say(&w, "Late", 3).await;
    minutes(&w, 6).await;
    assert_eq!(hook.heard(), ["Late firing", "Late resolved silent"]);
    assert_eq!(w.kinds(&["alert."]).await.last().expect("there is one"), "alert.unknown", "for people nobody knows");
    say(&w, "Late", 3).await;
    minutes(&w, 2).await;
    assert_eq!(hook.heard(), ["Late firing"]);
}

#[tokio::test]
async fn where_a_sender_explains_its_alert_is_told_after_a_start_and_a_change_of_rules_as_well() {
    let (mut w, hook) = world(59).await;
    let ends = w.clock_now().plus_ms(10 * 3_600_000);
    let link = "http://sender.example/graph?g0.expr=up";
    let late = json!({"labels": {"alertname": "Late", "service": "photos"}, "endsAt": ends, "generatorURL": link});
    w.app.alerts_receive(&caller("raj", Role::Admin), vec![from(late)]).await.expect("it is taken");
    minutes(&w, 1).await;
    let told = |hook: &Arc<Hook>| -> Value {
        let messages = std::mem::take(&mut *hook.taken.lock());
        let alerts = messages.last().expect("it was told")["alerts"].as_array().expect("a list").clone();
        alerts.into_iter().find(|a| a["labels"]["alertname"] == "Late").expect("it is there")["generatorURL"].clone()
    };
    assert_eq!(told(&hook), link);
    w.restart().await;
    w.app.set_webhook_poster(hook.clone());
    say(&w, "Full", 600).await;
    minutes(&w, 2).await;
    assert_eq!(told(&hook), link, "after a start");
    let rules = crate::world::RULES.replace("name: photos", "name: more");
    w.app.rules_put(&caller("raj", Role::Admin), "more", &rules).await.expect("rules are put");
    say(&w, "Empty", 600).await;
    minutes(&w, 2).await;
    assert_eq!(told(&hook), link, "after a change of rules");
}

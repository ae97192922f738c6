//! What people entrust to the server and is a secret: none of it lies in the database's files as it was written, from a profile to
//! the page that went out by it, and a server that starts again knows it.

use serde_json::json;
use tenfold_app::alerts::Channel;
use tenfold_app::checks::CheckSpec;
use tenfold_app::oncall::ScheduleUpdate;
use tenfold_app::people::{NewBrowser, PersonUpdate};
use tenfold_app::{Caller, Role};

use crate::world::{World, caller, from};

/// Stands in every secret below.
const CANARY: &str = "c4nary";
/// A browser's, which are bytes.
const AUTH: &str = "BTBZMqHH6r4Tts7J_aSIgg";

/// What lies on the disk.
fn on_disk(w: &World) -> String {
    let path = w.database();
    let bytes = [path.with_extension("db-wal"), path].map(|path| std::fs::read(path).unwrap_or_default()).concat();
    String::from_utf8_lossy(&bytes).into_owned()
}

async fn give_secrets(w: &World) {
    let system = Caller::system();
    let profile: PersonUpdate = from(json!({"contact": {
        "webhook": "https://hooks.example.org/c4nary-webhook",
        "channels": {
            "slack": "https://hooks.slack.com/services/c4nary-slack",
            "discord": "https://discord.com/api/webhooks/1/c4nary-discord",
            "ntfy": "https://ntfy.sh/c4nary-ntfy",
            "telegram": "@c4nary_telegram",
            "pushover": "c4nary-pushover",
            "pagerduty": "c4nary-pagerduty",
        },
    }}));
    w.app.person_put(&system, "ana", profile).await.expect("ways of ana");
    let browser: NewBrowser = from(json!({"endpoint": "https://push.example.org/c4nary-browser", "keys": {
        "p256dh": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
        "auth": AUTH,
    }}));
    w.app.browser_put(&caller("ana", Role::Responder), browser).await.expect("a browser of ana");
    let routing = json!({
        "route": {"receiver": "web", "group_by": ["service"], "group_wait": "0s", "group_interval": "5s"},
        "receivers": [
            {"name": "web", "policy": "photos"},
            {"name": "elsewhere", "quiet": true, "webhook_configs": [{
                "url": "https://hooks.example.org/c4nary-path",
                "http_config": {"authorization": {"credentials": "c4nary-credentials"}},
            }]},
        ],
    });
    w.app.routing_put(&system, &routing.to_string(), false).await.expect("a routing");
    let header: CheckSpec = from(json!({"host": "db1", "run": {"http": {
        "url": "http://127.0.0.1:9/", "secret_headers": {"Authorization": "Bearer c4nary-header"},
    }}}));
    w.app.check_put(&system, "web", header).await.expect("a check with a header");
    let argument: CheckSpec = from(json!({"host": "db1", "run": {"plugin": ["check_db", "-p", "c4nary-argument"]}}));
    w.app.check_put(&system, "db", argument).await.expect("a check with an argument");
    let calendar: ScheduleUpdate =
        from(json!({"timezone": "UTC", "calendar": {"url": "https://calendar.example.org/c4nary-calendar.ics"}}));
    w.app.schedule_put(&system, "followed", calendar).await.expect("a calendar");
}

#[tokio::test]
async fn no_secret_lies_in_the_database_and_all_are_known_again() {
    let mut w = World::new(940).await;
    give_secrets(&w).await;
    w.errors(9.0);
    w.pass(200).await;
    let told = w.receivers.taken.lock().iter().any(|sent| sent.to.contains("c4nary-discord"));
    assert!(told, "a page went out by a way that is a secret");

    let disk = on_disk(&w);
    assert!(disk.contains("photos-primary"), "what is no secret is found there");
    let at = disk.find(CANARY).map(|at| disk[at..].chars().take(60).collect::<String>());
    assert_eq!(at, None, "a secret lies there as it was written");
    assert!(!disk.contains(AUTH));

    let before = w.app.person("ana").await.expect("the store answers").expect("ana is there");
    assert_eq!(before.contact.channels[Channel::Slack.as_str()], "https://hooks.slack.com/services/c4nary-slack");
    w.restart().await;
    let after = w.app.person("ana").await.expect("the store answers").expect("ana is there");
    assert_eq!(after, before);
    let pushed = w.receivers.pushed.lock().iter().any(|(to, _)| to.contains("c4nary-browser"));
    assert!(pushed, "and by her browser");
}

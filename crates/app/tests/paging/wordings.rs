//! Messages in the words of a configuration of Alertmanager.

use serde_json::{Value, json};
use tenfold_app::Caller;
use tenfold_app::alerts::{Channel, PostedAlert};

use crate::receivers::routes;
use crate::world::{World, from};

const ANA: &str = "ana@example.org";

fn routing(mail: &Value, texts: &[&str]) -> Value {
    json!({
        "route": {"receiver": "web", "group_by": ["service"], "group_wait": "0s", "group_interval": "5s"},
        "template_texts": texts,
        "receivers": [{"name": "web", "policy": "photos", "email_configs": [mail]}],
    })
}

async fn say(w: &World, name: &str) {
    let alert: PostedAlert = from(json!({
        "labels": {"alertname": name, "service": "photos", "severity": "critical"},
        "annotations": {"summary": format!("{name} & long")},
        "endsAt": w.clock_now().plus_ms(86_400_000),
    }));
    w.app.alerts_receive(&Caller::system(), vec![alert]).await.expect("it is taken");
    w.tick().await;
    w.tick().await;
}

#[tokio::test]
async fn a_page_and_what_is_told_after_it_are_in_the_receivers_words() {
    let w = World::new(451).await;
    let mail = json!({
        "to": "web@example.org",
        "headers": {"Subject": "{{ template \"our.subject\" . }}"},
        "text": "{{ .Receiver }}:{{ range .Alerts }}\n* {{ .Annotations.summary }}{{ end }}\n{{ .ExternalURL }}",
    });
    let defined = "{{ define \"our.subject\" }}{{ .CommonLabels.alertname }} of {{ .GroupLabels.service }} \
                   ({{ .Alerts.Firing | len }})\n{{ end }}";
    routes(&w, &routing(&mail, &[defined])).await;
    say(&w, "Late").await;
    assert_eq!(w.receivers.subjects_to(ANA), ["Late of photos (1)"]);
    let text = w.receivers.taken.lock()[0].notice.text.clone();
    assert!(text.starts_with("web:\n* Late & long\nhttp"), "{text}");
    assert!(text.contains("Acknowledge: ") && !text.contains("First signs"), "what people act by stays: {text}");
    // More joins: the conversation keeps its subject.
    say(&w, "Later").await;
    w.pass(50).await;
    let told = w.receivers.updates.lock().clone();
    let told = told.iter().find(|told| told.channel == Channel::Mail).expect("ana is told that it grew");
    assert_eq!(told.update.notice.subject, "Late of photos (1)");
    let text = &told.update.notice.text;
    assert!(text.contains("* Late & long") && text.contains("* Later & long"), "{text}");
}

#[tokio::test]
async fn what_fails_when_it_is_filled_in_is_said_in_our_own_words() {
    let w = World::new(452).await;
    // It is right for two alerts, as when it is put, and has no second one later.
    let mail = json!({"to": "web@example.org", "text": "{{ (index .Alerts 1).Labels.alertname }}"});
    routes(&w, &routing(&mail, &[])).await;
    let report = w.app.routing_view().expect("a routing").report;
    assert!(report.iter().all(|note| !note.path.contains("messages")), "{report:?}");
    say(&w, "Late").await;
    assert_eq!(w.receivers.subjects_to(ANA), ["[critical] Incident 1: Late & long"]);
    let text = w.receivers.taken.lock()[0].notice.text.clone();
    assert!(text.contains("First signs") && text.contains("The words of the receiver web for mail failed"), "{text}");
}

#[test]
fn a_configuration_knows_every_channel() {
    for channel in Channel::ALL.into_iter().filter(|channel| *channel != Channel::Web) {
        assert!(tenfold_alerting::is_channel(channel.as_str()), "{channel:?}");
    }
}

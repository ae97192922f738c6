//! Dashboards that nobody wrote, over samples in the server's own time-series store.

#![expect(clippy::unwrap_used, reason = "a test that fails should panic where it fails")]

mod common;

use common::{World, world};
use serde_json::json;
use tenfold_app::metrics::{Dashboard, MarkerKind, MarkerQuery};
use tenfold_app::{Caller, Grant, Role};
use tenfold_tsdb::Sample;
use tenfold_types::{Actor, ErrorCode, EventDraft, Labels, Severity, Source, Timestamp};

impl World {
    async fn service(&self, name: &str) {
        let update = json!({"repository": "https://example.org/photos.git", "environments": ["production"]});
        let update = serde_json::from_value(update).unwrap();
        self.app.service_put(&Caller::system(), name, update).await.unwrap();
    }

    async fn dashboard(&self, name: &str) -> Option<Dashboard> {
        self.app.dashboards().await.unwrap().into_iter().find(|d| d.name == name)
    }

    fn sample(&self, labels: &[(&str, &str)]) {
        let labels = Labels::from_pairs(labels.iter().copied());
        self.app.metrics.append(&[Sample::new(labels, self.app.now().millis(), 1.0)]).unwrap();
    }
}

impl World {
    /// Records an event of an alert of a service.
    async fn alert(&self, kind: &str, fingerprint: &str, service: &str) {
        let draft = EventDraft::new(Actor::system(), Source::System, kind, "uploads fail").alert(fingerprint);
        let draft = draft.service(service).severity(Severity::Critical);
        self.app.transact(move |t| t.record(draft.clone())).await.unwrap();
    }

    /// Kinds, and after how many minutes each began and ended.
    async fn marks(&self, query: MarkerQuery, start: Timestamp) -> Vec<(MarkerKind, i64, Option<i64>)> {
        let minutes = |at: Timestamp| at.since_ms(start) / 60_000;
        let found = self.app.markers(query).await.unwrap();
        found.into_iter().map(|m| (m.kind, minutes(m.at), m.end_at.map(minutes))).collect()
    }
}

#[tokio::test]
async fn alerts_and_incidents_of_a_service_stand_on_its_graphs() {
    let w = world().await;
    w.service("photos").await;
    let start = w.app.now();
    w.alert("alert.fired", "a", "photos").await;
    w.alert("alert.fired", "b", "albums").await;
    w.clock.advance_minutes(10);
    let new = serde_json::from_value(json!({"title": "uploads are slow", "service": "photos"})).unwrap();
    let incident = w.app.incident_open(&Caller::system(), new).await.unwrap();
    w.clock.advance_minutes(20);
    w.alert("alert.resolved", "a", "photos").await;
    w.clock.advance_minutes(30);
    let photos = MarkerQuery { service: Some("photos".into()), ..MarkerQuery::default() };
    let of_photos = [(MarkerKind::Alert, 0, Some(30)), (MarkerKind::Incident, 10, None)];
    assert_eq!(w.marks(photos.clone(), start).await, of_photos);
    let later = MarkerQuery { from: Some(start.plus_ms(40 * 60_000)), ..photos.clone() };
    assert_eq!(w.marks(later, start).await, of_photos[1..], "what is over before is not told, what goes on is");
    let during =
        MarkerQuery { from: Some(start.plus_ms(60_000)), to: Some(start.plus_ms(5 * 60_000)), ..photos.clone() };
    assert_eq!(w.marks(during, start).await, of_photos[..1], "it reaches over both ends");
    w.app
        .incident_resolve(&Caller::system(), incident.number, serde_json::from_value(json!({})).unwrap())
        .await
        .unwrap();
    let all = w.marks(MarkerQuery::default(), start).await;
    assert!(
        all.contains(&(MarkerKind::Incident, 10, Some(60))) && all.contains(&(MarkerKind::Alert, 0, None)),
        "{all:?}"
    );
}

fn titles(dashboard: &Dashboard) -> Vec<&str> {
    dashboard.panels.iter().map(|panel| panel.title.as_str()).collect()
}

#[tokio::test]
async fn a_services_page_draws_what_is_measured_as_soon_as_it_is() {
    let w = world().await;
    w.service("photos").await;
    let empty = w.dashboard("photos").await.unwrap();
    assert!(empty.generated && empty.panels.is_empty());
    assert!(empty.note.unwrap().starts_with("Nothing is measured of photos"));
    w.sample(&[(Labels::NAME, "http_requests_total"), ("service", "photos"), ("status", "200")]);
    w.sample(&[(Labels::NAME, "http_request_duration_seconds_bucket"), ("service", "photos"), ("le", "1")]);
    let drawn = w.dashboard("photos").await.unwrap();
    assert_eq!(titles(&drawn), ["Requests", "Error ratio", "Time to answer"]);
    assert_eq!(drawn.note, None);
    w.sample(&[(Labels::NAME, "process_resident_memory_bytes"), ("service", "photos")]);
    w.clock.advance_minutes(1);
    assert!(titles(&w.dashboard("photos").await.unwrap()).contains(&"Memory"), "it looks anew each minute");
    w.clock.advance_minutes(90);
    assert!(w.dashboard("photos").await.unwrap().panels.is_empty(), "what ended is no longer drawn");
}

#[tokio::test]
async fn a_drawn_page_that_is_saved_says_no_longer_what_was_looked_for() {
    let w = world().await;
    w.service("photos").await;
    w.sample(&[(Labels::NAME, "process_resident_memory_bytes"), ("service", "photos")]);
    let drawn = w.dashboard("photos").await.unwrap();
    assert!(drawn.note.as_deref().unwrap().contains("http_requests_total"));
    w.app.dashboard_put(&Caller::system(), drawn).await.unwrap();
    let written = w.dashboard("photos").await.unwrap();
    assert_eq!((written.generated, written.note), (false, None));
}

#[tokio::test]
async fn what_comes_in_has_a_page_once_something_does() {
    let w = world().await;
    assert_eq!(w.dashboard("ingest").await, None);
    w.app.metrics.statsd_listens("udp");
    assert_eq!(w.dashboard("ingest").await, None, "a socket alone brings nothing");
    w.app.metrics.statsd_packet("udp", b"a:1|c", w.app.now());
    let page = w.dashboard("ingest").await.unwrap();
    assert_eq!((page.title.as_str(), page.service, page.generated), ("Ingest", None, true));
    assert!(page.panels.iter().any(|panel| panel.title == "Dropped by the kernel"));
}

fn person(login: &str) -> Caller {
    let grants = vec![Grant::everywhere(Role::Deployer)];
    Caller { actor: Actor::person(login), name: login.into(), source: Source::Web, grants }
}

fn nodes(title: &str) -> Dashboard {
    serde_json::from_value(json!({"name": "nodes", "title": title, "panels": []})).unwrap()
}

#[tokio::test]
async fn nobody_saves_over_what_they_have_not_seen() {
    let w = world().await;
    let (mei, raj) = (person("mei"), person("raj"));
    let first = w.app.dashboard_put_over(&mei, nodes("Nodes"), Some(0)).await.unwrap();
    assert_eq!((first.version, first.saved_by.as_deref()), (Some(1), Some("mei")));
    w.clock.advance_minutes(5);
    let at = w.app.now();
    let second = w.app.dashboard_put_over(&raj, nodes("All nodes"), first.version).await.unwrap();
    assert_eq!((second.version, second.saved_by.as_deref(), second.saved_at), (Some(2), Some("raj"), Some(at)));
    let seq = w.app.record.last_seq();
    let refused = w.app.dashboard_put_over(&mei, nodes("My nodes"), first.version).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Changed);
    let told = format!("the dashboard `nodes` is at version 2, saved by raj at {at}; you edited version 1");
    assert_eq!(refused.message, told);
    let deleted = w.app.dashboard_delete_over(&mei, "nodes", first.version).await.unwrap_err();
    assert_eq!((deleted.code, deleted.message), (ErrorCode::Changed, told));
    assert_eq!(w.app.dashboard("nodes").await.unwrap(), second, "neither changed anything");
    assert_eq!(w.app.record.last_seq(), seq);
    // What both want is no conflict, and files and scripts that know no version write as before.
    assert_eq!(w.app.dashboard_put_over(&mei, nodes("All nodes"), first.version).await.unwrap(), second);
    w.app.dashboard_put(&mei, nodes("Of a file")).await.unwrap();
    let third = w.app.dashboard("nodes").await.unwrap();
    assert_eq!((third.version, third.title.as_str()), (Some(3), "Of a file"));
}

#[tokio::test]
async fn a_deleted_dashboard_comes_back_as_another_version() {
    let w = world().await;
    let (mei, raj) = (person("mei"), person("raj"));
    w.app.dashboard_put(&mei, nodes("Nodes")).await.unwrap();
    w.app.dashboard_delete_over(&raj, "nodes", Some(1)).await.unwrap();
    let refused = w.app.dashboard_put_over(&mei, nodes("My nodes"), Some(1)).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Changed);
    assert!(refused.message.starts_with("the dashboard `nodes` was deleted by raj at "), "{refused}");
    let again = w.app.dashboard_put_over(&mei, nodes("My nodes"), Some(0)).await.unwrap();
    assert_eq!(again.version, Some(3), "no version names two contents");
    let twice = w.app.dashboard_put_over(&raj, nodes("Mine"), Some(0)).await.unwrap_err();
    assert_eq!(twice.code, ErrorCode::Conflict);
    assert!(twice.message.contains("saved by mei"), "{twice}");
}

#[tokio::test]
async fn one_that_draws_itself_has_no_version_until_it_is_saved() {
    let w = world().await;
    w.service("photos").await;
    let drawn = w.app.dashboard("photos").await.unwrap();
    assert_eq!((drawn.generated, drawn.version, &drawn.saved_by), (true, None, &None));
    w.app.dashboard_put_over(&person("mei"), drawn, Some(0)).await.unwrap();
    assert_eq!(w.app.dashboard("photos").await.unwrap().version, Some(1));
    w.app.dashboard_delete(&person("mei"), "photos").await.unwrap();
    assert_eq!(w.app.dashboard("photos").await.unwrap().version, None, "and draws itself again");
}

#[tokio::test]
async fn metrics_are_found_by_words_and_by_whether_anything_names_them() {
    let w = world().await;
    for (name, host) in [
        ("disk_used", "a"),
        ("disk_used", "b"),
        ("cpu_idle", "a"),
        ("net_bytes", "a"),
        ("net_errors", "a"),
        ("swap", "a"),
    ] {
        w.sample(&[("__name__", name), ("host", host)]);
    }
    let names = async |words: &str, unnamed: bool| {
        let found = w.app.metric_names(words, unnamed, 10).await.unwrap();
        assert_eq!(found.found, found.items.len());
        assert_eq!(found.series, found.items.iter().map(|m| m.series).sum::<u64>());
        found.items.into_iter().map(|m| m.name).collect::<Vec<_>>()
    };
    assert_eq!(names("", false).await, ["disk_used", "cpu_idle", "net_bytes", "net_errors", "swap"]);
    assert_eq!(names("E NET", false).await, ["net_bytes", "net_errors"]);
    assert_eq!(names("", true).await, ["disk_used", "cpu_idle", "net_bytes", "net_errors", "swap"]);
    let panel = json!({"title": "Net", "queries": [{"expr": "rate({__name__=~\"net_.*\",host=\"$host\"}[5m])"}]});
    let variables = json!([{"name": "host", "label": "host", "of": "cpu_idle"}]);
    let dashboard = json!({"name": "net", "title": "Net", "variables": variables, "panels": [panel]});
    w.app.dashboard_put(&person("mei"), serde_json::from_value(dashboard).unwrap()).await.unwrap();
    assert_eq!(names("", true).await, ["disk_used", "swap"]);
    let rules = "groups:\n  - name: g\n    rules:\n      - alert: Full\n        expr: disk_used > 9\n        annotations:\n          \
                 summary: '{{ query \"swap\" | first | value }} of swap'\n";
    w.app.rules_put(&Caller::system(), "disks", rules).await.unwrap();
    assert!(names("", true).await.is_empty());
    let refused = w.app.metric_names("", false, 0).await.unwrap_err();
    assert_eq!((refused.code, refused.message.as_str()), (ErrorCode::BadRequest, "`limit` is 0; it may be 1 to 1000"));
}

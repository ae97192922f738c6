//! Dashboards that nobody wrote, over samples in the server's own time-series store.

#![expect(clippy::unwrap_used, reason = "a test that fails should panic where it fails")]

mod common;

use common::{World, world};
use serde_json::json;
use tenfold_app::Caller;
use tenfold_app::metrics::Dashboard;
use tenfold_tsdb::Sample;
use tenfold_types::Labels;

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
    assert_eq!((titles(&drawn), drawn.note), (vec!["Requests", "Error ratio", "Time to answer"], None));
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

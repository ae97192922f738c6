//! How the relay is doing: for people, for balancers, for Prometheus.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::Ordering;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};
use tenfold_protocols::prom_page;
use tenfold_types::Labels;

use crate::Relay;
use crate::set::{Set, Status};

#[derive(Serialize)]
struct SetStatus {
    id: String,
    scope: Option<String>,
    flags: usize,
    version: Option<String>,
    /// How long ago the upstream last said anything.
    silent_ms: Option<i64>,
    /// How long ago the version that is served came from upstream; known over a restart.
    age_ms: Option<i64>,
    #[serde(flatten)]
    status: Status,
}

impl Relay {
    fn set_status(&self, set: &Set) -> SetStatus {
        let (whole, status) = (set.whole(), set.status.lock().clone());
        SetStatus {
            id: set.id.clone(),
            scope: whole.as_ref().map(|w| w.scope.name()),
            flags: whole.as_ref().map_or(0, |w| w.features.features.len()),
            version: whole.as_ref().map(|w| w.version.to_string()),
            age_ms: whole.as_ref().map(|w| self.clock.now().millis() - w.changed_at.millis()),
            silent_ms: status.heard_at.map(|at| self.clock.now().millis() - at.millis()),
            status,
        }
    }

    fn set_statuses(&self) -> Vec<SetStatus> {
        self.sets.values().map(|set| self.set_status(set)).collect()
    }

    fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}

pub(crate) async fn healthz() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

/// Ready is a relay that can answer for everything it is meant to serve, wherever it has it from.
pub(crate) async fn readyz(State(relay): State<Relay>) -> Response {
    let waiting = relay.sets.values().filter(|set| set.whole().is_none()).count();
    let unready = |status: String| (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"status": status}))).into_response();
    if relay.is_draining() {
        unready("stopping".into())
    } else if waiting > 0 {
        unready(format!("{waiting} of {} sets have neither a copy on disk nor an upstream", relay.sets.len()))
    } else {
        Json(json!({"status": "ok"})).into_response()
    }
}

pub(crate) async fn status(State(relay): State<Relay>) -> Json<Value> {
    let stats = relay.streams.stats();
    Json(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "upstream": relay.upstream.base,
        "sets": relay.set_statuses(),
        "tokens": relay.tokens.count(),
        "streams": stats.clients,
        "streams_stalled": stats.stalled,
        "draining": relay.is_draining(),
    }))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The same as a page, without a script.
pub(crate) async fn page(State(relay): State<Relay>) -> Html<String> {
    let mut rows = String::new();
    for set in relay.set_statuses() {
        let state = match (&set.scope, set.status.connected, &set.status.trouble) {
            (_, true, _) => "● follows its upstream".to_owned(),
            (Some(_), false, Some(trouble)) => format!("◆ serves what it has; the upstream: {trouble}"),
            (Some(_), false, None) => "◆ serves what it has; connecting".to_owned(),
            (None, _, Some(trouble)) => format!("▲ has nothing to serve; the upstream: {trouble}"),
            (None, _, None) => "▲ has nothing to serve; connecting".to_owned(),
        };
        let heard = set.silent_ms.map_or_else(|| "never".into(), |ms| format!("{} s ago", ms / 1_000));
        let _ = write!(
            rows,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{heard}</td><td>{}</td></tr>",
            escaped(set.scope.as_deref().unwrap_or("not known yet")),
            set.flags,
            escaped(&state),
            escaped(set.status.disk_trouble.as_deref().unwrap_or("● written")),
        );
    }
    let stats = relay.streams.stats();
    Html(format!(
        "<!doctype html><html lang=\"en\"><title>tenfold relay</title><h1>tenfold relay</h1>\
         <p>Upstream {}, {} streams ({} stalled), {} known tokens{}.</p>\
         <table><tr><th>environment/projects</th><th>flags</th><th>state</th><th>heard from</th><th>copy on disk</th></tr>\
         {rows}</table></html>",
        escaped(&relay.upstream.base),
        stats.clients,
        stats.stalled,
        relay.tokens.count(),
        if relay.is_draining() { "; stopping" } else { "" },
    ))
}

/// Series of the relay's own page for Prometheus.
#[derive(Default)]
struct Page(Vec<(Labels, f64)>);

impl Page {
    fn add(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.0.push((Labels::from_pairs(labels.iter().copied().chain([(Labels::NAME, name)])), value));
    }
}

/// In the Prometheus text format.
pub(crate) async fn metrics(State(relay): State<Relay>) -> Response {
    let mut page = Page::default();
    for set in relay.set_statuses() {
        let labels = [("set", set.id.as_str()), ("scope", set.scope.as_deref().unwrap_or(""))];
        page.add("tenfold_relay_upstream_connected", &labels, f64::from(u8::from(set.status.connected)));
        page.add("tenfold_relay_upstream_reconnects_total", &labels, set.status.opened.saturating_sub(1) as f64);
        page.add("tenfold_relay_flags", &labels, set.flags as f64);
        if let Some(ms) = set.silent_ms {
            page.add("tenfold_relay_upstream_silent_seconds", &labels, ms as f64 / 1e3);
        }
        if let Some(ms) = set.age_ms {
            page.add("tenfold_relay_definitions_age_seconds", &labels, ms as f64 / 1e3);
        }
    }
    let mut streams: BTreeMap<String, usize> = BTreeMap::new();
    for (topic, clients) in relay.streams.by_topic() {
        let protocol = topic.split(':').next().unwrap_or_default();
        *streams.entry(protocol.to_owned()).or_default() += clients;
    }
    for (protocol, clients) in streams {
        page.add("tenfold_relay_streams_open", &[("protocol", &protocol)], clients as f64);
    }
    relay.answers.each(|protocol, class, count| {
        page.add("tenfold_relay_answers_total", &[("protocol", protocol), ("status", class)], count as f64);
    });
    page.add("tenfold_relay_tokens", &[], relay.tokens.count() as f64);
    page.add("tenfold_relay_impact_waiting", &[], relay.impact.waiting() as f64);
    page.add("tenfold_relay_impact_lost_total", &[], relay.impact.lost() as f64);
    page.add("tenfold_relay_unknown_flag_evaluations_total", &[], relay.impact.unknown() as f64);
    page.add("tenfold_relay_reports_failed_total", &[], relay.impact.reports_failed() as f64);
    relay.streams.stats().each(|name, labels, value| page.add(name, labels, value));
    let text = prom_page::write(page.0.iter().map(|(labels, value)| (labels, *value)));
    ([(header::CONTENT_TYPE, prom_page::CONTENT_TYPE)], text).into_response()
}

//! `alerts`: what fires, and one of them whole.

use tenfold_types::Fault;

use super::{Reply, duty::minute};
use crate::App;
use crate::alerts::{AlertAsk, AlertView};

/// Lines of one answer in a room; the page has all of it.
const LINES_MAX: usize = 12;
/// Labels, or suspects, that are said of one alert.
const SAID_MAX: usize = 20;

/// Those of a state, or all that go on.
pub(super) async fn list(app: &App, state: Option<String>, service: Option<String>) -> Result<Reply, Fault> {
    let over = state.as_deref() == Some("resolved");
    let page = app.alerts_page(AlertAsk { state, service, limit: Some(LINES_MAX), ..AlertAsk::default() }).await?;
    let of = |counts: &crate::alerts::AlertCounts| {
        let live = counts.firing + counts.unknown + counts.pending;
        if over { counts.resolved } else { live }
    };
    let all: usize = page.counts.iter().map(of).sum();
    if all == 0 {
        return Ok(Reply::line("no alerts"));
    }
    // What goes on stands before what is over.
    let mut lines: Vec<String> = page.items.iter().take(all).map(line).collect();
    if all > lines.len() {
        lines.push(format!("and {} more: {}", all - lines.len(), app.settings.link("/alerts")));
    }
    Ok(Reply::lines(lines))
}

/// One as it stands, or as it ended.
pub(super) async fn show(app: &App, fingerprint: &str) -> Result<Reply, Fault> {
    let alert = app.alert_get(fingerprint).await?;
    let mut lines = vec![line(&alert)];
    let since = minute(alert.active_since);
    lines.push(match alert.resolved_at {
        Some(at) => format!("since {since} until {}", minute(at)),
        None => format!("since {since}"),
    });
    let incidents: Vec<String> =
        alert.incident.iter().chain(&alert.further_incidents).map(|number| format!("incident {number}")).collect();
    if !incidents.is_empty() {
        lines.push(incidents.join(", "));
    }
    lines.extend(alert.description.clone());
    lines.extend(alert.runbook_url.as_ref().map(|url| format!("runbook: {url}")));
    let labels: Vec<String> =
        alert.labels.iter().take(SAID_MAX).map(|(name, value)| format!("{name}={value}")).collect();
    lines.push(labels.join(" "));
    lines.extend(alert.suspects.iter().take(SAID_MAX).map(|s| format!("suspect: {} by {}", s.text, s.actor_name)));
    lines.push(app.settings.link(&format!("/alerts/{}", alert.fingerprint)));
    Ok(Reply::lines(lines))
}

fn line(alert: &AlertView) -> String {
    let held = alert.acknowledged_by.as_ref().map(|who| format!(", {who} has it")).unwrap_or_default();
    let muted = alert.muted_by.map(|id| format!(", mute {id}")).unwrap_or_default();
    format!("{} {} {}: {}{held}{muted}", alert.fingerprint, alert.severity, alert.state, alert.summary)
}

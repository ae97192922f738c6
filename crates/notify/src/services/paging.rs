//! Other paging services: PagerDuty (Events v2) and Opsgenie. Pages of one incident have one key, and so are one alert there.

use serde_json::json;
use tenfold_app::alerts::{Notice, Update, UpdateKind};

use super::{Request, cut};
use crate::path::segment;

const SUMMARY_MAX: usize = 1_000;
const OPSGENIE_MESSAGE_MAX: usize = 128;
const DETAILS_MAX: usize = 14_000;
/// Of the server's name in a key; PagerDuty takes 255 characters of the whole.
const PLACE_CHARS_MAX: usize = 150;

/// What the alert is called there: what one server opens or closes must not be another's.
fn alias(notice: &Notice) -> String {
    let place: String = notice.place().chars().take(PLACE_CHARS_MAX).collect();
    format!("tenfold/{place}/{}", notice.thread)
}

/// `to` is the routing key of a service.
pub fn pagerduty(url: &str, to: &str, notice: &Notice) -> Request {
    let severity = match notice.severity.as_str() {
        known @ ("critical" | "error" | "warning" | "info") => known,
        _ => "warning",
    };
    let body = json!({
        "routing_key": to,
        "event_action": "trigger",
        "dedup_key": alias(notice),
        "client": "tenfold",
        "client_url": notice.link,
        "links": [{"href": notice.link, "text": "Open the incident"}],
        "payload": {
            "summary": cut(&notice.subject, SUMMARY_MAX),
            "source": notice.service.as_deref().unwrap_or("tenfold"),
            "severity": severity,
            "timestamp": notice.at.to_string(),
            "group": notice.environment,
            "custom_details": {"text": cut(&notice.text, DETAILS_MAX)},
        },
    });
    Request::post(format!("{url}/v2/enqueue"), body)
}

/// `to` is the key of an API integration.
pub fn opsgenie(url: &str, to: &str, notice: &Notice) -> Request {
    let priority = match notice.severity.as_str() {
        "critical" => "P1",
        "warning" => "P3",
        _ => "P5",
    };
    let body = json!({
        "message": cut(&notice.subject, OPSGENIE_MESSAGE_MAX),
        "alias": alias(notice),
        "description": cut(&notice.text, DETAILS_MAX),
        "priority": priority,
        "source": "tenfold",
        "entity": notice.service.as_deref().unwrap_or("tenfold"),
        "details": {"link": notice.link},
    });
    Request::post(format!("{url}/v2/alerts"), body).header("authorization", format!("GenieKey {to}"))
}

/// The event about the alert that the page opened. One that is open is not paged again by a second `trigger`: it takes the
/// new text.
pub fn pagerduty_update(url: &str, to: &str, update: &Update) -> Request {
    let action = match update.kind {
        UpdateKind::Grown => return pagerduty(url, to, &update.notice),
        UpdateKind::Acknowledged => "acknowledge",
        UpdateKind::Over => "resolve",
    };
    let body = json!({
        "routing_key": to,
        "event_action": action,
        "dedup_key": alias(&update.notice),
    });
    Request::post(format!("{url}/v2/enqueue"), body)
}

pub fn opsgenie_update(url: &str, to: &str, update: &Update) -> Request {
    let action = match update.kind {
        UpdateKind::Grown => return opsgenie(url, to, &update.notice),
        UpdateKind::Acknowledged => "acknowledge",
        UpdateKind::Over => "close",
    };
    let alias = segment(&alias(&update.notice));
    let body = json!({"source": "tenfold", "note": cut(&update.news, SUMMARY_MAX)});
    Request::post(format!("{url}/v2/alerts/{alias}/{action}?identifierType=alias"), body)
        .header("authorization", format!("GenieKey {to}"))
}

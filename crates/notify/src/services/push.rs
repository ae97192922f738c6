//! Push messages: ntfy, Gotify, Pushover.

use serde_json::json;
use tenfold_app::alerts::{Notice, Update, UpdateKind};

use super::{Request, cut};

const TEXT_MAX: usize = 3_800;
const PUSHOVER_TEXT_MAX: usize = 1_000;
const PUSHOVER_TITLE_MAX: usize = 240;

/// The address of the topic; the JSON form goes to the server's root, with the topic in it.
pub fn ntfy(to: &str, notice: &Notice) -> Request {
    let (server, topic) = to.trim_end_matches('/').rsplit_once('/').unwrap_or(("", to));
    let priority = match notice.severity.as_str() {
        "critical" => 5,
        "warning" => 4,
        _ => 3,
    };
    let body = json!({"topic": topic, "title": notice.subject, "message": cut(&notice.text, TEXT_MAX),
        "priority": priority, "click": notice.link, "tags": [notice.severity]});
    Request::post(format!("{server}/"), body)
}

/// `to` is the token of an application of the person's own.
pub fn gotify(url: &str, to: &str, notice: &Notice) -> Request {
    let priority = if notice.severity == "critical" { 10 } else { 5 };
    let body = json!({"title": notice.subject, "message": cut(&notice.text, TEXT_MAX), "priority": priority,
        "extras": {"client::notification": {"click": {"url": notice.link}}}});
    Request::post(format!("{url}/message"), body).header("x-gotify-key", to)
}

/// What the pages of an incident have in common, so that all of them stop ringing at once.
fn tag(notice: &Notice) -> String {
    format!("tenfold-{}-{}", notice.plain_place(), notice.thread)
}

/// `to` is the key of a user or a group. Critical pages ring again each minute for half an hour, until they are seen or
/// somebody has the incident.
pub fn pushover((url, token): &(String, String), to: &str, notice: &Notice) -> Request {
    let mut pairs = vec![
        ("token", token.clone()),
        ("user", to.to_owned()),
        ("title", cut(&notice.subject, PUSHOVER_TITLE_MAX)),
        ("message", cut(&notice.text, PUSHOVER_TEXT_MAX)),
        ("url", notice.link.clone()),
        ("url_title", "Open the incident".to_owned()),
        ("timestamp", (notice.at.millis() / 1_000).to_string()),
    ];
    if notice.severity == "critical" {
        pairs.extend([("priority", "2".to_owned()), ("retry", "60".to_owned()), ("expire", "1800".to_owned())]);
        pairs.push(("tags", tag(notice)));
    } else {
        pairs.push(("priority", "1".to_owned()));
    }
    Request::form(format!("{url}/1/messages.json"), pairs)
}

/// Quiet: it makes no sound. A page's text is not repeated.
pub fn ntfy_update(to: &str, update: &Update) -> Request {
    let (server, topic) = to.trim_end_matches('/').rsplit_once('/').unwrap_or(("", to));
    let body = json!({"topic": topic, "title": update.notice.subject, "message": update.news, "priority": 2,
        "click": update.notice.link});
    Request::post(format!("{server}/"), body)
}

pub fn gotify_update(url: &str, to: &str, update: &Update) -> Request {
    let body = json!({"title": update.notice.subject, "message": update.news, "priority": 1,
        "extras": {"client::notification": {"click": {"url": update.notice.link}}}});
    Request::post(format!("{url}/message"), body).header("x-gotify-key", to)
}

/// Ends the ringing of all pages of the incident.
pub fn pushover_cancel((url, token): &(String, String), update: &Update) -> Request {
    let url = format!("{url}/1/receipts/cancel_by_tag/{}.json", tag(&update.notice));
    Request::form(url, vec![("token", token.clone())])
}

/// That somebody has it ends the ringing, and is no message of its own.
pub fn pushover_update(account: &(String, String), to: &str, update: &Update) -> Request {
    if update.kind == UpdateKind::Acknowledged {
        return pushover_cancel(account, update);
    }
    let (url, token) = account;
    let pairs = vec![
        ("token", token.clone()),
        ("user", to.to_owned()),
        ("title", cut(&update.notice.subject, PUSHOVER_TITLE_MAX)),
        ("message", cut(&update.news, PUSHOVER_TEXT_MAX)),
        ("url", update.notice.link.clone()),
        ("url_title", "Open the incident".to_owned()),
        ("priority", "-1".to_owned()),
    ];
    Request::form(format!("{url}/1/messages.json"), pairs)
}

//! Incoming webhooks of chat services; the address of each holds its own secret.

use serde_json::json;
use tenfold_app::alerts::{Notice, Update};

use super::{Request, Verb, cut};
use crate::path::segment;

/// Slack refuses a section of more characters.
const SLACK_TEXT_MAX: usize = 2_900;
const DISCORD_TEXT_MAX: usize = 1_900;
const TEAMS_TEXT_MAX: usize = 8_000;

/// Red, amber or blue, as numbers and as words.
fn colour(notice: &Notice) -> (&'static str, u32, &'static str) {
    match notice.severity.as_str() {
        "critical" => ("#c4281d", 0x00c4_281d, "attention"),
        "warning" => ("#b26a00", 0x00b2_6a00, "warning"),
        _ => ("#315fcf", 0x0031_5fcf, "accent"),
    }
}

/// `&`, `<` and `>` are Slack's own, and a plain `@here` is read as a mention.
fn slack_text(text: &str) -> String {
    unmentioned(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

pub fn slack(to: &str, notice: &Notice) -> Request {
    let text = cut(&slack_text(&notice.text), SLACK_TEXT_MAX);
    let section = json!({"type": "section", "text": {"type": "mrkdwn", "text": text}});
    let button = json!({"type": "actions", "elements": [
        {"type": "button", "text": {"type": "plain_text", "text": "Open the incident"}, "url": notice.link}]});
    let body = json!({
        "text": slack_text(&notice.subject),
        "attachments": [{"color": colour(notice).0, "fallback": slack_text(&notice.subject), "blocks": [section, button]}],
    });
    Request::post(to, body)
}

/// Nobody is mentioned because of what an alert's labels say: behind each `@` that begins a word stands a zero-width space.
fn unmentioned(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    for c in text.chars() {
        out.push(c);
        if c == '@' && !inside {
            out.push('\u{200b}');
        }
        inside = c.is_alphanumeric();
    }
    out
}

pub fn mattermost(to: &str, notice: &Notice) -> Request {
    let body = json!({
        "text": format!("[{}]({})", unmentioned(&notice.subject.replace(['[', ']'], "")), notice.link),
        "attachments": [{"color": colour(notice).0, "fallback": unmentioned(&notice.subject),
            "text": cut(&unmentioned(&notice.text), 7_000)}],
    });
    Request::post(to, body)
}

pub fn discord(to: &str, notice: &Notice) -> Request {
    let body = json!({
        "content": cut(&notice.subject, DISCORD_TEXT_MAX),
        // Nobody is mentioned because of what an alert's labels say.
        "allowed_mentions": {"parse": []},
        "embeds": [{"title": cut(&notice.subject, 250), "url": notice.link, "color": colour(notice).1,
            "description": cut(&notice.text, DISCORD_TEXT_MAX), "timestamp": notice.at.to_string()}],
    });
    Request::post(discord_address(to, None), body)
}

/// The address of a webhook, or of one of its messages; what is asked of it stays. It says what a message is called only
/// when it is asked to wait.
fn discord_address(to: &str, message: Option<&str>) -> String {
    let (path, query) = to.split_once('?').map_or((to, None), |(path, query)| (path, Some(query)));
    let path = path.trim_end_matches('/');
    match (message, query) {
        (None, None) => format!("{path}?wait=true"),
        (None, Some(query)) => format!("{path}?{query}&wait=true"),
        (Some(message), None) => format!("{path}/messages/{}", segment(message)),
        (Some(message), Some(query)) => format!("{path}/messages/{}?{query}", segment(message)),
    }
}

/// Changes the page's message; one whose name is not known is followed by a short one without a sound.
pub fn discord_update(to: &str, update: &Update) -> Request {
    /// Discord's flag for a message that notifies nobody.
    const SUPPRESS_NOTIFICATIONS: u32 = 1 << 12;
    if let Some(message) = &update.message {
        let page = discord(to, &update.notice);
        return Request { verb: Verb::Patch, url: discord_address(to, Some(message)), ..page };
    }
    let content = format!("{}: {} {}", cut(&update.notice.subject, 1_000), update.news, update.notice.link);
    let body = json!({"content": cut(&content, DISCORD_TEXT_MAX), "allowed_mentions": {"parse": []},
        "flags": SUPPRESS_NOTIFICATIONS});
    Request::post(discord_address(to, None), body)
}

/// Incoming webhooks say nothing of the message they made, so a short second one follows it.
pub fn slack_update(to: &str, update: &Update) -> Request {
    let text = format!("{}: *{}*", slack_text(&update.notice.subject), slack_text(&update.news));
    Request::post(
        to,
        json!({"text": format!("{} <{}|Open the incident>", cut(&text, SLACK_TEXT_MAX), update.notice.link)}),
    )
}

pub fn mattermost_update(to: &str, update: &Update) -> Request {
    let subject = unmentioned(&update.notice.subject.replace(['[', ']'], ""));
    let text = format!("[{subject}]({}): {}", update.notice.link, unmentioned(&update.news));
    Request::post(to, json!({"text": cut(&text, 7_000)}))
}

pub fn teams_update(to: &str, update: &Update) -> Request {
    let notice = Notice { text: update.news.clone(), ..update.notice.clone() };
    teams(to, &notice)
}

/// An adaptive card, as the webhooks of Teams' workflows take them. Its texts are Markdown, in which a line ends at an empty one.
pub fn teams(to: &str, notice: &Notice) -> Request {
    let card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [
            {"type": "TextBlock", "text": notice.subject, "weight": "bolder", "wrap": true, "color": colour(notice).2},
            {"type": "TextBlock", "text": cut(&notice.text, TEAMS_TEXT_MAX).replace('\n', "\n\n"), "wrap": true},
        ],
        "actions": [{"type": "Action.OpenUrl", "title": "Open the incident", "url": notice.link}],
    });
    let body = json!({"type": "message", "attachments": [
        {"contentType": "application/vnd.microsoft.card.adaptive", "content": card}]});
    Request::post(to, body)
}

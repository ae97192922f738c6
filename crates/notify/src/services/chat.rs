//! Incoming webhooks of chat services; the address of each holds its own secret.

use serde_json::{Value, json};
use tenfold_app::alerts::{Notice, Update};

use super::plain::{Part, escaped, parts, unmentioned};
use super::{Request, Verb, cut};
use crate::path::segment;

/// Slack refuses a section of more characters.
const SLACK_TEXT_MAX: usize = 2_900;
const SLACK_LINKS_MAX: usize = 10;
const DISCORD_TEXT_MAX: usize = 1_900;
/// Teams refuses a message of more than 28 KB, and a line takes a hundred bytes beside its text.
const TEAMS_TEXT_MAX: usize = 8_000;
const TEAMS_LINES_MAX: usize = 60;
const TEAMS_LINKS_MAX: usize = 20;
/// What is markup in a text.
const MATTERMOST_MARKS: &str = "\\`*_~|[]>#!";
const DISCORD_MARKS: &str = "\\`*_~|[]<>#";

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

fn slack_section(text: &str) -> Value {
    let text = cut(&slack_text(text), SLACK_TEXT_MAX);
    json!({"type": "section", "text": {"type": "plain_text", "text": text, "emoji": false}})
}

fn slack_button(notice: &Notice) -> Value {
    json!({"type": "actions", "elements": [
        {"type": "button", "text": {"type": "plain_text", "text": "Open the incident"}, "url": notice.link}]})
}

/// The addresses that a text names, to be followed: a text without markup has no links.
fn slack_links(notice: &Notice) -> Option<Value> {
    let mut links: Vec<String> = Vec::new();
    let mut bytes = 0;
    for part in parts(&notice.text) {
        let Part::Address(address) = part else { continue };
        let link = format!("<{}>", slack_text(address));
        let is_new = address != notice.link && !links.contains(&link);
        bytes += if is_new { link.len() + 1 } else { 0 };
        if links.len() == SLACK_LINKS_MAX || bytes > SLACK_TEXT_MAX {
            break;
        }
        if is_new {
            links.push(link);
        }
    }
    let text = links.join("\n");
    let section = json!({"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": true}});
    (!text.is_empty()).then_some(section)
}

pub fn slack(to: &str, notice: &Notice) -> Request {
    let mut blocks = vec![slack_section(&notice.text)];
    blocks.extend(slack_links(notice));
    blocks.push(slack_button(notice));
    let subject = slack_text(&notice.subject);
    let body = json!({
        "text": subject,
        "mrkdwn": false,
        "attachments": [{"color": colour(notice).0, "fallback": subject, "blocks": blocks}],
    });
    Request::post(to, body)
}

/// Markdown that reads like the text, and mentions nobody.
fn mattermost_text(text: &str) -> String {
    unmentioned(&escaped(text, MATTERMOST_MARKS))
}

pub fn mattermost(to: &str, notice: &Notice) -> Request {
    let body = json!({
        "text": format!("[{}]({})", mattermost_text(&notice.subject), notice.link),
        "attachments": [{"color": colour(notice).0, "fallback": unmentioned(&notice.subject),
            "text": cut(&mattermost_text(&notice.text), 7_000)}],
    });
    Request::post(to, body)
}

fn discord_text(text: &str) -> String {
    escaped(text, DISCORD_MARKS)
}

pub fn discord(to: &str, notice: &Notice) -> Request {
    let body = json!({
        "content": cut(&discord_text(&notice.subject), DISCORD_TEXT_MAX),
        // Nobody is mentioned because of what an alert's labels say.
        "allowed_mentions": {"parse": []},
        "embeds": [{"title": cut(&discord_text(&notice.subject), 250), "url": notice.link, "color": colour(notice).1,
            "description": cut(&discord_text(&notice.text), DISCORD_TEXT_MAX), "timestamp": notice.at.to_string()}],
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
    let (subject, news) = (discord_text(&update.notice.subject), discord_text(&update.news));
    let content = format!("{}: {news} {}", cut(&subject, 1_000), update.notice.link);
    let body = json!({"content": cut(&content, DISCORD_TEXT_MAX), "allowed_mentions": {"parse": []},
        "flags": SUPPRESS_NOTIFICATIONS});
    Request::post(discord_address(to, None), body)
}

/// Incoming webhooks say nothing of the message they made, so a short second one follows it.
pub fn slack_update(to: &str, update: &Update) -> Request {
    let text = format!("{}: {}", update.notice.subject, update.news);
    let blocks = [slack_section(&text), slack_button(&update.notice)];
    Request::post(to, json!({"text": cut(&slack_text(&text), SLACK_TEXT_MAX), "blocks": blocks}))
}

pub fn mattermost_update(to: &str, update: &Update) -> Request {
    let (subject, news) = (mattermost_text(&update.notice.subject), mattermost_text(&update.news));
    let text = format!("[{subject}]({}): {news}", update.notice.link);
    Request::post(to, json!({"text": cut(&text, 7_000)}))
}

pub fn teams_update(to: &str, update: &Update) -> Request {
    let notice = Notice { text: update.news.clone(), ..update.notice.clone() };
    teams(to, &notice)
}

/// An adaptive card, as the webhooks of Teams' workflows take them. A `TextBlock` is Markdown, which not every client lets one
/// escape; rich text is none.
pub fn teams(to: &str, notice: &Notice) -> Request {
    let subject = json!({"type": "TextRun", "text": teams_text(&notice.subject), "weight": "bolder",
        "color": colour(notice).2});
    let mut body = vec![json!({"type": "RichTextBlock", "inlines": [subject]})];
    body.extend(teams_lines(&cut(&notice.text, TEAMS_TEXT_MAX)));
    let card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
        "actions": [{"type": "Action.OpenUrl", "title": "Open the incident", "url": notice.link}],
    });
    let body = json!({"type": "message", "attachments": [
        {"contentType": "application/vnd.microsoft.card.adaptive", "content": card}]});
    Request::post(to, body)
}

/// Cards fill in `{{DATE(…)}}` and `{{TIME(…)}}` in any text, whatever braces stand before them.
fn teams_text(text: &str) -> String {
    text.replace(char::is_control, " ").replace("{{D", "{\u{200b}{D").replace("{{T", "{\u{200b}{T")
}

fn teams_run(text: &str) -> Value {
    json!({"type": "TextRun", "text": teams_text(text)})
}

/// A block for each line: clients do not agree on what a line break is.
fn teams_lines(text: &str) -> Vec<Value> {
    let (mut blocks, mut links, mut spacing) = (Vec::new(), 0, "default");
    for line in text.lines() {
        if line.trim().is_empty() {
            spacing = "default";
            continue;
        }
        let more = blocks.len() == TEAMS_LINES_MAX;
        let inlines = if more { vec![teams_run("…")] } else { teams_line(line, &mut links) };
        blocks.push(json!({"type": "RichTextBlock", "spacing": spacing, "inlines": inlines}));
        spacing = "none";
        if more {
            break;
        }
    }
    blocks
}

/// Its addresses can be followed: of all lines, the first ones.
fn teams_line(line: &str, links: &mut usize) -> Vec<Value> {
    let (mut runs, mut plain) = (Vec::new(), String::new());
    for part in parts(line) {
        match part {
            Part::Address(address) if *links < TEAMS_LINKS_MAX => {
                *links += 1;
                if !plain.is_empty() {
                    runs.push(teams_run(&std::mem::take(&mut plain)));
                }
                let follow = json!({"type": "Action.OpenUrl", "url": address});
                runs.push(json!({"type": "TextRun", "text": teams_text(address), "selectAction": follow}));
            }
            Part::Address(text) | Part::Words(text) => plain.push_str(text),
        }
    }
    if !plain.is_empty() {
        runs.push(teams_run(&plain));
    }
    runs
}

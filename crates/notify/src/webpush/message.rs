//! What a browser is told: the JSON that the service worker reads, and how the push service is to treat it. Pure.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use sha2::{Digest, Sha256};
use tenfold_app::alerts::{Notice, Push, UpdateKind};

use super::seal::PLAIN_BYTES_MAX;
use crate::services::cut;

const TITLE_BYTES_MAX: usize = 200;
const TEXT_BYTES_MAX: usize = 2_000;
/// A page that a browser could not be given within an hour is history: others were paged meanwhile.
const PAGE_TTL_S: u32 = 3_600;
/// News may wait for the browser as long as push services keep things at least.
const NEWS_TTL_S: u32 = 86_400;
/// Of RFC 8030.
const TOPIC_CHARS: usize = 32;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub body: String,
    pub ttl_s: u32,
    /// `high` wakes a sleeping telephone.
    pub urgency: &'static str,
    /// What is not delivered yet is replaced by what comes under the same one.
    pub topic: String,
}

/// `login` says whose page it is: several people may have signed in to one browser.
pub fn message(what: Push<'_>, login: &str) -> Message {
    match what {
        Push::Page(notice) => {
            let body = fitted(notice, &notice.text, login, true, false);
            Message { body, ttl_s: PAGE_TTL_S, urgency: "high", topic: topic(&notice.link) }
        }
        Push::News(update) => {
            let (open, link) = (update.kind == UpdateKind::Grown, &update.notice.link);
            let body = fitted(&update.notice, &update.news, login, open, true);
            // It must not take the place of a page that still waits for a telephone to be back: that one is to ring.
            let topic = if open { topic(&format!("{link}#grown")) } else { topic(link) };
            Message { body, ttl_s: NEWS_TTL_S, urgency: "low", topic }
        }
    }
}

/// The JSON with as much of the text as fits. `open` says that it may be acknowledged.
fn fitted(notice: &Notice, text: &str, login: &str, open: bool, silent: bool) -> String {
    let mut room = TEXT_BYTES_MAX;
    loop {
        let json = json!({
            "title": cut(&notice.subject, TITLE_BYTES_MAX), "text": cut(text, room), "link": notice.link,
            "tag": notice.thread, "incident": notice.incident, "severity": notice.severity,
            "at": notice.at.millis(), "login": login, "open": open, "silent": silent,
        })
        .to_string();
        if json.len() <= PLAIN_BYTES_MAX || room == 0 {
            return json;
        }
        room /= 2;
    }
}

/// One for each conversation, and it tells the push service nothing of it.
fn topic(of: &str) -> String {
    let mut topic = URL_SAFE_NO_PAD.encode(Sha256::digest(of.as_bytes()));
    topic.truncate(TOPIC_CHARS);
    topic
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenfold_app::alerts::Update;
    use tenfold_types::Timestamp;

    fn notice(text: &str) -> Notice {
        Notice {
            subject: "[critical] Incident 3: photos".to_owned(),
            text: text.to_owned(),
            link: "https://tenfold.example.org/incidents/3".to_owned(),
            thread: "incident-3".to_owned(),
            incident: 3,
            service: None,
            environment: None,
            severity: "critical".to_owned(),
            at: Timestamp(1_795_424_400_000),
        }
    }

    #[test]
    fn news_takes_the_place_of_the_page_without_a_sound() {
        let page = message(Push::Page(&notice("errors")), "ana");
        let over = Update {
            kind: UpdateKind::Over,
            message: None,
            page_key: "page.1".to_owned(),
            news: "Over after 12 min".to_owned(),
            notice: notice("errors"),
        };
        let news = message(Push::News(&over), "ana");
        assert_eq!((page.urgency, news.urgency), ("high", "low"));
        assert_eq!(page.topic, news.topic);
        assert!(page.topic.len() == 32 && page.topic.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)));
        let of = |m: &Message| serde_json::from_str::<serde_json::Value>(&m.body).unwrap();
        assert_eq!((of(&page)["text"].as_str(), of(&page)["open"].as_bool()), (Some("errors"), Some(true)));
        assert_eq!((of(&news)["text"].as_str(), of(&news)["open"].as_bool()), (Some("Over after 12 min"), Some(false)));
        assert_eq!((of(&news)["silent"].as_bool(), of(&news)["tag"].as_str()), (Some(true), Some("incident-3")));
        assert_eq!((of(&page)["login"].as_str(), of(&news)["login"].as_str()), (Some("ana"), Some("ana")));
    }

    #[test]
    fn a_page_that_waits_is_replaced_by_what_needs_nobody_and_not_by_growth() {
        let page = message(Push::Page(&notice("errors")), "ana");
        for (kind, replaces) in [(UpdateKind::Grown, false), (UpdateKind::Acknowledged, true), (UpdateKind::Over, true)]
        {
            let update = Update {
                kind,
                message: None,
                page_key: "page.1".to_owned(),
                news: "news".to_owned(),
                notice: notice("errors"),
            };
            let news = message(Push::News(&update), "ana");
            assert_eq!(news.topic == page.topic, replaces, "{}", kind.as_str());
            assert_eq!((news.topic.len(), news.urgency), (32, "low"), "{}", kind.as_str());
        }
    }

    #[test]
    fn whatever_an_alert_says_fits() {
        for text in ["x".repeat(100_000), "\u{1}".repeat(100_000), "ü\"\n".repeat(50_000)] {
            let long = Notice { subject: text.clone(), ..notice(&text) };
            let body = message(Push::Page(&long), "ana").body;
            assert!(body.len() <= PLAIN_BYTES_MAX, "{} bytes", body.len());
            serde_json::from_str::<serde_json::Value>(&body).unwrap();
        }
    }
}

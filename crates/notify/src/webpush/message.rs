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

pub fn message(what: Push<'_>) -> Message {
    match what {
        Push::Page(notice) => {
            let body = fitted(notice, &notice.text, true, false);
            Message { body, ttl_s: PAGE_TTL_S, urgency: "high", topic: topic(notice) }
        }
        Push::News(update) => {
            let body = fitted(&update.notice, &update.news, update.kind == UpdateKind::Grown, true);
            Message { body, ttl_s: NEWS_TTL_S, urgency: "low", topic: topic(&update.notice) }
        }
    }
}

/// The JSON with as much of the text as fits. `open` says that it may be acknowledged.
fn fitted(notice: &Notice, text: &str, open: bool, silent: bool) -> String {
    let mut room = TEXT_BYTES_MAX;
    loop {
        let json = json!({
            "title": cut(&notice.subject, TITLE_BYTES_MAX), "text": cut(text, room), "link": notice.link,
            "tag": notice.thread, "incident": notice.incident, "severity": notice.severity,
            "at": notice.at.millis(), "open": open, "silent": silent,
        })
        .to_string();
        if json.len() <= PLAIN_BYTES_MAX || room == 0 {
            return json;
        }
        room /= 2;
    }
}

/// One for each conversation, and it tells the push service nothing of it.
fn topic(notice: &Notice) -> String {
    let mut topic = URL_SAFE_NO_PAD.encode(Sha256::digest(notice.link.as_bytes()));
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
        let page = message(Push::Page(&notice("errors")));
        let over = Update {
            kind: UpdateKind::Over,
            message: None,
            page_key: "page.1".to_owned(),
            news: "Over after 12 min".to_owned(),
            notice: notice("errors"),
        };
        let news = message(Push::News(&over));
        assert_eq!((page.urgency, news.urgency), ("high", "low"));
        assert_eq!(page.topic, news.topic);
        assert!(page.topic.len() == 32 && page.topic.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)));
        let of = |m: &Message| serde_json::from_str::<serde_json::Value>(&m.body).unwrap();
        assert_eq!((of(&page)["text"].as_str(), of(&page)["open"].as_bool()), (Some("errors"), Some(true)));
        assert_eq!((of(&news)["text"].as_str(), of(&news)["open"].as_bool()), (Some("Over after 12 min"), Some(false)));
        assert_eq!((of(&news)["silent"].as_bool(), of(&news)["tag"].as_str()), (Some(true), Some("incident-3")));
    }

    #[test]
    fn whatever_an_alert_says_fits() {
        for text in ["x".repeat(100_000), "\u{1}".repeat(100_000), "ü\"\n".repeat(50_000)] {
            let long = Notice { subject: text.clone(), ..notice(&text) };
            let body = message(Push::Page(&long)).body;
            assert!(body.len() <= PLAIN_BYTES_MAX, "{} bytes", body.len());
            serde_json::from_str::<serde_json::Value>(&body).unwrap();
        }
    }
}

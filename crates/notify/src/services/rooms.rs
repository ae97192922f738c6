//! Bots in rooms: Telegram and Matrix. The token is the server's, the room the person's.

use serde_json::json;
use tenfold_app::alerts::{Notice, Update};

use super::plain::unmentioned;
use super::{Request, Verb, cut, short, whole};
use crate::path::segment;

const TELEGRAM_TEXT_MAX: usize = 4_000;
const MATRIX_TEXT_MAX: usize = 30_000;

/// Without a `parse_mode` it is plain text, in which a name behind an `@` is still called.
fn telegram_text(notice: &Notice) -> String {
    let (subject, text) = (unmentioned(&notice.subject), unmentioned(&notice.text));
    whole(&Notice { subject, text, ..notice.clone() }, "\n\n", TELEGRAM_TEXT_MAX)
}

pub fn telegram((url, token): &(String, String), to: &str, notice: &Notice) -> Request {
    let text = telegram_text(notice);
    let body = json!({"chat_id": to, "text": text, "link_preview_options": {"is_disabled": true},
        "disable_notification": notice.severity == "info"});
    Request::post(format!("{url}/bot{token}/sendMessage"), body)
}

/// The key is the transaction's id, so that a message sent again is shown once. `m.mentions` says that nobody is called,
/// whatever names the text has.
pub fn matrix((url, token): &(String, String), to: &str, notice: &Notice, key: &str) -> Request {
    let text = whole(notice, "\n", MATRIX_TEXT_MAX);
    let (room, transaction) = (segment(to), segment(key));
    Request::post(
        format!("{url}/_matrix/client/v3/rooms/{room}/send/m.room.message/{transaction}"),
        json!({"msgtype": "m.text", "body": text, "m.mentions": {}}),
    )
    .with(Verb::Put)
    .header("authorization", format!("Bearer {token}"))
}

/// Changes the page's message; one whose name is not known is answered without a sound.
pub fn telegram_update((url, token): &(String, String), to: &str, update: &Update) -> Request {
    let notice = &update.notice;
    let message = update.message.as_deref().and_then(|m| m.parse::<i64>().ok());
    let preview = json!({"is_disabled": true});
    if let Some(message) = message {
        let text = telegram_text(notice);
        let body = json!({"chat_id": to, "message_id": message, "text": text, "link_preview_options": preview});
        return Request::post(format!("{url}/bot{token}/editMessageText"), body);
    }
    let text = cut(&unmentioned(&short(update)), TELEGRAM_TEXT_MAX);
    let body = json!({"chat_id": to, "text": text, "link_preview_options": preview, "disable_notification": true});
    Request::post(format!("{url}/bot{token}/sendMessage"), body)
}

/// A replacement (`m.replace`); readers that know none show the text behind the star.
pub fn matrix_update((url, token): &(String, String), to: &str, update: &Update, key: &str) -> Request {
    let notice = &update.notice;
    let (room, transaction) = (segment(to), segment(key));
    let body = match &update.message {
        Some(event) => {
            let text = whole(notice, "\n", MATRIX_TEXT_MAX / 2);
            json!({"msgtype": "m.text", "body": format!("* {text}"), "m.mentions": {},
                "m.new_content": {"msgtype": "m.text", "body": text, "m.mentions": {}},
                "m.relates_to": {"rel_type": "m.replace", "event_id": event}})
        }
        None => json!({"msgtype": "m.notice", "body": short(update), "m.mentions": {}}),
    };
    Request::post(format!("{url}/_matrix/client/v3/rooms/{room}/send/m.room.message/{transaction}"), body)
        .with(Verb::Put)
        .header("authorization", format!("Bearer {token}"))
}

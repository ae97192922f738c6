//! Bots in rooms: Telegram and Matrix. The token is the server's, the room the person's.

use serde_json::json;
use tenfold_app::alerts::Notice;

use super::{Request, cut};
use crate::path::segment;

const TELEGRAM_TEXT_MAX: usize = 4_000;
const MATRIX_TEXT_MAX: usize = 30_000;

pub fn telegram((url, token): &(String, String), to: &str, notice: &Notice) -> Request {
    let text = cut(&format!("{}\n\n{}\n{}", notice.subject, notice.text, notice.link), TELEGRAM_TEXT_MAX);
    let body = json!({"chat_id": to, "text": text, "link_preview_options": {"is_disabled": true},
        "disable_notification": notice.severity == "info"});
    Request::post(format!("{url}/bot{token}/sendMessage"), body)
}

/// The key is the transaction's id, so that a message sent again is shown once.
pub fn matrix((url, token): &(String, String), to: &str, notice: &Notice, key: &str) -> Request {
    let text = cut(&format!("{}\n{}\n{}", notice.subject, notice.text, notice.link), MATRIX_TEXT_MAX);
    let (room, transaction) = (segment(to), segment(key));
    let mut request = Request::post(
        format!("{url}/_matrix/client/v3/rooms/{room}/send/m.room.message/{transaction}"),
        json!({"msgtype": "m.text", "body": text}),
    );
    request.put = true;
    request.header("authorization", format!("Bearer {token}"))
}

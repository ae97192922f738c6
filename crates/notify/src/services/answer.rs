//! What the services answer: taken, put off or refused.

use serde_json::Value;
use tenfold_app::alerts::{Channel, NotifyError};

const WORDS_MAX: usize = 200;
/// Matrix' are the longest.
const NAME_BYTES_MAX: usize = 255;

/// Reads an answer. `asked` are the milliseconds of the header `Retry-After`.
pub fn read(channel: Channel, status: u16, asked: Option<i64>, body: &[u8]) -> Result<(), NotifyError> {
    let json: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let refused_inside = match channel {
        Channel::Telegram => json["ok"] == Value::Bool(false),
        Channel::Pushover => json["status"].as_i64() == Some(0),
        _ => false,
    };
    // A message that was changed already, by a try whose answer was lost.
    let changed = channel == Channel::Telegram
        && json["description"].as_str().is_some_and(|d| d.contains("message is not modified"));
    if changed || ((200..300).contains(&status) && !refused_inside) {
        return Ok(());
    }
    let put_off = status >= 500 || matches!(status, 408 | 425 | 429);
    let said = ["description", "message", "error", "detail"].iter().find_map(|k| json[*k].as_str());
    let errors = json["errors"].as_array().and_then(|e| e.first()?.as_str());
    let text = String::from_utf8_lossy(body);
    let said = said.or(errors).unwrap_or(if json.is_null() { text.trim() } else { "" });
    let said: String = said.chars().filter(|c| !c.is_control()).take(WORDS_MAX).collect();
    let message = if said.is_empty() {
        format!("{} answers {status}", channel.as_str())
    } else {
        format!("{} answers {status}: {said}", channel.as_str())
    };
    Err(NotifyError {
        too_large: false,
        permanent: !put_off,
        retry_after_ms: asked.or_else(|| said_ms(&json)),
        message,
    })
}

/// What the service calls the message it took, where it can be changed by that name.
pub fn message(channel: Channel, body: &[u8]) -> Option<String> {
    let json: Value = serde_json::from_slice(body).ok()?;
    let name = match channel {
        Channel::Telegram => json["result"]["message_id"].as_i64()?.to_string(),
        Channel::Discord => json["id"].as_str()?.to_owned(),
        Channel::Matrix => json["event_id"].as_str()?.to_owned(),
        _ => return None,
    };
    (!name.is_empty() && name.len() <= NAME_BYTES_MAX).then_some(name)
}

/// Seconds in the body, whole or not; Matrix writes milliseconds.
fn said_ms(json: &Value) -> Option<i64> {
    let seconds = json["parameters"]["retry_after"].as_f64().or_else(|| json["retry_after"].as_f64());
    let ms = seconds.map(|s| s * 1_000.0).or_else(|| json["retry_after_ms"].as_f64())?;
    (ms.is_finite() && (0.0..1e12).contains(&ms)).then_some(ms as i64)
}

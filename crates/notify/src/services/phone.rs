//! Text messages and calls, over the API of Twilio and of those that speak it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tenfold_app::alerts::Notice;

use super::{Body, Request, Twilio, Verb, cut};

/// Two parts of a text message with characters outside of its alphabet.
const SMS_BYTES_MAX: usize = 300;
const SPOKEN_BYTES_MAX: usize = 400;

fn request(twilio: &Twilio, resource: &str, pairs: Vec<(&'static str, String)>) -> Request {
    let login = STANDARD.encode(format!("{}:{}", twilio.account, twilio.token));
    let url = format!("{}/2010-04-01/Accounts/{}/{resource}.json", twilio.url, twilio.account);
    Request {
        verb: Verb::Post,
        url,
        headers: vec![("authorization", format!("Basic {login}"))],
        body: Body::Form(pairs),
    }
}

pub fn sms(twilio: &Twilio, to: &str, notice: &Notice) -> Request {
    // The link is what a person can act with: the words before it give way.
    let words = cut(&notice.subject, SMS_BYTES_MAX.saturating_sub(notice.link.len() + 1));
    let text = format!("{words} {}", notice.link);
    request(twilio, "Messages", vec![("To", to.to_owned()), ("From", twilio.from.clone()), ("Body", text)])
}

pub fn voice(twilio: &Twilio, to: &str, notice: &Notice) -> Request {
    let words = spoken(&cut(&notice.subject, SPOKEN_BYTES_MAX));
    let say = format!("<Say>This is tenfold. {words}.</Say><Pause length=\"1\"/>");
    let twiml = format!("<Response>{say}{say}<Say>Open the incident to acknowledge it.</Say></Response>");
    request(twilio, "Calls", vec![("To", to.to_owned()), ("From", twilio.from.clone()), ("Twiml", twiml)])
}

/// As it may stand in XML and be read aloud.
fn spoken(text: &str) -> String {
    let plain: String =
        text.chars().map(|c| if c.is_control() || matches!(c, '[' | ']' | '_') { ' ' } else { c }).collect();
    plain.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// `application/x-www-form-urlencoded`.
pub fn form(pairs: &[(&'static str, String)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

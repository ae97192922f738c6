//! Text messages and calls, over the API of Twilio and of those that speak it.
//!
//! That the provider took the order is not yet a person: it says afterwards what became of it, at an address of ours, and
//! signs that with the account's token.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use tenfold_app::alerts::Notice;
use url::{Host, Url};

use super::{Request, Twilio, cut};

/// Two parts of a text message with characters outside of its alphabet.
const SMS_BYTES_MAX: usize = 300;
const SPOKEN_BYTES_MAX: usize = 400;
/// How long a call waits for a key.
const KEY_TIMEOUT_S: u32 = 10;

/// Where the provider can tell us something: nowhere when our address is of this machine alone, unless it is there as well.
pub fn callback(public_url: &str, provider_url: &str) -> Option<String> {
    let loopback = |url: &str| match Url::parse(url).ok().as_ref().and_then(Url::host) {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => true,
    };
    (!loopback(public_url) || loopback(provider_url)).then(|| public_url.trim_end_matches('/').to_owned())
}

/// An address of ours, about the message or call of a key.
fn ours(base: &str, what: &str, key: &str) -> String {
    let key: String = url::form_urlencoded::byte_serialize(key.as_bytes()).collect();
    format!("{base}/hooks/twilio/{what}?key={key}")
}

fn request(twilio: &Twilio, resource: &str, to: &str, key: &str, (name, text): (&'static str, String)) -> Request {
    let login = STANDARD.encode(format!("{}:{}", twilio.account, twilio.token));
    let url = format!("{}/2010-04-01/Accounts/{}/{resource}.json", twilio.url, twilio.account);
    let mut pairs = vec![("To", to.to_owned()), ("From", twilio.from.clone()), (name, text)];
    pairs.extend(twilio.callback.as_ref().map(|base| ("StatusCallback", ours(base, "status", key))));
    Request::form(url, pairs).header("authorization", format!("Basic {login}"))
}

pub fn sms(twilio: &Twilio, to: &str, notice: &Notice, key: &str) -> Request {
    let answers = twilio.answers && notice.incident > 0;
    let how = if answers { format!("Answer 4 {} to acknowledge. ", notice.incident) } else { String::new() };
    // The link is what a person can act with: the words before it give way.
    let words = cut(&notice.subject, SMS_BYTES_MAX.saturating_sub(how.len() + notice.link.len() + 1));
    request(twilio, "Messages", to, key, ("Body", format!("{words} {how}{}", notice.link)))
}

pub fn voice(twilio: &Twilio, to: &str, notice: &Notice, key: &str) -> Request {
    let words = spoken(&cut(&notice.subject, SPOKEN_BYTES_MAX));
    let say = format!("<Say>This is tenfold. {words}.</Say><Pause length=\"1\"/>");
    let twice = match &twilio.callback {
        Some(base) => format!(
            "<Gather numDigits=\"1\" timeout=\"{KEY_TIMEOUT_S}\" action=\"{}\">{say}{say}\
             <Say>Press 4 to acknowledge.</Say></Gather>",
            ours(base, "key", key)
        ),
        None => format!("{say}{say}"),
    };
    let twiml = format!("<Response>{twice}<Say>Open the incident to acknowledge it.</Say></Response>");
    request(twilio, "Calls", to, key, ("Twiml", twiml))
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

/// Whether the account's token signed this: HMAC-SHA1 over the address and the fields in their order, each value behind its
/// name. Twilio signs the address with its port or without, whichever it was told, so both count.
/// <https://www.twilio.com/docs/usage/security#validating-requests>
pub fn signed(token: &str, url: &str, fields: &[(String, String)], signature: &str) -> bool {
    let Ok(signature) = STANDARD.decode(signature) else { return false };
    let mut sorted: Vec<_> = fields.iter().collect();
    sorted.sort_unstable();
    sorted.dedup();
    let fields: String = sorted.into_iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]).collect();
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, token.as_bytes());
    let mut addresses = std::iter::once(url.to_owned()).chain(other_port(url));
    addresses.any(|address| hmac::verify(&key, format!("{address}{fields}").as_bytes(), &signature).is_ok())
}

/// The address without its port, or with that of its scheme when it has none.
fn other_port(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (host, path) = rest.split_at(end);
    let port = if scheme == "https" { 443 } else { 80 };
    // The colons of an address in brackets are not of a port.
    let without = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
    Some(match without {
        Some((name, _)) => format!("{scheme}://{name}{path}"),
        None => format!("{scheme}://{host}:{port}{path}"),
    })
}

//! The header `Retry-After` (RFC 9110, section 10.2.3): how long a receiver asks to be left alone.

use reqwest::header::{HeaderMap, RETRY_AFTER};
use tenfold_types::Timestamp;

/// Milliseconds from now. What cannot be read is not asked for.
pub fn wait_ms(headers: &HeaderMap, now: Timestamp) -> Option<i64> {
    read(headers.get(RETRY_AFTER)?.to_str().ok()?.trim(), now)
}

/// Seconds, which some write with a fraction, or an instant; one that is past asks for no wait.
fn read(text: &str, now: Timestamp) -> Option<i64> {
    if let Ok(seconds) = text.parse::<f64>() {
        let ms = seconds * 1_000.0;
        return (ms.is_finite() && (0.0..1e12).contains(&ms)).then_some(ms as i64);
    }
    Timestamp::parse_rfc2822(text).map(|at| at.since_ms(now).max(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates() {
        let now = Timestamp::parse_rfc3339("2015-10-21T07:27:00Z").expect("an instant");
        for (text, expected) in [
            ("30", Some(30_000)),
            ("0.65", Some(650)),
            ("0", Some(0)),
            ("Wed, 21 Oct 2015 07:28:00 GMT", Some(60_000)),
            ("Wed, 21 Oct 2015 07:00:00 GMT", Some(0)),
            ("-5", None),
            ("NaN", None),
            ("1e300", None),
            ("soon", None),
            ("Wed, 32 Oct 2015 07:28:00 GMT", None),
            ("", None),
        ] {
            assert_eq!(read(text, now), expected, "{text}");
        }
        assert_eq!(wait_ms(&HeaderMap::new(), now), None);
    }
}

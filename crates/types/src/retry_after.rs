//! The header `Retry-After` (RFC 9110, section 10.2.3): how long whoever was asked wants to be left alone.

use crate::Timestamp;

/// Nobody is left alone for longer because they say so, in milliseconds. Who waits for less bounds it further.
pub const RETRY_AFTER_MS_MAX: i64 = 3_600_000;

/// Milliseconds from now, [`RETRY_AFTER_MS_MAX`] at most, of the header's value: seconds, which some write with a fraction, or
/// an instant; one that is past asks for no wait. What cannot be read is not asked for.
pub fn retry_after_ms(value: &str, now: Timestamp) -> Option<i64> {
    let value = value.trim();
    let ms = match value.parse::<f64>() {
        Ok(seconds) if seconds.is_finite() && seconds >= 0.0 => (seconds * 1_000.0) as i64,
        Ok(_) => return None,
        Err(_) => Timestamp::parse_rfc2822(value)?.since_ms(now).max(0),
    };
    Some(ms.min(RETRY_AFTER_MS_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates() {
        let now = Timestamp::parse_rfc3339("2015-10-21T07:27:00Z").expect("an instant");
        for (value, expected) in [
            ("30", Some(30_000)),
            (" 7 ", Some(7_000)),
            ("0.65", Some(650)),
            ("0", Some(0)),
            ("Wed, 21 Oct 2015 07:28:00 GMT", Some(60_000)),
            ("Wed, 21 Oct 2015 07:00:00 GMT", Some(0)),
            ("3600", Some(RETRY_AFTER_MS_MAX)),
            ("86400", Some(RETRY_AFTER_MS_MAX)),
            ("1e300", Some(RETRY_AFTER_MS_MAX)),
            ("Thu, 22 Oct 2015 07:28:00 GMT", Some(RETRY_AFTER_MS_MAX)),
            ("-5", None),
            ("NaN", None),
            ("inf", None),
            ("soon", None),
            ("Wed, 32 Oct 2015 07:28:00 GMT", None),
            ("", None),
        ] {
            assert_eq!(retry_after_ms(value, now), expected, "{value}");
        }
    }
}

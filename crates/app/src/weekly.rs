//! The week that the room is told of: it ends on Monday at 9 o'clock UTC, when people are at work again.

use tenfold_types::Timestamp;

pub(crate) const WEEK_MS: i64 = 7 * 86_400_000;
/// The first Monday of 1970, at 9 o'clock UTC.
const MONDAY_MS: i64 = 4 * 86_400_000 + 9 * 3_600_000;

/// The number of the week that began last.
pub(crate) fn week(now: Timestamp) -> i64 {
    (now.millis() - MONDAY_MS).div_euclid(WEEK_MS)
}

/// When a week begins, and the one before ends.
pub(crate) fn begins(week: i64) -> Timestamp {
    Timestamp(week.saturating_mul(WEEK_MS).saturating_add(MONDAY_MS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_week_begins_on_monday_at_nine() {
        let instant = |text: &str| Timestamp::parse_rfc3339(text).expect("an instant");
        let at = |text: &str| week(instant(text));
        assert_eq!(at("2026-11-23T09:00:00Z"), at("2026-11-30T08:59:59Z"));
        assert_eq!(at("2026-11-23T08:59:59Z") + 1, at("2026-11-23T09:00:00Z"));
        assert_eq!(begins(at("2026-11-25T12:00:00Z")), instant("2026-11-23T09:00:00Z"));
    }
}

//! Durations as Prometheus writes them: `5s`, `1h30m`, `100ms`, `1d`, `1w`, `1y`. Always in milliseconds here.
//!
//! Source: `model.Duration` of Prometheus' common library. A year has 365 days, as there.

/// Largest first.
const UNITS: [(&str, i64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Reads a duration at the start of a text: milliseconds, and how many bytes it takes. Units come from large to small, each
/// at most once; none may be missing.
pub fn duration_prefix(text: &str) -> Option<(i64, usize)> {
    let (mut at, mut total, mut units) = (0, 0_i64, &UNITS[..]);
    loop {
        let rest = &text[at..];
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        if digits == 0 {
            return (at > 0).then_some((total, at));
        }
        let letters = rest[digits..].find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len() - digits);
        let position = units.iter().position(|(unit, _)| *unit == &rest[digits..digits + letters])?;
        let count: i64 = rest[..digits].parse().ok()?;
        total = total.checked_add(count.checked_mul(units[position].1)?)?;
        units = &units[position + 1..];
        at += digits + letters;
    }
}

/// Reads a text that is a duration and nothing else; `0` needs no unit.
///
/// # Errors
/// One sentence saying what a duration looks like.
pub fn parse_duration_ms(text: &str) -> Result<i64, String> {
    match duration_prefix(text) {
        Some((ms, len)) if len == text.len() => Ok(ms),
        _ if text == "0" => Ok(0),
        _ => Err(format!("`{text}` is not a duration; write it like 30s, 5m, 1h30m, 1d or 500ms")),
    }
}

/// The shortest exact writing: `90000` is `1m30s`. Negative values are written as `0s`.
pub fn format_duration_ms(ms: i64) -> String {
    if ms <= 0 {
        return "0s".to_owned();
    }
    let (mut left, mut out) = (ms, String::new());
    for (unit, size) in UNITS {
        // Years and weeks only when they come out even, as Prometheus does.
        if matches!(unit, "y" | "w") && left % size != 0 {
            continue;
        }
        if left >= size {
            out.push_str(&(left / size).to_string());
            out.push_str(unit);
            left %= size;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes() {
        for (text, ms) in [("0", 0), ("5s", 5_000), ("1h30m", 5_400_000), ("100ms", 100), ("1w2d", 777_600_000)] {
            assert_eq!(parse_duration_ms(text), Ok(ms), "{text}");
        }
        for text in ["", "5", "s", "1m1h", "1m1m", "-5s", "5 s", "99999999999999y", "1.5s", "5s ", "5sé"] {
            assert!(parse_duration_ms(text).is_err(), "{text}");
        }
        for text in ["5s", "1h30m", "100ms", "1d", "2w", "1d2h3m4s5ms", "1d1h", "1y", "9d"] {
            assert_eq!(format_duration_ms(parse_duration_ms(text).unwrap()), text);
        }
        assert_eq!([0, -1].map(format_duration_ms), ["0s", "0s"]);
    }

    #[test]
    fn a_prefix_ends_where_no_number_follows() {
        assert_eq!(duration_prefix("5m]"), Some((300_000, 2)));
        assert_eq!(duration_prefix("1h30m offset"), Some((5_400_000, 5)));
        assert_eq!(duration_prefix("m"), None);
        assert_eq!(duration_prefix("5"), None);
    }
}

//! Durations as Prometheus writes them: `5s`, `1h30m`, `100ms`, `1d`, `1w`, `1y`. Always in milliseconds here.

const UNITS: [(&str, i64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Reads a Prometheus duration; units must come from large to small, each at most once. `0` needs no unit.
///
/// # Errors
/// One sentence saying what a duration looks like.
pub fn parse_duration_ms(text: &str) -> Result<i64, String> {
    let wrong = || format!("`{text}` is not a duration; write it like 30s, 5m, 1h30m or 1d");
    if text == "0" {
        return Ok(0);
    }
    let mut rest = text;
    let mut total: i64 = 0;
    let mut next_unit = 0;
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let number: i64 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let unit = &rest[..letters];
        let at = UNITS[next_unit..].iter().position(|(n, _)| *n == unit).ok_or_else(wrong)? + next_unit;
        total = number.checked_mul(UNITS[at].1).and_then(|ms| total.checked_add(ms)).ok_or_else(wrong)?;
        next_unit = at + 1;
        rest = &rest[letters..];
    }
    Ok(total)
}

/// The shortest exact writing of a duration: `90000` is `1m30s`. Negative values are written as `0s`.
pub fn format_duration_ms(ms: i64) -> String {
    if ms <= 0 {
        return "0s".to_owned();
    }
    let mut left = ms;
    let mut out = String::new();
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
        for text in ["", "5", "s", "1m1h", "1m1m", "-5s", "5 s", "99999999999999y", "1.5s"] {
            assert!(parse_duration_ms(text).is_err(), "{text}");
        }
        for text in ["5s", "1h30m", "100ms", "1d", "2w", "1d2h3m4s5ms"] {
            assert_eq!(format_duration_ms(parse_duration_ms(text).unwrap()), text);
        }
        assert_eq!(format_duration_ms(0), "0s");
    }
}

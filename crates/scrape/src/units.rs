//! Durations (`1h30m`) and sizes (`10MB`) as Prometheus' configuration writes them.

/// Largest first. Years are 365 days, as there.
const UNITS: [(&str, u64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Reads a duration in milliseconds: units from large to small, each once at most; `0` needs none.
pub fn parse_duration_ms(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is not a duration; write it like 30s, 5m, 1h30m or 500ms");
    if text == "0" {
        return Ok(0);
    }
    let (mut rest, mut total, mut units) = (text, 0_u64, &UNITS[..]);
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let at = units.iter().position(|(name, _)| *name == &rest[..letters]).ok_or_else(wrong)?;
        total = number.checked_mul(units[at].1).and_then(|ms| total.checked_add(ms)).ok_or_else(wrong)?;
        units = &units[at + 1..];
        rest = &rest[letters..];
    }
    if i64::try_from(total).is_err() { Err(wrong()) } else { Ok(total) }
}

/// The shortest exact writing: 90,000 ms is `1m30s`.
pub fn format_duration_ms(ms: u64) -> String {
    if ms == 0 {
        return "0s".to_owned();
    }
    let (mut left, mut out) = (ms, String::new());
    for (unit, size) in UNITS {
        // Years, weeks and days only when they come out even, as Prometheus does.
        if matches!(unit, "y" | "w" | "d") && !left.is_multiple_of(size) {
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

/// Reads a size in bytes. `KB` and `KiB` are both 1,024, as Prometheus has them.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is not a size; write it like 512KB, 10MB or 1GB");
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().map_err(|_| wrong())?;
    let shift = match &text[digits..] {
        "" if number == 0 => 0,
        "B" => 0,
        "KB" | "KiB" => 10,
        "MB" | "MiB" => 20,
        "GB" | "GiB" => 30,
        "TB" | "TiB" => 40,
        "PB" | "PiB" => 50,
        "EB" | "EiB" => 60,
        _ => return Err(wrong()),
    };
    number.checked_mul(1 << shift).filter(|n| i64::try_from(*n).is_ok()).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written() {
        for (text, ms) in [("0", 0), ("5s", 5_000), ("1h30m", 5_400_000), ("100ms", 100), ("1w2d", 777_600_000)] {
            assert_eq!(parse_duration_ms(text), Ok(ms), "{text}");
        }
        for text in ["", "5", "s", "1m1h", "1m1m", "-5s", "5 s", "99999999999999y", "1.5s"] {
            assert!(parse_duration_ms(text).is_err(), "{text}");
        }
        for (ms, text) in [(0, "0s"), (90_000, "1m30s"), (86_400_000, "1d"), (90_000_000, "25h"), (604_800_000, "1w")] {
            assert_eq!(format_duration_ms(ms), text);
        }
    }

    #[test]
    fn sizes_are_read() {
        for (text, bytes) in [("0", 0), ("5B", 5), ("512KB", 1 << 19), ("10MiB", 10 << 20), ("1GB", 1 << 30)] {
            assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
        }
        for text in ["", "10", "10mb", "MB", "1.5MB", "99999999999EB", "16EB"] {
            assert!(parse_bytes(text).is_err(), "{text}");
        }
    }
}

//! Numbers for people, as Prometheus' templates write them.

use tenfold_types::Timestamp;

use super::format;

pub fn humanize(mut v: f64) -> String {
    if v == 0.0 || !v.is_finite() {
        return format::general(v, 4);
    }
    let mut prefix = "";
    if v.abs() >= 1.0 {
        for p in ["k", "M", "G", "T", "P", "E", "Z", "Y"] {
            if v.abs() < 1000.0 {
                break;
            }
            prefix = p;
            v /= 1000.0;
        }
    } else {
        for p in ["m", "u", "n", "p", "f", "a", "z", "y"] {
            if v.abs() >= 1.0 {
                break;
            }
            prefix = p;
            v *= 1000.0;
        }
    }
    format!("{}{prefix}", format::general(v, 4))
}

pub fn humanize_1024(mut v: f64) -> String {
    if v.abs() <= 1.0 || !v.is_finite() {
        return format::general(v, 4);
    }
    let mut prefix = "";
    for p in ["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"] {
        if v.abs() < 1024.0 {
            break;
        }
        prefix = p;
        v /= 1024.0;
    }
    format!("{}{prefix}", format::general(v, 4))
}

/// Seconds as Go prints a duration: `1h30m0.5s`, below a second `1.5ms`.
pub fn go_duration(seconds: f64) -> String {
    let nanos = (seconds * 1e9) as i64;
    let sign = if nanos < 0 { "-" } else { "" };
    let nanos = nanos.unsigned_abs();
    let of = |unit: u64| format!("{}", nanos as f64 / unit as f64);
    match nanos {
        0 => "0s".to_owned(),
        1..1_000 => format!("{sign}{nanos}ns"),
        1_000..1_000_000 => format!("{sign}{}µs", of(1_000)),
        1_000_000..1_000_000_000 => format!("{sign}{}ms", of(1_000_000)),
        _ => {
            let minutes = nanos / 60_000_000_000;
            let (hours, rest) = (minutes / 60, nanos % 60_000_000_000);
            let seconds = rest as f64 / 1e9;
            match (hours, minutes % 60) {
                (0, 0) => format!("{sign}{seconds}s"),
                (0, minutes) => format!("{sign}{minutes}m{seconds}s"),
                (hours, minutes) => format!("{sign}{hours}h{minutes}m{seconds}s"),
            }
        }
    }
}

pub fn humanize_duration(mut v: f64) -> String {
    if !v.is_finite() {
        return format::general(v, 4);
    }
    if v == 0.0 {
        return "0s".to_owned();
    }
    if v.abs() >= 1.0 {
        let sign = if v < 0.0 { "-" } else { "" };
        v = v.abs();
        let whole = v as i64;
        let (days, hours, minutes, seconds) = (whole / 86_400, whole / 3_600 % 24, whole / 60 % 60, whole % 60);
        return if days != 0 {
            format!("{sign}{days}d {hours}h {minutes}m {seconds}s")
        } else if hours != 0 {
            format!("{sign}{hours}h {minutes}m {seconds}s")
        } else if minutes != 0 {
            format!("{sign}{minutes}m {seconds}s")
        } else {
            format!("{sign}{}s", format::general(v, 4))
        };
    }
    let mut prefix = "";
    for p in ["m", "u", "n", "p", "f", "a", "z", "y"] {
        if v.abs() >= 1.0 {
            break;
        }
        prefix = p;
        v *= 1000.0;
    }
    format!("{}{prefix}s", format::general(v, 4))
}

/// `v` seconds since the epoch as Go writes an instant in UTC.
pub fn humanize_timestamp(seconds: f64) -> String {
    if !seconds.is_finite() {
        return format::general(seconds, 4);
    }
    format::time(Timestamp::from_millis((seconds * 1000.0) as i64))
}

pub fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut start = true;
    for c in text.chars() {
        if start {
            out.extend(c.to_uppercase());
        } else {
            out.push(c);
        }
        start = !(c.is_alphanumeric() || c == '_' || c == '\'');
    }
    out
}

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

/// Go's `strings.Title`, as rules have it: the first letter of each word in capitals, the others as they are. Any sign of ASCII
/// but letters, digits and `_` ends a word, and of all others blanks alone.
pub fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut start = true;
    for c in text.chars() {
        if start {
            out.extend(c.to_uppercase());
        } else {
            out.push(c);
        }
        start = if c.is_ascii() { !(c.is_ascii_alphanumeric() || c == '_') } else { c.is_whitespace() };
    }
    out
}

/// Signs that end no word when they stand between two letters or digits.
const WITHIN_WORDS: [char; 5] = ['\'', '\u{2019}', '.', ':', '\u{b7}'];

/// Go's `cases.Title`, as notifications have it: the first letter of each word in capitals, all others small.
pub fn title_words(text: &str) -> String {
    let inside = |c: char| c.is_alphanumeric() || c == '_';
    let mut out = String::with_capacity(text.len());
    let (mut begun, mut before) = (false, ' ');
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let joins = WITHIN_WORDS.contains(&c) && inside(before) && chars.peek().is_some_and(|next| inside(*next));
        if begun {
            out.extend(c.to_lowercase());
        } else {
            out.extend(c.to_uppercase());
        }
        begun = if inside(c) { begun || c.is_alphabetic() } else { begun && joins };
        before = c;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `promtool test rules` and `amtool template render` write them.
    #[test]
    fn titles_are_those_of_the_two_programs() {
        let cases = [
            ("HELLO wORLD", "HELLO WORLD", "Hello World"),
            ("don't do-it a.b c_d", "Don'T Do-It A.B C_d", "Don't Do-It A.b C_d"),
            ("it\u{2019}s", "It\u{2019}s", "It\u{2019}s"),
            ("1st x2y 3.a a:b", "1st X2y 3.A A:B", "1St X2y 3.A A:b"),
            ("a'.b a''b 'quoted'", "A'.B A''B 'Quoted'", "A'.B A''B 'Quoted'"),
            ("\u{c4}RGER", "\u{c4}RGER", "\u{c4}rger"),
        ];
        for (text, rule, notification) in cases {
            assert_eq!((title(text).as_str(), title_words(text).as_str()), (rule, notification), "{text}");
        }
    }
}

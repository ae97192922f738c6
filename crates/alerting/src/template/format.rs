//! Numbers and `printf` as Go writes them.

use std::fmt::Write;

use tenfold_types::Timestamp;

use super::Value;

/// Go's `%v` of a float64: the shortest digits that read back, with an exponent from 1e21 on and below 1e-4.
pub fn shortest(v: f64) -> String {
    if let Some(special) = special(v) {
        return special;
    }
    let text = format!("{v:e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..21).contains(&exponent) { format!("{v}") } else { with_exponent(mantissa, exponent) }
}

/// Go's `%.{precision}g`.
pub fn general(v: f64, precision: usize) -> String {
    if let Some(special) = special(v) {
        return special;
    }
    let precision = precision.max(1);
    let text = format!("{v:.*e}", precision - 1);
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if exponent < -4 || exponent >= precision as i32 {
        return with_exponent(&without_zeros(mantissa), exponent);
    }
    let decimals = (precision as i32 - 1 - exponent).max(0) as usize;
    without_zeros(&format!("{v:.decimals$}"))
}

fn special(v: f64) -> Option<String> {
    match v {
        v if v.is_nan() => Some("NaN".to_owned()),
        f64::INFINITY => Some("+Inf".to_owned()),
        f64::NEG_INFINITY => Some("-Inf".to_owned()),
        _ => None,
    }
}

fn with_exponent(mantissa: &str, exponent: i32) -> String {
    format!("{mantissa}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
}

fn without_zeros(text: &str) -> String {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text.to_owned() }
}

/// An instant as Go prints it: `2026-11-23 06:09:40.123 +0000 UTC`.
pub fn time(at: Timestamp) -> String {
    let text = at.to_string();
    let bare = text.trim_end_matches('Z').replacen('T', " ", 1);
    let bare = if bare.contains('.') { bare.trim_end_matches('0').trim_end_matches('.') } else { &bare };
    format!("{bare} +0000 UTC")
}

/// A text in Go's double quotes.
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\u{b}' => out.push_str("\\v"),
            c if c.is_ascii_control() => write!(out, "\\x{:02x}", u32::from(c)).unwrap_or_default(),
            c if c.is_control() => write!(out, "\\u{:04x}", u32::from(c)).unwrap_or_default(),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// `%[flags][width][.precision]verb`.
#[derive(Default)]
struct Verb {
    left: bool,
    plus: bool,
    zero: bool,
    space: bool,
    sharp: bool,
    width: usize,
    precision: Option<usize>,
}

/// The longest width and precision, so that a pattern cannot ask for megabytes.
const WIDTH_MAX: usize = 200;

/// Go's `printf` for the verbs `v s q d b o x X c U t f F g G e E %`, flags, a width and a precision.
pub fn printf(pattern: &str, arguments: &[Value]) -> String {
    let mut out = String::new();
    let mut used = 0;
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut verb = Verb::default();
        while let Some(flag) = chars.next_if(|c| matches!(c, '-' | '+' | '0' | ' ' | '#')) {
            match flag {
                '-' => verb.left = true,
                '+' => verb.plus = true,
                '0' => verb.zero = true,
                ' ' => verb.space = true,
                _ => verb.sharp = true,
            }
        }
        verb.width = digits(&mut chars);
        if chars.next_if_eq(&'.').is_some() {
            verb.precision = Some(digits(&mut chars));
        }
        match chars.next() {
            None => out.push_str("%!(NOVERB)"),
            Some('%') => out.push('%'),
            Some(letter) => match arguments.get(used) {
                None => write!(out, "%!{letter}(MISSING)").unwrap_or_default(),
                Some(argument) => {
                    used += 1;
                    verb.pad(&mut out, &verb.text(letter, argument), argument);
                }
            },
        }
    }
    if used < arguments.len() {
        let extra: Vec<_> = arguments[used..].iter().map(|a| format!("{}={}", a.type_name(), a.print())).collect();
        write!(out, "%!(EXTRA {})", extra.join(", ")).unwrap_or_default();
    }
    out
}

fn digits(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> usize {
    let mut n = 0;
    while let Some(d) = chars.peek().and_then(|c| c.to_digit(10)) {
        n = (n * 10 + d as usize).min(WIDTH_MAX);
        chars.next();
    }
    n
}

fn hexadecimal(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len() * 2), |mut out, b| {
        write!(out, "{b:02x}").unwrap_or_default();
        out
    })
}

impl Verb {
    fn pad(&self, out: &mut String, text: &str, argument: &Value) {
        let missing = self.width.saturating_sub(text.chars().count());
        let number = matches!(argument, Value::Int(_)) || matches!(argument, Value::Float(n) if n.is_finite());
        if self.left {
            out.push_str(text);
            out.push_str(&" ".repeat(missing));
        } else if self.zero && number {
            let sign = usize::from(text.starts_with(['-', '+', ' ']));
            out.push_str(&text[..sign]);
            out.push_str(&"0".repeat(missing));
            out.push_str(&text[sign..]);
        } else {
            out.push_str(&" ".repeat(missing));
            out.push_str(text);
        }
    }

    fn text(&self, letter: char, argument: &Value) -> String {
        let plain = match (letter, argument) {
            ('v', Value::Float(n)) => self.precision.map_or_else(|| shortest(*n), |p| general(*n, p)),
            ('v' | 'd', Value::Int(n)) => n.to_string(),
            ('s' | 'v', Value::Text(t)) => self.cut(t),
            (
                's' | 'v',
                Value::List(_)
                | Value::Map(_)
                | Value::Object(_)
                | Value::Time(_)
                | Value::Zoned(_)
                | Value::Duration(_),
            ) => argument.print(),
            ('v', other) => {
                if matches!(other, Value::Nil) {
                    "<nil>".to_owned()
                } else {
                    other.print()
                }
            }
            ('q', Value::Text(t)) => quote(&self.cut(t)),
            ('q', Value::List(list)) => {
                format!("[{}]", list.iter().map(|v| quote(&v.print())).collect::<Vec<_>>().join(" "))
            }
            ('t', Value::Bool(b)) => b.to_string(),
            ('x', Value::Int(n)) => signed(*n, self.sharp.then_some("0x"), |n| format!("{n:x}")),
            ('X', Value::Int(n)) => signed(*n, self.sharp.then_some("0X"), |n| format!("{n:X}")),
            ('o', Value::Int(n)) => signed(*n, self.sharp.then_some("0"), |n| format!("{n:o}")),
            ('b', Value::Int(n)) => signed(*n, self.sharp.then_some("0b"), |n| format!("{n:b}")),
            ('c', Value::Int(n)) => character(*n).to_string(),
            ('q', Value::Int(n)) => format!("'{}'", character(*n)),
            ('U', Value::Int(n)) => format!("U+{n:04X}"),
            ('x', Value::Text(t)) => hexadecimal(t),
            ('X', Value::Text(t)) => hexadecimal(t).to_uppercase(),
            ('f' | 'F' | 'g' | 'G' | 'e' | 'E', Value::Float(n)) => self.float(letter, *n),
            (letter, Value::Nil) => format!("%!{letter}(<nil>)"),
            (letter, other) => format!("%!{letter}({}={})", other.type_name(), other.print()),
        };
        let positive = match argument {
            Value::Int(n) => *n >= 0 && !matches!(letter, 'c' | 'q' | 'U'),
            Value::Float(n) => !n.is_sign_negative() && !plain.starts_with(['+', '%']),
            _ => false,
        };
        match (positive, self.plus, self.space) {
            (true, true, _) => format!("+{plain}"),
            (true, false, true) => format!(" {plain}"),
            _ => plain,
        }
    }

    fn cut(&self, text: &str) -> String {
        self.precision.map_or_else(|| text.to_owned(), |p| text.chars().take(p).collect())
    }

    fn float(&self, letter: char, n: f64) -> String {
        if let Some(special) = special(n) {
            return special;
        }
        let text = match letter {
            'f' | 'F' => format!("{n:.*}", self.precision.unwrap_or(6)),
            'e' | 'E' => {
                let text = format!("{n:.*e}", self.precision.unwrap_or(6));
                let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
                with_exponent(mantissa, exponent.parse().unwrap_or(0))
            }
            _ => self.precision.map_or_else(|| shortest(n), |p| general(n, p)),
        };
        if letter.is_ascii_uppercase() { text.to_uppercase() } else { text }
    }
}

fn signed(n: i64, prefix: Option<&str>, digits: impl Fn(u64) -> String) -> String {
    format!("{}{}{}", if n < 0 { "-" } else { "" }, prefix.unwrap_or_default(), digits(n.unsigned_abs()))
}

fn character(n: i64) -> char {
    u32::try_from(n).ok().and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER)
}

//! The functions of rule templates, as Prometheus and Go define them.

use tenfold_types::Timestamp;

use super::{Datum, TemplateError, format};

/// Name, fewest and most arguments.
const FUNCTIONS: &[(&str, usize, usize)] = &[
    ("humanize", 1, 1),
    ("humanize1024", 1, 1),
    ("humanizeDuration", 1, 1),
    ("humanizePercentage", 1, 1),
    ("humanizeTimestamp", 1, 1),
    ("printf", 1, 20),
    ("print", 1, 20),
    ("title", 1, 1),
    ("toUpper", 1, 1),
    ("toLower", 1, 1),
    ("stripPort", 1, 1),
    ("index", 2, 2),
    ("len", 1, 1),
    ("eq", 2, 20),
    ("ne", 2, 2),
    ("lt", 2, 2),
    ("le", 2, 2),
    ("gt", 2, 2),
    ("ge", 2, 2),
    ("and", 1, 20),
    ("or", 1, 20),
    ("not", 1, 1),
];

pub fn exists(name: &str) -> bool {
    FUNCTIONS.iter().any(|(n, ..)| *n == name)
}

pub fn check(name: &str, given: usize) -> Result<(), TemplateError> {
    match FUNCTIONS.iter().find(|(n, ..)| *n == name) {
        Some((_, min, max)) if (*min..=*max).contains(&given) => Ok(()),
        _ => Err(TemplateError(format!("`{name}` does not take {given} arguments"))),
    }
}

pub fn call(name: &str, arguments: Vec<Datum>) -> Result<Datum, TemplateError> {
    let first = || arguments.first().cloned().ok_or_else(|| TemplateError(format!("`{name}` needs an argument")));
    let number = || first().and_then(|d| as_number(&d));
    let text = || first().map(|d| d.print());
    Ok(match name {
        "humanize" => Datum::Text(humanize(number()?)),
        "humanize1024" => Datum::Text(humanize_1024(number()?)),
        "humanizeDuration" => Datum::Text(humanize_duration(number()?)),
        "humanizePercentage" => Datum::Text(format!("{}%", format::general(number()? * 100.0, 4))),
        "humanizeTimestamp" => Datum::Text(humanize_timestamp(number()?)),
        "printf" => {
            let pattern = text()?;
            Datum::Text(format::printf(&pattern, &arguments[1..]))
        }
        "print" => Datum::Text(arguments.iter().map(Datum::print).collect()),
        "title" => Datum::Text(title(&text()?)),
        "toUpper" => Datum::Text(text()?.to_uppercase()),
        "toLower" => Datum::Text(text()?.to_lowercase()),
        "stripPort" => {
            let address = text()?;
            let host = address.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
            Datum::Text(host.map_or(address.clone(), |(h, _)| h.trim_matches(['[', ']']).to_owned()))
        }
        "index" => match first()? {
            Datum::Labels(labels) => Datum::Text(labels.get(&arguments[1].print()).unwrap_or("").to_owned()),
            _ => return Err(TemplateError("`index` works on $labels only".to_owned())),
        },
        "len" => Datum::Number(match first()? {
            Datum::Labels(labels) => labels.len() as f64,
            other => other.print().len() as f64,
        }),
        "eq" => Datum::Bool(arguments[1..].iter().any(|other| same(&arguments[0], other))),
        "ne" => Datum::Bool(!same(&arguments[0], &arguments[1])),
        "lt" => Datum::Bool(as_number(&arguments[0])? < as_number(&arguments[1])?),
        "le" => Datum::Bool(as_number(&arguments[0])? <= as_number(&arguments[1])?),
        "gt" => Datum::Bool(as_number(&arguments[0])? > as_number(&arguments[1])?),
        "ge" => Datum::Bool(as_number(&arguments[0])? >= as_number(&arguments[1])?),
        "and" => arguments.iter().find(|d| !d.truth()).or(arguments.last()).cloned().unwrap_or(Datum::Bool(false)),
        "or" => arguments.iter().find(|d| d.truth()).or(arguments.last()).cloned().unwrap_or(Datum::Bool(false)),
        "not" => Datum::Bool(!first()?.truth()),
        _ => return Err(TemplateError(format!("the function `{name}` is not supported"))),
    })
}

fn same(a: &Datum, b: &Datum) -> bool {
    match (a, b) {
        (Datum::Number(a), Datum::Number(b)) => a == b,
        _ => a.print() == b.print(),
    }
}

fn as_number(datum: &Datum) -> Result<f64, TemplateError> {
    match datum {
        Datum::Number(n) => Ok(*n),
        other => {
            let text = other.print();
            text.trim().parse().map_err(|_| TemplateError(format!("`{text}` is not a number")))
        }
    }
}

fn humanize(mut v: f64) -> String {
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

fn humanize_1024(mut v: f64) -> String {
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

fn humanize_duration(mut v: f64) -> String {
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

fn humanize_timestamp(seconds: f64) -> String {
    if !seconds.is_finite() {
        return format::general(seconds, 4);
    }
    let text = Timestamp::from_millis((seconds * 1000.0) as i64).to_string();
    // `2026-11-23T06:09:40.123Z` becomes Go's `2026-11-23 06:09:40.123 +0000 UTC`.
    let bare = text.trim_end_matches('Z').replacen('T', " ", 1);
    let bare = if bare.contains('.') { bare.trim_end_matches('0').trim_end_matches('.') } else { &bare };
    format!("{bare} +0000 UTC")
}

fn title(text: &str) -> String {
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

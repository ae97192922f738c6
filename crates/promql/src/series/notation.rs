//! How Prometheus' test scripts and unit-test files write series: `name{label="value"} 1 2+3x4 _ {{schema:0 buckets:[1 2]}}x3 stale`.

use std::sync::Arc;

use tenfold_types::{
    Histogram, Labels, ResetHint, STALE_NAN,
    histogram::{Buckets, CUSTOM_SCHEMA},
};

use crate::{duration_or_seconds_ms, string_at, syntax::read_number};

/// One place of a sequence.
#[derive(Debug, Clone)]
pub enum Item {
    Missing,
    Float(f64),
    /// Whether its counter reset hint was written out.
    Histogram(Arc<Histogram>, bool),
}

pub type Result<T> = std::result::Result<T, String>;

/// A series description and what follows it.
///
/// # Errors
/// What cannot be read.
pub fn description(text: &str) -> Result<(Labels, &str)> {
    let name_end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':')).unwrap_or(text.len());
    let (name, rest) = text.split_at(name_end);
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(format!("`{text}` does not begin with a series"));
    }
    let mut labels = Labels::new();
    labels.set(Labels::NAME, name);
    let Some(mut rest) = rest.strip_prefix('{').map(str::trim_start) else {
        if name.is_empty() {
            return Err(format!("`{text}` does not begin with a series"));
        }
        return Ok((labels, rest));
    };
    while !rest.starts_with('}') {
        let name;
        if rest.starts_with(['"', '\'', '`']) {
            (name, rest) = quoted(rest)?;
            rest = rest.trim_start();
            if rest.starts_with([',', '}']) {
                labels.set(Labels::NAME, name);
                rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
                continue;
            }
        } else {
            let end = rest
                .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
                .ok_or_else(|| format!("the labels of `{text}` have no end"))?;
            name = rest[..end].to_string();
            rest = rest[end..].trim_start();
        }
        rest = rest.strip_prefix('=').ok_or_else(|| format!("`=` is missing before `{rest}`"))?.trim_start();
        let (value, after) = quoted(rest)?;
        labels.set(name, value);
        rest = after.trim_start();
        match rest.strip_prefix(',') {
            Some(more) => rest = more.trim_start(),
            None if rest.starts_with('}') => {}
            None => return Err(format!("`,` or `}}` is missing before `{rest}`")),
        }
    }
    Ok((labels, &rest[1..]))
}

/// A string in quotes at the start of a text, and what follows it.
///
/// # Errors
/// What cannot be read.
pub fn quoted(text: &str) -> Result<(String, &str)> {
    let (value, len) = string_at(text).ok_or_else(|| format!("`{text}` does not begin with a string"))?;
    Ok((value, &text[len..]))
}

/// A number as PromQL writes it, or a duration in seconds.
pub fn number(text: &str) -> Option<f64> {
    let (sign, plain) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    if plain.starts_with(['+', '-']) {
        return None;
    }
    if plain.eq_ignore_ascii_case("inf") {
        return Some(sign * f64::INFINITY);
    }
    if plain.eq_ignore_ascii_case("nan") {
        return Some(f64::NAN);
    }
    if !plain.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    read_number(plain).map(|n| sign * n).or_else(|| {
        let duration = plain.ends_with(|c: char| c.is_ascii_alphabetic());
        duration_or_seconds_ms(plain).filter(|_| duration).map(|ms| sign * ms as f64 / 1000.0)
    })
}

/// Values one line may stand for.
pub const ITEMS_MAX: usize = 1_000_000;

fn times(text: &str) -> Result<usize> {
    let n = text.parse().map_err(|_| format!("`{text}` is no number of repetitions"))?;
    if n > ITEMS_MAX { Err(format!("a value is repeated at most {ITEMS_MAX} times, not {n}")) } else { Ok(n) }
}

/// All items of a line.
///
/// # Errors
/// What cannot be read.
pub fn items(text: &str) -> Result<Vec<Item>> {
    let mut out = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        rest = if rest.starts_with("{{") { histograms(rest, &mut out)? } else { floats(rest, &mut out)? };
        if out.len() > ITEMS_MAX {
            return Err(format!("a series has at most {ITEMS_MAX} values"));
        }
        if !rest.is_empty() && !rest.starts_with(char::is_whitespace) {
            return Err(format!("a blank is missing before `{rest}`"));
        }
        rest = rest.trim_start();
    }
    Ok(out)
}

fn floats<'t>(text: &'t str, out: &mut Vec<Item>) -> Result<&'t str> {
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    // There are no hexadecimal numbers here: `0x5` is zero repeated.
    let (what, repeated) = match word.rfind('x') {
        Some(at) => (&word[..at], Some(times(&word[at + 1..])?)),
        None => (word, None),
    };
    if what == "_" {
        out.extend(std::iter::repeat_n(Item::Missing, repeated.unwrap_or(1)));
        return Ok(rest);
    }
    let value = if what == "stale" { Some(STALE_NAN) } else { number(what) };
    if let Some(value) = value {
        out.extend(std::iter::repeat_n(Item::Float(value), repeated.unwrap_or(0) + 1));
        return Ok(rest);
    }
    // start+step or start-step; the sign may also belong to an exponent.
    let mut signs =
        what.char_indices().skip(1).filter(|(i, c)| matches!(c, '+' | '-') && !what[..*i].ends_with(['e', 'E']));
    let parts = signs.find_map(|(i, _)| Some((number(&what[..i])?, number(&what[i..])?)));
    let (Some((mut value, step)), Some(repeated)) = (parts, repeated) else {
        return Err(format!("cannot read the value `{word}`"));
    };
    for _ in 0..=repeated {
        out.push(Item::Float(value));
        value += step;
    }
    Ok(rest)
}

fn histograms<'t>(text: &'t str, out: &mut Vec<Item>) -> Result<&'t str> {
    let (base, mut hinted, mut rest) = histogram(text)?;
    let sign = match rest.chars().next() {
        Some(c @ ('+' | '-')) if rest[1..].starts_with("{{") => Some(c),
        _ => None,
    };
    let mut step = None;
    if let Some(sign) = sign {
        let (h, step_hinted, after) = histogram(&rest[1..])?;
        (step, hinted, rest) = (Some((sign, h)), step_hinted, after);
    }
    let mut repeated = 0;
    if let Some(after) = rest.strip_prefix('x') {
        let end = after.find(char::is_whitespace).unwrap_or(after.len());
        repeated = times(&after[..end])?;
        rest = &after[end..];
    } else if step.is_some() {
        return Err(format!("a number of repetitions is missing before `{rest}`"));
    }
    let mut current = base;
    out.push(Item::Histogram(Arc::new(current.clone()), hinted));
    for _ in 0..repeated {
        if let Some((sign, step)) = &step {
            if current.schema > step.schema {
                return Err(format!(
                    "error combining histograms: cannot merge from schema {} to {}",
                    step.schema, current.schema
                ));
            }
            let sum = if *sign == '+' { current.plus(step) } else { current.minus(step) };
            current = sum.map_err(|e| e.to_string())?.0;
        }
        out.push(Item::Histogram(Arc::new(current.clone()), hinted));
    }
    Ok(rest)
}

/// `{{key:value ...}}`, whether it names the counter reset hint, and what follows.
fn histogram(text: &str) -> Result<(Histogram, bool, &str)> {
    let end = text.find("}}").ok_or_else(|| format!("the histogram `{text}` has no end"))?;
    let (body, rest) = (&text[2..end], &text[end + 2..]);
    let mut h = Histogram::default();
    let (mut offset, mut negative_offset) = (0, 0);
    let (mut counts, mut negative_counts) = (Vec::new(), Vec::new());
    let mut seen: Vec<&str> = Vec::new();
    let mut left = body.trim();
    while !left.is_empty() {
        let (key, after) = left.split_once(':').ok_or_else(|| format!("`:` is missing in `{left}`"))?;
        if seen.contains(&key) {
            return Err(format!("duplicate key \"{key}\" in histogram"));
        }
        seen.push(key);
        let end = match after.strip_prefix('[') {
            Some(list) => list.find(']').ok_or_else(|| format!("`]` is missing in `{after}`"))? + 2,
            None => after.find(char::is_whitespace).unwrap_or(after.len()),
        };
        let (value, more) = after.split_at(end);
        left = more.trim_start();
        let float = || number(value).ok_or_else(|| format!("`{value}` is no number"));
        let int = || value.parse::<i32>().map_err(|_| format!("`{value}` is no whole number"));
        let list = || {
            let inner = value.strip_prefix('[').and_then(|v| v.strip_suffix(']'));
            let words = inner.ok_or_else(|| format!("`{value}` is no list"))?.split_whitespace();
            words.map(|w| number(w).ok_or_else(|| format!("`{w}` is no number"))).collect::<Result<Vec<f64>>>()
        };
        match key {
            "schema" => h.schema = int()?,
            "sum" => h.sum = float()?,
            "count" => h.count = float()?,
            "z_bucket" => h.zero_count = float()?,
            "z_bucket_w" => h.zero_threshold = float()?,
            "custom_values" => h.bounds = list()?.into(),
            "offset" => offset = int()?,
            "n_offset" => negative_offset = int()?,
            "buckets" => counts = list()?,
            "n_buckets" => negative_counts = list()?,
            "counter_reset_hint" => {
                h.reset_hint = match value {
                    "unknown" => ResetHint::Unknown,
                    "reset" => ResetHint::Reset,
                    "not_reset" => ResetHint::NotReset,
                    "gauge" => ResetHint::Gauge,
                    other => return Err(format!("unknown counter reset hint `{other}`")),
                }
            }
            other => return Err(format!("unknown key `{other}` in a histogram")),
        }
    }
    if h.schema != CUSTOM_SCHEMA && !h.bounds.is_empty() {
        return Err("custom values need the schema -53".into());
    }
    (h.positive, h.negative) = (Buckets::single(offset, counts), Buckets::single(negative_offset, negative_counts));
    Ok((h, seen.contains(&"counter_reset_hint"), rest))
}

/// Offsets of start timestamps in milliseconds: `-1m`, `_`, `-30s-1mx4`.
///
/// # Errors
/// What cannot be read.
pub fn start_offsets(text: &str) -> Result<Vec<Option<i64>>> {
    let mut out = Vec::new();
    for word in text.split_whitespace() {
        let (what, repeated) = match word.rsplit_once('x') {
            Some((what, n)) => (what, Some(times(n)?)),
            None => (word, None),
        };
        if what == "_" {
            out.extend(std::iter::repeat_n(None, repeated.unwrap_or(1)));
            continue;
        }
        let signed = |text: &str| {
            let (sign, plain) = match text.strip_prefix('-') {
                Some(rest) => (-1, rest),
                None => (1, text.strip_prefix('+').unwrap_or(text)),
            };
            duration_or_seconds_ms(plain).map(|ms| sign * ms).ok_or_else(|| format!("`{text}` is no duration"))
        };
        let split = what.char_indices().skip(1).find(|(_, c)| matches!(c, '+' | '-')).map(|(i, _)| i);
        let (mut value, step) = match split {
            Some(i) => (signed(&what[..i])?, signed(&what[i..])?),
            None => (signed(what)?, 0),
        };
        for _ in 0..=repeated.unwrap_or(0) {
            out.push(Some(value));
            value += step;
        }
    }
    Ok(out)
}

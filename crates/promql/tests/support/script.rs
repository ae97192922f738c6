//! Reads and runs the scripts of Prometheus' `promqltest` (its README describes the language). Native histograms are not
//! read: their points count as missing when loaded, and a case that expects one does not pass.

use std::collections::BTreeMap;

use tenfold_promql::{
    Interrupt, Level, Limits, Output, Query, QueryError, Value, instant, parse, parse_duration_ms, parse_matchers,
    range,
};
use tenfold_types::{Labels, STALE_NAN};

use super::store::Table;

/// What became of one `eval`.
pub struct Case {
    pub line: usize,
    pub query: String,
    /// Why it did not pass.
    pub failure: Option<String>,
}

#[derive(Clone, Copy)]
enum Item {
    Value(f64),
    Missing,
    Histogram,
}

#[derive(Default)]
struct Expectation {
    fail: bool,
    ordered: bool,
    string: Option<String>,
    range: Option<(i64, i64)>,
    messages: Vec<(String, Option<(bool, String)>)>,
    no: Vec<Level>,
    series: Vec<(Labels, Vec<Item>)>,
    number: Option<f64>,
    unreadable: Option<String>,
}

pub fn run(text: &str) -> Vec<Case> {
    let lines: Vec<&str> = text.lines().map(str::trim).map(|l| if l.starts_with('#') { "" } else { l }).collect();
    let mut table = Table::default();
    let mut cases = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let line = lines[at];
        let body: Vec<&str> = lines[at + 1..].iter().take_while(|l| !l.is_empty()).copied().collect();
        let word = line.split_whitespace().next().unwrap_or_default();
        if word.starts_with("load") {
            let step = duration(line.split_whitespace().nth(1).unwrap_or_default());
            for line in &body {
                load(&mut table, line, step);
            }
            at += body.len();
        } else if word == "clear" {
            table = Table::default();
        } else if word.starts_with("eval") {
            cases.push(eval(&table, line, &body, at + 1));
            at += body.len();
        }
        at += 1;
    }
    cases
}

fn duration(text: &str) -> i64 {
    parse_duration_ms(text).unwrap_or_else(|| panic!("`{text}` is not a duration"))
}

fn load(table: &mut Table, line: &str, step: i64) {
    let Some((labels, items)) = series_line(line) else { return };
    for (i, item) in items.into_iter().enumerate() {
        if let Item::Value(v) = item {
            table.add(labels.clone(), i as i64 * step, v);
        }
    }
}

/// Where the series description ends: after the closing brace outside quotes, or at the first blank.
fn description_end(line: &str) -> usize {
    let mut quote = None;
    let mut escaped = false;
    let mut depth = 0;
    for (i, c) in line.char_indices() {
        match (quote, c) {
            (Some(_), _) if escaped => escaped = false,
            (Some(q), '\\') if q != '`' => escaped = true,
            (Some(q), c) if c == q => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'' | '`') => quote = Some(c),
            (None, '{') => depth += 1,
            (None, '}') => {
                depth -= 1;
                if depth == 0 {
                    return i + 1;
                }
            }
            (None, c) if c.is_whitespace() && depth == 0 => return i,
            _ => {}
        }
    }
    line.len()
}

fn series_line(line: &str) -> Option<(Labels, Vec<Item>)> {
    let end = if line.starts_with("{{") { return None } else { description_end(line) };
    let (description, rest) = line.split_at(end);
    if rest.starts_with('@') {
        return None; // start timestamps
    }
    let compact: String = description.chars().filter(|c| !c.is_whitespace()).collect();
    let labels = if compact == "{}" {
        Labels::new()
    } else {
        Labels::from_pairs(parse_matchers(description).ok()?.into_iter().map(|m| (m.name, m.value)))
    };
    Some((labels, items(rest)?))
}

fn items(text: &str) -> Option<Vec<Item>> {
    let mut out = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        if rest.starts_with("{{") {
            // {{a}} or {{a}}xN or {{a}}+{{b}}xN
            let mut end = rest.find("}}")? + 2;
            if rest[end..].starts_with("+{{") || rest[end..].starts_with("-{{") {
                end += rest[end..].find("}}")? + 2;
            }
            let word_end = rest[end..].find(char::is_whitespace).map_or(rest.len(), |i| end + i);
            let times = rest[end..word_end].strip_prefix('x').map_or(Some(0), |n| n.parse().ok())?;
            out.extend(std::iter::repeat_n(Item::Histogram, times + 1));
            rest = rest[word_end..].trim_start();
            continue;
        }
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        word(&rest[..end], &mut out)?;
        rest = rest[end..].trim_start();
    }
    Some(out)
}

fn number(text: &str) -> Option<f64> {
    match text.trim_start_matches('+').to_ascii_lowercase().as_str() {
        "inf" => Some(f64::INFINITY),
        "-inf" => Some(f64::NEG_INFINITY),
        "nan" => Some(f64::NAN),
        other => other.parse().ok(),
    }
}

fn single(text: &str) -> Option<Item> {
    match text {
        "_" => Some(Item::Missing),
        "stale" => Some(Item::Value(STALE_NAN)),
        _ => number(text).map(Item::Value),
    }
}

fn word(text: &str, out: &mut Vec<Item>) -> Option<()> {
    if let Some(item) = single(text) {
        out.push(item);
        return Some(());
    }
    let (what, times) = text.rsplit_once('x')?;
    let times: usize = times.parse().ok()?;
    if let Some(item) = single(what) {
        let more = usize::from(!matches!(item, Item::Missing));
        out.extend(std::iter::repeat_n(item, times + more));
        return Some(());
    }
    // start+step or start-step; the sign may also belong to an exponent or to the start
    let split = what
        .char_indices()
        .skip(1)
        .find(|(i, c)| matches!(c, '+' | '-') && !what[..*i].ends_with(['e', 'E']) && number(&what[..*i]).is_some())?;
    let (start, step) = (number(&what[..split.0])?, number(&what[split.0..])?);
    // Added up one by one, as the reference does.
    let mut value = start;
    for _ in 0..=times {
        out.push(Item::Value(value));
        value += step;
    }
    Some(())
}

fn expectations(body: &[&str]) -> Expectation {
    let mut e = Expectation::default();
    for line in body {
        if let Some(rest) = line.strip_prefix("expect ") {
            let rest = rest.trim();
            let (kind, detail) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
            let matcher = detail.split_once(':').map(|(how, text)| (how.trim() == "regex", text.trim().to_string()));
            match kind {
                "fail" => {
                    e.fail = true;
                    e.messages.push(("fail".into(), matcher));
                }
                "warn" | "info" => e.messages.push((kind.into(), matcher)),
                "no_warn" => e.no.push(Level::Warning),
                "no_info" => e.no.push(Level::Info),
                "ordered" => e.ordered = true,
                "string" => e.string = Some(unquote(detail.trim())),
                "range" => {
                    let words: Vec<&str> = detail.split_whitespace().collect();
                    e.range = Some((duration(words[2]), duration(words[6])));
                }
                other => e.unreadable = Some(format!("unknown expectation `{other}`")),
            }
            continue;
        }
        if let Some(n) = number(line) {
            e.number = Some(n);
            continue;
        }
        match series_line(line) {
            Some(series) => e.series.push(series),
            None => e.unreadable = Some(format!("cannot read the expected line `{line}`")),
        }
    }
    e
}

fn unquote(text: &str) -> String {
    let inner = &text[1..text.len() - 1];
    if text.starts_with('`') { inner.into() } else { inner.replace("\\\"", "\"").replace("\\\\", "\\") }
}

fn eval(table: &Table, line: &str, body: &[&str], number: usize) -> Case {
    let (command, rest) = line.split_once(char::is_whitespace).unwrap();
    let mut expected = expectations(body);
    match command {
        "eval_fail" => expected.fail = true,
        "eval_ordered" => expected.ordered = true,
        "eval_warn" => expected.messages.push(("warn".into(), None)),
        "eval_info" => expected.messages.push(("info".into(), None)),
        _ => {}
    }
    let words: Vec<&str> = rest.split_whitespace().collect();
    let ranged = words[0] == "range";
    let used = if ranged { 7 } else { 3 };
    let mut query = rest;
    for word in &words[..used] {
        query = query[query.find(word).unwrap() + word.len()..].trim_start();
    }
    let (interrupt, limits) = (Interrupt::default(), Limits::default());
    let engine =
        Query { source: table, limits: &limits, interrupt: &interrupt, lookback_ms: 300_000, subquery_step_ms: 60_000 };
    let answer = parse(query).and_then(|expr| {
        if ranged {
            range(&engine, &expr, duration(words[2]), duration(words[4]), duration(words[6]))
        } else {
            instant(&engine, &expr, duration(words[2]))
        }
    });
    let grid = ranged.then(|| (duration(words[2]), duration(words[6])));
    let failure = compare(&expected, answer, query, grid).err();
    Case { line: number, query: query.into(), failure }
}

fn compare(
    e: &Expectation,
    answer: Result<Output, QueryError>,
    query: &str,
    grid: Option<(i64, i64)>,
) -> Result<(), String> {
    if let Some(reason) = &e.unreadable {
        return Err(reason.clone());
    }
    let output = match answer {
        Err(error) if e.fail => {
            for (_, matcher) in e.messages.iter().filter(|(kind, m)| kind == "fail" && m.is_some()) {
                let (regex, text) = matcher.as_ref().unwrap();
                if !message_matches(*regex, text, &error.to_string()) {
                    return Err(format!("failed with `{error}`, not with `{text}`"));
                }
            }
            return Ok(());
        }
        Err(error) => return Err(format!("failed: {}", error.pointing(query))),
        Ok(_) if e.fail => return Err("did not fail".into()),
        Ok(output) => output,
    };
    annotations(e, &output, query)?;
    match &output.value {
        Value::String { value, .. } => match &e.string {
            Some(wanted) if wanted == value => Ok(()),
            wanted => Err(format!("got the string {value:?}, expected {wanted:?}")),
        },
        Value::Scalar(p) => match e.number {
            Some(n) if close(n, p.value) => Ok(()),
            n => Err(format!("got the scalar {}, expected {n:?}", p.value)),
        },
        Value::Vector(vector) => {
            let got: Vec<(Labels, BTreeMap<i64, f64>)> =
                vector.iter().map(|s| ((*s.labels).clone(), [(0, s.value)].into())).collect();
            series(e, &got, (0, 1), e.ordered)
        }
        Value::Matrix(matrix) => {
            let got: Vec<(Labels, BTreeMap<i64, f64>)> = matrix
                .iter()
                .map(|s| ((*s.labels).clone(), s.points.iter().map(|p| (p.t_ms, p.value)).collect()))
                .collect();
            let grid = grid.or(e.range).ok_or("an instant query gave a matrix, and no timestamps are expected")?;
            series(e, &got, grid, false)
        }
    }
}

fn message_matches(regex: bool, text: &str, message: &str) -> bool {
    if regex { regex::Regex::new(text).is_ok_and(|r| r.is_match(message)) } else { text == message }
}

fn annotations(e: &Expectation, output: &Output, query: &str) -> Result<(), String> {
    for level in [Level::Warning, Level::Info] {
        let word = if level == Level::Warning { "warn" } else { "info" };
        let got: Vec<String> =
            output.annotations.iter().filter(|a| a.level == level).map(|a| a.render(query)).collect();
        let wanted: Vec<_> = e.messages.iter().filter(|(kind, _)| kind == word).collect();
        if e.no.contains(&level) && !got.is_empty() {
            return Err(format!("unexpected {word}: {got:?}"));
        }
        if !wanted.is_empty() && got.is_empty() {
            return Err(format!("no {word}, expected {wanted:?}"));
        }
        for (_, matcher) in &wanted {
            if let Some((regex, text)) = matcher
                && !got.iter().any(|g| message_matches(*regex, text, g))
            {
                return Err(format!("no {word} like `{text}` among {got:?}"));
            }
        }
    }
    Ok(())
}

fn series(
    e: &Expectation,
    got: &[(Labels, BTreeMap<i64, f64>)],
    (start, step): (i64, i64),
    ordered: bool,
) -> Result<(), String> {
    let mut wanted: Vec<(Labels, BTreeMap<i64, f64>)> = Vec::new();
    for (labels, items) in &e.series {
        let mut points = BTreeMap::new();
        for (i, item) in items.iter().enumerate() {
            match item {
                Item::Value(v) => {
                    points.insert(start + i as i64 * step, *v);
                }
                Item::Missing => {}
                Item::Histogram => return Err("expects a native histogram".into()),
            }
        }
        wanted.push((labels.clone(), points));
    }
    if let Some(n) = e.number {
        return Err(format!("expected the scalar {n}, got {} series", got.len()));
    }
    wanted.retain(|(_, points)| !points.is_empty());
    if wanted.len() != got.len() {
        return Err(format!("got {} series, expected {}: {got:?}", got.len(), wanted.len()));
    }
    for (i, (labels, points)) in wanted.iter().enumerate() {
        let found =
            if ordered { got.get(i).filter(|(l, _)| l == labels) } else { got.iter().find(|(l, _)| l == labels) };
        let Some((_, values)) = found else {
            return Err(format!("no series {labels} {}among {got:?}", if ordered { "at its place " } else { "" }));
        };
        let same =
            points.len() == values.len() && points.iter().zip(values).all(|((t, v), (u, w))| t == u && close(*v, *w));
        if !same {
            return Err(format!("{labels}: got {values:?}, expected {points:?}"));
        }
    }
    Ok(())
}

/// Equal within a millionth, the tolerance the scripts are written for.
#[expect(clippy::float_cmp, reason = "infinities and exact hits need no tolerance")]
fn close(a: f64, b: f64) -> bool {
    if a.is_nan() || b.is_nan() {
        return a.is_nan() && b.is_nan();
    }
    if a == b {
        return true;
    }
    let sum = a.abs() + b.abs();
    let difference = (a - b).abs();
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < 1e-6 * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < 1e-6
}

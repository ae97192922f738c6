//! Queries written out: by us and by a real Prometheus, whose `format_query` is asked for every expression of its own test
//! scripts. Skipped in one line when the scripts or `prometheus` are not there.

#[path = "support/server.rs"]
mod server;

use std::{env, fs, path::PathBuf};

use server::{Prometheus, installed};
use tenfold_promql::{Dialect, parse_as};

/// The expressions of the scripts, each once.
fn expressions() -> Vec<String> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance/promql");
    let named = env::var_os("PROMQL_SCRIPTS").map(PathBuf::from);
    let is_named = named.is_some();
    let dir = named.unwrap_or(beside);
    let shown = dir.display().to_string();
    let files = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let texts = files.filter(|p| p.extension().is_some_and(|e| e == "test")).filter_map(|p| fs::read_to_string(p).ok());
    let mut found: Vec<String> =
        texts.flat_map(|text| text.lines().filter_map(expression).collect::<Vec<_>>()).collect();
    found.sort();
    found.dedup();
    assert!(!is_named || !found.is_empty(), "PROMQL_SCRIPTS names {shown}, where there is no script");
    found
}

/// `eval instant at 5m EXPR` and `eval range from 0 to 5m step 1m EXPR`, in whatever mood.
fn expression(line: &str) -> Option<String> {
    let mut words = line.trim().split_inclusive(' ');
    let first = words.next()?.trim();
    if first != "eval" && !first.starts_with("eval_") {
        return None;
    }
    let skipped = match words.next()?.trim() {
        "instant" => 2,
        "range" => 6,
        _ => return None,
    };
    let rest: String = words.skip(skipped).collect();
    (!rest.trim().is_empty()).then(|| rest.trim().to_owned())
}

/// Without indents, which 2.42 lost before a subquery.
fn unindented(text: &str) -> String {
    text.lines().map(str::trim_start).collect::<Vec<_>>().join("\n")
}

/// What is written otherwise on purpose.
fn is_ours(query: &str) -> bool {
    // A metric's name is written before the braces, also where it was given within; and 2.42 left `group_left` out where
    // no labels were named, which Prometheus 3 does not.
    query.contains("__name__") || (query.contains("group_") && !query.contains("on") && !query.contains("ignoring"))
}

/// Whether a number has an exponent, which Prometheus no longer writes since 3.3.
fn has_exponent(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.windows(3).any(|w| w[0].is_ascii_digit() && w[1] == b'e' && matches!(w[2], b'+' | b'-'))
}

#[test]
fn prometheus_writes_queries_the_same_way() {
    let expressions = expressions();
    if !installed("prometheus") {
        tenfold_testkit::peer_is_missing("prometheus is not installed");
        return;
    }
    if expressions.is_empty() {
        println!("skipped: the PromQL scripts are not there");
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary directory");
    let prometheus = Prometheus::start(dir.path());
    let (mut same, mut unknown, mut apart) = (0, 0, Vec::new());
    for query in &expressions {
        let Ok(parsed) = parse_as(query, Dialect { experimental: true }) else { continue };
        let theirs = prometheus.ask("/api/v1/format_query", &[("query", query)]);
        match theirs["data"].as_str() {
            // It came after that version.
            None => unknown += 1,
            Some(theirs) if is_ours(query) || has_exponent(theirs) => {}
            Some(theirs) if unindented(theirs) == unindented(&parsed.pretty()) => same += 1,
            Some(theirs) => apart.push(format!("{query}\n   ours {}\n theirs {theirs}", parsed.pretty())),
        }
        let written = parsed.to_string();
        let again = parse_as(&written, Dialect { experimental: true });
        let again = again.unwrap_or_else(|e| panic!("{query} was written {written}: {e}"));
        assert_eq!(again.to_string(), written, "{query}");
    }
    println!("{same} queries are written as Prometheus writes them, {unknown} it does not know");
    assert!(apart.is_empty(), "{} are not:\n{}", apart.len(), apart.join("\n"));
}

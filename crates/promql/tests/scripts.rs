//! Prometheus' own PromQL test scripts. Where they lie: `PROMQL_SCRIPTS`, or `shared/conformance/promql` beside the
//! repository. The table below says how many cases of each pass; the numbers may only rise.

mod support;

use std::{env, fs, path::PathBuf};

/// File, cases that pass at least. What is missing needs native histograms or start timestamps.
const PASSING: &[(&str, usize)] = &[
    ("aggregators.test", 125),
    ("at_modifier.test", 78),
    ("collision.test", 2),
    ("duration_expression.test", 59),
    ("extended_vectors.test", 123),
    ("fill-modifier.test", 46),
    ("functions.test", 380),
    ("histograms.test", 93),
    ("info.test", 52),
    ("literals.test", 25),
    ("native_histograms.test", 3),
    ("operators.test", 145),
    ("start_timestamps.test", 2),
    ("trig_functions.test", 19),
    ("type_and_unit.test", 58),
];

#[test]
fn scripts_pass_as_before() {
    let dir = env::var_os("PROMQL_SCRIPTS").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance/promql"),
        PathBuf::from,
    );
    let Ok(entries) = fs::read_dir(&dir) else {
        println!("skipped: no PromQL scripts at {}", dir.display());
        return;
    };
    let mut paths: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).collect();
    paths.retain(|p| p.extension().is_some_and(|e| e == "test"));
    paths.sort();
    let verbose = env::var("PROMQL_VERBOSE").ok();
    let (mut total, mut passed, mut regressions) = (0, 0, Vec::new());
    for path in &paths {
        let name = path.file_name().and_then(|n| n.to_str()).expect("script names are plain");
        let cases = support::script::run(&fs::read_to_string(path).expect("scripts are text"));
        let good = cases.iter().filter(|c| c.failure.is_none()).count();
        println!("{name}: {good} of {} pass", cases.len());
        if verbose.as_deref() == Some(name) {
            for c in cases.iter().filter(|c| c.failure.is_some()) {
                println!("{name}:{}: {}\n    {}", c.line, c.query, c.failure.as_deref().unwrap_or_default());
            }
        }
        let before = PASSING.iter().find(|(n, _)| *n == name).map_or(0, |(_, n)| *n);
        if good < before {
            regressions.push(format!("{name}: {good} cases pass, {before} did before"));
        }
        total += cases.len();
        passed += good;
    }
    println!("scripts: {total} cases, {passed} passed, {} failed", total - passed);
    assert!(regressions.is_empty(), "{regressions:#?}");
}

//! Prometheus' own PromQL test scripts. Where they lie: `PROMQL_SCRIPTS`, or `shared/conformance/promql` beside the
//! repository; a folder that is named has to be there. Every case must pass but those listed below with the reason. `PROMQL_VERBOSE=file.test` tells why cases fail.

mod support;

use std::{env, fs, path::PathBuf};

/// Cases that do not pass, with the reason: file, line and why. There are none.
const EXCEPTIONS: &[(&str, usize, &str)] = &[];

#[test]
fn scripts_pass() {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance/promql");
    let named = env::var_os("PROMQL_SCRIPTS").map(PathBuf::from);
    let dir = named.as_ref().unwrap_or(&beside);
    let Ok(entries) = fs::read_dir(dir) else {
        assert!(named.is_none(), "PROMQL_SCRIPTS names {}, which is no folder that can be read", dir.display());
        println!("skipped: no PromQL scripts at {}", dir.display());
        return;
    };
    let mut paths: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).collect();
    paths.retain(|p| p.extension().is_some_and(|e| e == "test"));
    paths.sort();
    let verbose = env::var("PROMQL_VERBOSE").ok();
    let (mut total, mut passed, mut wrong) = (0, 0, Vec::new());
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
        for c in &cases {
            let excepted = EXCEPTIONS.iter().any(|(file, line, _)| *file == name && *line == c.line);
            if excepted == c.failure.is_none() {
                let what = if excepted { "passes and is listed as an exception" } else { "fails" };
                wrong.push(format!("{name}:{} {what}: {}", c.line, c.query));
            }
        }
        total += cases.len();
        passed += good;
    }
    assert!(total > 0, "there is no script with a case in {}", dir.display());
    println!("scripts: {total} cases, {passed} passed, {} failed", total - passed);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

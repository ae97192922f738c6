//! The specification's own schemas as a judge.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

/// Where schemas and examples lie beside the checkout; says so when they do not.
pub fn foreign() -> Option<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance/cdevents");
    if dir.join("schemas").is_dir() {
        return Some(dir);
    }
    println!("skipped: the schemas of CDEvents are not beside the checkout");
    None
}

/// The verdicts of the specification's own schemas, by Python's jsonschema.
pub fn verdicts(dir: &Path, events: &[(String, Value)]) -> Option<Vec<bool>> {
    const JUDGE: &str = r#"
import json, sys, pathlib
from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry
from referencing.jsonschema import DRAFT202012
root = pathlib.Path(sys.argv[1]).resolve()
registry = Registry()
for path in root.glob("schemas/**/*.json"):
    schema = json.loads(path.read_text())
    resource = DRAFT202012.create_resource(schema)
    registry = registry.with_resource(schema.get("$id", path.as_uri()), resource)
    registry = registry.with_resource(path.as_uri(), resource)
for line in sys.stdin:
    name, event = json.loads(line)
    schema = json.loads((root / "schemas" / (name + ".json")).read_text())
    good = Draft202012Validator(schema, registry=registry, format_checker=FormatChecker()).is_valid(event)
    print(1 if good else 0, flush=True)
"#;
    let probe = Command::new("python3").args(["-c", "import jsonschema, referencing"]).output();
    if !probe.is_ok_and(|o| o.status.success()) {
        println!("skipped: this needs Python's jsonschema");
        return None;
    }
    let mut judge = Command::new("python3")
        .args(["-c", JUDGE, dir.to_str().expect("a path")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python starts");
    let lines: Vec<String> = events.iter().map(|(name, event)| json!([name, event]).to_string() + "\n").collect();
    let lines = lines.concat();
    let mut input = judge.stdin.take().expect("its input");
    let writer = std::thread::spawn(move || input.write_all(lines.as_bytes()));
    let output = judge.wait_with_output().expect("it ends");
    writer.join().expect("it writes").expect("it reads");
    assert!(output.status.success());
    Some(String::from_utf8_lossy(&output.stdout).lines().map(|l| l == "1").collect())
}

/// The name of the schema that an event has to fit.
pub fn schema_of(event: &Value) -> String {
    let kind = event["context"]["type"].as_str().expect("a type");
    let words: Vec<&str> = kind.split('.').collect();
    format!("{}{}", words[2], words[3])
}

//! `tenfold pipeline check`: what it says of files, without any server.

#![expect(clippy::unwrap_used, reason = "a test that fails should panic where it fails")]

use std::path::Path;
use std::process::{Command, Output};

const GOOD: &str = "service: photos
run: {command: [node, server.mjs]}
targets:
  production:
    hosts: {role: web}
    canary:
      hosts: 1
      check: {query: 'sum(rate(errors{host=~\"$canary\"}[1m]))', max: 0.5}
  staging:
    nomad: {cluster: dc1, job: photos, tasks: {web/server: {image: 'registry.example/photos:$sha'}}}
";

fn check(dir: &Path, files: &[(&str, &str)], more: &[&str]) -> Output {
    for (name, text) in files {
        std::fs::write(dir.join(name), text).unwrap();
    }
    // nothing of the machine's sign-in is needed or used
    Command::new(env!("CARGO_BIN_EXE_tenfold"))
        .args(["pipeline", "check"])
        .args(files.iter().map(|(name, _)| name))
        .args(more)
        .env("HOME", dir)
        .env("TENFOLD_URL", "http://127.0.0.1:1")
        .current_dir(dir)
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn a_good_file_is_said_to_be_good() {
    let dir = tempfile::tempdir().unwrap();
    let output = check(dir.path(), &[("a.yaml", GOOD)], &[]);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(
        said(&output).trim(),
        "a.yaml: photos is good: production to role=web, staging to job default/photos on dc1"
    );
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    let cases = [
        ("    hosts: {role: web}", "    hsots: {role: web}", "a.yaml:5: ", "hsots"),
        ("max: 0.5", "maximum: 0.5", "a.yaml:8: ", "maximum"),
        ("[1m]))'", "[1m])'", "a.yaml:8: ", "is no PromQL"),
        ("cluster: dc1, ", "", "a.yaml:10: ", "cluster"),
        ("service: photos", "service: ../photos", "a.yaml:1: ", "`service`"),
        ("photos:$sha", "photos:latest", "a.yaml:10: ", "names no commit"),
    ];
    for (from, to, at, words) in cases {
        assert!(GOOD.contains(from), "{from}");
        let dir = tempfile::tempdir().unwrap();
        let output = check(dir.path(), &[("a.yaml", &GOOD.replacen(from, to, 1)), ("b.yaml", GOOD)], &[]);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(1), "{to}: {said}");
        assert!(said.starts_with(at) && said.contains(words), "{to}: {said}");
        assert!(said.contains("b.yaml: photos is good"), "the other file is read all the same: {said}");
    }
}

#[test]
fn programs_read_json_and_a_missing_file_is_misuse() {
    let dir = tempfile::tempdir().unwrap();
    let output = check(dir.path(), &[("a.yaml", GOOD), ("b.yaml", "service: [")], &["--json"]);
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["ok"], false);
    assert_eq!(answer["files"][0]["targets"]["production"], "role=web");
    assert!(answer["files"][1]["ok"] == false && answer["files"][1]["line"].is_number(), "{answer}");
    let output = check(dir.path(), &[], &["nowhere.yaml"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
}

//! `tenfold deploy --dry-run`: what would ship and what each stage would do, or why the deploy would be refused. Nothing changes.

#![expect(clippy::unwrap_used, reason = "a test that fails should panic where it fails")]

mod bench;

use std::path::Path;
use std::process::Command;

use bench::{Bench, code, err, text};

/// To a place where nothing is ever live; no host is needed.
const PIPELINE: &str = "service: site\nbuild: {command: [make, site]}\ntargets:\n  production:\n    command: {deploy: ['true'], observe: ['true']}\nexpects:\n  metrics: [{query: up, should: stay}]\n  risks: [the cache is cold]\n";

fn git(dir: &Path, args: &[&str]) {
    assert!(Command::new("git").args(args).current_dir(dir).status().unwrap().success(), "git {args:?}");
}

fn commit(root: &Path, pipeline: &str) {
    std::fs::write(root.join(".tenfold/deploy.yaml"), pipeline).unwrap();
    git(root, &["add", "--all"]);
    git(root, &["-c", "user.name=ana", "-c", "user.email=ana@demo.example", "commit", "--quiet", "-m", "work"]);
}

/// A server that knows a service with one commit.
fn world() -> Bench {
    let bench = Bench::start();
    bench.set_up();
    let root = bench.dir.path().join("repository");
    std::fs::create_dir_all(root.join(".tenfold")).unwrap();
    git(&root, &["init", "--quiet", "--initial-branch", "main"]);
    commit(&root, PIPELINE);
    let token = text(&bench.run(&["token", "create", "test", "--role", "admin"]));
    let service = serde_json::json!({"repository": root, "environments": ["production"]}).to_string();
    let mut put = Command::new("curl");
    put.args(["-sS", "--fail-with-body", "--max-time", "30", "-X", "PUT", "-H", "Content-Type: application/json"]);
    put.args(["-H", &format!("Authorization: Bearer {}", token.trim()), "--data", &service]);
    let put = put.arg(format!("{}/api/services/site", bench.url)).output().unwrap();
    assert_eq!(code(&put), 0, "{} {}", text(&put), err(&put));
    bench
}

/// The exit code and what is said.
fn rehearsed(bench: &Bench) -> (i32, String) {
    let out = bench.run(&["deploy", "site", "--dry-run"]);
    (code(&out), format!("{}{}", text(&out), err(&out)))
}

#[test]
fn a_rehearsal_says_what_would_happen_and_changes_nothing() {
    let bench = world();
    let (done, said) = rehearsed(&bench);
    assert_eq!(done, 0, "{said}");
    let stages = ["building: make site, within 900 s", "staging:", "promoting:"];
    for line in ["site to production: nothing -> ", "expected: ", "risk: the cache is cold"].iter().chain(&stages) {
        assert!(said.contains(line), "{line}: {said}");
    }
    let json = bench.run(&["deploy", "site", "--dry-run", "--json"]);
    let next: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(next["plan"].as_array().unwrap().len(), 3, "{next}");
    let deploys = bench.run(&["deploys", "site", "--json"]);
    let deploys: serde_json::Value = serde_json::from_slice(&deploys.stdout).unwrap();
    assert_eq!(deploys["items"], serde_json::json!([]));
    assert_eq!(code(&bench.run(&["deploy", "nothing", "--dry-run"])), 1);
    assert_eq!(code(&bench.run(&["deploy", "site", "--dry-run", "--no-wait"])), 2);
}

#[test]
fn a_rehearsal_is_refused_where_the_deploy_would_be() {
    let bench = world();
    let mine = bench.run(&["lock", "site", "--reason", "moving the disk"]);
    assert_eq!(code(&mine), 0, "{}", err(&mine));
    let (done, said) = rehearsed(&bench);
    assert!(done == 0 && said.contains("is locked by Ana"), "an owner passes the own lock: {done} {said}");
    let freeze = bench.run(&["lock", "site", "--freeze", "--reason", "stocktaking"]);
    assert_eq!(code(&freeze), 0, "{}", err(&freeze));
    let (refused, said) = rehearsed(&bench);
    assert!(refused == 3 && said.contains("is frozen by Ana") && said.contains("stocktaking"), "{refused} {said}");
    // as in chat: what changes nothing overrides nothing
    assert_eq!(code(&bench.run(&["deploy", "site", "--dry-run", "--override", "the site is down"])), 2);
    assert_eq!(code(&bench.run(&["unlock", "site"])), 0);
    assert_eq!(rehearsed(&bench).0, 0);
    // a pin lets its commit through
    let root = bench.dir.path().join("repository");
    let pin = bench.run(&["lock", "site", "--pin", "main", "--reason", "until the fix is out"]);
    assert_eq!(code(&pin), 0, "{}", err(&pin));
    let (done, said) = rehearsed(&bench);
    assert_eq!(done, 0, "{said}");
    commit(&root, &PIPELINE.replace("is cold", "is warm"));
    let (refused, said) = rehearsed(&bench);
    assert!(refused == 3 && said.contains("is pinned to "), "{refused} {said}");
    assert_eq!(code(&bench.run(&["unlock", "site"])), 0);
    // an error names its line
    commit(&root, &PIPELINE.replace("build: {", "biuld: {"));
    let (refused, said) = rehearsed(&bench);
    assert!(refused == 3 && said.contains("line 2") && said.contains("biuld"), "{refused} {said}");
}

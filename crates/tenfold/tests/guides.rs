//! The guides for whoever begins, as they stand there, against the real server.

#![expect(clippy::unwrap_used, reason = "a test that fails should panic where it fails")]

mod bench;

use std::path::Path;
use std::process::Command;

use bench::{BINARY, Bench, PASSWORD, code, err, text};

/// The blocks of code of a guide: what stands behind the three backticks, and the text.
fn blocks(guide: &str) -> Vec<(String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide").join(guide);
    let text = std::fs::read_to_string(path).unwrap();
    // Every second piece lies between two blocks.
    let inside = text.split("\n```").skip(1).step_by(2);
    inside.map(|block| block.split_once('\n').unwrap()).map(|(head, body)| (head.into(), body.into())).collect()
}

#[test]
fn the_first_page_would_ring() {
    let bench = Bench::start();
    let out = bench.run_with(&["setup", &bench.link, "me"], &[], &format!("{PASSWORD}\n"));
    assert_eq!(code(&out), 0, "{}", err(&out));
    let mut files = 0;
    for (head, body) in blocks("first-page.md") {
        let Some((_, name)) = head.split_once(" title=") else { continue };
        let path = bench.dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, body).unwrap();
        files += 1;
    }
    assert_eq!(files, 4);
    for args in [
        &["apply", "config", "--dry-run"][..],
        &["apply", "config"],
        &["rules", "check", "rules/first.yaml"],
        &["rules", "put", "first", "rules/first.yaml"],
    ] {
        let out = bench.run(args);
        assert_eq!(code(&out), 0, "{args:?}: {}", err(&out));
    }
    let alert = ["alertname=HostDown", "service=hosts", "severity=critical"];
    let ask = |verb: &[&str], more: &[&str]| {
        let out = bench.run(&[verb, more].concat());
        assert_eq!(code(&out), 0, "{verb:?}: {}", err(&out));
        text(&out)
    };
    let ready = ask(&["oncall", "readiness"], &[]);
    // Nothing else is missing; a test would go to the address of the guide.
    let mine: Vec<&str> = ready.lines().filter(|line| line.starts_with("me ")).collect();
    assert_eq!(mine, ["me  was never sent a test page"], "{ready}");
    let played = ask(&["simulate"], &alert);
    for round in 1..=3 {
        assert!(played.contains(&format!("step 1, round {round}: me by ntfy")), "{played}");
    }
    let why = ask(&["why-not", "--for", "me"], &alert);
    assert!(why.contains("me would be paged"), "{why}");
}

#[test]
fn what_is_sent_by_hand_is_there() {
    let bench = Bench::start();
    bench.set_up();
    let token = text(&bench.run(&["token", "create", "photos", "--kind", "metrics"]));
    let programs = Path::new(BINARY).parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let mut tried = Vec::new();
    for (_, script) in blocks("sending.md").into_iter().filter(|(_, body)| body.starts_with("curl ")) {
        let mut shell = Command::new("sh");
        shell.args(["-ec", &script]).current_dir(bench.dir.path()).env_remove("TENFOLD_TOKEN");
        shell.env("PATH", &path).env("XDG_CONFIG_HOME", bench.home());
        let out = shell.env("TENFOLD_URL", &bench.url).env("TOKEN", token.trim()).output().unwrap();
        assert_eq!(code(&out), 0, "{script}\n{}", err(&out));
        tried.push(text(&out));
    }
    let [otlp, influx] = tried.as_slice() else { panic!("{tried:?}") };
    assert!(otlp.contains("queue_length{job=\"photos\"} 7"), "{otlp}");
    assert!(influx.contains("cpu_usage{db=\"telegraf\",host=\"h1\"} 0.5"), "{influx}");
}

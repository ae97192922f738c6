//! The flag guide's examples as they stand, with the real binary against the real server.

#![expect(clippy::unwrap_used, reason = "a test that fails should panic where it fails")]

mod bench;

use bench::{Bench, code, err, text};

/// The block of a guide that carries this title.
fn block(guide: &str, title: &str) -> String {
    let path = format!("{}/../../docs/guide/{guide}.md", env!("CARGO_MANIFEST_DIR"));
    let guide = std::fs::read_to_string(path).unwrap();
    let (_, after) = guide.split_once(&format!(" title={title}\n")).unwrap_or_else(|| panic!("no block {title}"));
    after.split("\n```").next().unwrap().to_owned()
}

#[test]
fn a_file_of_another_server_is_taken_and_given_back() {
    let b = Bench::start();
    b.set_up();
    std::fs::write(b.dir.path().join("flags.json"), block("flag-import", "flags.json")).unwrap();
    let lines = block("flag-import", "import");
    let mut outputs = Vec::new();
    for line in lines.lines() {
        let args: Vec<&str> = line.split(' ').skip(1).collect();
        outputs.push(b.run(&args));
    }
    let [dry, import, export] = outputs.as_slice() else { panic!("three lines: {lines}") };
    assert_eq!((code(dry), code(import), code(export)), (4, 4, 0), "{}", err(import));
    assert!(err(dry).contains("nothing was changed"), "{}", err(dry));
    assert!(text(import).starts_with(&block("flag-import", "report")), "{}", text(import));
    assert!(text(import).contains("a fraction of a per cent"), "{}", text(import));
    let document: serde_json::Value = serde_json::from_str(&text(export)).unwrap();
    assert_eq!(document["featureStrategies"][0]["parameters"]["groupId"], "search");
    assert_eq!(document["features"].as_array().unwrap().len(), 1);

    let again = b.run_with(&["flag", "import", "-", "--json", "--server", &b.url], &[], &text(export));
    let report: serde_json::Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!((code(&again), &report["unchanged"]), (0, &serde_json::json!(["new_search"])), "{report}");
    let misuse = b.run_with(&["flag", "import", "-"], &[], "{");
    assert_eq!(code(&misuse), 2, "{}", err(&misuse));
}

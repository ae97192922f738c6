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
    assert_eq!(report["project_of"]["new_search"], "default");
    let into = block("flag-import", "import-project");
    let mut lines = into.lines();
    let moved = run_all(&b, lines.next().unwrap(), 0);
    assert!(moved[0].starts_with("photos"), "{moved:?}");
    let moved = run_all(&b, lines.next().unwrap(), 4);
    assert!(moved[0].contains("changed new_search in the project photos"), "{moved:?}");
    let missing = b.run(&["flag", "import", "flags.json", "--project", "nowhere"]);
    assert!(err(&missing).contains("tenfold project create nowhere"), "{}", err(&missing));
    let misuse = b.run_with(&["flag", "import", "-"], &[], "{");
    assert_eq!(code(&misuse), 2, "{}", err(&misuse));
}

/// Runs the lines of a block; each must end with this code.
fn run_all(b: &Bench, block: &str, wanted: i32) -> Vec<String> {
    let line = |line: &str| {
        let args: Vec<&str> = line.split(' ').skip(1).collect();
        let out = b.run(&args);
        assert_eq!(code(&out), wanted, "{line}: {}", err(&out));
        text(&out)
    };
    block.lines().map(line).collect()
}

#[test]
fn the_life_of_a_flag_as_the_guide_tells_it() {
    let b = Bench::start();
    b.set_up();
    let file = |name: &str, body: &str| {
        let path = b.dir.path().join("config/flags").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, body).unwrap();
    };
    file("thumbnails.yaml", "key: thumbnails\nkind: kill_switch\nenvironments:\n  production:\n    enabled: true\n");
    file("new_search.yaml", "key: new_search\nopt_in:\n  text: A better search\nlifetime_days: 90\n");
    file("old_search.yaml", "key: old_search\n");
    assert_eq!(code(&b.run(&["apply", "config"])), 0);
    let again = b.run(&["apply", "config", "--json"]);
    assert!(!text(&again).contains("update"), "twice changes nothing: {}", text(&again));

    // The source of a service; what git ignores is passed over.
    let source = b.dir.path().join("source");
    std::fs::create_dir_all(source.join("src")).unwrap();
    std::fs::write(source.join(".gitignore"), "dist\n").unwrap();
    std::fs::create_dir_all(source.join("dist")).unwrap();
    std::fs::write(source.join("dist/a.js"), "isEnabled('built_flag')\n").unwrap();
    std::fs::write(
        source.join("src/search.js"),
        "if (flags.isEnabled('new_search', who) && thumb('thumbnails')) {\n  flags.isEnabled('new_serch');\n}\n",
    )
    .unwrap();
    let line = block("flags", "scan").replace(" . ", " source ");
    assert_eq!(run_all(&b, &line, 1).concat().trim(), block("flags", "scan-report"), "strict, and one key is unknown");
    let places: serde_json::Value = serde_json::from_str(&text(&b.run(&["flag", "stale", "--json"]))).unwrap();
    assert_eq!(places["unused"], serde_json::json!(["old_search"]));
    assert_eq!(places["unknown"][0]["places"][0]["path"], "src/search.js");

    let groups = run_all(&b, &block("flags", "group"), 0);
    assert!(groups[1].contains("testers has 2 people by userId; segment 1"), "{groups:?}");
    let drill = run_all(&b, &block("flags", "contingency"), 0);
    assert!(drill[0].contains("thumbnails is on in production, never tested"), "{drill:?}");
    assert!(drill[1].starts_with("DRILL: thumbnails is off in production until "), "{drill:?}");
    assert!(drill[2].contains("on again"), "{drill:?}");
    let chat = b.run(&["flag", "drill", "thumbnails", "--for", "2h"]);
    assert_eq!(code(&chat), 2, "{}", err(&chat));

    let mine = text(&b.run(&["flag", "mine"]));
    assert!(mine.contains("new_search: as everybody; A better search"), "{mine}");
    assert_eq!(code(&b.run(&["flag", "join", "new_search"])), 0);
    assert!(text(&b.run(&["flag", "mine"])).contains("you are in"));
    assert_eq!(code(&b.run(&["flag", "unset", "new_search"])), 0);

    assert_eq!(code(&b.run(&["flag", "on", "new_search"])), 0);
    let lines = block("flags", "history");
    let history: serde_json::Value =
        serde_json::from_str(&text(&b.run(&["flag", "history", "new_search", "--json"]))).unwrap();
    let seq = history["items"][0]["seq"].to_string();
    let out = run_all(&b, &lines.replace("42", &seq), 0);
    assert!(
        out[0].contains("ana switched new_search on in production") && out[0].contains("enabled: false -> true"),
        "{out:?}"
    );
    assert!(text(&b.run(&["flag", "list"])).contains("new_search is off in production"));
}

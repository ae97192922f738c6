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

/// The plan of the guide to ramps.
fn plan() -> String {
    let path = format!("{}/../../docs/guide/ramps.md", env!("CARGO_MANIFEST_DIR"));
    let guide = std::fs::read_to_string(path).unwrap();
    let (_, plans) = guide.split_once("### Plans that flags share").unwrap();
    plans.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap().to_owned()
}

#[test]
fn what_flags_share_as_the_guide_tells_it() {
    let b = Bench::start();
    b.set_up();
    std::fs::write(b.dir.path().join("segment.yaml"), block("flags", "segment-file")).unwrap();
    std::fs::write(b.dir.path().join("careful.yaml"), plan()).unwrap();

    let segments = run_all(&b, &block("flags", "segment"), 0);
    let told = "7 Northern customers\n    country IN NO, SE, FI\n";
    assert_eq!(segments, [told, told, "the segment 7 is deleted\n"]);
    let unreadable = b.run_with(&["flag", "segment", "set", "7", "--file", "-"], &[], "[]");
    assert_eq!(code(&unreadable), 2, "{}", err(&unreadable));

    let plan = run_all(&b, "tenfold flag plan set careful --file careful.yaml", 0);
    assert_eq!(plan, ["careful: 1 % for 10 min, 5 % for 30 min, 25 % for 1 h, 100 % for 1 h; guarded\n"]);
    assert_eq!(run_all(&b, "tenfold flag plan list", 0), plan);

    // A ramp with steps of its own, below a percent; a lifetime and a project.
    assert_eq!(code(&b.run(&["project", "create", "photos"])), 0);
    let made = ["flag", "create", "slow", "--kind", "shadow", "--project", "photos", "--lifetime", "90"];
    assert_eq!(code(&b.run(&made)), 0);
    let ramp = run_all(&b, "tenfold flag ramp slow --steps 0.5,5:1h,100", 0);
    assert!(ramp[0].starts_with("the ramp of slow in production is running at 0.5 % (step 1 of 3)"), "{ramp:?}");
    let flag: serde_json::Value = serde_json::from_str(&text(&b.run(&["flag", "show", "slow", "--json"]))).unwrap();
    assert_eq!((&flag["project"], &flag["lifetime_days"]), (&"photos".into(), &90.into()));
    let holds: Vec<_> =
        flag["environments"]["production"]["ramp"]["steps"].as_array().unwrap().iter().map(|s| &s["hold_ms"]).collect();
    assert_eq!(holds, [600_000, 3_600_000, 600_000]);
    assert_eq!(code(&b.run(&["flag", "ramp", "slow", "--steps", "1,half"])), 2);
    assert_eq!(code(&b.run(&["flag", "set", "slow", "--lifetime", "soon"])), 2);

    std::fs::write(b.dir.path().join("pros.yaml"), "strategies:\n  - name: default\n").unwrap();
    let edit = run_all(&b, "tenfold flag schedule slow edit --file pros.yaml --at 2h", 0);
    assert!(edit[0].starts_with("schedule 1: change slow in production at "), "{edit:?}");
    assert_eq!(code(&b.run(&["flag", "schedule", "slow", "edit", "--at", "2h"])), 2);

    let environments = run_all(&b, &block("flags", "environments"), 0);
    assert!(environments[2].contains("staging\n"), "{environments:?}");
    assert!(environments[2].contains("production: changes of flags want a second person"), "{environments:?}");
    assert_eq!(code(&b.run(&["flag", "rollout", "slow", "50"])), 4, "it waits for a second person");
    assert_eq!(
        run_all(&b, "tenfold environment set production", 0),
        ["production: changes of flags want a second person\n"]
    );
    assert_eq!(run_all(&b, "tenfold environment set production --four-eyes off", 0), ["production\n"]);
}

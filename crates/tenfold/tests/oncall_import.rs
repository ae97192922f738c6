//! The example of docs/guide/on-call-import.md through the command line against the real server.

#![expect(clippy::unwrap_used, reason = "a test that fails should panic where it fails")]

mod bench;
mod house;

use bench::{Bench, code, err, text};
use serde_json::Value;

fn json(bench: &Bench, args: &[&str]) -> Value {
    let mut args = args.to_vec();
    args.push("--json");
    let out = bench.run(&args);
    assert_eq!(code(&out), 0, "{args:?}: {}", err(&out));
    serde_json::from_slice(&out.stdout).unwrap()
}

fn guide() -> String {
    std::fs::read_to_string(house::root().join("docs/guide/on-call-import.md")).unwrap()
}

fn import<'a>(file: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["oncall", "import-from", "opsgenie", file][..], more].concat()
}

#[test]
fn the_example_of_the_guide_is_taken_over() {
    let guide = guide();
    let example = guide.split("```json\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let bench = Bench::start();
    bench.set_up();
    let (file, routes) = (bench.dir.path().join("export.json"), bench.dir.path().join("routes.json"));
    std::fs::write(&file, example).unwrap();
    let (file, routes) = (file.to_str().unwrap(), routes.to_str().unwrap());

    // Only looked at: one of the two has an account, and nothing is made.
    let dry = json(&bench, &import(file, &["--dry-run"]));
    assert_eq!((&dry["people"][0]["found"], &dry["people"][1]["found"]), (&"known".into(), &"missing".into()), "{dry}");
    assert!(!dry["schedules"].to_string().contains("raj"), "{dry}");
    let dry = json(&bench, &import(file, &["--dry-run", "--create-people"]));
    assert_eq!(dry["schedules"][0]["name"], "web", "{dry}");
    assert!(dry["report"].to_string().contains("backup"), "{dry}");
    assert_eq!(code(&bench.run(&["oncall", "preview", "web"])), 1, "nothing was made");

    let made = bench.run(&import(file, &["--create-people", "--routes", routes]));
    assert_eq!(code(&made), 0, "{}", err(&made));
    assert!(text(&made).contains("person raj@example.org: raj (created)"), "{}", text(&made));
    assert!(!std::path::Path::new(routes).exists(), "the example has no routes");
    assert!(err(&made).contains("no routes to draft"), "{}", err(&made));
    let preview = json(&bench, &["oncall", "preview", "web", "--for", "14d"]);
    let spans = preview["spans"].to_string();
    assert!(spans.contains("ana") && spans.contains("raj"), "{preview}");

    let drafts = bench.dir.path().join("drafts");
    assert_eq!(code(&bench.run(&import(file, &["--dry-run", "--sources", drafts.to_str().unwrap()]))), 0);
    let heartbeat: Value =
        serde_json::from_str(&std::fs::read_to_string(drafts.join("alert-sources/backup.yaml")).unwrap()).unwrap();
    assert_eq!(heartbeat, serde_json::json!({"kind": "heartbeat", "interval": "1d"}));

    // The same again makes nothing twice.
    let again = json(&bench, &import(file, &["--create-people"]));
    assert_eq!(again["people"][1]["found"], "known", "{again}");
    assert_eq!(again["schedules"][0]["changes"], true);
    assert_eq!((&dry["policies"][0]["changes"], &again["policies"][0]["changes"]), (&false.into(), &true.into()));
    assert_eq!(again["policies"][0]["steps"], dry["policies"][0]["steps"]);
    let said = text(&bench.run(&import(file, &["--dry-run"])));
    assert!(said.contains("steps, in place of one that is there"), "{said}");
    assert_eq!(again["schedules"][0]["plan"], dry["schedules"][0]["plan"]);
    let events = json(&bench, &["events", "--kind", "schedule.changed"]).to_string();
    assert_eq!(events.matches("\"schedule.changed\"").count(), 1, "{events}");

    // Each command of the guide is one the program has.
    let help = text(&bench.run(&["oncall", "import-from", "--help"]));
    for flag in ["--dry-run", "--create-people", "--routes", "--sources", "--person"] {
        assert!(help.contains(flag) && guide.contains(flag), "{flag}: {help}");
    }
    std::fs::write(file, "{\"schedules\": [{}]}").unwrap();
    let refused = bench.run(&import(file, &["--dry-run"]));
    assert_eq!(code(&refused), 2);
    assert!(err(&refused).contains("schedules[0]: missing field `id`"), "{}", err(&refused));
}

//! A file of another product through its use case: all of it in one transaction, told flag by flag, with a report that
//! names whatever is otherwise.

mod common;

use common::World;
use serde_json::{Value, json};
use tenfold_app::flags::{FlagImport, FlagImportReport, FlagProjectUpdate, FlagUpdate};
use tenfold_app::record::EventQuery;
use tenfold_app::{App, Caller, Grant, Role};
use tenfold_flags::Context;
use tenfold_flags::exchange::Format;
use tenfold_types::{Actor, ErrorCode, Event, Fault, Source};

fn mei(role: Role) -> Caller {
    Caller {
        actor: Actor::person("mei"),
        name: "mei".into(),
        source: Source::Cli,
        grants: vec![Grant::everywhere(role)],
    }
}

async fn import(app: &App, body: Value) -> Result<FlagImportReport, Fault> {
    let import: FlagImport = serde_json::from_value(body).expect("an import");
    app.flag_import(&mei(Role::Deployer), import).await
}

async fn told(app: &App, kind: &str) -> Vec<Event> {
    let query = EventQuery { kinds: vec![kind.into()], ascending: true, limit: 100, ..EventQuery::default() };
    app.events(query).await.expect("the record is read")
}

fn document() -> Value {
    json!({"version": 2, "features": [
        {"name": "half", "type": "experiment", "enabled": true, "strategies": [
            {"name": "flexibleRollout", "parameters": {"rollout": "50", "groupId": "elsewhere", "stickiness": "userId"}}]},
        {"name": "staff", "enabled": true, "strategies": [{"name": "default", "segments": [1]}]},
        {"name": "odd", "enabled": true, "strategies": [{"name": "ourOwn"}]},
        {"name": "fraction", "enabled": true, "strategies": [{"name": "flexibleRollout", "parameters": {"rollout": "12.5"}}]},
    ], "segments": [{"id": 1, "name": "staff", "constraints": [
        {"contextName": "email", "operator": "STR_ENDS_WITH", "values": ["@a.org"]}]}]})
}

#[tokio::test]
async fn a_file_is_taken_told_and_served() {
    let World { app, .. } = &common::world().await;
    let dry = import(app, json!({"document": document(), "dry_run": true})).await.unwrap();
    assert_eq!(dry.created, ["half", "odd", "staff"]);
    assert_eq!(dry.refused, ["fraction"]);
    assert!(app.flag_list(None).items.is_empty(), "a dry run changes nothing");
    assert!(told(app, "flags.imported").await.is_empty());

    let report = import(app, json!({"document": document()})).await.unwrap();
    assert_eq!((report.format, &report.created, &report.refused), (Format::UnleashClient, &dry.created, &dry.refused));
    let line =
        |about: &str| report.notes.iter().find(|n| n.about == about).map(|n| n.text.as_str()).unwrap_or_default();
    assert!(line("flag fraction").contains("fraction of a per cent"), "{:?}", report.notes);
    assert!(line("flag odd").starts_with("taken as it is") && line("flag odd").contains("ourOwn"));
    assert_eq!(told(app, "flag.created").await.len(), 3);
    let summary = &told(app, "flags.imported").await[0];
    assert_eq!(summary.text, "mei imported flags from a file of unleash-client: 3 new, 0 changed, 1 refused");

    // The buckets are those of the group in the file: 4711 is in, whatever the flag's own name hashes to.
    let answers = app.flags.environment("production").unwrap();
    let on = |flag: &str, context: Context| answers.evaluate(flag, &context, app.flag_moment()).unwrap().enabled;
    let in_group = |id: &str| tenfold_flags_bucket("elsewhere", id) <= 50;
    for id in ["1", "2", "3", "4", "5", "6", "7", "8"] {
        assert_eq!(on("half", Context::new().with("userId", id)), in_group(id), "{id}");
    }
    assert!(on("staff", Context::new().with("email", "x@a.org")));
    assert!(!on("staff", Context::new().with("email", "x@b.org")));
    assert!(!on("odd", Context::new()), "a strategy nobody knows matches nobody");

    let again = import(app, json!({"document": document()})).await.unwrap();
    assert_eq!((again.unchanged.len(), again.created.len(), again.changed.len(), again.segments.len()), (3, 0, 0, 0));
    assert_eq!(told(app, "flags.imported").await.len(), 1, "twice changes nothing the second time");

    // What was taken as it is may be switched, and is refused when somebody writes it.
    app.flag_switch(&mei(Role::Deployer), "odd", "production", false).await.unwrap();
    app.flag_switch(&mei(Role::Deployer), "odd", "production", true).await.unwrap();
    let edit: FlagUpdate = serde_json::from_value(json!({"description": "x"})).unwrap();
    let fault = app.flag_put(&mei(Role::Deployer), "odd", edit).await.unwrap_err();
    assert!(fault.message.contains("ourOwn"), "{}", fault.message);
    assert!(app.record_verify().await.unwrap().ok);
}

/// The hash as Unleash publishes it: murmur3 of `group:id`, 1 to 100.
fn tenfold_flags_bucket(group: &str, id: &str) -> u32 {
    fn murmur3(bytes: &[u8]) -> u32 {
        let mut h = 0u32;
        let mut chunks = bytes.chunks_exact(4);
        for c in chunks.by_ref() {
            let k = u32::from_le_bytes([c[0], c[1], c[2], c[3]]);
            h ^= k.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
            h = h.rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
        }
        let mut k = 0u32;
        for (i, b) in chunks.remainder().iter().enumerate() {
            k |= u32::from(*b) << (8 * i);
        }
        h ^= k.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
        h ^= bytes.len() as u32;
        h = (h ^ (h >> 16)).wrapping_mul(0x85eb_ca6b);
        h = (h ^ (h >> 13)).wrapping_mul(0xc2b2_ae35);
        h ^ (h >> 16)
    }
    murmur3(format!("{group}:{id}").as_bytes()) % 100 + 1
}

#[tokio::test]
async fn flags_that_are_here_change_where_the_file_tells_of_them() {
    let World { app, .. } = &common::world().await;
    let make: FlagUpdate = serde_json::from_value(json!({"description": "ours", "owner": "team-a", "environments": {
        "production": {"enabled": false}, "development": {"enabled": true}}}))
    .unwrap();
    app.flag_put(&mei(Role::Deployer), "half", make).await.unwrap();
    let report = import(app, json!({"document": document()})).await.unwrap();
    assert_eq!(report.changed, ["half"]);
    let flag = app.flag("half").unwrap();
    assert!(flag.environments["production"].enabled && flag.environments["development"].enabled);
    assert_eq!((flag.owner.as_str(), flag.description.as_str()), ("team-a", ""));

    let flagd = json!({"flags": {"half": {"state": "ENABLED", "variants": {"on": true, "off": false}, "defaultVariant": "on"}}});
    let report = import(app, json!({"document": flagd, "environment": "development"})).await.unwrap();
    assert_eq!((report.format, report.changed.len()), (Format::Flagd, 0));
    let out = app.flag_export(Format::Flagd, "development", false).await.unwrap();
    assert_eq!(out.document["flags"]["half"]["defaultVariant"], "on");
    let out = app.flag_export(Format::Unleash, "production", false).await.unwrap();
    assert_eq!(out.document["featureStrategies"][0]["parameters"]["groupId"], "elsewhere");
}

#[tokio::test]
async fn a_child_is_read_beside_what_became_of_its_parent() {
    let World { app, .. } = &common::world().await;
    let child =
        |name: &str, parent: &str| json!({"name": name, "enabled": true, "dependencies": [{"feature": parent}]});
    let plain = |name: &str, share: &str| {
        json!({"name": name, "enabled": true, "strategies": [
            {"name": "flexibleRollout", "parameters": {"rollout": share, "groupId": name, "stickiness": "default"}}]})
    };
    let known = json!({"version": 2, "features": [plain("known", "50")]});
    import(app, json!({"document": known})).await.unwrap();
    // Children before their parents; both parents are refused, of one an older definition stays.
    let document = json!({"version": 2, "features": [
        child("a", "known"), child("b", "new"), plain("known", "12.5"), plain("new", "12.5")]});
    let report = import(app, json!({"document": document})).await.unwrap();
    assert_eq!((report.created, report.refused), (vec!["a".into(), "b".into()], vec!["known".into(), "new".into()]));
    let told = |about: &str| -> Vec<&str> {
        report.notes.iter().filter(|n| n.about == about).map(|n| n.text.as_str()).collect()
    };
    assert_eq!(told("flag a"), ["taken as it is: its parent `known` was refused"]);
    assert_eq!(
        told("flag b"),
        [
            "taken as it is: the parent `new` does not exist; SDKs would keep this flag off for everybody",
            "taken as it is: its parent `new` was refused",
        ]
    );
}

#[tokio::test]
async fn what_does_not_fit_is_refused_as_a_whole() {
    let World { app, .. } = &common::world().await;
    for (body, code) in [
        (json!({"document": [1]}), ErrorCode::Invalid),
        (json!({"document": {"flags": 3}}), ErrorCode::Invalid),
        (json!({"document": document(), "environment": "moon"}), ErrorCode::NotFound),
        (
            json!({"document": {"features": [{"name": "a", "enabled": true}, {"name": "a", "enabled": false}]}}),
            ErrorCode::Invalid,
        ),
    ] {
        assert_eq!(import(app, body.clone()).await.unwrap_err().code, code, "{body}");
    }
    let import: FlagImport = serde_json::from_value(json!({"document": document()})).unwrap();
    let fault = app.flag_import(&mei(Role::Responder), import).await.unwrap_err();
    assert_eq!(fault.code, ErrorCode::Forbidden);
    assert!(app.flag_list(None).items.is_empty());
}

fn in_projects() -> Value {
    json!({"version": 2, "features": [
        {"name": "album", "project": "photos", "enabled": true, "strategies": []},
        {"name": "cover", "project": "photos", "enabled": true, "strategies": [], "dependencies": [{"feature": "album"}]},
        {"name": "odd", "project": "No Name!", "enabled": true, "strategies": []},
        {"name": "plain", "enabled": true, "strategies": []},
    ], "segments": []})
}

fn lines<'a>(report: &'a FlagImportReport, about: &str) -> Vec<&'a str> {
    report.notes.iter().filter(|n| n.about == about).map(|n| n.text.as_str()).collect()
}

#[tokio::test]
async fn flags_go_into_the_projects_of_the_file() {
    let World { app, .. } = &common::world().await;
    let dry = import(app, json!({"document": in_projects(), "dry_run": true})).await.unwrap();
    assert_eq!((dry.projects.as_slice(), dry.project_of["album"].as_str()), (&["photos".to_owned()][..], "photos"));
    assert_eq!(app.flag_projects().items.len(), 1, "a dry run makes no project");

    let report = import(app, json!({"document": in_projects()})).await.unwrap();
    assert_eq!((&report.created, &report.refused, &report.projects), (&dry.created, &dry.refused, &dry.projects));
    assert_eq!(report.refused, ["odd"]);
    assert!(
        lines(&report, "flag odd")[0].contains("`No Name!`") && lines(&report, "flag odd")[0].contains("--project")
    );
    assert_eq!(
        (app.flag("cover").unwrap().project.as_str(), app.flag("plain").unwrap().project.as_str()),
        ("photos", "default")
    );
    let made = &told(app, "flag_project.created").await[0];
    assert_eq!(made.text, "mei made the project photos");
    assert!(app.flag_projects().items.iter().any(|p| p.name == "photos" && p.flags == 2));
    assert!(app.record_verify().await.unwrap().ok);
}

#[tokio::test]
async fn a_flag_that_is_here_moves_only_when_somebody_says_so() {
    let World { app, .. } = &common::world().await;
    let make: FlagUpdate = serde_json::from_value(json!({"environments": {"production": {"enabled": true}}})).unwrap();
    app.flag_put(&mei(Role::Deployer), "plain", make).await.unwrap();
    let elsewhere = json!({"features": [{"name": "plain", "project": "photos", "enabled": true, "strategies": []}]});
    let report = import(app, json!({"document": elsewhere})).await.unwrap();
    assert_eq!((report.unchanged.as_slice(), report.projects.len()), (&["plain".to_owned()][..], 0));
    let said = lines(&report, "flag plain").join("\n");
    assert!(said.contains("the project `photos`") && said.contains("stays there"), "{said}");

    let fault = import(app, json!({"document": in_projects(), "project": "web"})).await.unwrap_err();
    assert_eq!(fault.code, ErrorCode::NotFound);
    assert!(fault.advice.contains("tenfold project create web"), "{fault:?}");
    app.flag_project_put(&mei(Role::Deployer), "web", FlagProjectUpdate::default()).await.unwrap();
    let report = import(app, json!({"document": in_projects(), "project": "web"})).await.unwrap();
    assert_eq!(report.project_of.values().collect::<Vec<_>>(), ["web"; 4], "{:?}", report.notes);
    assert_eq!(lines(&report, "flag plain"), ["it moved from the project `default` to `web`"]);
    assert_eq!(app.flag("plain").unwrap().project, "web");

    // A parent stays where its child is.
    let alone = json!({"features": [{"name": "album", "project": "web", "enabled": true, "strategies": []}]});
    let report = import(app, json!({"document": alone, "project": "default"})).await.unwrap();
    assert_eq!(report.refused, ["album"]);
    assert!(lines(&report, "flag album").join(" ").contains("belong to one project"), "{:?}", report.notes);
}

#[tokio::test]
async fn projects_go_out_and_come_in_again_without_loss() {
    let World { app, .. } = &common::world().await;
    import(app, json!({"document": in_projects()})).await.unwrap();
    for format in [Format::Unleash, Format::UnleashClient, Format::Flagd] {
        let out = app.flag_export(format, "production", false).await.unwrap();
        let World { app: second, .. } = &common::world().await;
        let report = import(second, json!({"document": out.document})).await.unwrap();
        let projects = |app: &App| {
            let of = |f: &tenfold_app::flags::FlagView| (f.key.clone(), f.project.clone());
            app.flag_list(None).items.iter().map(of).collect::<Vec<_>>()
        };
        // flagd has no parents, so the child is not in its file; the export says so.
        let wanted: Vec<_> =
            projects(app).into_iter().filter(|(k, _)| format != Format::Flagd || k != "cover").collect();
        assert_eq!((report.format, projects(second)), (format, wanted), "{:?}", report.notes);
        let again = second.flag_export(format, "production", false).await.unwrap();
        assert_eq!(again.document, out.document);
    }
}

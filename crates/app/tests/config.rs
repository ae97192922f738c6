//! Configuration as files: applied once it is there, applied twice it changes nothing, exported and applied elsewhere it
//! is the same.

#![expect(clippy::unwrap_used, reason = "a test that fails should panic where it fails")]

mod common;

use common::{World, open_with, world};
use tenfold_app::{
    Caller, Grant, Role,
    config::{ConfigAction, ConfigApply, ConfigFile},
    people::PersonUpdate,
    settings::RuleLint,
};
use tenfold_store::events::{self, EventQuery};
use tenfold_testkit::{TestClock, temp_db};
use tenfold_types::Fault;

const FILES: &[(&str, &str)] = &[
    ("environments/staging.yaml", "name: staging\n"),
    ("people/ana.yaml", "name: Ana\nkind: developer\nrole: deployer\ncontact: {email: ana@example.org}\n"),
    (
        "people/raj.yaml",
        "login: raj\nname: Raj\nkind: operator\nrole: admin\ntimezone: Asia/Kolkata\nteams: [photos]\n",
    ),
    (
        "services/photos.yaml",
        "name: photos\n# A comment\ndescription: |\n  Lists photos: and\n  takes uploads.\nrepository: https://git.example/photos.git\n\
         environments: [production, staging]\nowner_team: \"on\"\npolicy: photos\ndependencies: []\n",
    ),
    (
        "schedules/photos-primary.yaml",
        "name: photos-primary\ntimezone: Europe/Berlin\nrotation:\n  people: [ana, raj]\n  start: 2026-01-05T09:00:00\n  shift_length: 1w\n",
    ),
    (
        "policies/photos.yaml",
        "steps:\n  - delay_ms: 60000\n    targets: [{kind: schedule, name: photos-primary}]\n  - delay_ms: 120000\n    \
         targets:\n      - {kind: person, name: ana}\n      - {kind: person, name: raj}\nrepeat: 1\n",
    ),
    (
        "segments/7.yaml",
        "id: 7\nname: staff\nconstraints:\n  - {contextName: email, operator: STR_ENDS_WITH, values: [\"@example.org\"]}\n",
    ),
    (
        "flags/a_child.yaml",
        "key: a_child\nowner: ana\ndependencies: [{feature: new_uploader}]\nenvironments:\n  production:\n    enabled: true\n    \
         strategies:\n      - {name: flexibleRollout, parameters: {rollout: \"10\"}, segments: [7]}\n",
    ),
    (
        "flags/new_uploader.yaml",
        "key: new_uploader\ndescription: \"Resize photos with the new code: better pictures.\"\nkind: release\nowner: mei\n\
         environments:\n  production: {enabled: true, rollout_percent: 25}\n",
    ),
    (
        "ramp-plans/careful.yaml",
        "steps:\n  - {percent: 0.5, hold_ms: 60000}\n  - {percent: 100}\nguard:\n  expr: errors\n  condition: {threshold: {op: '<', \
         value: 0.05}}\n",
    ),
    ("checks/a-host.yaml", "run: {tcp: {address: '10.0.0.1:22'}}\nhost: a\nparents: [b-switch]\n"),
    (
        "checks/b-switch.yaml",
        "name: b-switch\nrun: {plugin: [check_ping, -H, 10.0.0.2]}\nparents: [c-router]\nattempts: 2\n",
    ),
    ("checks/c-router.yaml", "run: {passive: {}}\nfreshness: 5m\n"),
    (
        "routing/alertmanager.yaml",
        "# as Alertmanager reads it\nroute: {receiver: web, group_by: [service]}\nreceivers: [{name: web}]\n",
    ),
    (
        "permits/resize.yaml",
        "job: resize\nquery: db_queue_length\nenvironment: production\nlimit: 100\nresume: 60\nfail_safe: 0.1\n",
    ),
    (
        "rules/photos.yaml",
        "# As Prometheus has it.\ngroups:\n  - name: photos\n    rules:\n      - alert: Down\n        expr: up == 0\n        for: 15s\n",
    ),
    (
        "dashboards/photos.yaml",
        "name: photos\ntitle: 'photos: all'\npanels:\n  - title: Up\n    queries:\n      - {expr: 'up{job=\"photos\"}', legend: '{{host}}'}\n",
    ),
];

fn files(files: &[(&str, &str)]) -> Vec<ConfigFile> {
    files.iter().map(|(path, content)| ConfigFile { path: (*path).into(), content: (*content).into() }).collect()
}

async fn apply(
    world: &World,
    files: Vec<ConfigFile>,
    dry_run: bool,
    prune: bool,
) -> Result<Vec<(String, ConfigAction)>, Fault> {
    let done = world.app.config_apply(&Caller::system(), ConfigApply { files, dry_run, prune }).await?;
    Ok(done.changes.into_iter().map(|c| (c.path, c.action)).collect())
}

async fn export(world: &World) -> Vec<ConfigFile> {
    world.app.config_export(&Caller::system()).await.unwrap().files
}

async fn last_seq(world: &World) -> i64 {
    world.app.read(|tx| Ok(events::last_seq(tx)?)).await.unwrap()
}

#[tokio::test]
async fn applied_twice_changes_nothing() {
    let world = world().await;
    let empty = export(&world).await;
    let planned = apply(&world, files(FILES), true, false).await.unwrap();
    assert_eq!(export(&world).await, empty, "a dry run changes nothing");
    let done = apply(&world, files(FILES), false, false).await.unwrap();
    assert_eq!(planned, done);
    assert_eq!(done.len(), FILES.len());
    assert!(done.iter().all(|(_, action)| *action == ConfigAction::Create), "{done:?}");
    let applied = world
        .app
        .read(|tx| Ok(events::list(tx, &EventQuery { kinds: vec!["config.".into()], ..EventQuery::default() })?));
    let said = format!("tenfold applied the configuration: {} created, 0 changed, 0 deleted", FILES.len());
    assert_eq!(applied.await.unwrap()[0].text, said);
    let before = last_seq(&world).await;
    let again = apply(&world, files(FILES), false, false).await.unwrap();
    assert!(again.iter().all(|(_, action)| *action == ConfigAction::None), "{again:?}");
    assert_eq!(last_seq(&world).await, before, "nothing is recorded when nothing changes");
}

#[tokio::test]
async fn an_export_makes_an_equal_server() {
    let (first, second) = (world().await, world().await);
    apply(&first, files(FILES), false, false).await.unwrap();
    let exported = export(&first).await;
    let again = apply(&first, exported.clone(), false, false).await.unwrap();
    assert!(again.iter().all(|(_, action)| *action == ConfigAction::None), "{again:?}");
    apply(&second, exported.clone(), false, false).await.unwrap();
    assert_eq!(export(&second).await, exported);
    let flag = second.app.flag("new_uploader").unwrap();
    assert_eq!(flag.environments["production"].rollout_percent, Some(tenfold_flags::Share::percent(25)));
    let service = second.app.service("photos").await.unwrap();
    assert_eq!(
        (service.owner_team.as_str(), service.description.as_str()),
        ("on", "Lists photos: and\ntakes uploads.\n")
    );
}

#[tokio::test]
async fn what_a_flag_or_a_person_does_not_say_stays() {
    let world = world().await;
    apply(&world, files(FILES), false, false).await.unwrap();
    let change = [
        ("flags/new_uploader.yaml", "environments:\n  production: {rollout_percent: 50}\n"),
        ("people/raj.yaml", "role: responder\n"),
    ];
    let done = apply(&world, files(&change), false, false).await.unwrap();
    assert!(done.iter().all(|(_, action)| *action == ConfigAction::Update), "{done:?}");
    let flag = world.app.flag("new_uploader").unwrap();
    assert_eq!(flag.owner, "mei");
    assert!(flag.environments["production"].enabled);
    assert_eq!(flag.environments["production"].rollout_percent, Some(tenfold_flags::Share::percent(50)));
    let raj = world.app.person("raj").await.unwrap().unwrap();
    assert_eq!((raj.name.as_str(), raj.timezone.as_str()), ("Raj", "Asia/Kolkata"));
}

#[tokio::test]
async fn errors_name_file_line_and_key_and_nothing_is_changed() {
    let world = world().await;
    let before = export(&world).await;
    for (path, content, said) in [
        (
            "services/web.yaml",
            "name: web\nrepository: x\nenvironments: [production]\nowner: me\n",
            "services/web.yaml:4: unknown field `owner`",
        ),
        ("services/web.yaml", "name: other\nrepository: x\n", "services/web.yaml:1: `name` is `other`"),
        (
            "services/web.yaml",
            "repository: x\nenvironments: [moon]\n",
            "services/web.yaml: there is no environment `moon`",
        ),
        ("flags/f.yaml", "key: f\nkind: relese\n", "flags/f.yaml:2: "),
        (
            "flags/f.yaml",
            "environments:\n  production:\n    rollout_percent: many\n",
            "flags/f.yaml:3: `rollout_percent`: ",
        ),
        ("people/ana.yaml", "name: Ana\npassword: secret\n", "people/ana.yaml:2: "),
        (
            "schedules/s.yaml",
            "timezone: Mars/Base\nrotation: {people: [ana], start: 2026-01-05T09:00:00, shift_length: 1w}\n",
            "schedules/s.yaml: ",
        ),
        ("policies/p.yaml", "steps: []\n", "policies/p.yaml: "),
        (
            "rules/r.yaml",
            "groups:\n  - name: g\n    rules:\n      - alert: A\n        expr: up ==\n",
            "rules/r.yaml: line 5",
        ),
        (
            "dashboards/d.yaml",
            "title: d\npanels:\n  - {title: x, unit: furlongs, queries: [{expr: up}]}\n",
            "dashboards/d.yaml: the panel `x`",
        ),
        ("dashboards/d.yaml", "title: [\n", "dashboards/d.yaml:"),
        ("segments/staff.yaml", "name: staff\n", "segments/staff.yaml: the name of a segment"),
        ("moons/m.yaml", "a: 1\n", "moons/m.yaml: a file of the configuration is FOLDER/NAME.yaml"),
        ("README.md", "", "README.md: a file of the configuration is FOLDER/NAME.yaml"),
    ] {
        let mut all = files(&FILES[..1]);
        all.push(ConfigFile { path: path.into(), content: content.into() });
        let fault = apply(&world, all, false, false).await.unwrap_err();
        assert!(fault.message.starts_with(said), "{path}: {:?} does not start with {said:?}", fault.message);
    }
    assert_eq!(export(&world).await, before);
    let twice = files(&[("flags/f.yaml", "owner: a\n"), ("flags/f.yml", "owner: b\n")]);
    assert!(apply(&world, twice, true, false).await.unwrap_err().message.contains("both tell of the flag f"));
}

#[tokio::test]
async fn prune_deletes_what_has_no_file_of_the_given_kinds() {
    let world = world().await;
    apply(&world, files(FILES), false, false).await.unwrap();
    let keep: Vec<_> =
        FILES.iter().filter(|(p, _)| p.starts_with("flags/new") || p.starts_with("people/ana")).copied().collect();
    let done = apply(&world, files(&keep), false, true).await.unwrap();
    let deleted: Vec<_> = done.iter().filter(|(_, a)| *a == ConfigAction::Delete).map(|(p, _)| p.as_str()).collect();
    assert_eq!(deleted, ["flags/a_child.yaml"], "people are never deleted, other kinds are not asked for");
    let mut rest: Vec<String> = export(&world).await.into_iter().map(|f| f.path).collect();
    rest.retain(|p| p.starts_with("flags/") || p.starts_with("people/"));
    assert_eq!(rest, ["flags/new_uploader.yaml", "people/ana.yaml", "people/raj.yaml"]);
}

/// The demo's own files are the example that people start from.
#[tokio::test]
async fn the_files_of_the_demo_apply() {
    let world = world().await;
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo/config");
    let mut all = files(&[("people/ana.yaml", "name: Ana\n"), ("people/raj.yaml", "name: Raj\n")]);
    for folder in std::fs::read_dir(&root).unwrap() {
        for file in std::fs::read_dir(folder.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let content = std::fs::read_to_string(&path).unwrap();
            let content = content.replace("${REPOSITORY}", "/srv/photos").replace("${ESCALATE_AFTER_MS}", "30000");
            let path = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
            all.push(ConfigFile { path, content });
        }
    }
    assert!(all.len() >= 8, "{all:?}");
    let done = apply(&world, all.clone(), false, false).await.unwrap();
    assert!(done.iter().all(|(_, action)| *action == ConfigAction::Create), "{done:?}");
    let again = apply(&world, all, false, false).await.unwrap();
    assert!(again.iter().all(|(_, action)| *action == ConfigAction::None), "{again:?}");
}

/// The first block of YAML after a heading or a text of a guide.
fn block<'a>(guide: &'a str, after: &str) -> &'a str {
    let rest = guide.split_once(after).expect("the guide says so").1;
    rest.split("```yaml\n").nth(1).and_then(|b| b.split("```").next()).expect("a block of YAML")
}

#[tokio::test]
async fn the_examples_of_the_guides_apply() {
    let world = world().await;
    let ramps = include_str!("../../../docs/guide/ramps.md");
    let permits = include_str!("../../../docs/guide/permits.md");
    let sources = include_str!("../../../docs/guide/alert-sources.md");
    let given = [
        ("ramp-plans/careful.yaml", block(ramps, "### Plans that flags share")),
        ("ramp-plans/judged.yaml", block(ramps, "### The judge")),
        ("environments/production.yaml", block(ramps, "## A second person")),
        ("permits/resize.yaml", block(permits, "## Define one")),
        ("alert-sources/nightly.yaml", block(sources, "# Alerts from elsewhere")),
    ];
    let changes = apply(&world, files(&given), false, false).await.unwrap();
    assert!(changes.iter().all(|(_, action)| *action != ConfigAction::None), "{changes:?}");
    assert!(world.app.environments().await.unwrap().iter().any(|e| e.name == "production" && e.four_eyes));
    let exported = export(&world).await;
    assert!(
        exported.iter().any(|f| f.path == "ramp-plans/judged.yaml" && f.content.contains("uploader")),
        "{exported:?}"
    );
    let again = apply(&world, exported, false, false).await.unwrap();
    assert!(again.iter().all(|(_, action)| *action == ConfigAction::None), "{again:?}");
    // A file that does not say it leaves it as it is.
    apply(&world, files(&[("environments/production.yaml", "name: production\n")]), false, false).await.unwrap();
    assert!(world.app.environments().await.unwrap().iter().any(|e| e.name == "production" && e.four_eyes));
}

/// What reaches people is for themselves and admins; what was hidden and comes back keeps what is there.
#[tokio::test]
async fn addresses_are_hidden_in_an_export_and_kept_when_it_is_applied() {
    const SLACK: &str = "https://hooks.slack.example/T0/secret";
    let world = world().await;
    let person = format!(
        "name: Ana\ncontact:\n  email: ana@example.org\n  webhook: https://ana.example/hook\n  channels: {{slack: '{SLACK}'}}\n"
    );
    apply(&world, files(&[("people/ana.yaml", &person)]), false, false).await.unwrap();
    let deployer = Caller { grants: vec![Grant::everywhere(Role::Deployer)], ..Caller::system() };
    let exported = world.app.config_export(&deployer).await.unwrap().files;
    let ana = exported.iter().find(|f| f.path == "people/ana.yaml").unwrap();
    assert!(!ana.content.contains("secret") && !ana.content.contains("ana.example"), "{}", ana.content);
    assert!(ana.content.contains("ana@example.org") && ana.content.contains("slack"), "{}", ana.content);
    assert!(export(&world).await.iter().any(|f| f.content.contains(SLACK)), "an admin moves a server");

    let again = apply(&world, exported, false, false).await.unwrap();
    assert!(again.iter().all(|(_, action)| *action == ConfigAction::None), "{again:?}");
    // By the form, too, which sends back all of it.
    let mut contact = world.app.person("ana").await.unwrap().unwrap().contact;
    "hidden".clone_into(&mut contact.webhook);
    contact.channels.insert("slack".into(), "hidden".into());
    contact.channels.insert("ntfy".into(), "https://ntfy.example/ana".into());
    let put = |contact| PersonUpdate { contact: Some(contact), ..PersonUpdate::default() };
    world.app.person_put(&Caller::system(), "ana", put(contact.clone())).await.unwrap();
    let kept = world.app.person("ana").await.unwrap().unwrap().contact;
    assert_eq!((kept.webhook.as_str(), kept.channels["slack"].as_str()), ("https://ana.example/hook", SLACK));
    assert_eq!(kept.channels["ntfy"], "https://ntfy.example/ana");
    // Where nothing is, the word is no address.
    contact.channels.insert("gotify".into(), "hidden".into());
    let refused = world.app.person_put(&Caller::system(), "ana", put(contact)).await.unwrap_err();
    assert!(refused.message.contains("there is none"), "{refused}");
}

#[tokio::test]
async fn what_alerts_of_rule_files_lack_is_said_or_refused_as_the_settings_say() {
    const CHECK: &str = "run: {passive: {}}\nlabels: {team: web}\n";
    const BEAT: &str = "kind: heartbeat\ninterval: 1h\nannotations: {runbook_url: 'https://x'}\n";
    const BARE: &str =
        "groups:\n- name: web\n  rules:\n  - {alert: Down, expr: up == 0, labels: {severity: critical}}\n";
    const GOOD: &str = "groups:\n- name: good\n  rules:\n  - {alert: Gone, expr: up == 0, labels: {severity: info, team: web}, annotations: {runbook_url: 'https://x'}}\n";
    let linted = async |lint: RuleLint| {
        let dir = tempfile::tempdir().unwrap();
        open_with(dir, temp_db().await, TestClock::default(), |settings| settings.alerts.lint = lint).await
    };
    let both = || ConfigApply {
        files: files(&[("rules/bare.yaml", BARE), ("rules/good.yaml", GOOD)]),
        dry_run: false,
        prune: false,
    };
    let warns = linted(RuleLint::Warn).await;
    let changes = warns.app.config_apply(&Caller::system(), both()).await.unwrap().changes;
    let notes: Vec<&str> = changes.iter().flat_map(|c| &c.notes).map(String::as_str).collect();
    assert_eq!(
        notes,
        [
            "line 4: Down has no runbook; add the annotation runbook_url",
            "line 4: Down has no owner; add the label owner"
        ]
    );
    let found = |world: &World| {
        let rules = world.app.rules().into_iter().flat_map(|g| g.rules);
        rules.flat_map(|r| r.findings).map(|f| f.check).collect::<Vec<_>>()
    };
    assert_eq!(found(&warns), ["runbook", "owner"]);
    let fails = linted(RuleLint::Fail).await;
    let refused = fails.app.config_apply(&Caller::system(), both()).await.unwrap_err();
    assert!(refused.message.contains("Down has no runbook"), "{refused}");
    fails.app.rules_put(&Caller::system(), "bare", BARE).await.unwrap_err();
    assert!(fails.app.rules().is_empty(), "nothing was applied before");
    fails.app.rules_put(&Caller::system(), "good", GOOD).await.unwrap();
    // Checks and sources are looked at the same way, where they are put and where they are applied.
    let others = || ConfigApply {
        files: files(&[("checks/disk.yaml", CHECK), ("alert-sources/backup.yaml", BEAT)]),
        dry_run: false,
        prune: false,
    };
    let changes = warns.app.config_apply(&Caller::system(), others()).await.unwrap().changes;
    let mut notes: Vec<&str> = changes.iter().flat_map(|c| &c.notes).map(String::as_str).collect();
    notes.sort_unstable();
    assert_eq!(notes, ["has no owner; add the label owner", "has no runbook; add the annotation runbook_url"]);
    assert_eq!(warns.app.check("disk").unwrap().findings.len(), 1);
    let refused = fails.app.config_apply(&Caller::system(), others()).await.unwrap_err();
    assert!(refused.message.contains("the check disk has no runbook"), "{refused}");
    let check = serde_json::from_value(serde_json::json!({"run": {"passive": {}}})).unwrap();
    let refused = fails.app.check_put(&Caller::system(), "disk", check).await.unwrap_err();
    assert!(refused.message.contains("it has no owner"), "{refused}");
    let off = linted(RuleLint::Off).await;
    let changes = off.app.config_apply(&Caller::system(), both()).await.unwrap().changes;
    assert!(changes.iter().all(|c| c.notes.is_empty()) && found(&off).is_empty());
}

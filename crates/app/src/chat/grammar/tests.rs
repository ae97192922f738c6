use tenfold_types::Matcher;

use super::*;

fn check(line: &str, wanted: Command) {
    assert_eq!(parse(line), Ok(wanted), "{line}");
}

fn refuse(line: &str, words: &str) {
    let fault = parse(line).expect_err(line);
    let said = format!("{fault}; {}", fault.advice);
    assert!(said.contains(words), "{line}: {said}");
}

fn text(t: &str) -> String {
    t.to_owned()
}

#[test]
fn deploys_and_rollbacks() {
    let production = || text("production");
    let deploy = |reference: Option<&str>, environment: &str, override_reason: Option<&str>| Command::Deploy {
        service: text("photos"),
        reference: reference.map(text),
        environment: text(environment),
        override_reason: override_reason.map(text),
    };
    check("deploy photos", deploy(None, "production", None));
    check("  Deploy photos abc123 --to=staging ", deploy(Some("abc123"), "staging", None));
    check("deploy photos --override \"the fix\"", deploy(None, "production", Some("the fix")));
    let dry = Command::DeployDryRun { service: text("photos"), reference: None, environment: text("staging") };
    check("deploy photos --dry-run --to staging", dry);
    refuse("deploy photos --dry-run --override x", "nothing to override");
    refuse("deploy photos --dry-run=yes", "takes no value");
    check(
        "rollback photos --reason \"errors up\"",
        Command::RollbackService {
            service: text("photos"),
            environment: production(),
            reason: Some(text("errors up")),
        },
    );
    check("rollback #12", Command::RollbackDeploy { number: 12, reason: None });
    check("next photos --to staging", Command::Next { service: text("photos"), environment: text("staging") });
    refuse("deploy", "lacks the service");
    refuse("deploy photos a b", "one word too many");
    refuse("deploy photos --in staging", "it takes --to, --override, --dry-run");
    refuse("deploy photos --to", "needs a value");
    refuse("rollback 12 --to staging", "leave `--to` out");
}

#[test]
fn policies_are_listed_and_shown_to_anybody_in_the_room() {
    check("policies list", Command::Policies { name: None });
    check("policies show photos", Command::Policies { name: Some(text("photos")) });
    assert!(parse("policies show photos").unwrap().only_reads());
    refuse("policies", "what to do");
    refuse("policies put photos", "say `policies list`");
}

#[test]
fn what_is_asked_of_a_deploy_by_its_number() {
    let listed = |service: Option<&str>, environment: Option<&str>, state: Option<&str>| Command::Deploys {
        service: service.map(text),
        environment: environment.map(text),
        state: state.map(text),
        by: None,
    };
    check("deploys", listed(None, None, None));
    check("deploys photos --in staging --state failed", listed(Some("photos"), Some("staging"), Some("failed")));
    check("deploys #12", Command::DeployShow { number: 12 });
    check("log 12 --host db2", Command::DeployLog { number: 12, host: Some(text("db2")) });
    for (line, word) in [
        ("promote 12", DeployWord::Promote),
        ("hold 12", DeployWord::Hold),
        ("abort 12", DeployWord::Abort),
        ("cancel #12", DeployWord::Cancel),
        ("retry 12", DeployWord::Retry),
    ] {
        check(line, Command::DeployMove { number: 12, word, reason: None });
        assert!(!parse(line).unwrap().only_reads(), "{line}");
    }
    assert!(parse("deploys 12").unwrap().only_reads() && parse("deploy x --dry-run").unwrap().only_reads());
    // What a build prints is for people with an account.
    assert!(!parse("log 12").unwrap().only_reads());
    let because = Some(text("the graphs are flat"));
    check(
        "promote 12 --reason \"the graphs are flat\"",
        Command::DeployMove { number: 12, word: DeployWord::Promote, reason: because },
    );
    let forward = |reference: Option<&str>, environment: &str, again| Command::RollForward {
        service: text("photos"),
        reference: reference.map(text),
        environment: text(environment),
        reason: None,
        again,
    };
    check("rollforward photos", forward(None, "production", false));
    check("rollforward photos 4f2c91a --to staging --again", forward(Some("4f2c91a"), "staging", true));
    refuse("rollforward", "lacks the service");
    refuse("retry 12 --reason x", "is not a flag of this command");
    refuse("deploys 12 --in staging", "leave `--in`, `--state` and `--by` out");
    refuse("log photos", "whole number");
    refuse("promote", "lacks the deploy's number");
    refuse("retry 12 13", "one word too many");
}

#[test]
fn a_queue_is_shown_left_let_go_on_and_somebody_is_taken_out() {
    let queue = |service: Option<&str>, environment: &str, ask, reason: Option<&str>| Command::Queue {
        service: service.map(text),
        environment: text(environment),
        ask,
        reason: reason.map(text),
    };
    use crate::deploys::QueueWord;
    let say = |word, of: Option<&str>| QueueAsk::Say { word, of: of.map(text) };
    check("queue", queue(None, "production", QueueAsk::Show, None));
    check("queue photos --in staging", queue(Some("photos"), "staging", QueueAsk::Show, None));
    check("queue photos leave", queue(Some("photos"), "production", say(QueueWord::Leave, None), None));
    check("queue photos Go", queue(Some("photos"), "production", say(QueueWord::Go, None), None));
    check(
        "queue photos drop raj --reason \"on holiday\"",
        queue(Some("photos"), "production", say(QueueWord::Drop, Some("raj")), Some("on holiday")),
    );
    assert!(parse("queue photos").unwrap().only_reads() && !parse("queue photos go").unwrap().only_reads());
    refuse("queue photos drop", "lacks whose deploy is dropped");
    refuse("queue photos jump", "say leave, drop WHO or go");
    refuse("queue photos leave raj", "one word too many");
    refuse("queue photos --reason x", "leave `--reason` out");
}

#[test]
fn a_lock_a_freeze_and_a_pin_are_three_things() {
    let locked = |service: &str, how| Command::Lock {
        service: text(service),
        environment: text("production"),
        reason: text("x"),
        for_ms: 3_600_000,
        how,
    };
    check("lock photos --freeze --reason x", locked("photos", LockHow::Freeze { from: None }));
    let from = tenfold_types::Timestamp::parse_rfc3339("2026-12-20T00:00:00Z");
    check("lock * --freeze --from 2026-12-20T00:00:00Z --reason x", locked("*", LockHow::Freeze { from }));
    check("lock photos --pin abc123 --reason x", locked("photos", LockHow::Pin { reference: text("abc123") }));
    refuse("lock * --reason x", "only a freeze is for all services");
    refuse("lock photos --from 2026-12-20T00:00:00Z --reason x", "only a freeze begins later");
    refuse("lock photos --freeze --from soon --reason x", "2026-12-20T00:00:00Z");
    refuse("lock photos --freeze --pin x --reason x", "not both");
    refuse("freeze photos --reason x", "lock photos --freeze");
    refuse("pin photos", "lock photos --pin");
}

#[test]
fn flags() {
    let production = || text("production");
    check("flag list", Command::FlagList { environment: production() });
    check(
        "flag off new_uploader --in staging",
        Command::FlagSwitch { key: text("new_uploader"), enabled: false, environment: text("staging"), reason: None },
    );
    let rollout = |percent| Command::FlagRollout { key: text("x"), percent, environment: production() };
    check("flag rollout x 25%", rollout(tenfold_flags::Share::percent(25)));
    check("flag rollout x 0.25", rollout(tenfold_flags::Share::hundredths(25).expect("a quarter of a percent")));
    refuse("flag rollout x 101", "0 to 100");
    refuse("flag rollout x -1", "0 to 100");
    check(
        "flag off x --reason \"uploads fail\"",
        Command::FlagSwitch {
            key: text("x"),
            enabled: false,
            environment: production(),
            reason: Some(text("uploads fail")),
        },
    );
    check("flag show x", Command::FlagShow { key: text("x") });
    check("flag archive x", Command::FlagArchive { key: text("x") });
    let fields = FlagFields {
        description: Some(text("Faster uploads")),
        kind: Some(tenfold_flags::Kind::KillSwitch),
        expires_at: Some(None),
        ..FlagFields::default()
    };
    check(
        "flag create x --description \"Faster uploads\" --kind kill-switch --expires never",
        Command::FlagCreate { key: text("x"), fields },
    );
    let fields = FlagFields { owner: Some(text("photos")), ..FlagFields::default() };
    check("flag set x --owner photos", Command::FlagSet { key: text("x"), fields });
    let context = serde_json::json!({"userId": "42", "plan": "pro"}).as_object().cloned().unwrap_or_default();
    check(
        "flag preview x --context \"userId=42 plan=pro\" --in staging",
        Command::FlagPreview { key: text("x"), environment: text("staging"), context },
    );
    refuse("flag set x", "lacks what to set");
    refuse("flag create x --kind lever", "release, experiment");
    refuse("flag preview x --context 42", "userId=42 plan=pro");
    refuse("flag toggle x", "list, show, on, off, rollout");
    let drill = |for_ms| Command::FlagDrill { key: text("x"), for_ms, environment: production() };
    check("flag drill x --for 30s", drill(Some(30_000)));
    check("flag drill x", drill(Some(60_000)));
    check("flag drill x cancel", drill(None));
    refuse("flag drill x --for 2h", "5 to 3600 seconds");
    refuse("flag drill x --for soon", "60s");
    let choose = |choice| Command::FlagChoose { key: text("x"), choice };
    check("flag join x", choose(Some(tenfold_flags::Choice::In)));
    check("flag leave x", choose(Some(tenfold_flags::Choice::Out)));
    check("flag unset x", choose(None));
    check("flag revert x 14", Command::FlagRevert { key: text("x"), seq: 14 });
    refuse("flag revert x soon", "event's number");
}

#[test]
fn incidents_and_notes() {
    check("ack 14", Command::Acknowledge { incident: 14, for_ms: None });
    check("ack 14 --for 2h", Command::Acknowledge { incident: 14, for_ms: Some(7_200_000) });
    check("escalate 14", Command::Escalate { incident: 14 });
    let handed =
        |text: Option<&str>| Command::HandOver { incident: 14, person: "raj".into(), text: text.map(str::to_owned) };
    check("handover 14 raj", handed(None));
    check("handover #14 raj \"it is the database\"", handed(Some("it is the database")));
    refuse("handover 14", "lacks the person's login");
    check("classify 14 7", Command::Classify { incident: 14, kind: "7".into() });
    check(
        "why-not alertname=Down severity=critical --for ana",
        Command::WhyNot { labels: "alertname=Down severity=critical".into(), person: Some("ana".into()) },
    );
    check("noise", Command::Noise(NoiseWord::Report));
    check("noise draft HighErrorRate", Command::Noise(NoiseWord::Draft { rule: "HighErrorRate".into() }));
    check(
        "noise put HighErrorRate for: 10m",
        Command::Noise(NoiseWord::Put { rule: "HighErrorRate".into(), change: "for: 10m".into() }),
    );
    check("noise undo photos", Command::Noise(NoiseWord::Undo { file: "photos".into() }));
    refuse("classify 14", "lacks what the pages were for");
    check("resolve #14", Command::Resolve { incident: 14 });
    check("note 14 queue drains again", Command::Note { incident: 14, text: text("queue drains again") });
    check(
        "incident open “uploads are slow” --service photos --severity warning",
        Command::IncidentOpen {
            title: text("uploads are slow"),
            service: Some(text("photos")),
            severity: IncidentSeverity::Warning,
            drill: false,
        },
    );
    check("incident show #14", Command::IncidentShow { incident: 14 });
    refuse("incident show", "lacks the incident's number");
    refuse("ack", "lacks the incident's number");
    refuse("ack fourteen", "whole number");
    refuse("ack 0", "whole number");
    refuse("incident close 4", "incident open");
    refuse("note 14", "lacks the text");
    refuse("incident open \"x", "never closed");
}

#[test]
fn shifts_mutes_and_locks() {
    check("who", Command::Who { of: None });
    check("take photos-primary", Command::Take { schedule: text("photos-primary"), for_ms: 7_200_000 });
    check("take photos-primary --for 1h30m", Command::Take { schedule: text("photos-primary"), for_ms: 5_400_000 });
    check(
        "mute service=photos severity!=\"critical\" --for 1h --reason 'load test'",
        Command::Mute(MuteAsk {
            matchers: vec![
                Matcher::equal("service", "photos"),
                Matcher::new("severity", tenfold_types::MatcherOp::NotEqual, "critical"),
            ],
            kind: tenfold_alerting::MuteKind::Silence,
            from: None,
            end: MuteEnd::For(3_600_000),
            recurs: None,
            reason: text("load test"),
        }),
    );
    check(
        "lock photos --reason ana's_migration",
        Command::Lock {
            service: text("photos"),
            environment: text("production"),
            reason: text("ana's_migration"),
            for_ms: 3_600_000,
            how: LockHow::Lock,
        },
    );
    refuse("mute service=photos --for 1h", "lacks `--reason`");
    refuse("mute --for 1h --reason x", "what to mute");
    refuse("mute service=photos --for 90 --reason x", "not a duration");
    refuse("mute service=photos --for 31d --reason x", "1m to 30d");
    refuse("take photos-primary --for 99999999999999999999d", "not a duration");
}

#[test]
fn prose_needs_no_quotes_and_no_care() {
    check("doing rebooting db2 -- it's stuck", Command::Doing { text: text("rebooting db2 -- it's stuck") });
    check("doing \"rebooting db2\"", Command::Doing { text: text("rebooting db2") });
    refuse("doing  ", "lacks the text");
    refuse(&format!("doing {}", "x".repeat(1_001)), "1000 characters");
}

#[test]
fn an_expression_is_taken_as_it_is() {
    let query = |expr: &str| Command::Query { expr: text(expr) };
    check("query up", query("up"));
    check("query rate(a{job=\"web\"}[5m]) - -1", query("rate(a{job=\"web\"}[5m]) - -1"));
    check("query \"sum by (job) (up)\"", query("sum by (job) (up)"));
    check("query \"up{job=\\\"web\\\"}\"", query("up{job=\"web\"}"));
    check("query 'up{job=\"web\"}'", query("up{job=\"web\"}"));
    check("query up{job=“web”}", query("up{job=\"web\"}"));
    check("query a{b='it is'} --c", query("a{b='it is'} --c"));
    check("query {\"http.requests\"}", query("{\"http.requests\"}"));
    refuse("query", "lacks the expression");
    refuse("query \"\"", "lacks the expression");
    refuse(&format!("query {}", "x".repeat(1_001)), "1000 characters");
    assert!(!parse("query up").unwrap().only_reads(), "an account asks");
}

#[test]
fn unknown_verbs_get_the_nearest() {
    refuse("delpoy photos", "did you mean `deploy`");
    refuse("acknowledge 3", "did you mean `ack`");
    refuse("rollbakc", "did you mean `rollback`");
    refuse("dep photos", "did you mean `deploy`");
    refuse("promql up", "did you mean `query`");
    refuse("xyzzy", "say `help`");
    refuse("", "there is no command");
    check("help depoly", Command::Help { verb: verb("deploy") });
}

#[test]
fn every_example_is_understood_and_every_usage_names_its_flags() {
    for verb in VERBS {
        let command = parse(verb.example).unwrap_or_else(|e| panic!("{}: {e}", verb.example));
        assert_eq!(command.verb(), verb.name);
        for flag in verb.flags.iter().chain(verb.switches) {
            assert!(verb.usage.contains(&format!("--{flag}")), "{}: --{flag}", verb.name);
        }
        assert_eq!(help(Some(verb)).len(), 1);
    }
    assert!(!parse("deploy x").unwrap().only_reads());
    assert!(parse("status").unwrap().only_reads());
}

#[test]
fn nothing_makes_it_panic() {
    let pieces = [
        "\"",
        "'",
        "“",
        "--",
        "-",
        "=",
        " ",
        "ack",
        "mute",
        "é",
        "#",
        "99999999999999999999",
        "{",
        "}",
        "\\",
        "—",
        "\u{0}",
    ];
    let mut seed = 12_345_u64;
    for _ in 0..20_000 {
        let mut line = String::new();
        for _ in 0..8 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            line.push_str(pieces[(seed >> 33) as usize % pieces.len()]);
        }
        let _ = parse(&line);
        let _ = parse(&format!("mute {line}"));
    }
}

#[test]
fn the_guide_shows_every_verb() {
    let guide = include_str!("../../../../../docs/guide/chat.md");
    for verb in VERBS {
        let cell = |text: &str| text.replace('|', "\\|");
        let row = format!("| `{}` | {} | `{}` |", cell(verb.usage), verb.summary, cell(verb.example));
        assert!(guide.contains(&row), "docs/guide/chat.md lacks this row:\n{row}");
    }
}

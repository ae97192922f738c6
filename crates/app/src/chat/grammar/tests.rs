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
    check("deploy photos", Command::Deploy { service: text("photos"), reference: None, environment: production() });
    check(
        "  Deploy photos abc123 --to=staging ",
        Command::Deploy { service: text("photos"), reference: Some(text("abc123")), environment: text("staging") },
    );
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
    refuse("deploy photos --in staging", "it takes --to");
    refuse("deploy photos --to", "needs a value");
    refuse("rollback 12 --to staging", "leave `--to` out");
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
    check("ack 14", Command::Acknowledge { incident: 14 });
    check("classify 14 7", Command::Classify { incident: 14, kind: "7".into() });
    check("noise", Command::Noise);
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
        for flag in verb.flags {
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

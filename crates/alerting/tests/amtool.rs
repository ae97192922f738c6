//! The routing tree and the import beside Alertmanager's own tool: the same files, the same label sets, the same answers.
//! Needs `amtool` (Debian: prometheus-alertmanager); without it each test says so in a line.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tenfold_alerting::{RoutingSpec, import_alertmanager};
use tenfold_types::Labels;

/// Trees that are tried; each is asked about several label sets.
const TREES: u32 = 80;
const RECEIVERS: usize = 6;

fn amtool() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&path).map(|dir| dir.join("amtool")).find(|p| p.is_file());
    if found.is_none() {
        tenfold_testkit::peer_is_missing("amtool is not installed (Debian: prometheus-alertmanager)");
    }
    found
}

#[derive(Debug, Clone)]
struct Node {
    receiver: Option<usize>,
    matchers: Vec<(usize, usize, usize)>,
    /// Which of the three writings.
    writing: usize,
    goes_on: bool,
    children: Vec<Node>,
}

const NAMES: [&str; 3] = ["team", "severity", "dc_1"];
const VALUES: [&str; 8] = ["a", "b", "ab", "", "a b", "ä\\\"x", ".*", "a|b"];
const OPS: [&str; 4] = ["=", "!=", "=~", "!~"];

fn leaf() -> impl Strategy<Value = Node> {
    let matcher = (0..NAMES.len(), 0..OPS.len(), 0..VALUES.len());
    let matchers = prop::collection::vec(matcher, 0..3);
    (prop::option::of(0..RECEIVERS), matchers, 0..3_usize, any::<bool>()).prop_map(
        |(receiver, matchers, writing, goes_on)| Node { receiver, matchers, writing, goes_on, children: vec![] },
    )
}

fn tree() -> impl Strategy<Value = Node> {
    let nodes = leaf().prop_recursive(4, 24, 4, |inner| {
        (leaf(), prop::collection::vec(inner, 0..4)).prop_map(|(node, children)| Node { children, ..node })
    });
    prop::collection::vec(nodes, 1..5).prop_map(|children| Node {
        receiver: Some(0),
        matchers: vec![],
        writing: 0,
        goes_on: false,
        children,
    })
}

fn write(node: &Node, indent: usize, out: &mut String) {
    let pad = " ".repeat(indent);
    let mut line = |text: String| writeln!(out, "{pad}{text}").expect("a string takes text");
    if let Some(receiver) = node.receiver {
        line(format!("receiver: r{receiver}"));
    }
    line(format!("continue: {}", node.goes_on));
    let part =
        |(name, op, value): &(usize, usize, usize)| format!("{}{}\"{}\"", NAMES[*name], OPS[*op], VALUES[*value]);
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    match node.writing {
        _ if node.matchers.is_empty() => {}
        0 => {
            line("matchers:".to_owned());
            for matcher in &node.matchers {
                line(format!("- {}", quoted(&part(matcher))));
            }
        }
        1 => {
            let all: Vec<String> = node.matchers.iter().map(part).collect();
            line(format!("matchers: [{}]", quoted(&format!("{{{}}}", all.join(", ")))));
        }
        _ => {
            let (name, _, value) = &node.matchers[0];
            let key = if *value < 5 { "match" } else { "match_re" };
            line(format!("{key}: {{{}: {}}}", NAMES[*name], quoted(VALUES[*value])));
        }
    }
    if !node.children.is_empty() {
        line("routes:".to_owned());
        for child in &node.children {
            writeln!(out, "{pad}-").expect("a string takes text");
            write(child, indent + 2, out);
        }
    }
}

fn file(root: &Node) -> String {
    let mut out = "route:\n".to_owned();
    write(root, 2, &mut out);
    out.push_str("receivers:\n");
    for i in 0..RECEIVERS {
        writeln!(out, "- name: r{i}").expect("a string takes text");
    }
    out
}

fn asked(amtool: &Path, config: &Path, labels: &Labels) -> String {
    let mut command = Command::new(amtool);
    command.args(["config", "routes", "test", "--config.file"]).arg(config);
    command.args(labels.iter().map(|(n, v)| format!("{n}=\"{}\"", v.replace('\\', "\\\\").replace('"', "\\\""))));
    let output = command.output().expect("amtool starts");
    assert!(output.status.success(), "amtool: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("amtool writes UTF-8").trim().to_owned()
}

#[test]
fn alerts_take_the_same_routes() {
    let Some(amtool) = amtool() else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("alertmanager.yml");
    let value = prop::sample::select(vec!["", "a", "b", "ab", "a b", "ä\"x", "c"]);
    let labels = prop::collection::vec(prop::collection::vec(value, NAMES.len()), 4);
    let mut runner = TestRunner::new(Config { cases: TREES, failure_persistence: None, ..Config::default() });
    runner
        .run(&(tree(), labels), |(root, label_sets)| {
            let yaml = file(&root);
            std::fs::write(&path, &yaml).unwrap();
            let ours = import_alertmanager(&yaml).map_err(|e| TestCaseError::fail(format!("{e} in\n{yaml}")))?;
            for values in &label_sets {
                let labels = Labels::from_pairs(NAMES.iter().copied().zip(values.iter().copied()));
                let routes = ours.routing.tree.matching(&labels, &mut |_, _| {});
                let receivers: Vec<&str> = routes.iter().map(|r| r.receiver.as_str()).collect();
                prop_assert_eq!(receivers.join(","), asked(&amtool, &path, &labels), "{} in\n{}", labels, yaml);
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn files_are_accepted_and_refused_alike() {
    let Some(amtool) = amtool() else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("alertmanager.yml");
    let head = "receivers: [{name: r}]\n";
    for (file, accepted) in [
        ("route: {receiver: r}", true),
        ("route: {receiver: r, group_by: ['...']}", true),
        ("route: {receiver: r, group_by: ['...', a]}", false),
        ("route: {receiver: r, group_by: [a, a]}", false),
        ("route: {receiver: r, group_by: []}", true),
        ("route: {receiver: none}", false),
        ("route: {}", false),
        ("", false),
        ("route: {receiver: r, matchers: ['a=b']}", false),
        ("route: {receiver: r, continue: true}", false),
        ("route: {receiver: r, routes: [{receiver: none}]}", false),
        ("route: {receiver: r, routes: [{matchers: ['a=~(']}]}", false),
        ("route: {receiver: r, routes: [{matchers: ['a']}]}", false),
        ("route: {receiver: r, routes: [{matchers: ['a=b,c!~d.*,']}]}", true),
        ("route: {receiver: r, routes: [{match_re: {a: '['}}]}", false),
        ("route: {receiver: r, group_interval: 0s}", false),
        ("route: {receiver: r, repeat_interval: 0s}", false),
        ("route: {receiver: r, group_wait: 0s}", true),
        ("route: {receiver: r, group_wait: 1d12h}", true),
        ("route: {receiver: r, group_wait: soon}", false),
        ("route: {receiver: r, colour: red}", false),
        ("route: {receiver: r, routes: [{mute_time_intervals: [none]}]}", false),
        ("route: {receiver: r, mute_time_intervals: [n]}\ntime_intervals: [{name: n}]", false),
        ("route: {receiver: r, routes: [{active_time_intervals: [n]}]}\ntime_intervals: [{name: n}]", true),
        ("route: {receiver: r, routes: [{mute_time_intervals: [n]}]}\nmute_time_intervals: [{name: n}]", true),
        ("route: {receiver: r}\ntime_intervals: [{name: n}, {name: n}]", false),
        (
            "route: {receiver: r}\ntime_intervals: [{name: n, time_intervals: [{weekdays: ['monday:friday'], days_of_month: ['-5:-1'], location: Europe/Berlin}]}]",
            true,
        ),
        ("route: {receiver: r}\ntime_intervals: [{name: n, time_intervals: [{weekdays: ['friday:monday']}]}]", false),
        ("route: {receiver: r}\ntime_intervals: [{name: n, time_intervals: [{days_of_month: ['-1:-5']}]}]", false),
        ("route: {receiver: r}\ntime_intervals: [{name: n, time_intervals: [{days_of_month: ['1:-5', '31']}]}]", true),
        ("route: {receiver: r}\ntime_intervals: [{name: n, time_intervals: [{days_of_month: ['0']}]}]", false),
        ("route: {receiver: r}\ntime_intervals: [{name: n, time_intervals: [{location: Nowhere}]}]", false),
        ("route: {receiver: r}\ntime_intervals: [{name: n, time_intervals: [{months: ['may:August', '1']}]}]", true),
        ("route: {receiver: r}\ntime_intervals: [{name: n, time_intervals: [{years: ['2022:2020']}]}]", false),
        (
            "route: {receiver: r}\ntime_intervals: [{name: n, time_intervals: [{times: [{start_time: '09:00', end_time: '24:00'}]}]}]",
            true,
        ),
        (
            "route: {receiver: r}\ntime_intervals: [{name: n, time_intervals: [{times: [{start_time: '9:00', end_time: '10:00'}]}]}]",
            false,
        ),
        ("route: {receiver: r}\ninhibit_rules: [{source_matchers: ['a=b'], target_match: {c: d}, equal: [e]}]", true),
        ("route: {receiver: r}\ninhibit_rules: [{source_matchers: ['a'], target_match: {c: d}}]", false),
        ("route: {receiver: r}\nglobal: {resolve_timeout: 1m}\ntemplates: ['*.tmpl']", true),
    ] {
        let yaml = format!("{head}{file}\n");
        std::fs::write(&path, &yaml).unwrap();
        let output = Command::new(&amtool).arg("check-config").arg(&path).output().unwrap();
        let theirs = output.status.success();
        let ours = import_alertmanager(&yaml);
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(theirs, accepted, "amtool differs from the table: {said} in\n{yaml}");
        assert_eq!(ours.is_ok(), accepted, "{:?} in\n{yaml}", ours.map(|_| ()));
    }
}

#[test]
fn ways_to_ask_a_webhook_are_accepted_and_refused_alike() {
    let Some(amtool) = amtool() else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("alertmanager.yml");
    for (http, accepted) in [
        ("{}", true),
        ("{basic_auth: {username: a, password: b}}", true),
        ("{basic_auth: {username: a, password_file: b}}", true),
        ("{basic_auth: {username: a}}", true),
        ("{basic_auth: {username: a, password: b, password_file: c}}", false),
        ("{authorization: {credentials: b}}", true),
        ("{authorization: {type: Token, credentials_file: b}}", true),
        ("{authorization: {type: Basic, credentials: b}}", false),
        ("{authorization: {credentials: b, credentials_file: c}}", false),
        ("{bearer_token: b}", true),
        ("{bearer_token: b, bearer_token_file: c}", false),
        ("{bearer_token: b, basic_auth: {username: a}}", false),
        ("{authorization: {credentials: b}, basic_auth: {username: a}}", false),
        ("{oauth2: {client_id: a, client_secret: b, token_url: 'http://t'}}", true),
        (
            "{oauth2: {client_id: a, client_secret_file: b, token_url: 'http://t', scopes: [x], endpoint_params: {a: b}}}",
            true,
        ),
        ("{oauth2: {client_id: a, client_secret: b, client_secret_file: c, token_url: 'http://t'}}", false),
        ("{oauth2: {client_id: a, client_secret: b}}", false),
        ("{oauth2: {client_secret: b, token_url: 'http://t'}}", false),
        ("{oauth2: {client_id: a, client_secret: b, token_url: 'http://t'}, basic_auth: {username: a}}", false),
        ("{tls_config: {insecure_skip_verify: true, server_name: x}}", true),
        ("{tls_config: {min_version: TLS12}}", true),
        ("{tls_config: {min_version: TLS9}}", false),
        ("{proxy_url: 'http://p:1'}", true),
        ("{follow_redirects: true, enable_http2: false}", true),
        ("{colour: red}", false),
        ("x", false),
    ] {
        let yaml = format!(
            "route: {{receiver: r}}\nreceivers: [{{name: r, webhook_configs: [{{url: 'http://h', http_config: {http}}}]}}]\n"
        );
        std::fs::write(&path, &yaml).unwrap();
        let output = Command::new(&amtool).arg("check-config").arg(&path).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.success(), accepted, "amtool differs from the table: {said} in\n{yaml}");
        let ours = import_alertmanager(&yaml);
        assert_eq!(ours.is_ok(), accepted, "{:?} in\n{yaml}", ours.map(|_| ()));
    }
}

#[test]
fn what_is_shown_to_tools_is_a_file_of_theirs() {
    let Some(amtool) = amtool() else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("alertmanager.yml");
    let yaml = "
route: {receiver: r, routes: [{matchers: ['a=~\"b|c\"'], active_time_intervals: [n], continue: true}]}
receivers: [{name: r, policy: web, quiet: false}]
time_intervals: [{name: n, time_intervals: [{weekdays: ['monday:friday'], days_of_month: ['-3:-1'], location: UTC}]}]
inhibit_rules: [{name: i, source_matchers: [a=b], target_match: {c: d}, equal: [e]}]
";
    for spec in [RoutingSpec::plain(), import_alertmanager(yaml).unwrap().spec] {
        std::fs::write(&path, spec.as_alertmanager().unwrap()).unwrap();
        let output = Command::new(&amtool).arg("check-config").arg(&path).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}

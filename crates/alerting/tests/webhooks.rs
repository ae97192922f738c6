//! When a webhook is told of its group, and what.

#![expect(clippy::unwrap_used, reason = "a test that fails should panic where it fails")]

use std::sync::Arc;

use tenfold_alerting::pipeline::{Flush, Flushed, GroupId, HowEnded, Known};
use tenfold_alerting::webhook::{Ledger, OwedAlert, message};
use tenfold_alerting::{Fingerprint, import_alertmanager};
use tenfold_types::{FlatMap, Labels, Timestamp};

fn at(second: i64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + second * 1_000)
}

/// The fingerprint that has a name of up to eight letters in it, and sorts as that does.
fn written(name: &str) -> Fingerprint {
    let mut bytes = [0; 8];
    bytes[..name.len()].copy_from_slice(name.as_bytes());
    Fingerprint::parse(&format!("{:016x}", u64::from_be_bytes(bytes))).unwrap()
}

fn name_of(fingerprint: Fingerprint) -> String {
    let bytes = u64::from_str_radix(&fingerprint.text(), 16).unwrap().to_be_bytes();
    bytes.into_iter().take_while(|byte| *byte > 0).map(char::from).collect()
}

fn known(name: &str, ended: Option<i64>) -> Arc<Known> {
    Arc::new(Known {
        labels: Labels::from_pairs([("alertname", name), ("job", "api")]),
        annotations: Arc::new(FlatMap::from([("summary".to_owned(), "it broke".to_owned())])),
        starts_at: at(0),
        ended: ended.map(|s| (at(s), HowEnded::Resolved)),
        lapsed: None,
        generator_url: None,
    })
}

/// `a` fires, `a!5` is over since second 5, `(a)` is quiet.
fn flush(text: &str) -> Flush {
    let one = |word: &str| {
        let quiet = word.starts_with('(');
        let word = word.trim_matches(['(', ')']);
        let (name, ended) = word.split_once('!').map_or((word, None), |(n, s)| (n, Some(s.parse().unwrap())));
        Flushed { fingerprint: written(name), known: known(name, ended), quiet }
    };
    Flush {
        group: Arc::new(GroupId::new("{}".to_owned(), Labels::from_pairs([("job", "api")]))),
        receiver: "default".to_owned(),
        repeat_interval_ms: 100_000,
        alerts: text.split_whitespace().map(one).collect(),
    }
}

/// Each line is `SECOND: GROUP -> TOLD`, where TOLD is `-` for nothing; `SECOND: GROUP -> lost` is owed and not taken.
fn check(send_resolved: bool, script: &str) {
    let mut ledger = Ledger::default();
    for line in script.lines().map(str::trim).filter(|l| !l.is_empty()) {
        let (second, rest) = line.split_once(": ").unwrap();
        let (group, wanted) = rest.split_once(" -> ").unwrap();
        let now = at(second.parse().unwrap());
        let owes = ledger.flush(&flush(group), send_resolved, now);
        if wanted == "lost" {
            assert!(owes, "{line}");
            continue;
        }
        let told = if owes {
            let owed = ledger.owed.clone().unwrap();
            let said = ledger.said(&owed, send_resolved);
            let one = |(f, a): &(Fingerprint, &OwedAlert)| name_of(*f) + if a.over.is_some() { "!" } else { "" };
            let told: Vec<String> = said.iter().map(one).collect();
            assert!(!ledger.took(&owed, send_resolved, now), "{line}");
            told.join(" ")
        } else {
            String::new()
        };
        assert_eq!(if told.is_empty() { "-" } else { &told }, wanted, "{line}");
    }
}

#[test]
fn tells_first_grown_shrunk_repeated_and_over() {
    check(
        true,
        "0: a -> a
         10: a -> -
         20: a b -> a b
         30: a!25 b -> a! b
         40: b -> -
         129: b -> -
         130: b -> b
         140: b!135 -> b!
         150: a -> a",
    );
}

#[test]
fn one_that_does_not_want_to_know_of_ends_hears_of_what_fires_only() {
    check(
        false,
        "0: a b -> a b
         10: a!5 b -> -
         20: b c -> b c
         30: b!25 c!25 -> -
         40: b -> b",
    );
}

#[test]
fn what_is_quiet_is_not_told_and_its_end_is_where_it_was() {
    check(
        true,
        "0: (a) -> -
         10: a -> a
         20: (a) -> -
         30: (a!25) -> a!
         40: (b!35) -> -",
    );
}

#[test]
fn what_fired_and_ended_while_nobody_could_be_told_is_told_once() {
    check(
        true,
        "0: a -> lost
         10: a b -> lost
         20: a!15 b -> lost
         30: b!25 -> a! b!
         40:  -> -",
    );
    check(
        true,
        "0: a -> lost
         10: (a) -> -
         20: a -> a",
    );
}

#[test]
fn what_fires_again_while_its_end_is_owed_is_told_since_the_end_was_perhaps_taken() {
    check(
        true,
        "0: a -> a
         10: a!5 -> lost
         20: a -> a
         30: a -> -
         40: a!35 -> a!",
    );
    // While it is quiet its end stays owed.
    check(
        true,
        "0: a b -> a b
         10: a!5 b -> lost
         20: (a) b -> lost
         30: a b -> a b
         40: a!35 b -> lost
         50: (a) b -> a! b",
    );
}

#[test]
fn a_message_that_was_replaced_while_it_was_under_way_leaves_the_newer_one_owed() {
    let mut ledger = Ledger::default();
    assert!(ledger.flush(&flush("a"), true, at(0)));
    let sent = ledger.owed.clone().unwrap();
    assert!(ledger.flush(&flush("a b"), true, at(1)));
    assert!(ledger.took(&sent, true, at(2)), "b is owed");
    let sent = ledger.owed.clone().unwrap();
    assert!(ledger.flush(&flush("a b"), true, at(3)), "still");
    assert!(!ledger.took(&sent, true, at(4)), "nothing of it is news");
}

#[test]
fn what_is_muted_and_ends_before_there_is_an_answer_is_told_as_over() {
    for send_resolved in [true, false] {
        let mut ledger = Ledger::default();
        assert!(ledger.flush(&flush("a"), send_resolved, at(0)));
        let sent = ledger.owed.clone().unwrap();
        ledger.tell(sent.clone());
        assert!(!ledger.flush(&flush("(a)"), send_resolved, at(10)), "it is muted");
        assert!(ledger.knows_of(written("a")) && ledger.owes_firing(written("a")), "it may take it all the same");
        assert_eq!((ledger.lasting(false).len(), ledger.lasting(true).len()), (0, 1));
        assert!(ledger.flush(&flush("(a!15)"), send_resolved, at(20)));
        assert!(ledger.flush(&flush(""), send_resolved, at(30)), "its group has forgotten it");
        assert!(ledger.took(&sent, send_resolved, at(40)), "its end is owed");
        let owed = ledger.owed.clone().unwrap();
        assert_eq!(ledger.said(&owed, send_resolved).len(), usize::from(send_resolved));
        assert!(!ledger.took(&owed, send_resolved, at(50)) && ledger.is_blank());
    }
    let mut ledger = Ledger::default();
    assert!(ledger.flush(&flush("a"), true, at(0)));
    ledger.tell(ledger.owed.clone().unwrap());
    assert!(!ledger.flush(&flush("(a)"), true, at(10)));
    assert!(ledger.refused() && ledger.lasting(true).is_empty(), "it did not take it");
    assert!(!ledger.flush(&flush("(a!15)"), true, at(20)), "nobody has told it");
}

#[test]
fn what_fires_anew_after_it_was_told_is_told_after_a_restart_since_its_end_was_perhaps_told() {
    let mut ledger = Ledger::default();
    assert!(ledger.flush(&flush("a b"), true, at(0)));
    let sent = ledger.owed.clone().unwrap();
    assert!(!ledger.took(&sent, true, at(1)));
    ledger.began_again(|_| Some(at(1)));
    assert!(!ledger.flush(&flush("a b"), true, at(10)), "both began before");
    let a_began = |fingerprint: Fingerprint| (fingerprint == written("a")).then(|| at(5));
    ledger.began_again(a_began);
    let mut over = ledger.clone();
    assert!(ledger.flush(&flush("a b"), true, at(20)));
    let sent = ledger.owed.clone().unwrap();
    assert!(!ledger.took(&sent, true, at(21)) && !ledger.flush(&flush("a b"), true, at(30)), "once");
    assert!(over.flush(&flush("a!15 b"), true, at(20)));
    let sent = over.owed.clone().unwrap();
    assert_eq!(over.said(&sent, true).len(), 2, "its end as well");
}

fn names(alerts: &FlatMap<Fingerprint, OwedAlert>) -> Vec<String> {
    alerts.keys().copied().map(name_of).collect()
}

#[test]
fn an_end_that_is_told_after_a_restart_is_of_what_no_longer_fires() {
    let mut ledger = Ledger::default();
    assert!(ledger.flush(&flush("a b"), true, at(0)));
    let sent = ledger.owed.clone().unwrap();
    ledger.took(&sent, true, at(0));
    for (name, left) in [("a", Some("b")), ("b", None)] {
        let over = OwedAlert { known: known(name, Some(5)), over: Some(at(5)) };
        ledger.owe_again(FlatMap::from([(written(name), over)]));
        assert_eq!(ledger.lasting(false).len(), 1, "it is stored until it is taken");
        let sent = ledger.owed.clone().unwrap();
        assert!(!ledger.took(&sent, true, at(6)));
        assert!(ledger.lasting(false).is_empty());
        let firing = ledger.heard.as_ref().and_then(|heard| heard.firing.iter().next().copied());
        assert_eq!(firing.map(name_of).as_deref(), left);
    }
    assert!(ledger.is_blank(), "nothing of it fires");
    assert!(ledger.flush(&flush("a"), true, at(7)), "that it fires again is news");
}

#[test]
fn one_that_refuses_large_messages_is_told_in_pieces() {
    let mut ledger = Ledger::default();
    assert!(ledger.flush(&flush("a b c"), true, at(0)));
    let whole = ledger.owed.clone().unwrap();
    let first = ledger.piece(&whole, 2);
    assert_eq!(names(&first.alerts), ["a", "b"]);
    assert!(ledger.took(&first, true, at(1)), "c is owed");
    let rest = ledger.owed.clone().unwrap();
    assert_eq!(names(&rest.alerts), ["c"]);
    assert!(!ledger.took(&ledger.piece(&rest, 2), true, at(2)));
    assert!(!ledger.flush(&flush("a b c"), true, at(3)), "it knows of all");
    // What it has not heard comes first.
    assert!(ledger.flush(&flush("a b c d"), true, at(4)));
    let whole = ledger.owed.clone().unwrap();
    assert_eq!(names(&ledger.piece(&whole, 1).alerts), ["d"]);
}

#[test]
fn what_is_over_for_too_long_is_given_up_and_what_fires_is_not() {
    let mut ledger = Ledger::default();
    assert!(ledger.flush(&flush("a b"), true, at(0)));
    assert!(ledger.flush(&flush("a!5 b"), true, at(10)));
    assert_eq!((ledger.lasting(false).len(), ledger.lasting(true).len()), (1, 2));
    assert_eq!(ledger.give_up(at(5)), 0);
    assert_eq!(ledger.give_up(at(6)), 1);
    assert_eq!(names(&ledger.owed.clone().unwrap().alerts), ["b"]);
    assert!(ledger.lasting(false).is_empty());
}

#[test]
fn of_many_that_are_over_and_forgotten_the_last_thousand_to_end_stay_owed() {
    let mut ledger = Ledger::default();
    let group = |one: &dyn Fn(usize) -> String| flush(&(0..1_500).map(one).collect::<Vec<_>>().join(" "));
    assert!(ledger.flush(&group(&|n: usize| format!("a{n:04}")), true, at(0)));
    let sent = ledger.owed.clone().unwrap();
    assert!(!ledger.took(&sent, true, at(0)));
    // The first by name are the last to end.
    assert!(ledger.flush(&group(&|n: usize| format!("a{n:04}!{}", 1_500 - n)), true, at(2_000)));
    assert!(ledger.flush(&flush("a0500b"), true, at(2_010)), "its group has forgotten them");
    let owed = ledger.owed.clone().unwrap();
    let mut wanted: Vec<String> = (0..1_000).map(|n| format!("a{n:04}")).collect();
    wanted.insert(501, "a0500b".to_owned());
    assert_eq!(names(&owed.alerts), wanted);
    let heard = ledger.heard.as_ref().unwrap();
    assert!(
        heard.firing.len() == 1_000 && !heard.firing.contains(&written("a1000")),
        "when that fires again it is news"
    );
    assert!(!ledger.took(&owed, true, at(2_020)));
}

#[test]
fn the_message_is_alertmanagers() {
    let config = "{route: {receiver: default}, receivers: [{name: default, webhook_configs: [{url: 'http://h/', max_alerts: 2}]}]}";
    let imported = import_alertmanager(config).unwrap();
    assert!(imported.report.is_empty(), "{:?}", imported.report);
    let receiver = &imported.routing.receivers["default"];
    assert!(!receiver.quiet);
    let mut ledger = Ledger::default();
    let flush = flush("c b a!7");
    ledger.flush(&flush, true, at(9));
    let owed = ledger.owed.clone().unwrap();
    let said = ledger.said(&owed, true);
    let text = message(&receiver.webhook_configs[0], "default", &flush.group, &said, "http://us").unwrap();
    let alert = |name: &str, status: &str, ends: &str| {
        serde_json::json!({
            "status": status, "labels": {"alertname": name, "job": "api"}, "annotations": {"summary": "it broke"},
            "startsAt": "2023-11-14T22:13:20.000Z", "endsAt": ends,
            "generatorURL": format!("http://us/alerts/{}", written(name)), "fingerprint": written(name),
        })
    };
    let wanted = serde_json::json!({
        "receiver": "default", "status": "firing",
        "alerts": [alert("a", "resolved", "2023-11-14T22:13:27.000Z"), alert("b", "firing", "0001-01-01T00:00:00Z")],
        "groupLabels": {"job": "api"}, "commonLabels": {"job": "api"}, "commonAnnotations": {"summary": "it broke"},
        "externalURL": "http://us", "version": "4", "groupKey": "{}:{job=\"api\"}", "truncatedAlerts": 1,
    });
    assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), wanted);
}

#[test]
fn what_is_wrong_in_a_webhook_is_named() {
    const HTTP: &str = "receivers[0].webhook_configs[0].http_config";
    let read = |hook: &str| {
        let text = format!("{{route: {{receiver: r}}, receivers: [{{name: r, webhook_configs: [{hook}]}}]}}");
        import_alertmanager(&text).map(|i| i.report.iter().map(|n| n.path.clone()).collect::<Vec<_>>())
    };
    for hook in [
        "{url: 'http://h', http_config: {}}",
        "{url: 'http://h', http_config: {basic_auth: {username: a, password: b}, follow_redirects: true}}",
        "{url: 'http://h', http_config: {bearer_token_file: t, enable_http2: false, proxy_url: 'http://p'}}",
        "{url: 'http://h', http_config: {tls_config: {ca_file: a, cert_file: b, key_file: c, min_version: TLS12}}}",
        "{url: 'http://h', http_config: {oauth2: {client_id: a, client_secret: b, token_url: 'http://t'}}}",
        "{url: 'http://h', http_config: {http_headers: {X-A: {values: [a], secrets: [b], files: [c]}}}}",
        "{url_file: hook, timeout: 3s, max_alerts: 4}",
    ] {
        assert_eq!(read(hook).unwrap(), Vec::<String>::new(), "{hook}");
    }
    for (hook, place) in [
        ("{url: 'ftp://h'}", "receivers[0].webhook_configs[0].url"),
        ("{send_resolved: true}", "receivers[0].webhook_configs[0].url"),
        ("{url: 'http://h', send_resolved: maybe}", "receivers[0].webhook_configs[0].send_resolved"),
        ("{url: 'http://h', timeout: 1h}", "receivers[0].webhook_configs[0].timeout"),
        ("{url: 'http://h', color: red}", "receivers[0].webhook_configs[0].color"),
        ("{url: 'http://h', url_file: hook}", "receivers[0].webhook_configs[0]"),
        ("{url_file: ../hook}", "receivers[0].webhook_configs[0]"),
        ("{url: 'http://h', http_config: {bearer_token_file: a/../../b}}", "receivers[0].webhook_configs[0]"),
        ("{url: 'http://h', http_config: x}", HTTP),
        ("{url: 'http://h', http_config: {color: red}}", HTTP),
        ("{url: 'http://h', http_config: {basic_auth: {password: a, password_file: b}}}", HTTP),
        ("{url: 'http://h', http_config: {bearer_token: a, basic_auth: {username: a}}}", HTTP),
        ("{url: 'http://h', http_config: {authorization: {type: Basic, credentials: a}}}", HTTP),
        ("{url: 'http://h', http_config: {proxy_url: 'http://u:p@h'}}", HTTP),
        ("{url: 'http://h', http_config: {tls_config: {cert_file: a}}}", HTTP),
        ("{url: 'http://h', http_config: {http_headers: {Authorization: {values: [a]}}}}", HTTP),
        ("x", "receivers[0].webhook_configs[0]"),
    ] {
        assert_eq!(read(hook).unwrap_err().path, place);
    }
}

#[test]
fn how_a_webhook_is_asked_is_read_and_its_secrets_are_not_repeated() {
    let read = |hook: &str| {
        let text = format!("{{route: {{receiver: r}}, receivers: [{{name: r, webhook_configs: [{hook}]}}]}}");
        import_alertmanager(&text).map(|mut i| i.spec.receivers.remove(0).webhook_configs.remove(0))
    };
    let spec = read(
        "{url_file: hook, http_config: {authorization: {type: Token, credentials_file: t}, tls_config: {ca_file: ca.pem}}}",
    )
    .unwrap();
    assert_eq!((spec.url.as_str(), spec.url_file.as_deref()), ("", Some("hook")));
    assert_eq!(spec.files(), ["hook", "t", "ca.pem"]);
    let followed = |said: &str| {
        let spec = read(&format!("{{url: 'http://h', http_config: {{bearer_token: a{said}}}}}")).unwrap();
        spec.http.unwrap().follow_redirects
    };
    assert_eq!([followed(""), followed(", follow_redirects: true")], [false, true], "only where it is written");
    for hook in [
        "{url: 'http://h', http_config: {basic_auth: {username: a, password: [very-secret]}}}",
        "{url: 'http://h', http_config: {basic_auth: {username: a, password: very-secret, password_file: f}}}",
        "{url: 'http://h', http_config: {proxy_url: 'http://u:very-secret@h'}}",
        "{url: 'http://h', http_config: {http_headers: {X-A: {secrets: very-secret}}}}",
    ] {
        let refused = read(hook).unwrap_err();
        assert!(!refused.to_string().contains("very-secret"), "{refused}");
    }
}

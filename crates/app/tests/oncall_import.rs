//! Exports of other on-call products, in the shapes of their APIs: whoever is on call there at an instant is on call here,
//! over changes of clocks too, and what has no equal is told.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tenfold_alerting::import_alertmanager;
use tenfold_app::oncall::{ImportDraft, ImportSource, KnownPerson, OncallImport, PersonFound, import_draft};
use tenfold_oncall::{Override, Schedule};
use tenfold_types::Timestamp;

fn at(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).expect("an instant")
}

fn asked(source: ImportSource, export: Value) -> OncallImport {
    OncallImport { source, export, people: BTreeMap::new(), create_people: true, dry_run: true }
}

fn draft(source: ImportSource, export: Value) -> ImportDraft {
    import_draft(&asked(source, export), &[], at("2026-10-01T00:00:00Z")).expect("an export")
}

/// Who is on call in a schedule of the draft.
fn on_call(draft: &ImportDraft, name: &str, instant: &str) -> Vec<String> {
    let found = draft.schedules.iter().find(|s| s.name == name).expect(name);
    let overrides = found.overrides.iter().enumerate().map(|(i, o)| Override {
        kind: o.kind,
        ..Override::cover(i64::try_from(i).unwrap_or(0), &o.person, o.start, o.end, "import")
    });
    let schedule = Schedule::of_plan(name, found.plan.clone(), overrides.collect()).expect("a plan");
    schedule.duty_at(at(instant)).people
}

fn check(draft: &ImportDraft, name: &str, cases: &[(&str, &[&str])]) {
    for (instant, people) in cases {
        assert_eq!(on_call(draft, name, instant), *people, "{name} at {instant}");
    }
}

fn told(draft: &ImportDraft, about: &str, part: &str) -> bool {
    draft.report.iter().any(|n| n.about == about && n.message.contains(part))
}

fn grafana() -> Value {
    let shift = |id: &str, kind: &str, more: Value| {
        let mut shift = json!({"id": id, "name": format!("shift {id}"), "team_id": null, "type": kind, "time_zone": null, "level": 0});
        let fields = shift.as_object_mut().expect("an object");
        fields.extend(more.as_object().expect("an object").clone());
        shift
    };
    let weekly = json!({"start": "2026-01-05T09:00:00", "duration": 604_800, "frequency": "weekly", "interval": 1,
        "week_start": "MO", "by_day": null, "by_month": null, "by_monthday": null,
        "rolling_users": [["U1"], ["U2"]], "start_rotation_from_user_index": 0});
    let office = json!({"level": 1, "start": "2026-01-05T09:00:00", "duration": 28_800, "frequency": "weekly", "interval": 1,
        "week_start": "MO", "by_day": ["MO", "TU", "WE", "TH", "FR"], "rolling_users": [["U1"], ["U3"]],
        "start_rotation_from_user_index": 1});
    let nights = json!({"start": "2026-01-05T22:00:00", "duration": 28_800, "frequency": "daily", "users": ["U3"]});
    let pair = json!({"start": "2026-01-05T09:00:00", "duration": 604_800, "frequency": "weekly",
        "rolling_users": [["U1", "U2"], ["U3"]], "start_rotation_from_user_index": null});
    let page = |rows: Value| json!({"count": 1, "next": null, "previous": null, "results": rows});
    json!({
        "users": page(json!([
            {"id": "U1", "username": "ana", "email": "ana@example.org", "role": "user", "timezone": "Europe/Berlin", "teams": ["T1"]},
            {"id": "U2", "username": "raj", "email": "raj@example.org", "role": "admin", "timezone": null, "teams": []},
            {"id": "U3", "username": "mei", "email": "mei@example.org", "role": "user", "teams": ["T1"]},
        ])),
        "teams": page(json!([{"id": "T1", "name": "web", "email": null}])),
        "schedules": page(json!([
            {"id": "S1", "name": "Primary", "type": "calendar", "team_id": null, "time_zone": "Europe/Berlin",
             "on_call_now": ["U1"], "shifts": ["O1", "O2", "O3"], "ical_url_overrides": null},
            {"id": "S2", "name": "Pair", "type": "calendar", "time_zone": "UTC", "shifts": ["O5", "O6"]},
            {"id": "S3", "name": "Nights", "type": "calendar", "time_zone": "America/New_York", "shifts": ["O4"]},
            {"id": "S4", "name": "Feed", "type": "ical", "ical_url_primary": "https://example.com/secret.ics"},
        ])),
        "on_call_shifts": page(json!([
            shift("O1", "rolling_users", weekly),
            shift("O2", "rolling_users", office),
            shift("O3", "override", json!({"start": "2026-12-24T18:00:00", "duration": 43_200, "users": ["U2", "U3"]})),
            shift("O4", "recurrent_event", nights),
            shift("O5", "rolling_users", pair),
            shift("O6", "recurrent_event", json!({"start": "2026-01-05T09:00:00", "duration": 3_600, "frequency": "monthly",
                "by_monthday": [1], "users": ["U1"]})),
        ])),
        "escalation_chains": page(json!([{"id": "F1", "name": "Web", "team_id": null}])),
        "escalation_policies": page(json!([
            {"id": "E1", "escalation_chain_id": "F1", "position": 0, "type": "notify_on_call_from_schedule",
             "notify_on_call_from_schedule": "S1", "important": true},
            {"id": "E2", "escalation_chain_id": "F1", "position": 1, "type": "wait", "duration": 300},
            {"id": "E3", "escalation_chain_id": "F1", "position": 2, "type": "notify_persons", "persons_to_notify": ["U3"]},
            {"id": "E4", "escalation_chain_id": "F1", "position": 3, "type": "notify_on_call_from_schedule",
             "notify_on_call_from_schedule": "S2"},
            {"id": "E5", "escalation_chain_id": "F1", "position": 4, "type": "wait", "duration": 900},
            {"id": "E6", "escalation_chain_id": "F1", "position": 5, "type": "notify_person_next_each_time",
             "persons_to_notify_next_each_time": ["U1", "U2"]},
            {"id": "E7", "escalation_chain_id": "F1", "position": 6, "type": "notify_user_group", "group_to_notify": "G1"},
            {"id": "E8", "escalation_chain_id": "F1", "position": 7, "type": "repeat_escalation"},
        ])),
        "integrations": page(json!([{"id": "I1", "name": "Grafana: web", "type": "grafana_alerting", "link": "https://example.com/x",
            "default_route": {"id": "R0", "escalation_chain_id": "F1"}}])),
        "routes": page(json!([{"id": "R1", "integration_id": "I1", "escalation_chain_id": "F1", "routing_type": "regex",
            "routing_regex": "us-(east|west)", "position": 0, "is_the_last_route": false}])),
        "personal_notification_rules": page(json!([
            {"id": "N1", "user_id": "U1", "position": 0, "important": true, "type": "notify_by_sms"},
            {"id": "N2", "user_id": "U1", "position": 1, "important": true, "type": "wait", "duration": 60},
            {"id": "N3", "user_id": "U1", "position": 2, "important": true, "type": "notify_by_phone_call"},
        ])),
    })
}

#[test]
fn shifts_of_grafana_oncall_are_who_is_on_call_here() {
    let draft = draft(ImportSource::GrafanaOncall, grafana());
    check(
        &draft,
        "primary",
        &[
            // The higher level covers in office hours; its turns begin with the second group.
            ("2026-11-23T09:00:00Z", &["mei"]),
            ("2026-11-23T18:00:00Z", &["ana"]),
            ("2026-11-23T07:30:00Z", &["raj"]),
            ("2026-11-28T12:00:00Z", &["ana"]),
            ("2026-11-30T09:00:00Z", &["ana"]),
            ("2026-11-30T20:00:00Z", &["raj"]),
            // Handoffs stay at 09:00 in Berlin when the clocks go back, and forward.
            ("2026-10-19T06:59:00Z", &["ana"]),
            ("2026-10-19T16:00:00Z", &["raj"]),
            ("2026-10-26T07:59:00Z", &["raj"]),
            ("2026-10-26T08:01:00Z", &["mei"]),
            ("2027-03-29T06:59:00Z", &["raj"]),
            ("2027-03-29T07:01:00Z", &["mei"]),
            // The override holds over everything.
            ("2026-12-24T16:59:00Z", &["ana"]),
            ("2026-12-24T17:30:00Z", &["raj", "mei"]),
            ("2026-12-25T05:00:00Z", &["ana"]),
        ],
    );
    // Two at once are two schedules.
    check(&draft, "pair", &[("2026-11-24T12:00:00Z", &["ana"]), ("2026-12-01T12:00:00Z", &["mei"])]);
    check(&draft, "pair-2", &[("2026-11-24T12:00:00Z", &["raj"]), ("2026-12-01T12:00:00Z", &["mei"])]);
    check(
        &draft,
        "nights",
        &[
            ("2026-11-24T02:59:00Z", &[]),
            ("2026-11-24T03:01:00Z", &["mei"]),
            ("2026-11-24T10:59:00Z", &["mei"]),
            ("2026-11-24T11:01:00Z", &[]),
            ("2026-07-01T02:01:00Z", &["mei"]),
        ],
    );
    assert!(told(&draft, "Pair", "pair, pair-2"), "{:?}", draft.report);
    assert!(told(&draft, "Pair/shift O6", "by_month and by_monthday have no equal"), "{:?}", draft.report);
    assert!(told(&draft, "Feed", "is followed at its address"), "{:?}", draft.report);
    let feed = draft.schedules.iter().find(|s| s.name == "feed").and_then(|s| s.plan.calendar.as_ref());
    assert_eq!(feed.map(|calendar| calendar.url.as_str()), Some("https://example.com/secret.ics"));
    assert!(!format!("{:?}", draft.report).contains("secret.ics"), "an address may hold a secret");
}

#[test]
fn chains_of_grafana_oncall_are_policies_and_routes_a_draft() {
    let draft = draft(ImportSource::GrafanaOncall, grafana());
    let (name, policy) = &draft.policies[0];
    assert_eq!((name.as_str(), draft.policies.len()), ("web", 1));
    assert_eq!(
        serde_json::to_value(policy).expect("JSON"),
        json!({"repeat": 5, "steps": [
            {"delay_ms": 300_000, "targets": [{"kind": "schedule", "name": "primary"}]},
            {"delay_ms": 900_000, "targets": [{"kind": "person", "name": "mei"}, {"kind": "schedule", "name": "pair"},
                {"kind": "schedule", "name": "pair-2"}]},
            {"delay_ms": 300_000, "targets": [{"kind": "person", "name": "ana"}, {"kind": "person", "name": "raj"}],
                "round_robin": true},
        ]})
    );
    assert!(told(&draft, "Web", "notify_user_group"), "{:?}", draft.report);
    assert!(told(&draft, "ana", "tenfold oncall rules ana --critical sms,voice:60"), "{:?}", draft.report);
    assert!(told(&draft, "Grafana: web", "us-(east|west)"), "{:?}", draft.report);
    let routing = draft.routing.expect("a draft");
    assert_eq!(routing["route"]["routes"][0], json!({"matchers": ["integration=\"grafana-web\""], "receiver": "web"}));
    let read = import_alertmanager(&routing.to_string()).expect("a routing");
    assert_eq!(read.routing.receivers["web"].policy.as_deref(), Some("web"));
}

#[test]
fn a_chain_that_is_lost_silences_nothing_and_ours_are_told_from_theirs() {
    let mut export = grafana();
    export["escalation_chains"] =
        json!([{"id": "F1", "name": "On call"}, {"id": "F2", "name": "Nobody"}, {"id": "F3", "name": "Lost"}]);
    export["escalation_policies"] = json!([
        {"id": "E1", "escalation_chain_id": "F1", "type": "notify_persons", "persons_to_notify": ["U1"], "important": true},
        {"id": "E2", "escalation_chain_id": "F2", "type": "notify_persons", "persons_to_notify": ["U2"]},
        {"id": "E3", "escalation_chain_id": "F3", "type": "notify_user_group"},
    ]);
    let integration = |id: &str, chain: Option<&str>| json!({"id": id, "name": id, "type": "webhook", "default_route": {"escalation_chain_id": chain}});
    export["integrations"] = json!([
        integration("one", Some("F1")),
        integration("two", Some("F2")),
        integration("lost", Some("F3")),
        integration("none", None),
    ]);
    export["routes"] = json!([]);
    let draft = draft(ImportSource::GrafanaOncall, export);
    let routing = draft.routing.clone().expect("a draft");
    let route = |name: &str, to: &str| json!({"matchers": [format!("integration=\"{name}\"")], "receiver": to});
    assert_eq!(
        routing["route"]["routes"],
        json!([route("one", "on-call"), route("two", "nobody"), route("none", "nobody-2")])
    );
    assert!(told(&draft, "lost", "no route is drafted"), "{:?}", draft.report);
    assert!(told(&draft, "On call", "important rules"), "{:?}", draft.report);
    let read = import_alertmanager(&routing.to_string()).expect("each receiver is there once").routing;
    let of = |name: &str| (read.receivers[name].policy.as_deref(), read.receivers[name].quiet);
    assert_eq!((of("on-call"), of("nobody")), ((Some("on-call"), false), (Some("nobody"), false)));
    assert_eq!((of("on-call-2"), of("nobody-2")), ((None, false), (None, true)));
}

#[test]
fn own_rules_of_grafana_oncall_are_told_to_the_last_way() {
    let mut export = grafana();
    let rule = |position: i64, important: bool, kind: &str| json!({"id": "N", "user_id": "U2", "position": position, "important": important, "type": kind});
    export["personal_notification_rules"] = json!([
        rule(0, true, "notify_by_mobile_app_critical"),
        rule(0, false, "notify_by_mobile_app"),
        rule(1, false, "notify_by_pigeon"),
    ]);
    let draft = draft(ImportSource::GrafanaOncall, export);
    for part in ["raj --critical webpush", "raj --other webpush", "notify_by_pigeon has no equal"] {
        assert!(told(&draft, "raj", part), "{part}: {:?}", draft.report);
    }
}

fn opsgenie() -> Value {
    let user = |id: &str, name: &str| json!({"type": "user", "id": id, "username": format!("{name}@example.org")});
    let data = |rows: Value| json!({"data": rows, "took": 0.1, "requestId": "x"});
    let rotation = |name: &str, start: &str, kind: &str, people: Value, hours: Value| {
        json!({"id": name, "name": name, "startDate": start, "endDate": null, "type": kind, "length": 1,
            "participants": people, "timeRestriction": hours})
    };
    json!({
        "users": data(json!([
            {"id": "u1", "username": "ana@example.org", "fullName": "Ana Lima", "timeZone": "America/New_York", "blocked": false},
            {"id": "u2", "username": "raj@example.org", "fullName": "Raj", "timeZone": "Europe/London", "blocked": false},
            {"id": "u3", "username": "mei@example.org", "fullName": "Mei", "blocked": false},
            {"id": "u4", "username": "gone@example.org", "fullName": "Gone", "blocked": true},
        ])),
        "teams": data(json!([{"id": "t1", "name": "Web", "members": [
            {"user": {"id": "u1", "username": "ana@example.org"}, "role": "admin"}, {"user": {"id": "u3"}, "role": "user"}]}])),
        "schedules": data(json!([
            {"id": "s1", "name": "US", "timezone": "America/New_York", "enabled": true, "ownerTeam": {"id": "t1", "name": "Web"},
             "rotations": [
                rotation("week", "2026-01-05T14:00:00Z", "weekly", json!([user("u1", "ana"), user("u2", "raj")]), json!(null)),
                rotation("night", "2026-01-05T05:00:00Z", "daily", json!([user("u3", "mei")]), json!({"type": "time-of-day",
                    "restriction": {"startHour": 22, "startMin": 0, "endHour": 6, "endMin": 30}})),
             ]},
            {"id": "s2", "name": "EU", "timezone": "Europe/London", "enabled": true, "rotations": [
                rotation("work", "2026-01-05T09:00:00Z", "weekly", json!([user("u2", "raj"), user("u3", "mei")]),
                    json!({"type": "weekday-and-time-of-day", "restrictions": [
                        {"startDay": "monday", "startHour": 9, "startMin": 0, "endDay": "friday", "endHour": 17, "endMin": 30}]})),
                rotation("nobody", "2026-01-05T09:00:00Z", "daily", json!([user("u1", "ana"), {"type": "none"}]), json!(null)),
            ]},
            {"id": "s3", "name": "Old", "timezone": "UTC", "enabled": false, "rotations": []},
        ])),
        "overrides": [
            {"_parent": {"id": "s2", "name": "EU", "enabled": true}, "alias": "a", "user": user("u1", "ana"),
             "startDate": "2026-11-28T10:00:00Z", "endDate": "2026-11-28T12:00:00Z", "rotations": []},
            {"_parent": {"id": "s2", "name": "EU", "enabled": true}, "alias": "b", "user": user("u1", "ana"),
             "startDate": "2026-11-29T10:00:00Z", "endDate": "2026-11-29T12:00:00Z", "rotations": [{"id": "work", "name": "work"}]},
        ],
        "escalations": data(json!([{"id": "e1", "name": "Web_escalation", "ownerTeam": {"id": "t1"}, "rules": [
            {"condition": "if-not-acked", "notifyType": "default", "delay": {"timeAmount": 0, "timeUnit": "minutes"},
             "recipient": {"type": "schedule", "id": "s1", "name": "US"}},
            {"condition": "if-not-acked", "notifyType": "default", "delay": {"timeAmount": 5, "timeUnit": "minutes"},
             "recipient": user("u2", "raj")},
            {"condition": "if-not-acked", "notifyType": "next", "delay": {"timeAmount": 5, "timeUnit": "minutes"},
             "recipient": {"type": "schedule", "id": "s2", "name": "EU"}},
            {"condition": "if-not-closed", "notifyType": "all", "delay": {"timeAmount": 10, "timeUnit": "minutes"},
             "recipient": {"type": "team", "id": "t1", "name": "Web"}},
            {"condition": "if-not-acked", "notifyType": "previous", "delay": {"timeAmount": 15, "timeUnit": "minutes"},
             "recipient": {"type": "schedule", "id": "s1", "name": "US"}},
            ], "repeat": {"waitInterval": 10, "count": 2, "resetRecipientStates": true, "closeAlertAfterAll": false}}])),
        "routing_rules": [
            {"_parent": {"name": "Web"}, "id": "r1", "name": "database", "order": 0, "notify": {"type": "schedule", "id": "s2", "name": "EU"},
             "criteria": {"type": "match-all-conditions", "conditions": [
                {"field": "extra-properties", "key": "component", "not": false, "operation": "equals", "expectedValue": "db \"main\""}]}},
            {"_parent": {"name": "Web"}, "id": "r2", "name": "tags", "order": 1, "notify": {"type": "none"},
             "criteria": {"type": "match-all-conditions", "conditions": [
                {"field": "tags", "not": false, "operation": "contains", "expectedValue": "x"}]}},
            {"_parent": {"name": "Web"}, "id": "r3", "name": "Default", "order": 2, "notify": {"type": "escalation", "id": "e1"},
             "criteria": {"type": "match-all"}},
        ],
        "heartbeats": {"data": {"heartbeats": [{"name": "backup", "interval": 1, "intervalUnit": "days", "enabled": true}]}},
    })
}

#[test]
fn rotations_of_opsgenie_are_who_is_on_call_here() {
    let draft = draft(ImportSource::Opsgenie, opsgenie());
    check(
        &draft,
        "us",
        &[
            // Monday 09:00 in New York, before and after the clocks go back on November 1.
            ("2026-10-26T12:59:00Z", &["raj"]),
            ("2026-10-26T13:01:00Z", &["ana"]),
            ("2026-11-02T13:59:00Z", &["ana"]),
            ("2026-11-02T14:01:00Z", &["raj"]),
        ],
    );
    // Both rotations hold at once there, so the second is a schedule of its own.
    check(
        &draft,
        "us-2",
        &[
            ("2026-11-24T02:59:00Z", &[]),
            ("2026-11-24T03:01:00Z", &["mei"]),
            ("2026-11-24T11:29:00Z", &["mei"]),
            ("2026-11-24T11:31:00Z", &[]),
        ],
    );
    check(
        &draft,
        "eu",
        &[
            ("2026-11-23T08:59:00Z", &[]),
            ("2026-11-23T09:01:00Z", &["raj"]),
            ("2026-11-25T03:00:00Z", &["raj"]),
            ("2026-11-27T17:29:00Z", &["raj"]),
            ("2026-11-27T17:31:00Z", &[]),
            ("2026-11-28T11:00:00Z", &["ana"]),
            ("2026-11-29T11:00:00Z", &[]),
            ("2026-11-30T09:01:00Z", &["mei"]),
            // Clocks in London are an hour ahead in summer.
            ("2026-10-05T08:01:00Z", &["mei"]),
        ],
    );
    for (about, part) in [
        ("EU/nobody", "turn of nobody"),
        ("EU", "some rotations only"),
        ("Old", "switched off"),
        ("gone@example.org", "blocked"),
        ("backup", "every 1d"),
    ] {
        assert!(told(&draft, about, part), "{about}: {:?}", draft.report);
    }
}

#[test]
fn escalations_of_opsgenie_are_policies_and_routing_rules_a_draft() {
    let draft = draft(ImportSource::Opsgenie, opsgenie());
    let policy = draft.policies.iter().find(|(name, _)| name == "web-escalation").expect("a policy");
    assert_eq!(
        serde_json::to_value(&policy.1).expect("JSON"),
        json!({"repeat": 2, "steps": [
            {"delay_ms": 300_000, "targets": [{"kind": "schedule", "name": "us"}, {"kind": "schedule", "name": "us-2"}]},
            {"delay_ms": 300_000, "targets": [{"kind": "person", "name": "raj"}, {"kind": "schedule", "name": "eu", "offset": 1}]},
            {"delay_ms": 600_000, "targets": [{"kind": "team", "name": "web"}]},
        ]})
    );
    let teams: Vec<_> = draft.people.iter().map(|p| (p.login.as_str(), p.teams.join(","))).collect();
    assert_eq!(teams, [("ana", "web".to_owned()), ("raj", String::new()), ("mei", "web".to_owned())]);
    assert!(told(&draft, "Web_escalation", "`previous` of the schedule US has no equal"), "{:?}", draft.report);
    assert!(told(&draft, "Web/tags", "no equal"), "{:?}", draft.report);
    let routing = draft.routing.expect("a draft");
    let routes = routing["route"]["routes"].as_array().expect("routes");
    assert_eq!(routes[0], json!({"matchers": ["team=\"web\"", "component=\"db \\\"main\\\"\""], "receiver": "eu"}));
    assert_eq!(routes[1], json!({"matchers": ["team=\"web\""], "receiver": "web-escalation"}));
    import_alertmanager(&routing.to_string()).expect("a routing");
}

fn account(login: &str, email: &str, teams: &[&str]) -> KnownPerson {
    let teams = teams.iter().map(|team| (*team).to_owned()).collect();
    KnownPerson { login: login.to_owned(), email: email.to_owned(), disabled: false, teams }
}

/// Of a policy, who its steps page.
fn paged(draft: &ImportDraft, at: usize) -> Vec<String> {
    let steps = draft.policies.iter().flat_map(|(_, policy)| &policy.steps).nth(at);
    steps.into_iter().flat_map(|step| &step.targets).map(|t| format!("{:?} {}", t.kind, t.name)).collect()
}

#[test]
fn who_paged_a_team_pages_whoever_is_in_it_and_nobody_is_lost_meanwhile() {
    let mut chain = grafana();
    chain["escalation_policies"] = json!([{"id": "E1", "escalation_chain_id": "F1", "position": 0,
        "type": "notify_team_members", "team_to_notify": "T1"}]);
    let chain = asked(ImportSource::GrafanaOncall, chain);
    let of = |asked: &OncallImport, known: &[KnownPerson]| {
        import_draft(asked, known, at("2026-10-01T00:00:00Z")).expect("an export")
    };
    let made = of(&chain, &[]);
    assert_eq!(paged(&made, 0), ["Team web"], "their accounts are made with the team");
    // Those whose profile names it, and those whose does not.
    let known = [account("ana", "ana@example.org", &["web"]), account("mei", "mei@example.org", &["db"])];
    let partly = of(&chain, &known);
    assert_eq!(paged(&partly, 0), ["Team web", "Person mei"]);
    assert!(told(&partly, "Web", "by name mei, whose profiles do not name it"), "{:?}", partly.report);
    let all = of(&chain, &[account("ana", "ana@example.org", &["web"]), account("mei", "mei@example.org", &["web"])]);
    assert_eq!(paged(&all, 0), ["Team web"]);
    assert!(!told(&all, "Web", "by name"), "{:?}", all.report);
    let mut nobody = asked(ImportSource::GrafanaOncall, chain.export.clone());
    nobody.create_people = false;
    let nobody = of(&nobody, &[]);
    assert!(told(&nobody, "Web", "names nobody who was taken over"), "{:?}", nobody.report);

    let team = |how: &str| {
        let rule = json!({"condition": "if-not-acked", "notifyType": how, "delay": {"timeAmount": 0},
            "recipient": {"type": "team", "id": "t1", "name": "Web"}});
        let mut export = opsgenie();
        export["escalations"] = json!([{"id": "e1", "name": "Web", "rules": [rule]}]);
        paged(&of(&asked(ImportSource::Opsgenie, export), &[]), 0)
    };
    assert_eq!(team("all"), ["Team web"]);
    assert_eq!(team("random"), ["Person ana", "Person mei"], "turns are of people");
}

#[test]
fn a_rule_for_any_of_its_conditions_is_a_route_for_each() {
    let mut export = opsgenie();
    let property = |value: &str| json!({"field": "extra-properties", "key": "component", "operation": "equals", "expectedValue": value});
    let tag = json!({"field": "tags", "operation": "contains", "expectedValue": "x"});
    export["routing_rules"] = json!([{"_parent": {"name": "Web"}, "id": "r", "name": "some", "notify": {"type": "escalation", "id": "e1"},
        "criteria": {"type": "match-any-condition", "conditions": [property("db"), tag, property("cache")]}}]);
    let made = draft(ImportSource::Opsgenie, export);
    assert!(told(&made, "Web/some", "`tags` contains `x` has no equal; its route is left out"), "{:?}", made.report);
    let routing = made.routing.expect("a draft");
    let matchers: Vec<_> =
        routing["route"]["routes"].as_array().expect("routes").iter().map(|r| &r["matchers"]).collect();
    assert_eq!(
        matchers,
        [&json!(["team=\"web\"", "component=\"db\""]), &json!(["team=\"web\"", "component=\"cache\""])]
    );
}

#[test]
fn what_sent_alerts_there_is_drafted_as_a_source() {
    let sources = |draft: &ImportDraft| serde_json::to_value(&draft.sources).expect("JSON");
    let grafana = draft(ImportSource::GrafanaOncall, grafana());
    assert_eq!(
        sources(&grafana),
        json!([["grafana-web", {"kind": "grafana", "labels": {"integration": "grafana-web"}}]])
    );
    let mut export = opsgenie();
    export["integrations"] = json!({"data": [{"name": "Mails", "type": "Email"}, {"name": "Prom", "type": "Prometheus"},
        {"name": "Zabbix", "type": "Zabbix"}]});
    export["heartbeats"] = json!({"data": {"heartbeats": [
        {"name": "backup", "interval": 1, "intervalUnit": "days", "enabled": true},
        {"name": "old", "interval": 5, "intervalUnit": "minutes", "enabled": false},
        {"name": "rare", "interval": 90, "intervalUnit": "days", "enabled": true}]}});
    let opsgenie = draft(ImportSource::Opsgenie, export);
    assert_eq!(
        sources(&opsgenie),
        json!([["mails", {"kind": "mail"}], ["backup", {"kind": "heartbeat", "interval": "1d"}]])
    );
    for (about, part) in [
        ("Mails", "a source of the kind mail is drafted"),
        ("Prom", "needs no source"),
        ("Zabbix", "make a source for it (it was of the kind Zabbix)"),
        ("backup", "every 1d: a source is drafted"),
        ("old", "is off there"),
        ("rare", "it is left out"),
    ] {
        assert!(told(&opsgenie, about, part), "{about}: {:?}", opsgenie.report);
    }
}

#[test]
fn a_team_in_a_rotation_is_on_call_as_a_whole() {
    let turn = |of: Value| {
        let rotation = json!({"id": "r", "name": "week", "startDate": "2026-01-05T09:00:00Z", "type": "weekly",
            "participants": [of, {"type": "user", "id": "u2"}]});
        let mut export = opsgenie();
        export["schedules"] = json!([{"id": "s1", "name": "All", "timezone": "UTC", "rotations": [rotation]}]);
        export["overrides"] = json!([]);
        draft(ImportSource::Opsgenie, export)
    };
    let made = turn(json!({"type": "team", "id": "t1", "name": "Web"}));
    let on_call = |instant: &str| [on_call(&made, "all", instant), on_call(&made, "all-2", instant)].concat();
    let (even, odd) = (on_call("2026-10-05T12:00:00Z"), on_call("2026-10-12T12:00:00Z"));
    let mut both = [even, odd];
    both.sort();
    assert_eq!(both, [vec!["ana", "mei"], vec!["raj", "raj"]]);
    assert!(told(&made, "All/week", "the team Web is in it"), "{:?}", made.report);
    let other = turn(json!({"type": "escalation", "id": "e1", "name": "Web"}));
    assert!(told(&other, "All/week", "has the escalation Web in it"), "{:?}", other.report);
}

#[test]
fn people_are_found_by_what_was_said_then_by_address_then_by_login() {
    let known = |login: &str, email: &str| account(login, email, &[]);
    let people =
        [known("al", "ANA@example.org"), known("raj", ""), known("mei", "mei@elsewhere.org"), known("boss", "")];
    let mut asked = asked(ImportSource::GrafanaOncall, grafana());
    asked.create_people = false;
    asked.people = BTreeMap::from([("raj@example.org".to_owned(), "boss".to_owned())]);
    let draft = import_draft(&asked, &people, at("2026-10-01T00:00:00Z")).expect("an export");
    let found: Vec<_> = draft.people.iter().map(|p| (p.login.as_str(), p.found)).collect();
    let missing = ("mei-2", PersonFound::Missing);
    assert_eq!(found, [("al", PersonFound::Known), ("boss", PersonFound::Known), missing]);
    assert!(told(&draft, "mei", "has no account here"), "{:?}", draft.report);
    assert_eq!(on_call(&draft, "primary", "2026-11-28T12:00:00Z"), ["al"]);
    assert!(draft.schedules.iter().all(|s| s.plan.people().iter().all(|p| *p != "mei" && *p != "mei-2")));
    assert!(told(&draft, "Primary/shift O2", "turns of nobody"), "{:?}", draft.report);
    assert!(told(&draft, "Nights", "no layer left"), "{:?}", draft.report);
}

#[test]
fn a_disabled_account_is_nobody_elses_and_is_not_made_anew() {
    let disabled = |login: &str, email: &str| KnownPerson { disabled: true, ..account(login, email, &[]) };
    let people = [disabled("ana", "ana@elsewhere.org"), disabled("former", "RAJ@example.org")];
    let asked = asked(ImportSource::GrafanaOncall, grafana());
    let draft = import_draft(&asked, &people, at("2026-10-01T00:00:00Z")).expect("an export");
    let found: Vec<_> = draft.people.iter().map(|p| (p.login.as_str(), p.found)).collect();
    let (ana, mei) = (("ana-2", PersonFound::Created), ("mei", PersonFound::Created));
    assert_eq!(found, [ana, ("former", PersonFound::Missing), mei]);
    assert!(told(&draft, "raj", "`former` is disabled") && told(&draft, "raj", "enable"), "{:?}", draft.report);
    assert!(draft.schedules.iter().all(|s| s.plan.people().iter().all(|p| *p != "former" && *p != "ana")));
}

#[test]
fn too_many_rotations_are_refused_before_any_is_computed() {
    let rotation = json!({"startDate": "2026-01-05T09:00:00Z", "type": "weekly", "participants": [
        {"type": "user", "id": "u1"}]});
    let said = |each: usize| {
        let rotations = vec![rotation.clone(); each];
        let schedules: Vec<Value> = (0..2)
            .map(|i| json!({"id": i.to_string(), "name": "s", "timezone": "UTC", "rotations": rotations}))
            .collect();
        let export = json!({"users": [{"id": "u1", "username": "ana@example.org"}], "schedules": schedules});
        let refused = import_draft(&asked(ImportSource::Opsgenie, export), &[], at("2026-10-01T00:00:00Z"));
        refused.err().map(|f| f.message).unwrap_or_default()
    };
    let message = said(251);
    assert!(message.starts_with("an import takes at most 500 rotations"), "{message}");
    assert!(message.ends_with("these are 502"), "{message}");
    assert_eq!(said(2), "");
}

#[test]
fn what_cannot_be_read_is_refused_with_its_place() {
    let said = |source, export| {
        let refused = import_draft(&asked(source, export), &[], at("2026-10-01T00:00:00Z"));
        refused.err().map(|f| f.message).unwrap_or_default()
    };
    let message = said(ImportSource::Opsgenie, json!({"schedules": [{"id": "x"}]}));
    assert_eq!(message, "the export cannot be read: schedules[0]: missing field `name`");
    assert!(said(ImportSource::GrafanaOncall, json!({"people": []})).contains("holds none of these lists: users"));
    let many: Vec<Value> = (0..201)
        .map(|i| {
            json!({"id": i.to_string(), "name": "s", "timezone": "UTC", "rotations": [
            {"startDate": "2026-01-05T09:00:00Z", "type": "daily", "participants": [{"type": "user", "id": "u1"}]}]})
        })
        .collect();
    let export = json!({"users": [{"id": "u1", "username": "ana@example.org"}], "schedules": many});
    assert_eq!(said(ImportSource::Opsgenie, export), "an import makes at most 200 schedules, this is 201");
}

use tenfold_alerting::Pages;
use tenfold_protocols::nagios::{read_objects, resolve};

use super::*;

/// A main file of these lines.
fn main_file(lines: &str) -> NagiosMain {
    NagiosMain::of(&tenfold_protocols::nagios::read_main(lines))
}

#[test]
fn a_small_configuration() {
    let text = "define command {\ncommand_name ping\ncommand_line $USER1$/check_ping -H '$HOSTADDRESS$' -w $ARG1$ -x \"$_HOSTRACK$\"\n}\n\
            define command {\ncommand_name piped\ncommand_line ls | wc\n}\n\
            define host {\nhost_name Router 1\naddress 10.0.0.1\ncheck_command ping!5\n_rack r 7\n}\n\
            define host {\nhost_name web\nparents Router 1\ncheck_command ping!7,5%\nmax_check_attempts 2\n}\n\
            define service {\nhost_name web\nservice_description Disk /\ncheck_command piped\n}\n\
            define service {\nhost_name web\nservice_description HTTP\ncheck_command ping!$HOSTNAME$\ncheck_interval 0.5\nnotes_url https://x\n}\n\
            define service {\nhost_name web\nservice_description Backup\nactive_checks_enabled 0\ncheck_freshness 1\nfreshness_threshold 3600\n}\n\
            define module {\nmodule_name x\n}\n";
    let resolved = resolve(&read_objects("x", text).unwrap()).unwrap();
    let macros = BTreeMap::from([("USER1".to_owned(), "/usr/lib/nagios/plugins".to_owned())]);
    let import = import_nagios(&resolved, &main_file(""), &macros, "UTC").unwrap();
    let names: Vec<_> = import.checks.iter().map(|(n, _)| n.as_str()).collect();
    assert_eq!(names, ["router-1", "web", "web_backup", "web_http"]);
    let Run::Plugin(argv) = &import.checks[0].1.run else { panic!("a plugin") };
    assert_eq!(argv, &["/usr/lib/nagios/plugins/check_ping", "-H", "10.0.0.1", "-w", "5", "-x", "r 7"]);
    assert_eq!((import.checks[1].1.parents.as_slice(), import.checks[1].1.attempts), (&["router-1".to_owned()][..], 2));
    let backup = &import.checks[2].1;
    assert_eq!((backup.freshness.as_deref(), backup.run.kind()), (Some("1h"), "passive"));
    let http = &import.checks[3].1;
    assert_eq!((http.interval.as_str(), http.parents.as_slice()), ("30s", &["web".to_owned()][..]));
    assert_eq!(http.annotations["runbook_url"], "https://x");
    let Run::Plugin(argv) = &http.run else { panic!("a plugin") };
    assert_eq!(argv[4], "web", "an argument may hold a macro");
    let about: Vec<_> = import.report.iter().map(|n| n.about.as_str()).collect();
    assert_eq!(about, ["web/Disk /", "module"], "{:?}", import.report);
    for (name, spec) in &import.checks {
        spec.check(name).unwrap();
    }
}

/// Notifications every 10 minutes: the first two to ana, the third and fourth to raj and the team, then ana again.
#[test]
fn people_hours_ladders_and_dependencies_are_drafts() {
    let text = "define command {\ncommand_name ping\ncommand_line /p\n}\n\
            define contact {\ncontact_name ana\nalias Ana Lima\nemail ana@example.org\npager 123\n}\n\
            define contact {\ncontact_name Raj P\nemail raj@example.org\n}\n\
            define contact {\ncontact_name mei\ncontactgroups team\n}\n\
            define contactgroup {\ncontactgroup_name team\n}\n\
            define timeperiod {\ntimeperiod_name 24x7\nmonday 00:00-24:00\n}\n\
            define timeperiod {\ntimeperiod_name office\nmonday 09:00-17:00\n}\n\
            define timeperiod {\ntimeperiod_name none\nalias Never\n}\n\
            define host {\nhost_name lab\ncheck_command ping\ncontacts ana\nnotification_period none\n}\n\
            define host {\nhost_name db\ncheck_command ping\ncontacts ana\nnotification_interval 10\nnotification_period 24x7\n}\n\
            define service {\nhost_name db\nservice_description disk\ncheck_command ping\nnotification_period office\n}\n\
            define service {\nhost_name db\nservice_description load\ncheck_command ping\nnotifications_enabled 0\n}\n\
            define serviceescalation {\nhost_name db\nservice_description disk\nfirst_notification 3\nlast_notification 4\n\
            contacts Raj P\ncontact_groups team\nnotification_interval 5\n}\n\
            define servicedependency {\nhost_name db\nservice_description disk\ndependent_host_name db\n\
            dependent_service_description load\nnotification_failure_criteria w,u,c\n}\n";
    let resolved = resolve(&read_objects("x", text).unwrap()).unwrap();
    let import = import_nagios(&resolved, &main_file(""), &BTreeMap::new(), "Europe/Berlin").unwrap();
    let people: Vec<_> = import.drafts.people.iter().map(|p| (p.login.as_str(), p.name.as_str())).collect();
    assert_eq!(people, [("ana", "Ana Lima"), ("raj-p", "Raj P"), ("mei", "mei")]);
    let teams: Vec<_> = import.drafts.people.iter().map(|p| p.teams.join(",")).collect();
    assert_eq!(teams, ["", "", "team"]);
    let steps = |at: usize| -> Vec<(i64, Vec<&str>)> {
        let steps = &import.drafts.policies[at].1.steps;
        steps.iter().map(|s| (s.delay_ms, s.targets.iter().map(|t| t.name.as_str()).collect())).collect()
    };
    let (minute, team) = (60_000, vec!["raj-p", "team"]);
    let plain = vec![(10 * minute, vec!["ana"])];
    let escalated = vec![(20 * minute, vec!["ana"]), (10 * minute, team), (10 * minute, vec!["ana"])];
    assert_eq!([steps(0), steps(1)], [plain, escalated]);
    for (name, update) in &import.drafts.policies {
        update.clone().named(name).check().unwrap();
    }
    // What was drafted is a routing that is understood.
    let written = import.drafts.routing.as_ref().unwrap().to_string();
    let read = tenfold_alerting::import_alertmanager(&written).unwrap();
    let routes: Vec<_> = read
        .spec
        .route
        .routes
        .iter()
        .map(|r| (r.matchers[0].as_str(), r.receiver.as_deref().unwrap(), r.active_time_intervals.join(",")))
        .collect();
    assert_eq!(
        routes,
        [
            ("alertname=\"db\"", "ana", String::new()),
            ("alertname=\"db_disk\"", "ana-2", "office".to_owned()),
            ("alertname=~\"db_load|lab\"", "nobody", String::new()),
        ]
    );
    assert_eq!(read.spec.inhibit_rules[0].source_matchers, ["alertname=\"db_disk\""]);
    assert_eq!(read.spec.inhibit_rules[0].target_matchers, ["alertname=\"db_load\""]);
    let receivers = &read.routing.receivers;
    assert_eq!(receivers["ana-2"].policy.as_deref(), Some("ana-2"));
    assert_eq!((receivers["on-call"].quiet, receivers["nobody"].quiet), (false, true));
    let inside = |at: &str| {
        read.routing.inside(&["office".to_owned()], tenfold_types::Timestamp::parse_rfc3339(at).unwrap()).is_some()
    };
    assert!(inside("2026-11-23T08:00:00Z") && !inside("2026-11-23T16:00:00Z") && !inside("2026-11-24T09:00:00Z"));
    let told = |about: &str, part: &str| import.report.iter().any(|n| n.about == about && n.message.contains(part));
    assert!(told("ana", "take the account `ana`; pager is theirs to set"), "{:?}", import.report);
    assert!(told("team", "becomes the team `team`"), "{:?}", import.report);
}

#[test]
fn what_is_shown_and_when_silence_counts_is_as_there_and_the_rest_is_told() {
    let text = "define command {\ncommand_name ping\ncommand_line /p\n}\n\
            define timeperiod {\ntimeperiod_name office\nmonday 09:00-17:00\n}\n\
            define timeperiod {\ntimeperiod_name never\nalias Never\n}\n\
            define timeperiod {\ntimeperiod_name odd\nday 1 / 3 00:00-24:00\n}\n\
            define host {\nhost_name web\naddress 10.0.0.2\ncheck_command ping\nfirst_notification_delay 5\n\
            check_period office\ncheck_freshness 1\n\
            notes_url https://wiki/$HOSTNAME$\naction_url https://graphs/$HOSTADDRESS$\nnotes behind the proxy\n}\n\
            define service {\nhost_name web\nservice_description Backup\nactive_checks_enabled 0\ncheck_freshness 1\n\
            check_interval 60\nis_volatile 1\nparents web,Other\nnotes_url https://wiki/$TOTALHOSTSDOWN$\n}\n\
            define service {\nhost_name web\nservice_description Odd\ncheck_command ping\ncheck_period odd\n}\n\
            define service {\nhost_name web\nservice_description Off\ncheck_command ping\ncheck_period never\n}\n";
    let resolved = resolve(&read_objects("x", text).unwrap()).unwrap();
    let import = import_nagios(&resolved, &main_file("check_host_freshness=1"), &BTreeMap::new(), "UTC").unwrap();
    let (web, backup) = (&import.checks[0].1, &import.checks[1].1);
    for (name, said) in [
        ("runbook_url", "https://wiki/web"),
        ("action_url", "https://graphs/10.0.0.2"),
        ("description", "behind the proxy"),
    ] {
        assert_eq!(web.annotations.get(name).map(String::as_str), Some(said));
    }
    assert_eq!(backup.freshness, Some(format_duration_ms(3_615_000)), "an hour, and Nagios' latency");
    let at = |text: &str| tenfold_types::Timestamp::parse_rfc3339(text).unwrap();
    assert!(web.is_active(at("2026-11-23T10:00:00Z")) && !web.is_active(at("2026-11-24T10:00:00Z")));
    assert_eq!((web.freshness.as_deref(), backup.active.len()), (None, 0));
    let (odd, off) = (&import.checks[2].1, &import.checks[3].1);
    assert_eq!((odd.run.kind(), odd.active.len()), ("plugin", 0), "its hours are not known, so it is always looked at");
    assert_eq!(off.run.kind(), "passive", "it is never looked at there");
    for (name, spec) in &import.checks {
        spec.check(name).unwrap();
    }
    assert!(backup.annotations.is_empty());
    let told = |about: &str, part: &str| import.report.iter().any(|n| n.about == about && n.message.contains(part));
    for (about, part) in [
        ("web", "check_freshness has no equal beside a check_period"),
        ("web/Odd", "nobody can tell the hours of its check_period odd"),
        ("web/Off", "its check_period never holds never"),
        ("web/Backup", "is_volatile has no equal"),
        ("web/Backup", "parents of a service have no equal"),
        ("web/Backup", "the macro $TOTALHOSTSDOWN$"),
    ] {
        assert!(told(about, part), "{about} {part}: {:?}", import.report);
    }
}

#[test]
fn whom_nagios_tells_of_warnings_is_paged_for_them() {
    let service = |name: &str, more: &str| {
        format!("define service {{\nhost_name web\nservice_description {name}\ncheck_command ping\n{more}}}\n")
    };
    let text = [
        "define command {\ncommand_name ping\ncommand_line /p\n}\n",
        "define contact {\ncontact_name ana\nservice_notification_options c,r\n}\n",
        "define host {\nhost_name web\ncheck_command ping\ncontacts ana\n}\n",
        &service("http", "notification_options c,r\n"),
        &service("log", "notification_options n\n"),
        &service("mail", ""),
        &service("nobody", "contacts null\ncontact_groups null\n"),
        "define timeperiod {\ntimeperiod_name office\nmonday 09:00-17:00\n}\n",
        "define host {\nhost_name db\ncheck_command ping\ncontacts ana\nnotification_period office\n}\n",
        "define service {\nhost_name db\nservice_description all\ncheck_command ping\nnotification_period null\n}\n",
    ]
    .concat();
    let resolved = resolve(&read_objects("x", &text).unwrap()).unwrap();
    let import = import_nagios(&resolved, &main_file(""), &BTreeMap::new(), "UTC").unwrap();
    let written = import.drafts.routing.as_ref().unwrap().to_string();
    let read = tenfold_alerting::import_alertmanager(&written).unwrap();
    let routes = read.spec.route.routes.iter().map(|r| {
        let receiver = &read.routing.receivers[r.receiver.as_deref().unwrap()];
        (r.matchers[0].as_str(), receiver.policy.as_deref(), receiver.pages)
    });
    let wanted = [
        ("alertname=\"web_http\"", Some("ana"), Pages::Critical),
        ("alertname=~\"db_all|web|web_mail\"", Some("ana"), Pages::All),
        ("alertname=\"db\"", Some("ana"), Pages::All),
        ("alertname=~\"web_log|web_nobody\"", None, Pages::Critical),
    ];
    assert_eq!(routes.collect::<Vec<_>>(), wanted);
    let lost = |n: &ImportNote| n.about == "ana" && n.message.contains("service_notification_options c,r");
    assert!(import.report.iter().any(lost), "{:?}", import.report);
}

#[test]
fn the_main_file_counts_for_all() {
    let text = "define command {\ncommand_name ping\ncommand_line /p\n}\n\
            define host {\nhost_name web\ncheck_command ping\ncheck_interval 0\nretry_interval 0\nevent_handler restart\n}\n\
            define service {\nhost_name web\nservice_description A\ncheck_command ping\nlow_flap_threshold 7\n\
            stalking_options o,w\nflap_detection_options a\n}\n\
            define service {\nhost_name web\nservice_description B\ncheck_command ping\nflap_detection_enabled 0\n}\n";
    let resolved = resolve(&read_objects("x", text).unwrap()).unwrap();
    let import = |lines: &str| import_nagios(&resolved, &main_file(lines), &BTreeMap::new(), "UTC").unwrap();
    let said = import(
        "enable_flap_detection=1\nlow_service_flap_threshold=5.0\nhigh_service_flap_threshold=25\n\
         service_check_timeout=90\nglobal_service_event_handler=tell\n",
    );
    let seen: Vec<_> = said
        .checks
        .iter()
        .map(|(_, s)| {
            let flapping = (s.flapping.low, s.flapping.high);
            (s.timeout.as_str(), s.interval.as_str(), s.retry_interval.as_str(), flapping)
        })
        .collect();
    let wanted =
        [("30s", "5m", "5m", (20.0, 30.0)), ("1m30s", "5m", "1m", (7.0, 25.0)), ("1m30s", "5m", "1m", (5.0, 0.0))];
    assert_eq!(seen, wanted);
    let told = |about: &str, part: &str| said.report.iter().any(|n| n.about == about && n.message.contains(part));
    for (about, part) in [
        ("web", "check_interval 0 is on demand"),
        ("web", "event_handler restart has no equal"),
        ("web/A", "stalking_options o,w has no equal"),
        ("main file", "event handler tell of all services"),
    ] {
        assert!(told(about, part), "{about} {part}: {:?}", said.report);
    }
    assert!(!told("web/A", "flap_detection_options"), "all of them are as here");
    let up = |import: &NagiosImport| import.checks.iter().map(|(_, s)| s.warning_is_ok).collect::<Vec<_>>();
    assert_eq!(up(&said), [true, false, false], "a host that warns is up");
    assert_eq!(up(&import("use_aggressive_host_checking=1\n")), [false, false, false]);
    let quiet = import("execute_service_checks=0\nenable_event_handlers=0\n");
    let kinds: Vec<_> = quiet.checks.iter().map(|(_, s)| (s.run.kind(), s.flapping.high)).collect();
    assert_eq!(kinds, [("plugin", 0.0), ("passive", 0.0), ("passive", 0.0)], "nothing flaps where nobody asked for it");
    assert!(quiet.report.iter().all(|n| !n.message.contains("event")), "{:?}", quiet.report);
}

#[test]
fn macros_are_filled_in_as_there() {
    let line = |name: &str, line: &str| format!("define command {{\ncommand_name {name}\ncommand_line {line}\n}}\n");
    let service = |name: &str, command: &str| {
        format!("define service {{\nhost_name web\nservice_description {name}\ncheck_command {command}\n}}\n")
    };
    let text = [
        "define host {\nhost_name db.one\naddress 10.0.0.9\n_port 5432\n}\n",
        "define host {\nhost_name web\ndisplay_name The web\nhostgroups front,all\n}\n",
        "define hostgroup {\nhostgroup_name front\n}\ndefine hostgroup {\nhostgroup_name all\n}\n",
        &line("show", "$USER2$/show $ARG1$ $ARG2$"),
        &line("dollar", "/p '$$5' '^a$' $ARG1$"),
        &service("Escaped", "show!a\\!b!c"),
        &service("Elsewhere", "show!$HOSTADDRESS:db.one$:$_HOSTPORT:db.one$!'$HOSTDISPLAYNAME$ $HOSTGROUPNAMES$'"),
        &service("Dollars", "dollar!$$HOSTNAME$$"),
        &service("Secret", "show!$USER7$"),
        &service("Other", "show!$SERVICESTATEID:web:Escaped$"),
    ]
    .concat();
    let resolved = resolve(&read_objects("x", &text).unwrap()).unwrap();
    let macros = BTreeMap::from([("USER2".to_owned(), "/opt/plugins".to_owned())]);
    let import = import_nagios(&resolved, &main_file(""), &macros, "UTC").unwrap();
    let argv = |name: &str| match import.checks.iter().find(|(n, _)| n == name) {
        Some((_, CheckSpec { run: Run::Plugin(argv), .. })) => argv.join("|"),
        other => panic!("{name}: {other:?}"),
    };
    assert_eq!(argv("web_escaped"), "/opt/plugins/show|a!b|c");
    assert_eq!(argv("web_elsewhere"), "/opt/plugins/show|10.0.0.9:5432|The web all,front");
    assert_eq!(argv("web_dollars"), "/p|$5|^a$|$HOSTNAME$");
    let told = |about: &str, part: &str| import.report.iter().any(|n| n.about == about && n.message.contains(part));
    for (about, part) in [
        ("web/Secret", "`--macro USER7` takes it"),
        ("web/Other", "write a rule over check_status"),
        ("web", "has no check_command"),
    ] {
        assert!(told(about, part), "{about} {part}: {:?}", import.report);
    }
}

#[test]
fn an_escalation_without_people_has_those_of_its_host() {
    let text = "define command {\ncommand_name ping\ncommand_line /p\n}\n\
            define contact {\ncontact_name ana\nservice_notification_period workhours\nhost_notifications_enabled 0\n}\n\
            define host {\nhost_name web\ncheck_command ping\ncontacts ana\nnotification_interval 10\n\
            first_notification_delay 5\n}\n\
            define hostescalation {\nhost_name web\nfirst_notification 2\nlast_notification 3\nnotification_interval 20\n}\n";
    let resolved = resolve(&read_objects("x", text).unwrap()).unwrap();
    let import = import_nagios(&resolved, &main_file(""), &BTreeMap::new(), "UTC").unwrap();
    let [(_, policy)] = import.drafts.policies.as_slice() else { panic!("{:?}", import.drafts.policies) };
    let steps: Vec<_> = policy.steps.iter().map(|s| (s.delay_ms / 60_000, s.targets.len())).collect();
    assert_eq!(steps, [(60, 1)], "the first waits 10 minutes, the next two 20 each, and the one after 10");
    assert_eq!(policy.repeat, 10, "and it goes on until somebody has it");
    let once = text.replace("notification_interval 10", "notification_interval 0");
    let resolved = resolve(&read_objects("x", &once).unwrap()).unwrap();
    let once = import_nagios(&resolved, &main_file(""), &BTreeMap::new(), "UTC").unwrap();
    assert_eq!(once.drafts.policies[0].1.repeat, 0, "it is told once");
    let told = |part: &str| import.report.iter().any(|n| n.about == "ana" && n.message.contains(part));
    assert!(told("service_notification_period workhours has no equal"), "{:?}", import.report);
    assert!(told("host_notifications_enabled 0 has no equal"), "{:?}", import.report);
    // A check tells by itself, at once or after its delay.
    let route = &import.drafts.routing.as_ref().unwrap()["route"];
    assert_eq!(
        (&route["group_by"][0], &route["group_wait"], &route["group_interval"]),
        (&"alertname".into(), &"0s".into(), &"1s".into())
    );
    assert_eq!(route["routes"][0]["group_wait"], "5m", "{route}");
}

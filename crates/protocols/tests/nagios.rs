//! Object configurations as Nagios itself resolves them: `nagios4 -vp` writes a file with every template and group taken in.
//! Debian's own sample and one with inheritance; without `nagios4` (Debian: nagios4-core) it says so in a line.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use tenfold_protocols::nagios::{Fields, Object, PERIOD_KEYS, Resolved, read_objects, resolve};

const OBJECTS: &str = "/etc/nagios4/objects";

const INHERITED: &str = "
define host {
  name one
  register 0
  use generic-host
  max_check_attempts 7
  hostgroups linux-servers
  check_interval 3
}
define host {
  name two
  register 0
  max_check_attempts 9
  retry_interval 4
  notes from two
}
define host {
  use one,two
  host_name alpha
  address 10.0.0.1
  hostgroups +extra
  contacts nagiosadmin
  check_command check-host-alive
  parents localhost
}
define host {
  use one,two
  host_name beta
  address 10.0.0.2
  hostgroups extra
  contacts nagiosadmin
  check_command check-host-alive
  notes null
}
define hostgroup {
  hostgroup_name extra
  alias Extra
}
define hostgroup {
  hostgroup_name both
  alias Both
  hostgroup_members extra,linux-servers
}
define host {
  name of-no-group
  register 0
  use generic-host
  max_check_attempts 3
  hostgroups null
}
define host {
  use of-no-group,one
  host_name gamma
  address 10.0.0.3
  hostgroups +extra,but-gamma
  contacts nagiosadmin
  check_command check-host-alive
}
define hostgroup {
  hostgroup_name but-gamma
  alias But one
  members !gamma,*
}
define hostgroup {
  hostgroup_name but-beta
  alias But another
  members !beta
  hostgroup_members extra
}
define service {
  use generic-service
  hostgroup_name both
  host_name !localhost
  service_description In groups
  check_command check_ping!100.0,20%!500.0,60%
  max_check_attempts 4
}
define service {
  use generic-service
  host_name *,!beta
  service_description All but one
  check_command check_ping!1,2%!3,4% ; and a comment
  check_interval 2
}
define service {
  use generic-service
  host_name beta
  service_description In groups
  check_command check_ssh
}
";

/// People, periods, groups of services, escalations and dependencies.
const PEOPLE: &str = "
define contact {
  name a-template
  register 0
  host_notification_period 24x7
  service_notification_period workhours
  host_notification_options d,u,r
  service_notification_options w,c,r
  host_notification_commands notify-host-by-email
  service_notification_commands notify-service-by-email
}
define contact {
  use a-template
  contact_name ana
  email ana@example.org
}
define contact {
  use a-template
  contact_name raj
  email raj@example.org
  service_notification_options c,r
  contactgroups second
}
define contactgroup {
  contactgroup_name first
  alias First
  members ana
}
define contactgroup {
  contactgroup_name everybody
  alias Everybody
  members *
}
define contactgroup {
  contactgroup_name but-raj
  alias But one
  members !raj
  contactgroup_members everybody
}
define contactgroup {
  contactgroup_name second
  alias Second
  members nagiosadmin
  contactgroup_members first
}
define timeperiod {
  timeperiod_name holidays
  alias Holidays
  december 25 00:00-24:00
  2026-01-01 00:00-24:00
}
define timeperiod {
  timeperiod_name but-holidays
  alias Without holidays
  use workhours
  monday 08:00-12:00,13:00-17:00
  exclude holidays
}
define service {
  name told
  register 0
  use generic-service
  contact_groups first
  contacts nagiosadmin
  notification_period workhours
  notification_interval 30
  notification_options w,c
  first_notification_delay 5
}
define service {
  use told
  host_name alpha
  service_description Adds people
  check_command check_ssh
  contact_groups +second
  contacts null
  servicegroups web
}
define service {
  use told
  host_name alpha,beta
  service_description Other people
  check_command check_ssh
  contact_groups second
  notification_period but-holidays
}
define service {
  use told
  host_name alpha
  service_description Tells nobody
  check_command check_ssh
  contact_groups null
  contacts null
}
define servicegroup {
  servicegroup_name web
  alias Web
  members beta,Other people
}
define servicegroup {
  servicegroup_name all
  alias All
  servicegroup_members web
}
define serviceescalation {
  host_name alpha
  service_description Adds people
  first_notification 2
  last_notification 4
  notification_interval 15
  contact_groups second
}
define serviceescalation {
  servicegroup_name all
  first_notification 5
  last_notification 0
  notification_interval 10
  contacts raj
}
define hostescalation {
  hostgroup_name extra
  first_notification 3
  last_notification 0
  notification_interval 20
  contacts ana,raj
  escalation_period workhours
}
define servicedependency {
  host_name alpha
  service_description Adds people
  dependent_host_name beta
  dependent_service_description Other people
  notification_failure_criteria w,c
}
define hostdependency {
  host_name alpha
  dependent_host_name beta
  notification_failure_criteria d,u
}
";

/// Keys with one value.
const PLAIN: [&str; 11] = [
    "check_command",
    "max_check_attempts",
    "check_interval",
    "retry_interval",
    "address",
    "notes",
    "notification_period",
    "notification_interval",
    "first_notification_delay",
    "notifications_enabled",
    "email",
];
/// Keys with several, in no order.
const LISTS: [&str; 10] = [
    "parents",
    "contacts",
    "contact_groups",
    "notification_options",
    "host_notification_options",
    "service_notification_options",
    "host_notification_commands",
    "service_notification_commands",
    "host_notification_period",
    "service_notification_period",
];
/// What Nagios writes where nobody has said anything.
const DEFAULTS: [(&str, &str); 6] = [
    ("check_interval", "5"),
    ("retry_interval", "1"),
    ("notification_interval", "30"),
    ("first_notification_delay", "0"),
    ("notifications_enabled", "1"),
    ("notification_options", "a"),
];
/// What a service without contacts and periods of its own has of its host.
const OF_HOST: [&str; 4] = ["contacts", "contact_groups", "notification_period", "notification_interval"];

fn words(text: &str) -> BTreeSet<String> {
    text.split(',').map(|w| w.trim().to_owned()).filter(|w| !w.is_empty()).collect()
}

/// The keys that are compared, each in one form: numbers as numbers, lists in order, all options as `a`.
fn picked(kind: &str, fields: &Fields) -> BTreeMap<&'static str, String> {
    let number = |v: &str| v.parse::<f64>().map_or_else(|_| v.to_owned(), |n| n.to_string());
    let all = words(if kind == "host" { "d,u,r,f,s" } else { "w,u,c,r,f,s" });
    let list = |key: &str, v: &str| {
        let of = words(v);
        let whole = key == "notification_options" && of == all;
        if whole { "a".to_owned() } else { of.into_iter().collect::<Vec<_>>().join(",") }
    };
    let plain = PLAIN.iter().filter_map(|k| Some((*k, number(fields.get(*k)?))));
    let lists = LISTS.iter().filter_map(|k| Some((*k, list(k, fields.get(*k)?))));
    plain.chain(lists).collect()
}

/// The same in both directions: neither says what the other does not know, but for what Nagios fills in by itself.
fn same(what: &str, kind: &str, ours: &Fields, theirs: &Fields, host: Option<&Fields>) {
    let (ours, theirs) = (picked(kind, ours), picked(kind, theirs));
    let of_host = host.map(|fields| picked("host", fields)).unwrap_or_default();
    for (key, value) in &ours {
        // What is said to be none is not there.
        let value = Some(value).filter(|value| !value.is_empty());
        assert_eq!(value, theirs.get(key), "{what}: {key}, ours and theirs");
    }
    for (key, value) in theirs.iter().filter(|(key, _)| !ours.contains_key(*key)) {
        let filled_in = DEFAULTS.contains(&(*key, value.as_str()))
            || (OF_HOST.contains(key) && of_host.get(key) == Some(value))
            // What is to be told when nothing says so is all of it.
            || (*key == "notification_period" && value == "24x7");
        assert!(filled_in, "{what}: {key} is {value} in theirs, and ours does not know it");
    }
}

fn kept<'r>(of: &'r Resolved, kind: &str) -> &'r [Fields] {
    of.kept.get(kind).map_or(&[], Vec::as_slice)
}

fn by_name<'r>(of: &'r Resolved, kind: &str, key: &str) -> BTreeMap<&'r str, &'r Fields> {
    kept(of, kind).iter().map(|fields| (fields[key].as_str(), fields)).collect()
}

/// What an escalation or a dependency means, one line for each host or service; `prefix` is for those that depend.
fn meant(of: &Resolved, kind: &str, fields: &Fields, prefix: &str) -> Vec<String> {
    let text = |key: &str| fields.get(&format!("{prefix}{key}")).map_or("", String::as_str);
    let (named, grouped) = (text("host_name"), text("hostgroup_name"));
    if kind.starts_with("host") {
        return of.hosts_meant(named, grouped).expect("its hosts are known").into_iter().collect();
    }
    let services = of.services_meant(named, grouped, text("service_description"), text("servicegroup_name"));
    services.expect("its services are known").into_iter().map(|(host, service)| format!("{host}/{service}")).collect()
}

fn escalations(of: &Resolved, kind: &str) -> BTreeSet<String> {
    let line = |fields: &Fields| {
        let number = |key: &str| fields.get(key).and_then(|v| v.parse::<f64>().ok()).unwrap_or(0.0);
        let list = |key: &str| words(fields.get(key).map_or("", String::as_str));
        let rest = format!(
            "{} to {} every {}: {:?} {:?}",
            number("first_notification"),
            number("last_notification"),
            number("notification_interval"),
            list("contacts"),
            list("contact_groups"),
        );
        meant(of, kind, fields, "").into_iter().map(move |on| format!("{on} {rest}")).collect::<Vec<_>>()
    };
    kept(of, kind).iter().flat_map(line).collect()
}

fn dependencies(of: &Resolved, kind: &str) -> BTreeSet<String> {
    let line = |fields: &Fields| {
        // It is written by another name than it is read.
        let failure =
            fields.get("notification_failure_criteria").or_else(|| fields.get("notification_failure_options"));
        let options = words(failure.map_or("", String::as_str));
        let masters = meant(of, kind, fields, "");
        let dependents = meant(of, kind, fields, "dependent_");
        let pairs = masters.iter().flat_map(|m| dependents.iter().map(move |d| (m, d))).filter(|(m, d)| m != d);
        pairs.map(|(m, d)| format!("{d} behind {m} {options:?}")).collect::<Vec<_>>()
    };
    kept(of, kind).iter().flat_map(line).collect()
}

#[test]
fn hosts_and_services_are_those_of_nagios() {
    if !Path::new("/usr/sbin/nagios4").exists() || !Path::new(OBJECTS).exists() {
        tenfold_testkit::peer_is_missing("nagios4 is not installed (Debian: nagios4-core, nagios4-common)");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    // Started as root, Nagios goes on as somebody else.
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let at = |name: &str| dir.path().join(name);
    std::fs::write(at("more.cfg"), format!("{INHERITED}{PEOPLE}")).unwrap();
    let mut files: Vec<_> = ["commands", "contacts", "timeperiods", "templates", "localhost", "switch"]
        .iter()
        .map(|n| Path::new(OBJECTS).join(format!("{n}.cfg")))
        .filter(|p| p.exists())
        .collect();
    // The plugins' packages bring commands of their own.
    for entry in std::fs::read_dir("/etc/nagios-plugins/config").into_iter().flatten().flatten() {
        files.push(entry.path());
    }
    files.push(at("more.cfg"));
    let mut main = String::new();
    for file in &files {
        writeln!(main, "cfg_file={}", file.display()).unwrap();
    }
    let path = |name: &str| at(name).display().to_string();
    write!(
        main,
        "log_file={}\nstatus_file={}\nprecached_object_file={}\nobject_cache_file={}\ntemp_path={}\ncheck_result_path={}\n\
         state_retention_file={}\ncommand_file={}\nlock_file={}\nillegal_macro_output_chars=`\n",
        path("log"), path("status"), path("precache"), path("cache"), dir.path().display(), dir.path().display(),
        path("retention"), path("cmd"), path("lock"),
    )
    .unwrap();
    std::fs::write(at("nagios.cfg"), main).unwrap();
    let out = Command::new("/usr/sbin/nagios4").arg("-vp").arg(at("nagios.cfg")).output().unwrap();
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    let theirs = std::fs::read_to_string(at("precache")).unwrap_or_else(|_| panic!("{said}"));

    let ours: Vec<Object> = files
        .iter()
        .flat_map(|f| read_objects(&f.display().to_string(), &std::fs::read_to_string(f).unwrap()).unwrap())
        .collect();
    let ours = resolve(&ours).unwrap();
    let theirs = resolve(&read_objects("precache", &theirs).unwrap()).unwrap();
    assert!(theirs.services.len() > 8, "{said}");
    let names = |r: &Resolved| r.services.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&ours), names(&theirs));
    assert_eq!(ours.hosts.keys().collect::<Vec<_>>(), theirs.hosts.keys().collect::<Vec<_>>());
    for (name, fields) in &ours.hosts {
        same(name, "host", fields, &theirs.hosts[name], None);
    }
    for (name, fields) in &ours.services {
        same(&format!("{name:?}"), "service", fields, &theirs.services[name], theirs.hosts.get(&name.0));
    }
    for (name, line) in &ours.commands {
        assert_eq!(Some(line), theirs.commands.get(name), "{name}");
    }
    assert_eq!(ours.members, theirs.members, "groups of hosts");
    assert_eq!(ours.service_groups, theirs.service_groups, "groups of services");
    assert_eq!(ours.contact_groups(), theirs.contact_groups(), "groups of contacts");
    let people = |of| by_name(of, "contact", "contact_name");
    assert_eq!(people(&ours).keys().collect::<Vec<_>>(), people(&theirs).keys().collect::<Vec<_>>());
    for (name, fields) in people(&ours) {
        same(name, "contact", fields, people(&theirs)[name], None);
    }
    let days = |of| -> BTreeMap<String, BTreeMap<String, String>> {
        let day = |(key, value): (&String, &String)| {
            let kept = key == "exclude" || !PERIOD_KEYS.contains(&key.as_str());
            kept.then(|| (key.clone(), value.replace(' ', "")))
        };
        let periods = by_name(of, "timeperiod", "timeperiod_name").into_iter();
        periods.map(|(name, fields)| (name.to_owned(), fields.iter().filter_map(day).collect())).collect()
    };
    assert_eq!(days(&ours), days(&theirs), "time periods");
    for kind in ["hostescalation", "serviceescalation"] {
        assert!(!escalations(&theirs, kind).is_empty(), "{kind}");
        assert_eq!(escalations(&ours, kind), escalations(&theirs, kind), "{kind}");
    }
    for kind in ["hostdependency", "servicedependency"] {
        assert!(!dependencies(&theirs, kind).is_empty(), "{kind}");
        assert_eq!(dependencies(&ours, kind), dependencies(&theirs, kind), "{kind}");
    }
}

//! Checks through the command line against the real server, Debian's plugins and Debian's Nagios configuration; and events
//! as PagerDuty's own client sends them.

#![expect(clippy::unwrap_used, reason = "a test that fails should panic where it fails")]

mod bench;

use std::path::Path;
use std::time::{Duration, Instant};

use bench::{Bench, code, err, text};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(30);

fn json(bench: &Bench, args: &[&str]) -> Value {
    let mut args = args.to_vec();
    args.push("--json");
    let out = bench.run(&args);
    assert_eq!(code(&out), 0, "{args:?}: {}", err(&out));
    serde_json::from_slice(&out.stdout).unwrap()
}

fn wait_for(what: &str, mut look: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !look() {
        assert!(Instant::now() < until, "{what}");
    }
}

#[test]
fn a_check_is_put_looked_at_and_alerts() {
    let bench = Bench::start();
    bench.set_up();
    let file = bench.dir.path().join("check.yaml");
    let run = if Path::new("/usr/lib/nagios/plugins/check_dummy").exists() {
        "{plugin: [check_dummy, '2', 'very | a=5s;1;2']}"
    } else {
        println!("monitoring-plugins-basic is not installed: a built-in look stands in");
        "{process: {name: no-such-program}}"
    };
    std::fs::write(&file, format!("host: db1\nrun: {run}\ninterval: 1s\nretry_interval: 1s\nattempts: 2\n")).unwrap();
    let put = bench.run(&["checks", "put", "db1-dummy", file.to_str().unwrap()]);
    assert_eq!(code(&put), 0, "{}", err(&put));
    wait_for("the check becomes a hard problem", || {
        json(&bench, &["checks", "show", "db1-dummy"])["hard"] == true
            && json(&bench, &["checks", "show", "db1-dummy"])["status"] == "critical"
    });
    let shown = text(&bench.run(&["checks", "show", "db1-dummy"]));
    assert!(shown.contains("CRITICAL"), "{shown}");
    wait_for("the status is a series", || {
        json(&bench, &["query", "check_status{check=\"db1-dummy\"}"]).to_string().contains("db1-dummy")
    });
    wait_for("the alert fires", || json(&bench, &["checks", "show", "db1-dummy"])["alerts"] == true);
    let list = json(&bench, &["checks", "list", "--bad"]);
    assert_eq!(list["items"][0]["name"], "db1-dummy");
    assert!(list["scheduler"]["done"].as_u64().unwrap() > 0);
    // A wrong one is refused, with a reason.
    std::fs::write(&file, "run: {plugin: ['/bin/../bin/sh']}\n").unwrap();
    let put = bench.run(&["checks", "put", "sh", file.to_str().unwrap()]);
    assert_eq!(code(&put), 2, "{}", err(&put));
    // Results from outside.
    std::fs::write(&file, "run: {passive: {}}\nattempts: 1\nfreshness: 1h\n").unwrap();
    assert_eq!(code(&bench.run(&["checks", "put", "backup", file.to_str().unwrap()])), 0);
    let sent = json(&bench, &["checks", "result", "backup", "warning", "slow | seconds=180"]);
    assert_eq!((sent["status"].as_str(), sent["values"][0]["value"].as_f64()), (Some("warning"), Some(180.0)));
    assert_eq!(code(&bench.run(&["checks", "delete", "backup"])), 0);
    assert_eq!(code(&bench.run(&["checks", "show", "backup"])), 1);
}

/// The first block of the guide behind three backticks and `kind`.
fn guide(kind: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide/checks.md");
    let guide = std::fs::read_to_string(path).unwrap();
    let (_, rest) = guide.split_once(&format!("```{kind}\n")).unwrap();
    rest.split("```").next().unwrap().to_owned()
}

#[test]
fn the_example_of_the_guide_does_what_it_says() {
    let bench = Bench::start();
    bench.set_up();
    let file = bench.dir.path().join("db1-disk.yaml");
    std::fs::write(&file, guide("yaml")).unwrap();
    let commands = guide("sh");
    let commands: Vec<&str> = commands.lines().filter_map(|line| line.strip_prefix("tenfold ")).collect();
    assert_eq!(commands.len(), 4, "{commands:?}");
    for command in commands {
        let written = command.replace("db1-disk.yaml", file.to_str().unwrap());
        let args: Vec<&str> = written.split_whitespace().collect();
        let out = bench.run(&args);
        assert_eq!(code(&out), 0, "{command}: {}", err(&out));
    }
    let shown = json(&bench, &["checks", "show", "db1-disk"]);
    let spec = &shown["spec"];
    assert_eq!((&spec["host"], &spec["attempts"], &spec["retry_interval"]), (&"db1".into(), &3.into(), &"15s".into()));
    assert_eq!(spec["run"]["plugin"][0], "check_disk", "{shown}");
}

#[test]
fn a_nagios_configuration_becomes_checks() {
    if !Path::new("/etc/nagios4/nagios.cfg").exists() {
        tenfold_testkit::peer_is_missing("/etc/nagios4 is not installed (Debian: nagios4-common)");
        return;
    }
    let bench = Bench::start();
    bench.set_up();
    let dry = json(&bench, &["checks", "import", "/etc/nagios4/nagios.cfg", "--dry-run"]);
    assert!(dry["checks"].as_array().unwrap().len() > 5, "{dry}");
    assert_eq!(json(&bench, &["checks", "list"])["items"].as_array().unwrap().len(), 0);
    let done = bench.run(&["checks", "import", "/etc/nagios4/nagios.cfg"]);
    assert_eq!(code(&done), 0, "{}", err(&done));
    let list = json(&bench, &["checks", "list"]);
    assert_eq!(list["items"].as_array().unwrap().len(), dry["checks"].as_array().unwrap().len());
    let disk = json(&bench, &["checks", "show", "localhost_root-partition"]);
    assert_eq!(disk["spec"]["parents"][0], "localhost");
    assert!(disk["spec"]["run"]["plugin"].to_string().contains("check_disk"), "{disk}");
}

const NAGIOS: &str = "
define command {
  command_name ping
  command_line $USER1$/check_ping -H $HOSTADDRESS$
}
define contact {
  contact_name raj
  alias Raj Patel
  email raj@example.org
}
define contact {
  contact_name mei
}
define timeperiod {
  timeperiod_name office
  monday 09:00-17:00
  december 25 00:00-00:00
}
define host {
  host_name db
  address 127.0.0.1
  check_command ping
  contacts raj
  active_checks_enabled 0
  notification_interval 10
  notification_period office
}
define hostescalation {
  host_name db
  contacts mei
  first_notification 2
  last_notification 0
  notification_interval 10
}
";

#[test]
fn what_nagios_told_people_is_drafts_that_can_be_applied() {
    let bench = Bench::start();
    bench.set_up();
    let at = |name: &str| bench.dir.path().join(name).display().to_string();
    std::fs::write(at("objects.cfg"), NAGIOS).unwrap();
    std::fs::write(at("nagios.cfg"), "cfg_file=objects.cfg\nuse_timezone=Europe/Berlin\n").unwrap();
    let (main, drafts) = (at("nagios.cfg"), at("drafts"));
    let done = bench.run(&["checks", "import", &main, "--drafts", &drafts]);
    assert_eq!(code(&done), 0, "{}", err(&done));
    assert!(text(&done).contains("raj: was told there: ask them to take the account `raj`"), "{}", text(&done));
    let applied = bench.run(&["apply", &drafts]);
    assert_eq!(code(&applied), 0, "{}{}", text(&applied), err(&applied));
    let policies = json(&bench, &["routes", "show"]);
    let routing = &policies["routing"];
    assert_eq!(routing["route"]["routes"][0]["receiver"], "raj", "{policies}");
    assert_eq!(routing["route"]["routes"][0]["active_time_intervals"][0], "office");
    assert_eq!(routing["time_intervals"][0]["name"], "office");
    let wrong = bench.run(&["checks", "import", &main, "--dry-run", "--timezone", "Mars/Olympus"]);
    assert_eq!(code(&wrong), 2);
    assert!(err(&wrong).contains("is not a time zone"), "{}", err(&wrong));
}

/// What `nagios4` takes together: files that files name, patterns of hosts, and macros of which some are secrets.
#[test]
fn files_patterns_and_macros_of_a_nagios_configuration() {
    let bench = Bench::start();
    bench.set_up();
    let at = |name: &str| bench.dir.path().join(name).display().to_string();
    let service = |name: &str, user: &str| {
        format!("define service {{\n  host_name web.*\n  service_description {name}\n  check_command {name}\n}}\n")
            + &format!("define command {{\n  command_name {name}\n  command_line $USER1$/check_tcp {user}\n}}\n")
    };
    let objects = "include_file=more/hosts.cfg\ninclude_dir=linked\n".to_owned()
        + &service("Folder", "$USER2$")
        + &service("Secret", "$USER7$")
        + &service("Plain", "$USER3$");
    let hosts =
        "define host {\n  host_name web1\n}\ndefine host {\n  host_name web2\n}\ndefine host {\n  host_name db\n}\n";
    std::fs::create_dir(at("more")).unwrap();
    std::fs::create_dir_all(at("linked")).unwrap();
    std::fs::create_dir_all(at("elsewhere/.git")).unwrap();
    std::os::unix::fs::symlink(at("elsewhere"), at("linked/link")).unwrap();
    let more = |name: &str| {
        format!("define service {{\n  host_name db\n  service_description {name}\n  check_command Plain\n}}\n")
    };
    std::fs::write(at("elsewhere/linked.cfg"), more("linked")).unwrap();
    for hidden in ["elsewhere/.#linked.cfg", "elsewhere/.git/old.cfg"] {
        std::fs::write(at(hidden), more("hidden")).unwrap();
    }
    std::fs::write(at("more/hosts.cfg"), hosts).unwrap();
    std::fs::write(at("objects.cfg"), objects).unwrap();
    let resource = format!("$USER1$=/usr/lib/nagios/plugins\n$USER2$={}\n$USER3$=eth0\n$USER7$=hunter2\n", at("more"));
    std::fs::write(at("resource.cfg"), resource).unwrap();
    std::fs::write(at("nagios.cfg"), "cfg_file=objects.cfg\nresource_file=resource.cfg\nuse_regexp_matching=1\n")
        .unwrap();
    let main = at("nagios.cfg");
    let import = json(&bench, &["checks", "import", &main, "--dry-run", "--macro", "USER3"]);
    let names: Vec<_> = import["checks"].as_array().unwrap().iter().map(|c| c[0].as_str().unwrap()).collect();
    assert_eq!(names, ["db_linked", "web1_folder", "web1_plain", "web2_folder", "web2_plain"]);
    assert_eq!(import["checks"][1][1]["run"]["plugin"][1], at("more"));
    assert_eq!(import["checks"][2][1]["run"]["plugin"][1], "eth0");
    let said = import.to_string();
    assert!(said.contains("the macro $USER7$ may hold a secret") && !said.contains("hunter2"), "{said}");
    let wrong = bench.run(&["checks", "import", &main, "--dry-run", "--macro", "USER9"]);
    assert_eq!(code(&wrong), 2);
    assert!(err(&wrong).contains("the resource file does not have it"), "{}", err(&wrong));
}

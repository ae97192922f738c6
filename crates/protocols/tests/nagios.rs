//! Object configurations as Nagios itself resolves them: `nagios4 -vp` writes a file with every template and group taken in.
//! Debian's own sample and one with inheritance; without `nagios4` (Debian: nagios4-core) it says so in a line.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use tenfold_protocols::nagios::{Fields, Object, read_objects, resolve};

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

/// What is compared; the rest of the file is about people and notifications.
const KEYS: [&str; 7] =
    ["check_command", "max_check_attempts", "check_interval", "retry_interval", "parents", "address", "notes"];

fn picked(fields: &Fields) -> BTreeMap<&str, String> {
    let number = |v: &str| v.parse::<f64>().map_or_else(|_| v.to_owned(), |n| n.to_string());
    KEYS.iter().filter_map(|k| Some((*k, number(fields.get(*k)?)))).collect()
}

#[test]
fn hosts_and_services_are_those_of_nagios() {
    if !Path::new("/usr/sbin/nagios4").exists() || !Path::new(OBJECTS).exists() {
        println!("skipped: nagios4 is not installed (Debian: nagios4-core, nagios4-common)");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    // Started as root, Nagios goes on as somebody else.
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let at = |name: &str| dir.path().join(name);
    std::fs::write(at("more.cfg"), INHERITED).unwrap();
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
    let names = |r: &tenfold_protocols::nagios::Resolved| r.services.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&ours), names(&theirs));
    assert_eq!(ours.hosts.keys().collect::<Vec<_>>(), theirs.hosts.keys().collect::<Vec<_>>());
    let compare = |name: &str, ours: &Fields, theirs: &Fields| {
        let theirs = picked(theirs);
        for (key, value) in picked(ours) {
            assert_eq!(Some(&value), theirs.get(key), "{name}: {key}");
        }
    };
    for (name, fields) in &ours.hosts {
        compare(name, fields, &theirs.hosts[name]);
    }
    for (name, fields) in &ours.services {
        compare(&format!("{name:?}"), fields, &theirs.services[name]);
    }
    for (name, line) in &ours.commands {
        assert_eq!(Some(line), theirs.commands.get(name), "{name}");
    }
}

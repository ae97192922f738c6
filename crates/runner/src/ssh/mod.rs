//! Hosts without an agent: the server itself stands in for one, over OpenSSH, in Capistrano's layout (`releases/TIMESTAMP`,
//! `current`, `shared`, `revisions.log`). The rest of the server does not know the difference: such a host connects, takes
//! orders under an epoch, and reports what it runs.
//!
//! Which hosts there are is the operator's to say, never a repository's; a host whose key is not known is refused.

mod activate;
mod archive;
mod host;
mod line;
mod release;
mod scripts;
mod stage;

use std::io;
use std::sync::Arc;

use tenfold_app::App;
use tenfold_app::settings::{Ssh, SshHost};
use tenfold_types::Fault;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use host::SshAgent;
use line::Line;

/// Most hosts of this kind.
const HOSTS_MAX: usize = 500;

/// Keeps every host of the settings connected until `stop`.
pub fn start(app: &App, stop: &CancellationToken) -> io::Result<TaskTracker> {
    let tasks = TaskTracker::new();
    let settings = &app.settings.ssh;
    check(settings).map_err(|fault| io::Error::other(fault.message))?;
    if !settings.hosts.is_empty() {
        let control = line::control_dir(&app.settings.data_dir)?;
        let sums = Arc::new(stage::Sums::default());
        let archives = Arc::new(archive::Archives::default());
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(io::Error::other)?;
        for host in &settings.hosts {
            let agent = SshAgent {
                app: app.clone(),
                line: Line::new(settings, host, control.as_deref()),
                host: host.clone(),
                sums: sums.clone(),
                archives: archives.clone(),
                http: http.clone(),
                turns: std::sync::atomic::AtomicU64::new(0),
                breaks: host::Breaks::default(),
                failures: parking_lot::Mutex::default(),
            };
            let stop = stop.clone();
            tasks.spawn(async move { agent.run(stop).await });
        }
    }
    tasks.close();
    Ok(tasks)
}

fn check(settings: &Ssh) -> Result<(), Fault> {
    if settings.hosts.len() > HOSTS_MAX {
        return Err(Fault::invalid(format!("ssh.hosts: at most {HOSTS_MAX} hosts are reached without an agent")));
    }
    let mut names = std::collections::BTreeSet::new();
    for host in &settings.hosts {
        let SshHost { name, address, user, deploy_to, linked_dirs, linked_files, .. } = host;
        let wrong = |what: &str| Err(Fault::invalid(format!("ssh.hosts: {what} of `{name}`")));
        let word = |text: &str, more: &str| {
            !text.is_empty()
                && text.len() <= 253
                && !text.starts_with('-')
                && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
        };
        if !word(name, "._-") || !names.insert(name) {
            return wrong("two hosts have the name, or it is no name: that");
        }
        if !word(address, ".:-_") {
            return wrong("`address` is no name or address: that");
        }
        if !user.is_empty() && !word(user, "._-") {
            return wrong("`user` is no user's name: that");
        }
        let folder = deploy_to.replace("{service}", "service");
        if !folder.starts_with('/') || folder.len() < 2 || !path_ok(&folder[1..]) || !deploy_to.contains("{service}") {
            return wrong("`deploy_to` must be a path from the root with {service} in it: that");
        }
        if let Some(bad) = linked_dirs.iter().find(|dir| !path_ok(dir)) {
            return wrong(&format!("`linked_dirs` holds `{bad}`, which is no path within a release: that"));
        }
        if let Some(bad) = linked_files.iter().find(|file| !path_ok(file)) {
            return wrong(&format!("`linked_files` holds `{bad}`, which is no path within a release: that"));
        }
        // a link would be written through the other one, into what is shared
        let apart = |a: &str, b: &str| a != b && !below(a, b) && !below(b, a);
        let links: Vec<&String> = linked_dirs.iter().chain(linked_files).collect();
        let clash =
            links.iter().enumerate().find_map(|(i, a)| links[..i].iter().find(|b| !apart(a, b)).map(|b| (b, a)));
        if let Some((one, other)) = clash {
            return wrong(&format!(
                "`linked_dirs` and `linked_files` hold `{one}` and `{other}`, one within the other: that"
            ));
        }
    }
    Ok(())
}

/// A path that leads through the folder.
fn below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

/// A path of plain words that leads nowhere else.
fn path_ok(path: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && !part.starts_with('-')
            && part != "."
            && part != ".."
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "._-@+".contains(c))
    };
    path.len() <= 1_024 && path.split('/').all(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_would_lead_astray_are_refused() {
        let host = SshHost {
            name: "web-1".into(),
            address: "10.0.0.1".into(),
            port: 0,
            user: "deploy".into(),
            environment: "production".into(),
            labels: std::collections::BTreeMap::new(),
            deploy_to: "/var/www/{service}".into(),
            linked_dirs: vec!["tmp/pids".into()],
            linked_files: vec!["config/master.key".into(), "tmp/pids.txt".into()],
            restart: Vec::new(),
            health_port: None,
            health: Vec::new(),
        };
        let said = |change: &dyn Fn(&mut SshHost)| {
            let mut host = host.clone();
            change(&mut host);
            check(&Ssh { hosts: vec![host], ..Ssh::default() }).err().map(|f| f.message)
        };
        assert_eq!(said(&|_| {}), None);
        for change in [
            &(|h: &mut SshHost| h.address = "-oProxyCommand=id".into()) as &dyn Fn(&mut SshHost),
            &|h| h.address = "a b".into(),
            &|h| h.user = "root@x".into(),
            &|h| h.name = String::new(),
            &|h| h.deploy_to = "/var/www/photos".into(),
            &|h| h.deploy_to = "var/{service}".into(),
            &|h| h.deploy_to = "/var/../{service}".into(),
            &|h| h.deploy_to = "/var/$(id)/{service}".into(),
            &|h| h.linked_dirs = vec!["../x".into()],
            &|h| h.linked_files = vec!["/etc/passwd".into()],
            &|h| h.linked_files = vec!["tmp/pids/a".into()],
            &|h| h.linked_files = vec!["tmp".into()],
            &|h| h.linked_files = vec!["a".into(), "a".into()],
        ] {
            assert!(said(change).is_some_and(|text| text.contains("web-1") || text.contains("``")));
        }
        let twice = Ssh { hosts: vec![host.clone(), host], ..Ssh::default() };
        assert!(check(&twice).unwrap_err().message.contains("two hosts"));
    }
}

//! Whether the hosts of a deploy can start what ships: an agent runs the service itself, on a host reached by ssh it is the
//! host's own.

use tenfold_deploys::Pipeline;
use tenfold_types::Fault;

use crate::App;

impl App {
    /// The same hosts, or why they cannot run it.
    pub(super) fn startable(
        &self,
        pipeline: &Pipeline,
        hosts: Vec<(String, bool)>,
    ) -> Result<Vec<(String, bool)>, Fault> {
        if !pipeline.run.command.is_empty() || pipeline.run.reload.is_some() {
            return Ok(hosts);
        }
        let by_ssh: Vec<&str> = self.settings.ssh.hosts.iter().map(|host| host.name.as_str()).collect();
        match with_agent(&hosts, &by_ssh) {
            None => Ok(hosts),
            Some(host) => Err(Fault::invalid(format!("`run.command` is missing, and the agent of {host} starts the service"))
                .advice("write it, such as `run: {command: [node, server.mjs]}`, or `run: {reload: []}` where another program serves the files")),
        }
    }
}

fn with_agent<'a>(hosts: &'a [(String, bool)], by_ssh: &[&str]) -> Option<&'a str> {
    hosts.iter().map(|(name, _)| name.as_str()).find(|name| !by_ssh.contains(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hosts_reached_by_ssh_need_no_command() {
        let hosts = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), true)).collect::<Vec<_>>();
        assert_eq!(with_agent(&hosts(&["old-1", "old-2"]), &["old-1", "old-2"]), None);
        assert_eq!(with_agent(&hosts(&["old-1", "web-1"]), &["old-1"]), Some("web-1"));
        assert_eq!(with_agent(&hosts(&["web-1"]), &[]), Some("web-1"));
    }
}

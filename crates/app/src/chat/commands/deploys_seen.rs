//! Deploys as chat shows them: a list, one, the end of its log, the stages of one that was not begun.

use tenfold_types::Fault;

use super::Reply;
use super::deploys::state_line;
use crate::App;
use crate::deploys::short_sha;
use crate::deploys::views::{Deploy, DeployFilter, LogLine, PlannedStage};

/// Deploys that a list names.
const LISTED: u32 = 8;
/// Hosts that are told one by one when a deploy is shown; those that are not well go first.
const HOSTS_SHOWN: usize = 8;
/// Lines of a log that are said.
const LOG_LINES: usize = 10;

pub(super) async fn list(app: &App, filter: DeployFilter) -> Result<Reply, Fault> {
    let deploys = app.deploys(DeployFilter { limit: Some(LISTED), ..filter }).await?;
    if deploys.is_empty() {
        return Ok(Reply::line("no deploy fits that"));
    }
    let line = |deploy: &Deploy| format!("{} UTC {}", minute(&deploy.started_at.to_string()), state_line(deploy));
    Ok(Reply::lines(deploys.iter().map(line).collect()))
}

pub(super) async fn show(app: &App, number: i64) -> Result<Reply, Fault> {
    let deploy = app.deploy(number).await?;
    let mut lines = vec![format!("{} {}", state_line(&deploy), app.settings.link(&format!("/deploys/{number}")))];
    lines.push(format!(
        "{} -> {}, {}",
        deploy.from_sha.as_deref().map_or("nothing", short_sha),
        short_sha(&deploy.to_sha),
        commits(deploy.commit_count)
    ));
    lines.extend(large_line(&deploy));
    lines.extend(deploy.diff_url.iter().cloned());
    lines.extend(deploy.reason.iter().map(|why| format!("because: {why}")));
    lines.extend(deploy.error.iter().map(|why| format!("error: {why}")));
    lines.extend(deploy.judged.iter().map(|judged| format!("judge: {}", judged.said)));
    let scored = deploy.expects.iter().flat_map(|expects| &expects.metrics);
    lines.extend(scored.map(|metric| format!("expected: {}", metric.line())));
    lines.extend(deploy.reverted_by.map(|by| format!("taken back by rollback {by}")));
    lines.extend(deploy.approval.iter().map(|a| format!("{} of {} approvals, by {}", a.given.len(), a.count, a.who())));
    let mut hosts: Vec<_> = deploy.hosts.iter().collect();
    hosts.sort_by_key(|host| host.state == "healthy");
    for host in hosts.iter().take(HOSTS_SHOWN) {
        let away = host.away_since.is_some().then(|| "does not answer".to_owned());
        let said = away.or_else(|| host.message.clone()).map_or_else(String::new, |said| format!(" ({said})"));
        lines.push(format!("{}: {}{said}", host.host, host.state));
    }
    if hosts.len() > HOSTS_SHOWN {
        lines.push(format!("and {} more hosts", hosts.len() - HOSTS_SHOWN));
    }
    Ok(Reply::lines(lines))
}

pub(super) async fn log(app: &App, number: i64, host: Option<&str>) -> Result<Reply, Fault> {
    app.deploy(number).await?;
    let log = app.deploy_log(number);
    let all = tokio::task::spawn_blocking(move || log.after(0))
        .await
        .map_err(|e| Fault::internal(format!("the log of deploy {number} could not be read: {e}")))?;
    let mut lines = last_lines(&all, host);
    if lines.is_empty() {
        let of = host.map_or_else(String::new, |host| format!(" of {host}"));
        lines.push(format!("the log of deploy {number} has no line{of}"));
    }
    lines.push(app.settings.link(&format!("/deploys/{number}")));
    Ok(Reply::lines(lines))
}

fn last_lines(all: &[LogLine], host: Option<&str>) -> Vec<String> {
    let ours: Vec<&LogLine> = all.iter().filter(|l| host.is_none() || l.host.as_deref() == host).collect();
    let said = |line: &&LogLine| match &line.host {
        Some(host) => format!("{host}: {}", line.text),
        None => line.text.clone(),
    };
    ours[ours.len().saturating_sub(LOG_LINES)..].iter().map(said).collect()
}

/// Where it changes by more than one deploy should.
pub(super) fn large_line(deploy: &Deploy) -> Option<String> {
    let changes = deploy.commit_count + deploy.removed.len() as u64;
    deploy.max_commits_exceeded.then(|| {
        format!(
            "it changes by {}, and {} are the most that one deploy should carry",
            commits(changes),
            deploy.max_commits
        )
    })
}

fn commits(count: u64) -> String {
    if count == 1 { "1 commit".to_owned() } else { format!("{count} commits") }
}

pub(super) fn stage_line(stage: &PlannedStage) -> String {
    let groups = stage.hosts.iter().map(|group| group.join(" ")).collect::<Vec<_>>().join(", then ");
    let on = if groups.is_empty() { String::new() } else { format!(" {groups}:") };
    format!("{}:{on} {}", stage.name.replace('_', " "), stage.says)
}

/// `11-23 09:12` of an RFC 3339 instant.
fn minute(at: &str) -> String {
    at.get(5..16).unwrap_or("").replace('T', " ")
}

#[cfg(test)]
mod tests {
    use tenfold_types::Timestamp;

    use super::*;
    use crate::deploys::ports::Stream;

    #[test]
    fn a_log_ends_with_its_last_lines_of_the_host_that_is_asked_for() {
        let line = |seq: i64, host: Option<&str>| LogLine {
            seq,
            at: Timestamp(seq),
            stream: Stream::Out,
            host: host.map(str::to_owned),
            text: format!("line {seq}"),
        };
        let mut all: Vec<LogLine> = (1..=20).map(|seq| line(seq, None)).collect();
        all.push(line(21, Some("db2")));
        let last = last_lines(&all, None);
        assert_eq!((last.len(), last[0].as_str(), last[9].as_str()), (10, "line 12", "db2: line 21"));
        assert_eq!(last_lines(&all, Some("db2")), ["db2: line 21"]);
        assert!(last_lines(&all, Some("db3")).is_empty());
    }

    #[test]
    fn a_stage_says_where_and_what() {
        let hosts = vec![vec!["web1".to_owned(), "web2".to_owned()], vec!["web3".to_owned()]];
        let stage = PlannedStage { name: "promoting".into(), hosts, says: "2 at a time".into() };
        assert_eq!(stage_line(&stage), "promoting: web1 web2, then web3: 2 at a time");
        let build = PlannedStage { name: "building".into(), hosts: Vec::new(), says: "make".into() };
        assert_eq!(stage_line(&build), "building: make");
    }
}

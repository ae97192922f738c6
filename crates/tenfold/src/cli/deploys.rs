//! deploys, log, watch-log, promote, hold, abort, cancel, retry: what was deployed, and what is done with a deploy that
//! exists.

use serde_json::{Value, json};
use tenfold_app::deploys::views::ExpectedMetric;
use tenfold_types::Timestamp;

use super::Common;
use super::client::Client;
use super::follow;
use super::out::{Exit, Failure, Out, data, list, minute, number, second, short, talk, text};
use super::ship::started;

/// Hosts of a deploy that are printed one by one; those that are not well go first.
const HOSTS_SHOWN: usize = 40;

/// List deploys, of all services or of one, or show deploy N.
#[derive(Debug, clap::Args)]
#[command(
    before_long_help = "Examples:\n  tenfold deploys\n  tenfold deploys photos --in production --limit 50\n  tenfold deploys --state failed --by ana --from 2026-11-01T00:00:00Z\n  tenfold deploys --commit 4f2a91c\n  tenfold deploys 12"
)]
pub struct Deploys {
    /// A service, or the number of a deploy.
    #[arg(value_name = "SERVICE|N")]
    of: Option<String>,
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    pub(super) common: Common,
}

#[derive(Debug, clap::Args)]
struct Filter {
    #[arg(long = "in", value_name = "ENV")]
    environment: Option<String>,
    /// A state, or `running` for all that are not over.
    #[arg(long)]
    state: Option<String>,
    /// `deploy` or `rollback`.
    #[arg(long)]
    kind: Option<String>,
    /// Login or robot that asked for it.
    #[arg(long, value_name = "LOGIN")]
    by: Option<String>,
    /// The beginning of a commit that shipped.
    #[arg(long, value_name = "SHA")]
    commit: Option<String>,
    /// Words in its commits, its reason or its error.
    #[arg(long, value_name = "WORDS")]
    words: Option<String>,
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    from: Option<Timestamp>,
    #[arg(long, value_name = "INSTANT", value_parser = instant)]
    to: Option<Timestamp>,
    /// Only deploys with a lower number: the next page.
    #[arg(long, value_name = "N")]
    before: Option<i64>,
    #[arg(long, default_value = "20", value_parser = clap::value_parser!(u32).range(1..=500))]
    limit: u32,
}

pub(super) fn instant(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse_rfc3339(text).ok_or_else(|| format!("`{text}` is no instant; write 2026-12-20T00:00:00Z"))
}

/// The number, where that is what was given.
fn number_of(word: &str) -> Option<i64> {
    word.strip_prefix('#').unwrap_or(word).parse().ok()
}

impl Deploys {
    pub(super) async fn run(self, client: &Client, out: Out) -> Result<Exit, Failure> {
        if let Some(n) = self.of.as_deref().and_then(number_of) {
            if !self.filter.is_empty() {
                return Err(Failure::misuse("a deploy's number says which one it is").advice("leave the filters out"));
            }
            let deploy = client.get(&format!("/api/deploys/{n}"), &[]).await?;
            out.answer(&deploy, |deploy| deploy_lines(deploy, out));
            return Ok(Exit::Done);
        }
        let pairs = self.filter.query(self.of.as_deref());
        let query: Vec<(&str, &str)> = pairs.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let deploys = client.get("/api/deploys", &query).await?;
        out.answer(&deploys, |deploys| {
            let line = |d: &Value| format!("{} {}", minute(d, "started_at"), follow::deploy_line(d, out));
            list(deploys, "items").iter().map(line).collect()
        });
        if let Some(next) = deploys["next"].as_i64().filter(|_| !out.json) {
            talk(&format!("there are older ones: --before {next}"));
        }
        Ok(Exit::Done)
    }
}

impl Filter {
    fn is_empty(&self) -> bool {
        self.query(None).len() == 1
    }

    fn query(&self, service: Option<&str>) -> Vec<(&'static str, String)> {
        let mut query = vec![("limit", self.limit.to_string())];
        query.extend(service.map(|service| ("service", service.to_owned())));
        let words = [
            ("environment", &self.environment),
            ("state", &self.state),
            ("kind", &self.kind),
            ("actor", &self.by),
            ("commit", &self.commit),
            ("q", &self.words),
        ];
        query.extend(words.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?.to_owned()))));
        for (name, at) in [("from", self.from), ("to", self.to)] {
            query.extend(at.map(|at| (name, at.to_string())));
        }
        query.extend(self.before.map(|before| ("before", before.to_string())));
        query
    }
}

/// One deploy with its steps and hosts.
fn deploy_lines(deploy: &Value, out: Out) -> Vec<String> {
    let mut lines = vec![follow::deploy_line(deploy, out)];
    lines.push(format!(
        "asked for at {} UTC, {}",
        minute(deploy, "started_at"),
        commits(number(deploy, "commit_count"))
    ));
    lines.extend(large_line(deploy));
    let said = [
        ("because", "reason"),
        ("diff", "diff_url"),
        ("does not go back by itself", "irreversible"),
        ("passed over what was closed", "overridden"),
    ];
    for (name, key) in said {
        let said = text(deploy, key);
        if !said.is_empty() {
            lines.push(format!("{name}: {said}"));
        }
    }
    for (name, key) in [("forward over deploy", "forward_of"), ("taken back by rollback", "reverted_by")] {
        lines.extend(deploy[key].as_i64().map(|n| format!("{name} {n}")));
    }
    if !deploy["left"].is_null() {
        let (left, until) = (&deploy["left"], second(&deploy["left"], "until"));
        lines.push(format!("taken over: its {} at another server has ended by {until} UTC", text(left, "what")));
    }
    if !deploy["judged"].is_null() {
        lines.push(format!("judge: {}", text(&deploy["judged"], "said")));
    }
    lines.extend(approval_line(&deploy["approval"]));
    let expected = list(&deploy["expects"], "metrics").iter();
    let expected = expected.filter_map(|metric| serde_json::from_value::<ExpectedMetric>(metric.clone()).ok());
    lines.extend(expected.map(|metric| format!("expected: {}", metric.line())));
    for (sign, key) in [("+", "commits"), ("-", "removed")] {
        let commit = |c: &Value| format!("{sign} {} {} ({})", text(c, "short"), text(c, "message"), text(c, "author"));
        lines.extend(list(deploy, key).iter().map(commit));
    }
    lines.extend(list(deploy, "steps").iter().map(|step| {
        let state = text(step, "state");
        format!("{} {state} since {} UTC", text(step, "name"), minute(step, "started_at"))
    }));
    let mut hosts: Vec<&Value> = list(deploy, "hosts").iter().collect();
    hosts.sort_by_key(|host| text(host, "state") == "healthy");
    let host = |host: &&Value| {
        let away = !host["away_since"].is_null();
        let message = if away { "does not answer" } else { text(host, "message") };
        let said = if message.is_empty() { String::new() } else { format!(" ({message})") };
        format!("{}: {}, {}{said}", text(host, "host"), out.state(text(host, "state")), digest(host))
    };
    lines.extend(hosts.iter().take(HOSTS_SHOWN).map(host));
    if hosts.len() > HOSTS_SHOWN {
        lines.push(format!("and {} more hosts; --json has them all", hosts.len() - HOSTS_SHOWN));
    }
    lines
}

fn commits(count: i64) -> String {
    if count == 1 { "1 commit".to_owned() } else { format!("{count} commits") }
}

/// Where it changes by more than one deploy should.
pub(super) fn large_line(deploy: &Value) -> Option<String> {
    let changes = number(deploy, "commit_count") + i64::try_from(list(deploy, "removed").len()).unwrap_or(0);
    let most = number(deploy, "max_commits");
    (deploy["max_commits_exceeded"] == true)
        .then(|| format!("it changes by {}, and {most} are the most that one deploy should carry", commits(changes)))
}

/// `1 of 2 approvals (Raj), which mei, raj, the team photos may give, by somebody else than who started it`
fn approval_line(approval: &Value) -> Option<String> {
    let count = approval["count"].as_i64()?;
    let names: Vec<&str> = list(approval, "given").iter().map(|given| text(given, "name")).collect();
    let by = if names.is_empty() { String::new() } else { format!(" ({})", names.join(", ")) };
    let of = approvers(approval).map_or_else(String::new, |who| format!(", which {who} may give"));
    let eyes = if approval["four_eyes"] == true { ", by somebody else than who started it" } else { "" };
    Some(format!("{} of {count} approvals{by}{of}{eyes}", names.len()))
}

/// Those whom the pipeline file names to approve, if it names any.
pub(super) fn approvers(approval: &Value) -> Option<String> {
    let people = list(approval, "by").iter().filter_map(Value::as_str).map(str::to_owned);
    let teams = list(approval, "teams").iter().filter_map(Value::as_str).map(|team| format!("the team {team}"));
    let named: Vec<String> = people.chain(teams).collect();
    (!named.is_empty()).then(|| named.join(", "))
}

/// What a host was seen to run.
fn digest(host: &Value) -> &str {
    match text(host, "digest_observed") {
        "" => "nothing",
        digest => short(digest),
    }
}

/// Print the log of deploy N, whole, of one host, or as it grows.
#[derive(Debug, clap::Args)]
#[command(
    before_long_help = "Examples:\n  tenfold log 12\n  tenfold log 12 --host web3\n  tenfold log 12 --follow > deploy.log"
)]
pub struct Log {
    #[arg(value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    deploy: i64,
    /// Only lines of this host.
    #[arg(long)]
    host: Option<String>,
    /// Go on until the deploy ends; with --json one object a line.
    #[arg(long)]
    follow: bool,
    #[command(flatten)]
    pub(super) common: Common,
}

impl Log {
    pub(super) async fn run(self, client: &Client, out: Out) -> Result<Exit, Failure> {
        let path = format!("/api/deploys/{}/log", self.deploy);
        let ours = |line: &Value| self.host.as_deref().is_none_or(|host| text(line, "host") == host);
        if self.follow {
            exists(client, self.deploy).await?;
            follow::stream(client, &path, &[("follow", "true")], |event, line| {
                if event.name == "line" && ours(line) {
                    out.item(line, follow::log_line);
                }
                event.name == "end"
            })
            .await?;
            return Ok(Exit::Done);
        }
        let log = client.get(&path, &[]).await?;
        if out.json && self.host.is_none() {
            out.answer(&log, |_| Vec::new());
            return Ok(Exit::Done);
        }
        let items: Vec<&Value> = list(&log, "items").iter().filter(|line| ours(line)).collect();
        if out.json {
            data(&format!("{:#}", json!({"items": items})));
        } else {
            for line in items {
                data(&follow::log_line(line));
            }
        }
        Ok(Exit::Done)
    }
}

/// A stream that does not open is tried again; a deploy that is not there will not be there then either.
async fn exists(client: &Client, n: i64) -> Result<(), Failure> {
    client.get(&format!("/api/deploys/{n}"), &[]).await.map(|_| ())
}

/// Follow the log of deploy N until it ends; the exit code tells how.
#[derive(Debug, clap::Args)]
#[command(before_long_help = "Examples:\n  tenfold watch-log 12")]
pub struct WatchLog {
    #[arg(value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    deploy: i64,
    #[command(flatten)]
    pub(super) common: Common,
}

impl WatchLog {
    pub(super) async fn run(self, client: &Client, out: Out) -> Result<Exit, Failure> {
        exists(client, self.deploy).await?;
        follow::deploy(client, out, self.deploy).await
    }
}

/// Let deploy N, which is held, go on.
#[derive(Debug, clap::Args)]
#[command(before_long_help = "Examples:\n  tenfold promote 12\n  tenfold promote 12 --reason \"the graphs are flat\"")]
pub struct Promote {
    #[command(flatten)]
    answer: Answer,
    #[command(flatten)]
    pub(super) common: Common,
}

/// Hold deploy N, which flips: nothing more flips until promote or abort.
#[derive(Debug, clap::Args)]
#[command(before_long_help = "Examples:\n  tenfold hold 12 --reason \"the graphs look odd\"")]
pub struct Hold {
    /// The deploy's number.
    #[arg(value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    number: i64,
    /// Why, for the record.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    pub(super) common: Common,
}

/// Abort deploy N: hosts that flipped go back.
#[derive(Debug, clap::Args)]
#[command(before_long_help = "Examples:\n  tenfold abort 12 --reason \"uploads fail\"")]
pub struct Abort {
    #[command(flatten)]
    answer: Answer,
    #[command(flatten)]
    pub(super) common: Common,
}

/// Stop deploy N; hosts that flipped go back.
#[derive(Debug, clap::Args)]
#[command(before_long_help = "Examples:\n  tenfold cancel 12\n  tenfold cancel 12 --no-wait")]
pub struct Cancel {
    #[command(flatten)]
    answer: Answer,
    #[command(flatten)]
    pub(super) common: Common,
}

/// What is said to a deploy that runs or waits.
#[derive(Debug, clap::Args)]
struct Answer {
    /// The deploy's number.
    #[arg(value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    number: i64,
    /// Why, for the record.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Return as soon as it is said.
    #[arg(long)]
    no_wait: bool,
}

impl Answer {
    async fn say(self, word: &str, client: &Client, out: Out) -> Result<Exit, Failure> {
        let path = format!("/api/deploys/{}/{word}", self.number);
        let deploy = client.post(&path, &json!({"reason": self.reason})).await?;
        started(client, out, &deploy, self.no_wait).await
    }
}

/// What was asked to stop or to go back and did so is done, not failed.
async fn as_asked(exit: Exit, n: i64, client: &Client) -> Result<Exit, Failure> {
    if exit != Exit::Failed {
        return Ok(exit);
    }
    let deploy = client.get(&format!("/api/deploys/{n}"), &[]).await?;
    Ok(if is_back(text(&deploy, "state")) { Exit::Done } else { exit })
}

fn is_back(state: &str) -> bool {
    matches!(state, "cancelled" | "rolled_back")
}

impl Promote {
    pub(super) async fn run(self, client: &Client, out: Out) -> Result<Exit, Failure> {
        self.answer.say("promote", client, out).await
    }
}

impl Hold {
    pub(super) async fn run(self, client: &Client, out: Out) -> Result<Exit, Failure> {
        let deploy =
            client.post(&format!("/api/deploys/{}/hold", self.number), &json!({"reason": self.reason})).await?;
        out.answer(&deploy, |deploy| vec![follow::deploy_line(deploy, out)]);
        Ok(Exit::Done)
    }
}

impl Abort {
    pub(super) async fn run(self, client: &Client, out: Out) -> Result<Exit, Failure> {
        let n = self.answer.number;
        as_asked(self.answer.say("abort", client, out).await?, n, client).await
    }
}

impl Cancel {
    pub(super) async fn run(self, client: &Client, out: Out) -> Result<Exit, Failure> {
        let n = self.answer.number;
        as_asked(self.answer.say("cancel", client, out).await?, n, client).await
    }
}

/// Deploy what deploy N did once more, as a new one.
#[derive(Debug, clap::Args)]
#[command(before_long_help = "Examples:\n  tenfold retry 12\n  tenfold retry 12 --no-wait")]
pub struct Retry {
    /// The deploy's number.
    #[arg(value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    number: i64,
    /// Return as soon as it is queued.
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    pub(super) common: Common,
}

impl Retry {
    pub(super) async fn run(self, client: &Client, out: Out) -> Result<Exit, Failure> {
        let deploy = client.post(&format!("/api/deploys/{}/retry", self.number), &json!({})).await?;
        started(client, out, &deploy, self.no_wait).await
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        deploys: Deploys,
    }

    fn parsed(words: &[&str]) -> Deploys {
        Line::try_parse_from([&["deploys"][..], words].concat()).map(|line| line.deploys).unwrap()
    }

    #[test]
    fn filters_become_the_questions_of_the_api() {
        let deploys = parsed(&["photos", "--in", "staging", "--by", "ana", "--from", "2026-11-01T00:00:00Z"]);
        let query = deploys.filter.query(deploys.of.as_deref());
        let wanted = [("limit", "20"), ("service", "photos"), ("environment", "staging"), ("actor", "ana")];
        for (name, value) in wanted {
            assert!(query.contains(&(name, value.to_owned())), "{name}: {query:?}");
        }
        assert_eq!(query.len(), 5);
        assert!(!deploys.filter.is_empty() && parsed(&["12"]).filter.is_empty());
        assert_eq!((number_of("#12"), number_of("12"), number_of("photos")), (Some(12), Some(12), None));
    }

    #[test]
    fn one_deploy_is_told_with_those_hosts_first_that_are_not_well() {
        let deploy = json!({
            "number": 12, "kind": "deploy", "service": "photos", "environment": "production", "state": "held",
            "actor_name": "Ana", "from_sha": null, "to_sha": "4f2a91c0aa", "started_at": "2026-11-23T09:12:44Z",
            "commit_count": 1, "max_commits": 0, "max_commits_exceeded": true, "error": "mei holds it", "forward_of": 11,
            "approval": {"count": 2, "four_eyes": true, "given": [{"name": "Raj"}], "by": ["raj"], "teams": ["photos"]},
            "expects": {"metrics": [
                {"query": "up", "says": "up should stay within 5 %", "outcome": "met", "before": 3.0, "after": 3.0},
                {"query": "q", "says": "q should fall by 5 %", "outcome": null, "before": null, "after": null},
            ]},
            "reason": "the fix", "diff_url": "https://git.example/a/b/compare/1...2",
            "commits": [{"short": "4f2a91c", "message": "Mend it", "author": "Ana"}],
            "steps": [{"name": "canary", "state": "running", "started_at": "2026-11-23T09:13:00Z"}],
            "hosts": [
                {"host": "web1", "state": "healthy", "digest_observed": "0123456789"},
                {"host": "web2", "state": "failed", "message": "no answer"},
                {"host": "web3", "state": "activating", "away_since": "2026-11-23T09:13:02Z"},
            ],
        });
        let lines = deploy_lines(&deploy, Out::plain());
        let wanted = [
            "deploy 12 of photos to production by Ana: ◆ held, nothing -> 4f2a91c (mei holds it)",
            "asked for at 2026-11-23 09:12 UTC, 1 commit",
            "it changes by 1 commit, and 0 are the most that one deploy should carry",
            "because: the fix",
            "diff: https://git.example/a/b/compare/1...2",
            "forward over deploy 11",
            "1 of 2 approvals (Raj), which raj, the team photos may give, by somebody else than who started it",
            "expected: up should stay within 5 %: met (3.0000 -> 3.0000)",
            "expected: q should fall by 5 %: not scored yet",
            "+ 4f2a91c Mend it (Ana)",
            "canary running since 2026-11-23 09:13 UTC",
            "web2: ▲ failed, nothing (no answer)",
            "web3: · activating, nothing (does not answer)",
            "web1: ● healthy, 0123456",
        ];
        assert_eq!(lines, wanted);
    }

    #[test]
    fn what_was_asked_to_go_back_and_failed_has_failed() {
        assert!(is_back("cancelled") && is_back("rolled_back"));
        assert!(!is_back("failed") && !is_back("succeeded"));
    }
}

//! deploy, approve, rollback, rollforward, status, next, lock, unlock.

use serde_json::{Value, json};
use tenfold_app::chat::grammar::{DEFAULT_ENVIRONMENT, parse_span_ms};

use super::Common;
use super::client::{Client, segment};
use super::deploys::approvers;
use super::follow;
use super::out::{Exit, Failure, Out, list, minute, number, short, talk, text};

/// Reads `45m`, `2h`, `7d` as the chat does.
pub(super) fn duration(text: &str) -> Result<i64, String> {
    parse_span_ms(text).map_err(|fault| format!("{}; {}", fault.message, fault.advice))
}

/// Deploy a service: what is on its branch, or a commit.
#[derive(Debug, clap::Args)]
#[command(
    before_long_help = "Examples:\n  tenfold deploy photos\n  tenfold deploy photos 4f2a91c --to staging\n  tenfold deploy photos --no-wait --json\n  tenfold deploy photos --dry-run"
)]
pub struct Deploy {
    service: String,
    /// Branch, tag or commit [default: the service's branch].
    #[arg(value_name = "REF")]
    reference: Option<String>,
    #[arg(long, value_name = "ENV", default_value = DEFAULT_ENVIRONMENT)]
    to: String,
    /// Return as soon as it is queued.
    #[arg(long)]
    no_wait: bool,
    /// Be refused where a deploy is under way or others wait, instead of waiting for a turn.
    #[arg(long)]
    no_queue: bool,
    /// Say what would ship and what each stage would do; change nothing.
    #[arg(long, conflicts_with_all = ["no_wait", "override_reason"])]
    dry_run: bool,
    /// Pass over windows, freezes, locks, pins and stages; only an admin may, and the reason is recorded.
    #[arg(long = "override", value_name = "REASON")]
    override_reason: Option<String>,
    #[command(flatten)]
    pub(super) common: Common,
}

impl Deploy {
    pub(super) async fn run(self, client: &Client, out: Out) -> Result<Exit, Failure> {
        if self.dry_run {
            return self.rehearse(client, out).await;
        }
        let body = json!({
            "service": self.service, "environment": self.to, "ref": self.reference, "override": self.override_reason,
        });
        if self.no_queue {
            let deploy = client.post("/api/deploys", &body).await?;
            return started(client, out, &deploy, self.no_wait).await;
        }
        let asked = client.post("/api/queues", &body).await?;
        if asked["waiting"].is_null() {
            return started(client, out, &asked["deploy"], self.no_wait).await;
        }
        let place = (self.service.as_str(), self.to.as_str());
        match super::queue::turn(client, out, place, &asked["waiting"], self.no_wait).await? {
            Some(number) => {
                talk(&format!("deploy {number}: {}/deploys/{number}", client.base()));
                follow::deploy(client, out, number).await
            }
            None => Ok(Exit::Done),
        }
    }
}

impl Deploy {
    /// Refused where the deploy would be: a pipeline file that cannot be read, no host, a lock of somebody else, a train, a
    /// deploy that runs.
    async fn rehearse(&self, client: &Client, out: Out) -> Result<Exit, Failure> {
        let mut query = vec![("environment", self.to.as_str())];
        query.extend(self.reference.as_deref().map(|reference| ("ref", reference)));
        let next = client.get(&format!("/api/services/{}/next", segment(&self.service)), &query).await?;
        out.answer(&next, |next| {
            let mut lines = next_lines(next);
            lines.extend(list(next, "plan").iter().map(stage_line));
            lines
        });
        Ok(if in_the_way(&next) { Exit::Refused } else { Exit::Done })
    }
}

fn in_the_way(next: &Value) -> bool {
    list(next, "plan").is_empty()
        || ["locked_out", "running", "closed", "train"].iter().any(|key| !next[*key].is_null())
        || !next["stage"]["refused"].is_null()
}

fn stage_line(stage: &Value) -> String {
    let groups = list(stage, "hosts").iter().map(|group| {
        let names: Vec<&str> = group.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        names.join(" ")
    });
    let hosts = groups.collect::<Vec<_>>().join(", then ");
    let on = if hosts.is_empty() { String::new() } else { format!(" {hosts}:") };
    format!("{}:{on} {}", text(stage, "name"), text(stage, "says"))
}

pub(super) async fn started(client: &Client, out: Out, deploy: &Value, no_wait: bool) -> Result<Exit, Failure> {
    let n = number(deploy, "number");
    talk(&format!("{} {n}: {}/deploys/{n}", text(deploy, "kind"), client.base()));
    if let Some(large) = super::deploys::large_line(deploy) {
        talk(&large);
    }
    if no_wait {
        out.answer(deploy, |d| vec![follow::deploy_line(d, out)]);
        return Ok(Exit::Done);
    }
    follow::deploy(client, out, n).await
}

/// Approve deploy N, which waits for people.
#[derive(Debug, clap::Args)]
#[command(before_long_help = "Examples:\n  tenfold approve 12\n  tenfold approve 12 --no-wait")]
pub struct Approve {
    /// The deploy's number.
    #[arg(value_name = "N")]
    number: i64,
    /// Return as soon as it is approved.
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    pub(super) common: Common,
}

impl Approve {
    pub(super) async fn run(self, client: &Client, out: Out) -> Result<Exit, Failure> {
        let deploy = client.post(&format!("/api/deploys/{}/approve", self.number), &json!({})).await?;
        started(client, out, &deploy, self.no_wait).await
    }
}

/// Go back to the release before, or undo deploy N.
#[derive(Debug, clap::Args)]
#[command(before_long_help = "Examples:\n  tenfold rollback photos\n  tenfold rollback 12 --reason \"errors went up\"")]
pub struct Rollback {
    /// A service, or the number of the deploy to undo.
    #[arg(value_name = "SERVICE|N")]
    target: String,
    /// With a service: where [default: production].
    #[arg(long, value_name = "ENV")]
    to: Option<String>,
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Return as soon as it is queued.
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    pub(super) common: Common,
}

/// Deploy the fix over the deploy that was taken back last.
#[derive(Debug, clap::Args)]
#[command(
    before_long_help = "Examples:\n  tenfold rollforward photos\n  tenfold rollforward photos 4f2a91c --to staging\n  tenfold rollforward photos --again --reason \"the disk was full\""
)]
pub struct Rollforward {
    service: String,
    /// Branch, tag or commit [default: the service's branch].
    #[arg(value_name = "REF")]
    reference: Option<String>,
    #[arg(long, value_name = "ENV", default_value = DEFAULT_ENVIRONMENT)]
    to: String,
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// The very commits that were taken back may go once more.
    #[arg(long)]
    again: bool,
    /// Return as soon as it is queued.
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    pub(super) common: Common,
}

impl Rollforward {
    pub(super) async fn run(self, client: &Client, out: Out) -> Result<Exit, Failure> {
        let path = format!("/api/services/{}/forward", segment(&self.service));
        let body = json!({"environment": self.to, "ref": self.reference, "reason": self.reason, "again": self.again});
        let deploy = client.post(&path, &body).await?;
        started(client, out, &deploy, self.no_wait).await
    }
}

impl Rollback {
    pub(super) async fn run(self, client: &Client, out: Out) -> Result<Exit, Failure> {
        let digits = self.target.strip_prefix('#').unwrap_or(&self.target);
        let n = match digits.parse::<i64>() {
            Ok(_) if self.to.is_some() => {
                return Err(Failure::misuse("a deploy's number says the environment already").advice("leave --to out"));
            }
            Ok(n) => n,
            Err(_) => self.last(client).await?,
        };
        let deploy = client.post(&format!("/api/deploys/{n}/rollback"), &json!({"reason": self.reason})).await?;
        started(client, out, &deploy, self.no_wait).await
    }

    /// The deploy that runs now, else the one whose release is live.
    async fn last(&self, client: &Client) -> Result<i64, Failure> {
        let environment = self.to.as_deref().unwrap_or(DEFAULT_ENVIRONMENT);
        let service = client.get(&format!("/api/services/{}", segment(&self.target)), &[]).await?;
        let query = [("service", self.target.as_str()), ("environment", environment), ("limit", "1")];
        let newest = client.get("/api/deploys", &query).await?;
        if let Some(running) = list(&newest, "items").iter().find(|d| d["finished_at"].is_null()) {
            return Ok(number(running, "number"));
        }
        match &service["current"][environment] {
            Value::Null => {
                Err(Failure::new(Exit::Refused, format!("nothing of {} runs in {environment}", self.target)))
            }
            current => Ok(number(current, "deploy")),
        }
    }
}

/// Say what is being deployed, what fires and who is on call.
#[derive(Debug, clap::Args)]
#[command(before_long_help = "Examples:\n  tenfold status\n  tenfold status --json")]
pub struct Status {
    #[command(flatten)]
    pub(super) common: Common,
}

impl Status {
    pub(super) async fn run(self, client: &Client, out: Out) -> Result<Exit, Failure> {
        let now = client.get("/api/now", &[]).await?;
        out.answer(&now, |now| status_lines(now, out));
        Ok(Exit::Done)
    }
}

fn status_lines(now: &Value, out: Out) -> Vec<String> {
    let mut lines = Vec::new();
    let running = list(now, "running");
    if running.is_empty() {
        lines.push("nothing is being deployed".to_owned());
    }
    lines.extend(running.iter().map(|d| follow::deploy_line(d, out)));
    let firing: Vec<&Value> = list(now, "alerts").iter().filter(|a| text(a, "state") != "pending").collect();
    if firing.is_empty() {
        lines.push("nothing fires".to_owned());
    }
    for alert in firing {
        let word = if text(alert, "state") == "unknown" { "unknown" } else { text(alert, "severity") };
        lines.push(format!("{} {}: {}", out.state(word), text(alert, "rule"), text(alert, "summary")));
    }
    lines.extend(list(now, "incidents").iter().map(|i| super::duty::incident_line(i, out)));
    lines.extend(list(now, "on_call").iter().map(super::duty::on_call_line));
    if let Some(last) = now.get("last_deploy").filter(|d| !d.is_null()) {
        lines.push(format!("last: {}", follow::deploy_line(last, out)));
    }
    let week = text(&now["week"], "sentence");
    if !week.is_empty() {
        lines.push(format!("{week} this week"));
    }
    let trouble = |of: &Value| format!("trouble with {}: {}", text(of, "part"), text(of, "text"));
    lines.extend(list(now, "troubles").iter().map(trouble));
    lines
}

/// List what the next deploy would ship.
#[derive(Debug, clap::Args)]
#[command(before_long_help = "Examples:\n  tenfold next photos\n  tenfold next photos --to staging --json")]
pub struct Next {
    service: String,
    #[arg(long, value_name = "ENV", default_value = DEFAULT_ENVIRONMENT)]
    to: String,
    #[command(flatten)]
    pub(super) common: Common,
}

impl Next {
    pub(super) async fn run(self, client: &Client, out: Out) -> Result<Exit, Failure> {
        let path = format!("/api/services/{}/next", segment(&self.service));
        let next = client.get(&path, &[("environment", &self.to)]).await?;
        out.answer(&next, next_lines);
        Ok(Exit::Done)
    }
}

fn next_lines(next: &Value) -> Vec<String> {
    let current = text(&next["current"], "sha");
    let from = if current.is_empty() { "nothing" } else { short(current) };
    let mut lines = vec![format!(
        "{} to {}: {from} -> {}, {} added, {} taken back",
        text(next, "service"),
        text(next, "environment"),
        text(&next["next"], "short"),
        number(next, "added_count"),
        number(next, "removed_count")
    )];
    let diff = text(next, "diff_url");
    if !diff.is_empty() {
        lines.push(diff.to_owned());
    }
    for (sign, key) in [("+", "added"), ("-", "removed")] {
        let commit = |c: &Value| format!("{sign} {} {} ({})", text(c, "short"), text(c, "message"), text(c, "author"));
        lines.extend(list(next, key).iter().map(commit));
    }
    lines.extend(list(next, "warnings").iter().filter_map(Value::as_str).map(|w| format!("◆ {w}")));
    if !next["locked"].is_null() {
        lines.push(lock_line(&next["locked"]));
    }
    if !next["train"].is_null() {
        lines.push(format!("◆ {}", text(next, "train")));
    }
    if !next["closed"].is_null() {
        let opens = text(&next["closed"], "opens_at");
        let opens = if opens.is_empty() { String::new() } else { format!("; opens at {opens}") };
        lines.push(format!("closed: {}{opens}", text(&next["closed"], "why")));
    }
    if !next["irreversible"].is_null() {
        lines.push(format!("does not go back by itself: {}", text(next, "irreversible")));
    }
    lines.extend(approvers(&next["approval"]).map(|who| format!("may be approved by {who}")));
    lines.extend(stages_line(&next["stage"]));
    lines.extend(checklist(&next["expects"]));
    lines
}

/// Where the environment stands in the order of stages.
fn stages_line(stage: &Value) -> Option<String> {
    let (after, refused) = (text(stage, "after"), text(stage, "refused"));
    if !refused.is_empty() {
        return Some(format!("◆ {refused}"));
    }
    (!after.is_empty()).then(|| format!("passed {after} as deploy {}", number(stage, "passed")))
}

fn checklist(expects: &Value) -> Vec<String> {
    let mut lines: Vec<String> =
        list(expects, "metrics").iter().map(|m| format!("[ ] expected: {}", text(m, "says"))).collect();
    for (word, key) in [("risk", "risks"), ("sign of trouble", "signs")] {
        let said = list(expects, key).iter().filter_map(Value::as_str);
        lines.extend(said.map(|line| format!("[ ] {word}: {line}")));
    }
    let contingency = text(expects, "contingency");
    if !contingency.is_empty() {
        lines.push(format!("[ ] then: {contingency}"));
    }
    lines
}

fn lock_line(lock: &Value) -> String {
    let word = match text(lock, "kind") {
        "freeze" => "frozen".to_owned(),
        "pin" => format!("pinned to {}", short(text(lock, "sha"))),
        _ => "locked".to_owned(),
    };
    format!(
        "{} in {} is {word} by {} until {} UTC: {}",
        text(lock, "service"),
        text(lock, "environment"),
        text(lock, "owner_name"),
        minute(lock, "expires_at"),
        text(lock, "reason")
    )
}

/// Keep others from deploying a service.
#[derive(Debug, clap::Args)]
#[command(
    before_long_help = "Examples:\n  tenfold lock photos --reason \"migrating\" --for 1h\n  tenfold lock photos --freeze --reason \"stocktaking\" --for 7d\n  tenfold lock '*' --freeze --from 2026-12-20T00:00:00Z --for 30d --reason holidays\n  tenfold lock photos --pin 4f2a91c --reason \"until the fix is out\""
)]
pub struct Lock {
    service: String,
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[arg(long = "for", value_name = "DURATION", default_value = "1h", value_parser = duration)]
    for_ms: i64,
    #[arg(long = "in", value_name = "ENV", default_value = DEFAULT_ENVIRONMENT)]
    environment: String,
    /// Stop everybody, yourself too; `*` is all services.
    #[arg(long, conflicts_with = "pin")]
    freeze: bool,
    /// Let this branch, tag or commit through and no other.
    #[arg(long, value_name = "REF")]
    pin: Option<String>,
    /// When a freeze begins [default: now].
    #[arg(long, value_name = "INSTANT", requires = "freeze")]
    from: Option<String>,
    #[command(flatten)]
    pub(super) common: Common,
}

impl Lock {
    pub(super) async fn run(self, client: &Client, out: Out) -> Result<Exit, Failure> {
        let kind = match (&self.pin, self.freeze) {
            (Some(_), _) => "pin",
            (None, true) => "freeze",
            (None, false) => "lock",
        };
        let mut body = json!({
            "service": self.service, "environment": self.environment, "reason": self.reason,
            "minutes": self.for_ms / 60_000, "kind": kind, "from": self.from, "ref": self.pin,
        });
        if let Some(from) = &self.from {
            let from = tenfold_types::Timestamp::parse_rfc3339(from).ok_or_else(|| {
                Failure::misuse(format!("`{from}` is no instant")).advice("write 2026-12-20T00:00:00Z")
            })?;
            body["expires_at"] = json!(from.plus_ms(self.for_ms));
        }
        let lock = client.post("/api/locks", &body).await?;
        out.answer(&lock, |l| vec![lock_line(l)]);
        Ok(Exit::Done)
    }
}

/// Let deploys through again.
#[derive(Debug, clap::Args)]
#[command(before_long_help = "Examples:\n  tenfold unlock photos\n  tenfold unlock photos --in staging")]
pub struct Unlock {
    service: String,
    #[arg(long = "in", value_name = "ENV", default_value = DEFAULT_ENVIRONMENT)]
    environment: String,
    #[command(flatten)]
    pub(super) common: Common,
}

impl Unlock {
    pub(super) async fn run(self, client: &Client, out: Out) -> Result<Exit, Failure> {
        let locks = client.get("/api/locks", &[]).await?;
        let ours = |l: &&Value| text(l, "service") == self.service && text(l, "environment") == self.environment;
        let mut released = Vec::new();
        for lock in list(&locks, "items").iter().filter(ours) {
            client.delete(&format!("/api/locks/{}", segment(text(lock, "id")))).await?;
            released.push(lock.clone());
        }
        out.answer(&json!({"items": released}), |_| {
            vec![match released.len() {
                0 => format!("{} in {} was not locked", self.service, self.environment),
                _ => format!("{} in {} is open again", self.service, self.environment),
            }]
        });
        Ok(Exit::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_expected_is_a_checklist() {
        let expects = json!({
            "metrics": [{"says": "errors should fall by 10 %"}], "risks": ["cold cache"], "signs": [], "contingency": "roll back",
        });
        let lines = ["[ ] expected: errors should fall by 10 %", "[ ] risk: cold cache", "[ ] then: roll back"];
        assert_eq!(checklist(&expects), lines);
        assert!(checklist(&Value::Null).is_empty());
    }

    #[test]
    fn a_rehearsal_is_refused_by_whatever_would_refuse_the_deploy() {
        let free = json!({"plan": [{"name": "building"}], "locked": null, "stage": {"refused": null}});
        assert!(!in_the_way(&free));
        for (key, what) in [
            ("locked_out", json!("locked by raj: migrating")),
            ("train", json!("the train of Ana boards; join it")),
            ("running", json!({"number": 7})),
            ("closed", json!({"why": "the weekend"})),
            ("stage", json!({"refused": "it did not pass staging yet"})),
            ("plan", json!([])),
        ] {
            let mut next = free.clone();
            next[key] = what;
            assert!(in_the_way(&next), "{key}");
        }
        let lines = next_lines(&json!({"train": "the train of Ana boards; join it"}));
        assert!(lines.iter().any(|line| line == "◆ the train of Ana boards; join it"), "{lines:?}");
        let lines = next_lines(&json!({"approval": {"count": 1, "by": ["raj"], "teams": ["photos"]}}));
        assert!(lines.iter().any(|line| line == "may be approved by raj, the team photos"), "{lines:?}");
    }

    #[test]
    fn a_stage_is_one_line() {
        let stage = json!({"name": "promoting", "hosts": [["host-2", "host-3"], ["host-4"]], "says": "2 at a time"});
        assert_eq!(stage_line(&stage), "promoting: host-2 host-3, then host-4: 2 at a time");
        let build = json!({"name": "building", "hosts": [], "says": "make dist, within 900 s"});
        assert_eq!(stage_line(&build), "building: make dist, within 900 s");
    }
}

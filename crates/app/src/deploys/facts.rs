//! From what happened to a deploy to the sentence of the record.

use serde_json::{Value, json};
use tenfold_deploys::machine::{Fact, Kind, Left};
use tenfold_judge::Verdict;
use tenfold_types::{Actor, EventDraft, Severity, Source};

use super::{stored::Stored, stored::short, took_ms};

/// Most commits in an event's data, for lead times.
const COMMITS_MAX: usize = 100;

/// The event of a deploy that was asked for.
pub(super) fn queued(stored: &Stored) -> EventDraft {
    let name = &stored.asked.actor_name;
    let (service, environment, sha) = (&stored.service, &stored.environment, stored.short_sha());
    let text = match (stored.run.kind, stored.reverts) {
        (Kind::Deploy, _) => {
            let after = stored.asked.after_stage.as_ref();
            let after =
                after.map_or_else(String::new, |a| format!(", which deploy {} tried on {}", a.deploy, a.environment));
            let over = stored.asked.forward_of;
            let over = over.map_or_else(String::new, |n| format!(", forward over deploy {n}, which was taken back"));
            let large = if stored.is_large() {
                let (changes, most) = (stored.changes(), stored.asked.pipeline.max_commits);
                format!("; it changes by {changes} commits, and {most} are the most that one deploy should carry")
            } else {
                String::new()
            };
            format!("{name} is deploying {service} {sha} to {environment}{}{after}{over}{large}", commits(stored))
        }
        (Kind::Rollback, Some(reverts)) => {
            format!("{name} is rolling {service} back to {sha} on {environment}, taking back deploy {reverts}")
        }
        (Kind::Rollback, None) => format!("{name} is rolling {service} back to {sha} on {environment}"),
    };
    by_person(stored, "deploy.queued", text, Severity::Info, data(stored))
}

/// What was in the way was passed over.
pub(super) fn overridden(stored: &Stored, why: &str) -> EventDraft {
    let (name, service, environment) = (&stored.asked.actor_name, &stored.service, &stored.environment);
    let text = format!("{name} passed over windows, freezes, locks and stages of {service} on {environment}: {why}");
    by_person(stored, "deploy.overridden", text, Severity::Warning, json!({"number": stored.number, "why": why}))
}

/// The event of a fact. `stored` is the deploy after the step.
pub(super) fn draft(stored: &Stored, fact: &Fact) -> EventDraft {
    let (service, environment, sha) = (&stored.service, &stored.environment, stored.short_sha());
    let name = &stored.asked.actor_name;
    let mut data = data(stored);
    let mut put = |key: &str, value: Value| {
        if let Some(map) = data.as_object_mut() {
            map.insert(key.to_owned(), value);
        }
    };
    let rollback = stored.run.kind == Kind::Rollback;
    let (kind, severity, text) = match fact {
        Fact::BuildStarted => ("deploy.build_started", Severity::Debug, format!("Building {service} {sha}")),
        Fact::Built { digest } => {
            put("digest", json!(digest));
            ("deploy.built", Severity::Debug, format!("Built {service} {sha} (artifact {})", digest.short()))
        }
        Fact::Staged { hosts } => {
            ("deploy.staged", Severity::Debug, format!("{service} {sha} is on {}, ready to flip", hosts_word(*hosts)))
        }
        Fact::AwaitingApproval { count } => {
            put("count", json!(count));
            let who = if *count == 1 { "1 person".to_owned() } else { format!("{count} people") };
            let asked = stored.approval().filter(|asked| !asked.by.is_empty() || !asked.teams.is_empty());
            let of = asked.map_or_else(String::new, |asked| format!(" ({})", asked.who()));
            let text =
                format!("{service} {sha} is ready on all hosts of {environment} and waits for {who}{of} to approve it");
            ("deploy.awaiting_approval", Severity::Info, text)
        }
        Fact::Approved { name, have, want } => {
            put("have", json!(have));
            put("want", json!(want));
            let text = format!("{name} approved {service} {sha} for {environment} ({have} of {want})");
            ("deploy.approved", Severity::Info, text)
        }
        Fact::HookStarted { at } => {
            put("hook", json!(at.word()));
            let text = format!("The hook {} of {service} {sha} runs", at.word());
            ("deploy.hook_started", Severity::Debug, text)
        }
        Fact::HookFailed { at, error } => {
            put("hook", json!(at.word()));
            put("error", json!(error));
            let text = format!("The hook {} of {service} {sha} failed: {}", at.word(), first_line(error));
            ("deploy.hook_failed", Severity::Warning, text)
        }
        Fact::CanaryStep { number, hosts } => {
            put("canary", json!(hosts));
            put("step", json!(number));
            let text =
                format!("{service} {sha} goes to the canary's step {number} on {environment}: {}", hosts.join(", "));
            ("deploy.canary_step", Severity::Info, text)
        }
        Fact::CanaryStarted { hosts } => {
            put("canary", json!(hosts));
            let text = format!("{service} {sha} goes to the canary {} on {environment}", hosts.join(", "));
            ("deploy.canary_started", Severity::Info, text)
        }
        Fact::HostActivated { host } => {
            let text = format!("{host} runs {service} {sha}");
            return by_system(stored, "deploy.host_activated", text, Severity::Debug, data).host(host);
        }
        Fact::CanaryPassed { said } => {
            put("said", json!(said));
            ("deploy.canary_passed", Severity::Info, format!("The canary of {service} {sha} is good: {said}"))
        }
        Fact::Judged { judgement } => {
            put("verdict", json!(judgement.verdict));
            put("said", json!(judgement.said));
            put("report", json!(judgement.report));
            let (severity, text) = match judgement.verdict {
                Verdict::Worse => (Severity::Warning, "worse"),
                Verdict::NotWorse => (Severity::Info, "not worse"),
                _ => (Severity::Warning, "undecided"),
            };
            // Most of what is said begins with the verdict.
            let said = judgement.said.strip_prefix(text).and_then(|rest| rest.strip_prefix(": "));
            let said = said.unwrap_or(&judgement.said);
            ("deploy.judged", severity, format!("The canary of {service} {sha} is judged {text}: {said}"))
        }
        Fact::Promoting { by } => {
            let text = match by {
                Some(by) => format!("{by} let {service} {sha} go on to {environment}"),
                None => format!("{service} {sha} goes to all of {environment}"),
            };
            ("deploy.promoting", Severity::Info, text)
        }
        Fact::Succeeded { healthy, total } => {
            put("healthy", json!(healthy));
            let hosts =
                if healthy == total { hosts_word(*total) } else { format!("{healthy} of {}", hosts_word(*total)) };
            let (kind, severity, text) = if rollback {
                let text = format!("{name} rolled {service} back to {sha} on {environment}, {hosts}");
                ("deploy.rolled_back", Severity::Warning, text)
            } else {
                let text = format!("{name} deployed {service} {sha} to {environment}{}, {hosts}", commits(stored));
                ("deploy.succeeded", Severity::Good, text)
            };
            return by_person(stored, kind, text, severity, data);
        }
        Fact::Failed { error } => {
            put("error", json!(error));
            let what = if rollback { "rollback" } else { "deploy" };
            let text = format!("The {what} of {service} {sha} to {environment} failed: {}", first_line(error));
            ("deploy.failed", Severity::Warning, text)
        }
        Fact::Cancelled { by } => (
            "deploy.cancelled",
            Severity::Info,
            format!("{by} cancelled the deploy of {service} {sha} to {environment}"),
        ),
        Fact::RollingBack { why } => {
            put("why", json!(why));
            let text = if rollback {
                format!("{service} goes back to {sha} on {environment}")
            } else {
                format!("{service} {sha} goes back on {environment}: {}", first_line(why))
            };
            ("deploy.rolling_back", Severity::Warning, text)
        }
        Fact::RolledBack { why, hosts } => {
            put("why", json!(why));
            // an automatic way back takes back the deploy itself
            put("reverts", json!(stored.number));
            put("automatic", json!(true));
            put("touched", json!(hosts));
            let to = stored
                .asked
                .from_sha
                .as_deref()
                .map(|s| format!(", which runs {} again", short(s)))
                .unwrap_or_default();
            let text = format!("{service} {sha} was taken back from {environment}{to}: {}", first_line(why));
            ("deploy.rolled_back", Severity::Warning, text)
        }
        Fact::Held { why } => {
            put("why", json!(why));
            let text = format!("The deploy of {service} {sha} to {environment} is held: {}", first_line(why));
            ("deploy.held", Severity::Warning, text)
        }
        Fact::Unheld { by } => {
            put("by", json!(by));
            let text = format!("{by} let the canary of {service} {sha} on {environment} go on");
            ("deploy.unheld", Severity::Info, text)
        }
        Fact::NeedsHuman { why } => {
            put("why", json!(why));
            let what = if rollback { "rollback" } else { "deploy" };
            let text = format!("The {what} of {service} {sha} on {environment} needs a person: {}", first_line(why));
            ("deploy.held", Severity::Critical, text)
        }
        Fact::Interrupted { why } => {
            put("why", json!(why));
            let text = format!("The deploy of {service} {sha} to {environment} was interrupted: {}", first_line(why));
            ("deploy.interrupted", Severity::Warning, text)
        }
        Fact::Resumed { state } => {
            put("was", json!(state.word()));
            let text = format!("The deploy of {service} {sha} goes on after a restart of the server");
            ("deploy.resumed", Severity::Info, text)
        }
    };
    by_system(stored, kind, text, severity, data)
}

/// Another server had it, which is gone or stands still. What may still run there is said with the time by which it has ended.
pub(super) fn taken_over(stored: &Stored, server: &str, left: Option<&Left>) -> EventDraft {
    let (service, environment, sha) = (&stored.service, &stored.environment, stored.short_sha());
    let runs_on = left.map_or_else(String::new, |left| {
        let (what, until) = (&left.what, left.until);
        format!(
            "; it is interrupted: its {what} may run on there and has ended by {until}, and nothing is run again before"
        )
    });
    let gone = "another server, which is gone or stands still";
    let text = format!("The deploy of {service} {sha} to {environment} was taken over from {gone}{runs_on}");
    let severity = if left.is_some() { Severity::Warning } else { Severity::Info };
    let mut data = data(stored);
    if let Some(map) = data.as_object_mut() {
        map.insert("server".to_owned(), json!(server));
        map.insert("left".to_owned(), json!(left));
    }
    by_system(stored, "deploy.taken_over", text, severity, data)
}

fn data(stored: &Stored) -> Value {
    let commits: Vec<Value> = stored
        .asked
        .commits
        .iter()
        .take(COMMITS_MAX)
        .map(|c| json!({"sha": c.sha, "at": c.at, "author": c.author, "message": c.message}))
        .collect();
    let mut data = json!({
        "number": stored.number,
        "deploy_kind": stored.run.kind.word(),
        "state": stored.run.state.word(),
        "service": stored.service,
        "environment": stored.environment,
        "from_sha": stored.asked.from_sha,
        "to_sha": stored.sha,
        "from_deploy": stored.asked.from_deploy,
        "commit_count": stored.asked.commit_count,
        "commits": commits,
        "hosts": stored.run.hosts.len(),
        "started_at": stored.started_at,
        "duration_ms": took_ms(stored.started_at, stored.finished_at),
        "reason": stored.asked.reason,
        "after_stage": stored.asked.after_stage,
        "forward_of": stored.asked.forward_of,
        "diff_url": stored.asked.diff_url,
    });
    if let (Some(reverts), Some(map)) = (stored.reverts, data.as_object_mut()) {
        map.insert("reverts".to_owned(), json!(reverts));
    }
    data
}

fn by_person(stored: &Stored, kind: &str, text: String, severity: Severity, data: Value) -> EventDraft {
    subject(EventDraft::new(stored.asked.actor.clone(), stored.asked.source, kind, text), stored, severity, data)
}

/// What the server did by its own rules, on behalf of whoever asked for the deploy.
fn by_system(stored: &Stored, kind: &str, text: String, severity: Severity, data: Value) -> EventDraft {
    let mut draft = EventDraft::new(Actor::system(), Source::System, kind, text);
    draft.on_behalf_of = Some(stored.asked.actor.clone());
    subject(draft, stored, severity, data)
}

fn subject(draft: EventDraft, stored: &Stored, severity: Severity, data: Value) -> EventDraft {
    draft
        .service(&stored.service)
        .environment(&stored.environment)
        .deploy(stored.number)
        .correlation(format!("deploy:{}", stored.number))
        .severity(severity)
        .data(data)
}

fn commits(stored: &Stored) -> String {
    match (stored.asked.commit_count, stored.asked.from_sha.is_some()) {
        (_, false) | (0, _) => String::new(),
        (1, _) => " (1 commit)".to_owned(),
        (n, _) => format!(" ({n} commits)"),
    }
}

fn hosts_word(n: usize) -> String {
    if n == 1 { "1 host".to_owned() } else { format!("{n} hosts") }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or("")
}

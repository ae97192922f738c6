//! The words of `flag` that ramp, schedule and decide; and `permit`.

use serde::Deserialize;
use serde_json::{Value, json};
use tenfold_app::chat::grammar::{RAMP_PERCENTS, When, parse_steps, parse_when};
use tenfold_flags::Ramp;
use tenfold_types::Clock;

use super::Common;
use super::client::{Client, segment};
use super::flag_edit::{misuse, read};
use super::out::{Exit, Failure, Out, list, minute, number, text};
use super::ship::duration;
use super::switch::share;
use crate::ambient::SystemClock;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Change {
    /// Raise a flag step by step: 1, 5, 25, 100 %, or by a shared plan.
    Ramp {
        key: String,
        /// A shared plan.
        #[arg(long, value_name = "NAME", conflicts_with_all = ["hold", "steps"])]
        plan: Option<String>,
        /// Percentages, each with how long it is held where that is not `--hold`: 0.5,5:1h,100.
        #[arg(long, value_name = "STEPS", default_value = RAMP_PERCENTS)]
        steps: String,
        /// How long each step is held.
        #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "10m")]
        hold: i64,
    },
    /// Hold a ramp where it is; its guard goes on watching.
    Pause { key: String },
    /// Let a paused ramp go on.
    Resume { key: String },
    /// Take the next step now.
    Skip { key: String },
    /// Take the step before and pause there.
    Back { key: String },
    /// Hold the step longer.
    Extend {
        key: String,
        #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
        longer: i64,
    },
    /// End a ramp; the percentage stays.
    Stop { key: String },
    /// Plan a change for an instant: on, off, a percentage, ramp, or edit.
    Schedule {
        key: String,
        #[arg(value_name = "on|off|PERCENT|ramp|edit")]
        what: String,
        /// An instant like 2027-01-11T08:00:00Z, or 2h for in two hours.
        #[arg(long, value_name = "WHEN", value_parser = when)]
        at: When,
        /// With ramp: the shared plan.
        #[arg(long, value_name = "NAME")]
        plan: Option<String>,
        /// With edit: strategies, variants or the off value, a file in JSON or YAML, or `-` for JSON on stdin.
        #[arg(long, value_name = "FILE")]
        file: Option<String>,
    },
    /// List what is scheduled.
    Schedules,
    /// Take a scheduled change back.
    Cancel {
        #[arg(value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
        number: i64,
    },
    /// List changes that wait for a second person.
    Requests,
    /// Apply a change request of somebody else.
    Approve {
        #[arg(value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
        number: i64,
    },
    /// End a change request of somebody else without applying it.
    Reject {
        #[arg(value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
        number: i64,
        #[arg(long, value_name = "TEXT", default_value = "")]
        reason: String,
    },
    /// End one's own change request.
    Withdraw {
        #[arg(value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
        number: i64,
    },
    /// Break the glass: apply a change request without a second person.
    Force {
        #[arg(value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
        number: i64,
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

fn when(text: &str) -> Result<When, String> {
    parse_when(text).map_err(|fault| format!("{fault}; {}", fault.advice))
}

impl Change {
    pub(super) async fn run(&self, client: &Client, out: Out, environment: &str) -> Result<Exit, Failure> {
        let steer = |key: &str, how: &str, by_ms: Option<i64>| {
            let mut body = json!({"environment": environment, "move": how});
            if let Some(by_ms) = by_ms {
                body["by_ms"] = by_ms.into();
            }
            (format!("/api/flags/{}/ramp/move", segment(key)), body)
        };
        let (path, body) = match self {
            Self::Schedules => return listed(client, out, "/api/flag-schedules", schedule_line).await,
            Self::Requests => return listed(client, out, "/api/flag-requests", request_line).await,
            Self::Schedule { key, what, at, plan, file } => {
                let action = planned(what, environment, plan.as_deref(), file.as_deref())?;
                return schedule(client, out, environment, key, *at, &action).await;
            }
            Self::Cancel { number } => {
                let done = client.delete(&format!("/api/flag-schedules/{number}")).await?;
                out.answer(&done, |s| vec![schedule_line(s)]);
                return Ok(Exit::Done);
            }
            Self::Approve { number } => return decide(client, out, *number, "approve", &json!({})).await,
            Self::Withdraw { number } => return decide(client, out, *number, "withdraw", &json!({})).await,
            Self::Reject { number, reason } => {
                return decide(client, out, *number, "reject", &json!({"reason": reason})).await;
            }
            Self::Force { number, reason } => {
                return decide(client, out, *number, "force", &json!({"reason": reason})).await;
            }
            Self::Ramp { key, plan, steps, hold } => {
                let body = if let Some(plan) = plan {
                    json!({"environment": environment, "plan": plan})
                } else {
                    let steps = parse_steps(steps, *hold).map_err(misuse)?;
                    let steps = steps.iter().map(|(percent, hold_ms)| json!({"percent": percent, "hold_ms": hold_ms}));
                    json!({"environment": environment, "steps": steps.collect::<Vec<_>>()})
                };
                (format!("/api/flags/{}/ramp", segment(key)), body)
            }
            Self::Pause { key } => steer(key, "pause", None),
            Self::Resume { key } => steer(key, "resume", None),
            Self::Skip { key } => steer(key, "skip", None),
            Self::Back { key } => steer(key, "back", None),
            Self::Extend { key, longer } => steer(key, "extend", Some(*longer)),
            Self::Stop { key } => steer(key, "stop", None),
        };
        let flag = client.post(&path, &body).await?;
        out.answer(&flag, |f| vec![ramp_line(f, environment)]);
        Ok(exit_of(&flag))
    }
}

/// A change that waits for a second person is neither done nor failed.
pub(super) fn exit_of(answer: &Value) -> Exit {
    if answer["requested"].is_i64() { Exit::Inconclusive } else { Exit::Done }
}

pub(super) fn waits(answer: &Value) -> Option<String> {
    let number = answer["requested"].as_i64()?;
    Some(format!("waits for a second person as change request {number}: tenfold flag approve {number}"))
}

async fn listed(client: &Client, out: Out, path: &str, line: fn(&Value) -> String) -> Result<Exit, Failure> {
    let answer = client.get(path, &[("state", "pending")]).await?;
    out.answer(&answer, |a| list(a, "items").iter().rev().map(line).collect());
    Ok(Exit::Done)
}

async fn decide(client: &Client, out: Out, number: i64, how: &str, body: &Value) -> Result<Exit, Failure> {
    let done = client.post(&format!("/api/flag-requests/{number}/{how}"), body).await?;
    out.answer(&done, |r| vec![request_line(r)]);
    Ok(Exit::Done)
}

/// The action of a schedule.
fn planned(what: &str, environment: &str, plan: Option<&str>, file: Option<&str>) -> Result<Value, Failure> {
    Ok(match (what, plan, file) {
        ("on" | "off", None, None) => json!({"kind": "switch", "enabled": what == "on"}),
        ("ramp", Some(plan), None) => json!({"kind": "ramp", "plan": plan}),
        ("ramp", None, None) => {
            return Err(Failure::misuse("a scheduled ramp lacks its plan").advice("give --plan NAME"));
        }
        ("edit", None, Some(file)) => {
            json!({"kind": "edit", "update": {"environments": {environment: read(file)?}}})
        }
        ("edit", None, None) => {
            return Err(Failure::misuse("a scheduled edit lacks its file").advice("give --file FILE"));
        }
        (percent, None, None) => json!({"kind": "rollout", "percent": share(percent).map_err(Failure::misuse)?}),
        (_, Some(_), _) => return Err(Failure::misuse("only ramp takes --plan")),
        (_, None, Some(_)) => return Err(Failure::misuse("only edit takes --file")),
    })
}

async fn schedule(
    client: &Client,
    out: Out,
    environment: &str,
    key: &str,
    at: When,
    action: &Value,
) -> Result<Exit, Failure> {
    let at = match at {
        When::At(at) => at,
        When::InMs(ms) => SystemClock.now().plus_ms(ms),
    };
    let path = format!("/api/flags/{}/schedules", segment(key));
    let done = client.post(&path, &json!({"environment": environment, "at": at, "action": action})).await?;
    out.answer(&done, |d| vec![waits(d).unwrap_or_else(|| schedule_line(&d["schedule"]))]);
    Ok(exit_of(&done))
}

pub(super) fn ramp_line(flag: &Value, environment: &str) -> String {
    let key = text(flag, "key");
    if let Some(waits) = waits(flag) {
        return format!("{key} {waits}");
    }
    let ramp = &flag["environments"][environment]["ramp"];
    let (position, steps) = (number(ramp, "position"), list(ramp, "steps"));
    let percent =
        usize::try_from(position).ok().and_then(|p| steps.get(p)).map_or(0.0, |s| s["percent"].as_f64().unwrap_or(0.0));
    let next = minute(ramp, "next_at");
    let next = if next.is_empty() { String::new() } else { format!(", next step at {next} UTC") };
    let state = text(ramp, "state");
    let guard = Ramp::deserialize(ramp).ok().and_then(|ramp| ramp.guard_words());
    let guard = guard.map_or_else(String::new, |words| format!("; {words}"));
    format!(
        "the ramp of {key} in {environment} is {state} at {percent} % (step {} of {}){next}{guard}",
        position + 1,
        steps.len()
    )
}

fn schedule_line(schedule: &Value) -> String {
    format!(
        "schedule {}: {} at {} UTC ({} by {})",
        number(schedule, "number"),
        text(schedule, "text"),
        minute(schedule, "at"),
        text(schedule, "state"),
        text(schedule, "author")
    )
}

fn request_line(request: &Value) -> String {
    let outdated = if request["outdated"] == true { ", but the flag was changed since" } else { "" };
    format!(
        "change request {}: {} wants to {} ({}{outdated})",
        number(request, "number"),
        text(request, "author"),
        text(request, "text"),
        text(request, "state")
    )
}

/// Say how much jobs may do now; define how that is decided.
#[derive(Debug, clap::Args)]
#[command(
    before_long_help = "Examples:\n  tenfold permit\n  tenfold permit resize\n  tenfold permit set resize --query \"db_queue_length\" --limit 100 --resume 60 --fail-safe 0.1\n  tenfold permit delete resize"
)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Permit {
    /// Only of this job.
    job: Option<String>,
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    pub(super) common: Common,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Make or change a permit.
    Set {
        job: String,
        /// PromQL for the signal.
        #[arg(long, value_name = "PROMQL")]
        query: String,
        /// Past this the permit falls.
        #[arg(long)]
        limit: f64,
        /// When the signal is back at this it rises again.
        #[arg(long)]
        resume: f64,
        /// What holds without a signal.
        #[arg(long, value_name = "0..1")]
        fail_safe: f64,
        #[arg(long, value_name = "0..1", default_value_t = 0.0)]
        floor: f64,
        #[arg(long, value_name = "0..1", default_value_t = 1.0)]
        ceiling: f64,
        /// Smaller is worse.
        #[arg(long)]
        down: bool,
        #[arg(long = "in", value_name = "ENV")]
        environment: Option<String>,
    },
    /// Delete a permit.
    Delete { job: String },
}

impl Permit {
    pub(super) async fn run(self, client: &Client, out: Out) -> Result<Exit, Failure> {
        let path = |job: &str| format!("/api/permits/{}", segment(job));
        let Some(what) = self.what else {
            let Some(job) = self.job else {
                let permits = client.get("/api/permits", &[]).await?;
                out.answer(&permits, |p| list(p, "items").iter().map(permit_line).collect());
                return Ok(Exit::Done);
            };
            let permit = client.get(&path(&job), &[]).await?;
            out.answer(&permit, |p| vec![permit_line(p)]);
            return Ok(Exit::Done);
        };
        match what {
            What::Set { job, query, limit, resume, fail_safe, floor, ceiling, down, environment } => {
                let mut law = json!({
                    "query": query, "limit": limit, "resume": resume, "fail_safe": fail_safe, "floor": floor,
                    "ceiling": ceiling, "worse": if down { "down" } else { "up" },
                });
                if let Some(environment) = environment {
                    law["environment"] = environment.into();
                }
                let permit = client.put(&path(&job), &law, &[]).await?;
                out.answer(&permit, |p| vec![permit_line(p)]);
            }
            What::Delete { job } => {
                let done = client.delete(&path(&job)).await?;
                out.answer(&done, |_| vec![format!("the permit of {job} is deleted")]);
            }
        }
        Ok(Exit::Done)
    }
}

fn permit_line(permit: &Value) -> String {
    let percent = permit["permit"].as_f64().unwrap_or(0.0) * 100.0;
    format!("{}: {percent:.0} % ({})", text(permit, "job"), text(permit, "phase").replace('_', "-"))
}

//! oncall: schedules over time, swaps, takes, overrides, the digest at a handoff, calendars.

use serde_json::{Value, json};
use tenfold_app::chat::grammar::{When, parse_when};
use tenfold_types::{Clock, Timestamp};

use super::client::{Client, segment};
use super::out::{Exit, Failure, Out, list, minute, number, text};
use super::ship::duration;
use super::{Common, oncall_import, own_rules};
use crate::ambient::SystemClock;

const DAY_MS: i64 = 86_400_000;

/// Preview schedules, swap and take shifts, override, import a calendar.
#[derive(Debug, clap::Args)]
#[command(
    before_long_help = "Examples:\n  tenfold oncall preview photos-primary --for 14d\n  tenfold oncall swap photos-primary raj --take 7d\n  tenfold oncall accept 3\n  tenfold oncall take photos-primary --for 4h\n  tenfold oncall override photos-primary mei --as add --at 2h --for 8h\n  tenfold oncall import photos-primary holidays.ics --dry-run\n  tenfold oncall import-from opsgenie export --dry-run\n  tenfold oncall digest photos-primary\n  tenfold oncall fairness photos-primary\n  tenfold oncall readiness\n  tenfold oncall rules ana --critical voice,sms:30,mail:60"
)]
pub struct Oncall {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    pub(super) common: Common,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Who is on call over the days to come, with gaps and overlaps.
    Preview {
        schedule: String,
        #[arg(long = "for", value_name = "DURATION", default_value = "7d", value_parser = duration)]
        for_ms: i64,
    },
    /// What happened in the shift that holds now.
    Digest { schedule: String },
    /// How much each of the schedule's people had; for them only.
    Fairness { schedule: String },
    /// Who is free in a stretch and has had least.
    Suggest {
        schedule: String,
        #[arg(long, value_name = "WHEN", value_parser = when)]
        at: Timestamp,
        #[arg(long = "for", value_name = "DURATION", default_value = "8h", value_parser = duration)]
        for_ms: i64,
    },
    /// Who may be paged within two weeks and may not be reached, and why.
    Readiness,
    /// The swaps that wait for an answer.
    Swaps,
    /// Ask somebody to change shifts.
    Swap {
        schedule: String,
        with: String,
        /// An instant in your shift; now when absent.
        #[arg(long, value_name = "WHEN", value_parser = when)]
        give: Option<Timestamp>,
        /// An instant in their shift to have for it.
        #[arg(long, value_name = "WHEN", value_parser = when)]
        take: Option<Timestamp>,
    },
    /// Accept a swap that you were asked for.
    Accept { swap: i64 },
    /// Decline a swap, or take yours back.
    Decline { swap: i64 },
    /// Take over the shift.
    Take {
        schedule: String,
        #[arg(long = "for", value_name = "DURATION", default_value = "2h", value_parser = duration)]
        for_ms: i64,
        #[arg(long, value_name = "WHEN", value_parser = when)]
        at: Option<Timestamp>,
    },
    /// Put a person on call, add or remove one.
    Override {
        schedule: String,
        person: String,
        #[arg(long = "as", value_name = "KIND", default_value = "replace", value_parser = ["replace", "add", "remove"])]
        kind: String,
        #[arg(long = "for", value_name = "DURATION", default_value = "8h", value_parser = duration)]
        for_ms: i64,
        #[arg(long, value_name = "WHEN", value_parser = when)]
        at: Option<Timestamp>,
    },
    /// Make overrides of the events of an iCalendar file.
    Import {
        schedule: String,
        file: std::path::PathBuf,
        /// Only say what would be made.
        #[arg(long)]
        dry_run: bool,
    },
    /// Take over people, schedules and policies that Grafana OnCall or Opsgenie exported.
    ImportFrom(oncall_import::ImportFrom),
    /// In which order a person's ways ring, or change it.
    Rules(own_rules::Rules),
    /// The schedule's shifts as iCalendar.
    Calendar { schedule: String },
}

/// An instant, or a duration from now on.
pub(super) fn when(text: &str) -> Result<Timestamp, String> {
    match parse_when(text) {
        Ok(When::At(at)) => Ok(at),
        Ok(When::InMs(ms)) => Ok(SystemClock.now().plus_ms(ms)),
        Err(fault) => Err(format!("{}; {}", fault.message, fault.advice)),
    }
}

fn span_line(span: &Value) -> String {
    let people: Vec<&str> = list(span, "people").iter().filter_map(Value::as_str).collect();
    let who = if people.is_empty() { "nobody".to_owned() } else { people.join(" and ") };
    let mark = if span["gap"] == true {
        " GAP"
    } else if span["overlap"] == true {
        " OVERLAP"
    } else {
        ""
    };
    format!("{} to {} UTC: {who}{mark}", minute(span, "since"), minute(span, "until"))
}

fn swap_line(swap: &Value) -> String {
    let stretch = |a: &str, b: &str| format!("{} to {} UTC", minute(swap, a), minute(swap, b));
    let back = if swap["take_start"].is_null() {
        String::new()
    } else {
        format!(" for {}", stretch("take_start", "take_end"))
    };
    format!(
        "swap {} ({}): {} gives {} {} of {}{back}",
        number(swap, "id"),
        text(swap, "state"),
        text(swap, "from"),
        text(swap, "with"),
        text(swap, "schedule"),
        stretch("give_start", "give_end")
    )
}

fn override_line(made: &Value) -> String {
    format!(
        "{} {} from {} to {} UTC",
        text(made, "person"),
        text(made, "kind"),
        minute(made, "start"),
        minute(made, "end")
    )
}

/// Rests that the change has made too short.
fn rest_lines(changed: &Value) -> impl Iterator<Item = String> {
    list(changed, "short_rests").iter().map(|rest| {
        format!(
            "{} rests from {} to {} UTC only, less than {} h",
            text(rest, "person"),
            minute(rest, "from"),
            minute(rest, "to"),
            number(rest, "min_rest_hours")
        )
    })
}

fn load_line(of: &Value) -> String {
    let hours = |key: &str| of[key].as_i64().unwrap_or(0) / 3_600_000;
    format!(
        "{}: {} h, {} h at night, {} h at weekends, {} h on holidays, {} pages ({} at night)",
        text(&of["person"], "name"),
        hours("total_ms"),
        hours("night_ms"),
        hours("weekend_ms"),
        hours("holiday_ms"),
        number(of, "pages"),
        number(of, "night_pages")
    )
}

fn digest_lines(digest: &Value) -> Vec<String> {
    let mut lines = vec![format!("since {} UTC: {} pages", minute(digest, "from"), number(digest, "pages"))];
    for part in ["open", "fired", "muted", "short_rests"] {
        lines.extend(list(digest, part).iter().filter_map(|l| Some(format!("{part}: {}", l.as_str()?))));
    }
    lines
}

/// Everybody by name, what is wrong behind it, and the steps without anybody.
fn readiness_lines(found: &Value) -> Vec<String> {
    let words = |of: &Value, key: &str| {
        let words: Vec<&str> = list(of, key).iter().filter_map(Value::as_str).collect();
        words.join(", ")
    };
    let person = |of: &Value| {
        let troubles: Vec<&str> = list(of, "troubles").iter().map(|t| text(t, "text")).collect();
        let ways = words(of, "ways");
        let state = if troubles.is_empty() { format!("ready, by {ways}") } else { troubles.join("; ") };
        format!("{}  {state}", text(of, "name"))
    };
    let step = |of: &Value| {
        let (policy, from) = (text(of, "policy"), minute(of, "from"));
        format!("step {} of {policy} has nobody from {from} UTC on", number(of, "step"))
    };
    list(found, "people").iter().map(person).chain(list(found, "steps").iter().map(step)).collect()
}

impl Oncall {
    pub(super) async fn run(self, client: &Client, out: Out) -> Result<Exit, Failure> {
        let of = |schedule: &str, rest: &str| format!("/api/schedules/{}/{rest}", segment(schedule));
        match self.what {
            What::Preview { schedule, for_ms } => {
                let days = ((for_ms + DAY_MS - 1) / DAY_MS).to_string();
                let preview = client.get(&of(&schedule, "preview"), &[("days", &days)]).await?;
                out.answer(&preview, |p| list(p, "spans").iter().map(span_line).collect());
            }
            What::Digest { schedule } => {
                let digest = client.get(&of(&schedule, "digest"), &[]).await?;
                out.answer(&digest, digest_lines);
            }
            What::Fairness { schedule } => {
                let figures = client.get(&of(&schedule, "fairness"), &[]).await?;
                out.answer(&figures, |f| list(f, "people").iter().map(load_line).collect());
            }
            What::Suggest { schedule, at, for_ms } => {
                let (start, end) = (at.to_string(), at.plus_ms(for_ms).to_string());
                let found = client.get(&of(&schedule, "suggestion"), &[("start", &start), ("end", &end)]).await?;
                out.answer(&found, |f| vec![text(f, "reason").to_owned()]);
            }
            What::Readiness => {
                let found = client.get("/api/readiness", &[]).await?;
                out.answer(&found, readiness_lines);
            }
            What::Swaps => {
                let swaps = client.get("/api/swaps", &[]).await?;
                out.answer(&swaps, |s| list(s, "items").iter().map(swap_line).collect());
            }
            What::Swap { schedule, with, give, take } => {
                let body = json!({"with": with, "give": give, "take": take});
                let swap = client.post(&of(&schedule, "swaps"), &body).await?;
                out.answer(&swap, |s| vec![swap_line(s)]);
            }
            What::Accept { swap } => {
                let done = client.post(&format!("/api/swaps/{swap}/accept"), &json!({})).await?;
                out.answer(&done, |s| std::iter::once(swap_line(s)).chain(rest_lines(s)).collect());
            }
            What::Decline { swap } => {
                let done = client.post(&format!("/api/swaps/{swap}/decline"), &json!({})).await?;
                out.answer(&done, |s| vec![swap_line(s)]);
            }
            What::Take { schedule, for_ms, at } => {
                let taken = client.post(&of(&schedule, "take"), &json!({"for_ms": for_ms, "start": at})).await?;
                out.answer(&taken, |t| std::iter::once(override_line(t)).chain(rest_lines(t)).collect());
            }
            What::Override { schedule, person, kind, for_ms, at } => {
                let start = at.unwrap_or_else(|| SystemClock.now());
                let body = json!({"kind": kind, "person": person, "start": start, "end": start.plus_ms(for_ms)});
                let made = client.post(&of(&schedule, "overrides"), &body).await?;
                out.answer(&made, |m| std::iter::once(override_line(m)).chain(rest_lines(m)).collect());
            }
            What::Import { schedule, file, dry_run } => {
                let ics = std::fs::read_to_string(&file)
                    .map_err(|e| Failure::misuse(format!("{} cannot be read: {e}", file.display())))?;
                let made = client.post(&of(&schedule, "import"), &json!({"ics": ics, "dry_run": dry_run})).await?;
                out.answer(&made, |m| {
                    let skipped = list(m, "skipped").iter().filter_map(|s| Some(format!("skipped: {}", s.as_str()?)));
                    list(m, "overrides").iter().map(override_line).chain(skipped).collect()
                });
            }
            What::ImportFrom(import) => return import.run(client, out).await,
            What::Rules(rules) => return rules.run(client, out).await,
            What::Calendar { schedule } => {
                let calendar = client.get(&of(&schedule, "calendar"), &[]).await?;
                out.answer(&calendar, |c| text(c, "ics").lines().map(str::to_owned).collect());
            }
        }
        Ok(Exit::Done)
    }
}

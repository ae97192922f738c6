//! oncall: schedules over time, swaps, takes, overrides, the digest at a handoff, calendars.

use serde_json::{Value, json};
use tenfold_app::chat::grammar::{PREVIEW_MS_MAX, When, parse_part, parse_span_within, parse_when};
use tenfold_types::{Clock, Fault, Timestamp};

use super::client::{Client, segment};
use super::out::{Exit, Failure, Out, list, minute, number, text};
use super::schedules::calendar_lines;
use super::ship::duration;
use super::{Common, oncall_import, own_rules};
use crate::ambient::SystemClock;

const DAY_MS: i64 = 86_400_000;

verb_of_words! {
    /// Preview schedules, swap and take shifts, override, import a calendar.
    Oncall,
    "  tenfold oncall preview photos-primary --for 14d\n  tenfold oncall swap photos-primary raj --take 7d\n  tenfold oncall accept 3\n  tenfold oncall take photos-primary --for 4h\n  tenfold oncall override photos-primary mei --as add --at 2h --for 8h\n  tenfold oncall override photos-primary --undo 7\n  tenfold oncall versions photos-primary\n  tenfold oncall test ana\n  tenfold oncall import photos-primary holidays.ics --dry-run\n  tenfold oncall import-from opsgenie export --dry-run\n  tenfold oncall digest photos-primary\n  tenfold oncall fairness photos-primary\n  tenfold oncall readiness\n  tenfold oncall rules ana --critical voice,sms:30,mail:60"
}

/// How far a preview looks.
fn ahead(text: &str) -> Result<i64, String> {
    parse_span_within(text, PREVIEW_MS_MAX).map_err(|fault| format!("{}; {}", fault.message, fault.advice))
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Who is on call over the days to come, with gaps and overlaps.
    Preview {
        schedule: String,
        #[arg(long = "for", value_name = "DURATION", default_value = "7d", value_parser = ahead)]
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
        /// An instant in your shift, now when absent; or only the part between two instants.
        #[arg(long, value_name = "WHEN[..WHEN]", value_parser = part)]
        give: Option<Part>,
        /// An instant in their shift to have for it, or only the part between two instants.
        #[arg(long, value_name = "WHEN[..WHEN]", value_parser = part)]
        take: Option<Part>,
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
    /// Put a person on call, add or remove one; or take such a change back.
    Override {
        schedule: String,
        #[arg(required_unless_present = "undo")]
        person: Option<String>,
        /// Take the change of this number back.
        #[arg(long, value_name = "N", conflicts_with_all = ["person", "kind", "for_ms", "at"])]
        undo: Option<i64>,
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
    /// Every plan that a schedule had, with its author.
    Versions { schedule: String },
    /// Send somebody a test page, by the ways a real one goes.
    Test { login: String },
    /// The schedule's shifts as iCalendar, or the address at which programs subscribe to it.
    Calendar {
        schedule: String,
        /// Make a new address; the one before ends for everybody.
        #[arg(long, conflicts_with = "end")]
        renew: bool,
        /// End the address.
        #[arg(long)]
        end: bool,
    },
}

/// An instant, or a duration from now on.
pub(super) fn when(text: &str) -> Result<Timestamp, String> {
    parse_when(text).map(instant).map_err(|fault| misread(&fault))
}

fn instant(when: When) -> Timestamp {
    match when {
        When::At(at) => at,
        When::InMs(ms) => SystemClock.now().plus_ms(ms),
    }
}

fn misread(fault: &Fault) -> String {
    format!("{}; {}", fault.message, fault.advice)
}

/// A shift, or the part of one between two instants.
#[derive(Debug, Clone, Copy)]
struct Part {
    from: Timestamp,
    until: Option<Timestamp>,
}

fn part(text: &str) -> Result<Part, String> {
    let part = parse_part(text).map_err(|fault| misread(&fault))?;
    Ok(Part { from: instant(part.from), until: part.until.map(instant) })
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

/// A gap begins with what is looked at: before that it may be as old as the calendar.
fn preview_lines(preview: &Value) -> Vec<String> {
    let line = |span: &Value| {
        let mut span = span.clone();
        if span["gap"] == true && text(&span, "since") < text(preview, "from") {
            span["since"] = preview["from"].clone();
        }
        span_line(&span)
    };
    list(preview, "spans").iter().map(line).chain(cut_line(preview)).chain(calendar_lines(preview)).collect()
}

/// That the list ends before the time that was asked for.
fn cut_line(preview: &Value) -> Option<String> {
    (preview["truncated"] == true)
        .then(|| "there are more stretches than a preview lists; ask for fewer days with --for".to_owned())
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

fn version_line(version: &Value) -> String {
    let (number, by) = (number(version, "number"), text(version, "made_by"));
    let (from, made_at) = (minute(version, "from"), minute(version, "made_at"));
    format!("version {number} from {from} UTC on, made {made_at} UTC by {by}")
}

fn override_line(made: &Value) -> String {
    // One that is only looked at has no number.
    let named = made["id"].as_i64().filter(|id| *id > 0).map(|id| format!("{id}: ")).unwrap_or_default();
    format!(
        "{named}{} {} from {} to {} UTC",
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
            "{} rests from {} to {} UTC only, less than {} h{}",
            text(rest, "person"),
            minute(rest, "from"),
            minute(rest, "to"),
            number(rest, "min_rest_hours"),
            between(rest)
        )
    })
}

/// What a rest lies between, where that is not two shifts of one schedule.
fn between(rest: &Value) -> String {
    match (rest["after"].as_str(), rest["after_page"] == true, rest["before"].as_str()) {
        (_, true, _) => " (after a page in the night)".to_owned(),
        (Some(after), _, _) => format!(" (after {after})"),
        (None, _, Some(before)) => format!(" (before {before})"),
        (None, _, None) => String::new(),
    }
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
    if digest["truncated"] == true {
        let (fired, open) = (number(digest, "fired_count"), number(digest, "open_count"));
        lines.push(format!("there was more than is listed: {fired} alerts fired, {open} incidents open"));
    }
    lines
}

/// `the receiver db names the policy gone, which is not there`
pub(super) fn unreached_line(of: &Value) -> String {
    format!("the {} {} {}", text(of, "kind"), text(of, "name"), text(of, "text"))
}

/// Everybody by name, what is wrong behind it, and the steps and teams without anybody.
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
    let end = |of: &Value| {
        format!("the schedule {} has nobody any more from {} UTC on", text(of, "schedule"), minute(of, "at"))
    };
    let team = |of: &Value| {
        format!("the team {}, which {} pages, {}", text(of, "team"), words(of, "policies"), text(of, "text"))
    };
    let unreached = list(found, "unreached").iter().map(unreached_line);
    let (steps, ends) = (list(found, "steps").iter().map(step), list(found, "ends").iter().map(end));
    let teams = list(found, "teams").iter().map(team);
    let calendar = |of: &Value| format!("the calendar of {} {}", text(of, "schedule"), text(of, "text"));
    let calendars = list(found, "calendars").iter().map(calendar);
    let things = unreached.chain(steps).chain(teams).chain(ends).chain(calendars);
    list(found, "people").iter().map(person).chain(things).collect()
}

impl Oncall {
    pub(super) async fn run(self, client: &Client, out: Out) -> Result<Exit, Failure> {
        let of = |schedule: &str, rest: &str| format!("/api/schedules/{}/{rest}", segment(schedule));
        match self.what {
            What::Preview { schedule, for_ms } => {
                let days = ((for_ms + DAY_MS - 1) / DAY_MS).to_string();
                let preview = client.get(&of(&schedule, "preview"), &[("days", &days)]).await?;
                out.answer(&preview, preview_lines);
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
                let body = json!({
                    "with": with,
                    "give": give.map(|p| p.from),
                    "give_until": give.and_then(|p| p.until),
                    "take": take.map(|p| p.from),
                    "take_until": take.and_then(|p| p.until),
                });
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
            What::Override { schedule, undo: Some(number), .. } => {
                let done = client.delete(&of(&schedule, &format!("overrides/{number}"))).await?;
                out.answer(&done, |_| vec![format!("the change {number} of {schedule} is taken back")]);
            }
            What::Override { schedule, person, kind, for_ms, at, undo: None } => {
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
            What::Versions { schedule } => {
                let versions = client.get(&of(&schedule, "versions"), &[]).await?;
                out.answer(&versions, |v| list(v, "items").iter().map(version_line).collect());
            }
            What::Test { login } => {
                let page = client.post(&format!("/api/people/{}/test-page", segment(&login)), &json!({})).await?;
                let line = |p: &Value| format!("{} is paged for a test: {}", text(p, "person_name"), text(p, "state"));
                out.answer(&page, |p| vec![line(p)]);
            }
            What::Calendar { schedule, renew: true, .. } => {
                let made = client.post(&of(&schedule, "calendar"), &json!({})).await?;
                out.answer(&made, |m| vec![text(m, "url").to_owned(), "it is shown this once".to_owned()]);
            }
            What::Calendar { schedule, end: true, .. } => {
                let done = client.delete(&of(&schedule, "calendar")).await?;
                out.answer(&done, |_| vec![format!("the calendar of {schedule} has no address any more")]);
            }
            What::Calendar { schedule, .. } => {
                let calendar = client.get(&of(&schedule, "calendar"), &[]).await?;
                out.answer(&calendar, |c| text(c, "ics").lines().map(str::to_owned).collect());
            }
        }
        Ok(Exit::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_not_older_than_the_preview() {
        let (long_ago, now, later) =
            ("2025-10-24T04:49:00.000Z", "2026-11-28T04:49:00.000Z", "2026-11-28T07:00:00.000Z");
        let gap = json!({"since": long_ago, "until": later, "people": [], "gap": true});
        let shift = json!({"since": long_ago, "until": later, "people": ["ana"], "gap": false});
        let lines = |span: &Value| preview_lines(&json!({"from": now, "spans": [span]}));
        assert_eq!(lines(&gap), ["2026-11-28 04:49 to 2026-11-28 07:00 UTC: nobody GAP"]);
        assert_eq!(lines(&shift), ["2025-10-24 04:49 to 2026-11-28 07:00 UTC: ana"]);
    }

    #[test]
    fn a_preview_that_is_cut_says_so() {
        assert_eq!(cut_line(&json!({"spans": [], "truncated": false})), None);
        let said = cut_line(&json!({"spans": [], "truncated": true})).unwrap_or_default();
        assert!(said.contains("fewer days"), "{said}");
    }
}

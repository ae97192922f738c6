//! schedules: who is on call when, as plans that are put and deleted.

use serde_json::Value;
use tenfold_types::Timestamp;

use super::Common;
use super::client::{Client, segment};
use super::files::definition_of;
use super::oncall::when;
use super::out::{Exit, Failure, Out, list, minute, number, talk, text};

verb_of_words! {
    /// List on-call schedules, show, put and delete one.
    Schedules,
    "  tenfold schedules list\n  tenfold schedules show photos-primary\n  tenfold schedules show photos-primary --json | jq .plan\n  tenfold schedules put photos-primary plan.yaml\n  tenfold schedules put photos-primary plan.yaml --from 2027-01-01T00:00:00Z\n  tenfold schedules delete photos-primary"
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// All of them, with who is on call.
    List,
    /// The layers of one, and the shifts of the next 14 days.
    Show { name: String },
    /// Make or change a schedule out of a file with its plan, in YAML or JSON; what was before stays.
    Put {
        name: String,
        #[arg(value_name = "FILE")]
        file: std::path::PathBuf,
        /// From when on the plan holds; now when absent.
        #[arg(long, value_name = "WHEN", value_parser = when)]
        from: Option<Timestamp>,
    },
    /// Delete a schedule that no policy pages.
    Delete { name: String },
}

impl Schedules {
    pub(super) async fn run(self, client: &Client, out: Out) -> Result<Exit, Failure> {
        let path = |name: &str| format!("/api/schedules/{}", segment(name));
        match self.what {
            What::List => {
                let all = client.get("/api/schedules", &[]).await?;
                out.answer(&all, |a| list(a, "items").iter().map(line).collect());
                if list(&all, "items").is_empty() {
                    talk("no schedules: nobody is on call");
                }
            }
            What::Show { name } => {
                let schedule = client.get(&path(&name), &[]).await?;
                out.answer(&schedule, details);
            }
            What::Put { name, file, from } => {
                let of = match from {
                    // An instant in UTC has nothing that an address would have to hide.
                    Some(from) => format!("{}?from={from}", path(&name)),
                    None => path(&name),
                };
                let schedule = client.put(&of, &definition_of(&file, &name)?, &[]).await?;
                out.answer(&schedule, details);
            }
            What::Delete { name } => {
                let done = client.delete(&path(&name)).await?;
                out.answer(&done, |_| vec![format!("the schedule {name} is deleted")]);
            }
        }
        Ok(Exit::Done)
    }
}

/// Who has a shift, or that nobody has.
fn who(shift: &Value) -> String {
    let also = list(shift, "also").iter().map(|person| text(person, "login"));
    let people: Vec<&str> = shift["person"]["login"].as_str().into_iter().chain(also).collect();
    if people.is_empty() { "nobody".to_owned() } else { people.join(" and ") }
}

fn line(schedule: &Value) -> String {
    let now = &schedule["on_call"];
    let until = if now.is_null() { String::new() } else { format!(" until {} UTC", minute(now, "until")) };
    format!("{}  {}{until}", text(schedule, "name"), who(now))
}

/// How it stands with the calendar that is followed, and what of it puts nobody on call.
pub(super) fn calendar_lines(of: &Value) -> Vec<String> {
    let calendar = &of["calendar"];
    if calendar.is_null() {
        return Vec::new();
    }
    let host = text(calendar, "host");
    let read = match calendar["read_at"].as_str() {
        Some(_) => format!("read {} UTC, until {} UTC", minute(calendar, "read_at"), minute(calendar, "until")),
        None => "not read yet".to_owned(),
    };
    let failing = calendar["failing_since"].is_string().then(|| {
        let (since, why) = (minute(calendar, "failing_since"), text(calendar, "failure"));
        format!("  calendar CANNOT BE READ since {since} UTC: {why}")
    });
    let unnamed = list(calendar, "unnamed").iter().filter_map(Value::as_str);
    std::iter::once(format!("  calendar at {host}: {read}"))
        .chain(failing)
        .chain(unnamed.map(|event| format!("  calendar: an event {event}")))
        .collect()
}

fn details(schedule: &Value) -> Vec<String> {
    let layer = |layer: &Value| {
        let people: Vec<&str> = list(layer, "people").iter().filter_map(Value::as_str).collect();
        format!("  {}: {}; {}", text(layer, "name"), people.join(", "), text(layer, "handoff"))
    };
    let shift = |(i, shift): (usize, &Value)| {
        let (until, who) = (minute(shift, "until"), who(shift));
        // A gap that goes on began whenever: nobody asks.
        if i == 0 && shift["person"].is_null() {
            return format!("  until {until} UTC: {who}");
        }
        format!("  {} to {until} UTC: {who}", minute(shift, "since"))
    };
    let begins = schedule["begins_at"].is_string().then(|| format!("  from {} UTC on", minute(schedule, "begins_at")));
    let version = format!("version {}, {}", number(schedule, "version"), text(schedule, "timezone"));
    std::iter::once(format!("{}  {version}", line(schedule)))
        .chain(begins)
        .chain(calendar_lines(schedule))
        .chain(list(schedule, "layers").iter().map(layer))
        .chain(list(schedule, "next").iter().enumerate().map(shift))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_schedule_is_told_by_its_layers_and_shifts() {
        let on = json!({"person": {"login": "ana"}, "also": [{"login": "raj"}], "since": "2026-11-27T09:00:00.000Z",
            "until": "2026-11-28T09:00:00.000Z"});
        let schedule = json!({"name": "photos", "version": 2, "timezone": "UTC", "on_call": on, "next": [on, {"person": null,
            "since": "2026-11-28T09:00:00.000Z", "until": "2026-11-29T09:00:00.000Z"}],
            "layers": [{"name": "days", "people": ["ana", "raj"], "handoff": "daily at 09:00"}]});
        let lines = details(&schedule);
        assert!(lines[0].starts_with("photos  ana and raj until "), "{lines:?}");
        assert!(lines[0].ends_with("version 2, UTC"), "{lines:?}");
        assert_eq!(lines[1], "  days: ana, raj; daily at 09:00");
        assert!(lines[2].ends_with(": ana and raj") && lines[3].ends_with(": nobody"), "{lines:?}");
        assert_eq!(line(&json!({"name": "empty", "on_call": null})), "empty  nobody");
        let gap = json!({"name": "photos", "next": [{"person": null, "since": "2025-11-27T09:00:00.000Z",
            "until": "2026-11-28T09:00:00.000Z"}]});
        assert_eq!(details(&gap)[1], "  until 2026-11-28 09:00 UTC: nobody");
    }

    #[test]
    fn a_calendar_that_is_followed_says_how_it_stands() {
        let at = "2026-11-27T09:00:00.000Z";
        let calendar = json!({"host": "calendar.example.org", "read_at": at, "until": at, "failing_since": at,
            "failure": "it answers 500", "unnamed": ["names nobody who has an account: `Bob`"]});
        let lines = calendar_lines(&json!({"calendar": calendar}));
        assert!(lines[0].starts_with("  calendar at calendar.example.org: read "), "{lines:?}");
        assert!(lines[1].ends_with("UTC: it answers 500"), "{lines:?}");
        assert_eq!(lines[2], "  calendar: an event names nobody who has an account: `Bob`");
        let new = json!({"calendar": {"host": "calendar.example.org", "read_at": null}});
        assert_eq!(calendar_lines(&new), ["  calendar at calendar.example.org: not read yet"]);
        assert!(calendar_lines(&json!({})).is_empty());
    }
}

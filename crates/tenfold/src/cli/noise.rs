//! noise, classify: what pages were for, and which rules wake people for nothing.

use serde_json::{Value, json};

use super::Common;
use super::client::{Client, segment};
use super::duty::incident_line;
use super::out::{Exit, Failure, Out, list, number, talk, text};

/// Say which rules cost most, by team; draft quieter ones, try them on the past, put one into force.
#[derive(Debug, clap::Args)]
#[command(
    before_long_help = "Examples:\n  tenfold noise\n  tenfold noise --days 28\n  tenfold noise --draft HighErrorRate\n  tenfold noise --draft HighErrorRate --put 'for: 10m'\n  tenfold noise --undo photos"
)]
pub struct Noise {
    /// How many days back, 1 to 28.
    #[arg(long, value_name = "DAYS", default_value_t = 7)]
    days: i64,
    /// Draft quieter versions of this rule and say how often each would have fired.
    #[arg(long, value_name = "RULE")]
    draft: Option<String>,
    /// The rule file, where several have a rule of this name.
    #[arg(long, value_name = "NAME", requires = "draft")]
    file: Option<String>,
    /// Its group, where several of the file have a rule of this name.
    #[arg(long, value_name = "NAME", requires = "draft")]
    group: Option<String>,
    /// Its severity, where several of the group have this name.
    #[arg(long, requires = "draft", value_parser = ["critical", "warning", "info"])]
    severity: Option<String>,
    /// Put this draft into force, by its words or by its place among the drafts, from 1.
    #[arg(long, value_name = "CHANGE|N", requires = "draft")]
    put: Option<String>,
    /// Put a rule file back to what it was before it was changed last.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["draft", "file", "group", "severity", "put"])]
    undo: Option<String>,
    #[command(flatten)]
    pub(super) common: Common,
}

impl Noise {
    pub(super) async fn run(self, client: &Client, out: Out) -> Result<Exit, Failure> {
        if let Some(file) = &self.undo {
            let done = client.post(&format!("/api/rules/{}/undo", segment(file)), &json!({})).await?;
            out.answer(&done, |_| vec![format!("the rule file {file} is what it was before")]);
            return Ok(Exit::Done);
        }
        if let (Some(rule), Some(change)) = (&self.draft, &self.put) {
            let (file, group, severity) = (&self.file, &self.group, &self.severity);
            let body = json!({"rule": rule, "file": file, "group": group, "severity": severity, "change": change});
            let done = client.post("/api/noise/drafts", &body).await?;
            out.answer(&done, |d| {
                std::iter::once(text(d, "text")).chain(text(d, "diff").lines()).map(str::to_owned).collect()
            });
            talk(&format!("tenfold noise --undo {} takes it back", text(&done, "file")));
            return Ok(Exit::Done);
        }
        let days = self.days.to_string();
        if let Some(rule) = &self.draft {
            let mut query = vec![("rule", rule.as_str()), ("days", &days)];
            for (name, value) in [("file", &self.file), ("group", &self.group), ("severity", &self.severity)] {
                query.extend(value.as_deref().map(|value| (name, value)));
            }
            let drafts = client.get("/api/noise/drafts", &query).await?;
            out.answer(&drafts, draft_lines);
            talk(&format!("tried on the past, one evaluation every {} s", number(&drafts, "step_ms") / 1_000));
            return Ok(Exit::Done);
        }
        let noise = client.get("/api/noise", &[("days", &days)]).await?;
        out.answer(&noise, |n| list(n, "teams").iter().flat_map(team_lines).collect());
        if list(&noise, "teams").is_empty() {
            talk(&format!("no rule paged anybody within {days} days"));
        }
        Ok(Exit::Done)
    }
}

fn team_lines(team: &Value) -> Vec<String> {
    let name = if text(team, "team").is_empty() { "owned by nobody" } else { text(team, "team") };
    let rule = |r: &Value| {
        format!(
            "  {} ({}): cost {}, {} pages, {} by night; of {} incidents {} with action, {} without, {} unsaid",
            text(r, "rule"),
            text(r, "severity"),
            number(r, "cost"),
            number(r, "pages"),
            number(r, "wakes"),
            number(r, "incidents"),
            number(r, "action"),
            number(r, "no_action"),
            number(r, "unsaid"),
        )
    };
    let head = format!("{name}: cost {}", number(team, "cost"));
    std::iter::once(head).chain(list(team, "rules").iter().map(rule)).collect()
}

fn draft_lines(drafts: &Value) -> Vec<String> {
    let line = |d: &Value| {
        let missed: Vec<String> = list(d, "missed").iter().map(ToString::to_string).collect();
        let missed = if missed.is_empty() {
            String::new()
        } else {
            format!(", would have missed incident {}", missed.join(", "))
        };
        let change = if text(d, "change").is_empty() { "as it is" } else { text(d, "change") };
        format!("{change}: fires {} times{missed}", number(d, "fires"))
    };
    let drafted = list(drafts, "drafts").iter().enumerate().map(|(i, d)| format!("{} {}", i + 1, line(d)));
    std::iter::once(line(&drafts["now"])).chain(drafted).collect()
}

/// Say what the pages of incident N were for, by a word or one key from 1 to 9.
#[derive(Debug, clap::Args)]
#[command(
    before_long_help = "Examples:\n  tenfold classify 14 action\n  tenfold classify 14 threshold\n  tenfold classify 14 7\n\nKinds: 1 action, 2 action_could_wait, 3 action_elsewhere; without action: 4 wrong_time,\n5 mute_expired, 6 mute_missing, 7 threshold, 8 faulty; 9 other"
)]
pub struct Classify {
    #[arg(value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    incident: i64,
    #[arg(value_name = "KIND")]
    kind: String,
    #[command(flatten)]
    pub(super) common: Common,
}

impl Classify {
    pub(super) async fn run(self, client: &Client, out: Out) -> Result<Exit, Failure> {
        let body = json!({"kind": self.kind});
        let done = client.post(&format!("/api/incidents/{}/classify", self.incident), &body).await?;
        out.answer(&done, |d| vec![format!("{}; {}", incident_line(d, out), text(d, "classified"))]);
        Ok(Exit::Done)
    }
}

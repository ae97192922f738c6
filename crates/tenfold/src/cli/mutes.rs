//! mute, mutes, unmute.

use serde_json::{Value, json};
use tenfold_app::chat::grammar::parse_matchers;
use tenfold_types::{Clock, Timestamp};

use super::Common;
use super::client::Client;
use super::oncall::when;
use super::out::{Exit, Failure, Out, list, minute, number, text};
use super::ship::duration;
use crate::ambient::SystemClock;

fn mute_line(mute: &Value) -> String {
    let next = &mute["next"];
    let again = text(mute, "recurs_text");
    let when = if text(mute, "state") == "expired" {
        format!("over since {} UTC", minute(mute, "expires_at"))
    } else if next.is_null() {
        format!("until {} UTC, and does not hold before", minute(mute, "expires_at"))
    } else if mute["holds"] == true {
        format!("until {} UTC", minute(next, "to"))
    } else {
        format!("{} to {} UTC", minute(next, "from"), minute(next, "to"))
    };
    let again = if again.is_empty() { String::new() } else { format!(", {again}") };
    let matchers: Vec<String> = list(mute, "matchers").iter().map(matcher).collect();
    format!(
        "mute {} ({}) of {}: {when}{again}; {}: {}",
        number(mute, "id"),
        text(mute, "kind"),
        matchers.join(","),
        text(mute, "created_by_name"),
        text(mute, "reason")
    )
}

fn matcher(of: &Value) -> String {
    format!("{}{}\"{}\"", text(of, "name"), text(of, "op"), text(of, "value"))
}

/// Keep alerts quiet, for a while or again and again.
#[derive(Debug, clap::Args)]
#[command(
    before_long_help = "Examples:\n  tenfold mute service=photos --for 1h --reason \"load test\"\n  tenfold mute host=db1 --kind downtime --from 2026-12-01T20:00:00Z --for 2h --reason \"new disks\"\n  tenfold mute service=db --recurs \"sun 02:00-04:00 Europe/Berlin\" --until 2027-03-01T00:00:00Z --reason vacuum\n  tenfold mute service=db --recurs \"mon-fri 22:00-04:00\" --for 30d --reason batches --preview"
)]
pub struct Mute {
    /// Like service=photos severity!=critical; a word alone is a service.
    #[arg(required = true)]
    matchers: Vec<String>,
    /// How long it holds, such as 45m or 2h.
    #[arg(long = "for", value_name = "DURATION", value_parser = duration, required_unless_present = "until")]
    for_ms: Option<i64>,
    /// When it ends.
    #[arg(long, value_name = "WHEN", value_parser = when, conflicts_with = "for_ms")]
    until: Option<Timestamp>,
    /// Why, for whoever wonders.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// A maintenance comes back and needs `--recurs` [default: silence, with --recurs maintenance].
    #[arg(long, value_name = "KIND", value_parser = ["silence", "downtime", "maintenance"])]
    kind: Option<String>,
    /// When it starts [default: now].
    #[arg(long, value_name = "WHEN", value_parser = when)]
    from: Option<Timestamp>,
    /// When it comes back, like "sun 02:00-04:00 Europe/Berlin"; several with `;` between them.
    #[arg(long, value_name = "TIMES")]
    recurs: Option<String>,
    /// Only say when it would hold, and which alerts it would cover now.
    #[arg(long)]
    preview: bool,
    #[command(flatten)]
    pub(super) common: Common,
}

impl Mute {
    pub(super) async fn run(self, client: &Client, out: Out) -> Result<Exit, Failure> {
        let matchers = parse_matchers(&self.matchers.join(" "))
            .map_err(|fault| Failure::misuse(fault.message).advice(fault.advice))?;
        let start = self.from.unwrap_or_else(|| SystemClock.now());
        let expires_at = self.until.unwrap_or_else(|| start.plus_ms(self.for_ms.unwrap_or(0)));
        let by_default = if self.recurs.is_some() { "maintenance" } else { "silence" };
        let body = json!({
            "matchers": matchers, "reason": self.reason, "expires_at": expires_at, "starts_at": self.from,
            "kind": self.kind.as_deref().unwrap_or(by_default), "recurs_text": self.recurs,
        });
        if self.preview {
            let preview = client.post("/api/mutes/preview", &body).await?;
            out.answer(&preview, preview_lines);
        } else {
            let mute = client.post("/api/mutes", &body).await?;
            out.answer(&mute, |m| vec![mute_line(m)]);
        }
        Ok(Exit::Done)
    }
}

fn preview_lines(preview: &Value) -> Vec<String> {
    let more = |key: &str| match number(preview, key) {
        0 => None,
        n => Some(format!("and {n} more")),
    };
    let turn = |t: &Value| format!("{} to {} UTC", minute(t, "from"), minute(t, "to"));
    let mut lines: Vec<String> = list(preview, "turns").iter().map(turn).collect();
    if lines.is_empty() {
        lines.push("it would never hold".to_owned());
    }
    lines.extend(more("turns_more"));
    let alert = |a: &Value| format!("covers now: {} ({}, {})", text(a, "rule"), text(a, "severity"), text(a, "state"));
    match list(preview, "alerts") {
        [] => lines.push("covers no alert that is active now".to_owned()),
        alerts => lines.extend(alerts.iter().map(alert)),
    }
    lines.extend(more("alerts_more"));
    lines
}

/// List what is muted and what will be.
#[derive(Debug, clap::Args)]
#[command(before_long_help = "Examples:\n  tenfold mutes\n  tenfold mutes --all --json")]
pub struct Mutes {
    /// With those that are over.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    pub(super) common: Common,
}

impl Mutes {
    pub(super) async fn run(self, client: &Client, out: Out) -> Result<Exit, Failure> {
        let query: &[(&str, &str)] = if self.all { &[("all", "true")] } else { &[] };
        let mutes = client.get("/api/mutes", query).await?;
        out.answer(&mutes, |m| match list(m, "items") {
            [] => vec!["nothing is muted".to_owned()],
            items => items.iter().map(mute_line).collect(),
        });
        Ok(Exit::Done)
    }
}

/// End mute N now.
#[derive(Debug, clap::Args)]
#[command(before_long_help = "Examples:\n  tenfold unmute 3")]
pub struct Unmute {
    #[arg(value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    mute: i64,
    #[command(flatten)]
    pub(super) common: Common,
}

impl Unmute {
    pub(super) async fn run(self, client: &Client, out: Out) -> Result<Exit, Failure> {
        let done = client.delete(&format!("/api/mutes/{}", self.mute)).await?;
        out.answer(&done, |_| vec![format!("mute {} is over", self.mute)]);
        Ok(Exit::Done)
    }
}

//! ack, escalate, handover, resolve, incident, note, who, take.

use serde_json::{Value, json};
use tenfold_app::incidents::EscalationView;

use super::Common;
use super::client::{Client, segment};
use super::out::{Exit, Failure, Out, list, minute, number, text};
use super::ship::duration;

/// Alerts that an incident is shown with; `tenfold alerts show` tells of one.
const ALERTS_NAMED: usize = 10;

pub(super) fn incident_line(incident: &Value, out: Out) -> String {
    let has = match (text(incident, "state"), incident["acknowledged_by"].as_str()) {
        ("resolved", _) => "resolved".to_owned(),
        (_, Some(by)) => format!("{by} has it"),
        _ => "nobody has it".to_owned(),
    };
    format!(
        "{} incident {}: {}, {has}",
        out.state(text(incident, "severity")),
        number(incident, "number"),
        text(incident, "title")
    )
}

/// What stands above the timeline of an incident.
fn head(incident: &Value, out: Out) -> Vec<String> {
    let escalation = &incident["escalation"];
    let mut lines = vec![incident_line(incident, out)];
    let names: Vec<&str> = list(escalation, "waiting_for").iter().filter_map(Value::as_str).collect();
    if !names.is_empty() {
        lines.push(format!("waiting for {}", names.join(", ")));
    }
    for (key, what) in [("next_at", "the next one is asked at"), ("expires_at", "it is theirs until")] {
        if escalation[key].is_string() && text(incident, "state") != "resolved" {
            lines.push(format!("{what} {} UTC", minute(escalation, key)));
        }
    }
    if text(escalation, "state") == "exhausted" && text(incident, "state") == "open" {
        lines.push("nobody acknowledged, and no step is left: `tenfold escalate` or `tenfold handover`".to_owned());
    }
    let alerts: Vec<&str> = list(incident, "alerts").iter().filter_map(Value::as_str).take(ALERTS_NAMED).collect();
    if !alerts.is_empty() {
        let more = number(incident, "alerts_total") - i64::try_from(alerts.len()).unwrap_or(0);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        lines.push(format!("alerts: {}{more}", alerts.join(" ")));
    }
    lines.extend(
        list(incident, "suspects").iter().map(|s| format!("suspect: {} by {}", text(s, "text"), text(s, "actor_name"))),
    );
    lines
}

pub(super) fn on_call_line(on_call: &Value) -> String {
    let person = text(&on_call["person"], "login");
    let who = if person.is_empty() { "nobody" } else { person };
    format!("{}: {who} until {} UTC", text(on_call, "schedule"), minute(on_call, "until"))
}

/// Acknowledge incident N: you have it, for good or for a time.
#[derive(Debug, clap::Args)]
#[command(before_long_help = "Examples:\n  tenfold ack 14\n  tenfold ack 14 --for 2h")]
pub struct Ack {
    #[arg(value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    incident: i64,
    /// How long you have it, such as 45m or 2h; then who is on call is asked again, unless it is over or you say so again.
    #[arg(long = "for", value_name = "DURATION")]
    held: Option<String>,
    #[command(flatten)]
    pub(super) common: Common,
}

impl Ack {
    pub(super) async fn run(self, client: &Client, out: Out) -> Result<Exit, Failure> {
        let held = self.held.map(|text| format!("?for={}", segment(&text))).unwrap_or_default();
        let done = client.post(&format!("/api/incidents/{}/acknowledge{held}", self.incident), &json!({})).await?;
        out.answer(&done, |d| vec![incident_line(d.get("incident").unwrap_or(d), out)]);
        Ok(Exit::Done)
    }
}

/// Ask the next one for incident N now, without waiting.
#[derive(Debug, clap::Args)]
#[command(before_long_help = "Examples:\n  tenfold escalate 14")]
pub struct Escalate {
    #[arg(value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    incident: i64,
    #[command(flatten)]
    pub(super) common: Common,
}

impl Escalate {
    pub(super) async fn run(self, client: &Client, out: Out) -> Result<Exit, Failure> {
        let asked = client.post(&format!("/api/incidents/{}/escalate", self.incident), &json!({})).await?;
        out.answer(&asked, |i| vec![incident_line(i, out), asked_line(i)]);
        Ok(Exit::Done)
    }
}

/// Which step is asked, by whose word: another one may have asked for it a moment before.
fn asked_line(incident: &Value) -> String {
    let escalation = serde_json::from_value::<EscalationView>(incident["escalation"].clone()).ok();
    escalation.and_then(|e| e.asked_words()).unwrap_or_else(|| "the next one is asked".to_owned())
}

/// Hand incident N over to a person, who is paged at once.
#[derive(Debug, clap::Args)]
#[command(before_long_help = "Examples:\n  tenfold handover 14 raj\n  tenfold handover 14 raj \"it is the database\"")]
pub struct Handover {
    #[arg(value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    incident: i64,
    /// Login of whom to page.
    person: String,
    /// What they should know.
    text: Vec<String>,
    #[command(flatten)]
    pub(super) common: Common,
}

impl Handover {
    pub(super) async fn run(self, client: &Client, out: Out) -> Result<Exit, Failure> {
        let mut body = json!({"person": self.person});
        if !self.text.is_empty() {
            body["text"] = self.text.join(" ").into();
        }
        let handed = client.post(&format!("/api/incidents/{}/hand-over", self.incident), &body).await?;
        out.answer(&handed, |i| vec![incident_line(i, out), format!("{} is paged", self.person)]);
        Ok(Exit::Done)
    }
}

/// Say that incident N is over.
#[derive(Debug, clap::Args)]
#[command(before_long_help = "Examples:\n  tenfold resolve 14\n  tenfold resolve 14 --text \"rolled back\"")]
pub struct Resolve {
    #[arg(value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    incident: i64,
    /// What ended it.
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
    #[command(flatten)]
    pub(super) common: Common,
}

impl Resolve {
    pub(super) async fn run(self, client: &Client, out: Out) -> Result<Exit, Failure> {
        let body = self.text.map_or(json!({}), |text| json!({"text": text}));
        let done = client.post(&format!("/api/incidents/{}/resolve", self.incident), &body).await?;
        out.answer(&done, |d| vec![incident_line(d, out)]);
        Ok(Exit::Done)
    }
}

verb_of_words! {
    /// Open an incident or a drill, list them, show one, draft its postmortem, say how a drill went.
    Incident,
    "  tenfold incident open \"uploads are slow\" --service photos\n  tenfold incident list\n  tenfold incident show 14\n  tenfold incident postmortem 14\n  tenfold incident drill \"the database is gone\" --service photos\n  tenfold incident score 15"
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Open an incident and page who is on call.
    Open {
        title: String,
        #[arg(long)]
        service: Option<String>,
        #[arg(long, default_value = "critical", value_parser = ["critical", "warning"])]
        severity: String,
        /// Practise: paged like a real one, marked DRILL, not counted.
        #[arg(long)]
        drill: bool,
    },
    /// Practise: paged like a real incident, marked DRILL, not counted, and scored.
    Drill {
        title: String,
        #[arg(long)]
        service: Option<String>,
        #[arg(long, default_value = "critical", value_parser = ["critical", "warning"])]
        severity: String,
    },
    /// How a drill went: times to delivery and acknowledgement, steps used, channels.
    Score {
        #[arg(value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
        incident: i64,
    },
    /// Incidents that are not resolved, or all.
    List {
        #[arg(long)]
        all: bool,
    },
    /// One incident: who has it or is asked, its alerts, what changed before, and its timeline.
    Show {
        #[arg(value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
        incident: i64,
    },
    /// The draft of a postmortem, Markdown, with roles instead of names.
    Postmortem {
        #[arg(value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
        incident: i64,
    },
}

async fn opened(
    client: &Client,
    out: Out,
    title: &str,
    service: Option<String>,
    severity: &str,
    drill: bool,
) -> Result<(), Failure> {
    let mut body = json!({"title": title, "severity": severity, "drill": drill});
    if let Some(service) = service {
        body["service"] = service.into();
    }
    let open = client.post("/api/incidents", &body).await?;
    out.answer(&open, |i| vec![incident_line(i, out)]);
    Ok(())
}

impl Incident {
    pub(super) async fn run(self, client: &Client, out: Out) -> Result<Exit, Failure> {
        match self.what {
            What::Open { title, service, severity, drill } => {
                opened(client, out, &title, service, &severity, drill).await?;
            }
            What::Drill { title, service, severity } => opened(client, out, &title, service, &severity, true).await?,
            What::Score { incident } => {
                let score = client.get(&format!("/api/incidents/{incident}/score"), &[]).await?;
                out.answer(&score, |s| text(s, "words").split("; ").map(str::to_owned).collect());
            }
            What::List { all } => {
                let query: &[(&str, &str)] = if all { &[] } else { &[("state", "open")] };
                let incidents = client.get("/api/incidents", query).await?;
                out.answer(&incidents, |i| list(i, "items").iter().map(|i| incident_line(i, out)).collect());
            }
            What::Show { incident } => {
                let shown = client.get(&format!("/api/incidents/{incident}"), &[]).await?;
                let timeline = client.get(&format!("/api/incidents/{incident}/timeline"), &[]).await?;
                let line = |e: &Value| format!("{} {}", minute(e, "occurred_at"), text(e, "text"));
                let head = head(&shown, out);
                out.answer(&timeline, |t| head.into_iter().chain(list(t, "items").iter().map(line)).collect());
            }
            What::Postmortem { incident } => {
                let draft = client.get_text(&format!("/api/incidents/{incident}/postmortem")).await?;
                let draft = json!({"incident": incident, "text": draft});
                out.answer(&draft, |d| text(d, "text").lines().map(str::to_owned).collect());
            }
        }
        Ok(Exit::Done)
    }
}

/// Write into the timeline of incident N.
#[derive(Debug, clap::Args)]
#[command(before_long_help = "Examples:\n  tenfold note 14 \"queue drains again\"")]
pub struct Note {
    #[arg(value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    incident: i64,
    #[arg(required = true)]
    text: Vec<String>,
    #[command(flatten)]
    pub(super) common: Common,
}

impl Note {
    pub(super) async fn run(self, client: &Client, out: Out) -> Result<Exit, Failure> {
        let body = json!({"text": self.text.join(" ")});
        let done = client.post(&format!("/api/incidents/{}/note", self.incident), &body).await?;
        out.answer(&done, |_| vec![format!("noted in incident {}", self.incident)]);
        Ok(Exit::Done)
    }
}

/// Say who is on call.
#[derive(Debug, clap::Args)]
#[command(before_long_help = "Examples:\n  tenfold who\n  tenfold who photos")]
pub struct Who {
    /// A schedule, or a service whose policy leads to one.
    #[arg(value_name = "SCHEDULE|SERVICE")]
    of: Option<String>,
    #[command(flatten)]
    pub(super) common: Common,
}

impl Who {
    pub(super) async fn run(self, client: &Client, out: Out) -> Result<Exit, Failure> {
        let all = client.get("/api/on-call", &[]).await?;
        let mut shown = list(&all, "items").to_vec();
        if let Some(of) = &self.of {
            let mut wanted = vec![of.clone()];
            if !shown.iter().any(|o| text(o, "schedule") == of) {
                wanted = schedules_of(client, of).await?;
            }
            shown.retain(|o| wanted.iter().any(|w| w == text(o, "schedule")));
        }
        out.answer(&json!({"items": shown}), |all| match list(all, "items") {
            [] => vec!["nobody is on call".to_owned()],
            items => items.iter().map(on_call_line).collect(),
        });
        Ok(Exit::Done)
    }
}

async fn schedules_of(client: &Client, service: &str) -> Result<Vec<String>, Failure> {
    let found = client.get(&format!("/api/services/{}", segment(service)), &[]).await.map_err(|failure| Failure {
        message: format!("there is neither a schedule nor a service `{service}`"),
        ..failure
    })?;
    let policies = client.get("/api/policies", &[]).await?;
    let policy = list(&policies, "items").iter().find(|p| text(p, "name") == text(&found, "policy"));
    let steps = policy.map_or(&[][..], |p| list(p, "steps"));
    let targets = steps.iter().flat_map(|s| list(s, "targets"));
    Ok(targets.filter(|t| text(t, "kind") == "schedule").map(|t| text(t, "name").to_owned()).collect())
}

/// Take over the shift.
#[derive(Debug, clap::Args)]
#[command(before_long_help = "Examples:\n  tenfold take photos-primary\n  tenfold take photos-primary --for 4h")]
pub struct Take {
    schedule: String,
    #[arg(long = "for", value_name = "DURATION", default_value = "2h", value_parser = duration)]
    for_ms: i64,
    #[command(flatten)]
    pub(super) common: Common,
}

impl Take {
    pub(super) async fn run(self, client: &Client, out: Out) -> Result<Exit, Failure> {
        let path = format!("/api/schedules/{}/take", segment(&self.schedule));
        let taken = client.post(&path, &json!({"for_ms": self.for_ms})).await?;
        out.answer(&taken, |t| {
            vec![format!("{} has {} until {} UTC", text(t, "person"), self.schedule, minute(t, "end"))]
        });
        Ok(Exit::Done)
    }
}

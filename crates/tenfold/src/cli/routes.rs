//! routes, why, why-not, simulate: where alerts go, and for what reason.

use serde_json::{Value, json};
use tenfold_app::alerts::{RoutingAccount, RoutingDrafts, draft_routing};

use super::client::{Client, segment};
use super::files::text_of;
use super::oncall::unreached_line;
use super::out::{Exit, Failure, Out, list, minute, number, second, talk, text};
use super::templates::with_templates;
use super::{Common, nagios};

/// Alerts of one incident that are explained: each is a question of its own.
const ALERTS_MAX: usize = 20;

verb_of_words! {
    /// Show, put and remove the routing of alerts, draft one from an Alertmanager's.
    Routes,
    "  tenfold routes show\n  tenfold routes put alertmanager.yml --dry-run\n  tenfold routes put alertmanager.yml\n  tenfold routes import alertmanager.yml --drafts drafts\n  tenfold routes remove"
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Print the routing that holds, as Alertmanager writes it.
    Show,
    /// Put a configuration file of Alertmanager, with the files of templates beside it; what has no equal here is listed.
    Put {
        #[arg(value_name = "FILE")]
        file: std::path::PathBuf,
        /// Only read it and list what has no equal here.
        #[arg(long)]
        dry_run: bool,
    },
    /// Write accounts, policies and a routing for those whom an Alertmanager tells, as drafts for `tenfold apply`.
    Import {
        #[arg(value_name = "FILE")]
        file: std::path::PathBuf,
        /// The folder below which they are written.
        #[arg(long, value_name = "DIR")]
        drafts: std::path::PathBuf,
    },
    /// Go back to the plain routing: on call is told at once.
    Remove,
}

impl Routes {
    pub(super) async fn run(self, client: &Client, out: Out) -> Result<Exit, Failure> {
        match self.what {
            What::Show => {
                let view = client.get("/api/routing", &[]).await?;
                out.answer(&view, |v| {
                    let plain = || serde_json::to_string_pretty(&v["routing"]).unwrap_or_default();
                    vec![v["yaml"].as_str().map_or_else(plain, str::to_owned)]
                });
            }
            What::Put { file, dry_run } => {
                let yaml = with_templates(&file, text_of(&file)?)?;
                let view = client.put("/api/routing", &json!({"yaml": yaml, "dry_run": dry_run}), &[]).await?;
                out.answer(&view, |v| {
                    let note = |n: &Value| format!("no equal here: {}: {}", text(n, "path"), text(n, "message"));
                    list(v, "report").iter().map(note).chain(list(v, "unreached").iter().map(unreached_line)).collect()
                });
            }
            What::Import { file, drafts: dir } => {
                let drafts = draft_routing(&with_templates(&file, text_of(&file)?)?)
                    .map_err(|fault| Failure::misuse(fault.message.clone()).advice(fault.advice))?;
                let files = nagios::write_files(&dir, &draft_files(&drafts))?;
                let note = |n: &Value| format!("{}: {}", text(n, "path"), text(n, "message"));
                out.answer(&json!(drafts), |d| list(d, "report").iter().map(note).collect());
                talk(&format!("{files} drafts below {}: look them through before `tenfold apply`", dir.display()));
            }
            What::Remove => {
                let done = client.delete("/api/routing").await?;
                out.answer(&done, |_| vec!["the plain routing holds".to_owned()]);
            }
        }
        Ok(Exit::Done)
    }
}

fn draft_files(drafts: &RoutingDrafts) -> Vec<(String, Value)> {
    let account = |account: &RoutingAccount| {
        let contact = if account.email.is_empty() { json!({}) } else { json!({"email": account.email}) };
        (format!("people/{}.yaml", account.login), json!({"name": account.name, "contact": contact}))
    };
    let policies = drafts.policies.iter().map(|(name, policy)| (format!("policies/{name}.yaml"), json!(policy)));
    let routing = (nagios::ROUTING_FILE.to_owned(), drafts.routing.clone());
    drafts.accounts.iter().map(account).chain(policies).chain([routing]).collect()
}

fn decision_lines(decisions: &Value) -> Vec<String> {
    let line = |d: &Value| format!("  {:<14} {:<9} {}", text(d, "stage"), text(d, "verdict"), text(d, "because"));
    decisions.as_array().into_iter().flatten().map(line).collect()
}

fn foretold_lines(told: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    for route in told["explanation"]["routes"].as_array().into_iter().flatten() {
        lines.push(format!("{} -> {}: {}", text(route, "route"), text(route, "receiver"), text(route, "verdict")));
        lines.extend(decision_lines(&route["decisions"]));
    }
    for refused in told["explanation"]["refused"].as_array().into_iter().flatten() {
        lines.push(format!(
            "not {}: {} does not hold",
            refused[0].as_str().unwrap_or(""),
            refused[1].as_str().unwrap_or("")
        ));
    }
    if told["pages"] == json!(false) {
        let because =
            "it is not critical, no label page=true is on it, and its receivers page for critical alerts alone";
        lines.push(format!("it does not page: {because}"));
    }
    lines.extend(incident_lines(&told["incident"]));
    lines.extend(list(told, "further").iter().flat_map(incident_lines));
    lines
}

/// The incident that is foretold, and its pages if nobody acknowledges.
fn incident_lines(incident: &Value) -> Vec<String> {
    let Some(verdict) = incident["verdict"].as_str() else { return Vec::new() };
    let number = incident["number"].as_i64().map(|n| format!(" {n}")).unwrap_or_default();
    let mut lines =
        vec![format!("{} incident{number} {verdict}: {}", second(incident, "at"), text(incident, "because"))];
    for step in list(incident, "steps") {
        let held = match second(step, "held_since") {
            due if due.is_empty() => String::new(),
            due => format!(" (due at {due}, all its alerts are muted until then)"),
        };
        let place = format!("{} step {}, round {}{held}", second(step, "at"), step["step"], step["round"]);
        if list(step, "pages").is_empty() {
            lines.push(format!("{place}: nobody, it is passed over"));
        }
        for page in list(step, "pages") {
            let copy = if page["copy"] == json!(true) { " (in copy)" } else { "" };
            let ways: Vec<String> =
                list(page, "ways").iter().map(|w| format!("{} {}", text(w, "channel"), second(w, "at"))).collect();
            let ways = if ways.is_empty() { "no way".to_owned() } else { ways.join(", ") };
            lines.push(format!("{place}: {}{copy} by {ways}", text(page, "person_name")));
            lines.extend(reason_lines(&page["reasons"]));
        }
    }
    if incident["exhausted_at"].is_string() {
        lines.push(format!("{} no step is left", second(incident, "exhausted_at")));
    }
    lines
}

fn reason_lines(reasons: &Value) -> Vec<String> {
    let line = |r: &Value| format!("  {:<14} {}", text(r, "stage"), text(r, "because"));
    reasons.as_array().into_iter().flatten().map(line).collect()
}

/// Why a page went to its person, and how each way went.
fn page_lines(why: &Value) -> Vec<String> {
    let page = &why["page"];
    let mut lines = vec![format!(
        "{} page of {}, step {}, round {}: {}",
        second(page, "due_at"),
        text(page, "person_name"),
        page["step"],
        page["round"],
        text(page, "state")
    )];
    lines.extend(reason_lines(&why["reasons"]));
    for attempt in list(page, "attempts") {
        let error = attempt["error"].as_str().map(|e| format!(": {e}")).unwrap_or_default();
        let (at, channel) = (second(attempt, "at"), text(attempt, "channel"));
        lines.push(format!("  {at} {channel} {}{error}", text(attempt, "state")));
    }
    lines
}

/// Say why people were told: of an incident's alerts and pages by its number, of one alert by its fingerprint, of one page by its id.
#[derive(Debug, clap::Args)]
#[command(
    before_long_help = "Examples:\n  tenfold why 14\n  tenfold why 5fa0a92d66a236fc\n  tenfold why 0199c2a4-7a51-7c32-8a5e-3c1f6f0f4a10"
)]
pub struct Why {
    #[arg(value_name = "N|FINGERPRINT|PAGE")]
    what: String,
    #[command(flatten)]
    pub(super) common: Common,
}

impl Why {
    pub(super) async fn run(self, client: &Client, out: Out) -> Result<Exit, Failure> {
        let own = |value: &Value| value.as_str().map(str::to_owned);
        let mut total = 0;
        let (fingerprints, pages): (Vec<String>, Vec<String>) = match self.what.parse::<i64>() {
            Ok(incident) if self.what.len() < 16 => {
                let incident = client.get(&format!("/api/incidents/{incident}"), &[]).await?;
                total = number(&incident, "alerts_total");
                let pages = list(&incident, "pages").iter().map(|p| text(p, "id").to_owned()).collect();
                (list(&incident, "alerts").iter().filter_map(own).collect(), pages)
            }
            // A fingerprint is hexadecimal digits alone; the id of a page has hyphens.
            _ if self.what.contains('-') => (Vec::new(), vec![self.what.clone()]),
            _ => (vec![self.what.clone()], Vec::new()),
        };
        let mut of_pages = Vec::new();
        for page in pages {
            of_pages.push(client.get(&format!("/api/pages/{}/why", segment(&page)), &[]).await?);
        }
        let mut all = Vec::new();
        let explained = fingerprints.len().min(ALERTS_MAX);
        let more = total - i64::try_from(explained).unwrap_or(i64::MAX);
        if more > 0 {
            talk(&format!("{more} alerts more belong to it; ask by their fingerprints"));
        }
        for fingerprint in fingerprints.into_iter().take(ALERTS_MAX) {
            all.push(client.get(&format!("/api/alerts/{}/why", segment(&fingerprint)), &[]).await?);
        }
        out.answer(&json!({"items": all, "pages": of_pages}), |_| {
            let mut lines = Vec::new();
            for why in &all {
                for decided in why["decided"].as_array().into_iter().flatten() {
                    lines.push(format!("{} {}", minute(decided, "at"), text(decided, "text")));
                    lines.extend(decision_lines(&decided["decisions"]));
                }
                if why["now"].is_object() {
                    lines.push("now:".to_owned());
                    lines.extend(foretold_lines(&why["now"]));
                }
            }
            lines.extend(of_pages.iter().flat_map(page_lines));
            lines
        });
        Ok(Exit::Done)
    }
}

/// Whether one person would be paged.
fn why_not_lines(view: &Value) -> Vec<String> {
    let verdict = if view["pages"] == json!(true) { "would be paged" } else { "would not be paged" };
    let mut lines = vec![format!("{} {verdict}: {}", text(view, "person_name"), text(view, "because"))];
    lines.extend(reason_lines(&view["reasons"]));
    let way = |w: &Value| format!("  {:<14} {}", text(w, "channel"), second(w, "at"));
    lines.extend(list(view, "ways").iter().map(way));
    lines
}

async fn ask(client: &Client, labels: &[String], at: Option<String>) -> Result<Value, Failure> {
    let mut body = json!({"labels": labels.join(" ")});
    if let Some(at) = at {
        body["at"] = json!(at);
    }
    client.post("/api/alerts/simulate", &body).await
}

/// Say what keeps an alert with these labels quiet, or why it would not page a person.
#[derive(Debug, clap::Args)]
#[command(
    before_long_help = "Examples:\n  tenfold why-not alertname=Down service=photos --at 2026-12-24T20:00:00Z\n  tenfold why-not alertname=Down service=photos severity=critical --for ana"
)]
pub struct WhyNot {
    #[arg(value_name = "LABELS", required = true)]
    labels: Vec<String>,
    /// When; now when nothing is said.
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Whether it would page this person, and if not, why not.
    #[arg(long = "for", value_name = "PERSON")]
    person: Option<String>,
    #[command(flatten)]
    pub(super) common: Common,
}

impl WhyNot {
    pub(super) async fn run(self, client: &Client, out: Out) -> Result<Exit, Failure> {
        if let Some(person) = self.person {
            let mut body = json!({"labels": self.labels.join(" "), "for": person});
            if let Some(at) = self.at {
                body["at"] = json!(at);
            }
            let view = client.post("/api/alerts/why-not", &body).await?;
            out.answer(&view, why_not_lines);
            return Ok(Exit::Done);
        }
        let told = ask(client, &self.labels, self.at).await?;
        out.answer(&told, foretold_lines);
        Ok(Exit::Done)
    }
}

/// Play what would become of an alert with these labels within a day: who is told and paged, when, how and why.
#[derive(Debug, clap::Args)]
#[command(before_long_help = "Examples:\n  tenfold simulate alertname=Down service=photos severity=critical")]
pub struct Simulate {
    #[arg(value_name = "LABELS", required = true)]
    labels: Vec<String>,
    /// When it begins to fire; now when nothing is said.
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    #[command(flatten)]
    pub(super) common: Common,
}

impl Simulate {
    pub(super) async fn run(self, client: &Client, out: Out) -> Result<Exit, Failure> {
        let told = ask(client, &self.labels, self.at).await?;
        out.answer(&told, |told| {
            let mut lines = foretold_lines(told);
            for seen in told["notifications"].as_array().into_iter().flatten() {
                let notification = &seen["notification"];
                let (receiver, reason) = (text(notification, "receiver"), text(notification, "reason"));
                lines.push(format!("{} {receiver} is told ({reason})", minute(seen, "at")));
            }
            lines
        });
        Ok(Exit::Done)
    }
}

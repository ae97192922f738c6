//! routes, why, why-not, simulate: where alerts go, and for what reason.

use serde_json::{Value, json};

use super::Common;
use super::client::{Client, segment};
use super::out::{Exit, Failure, Out, list, minute, text};

/// Show, put and remove the routing of alerts.
#[derive(Debug, clap::Args)]
#[command(
    before_long_help = "Examples:\n  tenfold routes show\n  tenfold routes put alertmanager.yml --dry-run\n  tenfold routes put alertmanager.yml\n  tenfold routes remove"
)]
pub struct Routes {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    pub(super) common: Common,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Print the routing that holds, as Alertmanager writes it.
    Show,
    /// Put a configuration file of Alertmanager; what has no equal here is listed.
    Put {
        #[arg(value_name = "FILE")]
        file: std::path::PathBuf,
        /// Only read it and list what has no equal here.
        #[arg(long)]
        dry_run: bool,
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
                let yaml = std::fs::read_to_string(&file)
                    .map_err(|e| Failure::misuse(format!("{} cannot be read: {e}", file.display())))?;
                let view = client.put("/api/routing", &json!({"yaml": yaml, "dry_run": dry_run}), &[]).await?;
                out.answer(&view, |v| {
                    let note = |n: &Value| format!("no equal here: {}: {}", text(n, "path"), text(n, "message"));
                    v["report"].as_array().into_iter().flatten().map(note).collect()
                });
            }
            What::Remove => {
                let done = client.delete("/api/routing").await?;
                out.answer(&done, |_| vec!["the plain routing holds".to_owned()]);
            }
        }
        Ok(Exit::Done)
    }
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
        lines.push("it does not page: it is not critical and no label page=true is on it".to_owned());
    }
    lines
}

/// Say why people were told: of an incident's alerts by its number, or of one alert by its fingerprint.
#[derive(Debug, clap::Args)]
#[command(before_long_help = "Examples:\n  tenfold why 14\n  tenfold why 5fa0a92d66a236fc")]
pub struct Why {
    #[arg(value_name = "N|FINGERPRINT")]
    what: String,
    #[command(flatten)]
    pub(super) common: Common,
}

impl Why {
    pub(super) async fn run(self, client: &Client, out: Out) -> Result<Exit, Failure> {
        let fingerprints = match self.what.parse::<i64>() {
            Ok(number) if self.what.len() < 16 => {
                let alerts = client.get(&format!("/api/incidents/{number}"), &[]).await?;
                list(&alerts, "alerts").iter().map(|a| text(a, "fingerprint").to_owned()).collect()
            }
            _ => vec![self.what.clone()],
        };
        let mut all = Vec::new();
        for fingerprint in fingerprints {
            all.push(client.get(&format!("/api/alerts/{}/why", segment(&fingerprint)), &[]).await?);
        }
        out.answer(&json!({"items": all}), |_| {
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
            lines
        });
        Ok(Exit::Done)
    }
}

async fn ask(client: &Client, labels: &[String], at: Option<String>) -> Result<Value, Failure> {
    let mut body = json!({"labels": labels.join(" ")});
    if let Some(at) = at {
        body["at"] = json!(at);
    }
    client.post("/api/alerts/simulate", &body).await
}

/// Say what keeps an alert with these labels quiet.
#[derive(Debug, clap::Args)]
#[command(before_long_help = "Examples:\n  tenfold why-not alertname=Down service=photos --at 2026-12-24T20:00:00Z")]
pub struct WhyNot {
    #[arg(value_name = "LABELS", required = true)]
    labels: Vec<String>,
    /// When; now when nothing is said.
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    #[command(flatten)]
    pub(super) common: Common,
}

impl WhyNot {
    pub(super) async fn run(self, client: &Client, out: Out) -> Result<Exit, Failure> {
        let told = ask(client, &self.labels, self.at).await?;
        out.answer(&told, foretold_lines);
        Ok(Exit::Done)
    }
}

/// Play what would become of an alert with these labels within a day: who is told, when and why.
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

//! dashboard: what there is to look at, and dashboards that come from Grafana.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::Common;
use super::client::Client;
use super::exchange::read;
use super::out::{Exit, Failure, Out, list, talk, text};

verb_of_words! {
    /// List dashboards; take one in from a file of Grafana.
    Dashboard,
    "  tenfold dashboard list\n  tenfold dashboard import node-exporter.json --dry-run\n  tenfold dashboard import node-exporter.json --name nodes"
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Names, panels and titles.
    List,
    /// Make a dashboard of a file of Grafana, and say what was left out.
    Import {
        /// The file, or `-` for what comes on stdin.
        file: PathBuf,
        /// Its name here [default: one after its title].
        #[arg(long)]
        name: Option<String>,
        /// Say what would be made, and make nothing.
        #[arg(long)]
        dry_run: bool,
    },
}

impl Dashboard {
    pub(super) async fn run(self, client: &Client, out: Out) -> Result<Exit, Failure> {
        let (file, name, dry_run) = match self.what {
            What::List => {
                let all = client.get("/api/dashboards", &[]).await?;
                out.answer(&all, |all| list(all, "items").iter().map(line).collect());
                return Ok(Exit::Done);
            }
            What::Import { file, name, dry_run } => (file, name, dry_run),
        };
        let mut body = json!({"document": read(&file)?, "dry_run": dry_run});
        if let Some(name) = name {
            body["name"] = json!(name);
        }
        let made = client.post("/api/dashboards/import", &body).await?;
        let report = list(&made, "report");
        out.answer(&made, |_| report.iter().filter_map(Value::as_str).map(str::to_owned).collect());
        let would = if dry_run { "; nothing was saved" } else { "" };
        talk(&format!("{}, {} lines of report{would}", line(&made["dashboard"]), report.len()));
        Ok(Exit::Done)
    }
}

fn line(dashboard: &Value) -> String {
    let panels = list(dashboard, "panels").len();
    format!("{}  {panels} panels  {}", text(dashboard, "name"), text(dashboard, "title"))
}

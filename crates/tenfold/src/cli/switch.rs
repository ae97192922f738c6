//! flag list, on, off, rollout, and the other words of `flag`, which have files of their own.

use serde_json::{Value, json};
use tenfold_app::chat::grammar::DEFAULT_ENVIRONMENT;

use super::Common;
use super::client::{Client, segment};
use super::exchange;
use super::out::{Exit, Failure, Out, list, text};

/// List flags, switch one, set its share.
#[derive(Debug, clap::Args)]
#[command(
    before_long_help = "Examples:\n  tenfold flag list\n  tenfold flag off new_uploader\n  tenfold flag rollout new_uploader 25 --in production"
)]
pub struct Flag {
    #[command(subcommand)]
    what: What,
    #[arg(long = "in", value_name = "ENV", default_value = DEFAULT_ENVIRONMENT, global = true)]
    environment: String,
    #[command(flatten)]
    pub(super) common: Common,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// All flags with their state.
    List,
    /// Switch a flag on.
    On {
        key: String,
    },
    /// Switch a flag off, for everybody, at once.
    Off {
        key: String,
    },
    /// Set the share that gets it.
    Rollout {
        key: String,
        /// Whole per cent from 0 to 100.
        #[arg(value_parser = clap::value_parser!(u8).range(0..=100))]
        percent: u8,
    },
    Import(exchange::Import),
    Export(exchange::Export),
}

impl Flag {
    pub(super) async fn run(self, client: &Client, out: Out) -> Result<Exit, Failure> {
        let environment = self.environment.as_str();
        let flag = match &self.what {
            What::Import(import) => return import.run(client, out).await,
            What::Export(export) => return export.run(client, environment).await,
            What::List => {
                let flags = client.get("/api/flags", &[("environment", environment)]).await?;
                out.answer(&flags, |flags| {
                    let shown = list(flags, "items").iter().filter(|f| f["archived"] != true);
                    shown.map(|f| line(f, environment)).collect()
                });
                return Ok(Exit::Done);
            }
            What::On { key } | What::Off { key } => {
                let enabled = matches!(self.what, What::On { .. });
                let path = format!("/api/flags/{}/switch", segment(key));
                client.post(&path, &json!({"environment": environment, "enabled": enabled})).await?
            }
            What::Rollout { key, percent } => {
                let path = format!("/api/flags/{}/rollout", segment(key));
                client.post(&path, &json!({"environment": environment, "percent": percent})).await?
            }
        };
        out.answer(&flag, |f| vec![line(f, environment)]);
        Ok(Exit::Done)
    }
}

fn line(flag: &Value, environment: &str) -> String {
    let state = &flag["environments"][environment];
    let word = match (state["enabled"].as_bool(), state["rollout_percent"].as_i64()) {
        (Some(true), None) => "on by its strategies".to_owned(),
        (Some(true), Some(100)) => "on".to_owned(),
        (Some(true), Some(percent)) => format!("on for {percent} %"),
        _ => "off".to_owned(),
    };
    format!("{} is {word} in {environment}", text(flag, "key"))
}

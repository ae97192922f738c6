//! doing, search, events: writing into the record and reading it.

use serde_json::{Value, json};

use super::Common;
use super::client::Client;
use super::follow;
use super::out::{Exit, Failure, Out, list, minute, number, text};

fn event_line(event: &Value, out: Out) -> String {
    let shape = match text(event, "severity") {
        word @ ("critical" | "warning" | "good") => {
            let state = out.state(word);
            // Only the shape: the sentence says the rest.
            state.replace(&format!(" {word}"), "")
        }
        _ => "·".to_owned(),
    };
    format!("{} {shape} {}", minute(event, "occurred_at"), text(event, "text"))
}

/// Tell everybody what you are doing, for the record.
#[derive(Debug, clap::Args)]
#[command(before_long_help = "Examples:\n  tenfold doing \"rebooting db2\"\n  tenfold doing rebooting db2")]
pub struct Doing {
    #[arg(required = true)]
    text: Vec<String>,
    #[command(flatten)]
    pub(super) common: Common,
}

impl Doing {
    pub(super) async fn run(self, client: &Client, out: Out) -> Result<Exit, Failure> {
        let said = json!({"text": format!("!doing {}", self.text.join(" "))});
        let answer = client.post("/api/console/messages", &said).await?;
        if let Some(code) = answer["refused"].as_str() {
            return Err(Failure::new(Exit::of_error(code), text(&answer, "reply")));
        }
        out.answer(&answer, |a| vec![text(a, "reply").to_owned()]);
        Ok(Exit::Done)
    }
}

/// Find words in everything that happened and was said.
#[derive(Debug, clap::Args)]
#[command(before_long_help = "Examples:\n  tenfold search rebooting db2\n  tenfold search uploader --limit 100 --json")]
pub struct Search {
    #[arg(required = true)]
    words: Vec<String>,
    #[arg(long, default_value = "50", value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: u32,
    #[command(flatten)]
    pub(super) common: Common,
}

impl Search {
    pub(super) async fn run(self, client: &Client, out: Out) -> Result<Exit, Failure> {
        let (words, limit) = (self.words.join(" "), self.limit.to_string());
        let found = client.get("/api/search", &[("q", &words), ("limit", &limit)]).await?;
        out.answer(&found, |found| list(found, "items").iter().map(|e| event_line(e, out)).collect());
        Ok(Exit::Done)
    }
}

/// Read the record: what happened, newest first; or follow it as it is written.
#[derive(Debug, clap::Args)]
#[command(
    before_long_help = "Examples:\n  tenfold events --kind deploy.,flag.\n  tenfold events --service photos --limit 100\n  tenfold events --follow --json"
)]
pub struct Events {
    /// Kinds, or their beginnings ending in a dot, separated by commas.
    #[arg(long, value_name = "KINDS")]
    kind: Option<String>,
    #[arg(long)]
    service: Option<String>,
    #[arg(long)]
    environment: Option<String>,
    /// Login of who did it.
    #[arg(long)]
    actor: Option<String>,
    /// An instant like 2026-11-23T06:00:00Z.
    #[arg(long)]
    from: Option<String>,
    #[arg(long)]
    to: Option<String>,
    #[arg(long, default_value = "50", value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// Print what happens from now on, until interrupted.
    #[arg(long, conflicts_with_all = ["from", "to", "limit"])]
    follow: bool,
    #[command(flatten)]
    pub(super) common: Common,
}

impl Events {
    pub(super) async fn run(self, client: &Client, out: Out) -> Result<Exit, Failure> {
        if self.follow {
            follow::stream(client, "/api/stream", &[], |event, value| {
                if event.name == "event" && self.wants(value) {
                    out.item(value, |v| event_line(v, out));
                }
                false
            })
            .await?;
            return Ok(Exit::Done);
        }
        let limit = self.limit.to_string();
        let mut query = vec![("limit", limit.as_str())];
        let filters = [
            ("kind", &self.kind),
            ("service", &self.service),
            ("environment", &self.environment),
            ("actor", &self.actor),
            ("from", &self.from),
            ("to", &self.to),
        ];
        query.extend(filters.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?))));
        let events = client.get("/api/events", &query).await?;
        out.answer(&events, |events| list(events, "items").iter().map(|e| event_line(e, out)).collect());
        Ok(Exit::Done)
    }

    fn wants(&self, event: &Value) -> bool {
        let kind = text(event, "kind");
        let kinds = self.kind.as_deref().map(|k| k.split(',').map(str::trim).collect::<Vec<_>>());
        let kind_ok = kinds.is_none_or(|k| k.iter().any(|k| *k == kind || (k.ends_with('.') && kind.starts_with(k))));
        let is = |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|w| w == found);
        number(event, "seq") > 0
            && kind_ok
            && is(&self.service, text(&event["subject"], "service"))
            && is(&self.environment, text(&event["subject"], "environment"))
            && is(&self.actor, text(&event["actor"], "id"))
    }
}

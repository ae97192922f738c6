//! queue: who waits to deploy; and waiting for one's own turn.

use std::time::Duration;

use serde_json::{Value, json};
use tenfold_app::chat::grammar::DEFAULT_ENVIRONMENT;

use super::Common;
use super::client::{Client, segment};
use super::out::{Exit, Failure, Out, list, minute, number, short, talk, text};

/// Between two looks at the queue while one waits for a turn.
const LOOK: Duration = Duration::from_secs(2);

/// Say who waits to deploy; leave the queue, let it go on, take somebody out.
#[derive(Debug, clap::Args)]
#[command(
    before_long_help = "Examples:\n  tenfold queue\n  tenfold queue photos\n  tenfold queue photos leave\n  tenfold queue photos drop raj --reason \"on holiday\"\n  tenfold queue photos go"
)]
pub struct Queue {
    /// Without one: all in which something waits.
    service: Option<String>,
    /// Without a word it says who waits, and for what.
    #[arg(value_parser = ["leave", "drop", "go"])]
    word: Option<String>,
    /// Whose deploy is dropped: a login or the name of a robot.
    #[arg(value_name = "WHO")]
    of: Option<String>,
    #[arg(long = "in", value_name = "ENV", default_value = DEFAULT_ENVIRONMENT)]
    environment: String,
    /// Kept in the record.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    pub(super) common: Common,
}

impl Queue {
    pub(super) async fn run(self, client: &Client, out: Out) -> Result<Exit, Failure> {
        let Some(service) = &self.service else {
            let all = client.get("/api/queues", &[]).await?;
            out.answer(&all, |all| {
                let mut lines: Vec<String> = list(all, "items").iter().flat_map(queue_lines).collect();
                if lines.is_empty() {
                    lines.push("nothing waits to be deployed".to_owned());
                }
                lines
            });
            return Ok(Exit::Done);
        };
        let path = place(service, &self.environment);
        let left = match self.word.as_deref() {
            None => client.get(&path, &[]).await?,
            Some("drop") if self.of.is_none() => {
                return Err(Failure::misuse("whose deploy is dropped is not said").advice("queue SERVICE drop WHO"));
            }
            Some(word) if word != "drop" && self.of.is_some() => {
                return Err(Failure::misuse(format!("`{word}` is for nobody in particular")).advice("leave WHO out"));
            }
            Some(word) => client.post(&path, &json!({"word": word, "of": self.of, "reason": self.reason})).await?,
        };
        out.answer(&left, queue_lines);
        Ok(Exit::Done)
    }
}

fn place(service: &str, environment: &str) -> String {
    format!("/api/queues/{}/{}", segment(service), segment(environment))
}

fn queue_lines(queue: &Value) -> Vec<String> {
    let place = format!("{} to {}", text(queue, "service"), text(queue, "environment"));
    let entries = list(queue, "entries");
    if entries.is_empty() {
        return vec![format!("nothing waits for {place}")];
    }
    let waits = text(queue, "waits_for");
    let mut lines = vec![if waits.is_empty() {
        format!("{place}, {} waiting, the first begins now", entries.len())
    } else {
        format!("{place}, {} waiting for {waits}", entries.len())
    }];
    lines.extend(entries.iter().map(entry_line));
    lines
}

fn entry_line(entry: &Value) -> String {
    let reason = text(entry, "reason");
    let reason = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    let from = if entry["not_before"].is_null() {
        String::new()
    } else {
        format!(", not before {} UTC", minute(entry, "not_before"))
    };
    let who = text(&entry["actor"], "id");
    format!("{}. {} by {who}{from}{reason}", number(entry, "position"), short(text(entry, "sha")))
}

/// Says where a deploy that joined waits, and follows it until it begins: the number of the deploy. With `no_wait`, or when
/// it left the queue without a deploy, nothing.
pub(super) async fn turn(
    client: &Client,
    out: Out,
    (service, environment): (&str, &str),
    waiting: &Value,
    no_wait: bool,
) -> Result<Option<i64>, Failure> {
    let id = number(waiting, "id");
    if no_wait {
        out.answer(waiting, |entry| vec![entry_line(entry)]);
        return Ok(None);
    }
    let path = place(service, environment);
    let mut said = String::new();
    loop {
        let queue = client.get(&path, &[]).await?;
        let Some(entry) = list(&queue, "entries").iter().find(|entry| number(entry, "id") == id) else { break };
        let waits = text(&queue, "waits_for");
        let line = format!("-- number {} in the queue, which waits for {waits}", number(entry, "position"));
        // What it waits for is nothing for the moment before it begins.
        if line != said && !waits.is_empty() {
            talk(&line);
            said = line;
        }
        tokio::time::sleep(LOOK).await;
    }
    let query = [("service", service), ("environment", environment), ("limit", "20")];
    let newest = client.get("/api/deploys", &query).await?;
    let begun = list(&newest, "items").iter().find(|deploy| deploy["queued_as"].as_i64() == Some(id));
    match begun {
        Some(deploy) => Ok(Some(number(deploy, "number"))),
        None => Err(Failure::new(Exit::Refused, "it left the queue and was not deployed")
            .advice(format!("the record says why: tenfold events --service {service}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_told_in_lines() {
        let entry = |position: i64, who: &str| json!({"position": position, "sha": "4f2a91c4f2a91c4", "actor": {"id": who}, "reason": null, "not_before": null});
        let queue = json!({
            "service": "photos", "environment": "production", "waits_for": "deploy 7, which is under way",
            "entries": [entry(1, "ana"), entry(2, "raj")],
        });
        assert_eq!(
            queue_lines(&queue),
            [
                "photos to production, 2 waiting for deploy 7, which is under way",
                "1. 4f2a91c by ana",
                "2. 4f2a91c by raj"
            ]
        );
        let empty = json!({"service": "photos", "environment": "staging", "entries": [], "waits_for": null});
        assert_eq!(queue_lines(&empty), ["nothing waits for photos to staging"]);
    }
}

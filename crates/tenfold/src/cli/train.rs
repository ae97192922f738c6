//! train: people who ship together.

use serde_json::{Value, json};
use tenfold_app::chat::grammar::DEFAULT_ENVIRONMENT;

use super::Common;
use super::client::{Client, segment};
use super::out::{Exit, Failure, Out, list, number, text};

/// Ship together: join a train, look, say good or uh-oh, hold it.
#[derive(Debug, clap::Args)]
#[command(
    before_long_help = "Examples:\n  tenfold train photos\n  tenfold train photos join\n  tenfold train photos graphs\n  tenfold train photos good\n  tenfold train photos uh-oh --reason \"errors went up\""
)]
pub struct Train {
    service: String,
    /// Without a word it says who is on it.
    #[arg(value_parser = ["join", "leave", "graphs", "good", "uh-oh", "clear", "hold", "unhold", "done"])]
    word: Option<String>,
    #[arg(long = "in", value_name = "ENV", default_value = DEFAULT_ENVIRONMENT)]
    environment: String,
    /// Why; `uh-oh` and `hold` need it.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    pub(super) common: Common,
}

impl Train {
    pub(super) async fn run(self, client: &Client, out: Out) -> Result<Exit, Failure> {
        let path = format!("/api/trains/{}/{}", segment(&self.service), segment(&self.environment));
        let none = format!("{} has no train to {}", self.service, self.environment);
        match self.word.as_deref() {
            None => {
                let all = client.get("/api/trains", &[]).await?;
                let ours =
                    |t: &&Value| text(t, "service") == self.service && text(t, "environment") == self.environment;
                let train = list(&all, "items").iter().find(ours).cloned().unwrap_or(Value::Null);
                out.answer(&json!({"train": train}), |left| lines(&left["train"], &none));
            }
            Some("graphs") => {
                let graphs = client.post(&format!("{path}/graphs"), &json!({})).await?;
                out.answer(&graphs, graph_lines);
            }
            Some(word) => {
                let left = client.post(&path, &json!({"word": word, "reason": self.reason})).await?;
                out.answer(&left, |left| lines(&left["train"], &none));
            }
        }
        Ok(Exit::Done)
    }
}

fn lines(train: &Value, none: &str) -> Vec<String> {
    if train.is_null() {
        return vec![none.to_owned()];
    }
    let names = |key: &str| {
        let name = |m: &Value| match m["good"].as_bool() {
            Some(true) => format!("{} (good)", text(m, "name")),
            _ => text(m, "name").to_owned(),
        };
        list(train, key).iter().map(name).collect::<Vec<_>>().join(", ")
    };
    let on =
        if train["deploy"].is_null() { String::new() } else { format!(" with deploy {}", number(train, "deploy")) };
    let place = format!("{} to {}", text(train, "service"), text(train, "environment"));
    let mut lines = vec![format!("{place} is {}{on}: {}", text(train, "phase"), names("members"))];
    for (word, key) in [("held", "hold"), ("uh-oh", "trouble")] {
        if !train[key].is_null() {
            lines.push(format!("{word} by {}: {}", text(&train[key], "name"), text(&train[key], "why")));
        }
    }
    if !list(train, "waiting").is_empty() {
        lines.push(format!("next: {}", names("waiting")));
    }
    lines
}

fn graph_lines(graphs: &Value) -> Vec<String> {
    let value = |v: &Value| v.as_f64().map_or("no data".to_owned(), |v| format!("{v:.4}"));
    let mut lines = vec![format!("deploy {}", number(graphs, "deploy"))];
    let graph = |g: &Value| format!("{} -> {}: {}", value(&g["before"]), value(&g["now"]), text(g, "says"));
    lines.extend(list(graphs, "graphs").iter().map(graph));
    lines.extend(list(graphs, "signs").iter().filter_map(Value::as_str).map(|sign| format!("sign of trouble: {sign}")));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_train_is_told_in_lines() {
        let train = json!({
            "service": "photos", "environment": "production", "phase": "checking", "deploy": 7,
            "members": [{"name": "ana", "good": true}, {"name": "raj", "good": false}], "waiting": [{"name": "mei", "good": false}],
            "hold": null, "trouble": {"name": "raj", "why": "errors"},
        });
        assert_eq!(
            lines(&train, ""),
            ["photos to production is checking with deploy 7: ana (good), raj", "uh-oh by raj: errors", "next: mei"]
        );
        assert_eq!(lines(&Value::Null, "no train"), ["no train"]);
    }
}

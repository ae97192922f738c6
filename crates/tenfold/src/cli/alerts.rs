//! alerts: what fires, one of them whole, and what could not be taken.

use serde_json::{Value, json};

use super::Common;
use super::client::{Client, segment};
use super::out::{Exit, Failure, Out, list, minute, number, talk, text};

verb_of_words! {
    /// List alerts by state or service, and show one whole.
    Alerts,
    "  tenfold alerts list\n  tenfold alerts list --state firing --service photos\n  tenfold alerts show 5fa0a92d66a236fc\n  tenfold alerts refused\n  tenfold alerts refused --again"
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// The active ones, the most urgent first, then those that ended lately.
    List {
        #[arg(long, value_parser = ["pending", "firing", "unknown", "resolved"])]
        state: Option<String>,
        #[arg(long, value_name = "SERVICE")]
        service: Option<String>,
    },
    /// One alert as it stands, or as it ended in the last 30 days.
    Show {
        #[arg(value_name = "FINGERPRINT")]
        fingerprint: String,
    },
    /// Requests that came to a node which does not evaluate alerts, and that the one which does could not take.
    Refused {
        /// Try all of them once more.
        #[arg(long, conflicts_with = "forget")]
        again: bool,
        /// Forget all of them.
        #[arg(long)]
        forget: bool,
    },
}

impl Alerts {
    pub(super) async fn run(self, client: &Client, out: Out) -> Result<Exit, Failure> {
        match self.what {
            What::List { state, service } => {
                let asked = [("state", &state), ("service", &service)];
                let query: Vec<(&str, &str)> =
                    asked.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?))).collect();
                let found = client.get("/api/alerts", &query).await?;
                out.answer(&found, |a| list(a, "items").iter().map(|alert| line(out, alert)).collect());
                if list(&found, "items").is_empty() {
                    talk("no alerts");
                }
                if found["next"].is_string() {
                    talk("there are more: ask by --state or --service");
                }
            }
            What::Show { fingerprint } => {
                let alert = client.get(&format!("/api/alerts/{}", segment(&fingerprint)), &[]).await?;
                out.answer(&alert, |alert| details(out, alert));
            }
            What::Refused { again, forget } => refused(client, out, again, forget).await?,
        }
        Ok(Exit::Done)
    }
}

const REFUSED: &str = "/api/alerts/refused";

async fn refused(client: &Client, out: Out, again: bool, forget: bool) -> Result<(), Failure> {
    if again || forget {
        let settled = if again { client.post(REFUSED, &json!({})).await? } else { client.delete(REFUSED).await? };
        let what = if again { "are tried once more" } else { "are forgotten" };
        out.answer(&settled, |s| vec![format!("{} requests {what}", number(s, "requests"))]);
        let over = number(&settled, "over");
        if over > 0 {
            talk(&format!("without {over} alerts that are over, or of which more was said since"));
        }
        if again && number(&settled, "requests") > 0 {
            talk("each counts as of when it came");
        }
        return Ok(());
    }
    let found = client.get(REFUSED, &[]).await?;
    let line = |r: &Value| {
        let names: Vec<&str> = list(r, "alerts").iter().filter_map(Value::as_str).collect();
        let (total, came) = (number(r, "total"), minute(r, "at"));
        format!("{came} UTC  {total} alerts ({}): {}", names.join(", "), text(r, "why"))
    };
    out.answer(&found, |f| list(f, "items").iter().map(line).collect());
    let (listed, total) = (list(&found, "items").len(), number(&found, "total"));
    if listed == 0 {
        talk("everything was taken");
    } else if i64::try_from(listed).is_ok_and(|listed| listed < total) {
        talk(&format!("the newest {listed} of {total} requests; --again and --forget are about all of them"));
    }
    Ok(())
}

fn line(out: Out, alert: &Value) -> String {
    let state = out.state(text(alert, "state"));
    format!("{}  {state} {}  {}", text(alert, "fingerprint"), text(alert, "severity"), text(alert, "summary"))
}

fn incidents(alert: &Value) -> Vec<String> {
    let first = alert["incident"].as_i64();
    let further = list(alert, "further_incidents").iter().filter_map(Value::as_i64);
    first.into_iter().chain(further).map(|number| number.to_string()).collect()
}

fn details(out: Out, alert: &Value) -> Vec<String> {
    let mut lines = vec![line(out, alert)];
    for (name, key) in [("since", "active_since"), ("fired", "fired_at"), ("over", "resolved_at")] {
        if alert[key].is_string() {
            lines.push(format!("{name}: {} UTC", minute(alert, key)));
        }
    }
    for key in ["description", "runbook_url", "acknowledged_by", "generator_url", "expr"] {
        if !text(alert, key).is_empty() {
            lines.push(format!("{}: {}", key.replace('_', " "), text(alert, key)));
        }
    }
    let incidents = incidents(alert);
    if !incidents.is_empty() {
        lines.push(format!("incident: {}", incidents.join(", ")));
    }
    if let Some(mute) = alert["muted_by"].as_i64() {
        lines.push(format!("muted by: {mute}"));
    }
    let labels = alert["labels"].as_object().into_iter().flatten();
    lines.extend(labels.map(|(name, value)| format!("  {name}={}", value.as_str().unwrap_or_default())));
    let suspects = list(alert, "suspects").iter();
    lines.extend(suspects.map(|s| format!("suspect: {} by {}", text(s, "text"), text(s, "actor_name"))));
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_alert_is_told_with_all_of_its_incidents() {
        let alert = json!({"fingerprint": "5fa0", "state": "firing", "severity": "critical", "summary": "photos is slow",
            "active_since": "2026-11-23T09:12:30Z", "incident": 3, "further_incidents": [4], "labels": {"service": "photos"},
            "suspects": [{"text": "deploy 12", "actor_name": "ana"}]});
        let lines = details(Out::plain(), &alert);
        assert_eq!(
            lines[1..],
            ["since: 2026-11-23 09:12 UTC", "incident: 3, 4", "  service=photos", "suspect: deploy 12 by ana"]
        );
    }
}

//! sources: who else sends alerts here.

use serde_json::{Value, json};

use super::Common;
use super::client::{Client, segment};
use super::files::definition_of;
use super::out::{Exit, Failure, Out, list, minute, number, talk, text};

/// What is tried has this many bytes at most.
const BODY_BYTES_MAX: u64 = 4 << 20;

verb_of_words! {
    /// List senders of alerts (webhooks, Grafana, mail, heartbeats), put and delete one, make a new secret, try a body.
    Sources,
    "  tenfold sources put grafana grafana.yaml\n  tenfold sources list\n  tenfold sources try nightly body.json\n  tenfold sources secret grafana\n  tenfold sources delete grafana"
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// With what each sent and what was refused.
    List,
    /// One source with its definition.
    Show { name: String },
    /// Make or change a source out of a file in YAML or JSON; a new one's secret is printed once.
    Put {
        name: String,
        #[arg(value_name = "FILE")]
        file: std::path::PathBuf,
    },
    /// Say what a body, or a mail, would become; nothing is kept.
    Try {
        name: String,
        #[arg(value_name = "FILE")]
        file: std::path::PathBuf,
    },
    /// Make a new secret; the old one lets nobody in any more.
    Secret { name: String },
    /// Delete a source; its alerts go on until somebody resolves them.
    Delete { name: String },
}

impl Sources {
    pub(super) async fn run(self, client: &Client, out: Out) -> Result<Exit, Failure> {
        let path = |name: &str| format!("/api/alert-sources/{}", segment(name));
        match self.what {
            What::List => {
                let answer = client.get("/api/alert-sources", &[]).await?;
                out.answer(&answer, |a| list(a, "items").iter().map(line).collect());
                if list(&answer, "items").is_empty() {
                    talk("no sources");
                }
            }
            What::Show { name } => {
                let source = client.get(&path(&name), &[]).await?;
                out.answer(&source, |s| {
                    let spec = serde_json::to_string_pretty(&s["spec"]).unwrap_or_default();
                    std::iter::once(line(s)).chain(spec.lines().map(|l| format!("  {l}"))).collect()
                });
            }
            What::Put { name, file } => {
                let put = client.put(&path(&name), &definition_of(&file, &name)?, &[]).await?;
                secret(out, &put);
                super::checks::lacking(&put["source"], &name);
            }
            What::Secret { name } => {
                let made = client.post(&format!("{}/secret", path(&name)), &json!({})).await?;
                secret(out, &made);
            }
            What::Try { name, file } => {
                let wrong = |e: std::io::Error| Failure::misuse(format!("{}: {e}", file.display()));
                if std::fs::metadata(&file).map_err(wrong)?.len() > BODY_BYTES_MAX {
                    let text = format!("{} has more than {BODY_BYTES_MAX} bytes", file.display());
                    return Err(Failure::misuse(text));
                }
                let body = std::fs::read(&file).map_err(wrong)?;
                let tried =
                    client.post_bytes(&format!("{}/try", path(&name)), &[], "application/octet-stream", body).await?;
                out.answer(&tried, |t| list(t, "alerts").iter().map(tried_line).collect());
            }
            What::Delete { name } => {
                let done = client.delete(&path(&name)).await?;
                out.answer(&done, |_| vec![format!("the source {name} is deleted")]);
            }
        }
        Ok(Exit::Done)
    }
}

fn secret(out: Out, put: &Value) {
    out.answer(put, |p| std::iter::once(line(&p["source"])).chain(p["secret"].as_str().map(str::to_owned)).collect());
    if put["secret"].is_string() {
        talk("the last line is its secret, which is shown this once");
    }
}

fn line(source: &Value) -> String {
    let refused = match number(source, "refused") {
        0 => String::new(),
        count => format!(", {count} refused, the last because {}", text(source, "refusal")),
    };
    let last =
        if source["last_at"].is_null() { String::new() } else { format!(", last {}", minute(source, "last_at")) };
    let (name, kind) = (text(source, "name"), text(&source["spec"], "kind"));
    let taken = match &source["heartbeat"] {
        Value::Null => format!("{} taken", number(source, "taken")),
        beat => {
            let due =
                if beat["due_at"].is_null() { String::new() } else { format!(", due {}", minute(beat, "due_at")) };
            format!("{}{due}", text(beat, "state"))
        }
    };
    format!("{name}  {kind}  {}  {taken}{last}{refused}", text(source, "address"))
}

fn tried_line(alert: &Value) -> String {
    let labels = alert["labels"].as_object().into_iter().flatten();
    let labels: Vec<String> = labels.map(|(name, value)| format!("{name}={value}")).collect();
    format!(
        "{}  {}  {}  {}",
        text(alert, "state"),
        text(alert, "key"),
        text(&alert["annotations"], "summary"),
        labels.join(" ")
    )
}

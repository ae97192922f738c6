//! policies: who is paged, in which order.

use serde_json::Value;
use tenfold_types::format_duration_ms;

use super::Common;
use super::client::{Client, segment};
use super::files::{definition, definition_of};
use super::out::{Exit, Failure, Out, list, number, talk, text};

verb_of_words! {
    /// List escalation policies, show, put and delete one, say whom it would page now.
    Policies,
    "  tenfold policies list\n  tenfold policies show photos\n  tenfold policies put photos policy.yaml\n  tenfold policies preview photos\n  tenfold policies preview --file policy.yaml\n  tenfold policies delete photos"
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// All of them.
    List,
    /// The steps of one.
    Show { name: String },
    /// Make or change a policy out of a file in YAML or JSON.
    Put {
        name: String,
        #[arg(value_name = "FILE")]
        file: std::path::PathBuf,
    },
    /// Delete a policy; what goes by it goes by the one of the service, or `default`.
    Delete { name: String },
    /// Whom it would page if an incident opened now and nobody acknowledged.
    Preview {
        #[arg(required_unless_present = "file")]
        name: Option<String>,
        /// Of a policy that need not be there.
        #[arg(long, value_name = "FILE", conflicts_with = "name")]
        file: Option<std::path::PathBuf>,
    },
}

/// Whom of a policy no page reaches, and whether it reaches anybody.
fn unreached(readiness: &Value, policy: &str) -> Vec<String> {
    let names_it = |person: &&Value| list(person, "policies").iter().any(|name| name.as_str() == Some(policy));
    let gone = |person: &Value| {
        let why: Vec<&str> = list(person, "troubles").iter().map(|trouble| text(trouble, "text")).collect();
        format!("{} {}", text(person, "name"), why.join(" and "))
    };
    let people = list(readiness, "people").iter().filter(|p| p["unreachable"] == true).filter(names_it).map(gone);
    let whole =
        list(readiness, "unreached").iter().filter(|of| text(of, "kind") == "policy" && text(of, "name") == policy);
    people.chain(whole.map(|of| format!("the policy {policy} {}", text(of, "text")))).collect()
}

impl Policies {
    pub(super) async fn run(self, client: &Client, out: Out) -> Result<Exit, Failure> {
        let path = |name: &str| format!("/api/policies/{}", segment(name));
        match self.what {
            What::List => {
                let all = client.get("/api/policies", &[]).await?;
                out.answer(&all, |a| list(a, "items").iter().map(line).collect());
                if list(&all, "items").is_empty() {
                    talk("no policies: nobody is paged");
                }
            }
            What::Show { name } => {
                let policy = policy(client, &name).await?;
                out.answer(&policy, steps);
            }
            What::Put { name, file } => {
                let policy = client.put(&path(&name), &definition_of(&file, &name)?, &[]).await?;
                out.answer(&policy, steps);
                // It is put whatever comes of this.
                if let Ok(found) = client.get("/api/readiness", &[]).await {
                    for line in unreached(&found, &name) {
                        talk(&line);
                    }
                }
            }
            What::Delete { name } => {
                let done = client.delete(&path(&name)).await?;
                out.answer(&done, |_| vec![format!("the policy {name} is deleted")]);
            }
            What::Preview { name, file } => {
                let mut body = match (file, name) {
                    (Some(file), _) => Value::Object(definition(&file)?),
                    (None, Some(name)) => policy(client, &name).await?,
                    (None, None) => return Err(Failure::misuse("name a policy, or a `--file` with one")),
                };
                // Its name is not part of what is played.
                if let Some(fields) = body.as_object_mut() {
                    fields.remove("name");
                }
                let played = client.post("/api/policies/preview", &body).await?;
                out.answer(&played, |p| list(p, "steps").iter().map(page).collect());
            }
        }
        Ok(Exit::Done)
    }
}

async fn policy(client: &Client, name: &str) -> Result<Value, Failure> {
    let all = client.get("/api/policies", &[]).await?;
    let found = list(&all, "items").iter().find(|policy| text(policy, "name") == name);
    found.cloned().ok_or_else(|| {
        Failure::failed(format!("there is no policy {name}")).advice("`tenfold policies list` names them")
    })
}

fn line(policy: &Value) -> String {
    format!("{}  {} steps, {} more rounds", text(policy, "name"), list(policy, "steps").len(), number(policy, "repeat"))
}

fn steps(policy: &Value) -> Vec<String> {
    let target = |target: &Value| {
        let behind = match number(target, "offset") {
            0 => String::new(),
            offset => format!(" (+{offset})"),
        };
        format!("{} {}{behind}", text(target, "kind"), text(target, "name"))
    };
    let step = |(i, step): (usize, &Value)| {
        let targets: Vec<String> = list(step, "targets").iter().map(target).collect();
        let robin = if step["round_robin"] == true { ", one of them in turn" } else { "" };
        let waits = format_duration_ms(number(step, "delay_ms"));
        format!("  {} {}{robin}; waits {waits}", i + 1, targets.join(" and "))
    };
    let first =
        policy["deployer_first"].is_object().then(|| "  first who deployed the service shortly before".to_owned());
    let numbered = list(policy, "steps").iter().enumerate().map(step);
    let held = policy["ack_timeout_ms"].as_i64();
    let held =
        held.map(|ms| format!("  an acknowledgement holds for {}, then all of it again", format_duration_ms(ms)));
    std::iter::once(line(policy)).chain(first).chain(numbered).chain(held).collect()
}

fn page(step: &Value) -> String {
    let names = |key: &str| list(step, key).iter().map(|p| text(p, "name").to_owned()).collect::<Vec<_>>();
    let (people, shadows) = (names("people"), names("shadows"));
    let who = if people.is_empty() { "nobody, it is passed over".to_owned() } else { people.join(" and ") };
    let copy = if shadows.is_empty() { String::new() } else { format!(", a copy to {}", shadows.join(" and ")) };
    let after = format_duration_ms(number(step, "after_ms"));
    format!("after {after}: step {}, round {}: {who}{copy}", number(step, "step"), number(step, "round"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_policy_is_told_step_by_step() {
        let policy = json!({"name": "photos", "repeat": 1, "deployer_first": {"within_ms": 1, "delay_ms": 1}, "steps": [
            {"delay_ms": 60_000, "round_robin": true, "targets": [{"kind": "schedule", "name": "primary", "offset": 1}]},
            {"delay_ms": 120_000, "targets": [{"kind": "person", "name": "raj"}, {"kind": "person", "name": "mei"},
                {"kind": "team", "name": "web"}]},
        ]});
        assert_eq!(
            steps(&policy),
            [
                "photos  2 steps, 1 more rounds",
                "  first who deployed the service shortly before",
                "  1 schedule primary (+1), one of them in turn; waits 1m",
                "  2 person raj and person mei and team web; waits 2m",
            ]
        );
        let played =
            json!({"step": 1, "round": 1, "after_ms": 0, "people": [{"name": "Ana"}], "shadows": [{"name": "Mei"}]});
        assert!(page(&played).ends_with("step 1, round 1: Ana, a copy to Mei"), "{}", page(&played));
        let nobody = json!({"step": 2, "round": 1, "after_ms": 60_000, "people": []});
        assert_eq!(page(&nobody), "after 1m: step 2, round 1: nobody, it is passed over");
    }
}

//! environment list, set: where flags, deploys and tokens belong.

use serde_json::{Value, json};

use super::Common;
use super::client::{Client, segment};
use super::out::{Exit, Failure, Out, list, text};

verb_of_words! {
    /// List and make environments; say where changes of flags wait for a second person.
    Environment,
    "  tenfold environment list\n  tenfold environment set staging\n  tenfold environment set production --four-eyes on"
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Switch {
    On,
    Off,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// All environments in order; the first is meant where none is named.
    List,
    /// Make an environment, or change what holds in it; what is not given stays.
    Set {
        name: String,
        /// Changes of flags wait for a second person; switching off never does.
        #[arg(long, value_name = "on|off")]
        four_eyes: Option<Switch>,
    },
}

impl Environment {
    pub(super) async fn run(self, client: &Client, out: Out) -> Result<Exit, Failure> {
        match self.what {
            What::List => {
                let environments = client.get("/api/environments", &[]).await?;
                out.answer(&environments, |e| list(e, "items").iter().map(line).collect());
            }
            What::Set { name, four_eyes } => {
                let there = client.get("/api/environments", &[]).await?;
                let there = list(&there, "items").iter().find(|e| text(e, "name") == name).cloned();
                let environment = match (four_eyes, there) {
                    (None, Some(there)) => there,
                    (None, None) => client.post("/api/environments", &json!({"name": name})).await?,
                    (Some(switch), _) => {
                        let body = json!({"four_eyes": switch == Switch::On});
                        client.put(&format!("/api/environments/{}", segment(&name)), &body, &[]).await?
                    }
                };
                out.answer(&environment, |e| vec![line(e)]);
            }
        }
        Ok(Exit::Done)
    }
}

fn line(environment: &Value) -> String {
    let wants = if environment["four_eyes"] == true { ": changes of flags want a second person" } else { "" };
    format!("{}{wants}", text(environment, "name"))
}

//! project list, create, delete: the projects that flags belong to.

use serde_json::{Value, json};

use super::Common;
use super::client::{Client, segment};
use super::out::{Exit, Failure, Out, list, text};

verb_of_words! {
    /// List, make and delete the projects that flags belong to.
    Project,
    "  tenfold project list\n  tenfold project create photos --description \"What the photo service asks\"\n  tenfold project delete photos"
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// All projects with how many flags they have.
    List,
    /// Make a project, or describe one that is there.
    Create {
        name: String,
        #[arg(long, default_value = "")]
        description: String,
    },
    /// Delete a project without flags.
    Delete { name: String },
}

impl Project {
    pub(super) async fn run(self, client: &Client, out: Out) -> Result<Exit, Failure> {
        match self.what {
            What::List => {
                let projects = client.get("/api/flag-projects", &[]).await?;
                out.answer(&projects, |p| list(p, "items").iter().map(line).collect());
            }
            What::Create { name, description } => {
                let path = format!("/api/flag-projects/{}", segment(&name));
                let project = client.put(&path, &json!({"description": description}), &[]).await?;
                out.answer(&project, |p| vec![line(p)]);
            }
            What::Delete { name } => {
                let done = client.delete(&format!("/api/flag-projects/{}", segment(&name))).await?;
                out.answer(&done, |_| vec!["deleted".to_owned()]);
            }
        }
        Ok(Exit::Done)
    }
}

fn line(project: &Value) -> String {
    let (name, about) = (text(project, "name"), text(project, "description"));
    let flags = project["flags"].as_u64().unwrap_or_default();
    let about = if about.is_empty() { String::new() } else { format!(": {about}") };
    format!("{name} ({flags} flags){about}")
}

//! host list, enrol, enrolments, certificates, revoke, remove: which hosts may come in.

use serde_json::{Value, json};

use super::Common;
use super::client::{Client, segment};
use super::out::{Exit, Failure, Out, list, minute, talk, text};

verb_of_words! {
    /// Let hosts in and out: enrolment tokens, certificates.
    Host,
    "  tenfold host list\n  tenfold host enrol web-1 --environment production > /etc/tenfold/enrolment\n  tenfold host certificates\n  tenfold host revoke web-1"
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// All hosts and whether they are connected.
    List,
    /// Let a host come in once; the token for its agent is printed this once.
    Enrol {
        name: String,
        #[arg(long, value_name = "NAME", default_value = "production")]
        environment: String,
        /// How long the token is good, in minutes.
        #[arg(long, value_name = "MINUTES", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=10_080))]
        good_for: u32,
    },
    /// The enrolments that wait for their host.
    Enrolments {
        /// Take this one back.
        #[arg(long, value_name = "ID")]
        remove: Option<String>,
    },
    /// The certificates of hosts that are good.
    Certificates,
    /// Make a host's certificates worthless, at once; it has to be enrolled again.
    Revoke { name: String },
    /// Forget a host that is gone for good.
    Remove { name: String },
}

impl Host {
    pub(super) async fn run(self, client: &Client, out: Out) -> Result<Exit, Failure> {
        match self.what {
            What::List => {
                let hosts = client.get("/api/hosts", &[]).await?;
                out.answer(&hosts, |h| list(h, "items").iter().map(host_line).collect());
            }
            What::Enrol { name, environment, good_for } => {
                let body = json!({"host": name, "environment": environment, "good_for_s": good_for * 60});
                let made = client.post("/api/agents/enrolments", &body).await?;
                talk(&format!("good once, until {} UTC; shown this once", minute(&made, "expires_at")));
                out.answer(&made, |m| vec![text(m, "secret").to_owned()]);
            }
            What::Enrolments { remove: Some(id) } => {
                let done = client.delete(&format!("/api/agents/enrolments/{}", segment(&id))).await?;
                out.answer(&done, |_| vec!["taken back".to_owned()]);
            }
            What::Enrolments { remove: None } => {
                let waiting = client.get("/api/agents/enrolments", &[]).await?;
                out.answer(&waiting, |w| list(w, "items").iter().map(enrolment_line).collect());
            }
            What::Certificates => {
                let good = client.get("/api/agents/certificates", &[]).await?;
                out.answer(&good, |g| list(g, "items").iter().map(certificate_line).collect());
            }
            What::Revoke { name } => {
                let done = client.delete(&format!("/api/agents/certificates/{}", segment(&name))).await?;
                out.answer(&done, |d| vec![format!("{} revoked", d["revoked"])]);
            }
            What::Remove { name } => {
                let done = client.delete(&format!("/api/hosts/{}", segment(&name))).await?;
                out.answer(&done, |_| vec!["removed".to_owned()]);
            }
        }
        Ok(Exit::Done)
    }
}

fn host_line(host: &Value) -> String {
    format!("{} {} {}", text(host, "name"), text(host, "environment"), text(host, "state"))
}

fn enrolment_line(one: &Value) -> String {
    let (id, host, environment) = (text(one, "id"), text(one, "host"), text(one, "environment"));
    format!("{id} {host} {environment}, by {}, until {} UTC", text(one, "created_by"), minute(one, "expires_at"))
}

fn certificate_line(one: &Value) -> String {
    let (host, environment) = (text(one, "host"), text(one, "environment"));
    format!("{host} {environment} until {} UTC, {}", minute(one, "expires_at"), text(one, "fingerprint"))
}

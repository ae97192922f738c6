//! login, logout, token, setup, completions.

use std::io::{BufRead, IsTerminal, Write};

use clap::CommandFactory;
use reqwest::Method;
use serde_json::{Value, json};

use super::Common;
use super::client::{Client, segment};
use super::config::{self, Saved};
use super::out::{Exit, Failure, Out, list, minute, talk, text};

const SERVER_DEFAULT: &str = "http://127.0.0.1:7070";

/// Sign in and remember it for the verbs that follow.
#[derive(Debug, clap::Args)]
#[command(
    before_long_help = "Examples:\n  tenfold login ana --server https://tenfold.example.org\n  tenfold login ana < password.txt"
)]
pub struct Login {
    login: String,
    /// Address of the server.
    #[arg(long, value_name = "URL", env = "TENFOLD_URL", default_value = SERVER_DEFAULT)]
    server: String,
}

impl Login {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let password = password("Password: ")?;
        let client = Client::to(&self.server)?;
        let body = json!({"login": self.login, "password": password});
        let (_, session) = client.session(Method::POST, "/api/session", Some(&body)).await?;
        remember(&client, session, &self.login)
    }
}

fn remember(client: &Client, session: Option<String>, login: &str) -> Result<Exit, Failure> {
    let Some(session) = session else {
        return Err(Failure::failed(format!("{} gave no session", client.base())).advice("is this a tenfold server?"));
    };
    let saved = Saved { server: Some(client.base().to_owned()), session: Some(session), login: Some(login.to_owned()) };
    let path = config::save(&saved)?;
    talk(&format!("signed in as {login}; kept in {}", path.display()));
    Ok(Exit::Done)
}

/// Forget the sign-in.
#[derive(Debug, clap::Args)]
#[command(before_long_help = "Examples:\n  tenfold logout")]
pub struct Logout {}

impl Logout {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let saved = config::load()?;
        if saved.session.is_some() {
            let client = Client::new(&Common { server: None, token: None, json: false }).await?;
            // Forgotten here even when the server cannot be told.
            if let Err(failure) = client.delete("/api/session").await {
                talk(&format!("the server was not told: {}", failure.message));
            }
        }
        config::save(&Saved { session: None, login: None, ..saved })?;
        talk("signed out");
        Ok(Exit::Done)
    }
}

/// Make the first account, out of the link the server printed.
#[derive(Debug, clap::Args)]
#[command(before_long_help = "Examples:\n  tenfold setup \"http://127.0.0.1:7070/setup?token=...\" ana --name Ana")]
pub struct Setup {
    /// The link as the server printed it.
    #[arg(value_name = "LINK")]
    link: String,
    login: String,
    /// Name to show [default: the login].
    #[arg(long)]
    name: Option<String>,
}

impl Setup {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let Some((base, token)) = self.link.split_once("/setup?token=") else {
            return Err(
                Failure::misuse("this is not a setup link").advice("give it in quotes, as the server printed it")
            );
        };
        let client = Client::to(base)?;
        let password = password("New password: ")?;
        let name = self.name.as_deref().unwrap_or(&self.login);
        let body = json!({"token": token, "login": self.login, "name": name, "password": password});
        let (_, session) = client.session(Method::POST, "/api/setup", Some(&body)).await?;
        remember(&client, session, &self.login)
    }
}

/// From the terminal without showing it, else the first line of stdin. Never from an argument: those are seen by others.
fn password(prompt: &str) -> Result<String, Failure> {
    let stdin = std::io::stdin();
    let terminal = stdin.is_terminal();
    if terminal {
        let _ = write!(std::io::stderr(), "{prompt}");
    }
    let hidden = terminal && echo(false);
    let mut line = String::new();
    let read = stdin.lock().read_line(&mut line);
    if hidden {
        echo(true);
        let _ = writeln!(std::io::stderr());
    }
    read.map_err(|e| Failure::failed(format!("the password cannot be read: {e}")))?;
    let line = line.trim_end_matches(['\r', '\n']);
    if line.is_empty() {
        return Err(Failure::misuse("there is no password").advice("type it, or give it as the first line of stdin"));
    }
    Ok(line.to_owned())
}

fn echo(on: bool) -> bool {
    let how = if on { "echo" } else { "-echo" };
    std::process::Command::new("stty").arg(how).status().is_ok_and(|s| s.success())
}

verb_of_words! {
    /// Make, list and revoke tokens of robots, agents and flag clients.
    Token,
    "  tenfold token create ci --kind robot --role deployer\n  tenfold token create photos-web --kind client --environment production --project photos\n  tenfold token create prometheus --kind metrics\n  tenfold token list\n  tenfold token revoke ID"
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Make a token; its secret is printed this once.
    Create {
        name: String,
        #[arg(long, default_value = "robot", value_parser = ["robot", "agent", "client", "frontend", "metrics"])]
        kind: String,
        /// What a robot may do.
        #[arg(long, value_parser = ["viewer", "responder", "deployer", "admin"])]
        role: Option<String>,
        /// The only service a robot may touch.
        #[arg(long)]
        service: Option<String>,
        /// The environment a flag client reads, or the only one a robot may touch.
        #[arg(long)]
        environment: Option<String>,
        /// A project a flag client reads; may be given several times, none for all.
        #[arg(long = "project", value_name = "PROJECT")]
        projects: Vec<String>,
    },
    /// All tokens that are good.
    List,
    /// Make a token useless, at once.
    Revoke { id: String },
}

impl Token {
    pub(super) async fn run(self, client: &Client, out: Out) -> Result<Exit, Failure> {
        match self.what {
            What::Create { name, kind, role, service, environment, projects } => {
                let mut body = json!({"name": name, "kind": kind});
                for (key, value) in [("role", role), ("service", service), ("environment", environment)] {
                    if let Some(value) = value {
                        body[key] = value.into();
                    }
                }
                if !projects.is_empty() {
                    body["projects"] = projects.into();
                }
                let made = client.post("/api/tokens", &body).await?;
                talk("shown this once; keep it safe");
                out.answer(&made, |t| vec![text(t, "secret").to_owned()]);
            }
            What::List => {
                let tokens = client.get("/api/tokens", &[]).await?;
                out.answer(&tokens, |t| list(t, "items").iter().map(token_line).collect());
            }
            What::Revoke { id } => {
                let done = client.delete(&format!("/api/tokens/{}", segment(&id))).await?;
                out.answer(&done, |_| vec!["revoked".to_owned()]);
            }
        }
        Ok(Exit::Done)
    }
}

fn token_line(token: &Value) -> String {
    let used = minute(token, "last_used_at");
    let used = if used.is_empty() { "never used".to_owned() } else { format!("last used {used} UTC") };
    let said = |before: &str, key: &str| {
        let value = text(token, key);
        (!value.is_empty()).then(|| format!("{before}{value}"))
    };
    let parts = [("", "id"), ("", "kind"), ("", "name"), ("", "role"), ("on ", "service"), ("in ", "environment")];
    let parts: Vec<String> = parts.into_iter().filter_map(|(before, key)| said(before, key)).collect();
    format!("{}, {used}", parts.join(" "))
}

/// Print completions for a shell.
#[derive(Debug, clap::Args)]
#[command(
    before_long_help = "Examples:\n  tenfold completions bash > /etc/bash_completion.d/tenfold\n  tenfold completions zsh"
)]
pub struct Completions {
    shell: clap_complete::Shell,
}

impl Completions {
    pub(super) fn run(self) -> Result<Exit, Failure> {
        let mut command = crate::Cli::command();
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, "tenfold", &mut script);
        std::io::stdout()
            .write_all(&script)
            .map_err(|e| Failure::failed(format!("the completions cannot be written: {e}")))?;
        Ok(Exit::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_listed_with_what_it_may() {
        let robot = json!({"id": "7", "kind": "robot", "name": "ci", "role": "deployer", "service": "photos",
            "environment": "production", "last_used_at": null});
        assert_eq!(token_line(&robot), "7 robot ci deployer on photos in production, never used");
        let metrics = json!({"id": "8", "kind": "metrics", "name": "p", "role": null, "last_used_at": "2026-11-28T04:50:00.000Z"});
        assert_eq!(token_line(&metrics), "8 metrics p, last used 2026-11-28 04:50 UTC");
    }
}

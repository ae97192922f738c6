//! The worker: runs what people ask, one after another, so that a slow command never keeps the connection from breathing.

use std::time::Duration;

use tenfold_app::App;
use tenfold_app::chat::{LinkKind, Speaker};
use tenfold_protocols::irc::Prefix;
use tenfold_types::{Fault, Severity};
use tokio::sync::mpsc;

/// A command that takes longer is answered with that; what it started goes on.
const COMMAND: Duration = Duration::from_mins(1);
pub const JOBS_MAX: usize = 200;

/// Something to do for somebody in a room.
#[derive(Debug)]
pub enum Job {
    /// Runs `line`, which was `said`, for the person `login`, and answers to `target`.
    Command {
        login: Option<String>,
        nick: String,
        target: String,
        said: String,
        line: String,
    },
    /// Writes down what was said.
    Say {
        login: Option<String>,
        nick: String,
        text: String,
    },
    /// Binds an identity by a code.
    Link {
        kind: LinkKind,
        prefix: Prefix,
        account: Option<String>,
        code: String,
    },
    Unlink {
        identity: String,
    },
    /// Keeps when a bound connection signed on.
    Signon {
        identity: String,
        signon_s: i64,
    },
}

/// What became of it.
#[derive(Debug)]
pub enum Outcome {
    Reply { nick: String, target: String, lines: Vec<String>, severity: Severity },
    Linked { kind: LinkKind, prefix: Prefix, account: Option<String>, login: String },
    NotLinked { prefix: Prefix, fault: Fault },
}

pub async fn run(app: App, room: String, mut jobs: mpsc::Receiver<Job>, outcomes: mpsc::Sender<Outcome>) {
    while let Some(job) = jobs.recv().await {
        if let Some(outcome) = work(&app, &room, job).await
            && outcomes.send(outcome).await.is_err()
        {
            return;
        }
    }
}

async fn speaker(app: &App, room: &str, login: Option<String>, nick: String) -> Speaker {
    let caller = match login {
        None => None,
        // An account that was closed since is nobody.
        Some(login) => app.chat_caller(&login).await.ok().flatten(),
    };
    Speaker { room: room.to_owned(), nick, caller }
}

async fn work(app: &App, room: &str, job: Job) -> Option<Outcome> {
    match job {
        Job::Command { login, nick, target, said, line } => {
            let speaker = speaker(app, room, login, nick.clone()).await;
            let answer = tokio::time::timeout(COMMAND, app.chat_command(&speaker, &said, &line)).await;
            let (lines, severity) = match answer {
                Ok(reply) => (reply.lines, reply.severity),
                Err(_) => (vec![format!("no answer within {COMMAND:?}; it may still happen")], Severity::Warning),
            };
            Some(Outcome::Reply { nick, target, lines, severity })
        }
        Job::Say { login, nick, text } => {
            let speaker = speaker(app, room, login, nick).await;
            if let Err(fault) = app.chat_say(&speaker, &text).await {
                tracing::warn!(%fault, "what was said in {room} could not be recorded");
            }
            None
        }
        Job::Link { kind, prefix, account, code } => {
            let identity = account.clone().unwrap_or_else(|| prefix.to_string());
            Some(match app.chat_link_claim(room, kind, &identity, None, &code).await {
                Ok(login) => Outcome::Linked { kind, prefix, account, login },
                Err(fault) => Outcome::NotLinked { prefix, fault },
            })
        }
        Job::Unlink { identity } => {
            if let Err(fault) = app.chat_unlink(room, LinkKind::Session, &identity).await {
                tracing::warn!(%fault, "a chat link that ended could not be forgotten");
            }
            None
        }
        Job::Signon { identity, signon_s } => {
            if let Err(fault) = app.chat_link_signon(room, &identity, signon_s).await {
                tracing::warn!(%fault, "a chat link's sign-on could not be kept");
            }
            None
        }
    }
}

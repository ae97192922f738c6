//! From a command to the use case behind it, and back to a few lines. Decides nothing: rights and rules are the use cases'.

use tenfold_types::{ErrorCode, Fault, Severity};

use super::grammar::{self, Command};
use crate::{App, Caller};

/// The answer to a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub lines: Vec<String>,
    pub severity: Severity,
    /// Why it was not done, if it was not.
    pub refused: Option<ErrorCode>,
}

impl Reply {
    pub fn line(text: impl Into<String>) -> Self {
        Self::lines(vec![text.into()])
    }
    pub fn lines(lines: Vec<String>) -> Self {
        Self { lines, severity: Severity::Info, refused: None }
    }
    /// One sentence of what is wrong and what to do.
    pub fn refusal(fault: &Fault) -> Self {
        let text = if fault.advice.is_empty() {
            fault.message.clone()
        } else {
            format!("{}; {}", fault.message.trim_end_matches('.'), fault.advice)
        };
        Self { lines: vec![text], severity: Severity::Warning, refused: Some(fault.code) }
    }
    pub fn text(&self) -> String {
        self.lines.join("\n")
    }
}

impl App {
    /// Runs a command with the rights of `who`.
    pub async fn execute(&self, who: &Caller, command: Command) -> Result<Reply, Fault> {
        match command {
            Command::Help { verb } => Ok(Reply::lines(grammar::help(verb))),
            Command::Doing { text } => {
                self.chat_doing(who, &text).await?;
                Ok(Reply::line("noted"))
            }
            Command::Link { .. } => {
                Err(Fault::invalid("a link code is said to the bot alone, in the chat network it is for"))
            }
            other => Err(Fault::unavailable(format!("`{}` is not served here", other.verb()))),
        }
    }
}

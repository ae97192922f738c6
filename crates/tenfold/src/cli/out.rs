//! What is printed where, and how a run ends.

use std::io::IsTerminal;
use std::process::ExitCode;

use serde_json::Value;

/// How a run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Done,
    Failed,
    Misuse,
    Refused,
    /// It may have happened, or it waits for a person.
    Inconclusive,
}

impl Exit {
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Misuse => 2,
            Self::Refused => 3,
            Self::Inconclusive => 4,
        }
    }
    /// The exit for a code of the server's table of errors.
    pub fn of_error(code: &str) -> Self {
        match code {
            "bad_request" | "invalid" | "unsupported_media_type" | "method_not_allowed" | "too_large" => Self::Misuse,
            "unauthenticated" | "forbidden" | "conflict" | "gone" | "changed" | "locked" | "too_many_requests" => {
                Self::Refused
            }
            "timeout" => Self::Inconclusive,
            _ => Self::Failed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why it was not done: one sentence, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub exit: Exit,
    pub message: String,
    pub advice: String,
}

impl Failure {
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), advice: String::new() }
    }
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, message)
    }
    pub fn misuse(message: impl Into<String>) -> Self {
        Self::new(Exit::Misuse, message)
    }
    pub fn advice(mut self, advice: impl Into<String>) -> Self {
        self.advice = advice.into();
        self
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)?;
        if !self.advice.is_empty() {
            write!(f, "\n  {}", self.advice)?;
        }
        Ok(())
    }
}

/// Stdout for data, stderr for talk.
#[derive(Debug, Clone, Copy)]
pub struct Out {
    pub json: bool,
    colour: bool,
}

impl Out {
    pub fn new(json: bool) -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
        Self { json, colour: wanted && std::io::stdout().is_terminal() }
    }

    /// Lines without colours, wherever a test runs.
    #[cfg(test)]
    pub fn plain() -> Self {
        Self { json: false, colour: false }
    }

    /// Prints the answer: as it came, or as lines.
    pub fn answer(self, value: &Value, lines: impl FnOnce(&Value) -> Vec<String>) {
        if self.json {
            data(&format!("{value:#}"));
        } else {
            for line in lines(value) {
                data(&line);
            }
        }
    }

    /// One value of a stream: a line of JSON, or of text.
    pub fn item(self, value: &Value, line: impl FnOnce(&Value) -> String) {
        data(&if self.json { value.to_string() } else { line(value) });
    }

    /// The shape and the word of a state, coloured on a terminal.
    pub fn state(self, word: &str) -> String {
        let (shape, colour) = match word {
            "critical" | "failed" | "firing" | "down" => ("▲", "31"),
            "warning" | "awaiting_approval" | "held" | "needs_human" | "interrupted" | "rolled_back" => ("◆", "33"),
            "succeeded" | "good" | "resolved" | "connected" | "healthy" | "up" => ("●", "32"),
            "unknown" => ("○", "36"),
            _ => ("·", "0"),
        };
        let text = format!("{shape} {}", word.replace('_', " "));
        if self.colour { format!("\u{1b}[{colour}m{text}\u{1b}[0m") } else { text }
    }
}

pub fn data(line: &str) {
    use std::io::Write;
    // A reader that went away (`| head`) is no failure of ours.
    if writeln!(std::io::stdout(), "{}", printable(line)).is_err() {
        std::process::exit(0);
    }
}

/// Talk, for people.
pub fn talk(line: &str) {
    eprintln!("{}", printable(line));
}

/// What others wrote must not steer the terminal; our own colours are the only escape sequences that pass.
fn printable(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find('\u{1b}') {
        clean(&rest[..at], &mut out);
        let after = &rest[at + 1..];
        let colour = ["[0m", "[31m", "[32m", "[33m", "[36m"].iter().find(|c| after.starts_with(**c));
        match colour {
            Some(code) => {
                out.push('\u{1b}');
                out.push_str(code);
                rest = &after[code.len()..];
            }
            None => rest = after,
        }
    }
    clean(rest, &mut out);
    out
}

fn clean(text: &str, out: &mut String) {
    out.extend(text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')));
}

/// A field as text; empty when it is not there.
pub fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or("")
}

/// A field as a whole number; 0 when it is not there.
pub fn number(value: &Value, key: &str) -> i64 {
    value.get(key).and_then(Value::as_i64).unwrap_or(0)
}

/// A field as a list; empty when it is not there.
pub fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// `2026-11-23 09:12` of an RFC 3339 instant.
pub fn minute(value: &Value, key: &str) -> String {
    text(value, key).get(..16).unwrap_or("").replace('T', " ")
}

/// `2026-11-23 09:12:30` of an RFC 3339 instant, where seconds tell one thing from the next.
pub fn second(value: &Value, key: &str) -> String {
    text(value, key).get(..19).unwrap_or("").replace('T', " ")
}

/// The first seven of a commit.
pub fn short(sha: &str) -> &str {
    sha.get(..7).unwrap_or(sha)
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn a_commit_message_cannot_steer_the_terminal() {
        assert_eq!(printable("a\u{1b}]0;title\u{7}b\u{1b}[2Jc\r"), "a]0;titleb[2Jc");
        assert_eq!(printable("\u{1b}[31m▲ failed\u{1b}[0m"), "\u{1b}[31m▲ failed\u{1b}[0m");
    }

    #[test]
    fn every_error_code_has_an_exit() {
        for code in tenfold_types::ErrorCode::ALL {
            let exit = Exit::of_error(code.code());
            let wanted = match code.http_status() {
                400 | 405 | 413 | 415 | 422 => Exit::Misuse,
                401 | 403 | 409 | 410 | 412 | 423 | 429 => Exit::Refused,
                504 => Exit::Inconclusive,
                _ => Exit::Failed,
            };
            assert_eq!(exit, wanted, "{}", code.code());
        }
    }
}

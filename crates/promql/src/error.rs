//! What can go wrong with a query, and where in its text.

use serde::Serialize;

/// A range of bytes of the query text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Span {
    pub start: usize,
    pub end: usize,
}

impl Span {
    pub const fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }
    pub(crate) fn to(self, other: Self) -> Self {
        Self { start: self.start.min(other.start), end: self.end.max(other.end) }
    }
    /// Line and column of the start, counted from 1.
    pub fn line_column(self, text: &str) -> (usize, usize) {
        let before = text.get(..self.start).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        (line, column)
    }
}

/// Of a line that is longer this many characters are shown, around the place that is meant.
const SHOWN_CHARS_MAX: usize = 400;

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum QueryError {
    /// The text is not a query.
    #[error("{message}")]
    Parse { span: Span, message: String },
    /// The query is well-formed but its data do not allow the operation.
    #[error("{0}")]
    Execution(String),
    /// A limit was reached; the message has its number.
    #[error("{0}")]
    Limit(String),
    #[error("the query was cancelled")]
    Cancelled,
    #[error("the query took longer than the {allowed_ms} ms allowed; ask for less time, fewer series or a larger step")]
    Timeout { allowed_ms: u64 },
    /// The samples could not be read.
    #[error("the samples could not be read: {0}")]
    Storage(String),
}

impl QueryError {
    pub(crate) fn parse(span: Span, message: impl Into<String>) -> Self {
        Self::Parse { span, message: message.into() }
    }
    pub(crate) fn execution(message: impl Into<String>) -> Self {
        Self::Execution(message.into())
    }
    /// The message with the place it is about: line, column, the line itself and a mark under it.
    pub fn pointing(&self, text: &str) -> String {
        let Self::Parse { span, message } = self else { return self.to_string() };
        let (line, column) = span.line_column(text);
        let shown = text.lines().nth(line - 1).unwrap_or_default();
        let width = text
            .get(span.start..span.end.min(text.len()))
            .map_or(1, |s| s.lines().next().unwrap_or_default().chars().count().max(1));
        let is_long = shown.chars().nth(SHOWN_CHARS_MAX).is_some();
        let from = if is_long { (column - 1).saturating_sub(SHOWN_CHARS_MAX / 2) } else { 0 };
        let shown: String = shown.chars().skip(from).take(SHOWN_CHARS_MAX).collect();
        let marks = "^".repeat(width.min(SHOWN_CHARS_MAX));
        // A tab is as wide below the line as it is in it.
        let before = shown.chars().map(|c| if c == '\t' { c } else { ' ' }).chain(std::iter::repeat(' '));
        let before: String = before.take(column - 1 - from).collect();
        format!("{line}:{column}: {message}\n  {shown}\n  {before}{marks}")
    }
}

/// Which list of the answer a remark belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Warning,
    Info,
}

/// A remark on a query that was answered all the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Annotation {
    pub level: Level,
    pub message: String,
    pub span: Span,
}

impl Annotation {
    /// As Prometheus' API writes it: `PromQL warning: ... (1:5)`, the column counted in bytes.
    pub fn render(&self, text: &str) -> String {
        let before = text.get(..self.span.start).unwrap_or(text);
        let (line, column) =
            (before.matches('\n').count() + 1, before.len() - before.rfind('\n').map_or(0, |i| i + 1) + 1);
        let level = match self.level {
            Level::Warning => "warning",
            Level::Info => "info",
        };
        format!("PromQL {level}: {} ({line}:{column})", self.message)
    }
}

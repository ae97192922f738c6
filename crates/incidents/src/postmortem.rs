//! The draft of a postmortem, Markdown, filled with what the record holds. Names are roles; there is no field for a root
//! cause, but room for two or more contributing factors; what only people can tell stands as a question.

use std::fmt::Write as _;

use tenfold_types::Timestamp;

use crate::{
    phase::{Phase, TimelineEntry},
    roles::{Person, Roles},
};

/// What the draft is made from.
#[derive(Debug, Clone)]
pub struct Draft<'a> {
    pub number: i64,
    pub title: &'a str,
    pub severity: &'a str,
    pub service: Option<&'a str>,
    pub environment: Option<&'a str>,
    pub opened_at: Timestamp,
    pub acknowledged_at: Option<Timestamp>,
    pub resolved_at: Option<Timestamp>,
    /// One sentence each, the likeliest first.
    pub suspects: &'a [String],
    pub entries: &'a [TimelineEntry],
    pub people: &'a [Person],
}

/// Writes the draft.
pub fn postmortem(draft: &Draft<'_>) -> String {
    let roles = Roles::derive(draft.entries, draft.people);
    let mut out = String::new();
    // Writing into a String cannot fail.
    let _ = write_head(&mut out, draft, &roles);
    let _ = write_timeline(&mut out, draft, &roles);
    let _ = write_questions(&mut out, draft, &roles);
    out
}

fn write_head(out: &mut String, draft: &Draft<'_>, roles: &Roles) -> std::fmt::Result {
    writeln!(out, "# Incident {}: {}\n", draft.number, line(roles, draft.title))?;
    writeln!(out, "Draft made from the record. People are named by their role.\n")?;
    let place = match (draft.service, draft.environment) {
        (Some(s), Some(e)) => format!("{s} in {e}"),
        (Some(s), None) => s.to_owned(),
        (None, Some(e)) => e.to_owned(),
        (None, None) => "not said".to_owned(),
    };
    let first_errors = draft.entries.iter().find(|e| e.phase == Phase::FirstErrors).map(|e| e.event.occurred_at);
    let onset = first_errors.unwrap_or(draft.opened_at);
    writeln!(out, "| | |\n| --- | --- |")?;
    writeln!(out, "| Service | {} |", cell(&place))?;
    writeln!(out, "| Severity | {} |", cell(draft.severity))?;
    writeln!(out, "| First errors | {} |", first_errors.map_or("not recorded".to_owned(), clock))?;
    writeln!(out, "| Opened | {} ({} after the first errors) |", clock(draft.opened_at), span(onset, draft.opened_at))?;
    let after = |at: Option<Timestamp>| match at {
        Some(at) => format!("{} ({} after the first errors)", clock(at), span(onset, at)),
        None => "not yet".to_owned(),
    };
    writeln!(out, "| Acknowledged | {} |", after(draft.acknowledged_at))?;
    writeln!(out, "| Resolved | {} |\n", after(draft.resolved_at))?;
    writeln!(out, "## Summary\n\nWhat did users notice, how many of them, for how long?\n")
}

fn write_timeline(out: &mut String, draft: &Draft<'_>, roles: &Roles) -> std::fmt::Result {
    writeln!(
        out,
        "## Timeline\n\nAll times are UTC.\n\n| Time | Phase | What happened | Event |\n| --- | --- | --- | --- |"
    )?;
    for entry in draft.entries.iter().filter(|e| e.phase != Phase::Other) {
        let event = &entry.event;
        let what = cell(&line(roles, &event.text));
        writeln!(out, "| {} | {} | {what} | #{} |", clock(event.occurred_at), words(entry.phase), event.seq)?;
    }
    writeln!(out)
}

fn write_questions(out: &mut String, draft: &Draft<'_>, roles: &Roles) -> std::fmt::Result {
    writeln!(out, "## Contributing factors\n\nTwo or more, each with the event that shows it.\n")?;
    for suspect in draft.suspects {
        writeln!(
            out,
            "- Shortly before: {}. What made this change possible, and what made it look safe?",
            line(roles, suspect)
        )?;
    }
    writeln!(out, "- \n- \n")?;
    writeln!(out, "## How we were surprised\n\nWhat did we expect to see, and what did we see instead?\n")?;
    let mitigations: Vec<_> = draft.entries.iter().filter(|e| e.phase == Phase::Mitigation).collect();
    writeln!(out, "## What helped\n")?;
    if let (Some(first), Some(acknowledged)) = (mitigations.first(), draft.acknowledged_at) {
        let took = span(acknowledged, first.event.occurred_at);
        writeln!(out, "- {took} from the acknowledgement to: {}", line(roles, &first.event.text))?;
    }
    writeln!(out, "- \n\n## Where we were lucky\n\n- \n")?;
    writeln!(
        out,
        "## What we want to change\n\nOptional. Each with an owner, a date and a way to tell that it is done.\n"
    )?;
    writeln!(
        out,
        "| Change | Kind (guard, detect, undo, document, learn) | Owner | Due | Done when |\n| --- | --- | --- | --- | --- |"
    )?;
    writeln!(out, "| | | | | |")
}

/// One line of text without names and without anything Markdown would act on.
fn line(roles: &Roles, text: &str) -> String {
    let flat: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let mut out = String::with_capacity(flat.len());
    for c in roles.redact(&flat).chars() {
        if matches!(c, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '#') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn clock(at: Timestamp) -> String {
    let text = at.to_string();
    text.get(..19).unwrap_or(&text).replacen('T', " ", 1)
}

fn span(from: Timestamp, to: Timestamp) -> String {
    let ms = to.since_ms(from);
    let seconds = ms.unsigned_abs() / 1_000;
    let sign = if ms < 0 { "-" } else { "" };
    match (seconds / 3_600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{sign}{s} s"),
        (0, m, s) => format!("{sign}{m} min {s} s"),
        (h, m, _) => format!("{sign}{h} h {m} min"),
    }
}

fn words(phase: Phase) -> &'static str {
    match phase {
        Phase::Deploy => "change",
        Phase::FirstErrors => "first errors",
        Phase::Alert => "alert",
        Phase::Page => "page",
        Phase::Acknowledged => "acknowledgement",
        Phase::Mitigation => "mitigation",
        Phase::Recovery => "recovery",
        Phase::Note => "note",
        Phase::Other => "other",
    }
}

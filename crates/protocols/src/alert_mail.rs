//! Alerts that come as mails: what a mail says of which alert.
//!
//! The subject is the alert; its words without those that tell the state are the key, so that "PROBLEM: db1 is CRITICAL" and
//! "RECOVERY: db1 is OK" are one. A mail in answer to one that made an alert is of that alert. Only words in the subject (or
//! the first line of an answer) say that it is over: what cannot be read for sure goes on.

use mail_parser::{HeaderValue, Message, MessageParser};
use tenfold_types::Timestamp;

use crate::alert_hook::{KEY_CHARS_MAX, SaidState, cut};

/// Ids of other mails that are looked up.
const REFERENCES_MAX: usize = 20;
const ID_CHARS_MAX: usize = 255;
/// Mails in which people are paged carry it. One that is sent on to a source of alerts would page people again, and that page too.
const PAGE_HEADER: &str = "X-Tenfold-Incident";

/// What a mail says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// As written.
    pub subject: String,
    /// Out of the subject.
    pub key: String,
    pub state: SaidState,
    pub severity: Option<&'static str>,
    pub from: String,
    pub text: String,
    pub sent_at: Option<Timestamp>,
    /// Without angle brackets; empty when it has none.
    pub message_id: String,
    /// Mails that it answers, the nearest first.
    pub answers: Vec<String>,
    /// Whether a person's mail program marked it as an answer (`Re:`).
    pub marked_answer: bool,
    /// A machine's answer to a mail, its report of one that was not delivered, or a page of a server like this: never an alert.
    pub automatic: bool,
}

/// Why a mail is no alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MailError {
    #[error("the mail cannot be read")]
    Unreadable,
    #[error("the mail has no subject with a word in it")]
    NoSubject,
}

const OVER: [&str; 6] = ["RESOLVED", "RECOVERY", "RECOVERED", "CLEARED", "OK", "UP"];
const CRITICAL: [&str; 6] = ["CRITICAL", "DOWN", "EMERGENCY", "DISASTER", "FATAL", "P1"];
const WARNING: [&str; 4] = ["WARNING", "WARN", "MINOR", "P3"];
const TROUBLE: [&str; 9] =
    ["PROBLEM", "FIRING", "FAILED", "FAILURE", "ERROR", "UNKNOWN", "ALARM", "UNREACHABLE", "TRIGGERED"];
const PREFIXES: [&str; 5] = ["RE", "AW", "FW", "FWD", "WG"];

/// Reads a mail. `over_words` are further words, beside RESOLVED, RECOVERY and OK, by which a source says that it is over.
pub fn read(bytes: &[u8], over_words: &[String]) -> Result<Mail, MailError> {
    let message = MessageParser::default().parse(bytes).ok_or(MailError::Unreadable)?;
    let subject = message.subject().map(|s| cut(s).replace(['\n', '\t'], " ").trim().to_owned());
    let subject = subject.filter(|s| !s.is_empty()).ok_or(MailError::NoSubject)?;
    let text = message.body_text(0).map(|t| cut(t.trim())).unwrap_or_default();
    let answers = answers(&message);
    let words = words(&subject);
    if words.is_empty() {
        return Err(MailError::NoSubject);
    }
    let mut state = state(&words, over_words);
    let alone = text.lines().map(str::trim).find(|l| !l.is_empty() && !l.starts_with('>')).unwrap_or_default();
    let first_line_says = |word: &&str| alone.trim_end_matches(['.', '!']).eq_ignore_ascii_case(word);
    if !answers.is_empty() && OVER.iter().any(|w| *w != "UP" && first_line_says(w)) {
        state = SaidState::Resolved;
    }
    Ok(Mail {
        key: key(&words, over_words),
        state,
        severity: severity(&words, &message),
        from: message.from().and_then(|a| a.first()).and_then(|a| a.address()).map(cut).unwrap_or_default(),
        text,
        sent_at: message.date().and_then(|d| d.to_timestamp().checked_mul(1_000)).map(Timestamp),
        message_id: message.message_id().and_then(id).unwrap_or_default(),
        answers,
        marked_answer: subject
            .split(':')
            .next()
            .is_some_and(|head| PREFIXES.iter().any(|p| head.eq_ignore_ascii_case(p))),
        automatic: automatic(&message),
        subject,
    })
}

/// A word of a subject in capitals, as it is compared, and as it was written.
struct Word<'a> {
    upper: String,
    written: &'a str,
}

/// The words, without those by which mail programs mark answers, and without "in 5m" behind RESOLVED as Zabbix writes it.
fn words(subject: &str) -> Vec<Word<'_>> {
    let inside = |c: char| {
        c.is_whitespace() || matches!(c, '[' | ']' | '(' | ')' | '*' | ':' | ',' | ';' | '!' | '"' | '\'' | '|')
    };
    let mut words: Vec<Word<'_>> = subject
        .split(inside)
        .filter(|w| w.chars().any(char::is_alphanumeric))
        .map(|written| Word { upper: written.to_uppercase(), written })
        .collect();
    let marks = words.iter().take_while(|w| PREFIXES.contains(&w.upper.as_str())).count();
    words.drain(..marks.min(words.len().saturating_sub(1)));
    if words.first().is_some_and(|w| w.upper == "RESOLVED") && words.get(1).is_some_and(|w| w.upper == "IN") {
        let lasts = words[2..].iter().take_while(|w| duration(w.written)).count();
        if lasts > 0 {
            words.drain(1..2 + lasts);
        }
    }
    words
}

/// `5m`, `1h30m`.
fn duration(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_digit()) && word.chars().all(|c| c.is_ascii_digit() || "wdhmsµn".contains(c))
}

fn known(word: &Word<'_>, words: &[&str]) -> bool {
    words.contains(&word.upper.as_str())
}

/// Whether a word says that it is over. `ok` and `up` are said in many ways in between: there they count in capitals.
fn says_over(word: &Word<'_>, first: bool, more: &[String]) -> bool {
    let capitals = word.written == word.upper;
    more.iter().any(|m| m.to_uppercase() == word.upper) || (known(word, &OVER) && (first || capitals))
}

fn negates(word: &Word<'_>) -> bool {
    matches!(word.upper.as_str(), "NOT" | "NO" | "NON" | "NEVER" | "UN")
}

fn says_trouble(word: &Word<'_>) -> bool {
    known(word, &CRITICAL) || known(word, &WARNING) || known(word, &TROUBLE)
}

fn state(words: &[Word<'_>], more: &[String]) -> SaidState {
    let Some(first) = words.first() else { return SaidState::Firing };
    let leads = first.upper != "UP" && says_over(first, true, more);
    let negated = |i: usize| i > 0 && negates(&words[i - 1]);
    // "UP to 90 %" is no end; "db1 is UP" is.
    let stands = |i: usize| words[i].upper != "UP" || i + 1 == words.len() || (i > 0 && words[i - 1].upper == "IS");
    let within = words.iter().enumerate().any(|(i, w)| says_over(w, false, more) && stands(i) && !negated(i));
    let over = leads || (within && !words.iter().any(says_trouble));
    if over { SaidState::Resolved } else { SaidState::Firing }
}

/// What the words are without those that tell how it stands.
fn key(words: &[Word<'_>], more: &[String]) -> String {
    let over = |i: usize, w: &Word<'_>| says_over(w, i == 0, more) || known(w, &OVER);
    let negates_that = |i: usize, w: &Word<'_>| negates(w) && words.get(i + 1).is_some_and(|next| over(i + 1, next));
    let tells = |i: usize, w: &Word<'_>| over(i, w) || says_trouble(w) || negates_that(i, w);
    let rest = words.iter().enumerate().filter(|(i, w)| !tells(*i, w)).map(|(_, w)| w.upper.to_lowercase());
    let rest: Vec<String> = rest.collect();
    // A subject of such words alone is its own key.
    let all = || words.iter().map(|w| w.upper.to_lowercase()).collect::<Vec<_>>();
    let key = if rest.is_empty() { all() } else { rest }.join(" ");
    key.chars().take(KEY_CHARS_MAX).collect()
}

fn severity(words: &[Word<'_>], message: &Message<'_>) -> Option<&'static str> {
    if words.iter().any(|w| known(w, &CRITICAL)) {
        return Some("critical");
    }
    if words.iter().any(|w| known(w, &WARNING)) {
        return Some("warning");
    }
    let urgent =
        header(message, "X-Priority").starts_with('1') || header(message, "Importance").eq_ignore_ascii_case("high");
    urgent.then_some("critical")
}

fn header<'a>(message: &'a Message<'_>, name: &str) -> &'a str {
    message.header(name.to_owned()).and_then(HeaderValue::as_text).unwrap_or_default().trim()
}

fn id(id: &str) -> Option<String> {
    let fine = !id.is_empty() && id.chars().count() <= ID_CHARS_MAX && !id.chars().any(char::is_control);
    fine.then(|| id.trim().to_owned())
}

fn answers(message: &Message<'_>) -> Vec<String> {
    let ids = |value: &HeaderValue<'_>| -> Vec<String> {
        let listed = value.as_text_list().map(|l| l.iter().map(ToString::to_string).collect());
        listed.or_else(|| Some(vec![value.as_text()?.to_owned()])).unwrap_or_default()
    };
    let mut all = ids(message.in_reply_to());
    all.extend(ids(message.references()).into_iter().rev());
    let mut all: Vec<String> = all.iter().filter_map(|text| id(text)).take(REFERENCES_MAX).collect();
    all.dedup();
    all
}

fn automatic(message: &Message<'_>) -> bool {
    let answers = header(message, "Auto-Submitted").to_ascii_lowercase().starts_with("auto-replied");
    let report = message.root_part().headers.iter().any(|h| {
        let kind = h.value.as_content_type();
        kind.is_some_and(|k| k.c_type == "multipart" && k.c_subtype.as_deref() == Some("report"))
    });
    answers || report || message.header("X-Autoreply").is_some() || message.header(PAGE_HEADER).is_some()
}

#[cfg(test)]
mod tests;

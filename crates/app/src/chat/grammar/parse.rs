//! From words to a command.

use crate::deploys::views::TrainWord;
use tenfold_types::{ErrorCode, Fault, Matcher, MatcherOp};

use super::{Command, DEFAULT_ENVIRONMENT, IncidentSeverity, NoiseWord, TrainAsk, lexer, verbs};

pub const DURATION_MS_MIN: i64 = 60_000;
pub const DURATION_MS_MAX: i64 = 30 * 24 * 3_600_000;
/// The longest reason, title or note.
pub const TEXT_CHARS_MAX: usize = 1_000;
const MATCHERS_MAX: usize = 20;
/// What `take` means without `--for`.
const TAKE_MS: i64 = 2 * 3_600_000;

pub(super) fn misuse(message: impl Into<String>) -> Fault {
    Fault::new(ErrorCode::BadRequest, message)
}

/// Reads a command line, without the mark (`!`, `/`) that a room puts before it.
pub fn parse(line: &str) -> Result<Command, Fault> {
    let line = line.trim();
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let name = word.to_lowercase();
    let Some(verb) = verbs::verb(&name) else {
        let fault =
            misuse(if name.is_empty() { "there is no command".into() } else { format!("I do not know `{name}`") });
        return Err(match verbs::instead(&name) {
            Some((verb, line)) => fault.advice(format!("did you mean `{}`? Like this: {line}", verb.name)),
            None => fault.advice("say `help` for the list"),
        });
    };
    // What somebody is doing is prose: neither quotes nor dashes mean anything in it.
    if verb.name == "doing" {
        return Ok(Command::Doing { text: prose(rest, verb)? });
    }
    // Quotes, dashes and braces of an expression mean what PromQL says.
    if verb.name == "query" {
        return Ok(Command::Query { expr: expression(rest, verb)? });
    }
    let words = lexer::read(rest, verb.flags, verb.switches)?;
    let mut args = Args { verb, words: words.words.into_iter(), flags: words.flags };
    let command = args.command()?;
    args.end()?;
    Ok(command)
}

fn prose(text: &str, verb: &verbs::Verb) -> Result<String, Fault> {
    let text = text.trim();
    let inner = ['"', '\''].iter().find_map(|q| text.strip_prefix(*q)?.strip_suffix(*q));
    let inner = inner.or_else(|| text.strip_prefix(['“', '„'])?.strip_suffix(['”', '“']));
    check_text(inner.unwrap_or(text), verb, "the text")
}

/// An expression as it is. Quotes around the whole of it, which a shell would take away, are left out; a telephone's quotes
/// are straight ones.
fn expression(text: &str, verb: &verbs::Verb) -> Result<String, Fault> {
    let mut text = text.trim().to_owned();
    if !text.contains(['"', '\'', '`']) {
        text = text.replace(['“', '”', '„'], "\"");
    }
    let inside = |quote: char| text.strip_prefix(quote)?.strip_suffix(quote);
    let bare = match (inside('"'), inside('\'')) {
        (Some(inner), _) => inner.replace("\\\"", "\""),
        (None, Some(inner)) => inner.to_owned(),
        (None, None) => text,
    };
    check_text(&bare, verb, "the expression")
}

pub(super) fn check_text(text: &str, verb: &verbs::Verb, what: &str) -> Result<String, Fault> {
    let text = text.trim();
    if text.is_empty() {
        return Err(misuse(format!("`{}` lacks {what}", verb.name)).advice(format!("like this: {}", verb.example)));
    }
    if text.chars().count() > TEXT_CHARS_MAX {
        return Err(misuse(format!("{what} has at most {TEXT_CHARS_MAX} characters")));
    }
    Ok(text.to_owned())
}

pub(super) struct Args {
    pub(super) verb: &'static verbs::Verb,
    pub(super) words: std::vec::IntoIter<String>,
    flags: Vec<(String, String)>,
}

impl Args {
    fn command(&mut self) -> Result<Command, Fault> {
        Ok(match self.verb.name {
            "deploy" | "deploys" | "log" | "promote" | "hold" | "abort" | "cancel" | "retry" | "rollforward"
            | "lock" => super::ship::command(self)?,
            "rollback" => self.rollback()?,
            "status" => Command::Status,
            "next" => Command::Next { service: self.word("the service")?, environment: self.environment("to") },
            "flag" => super::flags::command(self)?,
            "permit" => Command::Permit { job: self.words.next() },
            "why" => Command::Why { of: self.word("the incident's number, the alert's fingerprint or the page's id")? },
            "why-not" => Command::WhyNot { labels: self.rest("the labels")?, person: self.flag("for") },
            "simulate" => Command::Simulate { labels: self.rest("the labels")? },
            "alerts" => match self.word("what to do")?.as_str() {
                "list" => Command::Alerts { state: self.flag("state"), service: self.flag("service") },
                "show" => Command::AlertShow { fingerprint: self.word("the alert's fingerprint")? },
                other => {
                    return Err(misuse(format!("`alerts {other}` is not known here"))
                        .advice("say `alerts list` or `alerts show FINGERPRINT`"));
                }
            },
            "checks" => match self.word("what to do")?.as_str() {
                "list" => Command::Checks { name: None },
                "show" => Command::Checks { name: Some(self.word("the check")?) },
                other => {
                    return Err(misuse(format!("`checks {other}` is not known here"))
                        .advice("say `checks list` or `checks show NAME`"));
                }
            },
            "policies" => match self.word("what to do")?.as_str() {
                "list" => Command::Policies { name: None },
                "show" => Command::Policies { name: Some(self.word("the policy")?) },
                other => {
                    return Err(misuse(format!("`policies {other}` is not known here"))
                        .advice("say `policies list` or `policies show NAME`"));
                }
            },
            "ack" => Command::Acknowledge {
                incident: self.number("the incident's number")?,
                for_ms: self.flag("for").map(|text| parse_span_ms(&text)).transpose()?,
            },
            "escalate" => Command::Escalate { incident: self.number("the incident's number")? },
            "handover" => {
                let (incident, person) = (self.number("the incident's number")?, self.word("the person's login")?);
                let text = self.words.by_ref().collect::<Vec<_>>().join(" ");
                let text = if text.is_empty() { None } else { Some(check_text(&text, self.verb, "the text")?) };
                Command::HandOver { incident, person, text }
            }
            "resolve" => Command::Resolve { incident: self.number("the incident's number")? },
            "classify" => Command::Classify {
                incident: self.number("the incident's number")?,
                kind: self.word("what the pages were for")?,
            },
            "noise" => Command::Noise(self.noise()?),
            "incident" => self.incident()?,
            "note" => Command::Note { incident: self.number("the incident's number")?, text: self.rest("the text")? },
            "who" => Command::Who { of: self.words.next() },
            "take" => Command::Take { schedule: self.word("the schedule")?, for_ms: self.duration(Some(TAKE_MS))? },
            "oncall" => super::oncall::command(self)?,
            "mute" => super::mutes::mute(self)?,
            "mutes" => super::mutes::mutes(self)?,
            "unmute" => Command::Unmute { number: self.number("the mute's number")? },
            "train" => self.train()?,
            "queue" => super::queue::command(self)?,
            "approve" => Command::Approve { number: self.number("the deploy's number")? },
            "unlock" => Command::Unlock { service: self.word("the service")?, environment: self.environment("in") },
            "help" => Command::Help {
                verb: match self.words.next() {
                    None => None,
                    Some(name) => match verbs::verb(&name.to_lowercase()).or_else(|| verbs::closest(&name)) {
                        Some(verb) => Some(verb),
                        None => return Err(misuse(format!("I do not know `{name}`")).advice("say `help` for the list")),
                    },
                },
            },
            _ => Command::Link { code: self.word("the code")?.to_uppercase() },
        })
    }

    fn noise(&mut self) -> Result<NoiseWord, Fault> {
        Ok(match self.words.next().as_deref() {
            None => NoiseWord::Report,
            Some("draft") => NoiseWord::Draft { rule: self.word("the rule")? },
            Some("put") => NoiseWord::Put { rule: self.word("the rule")?, change: self.rest("the change")? },
            Some("undo") => NoiseWord::Undo { file: self.word("the rule file")? },
            Some(other) => {
                return Err(misuse(format!("`noise {other}` is not known here"))
                    .advice("say `noise`, `noise draft RULE`, `noise put RULE CHANGE` or `noise undo FILE`"));
            }
        })
    }

    fn rollback(&mut self) -> Result<Command, Fault> {
        let target = self.word("the service or the deploy's number")?;
        let reason = match self.flag("reason") {
            None => None,
            Some(reason) => Some(check_text(&reason, self.verb, "the reason")?),
        };
        let digits = target.strip_prefix('#').unwrap_or(&target);
        if digits.bytes().all(|b| b.is_ascii_digit()) && !digits.is_empty() {
            if self.flag("to").is_some() {
                return Err(misuse("a deploy's number says the environment already").advice("leave `--to` out"));
            }
            return Ok(Command::RollbackDeploy { number: number(digits, "the deploy's number")?, reason });
        }
        Ok(Command::RollbackService { service: target, environment: self.environment("to"), reason })
    }

    fn train(&mut self) -> Result<Command, Fault> {
        let service = self.word("the service")?;
        let word = match self.words.next().as_deref() {
            None => TrainAsk::Show,
            Some("graphs") => TrainAsk::Graphs,
            Some(word) => TrainWord::parse(word).map(TrainAsk::Say).ok_or_else(|| {
                misuse(format!("a train does not know `{word}`"))
                    .advice("say join, leave, graphs, good, uh-oh, clear, hold, unhold or done")
            })?,
        };
        // `hold lunch` is said as often as `hold --reason lunch`
        let rest = self.words.by_ref().collect::<Vec<_>>().join(" ");
        let reason = self.flag("reason").or(Some(rest)).filter(|text| !text.is_empty());
        Ok(Command::Train { service, environment: self.environment("in"), word, reason })
    }

    fn incident(&mut self) -> Result<Command, Fault> {
        let what = self.word("what to do with incidents")?;
        let drill = match what.to_lowercase().as_str() {
            "open" => false,
            "drill" => true,
            "show" => return Ok(Command::IncidentShow { incident: self.number("the incident's number")? }),
            "score" => return Ok(Command::IncidentScore { incident: self.number("the drill's number")? }),
            _ => {
                return Err(misuse(format!("`incident {what}` is not known"))
                    .advice("use incident open \"TITLE\"; ack, resolve and note take an incident's number"));
            }
        };
        let severity = match self.flag("severity").as_deref() {
            None | Some("critical") => IncidentSeverity::Critical,
            Some("warning") => IncidentSeverity::Warning,
            Some(other) => return Err(misuse(format!("`{other}` is not a severity")).advice("use critical or warning")),
        };
        Ok(Command::IncidentOpen { service: self.flag("service"), severity, drill, title: self.rest("the title")? })
    }

    pub(super) fn word(&mut self, what: &str) -> Result<String, Fault> {
        self.words.next().filter(|w| !w.is_empty()).ok_or_else(|| {
            misuse(format!("`{}` lacks {what}", self.verb.name)).advice(format!("like this: {}", self.verb.example))
        })
    }
    pub(super) fn number(&mut self, what: &str) -> Result<i64, Fault> {
        let word = self.word(what)?;
        number(&word, what)
    }
    /// All words left, as one text.
    fn rest(&mut self, what: &str) -> Result<String, Fault> {
        check_text(&self.words.by_ref().collect::<Vec<_>>().join(" "), self.verb, what)
    }
    pub(super) fn flag(&mut self, name: &str) -> Option<String> {
        let at = self.flags.iter().position(|(n, _)| n == name)?;
        Some(self.flags.swap_remove(at).1)
    }
    pub(super) fn environment(&mut self, flag: &str) -> String {
        self.flag(flag).unwrap_or_else(|| DEFAULT_ENVIRONMENT.to_owned())
    }
    /// Of a flag that has no value.
    pub(super) fn switch(&mut self, name: &str) -> bool {
        self.flag(name).is_some()
    }
    pub(super) fn reason(&mut self) -> Result<String, Fault> {
        let reason = self.flag("reason").unwrap_or_default();
        check_text(&reason, self.verb, "`--reason`")
    }
    pub(super) fn duration(&mut self, default_ms: Option<i64>) -> Result<i64, Fault> {
        match (self.flag("for"), default_ms) {
            (Some(text), _) => parse_span_ms(&text),
            (None, Some(ms)) => Ok(ms),
            (None, None) => Err(misuse(format!("`{}` lacks `--for`", self.verb.name))
                .advice(format!("like this: {}", self.verb.example))),
        }
    }
    fn end(mut self) -> Result<(), Fault> {
        match self.words.next() {
            None => Ok(()),
            Some(word) => Err(misuse(format!("`{word}` is one word too many"))
                .advice(format!("write it like this: {}", self.verb.usage))),
        }
    }
}

pub(super) fn number(word: &str, what: &str) -> Result<i64, Fault> {
    let digits = word.strip_prefix('#').unwrap_or(word);
    match digits.parse::<i64>() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(misuse(format!("`{word}` is not {what}")).advice("give a whole number above 0, like 14")),
    }
}

/// Reads what a person types for how long something is to last, `45m`, `2h`, `1h30m`, `7d`: milliseconds, from
/// [`DURATION_MS_MIN`] to [`DURATION_MS_MAX`]. Files say it more strictly: [`tenfold_types::parse_duration_ms`].
pub fn parse_span_ms(text: &str) -> Result<i64, Fault> {
    parse_span_within(text, DURATION_MS_MAX)
}

/// The same up to another length, in milliseconds.
pub fn parse_span_within(text: &str, most_ms: i64) -> Result<i64, Fault> {
    let wrong = || misuse(format!("`{text}` is not a duration")).advice("write it like 45m, 2h, 1h30m or 7d");
    let mut total_ms: i64 = 0;
    let mut digits = String::new();
    for c in text.trim().chars() {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        let unit_ms = match c {
            's' => 1_000,
            'm' => 60_000,
            'h' => 3_600_000,
            'd' => 86_400_000,
            'w' => 7 * 86_400_000,
            _ => return Err(wrong()),
        };
        let count: i64 = std::mem::take(&mut digits).parse().map_err(|_| wrong())?;
        total_ms = count.checked_mul(unit_ms).and_then(|ms| ms.checked_add(total_ms)).ok_or_else(wrong)?;
    }
    if !digits.is_empty() || text.trim().is_empty() {
        return Err(wrong());
    }
    if (DURATION_MS_MIN..=most_ms).contains(&total_ms) {
        return Ok(total_ms);
    }
    let days = most_ms / 86_400_000;
    Err(misuse(format!("`{text}` is out of bounds")).advice(format!("give a duration from 1m to {days}d")))
}

/// Reads `service=photos severity!=critical`, with or without braces and commas. A bare word is a service.
pub fn parse_matchers(text: &str) -> Result<Vec<Matcher>, Fault> {
    let inner = text.trim();
    let inner = inner.strip_prefix('{').and_then(|t| t.strip_suffix('}')).unwrap_or(inner);
    let mut matchers = Vec::new();
    for part in inner.split([',', ' ']).map(str::trim).filter(|p| !p.is_empty()) {
        let ops = [
            ("!=", MatcherOp::NotEqual),
            ("=~", MatcherOp::Regex),
            ("!~", MatcherOp::NotRegex),
            ("=", MatcherOp::Equal),
        ];
        let found = ops.iter().filter_map(|(sign, op)| part.find(sign).map(|at| (at, *sign, *op)));
        // The sign that stands first; of two at one place the longer.
        let found = found.min_by_key(|(at, sign, _)| (*at, usize::MAX - sign.len()));
        let matcher = match found {
            None => Matcher::equal("service", part),
            Some((at, sign, op)) => Matcher::new(&part[..at], op, part[at + sign.len()..].trim_matches('"')),
        };
        let name_ok = matcher.name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
            && matcher.name.bytes().next().is_some_and(|b| !b.is_ascii_digit());
        if !name_ok || matcher.value.is_empty() {
            return Err(misuse(format!("`{part}` is not a matcher")).advice("write it like service=photos"));
        }
        matchers.push(matcher);
    }
    match matchers.len() {
        0 => Err(misuse("`mute` lacks what to mute").advice("write it like service=photos")),
        n if n > MATCHERS_MAX => Err(misuse(format!("there are at most {MATCHERS_MAX} matchers"))),
        _ => Ok(matchers),
    }
}

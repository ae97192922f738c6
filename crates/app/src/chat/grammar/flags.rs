//! The words after `flag`. Pure.

use serde_json::{Map, Value};
use tenfold_flags::{Choice, DRILL_MS_DEFAULT, DRILL_MS_MAX, DRILL_MS_MIN, Kind, Share, ValueType};
use tenfold_types::{Fault, Timestamp};

use super::Command;
use super::parse::{Args, check_text, misuse};

/// What `flag create` and `flag set` say of a flag; what is absent stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FlagFields {
    pub project: Option<String>,
    pub description: Option<String>,
    pub kind: Option<Kind>,
    pub owner: Option<String>,
    pub value_type: Option<ValueType>,
    /// `Some(None)` takes the date away.
    pub expires_at: Option<Option<Timestamp>>,
    /// `Some(None)` is what the kind says.
    pub lifetime_days: Option<Option<u32>>,
}

pub(super) fn command(args: &mut Args) -> Result<Command, Fault> {
    let what = args.word("what to do with flags")?.to_lowercase();
    if matches!(what.as_str(), "create" | "set") {
        let key = args.word("the flag")?;
        let fields = fields(args)?;
        if what == "set" && fields == FlagFields::default() {
            return Err(misuse("`flag set` lacks what to set")
                .advice("give --description, --kind, --owner, --project, --type, --expires or --lifetime"));
        }
        return Ok(if what == "create" {
            Command::FlagCreate { key, fields }
        } else {
            Command::FlagSet { key, fields }
        });
    }
    if let Some(change) = super::flag_changes::command(&what, args)? {
        return Ok(Command::FlagChange(change));
    }
    if let Some(shared) = super::flag_lists::command(&what, args)? {
        return Ok(Command::FlagShared(shared));
    }
    let environment = args.environment("in");
    match what.as_str() {
        "list" => Ok(Command::FlagList { environment }),
        "show" => Ok(Command::FlagShow { key: args.word("the flag")? }),
        "archive" => Ok(Command::FlagArchive { key: args.word("the flag")? }),
        "preview" => {
            let key = args.word("the flag")?;
            let context = parse_context(&args.flag("context").unwrap_or_default())?;
            Ok(Command::FlagPreview { key, environment, context })
        }
        "on" | "off" => {
            let key = args.word("the flag")?;
            let reason = args.flag("reason").map(|r| check_text(&r, args.verb, "the reason")).transpose()?;
            Ok(Command::FlagSwitch { key, enabled: what == "on", environment, reason })
        }
        "rollout" => {
            let key = args.word("the flag")?;
            let percent = args.word("the percentage")?;
            let percent = percent.strip_suffix('%').unwrap_or(&percent);
            match Share::parse(percent) {
                Some(percent) => Ok(Command::FlagRollout { key, percent, environment }),
                None => Err(misuse(format!("`{percent}` is not a share"))
                    .advice("give per cent from 0 to 100, with at most two decimals")),
            }
        }
        "drill" => {
            let key = args.word("the flag")?;
            let cancel = args.words.as_slice().first().is_some_and(|w| w == "cancel");
            let for_ms = if cancel {
                args.words.next();
                None
            } else {
                Some(args.flag("for").map_or(Ok(DRILL_MS_DEFAULT), |text| parse_drill_ms(&text))?)
            };
            Ok(Command::FlagDrill { key, for_ms, environment })
        }
        "mine" => Ok(Command::FlagMine),
        "join" => Ok(Command::FlagChoose { key: args.word("the flag")?, choice: Some(Choice::In) }),
        "leave" => Ok(Command::FlagChoose { key: args.word("the flag")?, choice: Some(Choice::Out) }),
        "unset" => Ok(Command::FlagChoose { key: args.word("the flag")?, choice: None }),
        "contingency" => Ok(Command::FlagContingency { environment }),
        "history" => Ok(Command::FlagHistory { key: args.word("the flag")? }),
        "revert" => {
            Ok(Command::FlagRevert { key: args.word("the flag")?, seq: args.number("the event's number")? })
        }
        "stale" => Ok(Command::FlagStale),
        other => Err(misuse(format!("`flag {other}` is not known"))
            .advice(
            "use flag list, show, on, off, rollout, preview, create, set or archive; for ramps ramp, pause, resume, skip, \
             back, extend or stop; schedule, schedules, cancel; requests, approve, reject, withdraw or force; \
             drill, contingency, mine, join, leave, unset, history, revert or stale; group, segment or plan",
        )),
    }
}

fn fields(args: &mut Args) -> Result<FlagFields, Fault> {
    let kind = args.flag("kind").map(|text| parse_kind(&text)).transpose()?;
    let value_type = args.flag("type").map(|text| parse_value_type(&text)).transpose()?;
    let expires_at = args.flag("expires").map(|text| parse_expiry(&text)).transpose()?;
    let lifetime_days = args.flag("lifetime").map(|text| parse_lifetime(&text)).transpose()?;
    let description =
        args.flag("description").map(|text| check_text(&text, args.verb, "the description")).transpose()?;
    let (owner, project) = (args.flag("owner"), args.flag("project"));
    Ok(FlagFields { project, description, kind, owner, value_type, expires_at, lifetime_days })
}

/// A kind by the name the API has for it; a hyphen is as good as an underscore.
pub fn parse_kind(text: &str) -> Result<Kind, Fault> {
    serde_json::from_value(Value::from(text.to_lowercase().replace('-', "_"))).map_err(|_| {
        misuse(format!("`{text}` is not a kind of flag"))
            .advice("use release, experiment, shadow, operational, kill_switch or permission")
    })
}

pub fn parse_value_type(text: &str) -> Result<ValueType, Fault> {
    serde_json::from_value(Value::from(text.to_lowercase())).map_err(|_| {
        misuse(format!("`{text}` is not a type of value")).advice("use bool, string, int, float or object")
    })
}

/// A day (its midnight in UTC), an instant, or `never`.
pub fn parse_expiry(text: &str) -> Result<Option<Timestamp>, Fault> {
    if text.eq_ignore_ascii_case("never") {
        return Ok(None);
    }
    let day = || Timestamp::parse_rfc3339(&format!("{text}T00:00:00Z"));
    Timestamp::parse_rfc3339(text)
        .or_else(day)
        .map(Some)
        .ok_or_else(|| misuse(format!("`{text}` is not a date")).advice("write it like 2027-01-31, or never"))
}

/// Days that a flag is expected to live: a number, `never`, or `kind` for what its kind says.
pub fn parse_lifetime(text: &str) -> Result<Option<u32>, Fault> {
    match text.to_lowercase().as_str() {
        "kind" => Ok(None),
        "never" => Ok(Some(0)),
        days => days
            .parse()
            .map(Some)
            .map_err(|_| misuse(format!("`{text}` is no number of days")).advice("write it like 90, never, or kind")),
    }
}

/// Reads a context as people paste it: an object in JSON, or `userId=42 plan=pro`, with quotes around values that have
/// blanks in them.
pub fn parse_context(text: &str) -> Result<Map<String, Value>, Fault> {
    let text = text.trim();
    if text.starts_with('{') {
        return match serde_json::from_str(text) {
            Ok(Value::Object(fields)) => Ok(fields),
            _ => Err(misuse("the context is not an object in JSON")
                .advice("write it like {\"userId\": \"42\"}, or like userId=42 plan=pro")),
        };
    }
    let words = super::lexer::read(text, &[], &[])?.words;
    let pairs = words.iter().flat_map(|w| w.split(',')).map(str::trim).filter(|w| !w.is_empty());
    pairs
        .map(|pair| match pair.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), Value::from(value))),
            _ => Err(misuse(format!("`{pair}` is not a field of a context"))
                .advice("write it like userId=42 plan=pro, or as JSON")),
        })
        .collect()
}

/// Reads the time of a drill, `60s` or `5m`: milliseconds.
pub fn parse_drill_ms(text: &str) -> Result<i64, Fault> {
    let text = text.trim();
    let wrong = || {
        let (min, max) = (DRILL_MS_MIN / 1_000, DRILL_MS_MAX / 1_000);
        misuse(format!("`{text}` is no time for a drill")).advice(format!("give {min} to {max} seconds, like 60s"))
    };
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let count: i64 = digits.parse().map_err(|_| wrong())?;
    let unit_ms = match &text[digits.len()..] {
        "s" | "" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(wrong()),
    };
    count.checked_mul(unit_ms).filter(|ms| (DRILL_MS_MIN..=DRILL_MS_MAX).contains(ms)).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn contexts_as_people_paste_them() {
        for (text, wanted) in [
            ("", json!({})),
            ("userId=42 plan=pro", json!({"userId": "42", "plan": "pro"})),
            ("userId=42, plan=pro", json!({"userId": "42", "plan": "pro"})),
            ("name=\"Ana B\" a=b=c", json!({"name": "Ana B", "a": "b=c"})),
            (
                "{\"userId\": 42, \"properties\": {\"plan\": \"pro\"}}",
                json!({"userId": 42, "properties": {"plan": "pro"}}),
            ),
        ] {
            assert_eq!(Value::Object(parse_context(text).unwrap()), wanted, "{text}");
        }
        for broken in ["42", "=42", "{\"a\"", "a=\"b"] {
            assert!(parse_context(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn dates() {
        assert_eq!(parse_expiry("never"), Ok(None));
        assert_eq!(parse_expiry("1970-01-02"), Ok(Some(Timestamp(86_400_000))));
        assert_eq!(parse_expiry("1970-01-01T00:00:01Z"), Ok(Some(Timestamp(1_000))));
        assert!(parse_expiry("soon").is_err());
    }
}

//! `oncall`: previews, swaps, takes, overrides, the digest at a handoff.

use tenfold_oncall::OverrideKind;
use tenfold_types::Fault;

use super::{
    Command, When,
    flag_changes::parse_when,
    parse::{Args, misuse, parse_span_within},
};

/// How far `oncall preview` looks without `--for`.
const PREVIEW_MS: i64 = 7 * 86_400_000;
/// As far as a preview looks ahead.
pub const PREVIEW_MS_MAX: i64 = 366 * 86_400_000;
const OVERRIDE_MS: i64 = 8 * 3_600_000;
const TAKE_MS: i64 = 2 * 3_600_000;

/// A shift, by an instant in it; with `until` only the part between the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    pub from: When,
    pub until: Option<When>,
}

/// `WHEN`, or `WHEN..WHEN`.
pub fn parse_part(text: &str) -> Result<Part, Fault> {
    match text.split_once("..") {
        Some((from, until)) => Ok(Part { from: parse_when(from)?, until: Some(parse_when(until)?) }),
        None => Ok(Part { from: parse_when(text)?, until: None }),
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OnCall {
    Preview {
        schedule: String,
        for_ms: i64,
    },
    Digest {
        schedule: String,
    },
    Swaps,
    Readiness,
    /// A page as a test: to a person, or to whoever says it.
    Test {
        login: Option<String>,
    },
    /// An instant in the caller's shift, and one in the other's to have for it.
    Swap {
        schedule: String,
        with: String,
        give: Option<Part>,
        take: Option<Part>,
    },
    Accept {
        swap: i64,
    },
    Decline {
        swap: i64,
    },
    Take {
        schedule: String,
        for_ms: i64,
        at: Option<When>,
    },
    Override {
        schedule: String,
        person: String,
        kind: OverrideKind,
        for_ms: i64,
        at: Option<When>,
    },
    /// Takes an override back.
    Undo {
        schedule: String,
        number: i64,
    },
    /// Who is free in a stretch and has had least.
    Suggest {
        schedule: String,
        at: When,
        for_ms: i64,
    },
}

fn when(args: &mut Args, flag: &str) -> Result<Option<When>, Fault> {
    args.flag(flag).map(|text| parse_when(&text)).transpose()
}

pub(super) fn command(args: &mut Args) -> Result<Command, Fault> {
    let what = args.word("what to do")?.to_lowercase();
    let part = |args: &mut Args, flag: &str| args.flag(flag).map(|text| parse_part(&text)).transpose();
    Ok(Command::OnCall(match what.as_str() {
        "preview" => {
            let schedule = args.word("the schedule")?;
            let for_ms = args.flag("for").map(|text| parse_span_within(&text, PREVIEW_MS_MAX)).transpose()?;
            OnCall::Preview { schedule, for_ms: for_ms.unwrap_or(PREVIEW_MS) }
        }
        "digest" => OnCall::Digest { schedule: args.word("the schedule")? },
        "swaps" => OnCall::Swaps,
        "readiness" => OnCall::Readiness,
        "test" => OnCall::Test { login: args.words.next() },
        "swap" => OnCall::Swap {
            schedule: args.word("the schedule")?,
            with: args.word("with whom")?,
            give: part(args, "give")?,
            take: part(args, "take")?,
        },
        "accept" => OnCall::Accept { swap: args.number("the swap's number")? },
        "decline" => OnCall::Decline { swap: args.number("the swap's number")? },
        "take" => OnCall::Take {
            schedule: args.word("the schedule")?,
            for_ms: args.duration(Some(TAKE_MS))?,
            at: when(args, "at")?,
        },
        "suggest" => OnCall::Suggest {
            schedule: args.word("the schedule")?,
            at: when(args, "at")?
                .ok_or_else(|| misuse("from when on somebody is looked for is missing").advice("say `--at 2h`"))?,
            for_ms: args.duration(Some(OVERRIDE_MS))?,
        },
        "override" => return changed(args),
        other => {
            return Err(misuse(format!("`oncall {other}` is not known")).advice(
                "use oncall preview, swap, swaps, accept, decline, take, override, suggest, readiness, test or digest",
            ));
        }
    }))
}

/// `override SCHEDULE PERSON`, or `override SCHEDULE --undo N`.
fn changed(args: &mut Args) -> Result<Command, Fault> {
    let schedule = args.word("the schedule")?;
    if let Some(text) = args.flag("undo") {
        let number = text.parse().map_err(|_| misuse(format!("`--undo {text}` is not the number of an override")))?;
        return Ok(Command::OnCall(OnCall::Undo { schedule, number }));
    }
    Ok(Command::OnCall(OnCall::Override {
        schedule,
        person: args.word("the person")?,
        kind: match args.flag("as").as_deref() {
            None | Some("replace") => OverrideKind::Replace,
            Some("add") => OverrideKind::Add,
            Some("remove") => OverrideKind::Remove,
            Some(other) => {
                return Err(misuse(format!("`--as {other}` is not known")).advice("use replace, add or remove"));
            }
        },
        for_ms: args.duration(Some(OVERRIDE_MS))?,
        at: when(args, "at")?,
    }))
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    fn check(line: &str, wanted: OnCall) {
        assert_eq!(parse(line), Ok(Command::OnCall(wanted)), "{line}");
    }

    #[test]
    fn every_form_is_read() {
        let s = || "photos-primary".to_owned();
        check("oncall preview photos-primary", OnCall::Preview { schedule: s(), for_ms: PREVIEW_MS });
        check("oncall preview photos-primary --for 90d", OnCall::Preview { schedule: s(), for_ms: 90 * 86_400_000 });
        check(
            "oncall swap photos-primary raj --take 7d",
            OnCall::Swap {
                schedule: s(),
                with: "raj".into(),
                give: None,
                take: Some(Part { from: When::InMs(7 * 86_400_000), until: None }),
            },
        );
        check(
            "oncall swap photos-primary raj --give 2h..4h",
            OnCall::Swap {
                schedule: s(),
                with: "raj".into(),
                give: Some(Part { from: When::InMs(7_200_000), until: Some(When::InMs(14_400_000)) }),
                take: None,
            },
        );
        assert!(parse("oncall swap s raj --give 2h..").is_err());
        check("oncall readiness", OnCall::Readiness);
        check("oncall test", OnCall::Test { login: None });
        check("oncall test mei", OnCall::Test { login: Some("mei".into()) });
        check("oncall accept 3", OnCall::Accept { swap: 3 });
        check("oncall take photos-primary", OnCall::Take { schedule: s(), for_ms: TAKE_MS, at: None });
        check(
            "oncall override photos-primary mei --as add --for 1h",
            OnCall::Override {
                schedule: s(),
                person: "mei".into(),
                kind: OverrideKind::Add,
                for_ms: 3_600_000,
                at: None,
            },
        );
        check("oncall override photos-primary --undo 3", OnCall::Undo { schedule: s(), number: 3 });
        assert!(parse("oncall override photos-primary --undo it").expect_err("refused").message.contains("it"));
        check(
            "oncall suggest photos-primary --at 2h",
            OnCall::Suggest { schedule: s(), at: When::InMs(7_200_000), for_ms: OVERRIDE_MS },
        );
        assert!(parse("oncall suggest photos-primary").expect_err("refused").advice.contains("--at"));
        assert!(parse("oncall dance").expect_err("refused").message.contains("dance"));
        assert!(parse("oncall override s mei --as king").expect_err("refused").message.contains("king"));
    }
}

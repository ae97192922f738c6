//! `oncall`: previews, swaps, takes, overrides, the digest at a handoff.

use tenfold_oncall::OverrideKind;
use tenfold_types::Fault;

use super::{
    Command, When,
    flag_changes::parse_when,
    parse::{Args, misuse},
};

/// How far `oncall preview` looks without `--for`.
const PREVIEW_MS: i64 = 7 * 86_400_000;
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
}

pub(super) fn command(args: &mut Args) -> Result<Command, Fault> {
    let what = args.word("what to do")?.to_lowercase();
    let when = |args: &mut Args, flag: &str| args.flag(flag).map(|text| parse_when(&text)).transpose();
    let part = |args: &mut Args, flag: &str| args.flag(flag).map(|text| parse_part(&text)).transpose();
    Ok(Command::OnCall(match what.as_str() {
        "preview" => OnCall::Preview { schedule: args.word("the schedule")?, for_ms: args.duration(Some(PREVIEW_MS))? },
        "digest" => OnCall::Digest { schedule: args.word("the schedule")? },
        "swaps" => OnCall::Swaps,
        "readiness" => OnCall::Readiness,
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
        "override" => OnCall::Override {
            schedule: args.word("the schedule")?,
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
        },
        other => {
            return Err(misuse(format!("`oncall {other}` is not known"))
                .advice("use oncall preview, swap, swaps, accept, decline, take, override, readiness or digest"));
        }
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
        assert!(parse("oncall dance").expect_err("refused").message.contains("dance"));
        assert!(parse("oncall override s mei --as king").expect_err("refused").message.contains("king"));
    }
}

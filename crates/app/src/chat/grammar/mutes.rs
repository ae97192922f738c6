//! `mute`, `mutes`, `unmute`.

use tenfold_alerting::{MuteKind, parse_recurrence};
use tenfold_types::{Fault, Matcher};

use super::{
    Command, When,
    flag_changes::parse_when,
    parse::{Args, misuse, parse_matchers},
};

/// When a mute ends: a while after it starts, or at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MuteEnd {
    For(i64),
    Until(When),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MuteAsk {
    pub matchers: Vec<Matcher>,
    pub kind: MuteKind,
    /// Now when it is not there.
    pub from: Option<When>,
    pub end: MuteEnd,
    /// Of a maintenance, like `sun 02:00-04:00 Europe/Berlin`.
    pub recurs: Option<String>,
    pub reason: String,
}

pub(super) fn mute(args: &mut Args) -> Result<Command, Fault> {
    let matchers = parse_matchers(&args.words.by_ref().collect::<Vec<_>>().join(" "))?;
    let recurs = args.flag("recurs");
    if let Some(text) = &recurs {
        parse_recurrence(text)
            .map_err(|e| misuse(e).advice("write it like --recurs \"sun 02:00-04:00 Europe/Berlin\""))?;
    }
    let kind = match (args.flag("kind").as_deref(), &recurs) {
        (Some("silence"), _) | (None, None) => MuteKind::Silence,
        (Some("downtime"), _) => MuteKind::Downtime,
        (Some("maintenance"), _) | (None, Some(_)) => MuteKind::Maintenance,
        (Some(other), _) => {
            return Err(
                misuse(format!("`{other}` is not a kind of mute")).advice("use silence, downtime or maintenance")
            );
        }
    };
    let from = args.flag("from").map(|text| parse_when(&text)).transpose()?;
    let end = match args.flag("until") {
        Some(text) => MuteEnd::Until(parse_when(&text)?),
        None => MuteEnd::For(args.duration(None)?),
    };
    if args.flag("for").is_some() {
        return Err(misuse("`--for` and `--until` both say when it ends").advice("leave one of them out"));
    }
    Ok(Command::Mute(MuteAsk { matchers, kind, from, end, recurs, reason: args.reason()? }))
}

pub(super) fn mutes(args: &mut Args) -> Result<Command, Fault> {
    match args.words.next().as_deref() {
        None => Ok(Command::Mutes { all: false }),
        Some("all") => Ok(Command::Mutes { all: true }),
        Some(other) => Err(misuse(format!("`mutes {other}` is not known")).advice("say `mutes` or `mutes all`")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    fn ask(line: &str) -> MuteAsk {
        match parse(line) {
            Ok(Command::Mute(ask)) => ask,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn every_form_is_read() {
        let silence = ask("mute photos --for 1h --reason x");
        assert_eq!((silence.kind, silence.end), (MuteKind::Silence, MuteEnd::For(3_600_000)));
        let downtime = ask("mute host=db1 --kind downtime --from 2h --for 1h --reason racks");
        assert_eq!((downtime.kind, downtime.from), (MuteKind::Downtime, Some(When::InMs(7_200_000))));
        let again =
            ask("mute db --recurs 'sun 02:00-04:00 Europe/Berlin' --until 2027-03-01T00:00:00Z --reason vacuum");
        assert_eq!(again.kind, MuteKind::Maintenance);
        assert!(matches!(again.end, MuteEnd::Until(When::At(_))), "{again:?}");
        assert_eq!(parse("mutes"), Ok(Command::Mutes { all: false }));
        assert_eq!(parse("mutes all"), Ok(Command::Mutes { all: true }));
        assert_eq!(parse("unmute #3"), Ok(Command::Unmute { number: 3 }));
        for (line, word) in [
            ("mute db --for 1h --until 2h --reason x", "both"),
            ("mute db --reason x", "lacks `--for`"),
            ("mute db --for 1h --kind nap --reason x", "nap"),
            ("mute db --for 1h --recurs sometimes --reason x", "sometimes"),
            ("mutes yesterday", "yesterday"),
            ("unmute", "the mute's number"),
        ] {
            let said = parse(line).expect_err(line);
            let said = format!("{} {}", said.message, said.advice);
            assert!(said.contains(word), "{line}: {said}");
        }
    }
}

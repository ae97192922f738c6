//! The words after `flag group`, `flag segment` and `flag plan`: what flags share. Pure.

use tenfold_types::Fault;

use super::parse::{Args, check_text, misuse};

/// Something that flags share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FlagShared {
    Groups,
    GroupSet { name: String, add: Vec<String>, remove: Vec<String>, field: Option<String>, description: Option<String> },
    GroupDelete { name: String },
    Segments,
    SegmentDelete { id: i64 },
    Plans,
    PlanDelete { name: String },
}

pub(super) fn command(what: &str, args: &mut Args) -> Result<Option<FlagShared>, Fault> {
    Ok(Some(match what {
        "group" => group(args)?,
        "segment" => match how(args).as_str() {
            "list" => FlagShared::Segments,
            "delete" => FlagShared::SegmentDelete { id: args.number("the segment's number")? },
            other => {
                return Err(unknown(
                    "segment",
                    other,
                    "list or delete; make one on the page Segments or by `tenfold flag segment set`",
                ));
            }
        },
        "plan" => match how(args).as_str() {
            "list" => FlagShared::Plans,
            "delete" => FlagShared::PlanDelete { name: args.word("the plan")? },
            other => {
                return Err(unknown(
                    "plan",
                    other,
                    "list or delete; make one by `tenfold flag plan set` or `tenfold apply`",
                ));
            }
        },
        _ => return Ok(None),
    }))
}

/// The word that says what to do; without one everything is listed.
fn how(args: &mut Args) -> String {
    args.words.next().map_or_else(|| "list".to_owned(), |word| word.to_lowercase())
}

fn unknown(of: &str, how: &str, known: &str) -> Fault {
    misuse(format!("`flag {of} {how}` is not known")).advice(format!("use flag {of} {known}"))
}

fn group(args: &mut Args) -> Result<FlagShared, Fault> {
    match how(args).as_str() {
        "list" => Ok(FlagShared::Groups),
        "delete" => Ok(FlagShared::GroupDelete { name: args.word("the group")? }),
        "set" => {
            let name = args.word("the group")?;
            let (add, remove) = (ids(args.flag("add")), ids(args.flag("remove")));
            let field = args.flag("field");
            let description =
                args.flag("description").map(|text| check_text(&text, args.verb, "the description")).transpose()?;
            Ok(FlagShared::GroupSet { name, add, remove, field, description })
        }
        other => Err(unknown("group", other, "list, set or delete")),
    }
}

fn ids(text: Option<String>) -> Vec<String> {
    let text = text.unwrap_or_default();
    text.split(',').map(str::trim).filter(|id| !id.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Command, parse};
    use super::*;

    #[test]
    fn what_flags_share() {
        let set = |add: &[&str], remove: &[&str]| FlagShared::GroupSet {
            name: "testers".into(),
            add: add.iter().map(ToString::to_string).collect(),
            remove: remove.iter().map(ToString::to_string).collect(),
            field: None,
            description: None,
        };
        for (line, wanted) in [
            ("flag group", FlagShared::Groups),
            ("flag group list", FlagShared::Groups),
            ("flag group set testers --add ana,4711", set(&["ana", "4711"], &[])),
            ("flag group set testers --remove \"ana, 4711\"", set(&[], &["ana", "4711"])),
            ("flag group delete testers", FlagShared::GroupDelete { name: "testers".into() }),
            ("flag segment", FlagShared::Segments),
            ("flag segment delete 7", FlagShared::SegmentDelete { id: 7 }),
            ("flag plan list", FlagShared::Plans),
            ("flag plan delete careful", FlagShared::PlanDelete { name: "careful".into() }),
        ] {
            assert_eq!(parse(line), Ok(Command::FlagShared(wanted)), "{line}");
        }
        for (line, words) in [
            ("flag group set", "lacks the group"),
            ("flag group rename a", "use flag group list, set or delete"),
            ("flag segment delete x", "is not the segment's number"),
            ("flag plan set careful", "tenfold flag plan set"),
        ] {
            let fault = parse(line).expect_err(line);
            let said = format!("{fault}; {}", fault.advice);
            assert!(said.contains(words), "{line}: {said}");
        }
    }
}

//! The words of shipping that take more than a service: deploy, deploys, log, promote, hold, abort, cancel, retry, rollforward,
//! lock. Pure.

use tenfold_types::{Fault, Timestamp};

use super::Command;
use super::parse::{Args, check_text, misuse, number};

/// What `lock` means without `--for`.
const LOCK_MS: i64 = 3_600_000;

/// What is done with a deploy that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeployWord {
    Promote,
    Hold,
    Abort,
    Cancel,
    Retry,
}

impl DeployWord {
    pub const fn verb(self) -> &'static str {
        match self {
            Self::Promote => "promote",
            Self::Hold => "hold",
            Self::Abort => "abort",
            Self::Cancel => "cancel",
            Self::Retry => "retry",
        }
    }
}

/// Whom a lock stops.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LockHow {
    /// Everybody but its owner.
    Lock,
    /// Everybody; from now on unless it begins later.
    Freeze { from: Option<Timestamp> },
    /// Every commit but this.
    Pin { reference: String },
}

pub(super) fn command(args: &mut Args) -> Result<Command, Fault> {
    let word = match args.verb.name {
        "deploy" => return deploy(args),
        "deploys" => return deploys(args),
        "lock" => return lock(args),
        "rollforward" => return forward(args),
        "log" => {
            return Ok(Command::DeployLog { number: args.number("the deploy's number")?, host: args.flag("host") });
        }
        "promote" => DeployWord::Promote,
        "hold" => DeployWord::Hold,
        "abort" => DeployWord::Abort,
        "cancel" => DeployWord::Cancel,
        _ => DeployWord::Retry,
    };
    let reason = optional(args, "reason", "the reason")?;
    Ok(Command::DeployMove { number: args.number("the deploy's number")?, word, reason })
}

/// The text of a flag that need not be there.
fn optional(args: &mut Args, flag: &str, what: &str) -> Result<Option<String>, Fault> {
    args.flag(flag).map(|text| check_text(&text, args.verb, what)).transpose()
}

fn deploy(args: &mut Args) -> Result<Command, Fault> {
    let service = args.word("the service")?;
    let reference = args.words.next();
    let environment = args.environment("to");
    let override_reason = optional(args, "override", "the reason of `--override`")?;
    if !args.switch("dry-run") {
        return Ok(Command::Deploy { service, reference, environment, override_reason });
    }
    if override_reason.is_some() {
        return Err(misuse("a dry run changes nothing, so it has nothing to override").advice("leave `--override` out"));
    }
    Ok(Command::DeployDryRun { service, reference, environment })
}

fn forward(args: &mut Args) -> Result<Command, Fault> {
    let service = args.word("the service")?;
    let reference = args.words.next();
    let (environment, again) = (args.environment("to"), args.switch("again"));
    Ok(Command::RollForward { service, reference, environment, reason: optional(args, "reason", "the reason")?, again })
}

fn deploys(args: &mut Args) -> Result<Command, Fault> {
    let of = args.words.next();
    let (environment, state, by) = (args.flag("in"), args.flag("state"), args.flag("by"));
    let digits = of.as_deref().map(|of| of.strip_prefix('#').unwrap_or(of));
    match digits.filter(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())) {
        Some(_) if environment.is_some() || state.is_some() || by.is_some() => {
            Err(misuse("a deploy's number says which one it is").advice("leave `--in`, `--state` and `--by` out"))
        }
        Some(digits) => Ok(Command::DeployShow { number: number(digits, "the deploy's number")? }),
        None => Ok(Command::Deploys { service: of, environment, state, by }),
    }
}

fn lock(args: &mut Args) -> Result<Command, Fault> {
    let service = args.word("the service")?;
    let (freeze, pin, from) = (args.switch("freeze"), args.flag("pin"), args.flag("from"));
    let how = match (freeze, pin, from) {
        (true, Some(_), _) => {
            return Err(misuse("a lock is a freeze or a pin, not both").advice("leave `--freeze` or `--pin` out"));
        }
        (false, _, Some(_)) => {
            return Err(misuse("only a freeze begins later").advice("add `--freeze`, or leave `--from` out"));
        }
        (true, None, from) => LockHow::Freeze { from: from.as_deref().map(instant).transpose()? },
        (false, Some(reference), None) => LockHow::Pin { reference },
        (false, None, None) => LockHow::Lock,
    };
    if service == "*" && !matches!(how, LockHow::Freeze { .. }) {
        return Err(misuse("only a freeze is for all services").advice("name a service, or add `--freeze`"));
    }
    let environment = args.environment("in");
    Ok(Command::Lock { service, environment, reason: args.reason()?, for_ms: args.duration(Some(LOCK_MS))?, how })
}

fn instant(text: &str) -> Result<Timestamp, Fault> {
    Timestamp::parse_rfc3339(text)
        .ok_or_else(|| misuse(format!("`{text}` is not an instant")).advice("write it like 2026-12-20T00:00:00Z"))
}

//! The word `queue`. Pure.

use tenfold_types::Fault;

use super::Command;
use super::parse::{Args, misuse};
use crate::deploys::QueueWord;

/// What is asked of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueueAsk {
    Show,
    /// `of` names whose deploy is dropped.
    Say {
        word: QueueWord,
        of: Option<String>,
    },
}

pub(super) fn command(args: &mut Args) -> Result<Command, Fault> {
    let service = args.words.next();
    let ask = match args.words.next() {
        None => QueueAsk::Show,
        Some(said) => {
            let word = QueueWord::parse(&said)
                .ok_or_else(|| misuse(format!("a queue does not know `{said}`")).advice("say leave, drop WHO or go"))?;
            let of = if word == QueueWord::Drop { Some(args.word("whose deploy is dropped")?) } else { None };
            QueueAsk::Say { word, of }
        }
    };
    let reason = args.flag("reason");
    if reason.is_some() && ask == QueueAsk::Show {
        return Err(misuse("looking at a queue needs no reason").advice("leave `--reason` out"));
    }
    Ok(Command::Queue { service, environment: args.environment("in"), ask, reason })
}

//! `mute` and `mutes`.

use tenfold_types::Fault;

use super::{Reply, duty::minute};
use crate::alerts::{Matchers, MuteView, NewMute};
use crate::chat::announce::span;
use crate::chat::grammar::{MuteAsk, MuteEnd, When};
use crate::{App, Caller};

/// Lines of one answer in a room.
const LINES_MAX: usize = 12;

pub(super) async fn mute(app: &App, who: &Caller, ask: MuteAsk) -> Result<Reply, Fault> {
    let now = app.now();
    let at = |when: When| match when {
        When::At(at) => at,
        When::InMs(ms) => now.plus_ms(ms),
    };
    let from = ask.from.map(at);
    let expires_at = match ask.end {
        MuteEnd::For(ms) => from.unwrap_or(now).plus_ms(ms),
        MuteEnd::Until(when) => at(when),
    };
    let text = words(&ask.matchers);
    let mut new = NewMute::silence(Matchers::List(ask.matchers), &ask.reason, expires_at);
    (new.kind, new.starts_at, new.recurs_text) = (ask.kind, from, ask.recurs);
    let made = app.mute_create(who, new).await?;
    Ok(Reply::line(match (ask.end, from) {
        (MuteEnd::For(ms), None) if made.recurs.is_empty() => {
            format!("mute {}: {text} is quiet for {}", made.id, span(ms))
        }
        _ => line(&made),
    }))
}

pub(super) async fn list(app: &App, all: bool) -> Result<Reply, Fault> {
    let mutes = if all { app.mutes_all().await? } else { app.mutes().await? };
    if mutes.is_empty() {
        return Ok(Reply::line("nothing is muted"));
    }
    let mut lines: Vec<String> = mutes.iter().take(LINES_MAX).map(line).collect();
    if mutes.len() > LINES_MAX {
        let link = app.settings.link("/alerts/mutes");
        lines.push(format!("and {} more: {link}", mutes.len() - LINES_MAX));
    }
    Ok(Reply::lines(lines))
}

fn words(matchers: &[tenfold_types::Matcher]) -> String {
    matchers.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

fn line(mute: &MuteView) -> String {
    let when = match (mute.state.as_str(), &mute.next) {
        ("expired", _) => format!("over since {}", minute(mute.expires_at)),
        (_, Some(next)) if mute.holds && mute.recurs.is_empty() => format!("until {}", minute(next.to)),
        (_, Some(next)) if mute.holds => format!("now until {}, again {}", minute(next.to), mute.recurs_text),
        (_, Some(next)) if mute.recurs.is_empty() => format!("{} to {}", minute(next.from), minute(next.to)),
        (_, Some(next)) => format!("next {}, {}", minute(next.from), mute.recurs_text),
        (_, None) => format!("until {}, and does not hold before", minute(mute.expires_at)),
    };
    format!(
        "mute {} ({}) of {}: {when}; {}: {}",
        mute.id,
        mute.kind,
        words(&mute.matchers),
        mute.created_by_name,
        mute.reason
    )
}

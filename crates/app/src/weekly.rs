//! The week that the room is told of: it ends on Monday at 9 o'clock UTC, when people are at work again.

use std::time::Duration;

use tenfold_store::cursors;
use tenfold_types::{EventDraft, Fault, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::{
    App,
    digests::{NewDigest, owe},
};

/// How often somebody looks whether a week has ended.
const LOOK: Duration = Duration::from_mins(1);

pub(crate) const WEEK_MS: i64 = 7 * 86_400_000;
/// The first Monday of 1970, at 9 o'clock UTC.
const MONDAY_MS: i64 = 4 * 86_400_000 + 9 * 3_600_000;

/// The number of the week that began last.
pub(crate) fn week(now: Timestamp) -> i64 {
    (now.millis() - MONDAY_MS).div_euclid(WEEK_MS)
}

/// When a week begins, and the one before ends.
pub(crate) fn begins(week: i64) -> Timestamp {
    Timestamp(week.saturating_mul(WEEK_MS).saturating_add(MONDAY_MS))
}

/// Looks every minute whether a week has ended of which rooms are to be told.
pub async fn run(app: App, stop: CancellationToken) {
    let mut tick = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        let told = [
            ("noise", app.noise_tick().await),
            ("deliveries", app.delivery_tick().await),
            ("readiness", app.readiness_tick().await),
        ];
        for (what, told) in told {
            if let Err(fault) = told {
                tracing::warn!(%fault, "the week's {what} could not be told; trying again");
            }
        }
    }
}

/// What a week comes down to: the event that rooms hear of, and what people are told by themselves.
#[derive(Debug, Clone)]
pub(crate) struct Week {
    pub draft: EventDraft,
    pub digests: Vec<NewDigest>,
}

impl From<EventDraft> for Week {
    fn from(draft: EventDraft) -> Self {
        Self { draft, digests: Vec::new() }
    }
}

/// Tells of the week that ended, once, though several nodes look. `tells` is asked only when it is time, and may have nothing
/// to say. A server that is new begins with the week it is in.
pub(crate) async fn tell_once(
    app: &App,
    cursor: &'static str,
    tells: impl AsyncFnOnce(i64) -> Result<Option<Week>, Fault>,
) -> Result<(), Fault> {
    let this = week(app.now());
    let told = app.read(move |tx| Ok(cursors::get(tx, cursor)?)).await?;
    let week = match told {
        Some(told) if told >= this => return Ok(()),
        Some(_) => tells(this).await?,
        None => None,
    };
    app.housekeeping(move |t| {
        // Another node may have told of it meanwhile.
        if cursors::get(t.tx(), cursor)? != told {
            return Ok(());
        }
        cursors::set(t.tx(), cursor, this)?;
        if let Some(week) = &week {
            t.record(week.draft.clone())?;
            for digest in &week.digests {
                owe(t, digest)?;
            }
        }
        Ok(())
    })
    .await?;
    app.digests.wake();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_week_begins_on_monday_at_nine() {
        let instant = |text: &str| Timestamp::parse_rfc3339(text).expect("an instant");
        let at = |text: &str| week(instant(text));
        assert_eq!(at("2026-11-23T09:00:00Z"), at("2026-11-30T08:59:59Z"));
        assert_eq!(at("2026-11-23T08:59:59Z") + 1, at("2026-11-23T09:00:00Z"));
        assert_eq!(begins(at("2026-11-25T12:00:00Z")), instant("2026-11-23T09:00:00Z"));
    }
}

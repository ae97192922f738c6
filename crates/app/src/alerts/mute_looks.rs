//! Mutes as they are looked at: what a new one would keep quiet and when, and a calendar of all.

use serde::{Deserialize, Serialize};
use tenfold_alerting::{Mute, MuteSpec, OCCURRENCES_SPAN_MS_MAX, Occurrence};
use tenfold_store::alerts as store;
use tenfold_types::{Fault, Timestamp};

use super::{
    mutes::{NewMute, made_at, read, spec, stored},
    views::TurnView,
};
use crate::{App, Caller};

const DAY_MS: i64 = 86_400_000;
/// Stretches and alerts of one preview.
const PREVIEWED_MAX: usize = 20;
/// The longest calendar, from its start.
const CALENDAR_MS_MAX: i64 = 62 * DAY_MS;
/// How far the next stretch of a mute is looked for, in turn: most recur within a week, and a year of each is many.
const NEXT_MS: [i64; 3] = [8 * DAY_MS, 62 * DAY_MS, OCCURRENCES_SPAN_MS_MAX];
const TURNS_MAX: usize = 5_000;
/// Mutes that are over, in one calendar.
const OVER_MAX: i64 = 500;

/// What a mute would do if it were made now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct MutePreview {
    /// When it would hold, the first twenty stretches.
    pub turns: Vec<TurnView>,
    /// Further ones, until its end.
    pub turns_more: usize,
    /// Alerts that are active now and that it would cover, twenty of them.
    pub alerts: Vec<MutedAlert>,
    pub alerts_more: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct MutedAlert {
    pub fingerprint: String,
    pub rule: String,
    pub severity: String,
    /// `pending`, `firing` or `unknown`.
    pub state: String,
    pub summary: String,
}

/// The stretch of a calendar.
#[derive(Debug, Clone, Copy, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CalendarAsk {
    #[param(value_type = String)]
    pub from: Timestamp,
    /// At most 62 days later.
    #[param(value_type = String)]
    pub to: Timestamp,
}

/// A stretch in which one mute holds, or held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct MuteTurn {
    pub mute: i64,
    #[schema(value_type = String)]
    pub from: Timestamp,
    #[schema(value_type = String)]
    pub to: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct MuteCalendar {
    /// By their start.
    pub items: Vec<MuteTurn>,
    /// Later ones that did not fit.
    pub left_out: usize,
}

fn turn(of: Occurrence) -> TurnView {
    TurnView { from: of.from, to: of.to }
}

/// The stretch in which a mute holds at `now`, or the next one.
pub(super) fn next_turn(spec: &MuteSpec, now: Timestamp) -> Option<TurnView> {
    let from = now.max(spec.starts_at);
    let mut next = None;
    for window_ms in NEXT_MS {
        let to = from.plus_ms(window_ms);
        next = spec.occurrences(from, to).first().copied();
        // What ends with the window may go on behind it.
        if to >= spec.ends_at || next.is_some_and(|next| next.to < to) {
            break;
        }
    }
    next.map(turn)
}

impl App {
    /// What a mute would keep quiet, and when. Changes nothing.
    pub async fn mute_preview(&self, who: &Caller, new: NewMute) -> Result<MutePreview, Fault> {
        let (body, expires_at) = read(who, new)?;
        let body = made_at(body, expires_at, self.now())?;
        let mute = Mute::new("", spec(&body, expires_at)).map_err(Fault::invalid)?;
        let turns = mute.spec.occurrences(mute.spec.starts_at, mute.spec.ends_at);
        let alerts = self.alerts_covered(mute, PREVIEWED_MAX).await?;
        Ok(MutePreview {
            turns_more: turns.len().saturating_sub(PREVIEWED_MAX),
            turns: turns.into_iter().take(PREVIEWED_MAX).map(turn).collect(),
            alerts_more: alerts.more,
            alerts: alerts
                .items
                .into_iter()
                .map(|alert| MutedAlert {
                    fingerprint: alert.fingerprint,
                    rule: alert.rule,
                    severity: alert.severity,
                    state: alert.state,
                    summary: alert.summary,
                })
                .collect(),
        })
    }

    /// When which mute holds, those that are over among them.
    pub async fn mutes_calendar(&self, ask: CalendarAsk) -> Result<MuteCalendar, Fault> {
        let length = ask.to.since_ms(ask.from);
        if length <= 0 || length > CALENDAR_MS_MAX {
            let days = CALENDAR_MS_MAX / DAY_MS;
            return Err(Fault::invalid(format!("a calendar ends after it starts, at most {days} days later")));
        }
        self.read(move |tx| {
            let mut rows = store::mutes_open(tx)?;
            rows.extend(store::mutes_over(tx, OVER_MAX)?);
            let mut items = Vec::new();
            for row in &rows {
                let (mute, _) = stored(row)?;
                let until = row.ended_at.map_or(ask.to, |ended| ended.min(ask.to));
                let turns = mute.spec.occurrences(ask.from, until).into_iter();
                items.extend(turns.map(|o| MuteTurn { mute: row.id, from: o.from, to: o.to }));
            }
            items.sort_by_key(|t| (t.from, t.mute));
            let left_out = items.len().saturating_sub(TURNS_MAX);
            items.truncate(TURNS_MAX);
            Ok(MuteCalendar { items, left_out })
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use tenfold_alerting::{MuteKind, parse_matchers, parse_recurrence};

    use super::*;

    #[test]
    fn the_next_stretch_is_that_of_a_whole_year() {
        let starts_at = Timestamp(1_795_424_400_000);
        let cases = [
            ("00:00-24:00", 30),
            ("00:00-24:00", 300),
            ("00:00-24:00", 500),
            ("12:00-13:00", 300),
            ("sun 02:00-04:00 Europe/Berlin", 300),
            ("fri 22:00-04:00", 300),
            ("day:-1 01:00-02:00", 300),
            ("day:-1 01:00-02:00", 3),
            ("month:12", 300),
            ("month:3", 300),
            ("month:11 day:20", 500),
            ("month:11 day:20", 100),
        ];
        for (recurs, days) in cases {
            let spec = MuteSpec {
                kind: MuteKind::Maintenance,
                matchers: parse_matchers("service=db").expect("matchers"),
                author: "ana".to_owned(),
                reason: "vacuum".to_owned(),
                starts_at,
                ends_at: starts_at.plus_ms(days * DAY_MS),
                recurs: parse_recurrence(recurs).expect("a recurrence"),
                deploy: None,
            };
            for now in [-3, 0, 5, 9, 40, 200].map(|days| starts_at.plus_ms(days * DAY_MS + 7)) {
                let whole = spec.occurrences(now.max(starts_at), spec.ends_at).first().copied().map(turn);
                assert_eq!(next_turn(&spec, now), whole, "{recurs} for {days} days at {now}");
            }
        }
    }
}

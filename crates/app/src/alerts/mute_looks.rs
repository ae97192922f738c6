//! Mutes as they are looked at: what a new one would keep quiet and when, and a calendar of all.

use serde::{Deserialize, Serialize};
use tenfold_alerting::{Mute, MuteSpec, Occurrence};
use tenfold_store::alerts as store;
use tenfold_types::{Fault, Timestamp};

use super::{
    mutes::{NewMute, made_at, read, spec, stored},
    views::TurnView,
};
use crate::{App, Caller};

/// Stretches and alerts of one preview.
const PREVIEWED_MAX: usize = 20;
/// The longest calendar, from its start.
const CALENDAR_MS_MAX: i64 = 62 * 86_400_000;
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
    spec.occurrences(now.max(spec.starts_at), spec.ends_at).first().copied().map(turn)
}

impl App {
    /// What a mute would keep quiet, and when. Changes nothing.
    pub async fn mute_preview(&self, who: &Caller, new: NewMute) -> Result<MutePreview, Fault> {
        let (body, expires_at) = read(who, new)?;
        let body = made_at(body, expires_at, self.now())?;
        let mute = Mute::new("", spec(&body, expires_at)).map_err(Fault::invalid)?;
        let turns = mute.spec.occurrences(mute.spec.starts_at, mute.spec.ends_at);
        let mut alerts = self.alerts_list(None).await?;
        alerts.retain(|alert| alert.state != "resolved" && mute.matches(&alert.labels));
        Ok(MutePreview {
            turns_more: turns.len().saturating_sub(PREVIEWED_MAX),
            turns: turns.into_iter().take(PREVIEWED_MAX).map(turn).collect(),
            alerts_more: alerts.len().saturating_sub(PREVIEWED_MAX),
            alerts: alerts
                .into_iter()
                .take(PREVIEWED_MAX)
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
            let days = CALENDAR_MS_MAX / 86_400_000;
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

//! What a schedule says over a time: layer by layer and as a result, of the stored plan or of one that is not saved yet.

use serde::Deserialize;
use tenfold_oncall::{CALENDAR_LAYER, Elsewhere, PREVIEW_SPANS_MAX, Schedule, Span, merged_shifts};
use tenfold_types::{Fault, Timestamp};

use super::{
    ScheduleUpdate,
    followed::{self, Address, FollowedView, Reading},
    no_schedule,
    rest::elsewhere,
    schedule,
    schedules::check_people,
    views::{LayerSpansView, PreviewView, RestView, SpanView},
};
use crate::{App, Caller, Role};

const DAY_MS: i64 = 86_400_000;
const DAYS_DEFAULT: i64 = 90;
const DAYS_MAX: i64 = 366;

/// Which stretch of time.
#[derive(Debug, Clone, Copy, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PreviewAsk {
    /// Now when absent.
    #[param(value_type = Option<String>)]
    pub from: Option<Timestamp>,
    /// 1 to 366, 90 when absent.
    pub days: Option<i64>,
}

/// A plan that is not saved, and from when on it would hold.
#[derive(Debug, Clone)]
pub struct Draft {
    pub plan: ScheduleUpdate,
    pub from: Option<Timestamp>,
}

impl App {
    /// The preview of a draft. A calendar at an address that is not followed yet is read for it, which takes the right to
    /// make it followed: the server asks wherever the address leads.
    pub async fn schedule_preview_draft(
        &self,
        who: &Caller,
        name: &str,
        ask: PreviewAsk,
        draft: Draft,
    ) -> Result<PreviewView, Fault> {
        let plan = &draft.plan.0;
        plan.check().map_err(Fault::invalid)?;
        let (key, asked) = (name.to_owned(), plan.clone());
        let address = self.read(move |tx| Address::of(tx, &key, &asked)).await?;
        let reading = match &plan.calendar {
            Some(calendar) if address == Address::New => {
                who.require(Role::Deployer, None, None)?;
                Some(self.calendar_once(&calendar.url, &plan.timezone).await?)
            }
            _ => None,
        };
        self.previewed(name, ask, Some(draft), reading).await
    }

    /// The spans of every layer and the result, with gaps, overlaps and too short rests. With a draft: as it would be.
    pub async fn schedule_preview(
        &self,
        name: &str,
        ask: PreviewAsk,
        draft: Option<Draft>,
    ) -> Result<PreviewView, Fault> {
        self.previewed(name, ask, draft, None).await
    }

    async fn previewed(
        &self,
        name: &str,
        ask: PreviewAsk,
        draft: Option<Draft>,
        reading: Option<Reading>,
    ) -> Result<PreviewView, Fault> {
        let now = self.now();
        let from = ask.from.unwrap_or(now);
        let days = ask.days.unwrap_or(DAYS_DEFAULT);
        if !(1..=DAYS_MAX).contains(&days) {
            return Err(Fault::invalid(format!("a preview looks over 1 to {DAYS_MAX} days, not {days}")));
        }
        let to = from.plus_ms(days * DAY_MS);
        let key = name.to_owned();
        let (of, beside, calendar) = self
            .read(move |tx| {
                let there = schedule(tx, &key, from.min(now))?;
                let Some(draft) = &draft else {
                    let there = there.ok_or_else(|| no_schedule(&key))?;
                    let beside = elsewhere(tx, &there, from, to, now)?;
                    let calendar = followed::view(&there, followed::rows(tx)?.get(&key), now)?;
                    return Ok((there, beside, calendar));
                };
                check_people(tx, draft.plan.0.people().into_iter().map(str::to_owned).collect::<Vec<_>>().iter())?;
                let begins = draft.from.unwrap_or(now).max(now);
                let mut drafted = match there {
                    Some(there) => there.with_version(begins, draft.plan.0.clone()),
                    None => Schedule::of_plan(&key, draft.plan.0.clone(), Vec::new()),
                }
                .map_err(Fault::invalid)?;
                let mut calendar = followed::view(&drafted, followed::rows(tx)?.get(&key), now)?;
                if let Some(reading) = &reading {
                    let shifts = merged_shifts(drafted.calendar(), &reading.shifts, now);
                    drafted = drafted.with_calendar(shifts);
                    calendar = draft.plan.0.calendar.as_ref().map(|of| FollowedView {
                        host: of.host().to_owned(),
                        refresh_s: of.refresh_ms() / 1_000,
                        read_at: Some(now),
                        until: Some(reading.until),
                        failing_since: None,
                        failure: None,
                        shifts: reading.shifts.len(),
                        unnamed: reading.sentences(),
                    });
                }
                let beside = elsewhere(tx, &drafted, from, to, now)?;
                Ok((drafted, beside, calendar))
            })
            .await?;
        // Evaluating a year of hourly handoffs takes a moment; the loop of other requests shall not wait for it.
        tokio::task::spawn_blocking(move || PreviewView { calendar, ..view(&of, &beside, from, to) })
            .await
            .map_err(|e| Fault::internal(e.to_string()))
    }
}

fn view(of: &Schedule, beside: &Elsewhere, from: Timestamp, to: Timestamp) -> PreviewView {
    // Before there was a schedule nobody was missing from it.
    let begun = of.versions().first().map_or(from, |v| v.from);
    let spans = of.spans(from.max(begun).min(to), to);
    let rests = of.short_rests_beside(&spans, beside);
    let mut names: Vec<String> = Vec::new();
    for version in of.versions() {
        for layer in &version.plan.layers {
            if !names.contains(&layer.name) {
                names.push(layer.name.clone());
            }
        }
    }
    if of.versions().iter().any(|version| version.plan.calendar.is_some()) {
        names.push(CALENDAR_LAYER.to_owned());
    }
    let layers = names.into_iter().map(|name| {
        let spans = of.layer_spans(&name, from, to);
        LayerSpansView { spans: spans.iter().filter(|s| !s.people.is_empty()).map(span_view).collect(), name }
    });
    let inside = |s: &Span| s.until.min(to).since_ms(s.since.max(from)).max(0);
    let sum = |wanted: fn(&Span) -> bool| spans.iter().filter(|s| wanted(s)).map(inside).sum();
    PreviewView {
        schedule: of.name.clone(),
        from,
        to,
        gap_ms: sum(|s| s.people.is_empty()),
        overlap_ms: sum(|s| s.people.len() > 1),
        fallback_ms: sum(|s| s.fallback),
        layers: layers.filter(|l| !l.spans.is_empty()).collect(),
        truncated: spans.len() >= PREVIEW_SPANS_MAX,
        spans: spans.iter().map(span_view).collect(),
        short_rests: rests.into_iter().map(RestView::from).collect(),
        calendar: None,
    }
}

pub(super) fn span_view(s: &Span) -> SpanView {
    SpanView {
        since: s.since,
        until: s.until,
        people: s.people.clone(),
        shadows: s.shadows.clone(),
        secondary: s.secondary.clone(),
        layer: s.layer.clone().filter(|_| s.overrides.is_empty() && !s.fallback),
        overrides: s.overrides.clone(),
        fallback: s.fallback,
        gap: s.people.is_empty(),
        overlap: s.people.len() > 1,
    }
}

//! Alerts that flap: what the pipeline holds back is not written as an end, so that the alert, its incident and everybody
//! who was told go on as they are until it is calm.

use serde::{Deserialize, Serialize};
use serde_json::json;
use tenfold_alerting::pipeline::{Decision, Flap, FlapRules, PipelineState, Turn};
use tenfold_alerting::{AlertState, Fingerprint, Transition, TransitionKind};
use tenfold_store::{Tx, alerts as store};
use tenfold_types::{Fault, Severity, Timestamp};
use utoipa::ToSchema;

use super::{
    pipeline::{Outcome, of_alert},
    telling::incidents_of,
    transitions::{Body, Origin, body, draft, event_severity, summary, with},
};
use crate::{App, Txn, incidents};

/// Ended alerts whose beginnings are read at a start.
const ENDED_READ_MAX: i64 = 50_000;

/// An alert that flaps: it is told of once, and held as firing until it is calm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FlapView {
    #[schema(value_type = String)]
    pub since: Timestamp,
    /// When it is calm, if nothing changes until then.
    #[schema(value_type = String)]
    pub calm_at: Timestamp,
    /// Since when it is over by the word of its source; null while that says that it fires.
    #[schema(value_type = Option<String>)]
    pub over_since: Option<Timestamp>,
}

/// An alert whose flapping has ended.
#[derive(Debug, Clone)]
pub(super) struct Calmed {
    pub fingerprint: Fingerprint,
    /// Since when it is over; nothing where it fires on.
    pub over: Option<Timestamp>,
    pub decisions: Vec<Decision>,
}

impl Body {
    /// It is over by the word of its source, and held as firing.
    pub(super) fn held(&self) -> bool {
        self.over_since().is_some()
    }

    /// Since when it is over by the word of its source, where it is held as firing all the same.
    pub(super) fn over_since(&self) -> Option<Timestamp> {
        self.flap.as_ref()?.flapping?.over_since
    }

    /// When it began to fire: by the clock here, as far as that is remembered. Senders say when it began by theirs, and some
    /// the same of each time.
    pub(super) fn began(&self) -> Timestamp {
        let flap = self.flap.as_ref();
        let begun = flap.and_then(|flap| flap.fires.last().copied().or(flap.flapping.map(|flapping| flapping.since)));
        begun.unwrap_or(self.alert.active_since)
    }

    pub(super) fn flap_view(&self) -> Option<FlapView> {
        let flapping = self.flap.as_ref()?.flapping?;
        Some(FlapView { since: flapping.since, calm_at: flapping.calm_at, over_since: flapping.over_since })
    }
}

/// After a start: what was remembered of the changes of alerts.
pub(super) async fn recall(app: &App, state: &mut PipelineState, active: &[store::AlertRow]) -> Result<(), Fault> {
    let rules = FlapRules::from(app.settings.alerts.flapping);
    // Also where flapping was turned off since: what is held as firing would fire for ever, since nobody else ends it.
    let ended = if rules.fires == 0 {
        Vec::new()
    } else {
        let since = app.now().plus_ms(-rules.within_ms);
        app.read(move |tx: &mut dyn Tx| Ok(store::ended_since(tx, since, ENDED_READ_MAX)?)).await?
    };
    // Neither a clock that was set back nor a shorter time of the settings holds one for longer than that.
    let calm_by = app.now().plus_ms(rules.calm_ms);
    for row in active.iter().chain(&ended) {
        if let (Some(fingerprint), Some(mut flap)) = (Fingerprint::parse(&row.fingerprint), body(row)?.flap) {
            if let Some(flapping) = &mut flap.flapping {
                flapping.calm_at = flapping.calm_at.min(calm_by);
            }
            state.recall(fingerprint, flap);
        }
    }
    Ok(())
}

/// Alerts that flap and begin to fire, and whose incidents people have resolved meanwhile: they are to be told anew.
pub(super) async fn put_aside(
    app: &App,
    state: &PipelineState,
    batch: &[(Origin, Transition)],
) -> Result<Vec<Fingerprint>, Fault> {
    let firing = batch.iter().filter(|(_, t)| t.kind == TransitionKind::Firing);
    let firing = firing.filter_map(|(_, t)| Fingerprint::parse(&t.alert.fingerprint));
    let again: Vec<Fingerprint> = firing.filter(|key| state.flapping(*key).is_some()).collect();
    if again.is_empty() {
        return Ok(again);
    }
    app.read(move |tx: &mut dyn Tx| {
        let mut out = Vec::new();
        for key in &again {
            if aside_since(tx, &key.text())?.is_some() {
                out.push(*key);
            }
        }
        Ok(out)
    })
    .await
}

/// Since when people have put aside an alert that goes on: they were told of it, and have resolved all of its incidents.
pub(super) fn aside_since(tx: &mut dyn Tx, fingerprint: &str) -> Result<Option<Timestamp>, Fault> {
    let Some(row) = store::get(tx, fingerprint)?.filter(|row| row.ended_at.is_none()) else { return Ok(None) };
    let mut last: Option<Timestamp> = None;
    for number in incidents_of(&row)? {
        let Some(since) = incidents::over_since(tx, number)? else { return Ok(None) };
        last = last.max(Some(since));
    }
    Ok(last)
}

/// What is written of a transition of an alert that flaps, in place of what is written else. False when it is as any other.
pub(super) fn instead(t: &mut Txn<'_>, transition: &Transition, outcome: &Outcome) -> Result<bool, Fault> {
    let turn = outcome.turn(&transition.alert.fingerprint);
    let first_signs = matches!(transition.kind, TransitionKind::Pending | TransitionKind::Cleared);
    if !first_signs && !matches!(turn, Some(Turn::Held | Turn::Again)) {
        return Ok(false);
    }
    let fingerprint = &transition.alert.fingerprint;
    let Some(mut row) = store::get(t.tx(), fingerprint)?.filter(|row| row.ended_at.is_none()) else { return Ok(false) };
    let mut of = body(&row)?;
    if first_signs {
        // One that is held as firing has had its first signs.
        return Ok(of.held());
    }
    of.flap = outcome.flap(fingerprint).cloned();
    let text = if transition.kind == TransitionKind::Resolved {
        format!("It flaps, and is over for now: {}", summary(&of.alert))
    } else {
        // It is one alert for everybody: since its first beginning.
        let (since, fired_at) = (of.alert.active_since, of.alert.fired_at);
        of.alert = transition.alert.clone();
        (of.alert.active_since, of.alert.fired_at) = (since, fired_at.or(of.alert.fired_at));
        AlertState::Firing.as_str().clone_into(&mut row.state);
        format!("It flaps, and fires again: {}", summary(&of.alert))
    };
    put(t, &mut row, &of)?;
    let event = draft(&row, &of.alert, "alert.turned", Severity::Debug, text);
    t.record(with(event, "decisions", json!(outcome.decided(fingerprint))))?;
    Ok(true)
}

/// It has begun to flap with the beginning that was just written.
pub(super) fn began(t: &mut Txn<'_>, row: &store::AlertRow, outcome: &Outcome) -> Result<(), Fault> {
    if outcome.turn(&row.fingerprint) != Some(Turn::Began) {
        return Ok(());
    }
    let of = body(row)?;
    let text = format!("It flaps, and is told of no more until it is calm: {}", summary(&of.alert));
    let event = draft(row, &of.alert, "alert.flapping", Severity::Warning, text);
    t.record(with(event, "flapping", json!(of.flap_view())))?;
    Ok(())
}

/// It flaps no more: what its source said last holds, and those who were told that it fires are told.
pub(super) fn calmed(t: &mut Txn<'_>, calmed: &Calmed, endings: &mut incidents::Endings) -> Result<(), Fault> {
    let row = store::get(t.tx(), &calmed.fingerprint.text())?.filter(|row| row.ended_at.is_none());
    let Some(mut row) = row else { return Ok(()) };
    let mut of = body(&row)?;
    of.flap = None;
    if let Some(at) = calmed.over {
        (of.alert.state, of.alert.resolved_at) = (AlertState::Resolved, Some(at));
        AlertState::Resolved.as_str().clone_into(&mut row.state);
        row.ended_at = Some(at);
    }
    put(t, &mut row, &of)?;
    let (what, severity) = match calmed.over {
        Some(_) => ("is over", Severity::Info),
        None => ("fires on", event_severity(&row)),
    };
    let text = format!("It flaps no more, and {what}: {}", summary(&of.alert));
    let event = draft(&row, &of.alert, "alert.calm", severity, text);
    t.record(with(event, "decisions", json!(calmed.decisions)))?;
    if calmed.over.is_none() {
        return Ok(());
    }
    let event =
        draft(&row, &of.alert, "alert.resolved", Severity::Good, format!("Over, and calm: {}", summary(&of.alert)));
    t.record(with(event, "how", json!("resolved")))?;
    endings.alert(t.tx(), &row, "resolved")
}

/// Writes an alert anew with what is stored of it.
pub(super) fn put(t: &mut Txn<'_>, row: &mut store::AlertRow, of: &Body) -> Result<(), Fault> {
    row.body = serde_json::to_string(of).map_err(|e| Fault::internal(e.to_string()))?;
    store::put(t.tx(), row)?;
    Ok(())
}

impl Outcome {
    pub(super) fn turn(&self, fingerprint: &str) -> Option<Turn> {
        of_alert(&self.turns, fingerprint).copied()
    }

    pub(super) fn flap(&self, fingerprint: &str) -> Option<&Flap> {
        of_alert(&self.flaps, fingerprint)
    }
}

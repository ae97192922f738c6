//! From what a ramp's machine wants done to the flag's state and the events that tell of it.

use serde_json::{Value, json};
use tenfold_flags::{Evidence, FlagEnvironment, Ramp, RampEffect, RampState, Reading, WaitAction};
use tenfold_types::{EventDraft, Fault, Severity, Timestamp};

use crate::Caller;
use crate::chat::announce::span;
use crate::flags::manage::{several, stop_ramp, touch};
use crate::flags::{draft, told};

/// Puts the ramp's next state into the flag's and says what became of it. When the strategies were replaced behind the
/// ramp's back and have no percentage any more, the ramp ends.
pub(super) fn carry_out(
    who: &Caller,
    key: &str,
    place: &str,
    state: &mut FlagEnvironment,
    next: Ramp,
    effects: &[RampEffect],
    now: Timestamp,
) -> Result<Vec<EventDraft>, Fault> {
    let mut events = Vec::new();
    let before = told(state);
    let by_itself = who.source == tenfold_types::Source::System;
    for effect in effects {
        let percent = match effect {
            RampEffect::Step { percent } => Some(*percent),
            RampEffect::Tripped { percent, .. } => *percent,
            _ => None,
        };
        if let Some(percent) = percent
            && let Err(reason) = state.set_share(key, percent)
        {
            if !by_itself {
                return Err(several(key, &reason));
            }
            let stopped = stop_ramp(who, key, place, state).into_iter();
            return Ok(stopped.map(|e| e.data(json!({"environment": place, "reason": reason}))).collect());
        }
        if switches_off(effect) {
            state.enabled = false;
        }
    }
    state.ramp = Some(next);
    touch(state, &who.actor.id, now);
    let after = told(state);
    let Some(ramp) = state.ramp.as_ref() else { return Ok(events) };
    for effect in effects {
        let told = Told { who, key, place, ramp, before: &before, after: &after };
        events.extend(told.event(effect, by_itself));
    }
    Ok(events)
}

fn switches_off(effect: &RampEffect) -> bool {
    match effect {
        RampEffect::Tripped { percent, .. } => percent.is_none(),
        RampEffect::GaveUp { action, .. } => *action == WaitAction::Off,
        _ => false,
    }
}

struct Told<'a> {
    who: &'a Caller,
    key: &'a str,
    place: &'a str,
    ramp: &'a Ramp,
    before: &'a Value,
    after: &'a Value,
}

impl Told<'_> {
    fn event(&self, effect: &RampEffect, by_itself: bool) -> Option<EventDraft> {
        let Self { who, key, place, ramp, .. } = *self;
        let (actor, percent) = (&who.actor, ramp.percent());
        let (position, count) = (ramp.position + 1, ramp.steps.len());
        Some(match effect {
            RampEffect::Step { percent } if by_itself => {
                let text = format!("{key} went to {percent} % in {place} (step {position} of {count})");
                self.draft("flag.ramp_step", text, json!({"percent": percent, "next_at": ramp.next_at}))
            }
            RampEffect::Step { percent } => {
                let text = format!("{actor} took {key} to {percent} % in {place} (step {position} of {count})");
                self.draft("flag.ramp_step", text, json!({"percent": percent, "next_at": ramp.next_at}))
            }
            // The step before it has said so, unless the guard had still to hold.
            RampEffect::Finished if ramp.guard_now().is_none() => return None,
            RampEffect::Finished => {
                let text = format!("the ramp of {key} in {place} is done at {percent} %; its guard held");
                self.draft("flag.ramp_finished", text, json!({"percent": percent})).severity(Severity::Good)
            }
            RampEffect::Paused => {
                let text = format!("{actor} paused the ramp of {key} in {place} at {percent} %");
                self.draft("flag.ramp_paused", text, json!({"percent": percent}))
            }
            RampEffect::Resumed => {
                let text = format!("{actor} resumed the ramp of {key} in {place} at {percent} %");
                self.draft("flag.ramp_resumed", text, json!({"percent": percent, "next_at": ramp.next_at}))
            }
            RampEffect::Extended { by_ms } => {
                let text = format!("{actor} holds {key} in {place} at {percent} % for {} longer", span(*by_ms));
                let data = json!({"percent": percent, "by_ms": by_ms, "next_at": ramp.next_at});
                self.draft("flag.ramp_extended", text, data)
            }
            RampEffect::Stopped { percent } => {
                let text = format!("{actor} stopped the ramp of {key} in {place} at {percent} %");
                self.draft("flag.ramp_stopped", text, json!({"percent": percent}))
            }
            RampEffect::Waiting { why } => {
                let text = format!("the ramp of {key} in {place} waits at {percent} %: {why}");
                let data = json!({"percent": percent, "why": why, "guard": ramp.guard_now()});
                self.draft("flag.guard_waiting", text, data).severity(Severity::Warning)
            }
            RampEffect::Tripped { percent, evidence } => self.tripped(*percent, evidence),
            RampEffect::GaveUp { action, evidence } => self.gave_up(*action, evidence),
        })
    }

    fn tripped(&self, percent: Option<tenfold_flags::Share>, evidence: &Evidence) -> EventDraft {
        let Self { key, place, ramp, .. } = *self;
        let did = match percent {
            None => format!("switched {key} off in {place}"),
            Some(percent) => format!("took {key} back to {percent} % in {place}"),
        };
        let lasted = evidence.at.since_ms(evidence.since);
        let lasted = if lasted > 0 { format!(" for {}", span(lasted)) } else { String::new() };
        let why = match &evidence.reading {
            Reading::Failing { value, .. } | Reading::Good { value, .. } => {
                format!("{} is {} and has to be {}{lasted}", evidence.expr, number(*value), evidence.condition)
            }
            other => other.words().unwrap_or_default(),
        };
        let text = format!("the guard {did} at {} %: {why}", evidence.percent);
        let severity = ramp.guard_now().map_or(Severity::Critical, |g| g.severity);
        self.draft("flag.guard_tripped", text, json!({"percent": percent, "evidence": evidence})).severity(severity)
    }

    fn gave_up(&self, action: WaitAction, evidence: &Evidence) -> EventDraft {
        let Self { key, place, ramp, .. } = *self;
        let did = match action {
            WaitAction::Off => format!("switched {key} off in {place}"),
            WaitAction::Page | WaitAction::Hold => format!("paused the ramp of {key} in {place}"),
        };
        let text = format!(
            "the guard {did} at {} %: it had no data to go on for {}{}",
            evidence.percent,
            span(evidence.at.since_ms(evidence.since)),
            last_words(&evidence.reading)
        );
        let severity = ramp.guard_now().map_or(Severity::Critical, |g| g.severity);
        self.draft("flag.guard_gave_up", text, json!({"action": action, "evidence": evidence})).severity(severity)
    }

    fn draft(&self, kind: &str, text: String, more: Value) -> EventDraft {
        let mut data = json!({"environment": self.place, "before": self.before, "after": self.after});
        if let (Some(data), Value::Object(more)) = (data.as_object_mut(), more) {
            data.extend(more);
        }
        draft(self.who, kind, self.key, self.place, text).data(data)
    }
}

/// What a judge last said, where nothing was not all it said.
fn last_words(reading: &Reading) -> String {
    match reading {
        Reading::Judged { .. } => reading.words().map_or_else(String::new, |words| format!("; {words}")),
        Reading::Good { .. } | Reading::Failing { .. } | Reading::NoData { .. } => String::new(),
    }
}

/// Four digits are enough for a sentence; the data hold the rest.
fn number(value: f64) -> String {
    let text = format!("{value:.4}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// Whether an event is one by which a guard acted, and what it is called where an incident is opened for it.
pub(super) fn incident_title(state: RampState, event: &EventDraft) -> Option<String> {
    let key = event.subject.flag.as_deref().unwrap_or_default();
    match event.kind.as_str() {
        "flag.guard_tripped" if state == RampState::Tripped => Some(format!("the guard switched {key} off")),
        "flag.guard_tripped" => Some(format!("the guard took {key} a step back")),
        "flag.guard_gave_up" => Some(format!("the ramp of {key} has no data to go on")),
        _ => None,
    }
}

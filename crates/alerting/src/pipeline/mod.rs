//! From an alert that came in to somebody being told: deduplicate, hold what flaps, route, inhibit, time intervals, mutes, group, notify.
//!
//! `step(context, state, input, now)` changes the state and answers with effects: notifications, and the decision of each
//! stage with its reason. Between inputs the caller steps with [`Input::Tick`] when [`PipelineState::next_due`] says so.
//! [`simulate`] steps a copy, and [`explain`] asks the same stages about labels that need not exist: what they say is
//! what happens, since it is the same code.

mod explain;
mod flap;
mod flush;
mod shared;
mod simulate;
mod stages;
mod state;

pub use explain::{Explainer, Explanation, RouteVerdict, explain};
pub use flap::{FLAP_FIRES_MAX, Flap, FlapRules, Flapping, Turn, Turned};
pub use shared::SharedMap;
pub use simulate::{Planned, simulate};
pub use state::{Ended, Group, GroupId, HowEnded, Incoming, Known, PipelineState, Told};

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tenfold_types::{FlatSet, Timestamp};

use crate::{Fingerprint, Mute, Route, Routing};

/// Alerts that are followed at a time.
pub const ALERTS_MAX: usize = 200_000;

/// What the stages decide by.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    pub routing: &'a Routing,
    pub mutes: &'a [Mute],
    pub flapping: FlapRules,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// Alerts that came in together: each fires, goes on firing, or has ended. They are told of together as well.
    Alerts(Vec<Incoming>),
    /// Look at what is due.
    Tick,
}

/// The stages, in the order in which they are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    Dedup,
    Flap,
    Route,
    Inhibit,
    TimeInterval,
    Mute,
    Group,
    Notify,
}

impl Stage {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dedup => "dedup",
            Self::Flap => "flap",
            Self::Route => "route",
            Self::Inhibit => "inhibit",
            Self::TimeInterval => "time_interval",
            Self::Mute => "mute",
            Self::Group => "group",
            Self::Notify => "notify",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The next stage is asked.
    Pass,
    /// Nobody is told as long as this holds.
    Suppress,
    /// Somebody will be told, later.
    Wait,
    /// Somebody is told.
    Send,
    /// There is nothing new to tell.
    Nothing,
}

/// What a stage decided about an alert, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    pub fingerprint: Fingerprint,
    /// The route it was decided for, when it was for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    pub stage: Stage,
    pub verdict: Verdict,
    /// A sentence.
    pub because: String,
    /// The mute, the inhibiting alert or the time interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// Why a group is told of now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    First,
    /// Alerts have joined: the same message grows.
    Grown,
    /// Some of its alerts are over.
    Shrunk,
    Repeat,
    /// All of its alerts are over.
    Over,
}

/// A group is told of to a receiver.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Notification {
    pub group: GroupId,
    pub receiver: String,
    pub reason: Reason,
    /// The same for all notifications from a group's first to its last: a channel that can, changes that one message.
    pub thread: u64,
    /// Those that are told of for the first time are among them.
    pub firing: Vec<Fingerprint>,
    pub new: Vec<Fingerprint>,
    /// What is over since the last notification.
    pub ended: Vec<Ended>,
}

/// An alert of a group that was looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct Flushed {
    pub fingerprint: Fingerprint,
    pub known: Arc<Known>,
    /// Inhibited, muted, or outside of its route's hours.
    pub quiet: bool,
}

/// A group whose receiver has webhooks was looked at; whether one of them is told is for its [`crate::webhook::Ledger`].
#[derive(Debug, Clone, PartialEq)]
pub struct Flush {
    pub group: Arc<GroupId>,
    pub receiver: String,
    pub repeat_interval_ms: i64,
    pub alerts: Vec<Flushed>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    Notify(Notification),
    Flush(Flush),
    Decided(Decision),
    Turned(Turned),
}

/// Steps the pipeline.
pub fn step(context: Context<'_>, state: &mut PipelineState, input: Input, now: Timestamp) -> Vec<Effect> {
    let mut effects = Vec::new();
    flap::calm(state, now, &mut effects);
    if let Input::Alerts(list) = input {
        for incoming in list {
            receive(context, state, incoming, now, &mut effects);
        }
    }
    flush::due(context, state, now, &mut effects);
    effects
}

fn receive(
    context: Context<'_>,
    state: &mut PipelineState,
    incoming: Incoming,
    now: Timestamp,
    effects: &mut Vec<Effect>,
) {
    let fingerprint = Fingerprint::of(&incoming.labels);
    if flap::holds(context, state, fingerprint, &incoming, now, effects) {
        return;
    }
    let mut decide = |stage, verdict, because: String| {
        let decision = Decision { fingerprint, route: None, stage, verdict, because, by: None };
        effects.push(Effect::Decided(decision));
    };
    if let Some(known) = state.alerts.get_mut(&fingerprint)
        && known.ended.is_none()
    {
        let known = Arc::make_mut(known);
        known.annotations = incoming.annotations;
        known.starts_at = known.starts_at.min(incoming.starts_at);
        known.ended = incoming.ended;
        if incoming.generator_url.is_some() {
            known.generator_url = incoming.generator_url;
        }
        // What was silent and is over now has been over for webhooks since it was silent.
        if known.ended.is_none() {
            known.lapsed = incoming.lapsed;
        }
        if let Some((at, how)) = known.ended {
            decide(Stage::Dedup, Verdict::Pass, format!("it is over since {at}: {}", how.words()));
        }
        return;
    }
    if let Some((at, how)) = incoming.ended {
        if let Some(known) = state.alerts.get_mut(&fingerprint) {
            // Said twice before its group was looked at: the later end counts, and what was said last.
            let known = Arc::make_mut(known);
            known.annotations = incoming.annotations;
            known.starts_at = known.starts_at.min(incoming.starts_at);
            known.ended = Some((known.ended.map_or(at, |(before, _)| before.max(at)), how));
            return;
        }
        decide(Stage::Dedup, Verdict::Nothing, "it is over, and was not known to fire".to_owned());
        return;
    }
    if state.alerts.len() >= ALERTS_MAX && !state.alerts.contains_key(&fingerprint) {
        decide(Stage::Dedup, Verdict::Suppress, format!("{ALERTS_MAX} alerts are followed already"));
        return;
    }
    decide(Stage::Dedup, Verdict::Pass, "it was not firing before".to_owned());
    flap::fired(context, state, fingerprint, now, effects);
    let known = Known {
        labels: incoming.labels,
        annotations: incoming.annotations,
        starts_at: incoming.starts_at,
        ended: None,
        lapsed: incoming.lapsed,
        generator_url: incoming.generator_url,
    };
    route(context, state, fingerprint, &known, now, effects);
    state.alerts.insert(fingerprint, Arc::new(known));
}

/// Puts an alert into the group of each route it ends in.
fn route(
    context: Context<'_>,
    state: &mut PipelineState,
    fingerprint: Fingerprint,
    known: &Known,
    now: Timestamp,
    effects: &mut Vec<Effect>,
) {
    let anew = state.alerts.get(&fingerprint).is_some_and(|before| before.ended.is_some());
    for route in context.routing.tree.matching(&known.labels, &mut |_, _| {}) {
        effects.push(Effect::Decided(stages::routed(fingerprint, route)));
        let id = Arc::new(GroupId::new(route.key.clone(), route.group_labels(&known.labels)));
        let overdue = known.starts_at.plus_ms(route.group_wait_ms) < now;
        let (thread, looks) = (&mut state.thread_next, &mut state.looks);
        let group = state.groups.entry(id.clone()).or_insert_with(|| {
            *thread += 1;
            let next_at = now.plus_ms(route.group_wait_ms);
            looks.insert((next_at, *thread), id.clone());
            Arc::new(Group::new(*thread, next_at))
        });
        let group = Arc::make_mut(group);
        group.alerts.insert(fingerprint);
        // It ended and its group was not looked at since. That it fired then was told; that it fires now was not.
        if anew {
            group.forget(fingerprint);
        }
        // It has fired for longer than a new group waits: the wait is behind it.
        if overdue && group.told.is_none() && !group.flushed {
            state::sooner(&mut state.looks, &id, group, now);
        }
    }
}

/// The state after a start, from the alerts that fire, and from what is known of who was told of each: `told` says whether a
/// route's receiver was. Groups are looked at at once, unless [`go_on`] knows better.
pub fn restore<T>(
    context: Context<'_>,
    alerts: Vec<(Known, T)>,
    told: impl Fn(&T, &Route) -> bool,
    now: Timestamp,
) -> PipelineState {
    let mut state = PipelineState::default();
    for (known, heard) in alerts {
        let fingerprint = Fingerprint::of(&known.labels);
        for route in context.routing.tree.matching(&known.labels, &mut |_, _| {}) {
            let id = GroupId::new(route.key.clone(), route.group_labels(&known.labels));
            let thread = &mut state.thread_next;
            let group = state.groups.entry(Arc::new(id)).or_insert_with(|| {
                *thread += 1;
                Arc::new(Group::new(*thread, now))
            });
            let group = Arc::make_mut(group);
            group.alerts.insert(fingerprint);
            if told(&heard, route) {
                let told = group.told.get_or_insert_with(|| Told { at: now, firing: FlatSet::new() });
                told.firing.insert(fingerprint);
                group.flushed = true;
                group.verdicts.insert(fingerprint, (Verdict::Pass, None));
            }
        }
        state.alerts.insert(fingerprint, Arc::new(known));
    }
    state.look_ahead();
    state
}

/// Takes over from the state that was in memory until now what a restored one cannot know of its groups: when they are looked
/// at next, and what was decided in them, which is no news. Where the routing is another one now, a group that was looked at
/// before is looked at at once: its receiver may be one that has heard nothing yet.
pub fn go_on(context: Context<'_>, state: &mut PipelineState, before: &PipelineState, rerouted: bool, now: Timestamp) {
    for (id, old) in before.groups.iter() {
        let Some(route) = context.routing.tree.by_key(id.route()) else { continue };
        let Some(group) = state.groups.get_mut(id) else { continue };
        let group = Arc::make_mut(group);
        let Group { alerts, verdicts, .. } = group;
        for (fingerprint, verdict) in old.verdicts.iter().filter(|(fingerprint, _)| alerts.contains(*fingerprint)) {
            verdicts.insert(*fingerprint, verdict.clone());
        }
        if let (Some(told), Some(old)) = (&mut group.told, &old.told) {
            told.at = old.at;
        }
        if !(rerouted && old.flushed) {
            let wait_ms = if old.flushed { route.group_interval_ms } else { route.group_wait_ms };
            // A clock that was set back, or a shorter time of the route, makes nobody wait for longer than that.
            group.next_at = old.next_at.min(now.plus_ms(wait_ms));
        }
        group.flushed |= old.flushed;
    }
    state.look_ahead();
}

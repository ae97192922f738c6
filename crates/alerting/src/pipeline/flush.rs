//! Looking at groups whose time has come: what may be told, and whether there is anything new to tell.

use std::sync::Arc;

use tenfold_types::{FlatSet, Timestamp, format_duration_ms};

use super::{
    Context, Decision, Effect, Ended, Flush, Flushed, Group, GroupId, Known, Notification, PipelineState, Reason,
    Stage, Told, Verdict,
    stages::{self, Sources},
};
use crate::{Fingerprint, routes::Route};

pub(super) fn due(context: Context<'_>, state: &mut PipelineState, now: Timestamp, effects: &mut Vec<Effect>) {
    let due = state.take_due(now);
    debug_assert_eq!(
        state.groups.values().filter(|group| group.next_at <= now).count(),
        due.len(),
        "a group that is due would not be looked at"
    );
    if due.is_empty() {
        return;
    }
    // Some group let go of an alert, which another may hold.
    let mut let_go = false;
    let sources = Sources::of(context, &state.alerts);
    for id in due {
        let route = context.routing.tree.by_key(id.route());
        let (Some(group), Some(route)) = (state.groups.get_mut(&id), route) else {
            state.groups.remove(&id);
            let_go = true;
            continue;
        };
        let group = Arc::make_mut(group);
        let held = group.alerts.len();
        look(context, &sources, &id, group, route, now, effects);
        group.flushed = true;
        let_go |= group.alerts.len() < held;
        // On the group's own grid: a look that comes late does not put off all that follow.
        let next = group.next_at.plus_ms(route.group_interval_ms);
        group.next_at = if next > now { next } else { now.plus_ms(route.group_interval_ms) };
        if group.alerts.is_empty() {
            state.groups.remove(&id);
        } else {
            state.looks.insert((group.next_at, group.thread), id);
        }
    }
    if let_go {
        state.forget_unheld();
    }
}

fn look(
    context: Context<'_>,
    sources: &Sources<'_>,
    id: &Arc<GroupId>,
    group: &mut Group,
    route: &Route,
    now: Timestamp,
    effects: &mut Vec<Effect>,
) {
    let Group { alerts, verdicts, told, .. } = &mut *group;
    let told = told.as_ref().map(|t| &t.firing);
    let mut firing = Vec::new();
    let mut ended = Vec::new();
    let webhooks = context.routing.receivers.get(&route.receiver).is_some_and(|r| !r.webhook_configs.is_empty());
    let mut flushed = Vec::new();
    let mut keep = |fingerprint: Fingerprint, known: &Arc<Known>, quiet: bool| {
        if webhooks {
            flushed.push(Flushed { fingerprint, known: known.clone(), quiet });
        }
    };
    // What is over goes in one pass: of many, each would else move all behind it.
    alerts.retain(|&fingerprint| {
        let Some(known) = sources.alerts.get(&fingerprint) else { return false };
        if let Some((at, how)) = known.ended {
            verdicts.remove(&fingerprint);
            // Whoever was told that it fires is told that it is over, muted or not. Others need not know.
            if told.is_some_and(|t| t.contains(&fingerprint)) {
                ended.push(Ended { fingerprint, at, how });
            }
            if webhooks {
                let decisions = stages::ask(context, sources, fingerprint, &known.labels, route, now);
                keep(fingerprint, known, decisions.last().is_some_and(|d| d.verdict == Verdict::Suppress));
            }
            return false;
        }
        let decisions = stages::ask(context, sources, fingerprint, &known.labels, route, now);
        let last = decisions.last().map_or((Verdict::Pass, None), |d| (d.verdict, d.by.clone()));
        keep(fingerprint, known, last.0 != Verdict::Pass);
        if last.0 == Verdict::Pass {
            firing.push(fingerprint);
        }
        if verdicts.insert(fingerprint, last.clone()) != Some(last) {
            effects.extend(decisions.into_iter().map(Effect::Decided));
        }
        true
    });
    let firing: FlatSet<Fingerprint> = firing.into_iter().collect();
    if webhooks {
        effects.push(Effect::Flush(Flush {
            group: id.clone(),
            receiver: route.receiver.clone(),
            repeat_interval_ms: route.repeat_interval_ms,
            alerts: flushed,
        }));
    }
    let Some((reason, because)) = news(group.told.as_ref(), &firing, &ended, route, now) else { return };
    let empty = FlatSet::new();
    let before = group.told.as_ref().map_or(&empty, |t| &t.firing);
    let new: Vec<Fingerprint> = firing.difference(before).copied().collect();
    let about: Vec<Fingerprint> = if new.is_empty() {
        ended.iter().map(|e| e.fingerprint).chain(firing.iter().copied()).collect()
    } else {
        new.clone()
    };
    effects.extend(about.into_iter().map(|fingerprint| {
        Effect::Decided(Decision {
            fingerprint,
            route: Some(id.route().to_owned()),
            stage: Stage::Notify,
            verdict: Verdict::Send,
            because: because.clone(),
            by: None,
        })
    }));
    // A muted alert that was told stays told: its end is owed.
    let mut remembered: FlatSet<Fingerprint> = before.iter().filter(|f| group.alerts.contains(*f)).copied().collect();
    remembered.extend(firing.iter().copied());
    group.told = Some(Told { at: now, firing: remembered });
    effects.push(Effect::Notify(Notification {
        group: GroupId::clone(id),
        receiver: route.receiver.clone(),
        reason,
        thread: group.thread,
        firing: firing.into_iter().collect(),
        new,
        ended,
    }));
}

/// Whether there is anything to tell.
pub(super) fn news(
    told: Option<&Told>,
    firing: &FlatSet<Fingerprint>,
    ended: &[Ended],
    route: &Route,
    now: Timestamp,
) -> Option<(Reason, String)> {
    let Some(told) = told else {
        let receiver = &route.receiver;
        return (!firing.is_empty()).then(|| (Reason::First, format!("{receiver} has not heard of this group yet")));
    };
    let new = firing.difference(&told.firing).count();
    if new > 0 {
        return Some((Reason::Grown, format!("{new} more fire than were told of")));
    }
    if !ended.is_empty() {
        let all = told.firing.len() == ended.len();
        let reason = if all { Reason::Over } else { Reason::Shrunk };
        return Some((reason, format!("{} of {} that were told of are over", ended.len(), told.firing.len())));
    }
    let repeat = route.repeat_interval_ms;
    (!firing.is_empty() && now.since_ms(told.at) >= repeat)
        .then(|| (Reason::Repeat, format!("it still fires and {} have passed", format_duration_ms(repeat))))
}

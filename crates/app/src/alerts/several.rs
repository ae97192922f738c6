//! One alert that several bring: two rules with the same name and labels, or a rule here and a sender of the same rule.
//!
//! To everybody it is one alert, stored once and told of once. Of two rules the first has it, and the other is heard when it ends
//! there. A rule takes over from a sender, whose word of it counts no more as long as the rule goes on: else the silence of the
//! one would end what the other knows of.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tenfold_alerting::{Alert, AlertState, Transition, TransitionKind};

use super::{groups::Running, transitions::Origin};
use crate::App;

/// A group's place among all, and a rule's place in it.
type Place = (usize, usize);

/// Which rules have an alert that fires, by its fingerprint.
#[derive(Debug, Default)]
pub(super) struct Brought(BTreeMap<String, BTreeSet<Place>>);

fn fires(alert: &Alert) -> bool {
    matches!(alert.state, AlertState::Firing | AlertState::Unknown)
}

impl Brought {
    pub fn of(groups: &[Arc<Running>]) -> Self {
        let mut brought = Self::default();
        for running in groups {
            for (rule, status) in running.status.lock().rules.iter().enumerate() {
                for alert in status.state.active.values().filter(|alert| fires(alert)) {
                    brought.0.entry(alert.fingerprint.clone()).or_default().insert((running.place, rule));
                }
            }
        }
        brought
    }

    pub fn has(&self, fingerprint: &str) -> bool {
        self.0.contains_key(fingerprint)
    }

    fn other(&self, fingerprint: &str, mine: Place) -> Option<Place> {
        self.0.get(fingerprint)?.iter().find(|place| **place != mine).copied()
    }

    fn note(&mut self, mine: Place, transitions: &[Transition]) {
        for alert in transitions.iter().map(|t| &t.alert) {
            let places = self.0.entry(alert.fingerprint.clone()).or_default();
            if fires(alert) {
                places.insert(mine);
            } else {
                places.remove(&mine);
            }
            if places.is_empty() {
                self.0.remove(&alert.fingerprint);
            }
        }
    }
}

/// What of a rule's transitions is to be stored.
pub(super) struct Settled {
    pub batch: Vec<(Origin, Transition)>,
    /// Fingerprints that are the rule's now, and a sender's no more.
    pub taken: Vec<String>,
}

/// Leaves out what is known already, and hands over what goes on elsewhere. Only while `evaluating` and `hearing` are held, until
/// [`done`].
pub(super) fn settle(app: &App, running: &Running, rule: usize, transitions: &[Transition]) -> Settled {
    let mut settled = Settled { batch: Vec::with_capacity(transitions.len()), taken: Vec::new() };
    let Some(origin) = running.group.rules.get(rule).map(|r| Origin::new(running, r).suspect_window(app)) else {
        return settled;
    };
    let mine = (running.place, rule);
    for transition in transitions {
        let fingerprint = transition.alert.fingerprint.as_str();
        let is_sent = app.alerts.received.lock().contains_key(fingerprint);
        let other = app.alerts.brought.lock().other(fingerprint, mine);
        let other = other.and_then(|place| at(app, place, fingerprint));
        let only_signs = transition.alert.state == AlertState::Pending || transition.from == Some(AlertState::Pending);
        let begins = transition.kind == TransitionKind::Firing;
        match (transition.kind, other) {
            (_, other) if only_signs && !begins && (is_sent || other.is_some()) => {}
            (TransitionKind::Firing, Some(_)) => {}
            (TransitionKind::Firing, None) if is_sent => {
                settled.taken.push(fingerprint.to_owned());
                settled.batch.push((origin.clone(), taken_over(transition.alert.clone())));
            }
            (TransitionKind::FiringAgain | TransitionKind::Unknown, Some((_, alert)))
                if alert.state == AlertState::Firing => {}
            (
                TransitionKind::Resolved | TransitionKind::Expired | TransitionKind::RuleRemoved,
                Some((origin, alert)),
            ) => settled.batch.push((origin, taken_over(alert))),
            _ => {
                let mut origin = origin.clone();
                origin.at_once = transition.is_worse();
                settled.batch.push((origin, transition.clone()));
            }
        }
    }
    settled
}

/// What was settled is stored.
pub(super) fn done(app: &App, running: &Running, rule: usize, transitions: &[Transition], taken: &[String]) {
    let mut received = app.alerts.received.lock();
    for fingerprint in taken {
        received.remove(fingerprint);
    }
    drop(received);
    app.alerts.brought.lock().note((running.place, rule), transitions);
}

/// It goes on under another rule.
fn taken_over(mut alert: Alert) -> Transition {
    if alert.state != AlertState::Unknown {
        alert.state = AlertState::Firing;
    }
    let reason = Some("another rule has it now".to_owned());
    Transition { kind: TransitionKind::FiringAgain, from: Some(AlertState::Firing), alert, reason }
}

/// Whether a transition is one of those above.
pub(super) fn is_taken_over(transition: &Transition) -> bool {
    transition.kind == TransitionKind::FiringAgain && transition.reason.is_some()
}

fn at(app: &App, (place, rule): Place, fingerprint: &str) -> Option<(Origin, Alert)> {
    let running = app.alerts.groups.read().get(place)?.clone();
    let status = running.status.lock();
    let active = &status.rules.get(rule)?.state.active;
    let alert = active.values().find(|alert| alert.fingerprint == fingerprint)?.clone();
    Some((Origin::new(&running, running.group.rules.get(rule)?).suspect_window(app), alert))
}

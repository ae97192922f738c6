//! What the pipeline remembers.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tenfold_types::{FlatSet, Labels, Timestamp};

use super::{Flapping, SharedMap, Verdict};
use crate::{Annotations, Fingerprint, Routing, fingerprint::hash_named};

/// Why an alert no longer fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HowEnded {
    /// Its source says that it is over.
    Resolved,
    /// Its source has been silent for too long; nobody knows whether it is over.
    Expired,
    RuleRemoved,
}

impl HowEnded {
    pub const fn words(self) -> &'static str {
        match self {
            Self::Resolved => "its source says so",
            Self::Expired => "its source went silent, which does not mean that it is over",
            Self::RuleRemoved => "its rule was removed",
        }
    }
}

/// An alert as it comes in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incoming {
    pub labels: Labels,
    pub annotations: Annotations,
    pub starts_at: Timestamp,
    /// It has ended.
    pub ended: Option<(Timestamp, HowEnded)>,
    /// Its sender gave it an end, which has passed without a word since. Nobody knows whether it is over.
    pub lapsed: Option<Timestamp>,
    /// Where its sender explains it.
    pub generator_url: Option<String>,
}

/// An alert that is followed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    pub labels: Labels,
    pub annotations: Annotations,
    pub starts_at: Timestamp,
    pub ended: Option<(Timestamp, HowEnded)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lapsed: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generator_url: Option<String>,
}

impl Known {
    /// When it was over for a webhook, whose language has two words, firing and resolved: an end that has passed is one,
    /// as for Alertmanager. It stays that one when its sender says later that it is over, since that is no news there.
    pub fn over(&self) -> Option<Timestamp> {
        self.lapsed.or(self.ended.map(|(at, _)| at))
    }
}

/// The alerts of a route that have the route's group labels in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "Named")]
pub struct GroupId {
    /// Of the rest. It comes first in the order: of many groups most have the route and the front of the labels in common.
    #[serde(skip_serializing)]
    hash: u64,
    route: String,
    labels: Labels,
}

#[derive(Deserialize)]
struct Named {
    route: String,
    labels: Labels,
}

impl From<Named> for GroupId {
    fn from(Named { route, labels }: Named) -> Self {
        Self::new(route, labels)
    }
}

impl GroupId {
    pub fn new(route: String, labels: Labels) -> Self {
        Self { hash: hash_named(&route, &labels), route, labels }
    }

    pub fn route(&self) -> &str {
        &self.route
    }

    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    pub fn into_labels(self) -> Labels {
        self.labels
    }

    /// By what people see them in order.
    fn named(&self) -> (&str, &Labels) {
        (&self.route, &self.labels)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    pub fingerprint: Fingerprint,
    pub at: Timestamp,
    pub how: HowEnded,
}

/// What was told of a group last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub at: Timestamp,
    pub firing: FlatSet<Fingerprint>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub thread: u64,
    pub alerts: FlatSet<Fingerprint>,
    /// When it is looked at next.
    pub next_at: Timestamp,
    /// It was looked at before.
    pub flushed: bool,
    pub told: Option<Told>,
    /// The last verdict on each alert, so that a decision is written when it changes and not at every look.
    pub verdicts: SharedMap<Fingerprint, (Verdict, Option<String>)>,
}

impl Group {
    pub(super) fn new(thread: u64, next_at: Timestamp) -> Self {
        Self { thread, alerts: FlatSet::new(), next_at, flushed: false, told: None, verdicts: SharedMap::default() }
    }

    /// Forgets that an alert was told of, and what was decided of it.
    pub(super) fn forget(&mut self, fingerprint: Fingerprint) {
        if let Some(told) = &mut self.told {
            told.firing.remove(&fingerprint);
        }
        self.verdicts.remove(&fingerprint);
    }
}

/// When groups want to be looked at: each stands once in it, under its `next_at` and its thread.
pub(super) type Looks = SharedMap<(Timestamp, u64), Arc<GroupId>>;

/// Has a group looked at by then at the latest.
pub(super) fn sooner(looks: &mut Looks, id: &Arc<GroupId>, group: &mut Group, at: Timestamp) {
    if group.next_at <= at {
        return;
    }
    looks.remove(&(group.next_at, group.thread));
    group.next_at = at;
    looks.insert((at, group.thread), id.clone());
}

/// Copies share the alerts and groups that neither has changed: a step may be made on a copy, and dropped.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PipelineState {
    pub alerts: SharedMap<Fingerprint, Arc<Known>>,
    pub groups: SharedMap<Arc<GroupId>, Arc<Group>>,
    pub(super) thread_next: u64,
    pub(super) looks: Looks,
    /// When alerts began to fire lately, the oldest first.
    pub(super) fires: SharedMap<Fingerprint, Arc<[Timestamp]>>,
    /// When what is too old among them was looked for last, since there were too many.
    pub(super) fires_swept_at: Option<Timestamp>,
    /// Alerts that flap.
    pub(super) flapping: BTreeMap<Fingerprint, Flapping>,
}

impl PipelineState {
    /// When the next group wants to be looked at, or what flaps may be calm.
    pub fn next_due(&self) -> Option<Timestamp> {
        let look = self.looks.keys().next().map(|(at, _)| *at);
        look.into_iter().chain(self.calm_due()).min()
    }

    /// Takes out the groups that want to be looked at by now, by route and labels. Each that stays is to be put in again.
    pub(super) fn take_due(&mut self, now: Timestamp) -> Vec<Arc<GroupId>> {
        let due = self.looks.take_front(|(at, _)| *at <= now);
        let mut due: Vec<Arc<GroupId>> = due.into_iter().map(|(_, id)| id).collect();
        due.sort_unstable_by(|a, b| a.named().cmp(&b.named()));
        due
    }

    /// Looks at the groups of an alert that comes in now at once, where they were looked at before: what is worse than people
    /// were told does not wait for its group's interval.
    pub fn hurry(&mut self, routing: &Routing, labels: &Labels, now: Timestamp) {
        for route in routing.tree.matching(labels, &mut |_, _| {}) {
            let id = GroupId::new(route.key.clone(), route.group_labels(labels));
            if let Some(group) = self.groups.get_mut(&id).filter(|group| group.flushed) {
                sooner(&mut self.looks, &Arc::new(id), Arc::make_mut(group), now);
            }
        }
    }

    /// The groups that want to be looked at by now.
    pub(super) fn due(&self, now: Timestamp) -> Vec<Arc<GroupId>> {
        self.looks.iter().take_while(|((at, _), _)| *at <= now).map(|(_, id)| id.clone()).collect()
    }

    /// Has a group looked at no sooner than at an instant, at one of the times at which it would be anyway.
    pub(super) fn later(&mut self, id: &Arc<GroupId>, interval_ms: i64, at: Timestamp) {
        let Some(group) = self.groups.get_mut(id).filter(|group| group.next_at < at) else { return };
        let group = Arc::make_mut(group);
        let interval_ms = interval_ms.max(1);
        let times = at.since_ms(group.next_at).saturating_add(interval_ms - 1) / interval_ms;
        self.looks.remove(&(group.next_at, group.thread));
        group.next_at = group.next_at.plus_ms(times.saturating_mul(interval_ms));
        self.looks.insert((group.next_at, group.thread), id.clone());
    }

    /// A copy with no groups but those that an alert with these labels is in, or would be: what becomes of it depends on no
    /// others.
    pub fn about(&self, routing: &Routing, labels: &Labels) -> Self {
        let mut groups = SharedMap::default();
        for route in routing.tree.matching(labels, &mut |_, _| {}) {
            let id = GroupId::new(route.key.clone(), route.group_labels(labels));
            if let Some(group) = self.groups.get(&id) {
                groups.insert(Arc::new(id), group.clone());
            }
        }
        let mut state = Self { groups, ..self.clone() };
        state.look_ahead();
        state
    }

    /// Asks every group when it wants to be looked at.
    pub(super) fn look_ahead(&mut self) {
        self.looks = Looks::default();
        for (id, group) in self.groups.iter() {
            self.looks.insert((group.next_at, group.thread), id.clone());
        }
    }

    /// Forgets ended alerts that no group holds any more.
    pub(super) fn forget_unheld(&mut self) {
        if self.alerts.values().all(|known| known.ended.is_none()) {
            return;
        }
        let held: HashSet<Fingerprint> = self.groups.values().flat_map(|g| g.alerts.iter().copied()).collect();
        self.alerts.retain(|f, known| known.ended.is_none() || held.contains(f));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_looked_at_when_they_want_to_be_in_their_order() {
        let at = Timestamp::from_millis;
        let id = |route: &str| Arc::new(GroupId::new(route.to_owned(), Labels::new()));
        let mut state = PipelineState::default();
        for (thread, route, ms) in [(1, "c", 5), (2, "b", 7), (3, "a", 7), (4, "d", 9)] {
            state.groups.insert(id(route), Arc::new(Group::new(thread, at(ms))));
        }
        state.look_ahead();
        assert_eq!(state.next_due(), Some(at(5)));
        let last = Arc::make_mut(state.groups.get_mut(&id("d")).expect("it is there"));
        sooner(&mut state.looks, &id("d"), last, at(8));
        sooner(&mut state.looks, &id("d"), last, at(20));
        assert_eq!(last.next_at, at(8));
        assert!(state.take_due(at(4)).is_empty());
        assert_eq!(state.take_due(at(7)), [id("a"), id("b"), id("c")]);
        assert_eq!((state.next_due(), state.looks.len()), (Some(at(8)), 1));
        assert_eq!(state.take_due(at(9)), [id("d")]);
        assert_eq!(state.next_due(), None);
    }

    #[test]
    fn a_look_that_is_put_off_stays_on_the_groups_own_grid() {
        let at = Timestamp::from_millis;
        let id = Arc::new(GroupId::new("a".to_owned(), Labels::new()));
        let mut state = PipelineState::default();
        state.groups.insert(id.clone(), Arc::new(Group::new(1, at(5))));
        state.look_ahead();
        for (by, next) in [(3, 5), (5, 5), (6, 15), (15, 15), (36, 45)] {
            state.later(&id, 10, at(by));
            assert_eq!((state.next_due(), state.looks.len()), (Some(at(next)), 1), "{by}");
        }
        assert!(state.due(at(44)).is_empty());
        assert_eq!(state.due(at(45)), [id]);
    }

    #[test]
    fn a_group_is_stored_as_its_route_and_labels() {
        let of = |service: &str| GroupId::new("{}".to_owned(), Labels::from_pairs([("service", service)]));
        let text = serde_json::to_string(&of("a")).unwrap();
        assert_eq!(text, r#"{"route":"{}","labels":{"service":"a"}}"#);
        assert_eq!(serde_json::from_str::<GroupId>(&text).unwrap(), of("a"));
        let other_route = GroupId::new("{}/0".to_owned(), of("a").into_labels());
        assert!(of("a") != of("b") && of("a") != other_route);
        let mut all = [other_route.clone(), of("b"), of("a")];
        all.sort_by(|a, b| a.named().cmp(&b.named()));
        assert_eq!(all, [of("a"), of("b"), other_route]);
    }
}

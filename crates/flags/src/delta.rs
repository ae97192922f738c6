//! What changed between two documents, as steps of the Unleash delta protocol, and the last changes as a history: who
//! has a version that is in it is sent the difference, everybody else the whole.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use serde::Serialize;

use crate::{ClientFeatures, DeltaEvent, Feature, Segment};

/// Versions that a history goes back.
const STEPS_MAX: usize = 100;
/// Events that a history holds; one that changes more than this at once starts it anew.
const EVENTS_MAX: usize = 1_000;

/// The steps from `older` to `newer`. Segments come first: a strategy may name one that is new.
pub fn between(older: &ClientFeatures, newer: &ClientFeatures, event_id: u64) -> Vec<DeltaEvent> {
    let mut events = Vec::new();
    let segments =
        |d: &'_ ClientFeatures| -> BTreeMap<i64, Segment> { d.segments.iter().map(|s| (s.id, s.clone())).collect() };
    let (before, after) = (segments(older), segments(newer));
    for segment in after.values().filter(|s| before.get(&s.id) != Some(s)) {
        events.push(DeltaEvent::SegmentUpdated { event_id, segment: segment.clone() });
    }
    let before: BTreeMap<&str, &Feature> = older.features.iter().map(|f| (f.name.as_str(), f)).collect();
    for feature in newer.features.iter().filter(|f| before.get(f.name.as_str()) != Some(f)) {
        events.push(DeltaEvent::FeatureUpdated { event_id, feature: feature.clone() });
    }
    let kept: BTreeSet<&str> = newer.features.iter().map(|f| f.name.as_str()).collect();
    for feature in older.features.iter().filter(|f| !kept.contains(f.name.as_str())) {
        let (feature_name, project) = (feature.name.clone(), feature.project.clone().unwrap_or_default());
        events.push(DeltaEvent::FeatureRemoved { event_id, feature_name, project });
    }
    for segment in older.segments.iter().filter(|s| !after.contains_key(&s.id)) {
        events.push(DeltaEvent::SegmentRemoved { event_id, segment_id: segment.id });
    }
    events
}

/// What an event is about; a later one makes an earlier one of the same unnecessary.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum About<'a> {
    Everything,
    Feature(&'a str),
    Segment(i64),
}

fn about(event: &DeltaEvent) -> About<'_> {
    match event {
        DeltaEvent::Hydration { .. } => About::Everything,
        DeltaEvent::FeatureUpdated { feature, .. } => About::Feature(&feature.name),
        DeltaEvent::FeatureRemoved { feature_name, .. } => About::Feature(feature_name),
        DeltaEvent::SegmentUpdated { segment, .. } => About::Segment(segment.id),
        DeltaEvent::SegmentRemoved { segment_id, .. } => About::Segment(*segment_id),
    }
}

#[derive(Debug)]
struct Step {
    /// The name of the version this step starts from.
    from: Arc<str>,
    events: Vec<DeltaEvent>,
}

/// The last changes of one document. Cheap to clone: every version of a document has its own.
#[derive(Debug, Clone, Default)]
pub struct History(VecDeque<Arc<Step>>);

impl History {
    /// This history and one step more, which leads away from the version `from`.
    #[must_use]
    pub fn with(&self, from: Arc<str>, events: Vec<DeltaEvent>) -> Self {
        let mut steps = self.0.clone();
        steps.push_back(Arc::new(Step { from, events }));
        let mut count: usize = steps.iter().map(|s| s.events.len()).sum();
        while steps.len() > STEPS_MAX || count > EVENTS_MAX {
            let Some(oldest) = steps.pop_front() else { break };
            count -= oldest.events.len();
        }
        Self(steps)
    }

    /// What brings somebody who has the version `since` here, each thing once; `None` when that is too long ago.
    pub fn since(&self, since: &str) -> Option<Vec<&DeltaEvent>> {
        // Of several moments at which it was so, the last one is the shortest way.
        let start = self.0.iter().rposition(|step| *step.from == *since)?;
        let all: Vec<&DeltaEvent> = self.0.range(start..).flat_map(|step| &step.events).collect();
        let mut told = BTreeSet::new();
        let mut events: Vec<&DeltaEvent> = all.into_iter().rev().filter(|e| told.insert(about(e))).collect();
        events.reverse();
        Some(events)
    }
}

#[derive(Serialize)]
struct Body<'a> {
    events: Vec<&'a DeltaEvent>,
}

/// The data of an event, or the body of the delta endpoint.
pub fn body<'a>(events: impl IntoIterator<Item = &'a DeltaEvent>) -> String {
    serde_json::to_string(&Body { events: events.into_iter().collect() }).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(flags: &[(&str, bool)], segments: &[(i64, &str)]) -> ClientFeatures {
        let feature = |(name, enabled): &(&str, bool)| Feature {
            name: (*name).to_owned(),
            enabled: *enabled,
            ..Feature::default()
        };
        let segment = |(id, name): &(i64, &str)| Segment { id: *id, name: (*name).to_owned(), constraints: Vec::new() };
        ClientFeatures {
            version: 2,
            features: flags.iter().map(feature).collect(),
            segments: segments.iter().map(segment).collect(),
        }
    }

    fn sorted(mut document: ClientFeatures) -> ClientFeatures {
        document.features.sort_by(|a, b| a.name.cmp(&b.name));
        document.segments.sort_by_key(|s| s.id);
        document
    }

    #[test]
    fn the_steps_between_lead_from_one_to_the_other() {
        let versions = [
            document(&[], &[]),
            document(&[("a", true), ("b", false)], &[(1, "x")]),
            document(&[("a", false), ("c", true)], &[(1, "y"), (2, "z")]),
            document(&[("c", true)], &[(2, "z")]),
        ];
        for older in &versions {
            for newer in &versions {
                let events = between(older, newer, 7);
                assert_eq!(events.is_empty(), older == newer);
                let mut led = older.clone();
                for event in events {
                    led.apply(event);
                }
                assert_eq!(sorted(led), sorted(newer.clone()));
            }
        }
    }

    #[test]
    fn a_history_leads_everybody_it_remembers_to_the_end_and_says_nothing_twice() {
        let states: Vec<_> =
            (0..=STEPS_MAX as u64 + 5).map(|n| document(&[("a", n % 2 == 0), ("b", true)], &[])).collect();
        let mut history = History::default();
        for (n, pair) in states.windows(2).enumerate() {
            history = history.with(n.to_string().into(), between(&pair[0], &pair[1], n as u64 + 1));
        }
        assert!(history.since("0").is_none() && history.since("4").is_none(), "too long ago");
        assert!(history.since("9999").is_none(), "never was");
        for since in [5, 50, STEPS_MAX as u64 + 4] {
            let events = history.since(&since.to_string()).expect("remembered");
            assert_eq!(events.len(), 1, "one flag changed, however often");
            let mut led = states[since as usize].clone();
            for event in events {
                led.apply(event.clone());
            }
            assert_eq!(sorted(led), sorted(states.last().unwrap().clone()));
        }
        let large: Vec<_> =
            (0..=EVENTS_MAX as i64).map(|id| DeltaEvent::SegmentRemoved { event_id: 1, segment_id: id }).collect();
        assert!(
            history.with("now".into(), large).since("now").is_none(),
            "a change of everything is not kept as steps"
        );
    }
}

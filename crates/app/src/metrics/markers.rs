//! What stands on every graph without anybody configuring it: deploys, rollbacks, canaries, flips, what people say they do,
//! alerts and incidents. A projection of the record.

use std::collections::BTreeMap;

use serde::Serialize;
use tenfold_store::events::{self, EventQuery};
use tenfold_types::{Event, Fault, Timestamp};

use super::episodes::{KINDS as EPISODES, episodes};
use crate::App;

/// Events that one graph's markers are made of: of changes, and as many of alerts and incidents, so that a storm of those
/// hides no deploy.
const MARKERS_MAX: usize = 1_000;
/// Those of them that are what StatsD clients tell.
const STATSD_MARKERS_MAX: usize = 300;
/// An alert or incident that began this long before the graph's start, or ends this long after its end, is told with both.
const EPISODE_MS: i64 = 24 * 3600 * 1000;
/// A canary that began before the graph's start may reach into it.
const LOOK_BACK_MS: i64 = 2 * 3600 * 1000;

/// What a marker stands for. An alert and an incident last, and are only told of the service that is asked for; an alert that
/// nobody was told of is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum MarkerKind {
    Deploy,
    Rollback,
    /// A band from `at` to `end_at`.
    Canary,
    Flip,
    Note,
    /// From when it fired, at `at`, until it was over at `end_at`.
    Alert,
    /// From when it was opened, at `at`, until it was resolved at `end_at`.
    Incident,
}

impl MarkerKind {
    /// Without an end it goes on.
    const fn lasts(self) -> bool {
        matches!(self, Self::Alert | Self::Incident)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Marker {
    /// The row of the record it stands for.
    pub seq: i64,
    #[schema(value_type = String)]
    pub at: Timestamp,
    /// None for what has no length, and for an alert or an incident that goes on.
    #[schema(value_type = Option<String>)]
    pub end_at: Option<Timestamp>,
    pub kind: MarkerKind,
    pub text: String,
    pub actor_name: String,
    #[schema(value_type = Object)]
    pub subject: tenfold_types::Subject,
}

/// Which markers are wanted.
#[derive(Debug, Clone, Default)]
pub struct MarkerQuery {
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    pub service: Option<String>,
    pub environment: Option<String>,
}

impl App {
    pub async fn markers(&self, query: MarkerQuery) -> Result<Vec<Marker>, Fault> {
        let kinds = [
            "deploy.",
            "cdevents.service.",
            "change.told",
            "flag.switched",
            "flag.changed",
            "flag.rollout",
            "flag.ramp_step",
            "flag.ramp_stopped",
            "flag.guard_tripped",
            "flag.guard_gave_up",
            "flag.reverted",
            "flag.drill_started",
            "flag.drill_ended",
            "note.doing",
        ];
        let now = self.now();
        let wanted = EventQuery {
            kinds: kinds.iter().map(|k| (*k).to_owned()).collect(),
            from: query.from.map(|f| f.plus_ms(-LOOK_BACK_MS)),
            to: query.to,
            limit: MARKERS_MAX,
            ..EventQuery::default()
        };
        let lasting = EventQuery {
            kinds: EPISODES.iter().map(|k| (*k).to_owned()).collect(),
            service: query.service.clone(),
            from: query.from.map(|f| f.plus_ms(-EPISODE_MS)),
            to: query.to.map(|t| t.plus_ms(EPISODE_MS)),
            limit: MARKERS_MAX,
            ..EventQuery::default()
        };
        // Whoever reaches StatsD's port makes these up: they take no place from those above.
        let told = EventQuery {
            kinds: vec![super::statsd_events::KIND.to_owned()],
            limit: STATSD_MARKERS_MAX,
            ..wanted.clone()
        };
        let (mut found, mut lasted) = self
            .read(move |tx| {
                let mut found = events::list(tx, &wanted)?;
                found.extend(events::list(tx, &told)?);
                Ok((found, events::list(tx, &lasting)?))
            })
            .await?;
        found.sort_by_key(|event| event.seq);
        lasted.reverse();
        // Flags and notes concern every service; a deploy only its own.
        let fits = |asked: &Option<String>, is: &Option<String>| asked.is_none() || is.is_none() || asked == is;
        found.retain(|e| fits(&query.service, &e.subject.service) && fits(&query.environment, &e.subject.environment));
        lasted.retain(|e| fits(&query.environment, &e.subject.environment));
        let mut markers = project(&found, now);
        markers.extend(episodes(&lasted).into_iter().filter(|m| query.to.is_none_or(|to| m.at < to)));
        if let Some(from) = query.from {
            markers.retain(|m| m.end_at.map_or(m.kind.lasts() || m.at >= from, |end| end >= from));
        }
        markers.sort_by_key(|m| (m.at, m.seq));
        Ok(markers)
    }
}

/// Events in ascending order become markers in ascending order.
fn project(events: &[Event], now: Timestamp) -> Vec<Marker> {
    let mut markers: Vec<Marker> = Vec::new();
    let mut canaries = BTreeMap::<i64, usize>::new();
    let mut placed = BTreeMap::<i64, usize>::new();
    for event in events {
        let marker = |kind: MarkerKind, end_at: Option<Timestamp>| Marker {
            seq: event.seq,
            at: event.occurred_at,
            end_at,
            kind,
            text: event.text.clone(),
            actor_name: event.actor.id.clone(),
            subject: event.subject.clone(),
        };
        let deploy = event.subject.deploy.unwrap_or(0);
        let rollback = event.data.get("kind").and_then(|k| k.as_str()) == Some("rollback")
            || event.data.get("reverts").is_some_and(|r| !r.is_null());
        match event.kind.as_str() {
            "deploy.canary_started" | "deploy.unheld" => {
                canaries.insert(deploy, markers.len());
                markers.push(marker(MarkerKind::Canary, Some(now)));
            }
            "deploy.canary_passed"
            | "deploy.promoting"
            | "deploy.succeeded"
            | "deploy.failed"
            | "deploy.rolling_back"
            | "deploy.rolled_back"
            | "deploy.held"
            | "deploy.interrupted"
            | "deploy.cancelled" => {
                if let Some(canary) = canaries.remove(&deploy).and_then(|i| markers.get_mut(i)) {
                    canary.end_at = Some(event.occurred_at);
                }
                match event.kind.as_str() {
                    // The moment production changed is when the first host of the rest took the release.
                    "deploy.promoting" if !placed.contains_key(&deploy) => {
                        placed.insert(deploy, markers.len());
                        markers.push(marker(if rollback { MarkerKind::Rollback } else { MarkerKind::Deploy }, None));
                    }
                    "deploy.succeeded" => {
                        if let Some(placed) = placed.get(&deploy).and_then(|i| markers.get_mut(*i)) {
                            placed.text.clone_from(&event.text);
                        } else {
                            placed.insert(deploy, markers.len());
                            markers
                                .push(marker(if rollback { MarkerKind::Rollback } else { MarkerKind::Deploy }, None));
                        }
                    }
                    "deploy.rolled_back" => markers.push(marker(MarkerKind::Rollback, None)),
                    _ => {}
                }
            }
            "note.doing" | "change.told" | super::statsd_events::KIND => markers.push(marker(MarkerKind::Note, None)),
            // What another tool put there, of a service that is deployed here.
            "cdevents.service.deployed" | "cdevents.service.upgraded" if event.data["ours"] == true => {
                markers.push(marker(MarkerKind::Deploy, None));
            }
            "cdevents.service.rolledback" if event.data["ours"] == true => {
                markers.push(marker(MarkerKind::Rollback, None));
            }
            kind if kind.starts_with("flag.") => markers.push(marker(MarkerKind::Flip, None)),
            _ => {}
        }
    }
    markers.sort_by_key(|m| (m.at, m.seq));
    markers
}

#[cfg(test)]
pub(crate) mod tests {
    use tenfold_types::{Actor, EventId, Severity, Source, Subject, Visibility};

    use super::*;

    struct Zero;
    impl tenfold_types::Entropy for Zero {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(0);
        }
    }

    pub(crate) fn event(seq: i64, kind: &str, deploy: Option<i64>, data: serde_json::Value) -> Event {
        Event {
            seq,
            id: EventId::new(Timestamp(seq), &Zero),
            occurred_at: Timestamp(seq * 1000),
            recorded_at: Timestamp(seq * 1000),
            actor: Actor::person("mei"),
            on_behalf_of: None,
            kind: kind.into(),
            subject: Subject { deploy, ..Subject::default() },
            severity: Severity::Info,
            text: kind.into(),
            data: data.into(),
            correlation: None,
            causation: None,
            source: Source::Web,
            visibility: Visibility::Everyone,
            prev_hash: String::new(),
            hash: String::new(),
        }
    }

    #[test]
    fn what_another_tool_deploys_is_a_mark_where_the_service_is_ours() {
        let (ours, theirs) = (serde_json::json!({"ours": true}), serde_json::json!({"ours": false}));
        let events = [
            event(1, "cdevents.service.deployed", None, ours.clone()),
            event(2, "cdevents.service.upgraded", None, theirs),
            event(3, "cdevents.service.rolledback", None, ours.clone()),
            event(4, "cdevents.service.removed", None, ours),
            event(5, "cdevents.service.deployed", None, serde_json::Value::Null),
        ];
        let shown: Vec<_> = project(&events, Timestamp(99_000)).into_iter().map(|m| (m.seq, m.kind)).collect();
        assert_eq!(shown, [(1, MarkerKind::Deploy), (3, MarkerKind::Rollback)]);
    }

    #[test]
    fn a_deploy_is_one_mark_with_its_canary_as_a_band() {
        let none = serde_json::Value::Null;
        let events = [
            event(1, "deploy.queued", Some(7), none.clone()),
            event(2, "deploy.canary_started", Some(7), none.clone()),
            event(5, "deploy.canary_passed", Some(7), none.clone()),
            event(6, "deploy.promoting", Some(7), none.clone()),
            event(8, "flag.switched", None, none.clone()),
            event(9, "deploy.succeeded", Some(7), none.clone()),
            event(10, "deploy.promoting", Some(8), serde_json::json!({"reverts": 7})),
            event(12, "deploy.canary_started", Some(9), none),
        ];
        let shown: Vec<_> = project(&events, Timestamp(99_000))
            .into_iter()
            .map(|m| (m.at.millis() / 1000, m.end_at.map(|e| e.millis() / 1000), m.kind, m.text))
            .collect();
        assert_eq!(
            shown,
            [
                (2, Some(5), MarkerKind::Canary, "deploy.canary_started".into()),
                (6, None, MarkerKind::Deploy, "deploy.succeeded".into()),
                (8, None, MarkerKind::Flip, "flag.switched".into()),
                (10, None, MarkerKind::Rollback, "deploy.promoting".into()),
                (12, Some(99), MarkerKind::Canary, "deploy.canary_started".into()),
            ]
        );
    }
}

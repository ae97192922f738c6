//! Where alerts go, and why: the routing as people put it, what was decided of an alert, and what would be.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tenfold_alerting::pipeline::{Effect, Explanation, Incoming, Input, Notification, Planned, explain, simulate};
use tenfold_alerting::webhook::{has_userinfo, masked};
use tenfold_alerting::{ReceiverSpec, Routing, Rule, import_alertmanager, parse_matchers};
use tenfold_store::{alerts as store, events::EventQuery};
use tenfold_types::{EventDraft, Fault, Labels, MatcherOp, Timestamp};
use utoipa::ToSchema;

use super::pipeline::{self, look};
use super::{received, transitions};
use crate::incidents::{ForetoldIncident, Told};
use crate::{App, Caller, Role};

/// How far a simulation looks.
const HORIZON_MS: i64 = 24 * 3_600_000;
const NOTIFICATIONS_MAX: usize = 200;
const DECISIONS_MAX: usize = 200;

/// The routing that holds.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RoutingView {
    /// As it was put; null while the plain routing holds.
    pub yaml: Option<String>,
    /// What it comes down to, as Alertmanager writes it.
    #[schema(value_type = Object)]
    pub routing: Value,
    /// What has no equal here.
    #[schema(value_type = Vec<Object>)]
    pub report: Vec<tenfold_alerting::Note>,
}

/// A question about an alert that need not exist.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// Labels, or one text: `service=photos severity=critical`.
    #[schema(value_type = Object)]
    pub labels: Asked,
    /// When; now when nothing is said.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub at: Option<Timestamp>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Asked {
    Labels(Labels),
    Text(String),
}

/// What becomes of an alert with these labels.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Foretold {
    #[schema(value_type = Object)]
    pub labels: Labels,
    #[schema(value_type = String)]
    pub at: Timestamp,
    /// It fires already, so this is about that very alert.
    pub firing: bool,
    /// Each route it takes, and what each stage says.
    #[schema(value_type = Object)]
    pub explanation: Explanation,
    /// What would be told within a day if it began to fire then and went on.
    #[schema(value_type = Vec<Object>)]
    pub notifications: Vec<Foreseen>,
    /// Whether it opens an incident, by its labels: critical ones do, or what `page` says.
    pub pages: bool,
    /// Its incident, and whom that pages; none when nobody is paged for it within a day.
    pub incident: Option<ForetoldIncident>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Foreseen {
    #[schema(value_type = String)]
    pub at: Timestamp,
    #[schema(value_type = Object)]
    pub notification: Notification,
}

/// What was decided of an alert.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Decided {
    #[schema(value_type = String)]
    pub at: Timestamp,
    /// Its event in the record.
    pub seq: i64,
    pub text: String,
    /// Each stage with its verdict and reason.
    #[schema(value_type = Vec<Object>)]
    pub decisions: Value,
}

/// Why somebody was told of an alert, or was not.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct WhyView {
    pub fingerprint: String,
    /// The newest first.
    pub decided: Vec<Decided>,
    /// What the stages say at this moment, while it fires.
    pub now: Option<Foretold>,
}

impl App {
    pub fn routing_view(&self) -> Result<RoutingView, Fault> {
        let held = self.alerts.routing()?;
        let text = held.spec.as_alertmanager().map_err(|e| Fault::internal(e.to_string()))?;
        let routing = serde_json::from_str(&text).map_err(|e| Fault::internal(e.to_string()))?;
        Ok(RoutingView { yaml: held.yaml.clone(), routing, report: held.report.clone() })
    }

    /// Puts the routing: a configuration file of Alertmanager, with `policy` and `quiet` in its receivers. With `dry_run`
    /// it is only read. Alerts that fire are routed anew; what was told stays told.
    pub async fn routing_put(&self, who: &Caller, yaml: &str, dry_run: bool) -> Result<RoutingView, Fault> {
        who.require(Role::Deployer, None, None)?;
        let imported = import_alertmanager(yaml).map_err(|e| Fault::invalid(format!("the routing: {e}")))?;
        let named = |r: &&ReceiverSpec| r.webhook_configs.iter().any(|webhook| has_userinfo(&webhook.url));
        if let Some(receiver) = imported.spec.receivers.iter().find(named) {
            return Err(Fault::invalid(format!(
                "the routing: a webhook of the receiver {} names a user or a password in its address",
                receiver.name
            ))
            .advice("leave them out; each request carries the signature of this server"));
        }
        if dry_run {
            let text = imported.spec.as_alertmanager().map_err(|e| Fault::internal(e.to_string()))?;
            let routing = serde_json::from_str(&text).map_err(|e| Fault::internal(e.to_string()))?;
            return Ok(RoutingView { yaml: Some(yaml.to_owned()), routing, report: imported.report });
        }
        self.routing_write(who, Some(yaml)).await?;
        self.routing_view()
    }

    /// Back to the plain routing.
    pub async fn routing_delete(&self, who: &Caller) -> Result<(), Fault> {
        who.require(Role::Deployer, None, None)?;
        self.routing_write(who, None).await
    }

    async fn routing_write(&self, who: &Caller, yaml: Option<&str>) -> Result<(), Fault> {
        let _still = self.alerts.evaluating.lock().await;
        let (who, yaml) = (who.clone(), yaml.map(str::to_owned));
        self.transact(move |t| {
            let before = store::routing(t.tx())?;
            if before == yaml {
                return if yaml.is_some() { Ok(()) } else { Err(Fault::not_found("there is no routing to remove")) };
            }
            let now = t.now();
            match &yaml {
                Some(yaml) => store::routing_put(t.tx(), yaml, now, &who.actor.id)?,
                None => {
                    store::routing_delete(t.tx())?;
                }
            }
            let verb = if yaml.is_some() { "changed" } else { "removed" };
            let text = format!("{} {verb} where alerts go", who.name);
            // The record is read by many and kept for long; the paths of webhooks are often secrets.
            let (before, after) = (before.as_deref().map(masked), yaml.as_deref().map(masked));
            t.record(
                EventDraft::new(who.actor.clone(), who.source, "routing.changed", text)
                    .data(json!({"before": before, "after": after})),
            )?;
            Ok(())
        })
        .await?;
        pipeline::reload(self).await
    }

    /// What becomes of an alert with these labels at a time: the same stages that decide in earnest, on a copy.
    pub async fn alert_simulate(&self, question: Question) -> Result<Foretold, Fault> {
        let labels = match question.labels {
            Asked::Labels(labels) => labels,
            Asked::Text(text) => read_labels(&text)?,
        };
        if labels.is_empty() {
            return Err(Fault::invalid("an alert has at least one label").advice("like alertname=Down service=photos"));
        }
        let look = look(self).await?;
        let at = question.at.unwrap_or(look.at).max(look.at);
        let explanation = explain(look.context(), &look.state, &labels, at);
        let fires = look.state.alerts.get(explanation.fingerprint.as_str()).is_some_and(|k| k.ended.is_none());
        let input = Input::Alerts(vec![Incoming {
            labels: labels.clone(),
            annotations: std::collections::BTreeMap::new(),
            starts_at: at,
            ended: None,
            lapsed: None,
            generator_url: None,
        }]);
        let fingerprint = &explanation.fingerprint;
        let until = at.plus_ms(HORIZON_MS);
        let planned = simulate(look.context(), &look.state, &[(at, input)], until);
        let pages = transitions::would_page(&labels);
        let told = paging(&look.held.routing, &planned, fingerprint).map(|(at, r)| (at, r.policy.clone()));
        let incident = if pages { self.foretold_incident(fingerprint, &labels, at, told, until).await? } else { None };
        let about = planned.into_iter().filter_map(|p| match p.effect {
            Effect::Notify(n) if n.firing.contains(fingerprint) => Some(Foreseen { at: p.at, notification: n }),
            _ => None,
        });
        let notifications = about.take(NOTIFICATIONS_MAX).collect();
        Ok(Foretold { labels, at, firing: fires, explanation, notifications, pages, incident })
    }

    /// The incident of an alert that is told of at an instant for the first time, or the one that it has.
    async fn foretold_incident(
        &self,
        fingerprint: &str,
        labels: &Labels,
        asked_at: Timestamp,
        told: Option<(Timestamp, Option<String>)>,
        until: Timestamp,
    ) -> Result<Option<ForetoldIncident>, Fault> {
        let key = fingerprint.to_owned();
        let row = self.read(move |tx| Ok(store::get(tx, &key)?)).await?.filter(|r| r.ended_at.is_none());
        let has = row.as_ref().and_then(|r| r.incident);
        let (at, policy) = match (has, told) {
            (Some(_), _) => (asked_at, None),
            (None, Some(told)) => told,
            (None, None) => return Ok(None),
        };
        let (group, rule) = match row {
            Some(row) => (row.rule_group, row.rule),
            None => self.group_of_rule(labels.get("alertname").unwrap_or("alert")),
        };
        let (service, environment) = transitions::place(labels);
        let critical = transitions::severity(labels) == "critical";
        let told = Told { service, environment, group, rule, critical, policy, at, has };
        self.incident_foretell(told, until).await.map(Some)
    }

    /// The group of the rule with this name; what no rule is called comes from a sender.
    fn group_of_rule(&self, name: &str) -> (String, String) {
        let groups = self.alerts.groups.read().clone();
        let is_it = |rule: &Rule| matches!(rule, Rule::Alert(r) if r.alert == name);
        let found = groups.iter().find(|running| running.group.rules.iter().any(is_it));
        let group = found.map_or_else(|| received::GROUP.to_owned(), |running| running.group.name.clone());
        (group, name.to_owned())
    }

    /// What was decided of an alert, and what the stages say of it now.
    pub async fn alert_why(&self, fingerprint: &str) -> Result<WhyView, Fault> {
        let key = fingerprint.to_owned();
        let row = self.read(move |tx| Ok(store::get(tx, &key)?)).await?;
        let row = row.ok_or_else(|| Fault::not_found(format!("there is no alert {fingerprint}")))?;
        let query = EventQuery {
            kinds: vec!["alert.".to_owned()],
            alert: Some(fingerprint.to_owned()),
            from: Some(row.active_since),
            limit: DECISIONS_MAX,
            ..EventQuery::default()
        };
        let events = self.events(query).await?;
        let decided = events
            .into_iter()
            .filter(|e| e.data["decisions"].is_array())
            .map(|e| Decided { at: e.recorded_at, seq: e.seq, text: e.text, decisions: e.data["decisions"].clone() })
            .collect();
        let now = if row.ended_at.is_none() && row.state != "pending" {
            let labels = Asked::Labels(transitions::body(&row)?.alert.labels);
            Some(self.alert_simulate(Question { labels, at: None }).await?)
        } else {
            None
        };
        Ok(WhyView { fingerprint: fingerprint.to_owned(), decided, now })
    }
}

/// When somebody is paged for an alert, and by whose receiver: the first that is not quiet.
fn paging<'a>(routing: &'a Routing, planned: &[Planned], fingerprint: &str) -> Option<(Timestamp, &'a ReceiverSpec)> {
    planned.iter().find_map(|p| match &p.effect {
        Effect::Notify(n) if n.new.iter().any(|f| f == fingerprint) => {
            routing.receivers.get(&n.receiver).filter(|r| !r.quiet).map(|r| (p.at, r))
        }
        _ => None,
    })
}

/// `name=value` pairs, as the command line and chat write them.
fn read_labels(text: &str) -> Result<Labels, Fault> {
    let matchers = parse_matchers(text).map_err(Fault::invalid)?;
    if let Some(other) = matchers.iter().find(|m| m.op != MatcherOp::Equal) {
        return Err(Fault::invalid(format!("`{other}` is not a label; labels are written name=value")));
    }
    Ok(Labels::from_pairs(matchers.into_iter().map(|m| (m.name, m.value))))
}

//! Where alerts go, and why: the routing as people put it, what was decided of an alert, and what would be.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tenfold_alerting::pipeline::{Effect, Explanation, Incoming, Input, Notification, Planned, explain, simulate};
use tenfold_alerting::webhook::{has_userinfo, masked};
use tenfold_alerting::{
    AlertRule, Annotations, Fingerprint, Imported, Note, Pages, ReceiverSpec, Routing, RoutingError, RoutingSpec, Rule,
    import_sealed, parse_matchers, seal,
};
use tenfold_store::{alerts as store, events::EventQuery};
use tenfold_types::{EventDraft, Fault, Labels, MatcherOp, Timestamp};
use utoipa::ToSchema;

use super::groups::Running;
use super::pipeline::{self, Held, look};
use super::telling::{Paged, Telling, incidents_of};
use super::{received, transitions};
use crate::incidents::{ForetoldIncident, Told};
use crate::oncall::{Leads, Unreached};
use crate::{App, Caller, Role};

/// How far a simulation looks.
const HORIZON_MS: i64 = 24 * 3_600_000;
/// How far ahead the alert may begin.
const AHEAD_MS_MAX: i64 = 366 * 86_400_000;
const NOTIFICATIONS_MAX: usize = 200;
const DECISIONS_MAX: usize = 200;

/// The routing that holds.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RoutingView {
    /// As it was put, with `<secret>` in place of secrets; null while the plain routing holds.
    pub yaml: Option<String>,
    /// What it comes down to, as Alertmanager writes it.
    #[schema(value_type = Object)]
    pub routing: Value,
    /// What has no equal here.
    #[schema(value_type = Vec<Object>)]
    pub report: Vec<Note>,
    /// Receivers that would page nobody, as things stand; looked for when a routing is put.
    pub unreached: Vec<Unreached>,
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
    /// Whether it may open an incident: by its labels, as critical ones do, or at a receiver that pages for all.
    pub pages: bool,
    /// Its incident, and whom that pages; none when nobody is paged for it within a day.
    pub incident: Option<ForetoldIncident>,
    /// Those of further policies that its receivers name.
    pub further: Vec<ForetoldIncident>,
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

/// The plain routing leaves all to the services, and nobody has put it.
fn leads(spec: &RoutingSpec, routing: &Routing, plain: bool) -> Vec<Leads> {
    let telling = spec.receivers.iter().filter(|receiver| !receiver.quiet);
    let mut left = if plain { BTreeMap::new() } else { routing.left_to_services() };
    let lead = |r: &ReceiverSpec| Leads {
        kind: "receiver",
        name: r.name.clone(),
        policy: r.policy.clone(),
        left: left.remove(&r.name).unwrap_or_default(),
    };
    telling.map(lead).collect()
}

impl App {
    pub fn routing_view(&self) -> Result<RoutingView, Fault> {
        let held = self.alerts.routing()?;
        let text = held.spec.as_alertmanager().map_err(|e| Fault::internal(e.to_string()))?;
        let routing = serde_json::from_str(&text).map_err(|e| Fault::internal(e.to_string()))?;
        Ok(RoutingView { yaml: held.yaml.clone(), routing, report: held.report.clone(), unreached: Vec::new() })
    }

    /// Puts the routing: a configuration file of Alertmanager, with `policy`, `quiet` and `pages` in its receivers. With `dry_run`
    /// it is only read. Alerts that fire are routed anew; what was told stays told.
    pub async fn routing_put(&self, who: &Caller, yaml: &str, dry_run: bool) -> Result<RoutingView, Fault> {
        who.require(Role::Deployer, None, None)?;
        let wrong = |e: RoutingError| Fault::invalid(format!("the routing: {e}"));
        let before = self.read(|tx| Ok(store::routing(tx)?)).await?;
        let sealed = seal(yaml, &pipeline::kept_secrets(before.as_ref())?).map_err(wrong)?;
        let imported = import_sealed(&sealed.yaml, &sealed.secrets).map_err(wrong)?;
        let named = |r: &&ReceiverSpec| r.webhook_configs.iter().any(|webhook| has_userinfo(&webhook.url));
        if let Some(receiver) = imported.spec.receivers.iter().find(named) {
            return Err(Fault::invalid(format!(
                "the routing: a webhook of the receiver {} names a user or a password in its address",
                receiver.name
            ))
            .advice("write them as `basic_auth` of its `http_config`, where the password is kept as a secret"));
        }
        self.check_webhook_files(&imported.spec).await?;
        if dry_run {
            let text = imported.spec.as_alertmanager().map_err(|e| Fault::internal(e.to_string()))?;
            let routing = serde_json::from_str(&text).map_err(|e| Fault::internal(e.to_string()))?;
            let unreached = self.unreached_receivers(&imported).await;
            return Ok(RoutingView { yaml: Some(sealed.yaml), routing, report: imported.report, unreached });
        }
        let secrets = if sealed.secrets.is_empty() {
            String::new()
        } else {
            serde_json::to_string(&sealed.secrets).map_err(|e| Fault::internal(e.to_string()))?
        };
        self.routing_write(who, Some(store::RoutingRow { yaml: sealed.yaml, secrets })).await?;
        let unreached = self.unreached_receivers(&imported).await;
        Ok(RoutingView { unreached, ..self.routing_view()? })
    }

    /// Receivers that tell people, and the policies that they name.
    pub(crate) fn receivers_leading(&self) -> Result<Vec<Leads>, Fault> {
        let held = self.alerts.routing()?;
        Ok(leads(&held.spec, &held.routing, held.yaml.is_none()))
    }

    /// Which receivers would page nobody. The routing is put, whatever comes of this.
    async fn unreached_receivers(&self, imported: &Imported) -> Vec<Unreached> {
        match self.unreached_by(leads(&imported.spec, &imported.routing, false)).await {
            Ok(found) => found.into_iter().filter(|one| one.kind == "receiver").collect(),
            Err(fault) => {
                tracing::warn!(%fault, "which receivers page nobody could not be found out");
                Vec::new()
            }
        }
    }

    /// Whether each file of the server that a webhook names may be read: a configuration comes from people who may not read
    /// the server's files themselves.
    async fn check_webhook_files(&self, spec: &RoutingSpec) -> Result<(), Fault> {
        let poster = self.alerts.webhooks.poster();
        for receiver in &spec.receivers {
            for webhook in receiver.webhook_configs.iter().filter(|webhook| !webhook.files().is_empty()) {
                let refused =
                    |why: String| Fault::invalid(format!("the routing: a webhook of {}: {why}", receiver.name));
                if self.settings.alerts.secrets_dir.is_none() {
                    let file = webhook.files().swap_remove(0);
                    return Err(refused(format!("the file {file} is not read: there is no folder of secrets")).advice(
                        "have `secrets_dir` set in `[alerts]` of tenfold.toml, or write the secret itself; it is not shown again",
                    ));
                }
                if let Some(poster) = &poster {
                    poster.check(webhook).await.map_err(refused)?;
                }
            }
        }
        Ok(())
    }

    /// Back to the plain routing.
    pub async fn routing_delete(&self, who: &Caller) -> Result<(), Fault> {
        who.require(Role::Deployer, None, None)?;
        self.routing_write(who, None).await
    }

    async fn routing_write(&self, who: &Caller, row: Option<store::RoutingRow>) -> Result<(), Fault> {
        let _still = self.alerts.evaluating.lock().await;
        let who = who.clone();
        self.transact(move |t| {
            let before = store::routing(t.tx())?;
            if before == row {
                return if row.is_some() { Ok(()) } else { Err(Fault::not_found("there is no routing to remove")) };
            }
            let now = t.now();
            match &row {
                Some(row) => store::routing_put(t.tx(), row, now, &who.actor.id)?,
                None => {
                    store::routing_delete(t.tx())?;
                }
            }
            let verb = if row.is_some() { "changed" } else { "removed" };
            let text = format!("{} {verb} where alerts go", who.name);
            // The record is read by many and kept for long; the paths of webhooks are often secrets.
            let shown = |row: &store::RoutingRow| {
                // The text of an older version has its secrets in it.
                masked(&seal(&row.yaml, &[]).map_or_else(|_| row.yaml.clone(), |sealed| sealed.yaml))
            };
            let (before, after) = (before.as_ref().map(shown), row.as_ref().map(shown));
            t.record(
                EventDraft::new(who.actor.clone(), who.source, "routing.changed", text)
                    .data(json!({"before": before, "after": after})),
            )?;
            Ok(())
        })
        .await?;
        pipeline::reload(self, true).await
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
        if at > look.at.plus_ms(AHEAD_MS_MAX) {
            let days = AHEAD_MS_MAX / 86_400_000;
            return Err(Fault::invalid(format!("what becomes of an alert is told for the next {days} days at most")));
        }
        let explanation = explain(look.context(), &look.state, &labels, at);
        let fires = look.state.alerts.get(&explanation.fingerprint).is_some_and(|k| k.ended.is_none());
        let input = Input::Alerts(vec![Incoming {
            labels: labels.clone(),
            annotations: Annotations::default(),
            starts_at: at,
            ended: None,
            lapsed: None,
            generator_url: None,
        }]);
        let fingerprint = explanation.fingerprint;
        let until = at.plus_ms(HORIZON_MS);
        let state = look.state.about(&look.held.routing, &labels);
        let planned = simulate(look.context(), &state, &[(at, input)], until);
        let receivers = explanation.routes.iter().filter_map(|r| look.held.routing.receivers.get(&r.receiver));
        let of_all = receivers.filter(|r| !r.quiet).any(|r| r.pages == Pages::All);
        let pages = transitions::pages_at(&labels, if of_all { Pages::All } else { Pages::Critical });
        let told = if pages { paging(&look.held, &planned, fingerprint, &labels) } else { Vec::new() };
        let text = fingerprint.text();
        let about = (text.as_str(), &labels);
        let incidents = if pages { self.foretold_incidents(about, at, told, until).await? } else { Vec::new() };
        let mut incidents = incidents.into_iter();
        let (incident, further) = (incidents.next(), incidents.collect());
        let about = planned.into_iter().filter_map(|p| match p.effect {
            Effect::Notify(n) if n.firing.contains(&fingerprint) => Some(Foreseen { at: p.at, notification: n }),
            _ => None,
        });
        let notifications = about.take(NOTIFICATIONS_MAX).collect();
        Ok(Foretold { labels, at, firing: fires, explanation, notifications, pages, incident, further })
    }

    /// The incidents that an alert has, and those of the people who are told of it for the first time.
    async fn foretold_incidents(
        &self,
        (fingerprint, labels): (&str, &Labels),
        asked_at: Timestamp,
        told: Vec<(Timestamp, Telling)>,
        until: Timestamp,
    ) -> Result<Vec<ForetoldIncident>, Fault> {
        let key = fingerprint.to_owned();
        let row = self.read(move |tx| Ok(store::get(tx, &key)?)).await?.filter(|r| r.ended_at.is_none());
        let has = row.as_ref().map(incidents_of).transpose()?.unwrap_or_default();
        let mut paged = row.as_ref().map(transitions::body).transpose()?.map(|b| b.paged).unwrap_or_default();
        let (group, rule) = match row {
            Some(row) => (row.rule_group, row.rule),
            None => self.group_of_rule(labels),
        };
        let (service, environment) = transitions::place(labels);
        let of = |at: Timestamp, has: Option<i64>, telling: Option<Telling>| {
            let (policy, grouped) = telling.map_or((None, None), |t| (t.policy, t.grouped));
            Told {
                service: service.map(str::to_owned),
                environment: environment.map(str::to_owned),
                group: group.clone(),
                rule: rule.clone(),
                labels: labels.clone(),
                grouped: grouped.map(|labels| Labels::clone(&labels)),
                critical: tenfold_alerting::severity(labels) == "critical",
                policy,
                at,
                has,
            }
        };
        let mut out = Vec::new();
        for number in &has {
            out.push(self.incident_foretell(of(asked_at, Some(*number), None), until).await?);
        }
        // As it goes in earnest: what was stored before people were told apart names nobody, and all were told.
        if !has.is_empty() && paged.is_empty() {
            return Ok(out);
        }
        for (at, telling) in told {
            let policy = self.policy_apart(telling.policy.clone(), service.map(str::to_owned)).await?;
            if paged.iter().any(|known| known.policy == policy) {
                continue;
            }
            paged.push(Paged { policy, incident: 0 });
            out.push(self.incident_foretell(of(at, None, Some(telling)), until).await?);
        }
        Ok(out)
    }

    /// The group of the rule that has an alert with these labels, of several of its name the one whose labels they are; what no
    /// rule is called comes from a sender.
    fn group_of_rule(&self, labels: &Labels) -> (String, String) {
        let name = labels.get("alertname").unwrap_or("alert");
        let groups = self.alerts.groups.read().clone();
        let fitting = |running: &Running| {
            let named = running.group.rules.iter().filter_map(|rule| match rule {
                Rule::Alert(rule) if rule.alert == name => Some(rule),
                Rule::Alert(_) | Rule::Record(_) => None,
            });
            named.map(|rule| fits(rule, labels)).max()
        };
        let found = groups.iter().filter_map(|running| Some((fitting(running)?, running)));
        // The first of the best: `max_by_key` gives the last.
        let found = found.rev().max_by_key(|(fits, _)| *fits);
        let group = found.map_or_else(|| received::GROUP.to_owned(), |(_, running)| running.group.name.clone());
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

/// Whether the labels that a rule gives its alerts are among these; a template may say anything.
fn fits(rule: &AlertRule, labels: &Labels) -> bool {
    let mut own = rule.labels.iter().filter(|(name, text)| *name != "alertname" && !text.source().contains("{{"));
    own.all(|(name, text)| labels.get(name).unwrap_or("") == text.source())
}

/// When people are told of an alert for the first time, by the receivers that are not quiet.
fn paging(held: &Held, planned: &[Planned], fingerprint: Fingerprint, labels: &Labels) -> Vec<(Timestamp, Telling)> {
    let told = |p: &Planned| {
        let Effect::Notify(n) = &p.effect else { return None };
        let receiver = held.routing.receivers.get(&n.receiver).filter(|r| !r.quiet)?;
        if !transitions::pages_at(labels, receiver.pages) || !n.new.contains(&fingerprint) {
            return None;
        }
        let grouped = held.yaml.as_ref().map(|_| Arc::new(n.group.labels().clone()));
        let (policy, receiver) = (receiver.policy.clone(), receiver.name.clone());
        Some((p.at, Telling { policy, receiver, grouped, group_interval_ms: 0 }))
    };
    planned.iter().filter_map(told).collect()
}

/// `name=value` pairs, as the command line and chat write them.
fn read_labels(text: &str) -> Result<Labels, Fault> {
    let matchers = parse_matchers(text).map_err(Fault::invalid)?;
    if let Some(other) = matchers.iter().find(|m| m.op != MatcherOp::Equal) {
        return Err(Fault::invalid(format!("`{other}` is not a label; labels are written name=value")));
    }
    Ok(Labels::from_pairs(matchers.into_iter().map(|m| (m.name, m.value))))
}

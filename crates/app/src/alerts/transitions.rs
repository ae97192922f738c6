//! Storing and recording what the state machine decided, and opening or joining an incident for what pages.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tenfold_alerting::pipeline::{Decision, Flap, Turn};
use tenfold_alerting::{Alert, Fingerprint, Pages, Rule, Transition, TransitionKind, runbook, severity};
use tenfold_store::alerts as store;
use tenfold_types::{Actor, EventData, EventDraft, Fault, Labels, Severity, Source, Timestamp};

use super::{
    flaps,
    graph::graph,
    groups::Running,
    pipeline::Outcome,
    several,
    suspects::{self, Changes, Span},
    telling::{self, Paged},
    views::{AlertView, SuspectView},
};
use crate::{App, Txn, checks, incidents, people::check_name};

/// Where a transition comes from.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    file: String,
    group: String,
    rule: String,
    expr: String,
    pub(super) generator_url: Option<String>,
    /// The check here that brings it.
    check: Option<String>,
    ends_at: Option<Timestamp>,
    /// It is worse than what people were told, or they have done with that: its group is looked at at once.
    pub(super) at_once: bool,
    suspect_window_ms: i64,
}

impl Origin {
    pub(super) fn new(running: &Running, rule: &Rule) -> Self {
        Self {
            file: running.file.clone(),
            group: running.group.name.clone(),
            rule: rule.name().to_owned(),
            expr: rule.expr().to_owned(),
            generator_url: None,
            check: None,
            ends_at: None,
            at_once: false,
            suspect_window_ms: tenfold_alerting::SUSPECT_WINDOW_MS,
        }
    }
    /// Of an alert that a sender brings. Empty is no address.
    pub(super) fn received(name: &str, group: &str, generator_url: &str, ends_at: Timestamp) -> Self {
        Self {
            file: String::new(),
            group: group.to_owned(),
            rule: name.to_owned(),
            expr: String::new(),
            generator_url: Some(generator_url.to_owned()).filter(|u| !u.is_empty()),
            check: None,
            ends_at: Some(ends_at),
            at_once: false,
            suspect_window_ms: tenfold_alerting::SUSPECT_WINDOW_MS,
        }
    }
    pub(super) fn is_received(&self) -> bool {
        self.group == super::received::GROUP
    }
    pub(super) fn suspect_window(mut self, app: &App) -> Self {
        self.suspect_window_ms = app.settings.alerts.suspect_window_ms;
        self
    }
    /// Finds the check that brings it, by the address of its page.
    pub(super) fn of_check(mut self, app: &App) -> Self {
        let name = self.generator_url.as_deref().and_then(|url| app.settings.linked(checks::PAGES, url));
        self.check = name.filter(|name| check_name("check", name).is_ok()).map(str::to_owned);
        self
    }
}

/// What is stored of an alert, which is borrowed where it is written.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Body<A = Alert> {
    #[serde(flatten)]
    pub alert: A,
    #[serde(default)]
    pub suspects: Vec<SuspectView>,
    #[serde(default)]
    pub expr: String,
    /// Where its sender explains it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generator_url: Option<String>,
    /// The check here that brings it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<String>,
    /// Until when its sender said that it goes on, when this was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<Timestamp>,
    /// What is remembered of its changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flap: Option<Flap>,
    /// Who was told of it in this episode.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paged: Vec<Paged>,
}

/// What an alert keeps from one of its states to the next.
#[derive(Default)]
struct Kept {
    incident: Option<i64>,
    suspects: Vec<SuspectView>,
    paged: Vec<Paged>,
}

pub(crate) fn body(row: &store::AlertRow) -> Result<Body, Fault> {
    serde_json::from_str(&row.body)
        .map_err(|e| Fault::internal(format!("the alert {} cannot be read: {e}", row.fingerprint)))
}

/// Critical alerts page, unless their label `page` says otherwise.
pub(super) fn would_page(labels: &Labels) -> bool {
    pages_at(labels, Pages::Critical)
}

/// Whether an alert pages the people of a receiver that pages for these: what its label `page` says holds at all of them.
pub(super) fn pages_at(labels: &Labels, pages: Pages) -> bool {
    match labels.get("page") {
        Some("true") => true,
        Some("false") => false,
        _ => pages == Pages::All || severity(labels) == "critical",
    }
}

pub(crate) fn summary(alert: &Alert) -> String {
    let name = alert.labels.get("alertname").unwrap_or("alert");
    match alert.annotations.get("summary").map(|s| s.trim()).filter(|s| !s.is_empty()) {
        Some(summary) => summary.to_owned(),
        None => match alert.labels.get("service") {
            Some(service) => format!("{name} on {service}"),
            None => name.to_owned(),
        },
    }
}

/// Service and environment of an alert, by its labels.
pub(super) fn place(labels: &Labels) -> (Option<&str>, Option<&str>) {
    let service = labels.get("service");
    let environment = labels.get("environment").or_else(|| labels.get("env"));
    (service, environment.or_else(|| service.map(|_| "production")))
}

fn row(origin: &Origin, alert: &Alert, incident: Option<i64>, body: String) -> store::AlertRow {
    let (service, environment) = place(&alert.labels);
    store::AlertRow {
        fingerprint: alert.fingerprint.clone(),
        rule_file: origin.file.clone(),
        rule_group: origin.group.clone(),
        rule: origin.rule.clone(),
        state: alert.state.as_str().to_owned(),
        severity: severity(&alert.labels).to_owned(),
        environment: environment.map(str::to_owned),
        service: service.map(str::to_owned),
        pages: would_page(&alert.labels),
        active_since: alert.active_since,
        ended_at: alert.resolved_at,
        incident,
        body,
    }
}

/// The body of an alert's row.
fn stored(outcome: &Outcome, origin: &Origin, alert: &Alert, kept: Kept) -> Result<String, Fault> {
    let body = Body {
        alert,
        suspects: kept.suspects,
        paged: kept.paged,
        expr: origin.expr.clone(),
        generator_url: origin.generator_url.clone(),
        check: origin.check.clone(),
        ends_at: origin.ends_at,
        flap: outcome.flap(&alert.fingerprint).cloned(),
    };
    serde_json::to_string(&body).map_err(|e| Fault::internal(e.to_string()))
}

fn write(
    t: &mut Txn<'_>,
    outcome: &Outcome,
    origin: &Origin,
    alert: &Alert,
    kept: Kept,
) -> Result<store::AlertRow, Fault> {
    let incident = kept.incident;
    let row = row(origin, alert, incident, stored(outcome, origin, alert, kept)?);
    store::put(t.tx(), &row)?;
    Ok(row)
}

/// The data of an event about an alert.
#[derive(Serialize)]
struct Facts<'a> {
    rule: &'a str,
    group: &'a str,
    severity: &'a str,
    labels: &'a Labels,
    value: String,
    active_since: Timestamp,
    fired_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    suspects: Option<&'a [SuspectView]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decisions: Option<&'a [Decision]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    muted_by: Option<i64>,
}

impl<'a> Facts<'a> {
    fn of(row: &'a store::AlertRow, alert: &'a Alert) -> Self {
        Self {
            rule: &row.rule,
            group: &row.rule_group,
            severity: &row.severity,
            labels: &alert.labels,
            value: alert.value.to_string(),
            active_since: alert.active_since,
            fired_at: alert.fired_at,
            suspects: None,
            decisions: None,
            muted_by: None,
        }
    }
}

pub(super) fn draft(row: &store::AlertRow, alert: &Alert, kind: &str, severity: Severity, text: String) -> EventDraft {
    about(row, alert, kind, severity, text).data(json!(Facts::of(row, alert)))
}

/// The same without data.
fn about(row: &store::AlertRow, alert: &Alert, kind: &str, severity: Severity, text: String) -> EventDraft {
    let mut draft =
        EventDraft::new(Actor::system(), Source::System, kind, text).alert(&alert.fingerprint).severity(severity);
    draft.subject.service.clone_from(&row.service);
    draft.subject.environment.clone_from(&row.environment);
    if let Some(number) = row.incident {
        draft = draft.incident(number).correlation(format!("incident:{number}"));
    }
    draft
}

pub(super) fn with(mut draft: EventDraft, key: &str, value: Value) -> EventDraft {
    if let Some(map) = draft.data.as_object_mut() {
        map.insert(key.to_owned(), value);
    }
    draft
}

pub(super) fn event_severity(row: &store::AlertRow) -> Severity {
    match row.severity.as_str() {
        "critical" => Severity::Critical,
        "info" => Severity::Info,
        _ => Severity::Warning,
    }
}

/// Within which the changes lie that may be behind those of a batch that begin to fire, where they begin together.
pub(super) fn suspected(batch: &[(Origin, Transition)]) -> Option<Span> {
    let firing = batch.iter().filter(|(_, t)| t.kind == TransitionKind::Firing);
    let window_ms = firing.clone().map(|(origin, _)| origin.suspect_window_ms).max()?;
    Span::of_all(firing.map(|(_, t)| t.alert.active_since), window_ms)
}

/// Writes transitions with their events, in order, and then what the pipeline decided of other alerts in the same step.
/// What is `foreseen` is of the transition at its place. Changes in the span of [`suspected`] are read once for all of the
/// batch; for the number beside it see [`Changes::read`].
pub(super) fn persist(
    t: &mut Txn<'_>,
    batch: &[(Origin, Transition)],
    mut foreseen: Vec<Option<Beginning>>,
    outcome: &Outcome,
    suspected: Option<(Span, i64)>,
) -> Result<(), Fault> {
    let firing = batch.iter().filter(|(_, t)| t.kind == TransitionKind::Firing);
    let changes = suspected.map(|(span, after)| Changes::read(t.tx(), span, after)).transpose()?;
    let mut endings = incidents::Endings::default();
    for calmed in &outcome.calmed {
        flaps::calmed(t, calmed, &mut endings)?;
    }
    for (place, (origin, transition)) in batch.iter().enumerate() {
        if flaps::instead(t, transition, outcome)? {
            continue;
        }
        let beginning = (foreseen.get_mut(place).and_then(Option::take), changes.as_ref());
        one(t, (origin, transition), beginning, outcome, &mut endings)?;
    }
    endings.settle(t)?;
    // One that flaps and fires again has not begun to fire: it may be told of now for another reason.
    let began = |fingerprint: &&str| outcome.turn(fingerprint) != Some(Turn::Again);
    let fired = firing.map(|(_, t)| t.alert.fingerprint.as_str()).filter(began);
    let fired: HashSet<Fingerprint> = fired.filter_map(Fingerprint::parse).collect();
    for (fingerprint, decisions) in outcome.decisions.iter().filter(|(f, _)| !fired.contains(*f)) {
        decided(t, &fingerprint.text(), decisions, outcome)?;
    }
    Ok(())
}

fn one(
    t: &mut Txn<'_>,
    (origin, transition): (&Origin, &Transition),
    (foreseen, changes): (Option<Beginning>, Option<&Changes>),
    outcome: &Outcome,
    endings: &mut incidents::Endings,
) -> Result<(), Fault> {
    let alert = &transition.alert;
    // One that flapped is stored since its first beginning.
    let taken_over = several::is_taken_over(transition);
    let same = |r: &store::AlertRow| {
        let goes_on = r.ended_at.is_none() && (taken_over || r.active_since < alert.active_since);
        goes_on || r.active_since == alert.active_since
    };
    // What begins goes on from nothing.
    let begins = matches!(transition.kind, TransitionKind::Pending | TransitionKind::Firing | TransitionKind::Cleared);
    let stored = if begins { None } else { store::get(t.tx(), &alert.fingerprint)?.filter(same) };
    let incident = stored.as_ref().and_then(|r| r.incident);
    let kept = stored.as_ref().map(body).transpose()?;
    let kept = kept.map(|b| Kept { incident, suspects: b.suspects, paged: b.paged }).unwrap_or_default();
    let text = summary(alert);
    match transition.kind {
        TransitionKind::Pending => {
            let row = write(t, outcome, origin, alert, Kept::default())?;
            pending(t, &row, alert, &text);
            Ok(())
        }
        TransitionKind::Firing => {
            // What fires at once, as all that senders bring, had no first signs: `active_since` says when it began.
            endings.settle(t)?;
            fired(t, (origin, alert), foreseen, outcome, changes)
        }
        TransitionKind::FiringAgain => {
            let row = write(t, outcome, origin, alert, kept)?;
            let words = match &transition.reason {
                Some(reason) => format!("It still fires, {reason}: {text}"),
                None => format!("The data is back and it still fires: {text}"),
            };
            let draft = draft(&row, alert, "alert.fired", event_severity(&row), words);
            t.record_later(with(draft, "again", json!(true)));
            Ok(())
        }
        TransitionKind::Cleared => {
            let row = write(t, outcome, origin, alert, Kept::default())?;
            t.record_later(draft(
                &row,
                alert,
                "alert.cleared",
                Severity::Debug,
                format!("It passed before it fired: {text}"),
            ));
            Ok(())
        }
        TransitionKind::Resolved => {
            let row = write(t, outcome, origin, alert, kept)?;
            let words = match &transition.reason {
                Some(reason) => format!("Over, {reason}: {text}"),
                None => format!("Over: {text}"),
            };
            let ended = draft(&row, alert, "alert.resolved", Severity::Good, words);
            let ended = with(ended, "how", json!("resolved"));
            t.record_later(ended);
            endings.alert(t.tx(), &row, "resolved")
        }
        TransitionKind::Unknown => {
            let row = write(t, outcome, origin, alert, kept)?;
            let reason = transition.reason.as_deref().unwrap_or("there is no data");
            let text = format!("Nobody knows whether it is over ({reason}): {text}");
            t.record_later(with(draft(&row, alert, "alert.unknown", Severity::Warning, text), "reason", json!(reason)));
            Ok(())
        }
        TransitionKind::Expired | TransitionKind::RuleRemoved => {
            let row = write(t, outcome, origin, alert, kept)?;
            let (how, text) = if transition.kind == TransitionKind::Expired {
                ("expired", format!("Given up without data, which does not mean it is over: {text}"))
            } else {
                ("rule_removed", format!("No longer watched, its rule is gone: {text}"))
            };
            t.record_later(with(draft(&row, alert, "alert.expired", Severity::Warning, text), "how", json!(how)));
            endings.alert(t.tx(), &row, how)
        }
    }
}

fn pending(t: &mut Txn<'_>, row: &store::AlertRow, alert: &Alert, text: &str) {
    let mut draft = draft(row, alert, "alert.pending", Severity::Debug, format!("First signs: {text}"));
    draft.occurred_at = Some(alert.active_since);
    t.record_later(draft);
}

/// What is written of an alert that begins to fire.
pub(super) struct Beginning {
    row: store::AlertRow,
    event: EventDraft,
}

impl Beginning {
    fn new(origin: &Origin, alert: &Alert, outcome: &Outcome, kept: Kept) -> Result<Self, Fault> {
        let (suspects, incident) = (kept.suspects.clone(), kept.incident);
        let row = row(origin, alert, incident, stored(outcome, origin, alert, kept)?);
        // A quiet alert is in the record and on the pages, and nobody is told.
        let quiet = outcome.quiet(&alert.fingerprint);
        let severity = if quiet.is_some() { Severity::Debug } else { event_severity(&row) };
        let facts = Facts {
            suspects: Some(&suspects),
            decisions: outcome.decided(&alert.fingerprint),
            muted_by: outcome.muted_by(&alert.fingerprint),
            ..Facts::of(&row, alert)
        };
        // Suspects have weights, which are no whole numbers.
        let data = if suspects.is_empty() {
            EventData::written(&facts).map_err(|e| Fault::internal(e.to_string()))?
        } else {
            json!(facts).into()
        };
        let event = about(&row, alert, "alert.fired", severity, summary(alert)).data(data);
        Ok(Self { row, event })
    }

    /// For each of a batch that begins to fire, as it is where nobody is told and nothing changed before: most of a storm. It
    /// is made before the store's one writer is asked, who has less to do then.
    pub(super) fn foreseen(batch: &[(Origin, Transition)], outcome: &Outcome) -> Result<Vec<Option<Self>>, Fault> {
        let one = |(origin, transition): &(Origin, Transition)| {
            let alert = &transition.alert;
            let told = !outcome.pages(&alert.fingerprint).is_empty();
            if transition.kind != TransitionKind::Firing || told {
                return Ok(None);
            }
            Self::new(origin, alert, outcome, Kept::default()).map(Some)
        };
        batch.iter().map(one).collect()
    }
}

fn fired(
    t: &mut Txn<'_>,
    (origin, alert): (&Origin, &Alert),
    foreseen: Option<Beginning>,
    outcome: &Outcome,
    changes: Option<&Changes>,
) -> Result<(), Fault> {
    let (service, environment) = place(&alert.labels);
    let (onset, window_ms) = (alert.active_since, origin.suspect_window_ms);
    let found = match changes {
        Some(changes) => changes.suspects(service, environment, onset, window_ms),
        None => suspects::suspects(t.tx(), service, environment, onset, window_ms)?,
    };
    let tellings = outcome.pages(&alert.fingerprint);
    let mut paged = Vec::new();
    let joinings = if tellings.is_empty() {
        Vec::new()
    } else {
        let about = row(origin, alert, None, String::new());
        telling::joinings(t, (&about, &alert.labels), tellings, &mut paged, outcome.reopen_window_ms)?
    };
    let incident = joinings.first().map(|(joining, _)| joining.number);
    let Beginning { row, event } = match foreseen.filter(|_| found.is_empty() && joinings.is_empty()) {
        Some(beginning) => beginning,
        None => Beginning::new(origin, alert, outcome, Kept { incident, suspects: found.clone(), paged })?,
    };
    store::put(t.tx(), &row)?;
    t.record_later(event);
    flaps::began(t, &row, outcome)?;
    for (joining, policy) in &joinings {
        incidents::join(t, joining, &row, &summary(alert), &found, policy.as_deref())?;
    }
    Ok(())
}

/// The pipeline decided anew about an alert that fires already: somebody is told of it now, or it has become quiet.
fn decided(t: &mut Txn<'_>, fingerprint: &str, decisions: &[Decision], outcome: &Outcome) -> Result<(), Fault> {
    let Some(mut row) = store::get(t.tx(), fingerprint)?.filter(|r| r.ended_at.is_none()) else { return Ok(()) };
    let mut of = body(&row)?;
    let text = summary(&of.alert);
    // Nobody twice in an episode. What was stored before people were told apart names nobody, and all were told.
    let all_told = row.incident.is_some() && of.paged.is_empty();
    let tellings: &[telling::Telling] = if all_told { &[] } else { outcome.pages(fingerprint) };
    let joinings = telling::joinings(t, (&row, &of.alert.labels), tellings, &mut of.paged, outcome.reopen_window_ms)?;
    let Some((first, _)) = joinings.first() else {
        let Some(quiet) = outcome.quiet(fingerprint) else { return Ok(()) };
        let text = format!("Nobody is told of it, {}: {text}", quiet.because);
        let event = draft(&row, &of.alert, "alert.decided", Severity::Debug, text);
        t.record_later(with(event, "decisions", json!(decisions)));
        return Ok(());
    };
    row.incident = row.incident.or(Some(first.number));
    flaps::put(t, &mut row, &of)?;
    let words = format!("Still firing, and now told of: {text}");
    let event = draft(&row, &of.alert, "alert.fired", event_severity(&row), words);
    t.record(with(event, "decisions", json!(decisions)))?;
    for (joining, policy) in &joinings {
        incidents::join(t, joining, &row, &text, &of.suspects, policy.as_deref())?;
    }
    Ok(())
}

pub(super) fn view(
    row: &store::AlertRow,
    muted_by: Option<i64>,
    acknowledged_by: Option<String>,
) -> Result<AlertView, Fault> {
    let body = body(row)?;
    let flapping = body.flap_view().filter(|_| row.ended_at.is_none());
    let Body { alert, suspects, expr, generator_url, check, paged, .. } = body;
    let further = paged.into_iter().map(|paged| paged.incident).filter(|number| Some(*number) != row.incident);
    let annotation = |name: &str| alert.annotations.get(name).cloned();
    Ok(AlertView {
        fingerprint: row.fingerprint.clone(),
        rule: row.rule.clone(),
        group: row.rule_group.clone(),
        severity: row.severity.clone(),
        state: row.state.clone(),
        summary: summary(&alert),
        description: annotation("description"),
        runbook_url: runbook(|name| alert.annotations.get(name).map(String::as_str)).map(str::to_owned),
        service: row.service.clone(),
        environment: row.environment.clone(),
        value: alert.value.is_finite().then_some(alert.value),
        active_since: alert.active_since,
        fired_at: alert.fired_at,
        resolved_at: alert.resolved_at,
        incident: row.incident,
        further_incidents: further.collect(),
        suspects,
        acknowledged_by,
        graph: graph(&expr, check.as_deref(), generator_url.as_deref()),
        expr,
        generator_url,
        check,
        muted_by,
        flapping,
        labels: alert.labels,
        annotations: BTreeMap::from(&*alert.annotations),
    })
}

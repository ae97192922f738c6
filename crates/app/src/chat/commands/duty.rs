//! On duty: ack, escalate, handover, resolve, incident, note, who, take, mutes.

use tenfold_oncall::TargetKind;
use tenfold_types::{Fault, Timestamp};

use super::Reply;
use crate::chat::Command;
use crate::chat::announce::span;
use crate::incidents::{EscalationView, HandOver, IncidentView, NewIncident, Resolution};
use crate::oncall::OnCallView;
use crate::{App, Caller};

pub(super) async fn execute(app: &App, who: &Caller, command: Command) -> Result<Reply, Fault> {
    match command {
        Command::Acknowledge { incident, for_ms } => {
            let done = app.incident_acknowledge_for(who, incident, for_ms).await?;
            let holder = done.incident.acknowledged_by_name.as_deref().unwrap_or("somebody");
            Ok(Reply::line(if done.already {
                format!("{holder} has had incident {incident} already: {}", done.incident.title)
            } else {
                format!("{holder} has incident {incident}: {}", done.incident.title)
            }))
        }
        Command::Escalate { incident } => {
            let asked = app.incident_escalate(who, incident, None).await?;
            let words = asked.escalation.as_ref().and_then(EscalationView::asked_words);
            let words = words.unwrap_or_else(|| format!("the next one is asked{}", of_policy(&asked)));
            Ok(Reply::line(format!("incident {incident}, {}: {words}", asked.title)))
        }
        Command::HandOver { incident, person, text } => {
            let to = HandOver { person: person.clone(), text };
            let handed = app.incident_hand_over(who, incident, to).await?;
            Ok(Reply::line(format!("{person} is paged for incident {incident}: {}", handed.title)))
        }
        Command::Resolve { incident } => {
            let done = app.incident_resolve(who, incident, Resolution::default()).await?;
            Ok(Reply::line(format!("incident {incident} is over: {}", done.title)))
        }
        Command::Classify { incident, kind } => {
            let done = app.incident_classify(who, incident, &kind).await?;
            let said = done.classified.unwrap_or_default().replace('_', " ");
            Ok(Reply::line(format!("incident {incident}: {said}")))
        }
        Command::IncidentShow { incident } => show(app, incident).await,
        Command::IncidentScore { incident } => {
            let score = app.drill_score(incident).await?;
            Ok(Reply::line(format!("drill {incident}: {}", score.words)))
        }
        Command::IncidentOpen { title, service, severity, drill } => {
            let environment = service.as_ref().map(|_| crate::chat::grammar::DEFAULT_ENVIRONMENT.to_owned());
            let new = NewIncident { title, service, environment, severity: Some(severity.word().to_owned()), drill };
            let incident = app.incident_open(who, new).await?;
            let link = app.settings.link(&format!("/incidents/{}", incident.number));
            Ok(Reply::line(format!("incident {} is open: {link}", incident.number)))
        }
        Command::Note { incident, text } => {
            app.incident_note(who, incident, &text).await?;
            Ok(Reply::line(format!("noted in incident {incident}")))
        }
        Command::Who { of } => who_is(app, of.as_deref()).await,
        Command::Take { schedule, for_ms } => {
            let taken = app.take(who, &schedule, Some(for_ms), None).await?;
            Ok(Reply::line(format!("{} has {schedule} for {}", taken.person, span(for_ms))))
        }
        Command::Mute(ask) => super::mutes::mute(app, who, ask).await,
        Command::Mutes { all } => super::mutes::list(app, all).await,
        Command::Unmute { number } => {
            app.mute_delete(who, number).await?;
            Ok(Reply::line(format!("mute {number} is over")))
        }
        other => Err(Fault::internal(format!("`{}` is no word of duty", other.verb()))),
    }
}

/// Alerts and suspects that are said of one incident; the page has all of them.
const SAID_MAX: usize = 5;

/// One incident for whoever was woken by it: who has it or is asked, what fires, what changed before.
async fn show(app: &App, number: i64) -> Result<Reply, Fault> {
    let incident = app.incident(number).await?;
    let (severity, state) = (&incident.severity, &incident.state);
    let mut lines = vec![format!("incident {number}, {severity}, {state}: {}", incident.title), holder(&incident)];
    for fingerprint in incident.alerts.iter().take(SAID_MAX) {
        // One that was over long ago is known no more.
        let Ok(alert) = app.alert_get(fingerprint).await else { continue };
        let runbook = alert.runbook_url.map(|url| format!("; runbook: {url}")).unwrap_or_default();
        lines.push(format!("{} {}: {}{runbook}", alert.fingerprint, alert.state, alert.summary));
    }
    let more = usize::try_from(incident.alerts_total).unwrap_or(0).saturating_sub(SAID_MAX);
    if more > 0 {
        lines.push(format!("and {more} more alerts"));
    }
    lines.extend(incident.suspects.iter().take(SAID_MAX).map(|s| format!("suspect: {} by {}", s.text, s.actor_name)));
    lines.push(app.settings.link(&format!("/incidents/{number}")));
    Ok(Reply::lines(lines))
}

/// Who has it, or who is asked and when somebody else is.
fn holder(incident: &IncidentView) -> String {
    if let Some(at) = incident.resolved_at {
        return format!("over since {}", minute(at));
    }
    let escalation = incident.escalation.as_ref();
    if let Some(name) = &incident.acknowledged_by_name {
        let until = escalation.and_then(|e| e.expires_at).map(|at| format!(" until {}", minute(at)));
        return format!("{name} has it{}", until.unwrap_or_default());
    }
    let Some(escalation) = escalation else {
        return "nobody has it, and nobody is paged: there is no escalation policy for it".to_owned();
    };
    if let Some(paused) = &escalation.paused {
        return format!("nobody has it, and nobody more is asked: {}", paused.because);
    }
    if escalation.state == "exhausted" {
        let number = incident.number;
        return format!("nobody acknowledged, and no step is left: `escalate {number}` or `handover {number} PERSON`");
    }
    let waiting = match escalation.waiting_for.as_slice() {
        [] => "nobody has it".to_owned(),
        names => format!("waiting for {}", names.join(", ")),
    };
    let next = escalation.next_at.map(|at| format!("; the next one is asked at {}", minute(at)));
    format!("{waiting}{}", next.unwrap_or_default())
}

fn of_policy(incident: &IncidentView) -> String {
    incident.escalation.as_ref().map(|e| format!(" by {}", e.policy)).unwrap_or_default()
}

/// A schedule's name, a service's (its policy leads to schedules), or everybody.
async fn who_is(app: &App, of: Option<&str>) -> Result<Reply, Fault> {
    let mut all = app.on_call_now().await?;
    if let Some(name) = of {
        let mut wanted = vec![name.to_owned()];
        if !all.iter().any(|o| o.schedule == name) {
            let service = app.service(name).await.map_err(|_| {
                Fault::not_found(format!("there is neither a schedule nor a service `{name}`"))
                    .advice("say who alone for everybody on call")
            })?;
            let policy = service.policy.unwrap_or_default();
            let policies = app.policies().await?;
            let targets =
                policies.into_iter().filter(|p| p.name == policy).flat_map(|p| p.steps).flat_map(|s| s.targets);
            wanted = targets.filter(|t| t.kind == TargetKind::Schedule).map(|t| t.name).collect();
        }
        all.retain(|o| wanted.contains(&o.schedule));
        if all.is_empty() {
            return Ok(Reply::line(format!("nobody is on call for {name}")));
        }
    }
    if all.is_empty() {
        return Ok(Reply::line("there are no schedules yet; make one on the On-call page"));
    }
    Ok(Reply::lines(all.iter().map(on_call_line).collect()))
}

pub(super) fn on_call_line(on_call: &OnCallView) -> String {
    match &on_call.person {
        Some(person) => format!("{}: {} until {}", on_call.schedule, person.name, minute(on_call.until)),
        None => format!("{}: nobody", on_call.schedule),
    }
}

/// `2026-11-30 09:00 UTC`.
pub(super) fn minute(at: Timestamp) -> String {
    let text = at.to_string();
    format!("{} {} UTC", text.get(..10).unwrap_or(&text), text.get(11..16).unwrap_or(""))
}

//! On duty: ack, resolve, incident, note, who, take, mutes.

use tenfold_oncall::TargetKind;
use tenfold_types::{Fault, Timestamp};

use super::Reply;
use crate::chat::Command;
use crate::chat::announce::span;
use crate::incidents::{NewIncident, Resolution};
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
        Command::Resolve { incident } => {
            let done = app.incident_resolve(who, incident, Resolution::default()).await?;
            Ok(Reply::line(format!("incident {incident} is over: {}", done.title)))
        }
        Command::Classify { incident, kind } => {
            let done = app.incident_classify(who, incident, &kind).await?;
            let said = done.classified.unwrap_or_default().replace('_', " ");
            Ok(Reply::line(format!("incident {incident}: {said}")))
        }
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

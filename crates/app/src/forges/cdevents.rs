//! CDEvents out and in: what the record holds, told to sinks in words that other tools know, and theirs taken into the record.
//! Going out they wait in the same rows as what forges are told.

use tenfold_protocols::cdevents::{CdEventError, Incoming, Outgoing, Word, artifact_id, read};
use tenfold_store::forges::{self as store, OutboxRow};
use tenfold_types::{ActorKind, ErrorCode, Event, EventDraft, Fault, Severity};

use super::{HookAnswer, ports::SinkAccount};
use crate::{App, Caller, Role, settings::SinkSettings};

/// In the queue a sink stands with this before its name, which no forge's name can have.
pub(super) const PREFIX: &str = "cdevents:";

/// Rows for one event of the record, one for each sink.
pub(super) async fn rows(app: &App, event: &Event) -> Result<Vec<OutboxRow>, Fault> {
    let sinks = &app.settings.cdevents.sinks;
    if sinks.is_empty() {
        return Ok(Vec::new());
    }
    let Some(told) = outgoing(app, event).await? else { return Ok(Vec::new()) };
    let now = app.now();
    let row = |sink: &SinkSettings| OutboxRow {
        forge: format!("{PREFIX}{}", sink.name),
        seq: event.seq,
        // words about one thing stay in their order
        deploy: event.subject.deploy.unwrap_or(0).max(0) - event.subject.incident.unwrap_or(0).max(0),
        body: told.cloudevent(sink.spec).to_string(),
        attempts: 0,
        created_at: now,
        next_at: now,
    };
    Ok(sinks.iter().map(row).collect())
}

async fn outgoing(app: &App, event: &Event) -> Result<Option<Outgoing>, Fault> {
    use serde_json::json;
    let subject = &event.subject;
    let environment = subject.environment.as_ref().map(|id| json!({"id": id}));
    let make = |word, subject: String, content| {
        Some(Outgoing {
            word,
            id: event.id.to_string(),
            source: app.settings.link("/"),
            at: event.occurred_at,
            subject,
            content,
        })
    };
    let kind = event.kind.as_str();
    if let Some(number) = subject.deploy {
        let outcome = outcome_of(kind);
        let wanted = matches!(kind, "deploy.built" | "deploy.staged" | "deploy.succeeded" | "deploy.rolled_back");
        let Some(shipped) = (if wanted || outcome.is_some() { app.deploy_shipped(number).await? } else { None }) else {
            return Ok(None);
        };
        if let Some(outcome) = outcome {
            // that a rollback goes back is what it is for
            let ended = !(shipped.is_rollback && kind == "deploy.rolling_back");
            let content = json!({
                "pipelineName": format!("{} to {}", shipped.service, shipped.environment),
                "uri": app.settings.link(&format!("/deploys/{number}")), "outcome": outcome, "errors": event.text,
            });
            return Ok(if ended { make(Word::PipelineRunFinished, format!("deploy-{number}"), content) } else { None });
        }
        let artifact = artifact_id(&shipped.service, &shipped.sha);
        // where it went back to; without one nothing runs any more
        let before = shipped.from.as_ref().map(|sha| artifact_id(&shipped.service, sha));
        let (word, artifact) = match kind {
            "deploy.built" => {
                return Ok(make(Word::ArtifactPackaged, artifact, json!({"change": {"id": shipped.sha}})));
            }
            "deploy.staged" => return Ok(make(Word::ArtifactPublished, artifact, json!({}))),
            "deploy.succeeded" if shipped.is_rollback => (Word::ServiceRolledBack, artifact),
            "deploy.succeeded" if before.is_some() => (Word::ServiceUpgraded, artifact),
            "deploy.succeeded" => (Word::ServiceDeployed, artifact),
            _ => match before {
                Some(before) => (Word::ServiceRolledBack, before),
                None => return Ok(None),
            },
        };
        let content = json!({"environment": {"id": shipped.environment}, "artifactId": artifact});
        return Ok(make(word, shipped.service, content));
    }
    if let (Some(number), Some(environment)) = (subject.incident, &environment) {
        let mut content = json!({"environment": environment, "description": event.text});
        if let Some(service) = &subject.service {
            content["service"] = json!({"id": service});
        }
        let word = match kind {
            "incident.opened" if event.actor.kind == ActorKind::Person => {
                content["ticketURI"] = app.settings.link(&format!("/incidents/{number}")).into();
                Word::IncidentReported
            }
            "incident.opened" => Word::IncidentDetected,
            "incident.resolved" => Word::IncidentResolved,
            _ => return Ok(None),
        };
        return Ok(make(word, format!("incident-{number}"), content));
    }
    let word = match kind {
        "environment.created" => Word::EnvironmentCreated,
        "environment.changed" => Word::EnvironmentModified,
        _ => return Ok(None),
    };
    Ok(subject.environment.clone().and_then(|name| make(word, name.clone(), json!({"name": name}))))
}

/// How a deploy that did not succeed ended. One that goes back has failed by that; what runs then is told when it is back.
fn outcome_of(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "deploy.failed" | "deploy.rolling_back" => "failure",
        "deploy.cancelled" => "cancel",
        "deploy.interrupted" => "error",
        _ => return None,
    })
}

/// Where a row of the queue goes; `None` for a sink that is not in the settings any more.
pub(super) fn account(app: &App, row: &OutboxRow) -> Option<SinkAccount> {
    let name = row.forge.strip_prefix(PREFIX)?;
    let sink = app.settings.cdevents.sinks.iter().find(|s| s.name == name)?;
    let secrets = app.forges.secrets(&row.forge);
    Some(SinkAccount { name: name.to_owned(), url: sink.url.clone(), secret: secrets.hook, token: secrets.token })
}

impl App {
    /// Takes a CDEvent of another tool into the record. The same event is taken once.
    pub async fn cdevent_take<'a>(
        &self,
        who: &Caller,
        header: impl Fn(&str) -> Option<&'a str>,
        body: &[u8],
    ) -> Result<HookAnswer, Fault> {
        who.require(Role::Responder, None, None)?;
        let event = read(header, body).map_err(|e| match e {
            CdEventError::TooLarge(_) => Fault::new(ErrorCode::TooLarge, e.to_string()),
            CdEventError::NoCloudEvent => Fault::new(ErrorCode::UnsupportedMedia, e.to_string()),
            other => Fault::invalid(format!("the CDEvent is refused: {other}")),
        })?;
        // both are free text, so a byte that neither may hold stands between them
        let digest = blake3::hash(format!("{}\0{}", event.source, event.id).as_bytes()).to_hex().to_string();
        let ours = self.is_of_ours(&event).await;
        let draft = draft(who, &event, ours);
        let fresh = self
            .transact(move |t| {
                let now = t.now();
                if !store::delivery_take(t.tx(), "cdevents", &digest, None, now)? {
                    return Ok(false);
                }
                t.record(draft.clone())?;
                Ok(true)
            })
            .await?;
        let services = event.service.into_iter().collect();
        let (result, text) =
            if fresh { ("recorded", event.kind) } else { ("duplicate", "this event came before".into()) };
        Ok(HookAnswer { result: result.to_owned(), text, services })
    }
}

impl App {
    /// It is about a service of here in an environment that it is deployed to, and not what we told ourselves.
    async fn is_of_ours(&self, event: &Incoming) -> bool {
        let (Some(service), Some(environment)) = (&event.service, &event.environment) else { return false };
        event.source != self.settings.link("/")
            && self.service(service).await.is_ok_and(|known| known.environments.contains(environment))
    }
}

fn draft(who: &Caller, event: &Incoming, ours: bool) -> EventDraft {
    let words = event.kind.replace('.', " ");
    let place = event.environment.as_ref().map_or_else(String::new, |e| format!(" in {e}"));
    let text = format!("{} says {words}: {}{place}", event.source, event.subject);
    let bad = event.kind == "incident.detected" || event.kind == "incident.reported";
    let mut draft = EventDraft::new(who.actor.clone(), who.source, format!("cdevents.{}", event.kind), text)
        .severity(if bad { Severity::Warning } else { Severity::Info })
        .data(serde_json::json!({
            "id": event.id, "source": event.source, "version": event.version, "subject": event.subject,
            "content": event.content, "ours": ours,
        }));
    // names that could not be ours stay in the data
    let ours = |name: &&String| crate::people::check_name("service", name).is_ok();
    if let Some(service) = event.service.as_ref().filter(ours) {
        draft = draft.service(service);
    }
    if let Some(environment) = event.environment.as_ref().filter(ours) {
        draft = draft.environment(environment);
    }
    draft.occurred_at = Some(event.at);
    draft
}

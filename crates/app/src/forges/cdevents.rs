//! CDEvents out and in: what the record holds, told to sinks in words that other tools know, and theirs taken into the record.
//! Going out they wait in the same rows as what forges are told.

use serde_json::{Value, json};
use tenfold_protocols::cdevents::{CdEventError, Incoming, Outgoing, Word, artifact_id, read};
use tenfold_store::forges::{self as store, OutboxRow};
use tenfold_types::{ActorKind, ErrorCode, Event, EventDraft, Fault, Severity};

use super::{HookAnswer, ports::SinkAccount};
use crate::{App, Caller, Role};

/// In the queue a sink stands with this before its name, which no forge's name can have.
pub(super) const PREFIX: &str = "cdevents:";

/// Rows for one event of the record: for each sink, one for each word that it is.
pub(super) async fn rows(app: &App, event: &Event) -> Result<Vec<OutboxRow>, Fault> {
    let sinks = &app.settings.cdevents.sinks;
    if sinks.is_empty() {
        return Ok(Vec::new());
    }
    let told = outgoing(app, event).await?;
    let now = app.now();
    let mut rows = Vec::new();
    for sink in sinks {
        rows.extend(told.iter().zip(0..).map(|(told, part)| OutboxRow {
            forge: format!("{PREFIX}{}", sink.name),
            seq: event.seq,
            part,
            // words about one thing stay in their order
            deploy: event.subject.deploy.unwrap_or(0).max(0) - event.subject.incident.unwrap_or(0).max(0),
            body: told.cloudevent(sink.spec).to_string(),
            attempts: 0,
            created_at: now,
            next_at: now,
        }));
    }
    Ok(rows)
}

/// A word, what it is about, and its content.
type Told = (Word, String, Value);

async fn outgoing(app: &App, event: &Event) -> Result<Vec<Outgoing>, Fault> {
    let told = match (event.subject.deploy, event.subject.incident) {
        (Some(number), _) => of_deploy(app, event, number).await?,
        (None, Some(number)) => of_incident(app, event, number).into_iter().collect(),
        (None, None) => of_environment(event).into_iter().collect(),
    };
    let make = |((word, subject, content), part): (Told, u32)| Outgoing {
        word,
        // the first has the event's own
        id: if part == 0 { event.id.to_string() } else { format!("{}-{part}", event.id) },
        source: app.settings.link("/"),
        at: event.occurred_at,
        subject,
        content,
    };
    Ok(told.into_iter().zip(0..).map(make).collect())
}

/// A deploy is a run of a pipeline from when it is asked for until it ends, with a build in it where something is built.
async fn of_deploy(app: &App, event: &Event, number: i64) -> Result<Vec<Told>, Fault> {
    let kind = event.kind.as_str();
    if !is_of_a_run(kind) {
        return Ok(Vec::new());
    }
    let Some(shipped) = app.deploy_shipped(number).await? else { return Ok(Vec::new()) };
    let uri = app.settings.link(&format!("/deploys/{number}"));
    let content = json!({"pipelineName": format!("{} to {}", shipped.service, shipped.environment), "uri": uri});
    let run = |word, content: &Value| (word, format!("deploy-{number}"), content.clone());
    let ended = |outcome: &str| {
        let mut content = content.clone();
        content["outcome"] = outcome.into();
        if outcome != "success" {
            content["errors"] = event.text.as_str().into();
        }
        run(Word::PipelineRunFinished, &content)
    };
    let build = |word, content| (word, format!("build-{number}"), content);
    let artifact = artifact_id(&shipped.service, &shipped.sha);
    let now_runs = |word, artifact: &str| {
        let content = json!({"environment": {"id": shipped.environment}, "artifactId": artifact});
        (word, shipped.service.clone(), content)
    };
    Ok(match kind {
        "deploy.queued" => vec![run(Word::PipelineRunQueued, &content)],
        "deploy.build_started" => {
            vec![run(Word::PipelineRunStarted, &content), build(Word::BuildStarted, json!({}))]
        }
        // that a rollback goes back is what it is for
        "deploy.rolling_back" if shipped.is_rollback => vec![run(Word::PipelineRunStarted, &content)],
        "deploy.built" => vec![
            build(Word::BuildFinished, json!({"artifactId": artifact})),
            (Word::ArtifactPackaged, artifact, json!({"change": {"id": shipped.sha}})),
        ],
        "deploy.staged" => {
            let begins = shipped.after_stage.then(|| run(Word::PipelineRunStarted, &content));
            begins.into_iter().chain([(Word::ArtifactPublished, artifact, json!({}))]).collect()
        }
        "deploy.succeeded" => {
            let word = if shipped.from.is_some() { Word::ServiceUpgraded } else { Word::ServiceDeployed };
            vec![now_runs(word, &artifact), ended("success")]
        }
        // of a rollback it is the good end, and what it brought is what runs
        "deploy.rolled_back" if shipped.is_rollback => {
            vec![now_runs(Word::ServiceRolledBack, &artifact), ended("success")]
        }
        // where it went back to; without one nothing runs any more
        "deploy.rolled_back" => {
            let before = shipped.from.as_ref().map(|sha| artifact_id(&shipped.service, sha));
            before.map(|before| now_runs(Word::ServiceRolledBack, &before)).into_iter().collect()
        }
        _ => {
            let unbuilt = shipped.ended_in_build.then(|| build(Word::BuildFinished, json!({})));
            unbuilt.into_iter().chain(outcome_of(kind).map(ended)).collect()
        }
    })
}

fn is_of_a_run(kind: &str) -> bool {
    let begins = matches!(kind, "deploy.queued" | "deploy.build_started" | "deploy.built" | "deploy.staged");
    begins || matches!(kind, "deploy.succeeded" | "deploy.rolled_back") || outcome_of(kind).is_some()
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

/// CDEvents want an environment.
fn of_incident(app: &App, event: &Event, number: i64) -> Option<Told> {
    let environment = event.subject.environment.as_ref()?;
    let mut content = json!({"environment": {"id": environment}, "description": event.text});
    if let Some(service) = &event.subject.service {
        content["service"] = json!({"id": service});
    }
    let word = match event.kind.as_str() {
        "incident.opened" if event.actor.kind == ActorKind::Person => {
            content["ticketURI"] = app.settings.link(&format!("/incidents/{number}")).into();
            Word::IncidentReported
        }
        "incident.opened" => Word::IncidentDetected,
        "incident.resolved" => Word::IncidentResolved,
        _ => return None,
    };
    Some((word, format!("incident-{number}"), content))
}

fn of_environment(event: &Event) -> Option<Told> {
    let word = match event.kind.as_str() {
        "environment.created" => Word::EnvironmentCreated,
        "environment.changed" => Word::EnvironmentModified,
        _ => return None,
    };
    event.subject.environment.clone().map(|name| (word, name.clone(), json!({"name": name})))
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
        .data(json!({
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

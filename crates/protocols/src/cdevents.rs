//! CDEvents (https://cdevents.dev), the words that tools of delivery have in common, in CloudEvents 1.0: written in structured
//! mode, read in structured and in binary mode. Bytes in and values out; everything that is read is checked and has a cap.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use tenfold_types::Timestamp;

/// Largest event that is read.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;
const WORD_BYTES_MAX: usize = 1_024;

/// The release of CDEvents that an event is written in. What we tell of has the same content in both, but for the address of a run:
/// `uri`, and `url` up to 0.4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub enum Spec {
    /// Says the kind of the subject once more, and its own version as `version`.
    #[serde(rename = "0.4")]
    V04,
    #[default]
    #[serde(rename = "0.5")]
    V05,
}

impl Spec {
    const fn version(self) -> &'static str {
        match self {
            Self::V04 => "0.4.1",
            Self::V05 => "0.5.1",
        }
    }

    /// Of all types that we write.
    const fn type_version(self) -> &'static str {
        match self {
            Self::V04 => "0.2.0",
            Self::V05 => "0.3.0",
        }
    }
}

/// What we tell of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    ServiceDeployed,
    ServiceUpgraded,
    ServiceRolledBack,
    ArtifactPackaged,
    ArtifactPublished,
    EnvironmentCreated,
    EnvironmentModified,
    IncidentDetected,
    IncidentReported,
    IncidentResolved,
    PipelineRunQueued,
    PipelineRunStarted,
    PipelineRunFinished,
    BuildStarted,
    BuildFinished,
}

impl Word {
    pub const ALL: [Self; 15] = [
        Self::ServiceDeployed,
        Self::ServiceUpgraded,
        Self::ServiceRolledBack,
        Self::ArtifactPackaged,
        Self::ArtifactPublished,
        Self::EnvironmentCreated,
        Self::EnvironmentModified,
        Self::IncidentDetected,
        Self::IncidentReported,
        Self::IncidentResolved,
        Self::PipelineRunQueued,
        Self::PipelineRunStarted,
        Self::PipelineRunFinished,
        Self::BuildStarted,
        Self::BuildFinished,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::ServiceDeployed => "service.deployed",
            Self::ServiceUpgraded => "service.upgraded",
            Self::ServiceRolledBack => "service.rolledback",
            Self::ArtifactPackaged => "artifact.packaged",
            Self::ArtifactPublished => "artifact.published",
            Self::EnvironmentCreated => "environment.created",
            Self::EnvironmentModified => "environment.modified",
            Self::IncidentDetected => "incident.detected",
            Self::IncidentReported => "incident.reported",
            Self::IncidentResolved => "incident.resolved",
            Self::PipelineRunQueued => "pipelinerun.queued",
            Self::PipelineRunStarted => "pipelinerun.started",
            Self::PipelineRunFinished => "pipelinerun.finished",
            Self::BuildStarted => "build.started",
            Self::BuildFinished => "build.finished",
        }
    }

    /// The kind of the subject, as releases up to 0.4 spell it.
    fn subject(self) -> &'static str {
        match self {
            Self::PipelineRunQueued | Self::PipelineRunStarted | Self::PipelineRunFinished => "pipelineRun",
            other => other.name().split('.').next().unwrap_or_default(),
        }
    }
}

/// The package URL of what a service ships.
pub fn artifact_id(service: &str, sha: &str) -> String {
    format!("pkg:generic/{service}@{sha}")
}

/// One event to tell.
#[derive(Debug, Clone, PartialEq)]
pub struct Outgoing {
    pub word: Word,
    /// Unique for the source; the same event told twice has the same.
    pub id: String,
    /// Who tells it: an address.
    pub source: String,
    pub at: Timestamp,
    pub subject: String,
    pub content: Value,
}

impl Outgoing {
    fn kind(&self, spec: Spec) -> String {
        format!("dev.cdevents.{}.{}", self.word.name(), spec.type_version())
    }

    pub fn cdevent(&self, spec: Spec) -> Value {
        let mut event = json!({
            "context": {
                "id": self.id, "source": self.source, "type": self.kind(spec), "timestamp": self.at.to_string(),
            },
            "subject": {"id": self.subject, "source": self.source, "content": self.content},
        });
        match spec {
            Spec::V04 => {
                event["context"]["version"] = spec.version().into();
                event["subject"]["type"] = self.word.subject().into();
                if let Some(content) = event["subject"]["content"].as_object_mut()
                    && let Some(uri) = content.remove("uri")
                {
                    content.insert("url".to_owned(), uri);
                }
            }
            Spec::V05 => event["context"]["specversion"] = spec.version().into(),
        }
        event
    }

    /// In structured mode: the body of a request of the type `application/cloudevents+json`.
    pub fn cloudevent(&self, spec: Spec) -> Value {
        json!({
            "specversion": "1.0", "id": self.id, "source": self.source, "type": self.kind(spec), "subject": self.subject,
            "time": self.at.to_string(), "datacontenttype": "application/json", "data": self.cdevent(spec),
        })
    }
}

/// Why an event was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CdEventError {
    #[error("the event has {0} bytes, more than {BODY_BYTES_MAX}")]
    TooLarge(usize),
    #[error("it is no CloudEvent: send it as application/cloudevents+json, or with the header ce-specversion")]
    NoCloudEvent,
    #[error("it is not JSON: {0}")]
    Json(String),
    #[error("`{0}` is missing or not what it has to be")]
    Field(String),
    #[error("`{0}` is no type of CDEvents: they are dev.cdevents.SUBJECT.PREDICATE.VERSION")]
    Type(String),
    #[error("the CloudEvent's `{0}` is another than the CDEvent's")]
    Differs(&'static str),
}

/// An event that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Incoming {
    pub id: String,
    pub source: String,
    /// `service.deployed`
    pub kind: String,
    pub version: String,
    pub at: Timestamp,
    pub subject: String,
    pub service: Option<String>,
    pub environment: Option<String>,
    pub content: Value,
}

/// Reads a request. `header` looks a header up by its lower-case name.
pub fn read<'a>(header: impl Fn(&str) -> Option<&'a str>, body: &[u8]) -> Result<Incoming, CdEventError> {
    if body.len() > BODY_BYTES_MAX {
        return Err(CdEventError::TooLarge(body.len()));
    }
    let json = || serde_json::from_slice::<Value>(body).map_err(|e| CdEventError::Json(e.to_string()));
    let media = header("content-type").unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if media.eq_ignore_ascii_case("application/cloudevents+json") {
        let mut whole = json()?;
        if whole["specversion"] != "1.0" {
            return Err(CdEventError::Field("specversion".to_owned()));
        }
        let event = whole["data"].take();
        let outer = |name: &str| whole[name].as_str().map(str::to_owned);
        return incoming(&event, ["id", "source", "type"].map(outer));
    }
    if header("ce-specversion") == Some("1.0") {
        let outer = |name: &str| header(&format!("ce-{name}")).map(str::to_owned);
        return incoming(&json()?, ["id", "source", "type"].map(outer));
    }
    Err(CdEventError::NoCloudEvent)
}

fn incoming(event: &Value, outer: [Option<String>; 3]) -> Result<Incoming, CdEventError> {
    let only = |path: &str, object: &Value, names: &[&str]| {
        let strange = |map: &Map<String, Value>| map.keys().find(|k| !names.contains(&k.as_str())).cloned();
        match object.as_object() {
            None => Err(CdEventError::Field(path.to_owned())),
            Some(map) => strange(map).map_or(Ok(()), |k| Err(CdEventError::Field(format!("{path}.{k}")))),
        }
    };
    only("data", event, &["context", "subject", "customData", "customDataContentType"])?;
    let context = &event["context"];
    // releases up to 0.4 say their version as `version`, later ones as `specversion`
    let old = context.get("version").is_some();
    let version = if old { "version" } else { "specversion" };
    let known = [version, "id", "source", "type", "timestamp", "schemaUri", "chainId", "links"];
    only("context", context, &known)?;
    only("subject", &event["subject"], &["id", "source", "type", "content"])?;
    text(context, "context", version)?;
    let [id, source, kind, at] = ["id", "source", "type", "timestamp"].map(|name| text(context, "context", name));
    let (id, source, kind, at) = (id?, source?, kind?, at?);
    for ((name, told), here) in ["id", "source", "type"].into_iter().zip(outer).zip([&id, &source, &kind]) {
        match told {
            None => return Err(CdEventError::Field(name.to_owned())),
            Some(told) if told != *here => return Err(CdEventError::Differs(name)),
            Some(_) => {}
        }
    }
    let at = Timestamp::parse_rfc3339(&at).ok_or_else(|| CdEventError::Field("context.timestamp".to_owned()))?;
    let (kind, version) = kind_of(&kind).ok_or_else(|| CdEventError::Type(kind.clone()))?;
    let subject = text(&event["subject"], "subject", "id")?;
    if old || event["subject"].get("type").is_some() {
        // `pipelineRun` of `dev.cdevents.pipelinerun.started`
        let of = text(&event["subject"], "subject", "type")?;
        if kind.split('.').next().is_none_or(|subject| !subject.eq_ignore_ascii_case(&of)) {
            return Err(CdEventError::Field("subject.type".to_owned()));
        }
    }
    let content = event["subject"]["content"].clone();
    if !content.is_object() {
        return Err(CdEventError::Field("subject.content".to_owned()));
    }
    required(&kind, &content)?;
    let within = |name: &str| content[name]["id"].as_str().map(str::to_owned);
    let own = |what: &str| kind.starts_with(&format!("{what}.")).then(|| subject.clone());
    Ok(Incoming {
        service: own("service").or_else(|| within("service")),
        environment: own("environment").or_else(|| within("environment")),
        id,
        source,
        kind,
        version,
        at,
        subject,
        content,
    })
}

/// What the content of the kinds that we know must hold, by the schemas of all releases from 0.1 to 0.5.
fn required(kind: &str, content: &Value) -> Result<(), CdEventError> {
    let fields: &[&[&str]] = match kind {
        "service.deployed" | "service.upgraded" | "service.rolledback" => &[&["environment", "id"], &["artifactId"]],
        "artifact.packaged" => &[&["change", "id"]],
        "incident.detected" | "incident.resolved" => &[&["environment", "id"]],
        "incident.reported" => &[&["environment", "id"], &["ticketURI"]],
        "pipelinerun.started" if content.get("uri").is_some() => &[&["pipelineName"], &["uri"]],
        // as releases up to 0.4 call it
        "pipelinerun.started" => &[&["pipelineName"], &["url"]],
        _ => &[],
    };
    for path in fields {
        let value = path.iter().fold(content, |value, name| &value[*name]);
        if value.as_str().is_none_or(str::is_empty) {
            return Err(CdEventError::Field(format!("subject.content.{}", path.join("."))));
        }
    }
    Ok(())
}

fn text(object: &Value, path: &str, name: &str) -> Result<String, CdEventError> {
    object[name]
        .as_str()
        .filter(|text| !text.is_empty() && text.len() <= WORD_BYTES_MAX)
        .map(str::to_owned)
        .ok_or_else(|| CdEventError::Field(format!("{path}.{name}")))
}

/// `service.deployed` and `0.3.0` of `dev.cdevents.service.deployed.0.3.0`.
fn kind_of(text: &str) -> Option<(String, String)> {
    let (subject, rest) = text.strip_prefix("dev.cdevents.")?.split_once('.')?;
    let (predicate, version) = rest.split_once('.')?;
    let word = |w: &str| !w.is_empty() && w.bytes().all(|b| b.is_ascii_lowercase());
    let (numbers, draft) = version.split_once('-').unwrap_or((version, "draft"));
    let parts: Vec<&str> = numbers.split('.').collect();
    let number = |p: &&str| !p.is_empty() && p.len() <= 6 && p.bytes().all(|b| b.is_ascii_digit());
    let fine = word(subject) && word(predicate) && draft == "draft" && parts.len() == 3 && parts.iter().all(number);
    fine.then(|| (format!("{subject}.{predicate}"), version.to_owned()))
}

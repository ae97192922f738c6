//! The event: one sentence of the record, written in the same transaction as the state it tells of, never changed after.

use serde::{Deserialize, Serialize};

use crate::{actor::Actor, event_data::EventData, id::EventId, time::Timestamp};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Kept, not announced.
    Debug,
    #[default]
    Info,
    /// Something went well that had gone wrong, or a thing finished.
    Good,
    Warning,
    Critical,
}

/// Through which door it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    Web,
    Cli,
    Chat,
    Api,
    Agent,
    System,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    /// Every signed-in person reads it.
    #[default]
    Everyone,
    /// Administrators only (sign-ins, token changes).
    Admins,
}

/// What an event is about. Each field is the thing's stable name or number; all may be absent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Subject {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flag: Option<String>,
    /// The alert's fingerprint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert: Option<String>,
    /// The incident's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<i64>,
    /// The deploy's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deploy: Option<i64>,
}

/// What a use case says happened; the store adds `seq`, the id, the instant of recording and the hash.
#[derive(Debug, Clone)]
pub struct EventDraft {
    pub actor: Actor,
    pub on_behalf_of: Option<Actor>,
    /// Dotted, past tense last: `deploy.started`, `flag.changed`, `alert.fired`.
    pub kind: String,
    pub subject: Subject,
    pub severity: Severity,
    /// One sentence a person would say.
    pub text: String,
    pub data: EventData,
    /// Ties together all that belongs to one run (`deploy:12`, `incident:3`).
    pub correlation: Option<String>,
    /// The event that caused this one.
    pub causation: Option<EventId>,
    pub source: Source,
    pub visibility: Visibility,
    /// When it happened, if not at the moment of recording.
    pub occurred_at: Option<Timestamp>,
}

impl EventDraft {
    pub fn new(actor: Actor, source: Source, kind: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            actor,
            on_behalf_of: None,
            kind: kind.into(),
            subject: Subject::default(),
            severity: Severity::Info,
            text: text.into(),
            data: EventData::default(),
            correlation: None,
            causation: None,
            source,
            visibility: Visibility::Everyone,
            occurred_at: None,
        }
    }
    pub fn severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }
    pub fn data(mut self, data: impl Into<EventData>) -> Self {
        self.data = data.into();
        self
    }
    pub fn correlation(mut self, correlation: impl Into<String>) -> Self {
        self.correlation = Some(correlation.into());
        self
    }
    pub fn causation(mut self, id: EventId) -> Self {
        self.causation = Some(id);
        self
    }
    pub fn admins_only(mut self) -> Self {
        self.visibility = Visibility::Admins;
        self
    }
    pub fn service(mut self, service: impl Into<String>) -> Self {
        self.subject.service = Some(service.into());
        self
    }
    pub fn environment(mut self, environment: impl Into<String>) -> Self {
        self.subject.environment = Some(environment.into());
        self
    }
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.subject.host = Some(host.into());
        self
    }
    pub fn flag(mut self, flag: impl Into<String>) -> Self {
        self.subject.flag = Some(flag.into());
        self
    }
    pub fn alert(mut self, fingerprint: impl Into<String>) -> Self {
        self.subject.alert = Some(fingerprint.into());
        self
    }
    pub fn incident(mut self, number: i64) -> Self {
        self.subject.incident = Some(number);
        self
    }
    pub fn deploy(mut self, number: i64) -> Self {
        self.subject.deploy = Some(number);
        self
    }
}

/// One row of the record. `seq` is dense, so a reader that tails by it misses nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    pub seq: i64,
    pub id: EventId,
    pub occurred_at: Timestamp,
    pub recorded_at: Timestamp,
    pub actor: Actor,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<Actor>,
    pub kind: String,
    pub subject: Subject,
    pub severity: Severity,
    pub text: String,
    pub data: EventData,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causation: Option<EventId>,
    pub source: Source,
    pub visibility: Visibility,
    /// Hex BLAKE3 of the event before; of `seq` 1 it is 64 zeros.
    pub prev_hash: String,
    /// Hex BLAKE3 over [`chain_input`].
    pub hash: String,
}

/// What most events need at most without their data.
const CHAIN_BYTES: usize = 1_024;

/// The bytes an event's hash is taken over: the event as JSON with `hash` empty. `prev_hash` is part of it, which makes the chain.
pub fn chain_input(event: &Event) -> Vec<u8> {
    let written = |event: &Event| {
        let mut out = Vec::with_capacity(CHAIN_BYTES);
        serde_json::to_writer(&mut out, event).expect("an event is plain data and always serialises");
        out
    };
    if event.hash.is_empty() {
        return written(event);
    }
    written(&Event { hash: String::new(), ..event.clone() })
}

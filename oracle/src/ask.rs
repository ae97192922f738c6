//! One question to both engines.

use serde_json::{Map, Value};
use tenfold_flags::{ClientFeatures, Context, Evaluation, Moment, Snapshot};
use tenfold_types::Timestamp;
use unleash_yggdrasil::{Context as TheirContext, EngineState, UpdateMessage, state::EnrichedContext};

/// What a client of Unleash is told of a flag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub enabled: bool,
    /// `None` stands for the variant `disabled`.
    pub variant: Option<String>,
    pub payload: Option<String>,
}

pub fn snapshot(document: &Value) -> Snapshot {
    let document: ClientFeatures = serde_json::from_value(document.clone()).expect("a client-features document");
    Snapshot::compile(&document)
}

pub fn our_context(fields: &Map<String, Value>) -> Context {
    let mut context = Context::new();
    for (name, value) in fields {
        context.set(name, value.as_str().expect("contexts hold text"));
    }
    context
}

/// Now, for real: yggdrasil takes it from the clock, so both have to.
#[expect(clippy::disallowed_methods, reason = "yggdrasil takes the time from the clock as well")]
pub fn moment(random: u64) -> Moment {
    let now = jiff::Timestamp::now().as_millisecond();
    Moment { now: Timestamp(now), random: random as u32 }
}

pub fn ours(evaluation: &Evaluation<'_>) -> Answer {
    let variant = evaluation.unleash_variant();
    Answer {
        enabled: evaluation.enabled,
        variant: variant.map(|v| v.0.to_owned()),
        payload: variant.and_then(|v| v.1).map(|p| p.value.clone()),
    }
}

pub fn engine(document: &Value) -> EngineState {
    let engine = EngineState::default();
    let document = serde_json::from_value(document.clone()).expect("a client-features document of Unleash");
    engine.take_state(UpdateMessage::FullResponse(document));
    engine
}

pub fn their_context(fields: &Map<String, Value>) -> TheirContext {
    let mut rest = fields.clone();
    let mut take = |name: &str| rest.shift_remove(name).and_then(|v| v.as_str().map(str::to_owned));
    TheirContext {
        user_id: take("userId"),
        session_id: take("sessionId"),
        environment: take("environment"),
        app_name: take("appName"),
        current_time: take("currentTime"),
        remote_address: take("remoteAddress"),
        properties: Some(rest.into_iter().filter_map(|(k, v)| Some((k, v.as_str()?.to_owned()))).collect()),
    }
}

pub fn theirs(engine: &EngineState, name: &str, context: &TheirContext) -> Answer {
    let mut asked = EnrichedContext::from(context, name, None);
    asked.runtime_hostname = context.properties.as_ref().and_then(|p| p.get("hostname")).map(String::as_str);
    let enabled = engine.check_enabled(&asked).expect("the flag exists");
    let variant = engine.check_variant(&asked).filter(|v| v.name != "disabled");
    Answer {
        enabled,
        payload: variant.as_ref().and_then(|v| v.payload.as_ref()).map(|p| p.value.clone()),
        variant: variant.map(|v| v.name),
    }
}

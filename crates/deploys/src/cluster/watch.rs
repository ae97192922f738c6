//! Following a list of a Kubernetes API: list, watch from the list's version, bookmarks, list anew when the version is gone,
//! and a growing pause after failures. No IO here: `step` says what to ask next.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use tenfold_types::Timestamp;

use super::plain;

/// Most objects of one list; more are an error, since half a list would be taken for the whole.
pub const OBJECTS_MAX: usize = 2_000;
/// Longest line of a watch.
pub const LINE_BYTES_MAX: usize = 4 << 20;
const PAUSE_MS_MIN: i64 = 500;
const PAUSE_MS_MAX: i64 = 30_000;

#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    Put {
        name: String,
        object: Value,
        version: String,
    },
    Gone {
        name: String,
        version: String,
    },
    Bookmark {
        version: String,
    },
    /// The version that was asked for is too old: list anew.
    Expired,
    Error {
        said: String,
    },
}

/// One line of a watch.
pub fn event(line: &[u8]) -> Result<Event, String> {
    #[derive(Deserialize)]
    struct Line {
        r#type: String,
        #[serde(default)]
        object: Value,
    }
    if line.len() > LINE_BYTES_MAX {
        return Err(format!("a line of the watch is longer than {LINE_BYTES_MAX} bytes"));
    }
    let Line { r#type, object } =
        serde_json::from_slice(line).map_err(|_| "a line of the watch is not JSON".to_owned())?;
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let (name, version) = (text(&object["metadata"]["name"]), text(&object["metadata"]["resourceVersion"]));
    match r#type.as_str() {
        "BOOKMARK" => Ok(Event::Bookmark { version }),
        "ERROR" if object["code"] == 410 => Ok(Event::Expired),
        "ERROR" => Ok(Event::Error { said: plain(object["message"].as_str().unwrap_or("no reason given")) }),
        "ADDED" | "MODIFIED" | "DELETED" if name.is_empty() => Err("an object of the watch has no name".to_owned()),
        "ADDED" | "MODIFIED" => Ok(Event::Put { name, object, version }),
        "DELETED" => Ok(Event::Gone { name, version }),
        other => Err(format!("the watch has an event of type {}", plain(other))),
    }
}

/// The objects of a list and its version.
pub fn list(body: &[u8]) -> Result<(String, BTreeMap<String, Value>), String> {
    let mut body: Value = serde_json::from_slice(body).map_err(|_| "the list is not JSON".to_owned())?;
    let version = body["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned();
    let Some(Value::Array(items)) = body.get_mut("items").map(Value::take) else {
        return Err("the list has no items".to_owned());
    };
    if items.len() > OBJECTS_MAX || body["metadata"]["continue"].as_str().is_some_and(|more| !more.is_empty()) {
        return Err(format!("the list has more than {OBJECTS_MAX} objects"));
    }
    let named = |object: Value| Some((object["metadata"]["name"].as_str()?.to_owned(), object));
    Ok((version, items.into_iter().filter_map(named).collect()))
}

#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    Start,
    Listed {
        version: String,
        objects: BTreeMap<String, Value>,
    },
    Event(Event),
    /// The server ended the watch, as it does every few minutes.
    Ended,
    Failed {
        error: String,
        expired: bool,
    },
    Tick,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    List,
    Watch {
        from: String,
    },
    /// End the watch that is open.
    Close,
    /// The objects are other than before, or are known again.
    Changed,
    Away {
        error: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
enum Stage {
    #[default]
    Idle,
    Listing,
    Watching,
    Waiting(Timestamp),
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Watch {
    stage: Stage,
    /// Where the next watch begins; none means that a list comes first.
    version: Option<String>,
    failures: u32,
    away: bool,
    pub objects: BTreeMap<String, Value>,
}

impl Watch {
    /// When `Input::Tick` is due.
    pub fn next_wake(&self) -> Option<Timestamp> {
        match self.stage {
            Stage::Waiting(until) => Some(until),
            _ => None,
        }
    }
}

pub fn step(state: Watch, input: Input, now: Timestamp) -> (Watch, Vec<Effect>) {
    let mut s = state;
    let mut effects = Vec::new();
    match input {
        Input::Start if s.stage == Stage::Idle => ask(&mut s, &mut effects),
        Input::Listed { version, objects } if s.stage == Stage::Listing => {
            s.objects = objects;
            s.version = Some(version);
            (s.failures, s.away) = (0, false);
            effects.push(Effect::Changed);
            ask(&mut s, &mut effects);
        }
        Input::Event(event) if s.stage == Stage::Watching => take(&mut s, event, now, &mut effects),
        // an answer that came and ended at once is no failure, but is not asked again in a loop either
        Input::Ended if s.stage == Stage::Watching => pause(&mut s, now),
        Input::Failed { error, expired } if matches!(s.stage, Stage::Listing | Stage::Watching) => {
            fail(&mut s, error, expired, now, &mut effects);
        }
        Input::Tick => {
            if let Stage::Waiting(until) = s.stage
                && now >= until
            {
                ask(&mut s, &mut effects);
            }
        }
        _ => {}
    }
    (s, effects)
}

fn take(s: &mut Watch, event: Event, now: Timestamp, effects: &mut Vec<Effect>) {
    let (version, changed) = match event {
        Event::Bookmark { version } => (version, false),
        Event::Put { name, object, version } => {
            let known = s.objects.insert(name, object);
            if known.is_none() && s.objects.len() > OBJECTS_MAX {
                let error = format!("there are more than {OBJECTS_MAX} objects");
                effects.push(Effect::Close);
                return fail(s, error, true, now, effects);
            }
            (version, true)
        }
        Event::Gone { name, version } => {
            s.objects.remove(&name);
            (version, true)
        }
        Event::Expired => {
            effects.push(Effect::Close);
            s.version = None;
            return ask(s, effects);
        }
        Event::Error { said } => {
            effects.push(Effect::Close);
            return fail(s, said, true, now, effects);
        }
    };
    s.failures = 0;
    if !version.is_empty() {
        s.version = Some(version);
    }
    // a watch that goes on after it was away says that it is back
    if changed || std::mem::take(&mut s.away) {
        s.away = false;
        effects.push(Effect::Changed);
    }
}

fn fail(s: &mut Watch, error: String, expired: bool, now: Timestamp, effects: &mut Vec<Effect>) {
    // what was missed meanwhile is only in a list, once it cannot be asked for
    if expired {
        s.version = None;
    }
    s.failures = s.failures.saturating_add(1);
    // one broken watch is everyday; it is away when asking again does not help
    if s.stage == Stage::Listing || s.failures > 1 {
        s.version = None;
        if !s.away {
            s.away = true;
            effects.push(Effect::Away { error });
        }
    }
    pause(s, now);
}

fn pause(s: &mut Watch, now: Timestamp) {
    let ms = (PAUSE_MS_MIN << s.failures.saturating_sub(1).min(10)).min(PAUSE_MS_MAX);
    s.stage = Stage::Waiting(now.plus_ms(ms));
}

fn ask(s: &mut Watch, effects: &mut Vec<Effect>) {
    if let Some(from) = &s.version {
        s.stage = Stage::Watching;
        effects.push(Effect::Watch { from: from.clone() });
    } else {
        s.stage = Stage::Listing;
        effects.push(Effect::List);
    }
}

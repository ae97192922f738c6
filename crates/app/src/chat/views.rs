//! What the console shows.

use tenfold_types::{Event, Severity, Timestamp};

use super::announce::is_told;

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum MessageKind {
    /// Somebody said it.
    Message,
    /// The record says it.
    Announcement,
    /// The answer to a command.
    Reply,
}

/// A line of the web room: a projection of one event.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct ConsoleMessage {
    pub seq: i64,
    #[schema(value_type = String)]
    pub at: Timestamp,
    /// The login, or the nick of somebody without one.
    pub who: String,
    pub name: String,
    pub kind: MessageKind,
    pub text: String,
    /// `debug`, `info`, `good`, `warning` or `critical`.
    #[schema(value_type = String)]
    pub severity: Severity,
    /// `web` or the name of a chat network.
    pub room: String,
}

/// The kinds of events that the room shows.
pub(super) fn room_kinds() -> Vec<String> {
    let prefixes = ["deploy.", "queue.", "lock.", "flag.", "alert.", "mute.", "incident.", "page.", "override."];
    let single = ["chat.message", "chat.reply", "note.doing", "config.applied"];
    prefixes.into_iter().chain(single).map(str::to_owned).collect()
}

impl ConsoleMessage {
    /// The line for an event, or `None` when the room does not show it.
    pub(super) fn of(event: &Event) -> Option<Self> {
        let kind = match event.kind.as_str() {
            "chat.message" => MessageKind::Message,
            "chat.reply" => MessageKind::Reply,
            kind if is_told(kind) && event.severity != Severity::Debug => MessageKind::Announcement,
            _ => return None,
        };
        let given = |key: &str| event.data.get(key).and_then(serde_json::Value::as_str).map(str::to_owned);
        let who = given("nick").unwrap_or_else(|| event.actor.id.clone());
        Some(Self {
            seq: event.seq,
            at: event.occurred_at,
            name: given("name").unwrap_or_else(|| who.clone()),
            who,
            kind,
            text: event.text.clone(),
            severity: event.severity,
            room: given("room").unwrap_or_else(|| "web".into()),
        })
    }
}

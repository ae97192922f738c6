//! Lists of Opsgenie's REST API, version 2 (`GET /v2/users` and so on), each under its name there. Overrides stand in their
//! schedule or in a list of their own, routing rules in a list of their own; both name their parent in `_parent`.

use serde::Deserialize;
use serde_json::Value;

use crate::oncall_export::{ExportError, Lists, or_default};

/// The lists that are read.
pub const LISTS: [&str; 8] =
    ["users", "teams", "schedules", "overrides", "escalations", "routing_rules", "integrations", "heartbeats"];

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Export {
    pub users: Vec<User>,
    pub teams: Vec<Team>,
    pub schedules: Vec<Schedule>,
    pub overrides: Vec<Override>,
    pub escalations: Vec<Escalation>,
    pub routing_rules: Vec<RoutingRule>,
    pub integrations: Vec<Integration>,
    pub heartbeats: Vec<Heartbeat>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    pub id: String,
    /// A mail address.
    #[serde(default, deserialize_with = "or_default")]
    pub username: String,
    #[serde(default, deserialize_with = "or_default")]
    pub full_name: String,
    #[serde(default, deserialize_with = "or_default")]
    pub time_zone: String,
    #[serde(default, deserialize_with = "or_default")]
    pub blocked: bool,
}

/// Somebody or something that is named: a user, a team, a schedule, an escalation, or `none`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Named {
    #[serde(rename = "type", default, deserialize_with = "or_default")]
    pub kind: String,
    #[serde(default, deserialize_with = "or_default")]
    pub id: String,
    #[serde(default, deserialize_with = "or_default")]
    pub name: String,
    /// Of a user.
    #[serde(default, deserialize_with = "or_default")]
    pub username: String,
}

impl Named {
    /// What a person calls it.
    pub fn label(&self) -> &str {
        [&self.username, &self.name, &self.id].into_iter().find(|t| !t.is_empty()).map_or("somebody", String::as_str)
    }
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Team {
    pub id: String,
    #[serde(default, deserialize_with = "or_default")]
    pub name: String,
    #[serde(default, deserialize_with = "or_default")]
    pub members: Vec<Member>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Member {
    #[serde(default, deserialize_with = "or_default")]
    pub user: Named,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Schedule {
    pub id: String,
    pub name: String,
    #[serde(default, deserialize_with = "or_default")]
    pub timezone: String,
    #[serde(default)]
    pub enabled: Option<bool>,
    #[serde(default, deserialize_with = "or_default")]
    pub rotations: Vec<Rotation>,
    #[serde(default, deserialize_with = "or_default")]
    pub overrides: Vec<Override>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rotation {
    #[serde(default, deserialize_with = "or_default")]
    pub id: String,
    #[serde(default, deserialize_with = "or_default")]
    pub name: String,
    #[serde(default)]
    pub enabled: Option<bool>,
    /// With an offset.
    pub start_date: String,
    #[serde(default, deserialize_with = "or_default")]
    pub end_date: String,
    /// `hourly`, `daily` or `weekly`.
    #[serde(rename = "type", default, deserialize_with = "or_default")]
    pub kind: String,
    /// In units of the type; 1 when it is not given.
    #[serde(default)]
    pub length: Option<i64>,
    #[serde(default, deserialize_with = "or_default")]
    pub participants: Vec<Named>,
    #[serde(default)]
    pub time_restriction: Option<TimeRestriction>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct TimeRestriction {
    /// `time-of-day` with one window, or `weekday-and-time-of-day` with several.
    #[serde(rename = "type", default, deserialize_with = "or_default")]
    pub kind: String,
    #[serde(default)]
    pub restriction: Option<Window>,
    #[serde(default, deserialize_with = "or_default")]
    pub restrictions: Vec<Window>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Window {
    /// `monday`; empty in a `time-of-day`.
    #[serde(default, deserialize_with = "or_default")]
    pub start_day: String,
    #[serde(default, deserialize_with = "or_default")]
    pub start_hour: u8,
    #[serde(default, deserialize_with = "or_default")]
    pub start_min: u8,
    #[serde(default, deserialize_with = "or_default")]
    pub end_day: String,
    #[serde(default, deserialize_with = "or_default")]
    pub end_hour: u8,
    #[serde(default, deserialize_with = "or_default")]
    pub end_min: u8,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Override {
    /// The schedule.
    #[serde(rename = "_parent", default, deserialize_with = "or_default")]
    pub parent: Named,
    #[serde(default, deserialize_with = "or_default")]
    pub user: Named,
    pub start_date: String,
    pub end_date: String,
    /// The rotations it holds for; all when there are none.
    #[serde(default, deserialize_with = "or_default")]
    pub rotations: Vec<Named>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Escalation {
    pub id: String,
    pub name: String,
    #[serde(default, deserialize_with = "or_default")]
    pub rules: Vec<Rule>,
    #[serde(default, deserialize_with = "or_default")]
    pub repeat: Repeat,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// `if-not-acked` or `if-not-closed`.
    #[serde(default, deserialize_with = "or_default")]
    pub condition: String,
    /// `default`, `next`, `previous`, `users`, `admins`, `random` or `all`.
    #[serde(default, deserialize_with = "or_default")]
    pub notify_type: String,
    #[serde(default, deserialize_with = "or_default")]
    pub delay: Delay,
    #[serde(default, deserialize_with = "or_default")]
    pub recipient: Named,
}

/// Since the alert was made.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Delay {
    #[serde(default, deserialize_with = "or_default")]
    pub time_amount: i64,
    /// `minutes` when it is not given.
    #[serde(default, deserialize_with = "or_default")]
    pub time_unit: String,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Repeat {
    /// Minutes.
    #[serde(default, deserialize_with = "or_default")]
    pub wait_interval: i64,
    #[serde(default, deserialize_with = "or_default")]
    pub count: i64,
    #[serde(default, deserialize_with = "or_default")]
    pub reset_recipient_states: bool,
    #[serde(default, deserialize_with = "or_default")]
    pub close_alert_after_all: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RoutingRule {
    /// The team.
    #[serde(rename = "_parent", default, deserialize_with = "or_default")]
    pub parent: Named,
    #[serde(default, deserialize_with = "or_default")]
    pub name: String,
    #[serde(default, deserialize_with = "or_default")]
    pub order: i64,
    #[serde(default, deserialize_with = "or_default")]
    pub criteria: Criteria,
    #[serde(default, deserialize_with = "or_default")]
    pub notify: Named,
    #[serde(default)]
    pub time_restriction: Option<TimeRestriction>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Criteria {
    /// `match-all`, `match-any-condition` or `match-all-conditions`.
    #[serde(rename = "type", default, deserialize_with = "or_default")]
    pub kind: String,
    #[serde(default, deserialize_with = "or_default")]
    pub conditions: Vec<Condition>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    #[serde(default, deserialize_with = "or_default")]
    pub field: String,
    #[serde(default, deserialize_with = "or_default")]
    pub key: String,
    #[serde(default, deserialize_with = "or_default")]
    pub not: bool,
    #[serde(default, deserialize_with = "or_default")]
    pub operation: String,
    #[serde(default, deserialize_with = "or_default")]
    pub expected_value: String,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Integration {
    #[serde(default, deserialize_with = "or_default")]
    pub name: String,
    #[serde(rename = "type", default, deserialize_with = "or_default")]
    pub kind: String,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Heartbeat {
    pub name: String,
    #[serde(default, deserialize_with = "or_default")]
    pub interval: i64,
    /// `minutes`, `hours` or `days`.
    #[serde(default, deserialize_with = "or_default")]
    pub interval_unit: String,
    #[serde(default)]
    pub enabled: Option<bool>,
}

/// Reads an export: an object with each list under its name. Heartbeats are an object of their own in the API's answer.
///
/// # Errors
/// The first object that does not fit, with its place.
pub fn read(export: &Value) -> Result<Export, ExportError> {
    let mut lists = Lists::new(export, &LISTS)?;
    let mut out = Export {
        users: lists.take("users")?,
        teams: lists.take("teams")?,
        schedules: lists.take("schedules")?,
        overrides: lists.take("overrides")?,
        escalations: lists.take("escalations")?,
        routing_rules: lists.take("routing_rules")?,
        integrations: lists.take("integrations")?,
        heartbeats: lists.take::<Heartbeats>("heartbeats")?.into_iter().flat_map(Heartbeats::all).collect(),
    };
    out.routing_rules.sort_by(|a, b| (&a.parent.name, a.order).cmp(&(&b.parent.name, b.order)));
    Ok(out)
}

/// `GET /v2/heartbeats` answers `{"data": {"heartbeats": [...]}}`, `GET /v2/heartbeats/NAME` one alone.
#[derive(Deserialize)]
#[serde(untagged)]
enum Heartbeats {
    Many { heartbeats: Vec<Heartbeat> },
    One(Heartbeat),
}

impl Heartbeats {
    fn all(self) -> Vec<Heartbeat> {
        match self {
            Self::Many { heartbeats } => heartbeats,
            Self::One(one) => vec![one],
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn answers_as_the_api_gives_them() {
        let read = read(&json!({
            "users": {"totalCount": 1, "data": [{"id": "u1", "username": "ana@example.org", "fullName": "Ana", "role": {"name": "User"}}]},
            "schedules": {"expandable": ["rotation"], "data": [{"id": "s1", "name": "web", "timezone": "Europe/Berlin", "enabled": true,
                "rotations": [{"id": "r1", "name": "day", "startDate": "2026-01-05T08:00:00Z", "endDate": null, "type": "weekly",
                    "length": 1, "participants": [{"type": "user", "id": "u1", "username": "ana@example.org"}, {"type": "none"}],
                    "timeRestriction": {"type": "time-of-day",
                        "restriction": {"startHour": 8, "startMin": 0, "endHour": 18, "endMin": 30}}}]}]},
            "escalations": {"data": [{"id": "e1", "name": "web", "rules": [{"condition": "if-not-acked", "notifyType": "default",
                "delay": {"timeAmount": 5, "timeUnit": "minutes"}, "recipient": {"type": "schedule", "id": "s1", "name": "web"}}],
                "repeat": null}]},
            "heartbeats": {"data": {"heartbeats": [{"name": "backup", "interval": 1, "intervalUnit": "days", "enabled": true}]}},
        }))
        .unwrap();
        let rotation = &read.schedules[0].rotations[0];
        assert_eq!((rotation.length, rotation.participants[0].label()), (Some(1), "ana@example.org"));
        let window = rotation.time_restriction.as_ref().and_then(|t| t.restriction.as_ref()).unwrap();
        assert_eq!((window.start_hour, window.end_hour, window.end_min), (8, 18, 30));
        assert_eq!(read.escalations[0].rules[0].delay.time_amount, 5);
        assert_eq!(read.heartbeats[0].name, "backup");
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let said = |value: Value| read(&value).unwrap_err().to_string();
        assert_eq!(
            said(json!({"schedules": [{"id": "s", "name": "x", "rotations": [{}]}]})),
            "schedules[0]: missing field `startDate`"
        );
        assert!(said(json!({"users": {"data": [{"username": "x"}]}})).contains("users[0]: missing field `id`"));
    }
}

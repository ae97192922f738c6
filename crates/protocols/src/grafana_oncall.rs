//! Lists of Grafana OnCall's HTTP API, version 1 (`GET /api/v1/users/` and so on), each under its name there. What is not
//! needed is passed over; what refers to nothing is for the caller to tell.

use serde::Deserialize;
use serde_json::Value;

use crate::oncall_export::{ExportError, Lists, or_default};

/// The lists that are read.
pub const LISTS: [&str; 9] = [
    "users",
    "teams",
    "schedules",
    "on_call_shifts",
    "escalation_chains",
    "escalation_policies",
    "integrations",
    "routes",
    "personal_notification_rules",
];

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Export {
    pub users: Vec<User>,
    pub teams: Vec<Team>,
    pub schedules: Vec<Schedule>,
    pub shifts: Vec<Shift>,
    pub chains: Vec<Chain>,
    pub steps: Vec<Step>,
    pub integrations: Vec<Integration>,
    pub routes: Vec<Route>,
    pub personal_rules: Vec<PersonalRule>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct User {
    pub id: String,
    #[serde(default, deserialize_with = "or_default")]
    pub username: String,
    #[serde(default, deserialize_with = "or_default")]
    pub email: String,
    #[serde(default, deserialize_with = "or_default")]
    pub timezone: String,
    /// Ids of teams.
    #[serde(default, deserialize_with = "or_default")]
    pub teams: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Team {
    pub id: String,
    #[serde(default, deserialize_with = "or_default")]
    pub name: String,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Schedule {
    pub id: String,
    pub name: String,
    /// `ical`, `calendar` or `web`.
    #[serde(rename = "type", default, deserialize_with = "or_default")]
    pub kind: String,
    #[serde(default, deserialize_with = "or_default")]
    pub time_zone: String,
    /// Ids of shifts.
    #[serde(default, deserialize_with = "or_default")]
    pub shifts: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub ical_url_primary: String,
    #[serde(default, deserialize_with = "or_default")]
    pub ical_url_overrides: String,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Shift {
    pub id: String,
    #[serde(default, deserialize_with = "or_default")]
    pub name: String,
    /// `single_event`, `recurrent_event`, `rolling_users` or `override`.
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default, deserialize_with = "or_default")]
    pub time_zone: String,
    /// The higher one covers.
    #[serde(default, deserialize_with = "or_default")]
    pub level: i64,
    /// Clock time in the shift's zone, without an offset; a shift without a zone has its schedule's, or UTC in a `web` one.
    pub start: String,
    /// Seconds.
    #[serde(default, deserialize_with = "or_default")]
    pub duration: i64,
    /// From when on there are turns, written as `start`; with it when it is not given.
    #[serde(default, deserialize_with = "or_default")]
    pub rotation_start: String,
    /// `hourly`, `daily`, `weekly` or `monthly`; a rotation without it is one shift.
    #[serde(default, deserialize_with = "or_default")]
    pub frequency: String,
    #[serde(default)]
    pub interval: Option<i64>,
    /// In UTC, whatever zone the shift is in.
    #[serde(default, deserialize_with = "or_default")]
    pub until: String,
    /// `SU` when it is not given.
    #[serde(default, deserialize_with = "or_default")]
    pub week_start: String,
    #[serde(default, deserialize_with = "or_default")]
    pub by_day: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub by_month: Vec<i64>,
    #[serde(default, deserialize_with = "or_default")]
    pub by_monthday: Vec<i64>,
    #[serde(default, deserialize_with = "or_default")]
    pub users: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub rolling_users: Vec<Vec<String>>,
    #[serde(default, deserialize_with = "or_default")]
    pub start_rotation_from_user_index: usize,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Chain {
    pub id: String,
    pub name: String,
}

/// One step of a chain; the API calls it an escalation policy.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Step {
    pub id: String,
    pub escalation_chain_id: String,
    #[serde(default, deserialize_with = "or_default")]
    pub position: i64,
    #[serde(rename = "type", default, deserialize_with = "or_default")]
    pub kind: String,
    /// Pages by people's important rules.
    #[serde(default, deserialize_with = "or_default")]
    pub important: bool,
    /// Seconds of a `wait`.
    #[serde(default, deserialize_with = "or_default")]
    pub duration: i64,
    #[serde(default, deserialize_with = "or_default")]
    pub persons_to_notify: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub persons_to_notify_next_each_time: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub notify_on_call_from_schedule: String,
    #[serde(default, deserialize_with = "or_default")]
    pub team_to_notify: String,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Integration {
    pub id: String,
    #[serde(default, deserialize_with = "or_default")]
    pub name: String,
    #[serde(rename = "type", default, deserialize_with = "or_default")]
    pub kind: String,
    #[serde(default, deserialize_with = "or_default")]
    pub default_route: DefaultRoute,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct DefaultRoute {
    #[serde(default, deserialize_with = "or_default")]
    pub escalation_chain_id: String,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct Route {
    pub id: String,
    #[serde(default, deserialize_with = "or_default")]
    pub integration_id: String,
    #[serde(default, deserialize_with = "or_default")]
    pub escalation_chain_id: String,
    /// An expression over the payload, or a template: `routing_type` says which.
    #[serde(default, deserialize_with = "or_default")]
    pub routing_regex: String,
    #[serde(default, deserialize_with = "or_default")]
    pub routing_type: String,
    #[serde(default, deserialize_with = "or_default")]
    pub position: i64,
    #[serde(default, deserialize_with = "or_default")]
    pub is_the_last_route: bool,
}

/// A step of somebody's own rules.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct PersonalRule {
    #[serde(default, deserialize_with = "or_default")]
    pub user_id: String,
    #[serde(default, deserialize_with = "or_default")]
    pub position: i64,
    #[serde(default, deserialize_with = "or_default")]
    pub important: bool,
    /// `wait`, `notify_by_sms`, `notify_by_phone_call`, ...
    #[serde(rename = "type", default, deserialize_with = "or_default")]
    pub kind: String,
    /// Seconds of a `wait`.
    #[serde(default, deserialize_with = "or_default")]
    pub duration: i64,
}

/// Reads an export: an object with each list under its name.
///
/// # Errors
/// The first object that does not fit, with its place.
pub fn read(export: &Value) -> Result<Export, ExportError> {
    let mut lists = Lists::new(export, &LISTS)?;
    let mut out = Export {
        users: lists.take("users")?,
        teams: lists.take("teams")?,
        schedules: lists.take("schedules")?,
        shifts: lists.take("on_call_shifts")?,
        chains: lists.take("escalation_chains")?,
        steps: lists.take("escalation_policies")?,
        integrations: lists.take("integrations")?,
        routes: lists.take("routes")?,
        personal_rules: lists.take("personal_notification_rules")?,
    };
    out.steps.sort_by_key(|s| s.position);
    out.routes.sort_by_key(|r| r.position);
    out.personal_rules.sort_by_key(|r| r.position);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn null_is_what_is_not_there_and_steps_are_in_order() {
        let read = read(&json!({
            "users": {"count": 1, "next": null, "results": [{"id": "U1", "email": null, "username": "ana", "role": "user"}]},
            "on_call_shifts": [{"id": "O1", "type": "rolling_users", "level": null, "start": "2026-01-05T09:00:00",
                "duration": 86400, "rolling_users": [["U1"], []], "start_rotation_from_user_index": null, "by_day": null}],
            "escalation_policies": [
                {"id": "E2", "escalation_chain_id": "F1", "position": 1, "type": "notify_persons", "persons_to_notify": ["U1"]},
                {"id": "E1", "escalation_chain_id": "F1", "position": 0, "type": "wait", "duration": 60}],
        }))
        .unwrap();
        assert_eq!((read.users[0].username.as_str(), read.users[0].email.as_str()), ("ana", ""));
        assert_eq!((read.shifts[0].rolling_users.len(), read.shifts[0].level), (2, 0));
        assert_eq!(read.steps.iter().map(|s| s.id.as_str()).collect::<Vec<_>>(), ["E1", "E2"]);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let said = |value: Value| read(&value).unwrap_err().to_string();
        assert_eq!(said(json!({"schedules": [{"id": "S1"}]})), "schedules[0]: missing field `name`");
        assert!(said(json!({"users": [{"id": 1}]})).starts_with("users[0]: invalid type"));
        assert!(said(json!([])).starts_with("export: is a JSON object"));
    }
}

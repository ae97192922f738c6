//! Opsgenie's export: rotations to layers, escalations to policies, teams' routing rules to a draft.

use std::collections::BTreeMap;

use jiff::{
    civil::{DateTime, Time},
    tz::TimeZone,
};
use tenfold_oncall::{Restriction, ShiftLength, Target, Unit};
use tenfold_protocols::opsgenie::{
    Condition, Escalation, Export, Named, Rotation, RoutingRule, Schedule, Team, TimeRestriction, Window,
};
use tenfold_types::Timestamp;

use super::draft::{Cover, Draft, Turns, plain, windows};
use super::sources;
use super::steps::Steps;

const DAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
const MINUTES_OF_WEEK: i64 = 7 * 24 * 60;

pub(super) fn take(draft: &mut Draft<'_>, export: &Export) -> Vec<(Vec<String>, Option<String>)> {
    for team in &export.teams {
        let name = if team.name.is_empty() { &team.id } else { &team.name };
        draft.team(&team.id, name, team.members.iter().map(|member| &member.user.id));
    }
    for user in &export.users {
        if user.blocked {
            draft.note(&user.username, "is blocked there and is left out");
            continue;
        }
        draft.person(&user.id, &user.username, &user.username, &user.full_name, &user.time_zone);
    }
    for schedule in &export.schedules {
        take_schedule(draft, export, schedule);
    }
    for escalation in &export.escalations {
        take_escalation(draft, export, escalation);
    }
    for team in &export.teams {
        let text = "a team stands in its people's profiles here (`teams`), and owns rules by their label; accounts that the \
                    import makes are in theirs, and where a rule paged all of it, whoever is in it then is paged";
        draft.note(&team.name, text);
    }
    for integration in &export.integrations {
        let (name, kind) = (&integration.name, &integration.kind);
        sources::sender(draft, sources::Sender { name, kind, labels: BTreeMap::new() });
    }
    for heartbeat in &export.heartbeats {
        let unit = heartbeat.interval_unit.chars().next().filter(|c| "mhd".contains(*c)).unwrap_or('m');
        let is_on = heartbeat.enabled != Some(false);
        sources::heartbeat(draft, &heartbeat.name, (heartbeat.interval, unit), is_on);
    }
    export.routing_rules.iter().flat_map(|rule| take_route(draft, rule)).collect()
}

fn take_schedule(draft: &mut Draft<'_>, export: &Export, schedule: &Schedule) {
    let name = &schedule.name;
    let zone_name = if schedule.timezone.is_empty() { "UTC" } else { schedule.timezone.as_str() };
    if schedule.enabled == Some(false) {
        draft.note(name, "is switched off there and is left out");
        return;
    }
    let Ok(zone) = TimeZone::get(zone_name) else {
        draft.note(name, format!("`{zone_name}` is not a time zone; the schedule is left out"));
        return;
    };
    let mut turns = Vec::new();
    for rotation in &schedule.rotations {
        let about = format!("{name}/{}", rotation.name);
        if rotation.enabled == Some(false) {
            draft.note(about, "is switched off there and is left out");
            continue;
        }
        match turns_of(rotation, &export.teams, zone_name, &zone) {
            Ok(one) => {
                for team in rotation.participants.iter().filter(|p| p.kind == "team") {
                    let message = format!("the team {} is in it: its people of now are, all at once", team.label());
                    draft.note(&about, message);
                }
                turns.push(one);
            }
            Err(message) => draft.note(about, format!("{message}; it is left out")),
        }
    }
    let mut covers = Vec::new();
    let listed = export.overrides.iter().filter(|o| o.parent.id == schedule.id || o.parent.name == *name);
    for one in schedule.overrides.iter().chain(listed) {
        let (Some(start), Some(end)) =
            (Timestamp::parse_rfc3339(&one.start_date), Timestamp::parse_rfc3339(&one.end_date))
        else {
            draft.note(name, format!("an override from `{}` to `{}` has no instants", one.start_date, one.end_date));
            continue;
        };
        let all = schedule.rotations.iter().all(|r| one.rotations.iter().any(|o| o.id == r.id));
        if one.user.kind != "user" && !one.user.kind.is_empty() {
            draft.note(name, format!("the override from {start} is by a {}, which has no equal", one.user.kind));
        } else if !one.rotations.is_empty() && !all {
            let message =
                format!("the override from {start} holds for some rotations only: give it `replaces`, by hand");
            draft.note(name, message);
        } else {
            covers.push(Cover { people: vec![one.user.id.clone()], start, end });
        }
    }
    draft.schedule(&schedule.id, name, zone_name, turns, &covers);
}

/// Whoever is on call in a turn: somebody, or a team as a whole.
///
/// # Errors
/// What of it has no equal.
fn group(of: &Named, teams: &[Team]) -> Result<Vec<String>, String> {
    match of.kind.as_str() {
        "user" => Ok(vec![of.id.clone()]),
        "team" => {
            let team = teams.iter().find(|team| team.id == of.id);
            let members: Vec<String> =
                team.into_iter().flat_map(|team| &team.members).map(|member| member.user.id.clone()).collect();
            if members.is_empty() {
                Err(format!("has the team {} in it, of which nobody is known", of.label()))
            } else {
                Ok(members)
            }
        }
        "none" => Err("has a turn of nobody, which has no equal: write it as a calendar".to_owned()),
        kind => Err(format!("has the {kind} {} in it: put its people there", of.label())),
    }
}

fn turns_of(rotation: &Rotation, teams: &[Team], zone_name: &str, zone: &TimeZone) -> Result<Turns, String> {
    let start = Timestamp::parse_rfc3339(&rotation.start_date)
        .ok_or_else(|| format!("`{}` is not an instant", rotation.start_date))?;
    let until = match rotation.end_date.as_str() {
        "" => None,
        text => Some(Timestamp::parse_rfc3339(text).ok_or_else(|| format!("`{text}` is not an instant"))?),
    };
    let count = rotation.length.unwrap_or(1);
    let unit = match rotation.kind.as_str() {
        "hourly" => Unit::Hour,
        "daily" => Unit::Day,
        "weekly" => Unit::Week,
        other => return Err(format!("the kind `{other}` is not known")),
    };
    if !(1..=366).contains(&count) {
        return Err(format!("a length of {count} has no equal"));
    }
    let groups = rotation.participants.iter().map(|p| group(p, teams)).collect::<Result<Vec<_>, _>>()?;
    let civil: DateTime = jiff::Timestamp::from_millisecond(start.millis())
        .map_err(|_| "begins too early".to_owned())?
        .to_zoned(zone.clone())
        .datetime();
    let restrictions = rotation.time_restriction.as_ref().map_or_else(|| Ok(Vec::new()), hours)?;
    Ok(Turns {
        name: rotation.name.clone(),
        level: 0,
        zone: zone_name.to_owned(),
        groups,
        start: civil,
        shift_length: ShiftLength { count, unit },
        restrictions,
        from: Some(start),
        until,
    })
}

fn hours(of: &TimeRestriction) -> Result<Vec<Restriction>, String> {
    let mut out = Vec::new();
    for window in of.restriction.iter().chain(&of.restrictions) {
        out.extend(window_hours(window, of.kind == "weekday-and-time-of-day")?);
    }
    if out.is_empty() { Err("its time restriction has no window".to_owned()) } else { Ok(out) }
}

fn window_hours(window: &Window, by_weekday: bool) -> Result<Vec<Restriction>, String> {
    let minutes = |hour: u8, minute: u8| i64::from(hour) * 60 + i64::from(minute);
    let (from, to) = (minutes(window.start_hour, window.start_min), minutes(window.end_hour, window.end_min));
    let small = |n: i64| i8::try_from(n).unwrap_or(-1);
    let clock = Time::new(small(from / 60), small(from % 60), 0, 0)
        .map_err(|_| "a time restriction begins at a time that is none".to_owned())?;
    if !by_weekday {
        let length = if to > from { to - from } else { to + 24 * 60 - from };
        return windows(&[0, 1, 2, 3, 4, 5, 6], clock, length * 60).ok_or_else(|| "its hours have no equal".to_owned());
    }
    let day = |name: &str| {
        let low = name.to_lowercase();
        DAYS.iter().position(|d| *d == low).ok_or_else(|| format!("`{name}` is not a day of the week"))
    };
    let (first, last) = (day(&window.start_day)?, day(&window.end_day)?);
    let at = |day: usize, minutes: i64| i64::try_from(day).unwrap_or(0) * 24 * 60 + minutes;
    let length = (at(last, to) - at(first, from)).rem_euclid(MINUTES_OF_WEEK);
    let length = if length == 0 { MINUTES_OF_WEEK } else { length };
    windows(&[first], clock, length * 60).ok_or_else(|| "its hours have no equal".to_owned())
}

fn take_escalation(draft: &mut Draft<'_>, export: &Export, escalation: &Escalation) {
    let name = &escalation.name;
    let mut by_delay: BTreeMap<i64, Vec<(Vec<Target>, bool)>> = BTreeMap::new();
    for rule in &escalation.rules {
        let unit = match rule.delay.time_unit.as_str() {
            "" | "minutes" => 60_000,
            "hours" => 3_600_000,
            "days" => 86_400_000,
            "seconds" => 1_000,
            other => {
                draft.note(name, format!("a delay in `{other}` is not known; the rule is left out"));
                continue;
            }
        };
        if rule.condition == "if-not-closed" {
            draft.note(name, "a rule goes on until the alert is closed; here an acknowledgement ends the escalation");
        }
        match targets(draft, export, name, (&rule.recipient, &rule.notify_type)) {
            Ok(found) => {
                by_delay.entry(rule.delay.time_amount.max(0).saturating_mul(unit)).or_default().push(found);
            }
            Err(message) => draft.note(name, message),
        }
    }
    let mut out = Steps::default();
    let mut before = 0;
    for (delay, found) in by_delay {
        if out.is_empty() && delay > 0 {
            draft.note(name, "waits before its first rule; here the first step is paged at once");
        }
        out.wait(delay - before);
        before = delay;
        for (targets, in_turns) in found {
            out.page(targets, in_turns);
        }
    }
    if escalation.repeat.wait_interval > 0 {
        out.wait(escalation.repeat.wait_interval.saturating_mul(60_000));
    }
    if escalation.repeat.close_alert_after_all {
        draft.note(name, "closes the alert after its last repetition, which has no equal: an incident stays open");
    }
    draft.policy(&escalation.id, name, out, escalation.repeat.count);
}

/// Whom a rule pages, and whether one after the other.
fn targets(
    draft: &mut Draft<'_>,
    export: &Export,
    about: &str,
    (to, how): (&Named, &str),
) -> Result<(Vec<Target>, bool), String> {
    let some = |targets: Vec<Target>, in_turns: bool| {
        if targets.is_empty() {
            return Err(format!("the {} {} was not taken over; the rule is left out", to.kind, to.label()));
        }
        Ok((targets, in_turns))
    };
    let none = || Err(format!("`{how}` of the {} {} has no equal; the rule is left out", to.kind, to.label()));
    match (to.kind.as_str(), how) {
        ("user", _) => some(draft.person_targets(std::iter::once(&to.id)), false),
        ("schedule", "" | "default") => some(draft.schedule_targets(&to.id, 0), false),
        ("schedule", "next") => some(draft.schedule_targets(&to.id, 1), false),
        ("team", "all" | "users") => some(draft.team_targets(about, &to.id), false),
        // A team is one target, so that turns are its people's of now.
        ("team", "random") => {
            let team = export.teams.iter().find(|t| t.id == to.id);
            let members = team.into_iter().flat_map(|t| &t.members).map(|m| &m.user.id);
            some(draft.person_targets(members), true)
        }
        _ => none(),
    }
}

/// A rule of a team as matchers and the policy they lead to; several where any of its conditions is enough.
fn take_route(draft: &mut Draft<'_>, rule: &RoutingRule) -> Vec<(Vec<String>, Option<String>)> {
    let about = format!("{}/{}", rule.parent.label(), rule.name);
    let policy = match rule.notify.kind.as_str() {
        "escalation" => draft.policy_name(&rule.notify.id).map(str::to_owned),
        "schedule" => draft.policy_of_schedule(&rule.notify.id),
        "none" => None,
        other => {
            draft.note(about, format!("leads to `{other}`, which has no equal"));
            return Vec::new();
        }
    };
    if policy.is_none() && rule.notify.kind != "none" {
        draft.note(about, format!("leads to {}, which was not taken over", rule.notify.label()));
        return Vec::new();
    }
    if rule.time_restriction.is_some() {
        draft.note(&about, "holds at some hours only: give the route a time interval");
    }
    let any = rule.criteria.kind == "match-any-condition";
    let mut matchers = Vec::new();
    for condition in &rule.criteria.conditions {
        let Some(matcher) = matcher(condition) else {
            let (field, how) = (&condition.field, &condition.operation);
            let left_out = if any { "its route is left out" } else { "the route is left out" };
            draft.note(&about, format!("`{field}` {how} `{}` has no equal; {left_out}", condition.expected_value));
            if any {
                continue;
            }
            return Vec::new();
        };
        matchers.push(matcher);
    }
    let team = format!("team=\"{}\"", plain(rule.parent.label()));
    if any {
        return matchers.into_iter().map(|matcher| (vec![team.clone(), matcher], policy.clone())).collect();
    }
    matchers.insert(0, team);
    vec![(matchers, policy)]
}

fn matcher(of: &Condition) -> Option<String> {
    let label = match of.field.as_str() {
        "extra-properties" if !of.key.is_empty() => of.key.replace(|c: char| !c.is_ascii_alphanumeric(), "_"),
        "priority" => "priority".to_owned(),
        "source" => "source".to_owned(),
        "alias" => "alertname".to_owned(),
        _ => return None,
    };
    if label.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let sign = match (of.operation.as_str(), of.not) {
        ("equals", false) => "=",
        ("equals", true) => "!=",
        ("matches", false) => "=~",
        ("matches", true) => "!~",
        _ => return None,
    };
    let value = of.expected_value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    Some(format!("{label}{sign}\"{value}\""))
}

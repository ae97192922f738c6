//! Grafana OnCall's export: shifts of levels to layers, chains to policies, routes to a draft.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::DateTime;
use tenfold_oncall::{Restriction, ShiftLength, Unit};
use tenfold_protocols::grafana_oncall::{Export, Integration, PersonalRule, Schedule, Shift, Step};

use super::draft::{Cover, Draft, Turns, days_before, instant, windows};
use super::sources;
use super::steps::Steps;

const DAY_S: i64 = 86_400;
/// How often OnCall goes through a chain again that says `repeat_escalation`.
const REPEATS: i64 = 5;
const WEEK: [&str; 7] = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"];

pub(super) fn take(draft: &mut Draft<'_>, export: &Export) -> Vec<(Vec<String>, Option<String>)> {
    for team in &export.teams {
        let members = export.users.iter().filter(|user| user.teams.contains(&team.id)).map(|user| &user.id);
        draft.team(&team.id, if team.name.is_empty() { &team.id } else { &team.name }, members);
    }
    for user in &export.users {
        draft.person(&user.id, &user.username, &user.email, "", &user.timezone);
    }
    let shifts: BTreeMap<&str, &Shift> = export.shifts.iter().map(|s| (s.id.as_str(), s)).collect();
    for schedule in &export.schedules {
        take_schedule(draft, schedule, &shifts);
    }
    for chain in &export.chains {
        let steps = export.steps.iter().filter(|s| s.escalation_chain_id == chain.id);
        take_chain(draft, &chain.id, &chain.name, &steps.collect::<Vec<_>>());
    }
    own_rules(draft, export);
    if !export.teams.is_empty() {
        let names: Vec<&str> = export.teams.iter().map(|t| t.name.as_str()).collect();
        draft.note(
            "teams",
            format!(
                "{}: teams stand in the people's profiles and in rules' labels here; accounts that the import makes are in \
                 theirs, and where a chain paged one, whoever is in it then is paged",
                names.join(", ")
            ),
        );
    }
    export.integrations.iter().flat_map(|i| take_integration(draft, export, i)).collect()
}

fn take_schedule(draft: &mut Draft<'_>, schedule: &Schedule, shifts: &BTreeMap<&str, &Shift>) {
    let name = &schedule.name;
    let zone = if schedule.time_zone.is_empty() { "UTC" } else { schedule.time_zone.as_str() };
    let is_followed = !schedule.ical_url_primary.is_empty() && schedule.shifts.is_empty();
    let calendars = [("", &schedule.ical_url_primary), (" of overrides", &schedule.ical_url_overrides)];
    for (what, url) in calendars.into_iter().skip(usize::from(is_followed)) {
        if !url.is_empty() {
            // The address may hold a secret, so it is not repeated.
            let how = "download its file and give it to `tenfold oncall import SCHEDULE FILE --dry-run`";
            draft.note(name, format!("its calendar{what} stands at an address of its own: {how}"));
        }
    }
    if is_followed {
        draft.note(name, "its calendar is followed at its address; readiness says which events of it name nobody");
        draft.followed(&schedule.id, name, zone, &schedule.ical_url_primary);
        return;
    }
    let (mut turns, mut covers) = (Vec::new(), Vec::new());
    for id in &schedule.shifts {
        let Some(shift) = shifts.get(id.as_str()) else {
            draft.note(name, format!("the shift {id} is not in the export"));
            continue;
        };
        let zone = if shift.time_zone.is_empty() { zone } else { shift.time_zone.as_str() };
        let about = format!("{name}/{}", if shift.name.is_empty() { id } else { &shift.name });
        let Some((start, from)) = clock(&shift.start).and_then(|s| Some((s, instant(zone, s)?))) else {
            draft.note(about, format!("`{}` in `{zone}` is not a clock time and a zone", shift.start));
            continue;
        };
        if shift.kind == "override" {
            covers.push(Cover {
                people: shift.users.clone(),
                start: from,
                end: from.plus_ms(shift.duration.saturating_mul(1_000)),
            });
            continue;
        }
        match shape(shift, start) {
            Ok(shape) => turns.push(Turns {
                name: if shift.name.is_empty() { id.clone() } else { shift.name.clone() },
                level: shift.level,
                zone: zone.to_owned(),
                groups: groups(shift),
                start: shape.anchor,
                shift_length: shape.length,
                restrictions: shape.restrictions,
                from: Some(from),
                until: until(shift, zone).or_else(|| {
                    (shift.kind == "single_event").then(|| from.plus_ms(shift.duration.saturating_mul(1_000)))
                }),
            }),
            Err(message) => draft.note(about, format!("{message}; it is left out")),
        }
    }
    if turns.is_empty() && schedule.shifts.is_empty() {
        draft.note(name, "has no shifts in the export; make the schedule first, then import its calendar");
        return;
    }
    draft.schedule(&schedule.id, name, zone, turns, &covers);
}

fn clock(text: &str) -> Option<DateTime> {
    text.trim_end_matches('Z').parse().ok()
}

fn until(shift: &Shift, zone: &str) -> Option<tenfold_types::Timestamp> {
    // Its last second still counts.
    Some(instant(zone, clock(&shift.until)?)?.plus_ms(1_000))
}

fn groups(shift: &Shift) -> Vec<Vec<String>> {
    if shift.kind != "rolling_users" {
        return vec![shift.users.clone()];
    }
    let mut groups = shift.rolling_users.clone();
    let n = groups.len();
    if n > 0 {
        groups.rotate_left(shift.start_rotation_from_user_index % n);
    }
    groups
}

struct Shape {
    anchor: DateTime,
    length: ShiftLength,
    restrictions: Vec<Restriction>,
}

/// The rotation and the hours of a shift.
///
/// # Errors
/// What of it has no equal.
fn shape(shift: &Shift, start: DateTime) -> Result<Shape, String> {
    let interval = shift.interval.unwrap_or(1).max(1);
    let whole =
        |count: i64, unit: Unit| Shape { anchor: start, length: ShiftLength { count, unit }, restrictions: Vec::new() };
    if shift.duration <= 0 {
        return Err("has no duration".to_owned());
    }
    if shift.kind == "single_event" {
        return Ok(whole(1, Unit::Week));
    }
    if !matches!(shift.kind.as_str(), "rolling_users" | "recurrent_event") {
        return Err(format!("the kind `{}` has no equal", shift.kind));
    }
    if interval > 366 {
        return Err(format!("an interval of {interval} has no equal"));
    }
    if !shift.by_month.is_empty() || !shift.by_monthday.is_empty() {
        return Err("by_month and by_monthday have no equal: write it as overrides or by a calendar".to_owned());
    }
    let (unit, seconds) = match shift.frequency.as_str() {
        "hourly" => (Unit::Hour, 3_600),
        "daily" => (Unit::Day, DAY_S),
        "weekly" => (Unit::Week, 7 * DAY_S),
        // The shortest month: what lasts as long holds until the next turn.
        "monthly" => (Unit::Month, 28 * DAY_S),
        other => return Err(format!("the frequency `{other}` is not known")),
    };
    if shift.by_day.is_empty() {
        let period = seconds * interval;
        return match unit {
            Unit::Month if shift.duration >= period => Ok(whole(interval, unit)),
            _ if shift.duration == period => Ok(whole(interval, unit)),
            _ if shift.duration > period => Err("its turns overlap, which has no equal".to_owned()),
            Unit::Day if interval == 1 => hours(start, unit, &[0, 1, 2, 3, 4, 5, 6], start, shift.duration),
            Unit::Week if interval == 1 => hours(start, unit, &[weekday(start)], start, shift.duration),
            _ => Err("hours in a part of its interval have no equal: write it as a calendar".to_owned()),
        };
    }
    let days = shift.by_day.iter().map(|d| WEEK.iter().position(|w| w == d)).collect::<Option<BTreeSet<usize>>>();
    let days: Vec<usize> = days.ok_or("by_day has a day that is not known")?.into_iter().collect();
    if shift.duration > DAY_S {
        return Err("days of the week with more than 24 hours each have no equal".to_owned());
    }
    let alone = groups(shift).len() <= 1;
    match unit {
        // All turns are the same people's, so only the hours count.
        Unit::Day | Unit::Week if alone && interval == 1 => hours(start, Unit::Week, &days, start, shift.duration),
        // The turn changes with the week, at the hour at which its first shift may begin.
        Unit::Week if interval == 1 => {
            let first = WEEK.iter().position(|w| *w == shift.week_start).unwrap_or(6);
            let back = (weekday(start) + 7 - first) % 7;
            let anchor = days_before(start, i64::try_from(back).unwrap_or(0)).ok_or("begins too early")?;
            hours(anchor, Unit::Week, &days, start, shift.duration)
        }
        _ => Err("by_day with this frequency and interval has no equal: write it as a calendar".to_owned()),
    }
}

fn hours(anchor: DateTime, unit: Unit, days: &[usize], start: DateTime, seconds: i64) -> Result<Shape, String> {
    let restrictions = windows(days, start.time(), seconds).ok_or("its hours have no equal")?;
    Ok(Shape { anchor, length: ShiftLength { count: 1, unit }, restrictions })
}

/// 0 is Monday.
fn weekday(of: DateTime) -> usize {
    usize::try_from(of.weekday().to_monday_zero_offset()).unwrap_or(0)
}

fn take_chain(draft: &mut Draft<'_>, id: &str, name: &str, steps: &[&Step]) {
    let mut out = Steps::default();
    let mut repeat = 0;
    if steps.iter().any(|step| step.important) {
        let text = "has steps that page by people's important rules; here those are the rules for critical pages, and the \
                    severity of the incident says which hold";
        draft.note(name, text);
    }
    for step in steps {
        let (targets, in_turns) = match step.kind.as_str() {
            "wait" => {
                if out.is_empty() {
                    draft.note(name, "waits before its first step; here the first step is paged at once");
                }
                out.wait(step.duration.saturating_mul(1_000));
                continue;
            }
            "notify_persons" => (draft.person_targets(step.persons_to_notify.iter()), false),
            "notify_person_next_each_time" => {
                (draft.person_targets(step.persons_to_notify_next_each_time.iter()), true)
            }
            "notify_on_call_from_schedule" => (draft.schedule_targets(&step.notify_on_call_from_schedule, 0), false),
            "notify_team_members" => (draft.team_targets(name, &step.team_to_notify), false),
            "repeat_escalation" => {
                repeat = REPEATS;
                continue;
            }
            "trigger_webhook" => {
                draft.note(name, "a webhook in a chain: give the receiver of the route `webhook_configs` instead");
                continue;
            }
            other => {
                draft.note(name, format!("the step `{other}` has no equal and is left out"));
                continue;
            }
        };
        if targets.is_empty() {
            draft.note(name, format!("the step `{}` names nobody who was taken over", step.kind));
        }
        out.page(targets, in_turns);
    }
    draft.policy(id, name, out, repeat);
}

/// What people have set for themselves is theirs to set again; the report says how.
fn own_rules(draft: &mut Draft<'_>, export: &Export) {
    let mut by_user: BTreeMap<(&str, bool), Vec<&PersonalRule>> = BTreeMap::new();
    for rule in &export.personal_rules {
        by_user.entry((rule.user_id.as_str(), rule.important)).or_default().push(rule);
    }
    for ((user, important), rules) in by_user {
        let Some(login) = draft.login(user).map(str::to_owned) else { continue };
        let (mut ways, mut after, mut told) = (Vec::new(), 0_i64, BTreeSet::new());
        let mut lost = BTreeSet::new();
        for rule in rules {
            let way = match rule.kind.as_str() {
                "wait" => {
                    after = after.saturating_add(rule.duration.max(0));
                    continue;
                }
                "notify_by_sms" => "sms",
                "notify_by_phone_call" => "voice",
                "notify_by_email" => "mail",
                "notify_by_telegram" => "telegram",
                "notify_by_slack" => "slack",
                "notify_by_msteams" => "teams",
                // There the phone's app; here a browser on it.
                "notify_by_mobile_app" | "notify_by_mobile_app_critical" => "webpush",
                other => {
                    lost.insert(other);
                    continue;
                }
            };
            if told.insert(way) {
                ways.push(if after == 0 { way.to_owned() } else { format!("{way}:{after}") });
            }
        }
        let which = if important { "critical" } else { "other" };
        if !lost.is_empty() {
            let lost: Vec<&str> = lost.into_iter().collect();
            let message = format!("own rules ({which}): {} has no equal and is left out", lost.join(", "));
            draft.note(login.clone(), message);
        }
        if !ways.is_empty() {
            let message = format!(
                "own rules are set by their owner: `tenfold oncall rules {login} --{which} {}`",
                ways.join(",")
            );
            draft.note(login, message);
        }
    }
}

fn take_integration(
    draft: &mut Draft<'_>,
    export: &Export,
    integration: &Integration,
) -> Vec<(Vec<String>, Option<String>)> {
    let name = if integration.name.is_empty() { &integration.id } else { &integration.name };
    let label = super::draft::plain(name);
    let mut last = integration.default_route.escalation_chain_id.clone();
    for route in export.routes.iter().filter(|r| r.integration_id == integration.id) {
        if route.is_the_last_route {
            last.clone_from(&route.escalation_chain_id);
            continue;
        }
        let to = draft.policy_name(&route.escalation_chain_id).unwrap_or("nobody").to_owned();
        let by = if route.routing_type == "jinja2" { "template" } else { "expression" };
        let message = format!(
            "the route to {to} looks at the payload by the {by} `{}`: write it as a matcher of labels",
            route.routing_regex
        );
        draft.note(name, message);
    }
    let labels = BTreeMap::from([("integration".to_owned(), label.clone())]);
    sources::sender(draft, sources::Sender { name, kind: &integration.kind, labels });
    if !last.is_empty() && draft.policy_name(&last).is_none() {
        let text = "its default route leads to a chain that was not taken over; no route is drafted, so the policies of the \
                    alerts' services are asked";
        draft.note(name, text);
        return Vec::new();
    }
    vec![(vec![format!("integration=\"{label}\"")], draft.policy_name(&last).map(str::to_owned))]
}

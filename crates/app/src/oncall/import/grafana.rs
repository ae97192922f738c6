//! Grafana OnCall's export: shifts of levels to layers, chains to policies, routes to a draft.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{Span as Length, civil::DateTime};
use tenfold_oncall::{Restriction, ShiftLength, Unit};
use tenfold_protocols::grafana_oncall::{Export, Integration, PersonalRule, Schedule, Shift, Step};
use tenfold_types::Timestamp;

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
    // What is made on the web page is in UTC there, in whatever zone the page shows it.
    let by_web = schedule.kind == "web";
    let is_other = |id: &String| shifts.get(id.as_str()).is_some_and(|shift| shift.time_zone.is_empty());
    if by_web && zone != "UTC" && schedule.shifts.iter().any(is_other) {
        let text =
            "its shifts are in UTC there and here: by the clock of their people they move by an hour when it changes";
        draft.note(name, text);
    }
    for id in &schedule.shifts {
        let Some(shift) = shifts.get(id.as_str()) else {
            draft.note(name, format!("the shift {id} is not in the export"));
            continue;
        };
        let zone = match shift.time_zone.as_str() {
            "" if by_web => "UTC",
            "" => zone,
            own => own,
        };
        let about = format!("{name}/{}", if shift.name.is_empty() { id } else { &shift.name });
        let Some((start, begun)) = clock(&shift.start).and_then(|s| Some((s, instant(zone, s)?))) else {
            draft.note(about, format!("`{}` in `{zone}` is not a clock time and a zone", shift.start));
            continue;
        };
        if shift.kind == "override" {
            covers.push(Cover {
                people: shift.users.clone(),
                start: begun,
                end: begun.plus_ms(shift.duration.saturating_mul(1_000)),
            });
            continue;
        }
        let begin =
            first_shift(shift, start, by_web).and_then(|first| Some((first, held_from(shift, first, zone, by_web)?)));
        let Some((first, from)) = begin else {
            draft.note(about, format!("`{}` is too far from our time; it is left out", shift.rotation_start));
            continue;
        };
        match shape(shift, first) {
            Ok(shape) => turns.push(Turns {
                name: if shift.name.is_empty() { id.clone() } else { shift.name.clone() },
                level: shift.level,
                zone: zone.to_owned(),
                groups: groups(shift),
                start: shape.anchor,
                shift_length: shape.length,
                restrictions: shape.restrictions,
                from: Some(from),
                until: until(shift, by_web).into_iter().chain(once_until(shift, begun)).min(),
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

/// Said in UTC there, whatever zone the shift is in. What ends on the web page is cut then; elsewhere that second still counts.
fn until(shift: &Shift, by_web: bool) -> Option<Timestamp> {
    let at = instant("UTC", clock(&shift.until)?)?;
    Some(if by_web { at } else { at.plus_ms(1_000) })
}

/// A rotation without a frequency is one shift, of its first group.
fn is_once(shift: &Shift) -> bool {
    shift.kind == "single_event" || (shift.kind == "rolling_users" && shift.frequency.is_empty())
}

fn once_until(shift: &Shift, begun: Timestamp) -> Option<Timestamp> {
    is_once(shift).then(|| begun.plus_ms(shift.duration.saturating_mul(1_000)))
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
    if is_once(shift) {
        groups.truncate(1);
    }
    groups
}

/// Clock time of the first group's first shift; none beyond the calendar. Turns may begin later than the shift itself: those of
/// hours and days are counted from the first shift then, those of weeks and months as if they had begun with it.
fn first_shift(shift: &Shift, start: DateTime, by_web: bool) -> Option<DateTime> {
    if shift.kind != "rolling_users" || is_once(shift) || shift.duration <= 0 {
        return Some(start);
    }
    let begins = clock(&shift.rotation_start).unwrap_or(start);
    // On the web page the shift that goes on then is the first, elsewhere the next that begins.
    let going_on_s = if by_web { shift.duration } else { 1 };
    let late_s = |at: DateTime| begins.duration_since(at).as_secs().saturating_sub(going_on_s);
    let step_s = match shift.frequency.as_str() {
        "hourly" => 3_600,
        "daily" => DAY_S,
        "weekly" if !shift.by_day.is_empty() => {
            return first_of_week(shift, start, &|at: DateTime| late_s(at) < 0);
        }
        _ => return Some(start),
    };
    let step_s = step_s * shift.interval.unwrap_or(1).clamp(1, 366);
    let skipped = (late_s(start).div_euclid(step_s) + 1).max(0);
    start.checked_add(Length::new().try_seconds(skipped.saturating_mul(step_s)).ok()?).ok()
}

/// A shift that begins on none of its days begins with the next week's first, or before it where it begins too early itself and
/// another day of its week `counts`.
fn first_of_week(shift: &Shift, start: DateTime, counts: &dyn Fn(DateTime) -> bool) -> Option<DateTime> {
    let chosen = |day: usize| WEEK.get(day).is_some_and(|name| shift.by_day.iter().any(|d| d == name));
    let into = into_week(shift, start);
    let mut left = (1..7 - into).filter_map(|n| days_before(start, -n));
    if chosen(weekday(start)) || (!counts(start) && left.any(|at| chosen(weekday(at)) && counts(at))) {
        return Some(start);
    }
    let order = |at: &DateTime| into_week(shift, *at);
    (1..=7).filter_map(|n| days_before(start, -n)).filter(|at| chosen(weekday(*at))).min_by_key(order).or(Some(start))
}

/// How many days of its week are over.
fn into_week(shift: &Shift, at: DateTime) -> i64 {
    let first = WEEK.iter().position(|w| *w == shift.week_start).unwrap_or(6);
    i64::try_from((weekday(at) + 7 - first) % 7).unwrap_or(0)
}

/// From when on somebody has it.
fn held_from(shift: &Shift, first: DateTime, zone: &str, by_web: bool) -> Option<Timestamp> {
    let from = instant(zone, first)?;
    let said = clock(&shift.rotation_start).filter(|_| shift.kind == "rolling_users");
    let said = said.and_then(|at| instant(if by_web { "UTC" } else { zone }, at));
    Some(said.map_or(from, |at| at.max(from)))
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
    if is_once(shift) {
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
            let anchor = days_before(start, into_week(shift, start)).ok_or("begins too early")?;
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::oncall::{ImportDraft, ImportSource, OncallImport, import_draft};

    /// A schedule in Berlin with these shifts of Ana, Raj and Mei.
    fn made(kind: &str, shifts: &[Value]) -> ImportDraft {
        let user = |id: &str, name: &str| json!({"id": id, "username": name});
        let mut listed = Vec::new();
        for (i, shift) in shifts.iter().enumerate() {
            let mut one = json!({"id": i.to_string(), "type": "rolling_users", "interval": 1,
                "rolling_users": [["U1"], ["U2"], ["U3"]]});
            one.as_object_mut().unwrap().extend(shift.as_object().unwrap().clone());
            listed.push(one);
        }
        let ids: Vec<String> = (0..shifts.len()).map(|i| i.to_string()).collect();
        let export = json!({
            "users": [user("U1", "ana"), user("U2", "raj"), user("U3", "mei")],
            "schedules": [{"id": "S", "name": "S", "type": kind, "time_zone": "Europe/Berlin", "shifts": ids}],
            "on_call_shifts": listed,
        });
        let (source, people) = (ImportSource::GrafanaOncall, BTreeMap::new());
        let asked = OncallImport { source, export, people, create_people: true, dry_run: true };
        import_draft(&asked, &[], Timestamp::parse_rfc3339("2026-10-01T00:00:00Z").unwrap()).unwrap()
    }

    fn check(made: &ImportDraft, cases: &[(&str, &str)]) {
        let [only] = made.schedules.as_slice() else { panic!("{:?}", made.report) };
        let schedule = tenfold_oncall::Schedule::of_plan("s", only.plan.clone(), Vec::new()).unwrap();
        for (at, person) in cases {
            let on_call = schedule.duty_at(Timestamp::parse_rfc3339(at).unwrap()).people;
            assert_eq!(on_call.join(","), *person, "{at}: {:?}", only.plan);
        }
    }

    #[test]
    fn what_is_made_on_the_web_page_is_in_utc() {
        let week =
            json!({"start": "2026-10-05T08:00:00", "duration": 604_800, "frequency": "weekly", "week_start": "MO"});
        check(
            &made("web", std::slice::from_ref(&week)),
            &[
                ("2026-10-12T07:59:00Z", "ana"),
                ("2026-10-12T08:01:00Z", "raj"),
                // The clocks in Berlin went back on October 25.
                ("2026-10-26T07:59:00Z", "mei"),
                ("2026-10-26T08:01:00Z", "ana"),
            ],
        );
        let told = made("web", std::slice::from_ref(&week)).report;
        assert!(told.iter().any(|note| note.message.contains("in UTC there and here")), "{told:?}");
        let mut own = week.clone();
        own["time_zone"] = json!("Europe/Berlin");
        for made in [made("web", &[own]), made("calendar", &[week])] {
            check(&made, &[("2026-10-12T05:59:00Z", "ana"), ("2026-10-12T06:01:00Z", "raj")]);
        }
    }

    /// Each change on the page ends the shift before, and begins another within its day.
    #[test]
    fn a_shift_that_was_changed_goes_over_to_the_next_without_a_second_of_both() {
        let day = |more: Value| {
            let mut one = json!({"start": "2026-10-01T08:00:00", "duration": 86_400, "frequency": "daily"});
            one.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            one
        };
        let before = day(json!({"rotation_start": "2026-10-01T08:00:00", "until": "2026-11-03T12:00:00"}));
        let after = day(json!({"start": "2026-11-03T08:00:00", "rotation_start": "2026-11-03T12:00:00",
            "start_rotation_from_user_index": 1}));
        check(
            &made("web", &[before, after]),
            &[
                ("2026-11-03T11:59:00Z", "ana"),
                ("2026-11-03T12:00:00Z", "raj"),
                ("2026-11-04T07:59:00Z", "raj"),
                ("2026-11-04T08:01:00Z", "mei"),
            ],
        );
    }

    #[test]
    fn turns_begin_with_the_first_shift_of_the_rotation() {
        let begins = |kind: &str, at: &str| {
            made(
                kind,
                &[json!({"start": "2026-09-01T20:00:00", "duration": 43_200, "frequency": "daily",
                    "time_zone": "UTC", "rotation_start": at})],
            )
        };
        let check_all = |kind: &str, at: &str, wanted: [&str; 4]| {
            // The shift of the night before goes on until eight.
            let at_times =
                ["2026-10-02T07:00:00Z", "2026-10-02T21:00:00Z", "2026-10-03T21:00:00Z", "2026-10-04T21:00:00Z"];
            let cases: Vec<(&str, &str)> = at_times.into_iter().zip(wanted).collect();
            check(&begins(kind, at), &cases);
        };
        check_all("web", "2026-10-02T06:00:00", ["ana", "raj", "mei", "ana"]);
        check_all("web", "2026-10-02T08:00:00", ["", "ana", "raj", "mei"]);
        check_all("calendar", "2026-10-02T06:00:00", ["", "ana", "raj", "mei"]);
        check_all("calendar", "2026-10-02T20:00:00", ["", "ana", "raj", "mei"]);
    }

    #[test]
    fn a_week_whose_days_are_over_is_nobodys() {
        let from = |start: &str, more: Value| {
            let mut one = json!({"start": start, "duration": 28_800, "frequency": "weekly", "week_start": "MO",
                "by_day": ["MO", "TU", "WE", "TH", "FR"], "time_zone": "UTC"});
            one.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            made("calendar", &[one])
        };
        let cases = [("2026-10-05T10:00:00Z", "ana"), ("2026-10-12T10:00:00Z", "raj"), ("2026-10-10T10:00:00Z", "")];
        check(&from("2026-10-03T09:00:00", json!({})), &cases);
        check(
            &from("2026-10-01T09:00:00", json!({})),
            &[("2026-10-02T10:00:00Z", "ana"), ("2026-10-05T10:00:00Z", "raj")],
        );
        // On a Tuesday, with Monday and Wednesday: its Wednesday is nobody's there.
        let days = json!({"by_day": ["WE", "MO"]});
        let cases = [("2026-10-07T10:00:00Z", ""), ("2026-10-12T10:00:00Z", "ana"), ("2026-10-19T10:00:00Z", "raj")];
        check(&from("2026-10-06T09:00:00", days.clone()), &cases);
        let mut later = days;
        later["rotation_start"] = json!("2026-10-06T12:00:00");
        let cases = [("2026-10-07T10:00:00Z", "ana"), ("2026-10-12T10:00:00Z", "raj")];
        check(&from("2026-10-06T09:00:00", later), &cases);
    }

    #[test]
    fn a_rotation_without_a_frequency_is_one_shift_of_its_first_group() {
        let once = json!({"start": "2026-10-05T08:00:00", "duration": 172_800, "frequency": null,
            "start_rotation_from_user_index": 2, "rotation_start": "2026-10-05T12:00:00"});
        check(
            &made("web", &[once]),
            &[("2026-10-05T11:59:00Z", ""), ("2026-10-07T07:59:00Z", "mei"), ("2026-10-07T08:01:00Z", "")],
        );
    }

    #[test]
    fn the_end_of_a_shift_is_in_utc_in_whatever_zone_it_is() {
        let day = json!({"start": "2026-10-05T08:00:00", "duration": 86_400, "frequency": "daily",
            "until": "2026-10-08T12:00:00"});
        let cases = [("2026-10-08T11:59:00Z", "ana"), ("2026-10-08T12:01:00Z", "")];
        check(&made("calendar", &[day]), &cases);
    }
}

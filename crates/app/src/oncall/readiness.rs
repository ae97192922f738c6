//! Readiness: everybody who may be paged within two weeks, and what stands between them and a page; once a week the room is
//! told. It is a list by name, of what to mend, and no figure of anybody.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::json;
use tenfold_oncall::{
    Account, Override, Policy, ReachFacts, Schedule, TargetKind, Teams, TestFacts, Unready, nobody_from, paged_members,
    unready,
};
use tenfold_store::{Tx, deploys, oncall as store};
use tenfold_types::{Actor, EventDraft, Fault, Severity, Source, Timestamp};

use super::{
    followed,
    policies::all_policies,
    schedules,
    schedules::minute,
    teams,
    unreached::{Leads, Question, Unreached},
};
use crate::{
    App,
    alerts::Channel,
    incidents::{Reach, last_test},
    people::Person,
    weekly::tell_once,
};

const DAY_MS: i64 = 86_400_000;
const HOUR_MS: i64 = 3_600_000;
/// How far ahead people are looked for.
const AHEAD_MS: i64 = 14 * DAY_MS;
/// A schedule that has nobody for so long behind these two weeks, and before their end, has come to its end.
const ENDED_MS: i64 = 28 * DAY_MS;
const CURSOR: &str = "readiness";
/// Troubles that the weekly line names, and that its event holds.
const TOLD_MAX: usize = 5;
const KEPT_MAX: usize = 100;
/// Hours of one person that are held against their quiet hours.
const HOURS_MAX: usize = 400;

/// What stands between somebody and a page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct UnreadyView {
    /// `no_account`, `disabled`, `no_way`, `channel_unset`, `always_quiet`, `never_tested`, `test_old` or `test_failed`.
    pub kind: String,
    /// As a sentence goes on after the name.
    pub text: String,
}

/// Somebody who may be paged within two weeks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ReadinessPerson {
    pub login: String,
    pub name: String,
    /// Schedules in which they have a shift.
    pub schedules: Vec<String>,
    /// Policies that name them, or a team that they are in.
    pub policies: Vec<String>,
    /// Channels by which a page goes, without their addresses.
    pub ways: Vec<String>,
    #[schema(value_type = Option<String>)]
    pub tested_at: Option<Timestamp>,
    /// Nothing at all stands between them and a page.
    pub ready: bool,
    /// A page would reach them by no way.
    pub unreachable: bool,
    /// The worst first.
    pub troubles: Vec<UnreadyView>,
}

/// A step of a policy that at some time has nobody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct EmptyStep {
    pub policy: String,
    /// From 1.
    pub step: usize,
    /// When it has nobody for the first time.
    #[schema(value_type = String)]
    pub from: Timestamp,
}

/// A team that policies page and that has nobody, or more people than a page to a team goes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct TeamTrouble {
    pub team: String,
    /// Policies that name it.
    pub policies: Vec<String>,
    /// As a sentence goes on after the team's name.
    pub text: String,
}

/// A schedule that comes to its end: somebody is on it, and then nobody is any more. So it is with shifts that were imported as
/// overrides, and with layers that have an end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ScheduleEnd {
    pub schedule: String,
    /// When its last shift ends.
    #[schema(value_type = String)]
    pub at: Timestamp,
}

/// What is to be mended of a calendar that a schedule follows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct CalendarTrouble {
    pub schedule: String,
    /// As a sentence goes on after the calendar: it cannot be read, or an event of it puts nobody on call.
    pub text: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ReadinessView {
    #[schema(value_type = String)]
    pub at: Timestamp,
    /// How far ahead shifts were looked at.
    #[schema(value_type = String)]
    pub until: Timestamp,
    /// A test page is old after so many days; 0 when nobody is asked for tests.
    pub test_days: u32,
    /// By name.
    pub people: Vec<ReadinessPerson>,
    pub steps: Vec<EmptyStep>,
    /// Teams that policies name and that have nobody or too many.
    pub teams: Vec<TeamTrouble>,
    /// Those whose last shift ends within two weeks, the first to end first.
    pub ends: Vec<ScheduleEnd>,
    /// Of calendars that are followed.
    pub calendars: Vec<CalendarTrouble>,
    /// Policies, receivers and services of which nobody would be paged.
    pub unreached: Vec<Unreached>,
}

/// What the store says, all of one instant.
struct Facts {
    schedules: BTreeMap<String, Schedule>,
    policies: Vec<Policy>,
    people: BTreeMap<String, Person>,
    teams: Teams,
    tests: BTreeMap<String, TestFacts>,
    calendars: Vec<CalendarTrouble>,
    /// Receivers and services.
    leads: Vec<Leads>,
}

/// Where somebody is named, and the stretches of their shifts.
#[derive(Default)]
struct Named {
    schedules: BTreeSet<String>,
    policies: BTreeSet<String>,
    shifts: Vec<(Timestamp, Timestamp)>,
}

impl App {
    /// Everybody who is on a schedule or a policy within two weeks, and what stands between them and a page.
    pub async fn readiness(&self) -> Result<ReadinessView, Fault> {
        self.readiness_with(self.receivers_leading()?).await
    }

    /// What would page nobody if these were the receivers.
    pub(crate) async fn unreached_by(&self, receivers: Vec<Leads>) -> Result<Vec<Unreached>, Fault> {
        Ok(self.readiness_with(receivers).await?.unreached)
    }

    async fn readiness_with(&self, receivers: Vec<Leads>) -> Result<ReadinessView, Fault> {
        let now = self.now();
        let people: BTreeMap<String, Person> =
            self.people().await?.into_iter().map(|person| (person.login.clone(), person)).collect();
        let facts = self.read(move |tx| facts(tx, people.clone(), receivers.clone(), now)).await?;
        let (reach, test_days) = (self.reach(), self.settings.alerts.readiness_test_days);
        // Two weeks of hourly handoffs take a moment; the loop of other requests shall not wait for it.
        tokio::task::spawn_blocking(move || view(&facts, &reach, test_days, now))
            .await
            .map_err(|e| Fault::internal(e.to_string()))
    }

    /// Tells of it once a week: several nodes may look. The loop calls it; tests do after moving the clock.
    pub async fn readiness_tick(&self) -> Result<(), Fault> {
        tell_once(self, CURSOR, async |_| Ok(draft(&self.readiness().await?).map(Into::into))).await
    }
}

fn facts(
    tx: &mut dyn Tx,
    people: BTreeMap<String, Person>,
    mut leads: Vec<Leads>,
    now: Timestamp,
) -> Result<Facts, Fault> {
    let schedules: BTreeMap<_, _> = schedules(tx, now)?.into_iter().map(|s| (s.name.clone(), s)).collect();
    let policies = all_policies(store::policies(tx)?)?;
    let teams = teams::of_people(people.values());
    let mut tests = BTreeMap::new();
    for login in may_be_named(&schedules, &policies, &teams).into_iter().filter(|login| people.contains_key(*login)) {
        if let Some(test) = last_test(tx, login)? {
            tests.insert(login.to_owned(), test);
        }
    }
    let calendars = calendar_troubles(tx, &schedules, now)?;
    for (name, body) in deploys::services(tx)? {
        let settings = serde_json::from_str::<serde_json::Value>(&body).unwrap_or_default();
        let policy = settings["policy"].as_str().map(str::to_owned);
        leads.push(Leads { kind: "service", name, policy, left: BTreeSet::new() });
    }
    Ok(Facts { schedules, policies, people, teams, tests, calendars, leads })
}

fn calendar_troubles(
    tx: &mut dyn Tx,
    schedules: &BTreeMap<String, Schedule>,
    now: Timestamp,
) -> Result<Vec<CalendarTrouble>, Fault> {
    let rows = followed::rows(tx)?;
    let mut all = Vec::new();
    for (name, of) in schedules {
        let troubles = followed::view(of, rows.get(name), now)?.map(|view| view.troubles()).unwrap_or_default();
        all.extend(troubles.into_iter().map(|text| CalendarTrouble { schedule: name.clone(), text }));
    }
    Ok(all)
}

/// Everybody whom a schedule or a policy names, with a shift or without.
fn may_be_named<'a>(
    schedules: &'a BTreeMap<String, Schedule>,
    policies: &'a [Policy],
    teams: &'a Teams,
) -> BTreeSet<&'a str> {
    let mut all = BTreeSet::new();
    for schedule in schedules.values() {
        all.extend(schedule.versions().iter().flat_map(|version| schedule.people_of(version)));
        all.extend(schedule.overrides.iter().flat_map(Override::people).map(String::as_str));
    }
    for target in policies.iter().flat_map(|policy| &policy.steps).flat_map(|step| &step.targets) {
        match target.kind {
            TargetKind::Person => {
                all.insert(target.name.as_str());
            }
            TargetKind::Team => all.extend(paged_members(teams, &target.name).iter().map(String::as_str)),
            // Its people are in already.
            TargetKind::Schedule => {}
        }
    }
    all
}

fn named(facts: &Facts, from: Timestamp, to: Timestamp) -> BTreeMap<String, Named> {
    let mut all: BTreeMap<String, Named> = BTreeMap::new();
    for (name, schedule) in &facts.schedules {
        for span in schedule.spans(from, to) {
            for login in span.people.iter().chain(&span.secondary) {
                let named = all.entry(login.clone()).or_default();
                named.schedules.insert(name.clone());
                named.shifts.push((span.since.max(from), span.until.min(to)));
            }
        }
    }
    for policy in &facts.policies {
        for target in policy.steps.iter().flat_map(|step| &step.targets) {
            let logins: &[String] = match target.kind {
                TargetKind::Person => std::slice::from_ref(&target.name),
                TargetKind::Team => paged_members(&facts.teams, &target.name),
                TargetKind::Schedule => &[],
            };
            for login in logins {
                let named = all.entry(login.clone()).or_default();
                named.policies.insert(policy.name.clone());
                // At any hour.
                named.shifts.push((from, from.plus_ms(DAY_MS)));
            }
        }
    }
    all
}

/// Whether quiet hours hold back some of the ways in every hour in which somebody may be paged.
fn always_quiet(person: &Person, ways: &[Channel], shifts: &[(Timestamp, Timestamp)]) -> bool {
    let Some(quiet) = &person.contact.quiet else { return false };
    let allowed = ways.iter().filter(|way| quiet.allows(way.as_str())).count();
    // Where quiet ways are all there are, or none is one, a page goes by all.
    if allowed == 0 || allowed == ways.len() {
        return false;
    }
    let mut hours = shifts
        .iter()
        .flat_map(|(since, until)| {
            let (since, until) = (*since, *until);
            std::iter::successors(Some(since), |at| Some(at.plus_ms(HOUR_MS))).take_while(move |at| *at < until)
        })
        .take(HOURS_MAX)
        .peekable();
    hours.peek().is_some() && hours.all(|at| quiet.covers(at, &person.timezone))
}

fn view(facts: &Facts, reach: &Reach, test_days: u32, now: Timestamp) -> ReadinessView {
    let until = now.plus_ms(AHEAD_MS);
    let can_act = |login: &str| facts.people.get(login).is_some_and(|person| !person.disabled);
    let people = named(facts, now, until)
        .into_iter()
        .map(|(login, named)| person(facts, reach, test_days, now, login, named))
        .collect::<Vec<_>>();
    let mut steps = Vec::new();
    for policy in &facts.policies {
        for (n, step) in policy.steps.iter().enumerate() {
            let (schedules, teams) = (&facts.schedules, &facts.teams);
            if let Some(from) = nobody_from(&step.targets, schedules, teams, &can_act, &can_act, now, until) {
                steps.push(EmptyStep { policy: policy.name.clone(), step: n + 1, from });
            }
        }
    }
    let mut ends: Vec<ScheduleEnd> = facts.schedules.values().filter_map(|of| end_of(of, now, until)).collect();
    ends.sort_by(|a, b| a.at.cmp(&b.at).then_with(|| a.schedule.cmp(&b.schedule)));
    let (teams, calendars) = (team_troubles(facts), facts.calendars.clone());
    let reached =
        |login: &str| facts.people.get(login).is_some_and(|person| !person.disabled && !reach.ways(person).is_empty());
    let (policies, schedules) = (facts.policies.as_slice(), &facts.schedules);
    let teams_now = &facts.teams;
    let question =
        Question { policies, schedules, teams: teams_now, there: &can_act, reached: &reached, from: now, to: until };
    let unreached = question.answer(&facts.leads);
    let mut view = ReadinessView { at: now, until, test_days, people, steps, teams, ends, calendars, unreached };
    view.people.sort_by(|a, b| a.name.cmp(&b.name).then_with(|| a.login.cmp(&b.login)));
    view
}

/// Teams that policies name and that cannot be paged as a whole.
fn team_troubles(facts: &Facts) -> Vec<TeamTrouble> {
    let mut named: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for policy in &facts.policies {
        for team in teams::named_by(policy) {
            named.entry(team).or_default().push(policy.name.clone());
        }
    }
    let trouble = |(team, policies): (&str, Vec<String>)| {
        let members = facts.teams.get(team).map_or(0, Vec::len);
        let text = if members == 0 { "has nobody in it".to_owned() } else { teams::too_large(members)? };
        Some(TeamTrouble { team: team.to_owned(), policies, text })
    };
    named.into_iter().filter_map(trouble).collect()
}

/// When a schedule has its last shift, if that is before `until` and long enough before the next one.
fn end_of(of: &Schedule, now: Timestamp, until: Timestamp) -> Option<ScheduleEnd> {
    let to = until.plus_ms(ENDED_MS);
    let spans = of.spans(now, to);
    // Of one with too many handoffs the end is not seen.
    let whole = spans.last().is_some_and(|span| span.until >= to);
    let last = spans.iter().rfind(|span| !span.people.is_empty())?;
    (whole && last.until < until).then(|| ScheduleEnd { schedule: of.name.clone(), at: last.until })
}

fn person(
    facts: &Facts,
    reach: &Reach,
    test_days: u32,
    now: Timestamp,
    login: String,
    named: Named,
) -> ReadinessPerson {
    let person = facts.people.get(&login);
    let ways = person.map(|person| reach.ways(person)).unwrap_or_default();
    let unset = person.map(|person| {
        let own = Channel::ALL.into_iter().filter(|c| !person.address(*c).is_empty() && !ways.contains(c));
        own.map(|channel| channel.as_str().to_owned()).collect()
    });
    let account = match person {
        None => Account::Missing,
        Some(person) if person.disabled => Account::Disabled,
        Some(_) => Account::Active,
    };
    let test = facts.tests.get(&login).cloned();
    let tested_at = test.as_ref().map(|test| test.at);
    let known = ReachFacts {
        account,
        ways: ways.iter().map(|way| way.as_str().to_owned()).collect(),
        unset: unset.unwrap_or_default(),
        always_quiet: person.is_some_and(|person| always_quiet(person, &ways, &named.shifts)),
        test,
    };
    let troubles = unready(&known, now, i64::from(test_days) * DAY_MS);
    ReadinessPerson {
        name: person.map_or_else(|| login.clone(), |person| person.name.clone()),
        login,
        schedules: named.schedules.into_iter().collect(),
        policies: named.policies.into_iter().collect(),
        ways: known.ways,
        tested_at,
        ready: troubles.is_empty(),
        unreachable: troubles.iter().any(Unready::unreachable),
        troubles: troubles.iter().map(|t| UnreadyView { kind: t.kind().to_owned(), text: t.text() }).collect(),
    }
}

impl ReadinessView {
    /// What is to be mended, one sentence each: who cannot be reached at all first.
    pub fn sentences(&self) -> Vec<String> {
        let (gone, rest): (Vec<_>, Vec<_>) =
            self.people.iter().filter(|person| !person.ready).partition(|person| person.unreachable);
        let said = |person: &ReadinessPerson| {
            let texts: Vec<&str> = person.troubles.iter().map(|trouble| trouble.text.as_str()).collect();
            format!("{} {}", person.name, texts.join(" and "))
        };
        let steps = self
            .steps
            .iter()
            .map(|step| format!("step {} of {} has nobody from {} on", step.step, step.policy, minute(step.from)));
        let teams = self
            .teams
            .iter()
            .map(|of| format!("the team {}, which {} pages, {}", of.team, of.policies.join(" and "), of.text));
        let end =
            |end: &ScheduleEnd| format!("the schedule {} has nobody any more from {} on", end.schedule, minute(end.at));
        let ends = self.ends.iter().map(end);
        let calendars = self.calendars.iter().map(|of| format!("the calendar of {} {}", of.schedule, of.text));
        let unreached = self.unreached.iter().map(Unreached::sentence);
        let of_steps = unreached.chain(calendars).chain(steps).chain(teams);
        gone.into_iter().map(said).chain(ends).chain(of_steps).chain(rest.into_iter().map(said)).collect()
    }
}

/// The week's event; none where nobody may be paged.
fn draft(view: &ReadinessView) -> Option<EventDraft> {
    let nobody = view.people.is_empty() && view.steps.is_empty() && view.teams.is_empty();
    if nobody && view.ends.is_empty() && view.calendars.is_empty() && view.unreached.is_empty() {
        return None;
    }
    let sentences = view.sentences();
    let (text, severity) = if sentences.is_empty() {
        let text = "everybody who may be paged in the next two weeks can be reached".to_owned();
        (text, Severity::Good)
    } else {
        let more = match sentences.len().saturating_sub(TOLD_MAX) {
            0 => String::new(),
            more => format!("; and {more} more"),
        };
        let said: Vec<&str> = sentences.iter().take(TOLD_MAX).map(String::as_str).collect();
        (format!("before the next two weeks of on-call: {}{more}", said.join("; ")), Severity::Warning)
    };
    let kept: Vec<&String> = sentences.iter().take(KEPT_MAX).collect();
    let data = json!({"people": view.people.len(), "troubles": sentences.len(), "sentences": kept});
    Some(EventDraft::new(Actor::system(), Source::System, "readiness.checked", text).severity(severity).data(data))
}

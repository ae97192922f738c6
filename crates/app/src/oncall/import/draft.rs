//! What an export becomes, piece by piece: people found or to be made, schedules of layers, policies, a draft of routes,
//! and a line for everything that has no equal.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{
    Span as Length, ToSpan,
    civil::{DateTime, Time},
    tz::TimeZone,
};
use serde_json::{Value, json};
use tenfold_oncall::{
    Basis, Calendar, Day, HandoffDigest, Layer, OverrideKind, Plan, REPEAT_MAX, Restriction, Rotation, Schedule,
    ShiftLength, TEAM_MEMBERS_MAX, Target, TargetKind,
};
use tenfold_types::Timestamp;

use super::steps::Steps;
use super::{ImportDraft, ImportedPerson, KnownPerson, OncallImportNote, PersonFound, ROTATIONS_MAX, ScheduleDraft};
use crate::oncall::{NewOverride, PolicyUpdate};
use crate::sources::AlertSourceSpec;

/// Schedules that one may become when several people are on call in it at once.
const TRACKS_MAX: usize = 5;
/// How far ahead layers are looked at, to see whether they hold at the same time.
const PROBE_MS: i64 = 400 * 86_400_000;
const NAME_BYTES_MAX: usize = 63;
const DAY_S: i64 = 86_400;
const OVERRIDE_MS_MAX: i64 = 90 * 86_400_000;

pub(super) const DAYS: [Day; 7] = [Day::Mon, Day::Tue, Day::Wed, Day::Thu, Day::Fri, Day::Sat, Day::Sun];

/// Turns that hold on hours of their own: of a group everybody at once, one group after the other.
pub(super) struct Turns {
    pub name: String,
    /// The higher one covers.
    pub level: i64,
    /// IANA name.
    pub zone: String,
    /// Ids in the source.
    pub groups: Vec<Vec<String>>,
    pub start: DateTime,
    pub shift_length: ShiftLength,
    pub restrictions: Vec<Restriction>,
    pub from: Option<Timestamp>,
    pub until: Option<Timestamp>,
}

/// A stretch in which these are on call, whatever the turns say.
pub(super) struct Cover {
    pub people: Vec<String>,
    pub start: Timestamp,
    pub end: Timestamp,
}

/// A team of the source.
struct SourceTeam {
    /// As it is called here.
    name: String,
    /// Ids in the source.
    members: BTreeSet<String>,
}

pub(super) struct Draft<'k> {
    known: &'k [KnownPerson],
    given: &'k BTreeMap<String, String>,
    create: bool,
    now: Timestamp,
    /// By id in the source.
    logins: BTreeMap<String, String>,
    teams: BTreeMap<String, SourceTeam>,
    names: BTreeMap<&'static str, BTreeSet<String>>,
    /// The schedules that a source's schedule became, by its id.
    schedules: BTreeMap<String, Vec<String>>,
    policies: BTreeMap<String, String>,
    rotations: usize,
    out: ImportDraft,
}

/// Letters, digits and single dashes, as names here have them.
pub(super) fn plain(text: &str) -> String {
    let low = text.to_lowercase();
    let kept: String = low.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' }).collect();
    let joined = kept.split('-').filter(|p| !p.is_empty()).collect::<Vec<_>>().join("-");
    let name: String = joined.trim_start_matches(['.', '-']).chars().take(NAME_BYTES_MAX - 6).collect();
    if name.is_empty() { "x".to_owned() } else { name }
}

/// Windows that begin at `from` on each of `days` (0 is Monday) and last `seconds`; none when that is longer than a week.
pub(super) fn windows(days: &[usize], from: Time, seconds: i64) -> Option<Vec<Restriction>> {
    if !(1..=7 * DAY_S).contains(&seconds) {
        return None;
    }
    let begins = i64::from(from.hour()) * 3_600 + i64::from(from.minute()) * 60 + i64::from(from.second());
    let mut out = Vec::new();
    let mut left = seconds;
    let mut shift = 0;
    while left > 0 {
        let length = left.min(DAY_S);
        let ends = (begins + length) % DAY_S;
        let part = |n: i64| i8::try_from(n).ok();
        let to = Time::new(part(ends / 3_600)?, part(ends / 60 % 60)?, part(ends % 60)?, 0).ok()?;
        let mut on: Vec<Day> = days.iter().map(|d| DAYS[(d + shift) % 7]).collect();
        on.sort_unstable();
        on.dedup();
        out.push(Restriction { days: if on.len() == 7 { Vec::new() } else { on }, from, to });
        left -= length;
        shift += 1;
    }
    Some(out)
}

pub(super) fn instant(zone: &str, civil: DateTime) -> Option<Timestamp> {
    let zoned = civil.to_zoned(TimeZone::get(zone).ok()?).ok()?;
    Some(Timestamp(zoned.timestamp().as_millisecond()))
}

pub(super) fn days_before(civil: DateTime, days: i64) -> Option<DateTime> {
    let back: Length = days.days();
    civil.checked_sub(back).ok()
}

impl<'k> Draft<'k> {
    pub(super) fn new(
        known: &'k [KnownPerson],
        given: &'k BTreeMap<String, String>,
        create: bool,
        now: Timestamp,
    ) -> Self {
        Self {
            known,
            given,
            create,
            now,
            logins: BTreeMap::new(),
            teams: BTreeMap::new(),
            names: BTreeMap::from([("person", known.iter().map(|k| k.login.clone()).collect())]),
            schedules: BTreeMap::new(),
            policies: BTreeMap::new(),
            rotations: 0,
            out: ImportDraft::default(),
        }
    }

    pub(super) fn note(&mut self, about: impl Into<String>, message: impl Into<String>) {
        self.out.report.push(OncallImportNote { about: about.into(), message: message.into() });
    }

    /// A name that nothing else of the kind has in this import.
    pub(super) fn free_name(&mut self, kind: &'static str, text: &str) -> String {
        let base = plain(text);
        let taken = self.names.entry(kind).or_default();
        let mut name = base.clone();
        let mut n = 2;
        while !taken.insert(name.clone()) {
            name = format!("{base}-{n}");
            n += 1;
        }
        name
    }

    /// A team, before its people: whoever gets an account is in it.
    pub(super) fn team<'i>(&mut self, id: &str, name: &str, members: impl Iterator<Item = &'i String>) {
        let name = self.free_name("team", name);
        self.teams.insert(id.to_owned(), SourceTeam { name, members: members.cloned().collect() });
    }

    /// Whoever is in a team when the page is due. Members whose profile does not name the team are paged by name as well, so
    /// that nobody is lost until it does; none when none of its people was taken over.
    pub(super) fn team_targets(&mut self, about: &str, id: &str) -> Vec<Target> {
        let Some(team) = self.teams.get(id) else { return Vec::new() };
        let name = team.name.clone();
        let logins: Vec<String> = team.members.iter().filter_map(|id| self.logins.get(id).cloned()).collect();
        if logins.is_empty() {
            return Vec::new();
        }
        if logins.len() > TEAM_MEMBERS_MAX {
            let message =
                format!("the team `{name}` has {} people, and a page goes to {TEAM_MEMBERS_MAX}", logins.len());
            self.note(about, message);
        }
        let known = self.known;
        let lacks = |login: &&String| known.iter().any(|k| k.login == **login && !k.teams.contains(&name));
        let mut targets = vec![Target::team(&name)];
        let outside: Vec<&String> = logins.iter().filter(lacks).collect();
        targets.extend(outside.iter().map(|login| Target::person(login)));
        if !outside.is_empty() {
            let who = outside.iter().map(|login| login.as_str()).collect::<Vec<_>>().join(", ");
            let message = format!(
                "pages the team `{name}`, and by name {who}, whose profiles do not name it: add it to their `teams`, then \
                 take them out of the policy"
            );
            self.note(about, message);
        }
        targets
    }

    /// Finds the account of somebody: as it was said, by mail address, by login.
    pub(super) fn person(&mut self, id: &str, username: &str, email: &str, name: &str, timezone: &str) {
        let (known, given) = (self.known, self.given);
        let said = [id, username, email].into_iter().find_map(|key| given.get(key));
        let local = username.split('@').next().unwrap_or_default();
        let by_mail = |k: &&KnownPerson| !email.is_empty() && k.email.eq_ignore_ascii_case(email);
        // The same login with another address is somebody else.
        let by_login = |k: &&KnownPerson| k.login == plain(local) && (k.email.is_empty() || email.is_empty());
        let active = || known.iter().filter(|k| !k.disabled);
        let found = match said {
            Some(login) => active().find(|k| k.login == *login),
            None => active().find(by_mail).or_else(|| active().find(by_login)),
        };
        // Who was shut out gets no second account because another product names them still.
        let shut = known.iter().filter(|k| k.disabled).find(|k| said.map_or_else(|| by_mail(k), |l| k.login == *l));
        let source = [username, email, id].into_iter().find(|t| !t.is_empty()).unwrap_or(id).to_owned();
        let (login, found) = match (found, shut, said) {
            (Some(known), ..) => (known.login.clone(), PersonFound::Known),
            (None, Some(shut), _) => {
                self.note(&source, format!("the account `{}` is disabled", shut.login));
                (shut.login.clone(), PersonFound::Missing)
            }
            (None, None, Some(login)) => {
                self.note(&source, format!("there is no account `{login}`"));
                (login.clone(), PersonFound::Missing)
            }
            (None, None, None) => {
                let login = self.free_name("person", local);
                (login, if self.create { PersonFound::Created } else { PersonFound::Missing })
            }
        };
        if found == PersonFound::Missing {
            let message = if shut.is_some() {
                "is left out; enable the account, or say which other one is theirs"
            } else {
                "has no account here and is left out; make one, or let the import make it"
            };
            self.note(&source, message);
        } else {
            self.logins.insert(id.to_owned(), login.clone());
        }
        let zone = if TimeZone::get(timezone).is_ok() { timezone } else { "UTC" };
        let teams =
            self.teams.values().filter(|team| team.members.contains(id)).map(|team| team.name.clone()).collect();
        self.out.people.push(ImportedPerson {
            source,
            login,
            name: if name.is_empty() { local.to_owned() } else { name.to_owned() },
            email: email.to_owned(),
            timezone: zone.to_owned(),
            teams,
            found,
        });
    }

    pub(super) fn login(&self, id: &str) -> Option<&str> {
        self.logins.get(id).map(String::as_str)
    }

    /// Logins of groups; who has no account is left out, and so is a group of whom nobody is left.
    fn groups(&mut self, about: &str, groups: &[Vec<String>]) -> Vec<Vec<String>> {
        let known: Vec<Vec<String>> =
            groups.iter().map(|g| g.iter().filter_map(|id| self.logins.get(id).cloned()).collect()).collect();
        if known.iter().any(Vec::is_empty) && !known.iter().all(Vec::is_empty) {
            self.note(
                about,
                "has turns of nobody who has an account; they are left out, so the turns of the others move",
            );
        }
        known.into_iter().filter(|g| !g.is_empty()).collect()
    }

    /// Makes schedules of a source's schedule. Where several people are on call at once, as many schedules as it takes;
    /// policies page them all.
    pub(super) fn schedule(&mut self, id: &str, name: &str, zone: &str, turns: Vec<Turns>, covers: &[Cover]) {
        if TimeZone::get(zone).is_err() {
            self.note(name, format!("`{zone}` is not a time zone; the schedule is left out"));
            return;
        }
        let mut rotations = Vec::new();
        for one in turns {
            let about = format!("{name}/{}", one.name);
            if one.until.is_some_and(|until| until <= self.now) {
                continue;
            }
            let groups = self.groups(&about, &one.groups);
            let width = groups.iter().map(Vec::len).max().unwrap_or(0);
            if width == 0 {
                self.note(about, "names nobody who has an account; it is left out");
                continue;
            }
            rotations.push((about, one, groups, width));
        }
        // Before any is computed: too many make no draft at all.
        self.rotations = rotations.iter().fold(self.rotations, |sum, (.., width)| sum.saturating_add(*width));
        if self.rotations > ROTATIONS_MAX {
            return;
        }
        let mut levels: BTreeMap<i64, Vec<Lane>> = BTreeMap::new();
        for (about, one, groups, width) in rotations {
            for place in 0..width {
                let layer = layer(&one, &groups, place, zone);
                match Lane::of(zone, layer, self.now) {
                    Ok(lane) => place_in(levels.entry(one.level).or_default(), lane),
                    Err(message) => self.note(about.clone(), format!("{message}; it is left out")),
                }
            }
        }
        let wanted = levels.values().map(Vec::len).max().unwrap_or(0);
        if wanted == 0 {
            self.note(name, "has no layer left; a schedule is made of one at least");
            return;
        }
        if wanted > TRACKS_MAX {
            self.note(name, format!("has {wanted} people on call at once; {TRACKS_MAX} are taken over"));
        }
        let tracks = (0..wanted.min(TRACKS_MAX)).map(|track| track_plan(zone, &levels, track));
        let plans = match tracks.collect::<Result<Vec<Plan>, String>>() {
            Ok(plans) => plans,
            Err(message) => {
                self.note(name, format!("{message}; it is left out"));
                return;
            }
        };
        let mut made = Vec::new();
        for (track, plan) in plans.into_iter().enumerate() {
            let called = if track == 0 { name.to_owned() } else { format!("{name}-{}", track + 1) };
            let called = self.free_name("schedule", &called);
            let overrides = self.overrides(name, covers, track);
            self.out.schedules.push(ScheduleDraft { name: called.clone(), plan, overrides });
            made.push(called);
        }
        if made.len() > 1 {
            let message =
                format!("several are on call at once: it becomes {}, and policies page all of them", made.join(", "));
            self.note(name, message);
        }
        self.schedules.insert(id.to_owned(), made);
    }

    /// Makes a schedule of one that is a calendar at an address: it is followed.
    pub(super) fn followed(&mut self, id: &str, name: &str, zone: &str, url: &str) {
        let plan = Plan { calendar: Some(Calendar::at(url)), ..plan_of(zone, Vec::new()) };
        if let Err(message) = plan.check() {
            self.note(name, format!("{message}; it is left out"));
            return;
        }
        let called = self.free_name("schedule", name);
        self.out.schedules.push(ScheduleDraft { name: called.clone(), plan, overrides: Vec::new() });
        self.schedules.insert(id.to_owned(), vec![called]);
    }

    fn overrides(&mut self, about: &str, covers: &[Cover], track: usize) -> Vec<NewOverride> {
        let (mut out, now) = (Vec::new(), self.now);
        for cover in covers.iter().filter(|c| c.end > now && c.end > c.start) {
            let people: Vec<String> = cover.people.iter().filter_map(|id| self.logins.get(id).cloned()).collect();
            let Some(first) = people.first() else {
                if track == 0 {
                    let text = if cover.people.is_empty() {
                        "is of nobody whom the lists name: make it by hand"
                    } else {
                        "names nobody who has an account"
                    };
                    self.note(about, format!("the override from {} {text}", cover.start));
                }
                continue;
            };
            if cover.end.since_ms(cover.start) > OVERRIDE_MS_MAX {
                if track == 0 {
                    self.note(
                        about,
                        format!("the override from {} is longer than 90 days; it is left out", cover.start),
                    );
                }
                continue;
            }
            out.push(NewOverride::cover(first, None, cover.start, cover.end));
            for more in people.iter().skip(1).filter(|_| track == 0) {
                let too = NewOverride::cover(more, None, cover.start, cover.end);
                out.push(NewOverride { kind: OverrideKind::Add, ..too });
            }
        }
        out
    }

    /// Targets of a source's schedule, with the place behind the person on call; none when it was left out.
    pub(super) fn schedule_targets(&self, id: &str, offset: u32) -> Vec<Target> {
        let names = self.schedules.get(id).map(Vec::as_slice).unwrap_or_default();
        names.iter().map(|name| Target { kind: TargetKind::Schedule, name: name.clone(), offset }).collect()
    }

    pub(super) fn person_targets<'i>(&self, ids: impl Iterator<Item = &'i String>) -> Vec<Target> {
        ids.filter_map(|id| self.login(id)).map(Target::person).collect()
    }

    pub(super) fn policy(&mut self, id: &str, name: &str, steps: Steps, repeat: i64) {
        let repeat = u32::try_from(repeat.max(0)).unwrap_or(REPEAT_MAX);
        if repeat > REPEAT_MAX {
            self.note(name, format!("repeats {repeat} times, a policy at most {REPEAT_MAX}"));
        }
        let (steps, lost) = steps.finished();
        for message in lost {
            self.note(name, message);
        }
        if steps.is_empty() {
            self.note(name, "has no step that pages anybody here; no policy is made of it");
            return;
        }
        let called = self.free_name("policy", name);
        let update = PolicyUpdate { steps, repeat: repeat.min(REPEAT_MAX), deployer_first: None, ack_timeout_ms: None };
        if let Err(message) = update.clone().named(&called).check() {
            self.note(name, format!("{message}; no policy is made of it"));
            return;
        }
        self.policies.insert(id.to_owned(), called.clone());
        self.out.policies.push((called, update));
    }

    pub(super) fn source(&mut self, name: String, spec: AlertSourceSpec) {
        self.out.sources.push((name, spec));
    }

    pub(super) fn policy_name(&self, id: &str) -> Option<&str> {
        self.policies.get(id).map(String::as_str)
    }

    /// Rotations of all its schedules, each as often as people are on call in it at once.
    pub(super) const fn rotations(&self) -> usize {
        self.rotations
    }

    /// A policy that pages one schedule and nobody else, for routes that lead to a schedule.
    pub(super) fn policy_of_schedule(&mut self, id: &str) -> Option<String> {
        let key = format!("schedule:{id}");
        if !self.policies.contains_key(&key) {
            let targets = self.schedule_targets(id, 0);
            let name = targets.first()?.name.clone();
            let mut steps = Steps::default();
            steps.page(targets, false);
            self.policy(&key, &name, steps, 0);
        }
        self.policies.get(&key).cloned()
    }

    /// The whole, with the routes as a draft: each matcher list leads to a policy, or nowhere.
    pub(super) fn finished(mut self, routes: &[(Vec<String>, Option<String>)]) -> ImportDraft {
        if !routes.is_empty() {
            let policies: BTreeSet<&String> = routes.iter().filter_map(|(_, policy)| policy.as_ref()).collect();
            // A policy may be called like one of our own receivers: each name is there once.
            let own = |name: &str| {
                let further = (2..).map(|n| format!("{name}-{n}"));
                std::iter::once(name.to_owned()).chain(further).find(|n| !policies.contains(n)).unwrap_or_default()
            };
            let (on_call, nobody) = (own("on-call"), own("nobody"));
            let receiver = |policy: Option<&str>| policy.unwrap_or(&nobody).to_owned();
            let tree: Vec<Value> = routes
                .iter()
                .map(|(matchers, policy)| json!({"matchers": matchers, "receiver": receiver(policy.as_deref())}))
                .collect();
            let mut receivers = vec![json!({"name": on_call, "quiet": false})];
            receivers.extend(policies.iter().map(|p| json!({"name": p, "policy": p, "pages": "all"})));
            if routes.iter().any(|(_, policy)| policy.is_none()) {
                receivers.push(json!({"name": nobody, "quiet": true}));
            }
            // Alertmanager's own times would keep a page waiting for minutes that went out at once there.
            let route = json!({"receiver": on_call, "group_wait": "0s", "group_interval": "1s", "routes": tree});
            self.out.routing = Some(json!({"route": route, "receivers": receivers}));
        }
        self.out
    }
}

fn plan_of(zone: &str, layers: Vec<Layer>) -> Plan {
    Plan {
        timezone: zone.to_owned(),
        layers,
        calendar: None,
        fallback: Vec::new(),
        shadows: Vec::new(),
        min_rest_hours: None,
        enforce_rest: false,
        holidays: Vec::new(),
        handoff: HandoffDigest::default(),
    }
}

/// The plan of one of those who are on call at once: of each level the layers of its lane, or of the last there is.
fn track_plan(zone: &str, levels: &BTreeMap<i64, Vec<Lane>>, track: usize) -> Result<Plan, String> {
    let lanes = levels.values().filter_map(|lanes| lanes.get(track).or_else(|| lanes.last()));
    let layers: Vec<Layer> = lanes.flat_map(|lane| lane.layers.iter().cloned()).collect();
    let plan = plan_of(zone, with_own_names(layers));
    plan.check()?;
    Ok(plan)
}

/// Layers that never hold at the same time, and when they do.
struct Lane {
    layers: Vec<Layer>,
    held: Vec<(Timestamp, Timestamp)>,
}

impl Lane {
    fn of(zone: &str, layer: Layer, now: Timestamp) -> Result<Self, String> {
        let plan = plan_of(zone, vec![layer.clone()]);
        let spans = Schedule::of_plan("probe", plan, Vec::new())?.spans(now, now.plus_ms(PROBE_MS));
        let mut held: Vec<(Timestamp, Timestamp)> = Vec::new();
        for span in spans.iter().filter(|s| !s.people.is_empty()) {
            match held.last_mut().filter(|last| last.1 == span.since) {
                Some(last) => last.1 = span.until,
                None => held.push((span.since, span.until)),
            }
        }
        Ok(Self { layers: vec![layer], held })
    }

    fn meets(&self, other: &Self) -> bool {
        let (mut a, mut b) = (self.held.iter().peekable(), other.held.iter().peekable());
        while let (Some(one), Some(two)) = (a.peek(), b.peek()) {
            if one.0 < two.1 && two.0 < one.1 {
                return true;
            }
            if one.1 <= two.1 {
                a.next()
            } else {
                b.next()
            };
        }
        false
    }
}

fn place_in(lanes: &mut Vec<Lane>, lane: Lane) {
    match lanes.iter_mut().find(|l| !l.meets(&lane)) {
        Some(free) => {
            free.layers.extend(lane.layers);
            free.held.extend(lane.held);
            free.held.sort_unstable();
        }
        None => lanes.push(lane),
    }
}

/// One place of each group: the last of a smaller group fills the places it has not.
fn layer(turns: &Turns, groups: &[Vec<String>], place: usize, zone: &str) -> Layer {
    let people = groups.iter().filter_map(|g| g.get(place).or_else(|| g.last()).cloned()).collect();
    let name: String = turns.name.chars().filter(|c| !c.is_control()).take(40).collect();
    let name = if name.trim().is_empty() { "layer".to_owned() } else { name };
    Layer {
        name: if place == 0 { name } else { format!("{name} {}", place + 1) },
        timezone: Some(turns.zone.clone()).filter(|own| own != zone),
        rotation: Rotation { people, start: turns.start, shift_length: turns.shift_length, basis: Basis::Wall },
        restrictions: turns.restrictions.clone(),
        start: turns.from,
        end: turns.until,
    }
}

fn with_own_names(mut layers: Vec<Layer>) -> Vec<Layer> {
    let mut taken = BTreeSet::new();
    for layer in &mut layers {
        let base = layer.name.clone();
        let mut n = 2;
        while !taken.insert(layer.name.clone()) {
            layer.name = format!("{base} ({n})");
            n += 1;
        }
    }
    layers
}

//! What becomes of an alert past its notifications: the incident that it opens, joins or opens again, and whom that pages,
//! when, by which ways and why. The escalation itself is played forward with nobody acknowledging; nothing is written.

use serde::Serialize;
use tenfold_oncall::{DELAY_MS_MIN, Effect, Escalation, Input, Progress, step};
use tenfold_store::{Tx, incidents as store};
use tenfold_types::{Fault, Labels, Timestamp};
use utoipa::ToSchema;

use super::{
    escalate::Channels,
    keys::{About, other_policy},
    muted::LOOK_AGAIN_MS,
    open::{escalation_next, ring_anew},
    reasons::{Known, PageReason, of_step},
    reopen::{ended_lately, resumed},
    stored::{AskedNext, Incident, State},
    views::PlannedView,
};
use crate::{App, alerts::Ahead};

/// Steps that are listed; a policy has at most ten in eleven rounds, and one for the deployer.
const STEPS_MAX: usize = 150;

/// An alert of which somebody is told.
pub(crate) struct Told {
    pub service: Option<String>,
    pub environment: Option<String>,
    pub group: String,
    pub rule: String,
    pub labels: Labels,
    /// The labels of its group, where somebody put a routing.
    pub grouped: Option<Labels>,
    pub critical: bool,
    /// That the receiver names.
    pub policy: Option<String>,
    pub at: Timestamp,
    /// The incident that it has already.
    pub has: Option<i64>,
}

impl Told {
    fn about(&self) -> About<'_> {
        About {
            service: self.service.as_deref(),
            environment: self.environment.as_deref(),
            group: &self.group,
            rule: &self.rule,
            labels: &self.labels,
            grouped: self.grouped.as_ref(),
            policy: self.policy.as_deref(),
        }
    }
}

/// The incident of an alert, and its pages if nobody acknowledges.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ForetoldIncident {
    /// `opened`, `joined`, `reopened`, or `has` when the alert has it already.
    pub verdict: String,
    /// None while it is not open yet.
    pub number: Option<i64>,
    #[schema(value_type = String)]
    pub at: Timestamp,
    pub because: String,
    /// None: nobody is paged.
    pub policy: Option<String>,
    /// What is still to come within a day.
    pub steps: Vec<ForetoldStep>,
    /// When no step is left, within a day.
    #[schema(value_type = Option<String>)]
    pub exhausted_at: Option<Timestamp>,
}

/// A step of a policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ForetoldStep {
    /// From 1.
    pub step: usize,
    /// From 1.
    pub round: u32,
    #[schema(value_type = String)]
    pub at: Timestamp,
    /// It is due then, and waits while all alerts of the incident are muted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub held_since: Option<Timestamp>,
    /// Nobody when it is empty: the step is passed over without waiting.
    pub pages: Vec<ForetoldPage>,
}

/// A page of one person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ForetoldPage {
    pub person: String,
    pub person_name: String,
    /// To somebody who learns; nobody waits for them.
    pub copy: bool,
    /// In the order in which they ring; none when the person cannot be reached.
    pub ways: Vec<PlannedView>,
    pub reasons: Vec<PageReason>,
}

/// Where the escalation begins.
struct Beginning {
    verdict: &'static str,
    incident: Option<Incident>,
    escalation: Option<Escalation>,
    because: String,
}

fn begin(tx: &mut dyn Tx, told: &Told, window_ms: i64) -> Result<Beginning, Fault> {
    let (service, environment) = (told.service.as_deref(), told.environment.as_deref());
    let key = told.about().key(tx)?;
    let existing = match told.has {
        Some(number) => Some(("has", Incident::get(tx, number)?)),
        None => match store::open_by_key(tx, &key)? {
            Some(open) => Some(("joined", Incident::read(&open)?)),
            None => None,
        },
    };
    let rises = |incident: &Incident| told.has.is_none() && told.critical && incident.body.severity != "critical";
    if let Some((verdict, mut incident)) = existing {
        if rises(&incident) {
            ring_anew(tx, &mut incident, told.at)?;
        }
        let for_a_time = incident.body.escalation.as_ref().is_some_and(|e| e.expires_at().is_some());
        let held = match &incident.body.acknowledged_by_name {
            Some(name) if for_a_time => format!("; {name} has it for a time, nobody is paged before that is over"),
            Some(name) => format!("; {name} has it, nobody is paged"),
            None => String::new(),
        };
        let because = format!("incident {} is {}{held}", incident.number, incident.state.as_str());
        let escalation = incident.body.escalation.clone();
        return Ok(Beginning { verdict, incident: Some(incident), escalation, because });
    }
    let Some(mut incident) = ended_lately(tx, &key, told.at, window_ms)? else {
        let escalation = escalation_next(tx, told.policy.as_deref(), service, environment, told.at)?;
        let because = format!("no incident of {key} is open");
        return Ok(Beginning { verdict: "opened", incident: None, escalation, because });
    };
    let ended_at = incident.body.resolved_at.unwrap_or(told.at);
    let round = store::pages(tx, incident.number)?.iter().map(|p| p.round).max().unwrap_or(-1) + 1;
    let before = incident.body.before_end.clone();
    if let (Some(escalation), Some(before)) = (&mut incident.body.escalation, before) {
        escalation.progress = resumed(before, u32::try_from(round).unwrap_or(0), ended_at, told.at);
    }
    if rises(&incident) && incident.body.acknowledged_at.is_none() {
        incident.state = State::Open;
        ring_anew(tx, &mut incident, told.at)?;
    }
    let escalation = incident.body.escalation.clone();
    let held = match &incident.body.acknowledged_by_name {
        Some(name) => format!("; {name} has it, nobody is paged anew"),
        None => "; pages that its end had cancelled go out too".to_owned(),
    };
    let because = format!("incident {} ended less than {} s before{held}", incident.number, window_ms / 1_000);
    Ok(Beginning { verdict: "reopened", incident: Some(incident), escalation, because })
}

/// By what ways people are paged.
#[derive(Clone, Copy)]
struct Ways<'a> {
    channels: &'a Channels,
    critical: bool,
}

/// The steps of an escalation from its beginning to its end, if nobody acknowledges and everybody can be reached.
pub(crate) fn played(
    tx: &mut dyn Tx,
    escalation: Escalation,
    from: Timestamp,
) -> Result<(Vec<ForetoldStep>, Option<Timestamp>), Fault> {
    play(tx, escalation, None, None, None, (from, Timestamp(i64::MAX)))
}

/// The steps still to come of an escalation that nobody acknowledges, and when it has run out. Without ways everybody is taken
/// as reached. `asked` is who asked for the next one last.
fn play(
    tx: &mut dyn Tx,
    mut escalation: Escalation,
    asked: Option<&AskedNext>,
    by: Option<Ways<'_>>,
    mutes: Option<&Ahead>,
    (from, until): (Timestamp, Timestamp),
) -> Result<(Vec<ForetoldStep>, Option<Timestamp>), Fault> {
    let (mut known, mut steps, mut exhausted_at, mut at) = (Known::default(), Vec::new(), None, from);
    let mut held_since = None;
    while let Some(due) = escalation.next_at() {
        at = due.max(at);
        if at > until || steps.len() >= STEPS_MAX {
            break;
        }
        if mutes.is_some_and(|mutes| mutes.covers(at)) {
            held_since.get_or_insert(at);
            if let Some(next_at) = escalation.next_at_mut() {
                *next_at = at.plus_ms(LOOK_AGAIN_MS);
            }
            continue;
        }
        let held_since = held_since.take();
        let behind = known.behind(tx, &escalation, at)?;
        let asked_by = asked.filter(|asked| asked.is_next(&escalation)).map(|asked| asked.by.as_str());
        let (next, effects) = step(escalation, &Input::Tick, at, &mut |target| {
            behind.get(target).map(|b| b.answer.clone()).unwrap_or_default()
        });
        escalation = next;
        let mut unreachable = false;
        for effect in effects {
            let (step, round, people, shadows) = match effect {
                Effect::Page { step, round, people, shadows } => (step, round, people, shadows),
                Effect::Nobody { step, round } => (step, round, Vec::new(), Vec::new()),
                Effect::Exhausted => {
                    exhausted_at = Some(at);
                    continue;
                }
                Effect::Unacknowledged => continue,
            };
            let mut pages = Vec::new();
            for (login, copy) in people.iter().map(|p| (p, false)).chain(shadows.iter().map(|p| (p, true))) {
                let mut reasons = of_step(&escalation, (step, round), login, &behind, asked_by);
                let Some(person) = known.person(tx, login)? else { continue };
                let (ways, why) = by.map(|by| by.channels.for_page(person, by.critical, at)).unwrap_or_default();
                reasons.extend(why);
                let ways = ways
                    .into_iter()
                    .map(|way| PlannedView { channel: way.channel.as_str().to_owned(), at: at.plus_ms(way.after_ms) });
                pages.push(ForetoldPage {
                    person: login.clone(),
                    person_name: person.name.clone(),
                    copy,
                    ways: ways.collect(),
                    reasons,
                });
            }
            unreachable =
                by.is_some() && !people.is_empty() && pages.iter().filter(|p| !p.copy).all(|p| p.ways.is_empty());
            steps.push(ForetoldStep { step: step + 1, round: round + 1, at, held_since, pages });
        }
        // When nobody of a step can be reached, the next one does not wait.
        if let Progress::Waiting { next_at, .. } = &mut escalation.progress
            && unreachable
        {
            *next_at = (*next_at).min(at.plus_ms(DELAY_MS_MIN));
        }
    }
    Ok((steps, exhausted_at))
}

impl App {
    /// The policy that a receiver names, where that is another than the service's own; else empty.
    pub(crate) async fn policy_apart(&self, policy: Option<String>, service: Option<String>) -> Result<String, Fault> {
        if policy.is_none() {
            return Ok(String::new());
        }
        let policy = self.read(move |tx| other_policy(tx, policy.as_deref(), service.as_deref())).await?;
        Ok(policy.unwrap_or_default())
    }

    /// The incident of an alert that is told of, with its pages until an instant.
    pub(crate) async fn incident_foretell(&self, told: Told, until: Timestamp) -> Result<ForetoldIncident, Fault> {
        let (channels, window_ms) = (Channels::of(self), self.settings.alerts.reopen_window_ms);
        self.read(move |tx| {
            let mut beginning = begin(tx, &told, window_ms)?;
            let policy = beginning.escalation.as_ref().map(|e| e.policy.name.clone());
            if policy.is_none() {
                beginning.because.push_str("; there is no escalation policy for it, nobody is paged");
            }
            let before = beginning.incident.as_ref().is_some_and(|i| i.body.severity == "critical");
            let (steps, exhausted_at) = match beginning.escalation.take() {
                Some(escalation) => {
                    let by = Ways { channels: &channels, critical: told.critical || before };
                    let number = beginning.incident.as_ref().map(|i| i.number);
                    let mutes = Ahead::of(tx, told.at, number, &told.labels)?;
                    let asked = beginning.incident.as_ref().and_then(|i| i.body.asked.as_ref());
                    play(tx, escalation, asked, Some(by), mutes.as_ref(), (told.at, until))?
                }
                None => (Vec::new(), None),
            };
            Ok(ForetoldIncident {
                verdict: beginning.verdict.to_owned(),
                number: beginning.incident.map(|i| i.number),
                at: told.at,
                because: beginning.because,
                policy,
                steps,
                exhausted_at,
            })
        })
        .await
    }
}

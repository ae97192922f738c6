//! Whether an alert would page one person, and if it would not, why not. Read off what is foretold by the code that decides:
//! nothing is reckoned a second time here.

use serde::{Deserialize, Serialize};
use tenfold_alerting::pipeline::{Stage, Verdict};
use tenfold_oncall::{PolicyStep, TargetKind};
use tenfold_types::{Fault, Timestamp};
use utoipa::ToSchema;

use super::why::{Asked, Foretold, Question};
use crate::App;
use crate::incidents::{ForetoldIncident, ForetoldPage, ForetoldStep, PageReason, PlannedView};
use crate::oncall::{OnCallView, ScheduleView};
use crate::people::Person;

/// Steps and schedules that are named.
const NAMED_MAX: usize = 12;

/// A question about an alert and a person.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WhyNotAsk {
    /// Labels, or one text: `service=photos severity=critical`.
    #[schema(value_type = Object)]
    pub labels: Asked,
    /// When; now when nothing is said.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub at: Option<Timestamp>,
    /// The person's login.
    #[serde(rename = "for")]
    pub person: String,
}

/// Whether an alert would page a person within a day, if nobody acknowledges before.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct WhyNotView {
    pub person: String,
    pub person_name: String,
    /// The person would be paged.
    pub pages: bool,
    /// When first.
    #[schema(value_type = Option<String>)]
    pub at: Option<Timestamp>,
    /// By which ways, in the order in which they ring.
    pub ways: Vec<PlannedView>,
    /// What decides it, in one sentence.
    pub because: String,
    /// The reasons one by one, in the order in which they were asked for.
    pub reasons: Vec<PageReason>,
    /// What becomes of the alert for everybody.
    pub foretold: Foretold,
}

/// An answer before it has the person in it.
struct Judged {
    page: Option<(Timestamp, Vec<PlannedView>)>,
    because: String,
    reasons: Vec<PageReason>,
}

impl Judged {
    fn no(because: String, reasons: Vec<PageReason>) -> Self {
        Self { page: None, because, reasons }
    }
}

fn reason(stage: &str, because: impl Into<String>) -> PageReason {
    PageReason { stage: stage.to_owned(), because: because.into() }
}

impl App {
    /// Whether an alert with these labels would page a person, and why not.
    pub async fn alert_why_not(&self, ask: WhyNotAsk) -> Result<WhyNotView, Fault> {
        let Some(person) = self.person(&ask.person).await? else {
            return Err(Fault::not_found(format!("there is no person `{:.100}`", ask.person))
                .advice("give the login, as the Settings page lists it"));
        };
        let foretold = self.alert_simulate(Question { labels: ask.labels, at: ask.at }).await?;
        let Judged { page, because, reasons } = match judge(&person, &foretold) {
            Some(judged) => judged,
            None => self.passed_over(&person, &foretold).await?,
        };
        let (at, ways) = page.map_or((None, Vec::new()), |(at, ways)| (Some(at), ways));
        let (login, name) = (person.login, person.name);
        Ok(WhyNotView { person: login, person_name: name, pages: at.is_some(), at, ways, because, reasons, foretold })
    }

    /// People are paged, and this person is not among them: whom the steps page, and how far the person is from the
    /// schedules that they ask.
    async fn passed_over(&self, person: &Person, foretold: &Foretold) -> Result<Judged, Fault> {
        let policies = self.policies().await?;
        let schedules = self.schedules().await?;
        let mut reasons = Vec::new();
        let mut because = None;
        for incident in incidents(foretold) {
            if incident.steps.is_empty() {
                because.get_or_insert_with(|| incident.because.clone());
            }
            reasons.push(reason("incident", format!("incident {}: {}", incident.verdict, incident.because)));
            reasons.extend(incident.steps.iter().take(NAMED_MAX).map(|step| reason("step", step_words(step))));
            let policy = policies.iter().find(|p| Some(&p.name) == incident.policy.as_ref());
            let targets = policy.into_iter().flat_map(|p| &p.steps).flat_map(|step| &step.targets);
            let mut named: Vec<&str> =
                targets.filter(|t| t.kind == TargetKind::Schedule).map(|t| t.name.as_str()).collect();
            named.sort_unstable();
            named.dedup();
            let asked = schedules.iter().filter(|schedule| named.contains(&schedule.name.as_str())).take(NAMED_MAX);
            reasons.extend(asked.map(|schedule| reason("schedule", duty_words(person, schedule, foretold.at))));
            reasons.extend(policy.into_iter().flat_map(|p| team_words(person, &p.steps)).take(NAMED_MAX));
            if let Some(policy) = &incident.policy {
                because.get_or_insert_with(|| format!("no step of {policy} comes to {} within a day", person.name));
            }
        }
        let because = because.unwrap_or_else(|| "there is no escalation policy for it, nobody is paged".to_owned());
        Ok(Judged::no(because, reasons))
    }
}

/// Whether the person is in the teams that the steps page, each said once.
fn team_words(person: &Person, steps: &[PolicyStep]) -> Vec<PageReason> {
    let targets = steps.iter().flat_map(|step| &step.targets);
    let mut teams: Vec<&String> = targets.filter(|t| t.kind == TargetKind::Team).map(|t| &t.name).collect();
    teams.sort_unstable();
    teams.dedup();
    let said = |team: &String| {
        let word = if person.teams.contains(team) { "is" } else { "is not" };
        reason("team", format!("{} {word} in the team {team}", person.name))
    };
    teams.into_iter().map(said).collect()
}

fn incidents(foretold: &Foretold) -> impl Iterator<Item = &ForetoldIncident> {
    foretold.incident.iter().chain(&foretold.further)
}

/// What is known without asking who is on call; nothing when people are paged and this person is not among them.
fn judge(person: &Person, foretold: &Foretold) -> Option<Judged> {
    let name = &person.name;
    if person.disabled {
        let because = format!("the account of {name} is closed, and nobody is paged by it");
        return Some(Judged::no(because.clone(), vec![reason("person", because)]));
    }
    if !foretold.pages {
        let because = "it pages nobody: it is not critical, no label page=true is on it, and its receivers page for \
                       critical alerts alone";
        let because = because.to_owned();
        return Some(Judged::no(because.clone(), vec![reason("severity", because)]));
    }
    if foretold.incident.is_none() {
        return Some(quiet(foretold));
    }
    let steps = incidents(foretold).flat_map(|incident| &incident.steps);
    let mine: Vec<(&ForetoldStep, &ForetoldPage)> = steps
        .flat_map(|step| step.pages.iter().map(move |page| (step, page)))
        .filter(|(_, page)| page.person == person.login)
        .collect();
    let reached = mine.iter().filter(|(_, page)| !page.ways.is_empty()).min_by_key(|(step, _)| step.at);
    if let Some((step, page)) = reached {
        let first = page.ways.iter().map(|way| way.at).min().unwrap_or(step.at);
        let copy = if page.copy { ", in copy" } else { "" };
        let ways: Vec<&str> = page.ways.iter().map(|way| way.channel.as_str()).collect();
        let because = format!(
            "step {}, round {} pages {name}{copy} by {} if nobody acknowledges before",
            step.step,
            step.round,
            ways.join(", ")
        );
        let page = (first, page.ways.clone());
        return Some(Judged { page: Some(page), because, reasons: mine_reasons(&mine, step) });
    }
    let (step, _) = mine.first()?;
    let because = format!(
        "step {} asks for {name}, who has no way: no channel that is set up here has an address of theirs",
        step.step
    );
    Some(Judged::no(because, mine_reasons(&mine, step)))
}

/// The reasons of the page of a step.
fn mine_reasons(mine: &[(&ForetoldStep, &ForetoldPage)], step: &ForetoldStep) -> Vec<PageReason> {
    let page = mine.iter().find(|(of, _)| of.step == step.step && of.round == step.round && of.at == step.at);
    page.map(|(_, page)| page.reasons.clone()).unwrap_or_default()
}

/// Nobody is told of it: what keeps each of its routes quiet.
fn quiet(foretold: &Foretold) -> Judged {
    let mut reasons = Vec::new();
    for route in &foretold.explanation.routes {
        let told = matches!(route.verdict, Verdict::Send | Verdict::Wait | Verdict::Pass);
        match route.decisions.last() {
            Some(last) if !told => {
                reasons.push(reason(last.stage.as_str(), format!("{}: {}", route.receiver, last.because)));
            }
            _ => reasons.push(reason(Stage::Notify.as_str(), format!("{} pages nobody: it is quiet", route.receiver))),
        }
    }
    let because = match reasons.first() {
        Some(first) => format!("nobody is paged for it within a day; {}", first.because),
        None => "nobody is paged for it within a day".to_owned(),
    };
    Judged::no(because, reasons)
}

fn step_words(step: &ForetoldStep) -> String {
    let names: Vec<&str> = step.pages.iter().map(|page| page.person_name.as_str()).collect();
    let names = if names.is_empty() { "nobody".to_owned() } else { names.join(", ") };
    format!("step {}, round {} at {} pages {names}", step.step, step.round, step.at)
}

/// How far somebody is from a schedule at an instant.
fn duty_words(person: &Person, schedule: &ScheduleView, at: Timestamp) -> String {
    let (name, of) = (&person.name, &schedule.name);
    let is_on = |span: &&OnCallView| span.person.iter().chain(&span.also).any(|one| one.login == person.login);
    match schedule.next.iter().filter(|span| span.until > at).find(is_on) {
        Some(span) if span.since <= at => format!("{name} is on call in {of} then, and no step asks for it"),
        Some(span) => format!("{name} is not on call in {of} then; the next shift begins at {}", span.since),
        None if schedule.people.contains(&person.login) => {
            format!("{name} is not on call in {of} within two weeks")
        }
        None => format!("{name} is not in {of}"),
    }
}

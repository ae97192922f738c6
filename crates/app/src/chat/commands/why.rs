//! why, why-not, simulate, checks: for what reason people are told, and how what is looked at stands.

use serde_json::Value;
use tenfold_alerting::pipeline::{Decision, Stage, Verdict};
use tenfold_types::{Fault, Timestamp};

use super::Reply;
use crate::alerts::{Asked, Foretold, Question, WhyNotAsk, WhyNotView, WhyView};
use crate::checks::{CHECKS_MAX, CheckAsk, CheckList, CheckView};
use crate::incidents::{ForetoldIncident, PageWhyView};
use crate::{App, chat::Command};

/// Lines of one answer; the pages have all of it.
const LINES_MAX: usize = 12;

pub(super) async fn execute(app: &App, command: Command) -> Result<Reply, Fault> {
    let (mut lines, page) = match command {
        Command::Why { of } => why(app, &of).await?,
        Command::WhyNot { labels, person: Some(person) } => {
            let ask = WhyNotAsk { labels: Asked::Text(labels), at: None, person };
            (why_not(&app.alert_why_not(ask).await?), "/alerts".to_owned())
        }
        Command::WhyNot { labels, person: None } => {
            let told = app.alert_simulate(Question { labels: Asked::Text(labels), at: None }).await?;
            (foretold(&told), "/alerts".to_owned())
        }
        Command::Simulate { labels } => {
            let told = app.alert_simulate(Question { labels: Asked::Text(labels), at: None }).await?;
            let mut lines = foretold(&told);
            match &told.incident {
                Some(incident) => {
                    let all = std::iter::once(incident).chain(&told.further);
                    lines.extend(all.flat_map(|incident| paged(incident, told.at)));
                }
                None if told.pages => lines.push("nobody is paged for it within a day".to_owned()),
                None => {}
            }
            (lines, "/alerts".to_owned())
        }
        Command::Checks { name: Some(name) } => {
            let check = app.check(&name)?;
            let mut lines = vec![check_line(&check)];
            lines.extend(check.long_output.lines().map(|l| format!("  {l}")));
            (lines, format!("/alerts/checks/{name}"))
        }
        Command::Checks { name: None } => {
            let ask = CheckAsk { state: Some("problem".to_owned()), limit: Some(CHECKS_MAX), ..CheckAsk::default() };
            let CheckList { items, counts, .. } = app.checks_page(&ask)?;
            let all = counts.ok + counts.warning + counts.critical + counts.unknown;
            let sum = format!("{} of {all} checks are ok", counts.ok);
            (std::iter::once(sum).chain(items.iter().map(check_line)).collect(), "/alerts/checks".to_owned())
        }
        other => return Err(Fault::internal(format!("`{}` asks for no reason", other.verb()))),
    };
    if lines.len() > LINES_MAX {
        let more = lines.len() - LINES_MAX + 1;
        lines.truncate(LINES_MAX - 1);
        lines.push(format!("and {more} more: {}", app.settings.link(&page)));
    }
    Ok(Reply::lines(lines))
}

/// Of an incident's alerts by its number, or of one alert by its fingerprint.
async fn why(app: &App, of: &str) -> Result<(Vec<String>, String), Fault> {
    let number = of.trim_start_matches('#').parse::<i64>().ok().filter(|_| of.len() < 16);
    // A fingerprint is hexadecimal digits alone; the id of a page has hyphens.
    if number.is_none() && of.contains('-') {
        let why = app.page_why(of).await?;
        let page =
            if why.page.incident > 0 { format!("/incidents/{}", why.page.incident) } else { "/on-call/me".to_owned() };
        return Ok((page_lines(&why), page));
    }
    let Some(number) = number else {
        return Ok((told(&app.alert_why(of).await?), format!("/alerts/{of}")));
    };
    let mut lines = Vec::new();
    // Each alert takes two lines or more: no answer has as many as this.
    let alerts = app.alerts_of_incident(number, LINES_MAX).await?;
    for alert in alerts.items {
        lines.push(format!("{} {}: {}", alert.rule, alert.state, alert.summary));
        lines.extend(told(&app.alert_why(&alert.fingerprint).await?).into_iter().map(|l| format!("  {l}")));
    }
    let by_hand = lines.is_empty();
    if alerts.more > 0 {
        lines.push(format!("{} alerts more", alerts.more));
    }
    for page in app.pages(Some(number)).await? {
        lines.extend(page_lines(&app.page_why(&page.id).await?));
    }
    if by_hand {
        lines.push(format!("incident {number} was opened by a person, no alert belongs to it"));
    }
    Ok((lines, format!("/incidents/{number}")))
}

/// Why one person was paged.
fn page_lines(why: &PageWhyView) -> Vec<String> {
    let page = &why.page;
    let step = if page.handed { "handed over".to_owned() } else { format!("step {}", page.step) };
    let mut lines = vec![format!("{}, {step}, round {}: {}", page.person_name, page.round, page.state)];
    lines.extend(why.reasons.iter().map(|r| format!("  {}: {}", r.stage, r.because)));
    lines
}

/// The incident and its pages, in minutes and seconds after the alert.
fn paged(incident: &ForetoldIncident, from: Timestamp) -> Vec<String> {
    let after = |at: Timestamp| {
        let seconds = at.since_ms(from).max(0) / 1_000;
        format!("{}:{:02}", seconds / 60, seconds % 60)
    };
    let number = incident.number.map(|n| format!(" {n}")).unwrap_or_default();
    let mut lines = vec![format!("incident{number} {}: {}", incident.verdict, incident.because)];
    for step in &incident.steps {
        let who: Vec<String> = step
            .pages
            .iter()
            .map(|page| {
                let ways: Vec<String> = page.ways.iter().map(|w| format!("{} {}", w.channel, after(w.at))).collect();
                let ways = if ways.is_empty() { "no way".to_owned() } else { ways.join(", ") };
                format!("{} by {ways}", page.person_name)
            })
            .collect();
        let who = if who.is_empty() { "nobody".to_owned() } else { who.join("; ") };
        let held =
            step.held_since.map_or_else(String::new, |due| format!(" (due at {}, muted until then)", after(due)));
        lines.push(format!("{} step {}, round {}{held}: {who}", after(step.at), step.step, step.round));
    }
    if let Some(at) = incident.exhausted_at {
        lines.push(format!("{} no step is left", after(at)));
    }
    lines
}

fn told(why: &WhyView) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(newest) = why.decided.first() {
        lines.push(newest.text.clone());
        let decisions = newest.decisions.as_array().into_iter().flatten();
        let text = |d: &Value, key: &str| d[key].as_str().unwrap_or_default().to_owned();
        lines.extend(decisions.map(|d| format!("{} {}: {}", text(d, "stage"), text(d, "verdict"), text(d, "because"))));
    } else if let Some(now) = &why.now {
        lines.extend(foretold(now));
    } else {
        lines.push("nothing was decided of it yet".to_owned());
    }
    lines
}

fn foretold(told: &Foretold) -> Vec<String> {
    let mut lines = Vec::new();
    let routes = &told.explanation.routes;
    let flaps = routes.iter().flat_map(|route| &route.decisions).find(|d| d.stage == Stage::Flap);
    lines.extend(flaps.map(|flap| flap.because.clone()));
    for route in routes {
        let said = match route.verdict {
            Verdict::Send | Verdict::Pass => "is told",
            Verdict::Wait => "is told later",
            Verdict::Suppress => "is not told",
            Verdict::Nothing => "has nothing new to be told",
        };
        let last = route.decisions.last().map(reason).unwrap_or_default();
        lines.push(format!("{} ({}) {said}{last}", route.receiver, route.route));
    }
    if !told.pages {
        let because =
            "it is not critical, no label page=true is on it, and its receivers page for critical alerts alone";
        lines.push(format!("it does not page: {because}"));
    }
    lines
}

/// Whether one person would be paged.
fn why_not(view: &WhyNotView) -> Vec<String> {
    let verdict = if view.pages { "would be paged" } else { "would not be paged" };
    let head = format!("{} {verdict}: {}", view.person_name, view.because);
    std::iter::once(head).chain(view.reasons.iter().map(|r| format!("{}: {}", r.stage, r.because))).collect()
}

fn reason(decision: &Decision) -> String {
    format!(": {}, {}", decision.stage.as_str(), decision.because)
}

fn check_line(check: &CheckView) -> String {
    let sure = if check.hard { String::new() } else { format!(" ({} of {})", check.attempt, check.spec.attempts) };
    let marks = [(check.flapping, " flapping"), (check.unreachable, " unreachable"), (check.stale, " stale")];
    let marks: String = marks.into_iter().filter(|(holds, _)| *holds).map(|(_, word)| word).collect();
    format!("{}{sure}{marks} {}: {}", check.status, check.name, check.output)
}

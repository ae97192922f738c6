//! noise: which rules cost most, drafts of quieter ones, one of them put into force and taken back.

use tenfold_types::Fault;

use super::Reply;
use crate::chat::grammar::NoiseWord;
use crate::noise::{DraftAsk, DraftPut, DraftView, NoiseAsk, RuleNoiseView, TeamNoiseView};
use crate::{App, Caller};

/// Incidents that one line names.
const MISSED_MAX: usize = 5;

pub(super) async fn execute(app: &App, who: &Caller, word: NoiseWord) -> Result<Reply, Fault> {
    match word {
        NoiseWord::Report => report(app).await,
        NoiseWord::Draft { rule } => drafts(app, who, rule).await,
        NoiseWord::Put { rule, change } => {
            let (rule, severity) = apart(&rule);
            let put = DraftPut { rule, severity, change, ..DraftPut::default() };
            let done = app.noise_draft_put(who, put, None).await?;
            let back = format!("`noise undo {}` takes it back", done.file);
            Ok(Reply::lines(
                std::iter::once(done.text).chain(done.diff.lines().map(str::to_owned)).chain([back]).collect(),
            ))
        }
        NoiseWord::Undo { file } => {
            app.rules_undo(who, &file, None).await?;
            Ok(Reply::line(format!("the rule file {file} is what it was before")))
        }
    }
}

/// `RULE/warning` is the rule of this name that warns, where there are several.
fn apart(text: &str) -> (String, Option<String>) {
    match text.rsplit_once('/') {
        Some((rule, severity @ ("critical" | "warning" | "info"))) => (rule.to_owned(), Some(severity.to_owned())),
        _ => (text.to_owned(), None),
    }
}

async fn drafts(app: &App, who: &Caller, rule: String) -> Result<Reply, Fault> {
    let (rule, severity) = apart(&rule);
    let drafts = app.noise_drafts(who, DraftAsk { rule, severity, ..DraftAsk::default() }).await?;
    let line = |draft: &DraftView| {
        let missed: Vec<String> = draft.missed.iter().take(MISSED_MAX).map(ToString::to_string).collect();
        let missed = if missed.is_empty() {
            String::new()
        } else {
            format!(", would have missed incident {}", missed.join(", "))
        };
        format!("fires {} times{missed}", draft.fires)
    };
    let mut lines = vec![format!("{} as it is: {}", drafts.rule, line(&drafts.now))];
    let numbered = drafts.drafts.iter().enumerate();
    lines.extend(numbered.map(|(i, draft)| format!("{} {}: {}", i + 1, draft.change, line(draft))));
    Ok(Reply::lines(lines))
}

/// The costliest rules of each team.
async fn report(app: &App) -> Result<Reply, Fault> {
    const RULES_MAX: usize = 3;
    let noise = app.noise(NoiseAsk::default()).await?;
    if noise.teams.is_empty() {
        return Ok(Reply::line("no rule paged anybody in the last week"));
    }
    let team = |t: &TeamNoiseView| {
        let rule = |r: &RuleNoiseView| {
            let (pages, wakes, none, all) = (r.pages, r.wakes, r.no_action, r.incidents);
            let alone = t.rules.iter().filter(|other| other.rule == r.rule).count() == 1;
            let name = if alone { r.rule.clone() } else { format!("{}/{}", r.rule, r.severity) };
            format!("{name} {pages} pages, {wakes} by night, {none} of {all} without action")
        };
        let name = if t.team.is_empty() { "owned by nobody" } else { &t.team };
        format!("{name}: {}", t.rules.iter().take(RULES_MAX).map(rule).collect::<Vec<_>>().join("; "))
    };
    let link = app.settings.link("/alerts/noise");
    Ok(Reply::lines(noise.teams.iter().map(team).chain([link]).collect()))
}

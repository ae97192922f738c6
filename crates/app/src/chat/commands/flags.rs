//! Flags: list, show, on, off, rollout, preview, create, set, archive.

use tenfold_flags::explain::{Explanation, Part};
use tenfold_flags::{Choice, Ramp, Share};
use tenfold_types::Fault;

use super::Reply;
use crate::chat::Command;
use crate::chat::grammar::FlagFields;
use crate::flags::{FlagPreviewQuestion, FlagRevert, FlagRevertTo, FlagUpdate, FlagView};
use crate::{App, Caller};

pub(super) async fn execute(app: &App, who: &Caller, command: Command) -> Result<Reply, Fault> {
    match command {
        Command::FlagList { environment } => {
            app.flag_environment(&environment).await?;
            let mut lines: Vec<String> = app
                .flag_list(Some(&environment))
                .items
                .iter()
                .filter(|f| !f.archived)
                .map(|f| line(f, &environment))
                .collect();
            if lines.is_empty() {
                lines.push("there are no flags yet; make one on the Flags page or with tenfold apply".into());
            }
            Ok(Reply::lines(lines))
        }
        Command::FlagSwitch { key, enabled, environment, reason } => {
            let flag = app.flag_switch_because(who, &key, &environment, enabled, reason.as_deref()).await?;
            Ok(Reply::line(line(&flag, &environment)))
        }
        Command::FlagRollout { key, percent, environment } => {
            let flag = app.flag_rollout(who, &key, &environment, percent).await?;
            Ok(Reply::line(line(&flag, &environment)))
        }
        Command::FlagShow { key } => Ok(Reply::lines(shown(app, &app.flag(&key)?))),
        Command::FlagCreate { key, fields } => {
            let flag = app.flag_put_over(who, &key, update(fields), Some(0)).await?;
            Ok(Reply::line(format!("{} is made; it is off everywhere", flag.key)))
        }
        Command::FlagSet { key, fields } => {
            app.flag(&key)?;
            Ok(Reply::lines(shown(app, &app.flag_put(who, &key, update(fields)).await?)))
        }
        Command::FlagArchive { key } => {
            let flag = app.flag_archive(who, &key).await?;
            Ok(Reply::line(format!("{} is archived; clients no longer know it", flag.key)))
        }
        Command::FlagPreview { key, environment, context } => {
            let question = FlagPreviewQuestion { environment, context, ..FlagPreviewQuestion::default() };
            let told = app.flag_preview(&key, question).await?;
            Ok(Reply::lines(told.saved.map(|saved| explained(&key, &saved)).unwrap_or_default()))
        }
        Command::FlagDrill { key, for_ms: Some(for_ms), environment } => {
            let flag = app.flag_drill(who, &key, &environment, for_ms).await?;
            let ends = flag.environments.get(&environment).and_then(|e| e.drill.as_ref()).map(|d| d.ends_at);
            let until = ends.map(|at| format!(" until {at}")).unwrap_or_default();
            Ok(Reply::line(format!("DRILL: {key} is off in {environment}{until}")))
        }
        Command::FlagDrill { key, for_ms: None, environment } => {
            let flag = app.flag_drill_cancel(who, &key, &environment).await?;
            Ok(Reply::line(line(&flag, &environment)))
        }
        Command::FlagMine => {
            let word = |choice| match choice {
                Some(Choice::In) => "you are in",
                Some(Choice::Out) => "you are out",
                None => "as everybody",
            };
            let mine = app.flag_mine(who).await?.items;
            let mut lines: Vec<String> = mine.iter().map(|f| format!("{}: {}", f.key, word(f.choice))).collect();
            if lines.is_empty() {
                lines.push("nothing is offered to you".into());
            }
            Ok(Reply::lines(lines))
        }
        Command::FlagChoose { key, choice } => {
            app.flag_choose(who, &key, choice).await?;
            let word = match choice {
                Some(Choice::In) => "you are in",
                Some(Choice::Out) => "you are out",
                None => "you get what everybody gets",
            };
            Ok(Reply::line(format!("{key}: {word}")))
        }
        Command::FlagContingency { environment } => {
            app.flag_environment(&environment).await?;
            let flags = app.flag_contingency().items;
            let mut lines: Vec<String> = flags.iter().map(|f| contingency_line(f, &environment)).collect();
            if lines.is_empty() {
                lines.push("there is no contingency switch yet".into());
            }
            Ok(Reply::lines(lines))
        }
        Command::FlagHistory { key } => {
            let items = app.flag_history(&key, None, HISTORY_LINES).await?.items;
            Ok(Reply::lines(items.iter().map(|i| format!("{} {} {}", i.seq, i.at, i.text)).collect()))
        }
        Command::FlagRevert { key, seq } => {
            app.flag_revert(who, &key, &FlagRevert { seq, to: FlagRevertTo::Before }).await?;
            Ok(Reply::line(format!("{key} is as it was before event {seq}")))
        }
        Command::FlagStale => {
            let stale = app.flag_stale_list().await?;
            let mut lines: Vec<String> = stale.items.iter().map(|f| format!("{}: {}", f.key, f.text)).collect();
            lines.extend(stale.ownerless.iter().map(|f| format!("{}: {}", f.key, f.text)));
            if lines.is_empty() {
                lines.push("no flag looks finished".into());
            }
            Ok(Reply::lines(lines))
        }
        other => Err(Fault::internal(format!("`{}` is no word of switching", other.verb()))),
    }
}

/// Events that a chat room is shown.
const HISTORY_LINES: usize = 8;

fn contingency_line(flag: &FlagView, environment: &str) -> String {
    let (rank, impact) = match &flag.contingency {
        Some(c) => (c.rank.to_string(), c.impact.as_str()),
        None => ("-".into(), ""),
    };
    let tested = flag.drilled.as_ref().map_or_else(|| "never tested".to_owned(), |d| format!("tested {}", d.at));
    format!("{rank} {}, {tested}; {impact}", line(flag, environment))
}

fn line(flag: &FlagView, environment: &str) -> String {
    let state = flag.environments.get(environment).filter(|e| e.enabled);
    let state = match state.map(|e| e.rollout_percent) {
        None => "off".to_owned(),
        Some(None) => "on by its strategies".to_owned(),
        Some(Some(Share::EVERYBODY)) => "on".to_owned(),
        Some(Some(percent)) => format!("on for {percent} %"),
    };
    let line = format!("{} is {state} in {environment}", flag.key);
    match flag.requested {
        None => line,
        Some(number) => format!("{line}; {}", super::flag_changes::waits(number)),
    }
}

fn update(fields: FlagFields) -> FlagUpdate {
    let FlagFields { project, description, kind, owner, value_type, expires_at, lifetime_days } = fields;
    FlagUpdate { project, description, kind, owner, expires_at, value_type, lifetime_days, ..FlagUpdate::default() }
}

/// The flag in a few lines: what it is, then its state in each environment, with the ramp that is live there.
fn shown(app: &App, flag: &FlagView) -> Vec<String> {
    let optional = |label: &str, text: &str| if text.is_empty() { String::new() } else { format!("{label}{text}") };
    let head = [
        format!("{}: {} flag of type {}", flag.key, flag.kind.unleash_name(), flag.value_type.name()),
        optional(", owner ", &flag.owner),
        optional(", expires ", &flag.expires_at.map(|at| at.to_string()).unwrap_or_default()),
        optional("; ", &flag.description),
    ]
    .concat();
    let states = flag.environments.iter().flat_map(|(environment, state)| {
        let live = state.ramp.as_ref().is_some_and(Ramp::is_live);
        let ramp = live.then(|| super::flag_changes::ramp_line(app, flag, environment));
        std::iter::once(line(flag, environment)).chain(ramp)
    });
    std::iter::once(head).chain(states).collect()
}

/// The answer, what decided, and every condition with a mark for whether it is met.
fn explained(key: &str, told: &Explanation) -> Vec<String> {
    let state = if told.answer.enabled { "on" } else { "off" };
    let mut lines = vec![format!("{key} is {state} ({}): {}", told.answer.value, told.because)];
    let part = |p: &Part| {
        let found = p.found.as_ref().map(|found| format!(" (it is `{found}`)")).unwrap_or_default();
        format!("  {} {}{found}", if p.holds { "yes" } else { "no " }, p.text)
    };
    lines.extend(told.parents.iter().map(part));
    for (i, s) in told.strategies.iter().enumerate() {
        lines.push(format!("strategy {} {}: {}", i + 1, s.name, if s.holds { "matches" } else { "does not match" }));
        lines.extend(s.constraints.iter().chain(&s.segments).chain(std::iter::once(&s.rule)).map(part));
    }
    lines
}

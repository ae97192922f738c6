//! Shipping: deploy, rollback, rollforward, promote, hold, abort, cancel, retry, next, lock, unlock.

use tenfold_types::Fault;

use super::{Reply, deploys_seen};
use crate::chat::Command;
use crate::chat::announce::span;
use crate::chat::grammar::{DeployWord, LockHow, TrainAsk};
use crate::deploys::views::{Deploy, DeployApproval, DeployFilter, Lock, LockKind, NewDeploy, NewLock, TrainView};
use crate::deploys::{Answer, RollForward};
use crate::{App, Caller};

/// Commits that `next` lists.
const COMMITS_SHOWN: usize = 8;

pub(super) async fn execute(app: &App, who: &Caller, command: Command) -> Result<Reply, Fault> {
    match command {
        Command::Deploy { service, reference, environment, override_reason } => {
            let (of, to) = (service.clone(), environment.clone());
            let new = NewDeploy { service, environment, reference, reason: None, override_reason };
            let asked = app.deploy_ask(who, new).await?;
            Ok(match (&asked.deploy, &asked.waiting) {
                (Some(deploy), _) => started(app, deploy),
                (None, Some(entry)) => Reply::line(super::queue::joined(&of, &to, entry)),
                (None, None) => return Err(Fault::internal("the deploy neither began nor waits")),
            })
        }
        Command::DeployDryRun { service, reference, environment } => {
            next(app, who, &service, &environment, reference.as_deref(), true).await
        }
        Command::Deploys { service, environment, state, by } => {
            let filter = DeployFilter { service, environment, state, actor: by, ..DeployFilter::default() };
            deploys_seen::list(app, filter).await
        }
        Command::DeployShow { number } => deploys_seen::show(app, number).await,
        Command::DeployLog { number, host } => deploys_seen::log(app, number, host.as_deref()).await,
        Command::DeployMove { number, word, reason } => Box::pin(moved(app, who, number, word, reason)).await,
        Command::RollForward { service, reference, environment, reason, again } => {
            let asked = RollForward { environment, reference, reason, again };
            Ok(started(app, &Box::pin(app.deploy_forward(who, &service, asked)).await?))
        }
        Command::RollbackService { service, environment, reason } => {
            Ok(started(app, &app.service_rollback(who, &service, &environment, reason).await?))
        }
        Command::RollbackDeploy { number, reason } => {
            Ok(started(app, &Box::pin(app.deploy_rollback(who, number, reason)).await?))
        }
        Command::Approve { number } => {
            let deploy = app.deploy_approve(who, number).await?;
            let approval = deploy.approval.as_ref();
            let (given, count) = approval.map_or((0, 0), |a| (a.given.len(), a.count));
            Ok(Reply::line(format!(
                "deploy {number} has {given} of {count} approvals and is {}",
                deploy.state.replace('_', " ")
            )))
        }
        Command::Train { service, environment, word, reason } => {
            Box::pin(train(app, who, &service, &environment, word, reason)).await
        }
        Command::Next { service, environment } => next(app, who, &service, &environment, None, false).await,
        Command::Lock { service, environment, reason, for_ms, how } => {
            let (kind, from, sha) = match how {
                LockHow::Lock => (LockKind::Lock, None, None),
                LockHow::Freeze { from } => (LockKind::Freeze, from, None),
                LockHow::Pin { reference } => (LockKind::Pin, None, Some(reference)),
            };
            // A freeze that begins later lasts as long from then.
            let expires_at = Some(from.unwrap_or_else(|| app.now()).plus_ms(for_ms));
            let new = NewLock { service, environment, reason, expires_at, minutes: None, kind, from, sha };
            Ok(Reply::line(lock_line(&app.lock_create(who, new).await?, for_ms)))
        }
        Command::Unlock { service, environment } => {
            let released = app.unlock(who, &service, &environment).await?;
            Ok(Reply::line(match released {
                0 => format!("{service} in {environment} was not locked"),
                _ => format!("{service} in {environment} is open again"),
            }))
        }
        other => Err(Fault::internal(format!("`{}` is no word of shipping", other.verb()))),
    }
}

async fn moved(app: &App, who: &Caller, number: i64, word: DeployWord, reason: Option<String>) -> Result<Reply, Fault> {
    let answer = match word {
        DeployWord::Promote => Answer::Promote,
        DeployWord::Hold => Answer::Hold,
        DeployWord::Abort => Answer::Abort,
        DeployWord::Cancel => Answer::Cancel,
        DeployWord::Retry => return Ok(started(app, &app.deploy_retry(who, number).await?)),
    };
    Ok(Reply::line(state_line(&app.deploy_answer(who, number, answer, reason).await?)))
}

fn lock_line(lock: &Lock, for_ms: i64) -> String {
    let service = if lock.service == "*" { "everything" } else { lock.service.as_str() };
    let how = match lock.kind {
        LockKind::Lock => "locked".to_owned(),
        LockKind::Freeze => "frozen".to_owned(),
        LockKind::Pin => format!("pinned to {}", lock.sha.as_deref().and_then(|sha| sha.get(..7)).unwrap_or("nothing")),
    };
    let from = lock.from.map_or_else(String::new, |from| format!(" from {from}"));
    format!("{service} in {} is {how}{from} for {}", lock.environment, span(for_ms))
}

fn started(app: &App, deploy: &Deploy) -> Reply {
    let what = if deploy.kind == "rollback" { "rollback" } else { "deploy" };
    let link = app.settings.link(&format!("/deploys/{}", deploy.number));
    let mut lines =
        vec![format!("{what} {} of {} to {} is on its way: {link}", deploy.number, deploy.service, deploy.environment)];
    lines.extend(deploys_seen::large_line(deploy));
    Reply::lines(lines)
}

/// One deploy in a line.
pub(super) fn state_line(deploy: &Deploy) -> String {
    let healthy = deploy.hosts.iter().filter(|h| h.state == "healthy").count();
    format!(
        "{} {} of {} to {} by {}: {}, {healthy} of {} hosts",
        deploy.kind,
        deploy.number,
        deploy.service,
        deploy.environment,
        deploy.actor_name,
        deploy.state.replace('_', " "),
        deploy.hosts.len()
    )
}

/// What would ship; with `planned` also what each stage would do.
async fn next(
    app: &App,
    who: &Caller,
    service: &str,
    environment: &str,
    reference: Option<&str>,
    planned: bool,
) -> Result<Reply, Fault> {
    let next = app.deploy_next_for(who, service, environment, reference).await?;
    let current = next.current.as_ref().map_or("nothing".to_owned(), |c| c.sha.chars().take(7).collect());
    let mut lines = vec![format!(
        "{service} in {environment}: {current} -> {}, {} commits{}",
        next.next.short,
        next.added_count,
        if next.removed_count > 0 { format!(", takes {} back", next.removed_count) } else { String::new() }
    )];
    lines.extend(next.added.iter().take(COMMITS_SHOWN).map(|c| format!("{} {} ({})", c.short, c.message, c.author)));
    if next.added.len() > COMMITS_SHOWN {
        lines.push(format!("and {} more", next.added_count - COMMITS_SHOWN as u64));
    }
    lines.extend(next.diff_url.iter().cloned());
    if let Some(lock) = &next.locked {
        lines.push(format!("locked by {}: {}", lock.owner_name, lock.reason));
    }
    lines.extend(next.train.iter().cloned());
    lines.extend(next.closed.iter().map(|closed| format!("closed: {}", closed.why)));
    lines.extend(next.irreversible.iter().map(|why| format!("does not go back by itself: {why}")));
    let waits = |a: &DeployApproval| format!("waits for {} to approve before the first host, of {}", a.count, a.who());
    lines.extend(next.approval.iter().map(waits));
    if let Some(stage) = &next.stage {
        lines.extend(stage.refused.clone());
        let passed = stage.after.as_ref().zip(stage.passed);
        lines.extend(passed.map(|(after, number)| format!("passed {after} as deploy {number}")));
    }
    if let Some(expects) = &next.expects {
        lines.extend(expects.metrics.iter().map(|m| format!("expected: {}", m.says)));
        lines.extend(expects.risks.iter().map(|r| format!("risk: {r}")));
    }
    lines.extend(next.warnings);
    if planned {
        lines.extend(next.plan.iter().map(deploys_seen::stage_line));
    }
    Ok(Reply::lines(lines))
}

async fn train(
    app: &App,
    who: &Caller,
    service: &str,
    environment: &str,
    word: TrainAsk,
    reason: Option<String>,
) -> Result<Reply, Fault> {
    let train = match word {
        TrainAsk::Show => app.train(service, environment).await?,
        TrainAsk::Say(word) => app.train_say(who, service, environment, word, reason).await?,
        TrainAsk::Graphs => {
            let graphs = app.train_graphs(who, service, environment).await?;
            let value = |v: Option<f64>| v.map_or("no data".to_owned(), |v| format!("{v:.4}"));
            let mut lines = vec![format!(
                "deploy {}: {}",
                graphs.deploy,
                app.settings.link(&format!("/deploys/{}", graphs.deploy))
            )];
            lines.extend(graphs.graphs.iter().map(|g| format!("{} -> {}: {}", value(g.before), value(g.now), g.says)));
            lines.extend(graphs.signs.iter().map(|sign| format!("sign of trouble: {sign}")));
            return Ok(Reply::lines(lines));
        }
    };
    Ok(Reply::lines(
        train.map_or_else(|| vec![format!("{service} has no train to {environment}")], |t| train_lines(&t)),
    ))
}

fn train_lines(train: &TrainView) -> Vec<String> {
    let names = train.members.iter().map(|m| if m.good { format!("{} (good)", m.name) } else { m.name.clone() });
    let on = train.deploy.map_or_else(String::new, |n| format!(" with deploy {n}"));
    let mut lines = vec![format!(
        "{} to {} is {}{on}: {}",
        train.service,
        train.environment,
        train.phase,
        names.collect::<Vec<_>>().join(", ")
    )];
    lines.extend(train.hold.iter().map(|h| format!("held by {}: {}", h.name, h.why)));
    lines.extend(train.trouble.iter().map(|t| format!("uh-oh by {}: {}", t.name, t.why)));
    if !train.waiting.is_empty() {
        let names = train.waiting.iter().map(|m| m.name.as_str()).collect::<Vec<_>>();
        lines.push(format!("next: {}", names.join(", ")));
    }
    lines
}

//! Shipping: deploy, rollback, next, lock, unlock.

use tenfold_types::Fault;

use super::Reply;
use crate::chat::Command;
use crate::chat::announce::span;
use crate::chat::grammar::TrainAsk;
use crate::deploys::views::{Deploy, LockKind, NewDeploy, NewLock, TrainView};
use crate::{App, Caller};

/// Commits that `next` lists.
const COMMITS_SHOWN: usize = 8;

pub(super) async fn execute(app: &App, who: &Caller, command: Command) -> Result<Reply, Fault> {
    match command {
        Command::Deploy { service, reference, environment } => {
            let deploy = app
                .deploy_start(who, NewDeploy { service, environment, reference, reason: None, override_reason: None })
                .await?;
            Ok(started(app, &deploy))
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
        Command::Next { service, environment } => next(app, &service, &environment).await,
        Command::Lock { service, environment, reason, for_ms } => {
            let expires_at = Some(app.now().plus_ms(for_ms));
            let kind = LockKind::Lock;
            let new = NewLock { service, environment, reason, expires_at, minutes: None, kind, from: None, sha: None };
            let lock = app.lock_create(who, new).await?;
            Ok(Reply::line(format!("{} in {} is locked for {}", lock.service, lock.environment, span(for_ms))))
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

fn started(app: &App, deploy: &Deploy) -> Reply {
    let what = if deploy.kind == "rollback" { "rollback" } else { "deploy" };
    let link = app.settings.link(&format!("/deploys/{}", deploy.number));
    Reply::line(format!(
        "{what} {} of {} to {} is on its way: {link}",
        deploy.number, deploy.service, deploy.environment
    ))
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

async fn next(app: &App, service: &str, environment: &str) -> Result<Reply, Fault> {
    let next = app.deploy_next(service, environment, None).await?;
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
    if let Some(lock) = &next.locked {
        lines.push(format!("locked by {}: {}", lock.owner_name, lock.reason));
    }
    lines.extend(next.closed.iter().map(|closed| format!("closed: {}", closed.why)));
    lines.extend(next.irreversible.iter().map(|why| format!("does not go back by itself: {why}")));
    lines.extend(next.approval.iter().map(|a| format!("waits for {} to approve before the first host", a.count)));
    if let Some(expects) = &next.expects {
        lines.extend(expects.metrics.iter().map(|m| format!("expected: {}", m.says)));
        lines.extend(expects.risks.iter().map(|r| format!("risk: {r}")));
    }
    lines.extend(next.warnings);
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

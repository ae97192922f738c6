//! Shipping: deploy, rollback, next, lock, unlock.

use tenfold_types::Fault;

use super::Reply;
use crate::chat::Command;
use crate::chat::announce::span;
use crate::deploys::views::{Deploy, LockKind, NewDeploy, NewLock};
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

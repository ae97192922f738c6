//! Telling forges how deploys go: from the record into rows, and from the rows out, again and again until they are taken.

use tenfold_protocols::forge::{Forge, repository_key};
use tenfold_store::{
    cursors, events,
    forges::{self as store, OutboxRow},
};
use tenfold_types::{Actor, Event, EventDraft, Fault, Severity, Source};

use super::cdevents;
use super::ports::{DeployState, DeployStatus, ForgeAccount, ForgeClient, ForgeError, Remote};
use crate::{App, settings::ForgeSettings};

const CURSOR: &str = "forges";
const PAGE_EVENTS: usize = 500;
/// Told to one receiver in one look.
const SENT_MAX: u32 = 100;
/// After this long nobody is interested any more.
const GIVE_UP_MS: i64 = 24 * 3_600_000;
const AGAIN_MS_MIN: i64 = 1_000;
const AGAIN_MS_MAX: i64 = 15 * 60_000;
/// One round to one receiver; what is left waits for the next look. Well within the lease.
const ROUND: std::time::Duration = std::time::Duration::from_secs(20);
const DESCRIPTION_CHARS_MAX: usize = 140;
/// Most deployments that one word ends; what is left ends with the next.
const ENDED_MAX: u32 = 10;

/// A server that is new, or that has no forge, starts at the present: nobody is told of what was before.
pub(super) async fn begin(app: &App) -> Result<(), Fault> {
    let nobody = app.settings.forges.is_empty() && app.settings.cdevents.sinks.is_empty();
    app.housekeeping(move |t| {
        if nobody || cursors::get(t.tx(), CURSOR)?.is_none() {
            let last = events::last_seq(t.tx())?;
            cursors::set(t.tx(), CURSOR, last)?;
        }
        Ok(())
    })
    .await
}

/// Rows for what the record holds since the last look.
pub(super) async fn collect(app: &App) -> Result<(), Fault> {
    loop {
        let from = app.read(|tx| Ok(cursors::get(tx, CURSOR)?.unwrap_or(0))).await?;
        let page = app.events_after(from, PAGE_EVENTS).await?;
        let Some(last) = page.last().map(|e| e.seq) else { return Ok(()) };
        let full = page.len() == PAGE_EVENTS;
        let mut rows = Vec::new();
        for event in &page {
            rows.extend(row(app, event).await?);
            rows.extend(cdevents::rows(app, event).await?);
        }
        app.housekeeping(move |t| {
            for row in &rows {
                store::outbox_put(t.tx(), row)?;
            }
            Ok(cursors::set(t.tx(), CURSOR, last)?)
        })
        .await?;
        if !full {
            return Ok(());
        }
    }
}

async fn row(app: &App, event: &Event) -> Result<Option<OutboxRow>, Fault> {
    let (Some(state), Some(deploy)) = (state_of(&event.kind), event.subject.deploy) else { return Ok(None) };
    let Some(shipped) = app.deploy_shipped(deploy).await? else { return Ok(None) };
    let Some((forge, repository)) = forge_of(app, &shipped.repository) else { return Ok(None) };
    // that hosts are back is what a rollback is for
    let is_good_end = shipped.is_rollback && event.kind == "deploy.rolled_back";
    let state = if is_good_end { DeployState::Succeeded } else { state };
    let status = DeployStatus {
        deploy,
        service: shipped.service,
        environment: shipped.environment,
        sha: shipped.sha,
        repository,
        state,
        description: event.text.chars().take(DESCRIPTION_CHARS_MAX).collect(),
        url: app.settings.link(&format!("/deploys/{deploy}")),
    };
    let now = app.now();
    Ok(Some(OutboxRow {
        forge: forge.name.clone(),
        seq: event.seq,
        part: 0,
        deploy,
        body: serde_json::to_string(&status).map_err(|e| Fault::internal(e.to_string()))?,
        attempts: 0,
        created_at: now,
        next_at: now,
    }))
}

fn state_of(kind: &str) -> Option<DeployState> {
    Some(match kind {
        "deploy.queued" => DeployState::Queued,
        "deploy.build_started"
        | "deploy.awaiting_approval"
        | "deploy.canary_started"
        | "deploy.promoting"
        | "deploy.resumed"
        | "deploy.held"
        | "deploy.unheld"
        | "deploy.rolling_back" => DeployState::Running,
        "deploy.succeeded" => DeployState::Succeeded,
        "deploy.failed" | "deploy.rolled_back" => DeployState::Failed,
        "deploy.cancelled" | "deploy.interrupted" => DeployState::Stopped,
        _ => return None,
    })
}

/// The forge that holds a repository and takes statuses, with the repository's path there.
fn forge_of<'a>(app: &'a App, repository: &str) -> Option<(&'a ForgeSettings, String)> {
    let key = repository_key(repository)?;
    let (host, path) = key.split_once('/')?;
    let forge = app.settings.forges.iter().find(|f| f.host.eq_ignore_ascii_case(host) && f.token_file.is_some())?;
    // GitHub's and Gitea's paths have two parts; GitLab's have groups
    let parts = path.split('/').count();
    let fine = if forge.kind == Forge::Gitlab { parts >= 2 } else { parts == 2 };
    fine.then(|| (forge, path.to_owned()))
}

/// Tells what is due. One deploy's words go out in their order; all receivers are told at the same time, so that one that is
/// down holds up its own words only.
pub(super) async fn send(app: &App) -> Result<(), Fault> {
    let Some(client) = app.forges.client.get().cloned() else { return Ok(()) };
    let now = app.now();
    let rounds = app
        .read(move |tx| {
            let mut rounds = Vec::new();
            for forge in store::outbox_receivers(tx)? {
                let mut rows = store::outbox_heads(tx, &forge, SENT_MAX)?;
                rows.retain(|row| row.next_at <= now);
                rounds.push(rows);
            }
            Ok(rounds)
        })
        .await?;
    let rounds = rounds.into_iter().filter(|rows| !rows.is_empty()).map(|rows| {
        let client = client.clone();
        async move { tokio::time::timeout(ROUND, round(app, &*client, rows)).await.unwrap_or(Ok(())) }
    });
    futures_util::future::join_all(rounds).await.into_iter().collect()
}

/// One receiver's words, until it does not take one.
async fn round(app: &App, client: &dyn ForgeClient, rows: Vec<OutboxRow>) -> Result<(), Fault> {
    for row in rows {
        match tell(app, client, &row).await? {
            Ok(answer) => told(app, row, answer).await?,
            Err(error) => {
                let away = !error.permanent;
                not_told(app, row, error).await?;
                if away {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

/// What a receiver answered.
#[derive(Debug, Default)]
struct Told {
    /// The number it has for the deploy.
    number: Option<String>,
    /// Deploys of which it knows now that they run no more.
    ended: Vec<i64>,
}

/// What the receiver answered; an error for good where there is nobody to be told.
async fn tell(app: &App, client: &dyn ForgeClient, row: &OutboxRow) -> Result<Result<Told, ForgeError>, Fault> {
    let nobody =
        |message: &str| Ok(Err(ForgeError { permanent: true, retry_after_ms: None, message: message.to_owned() }));
    if row.forge.starts_with(cdevents::PREFIX) {
        let Some(sink) = cdevents::account(app, row) else {
            return nobody("the sink is no longer in the settings");
        };
        let key = match row.part {
            0 => format!("cdevent-{}", row.seq),
            part => format!("cdevent-{}-{part}", row.seq),
        };
        return Ok(client.event(&sink, &key, &row.body).await.map(|()| Told::default()));
    }
    let status: DeployStatus = match serde_json::from_str(&row.body) {
        Ok(status) => status,
        Err(error) => return nobody(&error.to_string()),
    };
    let Some(account) = account(app, &row.forge) else {
        return nobody("the forge is no longer in the settings");
    };
    let (forge, deploy, succeeded) = (row.forge.clone(), row.deploy, status.state == DeployState::Succeeded);
    let (remote, ended) = app
        .read(move |tx| {
            let number = store::remote(tx, &forge, deploy)?;
            let beside =
                if succeeded { store::beside(tx, &forge, deploy, ENDED_MAX)? } else { store::Beside::default() };
            let own = beside.replaced.then_some(deploy);
            let (mut ended, before): (Vec<i64>, Vec<String>) = beside.before.into_iter().unzip();
            ended.extend(own);
            Ok((Remote { number, before, replaced: beside.replaced }, ended))
        })
        .await?;
    Ok(client.tell(&account, &status, &remote).await.map(|number| Told { number, ended }))
}

fn account(app: &App, name: &str) -> Option<ForgeAccount> {
    let forge = app.forge(name).ok()?;
    let token = app.forges.secrets(name).token?;
    Some(ForgeAccount { kind: forge.kind, api: forge.api_base(), token })
}

async fn told(app: &App, row: OutboxRow, answer: Told) -> Result<(), Fault> {
    app.housekeeping(move |t| {
        if let Some(number) = &answer.number {
            store::remote_put(t.tx(), &row.forge, row.deploy, number)?;
        }
        // its end is told once
        for deploy in &answer.ended {
            store::remote_delete(t.tx(), &row.forge, *deploy)?;
        }
        store::outbox_delete(t.tx(), &row.forge, row.seq, row.part)?;
        Ok(())
    })
    .await
}

async fn not_told(app: &App, row: OutboxRow, error: ForgeError) -> Result<(), Fault> {
    let now = app.now();
    if error.permanent || now.since_ms(row.created_at) > GIVE_UP_MS {
        return give_up(app, row, &error.message).await;
    }
    tracing::warn!(forge = row.forge, seq = row.seq, reason = error.message, "a forge was not told; trying again");
    let at = now.plus_ms(pause_ms(row.attempts, error.retry_after_ms));
    app.housekeeping(move |t| Ok(store::outbox_again(t.tx(), &row.forge, row.seq, row.part, at)?)).await.map(|_| ())
}

/// Doubles with each attempt; a forge's own wish counts when it is longer, up to the same end.
fn pause_ms(attempts: i64, wished: Option<i64>) -> i64 {
    let doubled = AGAIN_MS_MIN.saturating_mul(1 << attempts.clamp(0, 20)).min(AGAIN_MS_MAX);
    wished.unwrap_or(0).clamp(doubled, AGAIN_MS_MAX)
}

async fn give_up(app: &App, row: OutboxRow, why: &str) -> Result<(), Fault> {
    // Of a sink's rows the deploy is but the order they keep.
    let (what, number) =
        if row.forge.starts_with(cdevents::PREFIX) { ("event", row.seq) } else { ("deploy", row.deploy) };
    let text = format!("{} could not be told of {what} {number}: {why}", row.forge);
    app.housekeeping(move |t| {
        store::outbox_delete(t.tx(), &row.forge, row.seq, row.part)?;
        let draft = EventDraft::new(Actor::system(), Source::System, "git.not_told", text.clone());
        t.record(draft.severity(Severity::Warning).data(serde_json::json!({"forge": row.forge, what: number})))?;
        Ok(())
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_end() {
        let pauses: Vec<i64> = (0..4).map(|n| pause_ms(n, None)).collect();
        assert_eq!(pauses, [1_000, 2_000, 4_000, 8_000]);
        assert_eq!(pause_ms(60, None), AGAIN_MS_MAX);
        assert_eq!(pause_ms(0, Some(60_000)), 60_000);
        assert_eq!(pause_ms(0, Some(-5)), 1_000);
        assert_eq!(pause_ms(0, Some(i64::MAX)), AGAIN_MS_MAX);
    }

    #[test]
    fn every_end_of_a_deploy_is_told() {
        for kind in ["succeeded", "failed", "rolled_back", "cancelled", "interrupted"] {
            assert!(state_of(&format!("deploy.{kind}")).is_some_and(|s| s != DeployState::Running), "{kind}");
        }
        assert_eq!(state_of("deploy.judged"), None);
        for kind in ["held", "awaiting_approval"] {
            assert_eq!(state_of(&format!("deploy.{kind}")), Some(DeployState::Running), "what it waits for: {kind}");
        }
    }
}

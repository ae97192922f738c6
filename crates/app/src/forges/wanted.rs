//! Deploying what was pushed, where the settings say so. A commit waits for a deploy that is under way; the newest one wins.

use tenfold_store::forges::{self as store, WantedRow};
use tenfold_types::{Actor, ErrorCode, EventDraft, Fault, Severity, Source};

use crate::{App, Caller, Grant, Role, deploys::views::NewDeploy};

/// A commit that could not be deployed for this long is given up.
const GIVE_UP_MS: i64 = 24 * 3_600_000;

pub(super) async fn look(app: &App) -> Result<(), Fault> {
    for row in app.read(|tx| Ok(store::wanted(tx)?)).await? {
        let old = app.now().since_ms(row.asked_at) > GIVE_UP_MS;
        match newest(app, &row).await {
            Ok(true) => {}
            // Word of an older push that came late, or came again: the newer commit has a row of its own.
            Ok(false) => {
                forget(app, row, None).await?;
                continue;
            }
            Err(fault) => {
                if old {
                    forget(app, row, Some(fault)).await?;
                }
                continue;
            }
        }
        let new = NewDeploy {
            service: row.service.clone(),
            environment: row.environment.clone(),
            reference: Some(row.sha.clone()),
            reason: Some(format!("{} pushed it", row.pusher)),
            override_reason: None,
        };
        match app.deploy_start(&caller(&row), new).await {
            Ok(_) => forget(app, row, None).await?,
            Err(fault) => {
                // Locks, freezes, windows and trains pass, as a deploy that is under way does.
                let waits = matches!(
                    fault.code,
                    ErrorCode::Conflict | ErrorCode::Locked | ErrorCode::Unavailable | ErrorCode::Timeout
                );
                if !waits || old {
                    forget(app, row, Some(fault)).await?;
                }
            }
        }
    }
    Ok(())
}

/// Whether the commit still is what its branch is at.
async fn newest(app: &App, row: &WantedRow) -> Result<bool, Fault> {
    let services = app.services().await?;
    let Some(service) = services.iter().find(|s| s.name == row.service) else { return Ok(false) };
    Ok(app.deploys.head(&service.name, &service.repository, &service.branch).await? == row.sha)
}

/// The forge as a robot that may deploy this and nothing else.
fn caller(row: &WantedRow) -> Caller {
    let grant =
        Grant { role: Role::Deployer, service: Some(row.service.clone()), environment: Some(row.environment.clone()) };
    Caller { actor: Actor::robot(&row.forge), name: row.forge.clone(), source: Source::Api, grants: vec![grant] }
}

async fn forget(app: &App, row: WantedRow, why: Option<Fault>) -> Result<(), Fault> {
    app.housekeeping(move |t| {
        if store::wanted_done(t.tx(), &row)? == 0 {
            return Ok(());
        }
        if let Some(fault) = &why {
            let text = format!(
                "{} of {} was pushed and not deployed to {}: {}",
                row.sha.get(..7).unwrap_or(&row.sha),
                row.service,
                row.environment,
                fault.message
            );
            let draft = EventDraft::new(Actor::robot(&row.forge), Source::Api, "git.not_deployed", text);
            t.record(draft.service(&row.service).environment(&row.environment).severity(Severity::Warning))?;
        }
        Ok(())
    })
    .await
}

//! Writing dashboards: each save is a version, and nobody writes over a version they have not seen unless they say so.

use tenfold_store::Tx;
use tenfold_store::dashboards::{self as store, DashboardRow, SaveRow};
use tenfold_types::{ErrorCode, EventDraft, Fault, Timestamp};

use super::dashboards::{Dashboard, check_dashboard, from_row};
use crate::{App, Caller, Role};

/// The version of dashboards that were saved before versions were kept.
const VERSION_FIRST: i64 = 1;

/// The dashboard with what is known of its newest save; one that draws itself has none.
pub(super) fn saved(dashboard: Dashboard, save: Option<&SaveRow>) -> Dashboard {
    if dashboard.generated {
        return dashboard;
    }
    let version = Some(save.map_or(VERSION_FIRST, |save| save.version));
    Dashboard { version, saved_by: save.map(|save| save.by.clone()), saved_at: save.map(|save| save.at), ..dashboard }
}

/// Refuses to write over what somebody else saved or deleted. 0 is the version of a dashboard that is not there.
fn check_version(name: &str, edited: i64, is_there: bool, save: Option<&SaveRow>) -> Result<(), Fault> {
    let at = if is_there { save.map_or(VERSION_FIRST, |save| save.version) } else { 0 };
    if at == edited {
        return Ok(());
    }
    let by = save.map_or_else(String::new, |save| format!(" by {} at {}", save.by, save.at));
    let refused = match (at, edited) {
        (_, 0) => {
            return Err(Fault::conflict(format!("there is a dashboard `{name}` already, saved{by}"))
                .advice("choose another name, or edit that one"));
        }
        (0, _) => format!("the dashboard `{name}` was deleted{by}; you edited version {edited}"),
        _ => format!("the dashboard `{name}` is at version {at}, saved{by}; you edited version {edited}"),
    };
    Err(Fault::new(ErrorCode::Changed, refused)
        .advice("read it again and make your change on top, or save over it without If-Match"))
}

/// Counts one more version.
fn next_save(
    tx: &mut dyn Tx,
    name: &str,
    was_there: bool,
    last: Option<&SaveRow>,
    who: &Caller,
    now: Timestamp,
) -> Result<SaveRow, Fault> {
    let before = last.map_or(if was_there { VERSION_FIRST } else { 0 }, |last| last.version);
    let save = SaveRow { name: name.to_owned(), version: before + 1, by: who.actor.to_string(), at: now };
    store::put_save(tx, &save)?;
    Ok(save)
}

impl App {
    /// One dashboard.
    pub async fn dashboard(&self, name: &str) -> Result<Dashboard, Fault> {
        let wanted = name.to_owned();
        let written = self
            .read(move |tx| {
                let Some(row) = store::get(tx, &wanted)? else { return Ok(None) };
                Ok(Some(saved(from_row(&row)?, store::last_save(tx, &wanted)?.as_ref())))
            })
            .await?;
        if let Some(dashboard) = written {
            return Ok(dashboard);
        }
        let found = self.dashboards().await?.into_iter().find(|dashboard| dashboard.name == name);
        found.ok_or_else(|| Fault::not_found(format!("there is no dashboard `{name}`")))
    }

    pub async fn dashboard_put(&self, who: &Caller, dashboard: Dashboard) -> Result<Dashboard, Fault> {
        self.dashboard_put_over(who, dashboard, None).await
    }

    /// Writes a dashboard. With `edited`, the version it was made of (0: there was none), only over that one.
    pub async fn dashboard_put_over(
        &self,
        who: &Caller,
        dashboard: Dashboard,
        edited: Option<i64>,
    ) -> Result<Dashboard, Fault> {
        who.require(Role::Deployer, dashboard.service.as_deref(), None)?;
        check_dashboard(&dashboard)?;
        let who = who.clone();
        self.transact(move |t| {
            let dashboard = dashboard.clone().only_written();
            let row = DashboardRow {
                name: dashboard.name.clone(),
                service: dashboard.service.clone(),
                body: serde_json::to_string(&dashboard).map_err(|e| Fault::internal(e.to_string()))?,
            };
            let before = store::get(t.tx(), &row.name)?;
            let last = store::last_save(t.tx(), &row.name)?;
            if let Some(before) = &before {
                who.require(Role::Deployer, before.service.as_deref(), None)?;
            }
            // Who saves what is there already writes over nothing, unless it was to be a new one.
            if before.as_ref() == Some(&row) && edited != Some(0) {
                return Ok(saved(dashboard, last.as_ref()));
            }
            if let Some(edited) = edited {
                check_version(&row.name, edited, before.is_some(), last.as_ref())?;
            }
            store::put(t.tx(), &row)?;
            let now = t.now();
            let save = next_save(t.tx(), &row.name, before.is_some(), last.as_ref(), &who, now)?;
            let verb = if before.is_some() { "changed" } else { "added" };
            t.record(draft(&who, verb, &dashboard.name, dashboard.service.as_deref()))?;
            Ok(saved(dashboard, Some(&save)))
        })
        .await
    }

    pub async fn dashboard_delete(&self, who: &Caller, name: &str) -> Result<(), Fault> {
        self.dashboard_delete_over(who, name, None).await
    }

    /// Deletes a dashboard; with `edited` only that version.
    pub async fn dashboard_delete_over(&self, who: &Caller, name: &str, edited: Option<i64>) -> Result<(), Fault> {
        let (who, name) = (who.clone(), name.to_owned());
        self.transact(move |t| {
            let row = store::get(t.tx(), &name)?
                .ok_or_else(|| Fault::not_found(format!("there is no dashboard `{name}` that somebody wrote")))?;
            who.require(Role::Deployer, row.service.as_deref(), None)?;
            let last = store::last_save(t.tx(), &name)?;
            if let Some(edited) = edited {
                check_version(&name, edited, true, last.as_ref())?;
            }
            store::delete(t.tx(), &name)?;
            let now = t.now();
            next_save(t.tx(), &name, true, last.as_ref(), &who, now)?;
            t.record(draft(&who, "deleted", &name, row.service.as_deref()))?;
            Ok(())
        })
        .await
    }
}

fn draft(who: &Caller, verb: &str, name: &str, service: Option<&str>) -> EventDraft {
    let text = format!("{} {verb} the dashboard {name}", who.actor);
    let draft = EventDraft::new(who.actor.clone(), who.source, "dashboard.changed", text)
        .data(serde_json::json!({"dashboard": name, "action": verb}));
    match service {
        Some(service) => draft.service(service),
        None => draft,
    }
}

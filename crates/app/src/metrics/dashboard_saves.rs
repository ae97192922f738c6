//! Writing dashboards: each save is a version, and nobody writes over a version they have not seen unless they say so.

use serde::Serialize;
use tenfold_store::Tx;
use tenfold_store::dashboards::{self as store, DashboardRow, SaveRow};
use tenfold_types::{ErrorCode, EventDraft, Fault, Timestamp};

use super::dashboards::{Dashboard, check_dashboard, from_row};
use crate::{App, Caller, Role};

/// The version of dashboards that were saved before versions were kept.
const VERSION_FIRST: i64 = 1;

/// A dashboard as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct DashboardView {
    #[serde(flatten)]
    pub dashboard: Dashboard,
    /// Grows with every save; `PUT` and `DELETE` with `If-Match` change exactly this one. Absent where nobody saved any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub saved_by: Option<String>,
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub saved_at: Option<Timestamp>,
}

impl DashboardView {
    fn new(dashboard: Dashboard, save: Option<&SaveRow>) -> Self {
        if dashboard.generated {
            return Self { dashboard, version: None, saved_by: None, saved_at: None };
        }
        let version = Some(save.map_or(VERSION_FIRST, |save| save.version));
        let (saved_by, saved_at) = (save.map(|save| save.by.clone()), save.map(|save| save.at));
        Self { dashboard, version, saved_by, saved_at }
    }
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
    /// All dashboards, with their versions.
    pub async fn dashboard_views(&self) -> Result<Vec<DashboardView>, Fault> {
        let saves = self.read(|tx| store::saves(tx).map_err(Fault::from)).await?;
        let view = |dashboard: Dashboard| {
            let at = saves.binary_search_by(|save| save.name.cmp(&dashboard.name));
            DashboardView::new(dashboard, at.ok().map(|at| &saves[at]))
        };
        Ok(self.dashboards().await?.into_iter().map(view).collect())
    }

    /// One of them.
    pub async fn dashboard_view(&self, name: &str) -> Result<DashboardView, Fault> {
        let wanted = name.to_owned();
        let written = self
            .read(move |tx| {
                let Some(row) = store::get(tx, &wanted)? else { return Ok(None) };
                Ok(Some((from_row(&row)?, store::last_save(tx, &wanted)?)))
            })
            .await?;
        if let Some((dashboard, save)) = written {
            return Ok(DashboardView::new(dashboard, save.as_ref()));
        }
        let found = self.dashboard_views().await?.into_iter().find(|view| view.dashboard.name == name);
        found.ok_or_else(|| Fault::not_found(format!("there is no dashboard `{name}`")))
    }

    pub async fn dashboard_put(&self, who: &Caller, dashboard: Dashboard) -> Result<Dashboard, Fault> {
        self.dashboard_put_over(who, dashboard, None).await.map(|view| view.dashboard)
    }

    /// Writes a dashboard. With `edited`, the version it was made of (0: there was none), only over that one.
    pub async fn dashboard_put_over(
        &self,
        who: &Caller,
        dashboard: Dashboard,
        edited: Option<i64>,
    ) -> Result<DashboardView, Fault> {
        who.require(Role::Deployer, dashboard.service.as_deref(), None)?;
        check_dashboard(&dashboard)?;
        let who = who.clone();
        self.transact(move |t| {
            let dashboard = Dashboard { generated: false, note: None, ..dashboard.clone() };
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
                return Ok(DashboardView::new(dashboard, last.as_ref()));
            }
            if let Some(edited) = edited {
                check_version(&row.name, edited, before.is_some(), last.as_ref())?;
            }
            store::put(t.tx(), &row)?;
            let now = t.now();
            let save = next_save(t.tx(), &row.name, before.is_some(), last.as_ref(), &who, now)?;
            let verb = if before.is_some() { "changed" } else { "added" };
            t.record(draft(&who, verb, &dashboard.name, dashboard.service.as_deref()))?;
            Ok(DashboardView::new(dashboard, Some(&save)))
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

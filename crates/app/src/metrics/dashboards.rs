//! Dashboards: panels of queries, the same for everybody. A service without one gets a generated one.

use serde::{Deserialize, Serialize};
use tenfold_store::dashboards::{self as store, DashboardRow};
use tenfold_types::{EventDraft, Fault};

use super::drawn;
use crate::people::check_name;
use crate::{App, Caller, Role};

const PANELS_MAX: usize = 60;
const QUERIES_MAX: usize = 20;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Dashboard {
    pub name: String,
    pub title: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    pub panels: Vec<Panel>,
    /// Made up from the service's metrics because nobody wrote one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub generated: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Panel {
    pub title: String,
    /// `ops` (per second), `ratio` (0 to 1), `seconds`, `bytes` or `short`.
    #[serde(default = "short")]
    pub unit: String,
    pub queries: Vec<PanelQuery>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

fn short() -> String {
    "short".into()
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PanelQuery {
    pub expr: String,
    /// Name of the line; `{{label}}` stands for a label's value.
    #[serde(default)]
    pub legend: String,
}

const UNITS: [&str; 5] = ["ops", "ratio", "seconds", "bytes", "short"];

/// Says what is wrong with a dashboard, naming the panel.
pub fn check_dashboard(dashboard: &Dashboard) -> Result<(), Fault> {
    check_name("dashboard", &dashboard.name)?;
    if dashboard.panels.len() > PANELS_MAX {
        return Err(Fault::invalid(format!(
            "a dashboard has at most {PANELS_MAX} panels; this one has {}",
            dashboard.panels.len()
        )));
    }
    for panel in &dashboard.panels {
        let title = &panel.title;
        if !UNITS.contains(&panel.unit.as_str()) {
            return Err(Fault::invalid(format!("the panel `{title}` has the unknown unit `{}`", panel.unit))
                .advice(format!("known are {}", UNITS.join(", "))));
        }
        if panel.queries.is_empty() || panel.queries.len() > QUERIES_MAX {
            return Err(Fault::invalid(format!("the panel `{title}` needs 1 to {QUERIES_MAX} queries")));
        }
        for query in &panel.queries {
            tenfold_promql::parse(&query.expr)
                .map_err(|e| Fault::invalid(format!("a query of the panel `{title}`: {}", e.pointing(&query.expr))))?;
        }
    }
    Ok(())
}

fn from_row(row: &DashboardRow) -> Result<Dashboard, Fault> {
    serde_json::from_str(&row.body)
        .map_err(|e| Fault::internal(format!("the dashboard `{}` cannot be read: {e}", row.name)))
}

impl App {
    /// All dashboards, with a generated one for each service that has none, and one for the hosts.
    pub async fn dashboards(&self) -> Result<Vec<Dashboard>, Fault> {
        let mut all = self.dashboards_written().await?;
        let services: Vec<String> = self.services().await?.into_iter().map(|s| s.name).collect();
        for service in services {
            if !all.iter().any(|d| d.service.as_deref() == Some(&service) || d.name == service) {
                all.push(drawn::service(&service));
            }
        }
        if self.metrics.has_pushed() && !all.iter().any(|d| d.name == drawn::HOSTS) {
            all.push(drawn::hosts());
        }
        // What people ship comes before what it runs on.
        let rank = |d: &Dashboard| d.generated && d.service.is_none();
        all.sort_by(|a, b| (rank(a), &a.name).cmp(&(rank(b), &b.name)));
        Ok(all)
    }

    /// Those that somebody wrote.
    pub async fn dashboards_written(&self) -> Result<Vec<Dashboard>, Fault> {
        self.read(|tx| store::list(tx)?.iter().map(from_row).collect()).await
    }

    pub async fn dashboard_put(&self, who: &Caller, dashboard: Dashboard) -> Result<Dashboard, Fault> {
        who.require(Role::Deployer, dashboard.service.as_deref(), None)?;
        check_dashboard(&dashboard)?;
        let who = who.clone();
        self.transact(move |t| {
            let dashboard = Dashboard { generated: false, ..dashboard.clone() };
            let row = DashboardRow {
                name: dashboard.name.clone(),
                service: dashboard.service.clone(),
                body: serde_json::to_string(&dashboard).map_err(|e| Fault::internal(e.to_string()))?,
            };
            let before = store::get(t.tx(), &row.name)?;
            if before.as_ref() == Some(&row) {
                return Ok(dashboard);
            }
            store::put(t.tx(), &row)?;
            let verb = if before.is_some() { "changed" } else { "added" };
            t.record(draft(&who, verb, &dashboard.name, dashboard.service.as_deref()))?;
            Ok(dashboard)
        })
        .await
    }

    pub async fn dashboard_delete(&self, who: &Caller, name: &str) -> Result<(), Fault> {
        let (who, name) = (who.clone(), name.to_owned());
        self.transact(move |t| {
            let row = store::get(t.tx(), &name)?
                .ok_or_else(|| Fault::not_found(format!("there is no dashboard `{name}` that somebody wrote")))?;
            who.require(Role::Deployer, row.service.as_deref(), None)?;
            store::delete(t.tx(), &name)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_query_names_its_panel_and_place() {
        let mut d = drawn::service("photos");
        d.panels[0].queries[0].expr = "sum(rate(x[1m])".into();
        let fault = check_dashboard(&d).expect_err("the bracket is open");
        assert!(fault.message.contains("Requests"), "{}", fault.message);
    }
}

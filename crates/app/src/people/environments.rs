//! Environments: their names in order, and what holds in each.

use serde::{Deserialize, Serialize};
use tenfold_store::{Tx, people as store};
use tenfold_types::{EventDraft, Fault, Severity};

use super::{Caller, Role, check_name};
use crate::App;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Environment {
    pub name: String,
    /// Changes of flags here wait for a second person.
    pub four_eyes: bool,
}

/// What holds in an environment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EnvironmentSettings {
    /// Changes of flags wait for a second person. Switching off, lowering and a ramp's guard do not.
    pub four_eyes: bool,
}

fn read(name: String, body: &str) -> Result<Environment, Fault> {
    let settings: EnvironmentSettings = serde_json::from_str(body)
        .map_err(|e| Fault::internal(format!("the settings of the environment {name} cannot be read: {e}")))?;
    Ok(Environment { name, four_eyes: settings.four_eyes })
}

/// Whether changes of flags wait for a second person in an environment; asked in the transaction that would change them.
pub(crate) fn four_eyes(tx: &mut dyn Tx, environment: &str) -> Result<bool, Fault> {
    let row = store::environments(tx)?.into_iter().find(|(name, _, _)| name == environment);
    row.map_or(Ok(false), |(name, _, body)| Ok(read(name, &body)?.four_eyes))
}

impl App {
    pub async fn environments(&self) -> Result<Vec<Environment>, Fault> {
        self.read(|tx| store::environments(tx)?.into_iter().map(|(name, _, body)| read(name, &body)).collect()).await
    }

    pub async fn environment_create(&self, who: &Caller, name: &str) -> Result<Environment, Fault> {
        who.require(Role::Admin, None, None)?;
        check_name("environment", name)?;
        let (who, name) = (who.clone(), name.to_owned());
        self.transact(move |t| {
            let known = store::environments(t.tx())?;
            if known.iter().any(|(n, _, _)| *n == name) {
                return Err(Fault::conflict(format!("the environment `{name}` is there already")));
            }
            store::environment_put(t.tx(), &name, known.len() as i64, "{}")?;
            t.record(
                EventDraft::new(
                    who.actor.clone(),
                    who.source,
                    "environment.created",
                    format!("{} added the environment {name}", who.actor),
                )
                .environment(&name),
            )?;
            Ok(Environment { name: name.clone(), four_eyes: false })
        })
        .await
    }

    /// Changes what holds in an environment, or makes it.
    pub async fn environment_put(
        &self,
        who: &Caller,
        name: &str,
        settings: EnvironmentSettings,
    ) -> Result<Environment, Fault> {
        who.require(Role::Admin, None, None)?;
        if !self.environments().await?.iter().any(|e| e.name == name) {
            self.environment_create(who, name).await?;
        }
        let (who, name) = (who.clone(), name.to_owned());
        self.transact(move |t| {
            let missing = || Fault::not_found(format!("there is no environment `{name}`"));
            let row = store::environments(t.tx())?.into_iter().find(|(n, _, _)| *n == name);
            let (_, position, body) = row.ok_or_else(missing)?;
            let before = read(name.clone(), &body)?;
            if before.four_eyes == settings.four_eyes {
                return Ok(before);
            }
            let body = serde_json::to_string(&settings).map_err(|e| Fault::internal(e.to_string()))?;
            store::environment_put(t.tx(), &name, position, &body)?;
            let text = if settings.four_eyes {
                format!("{} wants a second person for changes of flags in {name}", who.actor)
            } else {
                format!("{} no longer wants a second person for changes of flags in {name}", who.actor)
            };
            let severity = if settings.four_eyes { Severity::Info } else { Severity::Warning };
            let event = EventDraft::new(who.actor.clone(), who.source, "environment.changed", text);
            t.record(event.environment(&name).severity(severity).data(serde_json::json!({"settings": settings})))?;
            Ok(Environment { name: name.clone(), four_eyes: settings.four_eyes })
        })
        .await
    }
}

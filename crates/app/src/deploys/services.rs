//! Services: what is deployed, from which repository, to which environments.

use std::collections::BTreeMap;

use tenfold_store::deploys as store;
use tenfold_types::{EventDraft, Fault};

use super::{
    ports,
    views::{Current, Service, ServiceUpdate},
};
use crate::{App, Caller, Role, people::check_name};

const TEXT_BYTES_MAX: usize = 4096;
const LIST_MAX: usize = 64;

impl App {
    pub async fn services(&self) -> Result<Vec<Service>, Fault> {
        let rows = self.read(|tx| Ok(store::services(tx)?)).await?;
        rows.iter().map(|(name, body)| self.service_view(name, body)).collect()
    }

    pub async fn service(&self, name: &str) -> Result<Service, Fault> {
        let update = self.service_settings(name).await?;
        Ok(self.service_of(name, update))
    }

    /// Creates or replaces a service. Writing what is there already changes nothing and records nothing.
    pub async fn service_put(&self, who: &Caller, name: &str, update: ServiceUpdate) -> Result<Service, Fault> {
        who.require(Role::Admin, None, None)?;
        check_name("service", name)?;
        self.check_service(name, &update).await?;
        let (key, who, kept) = (name.to_owned(), who.clone(), update.clone());
        self.transact(move |t| {
            let body = serde_json::to_string(&kept).map_err(|e| Fault::internal(e.to_string()))?;
            let before = store::service_get(t.tx(), &key)?;
            if before.as_deref() == Some(&body) {
                return Ok(());
            }
            store::service_put(t.tx(), &key, &body)?;
            let verb = if before.is_some() { "changed" } else { "added" };
            t.record(
                EventDraft::new(
                    who.actor.clone(),
                    who.source,
                    "service.changed",
                    format!("{} {verb} the service {key}", who.name),
                )
                .service(&key)
                .data(serde_json::json!({"after": kept})),
            )?;
            Ok(())
        })
        .await?;
        Ok(self.service_of(name, update))
    }

    /// Forgets a service. What runs of it goes on running, and its deploys stay in the record.
    pub async fn service_delete(&self, who: &Caller, name: &str) -> Result<(), Fault> {
        who.require(Role::Admin, None, None)?;
        let (key, who) = (name.to_owned(), who.clone());
        self.transact(move |t| {
            if let Some(row) = store::deploys(
                t.tx(),
                &store::DeployQuery { service: Some(key.clone()), unfinished: true, limit: 1, ..Default::default() },
            )?
            .pop()
            {
                return Err(Fault::conflict(format!("deploy {} of {key} is {}", row.number, row.state))
                    .advice("wait for it or cancel it, then delete the service"));
            }
            if !store::service_delete(t.tx(), &key)? {
                return Err(no_service(&key));
            }
            t.record(
                EventDraft::new(
                    who.actor.clone(),
                    who.source,
                    "service.changed",
                    format!("{} removed the service {key}", who.name),
                )
                .service(&key),
            )?;
            Ok(())
        })
        .await
    }

    /// What people wrote down about a service.
    pub(crate) async fn service_settings(&self, name: &str) -> Result<ServiceUpdate, Fault> {
        let key = name.to_owned();
        let body = self.read(move |tx| Ok(store::service_get(tx, &key)?)).await?.ok_or_else(|| no_service(name))?;
        parse(name, &body)
    }

    fn service_view(&self, name: &str, body: &str) -> Result<Service, Fault> {
        Ok(self.service_of(name, parse(name, body)?))
    }

    fn service_of(&self, name: &str, update: ServiceUpdate) -> Service {
        let current: BTreeMap<String, Option<Current>> =
            update.environments.iter().map(|e| (e.clone(), self.deploys.hub.current(name, e))).collect();
        Service {
            name: name.to_owned(),
            description: update.description,
            repository: update.repository,
            branch: update.branch,
            environments: update.environments,
            owner_team: update.owner_team,
            policy: update.policy,
            pipeline_path: update.pipeline_path,
            dependencies: update.dependencies,
            current,
        }
    }

    async fn check_service(&self, name: &str, update: &ServiceUpdate) -> Result<(), Fault> {
        let texts =
            [&update.description, &update.repository, &update.branch, &update.pipeline_path, &update.owner_team];
        if texts.iter().any(|t| t.len() > TEXT_BYTES_MAX || t.chars().any(|c| c.is_control() && c != '\n')) {
            return Err(Fault::invalid(format!(
                "a text of the service {name} is longer than {TEXT_BYTES_MAX} bytes or holds control characters"
            )));
        }
        if update.repository.is_empty() || update.repository.starts_with('-') {
            return Err(Fault::invalid(format!("the service {name} has no repository"))
                .advice("give a git URL (https, ssh) or a path on the server"));
        }
        if update.branch.is_empty() || update.branch.starts_with('-') {
            return Err(Fault::invalid(format!("`{}` is not the name of a branch", update.branch)));
        }
        let path = &update.pipeline_path;
        if path.is_empty() || path.starts_with(['/', '-']) || path.split('/').any(|p| p == "..") {
            return Err(Fault::invalid(format!("`{path}` is not a path in the repository"))
                .advice("usually it is .tenfold/deploy.yaml"));
        }
        if update.environments.is_empty()
            || update.environments.len() > LIST_MAX
            || update.dependencies.len() > LIST_MAX
        {
            return Err(Fault::invalid(format!(
                "the service {name} needs 1 to {LIST_MAX} environments, and at most {LIST_MAX} dependencies"
            )));
        }
        let known: Vec<String> = self.environments().await?.into_iter().map(|e| e.name).collect();
        if let Some(unknown) = update.environments.iter().find(|e| !known.contains(e)) {
            return Err(Fault::not_found(format!("there is no environment `{unknown}`"))
                .advice(format!("known are {}", known.join(", "))));
        }
        Ok(())
    }
}

impl ServiceUpdate {
    pub(super) fn source(&self, service: &str) -> ports::Source {
        ports::Source { service: service.to_owned(), repository: self.repository.clone() }
    }
}

fn parse(name: &str, body: &str) -> Result<ServiceUpdate, Fault> {
    serde_json::from_str(body).map_err(|e| Fault::internal(format!("the service {name} cannot be read: {e}")))
}

pub(super) fn no_service(name: &str) -> Fault {
    Fault::not_found(format!("there is no service `{name}`")).advice(
        "the Deploys page lists the services; an admin adds one with a file under services/ and `tenfold apply`",
    )
}

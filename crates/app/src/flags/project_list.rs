//! The projects that flags belong to: creating, describing and deleting them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tenfold_flags::DEFAULT_PROJECT;
use tenfold_store::flags as store;
use tenfold_types::{EventDraft, Fault};
use utoipa::ToSchema;

use crate::people::check_name;
use crate::{App, Caller, Role};

/// High enough that nobody meets it by working, low enough that a runaway script stops.
pub const PROJECTS_MAX: usize = 1_000;
const DESCRIPTION_CHARS_MAX: usize = 1_000;

/// What is kept of a project beside its name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FlagProjectUpdate {
    pub description: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FlagProject {
    pub name: String,
    pub description: String,
    /// Flags in it that are not archived.
    pub flags: usize,
}

#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct FlagProjectList {
    pub items: Vec<FlagProject>,
}

/// Rows as projects by name; the default one is there without a row.
pub(super) fn stored(rows: &[(String, String)]) -> Result<BTreeMap<String, FlagProjectUpdate>, Fault> {
    let mut projects = BTreeMap::from([(DEFAULT_PROJECT.to_owned(), FlagProjectUpdate::default())]);
    for (name, body) in rows {
        let project = serde_json::from_str(body)
            .map_err(|e| Fault::internal(format!("the project `{name}` in the store cannot be read: {e}")))?;
        projects.insert(name.clone(), project);
    }
    Ok(projects)
}

fn not_there(name: &str) -> Fault {
    Fault::not_found(format!("there is no project `{name}`"))
        .advice(format!("make it with: tenfold project create {name}"))
}

impl App {
    pub fn flag_projects(&self) -> FlagProjectList {
        let items = self.flags.look(|table| {
            let count =
                |name: &str| table.flags.values().filter(|e| !e.flag.archived && e.flag.project == name).count();
            let project = |(name, p): (&String, &FlagProjectUpdate)| FlagProject {
                name: name.clone(),
                description: p.description.clone(),
                flags: count(name),
            };
            table.projects.iter().map(project).collect()
        });
        FlagProjectList { items }
    }

    pub(super) fn flag_project_check(&self, name: &str) -> Result<(), Fault> {
        let known = self.flags.look(|table| name == DEFAULT_PROJECT || table.projects.contains_key(name));
        if known { Ok(()) } else { Err(not_there(name)) }
    }

    fn flag_project(&self, name: &str) -> Result<FlagProject, Fault> {
        self.flag_projects().items.into_iter().find(|p| p.name == name).ok_or_else(|| not_there(name))
    }

    /// Creates or describes a project.
    pub async fn flag_project_put(
        &self,
        who: &Caller,
        name: &str,
        update: FlagProjectUpdate,
    ) -> Result<FlagProject, Fault> {
        who.require(Role::Deployer, None, None)?;
        check_name("project", name)?;
        let length = update.description.chars().count();
        if length > DESCRIPTION_CHARS_MAX {
            return Err(Fault::invalid(format!(
                "a description has at most {DESCRIPTION_CHARS_MAX} characters, not {length}"
            )));
        }
        let (before, count) = self.flags.look(|t| (t.projects.get(name).cloned(), t.projects.len()));
        if before.as_ref() == Some(&update) {
            return self.flag_project(name);
        }
        if before.is_none() && count >= PROJECTS_MAX {
            return Err(Fault::invalid(format!("there are {PROJECTS_MAX} projects already, which is the limit"))
                .advice("delete one that has no flags"));
        }
        let (who, key, new) = (who.clone(), name.to_owned(), update.clone());
        self.transact(move |t| {
            let body = serde_json::to_string(&new).map_err(|e| Fault::internal(e.to_string()))?;
            store::project_put(t.tx(), &key, &body)?;
            let (kind, verb) = match &before {
                None => ("flag_project.created", "made"),
                Some(_) => ("flag_project.changed", "described"),
            };
            let text = format!("{} {verb} the project {key}", who.actor);
            let data = serde_json::json!({"project": key, "before": before, "after": new});
            t.record(EventDraft::new(who.actor.clone(), who.source, kind, text).data(data))?;
            Ok(())
        })
        .await?;
        self.flags.change(self.now(), |table| {
            table.projects.insert(name.to_owned(), update);
        });
        self.flag_project(name)
    }

    /// Refused while flags are in it, and for the default one.
    pub async fn flag_project_delete(&self, who: &Caller, name: &str) -> Result<(), Fault> {
        who.require(Role::Deployer, None, None)?;
        if name == DEFAULT_PROJECT {
            return Err(Fault::conflict("the project `default` stays: flags that name no project are in it"));
        }
        let project = self.flag_project(name)?;
        if project.flags > 0 {
            return Err(Fault::conflict(format!("the project `{name}` has {} flags", project.flags))
                .advice("archive them or move them to another project first"));
        }
        let (who, key) = (who.clone(), name.to_owned());
        self.transact(move |t| {
            if !store::project_delete(t.tx(), &key)? {
                return Err(not_there(&key));
            }
            let text = format!("{} deleted the project {key}", who.actor);
            let event = EventDraft::new(who.actor.clone(), who.source, "flag_project.deleted", text);
            t.record(event.data(serde_json::json!({"project": key})))?;
            Ok(())
        })
        .await?;
        self.flags.change(self.now(), |table| {
            table.projects.remove(name);
        });
        Ok(())
    }
}

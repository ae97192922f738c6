//! Configuration as files: the whole of it read out, and applied again, one YAML file per thing.
//!
//! Files of a repository and the pages write the same things through the same use cases. Applying what
//! is there already changes nothing. Secrets (passwords, tokens) never stand in these files.

mod apply;
mod current;
mod document;
mod kind;
mod shapes;

use serde::{Deserialize, Serialize};
use tenfold_types::Fault;
use utoipa::ToSchema;

use crate::{App, Caller, Role};

/// The most files that are applied at once.
pub const FILES_MAX: usize = 500;
/// The largest file.
pub const FILE_BYTES_MAX: usize = 262_144;

/// A file of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfigFile {
    /// `FOLDER/NAME.yaml`; folders are `environments`, `people`, `services`, `schedules`, `policies`, `segments`,
    /// `projects` (of flags), `ramp-plans`, `flags`, `permits`, `rules`, `routing`, `checks`, `alert-sources` and `dashboards`.
    pub path: String,
    pub content: String,
}

/// What to apply, and how.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfigApply {
    pub files: Vec<ConfigFile>,
    /// Say what would change, and change nothing.
    #[serde(default)]
    pub dry_run: bool,
    /// Also delete what has no file, of the kinds of which at least one file is given. People and environments are
    /// never deleted.
    #[serde(default)]
    pub prune: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ConfigAction {
    Create,
    Update,
    Delete,
    /// It is so already.
    None,
}

/// What became, or would become, of one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ConfigChange {
    pub path: String,
    /// `environment`, `person`, `service`, `schedule`, `policy`, `segment`, `project`, `ramp plan`, `flag`, `permit`,
    /// `rules` or `dashboard`.
    pub kind: String,
    pub name: String,
    pub action: ConfigAction,
    /// What alerts of a rule file, a check or a source lack, as far as `alerts.lint` asks; and what pages nobody of a policy, a
    /// service or the routing, once it is applied.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ConfigChanges {
    /// In the order in which they are applied.
    pub changes: Vec<ConfigChange>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ConfigExport {
    pub files: Vec<ConfigFile>,
}

impl App {
    /// Everything as files, sorted by path. Applying them to an empty server makes an equal one. Addresses of people's
    /// channels are hidden from all but admins; applied again, `hidden` keeps what is there.
    pub async fn config_export(&self, who: &Caller) -> Result<ConfigExport, Fault> {
        who.require(Role::Deployer, None, None)?;
        let mut files = Vec::new();
        for ((kind, name), body) in current::read(self, Some(who)).await? {
            files.push(ConfigFile { path: kind.path(&name), content: document::write(kind, &name, &body)? });
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(ConfigExport { files })
    }

    /// Makes things as the files say. All files are checked before the first change; each thing then changes in a
    /// transaction of its own, under the rights that its own use case asks for.
    pub async fn config_apply(&self, who: &Caller, wanted: ConfigApply) -> Result<ConfigChanges, Fault> {
        who.require(Role::Deployer, None, None)?;
        if wanted.files.len() > FILES_MAX {
            let count = wanted.files.len();
            return Err(Fault::invalid(format!("{count} files are more than {FILES_MAX}, the most at once"))
                .advice("apply them folder by folder"));
        }
        let current = current::read(self, None).await?;
        let mut plan = apply::plan(&wanted, &current)?;
        apply::lint(self, &mut plan)?;
        if !wanted.dry_run {
            apply::run(self, who, &plan).await?;
            // It is applied, whatever comes of this.
            if let Err(fault) = apply::say_unreached(self, &mut plan).await {
                tracing::warn!(%fault, "what of the configuration pages nobody could not be found out");
            }
        }
        Ok(ConfigChanges { changes: plan.into_iter().map(|step| step.change).collect() })
    }
}

//! Stages: environments in their order. What goes to one of them went to the one before and was good there: the same commit
//! and the same artifact.

use serde::{Deserialize, Serialize};

use super::Pipeline;

/// Most stages in a file.
pub(super) const STAGES_MAX: usize = 16;

/// An environment in the order in which a release goes through them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnvironmentStage {
    /// One of `targets`.
    pub environment: String,
    /// What succeeded in the stage before goes on to this one by itself.
    #[serde(default)]
    pub auto: bool,
    /// With `auto`: it goes on only after it stood so long in the stage before and was not taken back.
    #[serde(default)]
    pub hold_s: u32,
}

impl Pipeline {
    fn stage_at(&self, environment: &str) -> Option<usize> {
        self.stages.iter().position(|stage| stage.environment == environment)
    }

    /// The stage a release has to have passed before it goes to an environment.
    pub fn stage_before(&self, environment: &str) -> Option<&EnvironmentStage> {
        self.stages.get(self.stage_at(environment)?.checked_sub(1)?)
    }

    /// The stage a release goes on to from an environment.
    pub fn stage_after(&self, environment: &str) -> Option<&EnvironmentStage> {
        self.stages.get(self.stage_at(environment)? + 1)
    }
}

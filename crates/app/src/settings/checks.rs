//! How the server looks at checks.

use std::path::PathBuf;

use serde::Deserialize;
use tenfold_types::Fault;

/// More processes than that do not make looks sooner.
const PLUGINS_AT_ONCE_MAX: usize = 1_024;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Checks {
    /// Folders that plugins are started from; programs elsewhere are refused.
    pub plugin_dirs: Vec<PathBuf>,
    /// Plugins that may run at one time; further ones wait.
    pub plugins_at_once: usize,
}

impl Default for Checks {
    fn default() -> Self {
        Self {
            plugin_dirs: vec![PathBuf::from("/usr/lib/nagios/plugins"), PathBuf::from("/usr/lib/monitoring-plugins")],
            plugins_at_once: 256,
        }
    }
}

impl Checks {
    /// What the types alone do not say.
    pub fn check(&self) -> Result<(), Fault> {
        if !(1..=PLUGINS_AT_ONCE_MAX).contains(&self.plugins_at_once) {
            return Err(Fault::invalid(format!(
                "checks.plugins_at_once is {}; it may be 1 to {PLUGINS_AT_ONCE_MAX}",
                self.plugins_at_once
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plugins_at_once_have_bounds() {
        let of = |plugins_at_once| Checks { plugins_at_once, ..Checks::default() }.check();
        assert!(of(1).is_ok() && of(PLUGINS_AT_ONCE_MAX).is_ok() && Checks::default().check().is_ok());
        assert!(of(0).is_err() && of(PLUGINS_AT_ONCE_MAX + 1).is_err());
    }
}

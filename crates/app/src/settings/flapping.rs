//! The thresholds of flapping.

use serde::Deserialize;
use tenfold_alerting::pipeline::{FLAP_FIRES_MAX, FlapRules};
use tenfold_store::incidents::ENDED_KEEP_MS;
use tenfold_types::Fault;

/// When an alert flaps: it is told of once then, and held as firing until it is calm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AlertFlapping {
    /// It flaps when it began to fire so often, 2 to 50; 0 never says it.
    pub fires: u32,
    /// Within this time, a second to a day.
    pub within_ms: i64,
    /// It is calm when it has not changed for so long, a second to a day.
    pub calm_ms: i64,
}

impl Default for AlertFlapping {
    fn default() -> Self {
        let FlapRules { fires, within_ms, calm_ms } = FlapRules::default();
        Self { fires, within_ms, calm_ms }
    }
}

impl AlertFlapping {
    pub(super) fn check(self) -> Result<(), Fault> {
        if self.fires != 0 && !(2..=FLAP_FIRES_MAX).contains(&self.fires) {
            return Err(Fault::invalid(format!(
                "alerts.flapping.fires is {}; it may be 0, for never, or 2 to {FLAP_FIRES_MAX}",
                self.fires
            )));
        }
        for (name, ms) in [("within_ms", self.within_ms), ("calm_ms", self.calm_ms)] {
            if !(1_000..=ENDED_KEEP_MS).contains(&ms) {
                return Err(Fault::invalid(format!(
                    "alerts.flapping.{name} is {ms}; it may be 1000, a second, to {ENDED_KEEP_MS}, a day"
                )));
            }
        }
        Ok(())
    }
}

impl From<AlertFlapping> for FlapRules {
    fn from(set: AlertFlapping) -> Self {
        Self { fires: set.fires, within_ms: set.within_ms, calm_ms: set.calm_ms }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_have_bounds() {
        let usual = AlertFlapping::default();
        assert!(usual.check().is_ok() && AlertFlapping { fires: 0, ..usual }.check().is_ok());
        for (wrong, word) in [
            (AlertFlapping { fires: 1, ..usual }, "fires"),
            (AlertFlapping { fires: 51, ..usual }, "fires"),
            (AlertFlapping { within_ms: 999, ..usual }, "within_ms"),
            (AlertFlapping { calm_ms: 0, ..usual }, "calm_ms"),
        ] {
            let refused = wrong.check().expect_err("it is out of bounds").message;
            assert!(refused.contains(&format!("alerts.flapping.{word}")), "{refused}");
        }
    }
}

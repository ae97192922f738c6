//! `mute_alerts` of the pipeline file: alerts that a deploy sets off by its nature, by their names, and for how long at most.

use serde::{Deserialize, Serialize};

/// The longest, and what is taken when nothing is said.
pub const FOR_S_MAX: u32 = 900;
pub const NAMES_MAX: usize = 20;
pub const NAME_BYTES_MAX: usize = 200;

/// Alerts of this service that stay quiet while hosts flip. The mute ends with the deploy, and at once when it is held, fails
/// or goes back; whatever is not named here pages as ever.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "Written")]
pub struct MuteAlerts {
    /// Names of alerts: letters, digits, `_`, `:`, `-` and spaces. No patterns.
    pub names: Vec<String>,
    /// At most 900.
    pub for_s: u32,
}

/// Alerts of this service that stay quiet while hosts flip.
#[derive(Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "MuteAlerts")]
struct Written {
    /// Names of alerts; no patterns.
    names: Vec<String>,
    /// At most 900.
    #[serde(default = "for_s_default")]
    for_s: u32,
}

const fn for_s_default() -> u32 {
    FOR_S_MAX
}

impl TryFrom<Written> for MuteAlerts {
    type Error = String;

    fn try_from(Written { names, for_s }: Written) -> Result<Self, String> {
        if names.is_empty() || names.len() > NAMES_MAX {
            return Err(format!("`mute_alerts.names` has {} names; it has 1 to {NAMES_MAX}", names.len()));
        }
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b':' | b'-' | b' ');
        let is_name = |n: &str| !n.trim().is_empty() && n.len() <= NAME_BYTES_MAX && n.bytes().all(plain);
        if let Some(wrong) = names.iter().find(|name| !is_name(name)) {
            return Err(format!("`mute_alerts.names`: `{wrong}` is not the name of one alert; patterns are not taken"));
        }
        if for_s == 0 || for_s > FOR_S_MAX {
            return Err(format!("`mute_alerts.for_s` must be between 1 and {FOR_S_MAX}"));
        }
        Ok(Self { names, for_s })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Pipeline;
    use super::*;

    fn read(mute_alerts: &str) -> Result<Option<MuteAlerts>, String> {
        let text = format!(
            "service: photos\nrun: {{command: [./run]}}\ntargets:\n  production: {{hosts: all}}\n{mute_alerts}\n"
        );
        Pipeline::parse(&text).map(|p| p.mute_alerts).map_err(|e| e.message)
    }

    #[test]
    fn names_and_a_time() {
        let wanted = MuteAlerts { names: vec!["UploadErrors".to_owned()], for_s: 120 };
        assert_eq!(read("mute_alerts: {names: [UploadErrors], for_s: 120}"), Ok(Some(wanted)));
        assert_eq!(read("mute_alerts: {names: [A]}").map(|m| m.map(|m| m.for_s)), Ok(Some(FOR_S_MAX)));
        assert_eq!(read(""), Ok(None));
        for (text, word) in [
            ("mute_alerts: {names: []}", "1 to 20"),
            ("mute_alerts: {names: ['.*']}", "patterns"),
            ("mute_alerts: {names: [A], for_s: 901}", "900"),
            ("mute_alerts: {names: [A], for_s: 0}", "900"),
            ("mute_alerts: {names: [A], reason: x}", "reason"),
        ] {
            let said = read(text).expect_err(text);
            assert!(said.contains(word), "{text}: {said}");
        }
    }
}

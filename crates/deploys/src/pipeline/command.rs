//! A target that is neither hosts nor a cluster: programs of the repository put the release where it belongs, and say what is
//! live there. They run on the server, in the sandbox of builds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Argv;

/// Time that `observe` has.
pub const OBSERVE_S: u32 = 60;

/// Each program is safe to run again: one that a stopped server ended is begun anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// Puts the commit `TENFOLD_SHA` there.
    pub deploy: Argv,
    /// Prints the whole name of the commit that is live, and nothing where none is.
    pub observe: Argv,
    /// Goes back to the commit `TENFOLD_SHA`; where it is left out, `deploy` is run with that commit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rollback: Argv,
    /// `deploy` and `rollback` are stopped after this long.
    #[serde(default = "timeout_default")]
    pub timeout_s: u32,
    /// They are stopped when they print nothing for this long.
    #[serde(default = "idle_timeout_default")]
    pub idle_timeout_s: u32,
    /// How long `observe` may go on to name another commit once they have ended.
    #[serde(default = "settle_default")]
    pub settle_s: u32,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Without it they reach nothing but their own files.
    #[serde(default = "network_default")]
    pub network: bool,
    /// Variables with secrets that the server's settings keep for this service.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
}

const fn timeout_default() -> u32 {
    900
}
const fn idle_timeout_default() -> u32 {
    300
}
const fn settle_default() -> u32 {
    60
}
const fn network_default() -> bool {
    true
}

impl Command {
    /// What goes back, and whether it is a program of its own.
    pub fn back(&self) -> (&Argv, &'static str) {
        if self.rollback.is_empty() { (&self.deploy, "deploy") } else { (&self.rollback, "rollback") }
    }

    /// The longest that one of its orders takes.
    pub const fn within_s(&self) -> u32 {
        self.timeout_s.saturating_add(self.settle_s).saturating_add(2 * OBSERVE_S)
    }

    /// The program that puts it there, as its short name.
    pub(super) fn says(&self) -> String {
        format!("command {}", self.deploy.first().map_or("", String::as_str))
    }

    /// What would be run, in words.
    pub(super) fn runs(&self) -> Vec<String> {
        let (back, _) = self.back();
        vec![
            format!("{} runs within {} s", self.deploy.join(" "), self.timeout_s),
            format!("{} has to print the commit within {} s", self.observe.join(" "), self.settle_s),
            format!("{} goes back", back.join(" ")),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::super::*;

    const FILE: &str = r"
service: photos
artifact: {paths: [dist/**]}
targets:
  production:
    command:
      deploy: [./put, --all]
      observe: [./live]
      rollback: [./back]
      timeout_s: 600
      idle_timeout_s: 60
      settle_s: 30
      env: {REGION: eu}
      secrets: [CDN_TOKEN]
";

    #[test]
    fn a_target_of_commands_is_read() {
        let p = Pipeline::parse(FILE).unwrap();
        let target = p.target("production").unwrap();
        let handed = target.handed_over().unwrap();
        assert_eq!((handed.says(), handed.name(), handed.within_s()), ("command ./put".to_owned(), "command", 750));
        assert_eq!(
            handed.writes("4f2c91a"),
            "command ./put: ./put --all runs within 600 s, ./live has to print the commit within 30 s, ./back goes back"
        );
        let plan = crate::Plan::deploy(&p, target, 1);
        assert_eq!((plan.steps().len(), plan.batch, plan.handed), (0, 1, true));
        let stages = plan.stages(&p, &["command".to_owned()], Some(&handed), "4f2c91a");
        assert!(stages[1].says.starts_with("its programs are looked for; command ./put"), "{stages:?}");
        assert!(stages[2].says.contains("./put is carried out within 750 s"), "{stages:?}");
        let json = serde_json::to_string(&p).unwrap();
        assert_eq!(serde_json::from_str::<Pipeline>(&json).unwrap(), p);
        let short = FILE.replace("      rollback: [./back]\n", "");
        let short = Pipeline::parse(&short).unwrap();
        let command = short.target("production").unwrap().command.clone().unwrap();
        assert_eq!(command.back(), (&vec!["./put".to_owned(), "--all".to_owned()], "deploy"));
    }

    #[test]
    fn its_errors_name_the_line() {
        let cases: &[(&str, &str, usize, &str)] = &[
            ("deploy: [./put, --all]", "deploy: []", 7, "`targets.production.command.deploy` is empty"),
            ("observe: [./live]", "observe: ./live", 8, "observe"),
            ("      rollback: [./back]", "      rollback: [\"\"]", 9, "command.rollback` is empty"),
            ("timeout_s: 600", "timeout_s: 0", 10, "command.timeout_s` must be between 1"),
            ("idle_timeout_s: 60", "idle_timeout_s: 90000", 11, "command.idle_timeout_s`"),
            ("settle_s: 30", "settle_s: -1", 12, "settle_s"),
            ("env: {REGION: eu}", "env: {\"A B\": eu}", 13, "A B"),
            ("[CDN_TOKEN]", "[\"CDN TOKEN\"]", 14, "command.secrets`"),
            ("    command:", "    canary: {hold_s: 5}\n    command:", 6, "a command has no canary"),
            ("    command:", "    batch: 2\n    command:", 6, "belongs to hosts"),
            (
                "    command:",
                "    nomad: {cluster: c, job: j, file: j.hcl}\n    command:",
                7,
                "is given beside `nomad`",
            ),
        ];
        for (from, to, line, words) in cases {
            assert!(FILE.contains(from), "{from}");
            let error = Pipeline::parse(&FILE.replacen(from, to, 1)).unwrap_err();
            assert!(error.message.contains(words), "{to}: {error}");
            assert_eq!(error.line, *line, "{to}: {error}");
        }
        let error = Pipeline::parse(&FILE.replace("      observe: [./live]\n", "")).unwrap_err();
        assert!(error.message.contains("observe"), "{error}");
    }
}

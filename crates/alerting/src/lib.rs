//! Alerting as pure functions: Prometheus rule files, the state machine of a rule, Go-style templates for labels and
//! annotations, mutes, and the ranking of suspects.
//!
//! No IO, no clock, no randomness: the caller evaluates the expressions, brings the samples and the instant, and stores
//! what comes out. One rule stands above the others here: *no data and a failed query are never read as healthy*.

mod duration;
mod fingerprint;
mod mutes;
mod presence;
mod rules;
mod state;
mod suspects;
mod template;

pub use duration::{format_duration_ms, parse_duration_ms};
pub use fingerprint::fingerprint;
pub use mutes::{MATCHERS_MAX, MatcherSet, parse_matchers};
pub use presence::{Presence, presence};
pub use rules::{
    AlertRule, GROUPS_MAX, Group, INTERVAL_DEFAULT_MS, RULES_PER_GROUP_MAX, RecordingRule, Rule, RuleError, RuleFile,
    parse_rules, parse_rules_with,
};
pub use state::{
    Alert, AlertState, Answer, Present, RuleState, SERIES_PER_RULE_MAX, StepError, Transition, TransitionKind,
    close_all, step,
};
pub use suspects::{Change, ChangeKind, SUSPECT_WINDOW_MS, Suspect, rank_suspects};
pub use template::{Template, TemplateContext, TemplateError};

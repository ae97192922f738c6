//! Alerting as pure functions: Prometheus rule files, the state machine of a rule, Go-style templates for labels and
//! annotations, and what decides who is told: routes, inhibition, time intervals, mutes, groups. Also the ranking of suspects.
//!
//! No IO, no clock, no randomness: the caller evaluates the expressions, brings the samples and the instant, and stores
//! what comes out. One rule stands above the others here: *no data and a failed query are never read as healthy*.

mod alertmanager;
mod arrival;
mod backtest;
pub mod checks;
mod fingerprint;
pub mod forward;
mod inhibit;
mod intervals;
mod lint;
mod matchers;
mod mutes;
mod nothing;
mod occurrences;
pub mod pipeline;
mod presence;
mod recurrence;
mod routes;
mod routing;
mod rule_edit;
mod rules;
mod sealed;
mod severity;
mod state;
mod suspects;
mod template;
mod told;
pub mod webhook;
mod wording;

pub use alertmanager::{Imported, Note, import_alertmanager, import_sealed, import_stored};
pub use arrival::{APART_MS, Arrivals, Due, Occasion, TOGETHER_MS, Watched};
pub use backtest::{Evaluated, Fire, fires};
pub use fingerprint::{Fingerprint, fingerprint};
pub use inhibit::{InhibitRule, InhibitSpec};
pub use intervals::{MINUTES_OF_DAY, MONTHS, Range, TimeInterval, TimeRange, WEEKDAYS};
pub use lint::{Finding, lacks, lint, runbook};
pub use matchers::{MATCHERS_MAX, MatcherSet, parse_matchers, read_matchers};
pub use mutes::{DEPLOY_MUTE_MS_MAX, Mute, MuteKind, MuteSpec, is_alert_name};
pub use occurrences::{OCCURRENCES_SPAN_MS_MAX, Occurrence};
pub use presence::{Presence, presence};
pub use recurrence::{parse_recurrence, show_recurrence};
pub use routes::{GroupBy, Route, RouteDefaults, RouteSpec, RouteTree, RoutingError};
pub use routing::{GlobalSpec, NamedIntervals, Pages, ReceiverSpec, Routing, RoutingSpec};
pub use rule_edit::{RuleEdit, edit_rule, line_diff};
pub use rules::{
    AlertRule, GROUPS_MAX, Group, INTERVAL_DEFAULT_MS, RECEIVED_GROUP, RULES_PER_GROUP_MAX, RecordingRule, Rule,
    RuleError, RuleFile, parse_rules, parse_rules_with, read_rules,
};
pub use sealed::{KeptSecrets, SECRET_SHOWN, Sealed, seal};
pub use severity::{is_worse, severity};
pub use state::{
    Alert, AlertState, Annotations, Answer, Present, RuleState, SERIES_PER_RULE_MAX, StepError, Transition,
    TransitionKind, arrive, close_all, step,
};
pub use suspects::{Change, ChangeKind, SUSPECT_WINDOW_MS, Suspect, rank_suspects};
pub use template::{
    AskFn, Notification, NotificationAlert, RuleWorld, Template, TemplateContext, TemplateError, TemplateSet,
};
pub use told::{ReceiverTold, ToldBy, people_told, with_policies};
pub use wording::{Messages, Wording, Wordings, is_channel, template_files, with_template_texts};

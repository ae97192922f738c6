//! Rules as pages and the command line list them. There may be many thousands: an answer has a part of the groups, and the
//! number of rules of each state.

use serde::{Deserialize, Serialize};
use tenfold_types::Fault;

use super::groups::{RuleStatus, Running};
use super::views::{RuleGroupView, group_view, worst};
use crate::{App, listed::Listed};

/// Alerts of one rule in an answer.
const ALERTS_LISTED_MAX: usize = 20;
const LISTED: Listed = Listed { what: "rules", default: 2_000, max: 20_000 };
/// States of a rule by which one may ask.
const STATES: [&str; 6] = ["firing", "unknown", "pending", "inactive", "error", TROUBLE];
/// All that somebody may want to look at: what fires, has no data, or cannot be evaluated.
const TROUBLE: &str = "trouble";

/// Which rules are asked for.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RuleAsk {
    /// Only rules of this file.
    pub file: Option<String>,
    /// `firing`, `unknown`, `pending`, `inactive` or `error` (it could not be evaluated), or `trouble` for all that fire, are
    /// unknown or could not be evaluated.
    pub state: Option<String>,
    /// Only those with this text in their name, expression, group or file, whatever its case.
    pub q: Option<String>,
    /// Groups are listed whole until the answer has so many rules, 1 to 20,000; 2,000 when absent.
    pub limit: Option<usize>,
    /// `next` of the answer before: goes on behind it.
    pub after: Option<usize>,
}

/// How many rules there are, listed or not. A rule counts once, by the worst of its alerts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct RuleCounts {
    pub firing: usize,
    pub unknown: usize,
    pub pending: usize,
    /// Recording rules as well.
    pub inactive: usize,
    /// They could not be evaluated.
    pub error: usize,
}

/// A page of rules by their groups.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct RuleGroupList {
    /// Of each group the rules that were asked for, and of each rule the first alerts.
    pub items: Vec<RuleGroupView>,
    /// Of those that were asked for, whatever their state.
    pub counts: RuleCounts,
    /// There are more: send it as `after`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<usize>,
}

impl RuleCounts {
    fn add(&mut self, state: &str) {
        match state {
            "firing" => self.firing += 1,
            "unknown" => self.unknown += 1,
            "pending" => self.pending += 1,
            "error" => self.error += 1,
            _ => self.inactive += 1,
        }
    }
}

fn state_of(status: &RuleStatus) -> &'static str {
    if status.error.is_some() { "error" } else { worst(status.state.active.values()) }
}

impl RuleAsk {
    fn check(&self) -> Result<usize, Fault> {
        if let Some(state) = self.state.as_deref()
            && !STATES.contains(&state)
        {
            return Err(Fault::invalid(format!("`{state}` is not a state of a rule"))
                .advice("firing, unknown, pending, inactive, error or trouble"));
        }
        LISTED.limit(self.limit)
    }

    fn wants_state(&self, state: &str) -> bool {
        match self.state.as_deref() {
            None => true,
            Some(TROUBLE) => matches!(state, "firing" | "unknown" | "error"),
            Some(wanted) => wanted == state,
        }
    }

    /// Places of the rules of a group that are asked for, and all that are but for their state in `counts`. `text` is `q` in
    /// small letters.
    fn rules_of(&self, running: &Running, text: &str, counts: &mut RuleCounts) -> Vec<usize> {
        if self.file.as_ref().is_some_and(|file| *file != running.file) {
            return Vec::new();
        }
        let has = |said: &str| said.to_lowercase().contains(text);
        let whole = text.is_empty() || has(&running.group.name) || has(&running.file);
        let status = running.status.lock();
        let mut wanted = Vec::new();
        for (at, (rule, status)) in running.group.rules.iter().zip(&status.rules).enumerate() {
            if !(whole || has(rule.name()) || has(rule.expr())) {
                continue;
            }
            let state = state_of(status);
            counts.add(state);
            if self.wants_state(state) {
                wanted.push(at);
            }
        }
        wanted
    }
}

impl App {
    /// The groups of a file as a page lists them: of a storm each rule has its first alerts and their number.
    pub(super) fn rules_of_file(&self, file: &str) -> Vec<RuleGroupView> {
        let groups = self.alerts.groups.read().clone();
        groups.iter().filter(|g| g.file == file).map(|g| group_view(g, ALERTS_LISTED_MAX)).collect()
    }

    /// A page of the rules.
    pub fn rules_page(&self, ask: &RuleAsk) -> Result<RuleGroupList, Fault> {
        let limit = ask.check()?;
        let text = ask.q.as_deref().unwrap_or_default().trim().to_lowercase();
        let groups = self.alerts.groups.read().clone();
        let mut list = RuleGroupList { items: Vec::new(), counts: RuleCounts::default(), next: None };
        let (mut rules, mut last) = (0, None);
        for running in &groups {
            let wanted = ask.rules_of(running, &text, &mut list.counts);
            // Further ones are counted alone.
            if wanted.is_empty() || ask.after.is_some_and(|after| running.place <= after) || list.next.is_some() {
                continue;
            }
            if rules >= limit {
                list.next = last;
                continue;
            }
            let mut view = group_view(running, ALERTS_LISTED_MAX);
            let all = std::mem::take(&mut view.rules);
            let kept = all.into_iter().enumerate().filter(|(at, _)| wanted.binary_search(at).is_ok());
            view.rules = kept.map(|(_, rule)| rule).collect();
            rules += view.rules.len();
            last = Some(running.place);
            list.items.push(view);
        }
        Ok(list)
    }
}

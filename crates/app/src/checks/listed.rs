//! Checks as pages and the command line list them, the worst first. There may be 10,000: an answer has a part of them, and
//! the number of each state.

use serde::{Deserialize, Serialize};
use tenfold_alerting::checks::CheckStatus;
use tenfold_types::Fault;

use super::{Check, CheckView, SchedulerView};
use crate::{
    App,
    listed::{self, Listed},
};

const LISTED: Listed = Listed { what: "checks", default: 1_000, max: 10_000 };
/// What a filter by state says for all that are not ok.
const PROBLEM: &str = "problem";

/// Which checks are asked for.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CheckAsk {
    /// `ok`, `warning`, `critical`, `unknown`, or `problem` for all but `ok`.
    pub state: Option<String>,
    /// Only checks of this host.
    pub host: Option<String>,
    /// Only checks of this service.
    pub service: Option<String>,
    /// Only those with this text in their name, host, service or output, whatever its case.
    pub q: Option<String>,
    /// Checks in the answer, 1 to 10,000; 1,000 when absent.
    pub limit: Option<usize>,
    /// `next` of the answer before: goes on behind it.
    pub after: Option<String>,
}

/// How many checks there are, listed or not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct CheckCounts {
    pub ok: usize,
    pub warning: usize,
    pub critical: usize,
    pub unknown: usize,
}

/// A page of checks, the worst first.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct CheckList {
    /// Without what each said beyond its first line, and without its values: one check has them.
    pub items: Vec<CheckView>,
    /// Of those that were asked for, whatever their state.
    pub counts: CheckCounts,
    /// There are more: send it as `after`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    pub scheduler: SchedulerView,
}

impl CheckCounts {
    fn add(&mut self, status: CheckStatus) {
        match status {
            CheckStatus::Ok => self.ok += 1,
            CheckStatus::Warning => self.warning += 1,
            CheckStatus::Critical => self.critical += 1,
            CheckStatus::Unknown => self.unknown += 1,
        }
    }
}

/// The place of a check in the list: how bad it is, then its name.
type Place = (u8, String);

const fn rank(status: CheckStatus) -> u8 {
    match status {
        CheckStatus::Critical => 0,
        CheckStatus::Unknown => 1,
        CheckStatus::Warning => 2,
        CheckStatus::Ok => 3,
    }
}

fn cursor((rank, name): &Place) -> String {
    format!("{rank}.{name}")
}

fn read_cursor(text: &str) -> Option<Place> {
    let (rank, name) = text.split_once('.')?;
    Some((rank.parse().ok()?, name.to_owned()))
}

impl CheckAsk {
    /// Refuses what is no state and no limit.
    fn check(&self) -> Result<usize, Fault> {
        if let Some(state) = self.state.as_deref()
            && state != PROBLEM
            && CheckStatus::parse(state).is_none()
        {
            return Err(Fault::invalid(format!("`{state}` is not a state of a check"))
                .advice("ok, warning, critical, unknown or problem"));
        }
        LISTED.limit(self.limit)
    }

    fn wants_state(&self, status: CheckStatus) -> bool {
        match self.state.as_deref() {
            None => true,
            Some(PROBLEM) => status != CheckStatus::Ok,
            Some(state) => status.as_str() == state,
        }
    }

    /// `text` is `q` in small letters.
    fn wants(&self, name: &str, check: &Check, text: &str) -> bool {
        let spec = &check.spec;
        let service = spec.service.as_deref().unwrap_or_default();
        let of = self.host.as_ref().is_none_or(|host| *host == spec.host)
            && self.service.as_ref().is_none_or(|wanted| wanted == service);
        let said = [name, spec.host.as_str(), service, check.stand.state.output.as_str()];
        of && (text.is_empty() || said.iter().any(|said| said.to_lowercase().contains(text)))
    }
}

impl App {
    /// All checks, whole.
    pub fn checks_all(&self) -> Vec<CheckView> {
        self.checks.table.lock().iter().map(|(name, check)| CheckView::new(name, check)).collect()
    }

    /// A page of them.
    pub fn checks_page(&self, ask: &CheckAsk) -> Result<CheckList, Fault> {
        let limit = ask.check()?;
        let after = LISTED.place(ask.after.as_deref(), read_cursor)?;
        let text = ask.q.as_deref().unwrap_or_default().trim().to_lowercase();
        let mut counts = CheckCounts::default();
        let table = self.checks.table.lock();
        let mut places: Vec<Place> = Vec::new();
        for (name, check) in table.iter().filter(|(name, check)| ask.wants(name, check, &text)) {
            let status = check.stand.state.status;
            counts.add(status);
            if ask.wants_state(status) {
                places.push((rank(status), name.clone()));
            }
        }
        let seen = |place: &Place| after.as_ref().is_some_and(|after| place <= after);
        let next = listed::answer(&mut places, seen, limit).map(cursor);
        let shown = places.iter().filter_map(|(_, name)| Some(CheckView::listed(name, table.get(name)?)));
        let items: Vec<CheckView> = shown.collect();
        drop(table);
        Ok(CheckList { items, counts, next, scheduler: self.checks_scheduler() })
    }
}

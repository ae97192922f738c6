//! Noise: what people say of their pages, what each rule cost whom it woke, and what a changed rule would have done.
//!
//! Figures are of rules and of the teams that own them, never of people.

mod classify;
mod draft;
mod put;
mod report;
mod weekly;

use tenfold_incidents::PageKind;
use tokio::sync::Semaphore;

pub use classify::Classification;
pub use draft::{DraftAsk, DraftView, RuleDrafts};
pub use put::{DraftPut, RuleFileChanged};
pub use report::{NoiseAsk, NoiseView, RuleNoiseView, TeamNoiseView};

/// Rules that are tried on the past at a time; each holds its whole past.
const DRAFTS_MAX: usize = 2;

/// What this part keeps in memory.
pub struct State {
    drafts: Semaphore,
}

impl Default for State {
    fn default() -> Self {
        Self { drafts: Semaphore::new(DRAFTS_MAX) }
    }
}

/// The kinds with their keys, for an error and a help.
fn kinds() -> String {
    let keyed = PageKind::ALL.iter().enumerate().map(|(i, kind)| format!("{} {}", i + 1, kind.as_str()));
    keyed.collect::<Vec<_>>().join(", ")
}

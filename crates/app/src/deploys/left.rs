//! What another server left running of a deploy that is taken over from it: it is said, and waited for.

use std::time::Duration;

use tenfold_deploys::machine::Left;
use tokio::time::Instant;

use super::{
    conductor::{Conductor, Stop},
    effects::OTHERS_END,
    facts,
    ports::StepKind,
    stored::Stored,
};

impl Conductor {
    /// Who ordered what is under way: whoever wrote the last step, and not whoever had the lease last, who may have been killed
    /// before a step of its own. Of a step that an older release wrote only the lease is known.
    pub(super) fn conducted_before(&self, had_lease: String) -> String {
        self.stored.run.conducted_by.clone().unwrap_or(had_lease)
    }

    /// The step that is written next, and all that it orders, is this server's.
    pub(super) fn signs(&self, next: &mut Stored) {
        let holder = self.holder();
        if !next.run.state.is_final() && !holder.is_empty() {
            next.run.conducted_by = Some(holder);
        }
    }

    /// Whether the program that was under way is there to go on with. It is not where another server had the deploy since.
    pub(super) async fn take_up(&mut self, before: &str) -> Result<bool, Stop> {
        let step = self.stored.under_way();
        let from_another = !before.is_empty() && before != self.holder();
        if from_another && !self.state().is_final() {
            self.taken_over(before, step.as_ref().map(|step| step.kind.says()));
        }
        let waits = self.waits_for_what_is_left();
        let Some(step) = step else { return Ok(false) };
        let Ok(runner) = self.app.deploys.runner() else { return Ok(false) };
        if from_another {
            self.keeping(runner.clear(&step)).await?;
            return Ok(false);
        }
        // It was ordered here, by a server that was restarted while it waited: nothing of it was begun, so nothing is lost.
        if waits {
            return Ok(true);
        }
        self.keeping(runner.kept(&step)).await
    }

    /// From whom it is taken over, and what may still run there. It is written together with the step that follows, so that what
    /// is under way under a time that is known was always ordered by whoever waits for that.
    fn taken_over(&mut self, before: &str, what: Option<String>) {
        let others_end_ms = i64::try_from(OTHERS_END.as_millis()).unwrap_or(i64::MAX);
        let until = self.app.now().plus_ms(others_end_ms);
        let left = what.map(|what| Left { server: before.to_owned(), what, until });
        self.saying = Some(facts::taken_over(&self.stored, before, left.as_ref()));
        // what a third one left is waited for as well
        if left.is_some() {
            self.stored.run.left = left;
        }
    }

    /// What another server left is waited for, also by one that was itself restarted in the meantime.
    fn waits_for_what_is_left(&mut self) -> bool {
        let Some(left) = &self.stored.run.left else { return false };
        let wait_ms = u64::try_from(left.until.since_ms(self.app.now())).unwrap_or(0);
        if wait_ms == 0 {
            return false;
        }
        // a clock that was set back makes it no longer
        let until = Instant::now() + Duration::from_millis(wait_ms).min(OTHERS_END);
        let changes_what_is_live = left.what != StepKind::Build.says();
        self.others_until = Some(until);
        self.busy_until = changes_what_is_live.then_some(until);
        true
    }
}

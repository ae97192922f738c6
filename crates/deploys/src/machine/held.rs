//! A person holds a deploy that flips: nothing more is ordered, and the judge watches on. It goes on where it was.

use super::{
    Effect,
    host::{Host, HostState, Order},
    run::{Kind, State},
    step::Machine,
};

impl Machine {
    /// What agents were told already ends as it does, which is soon. A cluster on its way to its next step is paused.
    pub(super) fn hold_for(&mut self, by: &str) {
        let state = self.run.state;
        if !matches!(state, State::Canary | State::Promoting) {
            return self.refuse(format!(
                "the deploy is {}; it can be held while it is a canary or goes to the rest",
                state.word()
            ));
        }
        if self.run.kind == Kind::Rollback {
            return self.refuse("a rollback is the way out and is not held half way".to_owned());
        }
        if let Some(hook) = self.run.hook {
            let at = hook.at.word();
            return self.refuse(format!("the hook {at} runs and cannot be held half way; wait for its end, or cancel"));
        }
        // what is worse goes back also from here
        let watch = self.run.watch.take();
        self.hold(format!("{by} holds it"));
        self.run.held_in = Some(state);
        self.run.watch = watch;
        if self.run.plan.pauses {
            self.pause();
        }
    }

    /// An order to a cluster that is paused is given again when it goes on: held, its time does not run.
    fn pause(&mut self) {
        let now = self.now;
        for h in self.run.hosts.iter_mut().filter(|h| matches!(h.order, Some(Order::Activate { .. }))) {
            h.settle();
            h.set(HostState::Staged, None, now);
        }
        self.pause_again();
    }

    pub(super) fn pause_again(&mut self) {
        let on_its_way = |h: &Host| h.touched && h.state == HostState::Staged;
        if self.run.held_in.is_some() && self.run.plan.pauses && self.run.hosts.iter().any(on_its_way) {
            self.run.paused = true;
            self.effects.push(Effect::Pause);
        }
    }

    /// What a person has to know of a deploy that ends: the cluster stands where the hold stopped it, so that what was held does
    /// not go on by itself.
    pub(super) const fn left_paused(&self) -> &'static str {
        if self.run.paused { "; the cluster stays paused until the next deploy or rollback takes it over" } else { "" }
    }

    /// An order was answered that lets a paused cluster go on.
    pub(super) fn goes_on(&mut self) {
        if self.run.state != State::Held {
            self.run.paused = false;
        }
    }
}

//! What holds for each single step.

use super::*;
use crate::machine::step::BUILDS_MAX;
use crate::pipeline::HookAt;

pub(super) fn by_person(input: &Input) -> bool {
    matches!(
        input,
        Input::Approve { .. }
            | Input::Cancel { .. }
            | Input::Promote { .. }
            | Input::Hold { .. }
            | Input::Abort { .. }
            | Input::Supersede { .. }
    )
}

pub(super) fn check_step(before: &Run, input: &Input, after: &Run, effects: &[Effect]) {
    let told = || format!("{input:?} in {before:#?}\ngave {after:#?}\nwith {effects:?}");
    if before.state.is_final() {
        assert_eq!(before, after, "an ended deploy changed: {}", told());
        assert!(effects.iter().all(|e| matches!(e, Effect::Refuse(_))), "{}", told());
        assert_eq!(effects.len(), usize::from(by_person(input)), "{}", told());
    }
    let wanted = after.plan.approve.as_ref().map_or(0, |a| a.count);
    for effect in effects {
        let fits = match effect {
            Effect::Activate { .. } | Effect::Flip { .. } => {
                after.approvals.len() >= wanted
                    && [before.state, after.state].iter().any(|s| matches!(s, State::Canary | State::Promoting))
            }
            Effect::Restore { .. } | Effect::Deactivate { .. } => {
                after.kind == Kind::Deploy && after.hosts.iter().any(|h| h.touched)
            }
            Effect::Pause => after.state == State::Held && after.held_in.is_some() && after.plan.pauses,
            Effect::Build => after.state == State::Building && after.building,
            // what ended it in the same step stops it as well
            Effect::BuildAgain { digest } => {
                let goes_on = after.rebuild_until.is_some() || effects.contains(&Effect::StopBuild);
                matches!(input, Input::Missing { .. }) && after.digest == Some(*digest) && goes_on
            }
            Effect::Refuse(_) => by_person(input) && before == after,
            _ => true,
        };
        assert!(fits, "{effect:?} does not belong there: {}", told());
    }
    if let Some(wrong) = wrong_lock(before, input, after, effects) {
        panic!("{wrong}: {}", told());
    }
    let held_before = matches!(after.held_in, Some(State::Canary | State::Promoting));
    assert!(after.held_in.is_none() || (after.state == State::Held && held_before), "{}", told());
    if before.state == State::Held && matches!(after.state, State::Promoting | State::Canary) {
        assert!(matches!(input, Input::Promote { .. }), "a held deploy went on by itself: {}", told());
    }
    if matches!(after.state, State::Cancelled | State::Interrupted) {
        assert!(after.hosts.iter().all(|h| !h.touched), "a host was left half way: {}", told());
    }
    if after.state == State::RolledBack {
        assert!(after.hosts.iter().all(|h| !h.touched || h.state == HostState::RolledBack), "{}", told());
    }
    if after.state.is_final() {
        assert!(after.hosts.iter().all(|h| h.order.is_none()) && after.hook.is_none(), "{}", told());
        assert!(after.next_wake().is_none(), "{}", told());
    } else if !after.state.waits_for_person() {
        assert!(after.next_wake().is_some(), "nothing would ever wake it: {}", told());
    }
    if let Some(wrong) = wrong_rebuild(before, input, after, effects) {
        panic!("{wrong}: {}", told());
    }
    for h in &after.hosts {
        assert!(h.order.is_none() || h.deadline.is_some(), "an order without an end: {}", told());
    }
    for (was, is) in before.hosts.iter().zip(&after.hosts).filter(|_| !before.state.is_final()) {
        if let Some(wrong) = wrong_ahead(before, was, after, is, effects) {
            panic!("{}: {wrong}: {}", is.name, told());
        }
    }
}

/// A build again is counted before it begins, has an end, and is waited for until then.
fn wrong_rebuild(before: &Run, input: &Input, after: &Run, effects: &[Effect]) -> Option<&'static str> {
    let begins = effects.iter().any(|e| matches!(e, Effect::BuildAgain { .. }));
    if begins && before.rebuild_until.is_some() {
        return Some("it was built again twice at a time");
    }
    if begins && before.rebuilds >= BUILDS_MAX {
        return Some("it was built again though it took the server down each time");
    }
    if after.rebuild_until.is_some() && (after.rebuilds == 0 || after.state.is_final()) {
        return Some("a build again that nobody counts or waits for");
    }
    let ended = matches!(input, Input::BuiltAgain { .. } | Input::Resumed { .. });
    let stopped = before.rebuild_until.is_some() && after.rebuild_until.is_none() && !ended;
    (stopped && !effects.contains(&Effect::StopBuild)).then_some("its build goes on though nobody waits for it")
}

/// A way back without a person's word locks, once; one that a person asked for does not.
fn wrong_lock(before: &Run, input: &Input, after: &Run, effects: &[Effect]) -> Option<&'static str> {
    let locks = effects.iter().filter(|e| matches!(e, Effect::Lock { .. })).count();
    let entered = |state| after.steps.iter().skip(before.steps.len()).any(|s| s.name == state);
    if matches!(input, Input::Cancel { .. } | Input::Abort { .. }) {
        return (locks > 0).then_some("who sent it back was locked out");
    }
    let touched = after.hosts.iter().any(|h| h.touched);
    if entered(State::RollingBack) && locks != usize::from(touched) {
        return Some("it went back by itself without one lock");
    }
    let stays = after.plan.irreversible.is_some() && entered(State::Held);
    (locks > usize::from(entered(State::RollingBack) || stays)).then_some("it was locked, and did not go back")
}

/// What is started ahead of a flip: where it may be, that it is flipped to or fails, and that it ends with the deploy.
fn wrong_ahead(before: &Run, was: &Host, after: &Run, is: &Host, effects: &[Effect]) -> Option<&'static str> {
    let last = |wanted: fn(&Effect) -> Option<&String>| {
        effects.iter().rposition(|e| wanted(e).is_some_and(|host| *host == is.name))
    };
    let prepare = last(|e| if let Effect::Prepare { host, .. } = e { Some(host) } else { None });
    let flip = last(|e| if let Effect::Flip { host, .. } = e { Some(host) } else { None });
    let activate = last(|e| if let Effect::Activate { host, .. } = e { Some(host) } else { None });
    let discard = last(|e| if let Effect::Discard { host, .. } = e { Some(host) } else { None });
    let stands = |h: &Host| matches!(h.state, HostState::Preparing | HostState::Prepared);
    let plan = &after.plan;
    let begins = prepare.or(flip).or(activate.filter(|_| plan.keep_warm_ms > 0));
    if (was.beside || begins.is_some()) && !is.beside {
        return Some("that something stands beside was forgotten");
    }
    if stands(is) && plan.prepare == Prepare::None && !is.warm {
        return Some("nothing was to be prepared");
    }
    if flip.is_some() && !stands(was) {
        return Some("a flip to what was not prepared");
    }
    if is.state == HostState::Preparing && is.order.is_none() && is.lost_at.is_none() {
        return Some("it prepares without an order");
    }
    let first = matches!(before.state, State::Staging | State::AwaitingApproval);
    if first && plan.canary_hosts > 0 && was.canary && stands(was) && is.state == HostState::Failed {
        // another canary would only fail as well
        if after.state != State::Failed {
            return Some("a canary failed before its flip, and the deploy went on");
        }
    }
    if prepare.is_some() && !may_prepare(after, is) {
        return Some("it is not its turn to prepare, or a hook comes first");
    }
    let kept = effects.iter().any(|e| matches!(e, Effect::Discard { host, after_ms: 1.. } if *host == is.name));
    if kept && (after.state != State::Succeeded || is.state != HostState::Healthy) {
        return Some("only what the way back of a success needs is kept");
    }
    let goes_back = before.state != State::RollingBack && after.steps.iter().any(|s| s.name == State::RollingBack);
    if is.beside && (after.state.is_final() || (goes_back && !is.touched)) {
        if discard.is_none_or(|discard| begins.is_some_and(|begins| begins > discard)) {
            return Some("it is left with a second process");
        }
        if stands(is) {
            return Some("what was discarded is called ready");
        }
    } else if discard.is_some() {
        return Some("what may yet be wanted was discarded");
    }
    None
}

fn may_prepare(run: &Run, host: &Host) -> bool {
    let waits_for = |at| run.plan.hooks.get(at).is_some() && !run.hooks_ended.contains(&at);
    let canary_step = host.canary || (run.state == State::Canary && !run.plan.later.is_empty());
    let in_time = match run.state {
        State::Staging => run.plan.prepare == Prepare::All,
        State::AwaitingApproval => run.plan.prepare == Prepare::All || host.canary || run.plan.canary_hosts == 0,
        State::Canary => !host.canary,
        // it ended in the same step, and so did what was begun
        state => state.is_final(),
    };
    in_time
        && !waits_for(HookAt::BeforeActivate)
        && (canary_step || run.steps_total == 0 || !waits_for(HookAt::BeforePromote))
}

//! What a target says: where it goes, how far at a time, who has to agree and when it may begin.

use super::super::handed;
use super::super::rollout::{APPROVALS_MAX, STEPS_MAX};
use super::super::{Approve, Canary, CanaryJudge, Check, Target};
use super::command::command;
use super::lines::item;
use super::words::{Checked, line, name, path, seconds};

pub(super) fn target(environment: &str, target: &Target) -> Checked {
    let at = |rest: &[&'static str]| [&["targets", environment], rest].concat();
    name(environment, &at(&[]))?;
    seconds(target.canary.hold_s, 0, &at(&["canary", "hold_s"]))?;
    seconds(target.stage_within_s, 1, &at(&["stage_within_s"]))?;
    if target.batch.of(100) == 0 {
        return Err((path(&at(&["batch"])), "must be at least 1 host".to_owned()));
    }
    handed::check_target(target).map_err(|(keys, why)| (path(&at(&[])).into_iter().chain(keys).collect(), why))?;
    if let Some(asked) = &target.command {
        command(asked, &at(&["command"]))?;
    }
    canary(&target.canary, &at(&["canary"]), target.handed_over().is_some())?;
    if let Some(approve) = &target.approve {
        approvals(approve, &at(&["approve"]))?;
    }
    for (index, freeze) in target.freezes.iter().enumerate() {
        let nth = item(index);
        let below = |key: &'static str| ["targets", environment, "freezes", &nth, key];
        freeze.span().map_err(|(key, why)| (path(&below(key)), why))?;
        line(&freeze.reason, &below("reason"))?;
        line(&freeze.owner, &below("owner"))?;
    }
    Ok(())
}

fn canary(canary: &Canary, at: &[&str], steps_elsewhere: bool) -> Checked {
    let below = |rest: &[&str]| path(&[at, rest].concat());
    if canary.steps.len() > STEPS_MAX {
        return Err((below(&["steps"]), format!("has {} steps, more than {STEPS_MAX}", canary.steps.len())));
    }
    if !canary.steps.is_empty() && canary.hosts.of(100) > 0 {
        return Err((below(&["hosts"]), "says how many hosts, and so does `steps`; write one of both".to_owned()));
    }
    let nobody = !steps_elsewhere && canary.steps.is_empty() && canary.hosts.of(100) == 0;
    if let Some(judged) = &canary.judge {
        judge(judged, canary.hold_s, at)?;
        if nobody {
            return Err((below(&["hosts"]), "is 0, so there is nothing to judge".to_owned()));
        }
    }
    if let Some(asked) = &canary.check {
        check_of(asked, at)?;
        if nobody {
            let why = "is never asked, since `hosts` of the canary is 0; give it hosts, or leave the check out";
            return Err((below(&["check"]), why.to_owned()));
        }
    }
    let mut before = 0;
    for (index, step) in canary.steps.iter().enumerate() {
        let nth = item(index);
        let says = |key: &str, why: String| (below(&["steps", &nth, key]), format!("of step {} {why}", index + 1));
        let hosts = step.hosts.of(100);
        if hosts == 0 {
            return Err(says("hosts", "is 0; a step has at least one host".to_owned()));
        }
        // A number and a share cannot be held against each other before the hosts are known.
        if let Some(last) = index.checked_sub(1).and_then(|i| canary.steps.get(i))
            && std::mem::discriminant(&last.hosts) == std::mem::discriminant(&step.hosts)
            && hosts <= before
        {
            return Err(says("hosts", "is not more than that of the step before".to_owned()));
        }
        before = hosts;
        let hold_s = step.hold_s.unwrap_or(canary.hold_s);
        let in_step = [at, &["steps", &nth]].concat();
        seconds(hold_s, 0, &[&in_step, &["hold_s"][..]].concat())?;
        if let Some(judged) = step.judge.as_ref().or(canary.judge.as_ref()) {
            judge(judged, hold_s, &in_step)?;
        }
        if let Some(asked) = &step.check {
            check_of(asked, &in_step)?;
        }
    }
    Ok(())
}

fn judge(judge: &CanaryJudge, hold_s: u32, at: &[&str]) -> Checked {
    judge.check(hold_s).map_err(|(rest, why)| (path(&[at, &["judge"], rest].concat()), why))?;
    match judge.wrong_level() {
        None => Ok(()),
        Some((index, why)) => Err((path(&[at, &["judge", "after", "levels", &item(index)]].concat()), why)),
    }
}

fn check_of(check: &Check, at: &[&str]) -> Checked {
    let below = |rest: &[&'static str]| path(&[at, &["check"], rest].concat());
    if check.query.trim().is_empty() {
        return Err((below(&["query"]), "is empty; write a PromQL query".to_owned()));
    }
    if check.max.is_none() && check.min.is_none() {
        return Err((below(&[]), "has no bound; give `max` or `min`".to_owned()));
    }
    if check.max.into_iter().chain(check.min).any(|v| !v.is_finite()) {
        return Err((below(&[]), "has a bound that is not a number".to_owned()));
    }
    if let (Some(max), Some(min)) = (check.max, check.min)
        && min > max
    {
        return Err((below(&["min"]), format!("is {min}, above `max`, which is {max}: no value is within both")));
    }
    Ok(())
}

fn approvals(approve: &Approve, at: &[&str]) -> Checked {
    let below = |key: &'static str| path(&[at, &[key]].concat());
    if !(1..=APPROVALS_MAX).contains(&approve.count) {
        return Err((below("count"), format!("must be between 1 and {APPROVALS_MAX}")));
    }
    for (key, names) in [("by", &approve.by), ("teams", &approve.teams)] {
        for (index, named) in names.iter().enumerate() {
            let nth = item(index);
            let here = [at, &[key, &nth]].concat();
            line(named, &here)?;
            // one who is named twice agrees once
            if names[..index].contains(named) {
                return Err((path(&here), format!("names `{named}` twice; everybody agrees once")));
            }
        }
    }
    // how many are in a team only the server knows, and only when they approve
    if approve.teams.is_empty() && !approve.by.is_empty() && approve.by.len() < approve.count as usize {
        return Err((below("by"), format!("names {} people, and {} have to agree", approve.by.len(), approve.count)));
    }
    seconds(approve.within_s, 1, &[at, &["within_s"]].concat())
}

//! A canary that is judged: worse goes back, not worse goes on, and nothing else passes.

use super::*;

pub(super) fn judging(then: Inconclusive) -> Plan {
    let yaml = "errors: {bad: b, total: t}\nmax_s: 60";
    let judge: CanaryJudge = serde_saphyr::from_str(yaml).unwrap();
    Plan { judge: Some(Box::new(CanaryJudge { on_inconclusive: then, ..judge })), ..plan(1) }
}

pub(super) fn judgement(verdict: Judged) -> Box<Judgement> {
    Box::new(Judgement { verdict, said: format!("{verdict:?}"), report: None })
}

impl World {
    /// A canary that is healthy and watched, asked for the first time.
    fn watched(then: Inconclusive) -> Self {
        let mut w = Self::new(judging(then), 3);
        w.built_and_staged().activated("host-1", new());
        assert!(w.orders.is_empty(), "nothing was counted yet");
        w.later(5_000);
        assert!(matches!(w.orders[..], [Effect::RunJudge { .. }]), "{:?}", w.orders);
        w
    }
    fn judged(&mut self, verdict: Judged) -> &mut Self {
        let since = self.run.watch.as_ref().map_or(self.now, |w| w.since);
        self.give(Input::Judged { since, judgement: judgement(verdict) })
    }
}

pub(super) const UNDECIDED: [Judged; 4] =
    [Judged::Watching, Judged::NoData, Judged::NotEnoughData, Judged::Inconclusive];

#[test]
fn a_canary_that_is_worse_goes_back_at_once_and_locks() {
    let mut w = World::watched(Inconclusive::Hold);
    w.judged(Judged::Worse);
    assert_eq!((w.run.state, w.ordered("restore")), (State::RollingBack, vec!["host-1".to_owned()]));
    assert!(
        w.orders.iter().any(|o| matches!(o, Effect::Lock { by: Locker::Judge, why } if why.contains("Worse"))),
        "{:?}",
        w.orders
    );
    assert!(w.said.iter().any(|f| matches!(f, Fact::Judged { judgement } if judgement.verdict == Judged::Worse)));
    w.activated("host-1", old());
    assert_eq!(w.run.state, State::RolledBack);
    assert_eq!(w.run.judged.as_ref().unwrap().verdict, Judged::Worse, "the evidence stays with the deploy");
}

#[test]
fn a_canary_that_is_not_worse_goes_on_after_its_hold() {
    let mut w = World::watched(Inconclusive::Hold);
    w.judged(Judged::NotWorse);
    assert_eq!(w.run.state, State::Canary, "the hold is ten seconds");
    w.later(5_000).judged(Judged::NotWorse);
    assert_eq!(w.run.state, State::Promoting);
    // With a query as well, both have to be good.
    let mut w = World::new(Plan { check: CanaryCheckPlan::with().check, ..judging(Inconclusive::Hold) }, 3);
    w.built_and_staged().activated("host-1", new()).later(10_000).judged(Judged::NotWorse);
    assert_eq!((w.run.state, &w.orders[..]), (State::Canary, &[Effect::RunCheck][..]));
    w.give(Input::Checked(Verdict::Fail { said: "slow".into() }));
    assert_eq!(w.run.state, State::RollingBack);
    assert!(
        w.orders.iter().any(|o| matches!(o, Effect::Lock { by: Locker::Server, why } if why.contains("slow"))),
        "{:?}",
        w.orders
    );
}

#[test]
fn what_is_undecided_is_watched_to_the_end_and_never_passes() {
    for verdict in UNDECIDED {
        for (then, state) in [
            (Inconclusive::Hold, State::Held),
            (Inconclusive::PromoteNeedsPerson, State::Held),
            (Inconclusive::Rollback, State::RollingBack),
        ] {
            let mut w = World::watched(then);
            w.judged(verdict).later(50_000).judged(verdict);
            assert_eq!(w.run.state, State::Canary, "{verdict:?} before the time is over");
            w.later(10_000).judged(verdict);
            assert_eq!(w.run.state, state, "{verdict:?}");
            // A silent judge comes to the same.
            let mut silent = World::watched(then);
            silent.later(100_000);
            assert_eq!(silent.run.state, state, "silent");
        }
    }
}

#[test]
fn a_held_canary_may_be_watched_on_but_only_a_person_promotes() {
    let mut w = World::watched(Inconclusive::PromoteNeedsPerson);
    w.later(60_000).judged(Judged::NotEnoughData);
    assert_eq!(w.run.state, State::Held);
    w.later(5_000);
    assert!(matches!(w.orders[..], [Effect::RunJudge { .. }]), "{:?}", w.orders);
    w.judged(Judged::NotWorse);
    assert_eq!(w.run.state, State::Held);
    let mut other = World { run: w.run.clone(), now: w.now, said: Vec::new(), orders: Vec::new() };
    other.give(Input::Promote { by: "raj".into() });
    assert_eq!((other.run.state, other.run.watch.is_none()), (State::Promoting, true));
    w.later(5_000).judged(Judged::Worse);
    assert_eq!(w.run.state, State::RollingBack);
    let mut over = World::watched(Inconclusive::Hold);
    over.later(60_000).judged(Judged::NotEnoughData).judged(Judged::Worse);
    assert_eq!(over.run.state, State::Held, "with `hold` the judge has had its word");
}

#[test]
fn a_first_deploy_has_nothing_to_be_judged_beside() {
    let hosts = |running| (1..=3).map(|i| (format!("host-{i}"), Some(running))).collect();
    let fresh = Run::deploy(judging(Inconclusive::Hold), hosts(Running::Nothing), Timestamp(0));
    assert_eq!(fresh.plan.judge, None);
    let unknown = Run::deploy(judging(Inconclusive::Hold), hosts(Running::Unknown), Timestamp(0));
    assert!(unknown.plan.judge.is_some(), "what is not known is not nothing");
}

#[test]
fn a_restart_asks_the_judge_about_the_same_watch() {
    let mut w = World::watched(Inconclusive::Hold);
    let since = w.run.watch.as_ref().unwrap().since;
    let hosts = w.names().into_iter().map(|n| {
        let on_new = Running::Release { digest: new(), healthy: true };
        (n.clone(), Some(if n == "host-1" { on_new } else { on_old() }))
    });
    let hosts = hosts.collect();
    w.give(Input::Resumed { hosts, kept: false });
    assert_eq!(w.orders, [Effect::RunJudge { since }]);
    // While only its agent is away, the release goes on serving.
    let on_new = Running::Release { digest: new(), healthy: true };
    w.give(Input::Lost { host: "host-1".into() }).later(1_000);
    assert!(w.run.next_wake().unwrap() > w.now, "nobody is woken for nothing");
    w.give(Input::Back { host: "host-1".into(), running: on_new });
    assert_eq!(w.run.watch.as_ref().unwrap().since, since);
    // One that comes back with another release is watched anew, and an answer about the old watch is none.
    w.give(Input::Lost { host: "host-1".into() }).give(Input::Back { host: "host-1".into(), running: on_old() });
    w.activated("host-1", new());
    assert!(w.run.watch.as_ref().unwrap().since > since);
    w.give(Input::Judged { since, judgement: judgement(Judged::Worse) });
    assert_eq!(w.run.state, State::Canary);
}

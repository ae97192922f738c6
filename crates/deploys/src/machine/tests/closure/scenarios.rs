//! Small plans that have each of the things a plan can have.

use super::*;

pub(super) struct Scenario {
    pub name: &'static str,
    pub run: Run,
    pub inputs: Inputs,
}

fn on_grid(canary_hosts: usize) -> Plan {
    Plan {
        hold_ms: GRID_MS,
        build_ms: GRID_MS,
        stage_ms: GRID_MS,
        activate_ms: GRID_MS,
        reach_ms: GRID_MS,
        ..plan(canary_hosts)
    }
}

fn hosts(count: usize, running: Option<Running>) -> Vec<(String, Option<Running>)> {
    (1..=count).map(|i| (format!("host-{i}"), running)).collect()
}

fn one(name: &'static str, plan: Plan) -> Scenario {
    Scenario { name, run: Run::deploy(plan, hosts(1, Some(on_old())), NOW), inputs: Inputs::fewer() }
}

fn with_everything(scenario: Scenario) -> Scenario {
    Scenario { inputs: Inputs::everything(), ..scenario }
}

fn hook(idempotent: bool) -> Hook {
    let yaml = format!("command: [./hook]\ntimeout_s: 30\nidempotent: {idempotent}");
    serde_saphyr::from_str(&yaml).unwrap()
}

fn judged_by(then: Inconclusive) -> Plan {
    let mut plan = Plan { judge: judging(then).judge, ..on_grid(1) };
    let judge = plan.judge.as_mut().unwrap();
    (judge.every_s, judge.max_s) = (30, 60);
    plan
}

fn hooked(name: &'static str, hooks: Hooks) -> Scenario {
    Scenario { inputs: Inputs::answers(), ..one(name, Plan { hooks: Box::new(hooks), ..on_grid(1) }) }
}

/// Plans whose hosts start the release ahead of its flip.
fn ahead() -> Vec<Scenario> {
    let approve = || Some(PlannedApproval { count: 1, four_eyes: true, within_ms: 2 * GRID_MS });
    let plan = |prepare, canary_hosts| Plan { prepare, keep_warm_ms: GRID_MS, ..on_grid(canary_hosts) };
    let two = |name, plan: Plan| Scenario {
        name,
        run: Run::deploy_built(Plan { batch: 2, ..plan }, new(), hosts(2, Some(on_old())), NOW),
        inputs: Inputs::answers(),
    };
    let old_agent = |scenario: Scenario| Scenario { inputs: Inputs { prepares: false, ..scenario.inputs }, ..scenario };
    let answers = |scenario: Scenario| Scenario { inputs: Inputs::answers(), ..scenario };
    let rest_waits = Box::new(Hooks { before_promote: Some(hook(false)), ..Hooks::default() });
    let all_wait = Box::new(Hooks { before_activate: Some(hook(false)), ..Hooks::default() });
    let irreversible = Some("a column".to_owned());
    let later = vec![PlannedStep { hosts: 2, hold_ms: GRID_MS, check: None, judge: None }];
    vec![
        two("the rest ahead", plan(Prepare::Next, 1)),
        two("two ahead, one of which may be out", Plan { max_unavailable: 1, ..plan(Prepare::All, 1) }),
        two("two canaries, ahead", Plan { irreversible, ..plan(Prepare::All, 2) }),
        two("two steps, the next ahead", Plan { later, ..plan(Prepare::Next, 1) }),
        two("two ahead, but for a hook", Plan { hooks: rest_waits, ..plan(Prepare::All, 1) }),
        one("all ahead", plan(Prepare::All, 1)),
        one("a canary ahead", Plan { approve: approve(), ..plan(Prepare::Next, 1) }),
        old_agent(one("an older agent, ahead", Plan { approve: approve(), ..plan(Prepare::Next, 1) })),
        answers(one("next ahead, no canary", Plan { approve: approve(), keep_warm_ms: 0, ..plan(Prepare::Next, 0) })),
        answers(one("not ahead, and kept warm", plan(Prepare::None, 1))),
        answers(one("ahead, but for a hook", Plan { hooks: all_wait, ..plan(Prepare::All, 1) })),
        Scenario {
            name: "a rollback, ahead",
            run: Run::rollback(plan(Prepare::All, 0), new(), hosts(1, Some(on_old())), NOW),
            inputs: Inputs::fewer(),
        },
    ]
}

pub(super) fn all() -> Vec<Scenario> {
    let check = CanaryCheckPlan::with().check;
    let approve = Some(PlannedApproval { count: 2, four_eyes: true, within_ms: 2 * GRID_MS });
    let way_back = Plan { canary_hosts: 0, hooks: Box::default(), ..on_grid(0) };
    let on_rollback = Hooks { on_rollback: Some(hook(false)), ..Hooks::default() };
    let early = Hooks {
        before_build: Some(hook(false)),
        after_build: Some(hook(true)),
        before_activate: Some(hook(false)),
        ..Hooks::default()
    };
    let later = vec![PlannedStep { hosts: 2, hold_ms: GRID_MS, check: None, judge: None }];
    let two = |name, run| Scenario { name, run, inputs: Inputs::answers() };
    let back = way_back.clone();
    let missing = |name, run| Scenario { name, run, inputs: Inputs { misses: true, ..Inputs::fewer() } };
    let mut all = ahead();
    all.extend([
        with_everything(one("a canary", on_grid(1))),
        one("no canary", on_grid(0)),
        one("a query", Plan { check: check.clone(), ..on_grid(1) }),
        one("a judge that holds", judged_by(Inconclusive::Hold)),
        one("a judge that asks a person, and a query", Plan { check, ..judged_by(Inconclusive::PromoteNeedsPerson) }),
        Scenario {
            inputs: Inputs::answers(),
            ..one("approvals, no canary", Plan { approve: approve.clone(), ..on_grid(0) })
        },
        one("approvals", Plan { approve, ..on_grid(1) }),
        // one by one: what of several has ended multiplies the states
        one("early hooks", Plan { hooks: Box::new(early), ..on_grid(1) }),
        hooked("a hook before the promotion", Hooks { before_promote: Some(hook(false)), ..Hooks::default() }),
        hooked("a hook after the promotion", Hooks { after_promote: Some(hook(false)), ..Hooks::default() }),
        hooked("a hook of the way back", on_rollback.clone()),
        one("a cluster that can be paused", Plan { handed: true, pauses: true, ..on_grid(1) }),
        one("what cannot be undone", Plan { irreversible: Some("a column".into()), ..on_grid(1) }),
        one("a host that may be out", Plan { max_unavailable: 1, ..on_grid(1) }),
        Scenario {
            name: "a first release",
            run: Run::deploy(on_grid(1), hosts(1, Some(Running::Nothing)), NOW),
            inputs: Inputs::likely(),
        },
        Scenario {
            name: "a host that is away, and an artifact that is at hand",
            run: Run::deploy_built(on_grid(1), new(), hosts(1, None), NOW),
            inputs: Inputs::likely(),
        },
        Scenario { name: "no host", run: Run::deploy(on_grid(1), Vec::new(), NOW), inputs: Inputs::likely() },
        Scenario {
            name: "a rollback",
            run: Run::rollback(
                Plan { hooks: Box::new(on_rollback), ..way_back.clone() },
                new(),
                hosts(1, Some(on_old())),
                NOW,
            ),
            inputs: Inputs::likely(),
        },
        Scenario {
            name: "a rollback to what is kept warm",
            run: Run::rollback(way_back.clone(), new(), hosts(1, Some(on_old())), NOW).with_warm(|_| true),
            inputs: Inputs::likely(),
        },
        two("a rollback of two", Run::rollback(Plan { batch: 2, ..way_back }, new(), hosts(2, Some(on_old())), NOW)),
        two("two hosts", Run::deploy(Plan { batch: 1, ..on_grid(1) }, hosts(2, Some(on_old())), NOW)),
        one("two steps", Plan { later, ..on_grid(1) }),
        missing("an artifact that is built again", Run::deploy_built(on_grid(0), new(), hosts(1, Some(on_old())), NOW)),
        missing("a rollback to what is built again", Run::rollback(back, new(), hosts(1, Some(on_old())), NOW)),
    ]);
    all
}

//! Every state that one or two hosts can get a deploy into, by every input in every state. Time moves to the next wake and
//! nowhere else, so that there is an end to them. From each a final state is reached: by the world alone where nobody is
//! waited for, by a person's word where one is.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use super::*;
use crate::pipeline::HookAt;

mod alphabet;
mod rules;
mod scenarios;

use alphabet::{Inputs, KINDS, kind};
use rules::{by_person, check_step};

const NOW: Timestamp = Timestamp(1_000_000_000);
/// All times of the plans are multiples of it, so that the moments at which something is due stay few.
const GRID_MS: i64 = 30_000;
/// More states than this are no closure: a time or a count of the run then grows without an end.
const STATES_MAX: usize = 60_000;
/// Wakes that may pass until a deploy has ended, or waits for a person.
const WAKES_MAX: usize = 64;
/// Times a person may have to say that it shall end: held, then a way back that failed.
const WORDS_MAX: usize = 3;

/// What was met, of all scenarios.
#[derive(Default)]
struct Met {
    inputs: BTreeSet<(&'static str, &'static str)>,
    edges: BTreeMap<&'static str, BTreeSet<&'static str>>,
    host_states: BTreeSet<&'static str>,
    host_edges: BTreeSet<(&'static str, &'static str)>,
    effects: BTreeSet<&'static str>,
    states: usize,
    steps: usize,
}

/// A reached state, after all its inputs were given.
struct Reached {
    state: State,
    by_tick: usize,
    by_cancel: usize,
    /// Where the world (and, if it waits for one, a person) may lead it.
    leads: Vec<usize>,
}

/// As seen from `now`, without what is only told to people: runs that are equal here behave alike.
fn seen_from(mut run: Run, now: Timestamp) -> Run {
    let back = now.since_ms(NOW);
    let due = |at: Timestamp| at.plus_ms(-back).max(NOW);
    run.entered_at = run.entered_at.plus_ms(-back);
    match run.state_deadline() {
        // however long it is over
        Some(end) => run.entered_at = run.entered_at.plus_ms(NOW.since_ms(end).max(0)),
        None => run.entered_at = NOW,
    }
    run.hold_until = run.hold_until.map(due);
    run.check_until = run.check_until.map(due);
    run.rebuild_until = run.rebuild_until.map(due);
    if let Some(watch) = &mut run.watch {
        watch.since = watch.since.plus_ms(-back).max(NOW.plus_ms(-10 * GRID_MS));
        watch.ask_at = due(watch.ask_at);
        watch.last = None;
    }
    if let Some(hook) = &mut run.hook {
        hook.until = due(hook.until);
    }
    // who has agreed counts until enough have
    run.approvals.sort_by(|a, b| a.by.cmp(&b.by));
    run.approvals.truncate(run.plan.approve.as_ref().map_or(0, |asked| asked.count));
    for approval in &mut run.approvals {
        approval.at = NOW;
        if run.state != State::AwaitingApproval {
            (approval.by, approval.name) = (String::new(), String::new());
        }
    }
    for h in &mut run.hosts {
        h.deadline = h.deadline.map(due);
        let gone = h.lost_at.filter(|_| h.may_be_lost()).map(|at| at.plus_ms(-back));
        h.lost_at = gone.or(h.lost_at.and(Some(NOW)));
        h.updated_at = NOW;
        h.message = None;
        // it is only asked whether there are too many
        h.failures = h.failures.min(super::super::step::TRIES_MAX);
        h.restored &= run.state == State::RollingBack;
        // What it runs counts as far as it is what it goes back to; what that was, and how it was, not before the first flip.
        let is_back = match (h.before, h.observed) {
            (Running::Nothing, Running::Nothing) => true,
            (Running::Release { digest, .. }, observed) => observed.is_healthy_on(digest),
            _ => false,
        };
        if let Running::Release { healthy, .. } = &mut h.before {
            *healthy = true;
        }
        h.observed = if is_back { h.before } else { Running::Unknown };
    }
    if run.state.is_final() {
        // nothing comes of what its hosts were at
        run.hosts = run.hosts.iter().map(|h| Host::new(h.name.clone(), None, NOW)).collect();
        run.hooks_ended.clear();
        run.approvals.clear();
        run.rebuilds = 0;
    }
    run.error = run.error.and(Some(String::new()));
    run.judged = None;
    run.steps.clear();
    run
}

/// A new part of a run does not compile here until it is said whether it makes a difference.
fn key(run: &Run) -> Vec<u8> {
    let Run {
        kind: _,
        state,
        plan,
        digest,
        hosts,
        entered_at,
        hold_until,
        check_until,
        watch,
        judged: _,
        builds,
        building,
        rebuilds,
        rebuild_until,
        all_staged,
        steps_total: _,
        steps_passed,
        passed,
        approvals,
        hook,
        hooks_ended,
        held_in,
        // words of an error, and what the next deploy begins with
        paused: _,
        // said, and looked at by no step
        left: _,
        conducted_by: _,
        error,
        steps: _,
    } = run;
    let wanted = new();
    let hosts: Vec<_> = hosts.iter().map(|h| host_key(h, wanted)).collect();
    // what of a plan changes: steps that are left, and hosts that may be out
    let plan = (plan.later.len(), plan.max_unavailable);
    let times = (entered_at, hold_until, check_until, watch, hook, rebuild_until);
    let done = (builds, building, rebuilds, all_staged, steps_passed, passed, held_in, error.is_some());
    serde_json::to_vec(&(state, digest.is_some(), hosts, approvals, hooks_ended, plan, times, done)).unwrap()
}

fn host_key(host: &Host, wanted: Digest) -> impl serde::Serialize + use<> {
    let Host {
        name: _,
        state,
        canary,
        before,
        observed,
        touched,
        beside,
        warm,
        restored,
        lost_at,
        order,
        deadline,
        failures,
        message: _,
        updated_at: _,
    } = host;
    let running = |running: &Running| match running {
        Running::Unknown => 0,
        Running::Nothing => 1,
        Running::Release { digest, healthy } => 2 + u8::from(*healthy) + 2 * u8::from(*digest == wanted),
    };
    let order = order.map(|order| match order {
        Order::Stage { .. } => 0,
        Order::Prepare { .. } => 1,
        Order::Activate { .. } => 2,
        Order::Restore { .. } => 3,
        Order::Deactivate => 4,
    });
    let flags = (*canary, *touched, *beside, *warm, *restored);
    (*state as u8, running(before), running(observed), flags, *lost_at, order, *deadline, *failures)
}

fn effect_word(effect: &Effect) -> &'static str {
    match effect {
        Effect::Build => "build",
        Effect::BuildAgain { .. } => "build_again",
        Effect::StopBuild => "stop_build",
        Effect::Stage { .. } => "stage",
        Effect::Prepare { .. } => "prepare",
        Effect::Flip { .. } => "flip",
        Effect::Discard { after_ms: 0, .. } => "discard",
        Effect::Discard { .. } => "discard_later",
        Effect::Activate { .. } => "activate",
        Effect::Restore { .. } => "restore",
        Effect::Deactivate { .. } => "deactivate",
        Effect::Pause => "pause",
        Effect::RunCheck => "run_check",
        Effect::RunJudge { .. } => "run_judge",
        Effect::RunHook { .. } => "run_hook",
        Effect::StopHook => "stop_hook",
        Effect::Page { .. } => "page",
        Effect::Lock { .. } => "lock",
        Effect::Say(_) => "say",
        Effect::Refuse(_) => "refuse",
    }
}

/// One input, and what the shell answers itself: a host that cannot prepare is ready at once.
fn give(run: &Run, input: &Input, now: Timestamp, inputs: &Inputs, met: &mut Met) -> Run {
    let mut after: Option<Run> = None;
    let mut open = VecDeque::from([input.clone()]);
    while let Some(input) = open.pop_front() {
        let before = after.as_ref().unwrap_or(run);
        let (next, effects) = step(before, input.clone(), now);
        check_step(before, &input, &next, &effects);
        met.steps += 1;
        met.inputs.insert((before.state.word(), kind(&input)));
        met.effects.extend(effects.iter().map(effect_word));
        if !next.state.is_final() {
            let pairs = before.hosts.iter().zip(&next.hosts).filter(|(a, b)| a.state != b.state);
            met.host_edges.extend(pairs.map(|(a, b)| (a.state.word(), b.state.word())));
        }
        after = Some(next);
        for effect in effects.into_iter().filter(|_| !inputs.prepares) {
            if let Effect::Prepare { host, digest } = effect {
                open.push_back(Input::Prepared { host, digest });
            }
        }
    }
    let after = after.expect("the input was given");
    let entered = after.steps.iter().map(|s| s.name).chain(after.state.is_final().then_some(after.state));
    let mut from = run.state;
    for to in entered.filter(|_| !run.state.is_final()) {
        met.edges.entry(from.word()).or_default().insert(to.word());
        from = to;
    }
    after
}

fn closure(name: &str, start: Run, inputs: &Inputs, met: &mut Met) {
    let start = seen_from(start, NOW);
    let mut known = HashMap::from([(key(&start), 0)]);
    let mut open = VecDeque::from([start]);
    let mut reached: Vec<Reached> = Vec::new();
    while let Some(run) = open.pop_front() {
        let (mut by_tick, mut by_cancel, mut leads) = (0, 0, Vec::new());
        met.host_states.extend(run.hosts.iter().map(|h| h.state.word()));
        for input in inputs.of(&run) {
            let now = if input == Input::Tick { run.next_wake().map_or(NOW, |at| at.max(NOW)) } else { NOW };
            let after = give(&run, &input, now, inputs, met);
            let at = if after == run && now == NOW {
                reached.len()
            } else {
                let (after, next) = (seen_from(after, now), known.len());
                *known.entry(key(&after)).or_insert_with(|| {
                    open.push_back(after);
                    next
                })
            };
            match input {
                Input::Tick => by_tick = at,
                Input::Cancel { .. } => by_cancel = at,
                _ => {}
            }
            if !by_person(&input) || run.state.waits_for_person() {
                leads.push(at);
            }
        }
        leads.sort_unstable();
        leads.dedup();
        reached.push(Reached { state: run.state, by_tick, by_cancel, leads });
        assert!(known.len() < STATES_MAX, "{name}: more than {STATES_MAX} states; the last one is {run:#?}");
    }
    met.states += reached.len();
    println!("{name}: {} states, {} steps in all", reached.len(), met.steps);
    every_state_has_an_exit(name, &reached);
}

fn every_state_has_an_exit(name: &str, reached: &[Reached]) {
    let mut back = vec![Vec::new(); reached.len()];
    for (from, r) in reached.iter().enumerate() {
        for &to in &r.leads {
            back[to].push(from);
        }
    }
    let mut open: Vec<usize> = (0..reached.len()).filter(|&at| reached[at].state.is_final()).collect();
    let mut ends = vec![false; reached.len()];
    for &at in &open {
        ends[at] = true;
    }
    while let Some(at) = open.pop() {
        for &from in &back[at] {
            if !std::mem::replace(&mut ends[from], true) {
                open.push(from);
            }
        }
    }
    for (at, r) in reached.iter().enumerate() {
        assert!(ends[at], "{name}: no end is reached from a state that is {}", r.state.word());
        let mut now = rest(name, reached, at);
        for _ in 0..WORDS_MAX {
            if !reached[now].state.is_final() {
                now = rest(name, reached, reached[now].by_cancel);
            }
        }
        assert!(reached[now].state.is_final(), "{name}: {} cannot be ended by a person", reached[at].state.word());
    }
}

/// Where it comes to rest when nobody answers anything.
fn rest(name: &str, reached: &[Reached], from: usize) -> usize {
    let mut at = from;
    for _ in 0..WAKES_MAX {
        if reached[at].state.is_final() || reached[at].state.waits_for_person() {
            return at;
        }
        at = reached[at].by_tick;
    }
    panic!("{name}: when nothing answers, {} goes on for ever", reached[from].state.word());
}

/// The table of the guide, as far as it says where a state goes.
fn told_edges() -> BTreeMap<String, BTreeSet<String>> {
    let guide = include_str!("../../../../../docs/guide/deploys.md");
    let (_, rest) = guide.split_once("\n## States\n").expect("the guide has the states");
    let rows = rest.lines().skip_while(|l| !l.starts_with("| ---")).skip(1).take_while(|l| l.starts_with('|'));
    let mut edges = BTreeMap::new();
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        for state in cells[0].split(", ") {
            let goes = cells[2].split(", ").filter(|word| !word.is_empty()).map(str::to_owned).collect();
            edges.insert(state.trim_matches('`').to_owned(), goes);
        }
    }
    edges
}

#[test]
fn every_reachable_state_has_an_exit_and_the_guide_names_them_all() {
    let mut met = Met::default();
    for scenario in scenarios::all() {
        closure(scenario.name, scenario.run, &scenario.inputs, &mut met);
    }
    println!("{} states, {} steps", met.states, met.steps);
    for state in State::ALL {
        for kind in KINDS {
            assert!(met.inputs.contains(&(state.word(), kind)), "{kind} was never given to a deploy that is {state:?}");
        }
    }
    let host_states = [
        "activating",
        "checking",
        "failed",
        "healthy",
        "prepared",
        "preparing",
        "rolled_back",
        "staged",
        "staging",
        "unreachable",
        "waiting",
    ];
    assert_eq!(met.host_states, host_states.into());
    let ahead = [
        // ordered when it is staged, and again when it comes back
        ("staging", "preparing"),
        ("preparing", "staged"),
        ("prepared", "preparing"),
        ("preparing", "prepared"),
        ("preparing", "failed"),
        ("preparing", "unreachable"),
        ("preparing", "activating"),
        ("prepared", "failed"),
        ("prepared", "unreachable"),
        ("prepared", "activating"),
    ];
    for edge in ahead {
        assert!(met.host_edges.contains(&edge), "no host went this way: {edge:?} of {:?}", met.host_edges);
    }
    let all = [Effect::Build, Effect::StopBuild, Effect::RunCheck, Effect::StopHook];
    assert!(all.iter().all(|e| met.effects.contains(effect_word(e))), "{:?}", met.effects);
    assert_eq!(met.effects.len(), 20, "{:?}", met.effects);
    let told = told_edges();
    assert_eq!(told.keys().cloned().collect::<BTreeSet<_>>(), State::ALL.map(|s| s.word().to_owned()).into());
    for state in State::ALL.map(State::word) {
        let found: BTreeSet<String> = met.edges.get(state).into_iter().flatten().map(|&s| s.to_owned()).collect();
        let told = &told[state];
        assert_eq!(&found, told, "what docs/guide/deploys.md says of where `{state}` goes (right) is not what it does");
    }
}

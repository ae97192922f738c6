//! A simulation tells what happens.

use proptest::prelude::*;
use tenfold_alerting::pipeline::{Context, Effect, Input, Stage, Verdict, explain, simulate};
use tenfold_types::Timestamp;

use crate::{FLAPS, House, at, ends, fires, notifications};

const MIXED: &str = "
route:
  receiver: r
  group_by: [service]
  group_wait: 3s
  group_interval: 7s
  repeat_interval: 20s
  routes:
  - {matchers: [severity=critical], receiver: now, group_wait: 0s, continue: true, group_by: ['...']}
  - {matchers: ['service=~a|b'], receiver: q, mute_time_intervals: [second_minute]}
receivers: [{name: r}, {name: q}, {name: now}]
time_intervals: [{name: second_minute, time_intervals: [{times: [{start_time: '16:01', end_time: '16:02'}]}]}]
inhibit_rules: [{source_matchers: [severity=critical], target_matchers: [severity=warning], equal: [service]}]
";

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    /// A simulation made at a random instant tells each notification and each decision that then happens, at its time,
    /// while the real pipeline is looked at every second and is stored and loaded in between. What `explain` says just
    /// before an alert comes in is what the stages then decide.
    #[test]
    fn simulate_tells_what_happens(
        events in prop::collection::vec((0..150_i64, 0..12_usize, any::<bool>()), 1..60),
        forked in 0..150_i64,
        muted in (0..100_i64, 1..80_i64),
    ) {
        let series = |i: usize| {
            format!("alertname=A{} service={} severity={}", i % 2, ["a", "b", "c"][i % 3], ["warning", "critical"][i / 6])
        };
        let mut house = House::new(MIXED);
        house.flapping = FLAPS;
        house.mute("service=b", muted.0, muted.0 + muted.1);
        let mut inputs: Vec<(i64, Input)> = events
            .iter()
            .map(|(s, i, up)| (*s, if *up { fires(&series(*i), *s) } else { ends(&series(*i), *s) }))
            .collect();
        inputs.sort_by_key(|(second, _)| *second);
        let mut plan = None;
        let mut before = 0;
        for second in 0..240 {
            if second == forked {
                let context = Context { routing: &house.routing, mutes: &house.mutes, flapping: house.flapping };
                let later: Vec<(Timestamp, Input)> =
                    inputs.iter().filter(|(s, _)| *s >= second).map(|(s, i)| (at(*s), i.clone())).collect();
                plan = Some(simulate(context, &house.state, &later, at(239)));
                before = house.effects.len();
            }
            for (_, input) in inputs.iter().filter(|(s, _)| *s == second) {
                check_explained(&mut house, second, input)?;
            }
            house.give(second, Input::Tick);
        }
        prop_assert_eq!(plan.unwrap(), house.effects[before..].to_vec());
    }
}

fn check_explained(house: &mut House, second: i64, input: &Input) -> Result<(), TestCaseError> {
    let Input::Alerts(list) = input else { return Ok(()) };
    let incoming = &list[0];
    // Groups that are due at this very instant change what is known before the alert is looked at.
    house.give(second, Input::Tick);
    let context = Context { routing: &house.routing, mutes: &house.mutes, flapping: house.flapping };
    let why = explain(context, &house.state, &incoming.labels, at(second));
    let known = house.state.alerts.contains_key(&why.fingerprint);
    let from = house.effects.len();
    house.give(second, input.clone());
    if known || incoming.ended.is_some() {
        return Ok(());
    }
    let at_once: Vec<&str> =
        why.routes.iter().filter(|r| r.verdict == Verdict::Send).map(|r| r.receiver.as_str()).collect();
    let told: Vec<&str> = notifications(&house.effects[from..])
        .into_iter()
        .filter(|n| n.new.contains(&why.fingerprint))
        .map(|n| n.receiver.as_str())
        .collect();
    prop_assert_eq!(at_once, told);
    let decided = |stage| -> Vec<String> {
        why.routes.iter().flat_map(|r| &r.decisions).filter(|d| d.stage == stage).map(|d| d.because.clone()).collect()
    };
    let routed: Vec<String> = house.effects[from..]
        .iter()
        .filter_map(|p| match &p.effect {
            Effect::Decided(d) if d.stage == Stage::Route => Some(d.because.clone()),
            _ => None,
        })
        .collect();
    prop_assert_eq!(decided(Stage::Route), routed);
    Ok(())
}

//! Ramps with a clock that the test moves: data-driven cases, then what holds for every sequence of inputs.

#![expect(clippy::unwrap_used, reason = "a test that fails should panic where it fails")]

use proptest::prelude::*;
use tenfold_flags::{
    Comparison, Condition, Guard, NoData, Ramp, RampEffect, RampInput, RampPlan, RampState, RampStep, Reading, Share,
    Stance, TripAction, WaitAction,
};
use tenfold_judge::{Before, Judge, Report, Settings, Verdict};
use tenfold_types::Timestamp;

const HOUR_MS: i64 = 3_600_000;

fn steps(percents: &[u8]) -> Vec<RampStep> {
    percents
        .iter()
        .map(|percent| RampStep { percent: Share::percent(*percent), hold_ms: HOUR_MS, guard: None })
        .collect()
}

fn start(percents: &[u8]) -> Ramp {
    Ramp::start(RampPlan::of(steps(percents)), "mei", Timestamp(0)).unwrap().0
}

fn guard() -> Guard {
    Guard::threshold("errors", Comparison::Below, 0.05)
}

fn guarded(percents: &[u8], guard: Guard) -> Ramp {
    let plan = RampPlan { guard: Some(guard), ..RampPlan::of(steps(percents)) };
    Ramp::start(plan, "mei", Timestamp(0)).unwrap().0
}

fn take(ramp: &mut Ramp, input: RampInput, at: i64) -> Vec<RampEffect> {
    let (next, effects) = ramp.step(&input, Timestamp(at)).unwrap();
    *ramp = next;
    effects
}

fn good(ramp: &mut Ramp, at: i64) -> Vec<RampEffect> {
    take(ramp, RampInput::Reading(Reading::Good { value: 0.01, series: 1 }), at)
}

fn failing(ramp: &mut Ramp, at: i64) -> Vec<RampEffect> {
    take(ramp, RampInput::Reading(Reading::Failing { value: 0.2, series: 1, worst: Vec::new() }), at)
}

fn nothing(ramp: &mut Ramp, at: i64) -> Vec<RampEffect> {
    take(ramp, RampInput::Reading(Reading::no_data("nothing")), at)
}

#[test]
fn steps_are_taken_when_due() {
    let mut ramp = start(&[1, 10, 100]);
    assert_eq!(ramp.percent(), Share::percent(1));
    assert_eq!(take(&mut ramp, RampInput::Tick, HOUR_MS - 1), []);
    assert_eq!(take(&mut ramp, RampInput::Tick, HOUR_MS), [RampEffect::Step { percent: Share::percent(10) }]);
    assert_eq!(take(&mut ramp, RampInput::Tick, HOUR_MS), [], "the step is held");
    let last = take(&mut ramp, RampInput::Tick, 2 * HOUR_MS);
    assert_eq!(last, [RampEffect::Step { percent: Share::percent(100) }, RampEffect::Finished]);
    assert_eq!((ramp.state, ramp.next_at), (RampState::Done, None));
    assert_eq!(take(&mut ramp, RampInput::Tick, 99 * HOUR_MS), []);
    assert!(ramp.step(&RampInput::Stop, Timestamp(0)).is_err(), "a ramp that is over cannot be stopped");
}

#[test]
fn a_long_pause_does_not_skip_steps() {
    let mut ramp = start(&[1, 10, 50, 100]);
    let late = 500 * HOUR_MS;
    assert_eq!(take(&mut ramp, RampInput::Tick, late), [RampEffect::Step { percent: Share::percent(10) }]);
    assert_eq!(take(&mut ramp, RampInput::Tick, late), []);
    assert_eq!(ramp.next_at, Some(Timestamp(late + HOUR_MS)));
    let stored = serde_json::to_string(&ramp).unwrap();
    assert_eq!(serde_json::from_str::<Ramp>(&stored).unwrap(), ramp);
}

#[test]
fn what_an_older_server_stored_still_reads() {
    let old = r#"{"steps":[{"percent":1,"hold_ms":5},{"percent":100}],"position":0,
        "next_at":"2026-11-23T09:00:00Z","state":"running","started_by":"mei"}"#;
    let ramp: Ramp = serde_json::from_str(old).unwrap();
    assert!(ramp.is_running() && ramp.guard_now().is_none());
}

#[test]
fn a_pause_keeps_what_is_left_of_the_hold() {
    let mut ramp = start(&[1, 10]);
    assert_eq!(take(&mut ramp, RampInput::Pause, HOUR_MS / 2), [RampEffect::Paused]);
    assert_eq!(take(&mut ramp, RampInput::Tick, 9 * HOUR_MS), []);
    assert!(ramp.step(&RampInput::Pause, Timestamp(0)).is_err());
    assert_eq!(take(&mut ramp, RampInput::Resume, 10 * HOUR_MS), [RampEffect::Resumed]);
    assert_eq!(ramp.next_at, Some(Timestamp(10 * HOUR_MS + HOUR_MS / 2)));
    take(&mut ramp, RampInput::Extend(HOUR_MS), 10 * HOUR_MS);
    assert_eq!(take(&mut ramp, RampInput::Tick, 11 * HOUR_MS), []);
    let due = 11 * HOUR_MS + HOUR_MS / 2;
    assert_eq!(
        take(&mut ramp, RampInput::Tick, due),
        [RampEffect::Step { percent: Share::percent(10) }, RampEffect::Finished]
    );
}

#[test]
fn hands_go_forth_and_back() {
    let mut ramp = start(&[1, 10, 100]);
    assert_eq!(take(&mut ramp, RampInput::Skip, 5), [RampEffect::Step { percent: Share::percent(10) }]);
    assert_eq!(ramp.next_at, Some(Timestamp(5 + HOUR_MS)), "a step taken by hand is held as long");
    assert_eq!(
        take(&mut ramp, RampInput::Back, 6),
        [RampEffect::Step { percent: Share::percent(1) }, RampEffect::Paused]
    );
    assert!(ramp.step(&RampInput::Back, Timestamp(7)).unwrap_err().0.contains("first step"));
    take(&mut ramp, RampInput::Skip, 8);
    assert_eq!(
        take(&mut ramp, RampInput::Skip, 9),
        [RampEffect::Step { percent: Share::percent(100) }, RampEffect::Finished]
    );
    let mut other = start(&[1, 10]);
    assert_eq!(take(&mut other, RampInput::Stop, 1), [RampEffect::Stopped { percent: Share::percent(1) }]);
    assert_eq!(other.state, RampState::Stopped);
}

#[test]
fn a_single_step_is_done_at_once() {
    assert_eq!(start(&[100]).state, RampState::Done);
}

#[test]
fn bad_plans_are_refused() {
    for (percents, words) in [(&[][..], "1 to 20"), (&[10, 10], "rise"), (&[50, 10], "rise")] {
        let said = RampPlan::of(steps(percents)).check().unwrap_err();
        assert!(said.contains(words), "{said}");
    }
    let negative = RampPlan::of(vec![RampStep { percent: Share::percent(1), hold_ms: -1, guard: None }]);
    assert!(negative.check().unwrap_err().contains("held"));
}

#[test]
fn a_guarded_step_waits_for_good_readings() {
    let mut ramp = guarded(&[1, 10], guard());
    for at in [HOUR_MS - 2_000, HOUR_MS - 1_000] {
        assert_eq!(good(&mut ramp, at), []);
    }
    let waits = take(&mut ramp, RampInput::Tick, HOUR_MS);
    assert_eq!(waits, [RampEffect::Waiting { why: "the guard has 2 of 3 good readings".into() }]);
    assert_eq!(take(&mut ramp, RampInput::Tick, HOUR_MS + 1), [], "said once");
    assert_eq!(good(&mut ramp, HOUR_MS + 2), [RampEffect::Step { percent: Share::percent(10) }]);
    assert_eq!(ramp.state, RampState::Running, "the last step is watched too");
    for at in 1..=3 {
        good(&mut ramp, 2 * HOUR_MS + at);
    }
    assert_eq!(ramp.state, RampState::Done);
}

#[test]
fn a_good_reading_that_has_grown_old_opens_nothing() {
    let mut ramp = guarded(&[1, 10], guard());
    for at in 0..10 {
        good(&mut ramp, at);
    }
    let waits = take(&mut ramp, RampInput::Tick, HOUR_MS);
    assert_eq!(waits, [RampEffect::Waiting { why: "the guard has no fresh reading".into() }]);
}

#[test]
fn a_failing_condition_switches_off_with_its_evidence() {
    let mut ramp = guarded(&[1, 10, 100], Guard { for_ms: 10_000, ..guard() });
    good(&mut ramp, 1_000);
    assert_eq!(failing(&mut ramp, 5_000), []);
    assert_eq!(nothing(&mut ramp, 9_000), [], "no data does not end the failing");
    let effects = failing(&mut ramp, 15_000);
    let [RampEffect::Tripped { percent: None, evidence }] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!((evidence.since, evidence.at, evidence.good), (Timestamp(5_000), Timestamp(15_000), 1));
    assert!(matches!(evidence.reading, Reading::Failing { value: 0.2, .. }));
    assert_eq!((ramp.state, ramp.evidence.as_ref()), (RampState::Tripped, Some(evidence)));
    assert_eq!(good(&mut ramp, 20_000), [], "it does not come back by itself");
}

#[test]
fn a_good_reading_in_between_starts_the_failing_anew() {
    let mut ramp = guarded(&[1, 10], Guard { for_ms: 10_000, ..guard() });
    failing(&mut ramp, 1_000);
    good(&mut ramp, 6_000);
    assert_eq!(failing(&mut ramp, 11_000), []);
    assert!(!failing(&mut ramp, 21_000).is_empty());
}

#[test]
fn stepping_back_pauses_and_from_the_first_step_switches_off() {
    let mut ramp = guarded(&[1, 10, 100], Guard { on_fail: TripAction::StepBack, ..guard() });
    take(&mut ramp, RampInput::Skip, 1);
    let effects = failing(&mut ramp, 2);
    assert!(
        matches!(effects.as_slice(), [RampEffect::Tripped { percent: Some(p), .. }] if *p == Share::percent(1)),
        "{effects:?}"
    );
    assert_eq!((ramp.state, ramp.percent()), (RampState::Paused, Share::percent(1)));
    let effects = failing(&mut ramp, 3);
    assert!(matches!(effects.as_slice(), [RampEffect::Tripped { percent: None, .. }]), "watched while paused");
    assert_eq!(ramp.state, RampState::Tripped);
}

#[test]
fn a_wait_for_data_ends_as_the_guard_says() {
    let cases = [
        (WaitAction::Off, RampState::Tripped),
        (WaitAction::Page, RampState::Paused),
        (WaitAction::Hold, RampState::Running),
    ];
    for (then, state) in cases {
        let no_data = NoData { wait_ms_max: HOUR_MS, then };
        let mut ramp = guarded(&[1, 10], Guard { no_data, ..guard() });
        assert!(matches!(nothing(&mut ramp, HOUR_MS).as_slice(), [RampEffect::Waiting { .. }]));
        assert_eq!(nothing(&mut ramp, 2 * HOUR_MS - 1), []);
        let effects = take(&mut ramp, RampInput::Tick, 2 * HOUR_MS);
        assert_eq!(ramp.state, state, "{then:?}");
        let gave_up = matches!(effects.as_slice(), [RampEffect::GaveUp { action, .. }] if *action == then);
        assert_eq!(gave_up, then != WaitAction::Hold, "{effects:?}");
    }
}

#[test]
fn a_step_may_have_a_guard_of_its_own() {
    let mut plan = RampPlan::of(steps(&[1, 10, 100]));
    plan.steps[1].guard = Some(guard());
    let mut ramp = Ramp::start(plan, "mei", Timestamp(0)).unwrap().0;
    assert_eq!(failing(&mut ramp, 1), [], "nobody watches the first step");
    take(&mut ramp, RampInput::Tick, HOUR_MS);
    assert!(!failing(&mut ramp, HOUR_MS + 1).is_empty());
}

fn judged(verdict: Verdict) -> Reading {
    let judge = Judge::lasting(Settings::default(), &Before::default()).unwrap();
    Reading::judged(Report { verdict, ..judge.report() })
}

const VERDICTS: [Verdict; 6] = [
    Verdict::Watching,
    Verdict::Worse,
    Verdict::NotWorse,
    Verdict::NoData,
    Verdict::NotEnoughData,
    Verdict::Inconclusive,
];

fn judging() -> Guard {
    let judge = r#"{"condition": {"judge": {"latency": {"new": "a", "old": "b"}}}}"#;
    serde_json::from_str(judge).unwrap()
}

#[test]
fn one_verdict_of_the_judge_is_enough_and_only_a_good_one() {
    for verdict in VERDICTS {
        let mut ramp = guarded(&[1, 10], judging());
        let early = take(&mut ramp, RampInput::Reading(judged(verdict)), 1_000);
        if verdict == Verdict::Worse {
            let [RampEffect::Tripped { percent: None, evidence }] = early.as_slice() else { panic!("{early:?}") };
            assert!(evidence.reading.words().unwrap().contains("those who have it"), "{evidence:?}");
            continue;
        }
        assert_eq!(early, [], "{verdict:?} before the step is due");
        let due = take(&mut ramp, RampInput::Reading(judged(verdict)), HOUR_MS);
        let went_on = due == [RampEffect::Step { percent: Share::percent(10) }];
        assert_eq!(went_on, verdict == Verdict::NotWorse, "{verdict:?}: {due:?}");
        if !went_on {
            assert!(matches!(due.as_slice(), [RampEffect::Waiting { .. }]), "{verdict:?}: {due:?}");
            let over = 2 * HOUR_MS;
            let gave_up = take(&mut ramp, RampInput::Reading(judged(verdict)), over);
            assert!(matches!(gave_up.as_slice(), [RampEffect::GaveUp { .. }]), "{verdict:?}: {gave_up:?}");
        }
        let stored = serde_json::to_string(&ramp).unwrap();
        assert_eq!(serde_json::from_str::<Ramp>(&stored).unwrap(), ramp);
    }
}

#[test]
fn a_guard_says_what_it_last_saw() {
    let mut ramp = guarded(&[1, 10], guard());
    assert_eq!(ramp.guard_words(), None);
    good(&mut ramp, 1);
    assert_eq!(ramp.guard_words().as_deref(), Some("its guard: 0.01 is < 0.05"));
    nothing(&mut ramp, 2);
    assert_eq!(ramp.guard_words().as_deref(), Some("its guard: nothing"));
    take(&mut ramp, RampInput::Reading(judged(Verdict::NoData)), 3);
    assert_eq!(ramp.guard_words().as_deref(), Some("its guard: no data: those who have it made no request"));
}

#[test]
fn a_judge_of_days_looks_less_often_and_is_not_called_stale() {
    let guard = judging();
    assert_eq!((guard.look_every_ms(0), guard.look_every_ms(2 * HOUR_MS)), (5_000, 60_000));
    let mut ramp = guarded(&[1, 10], judging());
    take(&mut ramp, RampInput::Extend(HOUR_MS), 1);
    take(&mut ramp, RampInput::Reading(judged(Verdict::NotWorse)), 2 * HOUR_MS - 50_000);
    assert_eq!(take(&mut ramp, RampInput::Tick, 2 * HOUR_MS).len(), 1, "50 s old, where it looks every minute");
}

fn any_input() -> impl Strategy<Value = RampInput> {
    prop_oneof![
        4 => Just(RampInput::Tick),
        4 => Just(RampInput::Reading(Reading::Good { value: 0.0, series: 1 })),
        2 => Just(RampInput::Reading(Reading::Failing { value: 1.0, series: 1, worst: Vec::new() })),
        4 => Just(RampInput::Reading(Reading::no_data("nothing"))),
        6 => prop::sample::select(VERDICTS.to_vec()).prop_map(|v| RampInput::Reading(judged(v))),
        1 => Just(RampInput::Pause),
        1 => Just(RampInput::Resume),
        1 => Just(RampInput::Skip),
        1 => Just(RampInput::Back),
        1 => (-5..HOUR_MS).prop_map(RampInput::Extend),
        1 => Just(RampInput::Stop),
    ]
}

fn any_guard() -> impl Strategy<Value = Option<Guard>> {
    let then = prop::sample::select(vec![WaitAction::Page, WaitAction::Off, WaitAction::Hold]);
    let on_fail = prop::sample::select(vec![TripAction::Off, TripAction::StepBack]);
    let one = (0..60_000_i64, 1..5_u32, 0..HOUR_MS, then, on_fail).prop_map(
        |(for_ms, readings_min, wait_ms_max, then, on_fail)| Guard {
            for_ms,
            readings_min,
            on_fail,
            no_data: NoData { wait_ms_max, then },
            ..guard()
        },
    );
    prop::option::weighted(0.8, prop_oneof![3 => one, 1 => Just(judging())])
}

proptest! {
    #[test]
    fn no_sequence_of_inputs_leads_astray(
        guard in any_guard(),
        inputs in prop::collection::vec((any_input(), 0..HOUR_MS / 2), 1..120),
    ) {
        let plan = RampPlan { guard: guard.clone(), ..RampPlan::of(steps(&[1, 5, 25, 100])) };
        let mut ramp = Ramp::start(plan, "mei", Timestamp(0)).unwrap().0;
        let (mut at, mut good_in_step) = (0, 0_u32);
        for (input, passed) in inputs {
            at += passed;
            let now = Timestamp(at);
            let before = ramp.clone();
            let Ok((after, effects)) = ramp.step(&input, now) else {
                let by_hand = !matches!(input, RampInput::Tick | RampInput::Reading(_));
                prop_assert!(by_hand, "only hands are refused");
                continue;
            };
            ramp = after;
            prop_assert!(ramp.position < ramp.steps.len());
            prop_assert_eq!(ramp.next_at.is_some(), ramp.is_running(), "due exactly while running");
            prop_assert_eq!(ramp.remaining_ms.is_some(), ramp.state == RampState::Paused);
            let stance = if let RampInput::Reading(reading) = &input { Some(reading.stance()) } else { None };
            if stance == Some(Stance::Good) {
                good_in_step += 1;
            }
            let rose = ramp.position > before.position;
            let by_itself = matches!(input, RampInput::Tick | RampInput::Reading(_));
            if rose && by_itself {
                prop_assert_eq!(ramp.position, before.position + 1, "one step at a time");
                prop_assert!(before.next_at.is_some_and(|due| due <= now), "not before it is due");
                if let Some(guard) = &guard {
                    let judges = matches!(guard.condition, Condition::Judge(_));
                    let wanted = if judges { 1 } else { guard.readings_min };
                    prop_assert!(good_in_step >= wanted, "no data is never good");
                    prop_assert!(!matches!(stance, Some(Stance::Failing | Stance::Unknown)), "{:?}", input);
                }
            }
            if ramp.position != before.position || matches!(input, RampInput::Resume) {
                good_in_step = 0;
            }
            let tripped = effects.iter().any(|e| matches!(e, RampEffect::Tripped { .. }));
            if tripped {
                prop_assert!(before.is_live() && stance == Some(Stance::Failing), "{:?}", input);
            }
            if !before.is_live() {
                prop_assert_eq!(&ramp, &before, "an end stays an end");
                prop_assert!(effects.is_empty());
            }
        }
        // Every state has an exit.
        if ramp.is_live() {
            let (stopped, _) = ramp.step(&RampInput::Stop, Timestamp(at)).unwrap();
            prop_assert_eq!(stopped.state, RampState::Stopped);
        }
        // Without any further data a running ramp comes to rest, unless its author wanted it to wait.
        let waits = guard.as_ref().is_some_and(|g| g.no_data.then == WaitAction::Hold);
        for _ in 0..20 {
            at += 2 * HOUR_MS;
            ramp = ramp.step(&RampInput::Tick, Timestamp(at)).unwrap().0;
        }
        prop_assert!(waits || !ramp.is_running(), "{:?}", ramp.state);
    }
}

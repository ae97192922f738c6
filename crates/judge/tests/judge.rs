//! The judge as a whole: verdicts that people would give, and the ones they must never be given.

use proptest::prelude::*;
use tenfold_judge::{
    Before, Bin, Bounds, Bucket, Count, Counter, HistogramBin, Increases, Judge, Look, Settings, Verdict, Watched,
};

const SECOND_MS: i64 = 1_000;

fn settings() -> Settings {
    Settings { wait_ms_max: 600 * SECOND_MS, ..Settings::default() }
}

fn look(second: i64, canary: Count, control: Count) -> Look {
    Look { at_ms: second * SECOND_MS, errors: Bin { canary, control }, latency: None }
}

/// Looks once a second until the verdict is final.
fn watch(mut judge: Judge, each: impl Fn(i64) -> Look) -> (Judge, Verdict, i64) {
    for second in 0..=600 {
        let verdict = judge.step(&each(second));
        if verdict.is_final() {
            return (judge, verdict, second);
        }
    }
    panic!("no final verdict after the longest wait");
}

fn judge() -> Judge {
    Judge::new(settings(), &Before::default()).expect("the settings are fine")
}

#[test]
fn a_bad_release_is_worse_within_seconds() {
    let (judge, verdict, seconds) = watch(judge(), |s| look(s, Count::new(3, 100), Count::new(4, 900)));
    assert_eq!(verdict, Verdict::Worse);
    assert!(seconds < 15, "{seconds}");
    let report = judge.report();
    assert!(report.ratio_low > 1.0 && report.ratio.unwrap() > 4.0, "{report:?}");
    assert!(report.series.last().unwrap().errors > report.roll_back_at - 1.0);
}

#[test]
fn a_good_release_is_promoted() {
    let each = |s| look(s, Count::new(u64::from(s % 2 == 0), 100), Count::new(if s % 2 == 0 { 4 } else { 5 }, 900));
    let (judge, verdict, _) = watch(judge(), each);
    assert_eq!(verdict, Verdict::NotWorse);
    assert!(judge.report().ratio_high.unwrap() < 2.0);
}

#[test]
fn a_slower_release_is_worse_though_nothing_fails() {
    let each = |s| Look {
        latency: Some(HistogramBin { canary: vec![20, 50, 30], control: vec![600, 270, 30] }),
        ..look(s, Count::new(0, 100), Count::new(0, 900))
    };
    let (judge, verdict, seconds) = watch(judge().with_latency(&Before::default()), each);
    assert_eq!(verdict, Verdict::Worse);
    assert!(seconds < 20, "{seconds}");
    let last = *judge.report().series.last().unwrap();
    assert!(last.latency.unwrap() > 4.0 && last.errors == 0.0);
}

/// Errors that are proven to be as rare as before within two minutes. Of a hundred requests of the canary `slow` are slow,
/// of the control five.
fn somewhat_slower(second: i64, slow: f64) -> Look {
    let total = |second: i64| (second as f64 * slow) as u64;
    let tail = total(second + 1) - total(second);
    let failed = u64::from(second % 2 == 0);
    Look {
        latency: Some(HistogramBin { canary: vec![100 - tail, tail], control: vec![855, 45] }),
        ..look(second, Count::new(failed, 100), Count::new(5 - failed, 900))
    }
}

/// Slower by so little that it is not proven while the errors are already: no reason to promote it.
#[test]
fn what_may_be_slower_is_not_promoted_for_its_errors() {
    let (mut held_back, mut promoted) = (0, 0);
    for strength in 0..60 {
        let slow = 5.0 + f64::from(strength) * 0.05;
        let mut judge = judge().with_latency(&Before::default());
        for second in 0..=600 {
            let verdict = judge.step(&somewhat_slower(second, slow));
            let report = judge.report();
            let last = *report.series.last().unwrap();
            let as_good = last.promote >= report.promote_at;
            let may_be_slower = last.latency.unwrap() > 3f64.ln();
            held_back += usize::from(as_good && may_be_slower && verdict == Verdict::Watching);
            if verdict.is_final() {
                promoted += usize::from(verdict == Verdict::NotWorse);
                assert!(verdict != Verdict::NotWorse || !may_be_slower, "{slow}: {last:?}");
                break;
            }
        }
        assert!(judge.verdict().is_final(), "{slow}");
    }
    assert!(held_back > 0, "some strength is neither proven nor refuted when the errors are");
    assert!(promoted > 0, "what is as fast is promoted");
}

/// At the end "perhaps slower" is no answer, though the errors were enough for one.
#[test]
fn what_may_be_slower_at_the_end_is_inconclusive() {
    let settings = Settings { wait_ms_max: 200 * SECOND_MS, ..settings() };
    let judge = Judge::new(settings, &Before::default()).unwrap().with_latency(&Before::default());
    let (judge, verdict, seconds) = watch(judge, |s| somewhat_slower(s, 6.8));
    let report = judge.report();
    assert_eq!((verdict, seconds), (Verdict::Inconclusive, 200), "{report:?}");
    assert!(report.promote_evidence() >= report.promote_at, "{report:?}");
}

/// Bad for both: not the release.
#[test]
fn an_outage_of_both_sides_is_nobodys_fault() {
    let each = |s| {
        if s < 120 {
            look(s, Count::new(50, 100), Count::new(450, 900))
        } else {
            look(s, Count::new(1, 100), Count::new(9, 900))
        }
    };
    let (_, verdict, _) = watch(judge(), each);
    assert_ne!(verdict, Verdict::Worse);
}

#[test]
fn what_is_not_known_is_never_good() {
    type Each = fn(i64) -> Look;
    let cases: [(&str, Each, Verdict); 5] = [
        ("no traffic", |s| look(s, Count::default(), Count::default()), Verdict::NoData),
        ("no canary traffic", |s| look(s, Count::default(), Count::new(4, 900)), Verdict::NoData),
        ("no control traffic", |s| look(s, Count::new(0, 100), Count::default()), Verdict::NoData),
        ("no errors anywhere", |s| look(s, Count::new(0, 100), Count::new(0, 900)), Verdict::NotEnoughData),
        (
            "one request a minute",
            |s| look(s, Count::new(0, u64::from(s % 60 == 0)), Count::new(u64::from(s % 90 == 0), 9)),
            Verdict::NotEnoughData,
        ),
    ];
    for (name, each, expected) in cases {
        let (judge, verdict, _) = watch(judge(), each);
        assert_eq!(verdict, expected, "{name}");
        assert_eq!(judge.verdict(), expected);
    }
}

#[test]
fn enough_to_see_and_nothing_to_say_is_inconclusive() {
    // 1.3 times the control's errors: between what is tolerated and what is to be ruled out.
    let each = |s| look(s, Count::new(u64::from(s % 20 < 13), 100), Count::new(if s % 2 == 0 { 4 } else { 5 }, 900));
    let (judge, verdict, _) = watch(judge(), each);
    assert_eq!(verdict, Verdict::Inconclusive, "{:?}", judge.report());
}

#[test]
fn a_final_verdict_stays() {
    let (mut judge, verdict, _) = watch(judge(), |s| look(s, Count::new(20, 100), Count::new(4, 900)));
    assert_eq!(verdict, Verdict::Worse);
    for second in 700..900 {
        assert_eq!(judge.step(&look(second, Count::new(0, 1_000), Count::new(90, 900))), Verdict::Worse);
    }
}

#[test]
fn hosts_that_were_unequal_before_are_given_more_room() {
    let hosts = vec![Bin { canary: Count::new(60, 6_000), control: Count::new(270, 54_000) }; 60];
    let judge = Judge::new(settings(), &Before { hosts, ..Before::default() }).unwrap();
    assert!(
        judge.report().tolerated > 2.3,
        "twice the errors before the deploy, nearly, and a margin: {}",
        judge.report().tolerated
    );
    assert!(judge.report().prove_below > judge.report().tolerated, "what is tolerated is not refuted");
    let (_, verdict, _) =
        watch(judge, |s| look(s, Count::new(1, 100), Count::new(if s % 2 == 0 { 4 } else { 5 }, 900)));
    assert_ne!(verdict, Verdict::Worse);
}

/// Evidence for what is not judged would be none at all, and cost half of the other's.
#[test]
fn latency_weighs_only_where_it_was_declared() {
    let each = |s| look(s, Count::new(2, 100), Count::new(4, 900));
    let (alone, verdict, seconds) = watch(judge(), each);
    let (both, _, later) = watch(judge().with_latency(&Before::default()), each);
    assert!(verdict == Verdict::Worse && seconds < later, "{seconds} {later}");
    let (alone, both) = (alone.report(), both.report());
    assert_eq!((alone.series[0].latency, both.series[0].latency), (None, Some(0.0)));
    assert_eq!(alone.series[0].errors, both.series[0].errors);
    assert_eq!(alone.worse_evidence(), alone.series.last().unwrap().errors);
    // Looks with a histogram are no declaration.
    let histogram = Some(HistogramBin { canary: vec![0, 100], control: vec![900, 0] });
    let (_, verdict, _) =
        watch(judge(), |s| Look { latency: histogram.clone(), ..look(s, Count::new(0, 100), Count::new(0, 900)) });
    assert_eq!(verdict, Verdict::NotEnoughData);
}

#[test]
fn hosts_that_were_slower_before_are_given_more_room() {
    let slower = HistogramBin { canary: vec![50, 35, 15], control: vec![630, 225, 45] };
    let each = |s| Look { latency: Some(slower.clone()), ..look(s, Count::new(0, 100), Count::new(0, 900)) };
    let (_, unknown, _) = watch(judge().with_latency(&Before::default()), each);
    assert_eq!(unknown, Verdict::Worse);
    let before = Before { hosts_latency: vec![slower.clone(); 600], ..Before::default() };
    let (_, known, _) = watch(judge().with_latency(&before), each);
    assert_eq!(known, Verdict::NotEnoughData, "they were as slow with the old release");
}

#[test]
fn a_past_that_knows_little_excuses_little() {
    let hosts = vec![Bin { canary: Count::new(0, 60), control: Count::new(1, 540) }; 6];
    let judge = Judge::new(settings(), &Before { hosts, ..Before::default() }).unwrap();
    assert_eq!(judge.report().tolerated, 1.25);
}

#[test]
fn it_goes_on_after_a_restart() {
    let each = |s: i64| look(s, Count::new(u64::from(s % 3 == 0) + 1, 100), Count::new(4, 900));
    let mut whole = judge();
    let mut parts = judge();
    for second in 0..40 {
        whole.step(&each(second));
        let text = serde_json::to_string(&parts).unwrap();
        parts = serde_json::from_str(&text).unwrap();
        parts.step(&each(second));
    }
    let (a, b) = (whole.report(), parts.report());
    assert_eq!(a.verdict, b.verdict);
    assert!((a.series.last().unwrap().errors - b.series.last().unwrap().errors).abs() < 1e-6);
}

#[test]
fn settings_that_make_no_sense_are_named() {
    for (settings, word) in [
        (Settings { alpha: 0.0, ..settings() }, "alpha"),
        (Settings { beta: 1.0, ..settings() }, "beta"),
        (Settings { alpha: f64::NAN, ..settings() }, "alpha"),
        (Settings { tolerate: 0.5, ..settings() }, "tolerate"),
        (Settings { prove_below: 1.0, ..settings() }, "prove_below"),
        (Settings { wait_ms_max: 0, ..settings() }, "wait_ms_max"),
    ] {
        assert!(Judge::new(settings, &Before::default()).unwrap_err().to_string().contains(word), "{word}");
    }
}

#[test]
fn a_lasting_watch_goes_on_after_the_promotion() {
    let mut judge = Judge::lasting(settings(), &Before::default()).unwrap();
    let good = |s| look(s, Count::new(u64::from(s % 2 == 0), 100), Count::new(if s % 2 == 0 { 4 } else { 5 }, 900));
    assert_eq!(judge.so_far(), Verdict::NoData);
    judge.step(&good(0));
    assert_eq!((judge.verdict(), judge.so_far()), (Verdict::Watching, Verdict::NotEnoughData));
    for second in 1..3_600 {
        judge.step(&good(second));
    }
    assert_eq!(judge.verdict(), Verdict::NotWorse, "and no end of its own");
    let found = (0..600).find(|s| {
        judge.step(&look(3_600 + s, Count::new(3, 100), Count::new(5, 900))).is_final()
            && judge.verdict() == Verdict::Worse
    });
    assert!(found.is_some_and(|seconds| seconds < 60), "{found:?}");
    judge.step(&good(9_000));
    assert_eq!(judge.verdict(), Verdict::Worse, "worse is the last word");
}

#[test]
fn what_is_negligible_is_not_bad_and_not_waited_for() {
    let settings = Settings { negligible: Some(0.001), ..settings() };
    let judge = || Judge::new(settings, &Before::default()).unwrap();
    let (clean, verdict, seconds) = watch(judge(), |s| look(s, Count::new(0, 100), Count::new(0, 900)));
    assert_eq!(verdict, Verdict::NotWorse, "{:?}", clean.report());
    assert!((30..120).contains(&seconds), "{seconds}");
    let (_, verdict, _) = watch(judge(), |s| look(s, Count::new(u64::from(s % 50 == 0), 100), Count::new(0, 900)));
    assert_ne!(verdict, Verdict::Worse, "one in 5,000 beside none");
    let (_, verdict, _) = watch(judge(), |s| look(s, Count::new(1, 100), Count::new(0, 900)));
    assert_eq!(verdict, Verdict::Worse, "one in a hundred beside none");
    assert!(Settings { negligible: Some(1.0), ..settings }.check().unwrap_err().0.contains("negligible"));
}

proptest! {
    #[test]
    fn whatever_counters_hold_is_counted_without_a_panic(
        values in prop::collection::vec((0..3usize, prop::collection::vec(prop::option::of(any::<f64>()), 0..30), any::<f64>()), 0..12),
        every_ms in -5i64..100_000,
        age_ms in -5i64..1_000_000,
    ) {
        let bounds = Bounds::new(1_000_000_000, every_ms, 1_000_000_000 + age_ms);
        let counters: Vec<Counter> =
            values.iter().map(|(t, v, _)| Counter { target: t.to_string(), values: v.clone() }).collect();
        let buckets: Vec<Bucket> =
            counters.iter().zip(&values).map(|(c, (_, _, le))| Bucket { le: *le, counter: c.clone() }).collect();
        let mut increases = Increases::new(bounds.len());
        increases.know(&counters);
        let (left, right) = counters.split_at(counters.len() / 2);
        let errors = increases.errors((left, &counters), (right, &counters));
        prop_assert_eq!(errors.len(), bounds.len().saturating_sub(1));
        let latency = increases.latency(&buckets, &buckets).ok();
        for (errors, latency) in [(Some(errors.clone()), latency.clone()), (None, latency), (Some(errors), None)] {
            let watched = Watched { bounds: bounds.clone(), errors, latency, equal_since_ms: Some(0) };
            let report = watched.judge(settings()).unwrap().report();
            prop_assert!(report.series.iter().all(|e| !e.errors.is_nan() && !e.latency.is_some_and(f64::is_nan)));
            watched.newest_ms();
        }
    }

    #[test]
    fn nothing_that_is_counted_makes_it_panic(
        looks in prop::collection::vec((any::<i64>(), any::<[u64; 4]>(), prop::collection::vec(any::<u64>(), 0..6), prop::collection::vec(any::<u64>(), 0..6)), 0..40),
        before in prop::collection::vec(any::<[u64; 4]>(), 0..60),
    ) {
        let bin = |c: [u64; 4]| Bin { canary: Count::new(c[0], c[1]), control: Count::new(c[2], c[3]) };
        let hosts: Vec<Bin> = before.into_iter().map(bin).collect();
        let control = hosts.iter().map(|b| b.control).collect();
        let hosts_latency = looks.iter().map(|(_, _, canary, control)| HistogramBin {
            canary: canary.clone(),
            control: control.clone(),
        });
        let before = Before { hosts_latency: hosts_latency.collect(), control, hosts, ..Before::default() };
        let mut judge = Judge::new(settings(), &before).unwrap().with_latency(&before);
        for (at_ms, counts, canary, control) in looks {
            judge.step(&Look { at_ms, errors: bin(counts), latency: Some(HistogramBin { canary, control }) });
        }
        prop_assert!(judge.report().series.iter().all(|e| !e.errors.is_nan() && !e.worse().is_nan() && !e.promote.is_nan()));
    }
}

use std::sync::Arc;

use tenfold_types::{ErrorCode, Timestamp};

use super::following::{
    Effect, FOLLOWED_MAX, Followed, Following, Input, READERS_OF_ONE_MAX, RUNNING_MAX, STEPS_MAX, Steps,
};

type Core = Following<&'static str>;

fn followed(expr: &str) -> Followed {
    Followed { expr: expr.into(), step_ms: 1_000, offset_ms: 0 }
}

fn join(core: &mut Core, reader: u64, wanted: &[&str], now_ms: i64) {
    let wanted = wanted.iter().map(|expr| followed(expr)).collect();
    let effects = core.step(Input::Join { reader, of: format!("session {reader}"), wanted }, Timestamp(now_ms));
    assert_eq!(effects, [], "nothing is due at the moment somebody comes");
}

/// The evaluations that begin.
fn tick(core: &mut Core, now_ms: i64) -> Vec<(u64, String, Steps)> {
    evaluations(core.step(Input::Tick, Timestamp(now_ms)))
}

fn evaluations(effects: Vec<Effect>) -> Vec<(u64, String, Steps)> {
    let begun = |effect| match effect {
        Effect::Evaluate { evaluation, followed, steps } => Some((evaluation, followed.expr.to_string(), steps)),
        Effect::Wake { .. } => None,
    };
    effects.into_iter().filter_map(begun).collect()
}

/// The readers that are woken by an answer.
fn done(core: &mut Core, evaluation: u64, news: &'static str, failed: bool, now_ms: i64) -> Vec<u64> {
    let effects = core.step(Input::Done { evaluation, news: Arc::new(news), failed }, Timestamp(now_ms));
    let woken = |effect: &Effect| if let Effect::Wake { reader } = effect { Some(*reader) } else { None };
    effects.iter().filter_map(woken).collect()
}

fn take(core: &mut Core, reader: u64) -> Vec<(u32, &'static str, bool)> {
    core.take(reader).into_iter().map(|waiting| (waiting.query, *waiting.news, waiting.missed)).collect()
}

fn steps(from_ms: i64, to_ms: i64) -> Steps {
    Steps { from_ms, to_ms, new_ms: from_ms + 2_000 }
}

#[test]
fn a_step_is_evaluated_once_for_all_who_follow_it() {
    let mut core = Core::default();
    join(&mut core, 1, &["up", "down"], 10_300);
    join(&mut core, 2, &["up"], 10_700);
    assert_eq!(core.next_due_ms(), Some(11_000));
    assert_eq!(tick(&mut core, 10_999), []);
    let begun = tick(&mut core, 11_020);
    let told: Vec<_> = begun.iter().map(|(_, expr, steps)| (expr.as_str(), *steps)).collect();
    assert_eq!(told, [("down", steps(9_000, 11_000)), ("up", steps(9_000, 11_000))], "with the two steps before");
    assert_eq!(tick(&mut core, 11_040), [], "each is under way");
    assert_eq!(done(&mut core, begun[1].0, "a", false, 11_050), [1, 2]);
    assert_eq!(done(&mut core, begun[0].0, "b", false, 11_060), [] as [u64; 0], "the first was woken already");
    assert_eq!(take(&mut core, 1), [(0, "a", false), (1, "b", false)]);
    assert_eq!(take(&mut core, 2), [(0, "a", false)]);
    assert_eq!(take(&mut core, 2), []);
    assert_eq!(core.counts(), (2, 2));
}

#[test]
fn steps_and_offsets_are_told_apart() {
    let mut core = Core::default();
    let wanted = [(1_000, 0), (5_000, 0), (5_000, 2_000)];
    let wanted = wanted.map(|(step_ms, offset_ms)| Followed { step_ms, offset_ms, ..followed("up") }).to_vec();
    core.step(Input::Join { reader: 1, of: String::new(), wanted }, Timestamp(10_000));
    let ends =
        |begun: Vec<(u64, String, Steps)>| begun.iter().map(|(_, _, s)| (s.from_ms, s.to_ms)).collect::<Vec<_>>();
    assert_eq!(ends(tick(&mut core, 11_000)), [(9_000, 11_000)]);
    assert_eq!(ends(tick(&mut core, 12_000)), [(2_000, 12_000)]);
    assert_eq!(ends(tick(&mut core, 15_000)), [(5_000, 15_000)]);
}

#[test]
fn a_slow_reader_gets_the_newest_and_is_told_that_it_missed_some() {
    let mut core = Core::default();
    join(&mut core, 1, &["up"], 10_000);
    join(&mut core, 2, &["up"], 10_000);
    join(&mut core, 3, &["up"], 10_000);
    for (now_ms, news) in [(11_000, "a"), (12_000, "b"), (13_000, "c"), (14_000, "d")] {
        let begun = tick(&mut core, now_ms);
        done(&mut core, begun[0].0, news, false, now_ms);
        assert_eq!(take(&mut core, 1), [(0, news, false)], "the quick one misses nothing");
        if news == "c" {
            assert_eq!(take(&mut core, 3), [(0, news, false)], "two steps are told again, so that it misses nothing");
        }
    }
    assert_eq!(take(&mut core, 2), [(0, "d", true)]);
    let begun = tick(&mut core, 15_000);
    assert_eq!(done(&mut core, begun[0].0, "e", false, 15_000), [1, 2]);
    assert_eq!(take(&mut core, 2), [(0, "e", false)], "and is up to date again");
}

#[test]
fn what_could_not_be_evaluated_is_covered_by_the_next() {
    let mut core = Core::default();
    join(&mut core, 1, &["up"], 10_000);
    let begun = tick(&mut core, 11_000);
    let failed = Input::Done { evaluation: begun[0].0, news: Arc::new("too slow"), failed: true };
    let effects = core.step(failed, Timestamp(13_500));
    assert_eq!(effects[0], Effect::Wake { reader: 1 });
    assert_eq!(take(&mut core, 1), [(0, "too slow", false)], "its failure is told");
    let begun = evaluations(effects);
    assert_eq!(begun[0].2, steps(9_000, 13_000), "the next begins at once, and covers what was skipped");
}

#[test]
fn after_a_long_time_the_rest_is_left_to_a_question() {
    let mut core = Core::default();
    join(&mut core, 1, &["up"], 0);
    let begun = tick(&mut core, 600_000);
    assert_eq!(begun[0].2, Steps { from_ms: 600_000 - (STEPS_MAX - 1) * 1_000, to_ms: 600_000, new_ms: 1_000 });
    done(&mut core, begun[0].0, "a", false, 600_100);
    assert_eq!(take(&mut core, 1), [(0, "a", true)]);
}

#[test]
fn a_clock_that_is_set_back_stops_nothing() {
    let mut core = Core::default();
    join(&mut core, 1, &["up"], 3_600_000);
    assert_eq!(tick(&mut core, 60_000), []);
    assert_eq!(tick(&mut core, 61_000)[0].2, steps(59_000, 61_000));
}

#[test]
fn few_are_evaluated_at_a_time_and_all_get_their_turn() {
    let mut core = Core::default();
    let names: Vec<String> = (0..RUNNING_MAX * 2).map(|i| format!("m{i}")).collect();
    join(&mut core, 1, &names.iter().map(String::as_str).collect::<Vec<_>>(), 10_000);
    let mut begun = tick(&mut core, 11_000);
    assert_eq!(
        (begun.len(), core.next_due_ms()),
        (RUNNING_MAX, None),
        "the others wait for an end, not for an instant"
    );
    let mut seen: Vec<String> = Vec::new();
    // A second passes at each answer: those that waited come before those that are due again.
    let mut now = Timestamp(11_000);
    for _ in &names {
        let (evaluation, expr, _) = begun.remove(0);
        seen.push(expr);
        now = now.plus_ms(1_000);
        let effects = core.step(Input::Done { evaluation, news: Arc::new(""), failed: false }, now);
        begun.extend(evaluations(effects));
    }
    seen.sort();
    assert_eq!(seen, names);
}

#[test]
fn what_nobody_follows_is_not_evaluated() {
    let mut core = Core::default();
    join(&mut core, 1, &["up", "up"], 10_000);
    let begun = tick(&mut core, 11_000);
    core.step(Input::Leave { reader: 1 }, Timestamp(11_100));
    assert_eq!((core.counts(), core.next_due_ms()), ((0, 0), None));
    // Taken up again while the old evaluation still runs, which is nobody's now.
    join(&mut core, 2, &["up"], 11_200);
    assert_eq!(done(&mut core, begun[0].0, "old", false, 11_300), [] as [u64; 0]);
    assert_eq!(tick(&mut core, 12_000).len(), 1);
    assert_eq!(take(&mut core, 1), []);
}

#[test]
fn there_is_room_for_so_many() {
    let mut core = Core::default();
    for reader in 0..READERS_OF_ONE_MAX as u64 {
        core.admit("token", &[followed("up")]).expect("it has room");
        let join = Input::Join { reader, of: "token".into(), wanted: vec![followed("up")] };
        core.step(join, Timestamp(0));
    }
    assert_eq!(core.admit("token", &[followed("up")]).expect_err("one too many").code, ErrorCode::TooMany);
    core.admit("another", &[followed("up")]).expect("others have room");
    let many: Vec<Followed> = (0..FOLLOWED_MAX).map(|i| followed(&format!("m{i}"))).collect();
    assert_eq!(core.admit("another", &many).expect_err("with `up` too many").code, ErrorCode::Unavailable);
    core.admit("another", &many[1..]).expect("just as many");
}

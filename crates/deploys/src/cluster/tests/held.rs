//! Held where the cluster does not say itself who paused it.

use super::*;

#[test]
fn what_is_held_while_it_is_let_go_on_is_let_go_on_by_the_next_order() {
    let reach = || Input::Reach { place: 0, release: release("new"), full: false, within_ms: 60_000 };
    let seen = |pause: Pause| {
        let release = Some(standing_new());
        Input::Seen(Box::new(Seen { phase: Phase::Moving, pause, reached: 0, release, ..Cluster::new(2).seen() }))
    };
    let held_first = [reach(), seen(Pause::None), Input::Hold, Input::Written, seen(Pause::Somebody)];
    // the word to go on is not answered yet when it is held again
    let held_again =
        [reach(), Input::Hold, Input::Written, seen(Pause::None), Input::Written, seen(Pause::Somebody), reach()];
    let mut hand = Handover::new(1, place_names("photos", 2));
    let mut written = Vec::new();
    for input in held_first.into_iter().chain(held_again) {
        let (next, effects) = step(&hand, input, Timestamp(0));
        hand = next;
        written.extend(
            effects.into_iter().filter_map(|e| if let Effect::Write { change, .. } = e { Some(change) } else { None }),
        );
    }
    assert_eq!(written, [Change::Pause, Change::Resume, Change::Pause, Change::Resume]);
}

//! Held where the cluster does not say itself who paused it.

use super::*;

#[test]
fn what_is_held_while_it_is_let_go_on_is_let_go_on_by_the_next_order() {
    let reach = || Input::Reach { place: 0, release: release("new"), full: false, within_ms: 60_000 };
    let seen = |pause: Pause| {
        let release = Some(standing_new());
        Input::Seen(Box::new(Seen { phase: Phase::Moving, pause, reached: 0, release, ..Cluster::new(2).seen() }))
    };
    let held_first = [reach(), seen(Pause::None), Input::Hold, Input::Written { order: 0 }, seen(Pause::Somebody)];
    // the word to go on is not answered yet when it is held again
    let held_again = [
        reach(),
        Input::Hold,
        Input::Written { order: 0 },
        seen(Pause::None),
        Input::Written { order: 0 },
        seen(Pause::Somebody),
        reach(),
    ];
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

/// Another deploy takes over what a hold stopped, also where the cluster does not say who did.
#[test]
fn what_was_held_before_is_let_go_on_and_what_somebody_pauses_is_not() {
    let reach = || Input::Reach { place: 0, release: release("new"), full: false, within_ms: 60_000 };
    let seen = |pause: Pause| {
        let release = Some(standing_new());
        Input::Seen(Box::new(Seen { phase: Phase::Moving, pause, reached: 0, release, ..Cluster::new(2).seen() }))
    };
    let written = |paused: bool, inputs: Vec<Input>| {
        let mut hand = Handover::new(2, place_names("photos", 2)).after_pause(paused);
        let mut written = Vec::new();
        for input in inputs {
            let (next, effects) = step(&hand, input, Timestamp(0));
            hand = next;
            let write = |e: Effect| if let Effect::Write { change, .. } = e { Some(change) } else { None };
            written.extend(effects.into_iter().filter_map(write));
        }
        written
    };
    let back = Input::Restore { place: 0, digest: digest("new"), within_ms: 60_000 };
    let cases = [
        (true, vec![reach(), seen(Pause::Somebody)], true),
        (false, vec![reach(), seen(Pause::Somebody)], false),
        (false, vec![reach(), seen(Pause::Ours)], true),
        (true, vec![reach(), seen(Pause::Theirs)], false),
        // it was seen to go on: whoever pauses it from here on is not us
        (true, vec![reach(), seen(Pause::None), seen(Pause::Somebody)], false),
        (true, vec![back, seen(Pause::Somebody)], true),
    ];
    for (paused, inputs, goes_on) in cases {
        let wanted = if goes_on { vec![Change::Resume] } else { Vec::new() };
        assert_eq!(written(paused, inputs.clone()), wanted, "{paused} {inputs:?}");
    }
}

#[test]
fn a_pause_is_ours_where_we_set_the_field_last() {
    let object = |managers: Option<&[&str]>| {
        let mut object = deployment(json!({}));
        object["spec"]["paused"] = true.into();
        object["metadata"]["annotations"]["tenfold.dev/held"] = "paused@3".into();
        if let Some(managers) = managers {
            let owns = json!({"f:spec": {"f:paused": {}}});
            let all = managers.iter().map(|name| json!({"manager": name, "operation": "Update", "fieldsV1": owns}));
            let other =
                json!({"manager": "kubectl", "operation": "Update", "fieldsV1": {"f:spec": {"f:replicas": {}}}});
            object["metadata"]["managedFields"] = all.chain([other]).collect();
        }
        object
    };
    let pause = |object: &Value| kubernetes::seen(kubernetes::Kind::Deployment, Some(object), &[], &[]).pause;
    assert_eq!(pause(&object(None)), Pause::Ours, "the API server does not say");
    assert_eq!(pause(&object(Some(&[]))), Pause::Ours);
    assert_eq!(pause(&object(Some(&["tenfold"]))), Pause::Ours);
    assert_eq!(pause(&object(Some(&["kubectl-rollout"]))), Pause::Theirs, "it was let go on by hand and paused again");
    assert_eq!(pause(&object(Some(&["argocd", "tenfold"]))), Pause::Ours);
}

/// Two ask the cluster, and what was asked before a write may come in after it.
#[test]
fn what_was_seen_before_a_write_does_not_write_it_again() {
    let mut cluster = Cluster::new(2);
    cluster.version = 7;
    let mut hand = Handover::new(1, place_names("photos", 2));
    let mut writes = Vec::new();
    let order = Input::Restore { place: 0, digest: digest("old"), within_ms: 600_000 };
    let standing = Seen { release: Some(standing_new()), phase: Phase::Moving, can_abort: true, ..cluster.seen() };
    let look = || Input::Seen(Box::new(standing.clone()));
    for input in [order, look(), Input::Written { order: 8 }, look()] {
        let (next, effects) = step(&hand, input, Timestamp(0));
        hand = next;
        writes.extend(effects.into_iter().filter(|e| matches!(e, Effect::Write { .. })));
    }
    assert_eq!(writes, [Effect::Write { change: Change::Abort, version: "7".into() }]);
}

//! How a Rollout is read.

use serde_json::{Value, json};

use super::super::kubernetes::{Kind, seen};
use super::super::{Phase, Seen};

#[test]
fn a_rollouts_endless_pauses_are_the_steps() {
    let rollout = |status: Value| {
        json!({
            "metadata": {"name": "photos", "generation": 4, "resourceVersion": "1"},
            "spec": {"strategy": {"canary": {"steps": [
                {"setWeight": 10}, {"pause": {}}, {"setWeight": 50}, {"pause": {"duration": "1m"}}, {"pause": {}}]}}},
            "status": status,
        })
    };
    let told = |status: Value| {
        let seen = seen(Kind::Rollout, Some(&rollout(status)), &[], &[]);
        (seen.phase, seen.places, seen.reached)
    };
    let paused = json!([{"reason": "CanaryPauseStep"}]);
    let at = |step: u64| {
        json!({"observedGeneration": "4", "phase": "Paused", "currentStepIndex": step, "pauseConditions": paused,
            "controllerPause": true, "currentPodHash": "b", "stableRS": "a"})
    };
    assert_eq!(told(at(1)), (Phase::Paused, 3, 1));
    assert_eq!(told(at(3)), (Phase::Moving, 3, 1), "a pause with a duration ends by itself");
    assert_eq!(told(at(4)), (Phase::Paused, 3, 2));
    let mut unpausing = at(1);
    unpausing["pauseConditions"] = Value::Null;
    assert_eq!(told(unpausing), (Phase::Moving, 3, 1), "a step that was passed is not taken back meanwhile");
    let mut arriving = at(1);
    (arriving["pauseConditions"], arriving["controllerPause"]) = (Value::Null, false.into());
    assert_eq!(told(arriving), (Phase::Moving, 3, 0));
    let healthy = json!({"observedGeneration": "4", "phase": "Healthy", "currentPodHash": "b", "stableRS": "b"});
    assert_eq!(told(healthy.clone()), (Phase::Done, 3, usize::MAX));
    let mut older = healthy;
    older["observedGeneration"] = "3".into();
    assert_eq!(told(older), (Phase::Moving, 3, 0));
    assert_eq!(told(json!({"observedGeneration": "4", "abort": true, "phase": "Degraded"})).0, Phase::Aborted);
}

/// A person scales it, or holds it and lets it go on, faster than the controller looks.
#[test]
fn what_was_reached_stands_until_the_controller_looks_again() {
    let template = |release: &str| json!({"metadata": {"annotations": {"tenfold.dev/release": release}}});
    let rollout = |status: &Value, observed: &str| {
        let mut status = status.clone();
        status["observedGeneration"] = observed.into();
        json!({
            "metadata": {"name": "photos", "uid": "u", "generation": 6, "resourceVersion": "1",
                "annotations": {"tenfold.dev/held": "paused@6"}},
            "spec": {"paused": true, "template": template("new"), "strategy": {"canary": {"steps": [
                {"setWeight": 10}, {"pause": {}}, {"setWeight": 50}, {"pause": {"duration": "1h"}}]}}},
            "status": status,
        })
    };
    let set = |release: &str| {
        json!({
            "metadata": {"name": "photos-b", "labels": {"rollouts-pod-template-hash": "b"},
                "ownerReferences": [{"controller": true, "uid": "u"}]},
            "spec": {"template": template(release)},
        })
    };
    let told = |status: &Value, observed: &str, release: &str| -> Seen {
        seen(Kind::Rollout, Some(&rollout(status, observed)), &[set(release)], &[])
    };
    let on_its_way = json!({"phase": "Progressing", "currentStepIndex": 3, "currentPodHash": "b", "stableRS": "a"});
    let at_its_step = json!({"phase": "Paused", "currentStepIndex": 1, "currentPodHash": "b", "stableRS": "a",
        "controllerPause": true, "pauseConditions": [{"reason": "CanaryPauseStep"}]});
    let healthy = json!({"phase": "Healthy", "currentStepIndex": 4, "currentPodHash": "b", "stableRS": "b"});
    for (status, reached) in [(&on_its_way, 1), (&at_its_step, 1), (&healthy, usize::MAX)] {
        let late = told(status, "4", "new");
        assert_eq!(
            (late.phase, late.reached),
            (Phase::Moving, reached),
            "nothing is decided on what is late: {status}"
        );
        let older = told(status, "4", "old");
        assert_eq!((older.phase, older.reached), (Phase::Moving, 0), "said of the release before: {status}");
    }
    assert_eq!(told(&at_its_step, "5", "new").phase, Phase::Paused, "our own pause changes nothing");
}

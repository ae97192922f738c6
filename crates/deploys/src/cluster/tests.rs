use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};
use tenfold_types::Timestamp;

use super::watch;
use super::*;
use crate::machine::{Input as Told, Running};

mod held;
mod rollouts;

fn digest(name: &str) -> Digest {
    Digest::of(name.as_bytes())
}

fn release(name: &str) -> Box<Release> {
    Box::new(Release {
        digest: digest(name),
        sha: name.to_owned(),
        deploy: 1,
        images: BTreeMap::from([("web".to_owned(), format!("photos:{name}"))]),
        annotations: BTreeMap::new(),
        job: None,
    })
}

/// A cluster that does what it is told, a bit later: `reached` moves on by itself up to where it waits.
#[derive(Debug, Clone)]
struct Cluster {
    release: &'static str,
    stable: &'static str,
    places: usize,
    reached: usize,
    /// It may go past this many steps.
    free: usize,
    failed: bool,
    paused: bool,
    version: u64,
    sets: usize,
    promoted: Vec<usize>,
}

impl Cluster {
    fn new(places: usize) -> Self {
        Self {
            release: "old",
            stable: "old",
            places,
            reached: places,
            free: places,
            failed: false,
            paused: false,
            version: 1,
            sets: 0,
            promoted: vec![],
        }
    }
    fn seen(&self) -> Seen {
        let done = self.reached >= self.places;
        let phase = match () {
            () if self.failed => Phase::Failed { why: "broken".into() },
            () if done => Phase::Done,
            () if self.reached > self.free => Phase::Paused,
            () => Phase::Moving,
        };
        Seen {
            release: Some(Standing {
                digest: digest(self.release),
                sha: self.release.into(),
                deploy: 0,
                says: String::new(),
            }),
            stable: Some(digest(self.stable)),
            epoch: 1,
            phase,
            pause: if self.paused { Pause::Ours } else { Pause::None },
            places: self.places,
            reached: if done { usize::MAX } else { self.reached },
            can_abort: false,
            said: format!("{} of {}", self.reached, self.places),
            pods: Vec::new(),
            order: self.version,
            version: self.version.to_string(),
        }
    }
    /// Time passes.
    fn work(&mut self) {
        if !self.failed && !self.paused && self.reached < self.places && self.reached <= self.free {
            self.reached += 1;
            self.version += 1;
            if self.reached == self.places {
                self.stable = self.release;
            }
        }
    }
    fn write(&mut self, change: &Change, version: &str) -> Result<(), Refusal> {
        if version != self.version.to_string() {
            return Err(Refusal::Conflict);
        }
        self.version += 1;
        match change {
            Change::Set(release) => {
                assert_ne!(release.sha, self.release, "set to what it is set to");
                self.sets += 1;
                self.release = "new";
                (self.reached, self.free) = (0, 0);
            }
            Change::Promote => {
                self.promoted.push(self.reached);
                self.free = self.reached;
            }
            Change::Finish => self.free = self.places,
            Change::Undo { digest: to } => {
                assert_eq!(*to, digest("old"));
                self.release = "old";
                self.failed = false;
                (self.reached, self.free) = (self.places, self.places);
            }
            Change::Pause => self.paused = true,
            Change::Resume => self.paused = false,
            Change::Retry | Change::Abort | Change::Remove => unreachable!("{change:?}"),
        }
        Ok(())
    }
}

#[derive(Debug, Clone, Copy)]
enum Turn {
    Work,
    Look,
    /// Somebody else writes, so that the next write conflicts.
    Touch,
    Away,
    Break,
    Wait,
}

struct World {
    cluster: Cluster,
    hand: Handover,
    now: Timestamp,
    told: Vec<Told>,
    /// The next write is lost on its way.
    lose: bool,
}

impl World {
    fn new(places: usize) -> Self {
        let mut world = Self {
            cluster: Cluster::new(places),
            hand: Handover::new(1, place_names("photos", places)),
            now: Timestamp(0),
            told: Vec::new(),
            lose: false,
        };
        world.give(Input::Seen(Box::new(world.cluster.seen())));
        world
    }
    fn give(&mut self, input: Input) {
        let (hand, effects) = step(&self.hand, input, self.now);
        self.hand = hand;
        for effect in effects {
            match effect {
                Effect::Tell(input) => self.told.push(input),
                Effect::Look => self.give(Input::Seen(Box::new(self.cluster.seen()))),
                Effect::Write { change, version } => {
                    let answer = if std::mem::take(&mut self.lose) {
                        Err(Refusal::Passing { error: "timeout".into(), retry_after_ms: None })
                    } else {
                        self.cluster.write(&change, &version)
                    };
                    let order = self.cluster.version;
                    self.give(answer.map_or_else(Input::Failed, |()| Input::Written { order }));
                }
                Effect::Check(_) => self.give(Input::Checked(Ok("it would take it".into()))),
                Effect::Say(_) | Effect::Stale { .. } => {}
            }
        }
    }
    fn turn(&mut self, turn: Turn) {
        match turn {
            Turn::Work => self.cluster.work(),
            Turn::Look => self.give(Input::Seen(Box::new(self.cluster.seen()))),
            Turn::Touch => self.cluster.version += 1,
            Turn::Away => self.lose = true,
            Turn::Break => self.cluster.failed = true,
            Turn::Wait => {
                self.now = self.now.plus_ms(3_000);
                self.give(Input::Tick);
            }
        }
    }
    fn reach(&mut self, place: usize) {
        self.give(Input::Reach { place, release: release("new"), full: false, within_ms: 60_000 });
    }
    fn settle(&mut self) {
        for _ in 0..40 {
            for turn in [Turn::Work, Turn::Look, Turn::Wait] {
                self.turn(turn);
            }
        }
    }
    fn answered(&self, place: usize) -> usize {
        let name = place_names("photos", self.cluster.places)[place].clone();
        let is = |t: &&Told| match t {
            Told::Activated { host, .. } | Told::HostFailed { host, .. } => *host == name,
            _ => false,
        };
        self.told.iter().filter(is).count()
    }
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let turn = prop_oneof![
        4 => Just(Turn::Work),
        4 => Just(Turn::Look),
        2 => Just(Turn::Touch),
        2 => Just(Turn::Away),
        1 => Just(Turn::Break),
        2 => Just(Turn::Wait)
    ];
    proptest::collection::vec(turn, 0..40)
}

proptest! {
    /// Whatever happens on the way: each order is answered once, the release is set once, and no step is passed before the
    /// deploy asked for what comes after it.
    #[test]
    fn each_order_is_answered_once_and_no_step_is_passed_unasked(places in 1_usize..4, turns in turns()) {
        let mut world = World::new(places);
        for place in 0..places {
            let promoted = world.cluster.promoted.len();
            world.reach(place);
            for turn in &turns {
                world.turn(*turn);
            }
            world.settle();
            prop_assert_eq!(world.answered(place), 1, "{:?}", world.told);
            prop_assert!(world.cluster.promoted.len() - promoted <= 1);
            prop_assert!(world.cluster.reached <= place + 1, "step {} was passed unasked", place);
            if world.cluster.failed {
                break;
            }
        }
        prop_assert_eq!(world.cluster.sets, 1);
    }

    /// From wherever it is, it goes back to what ran before.
    #[test]
    fn the_way_back_ends(places in 1_usize..4, at in 0_usize..3, turns in turns()) {
        let mut world = World::new(places);
        world.reach(at.min(places - 1));
        for turn in &turns {
            world.turn(*turn);
        }
        world.told.clear();
        for place in 0..places {
            world.give(Input::Restore { place, digest: digest("old"), within_ms: 600_000 });
        }
        world.settle();
        prop_assert_eq!(world.cluster.release, "old");
        for place in 0..places {
            prop_assert_eq!(world.answered(place), 1);
        }
    }

    /// A new runner that knows nothing finds in the cluster what its predecessor did, and does none of it again.
    #[test]
    fn a_new_runner_goes_on(places in 1_usize..4, turns in turns(), cut in 0_usize..40) {
        let mut world = World::new(places);
        world.reach(0);
        for (i, turn) in turns.iter().filter(|t| !matches!(t, Turn::Break)).enumerate() {
            if i == cut {
                world.hand = Handover::new(2, place_names("photos", places));
                world.told.clear();
                world.give(Input::Seen(Box::new(world.cluster.seen())));
                world.reach(0);
            }
            world.turn(*turn);
        }
        world.settle();
        prop_assert_eq!(world.cluster.sets, 1);
        prop_assert_eq!(world.answered(0), 1);
        let of_place = Handover::running(&world.cluster.seen(), 0);
        prop_assert_eq!(of_place, Running::Release { digest: digest("new"), healthy: true });
    }

    #[test]
    fn answers_of_clusters_never_panic(text in "\\PC{0,200}", bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = watch::event(&bytes);
        let _ = watch::list(&bytes);
        let _ = watch::event(text.as_bytes());
        let _ = plain(&text);
    }

    /// After anything, a watch waits for an answer or for a time; what it says it knows comes from a list and what followed.
    #[test]
    fn a_watch_always_goes_on(inputs in proptest::collection::vec(0_u8..8, 0..60)) {
        let mut state = watch::Watch::default();
        let (mut now, mut open) = (Timestamp(0), false);
        let mut asked = false;
        for input in std::iter::once(9).chain(inputs) {
            now = now.plus_ms(700);
            let input = match input {
                0 => watch::Input::Listed { version: "5".into(), objects: BTreeMap::from([("a".into(), json!({}))]) },
                1 => watch::Input::Event(watch::Event::Put { name: "b".into(), object: json!({}), version: "6".into() }),
                2 => watch::Input::Event(watch::Event::Bookmark { version: "7".into() }),
                3 => watch::Input::Event(watch::Event::Expired),
                4 => watch::Input::Ended,
                5 => watch::Input::Failed { error: "x".into(), expired: false },
                6 => watch::Input::Failed { error: "x".into(), expired: true },
                7 => watch::Input::Tick,
                _ => watch::Input::Start,
            };
            let expired = open && matches!(input, watch::Input::Event(watch::Event::Expired));
            if matches!(input, watch::Input::Ended | watch::Input::Failed { .. }) {
                open = false;
            }
            let reopened = |effects: &[watch::Effect]| effects.iter().any(|e| matches!(e, watch::Effect::Watch { .. }));
            let (next, effects) = watch::step(state, input, now);
            for effect in &effects {
                match effect {
                    watch::Effect::List => (asked, open) = (true, false),
                    watch::Effect::Watch { from } => {
                        prop_assert!(!from.is_empty());
                        (asked, open) = (true, true);
                    }
                    watch::Effect::Close => open = false,
                    watch::Effect::Changed | watch::Effect::Away { .. } => {}
                }
            }
            prop_assert!(!expired || (!open && !reopened(&effects)), "a watch whose version is gone goes on");
            prop_assert!(asked);
            if let Some(at) = next.next_wake() {
                prop_assert!(at.since_ms(now) <= 30_000);
            }
            state = next;
        }
    }
}

#[test]
fn a_higher_epoch_in_the_cluster_ends_this_runner() {
    let mut hand = Handover::new(3, place_names("photos", 1));
    let mut seen = Cluster::new(1).seen();
    seen.epoch = 4;
    hand = step(&hand, Input::Seen(Box::new(seen)), Timestamp(0)).0;
    let order = Input::Reach { place: 0, release: release("new"), full: false, within_ms: 1_000 };
    assert_eq!(step(&hand, order, Timestamp(0)).1, [Effect::Stale { highest: 4 }]);
}

#[test]
fn what_is_held_on_its_way_stands_until_it_is_ordered_on_or_back() {
    for back in [false, true] {
        let mut world = World::new(2);
        world.reach(0);
        world.give(Input::Hold);
        assert!(world.cluster.paused);
        world.settle();
        assert_eq!((world.cluster.reached, world.answered(0)), (0, 0), "its time does not run");
        if back {
            world.give(Input::Restore { place: 0, digest: digest("old"), within_ms: 600_000 });
        } else {
            world.reach(0);
        }
        world.settle();
        assert!(!world.cluster.paused);
        let release = if back { "old" } else { "new" };
        assert_eq!((world.cluster.release, world.answered(0)), (release, 1));
    }
    // what stands at its step is not paused by the order after
    let mut world = World::new(2);
    world.reach(0);
    world.settle();
    assert!(!world.cluster.paused && world.cluster.reached == 1);
}

fn standing_new() -> Standing {
    Standing { digest: digest("new"), sha: "new".into(), deploy: 0, says: String::new() }
}

/// The changes that are written while a place is reached and this is seen.
fn written_on(hand: &Handover, phase: Phase) -> Vec<Change> {
    let seen = Seen { phase, reached: 0, release: Some(standing_new()), ..Cluster::new(2).seen() };
    let (_, effects) = step(hand, Input::Seen(Box::new(seen)), Timestamp(0));
    let change = |e: Effect| if let Effect::Write { change, .. } = e { Some(change) } else { None };
    effects.into_iter().filter_map(change).collect()
}

#[test]
fn only_an_abort_of_before_is_tried_again() {
    let reach = |hand: &Handover, place: usize| {
        let order = Input::Reach { place, release: release("new"), full: false, within_ms: 60_000 };
        step(hand, order, Timestamp(0)).0
    };
    let new = || Handover::new(1, place_names("photos", 2));
    assert_eq!(written_on(&reach(&new(), 0), Phase::Aborted), [Change::Retry]);
    let on_its_way = reach(&new(), 0);
    let release = Some(standing_new());
    let seen = Seen { phase: Phase::Moving, reached: 0, release, ..Cluster::new(2).seen() };
    let on_its_way = step(&on_its_way, Input::Seen(Box::new(seen)), Timestamp(0)).0;
    assert!(written_on(&on_its_way, Phase::Aborted).is_empty());
    assert!(written_on(&reach(&on_its_way, 1), Phase::Aborted).is_empty());
    // a server that took over knows nothing, but the first step was reached before
    assert!(written_on(&reach(&new(), 1), Phase::Aborted).is_empty());
}

#[test]
fn what_is_late_says_what_was_last_seen() {
    let mut world = World::new(1);
    world.reach(0);
    world.turn(Turn::Look);
    world.now = Timestamp(61_000);
    world.give(Input::Tick);
    let told = world.told.last();
    assert!(
        matches!(told, Some(Told::HostFailed { error, .. }) if error.contains("not get there in time; last seen: 0 of 1")),
        "{told:?}"
    );
}

#[test]
fn a_cluster_that_is_away_is_lost_and_comes_back() {
    let mut world = World::new(2);
    world.told.clear();
    world.give(Input::Away { error: "refused".into() });
    world.give(Input::Away { error: "refused".into() });
    assert_eq!(world.told.len(), 2);
    world.turn(Turn::Look);
    assert!(matches!(&world.told[2..], [Told::Back { .. }, Told::Back { .. }]));
}

fn deployment(status: Value) -> Value {
    json!({
        "metadata": {"name": "photos", "uid": "u", "generation": 2, "resourceVersion": "7",
            "annotations": {"tenfold.dev/epoch": "3"}},
        "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "photos"}}, "template": {
            "metadata": {"labels": {"app": "photos"}}, "spec": {"containers": [{"name": "web", "image": "photos:1", "env": []}]}}},
        "status": status,
    })
}

#[test]
fn a_deployment_is_read_as_kubectl_reads_it() {
    let told = |status: Value| {
        let seen = kubernetes::seen(kubernetes::Kind::Deployment, Some(&deployment(status)), &[], &[]);
        (seen.phase, seen.said)
    };
    let late = json!([{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "it has timed out"}]);
    for (status, phase, words) in [
        (json!({"observedGeneration": 1}), Phase::Moving, "not looked"),
        (
            json!({"observedGeneration": 2, "replicas": 3, "updatedReplicas": 1}),
            Phase::Moving,
            "1 of 3 pods are of the new",
        ),
        (json!({"observedGeneration": 2, "replicas": 4, "updatedReplicas": 3}), Phase::Moving, "1 old pods"),
        (
            json!({"observedGeneration": 2, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 2}),
            Phase::Moving,
            "2 of 3",
        ),
        (
            json!({"observedGeneration": 2, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 3}),
            Phase::Done,
            "3 of 3",
        ),
        (
            json!({"observedGeneration": 2, "conditions": late}),
            Phase::Failed { why: "its progress deadline is exceeded: it has timed out".into() },
            "timed out",
        ),
    ] {
        let (found, said) = told(status);
        assert_eq!(found, phase);
        assert!(said.contains(words), "{said}");
    }
    let seen = kubernetes::seen(kubernetes::Kind::Deployment, Some(&deployment(json!({}))), &[], &[]);
    assert_eq!((seen.epoch, seen.version.as_str()), (3, "7"));
}

#[test]
fn a_patch_marks_the_release_and_a_changed_image_is_another() {
    use kubernetes::{Kind, seen, set};
    let mut object = deployment(json!({}));
    let patch = set(Kind::Deployment, &object, &release("new"), 9, "7").unwrap();
    assert_eq!(patch.body["metadata"], json!({"resourceVersion": "7", "annotations": {"tenfold.dev/epoch": "9"}}));
    assert_eq!(patch.body["spec"]["template"]["spec"]["containers"], json!([{"name": "web", "image": "photos:new"}]));
    object["spec"]["template"]["metadata"]["annotations"] =
        patch.body["spec"]["template"]["metadata"]["annotations"].clone();
    object["spec"]["template"]["spec"]["containers"][0]["image"] = "photos:new".into();
    let standing = seen(Kind::Deployment, Some(&object), &[], &[]).release.unwrap();
    assert_eq!((standing.digest, standing.sha.as_str()), (digest("new"), "new"));
    object["spec"]["template"]["spec"]["containers"][0]["image"] = "photos:hand".into();
    let foreign = seen(Kind::Deployment, Some(&object), &[], &[]).release.unwrap();
    assert!(foreign.digest != digest("new") && foreign.sha.is_empty());
    let mut other = release("new");
    other.images = BTreeMap::from([("db".to_owned(), "x".to_owned())]);
    assert_eq!(set(Kind::Deployment, &object, &other, 9, "7").unwrap_err(), "it has no container `db`; it has web");
}

fn job(version: i64, image: &str) -> Value {
    json!({"ID": "photos", "Version": version, "CreateIndex": 1, "JobModifyIndex": 40, "Stop": false, "Stable": true, "Meta": null,
        "TaskGroups": [{"Name": "web", "Count": 2, "Update": {"Canary": 1},
            "Tasks": [{"Name": "server", "Driver": "docker", "Config": {"image": image}}]}]})
}

#[test]
fn a_job_is_read_with_its_deployment() {
    let deployment = |status: &str, healthy: i64, promoted: bool| {
        json!({"ID": "d", "JobVersion": 3, "JobCreateIndex": 1, "Status": status, "StatusDescription": "x",
            "TaskGroups": {"web": {"DesiredCanaries": 1, "DesiredTotal": 2, "HealthyAllocs": healthy, "Promoted": promoted}}})
    };
    let told = |d: Option<Value>| {
        let seen = nomad::seen(Some(&job(3, "photos:3")), d.as_ref(), &[], &[job(2, "photos:2")]);
        (seen.phase, seen.places, seen.reached, seen.stable.is_some())
    };
    assert_eq!(told(Some(deployment("running", 0, false))), (Phase::Moving, 2, 0, true));
    assert_eq!(told(Some(deployment("running", 1, false))), (Phase::Paused, 2, 1, true));
    assert_eq!(told(Some(deployment("running", 1, true))), (Phase::Moving, 2, 1, true));
    assert_eq!(told(Some(deployment("successful", 2, true))), (Phase::Done, 2, usize::MAX, false));
    assert!(matches!(told(Some(deployment("failed", 0, false))).0, Phase::Failed { .. }));
    assert_eq!(told(None), (Phase::Moving, 2, 0, true));
    let mut other = deployment("successful", 2, true);
    other["JobVersion"] = 2.into();
    assert_eq!(told(Some(other)).0, Phase::Moving, "the deployment of the version before says nothing");
    assert!(nomad::seen(None, None, &[], &[]).release.is_none());
}

#[test]
fn a_job_gets_its_image_and_its_mark() {
    let mut wanted = release("new");
    wanted.images = BTreeMap::from([("web/server".to_owned(), "photos:new".to_owned())]);
    let made = nomad::job(Some(&job(3, "photos:3")), None, &wanted, 5, "photos").unwrap();
    let seen = nomad::seen(Some(&made), None, &[], &[]);
    assert_eq!((seen.release.unwrap().digest, seen.epoch), (digest("new"), 5));
    assert_eq!(nomad::version_of(&[job(1, "a"), made.clone()], digest("new")), Some(3));
    assert_eq!(nomad::register_body(made, "40")["JobModifyIndex"], 40);
    for (change, words) in [
        (("/TaskGroups/0/Update/AutoPromote", json!(true)), "promotes its canaries by itself"),
        (("/ID", json!("other")), "is of the job `other`"),
        (("/TaskGroups/0/Tasks/0/Name", json!("x")), "no task `web/server`"),
        (("/TaskGroups/0/Tasks/0/Config", json!({})), "has no image"),
    ] {
        let mut job = job(3, "photos:3");
        job["TaskGroups"][0]["Update"]["AutoPromote"] = false.into();
        *job.pointer_mut(change.0).unwrap() = change.1;
        let error = nomad::job(Some(&job), None, &wanted, 5, "photos").unwrap_err();
        assert!(error.contains(words), "{error}");
    }
    let refused = json!({"FailedTGAllocs": {"web": {"NodesEvaluated": 2, "DimensionExhausted": {"memory": 2}}}});
    assert_eq!(nomad::plan_refusal(&refused).unwrap(), "the cluster cannot place it: web: memory on 2 nodes");
    assert_eq!(nomad::plan_refusal(&json!({"FailedTGAllocs": null})), None);
}

//! Argo Rollouts: their pauses are our canary steps, and only our judge passes them.

use std::time::Duration;

use serde_json::{Value, json};
use tenfold_app::deploys::Answer;
use tenfold_app::settings::ClusterKind;
use tenfold_tsdb::Sample;
use tenfold_types::Labels;

use crate::kmock::Kmock;
use crate::world::{PATIENCE, World, image, mei, new_deploy};

fn target(canary: &str) -> String {
    format!(
        "    kubernetes:
      cluster: main
      namespace: shop
      rollout: photos
      containers: {{web: {{image_file: dist/image}}}}
      within_s: 40
    canary: {canary}
"
    )
}

async fn world() -> Option<(Kmock, World)> {
    let kmock = Kmock::start().await?;
    let steps = json!([{"setWeight": 25}, {"pause": {}}, {"setWeight": 50}, {"pause": {}}]);
    kmock.create("Rollout", json!({"canary": {"steps": steps}})).await;
    let world = World::new(ClusterKind::Kubernetes, &kmock.url).await;
    Some((kmock, world))
}

/// On its way to the end for as long as anybody likes: past the canary there is a pause with an end of its own.
async fn on_its_way() -> Option<(Kmock, World, i64)> {
    let kmock = Kmock::start().await?;
    let steps = json!([{"setWeight": 25}, {"pause": {}}, {"setWeight": 50}, {"pause": {"duration": "1h"}}]);
    kmock.create("Rollout", json!({"canary": {"steps": steps}})).await;
    let world = World::new(ClusterKind::Kubernetes, &kmock.url).await;
    world.commit(&target("{hold_s: 0}"), &image("photos-one"));
    let number = world.deploy().await.number;
    world.state(number, "promoting").await;
    until(&kmock, "on its way", |thing| thing["status"]["currentStepIndex"] == 3).await;
    Some((kmock, world, number))
}

async fn until(kmock: &Kmock, what: &str, fits: impl Fn(&Value) -> bool) {
    let wait = async {
        while !fits(&kmock.tell(json!({"do": "objects"})).await["things"][0]) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("the rollout never was {what}"));
}

/// The bodies of patches on the status.
async fn said(kmock: &Kmock) -> Vec<Value> {
    let on_status = |patch: &Value| patch["resource"] == "rollouts/status";
    kmock.patches().await.into_iter().filter(on_status).map(|patch| patch["body"]["status"].clone()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_pause_is_a_step_that_is_passed_once() {
    let Some((kmock, mut world)) = world().await else { return };
    world.commit(&target("{hold_s: 1}"), &image("photos-one"));
    let deploy = world.deploy().await;
    let canary = world.state(deploy.number, "canary").await;
    let names: Vec<_> = canary.hosts.iter().map(|h| h.host.as_str()).collect();
    assert_eq!((names, canary.canary_steps), (vec!["photos-canary-1", "photos-canary-2", "photos-rest"], 2));
    let done = world.state(deploy.number, "succeeded").await;
    assert_eq!(done.canary_steps_passed, 2);
    let template = kmock.template().await;
    assert_eq!(template["spec"]["containers"][0]["image"], image("photos-one"));
    assert_eq!(template["spec"]["containers"][1]["image"], "registry.example/proxy:1");
    assert_eq!(said(&kmock).await, vec![json!({"pauseConditions": null}); 2]);

    // a rollback asks nobody, and passes over the steps
    world.commit(&target("{hold_s: 0}"), &image("photos-two"));
    let second = world.deploy().await;
    world.state(second.number, "succeeded").await;
    let back = world.app().deploy_rollback(&mei(), second.number, None).await.unwrap();
    world.state(back.number, "succeeded").await;
    assert_eq!(kmock.template().await["spec"]["containers"][0]["image"], image("photos-one"));
    assert_eq!(said(&kmock).await.last(), Some(&json!({"promoteFull": true})));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_that_fails_its_check_is_aborted_and_undone() {
    let Some((kmock, mut world)) = world().await else { return };
    let before = kmock.template().await;
    world.commit(&target("{hold_s: 0, check: {query: 'vector(1)', max: 0.5}}"), &image("photos-one"));
    let deploy = world.deploy().await;
    let back = world.state(deploy.number, "rolled_back").await;
    assert!(back.error.unwrap_or_default().contains("the canary's check failed"));
    assert_eq!(said(&kmock).await, [json!({"abort": true})]);
    assert_eq!(kmock.template().await, before);
    world.stop().await;
}

/// Counters of pods as a scraper would write them: one in a hundred requests fails, half of the canary's.
async fn count(world: &World, kmock: &Kmock, sums: &mut std::collections::BTreeMap<String, [f64; 2]>) {
    let Value::Array(pods) = kmock.tell(json!({"do": "objects"})).await["pods"].take() else { panic!("no pods") };
    let objects = kmock.tell(json!({"do": "objects"})).await;
    let (new, stable) =
        (&objects["things"][0]["status"]["currentPodHash"], &objects["things"][0]["status"]["stableRS"]);
    let mut samples = Vec::new();
    for pod in pods {
        let name = pod["metadata"]["name"].as_str().unwrap().to_owned();
        let is_canary = new != stable && pod["metadata"]["labels"]["rollouts-pod-template-hash"] == *new;
        let failing = if is_canary { 500.0 } else { 10.0 };
        let sum = sums.entry(name.clone()).or_default();
        *sum = [sum[0] + 1000.0 - failing, sum[1] + failing];
        for (code, value) in [("200", sum[0]), ("500", sum[1])] {
            let labels =
                [(Labels::NAME, "http_requests_total"), ("job", "photos"), ("pod", name.as_str()), ("code", code)];
            samples.push(Sample::new(Labels::from_pairs(labels), world.app().now().millis(), value));
        }
    }
    world.app().metrics.append(&samples).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_judge_compares_pods_and_takes_the_rollout_back() {
    let Some((kmock, mut world)) = world().await else { return };
    let judge = "{hold_s: 1, judge: {host_label: pod, every_s: 1, max_s: 50, errors: {bad: 'http_requests_total{code=\"500\"}', \
                 total: 'http_requests_total'}}}";
    world.commit(&target(judge), &image("photos-one"));
    let deploy = world.deploy().await;
    let mut sums = std::collections::BTreeMap::new();
    // Counting ends by itself: a question to the server that is dropped half way would leave its answer behind.
    let done = std::sync::atomic::AtomicBool::new(false);
    let counting = async {
        let mut tick = tokio::time::interval(Duration::from_millis(200));
        while !done.load(std::sync::atomic::Ordering::Relaxed) {
            tick.tick().await;
            count(&world, &kmock, &mut sums).await;
        }
    };
    let waiting = async {
        let back = world.state(deploy.number, "rolled_back").await;
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        back
    };
    let ((), back) = tokio::join!(counting, waiting);
    assert!(back.error.unwrap_or_default().contains("the judge found the canary worse"));
    assert_eq!(said(&kmock).await, [json!({"abort": true})], "no step was passed\n{}", world.log(deploy.number));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_was_killed_goes_on_and_repeats_nothing() {
    let Some((kmock, mut world)) = world().await else { return };
    // held at the first step, since nothing is known of it
    world.commit(&target("{hold_s: 0, check: {query: nothing_of_this_name, max: 1}}"), &image("photos-one"));
    let deploy = world.deploy().await;
    world.state(deploy.number, "held").await;
    let before = kmock.patches().await.len();
    assert_eq!(before, 1);
    world.restart().await;
    world.state(deploy.number, "held").await;
    let fault = world.app().deploy_start(&mei(), new_deploy()).await.unwrap_err();
    assert!(fault.message.contains("is half way through a rollout"), "{}", fault.message);
    let next = world.app().deploy_next("photos", "production", None).await.unwrap();
    let is_said = next.warnings.iter().any(|warning| warning.contains("is half way through a rollout"));
    assert!(is_said && next.plan.is_empty(), "a rehearsal is refused as well: {next:?}");
    // also where nobody was there while the cluster was away
    kmock.tell(json!({"do": "drop"})).await;
    assert_eq!(kmock.patches().await.len(), before, "what was done is not done again");
    world.app().deploy_promote(&mei(), deploy.number).await.unwrap();
    world.state(deploy.number, "succeeded").await;
    assert_eq!(said(&kmock).await, vec![json!({"pauseConditions": null}); 2]);
    // the server that took over says so before it passes a step, so that the one before is refused should it wake
    let stamps =
        kmock.patches().await.into_iter().filter(|p| p["resource"] == "rollouts" && p["body"]["spec"].is_null());
    let epochs: Vec<Value> =
        stamps.map(|patch| patch["body"]["metadata"]["annotations"]["tenfold.dev/epoch"].clone()).collect();
    assert_eq!(epochs, ["2"]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollout_on_its_way_is_held_goes_on_and_goes_back() {
    let Some((kmock, mut world, number)) = on_its_way().await else { return };
    let answer = async |word| match world.app().deploy_answer(&mei(), number, word, None).await {
        Ok(deploy) => deploy.state,
        Err(fault) => panic!("{}\n{}", fault.message, world.log(number)),
    };
    let is_paused = |thing: &Value| thing["spec"]["paused"] == true;
    assert_eq!(answer(Answer::Hold).await, "held");
    until(&kmock, "paused", is_paused).await;
    let wrong = world.app().deploy(number).await.unwrap();
    assert_eq!((wrong.state.as_str(), wrong.hosts[0].state.as_str()), ("held", "healthy"), "a pause is no way back");
    assert_eq!(answer(Answer::Promote).await, "promoting");
    until(&kmock, "let go on", |thing| !is_paused(thing)).await;
    assert_eq!(answer(Answer::Hold).await, "held");
    until(&kmock, "paused", is_paused).await;
    answer(Answer::Abort).await;
    world.state(number, "rolled_back").await;
    let things = kmock.tell(json!({"do": "objects"})).await["things"].take();
    assert!(!is_paused(&things[0]), "nobody else would let it go on");
    assert_eq!(things[0]["spec"]["template"]["spec"]["containers"][0]["image"], "registry.example/photos:by-hand");
    assert_eq!(said(&kmock).await, [json!({"pauseConditions": null}), json!({"abort": true})]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn holds_that_the_controller_has_not_looked_at_take_nothing_back() {
    let Some((kmock, mut world, number)) = on_its_way().await else { return };
    let answer = async |word| world.app().deploy_answer(&mei(), number, word, None).await.unwrap();
    kmock.tell(json!({"do": "doze"})).await;
    for (word, is_paused) in [(Answer::Hold, true), (Answer::Promote, false), (Answer::Hold, true)] {
        answer(word).await;
        until(&kmock, "held or let go on", |thing| thing["spec"]["paused"] == is_paused).await;
        // longer than a change waits before it is told
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    kmock.tell(json!({"do": "wake"})).await;
    let observed = |thing: &Value| thing["status"]["observedGeneration"].as_str().and_then(|g| g.parse::<i64>().ok());
    until(&kmock, "looked at", |thing| observed(thing) == thing["metadata"]["generation"].as_i64()).await;
    let held = world.app().deploy(number).await.unwrap();
    assert_eq!((held.state.as_str(), held.hosts[0].state.as_str()), ("held", "healthy"), "{}", world.log(number));
    answer(Answer::Abort).await;
    world.state(number, "rolled_back").await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_abort_by_somebody_else_is_not_undone() {
    let Some((kmock, mut world, number)) = on_its_way().await else { return };
    kmock.tell(json!({"do": "abort"})).await;
    let back = world.state(number, "rolled_back").await;
    assert!(back.error.unwrap_or_default().contains("it was aborted"), "{}", world.log(number));
    assert_eq!(said(&kmock).await, [json!({"pauseConditions": null})], "no {{\"abort\": false}}");
    let image = kmock.template().await["spec"]["containers"][0]["image"].clone();
    assert_eq!(image, "registry.example/photos:by-hand");
    world.stop().await;
}

//! Jobs of Nomad.

use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};
use tenfold_app::deploys::Answer;
use tenfold_app::settings::ClusterKind;
use tokio::sync::Mutex;

use crate::nomad_server::{self as server, Nomad, Shared, fields, job};
use crate::world::{PATIENCE, TOKEN, World, image, mei, new_deploy};

fn target(more: &str) -> String {
    format!("    nomad:\n      cluster: main\n      job: photos\n      within_s: 40\n{more}")
}

const TASKS: &str = "      tasks: {web/server: {image_file: dist/image}}\n";

async fn world(first: Option<Value>) -> (Shared, World) {
    let shared: Shared = Arc::new(Mutex::new(Nomad::default()));
    if let Some(first) = first {
        let mut nomad = shared.lock().await;
        nomad.register(first);
        for _ in 0..4 {
            nomad.tick();
        }
    }
    let url = server::start(&shared).await;
    (shared, World::new(ClusterKind::Nomad, &url).await)
}

/// What was written: the last part of the path of every call that is no look and no plan.
async fn written(shared: &Shared) -> Vec<String> {
    let nomad = shared.lock().await;
    assert!(nomad.broken.is_empty(), "not as Nomad's API is described: {:#?}", nomad.broken);
    assert!(nomad.log.iter().all(|asked| asked.token == TOKEN));
    let writes = nomad
        .log
        .iter()
        .filter(|a| a.method != Method::GET && !a.path.ends_with("/plan") && !a.path.ends_with("/parse"));
    let word = |path: &str| {
        let mut parts = path.split('/').skip(2);
        let (kind, rest) = (parts.next().unwrap_or_default(), parts.last().unwrap_or_default());
        if kind == "deployment" {
            path.split('/').nth(3).unwrap_or_default().to_owned()
        } else {
            format!("{kind} {rest}")
        }
    };
    writes.map(|a| word(&a.path).trim().to_owned()).collect()
}

/// Waits until the deployment of what we registered has the status.
async fn deployment_is(shared: &Shared, wanted: &str) {
    let wait = async {
        while shared.lock().await.deployment.as_ref().is_none_or(|d| d["JobVersion"] == 0 || d["Status"] != wanted) {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("its deployment never was {wanted}"));
}

fn image_of(nomad: &Nomad) -> Value {
    nomad.job.as_ref().unwrap()["TaskGroups"][0]["Tasks"][0]["Config"]["image"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_is_planned_registered_promoted_and_taken_back() {
    let (shared, mut world) = world(Some(job("photos:by-hand", 1))).await;
    world.commit(&target(&format!("{TASKS}    canary: {{hold_s: 1}}\n")), &image("photos-one"));
    let deploy = world.deploy().await;
    let canary = world.state(deploy.number, "canary").await;
    assert_eq!(canary.hosts.iter().map(|h| h.host.as_str()).collect::<Vec<_>>(), ["photos-canary-1", "photos-rest"]);
    let done = world.state(deploy.number, "succeeded").await;
    assert_eq!(done.handed_to.as_deref(), Some("job default/photos on main"));
    assert!(done.pods.iter().any(|pod| pod.is_new && pod.state == "healthy"), "{:?}", done.pods);
    assert_eq!(written(&shared).await, ["jobs", "promote"]);
    {
        let nomad = shared.lock().await;
        assert_eq!(image_of(&nomad), image("photos-one"));
        assert_eq!(nomad.job.as_ref().unwrap()["TaskGroups"][0]["Tasks"][0]["Config"]["ports"], json!(["http"]));
        assert!(
            nomad
                .log
                .iter()
                .any(|a| a.path.ends_with("/deployments") && a.query.contains("index=") && a.query.contains("wait=5s"))
        );
        assert!(nomad.log.iter().all(|a| a.query.contains("namespace=default")));
    }
    world.commit(&target(TASKS), &image("photos-two"));
    let second = world.deploy().await;
    world.state(second.number, "succeeded").await;
    let back = world.app().deploy_rollback(&mei(), second.number, None).await.unwrap();
    world.state(back.number, "succeeded").await;
    assert_eq!(image_of(&*shared.lock().await), image("photos-one"));
    assert!(!world.everything(back.number).await.contains(TOKEN), "the token is nowhere");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_that_fails_is_reverted() {
    let (shared, mut world) = world(Some(job("photos:by-hand", 1))).await;
    world.commit(&target(TASKS), &image("broken"));
    let deploy = world.deploy().await;
    let back = world.state(deploy.number, "rolled_back").await;
    let why = back.error.unwrap_or_default();
    assert!(why.contains("Failed due to progress deadline") && why.contains("Failed to pull image"), "{why}");
    assert_eq!(written(&shared).await, ["jobs", "job revert", "promote"]);
    assert_eq!(image_of(&*shared.lock().await), "photos:by-hand");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_that_fails_its_check_fails_the_deployment() {
    let (shared, mut world) = world(Some(job("photos:by-hand", 1))).await;
    let canary = "    canary: {hold_s: 0, check: {query: 'vector(1)', max: 0.5}}\n";
    world.commit(&target(&format!("{TASKS}{canary}")), &image("photos-one"));
    let deploy = world.deploy().await;
    world.state(deploy.number, "rolled_back").await;
    assert_eq!(written(&shared).await, ["jobs", "fail", "job revert", "promote"]);
    assert_eq!(image_of(&*shared.lock().await), "photos:by-hand");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_file_with_variables_is_registered_where_nothing_was() {
    let (shared, mut world) = world(None).await;
    world.write("job.hcl", "variable \"image\" {}\njob \"photos\" {}\n");
    let file = "      file: dist/job.hcl\n      variables: {image: $(dist/image)}\n";
    world.commit(&target(file), &image("photos-one"));
    let deploy = world.deploy().await;
    world.state(deploy.number, "succeeded").await;
    assert_eq!(image_of(&*shared.lock().await), image("photos-one"));
    assert_eq!(written(&shared).await, ["jobs"]);
    let parse = shared.lock().await.log.iter().find(|a| a.path == "/v1/jobs/parse").cloned().unwrap();
    assert_eq!(parse.body["Variables"], format!("image = \"{}\"\n", image("photos-one")));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_name_what_is_missing_and_conflicts_are_tried_again() {
    let (shared, mut world) = world(Some(job("photos:by-hand", 0))).await;
    world.commit(&target(TASKS), &image("photos-one"));
    shared.lock().await.unplaced = json!({"web": {"NodesEvaluated": 2, "DimensionExhausted": {"memory": 2}}});
    let failed = world.deploy().await;
    let why = world.state(failed.number, "failed").await.error.unwrap_or_default();
    assert!(why.contains("the cluster cannot place it: web: memory on 2 nodes"), "{why}");
    shared.lock().await.unplaced = Value::Null;
    shared.lock().await.faults = vec![("/v1/job/photos/plan", 403, "Permission denied"); 3];
    let failed = world.deploy().await;
    let why = world.state(failed.number, "failed").await.error.unwrap_or_default();
    assert!(
        why.contains("may not submit-job in the namespace default") && why.contains("capabilities = [\"submit-job\"]"),
        "{why}"
    );
    assert!(written(&shared).await.is_empty());
    shared.lock().await.faults =
        vec![("/v1/jobs", 500, "Enforcing job modify index 3: job exists with conflicting job modify index: 4")];
    let deploy = world.deploy().await;
    world.state(deploy.number, "succeeded").await;
    assert_eq!(written(&shared).await, ["jobs", "jobs"]);
    assert_eq!(image_of(&*shared.lock().await), image("photos-one"));
    let again = world.app().deploy_start(&mei(), new_deploy()).await.unwrap();
    world.state(again.number, "succeeded").await;
    assert_eq!(written(&shared).await, ["jobs", "jobs"], "what runs already is not registered again");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_was_killed_goes_on_and_repeats_nothing() {
    let (shared, mut world) = world(Some(job("photos:by-hand", 1))).await;
    let canary = "    canary: {hold_s: 0, check: {query: nothing_of_this_name, max: 1}}\n";
    world.commit(&target(&format!("{TASKS}{canary}")), &image("photos-one"));
    let deploy = world.deploy().await;
    world.state(deploy.number, "held").await;
    world.restart().await;
    world.state(deploy.number, "held").await;
    assert_eq!(written(&shared).await, ["jobs"]);
    world.app().deploy_promote(&mei(), deploy.number).await.unwrap();
    world.state(deploy.number, "succeeded").await;
    assert_eq!(written(&shared).await, ["jobs", "promote"]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_on_its_way_is_paused_and_goes_on() {
    let (shared, mut world) = world(Some(job("photos:by-hand", 1))).await;
    world.commit(&target(&format!("{TASKS}    canary: {{hold_s: 0}}\n")), &image("photos-one"));
    shared.lock().await.still = true;
    let deploy = world.deploy().await;
    deployment_is(&shared, "running").await;
    let held = world.app().deploy_answer(&mei(), deploy.number, Answer::Hold, None).await.unwrap();
    assert_eq!(held.state, "held");
    deployment_is(&shared, "paused").await;
    // nothing of it is forgotten with the server
    world.restart().await;
    world.state(deploy.number, "held").await;
    assert_eq!(written(&shared).await, ["jobs", "pause"]);
    world.app().deploy_promote(&mei(), deploy.number).await.unwrap();
    deployment_is(&shared, "running").await;
    shared.lock().await.still = false;
    world.state(deploy.number, "succeeded").await;
    assert_eq!(written(&shared).await, ["jobs", "pause", "pause", "promote"]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_hold_paused_goes_on_under_the_deploy_that_takes_over() {
    let (shared, mut world) = world(Some(job("photos:by-hand", 1))).await;
    world.commit(&target(&format!("{TASKS}    canary: {{hold_s: 0}}\n")), &image("photos-one"));
    shared.lock().await.still = true;
    let first = world.deploy().await;
    deployment_is(&shared, "running").await;
    world.app().deploy_answer(&mei(), first.number, Answer::Hold, None).await.unwrap();
    deployment_is(&shared, "paused").await;
    // the same commit: its job stands there already, and Nomad does not say who paused its deployment
    let second = world.deploy().await;
    let over = world.app().deploy(first.number).await.unwrap();
    assert_eq!(over.state, "failed");
    assert!(over.error.unwrap_or_default().contains("stays paused until the next deploy"));
    deployment_is(&shared, "running").await;
    shared.lock().await.still = false;
    world.state(second.number, "succeeded").await;
    assert_eq!(written(&shared).await, ["jobs", "pause", "pause", "promote"]);
    world.stop().await;
}

/// `NOMAD_OPENAPI=v1/openapi.yaml`: the fields that the tests hold everything against are those of Nomad's description.
#[test]
fn the_fields_are_those_of_nomads_own_description() {
    let Some(path) = std::env::var_os("NOMAD_OPENAPI") else {
        println!("skipped: NOMAD_OPENAPI does not name hashicorp/nomad-openapi's v1/openapi.yaml");
        return;
    };
    let text = std::fs::read_to_string(path).unwrap();
    let options = serde_saphyr::options! { budget: None };
    let document: Value = serde_saphyr::from_str_with_options(&text, options).unwrap();
    let schemas = &document["components"]["schemas"];
    fn kind(schema: &Value) -> String {
        if let Some(name) = schema["$ref"].as_str() {
            return name.rsplit('/').next().unwrap().to_owned();
        }
        match schema["type"].as_str() {
            Some("array") => format!("[{}]", kind(&schema["items"])),
            Some("object") if schema["additionalProperties"].as_object().is_some_and(|p| !p.is_empty()) => {
                format!("{{{}}}", kind(&schema["additionalProperties"]))
            }
            Some("object") => "{any}".to_owned(),
            other => other.unwrap_or("any").to_owned(),
        }
    }
    for (name, own) in fields() {
        for (field, expected) in own {
            let found = &schemas[&name]["properties"][&field];
            assert!(!found.is_null(), "Nomad has no {name}.{field}");
            assert_eq!(kind(found), expected, "{name}.{field}");
        }
    }
}

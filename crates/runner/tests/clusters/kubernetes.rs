//! Deployments.

use serde_json::{Value, json};
use tenfold_app::settings::ClusterKind;

use crate::kmock::Kmock;
use crate::world::{TOKEN, World, image, mei, new_deploy};

const TARGET: &str = "    kubernetes:
      cluster: main
      namespace: shop
      deployment: photos
      containers: {web: {image_file: dist/image}}
      annotations: {example.org/commit: $sha}
      within_s: 40
";

async fn world() -> Option<(Kmock, World)> {
    let kmock = Kmock::start().await?;
    kmock.create("Deployment", Value::Null).await;
    let world = World::new(ClusterKind::Kubernetes, &kmock.url).await;
    Some((kmock, world))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_is_patched_followed_and_taken_back() {
    let Some((kmock, mut world)) = world().await else { return };
    let first = world.commit(TARGET, &image("photos-one"));
    let next = world.app().deploy_next("photos", "production", None).await.unwrap();
    assert_eq!(next.hosts, ["photos"]);
    assert!(
        next.plan.iter().any(|stage| stage.says.contains("web gets the image that dist/image names")),
        "{:?}",
        next.plan
    );
    assert!(
        next.warnings.iter().any(|w| w.contains("runs what no deploy of here set: registry.example/proxy:1")),
        "{:?}",
        next.warnings
    );

    let deploy = world.deploy().await;
    let done = world.state(deploy.number, "succeeded").await;
    assert_eq!(done.handed_to.as_deref(), Some("deployment shop/photos on main"));
    let template = kmock.template().await;
    assert_eq!(template["spec"]["containers"][0]["image"], image("photos-one"));
    assert_eq!(template["spec"]["containers"][0]["env"][0]["name"], "MODE", "what we do not name stays");
    assert_eq!(template["spec"]["containers"][1]["image"], "registry.example/proxy:1");
    assert_eq!(template["metadata"]["annotations"]["example.org/commit"], first);
    let patches = kmock.patches().await;
    assert_eq!(patches.len(), 1, "{patches:#?}");
    assert_eq!(patches[0]["type"], "application/strategic-merge-patch+json");
    assert_eq!(patches[0]["query"]["fieldManager"], "tenfold");
    assert_eq!(patches[0]["token"], format!("Bearer {TOKEN}"));
    assert!(patches[0]["body"]["metadata"]["resourceVersion"].is_string());
    assert!(
        !done.pods.is_empty() && done.pods.iter().any(|pod| pod.is_new && pod.state == "healthy"),
        "{:?}",
        done.pods
    );

    world.commit(TARGET, &image("photos-two"));
    let next = world.app().deploy_next("photos", "production", None).await.unwrap();
    assert_eq!(next.current.unwrap().sha, first, "what runs is what the cluster says");
    let second = world.deploy().await;
    world.state(second.number, "succeeded").await;
    let back = world.app().deploy_rollback(&mei(), second.number, None).await.unwrap();
    world.state(back.number, "succeeded").await;
    assert_eq!(kmock.template().await["spec"]["containers"][0]["image"], image("photos-one"));
    assert!(!world.everything(back.number).await.contains(TOKEN), "the token is nowhere");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_roll_out_goes_back_to_the_revision_before() {
    let Some((kmock, mut world)) = world().await else { return };
    let before = kmock.template().await;
    world.commit(TARGET, &image("broken"));
    let deploy = world.deploy().await;
    let back = world.state(deploy.number, "rolled_back").await;
    let why = back.error.unwrap_or_default();
    assert!(why.contains("progress deadline is exceeded") && why.contains("ImagePullBackOff no such image"), "{why}");
    assert_eq!(kmock.template().await, before, "whatever somebody set by hand stands there again");
    let patches = kmock.patches().await;
    assert_eq!(patches.len(), 2, "{patches:#?}");
    assert_eq!(patches[1]["type"], "application/json-patch+json");
    assert_eq!(patches[1]["body"][0]["op"], "test");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_not_is_told_before_anything_changes() {
    let Some((kmock, mut world)) = world().await else { return };
    world.commit(TARGET, &image("photos-one"));
    kmock.fault("patch", "deployments", 403, 10).await;
    let deploy = world.deploy().await;
    let why = world.state(deploy.number, "failed").await.error.unwrap_or_default();
    for words in
        ["may not patch deployments.apps in the namespace shop", "apiGroups [\"apps\"]", "verbs [\"patch\"]", "403"]
    {
        assert!(why.contains(words), "{words}: {why}");
    }
    assert_eq!(kmock.patches().await.len(), 0, "only dry runs were sent");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_server_deploys_is_left_to_it() {
    let Some((kmock, mut world)) = world().await else { return };
    kmock.tell(json!({"do": "touch", "annotations": {"tenfold.dev/epoch": "4711"}})).await;
    world.commit(TARGET, &image("photos-one"));
    let deploy = world.deploy().await;
    let why = world.state(deploy.number, "failed").await.error.unwrap_or_default();
    assert!(why.contains("a deploy of epoch 4711 has written it") && why.contains("remove the annotation"), "{why}");
    assert_eq!(kmock.patches().await.len(), 0);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn targets_that_cannot_be_are_refused_with_the_reason() {
    let Some((_kmock, mut world)) = world().await else { return };
    for (from, to, words) in [
        ("cluster: main", "cluster: moon", "there is no cluster `moon`; the server's settings know main"),
        ("namespace: shop", "namespace: kube-system", "takes no deploys of the namespace `kube-system`"),
        ("deployment: photos", "deployment: albums", "deployment shop/albums on main: it does not exist (404)"),
    ] {
        world.commit(&TARGET.replace(from, to), "x");
        let fault = world.app().deploy_start(&mei(), new_deploy()).await.unwrap_err();
        assert!(fault.message.contains(words), "{}", fault.message);
    }
    for (from, to, words) in [
        ("{web:", "{db:", "it has no container `db`; it has proxy, web"),
        ("dist/image", "dist/nothing", "the artifact has no file dist/nothing"),
        ("", "", "dist/image must hold one reference with a digest"),
    ] {
        world.commit(&TARGET.replacen(from, to, 1), "latest");
        world.write("image", &image("photos"));
        if !from.is_empty() {
            world.commit(&TARGET.replacen(from, to, 1), &image("photos"));
        }
        let deploy = world.deploy().await;
        let why = world.state(deploy.number, "failed").await.error.unwrap_or_default();
        assert!(why.contains(words), "{words}: {why}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_away_or_busy_does_not_confuse_it() {
    let Some((kmock, mut world)) = world().await else { return };
    world.commit(TARGET, &image("photos-one"));
    let first = world.deploy().await;
    world.state(first.number, "succeeded").await;
    // another writer in between, a limit, watches that end, and one whose version is too old
    kmock.fault("patch", "deployments", 409, 1).await;
    kmock.fault("get", "deployments", 429, 1).await;
    kmock.tell(json!({"do": "expire", "times": 2})).await;
    world.commit(TARGET, &image("photos-two"));
    let second = loop {
        // the start itself asks once, and says so where it is refused
        match world.app().deploy_start(&mei(), new_deploy()).await {
            Ok(deploy) => break deploy,
            Err(fault) => assert!(fault.message.contains("429"), "{}", fault.message),
        }
    };
    kmock.tell(json!({"do": "drop"})).await;
    kmock.tell(json!({"do": "down"})).await;
    kmock.tell(json!({"do": "touch", "annotations": {"somebody": "else"}})).await;
    kmock.tell(json!({"do": "up"})).await;
    world.state(second.number, "succeeded").await;
    let sets: Vec<Value> = kmock.patches().await;
    let taken =
        sets.iter().filter(|p| p["body"]["spec"]["template"]["spec"]["containers"][0]["image"] == image("photos-two"));
    assert!((1..=4).contains(&taken.count()), "{sets:#?}");
    assert_eq!(kmock.template().await["spec"]["containers"][0]["image"], image("photos-two"));
    world.stop().await;
}

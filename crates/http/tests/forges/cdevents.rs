//! What happens is told to sinks in CDEvents, and those of other tools are taken into the record.

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use serde_json::{Value, json};
use tenfold_app::incidents::{NewIncident, Resolution};
use tenfold_app::metrics::{MarkerKind, MarkerQuery};
use tenfold_app::people::{NewToken, TokenKind};
use tenfold_app::{Caller, Role};
use tenfold_types::{Actor, EventDraft, Source};
use tower::ServiceExt;

use crate::schemas::{foreign, schema_of, verdicts};
use crate::world::{FakeForge, SECRET, SHA, World, look, new_deploy};

/// What the sink took: the CloudEvents, in their order.
fn taken(forge: &FakeForge) -> Vec<Value> {
    let asked = forge.told.asked.lock();
    asked.iter().filter(|(_, path, _)| path == "/events").map(|(_, _, body)| body.clone()).collect()
}

fn types(events: &[Value]) -> Vec<String> {
    let short = |e: &Value| {
        let text = e["type"].as_str().unwrap();
        text.trim_start_matches("dev.cdevents.").trim_end_matches(".0.3.0").to_owned()
    };
    events.iter().map(short).collect()
}

/// An event of a deploy as its conductor writes it.
async fn deploy_event(world: &World, number: i64, kind: &'static str) {
    world
        .app
        .transact(move |t| {
            let draft = EventDraft::new(Actor::system(), Source::System, kind, "it goes on");
            t.record(draft.deploy(number).service("photos").environment("production"))?;
            Ok(())
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn what_the_record_holds_is_told_as_the_schemas_want_it() {
    let forge = FakeForge::start().await;
    let world = World::with_sink(&forge.url).await;
    let _host = world.host().await;
    let root = Caller::system();
    world.app.environment_create(&root, "staging").await.unwrap();
    let mut person = Caller::system();
    person.actor = Actor::person("ana");
    let new = |title: &str| NewIncident {
        title: title.into(),
        service: Some("photos".into()),
        environment: None,
        severity: None,
        drill: false,
    };
    let first = world.app.incident_open(&person, new("uploads are slow")).await.unwrap();
    world.app.incident_resolve(&person, first.number, Resolution::default()).await.unwrap();
    world.app.incident_open(&root, new("uploads fail")).await.unwrap();
    let deploy = world.app.deploy_start(&root, new_deploy()).await.unwrap().number;
    world.until("deploy.failed").await;
    for kind in ["deploy.built", "deploy.staged", "deploy.succeeded", "deploy.rolled_back"] {
        deploy_event(&world, deploy, kind).await;
    }
    look(&world, 14).await;
    let events = taken(&forge);
    let of = |id: &str| {
        let own: Vec<Value> =
            events.iter().filter(|e| e["subject"].as_str().unwrap().starts_with(id)).cloned().collect();
        types(&own)
    };
    assert_eq!(of("staging"), ["environment.created"]);
    assert_eq!(of("incident-1"), ["incident.reported", "incident.resolved"]);
    assert_eq!(of("incident-2"), ["incident.detected"]);
    assert_eq!(of("pkg:generic/photos@4f2c91a"), ["artifact.packaged", "artifact.published"]);
    let run = ["queued", "started", "finished", "finished"].map(|word| format!("pipelinerun.{word}"));
    assert_eq!(of(&format!("deploy-{deploy}")), run, "asked for, begun, failed; and what the test wrote");
    let build = ["build.started", "build.finished", "build.finished"];
    assert_eq!(of(&format!("build-{deploy}")), build, "it ended with its deploy; and what the test wrote");
    let outcomes = events.iter().filter_map(|e| e["data"]["subject"]["content"]["outcome"].as_str());
    assert_eq!(outcomes.collect::<Vec<_>>(), ["failure", "success"]);
    let ids: std::collections::BTreeSet<&str> = events.iter().filter_map(|e| e["id"].as_str()).collect();
    assert_eq!(ids.len(), events.len(), "two words of one event are told apart");
    assert_eq!(of("photos"), ["service.deployed"], "nothing ran before, so nothing was gone back to");
    for event in &events {
        assert_eq!((&event["specversion"], &event["data"]["context"]["id"]), (&json!("1.0"), &event["id"]));
    }
    if let Some(dir) = foreign() {
        let judged: Vec<_> = events.iter().map(|e| (schema_of(&e["data"]), e["data"].clone())).collect();
        if let Some(verdicts) = verdicts(&dir, &judged) {
            assert!(verdicts.len() == events.len() && verdicts.iter().all(|good| *good), "{judged:#?}");
        }
    }
    let signed = forge.told.signed.lock();
    let (id, seconds, signature, body) = signed.first().expect("signed").clone();
    let wanted = tenfold_notify::signature(SECRET.as_bytes(), &id, seconds.parse().unwrap(), &body);
    assert_eq!(signature, wanted);
}

#[tokio::test]
async fn the_good_end_of_a_rollback_says_what_runs_again() {
    let forge = FakeForge::start().await;
    let world = World::with_sink(&forge.url).await;
    let _host = world.host().await;
    let back = world.app.deploy_start(&Caller::system(), new_deploy()).await.unwrap().number;
    world.until("deploy.failed").await;
    let of_rollback = "UPDATE deploys SET reverts = number";
    world.app.housekeeping(move |t| Ok(t.tx().execute(of_rollback, &[])?)).await.unwrap();
    deploy_event(&world, back, "deploy.rolled_back").await;
    look(&world, 10).await;
    let events = taken(&forge);
    let content = |event: &Value| event["data"]["subject"]["content"].clone();
    let again = events.iter().find(|event| event["subject"] == "photos").expect("the service is told of");
    assert_eq!(types(std::slice::from_ref(again)), ["service.rolledback"]);
    assert_eq!(content(again)["artifactId"], format!("pkg:generic/photos@{SHA}"));
    let ends: Vec<Value> = events.iter().map(|event| content(event)["outcome"].clone()).collect();
    assert_eq!(ends.iter().filter_map(Value::as_str).collect::<Vec<_>>(), ["failure", "success"]);
}

#[tokio::test]
async fn a_sink_that_is_away_gets_everything_in_order_when_it_is_back() {
    let forge = FakeForge::start().await;
    let world = World::with_sink(&forge.url).await;
    forge.told.next.lock().extend([(503, vec![], json!({})), (500, vec![], json!({}))]);
    for name in ["one", "two", "three"] {
        world.app.environment_create(&Caller::system(), name).await.unwrap();
    }
    look(&world, 1).await;
    assert!(taken(&forge).is_empty());
    look(&world, 1).await;
    assert_eq!(forge.told.next.lock().len(), 1, "not at once again");
    world.clock.advance_ms(1_000);
    look(&world, 1).await;
    world.clock.advance_ms(2_000);
    look(&world, 4).await;
    let subjects: Vec<_> = taken(&forge).iter().map(|e| e["subject"].as_str().unwrap().to_owned()).collect();
    assert_eq!(subjects, ["one", "two", "three"]);
    // what a sink refuses for good is said in the record
    forge.told.next.lock().push((400, vec![], json!({})));
    world.app.environment_create(&Caller::system(), "four").await.unwrap();
    look(&world, 2).await;
    let given_up = world.events("git.not_told").await;
    assert!(given_up.len() == 1 && given_up[0].text.contains("answered 400"), "{given_up:?}");
}

#[tokio::test]
async fn a_sink_is_told_in_the_release_that_it_reads() {
    let forge = FakeForge::start().await;
    let events = format!("{}/events", forge.url);
    let world = World::with_sinks(&forge.url, &[("old", &events), ("new", &events)]).await;
    world.app.environment_create(&Caller::system(), "staging").await.unwrap();
    look(&world, 2).await;
    let mut told: Vec<_> = taken(&forge)
        .iter()
        .map(|e| {
            let context = &e["data"]["context"];
            let version = context["version"].as_str().or(context["specversion"].as_str()).unwrap().to_owned();
            (version, e["type"].as_str().unwrap().to_owned(), e["data"]["subject"]["type"].clone())
        })
        .collect();
    told.sort_by(|a, b| a.0.cmp(&b.0));
    let kind = |version: &str| format!("dev.cdevents.environment.created.{version}");
    let expected =
        [("0.4.1".to_owned(), kind("0.2.0"), json!("environment")), ("0.5.1".to_owned(), kind("0.3.0"), Value::Null)];
    assert_eq!(told, expected);
}

/// One receiver that never answers does not hold the others up.
#[tokio::test]
async fn a_dead_receiver_holds_nobody_up() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dead = format!("http://{}", silent.local_addr().unwrap());
    let forge = FakeForge::start().await;
    let world = World::with_sinks(&forge.url, &[("dead", &dead), ("ci", &format!("{}/events", forge.url))]).await;
    world.app.environment_create(&Caller::system(), "staging").await.unwrap();
    let looking = look(&world, 1);
    tokio::pin!(looking);
    let arrived = async {
        while taken(&forge).is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        () = &mut looking => panic!("the dead one answered"),
        () = arrived => {}
    }
    drop(silent);
    looking.await;
}

async fn send(world: &World, headers: &[(&str, &str)], token: Option<&str>, body: String) -> (StatusCode, Value) {
    let mut request = Request::post("/hooks/cdevents").header(header::HOST, "127.0.0.1");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    let answer = world.router.clone().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
    let status = answer.status();
    let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

#[tokio::test]
async fn events_of_other_tools_are_recorded_once() {
    let forge = FakeForge::start().await;
    let world = World::with_sink(&forge.url).await;
    let new = NewToken {
        name: "argo".into(),
        kind: TokenKind::Robot,
        role: Some(Role::Responder),
        service: None,
        environment: None,
        projects: Vec::new(),
        expires_at: None,
    };
    let token = world.app.token_create(&Caller::system(), new).await.unwrap().secret;
    let token = Some(token.as_str());
    let event = |id: &str| {
        json!({
            "context": {"specversion": "0.6.0-draft", "id": id, "source": "/argo", "timestamp": "2026-11-23T08:59:00Z",
                "type": "dev.cdevents.service.deployed.0.3.0"},
            "subject": {"id": "photos", "content": {"environment": {"id": "production"}, "artifactId": "pkg:oci/photos@1"}},
        })
    };
    let whole = |id: &str| {
        json!({"specversion": "1.0", "id": id, "source": "/argo", "type": "dev.cdevents.service.deployed.0.3.0", "data": event(id)})
            .to_string()
    };
    let structured = [("content-type", "application/cloudevents+json")];
    let (status, said) = send(&world, &structured, token, whole("1")).await;
    assert_eq!((status, &said["result"]), (StatusCode::OK, &json!("recorded")), "{said}");
    assert_eq!(send(&world, &structured, token, whole("1")).await.1["result"], "duplicate");
    let binary = [
        ("content-type", "application/json"),
        ("ce-specversion", "1.0"),
        ("ce-id", "2"),
        ("ce-source", "/argo"),
        ("ce-type", "dev.cdevents.service.deployed.0.3.0"),
    ];
    assert_eq!(send(&world, &binary, token, event("2").to_string()).await.1["result"], "recorded");
    let recorded = world.events("cdevents.service.deployed").await;
    assert_eq!(recorded.len(), 2);
    let first = &recorded[0];
    assert_eq!(first.text, "/argo says service deployed: photos in production");
    assert_eq!((first.subject.service.as_deref(), first.actor.to_string().as_str()), (Some("photos"), "argo"));
    assert!(first.occurred_at < first.recorded_at);
    assert_eq!(first.data["ours"], true, "it is deployed there from here as well");
    let marks = world.app.markers(MarkerQuery { service: Some("photos".into()), ..MarkerQuery::default() }).await;
    assert!(marks.unwrap().iter().any(|mark| mark.seq == first.seq && mark.kind == MarkerKind::Deploy));
    // as tools of an older release say it
    let mut older: Value = serde_json::from_str(&whole("old")).unwrap();
    older["type"] = json!("dev.cdevents.service.deployed.0.2.0");
    older["data"]["context"] = json!({"version": "0.4.1", "id": "old", "source": "/argo",
        "timestamp": "2026-11-23T08:59:00Z", "type": "dev.cdevents.service.deployed.0.2.0"});
    older["data"]["subject"]["type"] = json!("service");
    assert_eq!(send(&world, &structured, token, older.to_string()).await.1["result"], "recorded");
    assert_eq!(send(&world, &structured, token, older.to_string()).await.1["result"], "duplicate");

    let mut broken = event("3");
    broken["subject"]["content"] = json!({"artifactId": "x"});
    let mut outer: Value = serde_json::from_str(&whole("3")).unwrap();
    outer["data"] = broken;
    let (status, said) = send(&world, &structured, token, outer.to_string()).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(said.to_string().contains("subject.content.environment.id"), "{said}");
    assert_eq!(send(&world, &[], token, event("4").to_string()).await.0, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(send(&world, &structured, None, whole("5")).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(world.events("cdevents.service.deployed").await.len(), 3);
    // what came in is not told again
    look(&world, 2).await;
    assert!(taken(&forge).is_empty());
}

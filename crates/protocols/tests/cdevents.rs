//! CDEvents beside the schemas and examples of the specification itself.

#[path = "support/schemas.rs"]
mod schemas;

use schemas::{foreign, schema_of, verdicts};
use serde_json::{Value, json};
use tenfold_protocols::cdevents::{CdEventError, Outgoing, Spec, Word, artifact_id, read};
use tenfold_types::Timestamp;

fn outgoing(word: Word) -> Outgoing {
    let environment = json!({"id": "production"});
    let content = match word {
        Word::ServiceDeployed | Word::ServiceUpgraded | Word::ServiceRolledBack => {
            json!({"environment": environment, "artifactId": artifact_id("photos", "4f2c91a")})
        }
        Word::ArtifactPackaged => json!({"change": {"id": "4f2c91a"}}),
        Word::ArtifactPublished => json!({}),
        Word::EnvironmentCreated | Word::EnvironmentModified => json!({"name": "production"}),
        Word::IncidentDetected | Word::IncidentResolved => {
            json!({"environment": environment, "service": {"id": "photos"}, "description": "slow"})
        }
        Word::IncidentReported => {
            json!({"environment": environment, "ticketURI": "https://tenfold.example/incidents/1"})
        }
        Word::PipelineRunQueued | Word::PipelineRunStarted => {
            json!({"pipelineName": "photos to production", "uri": "https://tenfold.example/deploys/12"})
        }
        Word::PipelineRunFinished => {
            let uri = "https://tenfold.example/deploys/12";
            json!({"pipelineName": "photos to production", "uri": uri, "outcome": "failure", "errors": "exit 1"})
        }
        Word::BuildStarted => json!({}),
        Word::BuildFinished => json!({"artifactId": artifact_id("photos", "4f2c91a")}),
    };
    Outgoing {
        word,
        id: "0193".into(),
        source: "https://tenfold.example".into(),
        at: Timestamp(1_795_424_400_000),
        subject: "photos".into(),
        content,
    }
}

#[test]
fn what_we_tell_is_what_the_schemas_want() {
    let Some(dir) = foreign() else { return };
    let mut events: Vec<(String, Value)> =
        Word::ALL.iter().map(|w| outgoing(*w).cdevent(Spec::V05)).map(|e| (schema_of(&e), e)).collect();
    // the judge can say no
    let mut broken = events[0].1.clone();
    broken["subject"]["content"]["more"] = json!(1);
    events.push((events[0].0.clone(), broken));
    let Some(verdicts) = verdicts(&dir, &events) else { return };
    let wanted: Vec<bool> = (0..events.len()).map(|n| n + 1 < events.len()).collect();
    assert_eq!(verdicts, wanted, "{events:#?}");
}

fn structured(event: &Value) -> Vec<u8> {
    let context = &event["context"];
    json!({"specversion": "1.0", "id": context["id"], "source": context["source"], "type": context["type"], "data": event})
        .to_string()
        .into_bytes()
}

fn take(event: &Value) -> Result<tenfold_protocols::cdevents::Incoming, CdEventError> {
    let media = |name: &str| (name == "content-type").then_some("application/cloudevents+json; charset=utf-8");
    read(media, &structured(event))
}

#[test]
fn every_example_of_the_specification_is_read_in_both_modes() {
    let Some(dir) = foreign() else { return };
    let mut seen = 0;
    for entry in std::fs::read_dir(dir.join("conformance")).expect("examples") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|e| e != "json") {
            continue;
        }
        let event: Value = serde_json::from_slice(&std::fs::read(&path).expect("it reads")).expect("JSON");
        let read_it = take(&event).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        assert_eq!(Some(read_it.subject.as_str()), event["subject"]["id"].as_str());
        let context = &event["context"];
        let header = |name: &str| match name {
            "ce-specversion" => Some("1.0"),
            "ce-id" => context["id"].as_str(),
            "ce-source" => context["source"].as_str(),
            "ce-type" => context["type"].as_str(),
            _ => None,
        };
        assert_eq!(read(header, event.to_string().as_bytes()), Ok(read_it));
        seen += 1;
    }
    assert!(seen > 40, "only {seen}");
}

/// Where the schemas refuse a broken event of a kind that we know, so do we.
#[test]
fn what_the_schemas_refuse_is_refused() {
    let Some(dir) = foreign() else { return };
    let mut events = Vec::new();
    for word in Word::ALL {
        let whole = outgoing(word).cdevent(Spec::V05);
        for path in [
            "/context/id",
            "/context/source",
            "/context/type",
            "/context/timestamp",
            "/context/specversion",
            "/subject/id",
        ] {
            for value in [Value::Null, json!(""), json!(7)] {
                let mut event = whole.clone();
                *event.pointer_mut(path).expect("it has it") = value;
                events.push((schema_of(&whole), event));
            }
        }
        let names: Vec<String> = whole["subject"]["content"].as_object().expect("one").keys().cloned().collect();
        for name in names {
            let mut event = whole.clone();
            event["subject"]["content"].as_object_mut().expect("one").shift_remove(&name);
            events.push((schema_of(&whole), event));
        }
        let mut event = whole.clone();
        event["context"]["more"] = json!(1);
        events.push((schema_of(&whole), event));
        events.push((schema_of(&whole), whole));
    }
    let Some(verdicts) = verdicts(&dir, &events) else { return };
    let (mut good, mut bad) = (0, 0);
    for ((_, event), valid) in events.iter().zip(verdicts) {
        let ours = take(event);
        if valid {
            // without its format checkers the judge takes any text for an instant
            assert!(ours.is_ok() || event["context"]["timestamp"] == "", "{event}: {ours:?}");
            good += 1;
        } else {
            assert!(ours.is_err(), "the schema refuses {event}");
            bad += 1;
        }
    }
    assert!(good >= 10 && bad >= 150, "{good} good, {bad} bad");
}

/// Beside the checkout are the examples of one release. These have the shape of those of the others.
#[test]
fn events_of_every_release_are_read() {
    let event = |release: Value, kind: &str, subject: Value| {
        let mut event = json!({
            "context": {"id": "271069a8", "source": "/event/source/123", "timestamp": "2023-03-20T14:27:05.315384Z",
                "type": format!("dev.cdevents.{kind}")},
            "subject": subject,
        });
        let context = event["context"].as_object_mut().expect("one");
        context.extend(release.as_object().expect("one").clone());
        event
    };
    let content = json!({"environment": {"id": "test123"}, "artifactId": "pkg:oci/myapp@sha256%3A0b31"});
    let service = json!({"id": "mySubject123", "source": "/event/source/123", "content": content});
    let typed = |kind: &str| {
        let mut subject = service.clone();
        subject["type"] = json!(kind);
        subject
    };
    let linked = json!({"version": "0.4.1", "chainId": "4c8cb7dd", "schemaUri": "https://myorg.com/schema/custom",
        "links": [{"linkType": "END", "from": {"contextId": "5328c37f"}}]});
    let run = json!({"id": "mySubject123", "type": "pipelineRun",
        "content": {"pipelineName": "myPipeline", "url": "https://www.example.com/mySubject123"}});
    let good = [
        (json!({"version": "0.1.2"}), "service.deployed.0.1.0", typed("service")),
        (json!({"version": "0.3.0"}), "service.deployed.0.1.1", typed("service")),
        (linked.clone(), "service.deployed.0.2.0", typed("service")),
        (linked, "pipelinerun.started.0.2.0", run),
        (json!({"specversion": "0.5.1"}), "service.deployed.0.3.0", service.clone()),
        (json!({"specversion": "0.6.0-draft"}), "service.deployed.0.3.0", service.clone()),
    ];
    for (release, kind, subject) in good {
        let event = event(release, kind, subject);
        let read_it = take(&event).unwrap_or_else(|e| panic!("{event}: {e}"));
        assert_eq!(format!("{}.{}", read_it.kind, read_it.version), kind);
        let environment = kind.starts_with("service.").then_some("test123");
        assert_eq!((read_it.subject.as_str(), read_it.environment.as_deref()), ("mySubject123", environment));
    }
    let field = |name: &str| Err(CdEventError::Field(name.to_owned()));
    let deployed = "service.deployed.0.2.0";
    for (release, subject, wrong) in [
        (json!({}), service.clone(), "context.specversion"),
        (json!({"version": "0.4.1", "specversion": "0.5.1"}), typed("service"), "context.specversion"),
        (json!({"version": ""}), typed("service"), "context.version"),
        (json!({"version": "0.4.1"}), service.clone(), "subject.type"),
        (json!({"version": "0.4.1"}), typed("artifact"), "subject.type"),
        (json!({"specversion": "0.5.1"}), typed("artifact"), "subject.type"),
    ] {
        assert_eq!(take(&event(release, deployed, subject)), field(wrong));
    }
}

/// By the schemas of release 0.4.1: `additionalProperties` is false there, too, and a run has a `url`.
#[test]
fn a_run_has_the_address_that_its_release_asks_for() {
    for word in [Word::PipelineRunQueued, Word::PipelineRunStarted, Word::PipelineRunFinished] {
        let told = outgoing(word);
        for (spec, version, name, other) in [(Spec::V04, "0.2.0", "url", "uri"), (Spec::V05, "0.3.0", "uri", "url")] {
            let event = told.cdevent(spec);
            let kind = format!("dev.cdevents.{}.{version}", word.name());
            let content = &event["subject"]["content"];
            assert_eq!((&event["context"]["type"], &content[name]), (&json!(kind), &told.content["uri"]));
            assert!(content.get(other).is_none(), "{event}");
            assert!(take(&event).is_ok(), "{event}");
        }
    }
    let mut started = outgoing(Word::PipelineRunStarted).cdevent(Spec::V04);
    assert_eq!(started["subject"]["type"], "pipelineRun");
    started["subject"]["content"].as_object_mut().expect("one").remove("url");
    assert_eq!(take(&started), Err(CdEventError::Field("subject.content.url".to_owned())));
}

/// What was told in the older words is read as the same.
#[test]
fn each_release_that_we_write_is_read() {
    for word in Word::ALL {
        let told = outgoing(word);
        let old = told.cdevent(Spec::V04);
        assert_eq!((&old["context"]["version"], &old["context"]["specversion"]), (&json!("0.4.1"), &Value::Null));
        let subject = old["subject"]["type"].as_str().expect("a word");
        assert!(subject.eq_ignore_ascii_case(word.name().split('.').next().unwrap_or_default()), "{subject}");
        assert_eq!(old["context"]["type"], format!("dev.cdevents.{}.0.2.0", word.name()));
        assert_eq!(told.cloudevent(Spec::V04)["type"], old["context"]["type"], "{old}");
        let (was, is) = (take(&old).expect("0.4"), take(&told.cdevent(Spec::V05)).expect("0.5"));
        assert_eq!((was.version.as_str(), is.version.as_str()), ("0.2.0", "0.3.0"));
        let known = |mut e: tenfold_protocols::cdevents::Incoming| {
            // the one name that changed
            if let Some(url) = e.content.as_object_mut().and_then(|content| content.remove("url")) {
                e.content["uri"] = url;
            }
            (e.kind, e.id, e.at, e.subject, e.content)
        };
        assert_eq!(known(was), known(is));
    }
}

#[test]
fn the_guides_example_is_one() {
    let guide = include_str!("../../../docs/guide/deploys.md");
    let example = guide.split("```json\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
    let media = |name: &str| (name == "content-type").then_some("application/cloudevents+json");
    assert_eq!(read(media, example.as_bytes()).map(|e| e.kind), Ok("service.deployed".to_owned()));
}

#[test]
fn what_is_no_event_is_told_why() {
    let event = outgoing(Word::ServiceDeployed).cdevent(Spec::V05);
    let none = |_: &str| None;
    assert_eq!(read(none, event.to_string().as_bytes()), Err(CdEventError::NoCloudEvent));
    let structured_mode = |name: &str| (name == "content-type").then_some("application/cloudevents+json");
    assert!(matches!(read(structured_mode, b"{"), Err(CdEventError::Json(_))));
    assert!(matches!(read(structured_mode, &vec![b' '; 1024 * 1024 + 1]), Err(CdEventError::TooLarge(_))));
    let mut other = serde_json::from_slice::<Value>(&structured(&event)).expect("JSON");
    other["id"] = json!("another");
    assert_eq!(read(structured_mode, other.to_string().as_bytes()), Err(CdEventError::Differs("id")));
    for kind in ["dev.cdeventsx.tool.thing.done.1.0.0", "dev.cdevents.service.deployed", "dev.cdevents.a.b.1.x.0"] {
        let mut event = event.clone();
        event["context"]["type"] = json!(kind);
        assert!(matches!(take(&event), Err(CdEventError::Type(_))), "{kind}");
    }
    let read_it = take(&event).expect("it is one");
    assert_eq!((read_it.kind.as_str(), read_it.version.as_str()), ("service.deployed", "0.3.0"));
    assert_eq!((read_it.service.as_deref(), read_it.environment.as_deref()), (Some("photos"), Some("production")));
}

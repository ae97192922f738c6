//! Files of Unleash: what comes in goes out the same, and answers the same.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};
use tenfold_flags::exchange::{self, Format, Options, Outcome, canonical};
use tenfold_flags::validate::{Surroundings, validate, validate_imported, validate_imported_segment};
use tenfold_flags::{ClientFeatures, DeltaEvent, Flag, Segment};

const HERE: Options<'static> = Options { environment: Some("production"), allow_rebucketing: false };

fn folder() -> Option<PathBuf> {
    let package = "node_modules/@unleash/client-specification/specifications";
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    if let Some(named) = std::env::var_os("CLIENT_SPECIFICATION").map(PathBuf::from) {
        assert!(named.join("index.json").is_file(), "CLIENT_SPECIFICATION names {}, which has none", named.display());
        return Some(named);
    }
    let places =
        [root.join("e2e/clients").join(package), root.join("e2e").join(package), root.join("web").join(package)];
    places.into_iter().find(|p| p.join("index.json").is_file())
}

fn read(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// A state as one document, whether it is given so or as events.
fn document(state: &Value) -> Value {
    let Some(events) = state.get("events") else { return state.clone() };
    let events: Vec<DeltaEvent> = serde_json::from_value(events.clone()).expect("the shape is known");
    let mut out = ClientFeatures::default();
    for event in events {
        out.apply(event);
    }
    serde_json::to_value(out).expect("it can be written")
}

#[test]
fn every_state_of_the_specification_comes_out_as_it_went_in() {
    let Some(folder) = folder() else {
        tenfold_testkit::peer_is_missing(
            "the npm package @unleash/client-specification is not installed (npm install in e2e/clients)",
        );
        return;
    };
    let names: Vec<String> = serde_json::from_value(read(&folder.join("index.json"))).unwrap();
    let mut flags = 0;
    for name in &names {
        let state = read(&folder.join(name))["state"].clone();
        assert_eq!(Format::detect(&state), Some(Format::UnleashClient), "{name}");
        let bundle = exchange::read(Format::UnleashClient, &state, HERE).unwrap();
        assert_eq!(bundle.notes, [], "{name}: nothing is lost");
        flags += bundle.flags.len();
        let (out, notes) = exchange::write(
            Format::UnleashClient,
            &bundle.flags.iter().collect::<Vec<_>>(),
            &bundle.segments.iter().collect::<Vec<_>>(),
            HERE,
        );
        assert_eq!(notes, []);
        let (before, after) = (canonical::client_features(&document(&state)), canonical::client_features(&out));
        assert_eq!(canonical::differences(&before, &after), Vec::<String>::new(), "{name}");
        assert_eq!(serde_json::to_string(&before).unwrap(), serde_json::to_string(&after).unwrap(), "{name}");
    }
    println!("{} states, {flags} flags", names.len());
    assert_eq!(names.len(), 22);
}

#[test]
fn every_flag_of_the_specification_may_be_imported() {
    let Some(folder) = folder() else {
        tenfold_testkit::peer_is_missing(
            "the npm package @unleash/client-specification is not installed (npm install in e2e/clients)",
        );
        return;
    };
    let names: Vec<String> = serde_json::from_value(read(&folder.join("index.json"))).unwrap();
    let mut refused = Vec::new();
    for name in &names {
        let bundle = exchange::read(Format::UnleashClient, &read(&folder.join(name))["state"], HERE).unwrap();
        let flags: BTreeMap<String, Arc<Flag>> =
            bundle.flags.iter().map(|f| (f.key.clone(), Arc::new(f.clone()))).collect();
        let segments: BTreeMap<i64, Segment> = bundle.segments.iter().map(|s| (s.id, s.clone())).collect();
        for segment in &bundle.segments {
            validate_imported_segment(segment).unwrap();
        }
        for flag in &bundle.flags {
            let around = Surroundings { flags: &flags, segments: &segments };
            if let Err(fault) = validate_imported(flag, around) {
                refused.push(format!("{name}: {}", fault.message));
            }
        }
    }
    assert_eq!(refused, Vec::<String>::new());
}

#[test]
fn an_import_does_not_loosen_what_people_write() {
    let flag: Flag = serde_json::from_value(json!({"key": "a", "environments": {"production": {"enabled": true,
        "strategies": [{"name": "ourOwn", "constraints": [{"contextName": "plan", "operator": "ALIKE", "values": ["a"]}]}]}}}))
    .unwrap();
    let (flags, segments) = (BTreeMap::new(), BTreeMap::new());
    let around = Surroundings { flags: &flags, segments: &segments };
    assert!(validate(&flag, around).is_err());
    let said = validate_imported(&flag, around).unwrap();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[0].contains("ourOwn") && said[1].contains("ALIKE"), "{said:?}");
    for (what, strategy) in [
        ("fraction", json!({"name": "gradualRolloutRandom", "parameters": {"percentage": "12.5"}})),
        ("quote", json!({"name": "flexibleRollout", "parameters": {"rollout": "12", "groupId": "a\"b"}})),
        (
            "weights",
            json!({"name": "flexibleRollout", "parameters": {"rollout": "12"}, "variants": [{"name": "a", "weight": 0}]}),
        ),
        (
            "number",
            json!({"name": "default", "constraints": [{"contextName": "a", "operator": "NUM_EQ", "value": "1e3"}]}),
        ),
    ] {
        let mut bad = flag.clone();
        bad.environments.get_mut("production").unwrap().strategies = vec![serde_json::from_value(strategy).unwrap()];
        assert!(validate_imported(&bad, around).is_err(), "{what}: SDKs read it differently");
    }
}

/// As Unleash 5 writes it, cut to what matters.
fn export() -> Value {
    json!({
        "features": [
            {"name": "search", "description": "New search", "type": "experiment", "project": "web", "stale": false,
             "impressionData": true, "archived": false},
            {"name": "old", "type": "release", "archived": true},
            {"name": "child", "type": "kill-switch", "stale": true},
        ],
        "featureStrategies": [
            {"name": "flexibleRollout", "id": "2", "featureName": "search", "sortOrder": 2, "title": "half",
             "parameters": {"rollout": "50", "groupId": "other", "stickiness": "sessionId"}, "constraints": [],
             "segments": [7], "disabled": false},
            {"name": "flexibleRollout", "id": "1", "featureName": "search", "sortOrder": 1,
             "parameters": {"rollout": "100"}, "disabled": true, "segments": [],
             "constraints": [{"contextName": "email", "operator": "STR_ENDS_WITH", "values": ["@a.org"], "inverted": true}],
             "variants": [{"name": "a", "weight": 500, "weightType": "fix", "stickiness": "default"},
                          {"name": "b", "weight": 500, "weightType": "variable", "stickiness": "default"}]},
        ],
        "featureEnvironments": [
            {"featureName": "search", "name": "search", "environment": "staging", "enabled": true, "variants": [
                {"name": "x", "weight": 1000, "weightType": "variable", "stickiness": "default",
                 "payload": {"type": "csv", "value": "1,2"}, "overrides": [{"contextName": "userId", "values": ["4"]}]}]},
            {"featureName": "child", "name": "child", "environment": "staging", "enabled": false, "variants": []},
        ],
        "contextFields": [{"name": "email", "legalValues": [{"value": "a@a.org"}]}],
        "featureTags": [{"featureName": "search", "tagType": "team", "tagValue": "find:ers"}],
        "segments": [{"id": 7, "name": "staff"}],
        "tagTypes": [{"name": "team"}],
        "dependencies": [{"feature": "child", "dependencies": [{"feature": "search", "enabled": true}]}],
    })
}

#[test]
fn an_export_is_read_and_written_back() {
    assert_eq!(Format::detect(&export()), Some(Format::Unleash));
    let options = Options { environment: None, allow_rebucketing: false };
    let mut bundle = exchange::read(Format::Unleash, &export(), options).unwrap();
    let keys: Vec<&str> = bundle.flags.iter().map(|f| f.key.as_str()).collect();
    assert_eq!(keys, ["child", "search"]);
    let said: Vec<(&str, Outcome)> = bundle.notes.iter().map(|n| (n.about.as_str(), n.outcome)).collect();
    assert_eq!(said, [("flag old", Outcome::Refused), ("file", Outcome::Changed)]);
    assert!(bundle.notes[1].text.contains("`email`"), "{:?}", bundle.notes);
    let search = &bundle.flags[1].environments["staging"];
    assert!(search.strategies[0].disabled, "in the order of sortOrder");
    assert_eq!(search.strategies[1].parameters["groupId"], "other");
    assert!(!search.strategies[0].parameters.contains_key("groupId"), "what was left out stays left out");
    assert_eq!(bundle.flags[0].dependencies[0].feature, "search");

    // Only the name of its segment is told: without it the flag is refused, with it the number is the one here.
    let mut alone = bundle.clone();
    exchange::fit_segments(&mut alone, &BTreeMap::new());
    assert_eq!(alone.flags.len(), 1);
    assert!(alone.notes.iter().any(|n| n.about == "flag search" && n.text.contains("`staff`")));
    let staff = Segment { id: 3, name: "staff".into(), constraints: Vec::new() };
    exchange::fit_segments(&mut bundle, &BTreeMap::from([(3, staff.clone())]));
    assert_eq!(bundle.flags[1].environments["staging"].strategies[1].segments, [3]);

    let staging = Options { environment: Some("staging"), ..options };
    let (out, _) = exchange::write(Format::Unleash, &bundle.flags.iter().collect::<Vec<_>>(), &[&staff], staging);
    let mut again = exchange::read(Format::Unleash, &out, options).unwrap();
    exchange::fit_segments(&mut again, &BTreeMap::from([(3, staff)]));
    assert_eq!(again.flags, bundle.flags);
    assert_eq!(again.notes, []);
    assert_eq!(out["featureTags"], json!([{"featureName": "search", "tagType": "team", "tagValue": "find:ers"}]));
    assert_eq!(out["dependencies"], export()["dependencies"]);
    assert_eq!(out["segments"], json!([{"id": 3, "name": "staff"}]));

    // A disabled strategy is not told to clients; were it the only one, the flag is on for nobody.
    let (client, _) = exchange::write(Format::UnleashClient, &bundle.flags.iter().collect::<Vec<_>>(), &[], staging);
    assert_eq!(client["features"][1]["strategies"].as_array().unwrap().len(), 1);
    let mut only = bundle.flags[1].clone();
    only.environments.get_mut("staging").unwrap().strategies.truncate(1);
    let (client, _) = exchange::write(Format::UnleashClient, &[&only], &[], staging);
    assert_eq!(client["features"][0]["enabled"], json!(false));
}

#[test]
fn the_four_versions_of_the_state_export() {
    let options = Options { environment: None, allow_rebucketing: false };
    let old = json!({"version": 1, "strategies": [{"name": "ourOwn", "editable": true}], "features": [
        {"name": "a", "description": "", "enabled": true, "createdAt": "2024-01-02T03:04:05.000Z", "variants": null,
         "strategies": [{"name": "gradualRolloutUserId", "parameters": {"percentage": 30, "groupId": "a"}}]}]});
    assert_eq!(Format::detect(&old), Some(Format::Unleash));
    let bundle = exchange::read(Format::Unleash, &old, options).unwrap();
    let flag = &bundle.flags[0];
    assert!(flag.environments["production"].enabled);
    assert_eq!(flag.environments["production"].strategies[0].parameters["percentage"], "30");
    assert_eq!(flag.created_at.to_string(), "2024-01-02T03:04:05.000Z");
    assert!(bundle.notes[0].text.contains("ourOwn"), "{:?}", bundle.notes);

    let newer = |environment: &str| {
        json!({"version": 4, "features": [{"name": "a", "project": "default", "variants": []}],
        "featureStrategies": [{"id": "s1", "featureName": "a", "projectId": "default", "environment": environment,
            "strategyName": "flexibleRollout", "parameters": {"rollout": "10", "stickiness": "userId", "groupId": "a"},
            "constraints": []}],
        "featureEnvironments": [{"featureName": "a", "environment": environment, "enabled": true, "variants": [
            {"name": "v", "weight": 1000}]}],
        "segments": [{"id": 4, "name": "s", "constraints": [{"contextName": "a", "operator": "IN", "values": ["b"]}]}],
        "featureStrategySegments": [{"featureStrategyId": "s1", "segmentId": 4}]})
    };
    for (environment, place) in [(":global:", "production"), ("development", "development")] {
        let bundle = exchange::read(Format::Unleash, &newer(environment), options).unwrap();
        assert_eq!(bundle.notes, []);
        let state = &bundle.flags[0].environments[place];
        assert_eq!((state.strategies[0].segments.as_slice(), state.variants.len()), ([4].as_slice(), 1));
        assert_eq!(bundle.segments[0].constraints.len(), 1);
    }
    let into = Options { environment: Some("qa"), ..options };
    assert!(
        exchange::read(Format::Unleash, &newer("development"), into).unwrap().flags[0].environments.contains_key("qa")
    );
}

#[test]
fn a_segment_of_the_same_number_gets_another_one() {
    let document = json!({"version": 2, "features": [{"name": "a", "enabled": true, "strategies": [
        {"name": "default", "segments": [1, 2]}]}], "segments": [
        {"id": 1, "name": "one", "constraints": [{"contextName": "x", "operator": "IN", "values": ["1"]}]},
        {"id": 2, "name": "two", "constraints": []}]});
    let mut bundle = exchange::read(Format::UnleashClient, &document, HERE).unwrap();
    let here = |id, name: &str| (id, Segment { id, name: name.into(), constraints: Vec::new() });
    exchange::fit_segments(&mut bundle, &BTreeMap::from([here(1, "other"), here(9, "two")]));
    assert_eq!(bundle.flags[0].environments["production"].strategies[0].segments, [10, 9]);
    assert_eq!(bundle.segments.iter().map(|s| s.id).collect::<Vec<_>>(), [10]);
    assert!(bundle.notes[0].text.contains("10"), "{:?}", bundle.notes);
}

#[test]
fn what_is_not_kept_is_said() {
    let document = json!({"version": 2, "features": [{"name": "a", "enabled": true, "type": "moon", "strategies": [
        {"name": "default", "milestones": [1]}], "colour": "red"}]});
    let bundle = exchange::read(Format::UnleashClient, &document, HERE).unwrap();
    let said: Vec<&str> = bundle.notes.iter().map(|n| n.text.as_str()).collect();
    assert_eq!(
        said,
        [
            "its type `moon` is not known here; it is a release flag now",
            "`/strategies/0/milestones` is not kept",
            "`/colour` is not kept"
        ]
    );
}

#[test]
fn a_fraction_goes_out_as_a_hidden_parent_and_does_not_come_in() {
    let document = json!({"version": 2, "features": [{"name": "a", "enabled": true, "strategies": [
        {"name": "flexibleRollout", "parameters": {"rollout": "12.5"}}]}]});
    let bundle = exchange::read(Format::UnleashClient, &document, HERE).unwrap();
    assert_eq!((bundle.flags.len(), bundle.notes[0].outcome), (0, Outcome::Refused), "{:?}", bundle.notes);
    let mut flag = Flag::new("a");
    flag.environments.insert("production".into(), tenfold_flags::FlagEnvironment::rollout("a", 50));
    flag.environments.get_mut("production").unwrap().strategies[0].parameters.insert("rollout".into(), "0.5".into());
    for format in [Format::UnleashClient, Format::Unleash] {
        let (out, _) = exchange::write(format, &[&flag], &[], HERE);
        let names: Vec<&str> = out["features"].as_array().unwrap().iter().filter_map(|f| f["name"].as_str()).collect();
        assert_eq!(names, ["a", "a~share"]);
        let back = exchange::read(format, &out, HERE).unwrap();
        assert!(back.notes.iter().any(|n| n.about == "flag a" && n.outcome == Outcome::Refused), "{:?}", back.notes);
    }
}

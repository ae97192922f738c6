//! The client specification of Unleash: the cases every SDK has to pass, run against our evaluation.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tenfold_flags::{ClientFeatures, Context, DISABLED_VARIANT, DeltaEvent, Moment, Snapshot};
use tenfold_types::Timestamp;

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

fn snapshot(state: &Value) -> Snapshot {
    let mut document = ClientFeatures::default();
    if let Some(events) = state.get("events") {
        let events: Vec<DeltaEvent> = serde_json::from_value(events.clone()).expect("delta events");
        for event in events {
            document.apply(event);
        }
    } else {
        document = serde_json::from_value(state.clone()).expect("a client-features document");
    }
    Snapshot::compile(&document)
}

fn context(definition: &Value) -> Context {
    let mut context = Context::new();
    for (name, value) in definition.as_object().into_iter().flatten() {
        match value {
            Value::String(text) => context.set(name, text.as_str()),
            Value::Object(properties) => {
                for (name, value) in properties {
                    if let Some(text) = value.as_str() {
                        context.set(name, text);
                    }
                }
            }
            _ => {}
        }
    }
    context
}

#[test]
fn client_specification() {
    let Some(folder) = folder() else {
        tenfold_testkit::peer_is_missing(
            "the npm package @unleash/client-specification is not installed (npm install in e2e/clients)",
        );
        return;
    };
    let moment = Moment { now: Timestamp(1_767_225_600_000), random: 1_234_567 };
    let (mut passed, mut failed) = (0, Vec::new());
    let names: Vec<String> = serde_json::from_value(read(&folder.join("index.json"))).unwrap();
    for name in names {
        let file = read(&folder.join(&name));
        let snapshot = snapshot(&file["state"]);
        let list = |key: &str| file[key].as_array().cloned().unwrap_or_default();
        for test in list("tests") {
            let got = snapshot
                .evaluate(test["toggleName"].as_str().unwrap(), &context(&test["context"]), moment)
                .is_some_and(|e| e.enabled);
            if Value::Bool(got) == test["expectedResult"] {
                passed += 1;
            } else {
                failed.push(format!("{name}: {}: got {got}", test["description"]));
            }
        }
        for test in list("variantTests") {
            let context = context(&test["context"]);
            let got = snapshot.evaluate(test["toggleName"].as_str().unwrap(), &context, moment);
            let variant = got.and_then(|e| e.unleash_variant());
            let mut shape = serde_json::json!({
                "name": variant.map_or(DISABLED_VARIANT, |v| v.0),
                "enabled": variant.is_some(),
                "feature_enabled": got.is_some_and(|e| e.enabled),
            });
            if let Some(payload) = variant.and_then(|v| v.1) {
                shape["payload"] = serde_json::to_value(payload).unwrap();
            }
            if shape == test["expectedResult"] {
                passed += 1;
            } else {
                failed.push(format!("{name}: {}: got {shape}", test["description"]));
            }
        }
    }
    println!("client-specification: {passed}/{}", passed + failed.len());
    assert!(passed > 0, "no cases were found in {}", folder.display());
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

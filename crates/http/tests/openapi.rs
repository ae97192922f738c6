//! The pages' typed client is generated from `web/openapi.json`: it must be what the server really says of itself.

#[test]
fn the_snapshot_is_the_servers_own_description() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../web/openapi.json");
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    let now = tenfold_http::openapi().to_pretty_json().unwrap();
    assert!(
        kept.trim() == now.trim(),
        "web/openapi.json has drifted from the server; run `make openapi` and commit what it changes"
    );
}

#[test]
fn every_operation_says_what_it_is_for_and_has_an_id_of_its_own() {
    let document: serde_json::Value = serde_json::from_str(&tenfold_http::openapi().to_json().unwrap()).unwrap();
    let mut nameless = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let summary = operation["summary"].as_str().or(operation["description"].as_str()).unwrap_or_default();
            if summary.is_empty() {
                nameless.push(format!("{method} {path}"));
            }
        }
    }
    assert!(nameless.is_empty(), "these say nothing: {nameless:?}");
}

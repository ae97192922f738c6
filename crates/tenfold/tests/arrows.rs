//! The allowed arrows between the workspace's crates (docs/architecture.md, invariant 3), read from `cargo metadata`.
//! A new crate must find its place in `KINDS`; a new arrow that is not allowed fails with the rule it breaks.

mod house;

use house::metadata;

#[derive(Clone, Copy, PartialEq, Debug)]
enum Kind {
    Types,
    Pure,
    Engine,
    Store,
    App,
    /// What edges that speak HTTP stand on; knows no use case.
    EdgeKit,
    Edge,
    /// Goes into other people's programs.
    Client,
    Composition,
    Testkit,
}

const KINDS: &[(&str, Kind)] = &[
    ("types", Kind::Types),
    ("flags", Kind::Pure),
    ("deploys", Kind::Pure),
    ("promql", Kind::Pure),
    ("alerting", Kind::Pure),
    ("oncall", Kind::Pure),
    ("incidents", Kind::Pure),
    ("dora", Kind::Pure),
    ("judge", Kind::Pure),
    ("protocols", Kind::Pure),
    ("scrape", Kind::Pure),
    ("tsdb", Kind::Engine),
    ("store", Kind::Store),
    ("app", Kind::App),
    ("httpkit", Kind::EdgeKit),
    ("http", Kind::Edge),
    ("ingest", Kind::Edge),
    ("chat", Kind::Edge),
    ("notify", Kind::Edge),
    ("relay", Kind::Edge),
    ("runner", Kind::Edge),
    ("client", Kind::Client),
    ("tenfold", Kind::Composition),
    ("testkit", Kind::Testkit),
];

fn kind(name: &str) -> Kind {
    let short = name.strip_prefix("tenfold-").unwrap_or(name);
    KINDS.iter().find(|(known, _)| *known == short).unwrap_or_else(|| panic!("crate {name} has no place in KINDS")).1
}

fn allowed(from: Kind, to: Kind) -> bool {
    match from {
        Kind::Types => false,
        Kind::Pure | Kind::Engine | Kind::Store => to == Kind::Types,
        Kind::Testkit => matches!(to, Kind::Types | Kind::Store),
        Kind::App => matches!(to, Kind::Types | Kind::Pure | Kind::Engine | Kind::Store),
        Kind::EdgeKit => matches!(to, Kind::Types | Kind::Pure),
        Kind::Edge => matches!(to, Kind::Types | Kind::Pure | Kind::App | Kind::EdgeKit),
        Kind::Client => matches!(to, Kind::Types | Kind::Pure),
        Kind::Composition => !matches!(to, Kind::Testkit | Kind::Client),
    }
}

/// Guards of ramps and canaries of deploys are judged by the same pure crate.
fn may_judge(from: &str, to: &str) -> bool {
    to == "tenfold-judge" && matches!(from, "tenfold-flags" | "tenfold-deploys")
}

/// Webhooks of receivers are asked as targets are: what an `http_config` says is read by one crate.
fn may_ask(from: &str, to: &str) -> bool {
    (from, to) == ("tenfold-alerting", "tenfold-scrape")
}

/// What crates without IO may not depend on, whatever for.
const NOT_PURE: [&str; 12] = [
    "tokio",
    "tokio-util",
    "reqwest",
    "hyper",
    "hyper-util",
    "axum",
    "rusqlite",
    "tokio-postgres",
    "getrandom",
    "nix",
    "lettre",
    "tempfile",
];

/// Who alone may see a database driver.
const DRIVERS: [&str; 3] = ["rusqlite", "tokio-postgres", "deadpool-postgres"];

fn dependencies() -> Vec<(String, String)> {
    let metadata = metadata();
    let mut arrows = Vec::new();
    for package in metadata["packages"].as_array().expect("packages") {
        let from = package["name"].as_str().expect("name");
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            // Tests may use anything: a test is a place where parts meet.
            if dependency["kind"].as_str() != Some("dev") {
                arrows.push((from.to_string(), dependency["name"].as_str().expect("name").to_string()));
            }
        }
    }
    assert!(arrows.len() > 50, "cargo metadata shows the whole workspace");
    arrows
}

#[test]
fn crates_depend_only_along_the_allowed_arrows() {
    let wrong: Vec<String> = dependencies()
        .iter()
        .filter(|(_, to)| to.starts_with("tenfold-"))
        .filter(|(from, to)| !allowed(kind(from), kind(to)) && !may_judge(from, to) && !may_ask(from, to))
        .map(|(from, to)| format!("{from} ({:?}) -> {to} ({:?})", kind(from), kind(to)))
        .collect();
    assert!(wrong.is_empty(), "arrows that docs/architecture.md does not allow:\n{}", wrong.join("\n"));
}

#[test]
fn pure_crates_depend_on_nothing_that_does_io() {
    let wrong: Vec<String> = dependencies()
        .iter()
        .filter(|(from, to)| matches!(kind(from), Kind::Types | Kind::Pure) && NOT_PURE.contains(&to.as_str()))
        .map(|(from, to)| format!("{from} -> {to}"))
        .collect();
    assert!(wrong.is_empty(), "pure crates know no IO, no runtime, no randomness:\n{}", wrong.join("\n"));
}

/// Whoever embeds the client builds all of this too.
#[test]
fn the_client_carries_the_flag_engine_and_little_else() {
    let heavy = ["tokio", "reqwest", "hyper", "axum", "utoipa", "tenfold-protocols"];
    let wrong: Vec<String> = dependencies()
        .into_iter()
        .filter(|(from, _)| from == "tenfold-client")
        .map(|(_, to)| to)
        .filter(|to| {
            let ours = to.starts_with("tenfold-") && !["tenfold-flags", "tenfold-types"].contains(&to.as_str());
            ours || heavy.contains(&to.as_str())
        })
        .collect();
    assert!(wrong.is_empty(), "the client needs only the engine and a small HTTP library, not {wrong:?}");
}

/// The same for what the client carries: descriptions for the server's API document are the server's to ask for.
#[test]
fn the_flag_engine_describes_itself_only_when_asked() {
    let metadata = metadata();
    for package in metadata["packages"].as_array().expect("packages") {
        if ["tenfold-flags", "tenfold-types"].contains(&package["name"].as_str().expect("name")) {
            let dependencies = package["dependencies"].as_array().expect("dependencies");
            let must = dependencies.iter().find(|d| d["name"] == "utoipa" && d["optional"] == false);
            assert!(must.is_none(), "who embeds {} would build utoipa", package["name"]);
            assert!(package["features"]["default"].is_null(), "nothing of {} is on by itself", package["name"]);
        }
    }
}

#[test]
fn only_the_store_sees_a_database_driver() {
    let wrong: Vec<String> = dependencies()
        .iter()
        .filter(|(from, to)| kind(from) != Kind::Store && DRIVERS.contains(&to.as_str()))
        .map(|(from, to)| format!("{from} -> {to}"))
        .collect();
    assert!(wrong.is_empty(), "backends are seen only by the store:\n{}", wrong.join("\n"));
}

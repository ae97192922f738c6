//! Documents that must not fall behind the code.

mod house;

use std::collections::BTreeSet;

use house::{root, sources};

/// Names in `[workspace.dependencies]` that are not our own crates.
fn workspace_dependencies() -> BTreeSet<String> {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).expect("the workspace has a manifest");
    let table: toml::Table = manifest.parse().expect("the manifest is TOML");
    table["workspace"]["dependencies"]
        .as_table()
        .expect("a table")
        .keys()
        .filter(|name| !name.starts_with("tenfold-"))
        .cloned()
        .collect()
}

/// Names in docs/dependencies.md: the first cell of each row, in backticks.
fn explained() -> BTreeSet<String> {
    let text = std::fs::read_to_string(root().join("docs/dependencies.md")).expect("docs/dependencies.md stands");
    text.lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` |"))
        .filter(|(_, reason)| reason.trim_matches(['|', ' ']).len() > 10)
        .map(|(name, _)| name.to_string())
        .collect()
}

#[test]
fn every_dependency_has_its_reason() {
    let (used, explained) = (workspace_dependencies(), explained());
    let missing: Vec<_> = used.difference(&explained).collect();
    assert!(missing.is_empty(), "write a line with the reason into docs/dependencies.md for: {missing:?}");
    let stale: Vec<_> = explained.difference(&used).collect();
    assert!(stale.is_empty(), "no longer in the workspace, remove from docs/dependencies.md: {stale:?}");
}

#[test]
fn every_dependency_is_used() {
    let manifests = sources("crates", &["Cargo.toml"]);
    let unused: Vec<_> = workspace_dependencies()
        .into_iter()
        .filter(|name| {
            let ways = [format!("\n{name}.workspace"), format!("\n{name} = {{ workspace")];
            !manifests.iter().any(|manifest| ways.iter().any(|way| manifest.text.contains(way)))
        })
        .collect();
    assert!(unused.is_empty(), "no crate uses these, remove them from Cargo.toml: {unused:?}");
}

/// Packages whose library has another name.
const LIBRARIES: [(&str, &str); 1] = [("md-5", "md5")];

/// Whether a path in the code, not in a comment, begins with the library's name.
fn begins_a_path(code: &str, library: &str) -> bool {
    let path = format!("{library}::");
    code.lines().filter(|line| !line.trim_start().starts_with("//")).any(|line| {
        line.match_indices(&path).any(|(at, _)| {
            let before = line[..at].chars().next_back();
            before.is_none_or(|c| !c.is_alphanumeric() && !matches!(c, '_' | ':'))
        })
    })
}

#[test]
fn every_crate_uses_what_it_depends_on() {
    let manifests = sources("crates", &["Cargo.toml"]);
    let (mut seen, mut unused) = (0, Vec::new());
    for manifest in &manifests {
        let table: toml::Table = manifest.text.parse().expect("a manifest is TOML");
        let folder = manifest.path.strip_suffix("/Cargo.toml").expect("a crate has a folder");
        let code = sources(folder, &[".rs"]);
        for (section, below) in [("dependencies", "src/"), ("dev-dependencies", "")] {
            let Some(names) = table.get(section).and_then(toml::Value::as_table) else { continue };
            let below = format!("{folder}/{below}");
            for name in names.keys() {
                let other = LIBRARIES.iter().find(|(package, _)| *package == name.as_str());
                let library = other.map_or_else(|| name.replace('-', "_"), |(_, library)| (*library).to_owned());
                seen += 1;
                if !code.iter().any(|file| file.path.starts_with(&below) && begins_a_path(&file.text, &library)) {
                    unused.push(format!("{folder}: {name} of its {section}"));
                }
            }
        }
    }
    assert!(seen > 300, "only {seen} were looked at");
    assert!(unused.is_empty(), "no code of the crate names these:\n{}", unused.join("\n"));
}

/// Kinds of events that the code of deploys writes: whole words in quotes that begin like one.
fn kinds_of_deploys() -> BTreeSet<String> {
    let begins = |word: &str| ["deploy.", "queue.", "train.", "lock.", "host."].iter().any(|of| word.starts_with(of));
    let is_kind = |word: &&str| {
        let rest = word.split_once('.').map_or("", |(_, rest)| rest);
        begins(word) && !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
    };
    let files = sources("crates/app/src/deploys", &[".rs"]);
    files.iter().flat_map(|file| file.text.split('"')).filter(is_kind).map(str::to_owned).collect()
}

/// The guide's table of them, and what it says of rooms.
#[test]
fn the_guide_lists_every_event_of_a_deploy_and_who_is_told() {
    let guide = std::fs::read_to_string(root().join("docs/guide/deploys.md")).expect("docs/guide/deploys.md stands");
    let rows = guide.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let listed: Vec<(&str, &str)> = rows.filter(|(kind, _)| kind.contains('.') && !kind.contains(' ')).collect();
    let known = kinds_of_deploys();
    assert!(known.len() > 40 && known.contains("deploy.queued"), "only {known:?}");
    let names: BTreeSet<String> = listed.iter().map(|(kind, _)| (*kind).to_owned()).collect();
    let missing: Vec<_> = known.difference(&names).collect();
    assert!(missing.is_empty(), "docs/guide/deploys.md lacks these in \"What is recorded\": {missing:?}");
    for (kind, rest) in listed.iter().filter(|(kind, _)| known.contains(*kind)) {
        let told = rest.starts_with('●');
        assert_eq!(told, tenfold_app::chat::announce::is_told(kind), "whether rooms are told of {kind}");
    }
    let begins =
        |kind: &&String| kind.starts_with("deploy.") || kind.starts_with("train.") || kind.starts_with("queue.");
    let stale: Vec<_> = names.difference(&known).filter(begins).collect();
    assert!(stale.is_empty(), "no code writes these: {stale:?}");
}

/// Every relative link in a Markdown document leads to a file of the repository.
#[test]
fn links_in_the_documents_lead_somewhere() {
    let mut broken = Vec::new();
    let mut documents = sources("docs", &[".md"]);
    for name in ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"] {
        let text = std::fs::read_to_string(root().join(name)).expect("it stands at the root");
        documents.push(house::Source { path: name.to_string(), text });
    }
    for document in &documents {
        let folder = root().join(&document.path).parent().expect("a file has a folder").to_path_buf();
        for piece in document.text.split("](").skip(1) {
            let target = piece.split([')', '#', ' ']).next().unwrap_or_default();
            let outside = target.is_empty() || target.contains("://") || target.starts_with("mailto:");
            if !outside && !folder.join(target).exists() {
                broken.push(format!("{}: {target}", document.path));
            }
        }
    }
    assert!(broken.is_empty(), "links to nothing:\n{}", broken.join("\n"));
}

/// The headings of a document as links name them.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut in_code = false;
    for line in text.lines() {
        in_code ^= line.starts_with("```");
        if !in_code && line.starts_with('#') {
            let words = line.trim_start_matches('#').trim().to_lowercase();
            let kept = words.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            found.insert(kept.map(|c| if c == ' ' { '-' } else { c }).collect());
        }
    }
    found
}

#[test]
fn links_to_headings_name_one_that_is_there() {
    let documents = sources("docs", &[".md"]);
    let (mut seen, mut broken) = (0, Vec::new());
    for document in &documents {
        let folder = root().join(&document.path).parent().expect("a file has a folder").to_path_buf();
        for piece in document.text.split("](").skip(1) {
            let target = piece.split([')', ' ']).next().unwrap_or_default();
            let Some((file, heading)) = target.split_once('#').filter(|(file, _)| !file.contains("://")) else {
                continue;
            };
            let other = (!file.is_empty()).then(|| std::fs::read_to_string(folder.join(file)).unwrap_or_default());
            seen += 1;
            if !anchors(other.as_deref().unwrap_or(&document.text)).contains(heading) {
                broken.push(format!("{}: {target}", document.path));
            }
        }
    }
    assert!(seen > 30 && broken.is_empty(), "of {seen} links these lead to no heading:\n{}", broken.join("\n"));
}

#[test]
fn the_list_of_guides_names_each() {
    let list = std::fs::read_to_string(root().join("docs/guide/README.md")).expect("the list stands");
    let guides = sources("docs/guide", &[".md"]);
    let names = guides.iter().filter_map(|guide| guide.path.rsplit('/').next()).filter(|name| *name != "README.md");
    let missing: Vec<&str> = names.filter(|name| !list.contains(&format!("]({name})"))).collect();
    assert!(guides.len() > 20 && missing.is_empty(), "docs/guide/README.md lacks {missing:?}");
}

/// Every path in backticks that begins with a folder of the repository leads to something.
#[test]
fn paths_in_the_architecture_stand() {
    let text = std::fs::read_to_string(root().join("docs/architecture.md")).expect("docs/architecture.md stands");
    let folders = ["crates/", "e2e/", "web/", "demo/", "docs/", "fuzz/", "scripts/"];
    let paths: Vec<&str> = text
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|word| folders.iter().any(|folder| word.starts_with(folder)))
        .collect();
    assert!(paths.len() > 15, "the map names places in the code");
    let gone: Vec<_> = paths.into_iter().filter(|path| !root().join(path).exists()).collect();
    assert!(gone.is_empty(), "docs/architecture.md names what is not there: {gone:?}");
}

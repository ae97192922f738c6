//! What the house looks like: file sizes, words that must not be left behind, and pure crates that stay pure.

mod house;

use house::{Source, sources};

const LINES_MAX: usize = 600;

/// Generated files: their size is not a choice.
const GENERATED: [&str; 1] = ["web/src/api/schema.d.ts"];

const WRITTEN: [&str; 7] = [".rs", ".ts", ".tsx", ".mjs", ".css", ".sh", ".sql"];

fn code() -> Vec<Source> {
    let mut all = Vec::new();
    for folder in ["crates", "web", "e2e", "demo", "scripts", "bench"] {
        all.extend(sources(folder, &WRITTEN));
    }
    all.retain(|source| !GENERATED.contains(&source.path.as_str()));
    assert!(all.len() > 20, "the walk finds the code");
    all
}

#[test]
fn files_fit_a_readers_head() {
    let long: Vec<String> = code()
        .iter()
        .map(|source| (source, source.text.lines().count()))
        .filter(|(_, lines)| *lines > LINES_MAX)
        .map(|(source, lines)| format!("{}: {lines} lines, at most {LINES_MAX}", source.path))
        .collect();
    assert!(long.is_empty(), "split these files:\n{}", long.join("\n"));
}

#[test]
fn nothing_is_left_for_later() {
    // Written in pieces, so that this file does not find itself.
    let words = [
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
        concat!("FIX", "ME"),
        concat!("TO", "DO"),
        concat!("#[", "ignore"),
    ];
    let wrong = lines_with(&code(), &words);
    assert!(wrong.is_empty(), "finish or remove:\n{}", wrong.join("\n"));
}

#[test]
fn no_file_names_a_place_of_one_machine() {
    let places = [
        concat!("/wo", "rk/"),
        concat!("/ro", "ot/"),
        concat!("\"/t", "mp"),
        concat!("registry.", "npmjs"),
        concat!("static.", "crates"),
        concat!("deb.", "debian"),
    ];
    let mut all = code();
    for folder in ["docs", ".ci"] {
        all.extend(sources(folder, &["", ".md", ".yaml"]));
    }
    let wrong = lines_with(&all, &places);
    assert!(wrong.is_empty(), "use a relative path, a temp dir or a setting:\n{}", wrong.join("\n"));
}

#[test]
fn pure_crates_reach_for_nothing_outside() {
    let fences = [
        "tokio::",
        "std::net::Tcp",
        "std::net::Udp",
        "ToSocketAddrs",
        "std::fs::",
        "std::process::",
        "std::thread::",
        "std::env::var",
        "SystemTime::now",
        "Instant::now",
        "Timestamp::now()",
        "Zoned::now()",
        "getrandom::",
        " rand::",
    ];
    let mut wrong = Vec::new();
    for name in
        ["types", "flags", "deploys", "promql", "alerting", "oncall", "incidents", "dora", "protocols", "scrape"]
    {
        let mut pure = sources(&format!("crates/{name}/src"), &[".rs"]);
        assert!(!pure.is_empty(), "crates/{name}/src has files");
        for source in &mut pure {
            // Tests at a file's end may read their cases from files.
            let end = source.text.find("#[cfg(test)]").unwrap_or(source.text.len());
            source.text.truncate(end);
        }
        pure.retain(|source| !source.path.ends_with("tests.rs") && !source.path.contains("/tests/"));
        let pure: Vec<Source> = pure.into_iter().map(without_comments).collect();
        wrong.extend(lines_with(&pure, &fences));
    }
    assert!(wrong.is_empty(), "IO, clock and randomness are parameters of a pure crate:\n{}", wrong.join("\n"));
}

#[test]
fn sql_lives_in_the_store() {
    let words = ["SELECT ", "INSERT INTO ", "DELETE FROM "];
    let mut wrong = Vec::new();
    for name in ["app", "http", "ingest", "chat", "notify", "runner", "tenfold"] {
        let outside = sources(&format!("crates/{name}/src"), &[".rs"]);
        wrong.extend(lines_with(&outside, &words));
    }
    assert!(wrong.is_empty(), "move these to a repository in crates/store:\n{}", wrong.join("\n"));
}

/// `path:line: text` of each line that holds one of `words`.
fn lines_with(files: &[Source], words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for file in files {
        for (index, line) in file.text.lines().enumerate() {
            if words.iter().any(|word| line.contains(word)) {
                found.push(format!("{}:{}: {}", file.path, index + 1, line.trim()));
            }
        }
    }
    found
}

/// The file without its comment lines: a comment may name what the code must not use.
fn without_comments(mut source: Source) -> Source {
    let kept: Vec<&str> =
        source.text.lines().map(|line| if line.trim_start().starts_with("//") { "" } else { line }).collect();
    source.text = kept.join("\n");
    source
}

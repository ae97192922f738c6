//! The verbs against the grammar and the guide; what they send and how they end against a small server.

use clap::{CommandFactory, Parser, Subcommand};
use tenfold_app::chat::grammar::VERBS;

/// The verbs with their one line.
fn verbs() -> Vec<(String, String)> {
    let command = super::Command::augment_subcommands(clap::Command::new("tenfold"));
    let about = |c: &clap::Command| c.get_about().map(ToString::to_string).unwrap_or_default();
    command.get_subcommands().map(|c| (c.get_name().to_owned(), about(c))).collect()
}

#[test]
fn the_definition_holds_together() {
    crate::Cli::command().debug_assert();
}

#[test]
fn every_verb_of_chat_is_a_verb_here() {
    let ours: Vec<String> = verbs().into_iter().map(|(name, _)| name).collect();
    for verb in VERBS.iter().filter(|v| !v.chat_only && v.name != "help") {
        assert!(ours.iter().any(|o| o == verb.name), "`{}` is missing", verb.name);
        let line = format!("tenfold {}", verb.example);
        let words = shell_words(&line);
        assert!(crate::Cli::try_parse_from(&words).is_ok(), "the example of chat does not work here: {line}");
    }
}

/// Words as a shell cuts them; the examples use double quotes only.
fn shell_words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match (quote, c) {
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (Some(open), _) if open == c => quote = None,
            (None, ' ') => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[test]
fn every_example_in_the_help_is_understood() {
    fn walk(command: &clap::Command, seen: &mut usize) {
        let examples = command.get_before_long_help().map(ToString::to_string).unwrap_or_default();
        for line in examples.lines().map(str::trim).filter(|l| l.starts_with("tenfold ")) {
            let line = line.split(['<', '>', '|']).next().unwrap_or(line);
            let words = shell_words(line);
            let parsed = crate::Cli::try_parse_from(&words);
            assert!(parsed.is_ok(), "{line}: {}", parsed.err().map(|e| e.to_string()).unwrap_or_default());
            *seen += 1;
        }
        command.get_subcommands().for_each(|c| walk(c, seen));
    }
    let mut seen = 0;
    walk(&crate::Cli::command(), &mut seen);
    assert!(seen >= 40, "only {seen} examples");
}

#[test]
fn every_line_of_the_guide_to_flags_is_understood() {
    let guide = include_str!("../../../../docs/guide/flags.md");
    let lines: Vec<&str> = guide.lines().filter(|l| l.starts_with("tenfold ")).collect();
    assert!(lines.len() >= 10, "only {} lines", lines.len());
    for line in lines {
        let parsed = crate::Cli::try_parse_from(shell_words(line));
        assert!(parsed.is_ok(), "{line}: {}", parsed.err().map(|e| e.to_string()).unwrap_or_default());
    }
}

#[test]
fn every_line_of_the_guide_to_deploys_is_understood() {
    let guide = include_str!("../../../../docs/guide/deploys.md");
    let lines: Vec<&str> = guide.lines().map(str::trim).filter(|l| l.starts_with("tenfold ")).collect();
    assert!(lines.iter().any(|l| l.starts_with("tenfold host enrol")) && lines.len() >= 2, "{lines:?}");
    for line in lines {
        let bare = line.split(['<', '>', '|']).next().unwrap_or(line);
        let parsed = crate::Cli::try_parse_from(shell_words(bare));
        assert!(parsed.is_ok(), "{line}: {}", parsed.err().map(|e| e.to_string()).unwrap_or_default());
    }
}

#[test]
fn every_line_of_the_guide_to_alerts_is_understood() {
    let guide = include_str!("../../../../docs/guide/alerts.md");
    let lines: Vec<&str> = guide.lines().filter(|l| l.starts_with("tenfold ")).collect();
    assert!(lines.iter().any(|l| l.contains("--recurs")) && lines.len() >= 6, "{lines:?}");
    for line in lines {
        let parsed = crate::Cli::try_parse_from(shell_words(line));
        assert!(parsed.is_ok(), "{line}: {}", parsed.err().map(|e| e.to_string()).unwrap_or_default());
    }
}

/// Lines in blocks of shell that run the program, of all guides.
#[test]
fn every_line_of_the_guides_is_understood() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide");
    let mut seen = 0;
    for entry in std::fs::read_dir(&folder).expect("the guides stand") {
        let path = entry.expect("an entry").path();
        let guide = std::fs::read_to_string(&path).expect("a guide");
        let mut in_code = false;
        for line in guide.lines().map(str::trim) {
            if line.starts_with("```") {
                in_code = !in_code && line.starts_with("```sh");
            }
            let Some(words) = in_code.then(|| words_of(line)).flatten() else { continue };
            let parsed = crate::Cli::try_parse_from(&words);
            let said = parsed.err().map(|e| e.to_string()).unwrap_or_default();
            assert!(said.is_empty(), "{}: {line}: {said}", path.display());
            seen += 1;
        }
    }
    assert!(seen >= 90, "only {seen} lines");
}

/// A line of a shell that runs the program, as its words: without what comes before it, behind it, and as a comment.
fn words_of(line: &str) -> Option<Vec<String>> {
    let (before, _) = line.split_once("tenfold ")?;
    let sets = |word: &str| {
        word.split_once('=').is_some_and(|(name, _)| name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'))
    };
    if !before.split_whitespace().all(sets) {
        return None;
    }
    let run = &line[before.len()..];
    let mut words = shell_words(if before.ends_with("$(") { run.trim_end_matches(')') } else { run });
    let end = |word: &String| matches!(word.as_str(), "|" | ">" | "<" | "&" | ">>" | "2>&1") || word.starts_with('#');
    if let Some(at) = words.iter().position(end) {
        words.truncate(at);
    }
    Some(words)
}

#[test]
fn the_guide_lists_every_verb_with_its_line() {
    let guide = include_str!("../../../../docs/guide/cli.md");
    for (name, about) in verbs() {
        let row = format!("| `{name}` | {about} |");
        assert!(guide.contains(&row), "docs/guide/cli.md lacks this row:\n{row}");
    }
}

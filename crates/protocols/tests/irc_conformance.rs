//! IRC against the cases of ircdocs/parser-tests, and properties over arbitrary input.

use std::{collections::BTreeMap, path::PathBuf};

use proptest::prelude::*;
use serde::Deserialize;
use tenfold_protocols::irc::{Message, Prefix, is_hostname, mask_matches, split_text, text_bytes};

fn cases<T: serde::de::DeserializeOwned>(file: &str) -> Option<Vec<T>> {
    #[derive(Deserialize)]
    struct File<T> {
        tests: Vec<T>,
    }
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance/irc/tests").join(file);
    let Ok(text) = std::fs::read_to_string(path) else {
        println!("skipped: {file} of ircdocs/parser-tests is not here");
        return None;
    };
    let file: File<T> = serde_saphyr::from_str(&text).expect("the case file is YAML of the known shape");
    assert!(!file.tests.is_empty());
    Some(file.tests)
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Atoms {
    tags: BTreeMap<String, String>,
    source: Option<String>,
    verb: String,
    params: Vec<String>,
}

#[test]
fn splits_as_the_vectors_say() {
    #[derive(Deserialize)]
    struct Case {
        input: String,
        atoms: Atoms,
    }
    let Some(cases) = cases::<Case>("msg-split.yaml") else { return };
    for case in &cases {
        let message = Message::parse(&case.input).unwrap_or_else(|e| panic!("{:?}: {e}", case.input));
        let tags: BTreeMap<_, _> = message.tags.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
        assert_eq!(tags, case.atoms.tags, "{:?}", case.input);
        assert_eq!(message.source, case.atoms.source, "{:?}", case.input);
        assert_eq!(message.command, case.atoms.verb, "{:?}", case.input);
        assert_eq!(message.params, case.atoms.params, "{:?}", case.input);
    }
    println!("msg-split: {} of {} cases pass", cases.len(), cases.len());
}

#[test]
fn joins_as_the_vectors_say() {
    #[derive(Deserialize)]
    struct Case {
        atoms: Atoms,
        matches: Vec<String>,
    }
    let Some(cases) = cases::<Case>("msg-join.yaml") else { return };
    for case in &cases {
        let mut message = Message::new(&case.atoms.verb, &case.atoms.params);
        message.source.clone_from(&case.atoms.source);
        for (name, value) in &case.atoms.tags {
            message.tags.set(name, value);
        }
        let line = message.to_line().unwrap_or_else(|e| panic!("{:?}: {e}", case.matches));
        assert!(case.matches.contains(&line), "{line:?} is none of {:?}", case.matches);
    }
    println!("msg-join: {} of {} cases pass", cases.len(), cases.len());
}

#[test]
fn masks_match_as_the_vectors_say() {
    #[derive(Deserialize)]
    struct Case {
        mask: String,
        matches: Vec<String>,
        fails: Vec<String>,
    }
    let Some(cases) = cases::<Case>("mask-match.yaml") else { return };
    for case in &cases {
        for name in &case.matches {
            assert!(mask_matches(&case.mask, name), "{} should match {name}", case.mask);
        }
        for name in &case.fails {
            assert!(!mask_matches(&case.mask, name), "{} should not match {name}", case.mask);
        }
    }
    println!("mask-match: {} of {} cases pass", cases.len(), cases.len());
}

#[test]
fn prefixes_split_as_the_vectors_say() {
    #[derive(Deserialize)]
    struct Case {
        source: String,
        atoms: Parts,
    }
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Parts {
        nick: String,
        user: String,
        host: String,
    }
    let Some(cases) = cases::<Case>("userhost-split.yaml") else { return };
    for Case { source, atoms } in &cases {
        let wanted = Prefix { nick: atoms.nick.clone(), user: atoms.user.clone(), host: atoms.host.clone() };
        assert_eq!(Prefix::parse(source), wanted, "{source:?}");
    }
    println!("userhost-split: {} of {} cases pass", cases.len(), cases.len());
}

#[test]
fn host_names_are_judged_as_the_vectors_say() {
    #[derive(Deserialize)]
    struct Case {
        host: String,
        valid: bool,
    }
    let Some(cases) = cases::<Case>("validate-hostname.yaml") else { return };
    for case in &cases {
        assert_eq!(is_hostname(&case.host), case.valid, "{:?}", case.host);
    }
    println!("validate-hostname: {} of {} cases pass", cases.len(), cases.len());
}

proptest! {
    #[test]
    fn reading_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..700)) {
        let _ = Message::parse_bytes(&bytes);
    }

    #[test]
    fn lines_of_irc_characters_never_panic(line in "[@:;=\\\\ a-z0-9#!é\u{1F600}\r\n]{0,200}") {
        if let Ok(message) = Message::parse(&line)
            && let Ok(written) = message.to_line()
        {
            prop_assert!(!written.contains(['\r', '\n', '\0']));
        }
    }

    #[test]
    fn what_is_written_reads_back(
        tags in proptest::collection::btree_map("[a-z]{1,8}", "[^\0]{0,12}", 0..4),
        command in "[A-Z]{1,8}",
        middle in proptest::collection::vec("[^\0\r\n: ][^\0\r\n ]{0,10}", 0..4),
        last in "[^\0\r\n]{0,60}",
    ) {
        let mut message = Message::new(command, middle.into_iter().chain([last]));
        for (name, value) in tags {
            message.tags.set(name, value);
        }
        let line = message.to_line().map_err(|e| TestCaseError::fail(format!("{e}: {message:?}")))?;
        prop_assert_eq!(Message::parse(&line), Ok(message));
    }

    #[test]
    fn cut_text_loses_nothing_and_fits(text in "\\PC{0,900}", host in "[a-z0-9.]{1,63}", target in "#[a-z]{1,40}") {
        let me = Prefix { nick: "tenfold".into(), user: "~tenfold".into(), host };
        let room = text_bytes(&me, "PRIVMSG", &target);
        let pieces = split_text(&text, room);
        let clean = tenfold_protocols::irc::clean_line(&text);
        let mut rest = clean.trim_end();
        for piece in &pieces {
            let after = rest.strip_prefix(' ').filter(|_| !rest.starts_with(piece.as_str())).unwrap_or(rest);
            prop_assert!(after.starts_with(piece.as_str()), "{:?} does not go on with {:?}", rest, piece);
            rest = &after[piece.len()..];
        }
        prop_assert!(rest.trim().is_empty(), "lost: {:?}", rest);
        for piece in pieces {
            let line = format!(":{me} PRIVMSG {target} :{piece}\r\n");
            prop_assert!(line.len() <= 512, "{} bytes", line.len());
        }
    }

    #[test]
    fn masks_never_panic(mask in "[*?a-c!@é]{0,30}", name in "[a-c!@é]{0,30}") {
        let _ = mask_matches(&mask, &name);
        prop_assert!(mask_matches("*", &name));
    }
}

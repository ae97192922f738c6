//! Where the keys of a file stand, as its reader sees them: quotes, comments, text blocks and lists are what they are in YAML.

use std::collections::BTreeMap;

use serde_saphyr::granit_parser::{Event, Parser};

/// Among keys: the item of a list at this index. No key of a file holds a zero byte.
pub(super) fn item(index: usize) -> String {
    format!("\0{index}")
}

/// Keys as people write them, one below the other: `expects.metrics.query`. Which item of a list it is says the line.
pub(super) fn spoken(keys: &[impl AsRef<str>]) -> String {
    let keys: Vec<&str> =
        keys.iter().map(|key| -> &str { key.as_ref() }).filter(|key| !key.starts_with('\0')).collect();
    keys.join(".")
}

/// The line of a key (from 1), or of the nearest one above it that the file has; 0 where it has none.
pub(super) fn locate(text: &str, keys: &[String]) -> usize {
    let lines = Lines::of(text);
    (1..=keys.len()).rev().find_map(|n| lines.found.get(&keys[..n]).copied()).unwrap_or(0)
}

/// What is open around the next value.
enum Open {
    /// A list, and which item comes next.
    List(usize),
    /// The key was read and its value comes, or else a key comes.
    Map { value: bool },
}

#[derive(Default)]
struct Lines {
    found: BTreeMap<Vec<String>, usize>,
    open: Vec<Open>,
    at: Vec<String>,
}

impl Lines {
    /// Of the first document. What an alias stands for has its lines where it is written, and none here.
    fn of(text: &str) -> Self {
        let mut lines = Self::default();
        for (event, span) in Parser::new_from_str(text).map_while(Result::ok) {
            let line = span.start.line();
            match event {
                Event::Scalar(word, ..) => lines.single(&word, line),
                Event::Alias(_) => lines.single("", line),
                Event::SequenceStart(..) => {
                    lines.begins("", line);
                    lines.open.push(Open::List(0));
                }
                Event::MappingStart(..) => {
                    lines.begins("", line);
                    lines.open.push(Open::Map { value: false });
                }
                Event::SequenceEnd | Event::MappingEnd => {
                    lines.open.pop();
                    lines.ended();
                }
                Event::DocumentEnd => break,
                _ => {}
            }
        }
        lines
    }

    fn single(&mut self, word: &str, line: usize) {
        self.begins(word, line);
        self.ended();
    }

    /// A key, a value or an item begins. A key that is no word has no name by which it could be asked for.
    fn begins(&mut self, word: &str, line: usize) {
        let name = match self.open.last_mut() {
            Some(Open::List(next)) => {
                *next += 1;
                item(*next - 1)
            }
            Some(Open::Map { value }) => {
                *value = !*value;
                if !*value {
                    return;
                }
                word.to_owned()
            }
            None => return,
        };
        self.at.push(name);
        self.found.entry(self.at.clone()).or_insert(line);
    }

    /// What began has ended; a key stays until its value has.
    fn ended(&mut self) {
        if !matches!(self.open.last(), None | Some(Open::Map { value: true })) {
            self.at.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"# build: not a key
"service": photos
'run':
  env: {build: "1", "hooks": "build: 2"}
  notes: |
    build:
      timeout_s: 1
  folded: >-
    hooks: text

build:
  timeout_s: 5 # hooks: no
hooks:
  first:
    command: [a,
      b,
      c]
  second: {command: [d], timeout_s: 9}
steps:
- hosts: 1
  check: {query: up}
-
  hosts: 2
  check:
    query: >
      up
- {hosts: 3,
   check: {query: up}}
- &last
  hosts: 4
again:
  - *last
  - [x, [y,
        z]]
? {odd: key}
: value
? [odd]
: {last: 1}
after: 7
"#;

    #[track_caller]
    fn line(keys: &[&str]) -> usize {
        let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        locate(FILE, &keys)
    }

    /// The line of the file that begins so; each of the test's words stands once.
    #[track_caller]
    fn of(words: &str) -> usize {
        let mut found = FILE.lines().enumerate().filter(|(_, line)| line.starts_with(words));
        let (at, _) = found.next().expect(words);
        assert!(found.next().is_none(), "{words} stands twice");
        at + 1
    }

    #[test]
    fn keys_are_found_where_they_are_keys() {
        assert_eq!((line(&["service"]), line(&["run"])), (2, 3));
        assert_eq!(line(&["run", "env", "build"]), of("  env:"));
        assert_eq!(line(&["run", "folded"]), of("  folded:"));
        assert_eq!(line(&["build"]), of("build:"));
        assert_eq!(line(&["build", "timeout_s"]), of("  timeout_s: 5"));
        assert_eq!(line(&["hooks", "second", "timeout_s"]), of("  second:"));
        assert_eq!(line(&["after"]), of("after:"), "keys that are no words are passed over");
    }

    #[test]
    fn items_are_found_however_a_list_is_written() {
        let [zero, one, two, three] = [0, 1, 2, 3].map(item);
        assert_eq!(line(&["hooks", "first", "command", &zero]), of("    command: [a"));
        assert_eq!(line(&["hooks", "first", "command", &two]), of("      c]"));
        assert_eq!(line(&["steps", &zero, "check", "query"]), of("  check: {query"));
        assert_eq!(line(&["steps", &one]), of("  hosts: 2"), "where its first word is");
        assert_eq!(line(&["steps", &one, "check", "query"]), of("    query: >"));
        assert_eq!(line(&["steps", &two, "check"]), of("   check: {query: up}}"));
        assert_eq!(line(&["steps", &three, "hosts"]), of("  hosts: 4"));
        assert_eq!(line(&["again", &one, &one, &one]), of("        z]]"));
    }

    #[test]
    fn what_is_not_there_is_told_at_what_is_above_it() {
        let [zero, nine] = [0, 9].map(item);
        assert_eq!(line(&["again", &zero, "hosts"]), of("  - *last"), "an alias stands where it is written");
        assert_eq!(line(&["steps", &nine, "hosts"]), of("steps:"));
        assert_eq!(line(&["build", "command"]), of("build:"));
        assert_eq!((line(&["nothing"]), line(&[])), (0, 0));
        assert_eq!(locate("a: [1, {", &["a".to_owned(), zero]), 1, "as far as it can be read");
    }

    #[test]
    fn keys_are_spoken_without_the_places_in_lists() {
        assert_eq!(spoken(&["expects", "metrics", item(3).as_str(), "query"]), "expects.metrics.query");
    }
}

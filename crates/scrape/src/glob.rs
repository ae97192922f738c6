//! Names of files with `*`, `?` and `[a-z]`, as Go reads them (`Match` of its `path/filepath`).

use std::iter::Peekable;
use std::str::Chars;

use regex::Regex;

/// A pattern of names.
#[derive(Debug)]
pub struct Glob(Regex);

impl Glob {
    /// `None` where a bracket or an escape is left open.
    pub fn read(pattern: &str) -> Option<Self> {
        let mut regex = String::from(r"\A");
        let mut rest = pattern.chars().peekable();
        while let Some(c) = rest.next() {
            match c {
                '*' => regex.push_str("[^/]*"),
                '?' => regex.push_str("[^/]"),
                '[' => class(&mut rest, &mut regex)?,
                '\\' => regex.push_str(&written(rest.next()?)),
                other => regex.push_str(&written(other)),
            }
        }
        regex.push_str(r"\z");
        Regex::new(&regex).ok().map(Self)
    }

    /// Whether a text may mean other names than itself.
    pub fn is_in(text: &str) -> bool {
        text.contains(['*', '?', '[', '\\'])
    }

    pub fn fits(&self, name: &str) -> bool {
        self.0.is_match(name)
    }
}

/// A character of a regular expression, in brackets or not, that means itself.
fn written(c: char) -> String {
    format!(r"\x{{{:x}}}", u32::from(c))
}

/// What stands in brackets, behind the first of them.
fn class(rest: &mut Peekable<Chars<'_>>, regex: &mut String) -> Option<()> {
    regex.push_str(if rest.next_if_eq(&'^').is_some() { "[^/" } else { "[" });
    let mut is_empty = true;
    while is_empty || rest.next_if_eq(&']').is_none() {
        is_empty = false;
        let low = letter(rest)?;
        let high = if rest.next_if_eq(&'-').is_some() { letter(rest)? } else { low };
        regex.extend([written(low), "-".to_owned(), written(high)]);
    }
    regex.push(']');
    Some(())
}

fn letter(rest: &mut Peekable<Chars<'_>>) -> Option<char> {
    match rest.next()? {
        '-' | ']' => None,
        '\\' => rest.next(),
        other => Some(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_as_in_go() {
        for (pattern, name, wanted) in [
            ("x.json", "x.json", true),
            ("*.json", "x.json", true),
            ("*.json", ".json", true),
            ("*.json", "b/x.json", false),
            ("n-*.yml", "m-1.yml", false),
            ("*-*.yml", "eu-db.yml", true),
            ("*-*.yml", "eu.yml", false),
            ("*a*b", "xaxbxab", true),
            ("*a*b", "xaxbxa", false),
            ("**", "", true),
            ("db?.yml", "db1.yml", true),
            ("db?.yml", "db12.yml", false),
            ("db?.yml", "db.yml", false),
            ("h?", "hé", true),
            ("a?b", "a/b", false),
            ("db[0-9].yml", "db7.yml", true),
            ("db[0-9].yml", "dbx.yml", false),
            ("[^.]*.yml", ".old.yml", false),
            ("[^.]*.yml", "old.yml", true),
            ("[ab-d]", "c", true),
            ("a+(b|{c}).y", "a+(b|{c}).y", true),
            ("a.y", "aXy", false),
            ("[&&[]", "[", true),
            ("h[é-ü]", "hö", true),
            ("[^a]", "/", false),
            (r"[\]\-]", "-", true),
            (r"a\*", "a*", true),
            (r"a\*", "ab", false),
        ] {
            let glob = Glob::read(pattern).expect("it is a pattern");
            assert_eq!(glob.fits(name), wanted, "{pattern} {name}");
        }
        for pattern in ["[", "a[]", "[^", "[a", "[a-]", "[-a]", "[]a]", r"a\", r"[\"] {
            assert!(Glob::read(pattern).is_none(), "{pattern}");
        }
        assert_eq!(["a.yml", "*", "a?", "[a]", r"a\b"].map(Glob::is_in), [false, true, true, true, true]);
    }
}

//! Names of files with `*`, `?` and `[a-z]`, as Go reads them (`Match` of its `path/filepath`).

use std::iter::Peekable;
use std::str::Chars;

/// What a pattern is made of.
#[derive(Debug)]
enum Part {
    Char(char),
    One,
    Many,
    Class { not: bool, ranges: Vec<(char, char)> },
}

impl Part {
    fn takes(&self, c: char) -> bool {
        match self {
            Self::Char(wanted) => *wanted == c,
            Self::One => c != '/',
            Self::Many => false,
            Self::Class { not, ranges } => {
                c != '/' && ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *not
            }
        }
    }
}

/// A pattern of names.
#[derive(Debug)]
pub struct Glob(Vec<Part>);

impl Glob {
    /// `None` where a bracket or an escape is left open.
    pub fn read(pattern: &str) -> Option<Self> {
        let mut parts = Vec::new();
        let mut rest = pattern.chars().peekable();
        while let Some(c) = rest.next() {
            parts.push(match c {
                '*' => Part::Many,
                '?' => Part::One,
                '\\' => Part::Char(rest.next()?),
                '[' => class(&mut rest)?,
                other => Part::Char(other),
            });
        }
        Some(Self(parts))
    }

    /// Whether a text may mean other names than itself.
    pub fn is_in(text: &str) -> bool {
        text.contains(['*', '?', '[', '\\'])
    }

    pub fn fits(&self, name: &str) -> bool {
        let name: Vec<char> = name.chars().collect();
        let (mut at, mut part) = (0, 0);
        // Where the last `*` ended, and what follows it.
        let mut star: Option<(usize, usize)> = None;
        loop {
            match (self.0.get(part), name.get(at)) {
                (None, None) => return true,
                (Some(Part::Many), _) => {
                    part += 1;
                    star = Some((at, part));
                }
                (Some(one), Some(c)) if one.takes(*c) => {
                    at += 1;
                    part += 1;
                }
                _ => {
                    let Some((end, after)) = star.filter(|(end, _)| name.get(*end).is_some_and(|c| *c != '/')) else {
                        return false;
                    };
                    star = Some((end + 1, after));
                    (at, part) = (end + 1, after);
                }
            }
        }
    }
}

/// What stands in brackets, behind the first of them.
fn class(rest: &mut Peekable<Chars<'_>>) -> Option<Part> {
    let not = rest.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    loop {
        if !ranges.is_empty() && rest.next_if_eq(&']').is_some() {
            return Some(Part::Class { not, ranges });
        }
        let low = letter(rest)?;
        let high = if rest.next_if_eq(&'-').is_some() { letter(rest)? } else { low };
        ranges.push((low, high));
    }
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

//! Patterns of the pipeline file: `*` and `?` within a folder, `**` any number of folders. A pattern that names a folder
//! takes everything below it.

/// Whether a path (parts joined by `/`) fits a pattern.
pub(crate) fn fits(pattern: &str, path: &str) -> bool {
    let pattern: Vec<&str> = pattern.trim_start_matches("./").trim_end_matches('/').split('/').collect();
    let path: Vec<&str> = path.split('/').collect();
    parts(&pattern, &path)
}

/// Greedy with one point to go back to, as [`word`]: what stands between two `**` is best found as early as can be.
fn parts(pattern: &[&str], path: &[&str]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    loop {
        match pattern.get(p) {
            // what is left of the path lies below the folder the pattern names
            None => return true,
            Some(&"**") if p + 1 == pattern.len() => return n < path.len(),
            Some(&"**") => {
                star = Some((p + 1, n));
                p += 1;
            }
            Some(head) if path.get(n).is_some_and(|name| word(head.as_bytes(), name.as_bytes())) => {
                p += 1;
                n += 1;
            }
            Some(_) => match star {
                Some((after, at)) if at < path.len() => {
                    star = Some((after, at + 1));
                    p = after;
                    n = at + 1;
                }
                _ => return false,
            },
        }
    }
}

/// Greedy with one point to go back to, so that no pattern takes exponential time.
fn word(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p + 1, n));
                p += 1;
            }
            Some(c) if *c == b'?' || *c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((after, at)) => {
                    star = Some((after, at + 1));
                    p = after;
                    n = at + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the pattern means, tried in every way.
    fn tried(pattern: &[&str], path: &[&str]) -> bool {
        match (pattern.split_first(), path.split_first()) {
            (None, _) => true,
            (Some((&"**", [])), _) => !path.is_empty(),
            (Some((&"**", rest)), _) => (0..=path.len()).any(|skip| tried(rest, &path[skip..])),
            (Some(_), None) => false,
            (Some((head, rest)), Some((name, below))) => word(head.as_bytes(), name.as_bytes()) && tried(rest, below),
        }
    }

    /// All lists of up to `most` of the words.
    fn lists<'a>(words: &[&'a str], most: usize) -> Vec<Vec<&'a str>> {
        let mut all: Vec<Vec<&str>> = vec![Vec::new()];
        let mut from = 0;
        for _ in 0..most {
            let to = all.len();
            for i in from..to {
                for word in words {
                    let mut longer = all[i].clone();
                    longer.push(*word);
                    all.push(longer);
                }
            }
            from = to;
        }
        all
    }

    #[test]
    fn what_is_found_early_is_what_is_found_at_all() {
        let paths = lists(&["a", "b"], 5);
        for pattern in lists(&["**", "*", "a", "b"], 5) {
            for path in &paths {
                assert_eq!(parts(&pattern, path), tried(&pattern, path), "{pattern:?} {path:?}");
            }
        }
    }

    /// Of a pipeline file that was made to keep the server busy.
    #[test]
    fn no_pattern_takes_exponential_time() {
        let (pattern, path) = (format!("{}b", "**/a/".repeat(30)), ["a"; 64].join("/"));
        assert!(!fits(&pattern, &path));
        assert!(fits(&pattern, &format!("{path}/b")));
    }

    #[test]
    fn patterns_take_what_they_name() {
        for (pattern, path, expected) in [
            ("**", "a/b", true),
            ("dist/**", "dist/a/b.js", true),
            ("dist/**", "dist", false),
            ("dist", "dist/a/b.js", true),
            ("dist/", "dist/a", true),
            ("./dist", "dist/a", true),
            ("*.js", "a.js", true),
            ("*.js", "a/b.js", false),
            ("**/*.js", "b.js", true),
            ("**/*.js", "x/y/b.js", true),
            ("a/**/z", "a/z", true),
            ("a/**/z", "a/b/c/z", true),
            ("a/**/z", "a/b/c/y", false),
            ("?.md", "a.md", true),
            ("?.md", "ab.md", false),
            ("a*b*c", "aXbYbZc", true),
            ("server.mjs", "server.mjs", true),
            ("server.mjs", "xserver.mjs", false),
        ] {
            assert_eq!(fits(pattern, path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn hostile_patterns_end() {
        let pattern = "*a".repeat(200);
        assert!(!word(pattern.as_bytes(), "a".repeat(199).as_bytes()));
    }
}

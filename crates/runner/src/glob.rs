//! Patterns of the pipeline file: `*` and `?` within a folder, `**` any number of folders. A pattern that names a folder
//! takes everything below it.

/// Whether a path (parts joined by `/`) fits a pattern.
pub(crate) fn fits(pattern: &str, path: &str) -> bool {
    let pattern: Vec<&str> = pattern.trim_start_matches("./").trim_end_matches('/').split('/').collect();
    let path: Vec<&str> = path.split('/').collect();
    parts(&pattern, &path)
}

fn parts(pattern: &[&str], path: &[&str]) -> bool {
    match (pattern.split_first(), path.split_first()) {
        // what is left of the path lies below the folder the pattern names
        (None, _) => true,
        (Some((&"**", [])), _) => !path.is_empty(),
        (Some((&"**", rest)), _) => (0..=path.len()).any(|skip| parts(rest, &path[skip..])),
        (Some(_), None) => false,
        (Some((head, rest)), Some((name, below))) => word(head.as_bytes(), name.as_bytes()) && parts(rest, below),
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

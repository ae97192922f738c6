//! The rules that many keys share: names, times, commands, variables, paths. Each takes the keys it speaks of.

use super::super::expects::LINE_CHARS_MAX;
use super::lines::item;

/// Longest any time in the file may be: a day.
const SECONDS_MAX: u32 = 86_400;
const WORDS_MAX: usize = 256;
/// Each file of a checkout, and of what a build left, is held against each of them.
const PATTERNS_MAX: usize = 256;

/// The keys from the top down, and what is wrong with what stands there.
pub(super) type Checked = Result<(), (Vec<String>, String)>;

pub(super) fn path(parts: &[&str]) -> Vec<String> {
    parts.iter().map(|p| (*p).to_owned()).collect()
}

pub(super) fn line(text: &str, at: &[&str]) -> Checked {
    if !text.trim().is_empty() && text.chars().count() <= LINE_CHARS_MAX {
        return Ok(());
    }
    Err((path(at), format!("must have 1 to {LINE_CHARS_MAX} characters")))
}

/// Names become folders, labels and parts of commands.
pub(super) fn name(text: &str, at: &[&str]) -> Checked {
    let ok = !text.is_empty()
        && text.len() <= 63
        && text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_');
    if ok {
        return Ok(());
    }
    Err((
        path(at),
        "must be 1 to 63 lower-case letters, digits, `-` or `_`, and start with a letter or a digit".to_owned(),
    ))
}

pub(super) fn argv(words: &[String], at: &[&str]) -> Checked {
    if words.is_empty() || words[0].is_empty() {
        return Err((
            path(at),
            "is empty; write the program and its arguments, such as [\"node\", \"server.mjs\"]".to_owned(),
        ));
    }
    if words.len() > WORDS_MAX || words.iter().any(|w| w.contains('\0')) {
        return Err((path(at), format!("has more than {WORDS_MAX} words or a zero byte")));
    }
    Ok(())
}

pub(super) fn variable(text: &str, at: &[&str]) -> Checked {
    let ok = !text.is_empty()
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if ok { Ok(()) } else { Err((path(at), "is not the name of an environment variable".to_owned())) }
}

pub(super) fn env(map: &std::collections::BTreeMap<String, String>, at: &[&str]) -> Checked {
    for (key, value) in map {
        let at = [at, &[key.as_str()]].concat();
        variable(key, &at)?;
        if value.contains('\0') {
            return Err((path(&at), "holds a zero byte".to_owned()));
        }
    }
    Ok(())
}

pub(super) fn globs(patterns: &[String], at: &[&str]) -> Checked {
    if patterns.len() > PATTERNS_MAX {
        return Err((path(at), format!("has more than {PATTERNS_MAX} patterns; name folders, or use `**`")));
    }
    for (index, pattern) in patterns.iter().enumerate() {
        if pattern.is_empty() || pattern.starts_with('/') || pattern.split('/').any(|p| p == "..") {
            return Err((
                path(&[at, &[item(index).as_str()]].concat()),
                format!("has `{pattern}`; patterns start at the root of the checkout and stay in it"),
            ));
        }
    }
    Ok(())
}

pub(super) fn http_path(text: &str, at: &[&str]) -> Checked {
    let ok = text.starts_with('/') && !text.starts_with("//") && text.chars().all(|c| c.is_ascii_graphic());
    if ok { Ok(()) } else { Err((path(at), "must be a path such as /healthz".to_owned())) }
}

pub(super) fn seconds(value: u32, least: u32, at: &[&str]) -> Checked {
    if (least..=SECONDS_MAX).contains(&value) {
        return Ok(());
    }
    Err((path(at), format!("must be between {least} and {SECONDS_MAX} seconds")))
}

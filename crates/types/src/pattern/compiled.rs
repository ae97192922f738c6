//! Patterns compiled, each within the memory that it may take.

use regex::{Regex, RegexBuilder};

use super::{read, written::Written};

/// A compiled regular expression may take this much memory, as the crate `regex` has it.
const REGEX_BYTES_MAX: usize = 10 << 20;
/// Any pattern may take as much.
const REGEX_BYTES_LEAST: usize = 1 << 20;
/// A long one may take so much for each of its bytes: a list of hosts takes some 70.
const REGEX_BYTES_PER_BYTE: usize = 256;
/// What a search may take for each thread to tell what groups found. It is the size of the compiled pattern for each group.
const GROUPS_BYTES_MAX: usize = 64 << 20;

/// A pattern that the whole of a text has to match; `.` matches line ends too. What its groups found is not known.
///
/// # Errors
/// What is wrong with it, in one line.
pub fn whole(pattern: &str) -> Result<Regex, String> {
    whole_of(pattern, &read(pattern, false)?)
}

/// The same, for those who ask what its groups found.
///
/// # Errors
/// What is wrong with it, in one line.
pub fn whole_with_groups(pattern: &str) -> Result<Regex, String> {
    whole_of(pattern, &read(pattern, true)?)
}

fn whole_of(pattern: &str, written: &Written) -> Result<Regex, String> {
    compiled(pattern, &format!("^(?s:{})$", written.text), written.groups)
}

/// A pattern that is found anywhere in a text, with groups.
///
/// # Errors
/// What is wrong with it, in one line.
pub fn anywhere(pattern: &str) -> Result<Regex, String> {
    let written = read(pattern, true)?;
    compiled(pattern, &written.text, written.groups)
}

/// Thousands of hosts take megabytes; a short pattern that does was written to.
fn compiled(pattern: &str, text: &str, groups: usize) -> Result<Regex, String> {
    let bytes = pattern.len().saturating_mul(REGEX_BYTES_PER_BYTE).clamp(REGEX_BYTES_LEAST, REGEX_BYTES_MAX);
    let bytes = bytes.min(GROUPS_BYTES_MAX / (groups + 1));
    RegexBuilder::new(text).size_limit(bytes).build().map_err(|e| reason(&e))
}

/// The last line of the crate's message says what is wrong; those before it draw where.
fn reason(error: &regex::Error) -> String {
    let text = error.to_string();
    text.lines().last().unwrap_or_default().trim().trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_found_anywhere_or_whole() {
        let [found, all] = [anywhere("b.c"), whole("b.c")].map(|regex| regex.expect("a pattern"));
        assert!(found.is_match("abxcd") && !found.is_match("b\nc"));
        assert!(all.is_match("b\nc") && !all.is_match("abxcd"));
        // What stands in a pattern does not reach what is put around it.
        let inner = whole(r"a|(?-s)b.|(?m)c$").expect("a pattern");
        assert!(inner.is_match("bx") && !inner.is_match("ax") && !inner.is_match("c\n"));
    }

    #[test]
    fn groups_are_known_to_those_who_ask() {
        let pattern = "(?P<a>x)(y)";
        for (regex, groups) in [(whole(pattern), 1), (whole_with_groups(pattern), 3), (anywhere(pattern), 3)] {
            let regex = regex.expect("a pattern");
            assert!(regex.is_match("xy"), "{regex}");
            assert_eq!(regex.captures_len(), groups, "{regex}");
        }
        for read in [whole, whole_with_groups, anywhere] {
            assert_eq!(read("(?P<a>x)|(?P<a>y)").unwrap_err(), "two groups are called `a`");
        }
    }

    #[test]
    fn what_is_wrong_is_told_in_one_line() {
        for (pattern, wanted) in [("(", "unclosed group"), (r"\p{Nowhere}", "Unicode property not found")] {
            let error = whole(pattern).unwrap_err();
            assert!(error.contains(wanted) && !error.contains(['\n', '^']), "{error}");
        }
        let deep = format!("{}a{}", "(?:".repeat(300), ")".repeat(300));
        let error = whole(&deep).unwrap_err();
        assert!(error.contains("nest") && error.lines().count() == 1 && error.len() < 200, "{error}");
    }

    /// Tables of a search have a place for each group in each state: thousands of groups would take gigabytes.
    #[test]
    fn groups_take_their_room_of_the_pattern() {
        let many = "(a)".repeat(2_000);
        for read in [whole_with_groups, anywhere] {
            let error = read(&many).unwrap_err();
            assert!(error.contains("size limit"), "{error}");
            assert!(read(&r"(\d+)\.".repeat(60)).is_ok());
        }
        assert!(whole(&many).is_ok_and(|regex| regex.is_match(&"a".repeat(2_000))), "nobody asks what they found");
    }

    /// Each would be read for minutes, or take hundreds of megabytes, before its size is looked at.
    #[test]
    fn what_takes_long_to_read_is_refused() {
        let scattered: String = ('\u{4e00}'..'\u{9000}').step_by(2).collect();
        let everything = "[\0-\u{10ffff}]";
        for (named, pattern) in [
            ("characters without case", format!("(?i){}", everything.repeat(20))),
            ("within a group", format!("(?i:{})", everything.repeat(20))),
            ("sets without case", format!("(?i){}", r"[\W_]".repeat(20))),
            ("named sets", format!("(?i){}", "[[:^alpha:]]".repeat(20))),
            ("classes of Unicode", r"\pL|".repeat(1_500)),
            ("classes of Unicode without case", format!("(?i){}", r"[\pL]".repeat(500))),
            ("one class", format!("[{scattered}]")),
        ] {
            let error = whole(&pattern).unwrap_err();
            assert!(error.contains("too long to read"), "{named}: {error}");
        }
        for pattern in [
            format!("(?i){}", r"[^\W_]+-".repeat(4)),
            format!("(?i)(?:{})", r"[\w-]+\.com|".repeat(600)),
            r"(?i)[^a\d]+\D+\PL+".to_owned(),
            format!("(?:{})", r"[\w.-]+:\d+|[a-z0-9]{1,3}x".repeat(100)),
            format!("[{}]", scattered.chars().take(500).collect::<String>()),
            everything.repeat(20),
        ] {
            assert!(whole(&pattern).is_ok(), "{pattern}");
        }
    }
}

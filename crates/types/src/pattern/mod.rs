//! Regular expressions as Prometheus, Alertmanager and Grafana mean them: Go's, in RE2's syntax (`regexp/syntax` with its flags
//! for Perl). The crate `regex` reads another one: `[^[]` is open there, `[a&&b]` an intersection, `\<` the start of a word,
//! and `\d`, `\w`, `\s` and `\b` know all of Unicode.
//!
//! Every pattern that somebody may write is compiled here, but for those of flags, which mean what they mean to other SDKs:
//! [`whole`], [`whole_with_groups`] and [`anywhere`] bound its length, the steps of reading its classes, what it takes when it
//! is compiled, and what its groups take in a search.

mod compiled;
mod expand;
mod written;

pub use compiled::{anywhere, whole, whole_with_groups};
pub use expand::expand;

use written::Written;

/// Patterns of one query or request that are compiled, which may take milliseconds each. Lists of texts are not.
pub const COMPILED_MAX: usize = 500;
/// Longer patterns are not compiled: while it is read one takes some hundred times its bytes.
const PATTERN_BYTES_MAX: usize = 256 * 1024;
/// Go's bound of a counted repetition.
const REPEATS_MAX: u32 = 1_000;
/// Ranges of a class of Unicode, of one that has many.
const PROPERTY_RANGES: usize = 700;
const FLAGS: [char; 4] = ['i', 'm', 's', 'U'];
/// Classes by name, which stand within others: `[[:alpha:]_]`.
const NAMED: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper", "word",
    "xdigit",
];

/// The text a pattern stands for, when that is one only.
pub fn literal(pattern: &str) -> Option<String> {
    let mut out = String::with_capacity(pattern.len());
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        out.push(match c {
            '\\' => chars.next().filter(char::is_ascii_punctuation)?,
            '.' | '+' | '*' | '?' | '(' | ')' | '|' | '[' | ']' | '{' | '}' | '^' | '$' => return None,
            _ => c,
        });
    }
    Some(out)
}

/// The texts a pattern lists, `a|b` or `(a|b)` as pages of graphs write it.
pub fn listed(pattern: &str) -> Option<Vec<String>> {
    let within = pattern.strip_prefix("(?:").or_else(|| pattern.strip_prefix('(')).and_then(|p| p.strip_suffix(')'));
    let all = |list: &str| list.split('|').map(literal).collect::<Option<Vec<_>>>();
    all(pattern).or_else(|| all(within?))
}

/// What a repetition would repeat.
#[derive(Clone, Copy)]
enum Last {
    Nothing,
    Item,
    Repetition,
}

/// Writes a regular expression of Go's syntax in that of the crate `regex`, with the same meaning. A few that Go takes are
/// refused: names of groups that begin with a digit, surrogates, and a repetition after flags.
///
/// # Errors
/// What is wrong, in a few words. What only the crate `regex` finds (a property that Unicode has not, more than 250 groups in
/// one another) it says when it compiles.
pub fn go_regex(pattern: &str) -> Result<String, String> {
    read(pattern, true).map(|written| written.text)
}

/// Without groups that are numbered and named when nobody asks what they found.
fn read(pattern: &str, with_groups: bool) -> Result<Written, String> {
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err(format!("it has {} bytes; at most {PATTERN_BYTES_MAX} are allowed", pattern.len()));
    }
    let mut out = Written::new(pattern, with_groups);
    let mut rest = pattern;
    let mut open = 0_usize;
    let mut last = Last::Nothing;
    while let Some(c) = rest.chars().next() {
        let (after, length) = (&rest[c.len_utf8()..], out.text.len());
        let mut now = Last::Item;
        rest = match c {
            '(' => {
                let (after, opens) = group(after, &mut out)?;
                open += usize::from(opens);
                now = Last::Nothing;
                after
            }
            ')' => {
                open = open.checked_sub(1).ok_or("unopened group")?;
                out.text.push(')');
                after
            }
            '|' => {
                now = Last::Nothing;
                out.text.push('|');
                after
            }
            '[' => class(after, &mut out)?,
            '\\' => escaped(after, &mut out)?,
            '*' | '+' | '?' | '{' => {
                if let Some(length) = repetition(rest)? {
                    match last {
                        Last::Nothing => return Err("repetition operator missing expression".to_owned()),
                        Last::Repetition => return Err("a repetition is repeated; put it in a group".to_owned()),
                        Last::Item => now = Last::Repetition,
                    }
                    out.text.push_str(&rest[..length]);
                    &rest[length..]
                } else {
                    out.text.push_str(r"\{");
                    after
                }
            }
            _ => {
                out.text.push(c);
                after
            }
        };
        // `\Q\E` and `(?)` are nothing, also to a repetition behind them.
        if out.text.len() > length {
            last = now;
        }
    }
    if open == 0 { Ok(out) } else { Err("unclosed group".to_owned()) }
}

/// The bytes of the repetition that a text begins with, `?` for a lazy one included. `None` where its `{` stands for itself.
fn repetition(text: &str) -> Result<Option<usize>, String> {
    let mut length = 1;
    if let Some(counted) = text.strip_prefix('{') {
        let end = counted.find(|c: char| !c.is_ascii_digit() && c != ',').unwrap_or(counted.len());
        let count = &counted[..end];
        let (low, high) = count.split_once(',').unwrap_or((count, count));
        let is_number =
            |t: &str| t == "0" || (t.starts_with(|c: char| c.is_ascii_digit() && c != '0') && !t.contains(','));
        if !counted[end..].starts_with('}') || !is_number(low) || !(high.is_empty() || is_number(high)) {
            return Ok(None);
        }
        let value = |t: &str| t.parse::<u32>().ok().filter(|n| *n <= REPEATS_MAX);
        let bounds = value(low).zip(if high.is_empty() { Some(REPEATS_MAX) } else { value(high) });
        if bounds.is_none_or(|(low, high)| low > high) {
            return Err(format!("`{{{count}}}` is no repetition; it goes up to {REPEATS_MAX}, the lower bound first"));
        }
        length = end + 2;
    }
    Ok(Some(length + usize::from(text[length..].starts_with('?'))))
}

/// What stands behind a `(`: the rest of the pattern, and whether a group was opened or flags were set.
fn group<'p>(after: &'p str, out: &mut Written) -> Result<(&'p str, bool), String> {
    let Some(special) = after.strip_prefix('?') else {
        out.group();
        return Ok((after, true));
    };
    if let Some(named) = special.strip_prefix("P<").or_else(|| special.strip_prefix('<')) {
        let is_name = |n: &str| !n.is_empty() && n.bytes().all(|b| b == b'_' || b.is_ascii_alphanumeric());
        let (name, rest) = named.split_once('>').filter(|(name, _)| is_name(name)).ok_or("invalid named group")?;
        out.named_group(name)?;
        return Ok((rest, true));
    }
    let mut flags: [Option<bool>; FLAGS.len()] = [None; FLAGS.len()];
    let (mut on, mut seen) = (true, false);
    for (at, c) in special.char_indices() {
        match c {
            '-' if on => (on, seen) = (false, false),
            ':' | ')' if on || seen => {
                let of =
                    |wanted: bool| FLAGS.iter().zip(flags).filter(move |(_, is)| *is == Some(wanted)).map(|(c, _)| *c);
                let (set, unset): (String, String) = (of(true).collect(), of(false).collect());
                let dash = if unset.is_empty() { "" } else { "-" };
                out.folds |= set.contains('i');
                if c == ':' || !set.is_empty() || !unset.is_empty() {
                    out.text.extend(["(?", &set, dash, &unset]);
                    out.text.push(c);
                }
                return Ok((&special[at + 1..], c == ':'));
            }
            _ => {
                let Some(at) = FLAGS.iter().position(|flag| *flag == c) else { break };
                (flags[at], seen) = (Some(on), true);
            }
        }
    }
    Err("what stands behind `(?` is neither a group nor flags of RE2".to_owned())
}

/// What stands behind a backslash outside of classes: the rest of the pattern.
fn escaped<'p>(after: &'p str, out: &mut Written) -> Result<&'p str, String> {
    let same = match after.as_bytes().first() {
        Some(b'A') => r"\A",
        Some(b'z') => r"\z",
        Some(b'b') => r"(?-u:\b)",
        Some(b'B') => r"(?-u:\B)",
        Some(b'Q') => {
            let (text, rest) = after[1..].split_once(r"\E").unwrap_or((&after[1..], ""));
            text.chars().for_each(|c| out.put(c));
            return Ok(rest);
        }
        _ => "",
    };
    if !same.is_empty() {
        out.text.push_str(same);
        return Ok(&after[1..]);
    }
    if let Some(rest) = set(after, false, out)? {
        return Ok(rest);
    }
    let (c, rest) = character(after)?;
    out.put(c);
    Ok(rest)
}

/// The set that the text behind a backslash names (`d`, `W`, `p{Greek}`), within a class or alone.
fn set<'p>(after: &'p str, within: bool, out: &mut Written) -> Result<Option<&'p str>, String> {
    let Some(kind) = after.bytes().next() else { return Ok(None) };
    let negated = kind.is_ascii_uppercase();
    let members = match kind.to_ascii_lowercase() {
        b'd' => "0-9",
        b's' => r"\t\n\f\r ",
        b'w' => "0-9A-Z_a-z",
        b'p' => return property(&after[1..], negated, within, out).map(Some),
        _ => return Ok(None),
    };
    if within {
        out.set(negated)?;
    }
    match (negated, within) {
        (true, _) => out.text.extend(["[^", members, "]"]),
        (false, true) => out.text.push_str(members),
        (false, false) => out.text.extend(["[", members, "]"]),
    }
    Ok(Some(&after[1..]))
}

/// A class of Unicode, `N` or `{Greek}`; `{^Greek}` is all that is not.
fn property<'p>(after: &'p str, negated: bool, within: bool, out: &mut Written) -> Result<&'p str, String> {
    let first = after.chars().next().map_or(0, char::len_utf8);
    let named = after.strip_prefix('{').and_then(|named| named.split_once('}'));
    let (name, rest) = named.unwrap_or_else(|| after.split_at(first));
    let (name, negated) = name.strip_prefix('^').map_or((name, negated), |name| (name, !negated));
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b' ')) {
        return Err("`\\p` names no class of Unicode".to_owned());
    }
    out.property(negated && within)?;
    out.text.extend([if negated { r"\P{" } else { r"\p{" }, name, "}"]);
    Ok(rest)
}

/// A class, from behind its `[` on: the rest of the pattern.
fn class<'p>(after: &'p str, out: &mut Written) -> Result<&'p str, String> {
    let mut rest = after;
    out.text.push('[');
    if let Some(negated) = rest.strip_prefix('^') {
        out.text.push('^');
        rest = negated;
    }
    // A `]` that comes first is one of the class.
    let mut first = true;
    let mut ranges = 0;
    loop {
        if let Some(rest) = rest.strip_prefix(']').filter(|_| !first) {
            out.text.push(']');
            return Ok(rest);
        }
        first = false;
        out.spend(ranges)?;
        if let Some((name, behind)) = rest.strip_prefix("[:").and_then(named) {
            if !NAMED.contains(&name.strip_prefix('^').unwrap_or(name)) {
                return Err(format!("`[:{name}:]` is no class"));
            }
            out.set(name.starts_with('^'))?;
            out.text.extend(["[:", name, ":]"]);
            (rest, ranges) = (behind, ranges + 2);
            continue;
        }
        if let Some(escaped) = rest.strip_prefix('\\')
            && let Some(behind) = set(escaped, true, out)?
        {
            (rest, ranges) = (behind, ranges + if escaped.starts_with(['p', 'P']) { PROPERTY_RANGES } else { 4 });
            continue;
        }
        let (low, behind) = member(rest)?;
        out.put(low);
        (rest, ranges) = (behind, ranges + 1);
        if let Some(to) = behind.strip_prefix('-').filter(|to| !to.is_empty() && !to.starts_with(']')) {
            let (high, behind) = member(to)?;
            if high < low {
                return Err(format!("invalid character class range, `{high}` comes before `{low}`"));
            }
            out.range(low, high)?;
            rest = behind;
        }
    }
}

/// `alpha` of `alpha:]`, and what follows.
fn named(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '^')?;
    let (name, rest) = text.split_at(end);
    rest.strip_prefix(":]").map(|rest| (name, rest))
}

/// One character of a class.
fn member(text: &str) -> Result<(char, &str), String> {
    let mut chars = text.chars();
    match chars.next() {
        None => Err("unclosed character class".to_owned()),
        Some('\\') => character(chars.as_str()),
        Some(c) => Ok((c, chars.as_str())),
    }
}

/// The character that the text behind a backslash stands for.
fn character(text: &str) -> Result<(char, &str), String> {
    let mut chars = text.chars();
    let Some(c) = chars.next() else { return Err("a backslash ends it; write two for one".to_owned()) };
    let rest = chars.as_str();
    let found = match c {
        'a' => Some(('\x07', rest)),
        'f' => Some(('\x0c', rest)),
        'n' => Some(('\n', rest)),
        'r' => Some(('\r', rest)),
        't' => Some(('\t', rest)),
        'v' => Some(('\x0b', rest)),
        '0'..='7' => {
            let digits = 1 + rest.bytes().take(2).take_while(|b| matches!(b, b'0'..=b'7')).count();
            // `\1` would be what the first group found, which RE2 has not.
            let is_octal = c == '0' || digits > 1;
            code(&text[..digits], 8).filter(|_| is_octal).map(|c| (c, &text[digits..]))
        }
        'x' => {
            let short = || rest.get(..2).zip(rest.get(2..));
            let long = rest.strip_prefix('{').map(|braced| braced.split_once('}'));
            long.unwrap_or_else(short).and_then(|(digits, rest)| code(digits, 16).map(|c| (c, rest)))
        }
        c if c.is_ascii() && !c.is_ascii_alphanumeric() => Some((c, rest)),
        _ => None,
    };
    found.ok_or_else(|| format!("`\\{c}` is no escape of RE2"))
}

fn code(digits: &str, radix: u32) -> Option<char> {
    let all = digits.chars().all(|c| c.is_digit(radix));
    u32::from_str_radix(digits, radix).ok().filter(|_| all).and_then(char::from_u32)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex::Regex;

    use super::*;

    fn compiled(pattern: &str) -> Result<Regex, String> {
        let text = go_regex(pattern)?;
        Regex::new(&format!("^(?s:{text})$")).map_err(|e| format!("{text}: {e}"))
    }

    /// What `regexp.MatchString("^(?s:" + pattern + ")$", text)` answers in Go.
    #[test]
    fn patterns_match_what_they_match_in_go() {
        let cases: &[(&str, &[&str], &[&str])] = &[
            ("", &[""], &["a"]),
            ("a.c", &["abc", "a\nc", "aéc"], &["ac"]),
            ("(?-s)a.c", &["abc"], &["a\nc"]),
            (r"\d+", &["09"], &["٣", ""]),
            (r"\D", &["٣", "a"], &["3"]),
            (r"\w+", &["aZ_9"], &["Zürich", "-"]),
            (r"\W", &["ü", "-"], &["u", "_"]),
            (r"\s+", &["\t\n\x0c\r "], &["\x0b", "\u{a0}"]),
            (r"\S", &["\x0b", "\u{a0}"], &[" "]),
            (r"[\d_]+", &["4_2"], &["٣"]),
            (r"[^\W\d]+", &["ab_"], &["a1", "ü"]),
            (r"a\b.*", &["a-b", "aü"], &["ab"]),
            (r"a\B.*", &["ab"], &["a-b", "aü"]),
            (r"\pN\p{Greek}\PN", &["1αa"], &["aαa", "111"]),
            (r"\p{^Greek}\P{^Greek}", &["aα"], &["αa"]),
            (r"[\p{Lu}\d]+", &["ÄB1"], &["ä"]),
            (r"\Qa.b[\E+", &["a.b[", "a.b[["], &["axb["]),
            (r"\Qa|b", &["a|b"], &["a"]),
            (r"x\Q\E*", &["", "xx"], &["y"]),
            (r"\<\>\_\-\/\ \'", &["<>_-/ '"], &["_-/ '"]),
            (r"\x41\x{e9}\101\0\07\n\t\a\f\r\v", &["AéA\0\x07\n\t\x07\x0c\r\x0b"], &["A"]),
            (r"\08", &["\08"], &["8"]),
            ("[^[]+", &["ab]"], &["a[b"]),
            ("[^[:]+", &["ab"], &["a:", "["]),
            ("[[]", &["["], &["]"]),
            ("[a&&b]+", &["a&b"], &["c"]),
            ("[&--b~~]+", &["&,-b~"], &["c"]),
            ("[+--]+", &["+,-"], &["a", "."]),
            ("[]a]+", &["]a"], &["b"]),
            ("[^]a]", &["b"], &["]", "a"]),
            ("[a-]+", &["a-"], &["b"]),
            ("[-a]+", &["a-"], &["b"]),
            (r"[\d-z]+", &["1-z"], &["a"]),
            ("[a-c-e]+", &["abc-e"], &["d"]),
            (r"[\]\^\\]+", &[r"]^\"], &["a"]),
            ("[a^]+", &["a^"], &["b"]),
            ("[[:alpha:]_]+", &["aZ_"], &["é", "1"]),
            ("[[:^alpha:]]", &["é", "1"], &["a"]),
            ("[[:word:]]+", &["a_1"], &["é"]),
            ("(?i)straße", &["STRAßE", "straẞe"], &["strasse"]),
            (r"(?i)\w", &["\u{212a}", "\u{17f}", "k"], &["ü"]),
            (r"(?i)[^a\d]", &["b"], &["A", "1"]),
            (r"(?i)\p{Lu}", &["a", "A"], &["1"]),
            ("a(?i)b|c", &["ab", "aB", "C"], &["Ab"]),
            ("(?i:a)b", &["Ab"], &["AB"]),
            ("(?i-i:a)(?)(?ii)b", &["aB"], &["A", "Ab"]),
            ("(?is-m:a.)", &["A\n"], &["A"]),
            ("a$", &["a"], &["a\n"]),
            (r"(?m)a$\n^b", &["a\nb"], &["ab"]),
            (r"(?m)\Aa$(?-m)\nb\z", &["a\nb"], &["a\nb\n"]),
            ("(?U)(a+)(a*)", &["aaa"], &[""]),
            ("a{2}b{1,}c{0,2}", &["aab", "aabbcc"], &["aac", "aabccc"]),
            ("a{2,1000}", &["aa"], &["a"]),
            ("{", &["{"], &[""]),
            ("a{,5}", &["a{,5}"], &["a", ""]),
            ("a{ 2 }", &["a{ 2 }"], &["aa"]),
            ("a{01}b{x}{}c{1", &["a{01}b{x}{}c{1"], &["a"]),
            (r"\b{start}a", &[], &["a"]),
            ("a{1}{", &["a{"], &["a"]),
            ("#a b", &["#a b"], &["ab"]),
            ("(?P<one>a)(?<two_2>b)(c)", &["abc"], &["ab"]),
            ("}]", &["}]"], &[""]),
            ("^^a$$", &["a"], &["b"]),
            ("(|a)*", &["", "aa"], &["b"]),
        ];
        for (pattern, matching, others) in cases {
            let regex = compiled(pattern).unwrap();
            for text in *matching {
                assert!(regex.is_match(text), "{pattern:?} as {regex} on {text:?}");
            }
            for text in *others {
                assert!(!regex.is_match(text), "{pattern:?} as {regex} on {text:?}");
            }
        }
    }

    #[test]
    fn groups_are_numbered_and_named_as_in_go() {
        let regex = compiled(r"(?:x)(?P<city>\w+)(\W)(?<rest>.*)").unwrap();
        let found = regex.captures("xZürich").unwrap();
        assert_eq!((&found[1], &found["city"], &found[2], &found["rest"]), ("Z", "Z", "ü", "rich"));
        let lazy = compiled("(?U)(a+)(a*?)").unwrap();
        let found = lazy.captures("aaa").unwrap();
        assert_eq!((&found[1], &found[2]), ("a", "aa"));
    }

    #[test]
    fn what_go_refuses_is_refused() {
        let refused = r"( a) a)|(b (?i [ [a [] [^] a** a*+ a++ a+?* a{2}{3} a??+ * (*) |+ a|* (?:?i) (\Q\E?i) a{1001} a{2,1}
            a{99999999999} \ [\ \C \1 \8 \Z \G \K \R \X \h \u0041 \é \x \x4 \x{} \x{+4} \x{110000} \E \p \p{ \p{} \p{^}
            \p{sc=Greek} \p{Nowhere} [\b] [\z] [a-\d] [z-a] [a--b] [[:foo:]] [[:Alpha:]] (?x)a (?R)a (?u)a (?-) (?i-:a) (?=a)
            (?!a) (?<=a)b (?>a) (?#a) (?P=a) (?P<>a) (?P<a.b>a) (?P<a (?P<a>x)(?P<a>y)";
        // Go takes these; what they would be here is another thing.
        let others = r"a+\Q\E? a+(?)?";
        for pattern in refused.split_whitespace().chain(others.split_whitespace()) {
            assert!(compiled(pattern).is_err(), "{pattern:?} is read as {:?}", go_regex(pattern));
        }
        assert!(go_regex(&"a".repeat(PATTERN_BYTES_MAX + 1)).unwrap_err().contains("at most 262144"));
    }

    #[test]
    fn what_is_plain_stays_as_it_is() {
        for pattern in ["abc", "a.*b", "(a|b)-[0-9]+", "^x{2,3}?$", r"a\.b", "(?:é|ü)#&~"] {
            assert_eq!(go_regex(pattern).as_deref(), Ok(pattern));
        }
    }

    #[test]
    fn lists_and_single_texts() {
        let texts = |pattern: &str| listed(pattern).map(|list| list.join(","));
        for (pattern, expected) in [
            ("a|b", Some("a,b")),
            ("(a|b)", Some("a,b")),
            ("(?:a|b)", Some("a,b")),
            (r"10\.0\.0\.1:9100|a\<", Some("10.0.0.1:9100,a<")),
            ("", Some("")),
            ("a.b", None),
            ("(a)|(b)", None),
            (r"a\d", None),
            (r"a\", None),
            ("(?i)a", None),
        ] {
            assert_eq!(texts(pattern).as_deref(), expected, "{pattern}");
        }
    }

    proptest! {
        /// Whatever is written is read or refused, and a list is a regular expression of the same meaning.
        #[test]
        fn any_text_is_read_or_refused(
            pattern in r"([a-c0-9é]|\\|\[|\]|\(|\)|\?|[*+{},|^$.:<>&~#QEPpxbdsw imU_-]){0,16}",
            value in "[a-c0-9é:_-]{0,5}",
        ) {
            let compiled = compiled(&pattern);
            if let Some(list) = listed(&pattern) {
                let regex = compiled.unwrap();
                prop_assert_eq!((&pattern, regex.is_match(&value)), (&pattern, list.contains(&value)));
                prop_assert!(list.iter().all(|text| regex.is_match(text)), "{}", pattern);
            }
        }

        #[test]
        fn no_text_panics(pattern in "\\PC{0,40}") {
            let _ = go_regex(&pattern);
        }
    }
}

//! What an alert says is text, whatever a service would make of it: nothing bold, no address behind other words, nobody
//! mentioned. Addresses stand as they are, so that they can be followed.

/// A part of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part<'a> {
    Words(&'a str),
    /// Of http or https.
    Address(&'a str),
}

/// The parts of a text, in their order.
pub fn parts(text: &str) -> Vec<Part<'_>> {
    let (mut found, mut from, mut at) = (Vec::new(), 0, 0);
    while let Some(step) = text[at..].find("http") {
        let start = at + step;
        let length = address_bytes(&text[start..]);
        if length == 0 || text[..start].ends_with(char::is_alphanumeric) {
            at = start + "http".len();
            continue;
        }
        if from < start {
            found.push(Part::Words(&text[from..start]));
        }
        found.push(Part::Address(&text[start..start + length]));
        (from, at) = (start + length, start + length);
    }
    if from < text.len() {
        found.push(Part::Words(&text[from..]));
    }
    found
}

/// How long the address is that a text begins with; 0 where it begins with none.
fn address_bytes(text: &str) -> usize {
    let Some(rest) = ["https://", "http://"].iter().find_map(|scheme| text.strip_prefix(*scheme)) else { return 0 };
    let ends = |c: char| c.is_whitespace() || c.is_control() || "<>\"`|\\[]".contains(c);
    let mut body = &rest[..rest.find(ends).unwrap_or(rest.len())];
    // A sentence goes on behind an address, and may have it in brackets.
    let mut spare = body.matches(')').count().saturating_sub(body.matches('(').count());
    loop {
        body = body.trim_end_matches(['.', ',', ';', ':', '!', '?', '\'', '*', '_', '~']);
        match body.strip_suffix(')') {
            Some(shorter) if spare > 0 => (body, spare) = (shorter, spare - 1),
            _ => break,
        }
    }
    if body.is_empty() { 0 } else { text.len() - rest.len() + body.len() }
}

/// As Markdown that reads like the text: a backslash stands before each of `marks`, and before what would begin a list.
pub fn escaped(text: &str, marks: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    let (mut begins, mut touches) = (true, false);
    for part in parts(text) {
        let words = match part {
            Part::Words(words) => words,
            Part::Address(address) => {
                out.push_str(address);
                (begins, touches) = (false, true);
                continue;
            }
        };
        for c in words.chars() {
            touches &= !c.is_whitespace();
            if marks.contains(c) || (begins && matches!(c, '-' | '+')) {
                // To a service an address ends at a space alone: it would have the backslash in it, and lead nowhere.
                if touches {
                    out.push(' ');
                    touches = false;
                }
                out.push('\\');
            }
            out.push(c);
            begins = c == '\n' || (begins && c == ' ');
        }
    }
    out
}

/// Nobody is mentioned: behind each `@` that begins a word stands a zero-width space, and in an address it is encoded.
pub fn unmentioned(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    for part in parts(text) {
        let (of, instead) = match part {
            Part::Words(words) => (words, "@\u{200b}"),
            Part::Address(address) => (address, "%40"),
        };
        for c in of.chars() {
            if c == '@' && !inside {
                out.push_str(instead);
            } else {
                out.push(c);
            }
            inside = c.is_alphanumeric();
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found() {
        let cases: &[(&str, &[&str])] = &[
            ("see https://a.example/x_y*z.", &["https://a.example/x_y*z"]),
            ("(http://a/b), http://c/d(e)!", &["http://a/b", "http://c/d(e)"]),
            ("[x](http://evil.example)", &["http://evil.example"]),
            ("<http://a|words> \"https://b\"", &["http://a", "https://b"]),
            ("http://a))))", &["http://a"]),
            ("xhttp://a http:// https://. http ftp://a", &[]),
            ("übel http://a/ü\nnext", &["http://a/ü"]),
            ("", &[]),
        ];
        for (text, wanted) in cases {
            let all = parts(text);
            let found = all.iter().filter_map(|part| match part {
                Part::Address(address) => Some(*address),
                Part::Words(_) => None,
            });
            assert_eq!(found.collect::<Vec<_>>(), *wanted, "{text}");
            let whole = all.iter().map(|part| match part {
                Part::Address(text) | Part::Words(text) => *text,
            });
            assert_eq!(whole.collect::<String>(), *text, "nothing is lost");
        }
    }

    #[test]
    fn markup_is_escaped_and_addresses_are_not() {
        for (text, wanted) in [
            ("*a* http://x/_b_c", "\\*a\\* http://x/_b_c"),
            ("- one\n  + two - three", "\\- one\n  \\+ two - three"),
            ("http://x - y", "http://x - y"),
            ("*http://x* _y_", "\\*http://x \\* \\_y\\_"),
            ("http://x.*", "http://x. \\*"),
            ("plain, 12 % (of 3)", "plain, 12 % (of 3)"),
        ] {
            assert_eq!(escaped(text, "*_"), wanted, "{text}");
        }
    }

    #[test]
    fn nobody_is_mentioned() {
        for (text, wanted) in [
            ("@here (@all) _@channel", "@\u{200b}here (@\u{200b}all) _@\u{200b}channel"),
            ("ana@example.org", "ana@example.org"),
            ("https://ana@x/@here", "https://ana@x/%40here"),
        ] {
            assert_eq!(unmentioned(text), wanted, "{text}");
        }
    }
}

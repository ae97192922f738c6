//! Matchers as Alertmanager's files, API and tools write them, in both of its syntaxes.
//!
//! The newer one takes any UTF-8 in label names (`"disk.full"=~"/dev/.+"`, `überlast=ja`); the classic one takes ASCII
//! names and a value in which nearly everything may stand unquoted. A text is read by the newer one and, when that
//! refuses or both read different things, by the classic one: what an old file says does not change its meaning.

use tenfold_types::{Matcher, MatcherOp};

use super::MATCHERS_MAX;

/// Bytes of one text of matchers.
const TEXT_BYTES_MAX: usize = 16_384;

/// Reads a list of matchers: `{a="b", c!~"d|e"}`, braces optional. An empty list is allowed and matches everything.
///
/// # Errors
/// One sentence saying what is wrong and where.
pub fn read_matchers(text: &str) -> Result<Vec<Matcher>, String> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(format!("matchers have at most {TEXT_BYTES_MAX} bytes, these have {}", text.len()));
    }
    let found = match (utf8(text), classic(text)) {
        (Ok(new), Ok(old)) if new != old => old,
        (Ok(new), _) => new,
        (Err(_), Ok(old)) => old,
        (Err(error), Err(_)) => return Err(format!("`{text}` is not a list of matchers: {error}")),
    };
    if found.len() > MATCHERS_MAX {
        return Err(format!("at most {MATCHERS_MAX} matchers stand together, here are {}", found.len()));
    }
    Ok(found)
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Open,
    Close,
    Comma,
    Op(MatcherOp),
    /// A name or value, unquoted already.
    Text(String),
}

fn utf8(text: &str) -> Result<Vec<Matcher>, String> {
    let tokens = tokens(text)?;
    let mut rest = tokens.as_slice();
    let braces = rest.first() == Some(&Token::Open);
    if braces {
        match rest {
            [_, inner @ .., Token::Close] => rest = inner,
            _ => return Err("a `{` is not closed".to_owned()),
        }
    }
    let mut out = Vec::new();
    while !rest.is_empty() {
        let [Token::Text(name), Token::Op(op), Token::Text(value), after @ ..] = rest else {
            return Err("a matcher is a label name, one of = != =~ !~, and a value".to_owned());
        };
        out.push(Matcher::new(name, *op, value));
        rest = match after {
            [] => after,
            [Token::Comma, next @ ..] => next,
            _ => return Err("a comma stands between matchers".to_owned()),
        };
    }
    Ok(out)
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let (token, length) = match c {
            c if c.is_whitespace() => {
                rest = &rest[c.len_utf8()..];
                continue;
            }
            '{' => (Token::Open, 1),
            '}' => (Token::Close, 1),
            ',' => (Token::Comma, 1),
            '=' if rest.starts_with("=~") => (Token::Op(MatcherOp::Regex), 2),
            '=' => (Token::Op(MatcherOp::Equal), 1),
            '!' if rest.starts_with("!=") => (Token::Op(MatcherOp::NotEqual), 2),
            '!' if rest.starts_with("!~") => (Token::Op(MatcherOp::NotRegex), 2),
            '"' => quoted(rest)?,
            c if reserved(c) => return Err(format!("`{c}` stands only in quotes")),
            _ => {
                let end = rest.find(|c: char| reserved(c) || c.is_whitespace()).unwrap_or(rest.len());
                (Token::Text(rest[..end].to_owned()), end)
            }
        };
        out.push(token);
        rest = &rest[length..];
    }
    Ok(out)
}

fn reserved(c: char) -> bool {
    "{}!=~,\\\"'`".contains(c)
}

/// A text in double quotes with Go's escapes.
fn quoted(text: &str) -> Result<(Token, usize), String> {
    let mut value = Vec::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => {
                let value = String::from_utf8(value).map_err(|_| "a quoted text is not UTF-8".to_owned())?;
                return Ok((Token::Text(value), at + 1));
            }
            '\n' => return Err("a quoted text does not go over the end of a line".to_owned()),
            '\\' => {
                let (_, kind) = chars.next().ok_or("a quote is not closed")?;
                let mut digits = |n: usize, first: Option<char>, radix: u32| -> Result<u32, String> {
                    let text: String =
                        first.into_iter().chain((0..n).filter_map(|_| chars.next().map(|(_, c)| c))).collect();
                    let whole = text.chars().count() == n + usize::from(first.is_some());
                    let number = whole.then(|| u32::from_str_radix(&text, radix).ok()).flatten();
                    number.ok_or_else(|| format!("`\\{kind}` needs more digits"))
                };
                match kind {
                    'a' => value.push(7),
                    'b' => value.push(8),
                    'f' => value.push(12),
                    'n' => value.push(b'\n'),
                    'r' => value.push(b'\r'),
                    't' => value.push(b'\t'),
                    'v' => value.push(11),
                    '\\' | '"' => value.push(kind as u8),
                    'x' => value.push(digits(2, None, 16)? as u8),
                    '0'..='7' => {
                        let byte = digits(2, Some(kind), 8)?;
                        value.push(u8::try_from(byte).map_err(|_| "an octal escape is at most \\377")?);
                    }
                    'u' | 'U' => {
                        let code = digits(if kind == 'u' { 4 } else { 8 }, None, 16)?;
                        let c = char::from_u32(code).ok_or_else(|| format!("\\{kind}{code:x} is no character"))?;
                        value.extend(c.encode_utf8(&mut [0; 4]).bytes());
                    }
                    other => return Err(format!("`\\{other}` is not an escape")),
                }
            }
            c => value.extend(c.encode_utf8(&mut [0; 4]).bytes()),
        }
    }
    Err("a quote is not closed".to_owned())
}

fn classic(text: &str) -> Result<Vec<Matcher>, String> {
    let text = text.strip_prefix('{').unwrap_or(text);
    let text = text.strip_suffix('}').unwrap_or(text);
    let (mut inside, mut escaped) = (false, false);
    let mut parts = vec![String::new()];
    for c in text.chars() {
        match c {
            ',' if !inside => {
                parts.push(String::new());
                continue;
            }
            '"' if escaped => escaped = false,
            '"' => inside = !inside,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
        if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    // A comma at the end is allowed, one in between without a matcher is not.
    if parts.last().is_some_and(String::is_empty) {
        parts.pop();
    }
    parts.iter().map(|part| classic_one(part)).collect()
}

fn classic_one(text: &str) -> Result<Matcher, String> {
    let wrong = || format!("bad matcher format: {text}");
    let trimmed = text.trim();
    let end = trimmed.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | ':'))).ok_or_else(wrong)?;
    let (name, rest) = trimmed.split_at(end);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(wrong());
    }
    let rest = rest.trim_start();
    let operators =
        [("=~", MatcherOp::Regex), ("=", MatcherOp::Equal), ("!=", MatcherOp::NotEqual), ("!~", MatcherOp::NotRegex)];
    let (op, raw) =
        operators.into_iter().find_map(|(sign, op)| rest.strip_prefix(sign).map(|r| (op, r))).ok_or_else(wrong)?;
    let raw = raw.trim();
    let (raw, mut open) = raw.strip_prefix('"').map_or((raw, false), |r| (r, true));
    let mut value = String::new();
    let mut escaped = false;
    for (at, c) in raw.char_indices() {
        let last = at + c.len_utf8() == raw.len();
        match c {
            'n' if escaped => value.push('\n'),
            '"' | '\\' if escaped => value.push(c),
            c if escaped => value.extend(['\\', c]),
            '\\' if !last => {
                escaped = true;
                continue;
            }
            '"' if open && last => open = false,
            '"' => return Err(format!("a quote stands in the middle of {text}")),
            c => value.push(c),
        }
        escaped = false;
    }
    if open { Err(format!("a quote is not closed in {text}")) } else { Ok(Matcher::new(name, op, value)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let got = match read_matchers(text) {
            Ok(list) => list.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
            Err(error) => format!("ERROR {error}"),
        };
        assert!(if expected == "ERROR" { got.starts_with("ERROR") } else { got == expected }, "{text}: {got}");
    }

    #[test]
    fn both_syntaxes() {
        // After the tables of Alertmanager's own tests of its parsers.
        for (text, expected) in [
            ("{}", ""),
            ("", ""),
            ("foo=bar", "foo=\"bar\""),
            ("{foo=bar,}", "foo=\"bar\""),
            ("{foo=\"bar\", bar!~\"b.z\"}", "foo=\"bar\" bar!~\"b.z\""),
            ("\"foo.bar\"=\"baz\"", "\"foo.bar\"=\"baz\""),
            ("{überlast=\"ja\"}", "\"überlast\"=\"ja\""),
            ("foo🙂=bar", "\"foo🙂\"=\"bar\""),
            ("{\"foo\"=\"bar\\t\\u00fc\"}", "foo=\"bar\u{9}ü\""),
            ("{\"f o\"=\"bar\\u00fc\"}", "\"f o\"=\"barü\""),
            ("foo=~[a-z]+", "foo=~\"[a-z]+\""),
            // Alertmanager's classic parser takes the last brace away whether or not there is a first one.
            ("foo=a{2}", "foo=\"a{2\""),
            ("foo=\"a{2}\"", "foo=\"a{2}\""),
            ("foo=bar=baz", "foo=\"bar=baz\""),
            ("foo=", "foo=\"\""),
            ("foo = \"b,z\" , x!=y", "foo=\"b,z\" x!=\"y\""),
            ("foo=\"a\\\"b\"", "foo=\"a\\\"b\""),
            ("{foo=bar", "foo=\"bar\""),
            ("foo", "ERROR"),
            ("=bar", "ERROR"),
            ("foo=\"bar", "ERROR"),
            ("foo=b\"ar", "ERROR"),
            ("\"foo=bar", "ERROR"),
            ("{foo=bar}}x", "foo=\"bar}}x\""),
            ("a=b,,c=d", "ERROR"),
            ("0a=b", "\"0a\"=\"b\""),
        ] {
            check(text, expected);
        }
    }
}

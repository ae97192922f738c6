//! Text to tokens, each with the bytes it came from.

use std::{borrow::Cow, fmt::Write};

use crate::error::{QueryError, Span};

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Token {
    /// A name, keyword or metric name; which one, the parser knows.
    Ident(String),
    Number(f64),
    /// A duration literal such as `1h30m`, in milliseconds.
    Duration(i64),
    String(String),
    /// A string whose escapes make it no UTF-8, with these still written out.
    NotUtf8(String),
    /// Brackets, commas, operators.
    Sign(&'static str),
    End,
}

#[derive(Debug, Clone)]
pub(crate) struct Lexed {
    pub token: Token,
    pub span: Span,
}

/// Longest first, so that `==` is not read as `=` twice.
const SIGNS: [&str; 26] = [
    "</", ">/", "==", "!=", "=~", "!~", "<=", ">=", "(", ")", "{", "}", "[", "]", ",", "=", "<", ">", "+", "-", "*",
    "/", "%", "^", "@", ":",
];

/// A query has at most this many words and signs; a string counts once, however long it is.
const TOKENS_MAX: usize = 64 * 1024;

pub(crate) fn lex(text: &str) -> Result<Vec<Lexed>, QueryError> {
    let mut out = Vec::new();
    let mut at = 0;
    // Inside `[...]` a colon separates range and step; outside it may start or continue a metric name.
    let mut in_brackets = false;
    while let Some(c) = text[at..].chars().next() {
        let start = at;
        if c.is_whitespace() {
            at += c.len_utf8();
            continue;
        }
        if c == '#' {
            at += text[at..].find('\n').unwrap_or(text.len() - at);
            continue;
        }
        let token = if is_ident_start(c) || (c == ':' && !in_brackets) {
            at += text[at..].find(|c| !is_ident_part(c) && (c != ':' || in_brackets)).unwrap_or(text.len() - at);
            Token::Ident(text[start..at].into())
        } else if c.is_ascii_digit() || (c == '.' && text[at + 1..].starts_with(|c: char| c.is_ascii_digit())) {
            let (token, len) = number_or_duration(&text[at..]).ok_or_else(|| {
                let end = end_of_word(text, start);
                let message = format!("bad number or duration syntax: {:?}", shortened(&text[start..end]));
                QueryError::parse(Span::new(start, end), message)
            })?;
            at += len;
            token
        } else if matches!(c, '"' | '\'' | '`') {
            let (token, len) = string(&text[at..], c)
                .map_err(|(at, what)| QueryError::parse(Span::new(start + at, start + at + 1), what))?;
            at += len;
            token
        } else if let Some(sign) = SIGNS.iter().find(|s| text[at..].starts_with(**s)) {
            at += sign.len();
            match *sign {
                "[" => in_brackets = true,
                "]" => in_brackets = false,
                _ => {}
            }
            Token::Sign(sign)
        } else {
            let span = Span::new(start, start + c.len_utf8());
            return Err(QueryError::parse(span, format!("unexpected character `{c}`")));
        };
        if out.len() == TOKENS_MAX {
            return Err(QueryError::Limit(format!("the query has more than {TOKENS_MAX} words and signs")));
        }
        out.push(Lexed { token, span: Span::new(start, at) });
    }
    out.push(Lexed { token: Token::End, span: Span::new(text.len(), text.len()) });
    Ok(out)
}

fn is_ident_start(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_'
}

fn is_ident_part(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// As much of a word as an error shows.
fn shortened(word: &str) -> &str {
    word.get(..60).unwrap_or(word)
}

fn end_of_word(text: &str, start: usize) -> usize {
    start + text[start..].find(|c| !is_ident_part(c) && c != '.').unwrap_or(text.len() - start)
}

fn number_or_duration(text: &str) -> Option<(Token, usize)> {
    if let Some((ms, len)) = duration(text) {
        return Some((Token::Duration(ms), len));
    }
    let (value, len) = number_at(text)?;
    ends_word(&text[len..]).then_some((Token::Number(value), len))
}

/// The number without a sign that a text begins with, and the bytes it takes there.
fn number_at(text: &str) -> Option<(f64, usize)> {
    if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        let len = hex.find(|c: char| !c.is_ascii_hexdigit() && c != '_').unwrap_or(hex.len());
        // An underscore may also stand behind the prefix.
        let digits = hex[..len].strip_prefix('_').unwrap_or(&hex[..len]);
        let value = u64::from_str_radix(&together(digits, |b| b.is_ascii_hexdigit())?, 16).ok()?;
        return Some((value as f64, len + 2));
    }
    let digits = |s: &str| s.find(|c: char| !c.is_ascii_digit() && c != '_').unwrap_or(s.len());
    let mut len = digits(text);
    if text[len..].starts_with('.') {
        len += 1;
        len += digits(&text[len..]);
    }
    if text[len..].starts_with(['e', 'E']) {
        let mut exponent = len + 1;
        if text[exponent..].starts_with(['+', '-']) {
            exponent += 1;
        }
        let count = digits(&text[exponent..]);
        if count == 0 {
            return None;
        }
        len = exponent + count;
    }
    let written = together(&text[..len], |b| b.is_ascii_digit())?;
    if written.len() > 1 && written.starts_with('0') && written.bytes().all(|b| matches!(b, b'0'..=b'7')) {
        return u64::from_str_radix(&written, 8).ok().map(|value| (value as f64, len));
    }
    written.parse().ok().map(|value| (value, len))
}

/// A number without the underscores in it, each of which has a digit on both sides.
fn together(text: &str, is_digit: impl Fn(u8) -> bool) -> Option<Cow<'_, str>> {
    if !text.contains('_') {
        return Some(text.into());
    }
    let bytes = text.as_bytes();
    let within = |at: usize| at > 0 && is_digit(bytes[at - 1]) && bytes.get(at + 1).is_some_and(|b| is_digit(*b));
    text.match_indices('_').all(|(at, _)| within(at)).then(|| text.replace('_', "").into())
}

/// A whole text that is a number without a sign, as a query writes it.
pub(crate) fn number(text: &str) -> Option<f64> {
    number_at(text).filter(|(_, len)| *len == text.len()).map(|(value, _)| value)
}

fn ends_word(rest: &str) -> bool {
    !rest.starts_with(is_ident_part)
}

/// Reads `1h30m` and the like at the start of the text: milliseconds and length.
pub(crate) fn duration(text: &str) -> Option<(i64, usize)> {
    tenfold_types::duration_prefix(text).filter(|(_, len)| ends_word(&text[*len..]))
}

/// The string in quotes of any kind that a text begins with, as a query means it, and the bytes it takes there. `None` where
/// the text begins with none, and for one that no query may have or that is no UTF-8.
pub fn string_at(text: &str) -> Option<(String, usize)> {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\'' | '`'))?;
    let (Token::String(value), len) = string(text, quote).ok()? else { return None };
    Some((value, len))
}

/// The string and the bytes it takes, or at which byte something is wrong and what.
fn string(text: &str, quote: char) -> Result<(Token, usize), (usize, &'static str)> {
    let body = &text[1..];
    if quote == '`' {
        let end = body.find('`').ok_or((0, "this string has no end"))?;
        return Ok((Token::String(body[..end].into()), end + 2));
    }
    let mut bytes = Vec::new();
    let mut chars = body.char_indices();
    while let Some((i, c)) = chars.next() {
        match c {
            c if c == quote => {
                let token = match String::from_utf8(bytes) {
                    Ok(value) => Token::String(value),
                    Err(e) => Token::NotUtf8(written_out(e.as_bytes())),
                };
                return Ok((token, i + 2));
            }
            '\n' => return Err((0, "this string has no end")),
            '\\' => {
                let len = escape(&body[i + 1..], quote, &mut bytes)
                    .ok_or((i + 1, "this string has an unknown escape sequence"))?;
                let until = i + 1 + len;
                while chars.offset() < until {
                    chars.next();
                }
            }
            c => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Err((0, "this string has no end"))
}

/// Bytes that are not all UTF-8, those that are not as escapes.
fn written_out(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out
}

/// Digits only: no sign.
fn hex(text: &str) -> Option<u32> {
    if text.bytes().all(|b| b.is_ascii_hexdigit()) { u32::from_str_radix(text, 16).ok() } else { None }
}

/// Reads what follows a backslash; returns its length.
fn escape(rest: &str, quote: char, out: &mut Vec<u8>) -> Option<usize> {
    let c = rest.chars().next()?;
    let simple = match c {
        'a' => 7,
        'b' => 8,
        'f' => 12,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 11,
        '\\' => b'\\',
        c if c == quote => c as u8,
        'x' => {
            out.push(u8::try_from(hex(rest.get(1..3)?)?).ok()?);
            return Some(3);
        }
        'u' | 'U' => {
            let len = if c == 'u' { 4 } else { 8 };
            let code = hex(rest.get(1..=len)?)?;
            out.extend_from_slice(char::from_u32(code)?.encode_utf8(&mut [0; 4]).as_bytes());
            return Some(len + 1);
        }
        '0'..='7' => {
            out.push(u8::from_str_radix(rest.get(..3)?, 8).ok()?);
            return Some(3);
        }
        _ => return None,
    };
    out.push(simple);
    Some(1)
}

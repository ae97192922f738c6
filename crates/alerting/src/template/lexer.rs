//! Cuts a template into text and the words of its actions, as Go's `text/template` does.

use super::TemplateError;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    Text(String),
    Action(Vec<Token>),
}

/// A word and whether white space stands before it: `.a.b` is one argument, `.a .b` are two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub word: Word,
    pub spaced: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    Name(String),
    /// `$` or `$name`.
    Variable(String),
    /// `.name`.
    Field(String),
    Dot,
    Number(String),
    Quoted(String),
    Char(char),
    Pipe,
    Open,
    Close,
    Comma,
    Assign,
    Declare,
}

/// Cuts at `{{` and `}}`; `{{-` and `-}}` take the white space next to them away.
pub fn pieces(source: &str) -> Result<Vec<Piece>, TemplateError> {
    let mut out = Vec::new();
    let mut rest = source;
    let mut trim_next = false;
    loop {
        let (text, after) = match rest.find("{{") {
            None => (rest, None),
            Some(at) => (&rest[..at], Some(&rest[at + 2..])),
        };
        let mut text = if trim_next { text.trim_start_matches(SPACE) } else { text };
        let mut action = after;
        if let Some(a) = after
            && let Some(trimmed) = a.strip_prefix('-').filter(|t| t.starts_with(SPACE))
        {
            text = text.trim_end_matches(SPACE);
            action = Some(trimmed);
        }
        if !text.is_empty() {
            out.push(Piece::Text(text.to_owned()));
        }
        let Some(action) = action else { return Ok(out) };
        let end = action_end(action).ok_or_else(|| TemplateError("`{{` without `}}`".to_owned()))?;
        let mut inner = &action[..end];
        rest = &action[end + 2..];
        trim_next = false;
        if let Some(trimmed) = inner.strip_suffix('-').filter(|t| t.ends_with(SPACE)) {
            inner = trimmed;
            trim_next = true;
        }
        let inner = inner.trim_matches(SPACE);
        if !(inner.starts_with("/*") && inner.ends_with("*/") && inner.len() >= 4) {
            out.push(Piece::Action(tokens(inner)?));
        }
    }
}

const SPACE: [char; 4] = [' ', '\t', '\r', '\n'];

/// Where the `}}` of an action stands, comments and quotes skipped.
fn action_end(text: &str) -> Option<usize> {
    let start = text.trim_start_matches(SPACE);
    if start.starts_with("/*") {
        let close = text.find("*/")? + 2;
        return text[close..].find("}}").map(|i| i + close);
    }
    let mut quote: Option<char> = None;
    let mut escaped = false;
    for (i, c) in text.char_indices() {
        match quote {
            Some(q) => match c {
                _ if escaped => escaped = false,
                '\\' if q != '`' => escaped = true,
                c if c == q => quote = None,
                _ => {}
            },
            None if matches!(c, '"' | '`' | '\'') => quote = Some(c),
            None if text[i..].starts_with("}}") => return Some(i),
            None => {}
        }
    }
    None
}

fn tokens(text: &str) -> Result<Vec<Token>, TemplateError> {
    let mut out = Vec::new();
    let mut rest = text;
    let mut spaced = false;
    while let Some(c) = rest.chars().next() {
        if SPACE.contains(&c) {
            rest = &rest[1..];
            spaced = true;
            continue;
        }
        let (word, length) = word(rest, c)?.ok_or_else(|| {
            TemplateError(format!("`{c}` is not understood in `{{{{ {} }}}}`", &text[..text.len().min(200)]))
        })?;
        out.push(Token { word, spaced });
        rest = &rest[length..];
        spaced = false;
    }
    Ok(out)
}

fn word(rest: &str, c: char) -> Result<Option<(Word, usize)>, TemplateError> {
    let name_end = |from: usize| {
        rest[from..].find(|c: char| !(c.is_alphanumeric() || c == '_')).map_or(rest.len(), |end| from + end)
    };
    let next = rest[c.len_utf8()..].chars().next();
    Ok(Some(match c {
        '|' => (Word::Pipe, 1),
        '(' => (Word::Open, 1),
        ')' => (Word::Close, 1),
        ',' => (Word::Comma, 1),
        '=' => (Word::Assign, 1),
        ':' if next == Some('=') => (Word::Declare, 2),
        '"' => {
            let (text, length) = quoted(rest, '"')?;
            (Word::Quoted(text), length)
        }
        '`' => {
            let end = rest[1..].find('`').ok_or_else(|| TemplateError("a quote is not closed".to_owned()))?;
            (Word::Quoted(rest[1..=end].to_owned()), end + 2)
        }
        '\'' => {
            let (text, length) = quoted(rest, '\'')?;
            let mut chars = text.chars();
            match (chars.next(), chars.next()) {
                (Some(c), None) => (Word::Char(c), length),
                _ => return Err(TemplateError("single quotes hold one character".to_owned())),
            }
        }
        '$' => {
            let end = name_end(1);
            (Word::Variable(rest[..end].to_owned()), end)
        }
        '.' if next.is_some_and(|n| n.is_ascii_digit()) => number(rest),
        '.' => match name_end(1) {
            1 => (Word::Dot, 1),
            end => (Word::Field(rest[1..end].to_owned()), end),
        },
        '+' | '-' if next.is_some_and(|n| n.is_ascii_digit() || n == '.') => number(rest),
        c if c.is_ascii_digit() => number(rest),
        c if c.is_alphabetic() || c == '_' => {
            let end = name_end(0);
            (Word::Name(rest[..end].to_owned()), end)
        }
        _ => return Ok(None),
    }))
}

fn number(rest: &str) -> (Word, usize) {
    let mut previous = ' ';
    let end = rest
        .char_indices()
        .find(|(i, c)| {
            let sign = matches!(c, '+' | '-') && (*i == 0 || matches!(previous, 'e' | 'E' | 'p' | 'P'));
            previous = *c;
            !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_') || sign)
        })
        .map_or(rest.len(), |(i, _)| i);
    (Word::Number(rest[..end].to_owned()), end)
}

/// A quoted text with Go's escapes, and the bytes it takes.
fn quoted(text: &str, quote: char) -> Result<(String, usize), TemplateError> {
    let mut value = String::new();
    let mut chars = text.char_indices().skip(1);
    let code = |chars: &mut dyn Iterator<Item = (usize, char)>, digits: usize| {
        let hex: String = chars.take(digits).map(|(_, c)| c).collect();
        u32::from_str_radix(&hex, 16)
            .ok()
            .filter(|_| hex.len() == digits)
            .and_then(char::from_u32)
            .ok_or_else(|| TemplateError(format!("`{hex}` is not a character's number")))
    };
    while let Some((i, c)) = chars.next() {
        match c {
            c if c == quote => return Ok((value, i + 1)),
            '\n' => return Err(TemplateError("a quoted text ends on its line".to_owned())),
            '\\' => match chars.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, 't')) => value.push('\t'),
                Some((_, 'r')) => value.push('\r'),
                Some((_, 'a')) => value.push('\u{7}'),
                Some((_, 'b')) => value.push('\u{8}'),
                Some((_, 'f')) => value.push('\u{c}'),
                Some((_, 'v')) => value.push('\u{b}'),
                Some((_, 'x')) => value.push(code(&mut chars, 2)?),
                Some((_, 'u')) => value.push(code(&mut chars, 4)?),
                Some((_, 'U')) => value.push(code(&mut chars, 8)?),
                Some((_, c @ ('"' | '\\' | '\''))) => value.push(c),
                Some((_, c)) => return Err(TemplateError(format!("`\\{c}` is not an escape"))),
                None => break,
            },
            c => value.push(c),
        }
    }
    Err(TemplateError("a quote is not closed".to_owned()))
}

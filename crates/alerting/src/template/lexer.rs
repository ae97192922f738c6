//! Cuts a template into text and the words of its actions.

use super::TemplateError;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    Text(String),
    Action(Vec<Word>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// A name, a variable (`$labels.job`) or a field (`.Labels.job`).
    Name(String),
    Number(String),
    Quoted(String),
    Pipe,
    Open,
    Close,
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
        let mut text = if trim_next { text.trim_start() } else { text };
        let mut action = after;
        if let Some(a) = after
            && let Some(trimmed) = a.strip_prefix('-').filter(|t| t.starts_with(char::is_whitespace))
        {
            text = text.trim_end();
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
        if let Some(trimmed) = inner.strip_suffix('-').filter(|t| t.ends_with(char::is_whitespace)) {
            inner = trimmed;
            trim_next = true;
        }
        let inner = inner.trim();
        if !(inner.starts_with("/*") && inner.ends_with("*/")) {
            out.push(Piece::Action(words(inner)?));
        }
    }
}

/// Where the `}}` of an action stands, quotes skipped.
fn action_end(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut quote = None;
    let mut at = 0;
    while at < bytes.len() {
        match (quote, bytes[at]) {
            (Some(b'"'), b'\\') => at += 1,
            (Some(q), b) if q == b => quote = None,
            (Some(_), _) => {}
            (None, b @ (b'"' | b'`')) => quote = Some(b),
            (None, b'}') if bytes.get(at + 1) == Some(&b'}') => return Some(at),
            (None, _) => {}
        }
        at += 1;
    }
    None
}

fn words(text: &str) -> Result<Vec<Word>, TemplateError> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        match c {
            c if c.is_whitespace() => rest = &rest[c.len_utf8()..],
            '|' => {
                out.push(Word::Pipe);
                rest = &rest[1..];
            }
            '(' => {
                out.push(Word::Open);
                rest = &rest[1..];
            }
            ')' => {
                out.push(Word::Close);
                rest = &rest[1..];
            }
            '"' => {
                let (value, length) = quoted(rest)?;
                out.push(Word::Quoted(value));
                rest = &rest[length..];
            }
            '`' => {
                let end = rest[1..].find('`').ok_or_else(|| TemplateError("a quote is not closed".to_owned()))? + 1;
                out.push(Word::Quoted(rest[1..end].to_owned()));
                rest = &rest[end + 1..];
            }
            c if c.is_alphanumeric() || matches!(c, '$' | '.' | '_' | '-' | '+') => {
                let end = rest
                    .char_indices()
                    .find(|(i, c)| {
                        !(c.is_alphanumeric() || matches!(c, '_' | '.') || (*i == 0 && matches!(c, '$' | '-' | '+')))
                    })
                    .map_or(rest.len(), |(i, _)| i);
                let word = &rest[..end];
                let number = word.parse::<f64>().is_ok() && word.contains(|c: char| c.is_ascii_digit());
                out.push(if number { Word::Number(word.to_owned()) } else { Word::Name(word.to_owned()) });
                rest = &rest[end..];
            }
            other => return Err(TemplateError(format!("`{other}` is not understood in `{{{{ {text} }}}}`"))),
        }
    }
    Ok(out)
}

fn quoted(text: &str) -> Result<(String, usize), TemplateError> {
    let mut value = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((i, c)) = chars.next() {
        match c {
            '"' => return Ok((value, i + 1)),
            '\\' => match chars.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, 't')) => value.push('\t'),
                Some((_, c @ ('"' | '\\' | '\''))) => value.push(c),
                Some((_, c)) => return Err(TemplateError(format!("`\\{c}` is not an escape"))),
                None => break,
            },
            c => value.push(c),
        }
    }
    Err(TemplateError("a quote is not closed".to_owned()))
}

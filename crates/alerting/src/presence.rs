//! Telling "healthy" from "no data" for a rule whose expression answers nothing.
//!
//! `errors > 5` gives an empty answer when there are few errors *and* when nobody measures any more. The same
//! expression with `bool` after every comparison answers for every series that has data, with the same labels, whatever
//! the comparison says: it is the list of series of which an empty answer may be believed.

use std::collections::BTreeSet;

/// More than there are of anything.
const ALL: &str = "1e9";

/// How an empty answer of an expression is to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presence {
    /// Evaluate this as well: a series in its answer has data; one that is missing has none.
    Expr(String),
    /// The expression asks for absence itself (`absent(..)`), so an empty answer means that the data is there.
    EmptyIsAnswer,
}

/// The presence expression of a rule's expression. Text is rewritten, not parsed: the expression is known to be valid.
pub fn presence(expr: &str) -> Presence {
    let tokens = tokens(expr);
    if tokens.iter().any(|t| matches!(t, Token::Word("absent" | "absent_over_time"))) {
        return Presence::EmptyIsAnswer;
    }
    let limits = limits(&tokens);
    let mut out = String::with_capacity(expr.len() + 16);
    let mut depth = 0_i32;
    // Inside the right side of `unless`, which is dropped: more data there must not hide the left side.
    let mut dropping_at: Option<i32> = None;
    for (i, token) in tokens.iter().enumerate() {
        let text = token.text();
        match text {
            "(" | "[" => depth += 1,
            ")" | "]" => {
                if dropping_at.is_some_and(|d| depth == d) {
                    dropping_at = None;
                }
                depth -= 1;
            }
            _ => {}
        }
        if let Some(at) = dropping_at {
            let ends = depth == at && matches!(token, Token::Word("and" | "or" | "unless") | Token::Other(","));
            if !ends {
                continue;
            }
            dropping_at = None;
        }
        match token {
            Token::Word("unless") => dropping_at = Some(depth),
            Token::Comparison(op) => {
                out.push_str(op);
                let next = tokens[i + 1..].iter().find(|t| !matches!(t, Token::Space(_)));
                if !matches!(next, Some(Token::Word("bool"))) {
                    out.push_str(" bool ");
                }
            }
            _ if limits.contains(&i) => out.push_str(ALL),
            _ => out.push_str(text),
        }
    }
    Presence::Expr(out.trim().to_owned())
}

/// Where the numbers of `topk` and its like stand. What is not among the first has data all the same, so all are asked for.
fn limits(tokens: &[Token<'_>]) -> BTreeSet<usize> {
    let next = |from: usize| (from..tokens.len()).find(|i| !matches!(tokens[*i], Token::Space(_)));
    let is = |at: usize, text: &str| tokens[at].text() == text;
    let limit = |named: usize| {
        let mut at = next(named + 1)?;
        if matches!(tokens[at], Token::Word("by" | "without")) {
            let ends = (at..tokens.len()).find(|i| is(*i, ")"))?;
            at = next(ends + 1)?;
        }
        let number = next(at + 1).filter(|_| is(at, "("))?;
        let is_number = matches!(tokens[number], Token::Word(text) if text.parse::<f64>().is_ok());
        next(number + 1).filter(|comma| is_number && is(*comma, ",")).map(|_| number)
    };
    let named = |i: &usize| matches!(tokens[*i], Token::Word("topk" | "bottomk" | "limitk"));
    (0..tokens.len()).filter(named).filter_map(limit).collect()
}

#[derive(Debug, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    Comparison(&'a str),
    Space(&'a str),
    /// Strings, label matchers in braces, numbers, brackets and the rest, taken as they are.
    Other(&'a str),
}

impl<'a> Token<'a> {
    fn text(&self) -> &'a str {
        match self {
            Self::Word(t) | Self::Comparison(t) | Self::Space(t) | Self::Other(t) => t,
        }
    }
}

fn tokens(expr: &str) -> Vec<Token<'_>> {
    let bytes = expr.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &expr[at..];
        let (token, length) = match bytes[at] {
            b'"' | b'\'' | b'`' => {
                let n = string_length(rest);
                (Token::Other(&rest[..n]), n)
            }
            b'{' => {
                let n = braces_length(rest);
                (Token::Other(&rest[..n]), n)
            }
            b'#' => {
                let n = rest.find('\n').unwrap_or(rest.len());
                (Token::Space(""), n)
            }
            b if b.is_ascii_whitespace() => {
                let n = rest.find(|c: char| !c.is_ascii_whitespace()).unwrap_or(rest.len());
                (Token::Space(&rest[..n]), n)
            }
            b if b.is_ascii_alphanumeric() || b == b'_' || b == b':' || b == b'.' => {
                let n = rest
                    .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '.')))
                    .unwrap_or(rest.len());
                (Token::Word(&rest[..n]), n)
            }
            _ => {
                if let Some(op) = ["==", "!=", ">=", "<=", ">", "<"].iter().find(|op| rest.starts_with(**op)) {
                    (Token::Comparison(&rest[..op.len()]), op.len())
                } else {
                    let n = rest.chars().next().map_or(1, char::len_utf8);
                    (Token::Other(&rest[..n]), n)
                }
            }
        };
        out.push(token);
        at += length;
    }
    out
}

/// Bytes of the quoted string that `text` starts with, both quotes included.
fn string_length(text: &str) -> usize {
    let quote = text.as_bytes()[0];
    let mut escaped = false;
    for (i, b) in text.bytes().enumerate().skip(1) {
        match b {
            _ if escaped => escaped = false,
            b'\\' if quote != b'`' => escaped = true,
            b if b == quote => return i + 1,
            _ => {}
        }
    }
    text.len()
}

fn braces_length(text: &str) -> usize {
    let mut at = 1;
    while at < text.len() {
        match text.as_bytes()[at] {
            b'}' => return at + 1,
            b'"' | b'\'' | b'`' => at += string_length(&text[at..]),
            _ => at += 1,
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expr(text: &str) -> String {
        match presence(text) {
            Presence::Expr(e) => e,
            Presence::EmptyIsAnswer => "EMPTY".to_owned(),
        }
    }

    #[test]
    fn comparisons_become_bool() {
        let cases = [
            ("up == 0", "up == bool  0"),
            ("up==bool 0", "up==bool 0"),
            ("rate(x{code!=\"200\", a=\">\"}[5m])>1", "rate(x{code!=\"200\", a=\">\"}[5m])> bool 1"),
            ("count(up == 0) >= 2", "count(up == bool  0) >= bool  2"),
            ("a > 1 and b < 2", "a > bool  1 and b < bool  2"),
            ("a > 1 unless on(job) b == 1 or c > 3", "a > bool  1 or c > bool  3"),
            ("(a > 1 unless b) and c", "(a > bool  1 ) and c"),
            ("sum by (x) (a unless (b > 1))", "sum by (x) (a )"),
            ("up", "up"),
            ("absent(up{job=\"x\"})", "EMPTY"),
            ("a > on(x) group_left b", "a > bool  on(x) group_left b"),
            ("label_replace(a > 1, 'd', '$1', 's', '>(.*)')", "label_replace(a > bool  1, 'd', '$1', 's', '>(.*)')"),
            ("a # more > less\n> 1", "a \n> bool  1"),
            ("max_over_time((x > 1)[5m:30s])", "max_over_time((x > bool  1)[5m:30s])"),
            ("topk(3, x) > 9", "topk(1e9, x) > bool  9"),
            ("topk by (job, host) ( 5 , x > 1)", "topk by (job, host) ( 1e9 , x > bool  1)"),
            ("bottomk(scalar(n), x) < 3", "bottomk(scalar(n), x) < bool  3"),
            ("sum(limitk without(a) (2, topk(1, y)))", "sum(limitk without(a) (1e9, topk(1e9, y)))"),
            ("topk > 3", "topk > bool  3"),
        ];
        for (from, to) in cases {
            assert_eq!(expr(from), to, "{from}");
        }
    }

    #[test]
    fn any_text_is_survived() {
        for text in ["{", "\"", "a{b=\"c", "é > 1", "))))", "unless", "`", "topk", "topk(", "topk by", "topk(3"] {
            let _ = presence(text);
        }
    }
}

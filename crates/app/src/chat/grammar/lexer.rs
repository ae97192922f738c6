//! Words and flags of a line.

use tenfold_types::{ErrorCode, Fault};

/// A longer line is refused.
pub const LINE_CHARS_MAX: usize = 2_000;

/// The words in order and the flags with their values; the value of a switch is empty.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Words {
    pub words: Vec<String>,
    pub flags: Vec<(String, String)>,
}

struct Token {
    text: String,
    /// Written without quotes, so that a leading `--` makes it a flag.
    bare: bool,
}

/// Cuts a line at blanks. `"…"`, `'…'` and the typographic quotes of telephones keep blanks; `\` keeps the next character
/// inside double quotes.
fn tokens(line: &str) -> Result<Vec<Token>, Fault> {
    if line.chars().count() > LINE_CHARS_MAX {
        return Err(Fault::new(ErrorCode::TooLarge, format!("a command has at most {LINE_CHARS_MAX} characters")));
    }
    let mut out = Vec::new();
    let mut chars = line.chars().peekable();
    loop {
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        if chars.peek().is_none() {
            return Ok(out);
        }
        let mut token = Token { text: String::new(), bare: true };
        while let Some(c) = chars.next_if(|c| !c.is_whitespace()) {
            // An apostrophe inside a word ("ana's") is a letter.
            let opens = match c {
                '"' | '“' | '”' | '„' => true,
                '\'' => token.text.is_empty() || token.text.ends_with('='),
                _ => false,
            };
            if !opens {
                token.text.push(c);
                continue;
            }
            token.bare &= !token.text.is_empty();
            let closes = |end: char| if c == '\'' { end == '\'' } else { matches!(end, '"' | '“' | '”') };
            loop {
                match chars.next() {
                    None => {
                        return Err(Fault::new(ErrorCode::BadRequest, "a quote is opened and never closed")
                            .advice("put a quote at both ends of the text"));
                    }
                    Some(end) if closes(end) => break,
                    Some('\\') if c != '\'' => token.text.extend(chars.next()),
                    Some(inner) => token.text.push(inner),
                }
            }
        }
        out.push(token);
    }
}

/// Reads a line; `takes` are the flags that may stand in it, each with a value (`--to staging` or `--to=staging`),
/// `switches` those without one. After `--` everything is a word.
pub fn read(line: &str, takes: &[&str], switches: &[&str]) -> Result<Words, Fault> {
    let mut out = Words::default();
    let mut only_words = false;
    let mut tokens = tokens(line)?.into_iter();
    while let Some(token) = tokens.next() {
        // Telephones make a dash of two hyphens.
        let flag = token.text.strip_prefix("--").or_else(|| token.text.strip_prefix('—'));
        let Some(flag) = flag.filter(|_| token.bare && !only_words) else {
            out.words.push(token.text);
            continue;
        };
        if flag.is_empty() {
            only_words = true;
            continue;
        }
        let (name, value) = match flag.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (flag.to_owned(), None),
        };
        let is_switch = switches.contains(&name.as_str());
        if !is_switch && !takes.contains(&name.as_str()) {
            let known: Vec<String> = takes.iter().chain(switches).map(|t| format!("--{t}")).collect();
            let advice =
                if known.is_empty() { "it takes none".to_owned() } else { format!("it takes {}", known.join(", ")) };
            return Err(
                Fault::new(ErrorCode::BadRequest, format!("`--{name}` is not a flag of this command")).advice(advice)
            );
        }
        let value = if is_switch {
            if value.is_some() {
                return Err(Fault::new(ErrorCode::BadRequest, format!("`--{name}` takes no value")));
            }
            String::new()
        } else {
            let value = value.or_else(|| tokens.next().map(|t| t.text)).filter(|v| !v.is_empty());
            value.ok_or_else(|| Fault::new(ErrorCode::BadRequest, format!("`--{name}` needs a value")))?
        };
        if out.flags.iter().any(|(n, _)| *n == name) {
            return Err(Fault::new(ErrorCode::BadRequest, format!("`--{name}` is given twice")));
        }
        out.flags.push((name, value));
    }
    Ok(out)
}

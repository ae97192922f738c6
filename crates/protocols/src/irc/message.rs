//! One IRC line, parsed and written.

use std::fmt::Write as _;

/// The most bytes of a line without its tags, CR LF included.
pub const LINE_BODY_BYTES_MAX: usize = 512;
/// The most bytes of the tag part a server may send, `@` and the space after it included.
pub const LINE_TAGS_BYTES_MAX: usize = 8191;

/// Message tags in the order of their first appearance; of a repeated name the last value counts. A tag without a value
/// has the empty string.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tags(Vec<(String, String)>);

impl Tags {
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        let (name, value) = (name.into(), value.into());
        match self.0.iter_mut().find(|(n, _)| *n == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name, value)),
        }
    }
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(n, v)| (n.as_str(), v.as_str()))
    }
    pub fn len(&self) -> usize {
        self.0.len()
    }
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Why a line cannot be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    #[error("the line is empty")]
    Empty,
    #[error("the line is longer than {0} bytes")]
    TooLong(usize),
    #[error("the line has tags or a source but no command")]
    NoCommand,
    #[error("a command must be letters or digits")]
    BadCommand,
    #[error("a line cannot hold CR, LF or NUL")]
    ForbiddenByte,
    #[error("only the last parameter may be empty, hold spaces or start with a colon")]
    BadParameter,
}

/// A message: tags, source, command and raw parameters.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Message {
    pub tags: Tags,
    /// `nick!user@host` or a server's name, without the colon.
    pub source: Option<String>,
    /// As it was sent; compare with [`Message::is`].
    pub command: String,
    pub params: Vec<String>,
}

impl Message {
    pub fn new<P: Into<String>>(command: impl Into<String>, params: impl IntoIterator<Item = P>) -> Self {
        Self { command: command.into(), params: params.into_iter().map(Into::into).collect(), ..Self::default() }
    }
    pub fn tag(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.tags.set(name, value);
        self
    }
    pub fn is(&self, command: &str) -> bool {
        self.command.eq_ignore_ascii_case(command)
    }
    /// The parameter at `index`, or the empty string.
    pub fn param(&self, index: usize) -> &str {
        self.params.get(index).map_or("", String::as_str)
    }
    /// The numeric reply's number, if the command is one.
    pub fn numeric(&self) -> Option<u16> {
        (self.command.len() == 3).then(|| self.command.parse().ok()).flatten()
    }

    /// Reads one line with or without its CR LF. Bytes that are not UTF-8 become U+FFFD.
    pub fn parse_bytes(line: &[u8]) -> Result<Self, LineError> {
        Self::parse(&String::from_utf8_lossy(line))
    }

    /// Reads one line with or without its CR LF. Several spaces separate as one does; a tab separates nothing.
    pub fn parse(line: &str) -> Result<Self, LineError> {
        let line = line.strip_suffix('\n').unwrap_or(line);
        let mut rest = line.strip_suffix('\r').unwrap_or(line);
        // A replaced byte takes three, so the caps are on what a decoded line can grow to.
        if rest.len() > 3 * (LINE_TAGS_BYTES_MAX + LINE_BODY_BYTES_MAX) {
            return Err(LineError::TooLong(LINE_TAGS_BYTES_MAX + LINE_BODY_BYTES_MAX));
        }
        if rest.bytes().any(|b| matches!(b, 0 | b'\r' | b'\n')) {
            return Err(LineError::ForbiddenByte);
        }
        rest = rest.trim_start_matches(' ');
        if rest.is_empty() {
            return Err(LineError::Empty);
        }
        let mut message = Self::default();
        if let Some(after) = rest.strip_prefix('@') {
            let (tags, after) = after.split_once(' ').ok_or(LineError::NoCommand)?;
            message.tags = parse_tags(tags);
            rest = after.trim_start_matches(' ');
        }
        if let Some(after) = rest.strip_prefix(':') {
            let (source, after) = after.split_once(' ').ok_or(LineError::NoCommand)?;
            message.source = Some(source.to_owned());
            rest = after.trim_start_matches(' ');
        }
        let (command, mut rest) = rest.split_once(' ').unwrap_or((rest, ""));
        if command.is_empty() {
            return Err(LineError::NoCommand);
        }
        command.clone_into(&mut message.command);
        loop {
            rest = rest.trim_start_matches(' ');
            if rest.is_empty() {
                return Ok(message);
            }
            if let Some(trailing) = rest.strip_prefix(':') {
                message.params.push(trailing.to_owned());
                return Ok(message);
            }
            let (param, after) = rest.split_once(' ').unwrap_or((rest, ""));
            message.params.push(param.to_owned());
            rest = after;
        }
    }

    /// Writes the line without its CR LF. Refuses what would be read back as something else.
    pub fn to_line(&self) -> Result<String, LineError> {
        let mut line = String::new();
        if !self.tags.is_empty() {
            line.push('@');
            for (i, (name, value)) in self.tags.iter().enumerate() {
                if name.is_empty() || name.contains([' ', ';', '=', '\r', '\n', '\0']) {
                    return Err(LineError::BadParameter);
                }
                if i > 0 {
                    line.push(';');
                }
                line.push_str(name);
                if !value.is_empty() {
                    line.push('=');
                    escape_into(&mut line, value);
                }
            }
            line.push(' ');
        }
        let body_start = line.len();
        if let Some(source) = &self.source {
            if source.is_empty() || source.contains(' ') {
                return Err(LineError::BadParameter);
            }
            let _ = write!(line, ":{source} ");
        }
        if self.command.is_empty() || !self.command.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(LineError::BadCommand);
        }
        line.push_str(&self.command);
        for (i, param) in self.params.iter().enumerate() {
            line.push(' ');
            if param.is_empty() || param.starts_with(':') || param.contains(' ') {
                if i + 1 < self.params.len() {
                    return Err(LineError::BadParameter);
                }
                line.push(':');
            }
            line.push_str(param);
        }
        if line.bytes().any(|b| matches!(b, 0 | b'\r' | b'\n')) {
            return Err(LineError::ForbiddenByte);
        }
        if line.len() - body_start > LINE_BODY_BYTES_MAX - 2 {
            return Err(LineError::TooLong(LINE_BODY_BYTES_MAX));
        }
        Ok(line)
    }
}

fn parse_tags(text: &str) -> Tags {
    let mut tags = Tags::default();
    for part in text.split(';').filter(|p| !p.is_empty()) {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        if !name.is_empty() {
            tags.set(name, unescape(value));
        }
    }
    tags
}

/// One character at a time: an unknown escape drops the backslash, one at the end is dropped as well.
fn unescape(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some(':') => out.push(';'),
            Some('s') => out.push(' '),
            Some('r') => out.push('\r'),
            Some('n') => out.push('\n'),
            Some(other) => out.push(other),
            None => {}
        }
    }
    out
}

fn escape_into(line: &mut String, value: &str) {
    for c in value.chars() {
        match c {
            ';' => line.push_str("\\:"),
            ' ' => line.push_str("\\s"),
            '\\' => line.push_str("\\\\"),
            '\r' => line.push_str("\\r"),
            '\n' => line.push_str("\\n"),
            other => line.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_a_second_command() {
        let smuggled = Message::new("PRIVMSG", ["#ops", "hello\r\nQUIT"]);
        assert_eq!(smuggled.to_line(), Err(LineError::ForbiddenByte));
        let target = Message::new("PRIVMSG", ["#ops :x", "hello"]);
        assert_eq!(target.to_line(), Err(LineError::BadParameter));
        assert_eq!(Message::new("QUIT\r\n", [""; 0]).to_line(), Err(LineError::BadCommand));
    }

    #[test]
    fn a_line_of_tags_only_has_no_command() {
        assert_eq!(Message::parse("@a=b"), Err(LineError::NoCommand));
        assert_eq!(Message::parse(":src"), Err(LineError::NoCommand));
        assert_eq!(Message::parse("  \r\n"), Err(LineError::Empty));
    }

    #[test]
    fn the_body_has_512_bytes_and_the_tags_do_not_count() {
        let text = "x".repeat(LINE_BODY_BYTES_MAX - 2 - "PRIVMSG #ops ".len());
        let fits = Message::new("PRIVMSG", ["#ops".to_owned(), text.clone()]).tag("label", "a".repeat(64));
        assert_eq!(Message::parse(&fits.to_line().unwrap()), Ok(fits));
        let long = Message::new("PRIVMSG", ["#ops".to_owned(), text + "x"]);
        assert_eq!(long.to_line(), Err(LineError::TooLong(512)));
    }
}

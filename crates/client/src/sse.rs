//! Server-sent events, bytes in and events out. Pure; a broken or endless event is an error, never a growing buffer.

/// One event of the stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct StreamEvent {
    pub(crate) name: String,
    pub(crate) data: String,
    /// Empty when the event carries none.
    pub(crate) id: String,
}

#[derive(Debug)]
pub(crate) struct Parser {
    line: Vec<u8>,
    after_cr: bool,
    event: StreamEvent,
    has_data: bool,
    bytes_max: usize,
    /// The last `retry:` field, taken by the caller.
    pub(crate) retry_ms: Option<u64>,
}

/// An event is larger than what was allowed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLarge;

impl Parser {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            line: Vec::new(),
            after_cr: false,
            event: StreamEvent::default(),
            has_data: false,
            bytes_max,
            retry_ms: None,
        }
    }

    /// Takes a piece of the stream and gives the events that it completes.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<Vec<StreamEvent>, TooLarge> {
        let mut events = Vec::new();
        let mut rest = bytes;
        while let Some(&first) = rest.first() {
            if std::mem::take(&mut self.after_cr) && first == b'\n' {
                rest = &rest[1..];
                continue;
            }
            let end = rest.iter().position(|b| matches!(b, b'\n' | b'\r'));
            let piece = &rest[..end.unwrap_or(rest.len())];
            if self.line.len() + piece.len() + self.event.data.len() > self.bytes_max {
                return Err(TooLarge);
            }
            self.line.extend_from_slice(piece);
            let Some(end) = end else { break };
            self.after_cr = rest[end] == b'\r';
            rest = &rest[end + 1..];
            let line = std::mem::take(&mut self.line);
            events.extend(self.take_line(&String::from_utf8_lossy(&line)));
        }
        Ok(events)
    }

    fn take_line(&mut self, line: &str) -> Option<StreamEvent> {
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            return std::mem::take(&mut self.has_data).then_some(event);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => self.event.name = value.into(),
            "data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
            }
            "id" if !value.contains('\0') => self.event.id = value.into(),
            "retry" => self.retry_ms = value.parse().ok().or(self.retry_ms),
            _ => {} // a comment, or a field of a later standard
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = "retry: 1500\nevent: a\nid: 7\ndata: one\ndata: two\n\n: keep-alive\n\n\
        event: b\r\ndata:x\r\n\r\nevent: lost\n\ndata: grün\r\rdata: unfinished";

    fn event(name: &str, data: &str, id: &str) -> StreamEvent {
        StreamEvent { name: name.into(), data: data.into(), id: id.into() }
    }

    #[test]
    fn the_same_events_however_the_bytes_are_cut() {
        let wanted = vec![event("a", "one\ntwo", "7"), event("b", "x", ""), event("", "grün", "")];
        for size in 1..=STREAM.len() {
            let mut parser = Parser::new(100);
            let mut events = Vec::new();
            for piece in STREAM.as_bytes().chunks(size) {
                events.extend(parser.push(piece).unwrap());
            }
            assert_eq!(events, wanted, "pieces of {size} bytes");
            assert_eq!(parser.retry_ms, Some(1500));
        }
    }

    #[test]
    fn an_endless_event_is_refused() {
        let mut parser = Parser::new(20);
        assert_eq!(parser.push(b"data: 0123456789\n"), Ok(vec![]));
        assert_eq!(parser.push(b"data: 0123456789\n"), Err(TooLarge));
        assert_eq!(Parser::new(20).push(&[b'x'; 21]), Err(TooLarge));
    }

    #[test]
    fn bytes_that_are_no_text_do_no_harm() {
        let mut parser = Parser::new(1000);
        let events = parser.push(b"data: \xff\xfe\n\nretry: soon\nid: a\0b\n\n").unwrap();
        assert_eq!(events, [event("", "\u{fffd}\u{fffd}", "")]);
        assert_eq!(parser.retry_ms, None);
    }
}

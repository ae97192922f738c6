//! Server-sent events as a client reads them: pieces of a body in, events out.

/// An event larger than this ends the reading.
pub const EVENT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// One event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// Empty where the server named none.
    pub name: String,
    pub data: String,
}

/// The stream cannot be read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SseError {
    #[error("an event is larger than {EVENT_BYTES_MAX} bytes")]
    TooLarge,
    #[error("an event is not UTF-8")]
    NotText,
}

/// Reads events out of pieces, wherever they are cut.
#[derive(Debug, Default)]
pub struct Reader {
    line: Vec<u8>,
    /// The last byte was a carriage return: a line feed that follows belongs to it.
    after_return: bool,
    started: bool,
    event: Event,
    has_data: bool,
    /// The id of the last event that was whole.
    pub last_event_id: Option<String>,
    pending_id: Option<String>,
    /// How long the server wants to be waited for before it is asked again.
    pub retry_ms: Option<u64>,
}

impl Reader {
    /// Takes a piece; gives the events that are whole with it.
    pub fn feed(&mut self, piece: &[u8]) -> Result<Vec<Event>, SseError> {
        let mut events = Vec::new();
        for byte in piece {
            let ends = match byte {
                b'\n' if std::mem::take(&mut self.after_return) => continue,
                b'\n' => true,
                b'\r' => {
                    self.after_return = true;
                    true
                }
                _ => {
                    self.after_return = false;
                    false
                }
            };
            if ends {
                let line = std::mem::take(&mut self.line);
                events.extend(self.end_line(&line)?);
            } else {
                if self.line.len() + self.event.data.len() >= EVENT_BYTES_MAX {
                    return Err(SseError::TooLarge);
                }
                self.line.push(*byte);
            }
        }
        Ok(events)
    }

    fn end_line(&mut self, line: &[u8]) -> Result<Option<Event>, SseError> {
        let line = if std::mem::replace(&mut self.started, true) {
            line
        } else {
            line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line)
        };
        if line.is_empty() {
            return Ok(self.end_event());
        }
        let line = std::str::from_utf8(line).map_err(|_| SseError::NotText)?;
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event.name),
            "data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
            }
            "id" if !value.contains('\0') => self.pending_id = Some(value.to_owned()),
            "retry" => self.retry_ms = value.parse().ok().or(self.retry_ms),
            // A comment, or a field of a later version.
            _ => {}
        }
        Ok(None)
    }

    fn end_event(&mut self) -> Option<Event> {
        let event = std::mem::take(&mut self.event);
        if let Some(id) = self.pending_id.take() {
            self.last_event_id = Some(id);
        }
        std::mem::take(&mut self.has_data).then_some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str, data: &str) -> Event {
        Event { name: name.into(), data: data.into() }
    }

    #[test]
    fn events_are_read_as_the_standard_says() {
        for (text, events) in [
            ("data: a\n\n", vec![event("", "a")]),
            ("event: x\nid: 7\ndata: a\ndata:b\ndata\n\n", vec![event("x", "a\nb\n")]),
            (": comment\n\nretry: 5\n\ndata: a\n\n", vec![event("", "a")]),
            ("\u{feff}data: a\r\n\r\ndata: b\r\rdata: c\n\n", vec![event("", "a"), event("", "b"), event("", "c")]),
            ("event: x\n\n", vec![]),
            ("data: never ended\n", vec![]),
            ("unknown: x\ndata:  a\n\n", vec![event("", " a")]),
        ] {
            assert_eq!(Reader::default().feed(text.as_bytes()).unwrap(), events, "{text:?}");
        }
    }

    #[test]
    fn it_does_not_matter_where_pieces_are_cut() {
        let text = "retry: 1500\n\nevent: a\nid: 1\ndata: größe\r\n\r\nid: 2\ndata: b\n\n: \n\n".as_bytes();
        let whole = Reader::default().feed(text).unwrap();
        for cut in 0..=text.len() {
            let mut reader = Reader::default();
            let mut events = reader.feed(&text[..cut]).unwrap();
            events.extend(reader.feed(&text[cut..]).unwrap());
            assert_eq!(events, whole, "cut at {cut}");
            assert_eq!((reader.last_event_id.as_deref(), reader.retry_ms), (Some("2"), Some(1500)));
        }
    }

    #[test]
    fn an_id_counts_once_its_event_is_whole() {
        let mut reader = Reader::default();
        reader.feed(b"id: 1\ndata: a\n\nid: 2\ndata: b\n").unwrap();
        assert_eq!(reader.last_event_id.as_deref(), Some("1"));
    }

    #[test]
    fn what_is_not_text_or_never_ends_is_refused() {
        assert_eq!(Reader::default().feed(b"data: \xff\n\n"), Err(SseError::NotText));
        let mut reader = Reader::default();
        let piece = vec![b'x'; 1 << 20];
        let refused = (0..=64).find_map(|_| reader.feed(&piece).err());
        assert_eq!(refused, Some(SseError::TooLarge));
    }
}

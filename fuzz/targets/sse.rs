//! A stream of server-sent events, as a relay reads it: whatever comes, and wherever its pieces are cut, the same is read.
#![no_main]
use libfuzzer_sys::{arbitrary, fuzz_target};
use tenfold_protocols::sse::{Event, Reader};

/// A line of a stream, out of those that mean something and any other.
#[derive(Debug, arbitrary::Arbitrary)]
enum Line {
    Event(String),
    Data(String),
    Id(String),
    Retry(u32),
    Comment(String),
    End,
    Other(Vec<u8>),
}

#[derive(Debug, arbitrary::Arbitrary)]
struct Stream {
    lines: Vec<(Line, u8)>,
    cuts: Vec<u8>,
}

fn bytes(lines: &[(Line, u8)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (line, end) in lines {
        match line {
            Line::Event(text) => out.extend(format!("event: {text}").into_bytes()),
            Line::Data(text) => out.extend(format!("data:{text}").into_bytes()),
            Line::Id(text) => out.extend(format!("id: {text}").into_bytes()),
            Line::Retry(ms) => out.extend(format!("retry: {ms}").into_bytes()),
            Line::Comment(text) => out.extend(format!(":{text}").into_bytes()),
            Line::End => {}
            Line::Other(bytes) => out.extend(bytes),
        }
        out.extend_from_slice([&b"\n"[..], b"\r", b"\r\n"][usize::from(*end) % 3]);
    }
    out
}

/// What was read before the stream could not be read on, and whether it could to its end.
fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Event>, Option<String>, Option<u64>, bool) {
    let mut reader = Reader::default();
    let mut events = Vec::new();
    for piece in pieces {
        match reader.feed(piece) {
            Ok(more) => events.extend(more),
            Err(_) => return (events, None, None, false),
        }
    }
    (events, reader.last_event_id, reader.retry_ms, true)
}

fuzz_target!(|stream: Stream| {
    let whole = bytes(&stream.lines);
    let mut cuts = stream.cuts.iter().map(|cut| usize::from(*cut)).cycle();
    let mut rest = &whole[..];
    let pieces = std::iter::from_fn(|| {
        if rest.is_empty() {
            return None;
        }
        let (piece, left) = rest.split_at(cuts.next().unwrap_or(1).clamp(1, rest.len()));
        rest = left;
        Some(piece)
    });
    let (in_pieces, at_once) = (read(pieces), read(std::iter::once(&whole[..])));
    assert_eq!(in_pieces.3, at_once.3);
    // A piece that cannot be read takes with it what was whole in it.
    if at_once.3 {
        assert_eq!(in_pieces, at_once);
    }
    for event in &at_once.0 {
        assert!(!event.name.contains(['\n', '\r']));
    }
});

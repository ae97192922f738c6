//! The wire between the server and its starter: frames on a socket, each a length of four bytes and a body. Numbers are little
//! endian. Both sides refuse what is larger than it may be or has another shape; there is no way back from that, since where the
//! next frame begins is not known any more.
//!
//! | request | body |
//! | --- | --- |
//! | start | `1`, id u64, timeout in ms u32, arguments u16, and each: length u32, bytes |
//! | end | `2`, id u64 |
//!
//! | answer | body |
//! | --- | --- |
//! | ended | `1`, id u64, exit code u8, output |
//! | ended by a signal | `2`, id u64, signal u8 |
//! | timed out | `3`, id u64 |
//! | not started | `4`, id u64, why as UTF-8 |

use std::ffi::CString;
use std::fmt;

/// Bytes of output that are kept of a plugin.
pub const OUTPUT_BYTES_MAX: usize = 64 << 10;
/// The longest body of a request.
pub const REQUEST_BYTES_MAX: usize = 64 << 10;
/// The longest body of an answer: the output, and what stands before it.
pub const ANSWER_BYTES_MAX: usize = OUTPUT_BYTES_MAX + 16;
/// The program's name among them.
const ARGUMENTS_MAX: usize = 256;
/// Bytes of the reason why something was not started.
const WHY_BYTES_MAX: usize = 1_000;
/// Bytes of the length before a body.
const LENGTH: usize = 4;

const START: u8 = 1;
const END: u8 = 2;
const EXITED: u8 = 1;
const SIGNAL: u8 = 2;
const TIMED_OUT: u8 = 3;
const NOT_STARTED: u8 = 4;

/// What the server asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// `argv` has at least the program.
    Start { id: u64, timeout_ms: u32, argv: Vec<CString> },
    /// Nobody waits for it any more: it is ended, and nothing is answered.
    End { id: u64 },
}

/// What became of a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    Exited { code: u8, output: Vec<u8> },
    Signal(u8),
    TimedOut,
    NotStarted(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub id: u64,
    pub end: End,
}

/// What came, or should be sent, is no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Malformed {}

/// Puts a start behind what is in `into`; nothing is put when it is refused.
///
/// # Errors
/// There is no program, or what the other side would refuse.
pub fn write_start(into: &mut Vec<u8>, id: u64, timeout_ms: u32, argv: &[&[u8]]) -> Result<(), Malformed> {
    if argv.is_empty() || argv.len() > ARGUMENTS_MAX {
        return Err(Malformed("it has no arguments, or too many"));
    }
    if argv.iter().any(|argument| argument.contains(&0)) {
        return Err(Malformed("an argument has a zero byte"));
    }
    let begin = open(into);
    into.push(START);
    into.extend_from_slice(&id.to_le_bytes());
    into.extend_from_slice(&timeout_ms.to_le_bytes());
    into.extend_from_slice(&(argv.len() as u16).to_le_bytes());
    for argument in argv {
        into.extend_from_slice(&(argument.len() as u32).to_le_bytes());
        into.extend_from_slice(argument);
    }
    let length = close(into, begin);
    if length > REQUEST_BYTES_MAX {
        into.truncate(begin);
        return Err(Malformed("its arguments are too long"));
    }
    Ok(())
}

/// Puts an end behind what is in `into`.
pub fn write_end(into: &mut Vec<u8>, id: u64) {
    let begin = open(into);
    into.push(END);
    into.extend_from_slice(&id.to_le_bytes());
    close(into, begin);
}

/// Puts an answer behind what is in `into`. What is longer than it may be is cut.
pub fn write_answer(into: &mut Vec<u8>, id: u64, end: &End) {
    let begin = open(into);
    let kind = match end {
        End::Exited { .. } => EXITED,
        End::Signal(_) => SIGNAL,
        End::TimedOut => TIMED_OUT,
        End::NotStarted(_) => NOT_STARTED,
    };
    into.push(kind);
    into.extend_from_slice(&id.to_le_bytes());
    match end {
        End::Exited { code, output } => {
            into.push(*code);
            into.extend_from_slice(&output[..output.len().min(OUTPUT_BYTES_MAX)]);
        }
        End::Signal(signal) => into.push(*signal),
        End::TimedOut => {}
        End::NotStarted(why) => {
            into.extend_from_slice(&why.as_bytes()[..why.floor_char_boundary(WHY_BYTES_MAX)]);
        }
    }
    close(into, begin);
}

/// Takes the first body off `rest`; none when it is not whole yet.
///
/// # Errors
/// The frame says that it is longer than `bytes_max`.
pub fn next_body<'a>(rest: &mut &'a [u8], bytes_max: usize) -> Result<Option<&'a [u8]>, Malformed> {
    let Some((length, after)) = rest.split_first_chunk::<LENGTH>() else { return Ok(None) };
    let length = u32::from_le_bytes(*length) as usize;
    if length > bytes_max {
        return Err(Malformed("a frame is too long"));
    }
    let Some((body, after)) = after.split_at_checked(length) else { return Ok(None) };
    *rest = after;
    Ok(Some(body))
}

/// Reads the body of a request.
///
/// # Errors
/// It is none.
pub fn read_request(body: &[u8]) -> Result<Request, Malformed> {
    let mut body = Body(body);
    let [kind] = body.take::<1>()?;
    let id = u64::from_le_bytes(body.take()?);
    let request = match kind {
        START => {
            let timeout_ms = u32::from_le_bytes(body.take()?);
            let count = usize::from(u16::from_le_bytes(body.take()?));
            if count == 0 || count > ARGUMENTS_MAX {
                return Err(Malformed("a start has no arguments, or too many"));
            }
            let mut argv = Vec::with_capacity(count);
            for _ in 0..count {
                let length = u32::from_le_bytes(body.take()?) as usize;
                let argument = CString::new(body.bytes(length)?);
                argv.push(argument.map_err(|_| Malformed("an argument has a zero byte"))?);
            }
            Request::Start { id, timeout_ms, argv }
        }
        END => Request::End { id },
        _ => return Err(Malformed("a request is neither a start nor an end")),
    };
    body.nothing_left()?;
    Ok(request)
}

/// Reads the body of an answer.
///
/// # Errors
/// It is none.
pub fn read_answer(body: &[u8]) -> Result<Answer, Malformed> {
    let mut body = Body(body);
    let [kind] = body.take::<1>()?;
    let id = u64::from_le_bytes(body.take()?);
    let end = match kind {
        EXITED => {
            let [code] = body.take::<1>()?;
            if body.0.len() > OUTPUT_BYTES_MAX {
                return Err(Malformed("an output is too long"));
            }
            End::Exited { code, output: body.rest().to_vec() }
        }
        SIGNAL => {
            let [signal] = body.take::<1>()?;
            End::Signal(signal)
        }
        TIMED_OUT => End::TimedOut,
        NOT_STARTED => {
            if body.0.len() > WHY_BYTES_MAX {
                return Err(Malformed("a reason is too long"));
            }
            let why = String::from_utf8(body.rest().to_vec());
            End::NotStarted(why.map_err(|_| Malformed("a reason is not UTF-8"))?)
        }
        _ => return Err(Malformed("an answer is of no kind")),
    };
    body.nothing_left()?;
    Ok(Answer { id, end })
}

/// Leaves room for the length. Where the frame begins.
fn open(into: &mut Vec<u8>) -> usize {
    let begin = into.len();
    into.extend_from_slice(&[0; LENGTH]);
    begin
}

/// Says how long the body has become.
fn close(into: &mut [u8], begin: usize) -> usize {
    let length = into.len() - begin - LENGTH;
    into[begin..begin + LENGTH].copy_from_slice(&(length as u32).to_le_bytes());
    length
}

/// What is not read yet of a body.
struct Body<'a>(&'a [u8]);

impl<'a> Body<'a> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(Malformed("a frame is too short"))?;
        self.0 = rest;
        Ok(*taken)
    }

    fn bytes(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Malformed("a frame is too short"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    fn nothing_left(&self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed("a frame is longer than what it says")) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn body(frames: &[u8], bytes_max: usize) -> &[u8] {
        let mut rest = frames;
        let body = next_body(&mut rest, bytes_max).unwrap().unwrap();
        assert!(rest.is_empty());
        body
    }

    #[test]
    fn what_is_written_is_read() {
        let mut frames = Vec::new();
        write_start(&mut frames, 7, 10_000, &[b"/p/check_x", b"", b"\xff"]).unwrap();
        let argv = ["/p/check_x", ""].map(|a| CString::new(a).unwrap()).into_iter();
        let argv = argv.chain([CString::new(vec![0xff]).unwrap()]).collect();
        let start = Request::Start { id: 7, timeout_ms: 10_000, argv };
        assert_eq!(read_request(body(&frames, REQUEST_BYTES_MAX)), Ok(start));
        let mut frames = Vec::new();
        write_end(&mut frames, u64::MAX);
        assert_eq!(read_request(body(&frames, REQUEST_BYTES_MAX)), Ok(Request::End { id: u64::MAX }));
        let long = vec![b'x'; OUTPUT_BYTES_MAX];
        let ends = [
            End::Exited { code: 2, output: long },
            End::Signal(9),
            End::TimedOut,
            End::NotStarted("no such file".into()),
        ];
        for end in ends {
            let mut frames = Vec::new();
            write_answer(&mut frames, 1, &end);
            assert_eq!(read_answer(body(&frames, ANSWER_BYTES_MAX)), Ok(Answer { id: 1, end }));
        }
    }

    #[test]
    fn what_is_too_long_is_not_sent_and_not_taken() {
        let mut frames = vec![1, 2, 3];
        let long = vec![b'x'; REQUEST_BYTES_MAX];
        let many = vec![&b"x"[..]; ARGUMENTS_MAX + 1];
        let cases: [&[&[u8]]; 4] = [&[], &[&long], &[b"a\0b"], &many];
        for argv in cases {
            assert!(write_start(&mut frames, 1, 1, argv).is_err());
        }
        assert_eq!(frames, [1, 2, 3], "what stands before it stays");
        let mut cut = Vec::new();
        write_answer(&mut cut, 1, &End::Exited { code: 0, output: vec![b'x'; OUTPUT_BYTES_MAX + 1] });
        write_answer(&mut cut, 1, &End::NotStarted("ä".repeat(WHY_BYTES_MAX)));
        let mut rest = &cut[..];
        while let Some(body) = next_body(&mut rest, ANSWER_BYTES_MAX).unwrap() {
            read_answer(body).unwrap();
        }
        assert!(rest.is_empty());
        assert!(next_body(&mut &[0xff; 4][..], ANSWER_BYTES_MAX).is_err(), "it is refused before its body comes");
        assert_eq!(next_body(&mut &[4, 0, 0, 0, 1][..], ANSWER_BYTES_MAX), Ok(None));
    }

    #[test]
    fn other_shapes_are_refused() {
        let mut start = Vec::new();
        write_start(&mut start, 7, 10_000, &[b"/p/check_x", b"-w"]).unwrap();
        let start = &start[LENGTH..];
        for short in 0..start.len() {
            assert!(read_request(&start[..short]).is_err(), "{short}");
        }
        assert!(read_request(&[start, b"x"].concat()).is_err(), "longer");
        let mut none = start.to_vec();
        none[13..15].copy_from_slice(&[0, 0]);
        assert!(read_request(&none).is_err(), "no arguments");
        for kind in [0, 5, 255] {
            let body = [&[kind][..], &[0; 8]].concat();
            assert!(read_request(&body).is_err() && read_answer(&body).is_err(), "{kind}");
        }
        assert!(read_answer(&[&[TIMED_OUT][..], &[0; 9]].concat()).is_err(), "longer");
        assert!(read_answer(&[&[NOT_STARTED][..], &[0xff; 9]].concat()).is_err(), "not UTF-8");
    }

    proptest! {
        #[test]
        fn no_bytes_bring_it_down(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read_request(&bytes);
            let _ = read_answer(&bytes);
            let mut rest = &bytes[..];
            while let Ok(Some(_)) = next_body(&mut rest, REQUEST_BYTES_MAX) {}
        }
    }
}

//! The part of Python's pickle that carbon's senders use: a list of `(path, (timestamp, value))`. Only data: an opcode that
//! names a class, calls something or builds an object is refused, so that nothing is ever run.
//!
//! Source: `pickletools` of Python, protocols 0 to 5.

use std::collections::HashMap;
use std::rc::Rc;

use super::{GraphitePoint, LINE_BYTES_MAX, PICKLE_BYTES_MAX, POINTS_MAX, millis, point};

/// Values one pickle may hold.
const VALUES_MAX: usize = 4 * POINTS_MAX + 16;
/// Bytes of the paths of all points, and what a tag takes besides: a text that stands in the pickle once may be the path of each.
const PATHS_BYTES_MAX: usize = 32 * PICKLE_BYTES_MAX;
const TAG_BYTES: usize = 100;
/// Tuples within tuples. A point is two of them; giving back what is nested without end would overflow the stack.
const DEPTH_MAX: u8 = 8;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PickleError {
    #[error("the pickle ends too early")]
    Truncated,
    #[error("the pickle uses opcode 0x{0:02x}, which is more than plain data; send lists, tuples, texts and numbers")]
    Opcode(u8),
    #[error("the pickle holds more than {POINTS_MAX} points")]
    TooMany,
    #[error("the paths of the pickle have more than {PATHS_BYTES_MAX} bytes in all")]
    TooLarge,
    #[error("the pickle is not a list of (path, (timestamp, value))")]
    Shape,
    #[error("a number or text of the pickle cannot be read")]
    Value,
}

#[derive(Debug, Clone)]
enum Value {
    Mark,
    Number(f64),
    Text(Rc<str>),
    /// Lists and tuples; a list that is filled later is shared with the memo by its number.
    /// With how deep it goes.
    Tuple(Rc<[Value]>, u8),
    List(usize),
    Other,
}

/// Reads a pickle (without the length in front of it). The second number is that of points that are none.
pub fn from_pickle(bytes: &[u8]) -> Result<(Vec<GraphitePoint>, usize), PickleError> {
    let mut machine = Machine { rest: bytes, stack: Vec::new(), lists: Vec::new(), memo: HashMap::new(), made: 0 };
    let value = machine.run()?;
    // Whatever can be walked through is one to carbon: a tuple of points as well.
    let entries = machine.inside(&value).ok_or(PickleError::Shape)?;
    let mut out = Vec::new();
    let (mut bad, mut room) = (0, PATHS_BYTES_MAX);
    for entry in entries {
        match machine.entry(entry, &mut room)? {
            Some(_) if out.len() >= POINTS_MAX => return Err(PickleError::TooMany),
            Some(point) => out.push(point),
            None => bad += 1,
        }
    }
    Ok((out, bad))
}

struct Machine<'a> {
    rest: &'a [u8],
    stack: Vec<Value>,
    lists: Vec<Vec<Value>>,
    memo: HashMap<u32, Value>,
    made: usize,
}

impl<'a> Machine<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], PickleError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(PickleError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], PickleError> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(PickleError::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// Up to the end of the line, which protocol 0 uses.
    fn line(&mut self) -> Result<&'a str, PickleError> {
        let end = self.rest.iter().position(|b| *b == b'\n').ok_or(PickleError::Truncated)?;
        let line = &self.rest[..end];
        self.rest = &self.rest[end + 1..];
        std::str::from_utf8(line).map(|l| l.trim_end_matches('\r')).map_err(|_| PickleError::Value)
    }

    fn push(&mut self, value: Value) -> Result<(), PickleError> {
        self.made += 1;
        if self.made > VALUES_MAX {
            return Err(PickleError::TooMany);
        }
        self.stack.push(value);
        Ok(())
    }

    fn pop(&mut self) -> Result<Value, PickleError> {
        self.stack.pop().ok_or(PickleError::Shape)
    }

    /// What lies above the last mark.
    fn above_mark(&mut self) -> Result<Vec<Value>, PickleError> {
        let mark = self.stack.iter().rposition(|v| matches!(v, Value::Mark)).ok_or(PickleError::Shape)?;
        let above = self.stack.split_off(mark + 1);
        self.stack.pop();
        Ok(above)
    }

    fn text(&mut self, bytes: &[u8]) -> Result<(), PickleError> {
        let text = std::str::from_utf8(bytes).map_err(|_| PickleError::Value)?;
        self.push(Value::Text(text.into()))
    }

    fn number(&mut self, text: &str) -> Result<(), PickleError> {
        let number = text.trim_end_matches('L').parse().map_err(|_| PickleError::Value)?;
        self.push(Value::Number(number))
    }

    fn tuple(&mut self, count: usize) -> Result<(), PickleError> {
        let at = self.stack.len().checked_sub(count).ok_or(PickleError::Shape)?;
        let inside: Vec<Value> = self.stack.split_off(at);
        if inside.iter().any(|v| matches!(v, Value::Mark)) {
            return Err(PickleError::Shape);
        }
        self.nest(inside)
    }

    fn nest(&mut self, inside: Vec<Value>) -> Result<(), PickleError> {
        let depth = |v: &Value| if let Value::Tuple(_, depth) = v { *depth } else { 0 };
        let deepest = inside.iter().map(depth).max().unwrap_or(0);
        if deepest >= DEPTH_MAX {
            return Err(PickleError::Shape);
        }
        self.push(Value::Tuple(inside.into(), deepest + 1))
    }

    fn list(&mut self, values: Vec<Value>) -> Result<(), PickleError> {
        self.lists.push(values);
        self.push(Value::List(self.lists.len() - 1))
    }

    fn extend(&mut self, values: Vec<Value>) -> Result<(), PickleError> {
        let Some(Value::List(at)) = self.stack.last() else { return Err(PickleError::Shape) };
        self.lists[*at].extend(values);
        Ok(())
    }

    fn remember(&mut self, at: u32) -> Result<(), PickleError> {
        let value = self.stack.last().ok_or(PickleError::Shape)?.clone();
        if self.memo.len() >= VALUES_MAX {
            return Err(PickleError::TooMany);
        }
        self.memo.insert(at, value);
        Ok(())
    }

    fn recall(&mut self, at: u32) -> Result<(), PickleError> {
        let value = self.memo.get(&at).ok_or(PickleError::Shape)?.clone();
        self.push(value)
    }

    fn run(&mut self) -> Result<Value, PickleError> {
        loop {
            let [op] = self.array()?;
            match op {
                // STOP
                b'.' => return self.pop(),
                // PROTO, FRAME
                0x80 => drop(self.array::<1>()?),
                0x95 => drop(self.array::<8>()?),
                b'(' => self.push(Value::Mark)?,
                // POP, POP_MARK
                b'0' => drop(self.pop()?),
                b'1' => drop(self.above_mark()?),
                // Numbers: INT, LONG, FLOAT in text; BININT, BININT1, BININT2, BINFLOAT, LONG1 in bytes.
                b'I' => match self.line()? {
                    // False and true, which carbon takes as what Python makes of them.
                    "00" => self.push(Value::Number(0.0))?,
                    "01" => self.push(Value::Number(1.0))?,
                    text => self.number(text)?,
                },
                b'L' | b'F' => {
                    let text = self.line()?;
                    self.number(text)?;
                }
                b'J' => {
                    let n = i32::from_le_bytes(self.array()?);
                    self.push(Value::Number(n.into()))?;
                }
                b'K' => {
                    let [n] = self.array()?;
                    self.push(Value::Number(n.into()))?;
                }
                b'M' => {
                    let n = u16::from_le_bytes(self.array()?);
                    self.push(Value::Number(n.into()))?;
                }
                b'G' => {
                    let n = f64::from_be_bytes(self.array()?);
                    self.push(Value::Number(n))?;
                }
                0x8a => self.long()?,
                // Texts: STRING, UNICODE; SHORT_BINSTRING, BINSTRING, BINUNICODE and its like, bytes.
                b'S' => {
                    let text = self.line()?;
                    let inside = text.get(1..text.len().saturating_sub(1)).ok_or(PickleError::Value)?;
                    self.text(inside.as_bytes())?;
                }
                b'V' => {
                    let text = self.line()?;
                    self.text(text.as_bytes())?;
                }
                b'U' | b'C' | 0x8c => {
                    let [length] = self.array()?;
                    let bytes = self.take(length.into())?;
                    self.text(bytes)?;
                }
                b'T' | b'X' | b'B' => {
                    let length = u32::from_le_bytes(self.array()?);
                    let bytes = self.take(length as usize)?;
                    self.text(bytes)?;
                }
                // NONE, NEWTRUE, NEWFALSE
                b'N' => self.push(Value::Other)?,
                0x88 => self.push(Value::Number(1.0))?,
                0x89 => self.push(Value::Number(0.0))?,
                // EMPTY_LIST, LIST, APPEND, APPENDS
                b']' => self.list(Vec::new())?,
                b'l' => {
                    let values = self.above_mark()?;
                    self.list(values)?;
                }
                b'a' => {
                    let value = self.pop()?;
                    self.extend(vec![value])?;
                }
                b'e' => {
                    let values = self.above_mark()?;
                    self.extend(values)?;
                }
                // EMPTY_TUPLE, TUPLE, TUPLE1, TUPLE2, TUPLE3
                b')' => self.nest(Vec::new())?,
                b't' => {
                    let values = self.above_mark()?;
                    self.nest(values)?;
                }
                0x85..=0x87 => self.tuple(usize::from(op - 0x84))?,
                // The memo: PUT, BINPUT, LONG_BINPUT, MEMOIZE; GET, BINGET, LONG_BINGET.
                b'p' | b'g' => {
                    let at = self.line()?.parse().map_err(|_| PickleError::Value)?;
                    if op == b'p' { self.remember(at)? } else { self.recall(at)? }
                }
                b'q' => {
                    let [at] = self.array()?;
                    self.remember(at.into())?;
                }
                b'r' => {
                    let at = u32::from_le_bytes(self.array()?);
                    self.remember(at)?;
                }
                0x94 => self.remember(self.memo.len() as u32)?,
                b'h' => {
                    let [at] = self.array()?;
                    self.recall(at.into())?;
                }
                b'j' => {
                    let at = u32::from_le_bytes(self.array()?);
                    self.recall(at)?;
                }
                other => return Err(PickleError::Opcode(other)),
            }
        }
    }

    /// A two's complement number of any length. A counter of 64 bits has nine bytes once its highest is set.
    fn long(&mut self) -> Result<(), PickleError> {
        let [length] = self.array()?;
        let bytes = self.take(length.into())?;
        if let Some((highest, rest)) = bytes.split_last().filter(|(_, rest)| rest.len() >= 8) {
            let first = f64::from(highest.cast_signed());
            let number = rest.iter().rev().fold(first, |number, byte| number.mul_add(256.0, f64::from(*byte)));
            return self.push(Value::Number(number));
        }
        let sign = if bytes.last().is_some_and(|b| b & 0x80 != 0) { 0xff } else { 0 };
        let mut wide = [sign; 8];
        wide[..bytes.len()].copy_from_slice(bytes);
        self.push(Value::Number(i64::from_le_bytes(wide) as f64))
    }

    /// The values of a list or tuple.
    fn inside<'v>(&'v self, value: &'v Value) -> Option<&'v [Value]> {
        match value {
            Value::Tuple(values, _) => Some(values),
            Value::List(at) => self.lists.get(*at).map(Vec::as_slice),
            _ => None,
        }
    }

    /// A point, for whose path there must be room; nothing for what is none.
    fn entry(&self, entry: &Value, room: &mut usize) -> Result<Option<GraphitePoint>, PickleError> {
        let Some((path, t_ms, value)) = self.parts(entry) else { return Ok(None) };
        let bytes = path.len() + path.matches(';').count() * TAG_BYTES;
        *room = room.checked_sub(bytes).ok_or(PickleError::TooLarge)?;
        Ok(point(path, value, t_ms).ok())
    }

    fn parts<'v>(&'v self, entry: &'v Value) -> Option<(&'v str, Option<i64>, f64)> {
        let [Value::Text(path), stamped] = self.inside(entry)? else { return None };
        let [time, value] = self.inside(stamped)? else { return None };
        // As much as a line may have.
        if path.len() > LINE_BYTES_MAX {
            return None;
        }
        let number = |v: &Value| match v {
            Value::Number(n) => Some(*n),
            Value::Text(text) => text.parse().ok(),
            _ => None,
        };
        let t_ms = match number(time)? {
            -1.0 => None,
            seconds => Some(millis(seconds).ok()?),
        };
        Some((path, t_ms, number(value)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `pickle.dumps([("a.b", (1400000000, 1.5)), ("c;x=y", (-1, 2))], protocol=N)` of Python 3 gives.
    const PICKLES: [&[u8]; 3] = [
        b"(lp0\n(Va.b\np1\n(I1400000000\nF1.5\ntp2\ntp3\na(Vc;x=y\np4\n(I-1\nI2\ntp5\ntp6\na.",
        b"\x80\x02]q\x00(X\x03\x00\x00\x00a.bq\x01J\x00NrSG?\xf8\x00\x00\x00\x00\x00\x00\x86q\x02\x86q\x03X\x05\x00\x00\x00c;x=yq\x04J\xff\xff\xff\xffK\x02\x86q\x05\x86q\x06e.",
        b"\x80\x04\x950\x00\x00\x00\x00\x00\x00\x00]\x94(\x8c\x03a.b\x94J\x00NrSG?\xf8\x00\x00\x00\x00\x00\x00\x86\x94\x86\x94\x8c\x05c;x=y\x94J\xff\xff\xff\xffK\x02\x86\x94\x86\x94e.",
    ];

    #[test]
    fn every_protocol_says_the_same() {
        for pickle in PICKLES {
            let (points, bad) = from_pickle(pickle).unwrap();
            assert_eq!((points.len(), bad), (2, 0));
            assert_eq!(
                (points[0].path.as_str(), points[0].value, points[0].t_ms),
                ("a.b", 1.5, Some(1_400_000_000_000))
            );
            assert_eq!((points[1].tags[0].1.as_str(), points[1].t_ms), ("y", None));
        }
    }

    #[test]
    fn a_counter_of_64_bits_and_a_tuple_of_points_are_taken() {
        // `pickle.dumps([("a.b", (1, 2**64 - 1)), ("c", (1, -2**64))], 2)`, and the same as a tuple.
        let points: &[u8] = b"X\x03\x00\x00\x00a.bK\x01\x8a\x09\xff\xff\xff\xff\xff\xff\xff\xff\x00\x86\x86X\x01\x00\x00\x00cK\x01\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\xff\x86\x86";
        let limit = 2_f64.powi(64);
        for (before, after) in [(&b"\x80\x02]("[..], &b"e."[..]), (&b"\x80\x02"[..], &b"\x86."[..])] {
            let (points, bad) = from_pickle(&[before, points, after].concat()).unwrap();
            let values: Vec<f64> = points.iter().map(|point| point.value).collect();
            assert_eq!((values, bad), (vec![limit, -limit], 0));
        }
    }

    #[test]
    fn true_and_false_are_numbers() {
        // `pickle.dumps([("a", (1, True)), ("b", (1, False)), ("c", (1, None))], protocol)`.
        for pickle in [
            &b"(lp0\n(Va\np1\n(I1\nI01\ntp2\ntp3\na(Vb\np4\n(I1\nI00\ntp5\ntp6\na(Vc\np7\n(I1\nNtp8\ntp9\na."[..],
            &b"\x80\x02](X\x01\x00\x00\x00aK\x01\x88\x86\x86X\x01\x00\x00\x00bK\x01\x89\x86\x86X\x01\x00\x00\x00cK\x01N\x86\x86e."[..],
        ] {
            let (points, bad) = from_pickle(pickle).unwrap();
            let values: Vec<f64> = points.iter().map(|point| point.value).collect();
            assert_eq!((values, bad), (vec![1.0, 0.0], 1));
        }
    }

    /// A text that stands there once may be the path of each point: two bytes say the same again.
    #[test]
    fn a_pickle_is_not_many_times_its_size() {
        let pickle = |path: &str, points: usize| {
            let length = u32::try_from(path.len()).unwrap().to_le_bytes();
            let point = [&b"X"[..], &length, path.as_bytes(), b"K\x01K\x01\x86\x86q\x00"].concat();
            [&b"]("[..], &point, &b"h\x00".repeat(points - 1), b"e."].concat()
        };
        assert_eq!(from_pickle(&pickle("a", POINTS_MAX)).unwrap().0.len(), POINTS_MAX);
        assert_eq!(from_pickle(&pickle("a", POINTS_MAX + 1)), Err(PickleError::TooMany));
        assert_eq!(from_pickle(&pickle(&"a".repeat(LINE_BYTES_MAX + 1), 9)), Ok((Vec::new(), 9)));
        let fit = PATHS_BYTES_MAX / LINE_BYTES_MAX;
        let long = "a".repeat(LINE_BYTES_MAX);
        assert_eq!(from_pickle(&pickle(&long, fit)).unwrap().0.len(), fit);
        assert_eq!(from_pickle(&pickle(&long, fit + 1)), Err(PickleError::TooLarge));
    }

    #[test]
    fn nothing_is_ever_called() {
        // cos\nsystem\n(S'true'\ntR. : the classic that runs a command when Python reads it.
        assert_eq!(from_pickle(b"cos\nsystem\n(S'true'\ntR."), Err(PickleError::Opcode(b'c')));
        for op in [b'R', b'b', b'i', b'o', 0x81, 0x82, 0x92, 0x93, b'P', b'Q', 0x97] {
            assert_eq!(from_pickle(&[b']', op]), Err(PickleError::Opcode(op)));
        }
    }

    #[test]
    fn what_is_no_list_of_points_is_refused() {
        assert_eq!(from_pickle(b"K\x01."), Err(PickleError::Shape));
        assert_eq!(from_pickle(b"]"), Err(PickleError::Truncated));
        assert_eq!(from_pickle(b"]K\x01a."), Ok((Vec::new(), 1)));
        assert_eq!(from_pickle(b")."), Ok((Vec::new(), 0)));
        // A list that holds itself is data like any other, and no point.
        assert_eq!(from_pickle(b"]q\x00h\x00a."), Ok((Vec::new(), 1)));
        // Tuples within tuples, which nobody may have to give back one inside of the other.
        let nested = [&b"]N"[..], &vec![0x85; 150_000], b"a."].concat();
        assert_eq!(from_pickle(&nested), Err(PickleError::Shape));
        let many = [&b"]("[..], &vec![b'N'; VALUES_MAX], b"e."].concat();
        assert_eq!(from_pickle(&many), Err(PickleError::TooMany));
    }
}

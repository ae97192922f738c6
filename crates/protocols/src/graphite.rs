//! Graphite: lines of `path value timestamp`, the same in Python's pickle, and templates that turn a dotted path into a
//! metric name and labels.
//!
//! Sources: "Feeding In Your Data" and "Graphite Tag Support" of Graphite's documentation; templates are those of
//! InfluxDB's and Telegraf's Graphite input.

mod pickle;
mod template;

pub use pickle::{PickleError, from_pickle};
pub use template::{Template, TemplateError, Templates};

/// Longest line, in bytes.
pub const LINE_BYTES_MAX: usize = 4_096;
/// Largest pickle, in bytes; carbon itself takes 1 MiB.
pub const PICKLE_BYTES_MAX: usize = 1 << 20;
/// Points of one pickle.
pub const POINTS_MAX: usize = 50_000;
const TAGS_MAX: usize = 32;

/// One value of one path.
#[derive(Debug, Clone, PartialEq)]
pub struct GraphitePoint {
    /// Dotted, without its tags.
    pub path: String,
    /// Graphite's own tags, `path;name=value`.
    pub tags: Vec<(String, String)>,
    pub value: f64,
    /// Milliseconds since the epoch; `None` for "now".
    pub t_ms: Option<i64>,
}

/// A line that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    #[error("a line is longer than {LINE_BYTES_MAX} bytes")]
    TooLong,
    #[error("a line is not UTF-8")]
    Text,
    #[error("a line is `path value timestamp`, separated by blanks")]
    Shape,
    #[error("the value is not a number")]
    Value,
    #[error("the timestamp is not seconds since 1970, -1 or N")]
    Timestamp,
    #[error("the tags are not `;name=value`, at most {TAGS_MAX}")]
    Tags,
}

/// Reads one line without its end.
pub fn line(line: &[u8]) -> Result<GraphitePoint, LineError> {
    if line.len() > LINE_BYTES_MAX {
        return Err(LineError::TooLong);
    }
    let mut words = std::str::from_utf8(line).map_err(|_| LineError::Text)?.split_ascii_whitespace();
    let (Some(path), Some(value)) = (words.next(), words.next()) else { return Err(LineError::Shape) };
    let time = words.next();
    if words.next().is_some() {
        return Err(LineError::Shape);
    }
    let value = value.parse::<f64>().map_err(|_| LineError::Value)?;
    point(path, value, time.map_or(Ok(None), seconds)?)
}

/// carbon takes `-1` and `N` for "now".
fn seconds(text: &str) -> Result<Option<i64>, LineError> {
    if text == "N" {
        return Ok(None);
    }
    let seconds: f64 = text.parse().map_err(|_| LineError::Timestamp)?;
    if seconds == -1.0 { Ok(None) } else { millis(seconds).map(Some) }
}

fn millis(seconds: f64) -> Result<i64, LineError> {
    let ms = seconds * 1_000.0;
    if ms.is_finite() && ms.abs() < 4e15 { Ok(ms.round() as i64) } else { Err(LineError::Timestamp) }
}

fn point(path: &str, value: f64, t_ms: Option<i64>) -> Result<GraphitePoint, LineError> {
    let mut parts = path.split(';');
    let path = parts.next().unwrap_or_default().trim_matches('.').to_owned();
    if path.is_empty() {
        return Err(LineError::Shape);
    }
    let mut tags = Vec::new();
    for part in parts {
        match part.split_once('=') {
            Some((name, value)) if !name.is_empty() && tags.len() < TAGS_MAX => {
                tags.push((name.to_owned(), value.to_owned()));
            }
            _ => return Err(LineError::Tags),
        }
    }
    Ok(GraphitePoint { path, tags, value, t_ms })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_as_carbon_takes_them() {
        let point = |path: &str, tags: &[(&str, &str)], value, t_ms| GraphitePoint {
            path: path.into(),
            tags: tags.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect(),
            value,
            t_ms,
        };
        for (text, wanted) in [
            (
                "local.random.diceroll 4 1400000000",
                Ok(point("local.random.diceroll", &[], 4.0, Some(1_400_000_000_000))),
            ),
            ("a.b -1.5e3 -1", Ok(point("a.b", &[], -1_500.0, None))),
            ("a.b 1 -1.0", Ok(point("a.b", &[], 1.0, None))),
            ("a.b 1 N", Ok(point("a.b", &[], 1.0, None))),
            ("a.b 1", Ok(point("a.b", &[], 1.0, None))),
            ("a.b 1 1400000000.25\r", Ok(point("a.b", &[], 1.0, Some(1_400_000_000_250)))),
            (
                "disk.used;datacenter=dc1;rack=a1 7 5",
                Ok(point("disk.used", &[("datacenter", "dc1"), ("rack", "a1")], 7.0, Some(5_000))),
            ),
            ("a.b", Err(LineError::Shape)),
            (" 1 2 3 4", Err(LineError::Shape)),
            ("... 1 2", Err(LineError::Shape)),
            ("a.b one 2", Err(LineError::Value)),
            ("a.b 1 never", Err(LineError::Timestamp)),
            ("a.b 1 1e300", Err(LineError::Timestamp)),
            ("a.b;x 1 2", Err(LineError::Tags)),
        ] {
            assert_eq!(line(text.as_bytes()), wanted, "{text}");
        }
        assert_eq!(line(&[b'x'; LINE_BYTES_MAX + 1]), Err(LineError::TooLong));
        assert_eq!(line(b"\xff 1 2"), Err(LineError::Text));
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = line(&bytes);
            let _ = from_pickle(&bytes);
        }
    }
}

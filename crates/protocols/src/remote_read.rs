//! Prometheus remote read: which samples are wanted, and the answers, whole (`SAMPLES`) or as a stream of frames with coded
//! chunks (`STREAMED_XOR_CHUNKS`). Source: `prompb/remote.proto` and `types.proto`, and `chunked.go` for the frames.

use tenfold_types::pattern::COMPILED_MAX;
use tenfold_types::{HistogramPoint, Labels, Matcher, MatcherOp, Point};

use crate::remote_write::{put_histogram, put_labels, put_point};
use crate::wire::{Fields, WireError};
use crate::wire_out::Writer;
use crate::{crc32c::crc32c, prom_block::histograms, xor_chunk};

/// Queries of one request.
pub const QUERIES_MAX: usize = 64;
/// Matchers of one query.
pub const MATCHERS_MAX: usize = 100;
/// Largest request after decompression, in bytes.
pub const PLAIN_BYTES_MAX: usize = 1 << 20;
/// Samples of one chunk of a stream.
const CHUNK_SAMPLES: usize = 120;

/// One query: matching samples with `start_ms <= t <= end_ms`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ReadQuery {
    pub start_ms: i64,
    pub end_ms: i64,
    pub matchers: Vec<Matcher>,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct ReadRequest {
    pub queries: Vec<ReadQuery>,
    /// Whether the asker takes a stream of chunks, and wants it before whole samples.
    pub streamed: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error("the request holds more than {QUERIES_MAX} queries; send fewer")]
    Queries,
    #[error("a query has more than {MATCHERS_MAX} matchers; send fewer")]
    Matchers,
    #[error("the request holds more than {COMPILED_MAX} regular expressions; send fewer")]
    Patterns,
    #[error("a matcher is of the unknown kind {0}")]
    Kind(u64),
}

/// Reads a decompressed request.
pub fn decode(body: &[u8]) -> Result<ReadRequest, ReadError> {
    let mut out = ReadRequest::default();
    let mut accepted = Vec::new();
    let mut fields = Fields::new(body);
    while let Some((field, value)) = fields.read()? {
        match field {
            1 if out.queries.len() >= QUERIES_MAX => return Err(ReadError::Queries),
            1 => out.queries.push(query(value.bytes(field)?)?),
            2 => value.each_number(field, |n| {
                if accepted.len() < 8 {
                    accepted.push(n);
                }
            })?,
            _ => {}
        }
    }
    if out.queries.iter().flat_map(|query| &query.matchers).filter(|matcher| matcher.is_compiled()).count()
        > COMPILED_MAX
    {
        return Err(ReadError::Patterns);
    }
    // In order of preference; nothing said means samples.
    out.streamed = accepted.iter().find(|n| **n <= 1) == Some(&1);
    Ok(out)
}

fn query(message: &[u8]) -> Result<ReadQuery, ReadError> {
    let mut out = ReadQuery::default();
    let mut fields = Fields::new(message);
    while let Some((field, value)) = fields.read()? {
        match field {
            1 => out.start_ms = value.number(field)? as i64,
            2 => out.end_ms = value.number(field)? as i64,
            3 if out.matchers.len() >= MATCHERS_MAX => return Err(ReadError::Matchers),
            3 => out.matchers.push(matcher(value.bytes(field)?)?),
            _ => {}
        }
    }
    Ok(out)
}

fn matcher(message: &[u8]) -> Result<Matcher, ReadError> {
    let (mut kind, mut name, mut text) = (0, "", "");
    let mut fields = Fields::new(message);
    while let Some((field, value)) = fields.read()? {
        match field {
            1 => kind = value.number(field)?,
            2 => name = value.text(field)?,
            3 => text = value.text(field)?,
            _ => {}
        }
    }
    let op = match kind {
        0 => MatcherOp::Equal,
        1 => MatcherOp::NotEqual,
        2 => MatcherOp::Regex,
        3 => MatcherOp::NotRegex,
        other => return Err(ReadError::Kind(other)),
    };
    Ok(Matcher { name: name.to_owned(), op, value: text.to_owned() })
}

/// A `QueryResult` as it grows: a `ReadResponse` holds one for each query.
pub fn put_result_series(out: &mut Writer, labels: &Labels, points: &[Point], histograms: &[HistogramPoint]) {
    out.message(1, |m| {
        put_labels(m, 1, labels.iter());
        for p in points {
            m.message(2, |m| put_point(m, *p));
        }
        for h in histograms {
            m.message(4, |m| put_histogram(m, h));
        }
    });
}

/// A `ReadResponse` of the results, not yet compressed.
pub fn response(results: Vec<Writer>) -> Vec<u8> {
    let mut out = Writer::default();
    for result in results {
        out.bytes(1, &result.into_bytes());
    }
    out.into_bytes()
}

/// One frame of the stream: a series in chunks, for the query of that number. Empty without samples.
pub fn frame(query: usize, labels: &Labels, points: &[Point], histograms: &[HistogramPoint]) -> Vec<u8> {
    let mut chunks: Vec<(i64, i64, u64, Vec<u8>)> = Vec::new();
    for part in points.chunks(CHUNK_SAMPLES) {
        chunks.push((part[0].t_ms, part[part.len() - 1].t_ms, 1, xor_chunk::encode(part)));
    }
    // Readers take no frame of more than 50 MB, and the histograms of a month would be more if each stood for itself.
    for part in histograms.chunk_by(histograms::follows).flat_map(|run| run.chunks(CHUNK_SAMPLES)) {
        chunks.push((part[0].t_ms, part[part.len() - 1].t_ms, 3, histograms::encode(part)));
    }
    if chunks.is_empty() {
        return Vec::new();
    }
    chunks.sort_by_key(|c| c.0);
    let mut message = Writer::default();
    message.message(1, |m| {
        put_labels(m, 1, labels.iter());
        for (min_ms, max_ms, kind, data) in &chunks {
            m.message(2, |m| {
                m.number(1, *min_ms as u64);
                m.number(2, *max_ms as u64);
                m.number(3, *kind);
                m.bytes(4, data);
            });
        }
    });
    message.number(2, query as u64);
    let data = message.into_bytes();
    let mut out = Writer::default();
    out.varint(data.len() as u64);
    let mut out = out.into_bytes();
    out.extend_from_slice(&crc32c(&data).to_be_bytes());
    out.extend_from_slice(&data);
    out
}

#[cfg(test)]
mod tests {
    use tenfold_types::{Histogram, histogram::Buckets};

    use super::*;

    /// A request of so many queries, each with as many matchers as it may have.
    fn asked(queries: usize, pattern: &str) -> Vec<u8> {
        let mut out = Writer::default();
        for _ in 0..queries {
            out.message(1, |query| {
                for _ in 0..MATCHERS_MAX {
                    query.message(3, |matcher| {
                        matcher.number(1, 2);
                        matcher.text(2, "job");
                        matcher.text(3, pattern);
                    });
                }
            });
        }
        out.into_bytes()
    }

    #[test]
    fn histograms_of_one_layout_share_chunks() {
        let point = |n: u32| {
            let counts = vec![f64::from(n); 20];
            let histogram =
                Histogram { count: f64::from(20 * n), positive: Buckets::single(0, counts), ..Histogram::default() };
            HistogramPoint { t_ms: i64::from(n) * 15_000, histogram: histogram.into() }
        };
        let points: Vec<HistogramPoint> = (1..=240).map(point).collect();
        let labels = Labels::from_pairs([("__name__", "took")]);
        let bytes = |points: &[HistogramPoint]| frame(0, &labels, &[], points).len();
        let (one, all) = (bytes(&points[..1]), bytes(&points));
        assert!(all * 3 < one * points.len(), "{all} bytes, where one alone takes {one}");
    }

    #[test]
    fn patterns_are_counted_over_all_queries() {
        let read = |queries, pattern| decode(&asked(queries, pattern)).map(|request| request.queries.len());
        assert_eq!(read(5, "a.*"), Ok(5));
        assert_eq!(read(6, "a.*"), Err(ReadError::Patterns));
        assert_eq!(read(6, "a|b"), Ok(6), "a list is none");
    }
}

//! `io.prometheus.write.v2.Request` written, out of what a `prometheus.WriteRequest` says.
//!
//! Each text stands once, in a table; a series holds floats or native histograms, in the order of time, with what is known of
//! its metric.
//!
//! When what is counted began stands with each sample (`start_timestamp`), and once with the series, where receivers of before
//! that field look for it. Message 1 has it in a field of our own.

use std::collections::HashMap;

use tenfold_types::{HistogramPoint, Labels, Point};

use super::encode::{put_histogram, put_point};
use super::{RemoteWriteError, kind_number, v1};
use crate::batch::Exemplar;
use crate::prom_text::Metadata;
use crate::wire_out::Writer;

/// A request of version 2, and how much is in it: its receiver says how much of that it wrote.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RequestV2 {
    /// Not compressed.
    pub body: Vec<u8>,
    /// Floats and native histograms.
    pub samples: usize,
    /// Exemplars of series without a sample in the request: version 2 has no place for them.
    pub left_out: usize,
}

/// Turns a body of version 1 into one of version 2. Of each metric's name `about` says what is known.
pub fn to_v2(body: &[u8], about: impl Fn(&str) -> Option<Metadata>) -> Result<RequestV2, RemoteWriteError> {
    let written = v1::decode(body)?;
    let mut all: Vec<Whole<'_, '_>> = Vec::new();
    let mut places: HashMap<&[(&str, &str)], usize> = HashMap::new();
    for series in written.batch.series() {
        let at = *places.entry(series.labels).or_insert(all.len());
        if at == all.len() {
            all.push(Whole { labels: series.labels, ..Whole::default() });
        }
        let whole = &mut all[at];
        let start = |t_ms: i64| series.created_ms.filter(|start| *start < t_ms).unwrap_or(0);
        whole.points.extend(series.points.iter().map(|p| (*p, start(p.t_ms))));
        whole.histograms.extend(series.histograms.iter().map(|h| (h, start(h.t_ms))));
        whole.exemplars.extend(series.exemplars);
    }
    let mut encoder = Encoder { about, described: HashMap::new(), symbols: Symbols::new(), series: Writer::default() };
    let mut out = RequestV2::default();
    for whole in &mut all {
        encoder.put(whole, &mut out);
    }
    out.body = encoder.symbols.table.into_bytes();
    out.body.append(&mut encoder.series.into_bytes());
    Ok(out)
}

/// What a request has of one series, wherever in it that stood.
#[derive(Default)]
struct Whole<'b, 'a> {
    labels: &'b [(&'a str, &'a str)],
    /// Each with its start; 0 where none is known.
    points: Vec<(Point, i64)>,
    histograms: Vec<(&'b HistogramPoint, i64)>,
    exemplars: Vec<&'b Exemplar<'a>>,
}

struct Symbols {
    places: HashMap<String, u64>,
    table: Writer,
}

impl Symbols {
    fn new() -> Self {
        let mut symbols = Self { places: HashMap::new(), table: Writer::default() };
        // The specification has it begin with the empty text.
        symbols.place("");
        symbols
    }

    fn place(&mut self, text: &str) -> u64 {
        if let Some(at) = self.places.get(text) {
            return *at;
        }
        let at = self.places.len() as u64;
        self.places.insert(text.to_owned(), at);
        self.table.text(4, text);
        at
    }

    /// Places of names and values by turns, packed.
    fn refs(&mut self, labels: &[(&str, &str)]) -> Vec<u8> {
        let mut refs = Writer::default();
        for (name, value) in labels {
            refs.varint(self.place(name));
            refs.varint(self.place(value));
        }
        refs.into_bytes()
    }
}

/// A message `Metadata`: the kind, and the places of help and unit.
type Described = Option<(u64, u64, u64)>;

struct Encoder<F> {
    about: F,
    described: HashMap<String, Described>,
    symbols: Symbols,
    series: Writer,
}

impl<F: Fn(&str) -> Option<Metadata>> Encoder<F> {
    fn put(&mut self, whole: &mut Whole<'_, '_>, out: &mut RequestV2) {
        if whole.points.is_empty() && whole.histograms.is_empty() {
            out.left_out += whole.exemplars.len();
            return;
        }
        whole.points.sort_by_key(|(p, _)| p.t_ms);
        whole.histograms.sort_by_key(|(h, _)| h.t_ms);
        let labels = self.symbols.refs(whole.labels);
        let described = self.describe(whole.labels);
        let exemplars: Vec<_> = whole.exemplars.iter().map(|e| (self.symbols.refs(&e.labels), *e)).collect();
        out.samples += whole.points.len() + whole.histograms.len();
        // A series of both kinds is two, and its exemplars are of the floats.
        if !whole.points.is_empty() {
            self.series.message(5, |m| {
                m.bytes(1, &labels);
                for (point, start) in &whole.points {
                    m.message(2, |m| {
                        put_point(m, *point);
                        put_start(m, SAMPLE_START, *start);
                    });
                }
                put_exemplars(m, &exemplars);
                put_described(m, described);
                put_start(m, SERIES_START, first_start(&whole.points));
            });
        }
        if !whole.histograms.is_empty() {
            self.series.message(5, |m| {
                m.bytes(1, &labels);
                for (point, start) in &whole.histograms {
                    m.message(3, |m| {
                        put_histogram(m, point);
                        put_start(m, HISTOGRAM_START, *start);
                    });
                }
                if whole.points.is_empty() {
                    put_exemplars(m, &exemplars);
                }
                put_described(m, described);
                put_start(m, SERIES_START, first_start(&whole.histograms));
            });
        }
    }

    fn describe(&mut self, labels: &[(&str, &str)]) -> Described {
        let name = labels.iter().find(|(name, _)| *name == Labels::NAME)?.1;
        if let Some(known) = self.described.get(name) {
            return *known;
        }
        let about = (self.about)(name);
        let described = about.map(|m| (kind_number(&m.kind), self.symbols.place(&m.help), self.symbols.place(&m.unit)));
        self.described.insert(name.to_owned(), described);
        described
    }
}

/// Fields of starts: of a sample, of a histogram, of a series.
const SAMPLE_START: u32 = 3;
const HISTOGRAM_START: u32 = 17;
const SERIES_START: u32 = 6;

/// The first start that is known; 0 for none.
fn first_start<T>(samples: &[(T, i64)]) -> i64 {
    samples.iter().map(|(_, start)| *start).find(|start| *start != 0).unwrap_or(0)
}

fn put_start(out: &mut Writer, field: u32, start: i64) {
    if start != 0 {
        out.number(field, start as u64);
    }
}

fn put_exemplars(out: &mut Writer, exemplars: &[(Vec<u8>, &Exemplar<'_>)]) {
    for (labels, exemplar) in exemplars {
        out.message(4, |m| {
            m.bytes(1, labels);
            m.double(2, exemplar.value);
            m.number(3, exemplar.t_ms.unwrap_or(0) as u64);
        });
    }
}

fn put_described(out: &mut Writer, described: Described) {
    if let Some((kind, help, unit)) = described {
        out.message(5, |m| {
            m.number(1, kind);
            m.number(3, help);
            m.number(4, unit);
        });
    }
}

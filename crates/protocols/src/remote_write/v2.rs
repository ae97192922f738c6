//! `io.prometheus.write.v2.Request`.
//!
//! When a counter began may stand with each sample (`start_timestamp`), or, as older senders have it, once with the series.
//! Where it begins anew between two samples of a series, a zero is put in between, so that nothing of its increase is lost.

use tenfold_types::{Histogram, HistogramPoint, Labels, Point};

use super::{FAMILIES_MAX, NOT_UTF8, RemoteWriteError, Written, histogram, kind, v1::sample};
use crate::batch::{Exemplar, LABELS_MAX, TooMuch};
use crate::exposition::{self, Metadata};
use crate::wire::{Fields, Value, WireError};

pub(super) fn decode(body: &[u8]) -> Result<Written<'_>, RemoteWriteError> {
    let symbols = symbols(body)?;
    let mut reader = Reader { symbols, refs: Vec::new(), out: Written::default(), described: None };
    let mut fields = Fields::new(body);
    while let Some((field, value)) = fields.read()? {
        if field == 5 {
            reader.series(value.bytes(field)?)?;
        }
    }
    Ok(reader.out)
}

/// The table, which may stand behind the series that use it. What is not UTF-8 in it is of use to no series.
fn symbols(body: &[u8]) -> Result<Vec<Option<&str>>, RemoteWriteError> {
    let mut symbols = Vec::new();
    let mut fields = Fields::new(body);
    while let Some((field, value)) = fields.read()? {
        if field == 4 {
            if symbols.len() >= LABELS_MAX {
                return Err(TooMuch { what: "symbols", max: LABELS_MAX }.into());
            }
            symbols.push(std::str::from_utf8(value.bytes(field)?).ok());
        }
    }
    match symbols.first() {
        Some(first) if *first != Some("") => Err(RemoteWriteError::FirstSymbol),
        _ => Ok(symbols),
    }
}

/// When the samples of one series began to be counted.
#[derive(Default)]
struct Starts {
    first: Option<i64>,
    /// Of the sample before: its time and its start.
    last: Option<(i64, i64)>,
}

impl Starts {
    /// Whether a count began anew at `start`, after the sample before and before this one at `t_ms`. A start of 0 says
    /// nothing.
    fn restarts(&mut self, start: i64, t_ms: i64) -> bool {
        if self.last.is_none() {
            self.first = Some(start).filter(|start| *start != 0);
        }
        let last = self.last.replace((t_ms, start));
        start != 0 && last.is_some_and(|(before, known)| start != known && before < start && start < t_ms)
    }
}

/// The field of a sample or histogram that says when it began to be counted; 0 where it does not.
fn start(message: &[u8], wanted: u32) -> Result<i64, WireError> {
    let mut out = 0;
    let mut fields = Fields::new(message);
    while let Some((field, value)) = fields.read()? {
        if field == wanted {
            out = value.number(field)? as i64;
        }
    }
    Ok(out)
}

/// A histogram of the same shape that counts nothing.
fn empty(of: &Histogram, t_ms: i64) -> HistogramPoint {
    let histogram = Histogram {
        schema: of.schema,
        zero_threshold: of.zero_threshold,
        bounds: of.bounds.clone(),
        ..Histogram::default()
    };
    HistogramPoint { t_ms, histogram: histogram.into() }
}

struct Reader<'a> {
    symbols: Vec<Option<&'a str>>,
    refs: Vec<u64>,
    out: Written<'a>,
    /// The metric that was described last: its series mostly follow one another.
    described: Option<&'a str>,
}

impl<'a> Reader<'a> {
    fn symbol(&self, at: u64) -> Result<&'a str, RemoteWriteError> {
        let found = usize::try_from(at).ok().and_then(|at| self.symbols.get(at));
        let text = found.ok_or(RemoteWriteError::Symbol { at, len: self.symbols.len() })?;
        text.ok_or(RemoteWriteError::Wire(WireError::Text))
    }

    /// What is told of a family, which is worth no refusal.
    fn told(&self, at: u64) -> Result<&'a str, RemoteWriteError> {
        match self.symbol(at) {
            Err(RemoteWriteError::Wire(WireError::Text)) => Ok(""),
            text => text,
        }
    }

    /// Name and value by turns.
    fn refs(&mut self, field: u32, value: Value<'_>) -> Result<(), RemoteWriteError> {
        let refs = &mut self.refs;
        let mut room = true;
        value.each_number(field, |at| {
            room = refs.len() < 2 * LABELS_MAX;
            if room {
                refs.push(at);
            }
        })?;
        if room { Ok(()) } else { Err(TooMuch { what: "labels", max: LABELS_MAX }.into()) }
    }

    fn pairs(&self) -> Result<impl Iterator<Item = Result<(&'a str, &'a str), RemoteWriteError>>, RemoteWriteError> {
        let (pairs, rest) = self.refs.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(RemoteWriteError::OddLabels);
        }
        Ok(pairs.iter().map(|[name, value]| Ok((self.symbol(*name)?, self.symbol(*value)?))))
    }

    fn series(&mut self, message: &'a [u8]) -> Result<(), RemoteWriteError> {
        self.refs.clear();
        let mut about = None;
        let (mut of_series, mut floats, mut histograms) = (0, Starts::default(), Starts::default());
        let mut fields = Fields::new(message);
        while let Some((field, value)) = fields.read()? {
            match field {
                1 => self.refs(field, value)?,
                2 => {
                    let message = value.bytes(field)?;
                    let (point, start) = (sample(message)?, start(message, 3)?);
                    if floats.restarts(start, point.t_ms) {
                        self.out.batch.point(Point::new(start, 0.0))?;
                    }
                    self.out.batch.point(point)?;
                }
                3 => {
                    let message = value.bytes(field)?;
                    match histogram::decode(message)? {
                        Ok(point) => {
                            let start = start(message, 17)?;
                            if histograms.restarts(start, point.t_ms) {
                                self.out.batch.histogram(empty(&point.histogram, start))?;
                            }
                            self.out.batch.histogram(point)?;
                        }
                        Err(wrong) => self.out.batch.refuse("bad_histogram", 1, || wrong.to_string()),
                    }
                }
                5 => about = Some(value.bytes(field)?),
                6 => of_series = value.number(field)? as i64,
                _ => {}
            }
        }
        if let Some(created) = floats.first.or(histograms.first).or(Some(of_series).filter(|t| *t != 0)) {
            self.out.batch.created(created);
        }
        let (mut name, mut is_text) = (None, true);
        let mut batch = std::mem::take(&mut self.out.batch);
        for pair in self.pairs()? {
            let (label, value) = match pair {
                Err(RemoteWriteError::Wire(WireError::Text)) => {
                    is_text = false;
                    continue;
                }
                pair => pair?,
            };
            if label == Labels::NAME {
                name = Some(value);
            }
            batch.label(label, value)?;
        }
        self.exemplars(message, &mut batch)?;
        if is_text {
            batch.end()?;
        } else {
            batch.refuse_series("bad_labels", NOT_UTF8);
        }
        self.out.batch = batch;
        if let (Some(name), Some(about)) = (name, about)
            && self.described != Some(name)
        {
            self.metadata(name, about)?;
        }
        Ok(())
    }

    /// Apart from the rest, since their references need the same list as the series' own.
    fn exemplars(&mut self, series: &'a [u8], batch: &mut crate::batch::Batch<'a>) -> Result<(), RemoteWriteError> {
        let mut all = Fields::new(series);
        while let Some((field, value)) = all.read()? {
            if field != 4 {
                continue;
            }
            self.refs.clear();
            let mut out = Exemplar { labels: Vec::new(), value: 0.0, t_ms: None };
            let mut fields = Fields::new(value.bytes(field)?);
            while let Some((field, value)) = fields.read()? {
                match field {
                    1 => self.refs(field, value)?,
                    2 => out.value = value.double(field)?,
                    3 => out.t_ms = Some(value.number(field)? as i64).filter(|t| *t != 0),
                    _ => {}
                }
            }
            out.labels = match self.pairs()?.collect::<Result<Vec<_>, _>>() {
                Err(RemoteWriteError::Wire(WireError::Text)) => continue,
                labels => labels?,
            };
            batch.exemplar(out)?;
        }
        Ok(())
    }

    fn metadata(&mut self, name: &'a str, message: &[u8]) -> Result<(), RemoteWriteError> {
        let mut about = Metadata { kind: kind(0).into(), ..Metadata::default() };
        let mut fields = Fields::new(message);
        let mut known = false;
        while let Some((field, value)) = fields.read()? {
            match field {
                1 => {
                    let number = value.number(field)?;
                    known |= number != 0;
                    kind(number).clone_into(&mut about.kind);
                }
                3 => exposition::about(self.told(value.number(field)?)?).clone_into(&mut about.help),
                4 => exposition::about(self.told(value.number(field)?)?).clone_into(&mut about.unit),
                _ => {}
            }
        }
        if !known && about.help.is_empty() && about.unit.is_empty() {
            return Ok(());
        }
        if self.out.metadata.len() >= FAMILIES_MAX {
            return Err(RemoteWriteError::Families);
        }
        self.described = Some(name);
        self.out.metadata.push((name, about));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire_out::Writer;

    #[test]
    fn of_texts_that_are_not_utf8_only_their_series_are_left_out() {
        let mut body = Writer::default();
        for symbol in [&b""[..], b"__name__", b"a", b"b", b"c", b"label", b"caf\xe9"] {
            body.bytes(4, symbol);
        }
        for labels in [&[1, 2][..], &[1, 3, 5, 6], &[1, 4]] {
            body.message(5, |series| {
                series.bytes(1, labels);
                series.message(2, |sample| sample.number(2, 7));
                series.message(4, |exemplar| exemplar.bytes(1, &[5, 6]));
                series.message(5, |about| {
                    about.number(1, 1);
                    about.number(3, 6);
                });
            });
        }
        let body = body.into_bytes();
        let read = decode(&body).unwrap();
        let kept: Vec<_> = read.batch.series().map(|s| (s.owned_labels().to_string(), s.points.len())).collect();
        assert_eq!(kept, [("a".to_owned(), 1), ("c".to_owned(), 1)]);
        let [refused] = read.batch.refused() else { panic!("{:?}", read.batch.refused()) };
        assert_eq!((refused.reason, refused.count), ("bad_labels", 1));
        assert_eq!(refused.example, "b: another label of it is not UTF-8");
        assert!(read.metadata.iter().all(|(_, about)| about.kind == "counter" && about.help.is_empty()));
    }
}

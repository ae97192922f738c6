//! `io.prometheus.write.v2.Request`.

use tenfold_types::Labels;

use super::{FAMILIES_MAX, RemoteWriteError, Written, histogram, kind, v1::sample};
use crate::batch::{Exemplar, LABELS_MAX, TooMuch};
use crate::prom_text::Metadata;
use crate::wire::{Fields, Value};

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

/// The table, which may stand behind the series that use it.
fn symbols(body: &[u8]) -> Result<Vec<&str>, RemoteWriteError> {
    let mut symbols = Vec::new();
    let mut fields = Fields::new(body);
    while let Some((field, value)) = fields.read()? {
        if field == 4 {
            if symbols.len() >= LABELS_MAX {
                return Err(TooMuch { what: "symbols", max: LABELS_MAX }.into());
            }
            symbols.push(value.text(field)?);
        }
    }
    match symbols.first() {
        Some(first) if !first.is_empty() => Err(RemoteWriteError::FirstSymbol),
        _ => Ok(symbols),
    }
}

struct Reader<'a> {
    symbols: Vec<&'a str>,
    refs: Vec<u64>,
    out: Written<'a>,
    /// The metric that was described last: its series mostly follow one another.
    described: Option<&'a str>,
}

impl<'a> Reader<'a> {
    fn symbol(&self, at: u64) -> Result<&'a str, RemoteWriteError> {
        let found = usize::try_from(at).ok().and_then(|at| self.symbols.get(at));
        found.copied().ok_or(RemoteWriteError::Symbol { at, len: self.symbols.len() })
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
        let mut fields = Fields::new(message);
        while let Some((field, value)) = fields.read()? {
            match field {
                1 => self.refs(field, value)?,
                2 => self.out.batch.point(sample(value.bytes(field)?)?)?,
                3 => match histogram::decode(value.bytes(field)?)? {
                    Ok(point) => self.out.batch.histogram(point)?,
                    Err(wrong) => self.out.batch.refuse("bad_histogram", 1, || wrong.to_string()),
                },
                5 => about = Some(value.bytes(field)?),
                6 => match value.number(field)? as i64 {
                    0 => {}
                    created => self.out.batch.created(created),
                },
                _ => {}
            }
        }
        let mut name = None;
        let mut batch = std::mem::take(&mut self.out.batch);
        for pair in self.pairs()? {
            let (label, value) = pair?;
            if label == Labels::NAME {
                name = Some(value);
            }
            batch.label(label, value)?;
        }
        self.exemplars(message, &mut batch)?;
        batch.end()?;
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
            out.labels = self.pairs()?.collect::<Result<_, _>>()?;
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
                3 => self.symbol(value.number(field)?)?.clone_into(&mut about.help),
                4 => self.symbol(value.number(field)?)?.clone_into(&mut about.unit),
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

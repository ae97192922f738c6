//! `prometheus.WriteRequest`.

use tenfold_types::Point;

use super::{CREATED_FIELD, FAMILIES_MAX, NOT_UTF8, RemoteWriteError, Written, histogram, kind};
use crate::batch::{Batch, Exemplar};
use crate::prom_text::Metadata;
use crate::wire::{Fields, WireError};

pub(super) fn decode(body: &[u8]) -> Result<Written<'_>, RemoteWriteError> {
    let mut out = Written::default();
    let mut fields = Fields::new(body);
    while let Some((field, value)) = fields.read()? {
        match field {
            1 => series(value.bytes(field)?, &mut out.batch)?,
            3 => metadata(value.bytes(field)?, &mut out)?,
            _ => {}
        }
    }
    Ok(out)
}

fn series<'a>(message: &'a [u8], batch: &mut Batch<'a>) -> Result<(), RemoteWriteError> {
    let mut is_text = true;
    let mut fields = Fields::new(message);
    while let Some((field, value)) = fields.read()? {
        match field {
            1 => match label(value.bytes(field)?) {
                Ok((name, value)) => batch.label(name, value)?,
                Err(WireError::Text) => is_text = false,
                Err(wrong) => return Err(wrong.into()),
            },
            2 => batch.point(sample(value.bytes(field)?)?)?,
            3 => match exemplar(value.bytes(field)?) {
                Ok(exemplar) => batch.exemplar(exemplar)?,
                Err(WireError::Text) => {}
                Err(wrong) => return Err(wrong.into()),
            },
            4 => match histogram::decode(value.bytes(field)?)? {
                Ok(point) => batch.histogram(point)?,
                Err(wrong) => batch.refuse("bad_histogram", 1, || wrong.to_string()),
            },
            CREATED_FIELD => batch.created(value.number(field)? as i64),
            _ => {}
        }
    }
    if !is_text {
        batch.refuse_series("bad_labels", NOT_UTF8);
        return Ok(());
    }
    Ok(batch.end()?)
}

fn label(message: &[u8]) -> Result<(&str, &str), WireError> {
    let (mut name, mut text) = ("", "");
    let mut fields = Fields::new(message);
    while let Some((field, value)) = fields.read()? {
        match field {
            1 => name = value.text(field)?,
            2 => text = value.text(field)?,
            _ => {}
        }
    }
    Ok((name, text))
}

/// Both versions' sample: the value and milliseconds since the epoch.
pub(super) fn sample(message: &[u8]) -> Result<Point, WireError> {
    let mut point = Point::new(0, 0.0);
    let mut fields = Fields::new(message);
    while let Some((field, value)) = fields.read()? {
        match field {
            1 => point.value = value.double(field)?,
            2 => point.t_ms = value.number(field)? as i64,
            _ => {}
        }
    }
    Ok(point)
}

fn exemplar(message: &[u8]) -> Result<Exemplar<'_>, WireError> {
    let mut out = Exemplar { labels: Vec::new(), value: 0.0, t_ms: None };
    let mut fields = Fields::new(message);
    while let Some((field, value)) = fields.read()? {
        match field {
            1 => out.labels.push(label(value.bytes(field)?)?),
            2 => out.value = value.double(field)?,
            3 => out.t_ms = Some(value.number(field)? as i64),
            _ => {}
        }
    }
    Ok(out)
}

fn metadata<'a>(message: &'a [u8], out: &mut Written<'a>) -> Result<(), RemoteWriteError> {
    let (mut name, mut about) = (Ok(""), Metadata { kind: kind(0).into(), ..Metadata::default() });
    let mut fields = Fields::new(message);
    while let Some((field, value)) = fields.read()? {
        match field {
            1 => kind(value.number(field)?).clone_into(&mut about.kind),
            2 => name = std::str::from_utf8(value.bytes(field)?),
            4 => about.help = String::from_utf8_lossy(value.bytes(field)?).into_owned(),
            5 => about.unit = String::from_utf8_lossy(value.bytes(field)?).into_owned(),
            _ => {}
        }
    }
    let Ok(name) = name else { return Ok(()) };
    if out.metadata.len() >= FAMILIES_MAX {
        return Err(RemoteWriteError::Families);
    }
    out.metadata.push((name, about));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire_out::Writer;

    #[test]
    fn of_texts_that_are_not_utf8_only_their_series_are_left_out() {
        let mut body = Writer::default();
        for (name, value) in [("a", &b"x"[..]), ("b", b"caf\xe9"), ("c", b"y")] {
            body.message(1, |series| {
                for (label, text) in [("__name__", name.as_bytes()), ("label", value)] {
                    series.message(1, |pair| {
                        pair.text(1, label);
                        pair.bytes(2, text);
                    });
                }
                series.message(2, |sample| sample.number(2, 7));
                series.message(3, |exemplar| exemplar.message(1, |pair| pair.bytes(2, b"\xff")));
            });
        }
        for (name, help) in [(&b"a"[..], &b"20 \xb0C"[..]), (b"\xff", b"")] {
            body.message(3, |family| {
                family.bytes(2, name);
                family.bytes(4, help);
            });
        }
        let body = body.into_bytes();
        let read = decode(&body).unwrap();
        let kept: Vec<_> = read.batch.series().map(|s| (s.owned_labels().to_string(), s.points.len())).collect();
        assert_eq!(kept, [("a{label=\"x\"}".to_owned(), 1), ("c{label=\"y\"}".to_owned(), 1)]);
        let [refused] = read.batch.refused() else { panic!("{:?}", read.batch.refused()) };
        assert_eq!((refused.reason, refused.count), ("bad_labels", 1));
        assert_eq!(refused.example, "b: another label of it is not UTF-8");
        let told: Vec<_> = read.metadata.iter().map(|(name, about)| (*name, about.help.as_str())).collect();
        assert_eq!(told, [("a", "20 \u{fffd}C")]);
    }
}

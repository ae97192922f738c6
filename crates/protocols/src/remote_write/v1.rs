//! `prometheus.WriteRequest`.

use tenfold_types::Point;

use super::{CREATED_FIELD, FAMILIES_MAX, RemoteWriteError, Written, histogram, kind};
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
    let mut fields = Fields::new(message);
    while let Some((field, value)) = fields.read()? {
        match field {
            1 => {
                let (name, value) = label(value.bytes(field)?)?;
                batch.label(name, value)?;
            }
            2 => batch.point(sample(value.bytes(field)?)?)?,
            3 => batch.exemplar(exemplar(value.bytes(field)?)?)?,
            4 => match histogram::decode(value.bytes(field)?)? {
                Ok(point) => batch.histogram(point)?,
                Err(wrong) => batch.refuse("bad_histogram", 1, || wrong.to_string()),
            },
            CREATED_FIELD => batch.created(value.number(field)? as i64),
            _ => {}
        }
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
    let (mut name, mut about) = ("", Metadata { kind: kind(0).into(), ..Metadata::default() });
    let mut fields = Fields::new(message);
    while let Some((field, value)) = fields.read()? {
        match field {
            1 => kind(value.number(field)?).clone_into(&mut about.kind),
            2 => name = value.text(field)?,
            4 => value.text(field)?.clone_into(&mut about.help),
            5 => value.text(field)?.clone_into(&mut about.unit),
            _ => {}
        }
    }
    if out.metadata.len() >= FAMILIES_MAX {
        return Err(RemoteWriteError::Families);
    }
    out.metadata.push((name, about));
    Ok(())
}

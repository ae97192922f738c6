//! Values to and from PostgreSQL's binary format, by the type the server infers for each place.

use std::error::Error;

use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, private::BytesMut, to_sql_checked};

use crate::{Row, Value};

type Failure = Box<dyn Error + Sync + Send>;

/// A parameter that fits whatever the server asks for, as SQLite's affinities do.
#[derive(Debug)]
pub(super) struct Param<'a>(pub(super) &'a Value);

impl ToSql for Param<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Failure> {
        match self.0 {
            Value::Null => Ok(IsNull::Yes),
            Value::Int(v) if is_text(ty) => v.to_string().to_sql(ty, out),
            Value::Text(v) if is_text(ty) => v.to_sql(ty, out),
            Value::Int(v) => number(*v, ty, out),
            Value::Text(v) => number(v.parse().map_err(|_| format!("a text is given where {ty} is wanted"))?, ty, out),
        }
    }

    fn accepts(ty: &Type) -> bool {
        is_text(ty) || [Type::INT8, Type::INT4, Type::INT2, Type::BOOL, Type::NUMERIC].contains(ty)
    }

    to_sql_checked!();
}

fn is_text(ty: &Type) -> bool {
    [Type::TEXT, Type::VARCHAR, Type::NAME, Type::BPCHAR, Type::UNKNOWN].contains(ty)
}

fn number(v: i64, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Failure> {
    match *ty {
        Type::INT4 => i32::try_from(v)?.to_sql(ty, out),
        Type::INT2 => i16::try_from(v)?.to_sql(ty, out),
        Type::BOOL => (v != 0).to_sql(ty, out),
        Type::NUMERIC => {
            out.extend_from_slice(&numeric_bytes(v));
            Ok(IsNull::No)
        }
        _ => v.to_sql(ty, out),
    }
}

/// A row as the port knows it. Sums come as NUMERIC and conditions as BOOL; both become BIGINT.
pub(super) fn row(row: &tokio_postgres::Row) -> Result<Row, Failure> {
    (0..row.len()).map(|column| Ok(row.try_get::<_, Column>(column)?.0)).collect::<Result<_, _>>().map(Row::new)
}

struct Column(Value);

impl<'a> FromSql<'a> for Column {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Failure> {
        Ok(Self(match *ty {
            Type::INT8 => Value::Int(i64::from_sql(ty, raw)?),
            Type::INT4 => Value::Int(i32::from_sql(ty, raw)?.into()),
            Type::INT2 => Value::Int(i16::from_sql(ty, raw)?.into()),
            Type::BOOL => Value::Int(bool::from_sql(ty, raw)?.into()),
            Type::NUMERIC => Value::Int(numeric_value(raw)?),
            _ => Value::Text(String::from_sql(ty, raw)?),
        }))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Failure> {
        Ok(Self(Value::Null))
    }

    fn accepts(ty: &Type) -> bool {
        <Param as ToSql>::accepts(ty)
    }
}

/// NUMERIC on the wire: count of digits, weight of the first, sign, scale, then digits of base 10000.
fn numeric_bytes(v: i64) -> Vec<u8> {
    let mut digits = Vec::new();
    let mut rest = v.unsigned_abs();
    while rest > 0 {
        digits.push((rest % 10_000) as u16);
        rest /= 10_000;
    }
    let sign = if v < 0 { 0x4000 } else { 0 };
    let head = [digits.len() as u16, (digits.len() as u16).saturating_sub(1), sign, 0];
    head.into_iter().chain(digits.into_iter().rev()).flat_map(u16::to_be_bytes).collect()
}

fn numeric_value(raw: &[u8]) -> Result<i64, Failure> {
    let words: Vec<u16> = raw.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
    let [count, weight, sign, _scale, digits @ ..] = words.as_slice() else {
        return Err("a NUMERIC is cut short".into());
    };
    let weight = *weight as i16;
    let mut value: i128 = 0;
    for place in 0..=i32::from(weight).min(5) {
        value = value * 10_000 + i128::from(digits.get(place as usize).copied().unwrap_or(0));
    }
    let fraction = digits.iter().skip(usize::try_from(i32::from(weight) + 1)?).any(|d| *d != 0);
    if fraction || weight > 5 || usize::from(*count) != digits.len() || ![0, 0x4000].contains(sign) {
        return Err("a NUMERIC is not a whole number that fits a BIGINT".into());
    }
    Ok(i64::try_from(if *sign == 0 { value } else { -value })?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numerics_round_trip() {
        for v in [0, 1, -1, 9_999, 10_000, 10_001, 120_000_000, -4_200_000_000, i64::MAX, i64::MIN] {
            assert_eq!(numeric_value(&numeric_bytes(v)).unwrap(), v);
        }
    }

    #[test]
    fn what_is_not_a_whole_number_is_refused() {
        let bytes = |words: &[u16]| words.iter().flat_map(|w| w.to_be_bytes()).collect::<Vec<_>>();
        assert_eq!(numeric_value(&bytes(&[1, 1, 0, 0, 12])).unwrap(), 120_000, "trailing zeros are not sent");
        assert!(numeric_value(&bytes(&[2, 0, 0, 1, 1, 5_000])).is_err(), "1.5");
        assert!(numeric_value(&bytes(&[1, u16::MAX, 0, 1, 5_000])).is_err(), "0.5");
        assert!(numeric_value(&bytes(&[0, 0, 0xC000, 0])).is_err(), "NaN");
        assert!(numeric_value(&bytes(&[1, 5, 0, 0, 12])).is_err(), "too large");
        assert!(numeric_value(&[0]).is_err());
    }
}

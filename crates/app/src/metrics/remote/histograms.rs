//! Native histograms out of an answer of Prometheus' API. It tells the bounds and the count of each bucket, but no schema: that
//! is found again from the bounds. Where no schema has such bounds they become custom buckets, with the same counts.

use serde_json::Value as Json;
use tenfold_types::Histogram;
use tenfold_types::histogram::{Buckets, CUSTOM_SCHEMA, EXPONENTIAL_SCHEMAS};

use super::number;

/// Places between the first and the last bucket of one sign. A histogram of more is taken for one with custom buckets.
const PLACES_MAX: i32 = 20_000;
/// Bounds are written with all their digits, and computed anew: they may differ in the last ones.
const NEAR: f64 = 1e-9;

#[derive(Clone, Copy)]
struct Told {
    lower: f64,
    upper: f64,
    count: f64,
}

impl Told {
    fn read(parts: &Json) -> Option<Self> {
        Some(Self { lower: number(&parts[1])?, upper: number(&parts[2])?, count: number(&parts[3])? })
    }

    fn is_zero(&self) -> bool {
        self.lower <= 0.0 && self.upper >= 0.0 && self.lower == -self.upper && self.upper.is_finite()
    }
}

/// A bucket of one sign: its bounds away from zero and towards it.
#[derive(Clone, Copy)]
struct Away {
    far: f64,
    near: f64,
    count: f64,
}

/// The part of an answer that tells one histogram: `count`, `sum` and `buckets`.
pub(super) fn histogram(told: &Json) -> Option<Histogram> {
    let buckets: Vec<Told> = match told.get("buckets") {
        None => Vec::new(),
        Some(list) => list.as_array()?.iter().map(Told::read).collect::<Option<_>>()?,
    };
    let bare = Histogram { count: number(&told["count"])?, sum: number(&told["sum"])?, ..Histogram::default() };
    let found = exponential(&bare, &buckets).or_else(|| custom(&bare, &buckets))?;
    found.validate().is_ok().then_some(found)
}

fn exponential(bare: &Histogram, buckets: &[Told]) -> Option<Histogram> {
    let mut out = bare.clone();
    let (mut positive, mut negative) = (Vec::new(), Vec::new());
    for told in buckets {
        if told.is_zero() {
            (out.zero_threshold, out.zero_count) = (told.upper, told.count);
        } else if told.lower >= 0.0 {
            positive.push(Away { far: told.upper, near: told.lower, count: told.count });
        } else {
            negative.push(Away { far: -told.lower, near: -told.upper, count: told.count });
        }
    }
    let both = || positive.iter().chain(&negative);
    if both().any(|b| !b.far.is_finite() || b.near <= 0.0 || b.far <= b.near) {
        return None;
    }
    // One that the zero bucket cuts is narrower than the others.
    let widest = both().map(|b| b.far / b.near).fold(1.0, f64::max);
    if widest > 1.0 {
        out.schema = (-widest.log2().log2()).round() as i32;
    }
    if !EXPONENTIAL_SCHEMAS.contains(&out.schema) {
        return None;
    }
    let (positive, negative) = (placed(&out, &positive)?, placed(&out, &negative)?);
    out.positive = positive;
    out.negative = negative;
    Some(out)
}

/// Buckets of one sign at their places in the schema; `None` where a bound is none of the schema's.
fn placed(of: &Histogram, buckets: &[Away]) -> Option<Buckets> {
    let per_doubling = 2_f64.powi(of.schema);
    let mut places = Vec::with_capacity(buckets.len());
    for bucket in buckets {
        let place = (bucket.far.log2() * per_doubling).round() as i32;
        let (upper, lower) = (of.bound(place), of.bound(place.wrapping_sub(1)));
        if (bucket.far - upper).abs() > upper * NEAR || bucket.near < lower * (1.0 - NEAR) {
            return None;
        }
        places.push((place, bucket.count));
    }
    let Some(first) = places.iter().map(|(place, _)| *place).min() else { return Some(Buckets::default()) };
    let last = places.iter().map(|(place, _)| *place).max().unwrap_or(first);
    let length = last.checked_sub(first).filter(|length| *length < PLACES_MAX)?;
    let mut counts = vec![0.0; usize::try_from(length).ok()? + 1];
    for (place, count) in places {
        *counts.get_mut(usize::try_from(place - first).ok()?)? += count;
    }
    let mut out = Buckets::single(first, counts);
    out.compact();
    Some(out)
}

fn custom(bare: &Histogram, buckets: &[Told]) -> Option<Histogram> {
    let mut bounds: Vec<f64> = buckets.iter().flat_map(|b| [b.lower, b.upper]).filter(|b| b.is_finite()).collect();
    bounds.sort_by(f64::total_cmp);
    bounds.dedup();
    let mut counts = vec![0.0; bounds.len() + 1];
    for bucket in buckets {
        let place = bounds.partition_point(|bound| *bound < bucket.upper);
        *counts.get_mut(place)? += bucket.count;
    }
    let mut positive = Buckets::single(0, counts);
    positive.compact();
    Some(Histogram { schema: CUSTOM_SCHEMA, positive, bounds: bounds.into(), ..bare.clone() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tenfold_promql::format_float;

    use super::*;

    /// As Prometheus' API writes it.
    fn written(h: &Histogram) -> Json {
        let buckets: Vec<Json> = h
            .all_buckets()
            .into_iter()
            .filter(|b| b.count != 0.0)
            .map(|b| json!([0, format_float(b.lower), format_float(b.upper), format_float(b.count)]))
            .collect();
        json!({"count": format_float(h.count), "sum": format_float(h.sum), "buckets": buckets})
    }

    #[test]
    fn schemas_are_found_again() {
        for schema in EXPONENTIAL_SCHEMAS {
            let mut whole = Histogram {
                schema,
                count: 14.0,
                sum: 3.5,
                zero_threshold: 1e-30,
                zero_count: 2.0,
                positive: Buckets::single(-1, vec![1.0, 0.0, 4.0, 2.0]),
                negative: Buckets::single(1, vec![2.0, 3.0]),
                ..Histogram::default()
            };
            whole.compact();
            let read = histogram(&written(&whole)).expect("it is one");
            assert_eq!(read.schema, schema);
            assert!(read.same_as(&whole), "{read:?} and {whole:?}");
        }
    }

    #[test]
    fn other_bounds_are_custom_ones() {
        let whole = Histogram {
            schema: CUSTOM_SCHEMA,
            count: 7.0,
            sum: 21.0,
            positive: Buckets::single(0, vec![1.0, 4.0, 0.0, 2.0]),
            bounds: [1.0, 2.5, 10.0].into(),
            ..Histogram::default()
        };
        let read = histogram(&written(&whole)).expect("it is one");
        assert_eq!((read.schema, &*read.bounds), (CUSTOM_SCHEMA, &[1.0, 2.5, 10.0][..]));
        assert_eq!(written(&read), written(&whole));
    }

    #[test]
    fn an_empty_one_and_what_is_none() {
        let empty = histogram(&json!({"count": "0", "sum": "0"})).expect("it is one");
        assert_eq!((empty.count, empty.schema), (0.0, 0));
        for told in [
            json!({}),
            json!({"count": "1", "sum": "1", "buckets": [[0, "1", "2"]]}),
            json!({"count": "1", "sum": "1", "buckets": [[0, "1", "2", "-1"]]}),
        ] {
            assert!(histogram(&told).is_none(), "{told}");
        }
    }
}

//! Columns of timestamps and of values in block files. The first byte says how a column is encoded, so that new
//! encodings can be added without touching old files; the numbers are never reused.
//!
//! Columns that carry information are left to pco (Loncaric et al., "Pcodec: Better Compression for Numerical
//! Sequences", 2025): measured on a real scrape it takes a third of Gorilla's bytes and decodes faster. Where packed bits
//! are as short, they are taken: they are read faster still. Most series carry none: constants, counters that grow by the
//! same step and regular timestamps are a few bytes altogether.

use std::{cell::RefCell, thread::LocalKey};

use pco::{
    ChunkConfig, DeltaSpec, ModeSpec, PagingSpec,
    data_types::Number,
    wrapped::{FileCompressor, FileDecompressor},
};
use tenfold_types::STALE_NAN_BITS;

use crate::{
    codec::{Reader, put_varint, put_zigzag},
    packed::{put_differences, put_levels, take_differences, take_levels},
};

/// A column has at most this many rows; a decoder refuses more.
pub(crate) const COLUMN_ROWS_MAX: usize = 1 << 14;
/// Below this, plain differences may be shorter than pco's tables.
const SHORT_ROWS: usize = 96;

const CONSTANT: u8 = 0;
/// Whole numbers, each the one before plus the same step.
const STEPS: u8 = 1;
/// Whole numbers, differences as variable-length integers.
const DIFFERENCES: u8 = 2;
/// Whole numbers, by pco.
const PCO_WHOLE: u8 = 3;
/// Any numbers, by pco.
const PCO_FLOAT: u8 = 4;
const RAW: u8 = 5;
/// Rows that hold the staleness marker, then a column that repeats the row before in their places.
const WITH_STALE: u8 = 6;
/// Whole numbers around a straight line, the distances by pco.
const PCO_LINE: u8 = 7;
/// Whole numbers that seldom change: where, and by how much.
const SELDOM_WHOLE: u8 = 8;
/// Any numbers that seldom change: where, and to what.
const SELDOM: u8 = 9;
/// Decimals of few digits: how many stand behind the point, then the column of the whole numbers without it.
const DECIMAL: u8 = 10;
/// Whole numbers of a narrow range by pco: the least, then what they are more than it, in 16 or 32 bits. Each of pco's bins
/// says a number of the whole width, which in a column of some hundred rows is most of it.
const PCO_16: u8 = 11;
const PCO_32: u8 = 12;
/// Whole numbers packed to their bits (module `packed`): what they are more than the least.
const PACKED: u8 = 13;
/// The same of their differences.
const PACKED_DIFFERENCES: u8 = 14;
/// A packed column is taken when it is longer than pco's by one byte in so many at most: it is read several times as fast,
/// and reading is most of what a query over a long time does.
const PACKED_FOR_BYTES: usize = 8;
/// A column of so many rows for each change is one of them.
const SELDOM_ROWS: usize = 8;
/// By digits behind the point. Whole numbers and these are exact, so that dividing gives the number nearest to the decimal,
/// which is what reading its text gave.
const POWERS: [f64; 7] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6];

/// Two bytes that pco's files begin with, which need not stand in each column.
fn pco_header() -> Vec<u8> {
    let mut out = Vec::new();
    FileCompressor::default().write_header(&mut out).expect("a vector takes every write");
    out
}

fn put_pco<T: Number>(out: &mut Vec<u8>, rows: &[T], mode: ModeSpec, delta: DeltaSpec, level: usize) -> Option<()> {
    let config = ChunkConfig::default()
        .with_compression_level(level)
        .with_mode_spec(mode)
        .with_delta_spec(delta)
        .with_paging_spec(PagingSpec::Exact(vec![rows.len()]));
    let mut chunk = FileCompressor::default().chunk_compressor(rows, &config).ok()?;
    chunk.write_meta(&mut *out).ok()?;
    chunk.write_page(0, &mut *out).ok()?;
    Some(())
}

/// Decodes into `out`, all of it.
fn take_pco<T: Number>(bytes: &[u8], out: &mut [T]) -> Option<()> {
    thread_local! {
        static FILE: FileDecompressor =
            FileDecompressor::new(pco_header().as_slice()).expect("the header was written by the same library").0;
    }
    FILE.with(|file| {
        let (mut chunk, rest) = file.chunk_decompressor::<T, _>(bytes).ok()?;
        let progress = chunk.page_decompressor(rest, out.len()).ok()?.read(out).ok()?;
        (progress.n_processed == out.len() && progress.finished).then_some(())
    })
}

thread_local! {
    static ROWS: RefCell<Vec<i64>> = const { RefCell::new(Vec::new()) };
    static ROWS_32: RefCell<Vec<u32>> = const { RefCell::new(Vec::new()) };
    static ROWS_16: RefCell<Vec<u16>> = const { RefCell::new(Vec::new()) };
}

/// Decodes whole numbers and hands them over.
fn with_pco<T: Number + Default, R>(
    kept: &'static LocalKey<RefCell<Vec<T>>>,
    bytes: &[u8],
    rows: usize,
    then: impl FnOnce(&[T]) -> R,
) -> Option<R> {
    kept.with_borrow_mut(|kept| {
        if kept.len() < rows {
            kept.resize(rows, T::default());
        }
        take_pco(bytes, &mut kept[..rows])?;
        Some(then(&kept[..rows]))
    })
}

/// The number as an integer, when that loses nothing.
pub(crate) fn whole(value: f64) -> Option<i64> {
    let int = value as i64;
    (int.unsigned_abs() <= 1 << 53 && (int as f64).to_bits() == value.to_bits()).then_some(int)
}

/// The decimal without its point, when it has at most so many digits behind it.
fn without_point(value: f64, digits: usize) -> Option<i64> {
    let int = (value * POWERS[digits]).round() as i64;
    let same = (int as f64 / POWERS[digits]).to_bits() == value.to_bits();
    (same && int.unsigned_abs() <= 1 << 53).then_some(int)
}

/// How many digits the values have behind the point at most, and all of them without it.
fn decimals(values: &[f64]) -> Option<(usize, Vec<i64>)> {
    let mut digits = 1;
    for value in values {
        while without_point(*value, digits).is_none() {
            digits += 1;
            if digits == POWERS.len() {
                return None;
            }
        }
    }
    let ints: Option<Vec<i64>> = values.iter().map(|v| without_point(*v, digits)).collect();
    Some((digits, ints?))
}

pub(crate) fn put_values(out: &mut Vec<u8>, values: &[f64], level: usize) {
    let Some(first) = values.first() else { return };
    if values.iter().all(|v| v.to_bits() == first.to_bits()) {
        // A number below 2^41 takes fewer bytes as one that grows by nothing.
        if let Some(int) = whole(*first).filter(|int| int.unsigned_abs() < 1 << 41) {
            out.push(STEPS);
            put_zigzag(out, int);
            put_zigzag(out, 0);
            return;
        }
        out.push(CONSTANT);
        out.extend_from_slice(&first.to_bits().to_le_bytes());
        return;
    }
    if values.iter().any(|v| v.to_bits() == STALE_NAN_BITS) {
        return put_with_stale(out, values, level);
    }
    let ints: Option<Vec<i64>> = values.iter().map(|v| whole(*v)).collect();
    let changes = values.windows(2).filter(|w| w[0].to_bits() != w[1].to_bits()).count();
    if let Some(ints) = ints {
        put_ints(out, &ints, changes, level);
    } else if let Some((digits, ints)) = decimals(values) {
        out.extend([DECIMAL, digits as u8]);
        put_ints(out, &ints, changes, level);
    } else if changes * SELDOM_ROWS * 2 <= values.len() {
        put_seldom(out, values, changes);
    } else {
        put_floats(out, values, level);
    }
}

fn put_ints(out: &mut Vec<u8>, ints: &[i64], changes: usize, level: usize) {
    if changes * SELDOM_ROWS <= ints.len() {
        put_seldom_whole(out, ints, changes);
    } else {
        put_whole(out, ints, level);
    }
}

fn put_seldom_whole(out: &mut Vec<u8>, ints: &[i64], changes: usize) {
    out.push(SELDOM_WHOLE);
    put_zigzag(out, ints[0]);
    put_varint(out, changes as u64);
    let mut last = 0;
    for (i, pair) in ints.windows(2).enumerate().filter(|(_, w)| w[0] != w[1]) {
        put_varint(out, (i - last) as u64);
        put_zigzag(out, pair[1].wrapping_sub(pair[0]));
        last = i;
    }
}

fn put_seldom(out: &mut Vec<u8>, values: &[f64], changes: usize) {
    out.push(SELDOM);
    out.extend_from_slice(&values[0].to_bits().to_le_bytes());
    put_varint(out, changes as u64);
    let mut last = 0;
    for (i, pair) in values.windows(2).enumerate().filter(|(_, w)| w[0].to_bits() != w[1].to_bits()) {
        put_varint(out, (i - last) as u64);
        out.extend_from_slice(&pair[1].to_bits().to_le_bytes());
        last = i;
    }
}

/// Appends `rows` values that begin with `value` and change where `change` says, which takes the value before.
fn take_seldom<V: Copy>(
    r: &mut Reader<'_>,
    rows: usize,
    mut value: V,
    number: impl Fn(V) -> f64,
    mut change: impl FnMut(&mut Reader<'_>, V) -> Option<V>,
    out: &mut Vec<f64>,
) -> Option<()> {
    let (base, mut last) = (out.len(), 0usize);
    for _ in 0..r.usize().filter(|n| *n < rows)? {
        last = last.checked_add(r.usize()?).filter(|at| at + 1 < rows)?;
        out.resize(base + last + 1, number(value));
        value = change(r, value)?;
    }
    out.resize(base + rows, number(value));
    Some(())
}

fn put_with_stale(out: &mut Vec<u8>, values: &[f64], level: usize) {
    out.push(WITH_STALE);
    let stale: Vec<usize> = (0..values.len()).filter(|i| values[*i].to_bits() == STALE_NAN_BITS).collect();
    put_varint(out, stale.len() as u64);
    let mut next = 0;
    for at in &stale {
        put_varint(out, (at - next) as u64);
        next = at + 1;
    }
    let mut plain = values.to_vec();
    let mut before = values.iter().find(|v| v.to_bits() != STALE_NAN_BITS).copied().unwrap_or_default();
    for value in &mut plain {
        if value.to_bits() == STALE_NAN_BITS {
            *value = before;
        }
        before = *value;
    }
    put_values(out, &plain, level);
}

fn put_whole(out: &mut Vec<u8>, ints: &[i64], level: usize) {
    let step = ints[1].wrapping_sub(ints[0]);
    if ints.windows(2).all(|w| w[1].wrapping_sub(w[0]) == step) {
        out.push(STEPS);
        put_zigzag(out, ints[0]);
        put_zigzag(out, step);
        return;
    }
    let at = out.len();
    let (least, most) = ints.iter().fold((i64::MAX, i64::MIN), |(a, b), int| (a.min(*int), b.max(*int)));
    let range = most.abs_diff(least);
    let narrow = u16::try_from(range).is_ok();
    let packed = if u32::try_from(range).is_ok() {
        out.push(if narrow { PCO_16 } else { PCO_32 });
        put_zigzag(out, least);
        let more = ints.iter().map(|int| int.abs_diff(least));
        if narrow {
            put_pco(out, &more.map(|n| n as u16).collect::<Vec<_>>(), ModeSpec::Auto, DeltaSpec::Auto, level)
        } else {
            put_pco(out, &more.map(|n| n as u32).collect::<Vec<_>>(), ModeSpec::Auto, DeltaSpec::Auto, level)
        }
    } else {
        out.push(PCO_WHOLE);
        put_pco(out, ints, ModeSpec::Auto, DeltaSpec::Auto, level)
    };
    if packed.is_none() || ints.len() <= SHORT_ROWS {
        let mut plain = vec![DIFFERENCES];
        let mut before = 0;
        for int in ints {
            put_zigzag(&mut plain, int.wrapping_sub(before));
            before = *int;
        }
        if packed.is_none() || plain.len() < out.len() - at {
            out.truncate(at);
            out.extend_from_slice(&plain);
        }
    }
    let allowed = (out.len() - at) * (PACKED_FOR_BYTES + 1) / PACKED_FOR_BYTES;
    if let Some(quick) = packed_shorter(ints).filter(|quick| quick.len() <= allowed) {
        out.truncate(at);
        out.extend_from_slice(&quick);
    }
}

/// The shorter of both ways to pack, if one can.
fn packed_shorter(ints: &[i64]) -> Option<Vec<u8>> {
    let (mut levels, mut differences) = (vec![PACKED], vec![PACKED_DIFFERENCES]);
    let levels = put_levels(&mut levels, ints).map(|()| levels);
    let differences = put_differences(&mut differences, ints).map(|()| differences);
    [levels, differences].into_iter().flatten().min_by_key(Vec::len)
}

fn put_floats(out: &mut Vec<u8>, values: &[f64], level: usize) {
    let at = out.len();
    out.push(PCO_FLOAT);
    let packed = put_pco(out, values, ModeSpec::Auto, DeltaSpec::Auto, level);
    if packed.is_none() || out.len() - at > 1 + 8 * values.len() {
        out.truncate(at);
        out.push(RAW);
        for value in values {
            out.extend_from_slice(&value.to_bits().to_le_bytes());
        }
    }
}

/// Appends `rows` values; `None` when the bytes are damaged.
pub(crate) fn take_values(bytes: &[u8], rows: usize, out: &mut Vec<f64>) -> Option<()> {
    if rows == 0 || rows > COLUMN_ROWS_MAX {
        return (rows == 0 && bytes.is_empty()).then_some(());
    }
    let mut r = Reader::new(bytes);
    match r.byte()? {
        CONSTANT => {
            let value = f64::from_bits(r.u64()?);
            out.resize(out.len() + rows, value);
        }
        STEPS => {
            let (first, step) = (r.zigzag()?, r.zigzag()?);
            if step == 0 {
                out.resize(out.len() + rows, first as f64);
            } else {
                out.extend((0..rows as i64).map(|i| first.wrapping_add(step.wrapping_mul(i)) as f64));
            }
        }
        DIFFERENCES => {
            let mut int = 0i64;
            for _ in 0..rows {
                int = int.wrapping_add(r.zigzag()?);
                out.push(int as f64);
            }
        }
        PCO_WHOLE => with_pco(&ROWS, r.rest(), rows, |ints| out.extend(ints.iter().map(|int| *int as f64)))?,
        PCO_32 => {
            let least = r.zigzag()?;
            let number = |more: &u32| least.wrapping_add(i64::from(*more)) as f64;
            with_pco(&ROWS_32, r.rest(), rows, |all| out.extend(all.iter().map(number)))?;
        }
        PCO_16 => {
            let least = r.zigzag()?;
            let number = |more: &u16| least.wrapping_add(i64::from(*more)) as f64;
            with_pco(&ROWS_16, r.rest(), rows, |all| out.extend(all.iter().map(number)))?;
        }
        PACKED => take_levels(r.rest(), rows, out)?,
        PACKED_DIFFERENCES => take_differences(r.rest(), rows, out)?,
        PCO_FLOAT => {
            let base = out.len();
            out.resize(base + rows, 0.0);
            take_pco(r.rest(), &mut out[base..])?;
        }
        RAW => {
            for _ in 0..rows {
                out.push(f64::from_bits(r.u64()?));
            }
        }
        SELDOM_WHOLE => {
            let first = r.zigzag()?;
            let change = |r: &mut Reader<'_>, before: i64| Some(before.wrapping_add(r.zigzag()?));
            take_seldom(&mut r, rows, first, |int| int as f64, change, out)?;
        }
        SELDOM => {
            let first = f64::from_bits(r.u64()?);
            take_seldom(&mut r, rows, first, |value| value, |r, _| Some(f64::from_bits(r.u64()?)), out)?;
        }
        WITH_STALE => {
            let base = out.len();
            let mut stale = Vec::new();
            let mut next = 0usize;
            for _ in 0..r.usize().filter(|n| *n <= rows)? {
                let at = next.checked_add(r.usize()?).filter(|at| *at < rows)?;
                stale.push(at);
                next = at + 1;
            }
            // One level only: a damaged column must not recurse.
            let rest = r.rest();
            if rest.first() == Some(&WITH_STALE) {
                return None;
            }
            take_values(rest, rows, out)?;
            for at in stale {
                out[base + at] = f64::from_bits(STALE_NAN_BITS);
            }
        }
        DECIMAL => {
            let power = *POWERS.get(usize::from(r.byte()?))?;
            let (base, rest) = (out.len(), r.rest());
            // One level only, as above.
            if matches!(rest.first(), Some(&(WITH_STALE | DECIMAL))) {
                return None;
            }
            take_values(rest, rows, out)?;
            for value in &mut out[base..] {
                *value /= power;
            }
        }
        _ => return None,
    }
    Some(())
}

/// Timestamps in ascending order.
pub(crate) fn put_times(out: &mut Vec<u8>, times: &[i64]) {
    let (Some(first), Some(last)) = (times.first(), times.last()) else { return };
    let step = last.wrapping_sub(*first).checked_div(times.len() as i64 - 1).unwrap_or(0);
    let line = |i: usize| first.wrapping_add(step.wrapping_mul(i as i64));
    if times.iter().enumerate().all(|(i, t)| *t == line(i)) {
        out.push(STEPS);
        put_zigzag(out, *first);
        put_zigzag(out, step);
        return;
    }
    let at = out.len();
    out.push(PCO_LINE);
    put_zigzag(out, *first);
    put_zigzag(out, step);
    let off: Vec<i64> = times.iter().enumerate().map(|(i, t)| t.wrapping_sub(line(i))).collect();
    let packed = put_pco(out, &off, ModeSpec::Auto, DeltaSpec::Auto, 4);
    if packed.is_none() || times.len() <= SHORT_ROWS {
        let mut plain = vec![DIFFERENCES];
        let mut before = 0;
        for t in times {
            put_zigzag(&mut plain, t.wrapping_sub(before));
            before = *t;
        }
        if packed.is_none() || plain.len() < out.len() - at {
            out.truncate(at);
            out.extend_from_slice(&plain);
        }
    }
}

/// The timestamps of a column; `None` when the bytes are damaged or do not ascend.
pub(crate) fn take_times(bytes: &[u8], rows: usize) -> Option<Vec<i64>> {
    if rows > COLUMN_ROWS_MAX {
        return None;
    }
    let mut r = Reader::new(bytes);
    let mut out = Vec::with_capacity(rows);
    match r.byte()? {
        STEPS => {
            let (first, step) = (r.zigzag()?, r.zigzag()?);
            out.extend((0..rows as i64).map(|i| first.wrapping_add(step.wrapping_mul(i))));
        }
        DIFFERENCES => {
            let mut t = 0i64;
            for _ in 0..rows {
                t = t.wrapping_add(r.zigzag()?);
                out.push(t);
            }
        }
        PCO_LINE => {
            let (first, step) = (r.zigzag()?, r.zigzag()?);
            let line = |i: usize| first.wrapping_add(step.wrapping_mul(i as i64));
            with_pco(&ROWS, r.rest(), rows, |off| {
                out.extend(off.iter().enumerate().map(|(i, off)| line(i).wrapping_add(*off)));
            })?;
        }
        _ => return None,
    }
    out.is_sorted().then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tenfold_types::STALE_NAN;

    fn values() -> impl Strategy<Value = Vec<f64>> {
        let one = prop_oneof![
            any::<f64>(),
            (0u32..1000).prop_map(f64::from),
            (0u32..1000).prop_map(|n| f64::from(n) / 10.0),
            Just(1.0),
            Just(-0.0),
            Just(STALE_NAN),
            any::<u64>().prop_map(f64::from_bits),
        ];
        let whole = (0u32..100).prop_map(f64::from);
        prop_oneof![
            prop::collection::vec(one, 1..300),
            prop::collection::vec(whole, 1..600),
            prop::collection::vec(any::<i32>().prop_map(f64::from), 1..600),
            prop::collection::vec(any::<i64>().prop_map(|n| (n >> 10) as f64), 1..600),
            (-1i64 << 52..1i64 << 52, prop::collection::vec(0i64..1 << 17, 1..600))
                .prop_map(|(least, more)| more.into_iter().map(|n| (least + n) as f64).collect()),
            (any::<i32>(), any::<i32>(), 1usize..300)
                .prop_map(|(a, b, n)| (0..n).map(|i| f64::from(a) + f64::from(b) * i as f64).collect()),
            (any::<f64>(), 1usize..300).prop_map(|(v, n)| vec![v; n]),
            (any::<f64>(), prop::collection::vec((0usize..40, any::<f64>()), 0..6)).prop_map(seldom),
            (0i32..99, prop::collection::vec((0usize..40, -5i32..5), 0..6)).prop_map(|(first, changes)| {
                seldom((f64::from(first), changes.into_iter().map(|(n, v)| (n, f64::from(v))).collect()))
            }),
        ]
    }

    /// The first value, then each so many rows later another.
    fn seldom((first, changes): (f64, Vec<(usize, f64)>)) -> Vec<f64> {
        let mut out = vec![first; 8];
        for (rows, value) in changes {
            out.resize(out.len() + rows, *out.last().unwrap());
            out.push(value);
        }
        out
    }

    proptest! {
        #[test]
        fn values_round_trip_to_the_bit(values in values(), level in prop::sample::select(vec![4usize, 8])) {
            let (mut bytes, mut out) = (Vec::new(), Vec::new());
            put_values(&mut bytes, &values, level);
            take_values(&bytes, values.len(), &mut out).unwrap();
            let bits = |v: &[f64]| v.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(&out), bits(&values));
        }

        #[test]
        fn times_round_trip(first in any::<i32>(), steps in prop::collection::vec(prop_oneof![Just(15_000i64), 0i64..30_000, any::<u32>().prop_map(i64::from)], 0..400)) {
            let mut t = i64::from(first);
            let mut times = vec![t];
            times.extend(steps.iter().map(|d| { t += d; t }));
            let mut bytes = Vec::new();
            put_times(&mut bytes, &times);
            prop_assert_eq!(take_times(&bytes, times.len()).unwrap(), times);
        }

        #[test]
        fn damaged_columns_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), tag in 0u8..16, rows in 0usize..40_000) {
            let mut all = vec![tag];
            all.extend(bytes);
            let _ = take_values(&all, rows, &mut Vec::new());
            let _ = take_times(&all, rows);
        }
    }

    #[test]
    fn decimals_are_kept_as_whole_numbers_and_come_back_to_the_bit() {
        let of = |text: &str| -> f64 { text.parse().unwrap() };
        assert_eq!(decimals(&[0.5, 0.25, -1.0]), Some((2, vec![50, 25, -100])));
        assert_eq!(decimals(&[of("12345.67"), of("12345.7"), 0.0]), Some((2, vec![1_234_567, 1_234_570, 0])));
        for not in [-0.0, f64::NAN, f64::INFINITY, 0.1 + 0.2, 1e300, 1e-7, 9_007_199_254_740_992.0] {
            assert_eq!(decimals(&[0.5, not]), None, "{not}");
        }
        // Seconds of a processor in hundredths, as a kernel tells them.
        let mut hundredths = 1_234_567i64;
        let mut step = 1i64;
        let values: Vec<f64> = (0..960)
            .map(|_| {
                step = (step * 48_271) % 2_147_483_647;
                hundredths += step % 13;
                hundredths as f64 / 100.0
            })
            .collect();
        let (mut bytes, mut out) = (Vec::new(), Vec::new());
        put_values(&mut bytes, &values, 8);
        assert_eq!(bytes[..2], [DECIMAL, 2]);
        take_values(&bytes, values.len(), &mut out).unwrap();
        assert_eq!(out, values);
        // Not much more than what a step in thirteen tells, four bits.
        assert!(bytes.len() < 960 * 5 / 8, "{} bytes", bytes.len());
    }

    #[test]
    fn series_without_information_take_a_few_bytes() {
        let len = |values: &[f64]| {
            let mut out = Vec::new();
            put_values(&mut out, values, 4);
            out.len()
        };
        assert_eq!(len(&[3.5; 480]), 9);
        assert_eq!(len(&[1.0; 480]), 3);
        assert_eq!(len(&[-1e12; 480]), 8);
        assert_eq!(len(&[1e13; 480]), 9);
        let mut ended = vec![3.5; 480];
        ended[479] = STALE_NAN;
        assert!(len(&ended) < 16);
        assert!(len(&seldom((1e6, vec![(100, 1_000_001.0), (300, 1_000_003.0)]))) < 16);
        assert!(len(&seldom((0.5, vec![(100, 0.25), (300, 0.5)]))) < 36);
        assert!(len(&(0..480).map(|i| f64::from(i) * 15.0).collect::<Vec<_>>()) < 8);
        let mut times = Vec::new();
        put_times(&mut times, &(0..480).map(|i| 1_700_000_000_000 + i * 15_000).collect::<Vec<_>>());
        assert!(times.len() < 12);
    }
}

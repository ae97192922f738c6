//! Blocks of the version that is written and of the one before it.

use std::{path::Path, sync::Arc};

use tenfold_types::Point;

use super::{Block, BlockReader, BlockWriter, GROUP_SERIES, VERSION, VERSION_MIN};
use crate::{error::TsdbError, fs::OsFs};

/// More than one group.
const SERIES: u32 = 3 * GROUP_SERIES as u32 + 5;
const ROWS: i64 = 700;
const PACE_MS: i64 = 15_000;

/// Of four series one is constant, one a counter, one of decimals; the fourth comes at a pace of its own.
fn points(series: u32) -> Vec<Point> {
    let point = |i: i64| {
        let t_ms = 1_000 + i * PACE_MS;
        let n = (i * 7_919 + i64::from(series)) % 97;
        match series % 4 {
            0 => Point::new(t_ms, 1.0),
            1 => Point::new(t_ms, (i * 100 + n) as f64),
            2 => Point::new(t_ms + i % 7, n as f64 / 100.0),
            _ => Point::new(t_ms + n, (n as f64).sqrt()),
        }
    };
    (0..ROWS).map(point).collect()
}

fn write(dir: &Path, version: u8, points: impl Fn(u32) -> Vec<Point>) -> Block {
    let writer = BlockWriter::create(&OsFs, dir, (0, 20_000_000), u64::from(version), 4).unwrap();
    let mut writer = writer.in_version(version);
    // The order of the names is not that of the numbers.
    for id in (0..SERIES).rev() {
        writer.add(id, &points(id), &[]).unwrap();
    }
    for id in 0..SERIES {
        let own = id.to_string();
        writer.add_labels(id, [("__name__", "m"), ("s", own.as_str())].into_iter());
    }
    writer.finish(&[]).unwrap().unwrap()
}

#[test]
fn each_version_gives_back_what_was_written() {
    for version in VERSION_MIN..=VERSION {
        let dir = tempfile::tempdir().unwrap();
        let block = Arc::new(write(dir.path(), version, points));
        assert_eq!(block.version, version);
        let reader = BlockReader::new(block.clone());
        for id in 0..SERIES {
            let (mut floats, mut histograms) = (Vec::new(), Vec::new());
            let all = (i64::MIN, i64::MAX);
            assert!(reader.samples(id, all, &mut floats, &mut histograms).unwrap(), "{version}: {id} is in order");
            assert_eq!(floats, points(id), "{version}: {id}");
            let (from, to) = (floats[100].t_ms, floats[200].t_ms);
            floats.clear();
            assert!(reader.samples(id, (from, to), &mut floats, &mut histograms).unwrap());
            assert_eq!(floats, points(id)[100..=200]);
            assert!(reader.overlaps(id, 0, 2_000).unwrap() && !reader.overlaps(id, 0, 999).unwrap());
        }
        let (mut strings, mut series) = (Vec::new(), Vec::new());
        block.labels(|s| strings.push(s.to_owned()), |id, pairs| series.push((id, pairs.to_vec()))).unwrap();
        assert_eq!(series.len(), SERIES as usize);
        for (id, pairs) in series {
            let texts: Vec<_> = pairs.iter().map(|(n, v)| [&*strings[*n as usize], &*strings[*v as usize]]).collect();
            assert_eq!(texts, [["__name__", "m"], ["s", id.to_string().as_str()]], "{version}");
        }
    }
}

#[test]
fn what_series_have_in_common_is_written_once() {
    let dir = tempfile::tempdir().unwrap();
    let constant = |_: u32| -> Vec<Point> { (0..480).map(|i| Point::new(1_000 + i * PACE_MS, 1.0)).collect() };
    let [before, now] = [VERSION_MIN, VERSION].map(|version| write(dir.path(), version, constant).bytes);
    assert!(now * 2 < before, "{now} bytes, {before} before");
}

#[test]
fn a_newer_version_is_named_and_a_torn_one_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), VERSION, points).path;
    let whole = std::fs::read(&path).unwrap();
    let version_at = |bytes: &[u8]| [5, bytes.len() - 3];
    let error_of = |places: &[usize]| {
        let mut bytes = whole.clone();
        for at in places {
            bytes[*at] = VERSION + 1;
        }
        std::fs::write(&path, bytes).unwrap();
        Block::open(&OsFs, &path).err().unwrap()
    };
    let newer = error_of(&version_at(&whole));
    assert!(matches!(newer, TsdbError::Format { .. }), "{newer}");
    for at in version_at(&whole) {
        let torn = error_of(&[at]);
        assert!(matches!(torn, TsdbError::Damaged { .. }), "{torn}");
    }
}

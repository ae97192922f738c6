//! Bytes that rot and files that end early: one byte flipped, or the file cut, at every 4 kB of every file. The store
//! opens, never panics, says what it found, gives back no sample that was not written, and goes on taking samples.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use tenfold_tsdb::{Options, Point, SeriesWrite, Tsdb, TsdbError};

const SERIES: usize = 24;
const ROUNDS: i64 = 1200;
const BLOCK_MS: i64 = 250_000;
const STRIDE: usize = 4096;

fn options() -> Options {
    Options {
        block_ms: BLOCK_MS,
        block_ms_max: BLOCK_MS,
        segment_bytes_max: 60_000,
        replay_bytes_max: 1 << 30,
        ..Options::default()
    }
}

fn value(series: usize, t: i64) -> f64 {
    ((t as f64) * 0.001 + series as f64).sin() * 1000.0
}

fn write(db: &Tsdb, t: i64) {
    let names: Vec<String> = (0..SERIES).map(|s| s.to_string()).collect();
    let labels: Vec<[(&str, &str); 2]> = names.iter().map(|n| [("__name__", "m"), ("s", n.as_str())]).collect();
    let points: Vec<[Point; 1]> = (0..SERIES).map(|s| [Point::new(t, value(s, t))]).collect();
    let batch: Vec<_> = labels
        .iter()
        .zip(&points)
        .map(|(labels, points)| SeriesWrite { labels, points, ..SeriesWrite::default() })
        .collect();
    assert_eq!(db.write(&batch).unwrap().appended, SERIES);
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for entry in fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()) {
        if entry.is_dir() { out.extend(files(&entry)) } else { out.push(entry) }
    }
    out.retain(|p| p.file_name().unwrap() != "lock");
    out.sort();
    out
}

fn copy(from: &Path, to: &Path) {
    for file in files(from) {
        let target = to.join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(&file, target).unwrap();
    }
}

/// Reads all there is; damage that shows on the way is set aside by the maintenance, and what is left must read whole.
fn survivors(db: &Tsdb, now: i64) -> usize {
    let read = || -> Result<usize, TsdbError> {
        let mut count = 0;
        for series in db.select(&[], i64::MIN, i64::MAX)? {
            let mut points = Vec::new();
            series.chunks.read(&mut points)?;
            let s: usize = series.labels.get("s").unwrap().parse().unwrap();
            assert!(points.is_sorted_by(|a, b| a.t_ms < b.t_ms));
            for p in &points {
                assert_eq!(p.value.to_bits(), value(s, p.t_ms).to_bits(), "a sample that was never written");
            }
            count += points.len();
        }
        Ok(count)
    };
    for _ in 0..20 {
        match read() {
            Ok(count) => return count,
            Err(TsdbError::Damaged { .. }) => assert_eq!(db.maintain(now).unwrap().quarantined.len(), 1),
            Err(e) => panic!("{e}"),
        }
    }
    panic!("the damage does not end");
}

#[test]
fn every_four_kilobytes_of_every_file() {
    let home = tempfile::tempdir().unwrap();
    let (db, _) = Tsdb::open(home.path(), options()).unwrap();
    for round in 0..ROUNDS {
        write(&db, round * 1000);
        if round == 900 {
            db.maintain(round * 1000).unwrap();
        }
    }
    drop(db);
    let kinds: HashMap<String, usize> = files(home.path()).iter().fold(HashMap::new(), |mut all, f| {
        *all.entry(f.extension().unwrap().to_str().unwrap().to_string()).or_default() += 1;
        all
    });
    assert!(kinds["blk"] >= 2 && kinds["ckpt"] == 1 && kinds["seg"] >= 2, "{kinds:?}");
    let all = SERIES * ROUNDS as usize;
    let mut tried = 0;
    for file in files(home.path()) {
        let name = file.strip_prefix(home.path()).unwrap();
        let whole = fs::read(&file).unwrap();
        for (at, flip) in (0..whole.len()).step_by(STRIDE).flat_map(|at| [(at, true), (at, false)]) {
            let dir = tempfile::tempdir().unwrap();
            copy(home.path(), dir.path());
            let mut bytes = whole.clone();
            if flip {
                bytes[at] ^= 0x55;
            } else {
                bytes.truncate(at);
            }
            fs::write(dir.path().join(name), bytes).unwrap();
            let (db, report) = Tsdb::open(dir.path(), options())
                .unwrap_or_else(|e| panic!("{} at {at}, flip {flip}: {e}", name.display()));
            let left = survivors(&db, ROUNDS * 1000);
            let said = !report.quarantined.is_empty()
                || report.damaged_bytes + report.torn_bytes > 0
                || fs::read_dir(dir.path().join("quarantine")).is_ok_and(|d| d.count() > 0);
            assert!(left == all || said || !flip, "{} at {at}: {left} of {all} without a word", name.display());
            if flip && name.extension().unwrap() == "seg" && at > 8 {
                assert!(left >= all - 4 * SERIES, "{} at {at}: only {left} of {all} are left", name.display());
            }
            // It goes on.
            write(&db, ROUNDS * 1000 + 1);
            let before = survivors(&db, ROUNDS * 1000);
            drop(db);
            let (db, report) = Tsdb::open(dir.path(), options()).unwrap();
            assert!(report.quarantined.is_empty(), "{} at {at}: {report:?}", name.display());
            assert_eq!(survivors(&db, ROUNDS * 1000), before, "{} at {at}, flip {flip}", name.display());
            tried += 1;
        }
    }
    assert!(tried > 100, "only {tried} places");
}

#[test]
fn a_directory_of_another_format_is_an_error_that_says_so() {
    for (path, bytes) in [
        ("wal/00000001.seg", &b"TFWAL\x01\0\0\x05\0\0\0"[..]),
        (
            "blocks/0000000000000000-0000000007200000.blk",
            &[b"TFBLK\x01\0\0".as_slice(), &[0; 200], b"TFBLK\x01\0\0"].concat(),
        ),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        let error = Tsdb::open(dir.path(), options()).err().unwrap();
        assert!(matches!(error, TsdbError::Format { .. }), "{error}");
        assert!(error.to_string().contains("another format"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), bytes, "the file is left as it was");
    }
}

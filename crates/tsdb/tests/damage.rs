//! Bytes that rot and files that end early: one byte flipped, or the file cut, at every 4 kB of every file: blocks of
//! samples and of rows, checkpoint and log, with floats, native histograms, exemplars, late samples and deletions in them.
//! The store opens, never panics, says what it found, gives back no sample that was not written, answers all that is not
//! damaged, and goes on taking samples.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::{
    collections::{BTreeSet, HashMap},
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use tenfold_tsdb::{Exemplar, HistogramPoint, OpenReport, Options, Point, SeriesWrite, Tsdb, TsdbError};
use tenfold_types::{Histogram, Labels, Matcher, histogram::Buckets};

/// The first are floats, the others native histograms; the first of these has exemplars.
const SERIES: usize = 14;
const FLOATS: usize = 11;
const ROUNDS: i64 = 700;
const STEP_MS: i64 = 300_000;
const HOUR_MS: i64 = 3_600_000;
const BLOCK_MS: i64 = 8 * HOUR_MS;
const RESOLUTIONS_MS: [i64; 2] = [300_000, HOUR_MS];
const STRIDE: usize = 4096;
/// What comes late is so much off the regular instants.
const LATE_MS: i64 = 1000;

fn options() -> Options {
    Options {
        block_ms: BLOCK_MS,
        block_ms_max: BLOCK_MS,
        retention_ms: 1000 * 24 * HOUR_MS,
        coarse_retention_ms: Some([1000 * 24 * HOUR_MS; 2]),
        coarse_after_ms: HOUR_MS,
        segment_bytes_max: 60_000,
        replay_bytes_max: 1 << 30,
        ..Options::default()
    }
}

fn value(series: usize, t: i64) -> f64 {
    ((t as f64) * 0.000_01 + series as f64).sin() * 1000.0
}

fn histogram(series: usize, t: i64) -> HistogramPoint {
    let n = (t / STEP_MS * 3 + series as i64) as f64;
    let counts = vec![n, 2.0 * n, (n * 0.1).floor(), 5.0];
    let count = counts.iter().sum();
    let h = Histogram {
        schema: 3,
        count,
        sum: value(series, t),
        positive: Buckets::single(-2, counts),
        ..Histogram::default()
    };
    HistogramPoint { t_ms: t, histogram: Arc::new(h) }
}

fn exemplar(t_ms: i64) -> Exemplar {
    Exemplar { labels: Labels::from_pairs([("trace_id", format!("{t_ms:032}"))]), value: 2.0, t_ms }
}

/// One sample of each of some series; every tenth round has an exemplar.
fn write(db: &Tsdb, series: impl Iterator<Item = usize>, t: i64) {
    let series: Vec<usize> = series.collect();
    let names: Vec<String> = series.iter().map(ToString::to_string).collect();
    let labels: Vec<[(&str, &str); 2]> = names.iter().map(|n| [("__name__", "m"), ("s", n.as_str())]).collect();
    let points: Vec<[Point; 1]> = series.iter().map(|s| [Point::new(t, value(*s, t))]).collect();
    let histograms: Vec<[HistogramPoint; 1]> = series.iter().map(|s| [histogram(*s, t)]).collect();
    let exemplars = [exemplar(t)];
    let batch: Vec<_> = (0..series.len())
        .map(|i| SeriesWrite {
            labels: &labels[i],
            points: if series[i] < FLOATS { &points[i] } else { &[] },
            histograms: if series[i] < FLOATS { &[] } else { &histograms[i] },
            created_ms: None,
            exemplars: if series[i] == FLOATS && t % (10 * STEP_MS) == 0 { &exemplars } else { &[] },
        })
        .collect();
    let report = db.write(&batch).unwrap();
    assert_eq!(report.rejected_count(), 0, "{report:?}");
}

fn delete(db: &Tsdb, series: usize, from: i64, to: i64) {
    assert_eq!(db.delete(&[Matcher::equal("s", series.to_string())], from, to).unwrap(), 1);
}

/// A store with something of everything in each kind of file.
fn fill(dir: &Path) {
    let (db, _) = Tsdb::open(dir, options()).unwrap();
    for round in 1..=ROUNDS {
        let t = round * STEP_MS;
        write(&db, 0..SERIES, t);
        if round % 20 == 0 {
            write(&db, [1, SERIES - 1].into_iter(), t - STEP_MS - LATE_MS);
        }
        match round {
            300 => {
                db.maintain(t).unwrap();
                // Over several blocks, of which a maintenance writes one anew: the mark is in the checkpoint.
                delete(&db, 3, 2 * HOUR_MS, 20 * HOUR_MS);
                delete(&db, FLOATS + 1, 2 * HOUR_MS, 20 * HOUR_MS);
            }
            600 => drop(db.maintain(t).unwrap()),
            // In blocks and in memory: this mark is in the log.
            650 => delete(&db, 5, t - 20 * HOUR_MS, t - HOUR_MS),
            _ => {}
        }
    }
    let stats = db.stats();
    assert!(stats.tombstones >= 3 && stats.coarse_bytes > 0 && stats.exemplars > 0, "{stats:?}");
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

/// What a store answers: samples by series and instant, instants of exemplars, rows by resolution, series and instant.
#[derive(Debug, Default, PartialEq)]
struct Answers {
    samples: BTreeSet<(usize, i64)>,
    exemplars: BTreeSet<i64>,
    rows: BTreeSet<(i64, usize, i64)>,
}

fn series_of(labels: &Labels) -> usize {
    labels.get("s").unwrap().parse().unwrap()
}

fn read(db: &Tsdb) -> Result<Answers, TsdbError> {
    let mut all = Answers::default();
    for series in db.select(&[], i64::MIN, i64::MAX)? {
        let (mut points, mut histograms, s) = (Vec::new(), Vec::new(), series_of(&series.labels));
        series.chunks.read_all(&mut points, &mut histograms)?;
        assert!(points.is_sorted_by(|a, b| a.t_ms < b.t_ms) && histograms.is_sorted_by(|a, b| a.t_ms < b.t_ms));
        assert!(if s < FLOATS { histograms.is_empty() } else { points.is_empty() });
        for p in &points {
            assert_eq!(p.value.to_bits(), value(s, p.t_ms).to_bits(), "a sample that was never written");
        }
        for h in &histograms {
            assert!(h.histogram.same_as(&histogram(s, h.t_ms).histogram), "a histogram that was never written");
        }
        all.samples.extend(points.iter().map(|p| p.t_ms).chain(histograms.iter().map(|h| h.t_ms)).map(|t| (s, t)));
    }
    for (labels, list) in db.exemplars(&[], i64::MIN, i64::MAX)? {
        assert_eq!(series_of(&labels), FLOATS);
        assert!(list.iter().all(|e| *e == exemplar(e.t_ms)), "an exemplar that was never written");
        all.exemplars.extend(list.iter().map(|e| e.t_ms));
    }
    for resolution in RESOLUTIONS_MS {
        let Some(found) = db.select_coarse(&[], i64::MIN, i64::MAX, resolution)? else { continue };
        for series in &found.series {
            let (mut rows, s) = (Vec::new(), series_of(&series.labels));
            series.read(&mut rows)?;
            for row in rows {
                // The last of a row is what the sample at its end says.
                assert!(row.before_ms != 0.0 || row.last.to_bits() == value(s, row.t_ms).to_bits(), "{s}: {row:?}");
                all.rows.insert((found.resolution_ms, s, row.t_ms));
            }
        }
    }
    Ok(all)
}

/// Reads all there is; damage that shows on the way is set aside by the maintenance, and what is left must read whole.
fn survivors(db: &Tsdb, now: i64) -> Answers {
    for _ in 0..20 {
        match read(db) {
            Ok(answers) => return answers,
            Err(TsdbError::Damaged { .. }) => assert_eq!(db.maintain(now).unwrap().quarantined.len(), 1),
            Err(e) => panic!("{e}"),
        }
    }
    panic!("the damage does not end");
}

/// One damage: which file, where, and whether a byte was flipped or the file cut there.
struct Damage<'a> {
    name: &'a Path,
    at: usize,
    flip: bool,
}

impl Damage<'_> {
    fn is(&self, extension: &str) -> bool {
        self.name.extension().unwrap() == extension
    }

    /// Which samples may be missing: those of the damaged block, or of the damaged part of the log. No others.
    fn check_missing(&self, missing: &[(usize, i64)], closed: i64) {
        let place = format!("{} at {}, flip {}", self.name.display(), self.at, self.flip);
        if self.is("blk") {
            if !self.name.starts_with("blocks") {
                assert!(missing.is_empty(), "{place}: rows are damaged and {missing:?} are missing");
            }
            let mut span =
                self.name.file_stem().unwrap().to_str().unwrap().split('-').map(|n| n.parse::<i64>().unwrap());
            let (from, to) = (span.next().unwrap(), span.next().unwrap());
            assert!(missing.iter().all(|(_, t)| (from..to).contains(t)), "{place}: not of the block: {missing:?}");
        } else {
            assert!(missing.iter().all(|(_, t)| *t >= closed), "{place}: in whole blocks: {missing:?}");
        }
        if self.is("seg") && self.flip {
            assert!(missing.len() <= 4 * SERIES, "{place}: {} are missing", missing.len());
        }
    }

    /// Opens a damaged copy, reads, goes on and reads again.
    fn check(&self, home: &Path, whole: &[u8], wanted: &Answers, closed: i64) {
        let place = format!("{} at {}, flip {}", self.name.display(), self.at, self.flip);
        let dir = tempfile::tempdir().unwrap();
        copy(home, dir.path());
        let mut bytes = whole.to_vec();
        if self.flip {
            bytes[self.at] ^= 0x55;
        } else {
            bytes.truncate(self.at);
        }
        fs::write(dir.path().join(self.name), bytes).unwrap();
        let (db, report) = Tsdb::open(dir.path(), options()).unwrap_or_else(|e| panic!("{place}: {e}"));
        let now = ROUNDS * STEP_MS;
        let found = survivors(&db, now);
        let missing: Vec<_> = wanted.samples.difference(&found.samples).copied().collect();
        self.check_missing(&missing, closed);
        // The end of a log may lie between two of its records: then nobody can tell that there were more.
        let at_an_end = self.is("seg") && !self.flip;
        let same = wanted.samples == found.samples
            && wanted.exemplars == found.exemplars
            && wanted.rows.is_subset(&found.rows);
        assert!(same || at_an_end || said(&report, dir.path()), "{place}: not the same, without a word");
        if self.is("blk") && !self.name.starts_with("blocks") {
            // Rows are made anew of the samples.
            db.maintain(now).unwrap();
            let found = survivors(&db, now);
            assert!(wanted.rows.is_subset(&found.rows), "{place}: {} rows of {}", found.rows.len(), wanted.rows.len());
        }
        // It goes on.
        write(&db, 0..SERIES, now + 1);
        let before = survivors(&db, now);
        drop(db);
        let (db, report) = Tsdb::open(dir.path(), options()).unwrap();
        assert!(report.quarantined.is_empty(), "{place}: {report:?}");
        assert!(survivors(&db, now) == before, "{place}: another answer after the restart");
    }
}

fn said(report: &OpenReport, dir: &Path) -> bool {
    !report.quarantined.is_empty()
        || report.damaged_bytes + report.torn_bytes > 0
        || fs::read_dir(dir.join("quarantine")).is_ok_and(|d| d.count() > 0)
}

#[test]
fn every_four_kilobytes_of_every_file() {
    let home = tempfile::tempdir().unwrap();
    fill(home.path());
    let kinds: HashMap<String, usize> = files(home.path()).iter().fold(HashMap::new(), |mut all, f| {
        let folder = f.parent().unwrap().file_name().unwrap().to_str().unwrap();
        *all.entry(format!("{folder} {}", f.extension().unwrap().to_str().unwrap())).or_default() += 1;
        all
    });
    let least = [("blocks blk", 4), ("blocks-5m blk", 1), ("blocks-1h blk", 1), ("wal ckpt", 1), ("wal seg", 1)];
    assert!(least.iter().all(|(kind, n)| kinds.get(*kind).is_some_and(|k| k >= n)), "{kinds:?}");
    let (wanted, closed) = {
        let dir = tempfile::tempdir().unwrap();
        copy(home.path(), dir.path());
        let (db, report) = Tsdb::open(dir.path(), options()).unwrap();
        assert!(!said(&report, dir.path()), "{report:?}");
        let ends = files(&home.path().join("blocks"));
        let ends =
            ends.iter().map(|p| p.file_stem().unwrap().to_str().unwrap().split('-').nth(1).unwrap().parse().unwrap());
        (read(&db).unwrap(), ends.max().unwrap())
    };
    assert!(
        wanted.samples.len() > 9_000 && wanted.exemplars.len() == ROUNDS as usize / 10 && wanted.rows.len() > 3_000
    );
    let mut tried = 0;
    for file in files(home.path()) {
        let name = file.strip_prefix(home.path()).unwrap();
        let whole = fs::read(&file).unwrap();
        for (at, flip) in (0..whole.len()).step_by(STRIDE).flat_map(|at| [(at, true), (at, false)]) {
            Damage { name, at, flip }.check(home.path(), &whole, &wanted, closed);
            tried += 1;
        }
    }
    assert!(tried > 100, "only {tried} places");
}

/// What stands beside a checkpoint takes no more along than what came since the checkpoint, and that is said.
#[test]
fn an_addition_that_rots_takes_nothing_of_its_checkpoint_along() {
    let home = tempfile::tempdir().unwrap();
    let (checkpoint, addition, last) = (60, 75, 80);
    let wanted = {
        let (db, _) = Tsdb::open(home.path(), Options { replay_samples_max: 10, ..options() }).unwrap();
        for round in 1..=last {
            write(&db, 0..SERIES, round * STEP_MS);
            if round == checkpoint {
                db.checkpoint().unwrap();
            } else if round == addition {
                write(&db, [1, SERIES - 1].into_iter(), round * STEP_MS - STEP_MS - LATE_MS);
                assert!(db.shorten_log().unwrap());
            }
        }
        read(&db).unwrap()
    };
    let file = files(&home.path().join("wal")).into_iter().find(|f| f.extension().unwrap() == "add").unwrap();
    let name = file.strip_prefix(home.path()).unwrap();
    let whole = fs::read(&file).unwrap();
    for (at, flip) in (0..whole.len()).step_by(97).flat_map(|at| [(at, true), (at, false)]) {
        let place = format!("{at}, flip {flip}");
        let dir = tempfile::tempdir().unwrap();
        copy(home.path(), dir.path());
        let mut bytes = whole.clone();
        if flip {
            bytes[at] ^= 0x55;
        } else {
            bytes.truncate(at);
        }
        fs::write(dir.path().join(name), bytes).unwrap();
        let (db, report) = Tsdb::open(dir.path(), options()).unwrap_or_else(|e| panic!("{place}: {e}"));
        assert_eq!(report.quarantined.len(), 1, "{place}: {report:?}");
        let found = read(&db).unwrap();
        let mut missing = wanted.samples.difference(&found.samples);
        let between = checkpoint * STEP_MS + 1..=addition * STEP_MS;
        assert!(missing.all(|(_, t)| between.contains(t)), "{place}: not of the addition");
        assert!(found.samples.is_subset(&wanted.samples), "{place}");
        write(&db, 0..SERIES, (last + 1) * STEP_MS);
        let before = read(&db).unwrap();
        drop(db);
        let (db, report) = Tsdb::open(dir.path(), options()).unwrap();
        assert!(report.quarantined.is_empty(), "{place}: {report:?}");
        assert!(read(&db).unwrap() == before, "{place}: another answer after the restart");
    }
}

/// A block that was cut right before a crash, and whose labels rot: what it had stands in the checkpoint and the log still.
#[test]
fn a_block_that_cannot_be_used_takes_nothing_from_checkpoint_and_log() {
    let (live, crashed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (db, _) = Tsdb::open(live.path(), options()).unwrap();
    let last = 150;
    for round in 1..=last {
        write(&db, 0..SERIES, round * STEP_MS);
        if round == 60 {
            db.checkpoint().unwrap();
        }
    }
    let wanted = read(&db).unwrap();
    copy(&live.path().join("wal"), &crashed.path().join("wal"));
    assert_eq!(db.maintain(last * STEP_MS).unwrap().blocks_written, 1);
    copy(&live.path().join("blocks"), &crashed.path().join("blocks"));
    let block = files(&crashed.path().join("blocks")).remove(0);
    let mut bytes = fs::read(&block).unwrap();
    // The second section that the footer tells of is that of the labels; a section takes sixteen bytes.
    let told = bytes.len() - (4 * 16 + 5 * 8 + 4 + 8) + 16;
    let labels = u64::from_le_bytes(bytes[told..told + 8].try_into().unwrap()) as usize;
    bytes[labels + 3] ^= 0x55;
    fs::write(&block, bytes).unwrap();

    let (db, report) = Tsdb::open(crashed.path(), options()).unwrap();
    assert_eq!((report.quarantined.len(), report.blocks), (1, 0), "{report:?}");
    assert!(read(&db).unwrap() == wanted);
    assert_eq!(db.maintain(last * STEP_MS).unwrap().blocks_written, 1);
    assert!(read(&db).unwrap() == wanted);
    drop(db);
    let (db, report) = Tsdb::open(crashed.path(), options()).unwrap();
    assert!(report.quarantined.is_empty() && read(&db).unwrap() == wanted, "{report:?}");
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

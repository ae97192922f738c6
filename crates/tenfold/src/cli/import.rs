//! `metrics import`: samples out of Prometheus' blocks or OpenMetrics text, sent to the server in parts.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tenfold_protocols::batch::Exemplar;
use tenfold_protocols::prom_block::{BlockError, Index, Tombstones, check_segment, read_chunk};
use tenfold_protocols::prom_text::{Format, LINE_BYTES_MAX, Lines, Metadata};
use tenfold_protocols::remote_write::{Outgoing, compress, put_metadata, put_series};
use tenfold_protocols::wire_out::Writer;
use tenfold_types::{Exemplar as OwnedExemplar, HistogramPoint, Labels, Point};

use super::client::Client;
use super::out::{Exit, Failure, Out, list, number, talk, text};

/// Samples of one part, and the bytes at which it is sent in any case.
const PART_SAMPLES: usize = 400_000;
const PART_BYTES: usize = 12 << 20;
/// Samples of a text that are held to be sorted by time: the server makes a block of every two hours of a part.
const HELD_SAMPLES: usize = 5_000_000;
const HELD_WINDOW_MS: i64 = 2 * 3_600_000;

/// What was sent so far.
struct Sender<'c> {
    client: &'c Client,
    from: String,
    part: u32,
    body: Writer,
    samples: usize,
    total: Total,
}

#[derive(Default)]
struct Total {
    samples: i64,
    series: i64,
    refused: BTreeMap<String, (i64, String)>,
}

/// What is imported of one series.
#[derive(Default)]
struct Samples {
    points: Vec<Point>,
    histograms: Vec<HistogramPoint>,
    exemplars: Vec<OwnedExemplar>,
}

fn borrowed(e: &OwnedExemplar) -> Exemplar<'_> {
    Exemplar { labels: e.labels.iter().collect(), value: e.value, t_ms: Some(e.t_ms) }
}

impl Sender<'_> {
    async fn series(&mut self, labels: &Labels, samples: &Samples) -> Result<(), Failure> {
        let pairs: Vec<(&str, &str)> = labels.iter().collect();
        let (mut points, mut histograms) = (&samples.points[..], &samples.histograms[..]);
        let mut exemplars = &samples.exemplars[..];
        while !points.is_empty() || !histograms.is_empty() || !exemplars.is_empty() {
            let room = PART_SAMPLES.saturating_sub(self.samples).max(1);
            let (some, rest) = points.split_at(points.len().min(room));
            // A histogram is many numbers.
            let (whole, left) = histograms.split_at(histograms.len().min(room.div_ceil(20)));
            let (told, untold) = exemplars.split_at(exemplars.len().min(room));
            (points, histograms, exemplars) = (rest, left, untold);
            let told: Vec<Exemplar<'_>> = told.iter().map(borrowed).collect();
            let series =
                Outgoing { labels: &pairs, points: some, histograms: whole, exemplars: &told, ..Outgoing::default() };
            put_series(&mut self.body, &series);
            self.samples += some.len() + 20 * whole.len() + told.len();
            if self.samples >= PART_SAMPLES || self.body.len() >= PART_BYTES {
                self.send().await?;
            }
        }
        Ok(())
    }

    /// What is known of families goes with the next samples.
    async fn metadata(&mut self, families: BTreeMap<String, Metadata>) -> Result<(), Failure> {
        for (family, about) in &families {
            put_metadata(&mut self.body, family, about);
            if self.body.len() >= PART_BYTES {
                self.send().await?;
            }
        }
        Ok(())
    }

    async fn send(&mut self) -> Result<(), Failure> {
        let body = std::mem::take(&mut self.body).into_bytes();
        self.samples = 0;
        if body.is_empty() {
            return Ok(());
        }
        self.part += 1;
        let body = compress(&body).map_err(|e| Failure::failed(format!("a part cannot be compressed: {e}")))?;
        let part = self.part.to_string();
        let query = [("from", self.from.as_str()), ("part", part.as_str())];
        let done = self.client.post_bytes("/api/metrics/import", &query, "application/x-protobuf", body).await?;
        self.total.samples += number(&done, "samples");
        self.total.series += number(&done, "new_series");
        for refused in list(&done, "refused") {
            let row = self.total.refused.entry(text(refused, "reason").to_owned()).or_default();
            row.0 += number(refused, "count");
            if row.1.is_empty() {
                text(refused, "example").clone_into(&mut row.1);
            }
        }
        talk(&format!("{} samples", self.total.samples));
        Ok(())
    }
}

fn unreadable(path: &Path) -> impl Fn(std::io::Error) -> Failure + use<'_> {
    move |e| Failure::misuse(format!("{} cannot be read: {e}", path.display()))
}

fn damaged(path: &Path) -> impl Fn(BlockError) -> Failure + use<'_> {
    move |e| Failure::failed(format!("{}: {e}", path.display()))
}

/// The blocks in a directory, or it itself when it is one, the oldest first.
fn blocks(dir: &Path) -> Result<Vec<PathBuf>, Failure> {
    if dir.join("index").is_file() {
        return Ok(vec![dir.to_owned()]);
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(unreadable(dir))? {
        let path = entry.map_err(unreadable(dir))?.path();
        // What Prometheus was writing or deleting when it ended is no block yet, or no more, and may lack a part.
        let is_left_over = path.extension().is_some_and(|end| end.to_string_lossy().starts_with("tmp"));
        if !is_left_over && path.join("index").is_file() && path.join("chunks").is_dir() {
            let meta = std::fs::read(path.join("meta.json")).ok();
            let meta: Option<Value> = meta.and_then(|bytes| serde_json::from_slice(&bytes).ok());
            let min = meta.as_ref().and_then(|m| m["minTime"].as_i64()).unwrap_or(i64::MAX);
            found.push((min, path));
        }
    }
    found.sort();
    if found.is_empty() {
        return Err(Failure::misuse(format!("{} holds no block of Prometheus", dir.display()))
            .advice("name its data directory, a block in it, or a file of OpenMetrics text"));
    }
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// One segment of chunks at a time: series come in the order in which their chunks were written.
#[derive(Default)]
struct Segments {
    dir: PathBuf,
    at: usize,
    bytes: Vec<u8>,
}

impl Segments {
    fn get(&mut self, number: usize) -> Result<&[u8], Failure> {
        if self.at != number + 1 {
            let path = self.dir.join(format!("{:06}", number + 1));
            self.bytes = std::fs::read(&path).map_err(unreadable(&path))?;
            check_segment(&self.bytes).map_err(damaged(&path))?;
            self.at = number + 1;
        }
        Ok(&self.bytes)
    }
}

/// What was deleted in Prometheus stays so: its samples are in the block until it is written anew.
fn tombstones(dir: &Path) -> Result<Tombstones, Failure> {
    let path = dir.join("tombstones");
    match std::fs::read(&path) {
        Ok(bytes) => Tombstones::read(&bytes).map_err(damaged(&path)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Tombstones::default()),
        Err(e) => Err(unreadable(&path)(e)),
    }
}

/// Whether a data directory has samples that are in no block yet.
fn has_log(dir: &Path) -> bool {
    let segments = std::fs::read_dir(dir.join("wal")).into_iter().flatten().flatten();
    segments.filter_map(|entry| entry.metadata().ok()).any(|about| about.is_file() && about.len() > 0)
}

async fn block(sender: &mut Sender<'_>, dir: &Path) -> Result<(), Failure> {
    let path = dir.join("index");
    let bytes = std::fs::read(&path).map_err(unreadable(&path))?;
    let mut index = Index::open(&bytes).map_err(damaged(&path))?;
    let mut segments = Segments { dir: dir.join("chunks"), ..Segments::default() };
    let deleted = tombstones(dir)?;
    let mut samples = Samples::default();
    while let Some(series) = index.next_series().map_err(damaged(&path))? {
        samples.points.clear();
        samples.histograms.clear();
        for chunk in &series.chunks {
            let segment = segments.get(chunk.segment)?;
            read_chunk(segment, chunk.offset, &mut samples.points, &mut samples.histograms)
                .map_err(|e| Failure::failed(format!("{}: {}: {e}", dir.display(), series.labels)))?;
        }
        deleted.drop_from(series.reference, &mut samples.points, &mut samples.histograms);
        sender.series(&series.labels, &samples).await?;
    }
    // A block is of one time: what follows is of another.
    sender.send().await
}

type Held = BTreeMap<i64, BTreeMap<Labels, Samples>>;

async fn openmetrics(sender: &mut Sender<'_>, path: &Path) -> Result<(), Failure> {
    let file = std::fs::File::open(path).map_err(unreadable(path))?;
    let mut file = std::io::BufReader::new(file);
    let mut lines = Lines::new(Format::OpenMetrics);
    let (mut line, mut number) = (String::new(), 0);
    let (mut held, mut count): (Held, usize) = (Held::new(), 0);
    let mut ended = false;
    loop {
        line.clear();
        // One byte more, so that a line that is too long is seen.
        let read = std::io::Read::take(&mut file, LINE_BYTES_MAX as u64 + 2).read_line(&mut line);
        if read.map_err(unreadable(path))? == 0 {
            break;
        }
        number += 1;
        let wrong = |message: &str| Failure::misuse(format!("{}: line {number}: {message}", path.display()));
        let one = line.trim_end_matches(['\n', '\r']);
        if one.trim_matches([' ', '\t']) == "# EOF" {
            ended = true;
            break;
        }
        let Some(read) = lines.read(one).map_err(|e| wrong(&e))? else { continue };
        let t_ms = read.t_ms.ok_or_else(|| wrong("a sample without a timestamp cannot be imported"))?;
        count += 1 + read.exemplars.len();
        let window = held.entry(t_ms.div_euclid(HELD_WINDOW_MS)).or_default();
        let samples = window.entry(read.labels).or_default();
        samples.points.push(Point::new(t_ms, read.value));
        samples.exemplars.extend(read.exemplars.into_iter().map(|e| OwnedExemplar {
            labels: e.labels,
            value: e.value,
            t_ms: e.t_ms.unwrap_or(t_ms),
        }));
        if count >= HELD_SAMPLES {
            sender.metadata(lines.take_metadata()).await?;
            flush(sender, std::mem::take(&mut held)).await?;
            count = 0;
        }
    }
    sender.metadata(lines.take_metadata()).await?;
    flush(sender, held).await?;
    if ended {
        Ok(())
    } else {
        Err(Failure::misuse(format!("{} ends without `# EOF`: it may not be whole", path.display()))
            .advice("what was read is imported; importing it once more changes nothing"))
    }
}

/// One block's time after the other, each series in order.
async fn flush(sender: &mut Sender<'_>, held: Held) -> Result<(), Failure> {
    for (_, window) in held {
        for (labels, mut samples) in window {
            samples.points.sort_by_key(|p| p.t_ms);
            samples.exemplars.sort_by_key(|e| e.t_ms);
            sender.series(&labels, &samples).await?;
        }
        sender.send().await?;
    }
    // What is known of families that have no sample.
    sender.send().await
}

/// What is to be done about samples that were refused for a reason.
fn advice(reason: &str, example: &str) -> Option<&'static str> {
    Some(match reason {
        "too_old" if example.contains("retention") => {
            "what is older than metrics.retention_days is not kept: raise it, start the server anew and import once more"
        }
        "too_far_ahead" => "set the clocks right: these samples lie more than ten minutes ahead of the server's",
        "too_many_series" => "import in parts, or raise metrics.series_max: as many series as it allows are active",
        "too_many_known_series" => {
            "delete series that nobody needs, or raise metrics.series_max: ten times as many may be known"
        }
        _ => return None,
    })
}

pub(super) async fn run(paths: &[PathBuf], client: &Client, out: Out) -> Result<Exit, Failure> {
    let mut all = Total::default();
    for path in paths {
        let from = path.display().to_string();
        let mut sender =
            Sender { client, from, part: 0, body: Writer::default(), samples: 0, total: std::mem::take(&mut all) };
        if path.is_dir() {
            for dir in blocks(path)? {
                block(&mut sender, &dir).await?;
            }
            if has_log(path) {
                talk(&format!(
                    "{} is not read: the newest hours are missing, which are in no block yet; take a snapshot \
                     (POST /api/v1/admin/tsdb/snapshot of Prometheus) and import that as well",
                    path.join("wal").display()
                ));
            }
        } else {
            openmetrics(&mut sender, path).await?;
        }
        all = sender.total;
    }
    let refused: Vec<_> = all
        .refused
        .iter()
        .map(|(reason, (count, example))| {
            let advice = advice(reason, example);
            serde_json::json!({"reason": reason, "count": count, "example": example, "advice": advice})
        })
        .collect();
    let answer = serde_json::json!({"samples": all.samples, "new_series": all.series, "refused": refused});
    out.answer(&answer, |_| {
        let mut lines = vec![format!("{} samples imported, {} new series", all.samples, all.series)];
        for (reason, (count, example)) in &all.refused {
            lines.push(format!("{count} refused ({reason}), the first: {example}"));
            lines.extend(advice(reason, example).map(|advice| format!("  {advice}")));
        }
        lines
    });
    Ok(if all.refused.is_empty() { Exit::Done } else { Exit::Refused })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_being_written_or_deleted_is_no_block() {
        let dir = tempfile::tempdir().expect("a folder");
        let put = |name: &str, min_ms: i64| {
            let block = dir.path().join(name);
            std::fs::create_dir_all(block.join("chunks")).expect("it is made");
            std::fs::write(block.join("index"), "").expect("it is written");
            std::fs::write(block.join("meta.json"), format!("{{\"minTime\":{min_ms}}}")).expect("it is written");
            block
        };
        let (later, first) = (put("01JD0000000000000000000000", 7), put("01JD0000000000000000000001", 3));
        for left_over in ["01JD0000000000000000000002.tmp-for-creation", "01JC.tmp-for-deletion", "01JB.tmp"] {
            put(left_over, 5);
        }
        assert_eq!(blocks(dir.path()).ok(), Some(vec![first, later]));
    }
}

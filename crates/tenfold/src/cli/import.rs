//! `metrics import`: samples out of Prometheus' blocks or OpenMetrics text, sent to the server in parts.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tenfold_protocols::prom_block::{BlockError, Index, check_segment, read_chunk};
use tenfold_protocols::prom_text::{Format, LINE_BYTES_MAX, sample};
use tenfold_protocols::remote_write::{Outgoing, compress, put_series};
use tenfold_protocols::wire_out::Writer;
use tenfold_types::{HistogramPoint, Labels, Point};

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

impl Sender<'_> {
    async fn series(
        &mut self,
        labels: &Labels,
        points: &[Point],
        histograms: &[HistogramPoint],
    ) -> Result<(), Failure> {
        let pairs: Vec<(&str, &str)> = labels.iter().collect();
        let (mut points, mut histograms) = (points, histograms);
        while !points.is_empty() || !histograms.is_empty() {
            let room = PART_SAMPLES.saturating_sub(self.samples).max(1);
            let (some, rest) = points.split_at(points.len().min(room));
            // A histogram is many numbers.
            let (whole, left) = histograms.split_at(histograms.len().min(room.div_ceil(20)));
            (points, histograms) = (rest, left);
            put_series(
                &mut self.body,
                &Outgoing { labels: &pairs, points: some, histograms: whole, ..Outgoing::default() },
            );
            self.samples += some.len() + 20 * whole.len();
            if self.samples >= PART_SAMPLES || self.body.len() >= PART_BYTES {
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
        if path.join("index").is_file() && path.join("chunks").is_dir() {
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

async fn block(sender: &mut Sender<'_>, dir: &Path) -> Result<(), Failure> {
    let path = dir.join("index");
    let bytes = std::fs::read(&path).map_err(unreadable(&path))?;
    let mut index = Index::open(&bytes).map_err(damaged(&path))?;
    let mut segments = Segments { dir: dir.join("chunks"), ..Segments::default() };
    let (mut floats, mut histograms) = (Vec::new(), Vec::new());
    while let Some(series) = index.next_series().map_err(damaged(&path))? {
        floats.clear();
        histograms.clear();
        for chunk in &series.chunks {
            let segment = segments.get(chunk.segment)?;
            read_chunk(segment, chunk.offset, &mut floats, &mut histograms)
                .map_err(|e| Failure::failed(format!("{}: {}: {e}", dir.display(), series.labels)))?;
        }
        sender.series(&series.labels, &floats, &histograms).await?;
    }
    // A block is of one time: what follows is of another.
    sender.send().await
}

type Held = BTreeMap<i64, BTreeMap<Labels, Vec<Point>>>;

async fn openmetrics(sender: &mut Sender<'_>, path: &Path) -> Result<(), Failure> {
    let file = std::fs::File::open(path).map_err(unreadable(path))?;
    let mut lines = std::io::BufReader::new(file);
    let (mut line, mut number) = (String::new(), 0);
    let (mut held, mut count): (Held, usize) = (Held::new(), 0);
    let mut ended = false;
    loop {
        line.clear();
        // One byte more, so that a line that is too long is seen.
        let read = std::io::Read::take(&mut lines, LINE_BYTES_MAX as u64 + 2).read_line(&mut line);
        if read.map_err(unreadable(path))? == 0 {
            break;
        }
        number += 1;
        let wrong = |message: &str| Failure::misuse(format!("{}: line {number}: {message}", path.display()));
        let one = line.trim_end_matches(['\n', '\r']);
        if one.len() > LINE_BYTES_MAX {
            return Err(wrong(&format!("longer than {LINE_BYTES_MAX} bytes")));
        }
        let one = one.trim_matches([' ', '\t']);
        if one == "# EOF" {
            ended = true;
            break;
        }
        if one.is_empty() || one.starts_with('#') {
            continue;
        }
        let read = sample(one, Format::OpenMetrics).map_err(|e| wrong(&e))?;
        let t_ms = read.t_ms.ok_or_else(|| wrong("a sample without a timestamp cannot be imported"))?;
        let window = held.entry(t_ms.div_euclid(HELD_WINDOW_MS)).or_default();
        window.entry(read.labels).or_default().push(Point::new(t_ms, read.value));
        count += 1;
        if count >= HELD_SAMPLES {
            flush(sender, std::mem::take(&mut held)).await?;
            count = 0;
        }
    }
    flush(sender, held).await?;
    if ended {
        Ok(())
    } else {
        Err(Failure::misuse(format!("{} ends without `# EOF`: it may not be whole", path.display()))
            .advice("what was read is imported; importing it once more changes nothing"))
    }
}

async fn flush(sender: &mut Sender<'_>, held: Held) -> Result<(), Failure> {
    for (_, window) in held {
        for (labels, points) in window {
            sender.series(&labels, &points, &[]).await?;
        }
        sender.send().await?;
    }
    Ok(())
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
        } else {
            openmetrics(&mut sender, path).await?;
        }
        all = sender.total;
    }
    let refused: Vec<_> = all
        .refused
        .iter()
        .map(|(reason, (count, example))| serde_json::json!({"reason": reason, "count": count, "example": example}))
        .collect();
    let answer = serde_json::json!({"samples": all.samples, "new_series": all.series, "refused": refused});
    out.answer(&answer, |_| {
        let mut lines = vec![format!("{} samples imported, {} new series", all.samples, all.series)];
        for (reason, (count, example)) in &all.refused {
            lines.push(format!("{count} refused ({reason}), the first: {example}"));
        }
        lines
    });
    Ok(if all.refused.is_empty() { Exit::Done } else { Exit::Refused })
}

//! What gmond sends becomes series: `ganglia_NAME` with the host as `host` and `instance`.
//!
//! gmond sends a value when it changes by enough, or else after a time that may be an hour. As for gmetad the last one counts
//! until then: it is written again as long as the host's heartbeat is heard, and its series ends with that.

use std::collections::{HashMap, HashSet};

use tenfold_protocols::batch::Batch;
use tenfold_protocols::ganglia::{Message, decode, labels};
use tenfold_types::{ErrorCode, Fault, Labels, Point, STALE_NAN, Timestamp};

use super::State;
use super::push::{PushFault, Source};

/// Metrics that are remembered, and hosts.
const METRICS_MAX: usize = 50_000;
const JOB: &str = "ganglia";
/// The metric by which gmond says every 20 seconds that its host is there.
const HEARTBEAT: &str = "heartbeat";
/// A host of which four of them are missing is gone.
const BEAT_MS_MAX: i64 = 80_000;
/// How often a value that is still so is written.
const AGAIN_MS: i64 = 60_000;
/// How often a metric is to be expected of which nobody said it, in seconds: as gmond's own that never change.
const TMAX_S: u32 = 1_200;
/// One that is silent for so many of these times is gone.
const SILENT_TIMES: i64 = 4;

/// What was heard of hosts and their metrics.
#[derive(Default)]
pub(super) struct Heard {
    /// Series that hold texts, some of which look like numbers (`os_release`).
    texts: HashSet<Labels>,
    /// For how long a value counts, where its host said so.
    lasts_ms: HashMap<Labels, i64>,
    values: HashMap<Labels, Held>,
    /// When each host was last known to be there.
    beats: HashMap<String, Timestamp>,
}

struct Held {
    value: f64,
    heard: Timestamp,
    written: Timestamp,
}

impl Heard {
    fn about(&mut self, labels: Labels, is_text: bool, lasts_ms: i64) {
        if is_text {
            if self.texts.len() < METRICS_MAX {
                self.texts.insert(labels);
            }
        } else if self.lasts_ms.len() < METRICS_MAX || self.lasts_ms.contains_key(&labels) {
            self.lasts_ms.insert(labels, lasts_ms);
        }
    }

    fn beat(&mut self, host: &str, name: &str, now: Timestamp) {
        if name == HEARTBEAT && (self.beats.len() < METRICS_MAX || self.beats.contains_key(host)) {
            self.beats.insert(host.to_owned(), now);
        }
    }

    fn value(&mut self, labels: &Labels, value: f64, now: Timestamp) {
        if self.values.len() < METRICS_MAX || self.values.contains_key(labels) {
            self.values.insert(labels.clone(), Held { value, heard: now, written: now });
        }
    }

    /// Values to be written again, and ends of series.
    fn again(&mut self, now: Timestamp) -> Vec<(Labels, f64)> {
        let Self { lasts_ms: told, values, beats, .. } = self;
        let mut out = Vec::new();
        values.retain(|labels, held| {
            let lasts = told.get(labels).copied().unwrap_or_else(|| lasts_ms(0, 0));
            let is_over = now.since_ms(held.heard) >= lasts;
            // Without a heartbeat nobody says whether the host is there: only what comes is written, as of `gmetric` alone.
            let Some(beat) = labels.get("host").and_then(|host| beats.get(host)) else { return !is_over };
            if is_over || now.since_ms(*beat) >= BEAT_MS_MAX {
                out.push((labels.clone(), STALE_NAN));
                return false;
            }
            if now.since_ms(held.written) >= AGAIN_MS {
                held.written = now;
                out.push((labels.clone(), held.value));
            }
            true
        });
        beats.retain(|_, beat| now.since_ms(*beat) < BEAT_MS_MAX);
        out
    }
}

/// For how long a value counts that is to be expected every `tmax_s` seconds and forgotten after `dmax_s`.
fn lasts_ms(tmax_s: u32, dmax_s: u32) -> i64 {
    let silent_s = i64::from(if tmax_s == 0 { TMAX_S } else { tmax_s }) * SILENT_TIMES;
    let lasts_s = if dmax_s == 0 { silent_s } else { silent_s.min(i64::from(dmax_s)) };
    lasts_s * 1_000
}

impl State {
    /// Takes in datagrams; a value is of now, since gmond says no time. An error means that these were lost.
    pub fn ganglia_packets<'p>(
        &self,
        packets: impl IntoIterator<Item = &'p [u8]>,
        now: Timestamp,
    ) -> Result<(), PushFault> {
        let (mut series, mut families, mut bad) = (Vec::new(), Vec::new(), Vec::new());
        let mut heard = self.ganglia.lock();
        for packet in packets {
            self.own.add("tenfold_ganglia_packets_total", &[], 1.0);
            match decode(packet) {
                Ok(Message::Value { host, name, value }) => {
                    heard.beat(host, name, now);
                    series.push((labels(host, name), value));
                }
                Ok(Message::Text { host, name, text }) => {
                    heard.beat(host, name, now);
                    let labels = labels(host, name);
                    match text.trim().parse() {
                        Ok(value) if !heard.texts.contains(&labels) => series.push((labels, value)),
                        _ => self.own.add("tenfold_ganglia_texts_ignored_total", &[], 1.0),
                    }
                }
                Ok(Message::About { host, name, is_text, tmax_s, dmax_s, metadata }) => {
                    let labels = labels(host, name);
                    if !is_text {
                        families.extend(labels.metric_name().map(|n| (n.to_owned(), metadata)));
                    }
                    heard.about(labels, is_text, lasts_ms(tmax_s, dmax_s));
                }
                Ok(Message::Request) => {}
                Err(error) => bad.push(error.to_string()),
            }
        }
        for (labels, value) in &series {
            heard.value(labels, *value, now);
        }
        drop(heard);
        self.keep_metadata(families);
        self.push_ganglia(&series, &bad, now)
    }

    /// Writes what gmond would say if it were asked, a minute after it was last written; and ends what is gone.
    pub fn ganglia_again(&self, now: Timestamp) -> Result<(), PushFault> {
        let series = self.ganglia.lock().again(now);
        self.push_ganglia(&series, &[], now)
    }

    fn push_ganglia(&self, series: &[(Labels, f64)], bad: &[String], now: Timestamp) -> Result<(), PushFault> {
        if series.is_empty() && bad.is_empty() {
            return Ok(());
        }
        let too_much = |e: tenfold_protocols::batch::TooMuch| PushFault {
            fault: Fault::new(ErrorCode::TooLarge, e.to_string()),
            retry_after_s: None,
        };
        let mut batch = Batch::default();
        batch.refuse("bad_packet", bad.len(), || bad.first().cloned().unwrap_or_default());
        for (labels, value) in series {
            let host = labels.get("host").unwrap_or_default();
            for (name, value) in labels.iter().chain([("instance", host), ("job", JOB)]) {
                batch.label(name, value).map_err(too_much)?;
            }
            batch.point(Point::new(now.millis(), *value)).map_err(too_much)?;
            batch.end().map_err(too_much)?;
        }
        self.push(&Source::new(JOB, "udp"), &batch, now).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Vec<u8> {
        let mut out = (text.len() as u32).to_be_bytes().to_vec();
        out.extend(text.bytes());
        out.resize(out.len().next_multiple_of(4), 0);
        out
    }

    /// A number as gmond sends it.
    fn packet(host: &str, name: &str, value: u32) -> Vec<u8> {
        let number = |n: u32| n.to_be_bytes().to_vec();
        [number(132), text(host), text(name), number(0), text("%u"), number(value)].concat()
    }

    #[test]
    fn what_is_said_seldom_counts_while_its_host_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let settings = crate::Settings { data_dir: dir.path().to_owned(), ..crate::Settings::default() };
        let state = State::open(&settings).unwrap();
        let at = |s: i64| Timestamp(1_795_424_400_000 + s * 1_000);
        let hear = |packets: &[Vec<u8>], s: i64| {
            state.ganglia_packets(packets.iter().map(Vec::as_slice), at(s)).unwrap();
        };
        let hosts = |s: i64| {
            let found = state.query_instant("ganglia_mem_total", at(s)).unwrap();
            let tenfold_promql::Value::Vector(rows) = found else { panic!("a vector is answered") };
            let mut hosts: Vec<_> = rows.iter().filter_map(|row| row.labels.get("host").map(str::to_owned)).collect();
            hosts.sort();
            hosts
        };
        hear(&[packet("h1", HEARTBEAT, 1), packet("h1", "mem_total", 8), packet("cron", "mem_total", 9)], 0);
        assert_eq!(hosts(0), ["cron", "h1"]);
        for s in 1..=1_200 {
            if s % 20 == 0 {
                hear(&[packet("h1", HEARTBEAT, 1)], s);
            }
            state.ganglia_again(at(s)).unwrap();
        }
        assert_eq!(hosts(1_200), ["h1"], "only one of them says that it is there");
        for s in 1_201..=1_290 {
            state.ganglia_again(at(s)).unwrap();
        }
        assert!(hosts(1_290).is_empty(), "its heartbeat is missing");
    }

    #[test]
    fn a_metric_that_is_silent_for_long_ends() {
        for (tmax_s, dmax_s, lasts) in [(10, 0, 40_000), (10, 30, 30_000), (10, 300, 40_000), (0, 0, 4_800_000)] {
            assert_eq!(lasts_ms(tmax_s, dmax_s), lasts, "{tmax_s} {dmax_s}");
        }
        let mut heard = Heard::default();
        let of = labels("h1", "queue");
        heard.about(of.clone(), false, lasts_ms(10, 0));
        heard.beat("h1", HEARTBEAT, Timestamp(0));
        heard.value(&of, 7.0, Timestamp(0));
        assert!(heard.again(Timestamp(39_999)).is_empty());
        let ended = heard.again(Timestamp(40_000));
        assert_eq!(ended.len(), 1);
        assert!(ended[0].0 == of && tenfold_types::is_stale(ended[0].1));
        assert!(heard.again(Timestamp(40_001)).is_empty());
    }
}

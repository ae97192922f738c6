//! What gmond sends becomes series: `ganglia_NAME` with the host as `host` and `instance`.

use std::collections::HashSet;

use tenfold_protocols::batch::Batch;
use tenfold_protocols::ganglia::{Message, decode, labels};
use tenfold_types::{ErrorCode, Fault, Labels, Point, Timestamp};

use super::State;
use super::push::{PushFault, Source};

/// Metrics of texts that are remembered.
const TEXTS_MAX: usize = 50_000;
const JOB: &str = "ganglia";

/// Series that hold texts, some of which look like numbers (`os_release`).
#[derive(Default)]
pub(super) struct Texts(HashSet<Labels>);

impl State {
    /// Takes in datagrams; a value is of now, since gmond says no time. An error means that these were lost.
    pub fn ganglia_packets<'p>(
        &self,
        packets: impl IntoIterator<Item = &'p [u8]>,
        now: Timestamp,
    ) -> Result<(), PushFault> {
        let (mut series, mut families, mut bad) = (Vec::new(), Vec::new(), Vec::new());
        for packet in packets {
            self.own.add("tenfold_ganglia_packets_total", &[], 1.0);
            match decode(packet) {
                Ok(Message::Value { host, name, value }) => series.push((labels(host, name), value)),
                Ok(Message::Text { host, name, text }) => {
                    let labels = labels(host, name);
                    match text.trim().parse() {
                        Ok(value) if !self.ganglia.lock().0.contains(&labels) => series.push((labels, value)),
                        _ => self.own.add("tenfold_ganglia_texts_ignored_total", &[], 1.0),
                    }
                }
                Ok(Message::About { host, name, is_text, metadata }) => {
                    let labels = labels(host, name);
                    let mut texts = self.ganglia.lock();
                    if is_text && texts.0.len() < TEXTS_MAX {
                        texts.0.insert(labels);
                    } else if !is_text {
                        families.extend(labels.metric_name().map(|n| (n.to_owned(), metadata)));
                    }
                }
                Ok(Message::Request) => {}
                Err(error) => bad.push(error.to_string()),
            }
        }
        self.keep_metadata(families);
        self.push_ganglia(&series, &bad, now)
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

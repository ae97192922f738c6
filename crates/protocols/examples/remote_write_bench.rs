//! How many samples of remote write one CPU second decodes: requests as Prometheus makes them, 2,000 series with nine
//! labels and one sample each (the shape of a scrape), and series with sixty samples (the shape of a sender that catches up).
//!
//!   cargo run --release -p tenfold-protocols --example remote_write_bench

use std::hint::black_box;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use prost::encoding::{double, encode_key, encode_varint, int64, string, uint32};
use tenfold_protocols::remote_write::{Version, decode, decompress};

const SERIES: usize = 2_000;
const SECONDS: f64 = 2.0;

fn message(field: u32, body: &[u8], out: &mut Vec<u8>) {
    encode_key(field, prost::encoding::WireType::LengthDelimited, out);
    encode_varint(body.len() as u64, out);
    out.extend_from_slice(body);
}

fn labels(series: usize) -> Vec<(&'static str, String)> {
    vec![
        ("__name__", "node_cpu_seconds_total".into()),
        ("cpu", (series % 64).to_string()),
        ("datacenter", "eu-central".into()),
        ("environment", "production".into()),
        ("instance", format!("host-{:04}.example.org:9100", series / 512)),
        ("job", "node".into()),
        ("mode", ["idle", "iowait", "irq", "nice", "softirq", "steal", "system", "user"][series / 64 % 8].into()),
        ("service", "photos".into()),
        ("shard", (series % 7).to_string()),
    ]
}

fn samples(count: usize, field: u32, out: &mut Vec<u8>) {
    for i in 0..count {
        let mut sample = Vec::new();
        double::encode(1, &(i as f64 * 1.5 + 17.25), &mut sample);
        int64::encode(2, &(1_800_000_000_000 + i as i64 * 15_000), &mut sample);
        message(field, &sample, out);
    }
}

fn version_1(per_series: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for series in 0..SERIES {
        let mut body = Vec::new();
        for (name, value) in labels(series) {
            let mut pair = Vec::new();
            string::encode(1, &name.to_owned(), &mut pair);
            string::encode(2, &value, &mut pair);
            message(1, &pair, &mut body);
        }
        samples(per_series, 2, &mut body);
        message(1, &body, &mut out);
    }
    out
}

fn version_2(per_series: usize) -> Vec<u8> {
    let mut symbols = vec![String::new()];
    let mut known = std::collections::HashMap::new();
    let mut series_bytes = Vec::new();
    for series in 0..SERIES {
        let mut refs = Vec::new();
        for (name, value) in labels(series) {
            for text in [name.to_owned(), value] {
                refs.push(*known.entry(text.clone()).or_insert_with(|| {
                    symbols.push(text);
                    symbols.len() as u32 - 1
                }));
            }
        }
        let mut body = Vec::new();
        uint32::encode_packed(1, &refs, &mut body);
        samples(per_series, 2, &mut body);
        message(5, &body, &mut series_bytes);
    }
    let mut out = Vec::new();
    string::encode_repeated(4, &symbols, &mut out);
    out.extend(series_bytes);
    out
}

/// Seconds of processor this program used.
fn cpu() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("the kernel counts");
    let of = |t: nix::sys::time::TimeVal| Duration::new(t.tv_sec() as u64, t.tv_usec() as u32 * 1_000);
    (of(usage.user_time()) + of(usage.system_time())).as_secs_f64()
}

fn main() {
    for per_series in [1, 60] {
        for (version, body) in [(Version::V1, version_1(per_series)), (Version::V2, version_2(per_series))] {
            let packed = snap::raw::Encoder::new().compress_vec(&body).expect("it is small");
            for with_snappy in [false, true] {
                let (start, mut rounds) = (cpu(), 0);
                while cpu() - start < SECONDS {
                    for _ in 0..10 {
                        let plain = with_snappy.then(|| decompress(&packed).expect("our own"));
                        let read = decode(plain.as_deref().unwrap_or(&body), version).expect("our own");
                        assert_eq!(black_box(read.batch.point_count()), SERIES * per_series);
                    }
                    rounds += 10;
                }
                let seconds = cpu() - start;
                println!(
                    "{version:?}, {per_series} a series, {} bytes{}: {:.2} M samples a CPU second",
                    body.len(),
                    if with_snappy { ", snappy undone" } else { "" },
                    (rounds * SERIES * per_series) as f64 / seconds / 1e6
                );
            }
        }
    }
}

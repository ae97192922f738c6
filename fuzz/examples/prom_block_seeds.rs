//! Writes the seeds of the target `prom_block`, each once read back: a whole index and whole chunks, their insides, and a
//! request of remote read. In `fuzz/`: `cargo run --example prom_block_seeds`.
#[path = "../shared/prom_block.rs"]
mod frames;

use std::{path::Path, sync::Arc};

use frames::{chunk, index, put_uvarint};
use tenfold_protocols::{
    prom_block::{Index, read_chunk},
    remote_read,
    wire::Fields,
    wire_out::Writer,
    xor_chunk,
};
use tenfold_types::{
    Histogram, HistogramPoint, Labels, Point,
    histogram::{Buckets, CUSTOM_SCHEMA},
};

/// The chunks' coding by number: floats, native histograms of whole numbers, and of floats.
const FLOATS: u8 = 1;
const WHOLE: u8 = 2;
const FRACTIONS: u8 = 3;

fn points() -> Vec<Point> {
    let value = |i: i64| if i % 7 == 0 { 1.5 } else { (i as f64).sin() };
    (0..40).map(|i| Point::new(1_700_000_000_000 + i * 15_000 + i % 3, value(i))).collect()
}

fn histogram(schema: i32) -> HistogramPoint {
    let counts = vec![1.5, 3.0, 0.0, 7.25];
    let bounds: Vec<f64> = if schema == CUSTOM_SCHEMA { vec![0.5, 1.0, 2.5, 5.0] } else { Vec::new() };
    let histogram = Histogram {
        schema,
        count: counts.iter().sum(),
        sum: 12.5,
        positive: Buckets::single(0, counts),
        bounds: bounds.into(),
        ..Histogram::default()
    };
    HistogramPoint { t_ms: 1_700_000_000_000, histogram: Arc::new(histogram) }
}

/// The data of the chunk that a stream of remote read has for a native histogram.
fn histogram_chunk(point: HistogramPoint) -> Vec<u8> {
    let frame = remote_read::frame(0, &Labels::from_pairs([("__name__", "h")]), &[], &[point]);
    // A length and a checksum come first.
    let length = frame.iter().position(|b| *b < 0x80).expect("a length") + 1;
    let field = |message: &[u8], wanted: u32| {
        let mut fields = Fields::new(message);
        while let Some((number, value)) = fields.read().expect("our own message") {
            if number == wanted {
                return value.bytes(wanted).expect("bytes").to_vec();
            }
        }
        panic!("there is no field {wanted}");
    };
    field(&field(&field(&frame[length + 4..], 1), 2), 4)
}

/// Two histograms of whole numbers, bit by bit: one bucket, each number of three bits at most.
fn whole_histograms() -> Vec<u8> {
    let mut bits = String::new();
    let mut small = |n: u64| bits.push_str(&if n == 0 { "0".into() } else { format!("10{n:03b}") });
    // Schema, one positive span of one bucket, no negative one; then instant, count and zeros.
    for n in [1, 1, 1, 0, 0, 3, 3, 0] {
        small(n);
    }
    bits.push_str(&format!("{:064b}", 2.5_f64.to_bits()));
    let mut small = |n: u64| bits.push_str(&if n == 0 { "0".into() } else { format!("10{n:03b}") });
    // The bucket; and the second sample: what differs, with the same sum.
    for n in [3, 2, 1, 0, 0, 1] {
        small(n);
    }
    // A zero threshold of 0 comes before all.
    let bits = format!("00000000{bits}");
    let byte = |part: &[u8]| part.iter().enumerate().fold(0, |all, (i, bit)| all | (bit - b'0') << (7 - i));
    [0, 2, 0].into_iter().chain(bits.as_bytes().chunks(8).map(byte)).collect()
}

/// What an index says of one series: its labels by the numbers of their strings, and its chunks.
fn series(labels: &[(u64, u64)], chunks: u64) -> Vec<u8> {
    let mut out = Vec::new();
    put_uvarint(&mut out, labels.len() as u64);
    for (name, value) in labels {
        put_uvarint(&mut out, *name);
        put_uvarint(&mut out, *value);
    }
    put_uvarint(&mut out, chunks);
    for i in 0..chunks {
        // The first instant has a sign, the others follow the one before; so has the difference of the places.
        put_uvarint(&mut out, if i == 0 { 1_700_000_000_000 << 1 } else { 15_000 });
        put_uvarint(&mut out, 600_000);
        put_uvarint(&mut out, if i == 0 { 8 } else { 120 << 1 });
    }
    out
}

fn request() -> Vec<u8> {
    let mut out = Writer::default();
    out.message(1, |query| {
        query.number(1, 1_700_000_000_000);
        query.number(2, 1_700_000_600_000);
        for (kind, name, value) in [(0, "__name__", "m"), (2, "a", "x|y.*")] {
            query.message(3, |matcher| {
                matcher.number(1, kind);
                matcher.text(2, name);
                matcher.text(3, value);
            });
        }
    });
    out.bytes(2, &[1, 0]);
    out.into_bytes()
}

fn main() {
    let strings = ["", "a", "b", "__name__", "m"];
    let (first, second) = (series(&[(3, 4), (1, 2)], 3), series(&[(3, 4)], 1));
    let whole = index(&strings, &[first.clone(), second]);
    let mut read = Index::open(&whole).expect("our own index");
    let mut count = 0;
    while read.next_series().expect("our own series").is_some() {
        count += 1;
    }
    assert_eq!(count, 2);
    let chunks = [
        ("floats", FLOATS, xor_chunk::encode(&points()), 40),
        ("whole", WHOLE, whole_histograms(), 2),
        ("exponential", FRACTIONS, histogram_chunk(histogram(3)), 1),
        ("custom", FRACTIONS, histogram_chunk(histogram(CUSTOM_SCHEMA)), 1),
    ];
    assert_eq!(remote_read::decode(&request()).expect("our own request").queries[0].matchers.len(), 2);
    let mut seeds = vec![
        ("index".to_owned(), 0, whole),
        ("request".to_owned(), 2, request()),
        ("samples".to_owned(), 3, xor_chunk::encode(&points())),
        ("series".to_owned(), 5, first),
    ];
    for (name, encoding, data, samples) in chunks {
        let framed = chunk(encoding, &data);
        let (mut floats, mut histograms) = (Vec::new(), Vec::new());
        read_chunk(&framed, 0, &mut floats, &mut histograms).expect("our own chunk");
        assert_eq!(floats.len() + histograms.len(), samples, "{name}");
        seeds.push((format!("chunk_{name}"), 1, framed));
        seeds.push((format!("data_{name}"), 4, [&[encoding], data.as_slice()].concat()));
    }
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds/prom_block");
    for (name, choice, body) in seeds {
        std::fs::write(dir.join(name), [&[choice], body.as_slice()].concat()).expect("the seed is written");
    }
}

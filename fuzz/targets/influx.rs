//! InfluxDB's line protocol.
#![no_main]
use libfuzzer_sys::fuzz_target;
use tenfold_protocols::influx::{Precision, parse};

fuzz_target!(|bytes: &[u8]| {
    for precision in [Precision::Nanoseconds, Precision::Hours] {
        let Ok(read) = parse(bytes, precision) else { return };
        let Ok(batch) = read.batch("db", 0) else { return };
        for series in batch.series() {
            assert!(series.labels.windows(2).all(|w| w[0].0 < w[1].0), "sorted, each name once");
        }
    }
});

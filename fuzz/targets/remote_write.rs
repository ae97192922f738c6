//! Bodies of any remote-write sender: the first byte chooses the version and whether the rest is compressed.
//! What is read as version 1 is also sent on as version 2.
#![no_main]
use libfuzzer_sys::fuzz_target;
use tenfold_protocols::remote_write::{Version, decode, decompress, to_v2};

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, body)) = bytes.split_first() else { return };
    let version = if choice & 1 == 0 { Version::V1 } else { Version::V2 };
    let plain = if choice & 2 == 0 { Some(body.to_vec()) } else { decompress(body).ok() };
    let Some(plain) = plain else { return };
    if let Ok(read) = decode(&plain, version) {
        for series in read.batch.series() {
            assert!(series.labels.windows(2).all(|w| w[0].0 < w[1].0), "sorted, each name once");
            assert!(series.histograms.iter().all(|h| h.histogram.is_stale() || h.histogram.validate().is_ok()));
        }
    }
    if let Ok(made) = to_v2(&plain, |_| None) {
        let read = decode(&made.body, Version::V2).expect("what is sent is read");
        assert_eq!(read.batch.point_count() + read.batch.histogram_count(), made.samples);
    }
});

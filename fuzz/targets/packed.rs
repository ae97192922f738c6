//! Bodies in gzip and zstd that come with pushed metrics.
#![no_main]
use libfuzzer_sys::fuzz_target;
use tenfold_protocols::inflate::{gunzip, unzstd};

const MAX: usize = 1 << 20;

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, body)) = bytes.split_first() else { return };
    let read = if choice & 1 == 0 { unzstd(body, MAX) } else { gunzip(body, MAX) };
    if let Ok(read) = read {
        assert!(read.len() <= MAX);
    }
});

//! Files of a block of Prometheus, and requests of remote read: the first byte chooses.
#![no_main]
#[path = "../shared/prom_block.rs"]
mod frames;

use libfuzzer_sys::fuzz_target;
use tenfold_protocols::prom_block::{Index, read_chunk};
use tenfold_protocols::{remote_read, xor_chunk};

fn walk(index: &[u8]) {
    let Ok(mut index) = Index::open(index) else { return };
    while let Ok(Some(_)) = index.next_series() {}
}

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, body)) = bytes.split_first() else { return };
    match choice % 6 {
        0 => walk(body),
        1 => {
            let _ = read_chunk(body, 0, &mut Vec::new(), &mut Vec::new());
        }
        2 => {
            let _ = remote_read::decode(body);
        }
        3 => {
            let mut points = Vec::new();
            if xor_chunk::decode(body, &mut points).is_some() {
                let mut again = Vec::new();
                assert!(xor_chunk::decode(&xor_chunk::encode(&points), &mut again).is_some());
                assert!(
                    points.iter().zip(&again).all(|(a, b)| a.t_ms == b.t_ms && a.value.to_bits() == b.value.to_bits())
                );
            }
        }
        // A chunk and a series whose checksums are right.
        4 => {
            let Some((encoding, data)) = body.split_first() else { return };
            let _ = read_chunk(&frames::chunk(*encoding, data), 0, &mut Vec::new(), &mut Vec::new());
        }
        _ => walk(&frames::index(&["", "a", "b", "__name__", "m"], &[body.to_vec()])),
    }
});

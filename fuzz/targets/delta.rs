//! Deltas of files: hostile ones, and those made from two files.
#![no_main]
use libfuzzer_sys::fuzz_target;
use tenfold_deploys::delta::{Op, make, read};

fuzz_target!(|input: (Vec<u8>, Vec<u8>)| {
    let (base, new) = input;
    let _ = read(&new, base.len() as u64, 1 << 20);
    if let Some(delta) = make(&base, &new) {
        let mut out = Vec::new();
        for op in read(&delta, base.len() as u64, new.len() as u64).expect("a delta of ours is read") {
            match op {
                Op::Copy { from, len } => out.extend_from_slice(&base[from as usize..(from + len) as usize]),
                Op::Bytes(bytes) => out.extend_from_slice(bytes),
            }
        }
        assert_eq!(out, new);
    }
});

//! What a host reached by ssh says of its releases and of a tree.
#![no_main]
use libfuzzer_sys::fuzz_target;
use tenfold_protocols::capistrano::{layouts, name_ok, tree};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(found) = layouts(bytes) {
        for layout in found.values() {
            assert!(layout.current.is_empty() || name_ok(&layout.current));
            assert!(layout.releases.iter().all(|r| name_ok(&r.name)));
        }
    }
    let _ = tree(bytes);
});

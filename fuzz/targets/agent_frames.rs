//! Frames between server and agents, both ways.
#![no_main]
use libfuzzer_sys::fuzz_target;
use tenfold_protocols::agent;

fuzz_target!(|frame: &[u8]| {
    let _ = agent::decode_chunk(frame);
    if let Ok(text) = std::str::from_utf8(frame) {
        let _ = agent::decode_from_agent(text);
        let _ = agent::decode_to_agent(text);
    }
});

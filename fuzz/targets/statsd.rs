//! Datagrams of any StatsD client.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|packet: &[u8]| {
    let _ = tenfold_protocols::statsd::parse(packet);
});

//! Prometheus rule files and the templates in them.
#![no_main]
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = tenfold_alerting::parse_rules(text);
    let _ = tenfold_alerting::parse_matchers(text);
    let _ = tenfold_alerting::read_matchers(text);
});

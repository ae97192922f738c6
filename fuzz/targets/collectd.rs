//! Datagrams of collectd, its lists in JSON, and its files of types.
#![no_main]
use libfuzzer_sys::fuzz_target;
use tenfold_protocols::collectd::{Types, decode, from_json};

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, body)) = bytes.split_first() else { return };
    let mut lists = Vec::new();
    match choice % 3 {
        0 => {
            let _ = decode(body, &Types::default(), &mut lists);
        }
        1 => lists = from_json(body).unwrap_or_default().lists,
        _ => {
            if let Ok(text) = std::str::from_utf8(body) {
                let _ = Types::default().add(text);
            }
        }
    }
    for list in &lists {
        assert!(list.values.iter().all(|value| list.labels(value).metric_name().is_some()));
    }
});

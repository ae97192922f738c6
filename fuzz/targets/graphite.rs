//! Graphite's lines and pickles, and paths through templates.
#![no_main]
use libfuzzer_sys::fuzz_target;
use tenfold_protocols::graphite::{POINTS_MAX, Template, Templates, from_pickle, line};

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, rest)) = bytes.split_first() else { return };
    match choice % 3 {
        0 => {
            if let Ok((points, _)) = from_pickle(rest) {
                assert!(points.len() <= POINTS_MAX && points.iter().all(|p| !p.path.is_empty()));
            }
        }
        1 => {
            let _ = line(rest);
        }
        _ => {
            let Ok(text) = std::str::from_utf8(rest) else { return };
            let Some((template, path)) = text.split_once('\n') else { return };
            if Template::parse(template).is_ok()
                && let Ok(templates) = Templates::parse([template])
            {
                templates.apply(path);
            }
        }
    }
});

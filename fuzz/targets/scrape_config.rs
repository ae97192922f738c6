//! Prometheus' configuration files with their relabelling rules, and lists of targets.
#![no_main]
use libfuzzer_sys::fuzz_target;
use tenfold_scrape::{Group, apply, parse_config, parse_groups, resolve};
use tenfold_types::Labels;

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, rest)) = bytes.split_first() else { return };
    match choice % 3 {
        0 => {
            let _ = parse_groups(rest, false);
        }
        1 => {
            let _ = parse_groups(rest, true);
        }
        _ => {
            let Ok(text) = std::str::from_utf8(rest) else { return };
            let Ok(config) = parse_config(text) else { return };
            let labels = Labels::from_pairs([("__name__", "up"), ("job", "web"), ("code", "200")]);
            for job in &config.jobs {
                let _ = apply(&job.metric_relabel, labels.clone());
                for group in job.static_groups.iter().chain([&Group::of(["h:1"], labels.clone())]) {
                    resolve(job, group);
                }
            }
        }
    }
});

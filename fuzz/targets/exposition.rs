//! Metrics pages of any program in every format: text, OpenMetrics, protobuf, Ganglia's XML.
#![no_main]
use libfuzzer_sys::fuzz_target;
use tenfold_protocols::exposition::{Format, Histograms, SAMPLES_MAX, read};
use tenfold_protocols::prom_text::Lines;

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, body)) = bytes.split_first() else { return };
    let format = [Format::Prometheus, Format::OpenMetrics, Format::Protobuf, Format::Ganglia][usize::from(choice % 4)];
    let histograms = Histograms { native: choice & 4 == 0, classic_too: choice & 8 == 0, convert: choice & 16 != 0 };
    if let Ok(page) = read(body, format, histograms, 0) {
        // Each histogram that is converted had a sample of its own at least.
        assert!(page.samples.len() <= if histograms.convert { 2 * SAMPLES_MAX } else { SAMPLES_MAX });
        assert!(page.samples.iter().all(|s| s.labels.metric_name().is_some() || format != Format::Protobuf));
    }
    // The same line by line, as files are imported.
    if let Ok(text) = std::str::from_utf8(body) {
        let mut lines = Lines::new(Format::OpenMetrics);
        let read = text.split('\n').filter_map(|line| lines.read(line).ok().flatten()).count();
        assert!(read + lines.take_metadata().len() <= text.split('\n').count());
    }
});

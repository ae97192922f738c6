//! OTLP requests in protobuf and JSON, translated and added up.
#![no_main]
use libfuzzer_sys::fuzz_target;
use tenfold_protocols::otlp::{Deltas, Naming, Promoted, Rules, from_json, from_proto, translate};
use tenfold_types::Timestamp;

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, body)) = bytes.split_first() else { return };
    let read = if choice & 1 == 0 { from_proto(body) } else { from_json(body) };
    let Ok(request) = read else { return };
    let rules = Rules {
        naming: [
            Naming::UnderscoreEscapingWithSuffixes,
            Naming::UnderscoreEscapingWithoutSuffixes,
            Naming::NoUtf8EscapingWithSuffixes,
            Naming::NoTranslation,
        ][usize::from(choice >> 4 & 3)],
        promoted: if choice & 2 == 0 { Promoted::These(vec!["a".into()]) } else { Promoted::AllBut(vec!["a".into()]) },
        keep_identifying: choice & 64 == 0,
        promote_scope: choice & 4 == 0,
        native_histograms: choice & 8 == 0,
    };
    let mut deltas = Deltas::default();
    for _ in 0..2 {
        let translated = translate(&request, &rules, &mut deltas, Timestamp(0));
        let Ok(batch) = translated.batch() else { return };
        for series in batch.series() {
            assert!(series.labels.windows(2).all(|w| w[0].0 < w[1].0), "sorted, each name once");
            assert!(series.histograms.iter().all(|h| h.histogram.is_stale() || h.histogram.validate().is_ok()));
        }
    }
});

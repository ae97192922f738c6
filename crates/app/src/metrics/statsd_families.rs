//! What StatsD's series are, as others say it of theirs: whoever builds a query looks whether a metric is a counter.

use std::collections::BTreeSet;

use tenfold_protocols::exposition::Metadata;

/// Families that are told of: StatsD knows no tokens, and others are to find room as well.
const FAMILIES_MAX: usize = 5_000;

#[derive(Default)]
pub(super) struct Families {
    known: BTreeSet<String>,
    untold: Vec<(String, Metadata)>,
}

impl Families {
    pub(super) fn add(&mut self, name: &str, kind: &str, unit: &str) {
        if self.known.len() < FAMILIES_MAX && self.known.insert(name.to_owned()) {
            let about = Metadata { kind: kind.to_owned(), unit: unit.to_owned(), ..Metadata::default() };
            self.untold.push((name.to_owned(), about));
        }
    }
}

impl super::State {
    /// Tells of new families, unless somebody said more of them.
    pub(super) fn tell_statsd_families(&self) {
        let untold = std::mem::take(&mut self.statsd.lock().families.untold);
        if !untold.is_empty() {
            self.keep_old_metadata(untold.iter().map(|(name, about)| (name.as_str(), about.clone())));
        }
    }
}

#[cfg(test)]
mod tests {
    use tenfold_types::Timestamp;

    use super::*;

    #[test]
    fn each_kind_is_told_once() {
        let dir = tempfile::tempdir().unwrap();
        let settings = crate::Settings { data_dir: dir.path().to_owned(), ..crate::Settings::default() };
        let state = crate::metrics::State::open(&settings).unwrap();
        let known = Metadata { kind: "gauge".to_owned(), help: "How long it is.".to_owned(), ..Metadata::default() };
        state.keep_metadata([("queue".to_owned(), known)]);
        let lines = b"up.loads:1|c|#a:b\nup.loads:1|c\nqueue:7|g\nresize:3|ms\nsize:3|h\nwho:ana|s\n_sc|db|0";
        state.statsd_packet("udp", lines, Timestamp(0));
        state.tell_statsd_families();
        let all = state.metadata();
        let told: Vec<_> = ["up_loads_total", "queue", "resize_seconds", "size", "who", "statsd_service_check"]
            .iter()
            .map(|name| (all[*name].kind.as_str(), all[*name].unit.as_str()))
            .collect();
        let wanted =
            [("counter", ""), ("gauge", ""), ("summary", "seconds"), ("summary", ""), ("gauge", ""), ("gauge", "")];
        assert_eq!(told, wanted);
        assert_eq!(all["queue"].help, "How long it is.", "who said more of it is heard");
        assert!(all["statsd_service_check"].help.starts_with("Status"));
        assert!(state.statsd.lock().families.untold.is_empty());
    }

    #[test]
    fn made_up_names_leave_room_for_others() {
        let mut families = Families::default();
        for n in 0..=FAMILIES_MAX {
            families.add(&format!("m{n}"), "gauge", "");
        }
        assert_eq!(families.untold.len(), FAMILIES_MAX);
    }
}

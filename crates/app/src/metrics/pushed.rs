//! Targets that are not asked but say by themselves how they are doing: the hosts' agents.
//!
//! What they say is kept as if it had been scraped. One that falls silent is as one that does not answer: its series end
//! and its `up` is 0, until somebody removes the host.

use tenfold_types::{Fault, Labels, Matcher, MatcherOp, Timestamp};

use super::{Scraped, State, Target};

/// After this many intervals without a word.
const SILENT_INTERVALS: i64 = 3;

impl State {
    /// Keeps what a target said of itself.
    pub fn pushed(&self, target: Target, scraped: Scraped) -> Result<(), Fault> {
        self.registry().keep_pushed(&target, scraped.at);
        self.scraped(&target, scraped)
    }

    /// Counts a target that was heard of before the start as heard of at `now`, so that its silence is noticed.
    pub fn expect_pushed(&self, target: &Target, now: Timestamp) -> Result<(), Fault> {
        let equal =
            |name: &str, value: &str| Matcher { name: name.to_owned(), op: MatcherOp::Equal, value: value.to_owned() };
        let labels = target.labels.iter().map(|(name, value)| equal(name, value));
        let matchers: Vec<Matcher> = labels.chain([equal(Labels::NAME, "up")]).collect();
        let known = self.tsdb.series(&matchers, i64::MIN, now.millis()).map_err(|e| Fault::internal(e.to_string()))?;
        if !known.is_empty() {
            self.registry().keep_pushed(target, now);
        }
        Ok(())
    }

    pub(super) fn has_pushed(&self) -> bool {
        !self.registry().pushed().is_empty()
    }

    /// A host that is gone for good; its series end with the next look at what is gone.
    pub fn forget_pushed(&self, host: &str) {
        self.registry().drop_pushed(host);
    }

    /// Marks those as down that have said nothing for a while.
    pub(super) fn mark_silent(&self, interval_ms: u64, now: Timestamp) -> Result<(), Fault> {
        let silent_ms = i64::try_from(interval_ms).unwrap_or(i64::MAX).saturating_mul(SILENT_INTERVALS);
        for (target, heard) in self.registry().pushed() {
            let silence_ms = now.since_ms(heard);
            if silence_ms >= silent_ms {
                let reason = format!("its agent has said nothing for {} s", silence_ms / 1_000);
                self.scraped(&target, Scraped { at: now, duration_ms: 0, page: Err(reason.into()) })?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tenfold_protocols::exposition::Format;

    use super::*;
    use crate::Settings;

    fn target(host: &str) -> Target {
        let labels = Labels::from_pairs([("job", "node"), ("instance", host)]);
        Target::reported(format!("agent://{host}"), labels, host)
    }

    #[test]
    fn a_host_that_did_not_outlive_a_restart_is_down() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let settings = Settings { data_dir: dir.path().to_owned(), ..Settings::default() };
        let at = |s: i64| Timestamp(1_795_424_000_000 + s * 1_000);
        let before = State::open(&settings).expect("an empty store opens");
        let page = Ok(("node_load1 1\n".into(), Format::default()));
        before.pushed(target("h1"), Scraped { at: at(0), duration_ms: 1, page }).expect("it is kept");
        drop(before);
        let after = State::open(&settings).expect("the store opens");
        for host in ["h1", "never-told"] {
            after.expect_pushed(&target(host), at(600)).expect("the store answers");
        }
        after.mark_silent(15_000, at(630)).expect("it is kept");
        assert_eq!(after.query_instant("count(up)", at(630)).expect("a query"), tenfold_promql::Value::Vector(vec![]));
        after.mark_silent(15_000, at(650)).expect("it is kept");
        let tenfold_promql::Value::Vector(up) = after.query_instant("up", at(650)).expect("a query") else {
            panic!("a vector");
        };
        let told: Vec<_> = up.iter().map(|s| (s.labels.get("instance"), s.value.float())).collect();
        assert_eq!(told, [(Some("h1"), Some(0.0))]);
    }
}

//! Exemplars of the series that a query reads.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tenfold_types::{ErrorCode, Exemplar, Fault, Labels, Matcher, Timestamp};
use tokio::time::Instant;

use super::query::{query_fault, store_fault};
use crate::App;

/// Exemplars in one answer.
const EXEMPLARS_MAX: usize = 50_000;

/// Series with exemplars, by labels; each list oldest first.
pub type Exemplars = BTreeMap<Arc<Labels>, Vec<Exemplar>>;

impl App {
    /// The exemplars of every series that a selector of the expression is about.
    pub async fn query_exemplars(&self, expr: &str, start: Timestamp, end: Timestamp) -> Result<Exemplars, Fault> {
        let parsed = tenfold_promql::parse_as(expr, self.metrics.dialect).map_err(|e| query_fault(&e, expr))?;
        let selectors: Vec<Vec<Matcher>> = parsed.selectors().iter().map(|s| s.matchers.clone()).collect();
        let allowed_ms = self.metrics.query_limits.timeout_ms;
        let deadline = Instant::now() + Duration::from_millis(allowed_ms);
        let _place = self.query_place(deadline, allowed_ms).await?;
        let tsdb = self.metrics.tsdb.clone();
        let read = move || {
            let mut all = Exemplars::new();
            for matchers in &selectors {
                all.extend(tsdb.exemplars(matchers, start.millis(), end.millis()).map_err(|e| store_fault(&e))?);
            }
            Ok::<_, Fault>(all)
        };
        let all = tokio::task::spawn_blocking(read).await.map_err(|e| Fault::internal(e.to_string()))??;
        let count: usize = all.values().map(Vec::len).sum();
        if count > EXEMPLARS_MAX {
            let message = format!("{count} exemplars are in this time; at most {EXEMPLARS_MAX} are given at once");
            return Err(Fault::new(ErrorCode::Invalid, message).advice("ask for fewer series or a shorter time"));
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use tenfold_testkit::{TestClock, TestEntropy, temp_db};

    use super::*;
    use crate::Settings;
    use crate::metrics::State;

    #[tokio::test]
    async fn nobody_waits_for_a_place_for_ever() {
        let (dir, db) = (tempfile::tempdir().expect("a temporary directory"), temp_db().await);
        let mut settings = Settings { data_dir: dir.path().to_owned(), ..Settings::default() };
        settings.metrics.query.concurrency_max = 1;
        settings.metrics.query.timeout_ms = 100;
        let state = State::open(&settings).expect("an empty store opens");
        let (clock, entropy) = (Arc::new(TestClock::default()), Arc::new(TestEntropy::default()));
        let app = App::new((*db).clone(), clock, entropy, settings, state);
        let _only = app.metrics.queries.acquire().await.expect("a place");
        let fault = app.query_exemplars("up", Timestamp(0), Timestamp(1)).await.expect_err("it is taken");
        assert_eq!(fault.code, ErrorCode::Unavailable);
        assert!(fault.message.contains("found no place"), "{}", fault.message);
    }
}

//! Exemplars of the series that a query reads.

use std::collections::BTreeMap;
use std::sync::Arc;

use tenfold_types::{ErrorCode, Exemplar, Fault, Labels, Matcher, Timestamp};

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
        let place = self.metrics.queries.acquire().await;
        let _place = place.map_err(|_| Fault::unavailable("the server is stopping"))?;
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

//! Kind, help and unit of metrics, as far as somebody told them.

use std::collections::BTreeMap;

use axum::extract::{RawQuery, State};
use serde_json::{Value as Json, json};
use tenfold_app::App;

use super::params::PrometheusFamilies;
use super::{Answer, Params, limit_or_all, success};

/// Kind, help and unit of metric families (`metric`, `limit`).
#[utoipa::path(get, path = "/api/v1/metadata", params(PrometheusFamilies), responses((status = 200, content_type = "application/json")))]
pub(super) async fn metadata(State(app): State<App>, RawQuery(q): RawQuery) -> Answer {
    let params = Params::new(q.as_deref(), b"");
    let wanted = params.get("metric");
    let found = app.metrics.metadata().into_iter().filter(|(name, _)| wanted.is_none_or(|w| w == name));
    let mut all: BTreeMap<String, Json> = found
        .map(|(name, m)| {
            let kind = if m.kind.is_empty() { "unknown" } else { &m.kind };
            let row = json!([{"type": kind, "help": m.help, "unit": m.unit}]);
            (name, row)
        })
        .collect();
    // What is known here came with samples since the start. A cluster may know more, or nothing of metadata at all.
    if let Ok(Some(mut answer)) = app.ask_cluster("/api/v1/metadata", &params.0).await
        && let Json::Object(theirs) = answer.json["data"].take()
    {
        all.extend(theirs);
    }
    let most = limit_or_all(&params)?.unwrap_or(usize::MAX);
    let told: BTreeMap<String, Json> = all.into_iter().take(most).collect();
    Ok(success(told))
}

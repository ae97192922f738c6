//! What an incident's pages were for, said with one key.

use serde::Deserialize;
use serde_json::json;
use tenfold_incidents::PageKind;
use tenfold_types::Fault;

use super::kinds;
use crate::{App, Caller, incidents::IncidentView};

#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Classification {
    /// `action`, `action_could_wait`, `action_elsewhere`, `wrong_time`, `mute_expired`, `mute_missing`, `threshold`, `faulty`
    /// or `other`; or the key of one, `1` to `9` in this order.
    pub kind: String,
}

impl App {
    /// Says what an incident's pages were for. It may be said again, and the last word counts.
    pub async fn incident_classify(&self, who: &Caller, number: i64, said: &str) -> Result<IncidentView, Fault> {
        let kind = PageKind::parse(said.trim()).ok_or_else(|| {
            Fault::invalid(format!("`{said:.40}` does not say what the pages were for")).advice(kinds())
        })?;
        let data = json!({"kind": kind, "acted": kind.acted()});
        self.incident_said(who, number, kind, data).await
    }
}

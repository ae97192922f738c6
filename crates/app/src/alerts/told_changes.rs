//! Changes that somebody else's tool tells of: in the record, and among the suspects of alerts of their service. They raise
//! nothing and page nobody.

use serde_json::{Value, json};
use tenfold_types::{EventDraft, Fault, Severity, Timestamp};

use crate::{App, Caller, Role, people::check_name};

const SUMMARY_CHARS_MAX: usize = 1_024;
/// Of everything else that comes with it, as JSON.
const DETAILS_BYTES_MAX: usize = 16 << 10;

/// A change as it was told.
#[derive(Debug, Clone, Default)]
pub struct ToldChange {
    /// One sentence.
    pub summary: String,
    /// What changed it, or where; may be empty.
    pub source: String,
    /// When; now when absent, and for what would lie ahead.
    pub at: Option<Timestamp>,
    /// Without one it is in the record alone: whose alerts it may be behind is not known.
    pub service: Option<String>,
    /// `production` when absent.
    pub environment: Option<String>,
    pub details: Value,
    /// Addresses with their texts.
    pub links: Vec<(String, String)>,
}

impl App {
    /// Records a change (`change.told`). Takes the role responder for the service.
    pub async fn change_told(&self, who: &Caller, change: ToldChange) -> Result<(), Fault> {
        let now = self.now();
        who.require(Role::Responder, change.service.as_deref(), change.environment.as_deref())?;
        let draft = draft(who, &change, now)?;
        self.transact(move |t| t.record(draft.clone()).map(|_| ())).await
    }
}

fn draft(who: &Caller, change: &ToldChange, now: Timestamp) -> Result<EventDraft, Fault> {
    let summary: String = change.summary.trim().chars().take(SUMMARY_CHARS_MAX).collect();
    if summary.is_empty() {
        return Err(Fault::invalid("a change has a summary").advice("say in one sentence what was changed"));
    }
    // A name that could not be one of ours stays in the details.
    let ours = |name: &&String| check_name("service", name).is_ok();
    let service = change.service.as_ref().filter(ours);
    let environment = change.environment.as_ref().filter(ours);
    let links: Vec<Value> = change.links.iter().map(|(href, text)| json!({"href": href, "text": text})).collect();
    let data = json!({
        "source": change.source, "details": change.details, "links": links,
        // As with what other tools deploy: only of a service that is named may it be a suspect.
        "ours": service.is_some(),
    });
    if data.to_string().len() > DETAILS_BYTES_MAX {
        return Err(Fault::invalid(format!("the details of a change have at most {DETAILS_BYTES_MAX} bytes as JSON"))
            .advice("link to what is longer"));
    }
    let place = if change.source.is_empty() { String::new() } else { format!(" ({})", change.source) };
    let mut draft = EventDraft::new(who.actor.clone(), who.source, "change.told", format!("{summary}{place}"))
        .severity(Severity::Info)
        .data(data);
    if let Some(service) = service {
        draft = draft.service(service).environment(environment.map_or("production", String::as_str));
    }
    draft.occurred_at = change.at.map(|at| at.min(now));
    Ok(draft)
}

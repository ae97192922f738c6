//! Why somebody was paged: what was decided when their page was queued, and how each way went.

use serde::Serialize;
use tenfold_store::{events::EventQuery, incidents as store};
use tenfold_types::Fault;
use utoipa::ToSchema;

use super::{
    reasons::PageReason,
    views::{PageView, page_view},
};
use crate::App;

/// Events of one instant that are looked through.
const EVENTS_MAX: usize = 500;

/// Why this person, by these ways, then.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PageWhyView {
    pub page: PageView,
    /// What was decided when it was queued, as the record says it; nothing for a test page.
    pub text: Option<String>,
    /// The event in the record.
    pub seq: Option<i64>,
    pub reasons: Vec<PageReason>,
}

impl App {
    /// Why a page went to its person.
    pub async fn page_why(&self, id: &str) -> Result<PageWhyView, Fault> {
        let key = id.to_owned();
        let page = self
            .read(move |tx| match store::page_get(tx, &key)? {
                Some(row) => page_view(tx, &row),
                None => Err(Fault::not_found("there is no such page").advice("GET /api/pages lists the newest")),
            })
            .await?;
        // The event is of the transaction that decided the page, so of the same instant.
        let query = EventQuery {
            kinds: vec!["page.queued".to_owned(), "page.failed".to_owned()],
            incident: Some(page.incident),
            from: Some(page.due_at),
            to: Some(page.due_at.plus_ms(1)),
            limit: EVENTS_MAX,
            ..EventQuery::default()
        };
        let events = self.events(query).await?;
        let event = events.into_iter().find(|e| e.data["page"] == id && e.data["because"].is_array());
        let reasons = event.as_ref().and_then(|e| serde_json::from_value(e.data["because"].clone()).ok());
        Ok(PageWhyView {
            seq: event.as_ref().map(|e| e.seq),
            reasons: reasons.unwrap_or_default(),
            text: event.map(|e| e.text),
            page,
        })
    }
}

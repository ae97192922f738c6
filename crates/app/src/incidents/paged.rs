//! What incidents asked of people, for counting; and what people say of it.

use std::collections::BTreeMap;

use tenfold_incidents::PageKind;
use tenfold_store::{Tx, incidents as store};
use tenfold_types::{Fault, Severity, Timestamp};

use super::{
    manage::may,
    open::record,
    stored::{COPY, Classified, Incident},
    views::{IncidentView, incident_view},
};
use crate::{App, Caller};

/// Incidents that are looked at.
const INCIDENTS_MAX: i64 = 5_000;
/// Read at a time.
const READ: i64 = 200;

/// An incident that paged.
pub(crate) struct PagedIncident {
    pub number: i64,
    pub opened_at: Timestamp,
    pub resolved_at: Option<Timestamp>,
    /// Fingerprint of the alert that opened it.
    pub first_alert: Option<String>,
    /// Who was paged when; copies to those who learn are none.
    pub pages: Vec<(String, Timestamp)>,
    pub kind: Option<PageKind>,
}

/// Pages that are read of a stretch: more than a storm every night brings.
const PAGES_MAX: i64 = 200_000;

/// When each person was paged from an instant and before another, in order; copies to those who learn and tests are none.
pub(crate) fn paged_between(
    tx: &mut dyn Tx,
    from: Timestamp,
    to: Timestamp,
) -> Result<BTreeMap<String, Vec<Timestamp>>, Fault> {
    let mut paged: BTreeMap<String, Vec<Timestamp>> = BTreeMap::new();
    for (person, at) in store::paged_between(tx, (from, to), COPY, PAGES_MAX)?.into_iter().rev() {
        paged.entry(person).or_default().push(at);
    }
    Ok(paged)
}

/// Incidents and people that are counted of a stretch.
const COUNTS_MAX: i64 = 20_000;

/// How often people were paged for an incident from an instant and before another, the newest incidents first; copies to those
/// who learn and tests are none.
pub(crate) fn paged_counts(
    tx: &mut dyn Tx,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<(i64, String, usize)>, Fault> {
    let counts = store::paged_counts(tx, (from, to), COPY, COUNTS_MAX)?;
    Ok(counts.into_iter().map(|(number, person, n)| (number, person, usize::try_from(n).unwrap_or(0))).collect())
}

/// Those that opened at or after an instant, the newest first, without drills.
pub(crate) fn paged_since(tx: &mut dyn Tx, from: Timestamp) -> Result<Vec<PagedIncident>, Fault> {
    let (mut found, mut before, mut left) = (Vec::new(), None, INCIDENTS_MAX);
    while left > 0 {
        let rows = store::list(tx, None, before, READ.min(left))?;
        let Some(last) = rows.last() else { break };
        (before, left) = (Some(last.number), left - READ);
        let over = rows.iter().any(|row| row.opened_at < from);
        for row in rows.iter().filter(|row| row.opened_at >= from) {
            let incident = Incident::read(row)?;
            if incident.body.drill {
                continue;
            }
            let pages = store::pages(tx, row.number)?.into_iter().filter(|p| p.body != COPY);
            found.push(PagedIncident {
                number: row.number,
                opened_at: row.opened_at,
                resolved_at: incident.body.resolved_at,
                first_alert: store::members(tx, row.number, 1)?.pop().map(|m| m.fingerprint),
                pages: pages.map(|p| (p.person, p.due_at)).collect(),
                kind: incident.body.classified.map(|c| c.kind),
            });
        }
        if over {
            break;
        }
    }
    Ok(found)
}

impl App {
    /// Keeps what somebody says of an incident's pages. The same said again changes nothing.
    pub(crate) async fn incident_said(
        &self,
        who: &Caller,
        number: i64,
        kind: PageKind,
        data: serde_json::Value,
    ) -> Result<IncidentView, Fault> {
        let who = who.clone();
        self.transact(move |t| {
            let now = t.now();
            let mut incident = Incident::get(t.tx(), number)?;
            may(&who, &incident)?;
            if incident.body.classified.as_ref().is_none_or(|c| c.kind != kind) {
                incident.body.classified = Some(Classified { kind, by: who.actor.id.clone(), at: now });
                incident.write(t.tx())?;
                let text = format!("{} says of the pages of incident {number}: {}", who.name, kind.words());
                let kind = "incident.classified";
                let draft = record(&incident, who.actor.clone(), who.source, kind, text, Severity::Info);
                t.record(draft.data(data.clone()))?;
            }
            incident_view(t.tx(), &incident)
        })
        .await
    }
}

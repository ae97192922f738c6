//! An incident as it is stored, and its reading and writing inside a transaction.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use tenfold_oncall::{Escalation, Progress};
use tenfold_store::{Tx, incidents as store, people};
use tenfold_types::{Fault, Labels, Timestamp};

use super::muted::Paused;
use crate::{
    alerts::{Channel, SuspectView},
    people::Person,
};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Body {
    pub title: String,
    pub severity: String,
    /// People practise; nothing is broken.
    #[serde(default)]
    pub drill: bool,
    pub service: Option<String>,
    pub environment: Option<String>,
    /// Login of the person who opened it, or the server.
    pub opened_by: String,
    #[serde(default)]
    pub acknowledged_at: Option<Timestamp>,
    /// Login.
    #[serde(default)]
    pub acknowledged_by: Option<String>,
    #[serde(default)]
    pub acknowledged_by_name: Option<String>,
    #[serde(default)]
    pub resolved_at: Option<Timestamp>,
    #[serde(default)]
    pub resolved_by: Option<String>,
    /// `deploy:12`, `flag:new_uploader`, `external` or `unknown`, once somebody recorded it.
    #[serde(default)]
    pub caused_by: Option<String>,
    #[serde(default)]
    pub suspects: Vec<SuspectView>,
    /// When the first signs were seen.
    pub onset: Timestamp,
    /// `None`: there is no policy, so nobody is paged.
    #[serde(default)]
    pub escalation: Option<Escalation>,
    /// What somebody said of its pages.
    #[serde(default)]
    pub classified: Option<Classified>,
    /// How often it opened again.
    #[serde(default)]
    pub reopened: u32,
    /// Where its escalation stood when its alerts ended it.
    #[serde(default)]
    pub before_end: Option<Progress>,
    /// Round and step of the last page that was cancelled before its alerts ended it: up to there nothing is owed again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancelled: Option<(i64, i64)>,
    /// Its escalation stands still, since its alerts are muted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<Paused>,
    /// Who asked for the next one by hand, last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<AskedNext>,
    /// What whoever it was handed to last is told about that in their page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handed: Option<String>,
    /// Nothing where nobody has put a routing, and of what no alert opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub came_by: Option<CameBy>,
}

/// That somebody asked for the next one, and did not wait until it came by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AskedNext {
    /// Their name.
    pub by: String,
    pub at: Timestamp,
    /// The place that was asked for, both from 0.
    pub step: usize,
    pub round: u32,
}

impl AskedNext {
    /// What an escalation does next comes of it.
    pub fn is_next(&self, escalation: &Escalation) -> bool {
        let place = (self.step, self.round);
        escalation.handed_to.is_none()
            && matches!(&escalation.progress, Progress::Waiting { step, round, .. } if (*step, *round) == place)
    }
}

/// The receiver by which the first alert of an incident came, and the labels of its group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CameBy {
    pub receiver: String,
    pub group: Labels,
}

/// What somebody said of an incident's pages.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Classified {
    pub kind: tenfold_incidents::PageKind,
    /// Login.
    pub by: String,
    pub at: Timestamp,
}

/// An incident with its parts read.
#[derive(Debug, Clone)]
pub(super) struct Incident {
    pub number: i64,
    pub open_key: Option<String>,
    pub state: State,
    pub opened_at: Timestamp,
    pub body: Body,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Open,
    Acknowledged,
    Resolved,
}

impl State {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Acknowledged => "acknowledged",
            Self::Resolved => "resolved",
        }
    }
    pub(super) fn parse(text: &str) -> Option<Self> {
        [Self::Open, Self::Acknowledged, Self::Resolved].into_iter().find(|s| s.as_str() == text)
    }
}

impl Incident {
    pub(super) fn read(row: &store::IncidentRow) -> Result<Self, Fault> {
        let unreadable = |e: String| Fault::internal(format!("the incident {} cannot be read: {e}", row.number));
        Ok(Self {
            number: row.number,
            open_key: row.open_key.clone(),
            state: State::parse(&row.state).ok_or_else(|| unreadable(row.state.clone()))?,
            opened_at: row.opened_at,
            body: serde_json::from_str(&row.body).map_err(|e| unreadable(e.to_string()))?,
        })
    }

    pub(super) fn get(tx: &mut dyn Tx, number: i64) -> Result<Self, Fault> {
        match store::get(tx, number)? {
            Some(row) => Self::read(&row),
            None => Err(Fault::not_found(format!("there is no incident {number}"))
                .advice("the Incidents page lists them, as does `status`")),
        }
    }

    /// Nobody has it any more. Login and name of who had it.
    pub(super) fn let_go(&mut self) -> (Option<String>, Option<String>) {
        self.state = State::Open;
        self.body.acknowledged_at = None;
        (self.body.acknowledged_by.take(), self.body.acknowledged_by_name.take())
    }

    /// Whether its pages ring on there: those of lesser ones ring once.
    pub(super) fn rings_on(&self, channel: Channel) -> bool {
        channel.rings_on() && self.body.severity == "critical"
    }

    pub(super) fn write(&self, tx: &mut dyn Tx) -> Result<(), Fault> {
        let body = serde_json::to_string(&self.body).map_err(|e| Fault::internal(e.to_string()))?;
        let next_at = self.body.escalation.as_ref().and_then(Escalation::next_at);
        store::put(
            tx,
            &store::IncidentRow {
                number: self.number,
                open_key: self.open_key.clone(),
                state: self.state.as_str().to_owned(),
                opened_at: self.opened_at,
                next_at,
                body,
            },
        )?;
        Ok(())
    }
}

/// Who acknowledged incidents, by display name; those that nobody has are not in the answer.
pub(crate) fn acknowledged_by(tx: &mut dyn Tx, numbers: &BTreeSet<i64>) -> Result<BTreeMap<i64, String>, Fault> {
    let numbers: Vec<i64> = numbers.iter().copied().collect();
    let mut out = BTreeMap::new();
    for row in store::by_numbers(tx, &numbers)? {
        out.extend(Incident::read(&row)?.body.acknowledged_by_name.map(|name| (row.number, name)));
    }
    Ok(out)
}

/// Since when an incident is over; nothing of one that goes on. One that is not there any more ended at some time.
pub(crate) fn over_since(tx: &mut dyn Tx, number: i64) -> Result<Option<Timestamp>, Fault> {
    let Some(row) = store::get(tx, number)? else { return Ok(Some(Timestamp::default())) };
    let incident = Incident::read(&row)?;
    Ok((incident.state == State::Resolved).then(|| incident.body.resolved_at.unwrap_or_default()))
}

/// A person who can be paged; `None` when there is no such account or it is disabled.
pub(crate) fn person(tx: &mut dyn Tx, login: &str) -> Result<Option<Person>, Fault> {
    let Some(row) = people::person_get(tx, login)?.filter(|p| p.disabled_at.is_none()) else { return Ok(None) };
    let person = serde_json::from_str(&row.body)
        .map_err(|e| Fault::internal(format!("the profile of `{login}` cannot be read: {e}")))?;
    Ok(Some(person))
}

/// The body of the page of somebody who learns: nobody waits for them.
pub(super) const COPY: &str = r#"{"copy":true}"#;
/// The body of the page of somebody to whom the incident was handed; its step is one past the policy's last.
pub(super) const HANDED: &str = r#"{"handed":true}"#;

/// States of pages and deliveries, as words in the store and the API.
pub(super) mod word {
    pub const DUE: &str = "due";
    pub const SENDING: &str = "sending";
    pub const DELIVERED: &str = "delivered";
    pub const ACKNOWLEDGED: &str = "acknowledged";
    pub const FAILED: &str = "failed";
    pub const SUPERSEDED: &str = "superseded";
    pub const ACCEPTED: &str = "accepted";
    pub const SHOWN: &str = "shown";
}

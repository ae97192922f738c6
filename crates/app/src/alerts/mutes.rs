//! Mutes: keep matching alerts from opening incidents for a while. Made with a reason and an end, always.

use serde::{Deserialize, Serialize};
use serde_json::json;
use tenfold_alerting::{MatcherSet, parse_matchers};
use tenfold_store::{Tx, alerts as store, counters};
use tenfold_types::{Actor, EventDraft, Fault, Labels, Matcher, Source, Timestamp};

use super::{lease::Lease, views::MuteView};
use crate::{App, Caller, Role};

/// The longest mute.
const MUTE_MS_MAX: i64 = 30 * 86_400_000;
const MUTES_MAX: usize = 1_000;
const REASON_BYTES_MAX: usize = 1_000;

/// What is said when a mute is made. `matchers` is a list, or one text as chat writes it.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewMute {
    #[schema(value_type = Object)]
    pub matchers: Matchers,
    pub reason: String,
    #[schema(value_type = String)]
    pub expires_at: Timestamp,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Matchers {
    List(Vec<Matcher>),
    Text(String),
}

impl NewMute {
    /// From the text of a command.
    pub fn from_text(matchers: &str, reason: &str, expires_at: Timestamp) -> Self {
        Self { matchers: Matchers::Text(matchers.to_owned()), reason: reason.to_owned(), expires_at }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Body {
    pub matchers: Vec<Matcher>,
    pub reason: String,
    pub created_at: Timestamp,
    pub created_by: String,
    pub created_by_name: String,
}

/// A mute that holds.
#[derive(Debug, Clone)]
pub(super) struct Mute {
    pub id: i64,
    pub expires_at: Timestamp,
    pub body: Body,
    matchers: MatcherSet,
}

impl Mute {
    pub(super) fn matches(&self, labels: &Labels) -> bool {
        self.matchers.matches(labels)
    }
}

/// The mutes that hold at `now`.
pub(super) fn holding(tx: &mut dyn Tx, now: Timestamp) -> Result<Vec<Mute>, Fault> {
    let rows = store::mutes_open(tx)?;
    rows.iter().filter(|m| m.expires_at > now).map(stored).collect()
}

fn stored(row: &store::MuteRow) -> Result<Mute, Fault> {
    let unreadable = |e: String| Fault::internal(format!("the mute {} cannot be read: {e}", row.id));
    let body: Body = serde_json::from_str(&row.body).map_err(|e| unreadable(e.to_string()))?;
    let matchers = MatcherSet::new(&body.matchers).map_err(unreadable)?;
    Ok(Mute { id: row.id, expires_at: row.expires_at, body, matchers })
}

/// Records the end of mutes that ran out, so that the record tells when alerts pass again.
pub(super) async fn end_expired(app: &App, lease: &Lease) -> Result<(), Fault> {
    let now = app.now();
    let over = app.read(move |tx| Ok(store::mutes_open(tx)?.iter().any(|m| m.expires_at <= now))).await?;
    if !over {
        return Ok(());
    }
    let lease = lease.clone();
    app.transact(move |t| {
        lease.check(t)?;
        let now = t.now();
        for row in store::mutes_open(t.tx())?.iter().filter(|m| m.expires_at <= now) {
            store::mute_end(t.tx(), row.id, now)?;
            let mute = stored(row)?;
            let text = format!("The mute {} of {} has ended", mute.id, words(&mute.body.matchers));
            t.record(
                EventDraft::new(Actor::system(), Source::System, "mute.expired", text).data(json!({"mute": mute.id})),
            )?;
        }
        Ok(())
    })
    .await
}

fn words(matchers: &[Matcher]) -> String {
    matchers.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn view(mute: &Mute) -> MuteView {
    MuteView {
        id: mute.id,
        matchers: mute.body.matchers.clone(),
        reason: mute.body.reason.clone(),
        created_at: mute.body.created_at,
        created_by: mute.body.created_by.clone(),
        created_by_name: mute.body.created_by_name.clone(),
        expires_at: mute.expires_at,
    }
}

impl App {
    /// The mutes that hold.
    pub async fn mutes(&self) -> Result<Vec<MuteView>, Fault> {
        let now = self.now();
        self.read(move |tx| Ok(holding(tx, now)?.iter().map(view).collect())).await
    }

    pub async fn mute_create(&self, who: &Caller, new: NewMute) -> Result<MuteView, Fault> {
        let matchers = match new.matchers {
            Matchers::List(list) => list,
            Matchers::Text(text) => parse_matchers(&text).map_err(Fault::invalid)?,
        };
        MatcherSet::new(&matchers).map_err(Fault::invalid)?;
        let service = matchers.iter().find(|m| m.name == "service" && m.op == tenfold_types::MatcherOp::Equal);
        who.require(Role::Responder, service.map(|m| m.value.as_str()), None)?;
        let reason = new.reason.trim().to_owned();
        if reason.is_empty() || reason.len() > REASON_BYTES_MAX {
            return Err(Fault::invalid(format!("a mute has a reason of 1 to {REASON_BYTES_MAX} bytes")));
        }
        let (who, expires_at) = (who.clone(), new.expires_at);
        self.transact(move |t| {
            let now = t.now();
            let length = expires_at.since_ms(now);
            if length <= 0 || length > MUTE_MS_MAX {
                return Err(Fault::invalid(format!("a mute ends in the future, at most {MUTE_MS_MAX} ms from now")));
            }
            if store::mutes_open(t.tx())?.len() >= MUTES_MAX {
                return Err(Fault::invalid(format!("there are at most {MUTES_MAX} mutes")));
            }
            let id = counters::next(t.tx(), "mute")?;
            let body = Body {
                matchers: matchers.clone(),
                reason: reason.clone(),
                created_at: now,
                created_by: who.actor.id.clone(),
                created_by_name: who.name.clone(),
            };
            let row = store::MuteRow {
                id,
                expires_at,
                ended_at: None,
                body: serde_json::to_string(&body).map_err(|e| Fault::internal(e.to_string()))?,
            };
            store::mute_insert(t.tx(), &row)?;
            let text = format!("{} muted {}: {reason}", who.name, words(&matchers));
            let mut draft = EventDraft::new(who.actor.clone(), who.source, "mute.created", text)
                .data(json!({"mute": id, "matchers": matchers, "reason": reason, "expires_at": expires_at}));
            draft.subject.service = matchers
                .iter()
                .find(|m| m.name == "service" && m.op == tenfold_types::MatcherOp::Equal)
                .map(|m| m.value.clone());
            t.record(draft)?;
            Ok(view(&stored(&row)?))
        })
        .await
    }

    /// Ends a mute before its time.
    pub async fn mute_delete(&self, who: &Caller, id: i64) -> Result<(), Fault> {
        who.require(Role::Responder, None, None)?;
        let who = who.clone();
        self.transact(move |t| {
            let now = t.now();
            if !store::mute_end(t.tx(), id, now)? {
                return Err(Fault::not_found(format!("there is no mute {id} that holds")));
            }
            let text = format!("{} ended the mute {id}", who.name);
            t.record(EventDraft::new(who.actor.clone(), who.source, "mute.expired", text).data(json!({"mute": id})))?;
            Ok(())
        })
        .await
    }
}

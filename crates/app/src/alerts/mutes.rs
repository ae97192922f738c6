//! Mutes: keep matching alerts from opening incidents for a while. Made with a reason and an end, always.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;
use tenfold_alerting::{
    DEPLOY_MUTE_MS_MAX, Mute, MuteKind, MuteSpec, TimeInterval, parse_matchers, parse_recurrence, show_recurrence,
};
use tenfold_store::{Tx, alerts as store, counters};
use tenfold_types::{Actor, EventDraft, Fault, Matcher, MatcherOp, Source, Timestamp};

use super::{lease::Lease, mute_looks::next_turn, views::MuteView};
use crate::{App, Caller, Role, Txn};

/// The longest silence.
const SILENCE_MS_MAX: i64 = 30 * 86_400_000;
/// What is planned may lie further ahead.
const PLANNED_MS_MAX: i64 = 366 * 86_400_000;
pub(super) const MUTES_MAX: usize = 1_000;
/// What a program may keep with a mute.
const ANNOTATIONS_MAX: usize = 20;
const ANNOTATIONS_BYTES_MAX: usize = 4 << 10;
/// Mutes that are over, in one list.
const OVER_LISTED_MAX: i64 = 500;

/// What is said when a mute is made. `matchers` is a list, or one text as chat writes it.
#[derive(Debug, Clone, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewMute {
    #[schema(value_type = Object)]
    pub matchers: Matchers,
    pub reason: String,
    #[schema(value_type = String)]
    pub expires_at: Timestamp,
    /// `silence` (when nothing is said), `downtime` or `maintenance`; a maintenance comes back by `recurs`.
    #[serde(default)]
    #[schema(value_type = String)]
    pub kind: MuteKind,
    /// From when on; now when nothing is said.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub starts_at: Option<Timestamp>,
    /// Time intervals as Alertmanager writes them, within which a maintenance holds.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    pub recurs: Vec<TimeInterval>,
    /// The same as one text, `sun 02:00-04:00 Europe/Berlin`; instead of `recurs`.
    #[serde(default)]
    pub recurs_text: Option<String>,
    /// Whom a program makes it for, in its own words.
    #[serde(default)]
    pub author: Option<String>,
    /// What a program keeps with it, for itself: a ticket, a link. At most 20, of 4 KiB in all.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub annotations: BTreeMap<String, String>,
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
        Self::silence(Matchers::Text(matchers.to_owned()), reason, expires_at)
    }

    pub fn silence(matchers: Matchers, reason: &str, expires_at: Timestamp) -> Self {
        Self {
            matchers,
            reason: reason.to_owned(),
            expires_at,
            kind: MuteKind::Silence,
            starts_at: None,
            recurs: Vec::new(),
            recurs_text: None,
            author: None,
            annotations: BTreeMap::new(),
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Body {
    pub(super) matchers: Vec<Matcher>,
    pub(super) reason: String,
    pub(super) created_at: Timestamp,
    pub(super) created_by: String,
    pub(super) created_by_name: String,
    #[serde(default)]
    pub(super) kind: MuteKind,
    /// Its creation when it is not there.
    #[serde(default)]
    pub(super) starts_at: Option<Timestamp>,
    #[serde(default)]
    pub(super) recurs: Vec<TimeInterval>,
    #[serde(default)]
    pub(super) updated_at: Option<Timestamp>,
    /// The deploy that it ends with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) deploy: Option<i64>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) annotations: BTreeMap<String, String>,
}

/// The mutes that nobody has ended and that may hold at `now` or later.
pub(super) fn open(tx: &mut dyn Tx, now: Timestamp) -> Result<Vec<Mute>, Fault> {
    let rows = store::mutes_open(tx)?;
    rows.iter().filter(|m| m.expires_at > now).map(|row| Ok(stored(row)?.0)).collect()
}

/// The mutes that hold at `now`.
pub(super) fn holding(tx: &mut dyn Tx, now: Timestamp) -> Result<Vec<Mute>, Fault> {
    Ok(open(tx, now)?.into_iter().filter(|m| m.holds(now)).collect())
}

/// The number of a mute that the machine knows by its text.
pub(super) fn number(id: &str) -> Option<i64> {
    id.parse().ok()
}

pub(super) fn stored(row: &store::MuteRow) -> Result<(Mute, Body), Fault> {
    let unreadable = |e: String| Fault::internal(format!("the mute {} cannot be read: {e}", row.id));
    let body: Body = serde_json::from_str(&row.body).map_err(|e| unreadable(e.to_string()))?;
    let mute = Mute::new(row.id.to_string(), spec(&body, row.expires_at)).map_err(unreadable)?;
    Ok((mute, body))
}

pub(super) fn spec(body: &Body, expires_at: Timestamp) -> MuteSpec {
    MuteSpec {
        kind: body.kind,
        matchers: body.matchers.clone(),
        author: body.created_by_name.clone(),
        reason: body.reason.clone(),
        starts_at: body.starts_at.unwrap_or(body.created_at),
        ends_at: expires_at,
        recurs: body.recurs.clone(),
        deploy: body.deploy,
    }
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
            let (mute, _) = stored(row)?;
            let text =
                format!("The {} {} of {} has ended", mute.spec.kind.as_str(), row.id, words(&mute.spec.matchers));
            t.record(
                EventDraft::new(Actor::system(), Source::System, "mute.expired", text).data(json!({"mute": row.id})),
            )?;
        }
        Ok(())
    })
    .await
}

pub(super) fn words(matchers: &[Matcher]) -> String {
    matchers.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn view(row: &store::MuteRow, now: Timestamp) -> Result<MuteView, Fault> {
    let (mute, body) = stored(row)?;
    let starts_at = mute.spec.starts_at;
    let state = match row.ended_at {
        Some(_) => "expired",
        None if row.expires_at <= now => "expired",
        None if starts_at > now => "pending",
        None => "active",
    };
    Ok(MuteView {
        id: row.id,
        holds: row.ended_at.is_none() && mute.holds(now),
        state: state.to_owned(),
        kind: body.kind.as_str().to_owned(),
        matchers: body.matchers,
        reason: body.reason,
        created_at: body.created_at,
        updated_at: body.updated_at.unwrap_or(body.created_at),
        created_by: body.created_by,
        created_by_name: body.created_by_name,
        starts_at,
        expires_at: row.ended_at.unwrap_or(row.expires_at),
        recurs_text: if body.recurs.is_empty() { String::new() } else { show_recurrence(&body.recurs) },
        recurs: body.recurs,
        next: if row.ended_at.is_none() { next_turn(&mute.spec, now) } else { None },
        deploy: body.deploy,
        annotations: body.annotations,
    })
}

fn service_of(matchers: &[Matcher]) -> Option<&str> {
    matchers.iter().find(|m| m.name == "service" && m.op == MatcherOp::Equal).map(|m| m.value.as_str())
}

/// A new mute as far as it can be judged without the clock.
pub(super) fn read(who: &Caller, new: NewMute) -> Result<(Body, Timestamp), Fault> {
    if new.kind == MuteKind::Deploy {
        return Err(Fault::invalid("a mute of the kind deploy is made by a deploy itself")
            .advice("name the alerts under `mute_alerts` in the pipeline file, or make a downtime"));
    }
    let bytes: usize = new.annotations.iter().map(|(name, text)| name.len() + text.len()).sum();
    if new.annotations.len() > ANNOTATIONS_MAX || bytes > ANNOTATIONS_BYTES_MAX {
        return Err(Fault::invalid(format!(
            "a mute has at most {ANNOTATIONS_MAX} annotations, of {ANNOTATIONS_BYTES_MAX} bytes in all"
        ))
        .advice("keep the long text elsewhere, and its address here"));
    }
    let recurs = match &new.recurs_text {
        None => new.recurs,
        Some(text) if text.trim().is_empty() => new.recurs,
        Some(_) if !new.recurs.is_empty() => {
            return Err(Fault::invalid("it has both `recurs` and `recurs_text`").advice("leave one of them out"));
        }
        Some(text) => parse_recurrence(text).map_err(Fault::invalid)?,
    };
    let matchers = match new.matchers {
        Matchers::List(list) => list,
        Matchers::Text(text) => parse_matchers(&text).map_err(Fault::invalid)?,
    };
    who.require(Role::Responder, service_of(&matchers), None)?;
    let author = new.author.map(|a| a.trim().to_owned()).filter(|a| !a.is_empty() && a.len() <= 200);
    let body = Body {
        matchers,
        reason: new.reason.trim().to_owned(),
        created_at: Timestamp::from_millis(0),
        created_by: who.actor.id.clone(),
        created_by_name: author.unwrap_or_else(|| who.name.clone()),
        kind: new.kind,
        starts_at: new.starts_at,
        recurs,
        updated_at: None,
        deploy: None,
        annotations: new.annotations,
    };
    Ok((body, new.expires_at))
}

/// What would be written of a mute that is made now.
pub(super) fn made_at(mut body: Body, expires_at: Timestamp, now: Timestamp) -> Result<Body, Fault> {
    body.created_at = now;
    // A start in the past is now: a mute changes nothing that was.
    body.starts_at = Some(body.starts_at.map_or(now, |at| at.max(now)));
    check_length(&body, expires_at, now)?;
    Ok(body)
}

pub(super) fn insert(t: &mut Txn<'_>, who: &Caller, body: Body, expires_at: Timestamp) -> Result<MuteView, Fault> {
    let now = t.now();
    let body = made_at(body, expires_at, now)?;
    if store::mutes_open(t.tx())?.len() >= MUTES_MAX {
        return Err(Fault::invalid(format!("there are at most {MUTES_MAX} mutes")));
    }
    let id = counters::next(t.tx(), "mute")?;
    let row = store::MuteRow { id, expires_at, ended_at: None, body: written(&body)? };
    store::mute_insert(t.tx(), &row)?;
    let verb = match body.kind {
        MuteKind::Silence | MuteKind::Deploy => "muted",
        MuteKind::Downtime | MuteKind::Maintenance => "planned quiet for",
    };
    let text = format!("{} {verb} {}: {}", who.name, words(&body.matchers), body.reason);
    tell(t, who, "mute.created", text, &row, &body)?;
    view(&row, now)
}

fn written(body: &Body) -> Result<String, Fault> {
    serde_json::to_string(body).map_err(|e| Fault::internal(e.to_string()))
}

fn check_length(body: &Body, expires_at: Timestamp, now: Timestamp) -> Result<(), Fault> {
    let ms_max = match body.kind {
        MuteKind::Silence => SILENCE_MS_MAX,
        MuteKind::Deploy => DEPLOY_MUTE_MS_MAX,
        MuteKind::Downtime | MuteKind::Maintenance => PLANNED_MS_MAX,
    };
    let length = expires_at.since_ms(now);
    if length <= 0 || length > ms_max {
        let kind = body.kind.as_str();
        let most = tenfold_types::format_duration_ms(ms_max);
        return Err(Fault::invalid(format!("a {kind} ends in the future, at most {most} from now")));
    }
    Mute::new("", spec(body, expires_at)).map_err(Fault::invalid)?;
    Ok(())
}

pub(super) fn tell(
    t: &mut Txn<'_>,
    who: &Caller,
    kind: &str,
    text: String,
    row: &store::MuteRow,
    body: &Body,
) -> Result<(), Fault> {
    let mut draft = EventDraft::new(who.actor.clone(), who.source, kind, text).data(json!({
        "mute": row.id,
        "kind": body.kind,
        "matchers": body.matchers,
        "reason": body.reason,
        "author": body.created_by_name,
        "starts_at": body.starts_at,
        "expires_at": row.expires_at,
        "recurs": body.recurs,
        "deploy": body.deploy,
    }));
    draft.subject.deploy = body.deploy;
    draft.subject.service = service_of(&body.matchers).map(str::to_owned);
    t.record(draft)?;
    Ok(())
}

impl App {
    /// The mutes that hold or will hold.
    pub async fn mutes(&self) -> Result<Vec<MuteView>, Fault> {
        let now = self.now();
        self.read(move |tx| {
            store::mutes_open(tx)?.iter().filter(|m| m.expires_at > now).map(|row| view(row, now)).collect()
        })
        .await
    }

    /// All mutes, those that are over among them.
    pub async fn mutes_all(&self) -> Result<Vec<MuteView>, Fault> {
        let now = self.now();
        self.read(move |tx| {
            let mut rows = store::mutes_open(tx)?;
            rows.extend(store::mutes_over(tx, OVER_LISTED_MAX)?);
            rows.iter().map(|row| view(row, now)).collect()
        })
        .await
    }

    pub async fn mute(&self, id: i64) -> Result<MuteView, Fault> {
        let now = self.now();
        let row = self.read(move |tx| Ok(store::mute_get(tx, id)?)).await?;
        row.map_or_else(|| Err(Fault::not_found(format!("there is no mute {id}"))), |row| view(&row, now))
    }

    pub async fn mute_create(&self, who: &Caller, new: NewMute) -> Result<MuteView, Fault> {
        let (body, expires_at) = read(who, new)?;
        let who = who.clone();
        self.transact(move |t| insert(t, &who, body.clone(), expires_at)).await
    }

    /// Changes a mute. One that is over, or gets another kind, other matchers or other times than its end, is ended and made anew, under a new
    /// number: what a mute covered stays written.
    pub async fn mute_change(&self, who: &Caller, id: i64, new: NewMute) -> Result<MuteView, Fault> {
        let (body, expires_at) = read(who, new)?;
        let who = who.clone();
        self.transact(move |t| {
            let now = t.now();
            let row = store::mute_get(t.tx(), id)?;
            let row = row.ok_or_else(|| Fault::not_found(format!("there is no mute {id}")))?;
            let (old, was) = stored(&row)?;
            who.require(Role::Responder, service_of(&was.matchers), None)?;
            if let Some(deploy) = was.deploy {
                return Err(Fault::conflict(format!("the mute {id} is bound to deploy {deploy}"))
                    .advice("it can be ended; the pipeline file says what the next deploy mutes"));
            }
            let over = row.ended_at.is_some() || row.expires_at <= now;
            let starts_at = body.starts_at.unwrap_or(old.spec.starts_at);
            let other = body.kind != was.kind || body.matchers != was.matchers || body.recurs != was.recurs;
            if over || other || starts_at != old.spec.starts_at {
                if !over {
                    store::mute_end(t.tx(), id, now)?;
                    tell(t, &who, "mute.expired", format!("{} replaced the mute {id}", who.name), &row, &was)?;
                }
                return insert(t, &who, body.clone(), expires_at);
            }
            let (reason, annotations) = (body.reason.clone(), body.annotations.clone());
            let changed = Body { reason, annotations, updated_at: Some(now), ..was };
            check_length(&changed, expires_at, now)?;
            let row = store::MuteRow { expires_at, body: written(&changed)?, ..row };
            store::mute_update(t.tx(), &row)?;
            let text = format!("{} changed the mute {id}, it ends {expires_at}: {}", who.name, changed.reason);
            tell(t, &who, "mute.changed", text, &row, &changed)?;
            view(&row, now)
        })
        .await
    }

    /// Ends a mute before its time. Who may make it may end it.
    pub async fn mute_delete(&self, who: &Caller, id: i64) -> Result<(), Fault> {
        let who = who.clone();
        self.transact(move |t| {
            let now = t.now();
            let gone = || Fault::not_found(format!("there is no mute {id} that holds"));
            let row = store::mute_get(t.tx(), id)?.ok_or_else(gone)?;
            let (_, body) = stored(&row)?;
            who.require(Role::Responder, service_of(&body.matchers), None)?;
            if !store::mute_end(t.tx(), id, now)? {
                return Err(gone());
            }
            let text = format!("{} ended the mute {id}", who.name);
            t.record(EventDraft::new(who.actor.clone(), who.source, "mute.expired", text).data(json!({"mute": id})))?;
            Ok(())
        })
        .await
    }
}

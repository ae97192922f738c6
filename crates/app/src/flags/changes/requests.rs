//! Change requests: where an environment wants four eyes, a change waits for a second person.
//!
//! A request says what it is based on; when the flag reads otherwise by then, it is not applied. Its author never approves
//! it. Switching off, lowering a percentage, stopping a ramp and a ramp's guard wait for nobody. An admin may break the
//! glass with a reason, which everybody is told.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tenfold_flags::{Flag, FlagEnvironment};
use tenfold_store::flag_changes::{self as store, ChangeQuery, ChangeRow};
use tenfold_types::{Actor, ActorKind, Fault, Severity, Timestamp};
use utoipa::ToSchema;

use super::schedules::{Planned, plan};
use super::{FlagAction, basis, carry_out, find};
use crate::flags::{draft, told};
use crate::{App, Caller, Role, Txn};

/// Change requests that wait at one time.
pub const REQUESTS_MAX: usize = 500;
/// How long a request waits: a week.
pub const REQUEST_MS: i64 = 7 * 86_400_000;
const REASON_CHARS_MAX: usize = 1_000;
const LISTED_MAX: i64 = REQUESTS_MAX as i64;

const APPROVED: &str = "approved";
const REJECTED: &str = "rejected";
const WITHDRAWN: &str = "withdrawn";
const EXPIRED: &str = "expired";
const FORCED: &str = "forced";

/// Why somebody decides so.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = FlagRequestReason)]
pub struct RequestReason {
    pub reason: String,
}

/// A change that waits for a second person, or did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = FlagRequest)]
pub struct RequestView {
    pub number: i64,
    pub flag: String,
    pub environment: String,
    pub action: FlagAction,
    /// The action in words.
    pub text: String,
    /// To be done then, not at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub at: Option<Timestamp>,
    pub author: String,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
    /// The flag in this environment when it was asked for, and as it would be.
    pub before: Value,
    pub after: Value,
    /// The flag was changed since, so that it cannot be applied any more.
    pub outdated: bool,
    /// `pending`, `approved`, `rejected`, `withdrawn`, `expired` or `forced`.
    pub state: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub decided_by: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = FlagRequestList)]
pub struct RequestList {
    pub items: Vec<RequestView>,
}

#[derive(Serialize, Deserialize)]
struct Body {
    action: FlagAction,
    author: Actor,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<Timestamp>,
    #[serde(default)]
    late_ms_max: i64,
    basis: Value,
    before: Value,
    after: Value,
    #[serde(default)]
    decided_by: String,
    #[serde(default)]
    reason: String,
}

impl Body {
    fn read(row: &ChangeRow) -> Result<Self, Fault> {
        serde_json::from_str(&row.body)
            .map_err(|e| Fault::internal(format!("the change request {} cannot be read: {e}", row.number)))
    }
    fn words(&self, row: &ChangeRow) -> String {
        let words = self.action.words(&row.flag, &row.environment);
        self.at.map_or(words.clone(), |at| format!("{words} at {at}"))
    }
    fn view(self, row: &ChangeRow, outdated: bool) -> RequestView {
        RequestView {
            number: row.number,
            flag: row.flag.clone(),
            environment: row.environment.clone(),
            text: self.words(row),
            action: self.action,
            at: self.at,
            author: self.author.id,
            created_at: row.created_at,
            expires_at: row.due_at,
            before: self.before,
            after: self.after,
            outdated,
            state: row.state.clone(),
            ended_at: row.ended_at,
            decided_by: self.decided_by,
            reason: self.reason,
        }
    }
}

/// What is asked for.
pub(in crate::flags) struct Asked<'a> {
    pub place: &'a str,
    pub action: &'a FlagAction,
    /// To be done then, not at once.
    pub at: Option<Timestamp>,
    pub late_ms_max: i64,
}

/// Writes a request and its event; gives its number. The same wish of the same person is the request there is already;
/// when the flag was changed since, it is based on the flag as it is now.
pub(in crate::flags) fn ask(
    t: &mut Txn<'_>,
    who: &Caller,
    before: &Flag,
    after: Option<&Flag>,
    asked: &Asked<'_>,
) -> Result<i64, Fault> {
    let (key, place, now) = (before.key.as_str(), asked.place, t.now());
    let basis = basis(before, place, asked.action);
    let unset = FlagEnvironment::default();
    let of = |flag: &Flag| told(flag.environments.get(place).unwrap_or(&unset));
    let query = ChangeQuery { flag: Some(key), state: Some(store::PENDING), limit: LISTED_MAX };
    for row in store::list(t.tx(), store::REQUEST, &query)? {
        let known = Body::read(&row)?;
        let same = known.action == *asked.action && known.at == asked.at && row.environment == place;
        if same && known.author == who.actor {
            let renewed = Body { before: of(before), after: after.map_or(Value::Null, of), basis, ..known };
            return renew(t, who, &row, renewed);
        }
    }
    if store::pending(t.tx(), store::REQUEST)? >= REQUESTS_MAX as i64 {
        return Err(Fault::conflict(format!("{REQUESTS_MAX} change requests wait already, which is the limit"))
            .advice("decide some of them first"));
    }
    let number = store::next_number(t.tx(), store::REQUEST)?;
    let body = Body {
        action: asked.action.clone(),
        author: who.actor.clone(),
        at: asked.at,
        late_ms_max: asked.late_ms_max,
        basis,
        before: of(before),
        after: after.map_or(Value::Null, of),
        decided_by: String::new(),
        reason: String::new(),
    };
    let row = ChangeRow {
        kind: store::REQUEST.into(),
        number,
        flag: key.to_owned(),
        environment: place.to_owned(),
        state: store::PENDING.into(),
        created_at: now,
        due_at: now.plus_ms(REQUEST_MS),
        ended_at: None,
        body: text(&body)?,
    };
    store::insert(t.tx(), &row)?;
    let wish = format!("wants to {} (change request {number})", body.words(&row));
    record(t, who, &row, &body, &wish)?;
    Ok(number)
}

/// Puts a request that waits on another basis, if it is another.
fn renew(t: &mut Txn<'_>, who: &Caller, row: &ChangeRow, renewed: Body) -> Result<i64, Fault> {
    if Body::read(row)?.basis == renewed.basis {
        return Ok(row.number);
    }
    let due_at = t.now().plus_ms(REQUEST_MS);
    store::renew(t.tx(), store::REQUEST, row.number, due_at, &text(&renewed)?)?;
    let wish = format!("still wants to {} (change request {}, as the flag is now)", renewed.words(row), row.number);
    record(t, who, row, &renewed, &wish)?;
    Ok(row.number)
}

fn record(t: &mut Txn<'_>, who: &Caller, row: &ChangeRow, body: &Body, wish: &str) -> Result<(), Fault> {
    let (number, place) = (row.number, row.environment.as_str());
    let text = format!("{} {wish}; a second person approves with: flag approve {number}", who.actor);
    let data = json!({
        "environment": place, "number": number, "action": body.action, "at": body.at, "before": body.before,
        "after": body.after,
    });
    t.record(draft(who, "flag.change_requested", &row.flag, place, text).data(data))?;
    Ok(())
}

fn text(body: &Body) -> Result<String, Fault> {
    serde_json::to_string(body).map_err(|e| Fault::internal(e.to_string()))
}

fn missing(number: i64) -> Fault {
    Fault::not_found(format!("there is no change request {number}")).advice("GET /api/flag-requests lists them")
}

/// How a request comes to its end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Approve,
    Force,
    Reject,
    Withdraw,
}

impl End {
    fn state(self) -> &'static str {
        match self {
            Self::Approve => APPROVED,
            Self::Force => FORCED,
            Self::Reject => REJECTED,
            Self::Withdraw => WITHDRAWN,
        }
    }

    fn check(self, who: &Caller, author: &Actor, row: &ChangeRow, reason: &str) -> Result<(), Fault> {
        let (number, place) = (row.number, Some(row.environment.as_str()));
        let own = who.actor == *author;
        match self {
            Self::Approve => {
                who.require(Role::Deployer, None, place)?;
                if own {
                    return Err(Fault::forbidden(format!("change request {number} is your own"))
                        .advice("somebody else approves it; an admin in need uses: flag force"));
                }
                if who.actor.kind != ActorKind::Person {
                    return Err(Fault::forbidden("only a person approves a change request"));
                }
            }
            Self::Reject if own => {
                return Err(Fault::forbidden(format!("change request {number} is your own")).advice("withdraw it"));
            }
            Self::Reject => who.require(Role::Deployer, None, place)?,
            Self::Withdraw if own => {}
            Self::Withdraw => who.require(Role::Admin, None, place)?,
            Self::Force => {
                who.require(Role::Admin, None, place)?;
                if reason.is_empty() {
                    return Err(Fault::invalid("breaking the glass takes a reason")
                        .advice("say why it cannot wait for a second person; everybody is told"));
                }
            }
        }
        Ok(())
    }
}

impl App {
    /// Change requests, the newest first; of one flag, or only those in a state.
    pub async fn flag_requests(&self, flag: Option<&str>, state: Option<&str>) -> Result<RequestList, Fault> {
        let (flag, state) = (flag.map(str::to_owned), state.map(str::to_owned));
        let rows = self
            .read(move |tx| {
                let query = ChangeQuery { flag: flag.as_deref(), state: state.as_deref(), limit: LISTED_MAX };
                Ok(store::list(tx, store::REQUEST, &query)?)
            })
            .await?;
        let items = rows.iter().map(|row| self.flag_request_view(row)).collect::<Result<_, _>>()?;
        Ok(RequestList { items })
    }

    fn flag_request_view(&self, row: &ChangeRow) -> Result<RequestView, Fault> {
        let body = Body::read(row)?;
        let now = self.flags.look(|t| {
            t.flags.get(&row.flag).filter(|e| !e.flag.archived).map(|e| basis(&e.flag, &row.environment, &body.action))
        });
        let outdated = row.state == store::PENDING && now.as_ref() != Some(&body.basis);
        Ok(body.view(row, outdated))
    }

    pub async fn flag_request_approve(&self, who: &Caller, number: i64) -> Result<RequestView, Fault> {
        self.flag_request_end(who, number, End::Approve, "").await
    }

    /// Applies it without a second person, and tells everybody.
    pub async fn flag_request_force(&self, who: &Caller, number: i64, reason: &str) -> Result<RequestView, Fault> {
        self.flag_request_end(who, number, End::Force, reason).await
    }

    pub async fn flag_request_reject(&self, who: &Caller, number: i64, reason: &str) -> Result<RequestView, Fault> {
        self.flag_request_end(who, number, End::Reject, reason).await
    }

    pub async fn flag_request_withdraw(&self, who: &Caller, number: i64) -> Result<RequestView, Fault> {
        self.flag_request_end(who, number, End::Withdraw, "").await
    }

    async fn flag_request_end(&self, who: &Caller, number: i64, how: End, reason: &str) -> Result<RequestView, Fault> {
        let reason = reason.trim().to_owned();
        if reason.chars().count() > REASON_CHARS_MAX {
            return Err(Fault::invalid(format!("a reason has at most {REASON_CHARS_MAX} characters")));
        }
        let known = self.flags.surroundings();
        let who = who.clone();
        let (row, changed) = self
            .transact(move |t| {
                let now = t.now();
                let mut row = store::get(t.tx(), store::REQUEST, number)?.ok_or_else(|| missing(number))?;
                let mut body = Body::read(&row)?;
                how.check(&who, &body.author, &row, &reason)?;
                if row.state != store::PENDING {
                    return Err(Fault::conflict(format!("change request {number} is {} already", row.state)));
                }
                who.actor.id.clone_into(&mut body.decided_by);
                body.reason.clone_from(&reason);
                row.body = text(&body)?;
                if !store::end(t.tx(), store::REQUEST, number, how.state(), now, &row.body)? {
                    return Err(Fault::conflict(format!("change request {number} has ended already")));
                }
                (row.state, row.ended_at) = (how.state().to_owned(), Some(now));
                let cause = t.record(decided(&who, &row, &body, how))?.id;
                if matches!(how, End::Reject | End::Withdraw) {
                    return Ok((row, None));
                }
                let (mut flag, _) = find(t, &row.flag)?;
                if basis(&flag, &row.environment, &body.action) != body.basis {
                    return Err(Fault::conflict(format!(
                        "{} was changed after change request {number} was made",
                        row.flag
                    ))
                    .advice("look at the flag and make a new request"));
                }
                // It is the author's change, under rights that the approver has as well.
                let author = Caller { actor: body.author.clone(), name: body.author.id.clone(), ..who.clone() };
                if let Some(at) = body.at {
                    let planned = Planned {
                        flag: &flag,
                        place: &row.environment,
                        action: &body.action,
                        at,
                        late_ms_max: body.late_ms_max,
                        approved: true,
                    };
                    plan(t, &author, &planned)?;
                    return Ok((row, None));
                }
                let events = carry_out(t, &author, &mut flag, &row.environment, &body.action, &known)?;
                let version = super::put(t, &mut flag, &body.author.id)?;
                for event in events {
                    t.record(event.causation(cause))?;
                }
                Ok((row, Some((flag, version))))
            })
            .await?;
        if let Some((flag, version)) = changed {
            self.flags.change(self.now(), |table| table.accept(flag, version));
            self.flags.watches.forget(&row.flag, &row.environment);
            self.flag_release(&row.flag, &row.environment).await;
        }
        self.flag_request_view(&row)
    }

    pub(super) async fn flag_request_expire(&self, row: ChangeRow) -> Result<(), Fault> {
        self.transact(move |t| {
            let (now, body) = (t.now(), Body::read(&row)?);
            if store::end(t.tx(), store::REQUEST, row.number, EXPIRED, now, &row.body)? {
                let words = body.words(&row);
                let text = format!("change request {} of {} expired: {words}", row.number, body.author);
                let mut event = draft(&Caller::system(), "flag.change_expired", &row.flag, &row.environment, text)
                    .data(json!({"number": row.number, "action": body.action}));
                event.on_behalf_of = Some(body.author);
                t.record(event)?;
            }
            Ok(())
        })
        .await
    }
}

fn decided(who: &Caller, row: &ChangeRow, body: &Body, how: End) -> tenfold_types::EventDraft {
    let (number, actor, author, words) = (row.number, &who.actor, &body.author, body.words(row));
    let because = if body.reason.is_empty() { String::new() } else { format!(": {}", body.reason) };
    let (kind, text) = match how {
        End::Approve => {
            ("flag.change_approved", format!("{actor} approved change request {number} of {author}: {words}"))
        }
        End::Reject => {
            ("flag.change_rejected", format!("{actor} rejected change request {number} of {author} ({words}){because}"))
        }
        End::Withdraw => ("flag.change_withdrawn", format!("{actor} withdrew change request {number}: {words}")),
        End::Force => (
            "flag.break_glass",
            format!("{actor} broke the glass for change request {number} of {author} ({words}){because}"),
        ),
    };
    let severity = if how == End::Force { Severity::Critical } else { Severity::Info };
    let data = json!({
        "environment": row.environment, "number": number, "action": body.action, "reason": body.reason,
        "before": body.before, "after": body.after,
    });
    draft(who, kind, &row.flag, &row.environment, text).data(data).severity(severity)
}

//! One digest: claim, commit `sending`, send, commit what became of it.

use serde::{Deserialize, Serialize};
use serde_json::json;
use tenfold_store::digests as store;
use tenfold_types::{Actor, EventDraft, Fault, Severity, Source, Timestamp};

use super::Digest;
use crate::{
    App, Txn,
    alerts::{Channel, Lease, Notice, NotifyError},
    incidents::{Reach, backoff_ms, in_time, person},
    people::Person,
};

pub(super) const DUE: &str = "due";
const SENDING: &str = "sending";
const ACCEPTED: &str = "accepted";
const FAILED: &str = "failed";
/// After so many tries, an hour and more, it is no news any more.
const TRIES_MAX: i64 = 20;
/// In quiet hours without a way that is allowed then, it is looked at again after this time.
const QUIET_WAIT_MS: i64 = 900_000;
/// It waits for the end of quiet hours for no longer than this: a digest of the day before yesterday helps nobody.
const QUIET_MS_MAX: i64 = 48 * 3_600_000;

/// What is stored of a digest.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Body {
    #[serde(flatten)]
    pub digest: Digest,
    /// Channels that refused it for good.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<Channel>,
    /// The channel that took it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told_by: Option<Channel>,
}

impl Body {
    pub(super) fn to_json(&self) -> Result<String, Fault> {
        serde_json::to_string(self).map_err(|e| Fault::internal(e.to_string()))
    }
}

fn read(row: &store::DigestRow) -> Result<Body, Fault> {
    serde_json::from_str(&row.body).map_err(|e| Fault::internal(format!("the digest {} cannot be read: {e}", row.id)))
}

/// How a digest goes to somebody at an instant.
#[derive(Debug, PartialEq, Eq)]
enum Way {
    By(Channel, String),
    /// Quiet hours hold, and no way is allowed.
    Later,
    /// No quiet way is left; why.
    None(&'static str),
}

/// The first quiet way by the person's own order that has not refused it.
fn way(person: Option<&Person>, reach: &Reach, refused: &[Channel], now: Timestamp) -> Way {
    let Some(person) = person else { return Way::None("there is no such account, or it is closed") };
    let ways: Vec<(Channel, String)> = reach
        .planned(person)
        .into_iter()
        .filter(|(channel, _)| channel.tells_quietly() && !refused.contains(channel))
        .collect();
    if ways.is_empty() {
        return Way::None(if refused.is_empty() {
            "no way that does not ring is set up"
        } else {
            "every way that does not ring refused it"
        });
    }
    let quiet = person.contact.quiet.as_ref().filter(|quiet| quiet.covers(now, &person.timezone));
    let allowed = |channel: &Channel| quiet.is_none_or(|quiet| quiet.allows(channel.as_str()));
    match ways.into_iter().find(|(channel, _)| allowed(channel)) {
        Some((channel, to)) => Way::By(channel, to),
        None => Way::Later,
    }
}

/// A digest that is ours to send.
#[derive(Debug, Clone)]
struct Claimed {
    id: String,
    login: String,
    channel: Channel,
    to: String,
    notice: Notice,
}

pub(super) async fn one(app: &App, lease: &Lease, id: String) -> Result<(), Fault> {
    let Some(claimed) = claim(app, lease, id).await? else { return Ok(()) };
    let answer = send(app, &claimed).await;
    finish(app, lease, claimed, answer).await
}

async fn claim(app: &App, lease: &Lease, id: String) -> Result<Option<Claimed>, Fault> {
    let (lease, reach, base) = (lease.clone(), app.reach(), app.settings.clone());
    app.housekeeping(move |t| {
        lease.check(t)?;
        let now = t.now();
        let Some(mut row) = store::get(t.tx(), &id)? else { return Ok(None) };
        let ours = match row.state.as_str() {
            DUE => row.next_at.is_some_and(|at| at <= now),
            SENDING => row.epoch <= lease.epoch,
            _ => false,
        };
        if !ours {
            return Ok(None);
        }
        let body = read(&row)?;
        let whom = person(t.tx(), &row.person)?;
        let (channel, to) = match way(whom.as_ref(), &reach, &body.refused, now) {
            Way::By(channel, to) => (channel, to),
            Way::Later if now.since_ms(row.made_at) >= QUIET_MS_MAX => {
                gave_up(t, &mut row, &body, "their quiet hours allowed no way for two days")?;
                return Ok(None);
            }
            Way::Later => {
                DUE.clone_into(&mut row.state);
                row.next_at = Some(now.plus_ms(QUIET_WAIT_MS));
                store::put(t.tx(), &row)?;
                return Ok(None);
            }
            Way::None(because) => {
                gave_up(t, &mut row, &body, because)?;
                return Ok(None);
            }
        };
        SENDING.clone_into(&mut row.state);
        row.tries += 1;
        row.epoch = lease.epoch;
        row.next_at = None;
        store::put(t.tx(), &row)?;
        let link = base.link(&body.digest.page);
        let notice = Notice {
            subject: body.digest.subject.clone(),
            text: format!("{}\n\n{link}\n", body.digest.text.trim_end()),
            link,
            thread: format!("digest-{}", row.id.replace('/', "-")),
            incident: 0,
            service: None,
            environment: None,
            severity: "info".to_owned(),
            at: row.made_at,
        };
        Ok(Some(Claimed { id: row.id, login: row.person, channel, to, notice }))
    })
    .await
}

/// The same for every try. Another server may owe the same person a digest of the same name, and whoever counts keys is to take
/// both: it has this server's place in it.
fn key(id: &str, notice: &Notice, channel: Channel) -> String {
    format!("{id}.{}.{}", notice.plain_place(), channel.as_str())
}

async fn send(app: &App, claimed: &Claimed) -> Result<(), NotifyError> {
    let key = key(&claimed.id, &claimed.notice, claimed.channel);
    let sending = async {
        if claimed.channel == Channel::Irc {
            let text = format!("{} {}", claimed.notice.subject, claimed.notice.link);
            return app.chat_direct(&claimed.login, &text).await.map_err(|fault| NotifyError::later(fault.message));
        }
        let Some(notifier) = app.alerts.notifier.read().clone() else {
            return Err(NotifyError::later("no channel is connected"));
        };
        notifier.send(claimed.channel, &claimed.to, &claimed.notice, &key).await
    };
    in_time(sending).await
}

async fn finish(app: &App, lease: &Lease, claimed: Claimed, answer: Result<(), NotifyError>) -> Result<(), Fault> {
    let lease = lease.clone();
    app.housekeeping(move |t| {
        let now = t.now();
        let Some(mut row) = store::get(t.tx(), &claimed.id)? else { return Ok(()) };
        // A newer epoch sends it.
        if row.state != SENDING || row.epoch != lease.epoch {
            return Ok(());
        }
        let mut body = read(&row)?;
        let error = match &answer {
            Ok(()) => {
                ACCEPTED.clone_into(&mut row.state);
                body.told_by = Some(claimed.channel);
                row.body = body.to_json()?;
                store::put(t.tx(), &row)?;
                return taken(t, &row, &body, claimed.channel);
            }
            Err(error) => error,
        };
        if row.tries >= TRIES_MAX {
            return gave_up(t, &mut row, &body, &error.message);
        }
        DUE.clone_into(&mut row.state);
        row.next_at = Some(now.plus_ms(backoff_ms(row.tries, error)));
        if error.permanent {
            // The next way is tried at once.
            body.refused.push(claimed.channel);
            row.next_at = Some(now);
        }
        row.body = body.to_json()?;
        store::put(t.tx(), &row)?;
        Ok(())
    })
    .await
}

fn taken(t: &mut Txn<'_>, row: &store::DigestRow, body: &Body, channel: Channel) -> Result<(), Fault> {
    let name = person(t.tx(), &row.person)?.map_or_else(|| row.person.clone(), |p| p.name);
    let text = format!("Told {name} by {}: {}", channel.as_str(), body.digest.subject);
    let data = json!({"digest": row.id, "person": row.person, "channel": channel.as_str()});
    let draft = EventDraft::new(Actor::system(), Source::System, "digest.sent", text);
    t.record(draft.severity(Severity::Debug).data(data))?;
    Ok(())
}

fn gave_up(t: &mut Txn<'_>, row: &mut store::DigestRow, body: &Body, because: &str) -> Result<(), Fault> {
    FAILED.clone_into(&mut row.state);
    row.next_at = None;
    store::put(t.tx(), row)?;
    let name = person(t.tx(), &row.person)?.map_or_else(|| row.person.clone(), |p| p.name);
    let text = format!("{name} was not told ({because}): {}", body.digest.subject);
    let data = json!({"digest": row.id, "person": row.person, "error": because});
    let draft = EventDraft::new(Actor::system(), Source::System, "digest.failed", text);
    t.record(draft.severity(Severity::Warning).data(data))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_servers_have_keys_of_their_own() {
        let of = |link: &str| {
            let notice = Notice {
                subject: "Your shift".to_owned(),
                text: String::new(),
                link: link.to_owned(),
                thread: "handoff-web".to_owned(),
                incident: 0,
                service: None,
                environment: None,
                severity: "info".to_owned(),
                at: Timestamp(0),
            };
            key("handoff/web/1/ana", &notice, Channel::Mail)
        };
        assert_eq!(of("https://tenfold.example.org/on-call"), "handoff/web/1/ana.tenfold-example-org.mail");
        assert_ne!(of("https://tenfold.example.org/on-call"), of("https://staging.example.org/on-call"));
        assert_eq!(of("http://[::1]:7070/alerts/noise"), "handoff/web/1/ana.---1--7070.mail");
    }
}

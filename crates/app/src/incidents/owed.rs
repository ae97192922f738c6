//! Who is owed news after a page, and when. Written in the transaction that makes the news.

use std::collections::BTreeSet;

use tenfold_store::{incidents as store, page_updates as updates};
use tenfold_types::{Fault, Timestamp};

use super::{
    message::TEST_INCIDENT,
    stored::{Incident, State, word},
};
use crate::{
    Txn,
    alerts::{Channel, UpdateKind},
};

/// Alerts that join within this time are told of together.
const GROWN_WAIT_MS: i64 = 30_000;
/// Between two tellings that an incident grew, unless the route's `group_interval` is longer: Alertmanager's usual one.
const GROWN_INTERVAL_MS: i64 = 300_000;

/// Everybody whose page was taken is to hear that more alerts joined, or that it is open again.
pub(super) fn owe_grown(t: &mut Txn<'_>, incident: &Incident, group_interval_ms: i64) -> Result<(), Fault> {
    owe_all(t, incident, UpdateKind::Grown, group_interval_ms.max(GROWN_INTERVAL_MS))
}

/// Everybody whose page was taken is to hear that somebody has it, or that it is over.
pub(super) fn owe(t: &mut Txn<'_>, incident: &Incident, kind: UpdateKind) -> Result<(), Fault> {
    owe_all(t, incident, kind, 0)
}

/// An address that several pages went to hears it once, but each message that can be changed is.
fn owe_all(t: &mut Txn<'_>, incident: &Incident, kind: UpdateKind, interval_ms: i64) -> Result<(), Fault> {
    let mut told = BTreeSet::new();
    for page in store::pages(t.tx(), incident.number)? {
        for delivery in store::deliveries(t.tx(), &page.id)? {
            let Some(channel) = Channel::parse(&delivery.channel) else { continue };
            // A try whose answer nobody has may have opened something there, or ring on; to end what is not there does no harm.
            let lasts = channel.closes() || incident.rings_on(channel);
            let perhaps = lasts && delivery.tries > 0 && kind != UpdateKind::Grown;
            if delivery.state != word::ACCEPTED && !perhaps {
                continue;
            }
            let changed = channel.edits() && !channel.closes();
            let first = told.insert((delivery.channel.clone(), delivery.target.clone()));
            if changed || first {
                owe_one(t, incident, (&page, &delivery), kind, interval_ms)?;
            }
        }
    }
    Ok(())
}

/// A page was taken after it had been cancelled: whoever has it now hears how things stand.
pub(super) fn owe_late(t: &mut Txn<'_>, page: &store::PageRow, delivery: &store::DeliveryRow) -> Result<(), Fault> {
    if page.incident == TEST_INCIDENT {
        return Ok(());
    }
    let incident = Incident::get(t.tx(), page.incident)?;
    match incident.state {
        State::Open => Ok(()),
        State::Acknowledged => owe_one(t, &incident, (page, delivery), UpdateKind::Acknowledged, 0),
        State::Resolved => owe_one(t, &incident, (page, delivery), UpdateKind::Over, 0),
    }
}

fn owe_one(
    t: &mut Txn<'_>,
    incident: &Incident,
    (page, delivery): (&store::PageRow, &store::DeliveryRow),
    kind: UpdateKind,
    interval_ms: i64,
) -> Result<(), Fault> {
    let now = t.now();
    let Some(channel) = Channel::parse(&delivery.channel).filter(|c| c.hears(kind)) else { return Ok(()) };
    // Where nothing rings on it would tell nobody anything, in place of news that waits.
    if kind == UpdateKind::Acknowledged && channel.rings_on() && !incident.rings_on(channel) {
        return Ok(());
    }
    let before = updates::get(t.tx(), &page.id, &delivery.channel)?;
    if kind == UpdateKind::Grown && !grows(incident, page, channel, before.as_ref()) {
        return Ok(());
    }
    let over = UpdateKind::Over.as_str();
    // A try whose answer nobody has may have told them.
    if let Some(waiting) = before.as_ref().filter(|b| b.tries == 0)
        && (kind, waiting.state.as_str(), waiting.told.as_deref()) == (UpdateKind::Over, word::DUE, Some(over))
    {
        // They were told that it is over, and have not heard that it was not.
        let (state, next_at) = (word::SUPERSEDED.to_owned(), None);
        updates::put(t.tx(), &updates::UpdateRow { state, next_at, kind: over.to_owned(), ..waiting.clone() })?;
        return Ok(());
    }
    let (revision, told_at, told) = before.map_or((0, None, None), |b| (b.revision, b.told_at, b.told));
    let grown = kind == UpdateKind::Grown;
    // They were told that it is over, and it is not: that does not wait long, and not at all when nobody has it.
    let again = grown && told.as_deref() == Some(over);
    let next_at = match (grown, again, incident.state) {
        (true, true, State::Open) | (false, _, _) => now,
        (true, true, _) => now.plus_ms(GROWN_WAIT_MS),
        (true, false, _) => grown_at(now, told_at, interval_ms),
    };
    updates::put(
        t.tx(),
        &updates::UpdateRow {
            page: page.id.clone(),
            channel: delivery.channel.clone(),
            kind: kind.as_str().to_owned(),
            revision: revision + 1,
            state: word::DUE.to_owned(),
            tries: 0,
            next_at: Some(next_at),
            epoch: 0,
            told_at,
            told,
        },
    )?;
    Ok(())
}

fn grown_at(now: Timestamp, told_at: Option<Timestamp>, interval_ms: i64) -> Timestamp {
    let soon = now.plus_ms(GROWN_WAIT_MS);
    // It is later than now when the clock was set back.
    told_at.map_or(soon, |at| at.min(now).plus_ms(interval_ms).max(soon))
}

/// Whether this message tells of a growth. What waits to be told tells of it anyway. After an acknowledgement only
/// messages that are changed do, and those of whoever has it; what was closed elsewhere would page again.
fn grows(incident: &Incident, page: &store::PageRow, channel: Channel, before: Option<&updates::UpdateRow>) -> bool {
    let said = before.and_then(|b| UpdateKind::parse(&b.kind));
    let waits = before.is_some_and(|b| b.state == word::DUE && said != Some(UpdateKind::Over));
    let acknowledges = before.is_some_and(|b| b.state == word::SENDING && said == Some(UpdateKind::Acknowledged));
    if waits || acknowledges {
        return false;
    }
    if incident.state != State::Acknowledged {
        return true;
    }
    let closed = channel.closes() && said == Some(UpdateKind::Over);
    !closed && (channel.edits() || page.state == word::ACKNOWLEDGED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growths_are_told_together_and_not_too_often() {
        let now = Timestamp(1_000_000);
        assert_eq!(grown_at(now, None, 300_000), Timestamp(1_030_000));
        assert_eq!(grown_at(now, Some(Timestamp(990_000)), 300_000), Timestamp(1_290_000));
        assert_eq!(grown_at(now, Some(Timestamp(100_000)), 300_000), Timestamp(1_030_000));
        assert_eq!(grown_at(now, Some(Timestamp(9_000_000)), 300_000), Timestamp(1_300_000), "the clock was set back");
    }
}

//! A test page: the same way a real one goes, to see that a person can be reached before it matters.

use tenfold_oncall::TestFacts;
use tenfold_store::{Tx, counters, incidents as store};
use tenfold_types::{EventDraft, Fault, PageId, Severity};

use super::{
    escalate::Channels,
    message::TEST_INCIDENT,
    stored::{person, word},
    views::{PageView, page_view},
};
use crate::{
    App, Caller, Role,
    alerts::Channel,
    people::{Person, planned},
};

/// How people are reached on this server.
pub(crate) struct Reach(Channels);

impl Reach {
    /// The channels that are set up and for which somebody has an address.
    pub(crate) fn ways(&self, person: &Person) -> Vec<Channel> {
        self.0.for_person(person).into_iter().map(|(channel, _)| channel).collect()
    }

    /// The same with their addresses, in the order of the person's own rules for what is not critical.
    pub(crate) fn planned(&self, person: &Person) -> Vec<(Channel, String)> {
        let mut ways = self.0.for_person(person);
        let first = planned(person.contact.rules.as_ref(), false, ways.clone());
        let place = |channel: Channel| first.iter().position(|way| way.channel == channel).unwrap_or(usize::MAX);
        ways.sort_by_key(|(channel, _)| place(*channel));
        ways
    }
}

/// How somebody's last test page went.
pub(crate) fn last_test(tx: &mut dyn Tx, login: &str) -> Result<Option<TestFacts>, Fault> {
    let Some(page) = store::page_last(tx, TEST_INCIDENT, login)? else { return Ok(None) };
    let mut test = TestFacts { at: page.due_at, taken: Vec::new(), failed: Vec::new(), waiting: Vec::new() };
    for delivery in store::deliveries(tx, &page.id)? {
        let of = match delivery.state.as_str() {
            word::FAILED => &mut test.failed,
            word::DUE | word::SENDING => &mut test.waiting,
            _ => &mut test.taken,
        };
        of.push(delivery.channel);
    }
    Ok(Some(test))
}

impl App {
    pub(crate) fn reach(&self) -> Reach {
        Reach(Channels::of(self))
    }

    /// Pages a person on every channel that is set up and has an address. People may test themselves; others need to be
    /// responders.
    pub async fn page_test(&self, who: &Caller, login: &str) -> Result<PageView, Fault> {
        if who.actor.id != login {
            who.require(Role::Responder, None, None)?;
        }
        let (who, login, channels) = (who.clone(), login.to_owned(), Channels::of(self));
        let view = self
            .transact(move |t| {
                let now = t.now();
                let Some(person) = person(t.tx(), &login)? else {
                    return Err(Fault::not_found(format!("there is no person `{login}`")));
                };
                let ways = channels.for_person(&person);
                if ways.is_empty() {
                    return Err(Fault::conflict(format!(
                        "{} cannot be reached: no channel that is set up has an address",
                        person.name
                    ))
                    .advice("set [mail] or [irc] in tenfold.toml and the person's contact on the Settings page"));
                }
                let id = PageId::new(now, t.entropy()).to_string();
                let page = store::PageRow {
                    id: id.clone(),
                    incident: TEST_INCIDENT,
                    step: 0,
                    round: counters::next(t.tx(), "test_page")?,
                    person: login.clone(),
                    state: word::DUE.to_owned(),
                    due_at: now,
                    delivered_at: None,
                    body: "{}".to_owned(),
                };
                store::page_insert(t.tx(), &page)?;
                for (channel, address) in ways {
                    store::delivery_insert(
                        t.tx(),
                        &store::DeliveryRow {
                            page: id.clone(),
                            channel: channel.as_str().to_owned(),
                            target: address,
                            idempotency_key: format!("{id}.{}", channel.as_str()),
                            state: word::DUE.to_owned(),
                            tries: 0,
                            next_at: Some(now),
                            epoch: 0,
                            message: None,
                        },
                    )?;
                }
                let text = format!("{} sends a test page to {}", who.name, person.name);
                t.record(
                    EventDraft::new(who.actor.clone(), who.source, "page.tested", text)
                        .severity(Severity::Debug)
                        .data(serde_json::json!({"page": id, "person": login})),
                )?;
                page_view(t.tx(), &page)
            })
            .await?;
        self.incidents.wake();
        Ok(view)
    }
}

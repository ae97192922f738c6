//! Alerts of senders that name each by a key: the same key of the same sender is the same alert, whatever else is said of it.

use std::collections::{BTreeMap, BTreeSet};

use tenfold_alerting::Alert;
use tenfold_protocols::alert_hook::{KeyedAlert, SaidState};
use tenfold_store::alerts as store;
use tenfold_types::{ErrorCode, Fault, Timestamp};

use super::{
    PostedAlert,
    received::{GROUP, Received, read},
    transitions::body,
};
use crate::{App, Caller, Role};

/// The label that holds the key.
pub const KEY_LABEL: &str = "dedup_key";
/// How long what fires is believed without a word more: such a sender says it once, or rarely.
const BELIEVED_MS: i64 = 30 * 86_400_000;
/// Alerts of a sender that were given up and whose end it may still tell.
const GIVEN_UP_MAX: i64 = 2_000;

/// What a sender says of one key, as an alert; nothing where there is nothing that it could be about. `before` is the
/// alert that it has under that key.
fn posted(one: KeyedAlert, before: Option<Alert>, sender: (&str, &str), now: Timestamp) -> Option<PostedAlert> {
    let firing = one.state == SaidState::Firing;
    let (labels, annotations) = match (before, firing) {
        // What fires goes on as it is.
        (Some(before), true) => (pairs(&before), one.annotations),
        (Some(before), false) => (pairs(&before), before.annotations),
        (None, true) => {
            let own = [(sender.0.to_owned(), sender.1.to_owned()), (KEY_LABEL.to_owned(), one.key)];
            (one.labels.into_iter().chain(own).collect(), one.annotations)
        }
        // The end of something that is not there is no mistake.
        (None, false) => return None,
    };
    Some(PostedAlert {
        labels,
        annotations: Some(annotations),
        // Without a start it would start at its end, which is far away.
        starts_at: firing.then(|| one.starts_at.filter(|at| *at <= now).unwrap_or(now)),
        ends_at: Some(if firing { now.plus_ms(BELIEVED_MS) } else { now }),
        generator_url: one.url,
    })
}

/// Whether a sender may say this. Of a key that is its own it may say the end whatever the alert is about: that was asked
/// when it fired, and the sender may be about something else by now.
fn may(who: &Caller, one: &KeyedAlert) -> Result<(), Fault> {
    if one.state != SaidState::Firing {
        return Ok(());
    }
    let label = |name: &str| one.labels.get(name).map(String::as_str);
    who.require(Role::Responder, label("service"), label("environment"))
}

impl App {
    /// Takes what a sender says. `sender` is the label that every alert of it has. Of a key that is there twice, the last
    /// word counts.
    pub async fn alerts_keyed(&self, who: &Caller, sender: (&str, &str), said: Vec<KeyedAlert>) -> Result<(), Fault> {
        said.iter().try_for_each(|one| may(who, one))?;
        let _one = self.alerts.keyed.lock().await;
        // Another node may have the alerts that a key is of.
        self.alerts_taking().await?;
        let said: BTreeMap<String, KeyedAlert> = said.into_iter().map(|one| (one.key.clone(), one)).collect();
        let mut known = self.keyed_known(sender, &said);
        let over = said.values().filter(|one| one.state == SaidState::Resolved && !known.contains_key(&one.key));
        let over: BTreeSet<String> = over.map(|one| one.key.clone()).collect();
        known.extend(self.keyed_given_up(sender, over).await?);
        let resolve_timeout_ms = self.alerts.routing()?.routing.resolve_timeout_ms;
        let now = self.now();
        let (mut words, mut wrong) = (Vec::new(), Vec::new());
        for one in said.into_values() {
            let (before, silent) = (known.remove(&one.key), one.state == SaidState::Silent);
            let Some(posted) = posted(one, before, sender, now) else { continue };
            match read(posted, now, resolve_timeout_ms) {
                Ok(mut word) => {
                    word.silent = silent;
                    words.push(word);
                }
                Err(error) => wrong.push(error),
            }
        }
        if !words.is_empty() {
            self.hear(words, now).await?;
        }
        if wrong.is_empty() { Ok(()) } else { Err(Fault::new(ErrorCode::BadRequest, wrong.join("; "))) }
    }

    fn keyed_known(&self, sender: (&str, &str), said: &BTreeMap<String, KeyedAlert>) -> BTreeMap<String, Alert> {
        let received = self.alerts.received.lock();
        let own = received.values().filter(|r| r.alert.labels.get(sender.0) == Some(sender.1));
        let wanted = own.filter_map(|r| {
            let (key, _) = said.get_key_value(r.alert.labels.get(KEY_LABEL)?)?;
            Some((key.clone(), r.alert.clone()))
        });
        wanted.collect()
    }

    /// Of keys that nobody follows, the alerts that were given up while their sender was silent.
    async fn keyed_given_up(
        &self,
        sender: (&str, &str),
        keys: BTreeSet<String>,
    ) -> Result<Vec<(String, Alert)>, Fault> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let sender = (sender.0.to_owned(), sender.1.to_owned());
        // As both stand in the stored JSON.
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let holding = format!("{}:{}", quoted(&sender.0), quoted(&sender.1));
        self.read(move |tx| {
            let mut found: BTreeMap<String, Alert> = BTreeMap::new();
            for row in store::ended_holding(tx, GROUP, &holding, "\"no_data_since\":null", GIVEN_UP_MAX)? {
                let alert = body(&row)?.alert;
                let key = alert.labels.get(KEY_LABEL).filter(|key| keys.contains(*key)).map(str::to_owned);
                if let Some(key) = key.filter(|_| alert.labels.get(&sender.0) == Some(sender.1.as_str())) {
                    // The newest counts.
                    found.entry(key).or_insert(alert);
                }
            }
            Ok(found.into_iter().collect())
        })
        .await
    }

    /// The alert of a sender that goes on under a key, if one does. Keys of others are none of its.
    pub async fn alert_keyed(&self, sender: (&str, &str), key: &str) -> Result<Option<Alert>, Fault> {
        self.alerts_taking().await?;
        let wanted = [sender, (KEY_LABEL, key)];
        let received = self.alerts.received.lock();
        let fits = |r: &&Received| wanted.iter().all(|(n, v)| r.alert.labels.get(n) == Some(*v));
        Ok(received.values().find(fits).map(|r| r.alert.clone()))
    }
}

fn pairs(alert: &Alert) -> BTreeMap<String, String> {
    alert.labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENDER: (&str, &str) = ("alert_source", "nightly");
    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    fn said(state: SaidState) -> KeyedAlert {
        KeyedAlert {
            key: "db1".into(),
            state,
            labels: BTreeMap::from([("service".to_owned(), "albums".to_owned())]),
            annotations: BTreeMap::new(),
            starts_at: None,
            url: None,
        }
    }

    #[test]
    fn an_end_is_of_what_the_key_was_of() {
        let fires = posted(said(SaidState::Firing), None, SENDER, NOW).expect("it fires");
        assert_eq!(fires.labels["dedup_key"], "db1");
        assert_eq!((fires.starts_at, fires.ends_at), (Some(NOW), Some(NOW.plus_ms(BELIEVED_MS))));
        let before = read(fires.clone(), NOW, 300_000).expect("it is right").alert;
        for state in [SaidState::Resolved, SaidState::Silent] {
            assert!(posted(said(state), None, SENDER, NOW).is_none(), "nothing there");
            let over = posted(said(state), Some(before.clone()), SENDER, NOW).expect("it is known");
            assert_eq!((over.labels, over.ends_at), (fires.labels.clone(), Some(NOW)));
        }
    }
}

//! Alerts of senders that name each by a key: the same key of the same sender is the same alert, whatever else is said of it.

use std::collections::{BTreeMap, BTreeSet};

use tenfold_alerting::Alert;
use tenfold_protocols::alert_hook::{KeyedAlert, SaidState};
use tenfold_store::alerts as store;
use tenfold_types::{ErrorCode, Fault, Labels, Timestamp};

use super::{
    PostedAlert,
    ahead::Mark,
    flaps::aside_since,
    inbox::{Words, keyed_name},
    posted::{Said, read},
    received::{GROUP, Received},
    transitions::{body, place},
};
use crate::{App, Caller, Role, sources::SENDER};

/// The label that holds the key.
pub const KEY_LABEL: &str = "dedup_key";
/// The label of the token that a sender of PagerDuty events has.
pub const INTEGRATION_LABEL: &str = "integration";
/// How long what fires is believed without a word more: such a sender says it once, or rarely.
const BELIEVED_MS: i64 = 30 * 86_400_000;
/// Alerts of a sender that were given up and whose end it may still tell.
const GIVEN_UP_MAX: i64 = 2_000;

/// What a sender says of one key, as alerts; none where there is nothing that it could be about. `before` is the alert that it
/// has under that key.
///
/// What fires goes on as it is, whatever else is said of it, unless it gets worse: then it is another alert, which people are
/// told of, and the one that it was is over. It begins before that one ends, so that the incident of both stays open. Where
/// people have put that one `aside` it begins anew: nobody would hear of it else.
fn posted(
    one: KeyedAlert,
    before: Option<Alert>,
    aside: bool,
    sender: (&str, &str),
    now: Timestamp,
) -> Vec<PostedAlert> {
    let fires = |labels, annotations, starts_at: Option<Timestamp>, url| PostedAlert {
        labels,
        annotations: Some(annotations),
        // Without a start it would start at its end, which is far away.
        starts_at: Some(starts_at.filter(|at| *at <= now).unwrap_or(now)),
        ends_at: Some(now.plus_ms(BELIEVED_MS)),
        generator_url: url,
    };
    let over = |before: &Alert, url| PostedAlert {
        labels: pairs(before),
        annotations: Some(BTreeMap::from(&*before.annotations)),
        starts_at: None,
        ends_at: Some(now),
        generator_url: url,
    };
    let own = [(sender.0, sender.1), (KEY_LABEL, one.key.as_str())].map(|(n, v)| (n.to_owned(), v.to_owned()));
    match (before, one.state == SaidState::Firing) {
        (Some(before), true) => {
            let labels: BTreeMap<_, _> = anew(one.labels, &before).into_iter().chain(own).collect();
            if aside {
                let ends = over(&before, one.url.clone());
                return vec![ends, fires(labels, one.annotations, one.starts_at, one.url)];
            }
            if is_worse(&labels, &before) {
                let url = one.url.clone();
                return vec![fires(labels, one.annotations, Some(now), url), over(&before, one.url)];
            }
            vec![fires(pairs(&before), one.annotations, one.starts_at, one.url)]
        }
        (Some(before), false) => vec![over(&before, one.url)],
        (None, true) => {
            vec![fires(one.labels.into_iter().chain(own).collect(), one.annotations, one.starts_at, one.url)]
        }
        // The end of something that is not there is no mistake.
        (None, false) => Vec::new(),
    }
}

/// The labels that an alert has from now on. What it is about stays when nothing is said of that.
fn anew(mut labels: BTreeMap<String, String>, before: &Alert) -> BTreeMap<String, String> {
    for name in ["service", "environment", "env"] {
        if let Some(value) = before.labels.get(name) {
            labels.entry(name.to_owned()).or_insert_with(|| value.to_owned());
        }
    }
    labels
}

/// Whether people have to be told that an alert is not what it was: it is more severe, it pages, or it is about another
/// service.
fn is_worse(labels: &BTreeMap<String, String>, before: &Alert) -> bool {
    let labels = Labels::from_pairs(labels.iter().map(|(n, v)| (n.clone(), v.clone())));
    tenfold_alerting::is_worse(&labels, &before.labels) || place(&labels) != place(&before.labels)
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

/// Whether a sender says that an alert which it has is still the one that it was: one that says since when has not begun anew.
/// The time of a PagerDuty event is its own.
fn is_same(sender: (&str, &str), one: &KeyedAlert, before: &Alert) -> bool {
    sender.0 == SENDER && one.starts_at.is_some_and(|at| at <= before.active_since)
}

impl App {
    /// Takes what a sender says. `sender` is the label that every alert of it has. Of a key that is there twice, the last
    /// word counts. What it may say counts even when it may not say all of it. On a node that does not take alerts it is kept
    /// for the one that does, and on that one while what was said of the key before waits.
    pub async fn alerts_keyed(
        &self,
        who: &Caller,
        sender: (&str, &str),
        mut said: Vec<KeyedAlert>,
    ) -> Result<(), Fault> {
        let mut forbidden = None;
        said.retain(|one| match may(who, one) {
            Ok(()) => true,
            Err(fault) => {
                forbidden.get_or_insert(fault);
                false
            }
        });
        self.keyed_in_turn(sender, said).await?;
        forbidden.map_or(Ok(()), Err)
    }

    async fn keyed_in_turn(&self, sender: (&str, &str), said: Vec<KeyedAlert>) -> Result<(), Fault> {
        if !self.takes_alerts().await? {
            return self.keyed_hand_on(sender, said, false).await;
        }
        let _one = self.alerts.keyed.lock().await;
        if !self.alerts_wait() {
            return self.hear_keyed(sender, said, self.now()).await;
        }
        let (behind, said): (Vec<_>, Vec<_>) = said.into_iter().partition(|one| self.keyed_waits(sender, one));
        let kept = self.keyed_hand_on(sender, behind, true).await;
        // What could not be kept is sent again, with all of the request.
        if kept.as_ref().is_err_and(|fault| fault.code != ErrorCode::BadRequest) {
            return kept;
        }
        self.hear_keyed(sender, said, self.now()).await.and(kept)
    }

    /// What would be refused here is refused at once; for all else its sender has the answer when it is kept.
    async fn keyed_hand_on(&self, sender: (&str, &str), mut said: Vec<KeyedAlert>, here: bool) -> Result<(), Fault> {
        let now = self.now();
        let resolve_timeout_ms = self.alerts.routing()?.routing.resolve_timeout_ms;
        let mut wrong = Vec::new();
        said.retain(|one| {
            let mut as_alerts = posted(one.clone(), None, false, sender, now).into_iter();
            let error = as_alerts.find_map(|alert| read(alert, now, resolve_timeout_ms).err());
            let right = error.is_none();
            wrong.extend(error);
            right
        });
        if !said.is_empty() {
            let (label, value) = (sender.0.to_owned(), sender.1.to_owned());
            self.alerts_hand_on(&Words::Keyed { label, value, said }, here).await?;
        }
        if wrong.is_empty() { Ok(()) } else { Err(Fault::new(ErrorCode::BadRequest, wrong.join("; "))) }
    }

    /// Hears what a sender said at `now`. Only while `keyed` is held.
    pub(super) async fn hear_keyed(
        &self,
        sender: (&str, &str),
        said: Vec<KeyedAlert>,
        now: Timestamp,
    ) -> Result<(), Fault> {
        let mark = self.alerts.ahead.mark();
        // Another node may have the alerts that a key is of.
        self.alerts_taking().await?;
        let said: BTreeMap<String, KeyedAlert> = said.into_iter().map(|one| (one.key.clone(), one)).collect();
        let mut known = self.keyed_known(sender, &said);
        let aside = self.keyed_aside(sender, (&said, &known), mark, now).await?;
        let over = said.values().filter(|one| one.state == SaidState::Resolved && !known.contains_key(&one.key));
        let over: BTreeSet<String> = over.map(|one| one.key.clone()).collect();
        self.ended_aside(over.iter().map(|key| keyed_name(sender, key)).collect(), now).await?;
        known.extend(self.keyed_given_up(sender, over).await?);
        let resolve_timeout_ms = self.alerts.routing()?.routing.resolve_timeout_ms;
        let (mut words, mut wrong) = (Vec::new(), Vec::new());
        for one in said.into_values() {
            let (before, silent) = (known.remove(&one.key), one.state == SaidState::Silent);
            let aside = aside.contains(&one.key);
            let heard: Result<Vec<Said>, String> = posted(one, before, aside, sender, now)
                .into_iter()
                .map(|one| read(one, now, resolve_timeout_ms))
                .collect();
            match heard {
                Ok(said) => {
                    // The one that it was comes with it: it is worse than that one, or people have done with that one.
                    let at_once = said.len() > 1;
                    words.extend(said.into_iter().map(|mut word| {
                        (word.silent, word.at_once) = (silent, at_once);
                        word
                    }));
                }
                Err(error) => wrong.push(error),
            }
        }
        if !words.is_empty() {
            self.hear(words, now).await?;
        }
        if wrong.is_empty() { Ok(()) } else { Err(Fault::new(ErrorCode::BadRequest, wrong.join("; "))) }
    }

    /// Keys of which something is said to fire that people had put aside by `at`, when it was said, unless it is said to be the
    /// same that it was.
    async fn keyed_aside(
        &self,
        sender: (&str, &str),
        (said, known): (&BTreeMap<String, KeyedAlert>, &BTreeMap<String, Alert>),
        mark: Mark,
        at: Timestamp,
    ) -> Result<BTreeSet<String>, Fault> {
        let firing = said.values().filter(|one| one.state == SaidState::Firing);
        let firing = firing.filter_map(|one| Some((one, known.get(&one.key)?)));
        let asked: Vec<(String, String)> = firing
            .filter(|(one, before)| !is_same(sender, one, before))
            .map(|(one, before)| (one.key.clone(), before.fingerprint.clone()))
            .collect();
        if asked.is_empty() {
            return Ok(BTreeSet::new());
        }
        // What has begun anew and is being written would be asked for as it was before.
        self.alerts.ahead.stored(mark).await?;
        let now = self.now();
        self.read(move |tx| {
            let mut aside = BTreeSet::new();
            for (key, fingerprint) in &asked {
                let since = aside_since(tx, fingerprint)?;
                // A word that came before people did so is none of what came of it.
                if since.is_some_and(|since| since <= at || since > now) {
                    aside.insert(key.clone());
                }
            }
            Ok(aside)
        })
        .await
    }

    /// Whether people have put the alert aside that goes on under a key.
    pub(crate) async fn alert_is_aside(&self, alert: &Alert) -> Result<bool, Fault> {
        let fingerprint = alert.fingerprint.clone();
        self.read(move |tx| Ok(aside_since(tx, &fingerprint)?.is_some())).await
    }

    fn keyed_known(&self, sender: (&str, &str), said: &BTreeMap<String, KeyedAlert>) -> BTreeMap<String, Alert> {
        let received = self.alerts.received.lock();
        let own = received.values().filter(|r| r.alert.labels.get(sender.0) == Some(sender.1));
        let wanted = own.filter_map(|r| {
            let (key, _) = said.get_key_value(r.alert.labels.get(KEY_LABEL)?)?;
            Some((key.clone(), r.alert.clone()))
        });
        let mut found: BTreeMap<String, Alert> = BTreeMap::new();
        for (key, alert) in wanted {
            // The newest counts.
            if found.get(&key).is_none_or(|known| known.active_since < alert.active_since) {
                found.insert(key, alert);
            }
        }
        found
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
        if self.takes_alerts().await? {
            self.alerts_taking().await?;
        } else {
            self.taken_elsewhere().await?;
        }
        let wanted = [sender, (KEY_LABEL, key)];
        let received = self.alerts.received.lock();
        let fits = |r: &&Received| wanted.iter().all(|(n, v)| r.alert.labels.get(n) == Some(*v));
        Ok(received.values().filter(fits).max_by_key(|r| r.alert.active_since).map(|r| r.alert.clone()))
    }
}

fn pairs(alert: &Alert) -> BTreeMap<String, String> {
    alert.labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NIGHTLY: (&str, &str) = (SENDER, "nightly");
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

    fn one(posted: Vec<PostedAlert>) -> PostedAlert {
        let [one] = <[PostedAlert; 1]>::try_from(posted).expect("one alert");
        one
    }

    fn alert(posted: PostedAlert) -> Alert {
        read(posted, NOW, 300_000).expect("it is right").alert
    }

    #[test]
    fn an_end_is_of_what_the_key_was_of() {
        let fires = one(posted(said(SaidState::Firing), None, false, NIGHTLY, NOW));
        assert_eq!(fires.labels["dedup_key"], "db1");
        assert_eq!((fires.starts_at, fires.ends_at), (Some(NOW), Some(NOW.plus_ms(BELIEVED_MS))));
        let before = alert(fires.clone());
        for state in [SaidState::Resolved, SaidState::Silent] {
            assert!(posted(said(state), None, false, NIGHTLY, NOW).is_empty(), "nothing there");
            let over = one(posted(said(state), Some(before.clone()), false, NIGHTLY, NOW));
            assert_eq!((over.labels, over.ends_at), (fires.labels.clone(), Some(NOW)));
        }
    }

    fn of_severity(severity: &str) -> KeyedAlert {
        let mut one = said(SaidState::Firing);
        one.labels.insert("severity".to_owned(), severity.to_owned());
        one
    }

    #[test]
    fn what_gets_worse_is_another_alert_and_what_falls_stays() {
        let before = alert(one(posted(of_severity("warning"), None, false, NIGHTLY, NOW)));
        for (severity, worse) in [("info", false), ("warning", false), ("critical", true), ("error", true)] {
            let anew = posted(of_severity(severity), Some(before.clone()), false, NIGHTLY, NOW);
            assert_eq!(anew.len(), if worse { 2 } else { 1 }, "{severity}");
            let begins = &anew[0];
            assert_eq!(begins.labels["severity"], if worse { severity } else { "warning" });
            let named = ["dedup_key", "alert_source"].map(|name| begins.labels[name].as_str());
            assert_eq!(named, ["db1", "nightly"]);
            assert!(begins.ends_at > Some(NOW));
            for over in anew.iter().skip(1) {
                assert_eq!((&over.labels, over.ends_at), (&pairs(&before), Some(NOW)));
            }
        }
    }

    #[test]
    fn another_service_has_to_hear_of_it_and_no_word_of_the_service_is_no_other_one() {
        let before = alert(one(posted(of_severity("critical"), None, false, NIGHTLY, NOW)));
        let mut nothing = of_severity("critical");
        nothing.labels.remove("service");
        assert_eq!(one(posted(nothing, Some(before.clone()), false, NIGHTLY, NOW)).labels, pairs(&before));
        let mut moved = of_severity("critical");
        moved.labels.insert("service".to_owned(), "photos".to_owned());
        assert_eq!(posted(moved, Some(before), false, NIGHTLY, NOW).len(), 2);
    }

    #[test]
    fn what_was_put_aside_is_over_and_begins_anew_as_it_is_now() {
        let before = alert(one(posted(of_severity("critical"), None, false, NIGHTLY, NOW)));
        let later = NOW.plus_ms(60_000);
        let anew = posted(of_severity("warning"), Some(before.clone()), true, NIGHTLY, later);
        let [over, begins] = <[PostedAlert; 2]>::try_from(anew).expect("two alerts");
        assert_eq!((&over.labels, over.ends_at), (&pairs(&before), Some(later)), "the end comes first");
        assert_eq!((begins.labels["severity"].as_str(), begins.starts_at), ("warning", Some(later)));
        let over = one(posted(said(SaidState::Resolved), Some(before), true, NIGHTLY, later));
        assert_eq!(over.ends_at, Some(later));
    }

    #[test]
    fn who_says_since_when_says_whether_it_is_the_same() {
        let before = alert(one(posted(said(SaidState::Firing), None, false, NIGHTLY, NOW)));
        let since = |starts_at| is_same(NIGHTLY, &KeyedAlert { starts_at, ..said(SaidState::Firing) }, &before);
        assert!(since(Some(NOW)) && since(Some(NOW.plus_ms(-1))));
        assert!(!since(Some(NOW.plus_ms(1))) && !since(None));
        let event = KeyedAlert { starts_at: Some(NOW), ..said(SaidState::Firing) };
        assert!(!is_same((INTEGRATION_LABEL, "nightly"), &event, &before), "it is the time of the event");
    }
}

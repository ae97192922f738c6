//! Alerts of senders that name each by a key: the same key of the same sender is the same alert, whatever else is said of it.

use std::collections::BTreeMap;

use tenfold_alerting::Alert;
use tenfold_protocols::alert_hook::{KeyedAlert, SaidState};
use tenfold_types::Fault;

use super::PostedAlert;
use crate::{App, Caller};

/// The label that holds the key.
pub const KEY_LABEL: &str = "dedup_key";
/// How long what fires is believed without a word more: such a sender says it once, or rarely.
const BELIEVED_MS: i64 = 30 * 86_400_000;
/// What its sender says nothing of any more is unknown this soon.
const SILENT_MS: i64 = 1;

impl App {
    /// Takes what a sender says. `sender` is the label that every alert of it has. Of a key that is there twice, the last
    /// word counts.
    pub async fn alerts_keyed(&self, who: &Caller, sender: (&str, &str), said: Vec<KeyedAlert>) -> Result<(), Fault> {
        let _one = self.alerts.keyed.lock().await;
        let said: BTreeMap<String, KeyedAlert> = said.into_iter().map(|one| (one.key.clone(), one)).collect();
        let mut known = self.keyed_known(sender, &said);
        let now = self.now();
        let posted = said.into_values().filter_map(|one| {
            let before = known.remove(&one.key);
            let (labels, annotations) = match (before, one.state) {
                // What fires goes on as it is.
                (Some(before), SaidState::Firing) => (pairs(&before), one.annotations),
                (Some(before), _) => (pairs(&before), before.annotations),
                (None, SaidState::Firing) => {
                    let own = [(sender.0.to_owned(), sender.1.to_owned()), (KEY_LABEL.to_owned(), one.key)];
                    (one.labels.into_iter().chain(own).collect(), one.annotations)
                }
                // The end of something that is not there is no mistake.
                (None, _) => return None,
            };
            let ends_at = match one.state {
                SaidState::Firing => now.plus_ms(BELIEVED_MS),
                SaidState::Resolved => now,
                SaidState::Silent => now.plus_ms(SILENT_MS),
            };
            Some(PostedAlert {
                labels,
                annotations: Some(annotations),
                starts_at: one.starts_at.filter(|at| *at <= now && one.state == SaidState::Firing),
                ends_at: Some(ends_at),
                generator_url: one.url,
            })
        });
        let posted: Vec<PostedAlert> = posted.collect();
        if posted.is_empty() { Ok(()) } else { self.alerts_receive(who, posted).await }
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

    /// The alert of a sender that goes on under a key, if one does. Keys of others are none of its.
    pub fn alert_keyed(&self, sender: (&str, &str), key: &str) -> Option<Alert> {
        let wanted = [sender, (KEY_LABEL, key)];
        let received = self.alerts.received.lock();
        let fits = |r: &&super::received::Received| wanted.iter().all(|(n, v)| r.alert.labels.get(n) == Some(v));
        received.values().find(fits).map(|r| r.alert.clone())
    }
}

fn pairs(alert: &Alert) -> BTreeMap<String, String> {
    alert.labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect()
}

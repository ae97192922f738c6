//! What is over by now in requests of alerts that could not be taken, when somebody has them tried once more: by its own word,
//! or since its sender has said more of it that was taken. It is left out, so that it neither pages nor ends what began anew.

use std::collections::BTreeMap;

use tenfold_protocols::alert_hook::{KeyedAlert, SaidState};
use tenfold_store::{Tx, alert_inbox as inbox, alerts as store};
use tenfold_types::{Fault, Timestamp};

use super::{
    KEY_LABEL, PostedAlert,
    inbox::{Words, keyed_name, labels_of, names_of},
    posted::given,
    received::GROUP,
    transitions::body,
    waits::{self, Names},
};
use crate::App;

/// Ended alerts that are read.
const ENDED_READ_MAX: i64 = 50_000;

/// A request of which something is left out.
pub(super) struct Rest {
    pub id: i64,
    /// How many alerts are left out.
    pub over: u64,
    /// As it is kept from then on; nothing where all of it is left out.
    pub body: Option<String>,
}

/// What became of an alert, or of those of a key: when one ended last by the word of its source, and when one that fires began.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Became {
    ended: Option<Timestamp>,
    began: Option<Timestamp>,
}

impl Became {
    fn ended_since(self, at: Timestamp) -> bool {
        self.ended.is_some_and(|ended| ended > at)
    }

    fn began_since(self, at: Timestamp) -> bool {
        self.began.is_some_and(|began| began > at)
    }
}

/// Which alerts fire in each request that is kept aside, by its id, as far as that was read: it will never be more of them. So
/// an end that is said again and again has nobody read all of that each time.
#[derive(Debug, Default)]
pub(super) struct Aside(BTreeMap<i64, Names>);

impl Aside {
    /// Which of those that are `kept`, by ascending id, are to be read when these alerts are over.
    fn wanted(&mut self, kept: &[i64], over: &Names) -> Vec<i64> {
        self.0.retain(|id, _| kept.binary_search(id).is_ok());
        kept.iter().copied().filter(|id| self.0.get(id).is_none_or(|fires| !fires.is_disjoint(over))).collect()
    }
}

/// Alerts with these names were said to be over at an instant, and nobody follows them: what was kept aside of them before is
/// over as well. Answers what fires still, by request.
fn end(tx: &mut dyn Tx, ids: &[i64], over: &Names, at: Timestamp) -> Result<Vec<(i64, Names)>, Fault> {
    let mut all = Vec::new();
    for id in ids {
        let Some((body, came)) = inbox::refused_words(tx, *id)? else { continue };
        let Ok(mut words) = serde_json::from_str::<Words>(&body) else {
            all.push((*id, Names::new()));
            continue;
        };
        let (mut changed, mut rest) = (false, Names::new());
        let mut ends = |names: Names| {
            let ends = came <= at && !names.is_disjoint(over);
            if !ends {
                rest.extend(names);
            }
            ends
        };
        match &mut words {
            Words::Posted(posted) => {
                let fires = |one: &PostedAlert| given(one.ends_at).is_none_or(|ends_at| ends_at > at);
                for one in posted {
                    if fires(one) && ends(names_of(&labels_of(one))) {
                        (one.ends_at, changed) = (Some(at), true);
                    }
                }
            }
            Words::Keyed { label, value, said } => {
                let name = |one: &KeyedAlert| Names::from([keyed_name((label.as_str(), value.as_str()), &one.key)]);
                for one in said {
                    if one.state == SaidState::Firing && ends(name(one)) {
                        (one.state, changed) = (SaidState::Resolved, true);
                    }
                }
            }
        }
        if changed {
            let body = serde_json::to_string(&words).map_err(|e| Fault::internal(e.to_string()))?;
            inbox::refused_rest(tx, *id, Some(&body))?;
        }
        all.push((*id, rest));
    }
    Ok(all)
}

impl App {
    /// Notes the ends of alerts that nobody follows with what was kept aside of them.
    pub(super) async fn ended_aside(&self, over: Names, at: Timestamp) -> Result<(), Fault> {
        if over.is_empty() {
            return Ok(());
        }
        let kept = self.read(|tx| Ok(inbox::refused_ids(tx)?)).await?;
        let wanted = self.alerts.aside.lock().wanted(&kept, &over);
        if wanted.is_empty() {
            return Ok(());
        }
        let fires = self.housekeeping(move |t| end(t.tx(), &wanted, &over, at)).await?;
        // Not before it is stored: what could not be noted is to be read again.
        self.alerts.aside.lock().0.extend(fires);
        Ok(())
    }
}

/// Looks through all that is kept aside.
pub(super) fn rests(tx: &mut dyn Tx, now: Timestamp) -> Result<Vec<Rest>, Fault> {
    let rows = inbox::refused(tx, inbox::REFUSED_KEPT_MAX)?;
    let read =
        rows.into_iter().filter_map(|row| Some((row.id, row.at, serde_json::from_str::<Words>(&row.body).ok()?)));
    let read: Vec<(i64, Timestamp, Words)> = read.collect();
    let became = became(tx, &read, now)?;
    let mut rests = Vec::new();
    for (id, came, words) in read {
        let (over, words) = without(words, came, now, &became);
        if over > 0 {
            let body = words.map(|words| serde_json::to_string(&words)).transpose();
            rests.push(Rest { id, over, body: body.map_err(|e| Fault::internal(e.to_string()))? });
        }
    }
    Ok(rests)
}

/// By the names of the alerts that the requests are about.
fn became(
    tx: &mut dyn Tx,
    requests: &[(i64, Timestamp, Words)],
    now: Timestamp,
) -> Result<BTreeMap<u64, Became>, Fault> {
    let Some(oldest) = requests.iter().map(|(_, came, _)| *came).min() else { return Ok(BTreeMap::new()) };
    let wanted: Names = requests.iter().flat_map(|(_, _, words)| words.of()).collect();
    let keyed = requests.iter().any(|(_, _, words)| matches!(words, Words::Keyed { .. }));
    let mut rows = store::active(tx)?;
    rows.extend(store::ended_since(tx, oldest, ENDED_READ_MAX)?);
    let mut all: BTreeMap<u64, Became> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.rule_group == GROUP) {
        let by_key = keyed && row.body.contains(KEY_LABEL);
        if !by_key && !wanted.contains(&waits::name(&row.fingerprint)) {
            continue;
        }
        let of = body(row)?;
        // One that was given up while its sender was silent has not ended by its word; one that flaps and is held has.
        let ended = row.ended_at.filter(|_| of.alert.no_data_since.is_none()).or(of.over_since());
        // A sender may say when it will begin.
        let began = row.ended_at.is_none().then(|| of.began()).filter(|began| *began <= now);
        for name in names_of(&of.alert.labels).intersection(&wanted) {
            let became = all.entry(*name).or_default();
            (became.ended, became.began) = (became.ended.max(ended), became.began.max(began));
        }
    }
    Ok(all)
}

/// How many alerts are over, and the words on the others, if there are any.
fn without(words: Words, came: Timestamp, now: Timestamp, became: &BTreeMap<u64, Became>) -> (u64, Option<Words>) {
    let became = |name: u64| became.get(&name).copied().unwrap_or_default();
    let mut over = 0;
    let mut counted = |is_over: bool| {
        over += u64::from(is_over);
        !is_over
    };
    let rest = match words {
        Words::Posted(mut posted) => {
            posted.retain(|one| {
                let name = waits::name(&tenfold_alerting::fingerprint(&labels_of(one)));
                counted(posted_over(one, came, now, became(name)))
            });
            (!posted.is_empty()).then_some(Words::Posted(posted))
        }
        Words::Keyed { label, value, mut said } => {
            said.retain(|one| counted(keyed_over(one, came, became(keyed_name((&label, &value), &one.key)))));
            (!said.is_empty()).then_some(Words::Keyed { label, value, said })
        }
    };
    (over, rest)
}

fn posted_over(one: &PostedAlert, came: Timestamp, now: Timestamp, became: Became) -> bool {
    match given(one.ends_at) {
        // It says an end: of what began anew since it is none.
        Some(ends_at) if ends_at <= came => became.began_since(came),
        ends_at => ends_at.is_some_and(|at| at <= now) || became.ended_since(came),
    }
}

fn keyed_over(one: &KeyedAlert, came: Timestamp, became: Became) -> bool {
    // What fires under a key may be another alert than before, which ended then.
    became.began_since(came) || (one.state == SaidState::Firing && became.ended_since(came))
}

#[cfg(test)]
mod tests {
    use tenfold_store::StoreError;
    use tenfold_testkit::temp_db;
    use tenfold_types::Labels;

    use super::*;

    const CAME: Timestamp = Timestamp(1_000);
    const NOW: Timestamp = Timestamp(9_000);

    fn became(ended: Option<i64>, began: Option<i64>) -> Became {
        Became { ended: ended.map(Timestamp), began: began.map(Timestamp) }
    }

    #[test]
    fn of_what_is_kept_aside_only_what_may_say_that_they_fire_is_read() {
        let mut aside = Aside::default();
        let seven = Names::from([7]);
        assert_eq!(aside.wanted(&[1, 2, 3], &seven), [1, 2, 3], "nobody knows of what they are");
        aside.0.extend([(1, Names::from([7, 8])), (2, Names::from([9])), (3, Names::new())]);
        assert_eq!(aside.wanted(&[1, 2, 3, 4], &seven), [1, 4]);
        aside.0.insert(1, Names::from([8]));
        assert!(aside.wanted(&[1, 2, 3], &seven).is_empty(), "its end is noted");
        assert_eq!(aside.wanted(&[2], &Names::from([8, 9])), [2]);
        assert_eq!(aside.0.len(), 1, "what is kept no more is forgotten");
    }

    #[tokio::test]
    async fn ends_are_noted_one_after_the_other_and_what_fires_still_is_known() {
        let names = |name: &str| names_of(&Labels::from_pairs([("alertname", name)]));
        let posted = |name: &str| PostedAlert {
            labels: BTreeMap::from([("alertname".to_owned(), name.to_owned())]),
            ..PostedAlert::default()
        };
        let words = Words::Posted(["Late", "Full"].map(posted).to_vec());
        let body = serde_json::to_string(&words).expect("it is JSON");
        let db = temp_db().await;
        let kept = db.write(move |tx| {
            let id = inbox::put(tx, &body, CAME)?;
            inbox::refuse(tx, id, CAME, "the store is broken")?;
            Ok::<_, StoreError>(id)
        });
        let id = kept.await.expect("it is kept aside");
        let both = &names("Late") | &names("Full");
        for (name, at, fires) in [
            ("Late", Timestamp(CAME.0 - 1), both),
            ("Late", NOW, names("Full")),
            ("Late", NOW, names("Full")),
            ("Full", NOW, Names::new()),
        ] {
            let over = names(name);
            let noted = db.write(move |tx| end(tx, &[id], &over, at)).await.expect("it is noted");
            assert_eq!(noted, [(id, fires)], "{name} at {at}");
        }
        let kept = db.read(move |tx| inbox::refused_words(tx, id)).await.expect("it is read");
        let (body, came) = kept.expect("it is there");
        let ended = |name: &str| PostedAlert { ends_at: Some(NOW), ..posted(name) };
        let words = serde_json::from_str::<Words>(&body).expect("it is JSON");
        assert_eq!((words, came), (Words::Posted(["Late", "Full"].map(ended).to_vec()), CAME));
    }

    #[test]
    fn what_was_posted_is_over_by_its_own_word_or_by_a_later_one() {
        for (ends_at, ended, began, over) in [
            (None, None, None, false),
            (Some(60_000), None, None, false),
            (Some(8_000), None, None, true),
            (Some(60_000), Some(2_000), None, true),
            (None, Some(2_000), None, true),
            (None, Some(900), None, false),
            (None, None, Some(500), false),
            (None, None, Some(2_000), false),
            (Some(900), None, Some(500), false),
            (Some(900), None, Some(2_000), true),
            (Some(900), Some(2_000), None, false),
        ] {
            let one = PostedAlert { ends_at: ends_at.map(Timestamp), ..PostedAlert::default() };
            let said = posted_over(&one, CAME, NOW, became(ended, began));
            assert_eq!(said, over, "{ends_at:?}, ended {ended:?}, began {began:?}");
        }
    }

    #[test]
    fn a_key_of_which_more_was_said_is_left_as_it_is() {
        for (state, ended, began, over) in [
            (SaidState::Firing, None, None, false),
            (SaidState::Firing, Some(2_000), None, true),
            (SaidState::Firing, None, Some(2_000), true),
            (SaidState::Firing, Some(500), Some(600), false),
            (SaidState::Resolved, None, Some(500), false),
            (SaidState::Resolved, Some(2_000), None, false),
            (SaidState::Resolved, Some(2_000), Some(2_000), true),
        ] {
            let one = KeyedAlert {
                key: "db1".to_owned(),
                state,
                labels: BTreeMap::new(),
                annotations: BTreeMap::new(),
                starts_at: None,
                url: None,
            };
            let said = keyed_over(&one, CAME, became(ended, began));
            assert_eq!(said, over, "{state:?}, ended {ended:?}, began {began:?}");
        }
    }
}

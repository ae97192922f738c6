//! Alerts that end, and the incidents that are over with them. Called inside the transaction that stores the alerts' ends.
//!
//! Whether an incident is over is asked once for all that ended together: a storm ends as it began, and a question for each alert
//! about all others of its incident would be as many as the square of the storm.

use std::collections::BTreeSet;

use serde_json::json;
use tenfold_store::{StoreError, Tx, alerts::AlertRow, incidents as store};
use tenfold_types::{Actor, Fault, Source};

use super::{open::resolve, stored::Incident};
use crate::{Txn, alerts};

/// How an alert ends of which the data says that it is over.
const RESOLVED: &str = "resolved";

/// Incidents of which an alert has ended, and that are still to be looked at.
#[derive(Debug, Default)]
pub(crate) struct Endings(BTreeSet<i64>);

impl Endings {
    /// An alert has ended, in each incident that it has.
    pub(crate) fn alert(&mut self, tx: &mut dyn Tx, row: &AlertRow, how: &str) -> Result<(), Fault> {
        for number in alerts::incidents_of(row)? {
            store::member_ended(tx, number, &row.fingerprint, how)?;
            // An alert that merely expired leaves its incident to people.
            if how == RESOLVED {
                self.0.insert(number);
            }
        }
        Ok(())
    }

    /// Resolves the incidents of which the data says that every alert is over. Before anything joins an incident, and last.
    pub(crate) fn settle(&mut self, t: &mut Txn<'_>) -> Result<(), Fault> {
        let now = t.now();
        for number in self.over(t.tx())? {
            let incident = Incident::get(t.tx(), number)?;
            if let Some(key) = &incident.open_key {
                store::ended_put(t.tx(), key, number, now)?;
            }
            let text = format!("Incident {number} is over: {}", incident.body.title);
            resolve(t, incident, Actor::system(), Source::System, text, json!({"by": "alerts"}))?;
        }
        Ok(())
    }

    fn over(&mut self, tx: &mut dyn Tx) -> Result<Vec<i64>, StoreError> {
        let numbers: Vec<i64> = std::mem::take(&mut self.0).into_iter().collect();
        store::all_resolved(tx, &numbers)
    }
}

#[cfg(test)]
mod tests {
    use tenfold_types::Timestamp;

    use super::*;
    use crate::counted::Counted;

    const ALERTS: i64 = 10_000;
    const INCIDENTS: i64 = 100;

    fn fingerprint(n: i64) -> String {
        format!("{n:016x}")
    }

    fn storm(tx: &mut dyn Tx) -> Result<(), StoreError> {
        for number in 0..INCIDENTS {
            let (state, body) = ("open".to_owned(), "{}".to_owned());
            let row =
                store::IncidentRow { number, open_key: None, state, opened_at: Timestamp(1), next_at: None, body };
            store::put(tx, &row)?;
        }
        (0..ALERTS).try_for_each(|n| store::join(tx, n % INCIDENTS, &fingerprint(n), Timestamp(1)))
    }

    #[tokio::test]
    async fn all_that_end_together_are_asked_for_once() {
        let db = tenfold_testkit::temp_db().await;
        db.write(storm).await.expect("it is stored");
        // Of the last incident one goes on.
        let (ended, over, asked) = db
            .write(|tx| {
                let mut endings = Endings::default();
                for n in (0..ALERTS).filter(|n| *n != INCIDENTS - 1) {
                    store::member_ended(tx, n % INCIDENTS, &fingerprint(n), RESOLVED)?;
                    endings.0.insert(n % INCIDENTS);
                }
                let mut counted = Counted::new(tx);
                let over = endings.over(&mut counted)?;
                Ok::<_, StoreError>((endings.0.len(), over, counted.asked.len()))
            })
            .await
            .expect("it is asked");
        assert_eq!((ended, over.len(), asked), (0, 99, 1));
        assert!(!over.contains(&(INCIDENTS - 1)));
    }
}

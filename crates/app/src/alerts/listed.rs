//! Alerts as pages, chat and the command line list them. A storm can have 100,000 at once: they are put in order and counted
//! without their bodies, and only those that an answer has are read whole, all in one statement, as are their incidents.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde::{Deserialize, Serialize};
use tenfold_alerting::{AlertState, Mute};
use tenfold_store::{Tx, alerts as store};
use tenfold_types::{Fault, Labels, Timestamp};

use super::{
    mutes,
    transitions::{summary, view},
    views::AlertView,
};
use crate::{
    App, incidents,
    listed::{self, Listed},
    now::FiringView,
};

/// Ended alerts in one list.
const ENDED_LISTED_MAX: i64 = 200;
const LISTED: Listed = Listed { what: "alerts", default: 1_000, max: 10_000 };

const STATES: [&str; 4] = ["firing", "unknown", "pending", "resolved"];
const SEVERITIES: [&str; 3] = ["critical", "warning", "info"];

/// Which alerts are asked for.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AlertAsk {
    /// `pending`, `firing`, `unknown` or `resolved`.
    pub state: Option<String>,
    /// Only alerts of this service; the empty text asks for those without one.
    pub service: Option<String>,
    /// Alerts in the answer, 1 to 10,000; 1,000 when absent.
    pub limit: Option<usize>,
    /// At most so many of each service in each state, the most urgent; the others are only counted.
    pub per_service: Option<usize>,
    /// `next` of the answer before: goes on behind it.
    pub after: Option<String>,
}

/// How many alerts a service has, whether they are listed or not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct AlertCounts {
    /// Null for alerts that name none.
    pub service: Option<String>,
    pub firing: usize,
    pub unknown: usize,
    pub pending: usize,
    /// Of those that ended lately.
    pub resolved: usize,
    /// The most urgent severity of those that fire or are unknown; null when none does.
    pub worst: Option<String>,
}

/// A page of alerts, the most urgent first.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct AlertPage {
    pub items: Vec<AlertView>,
    /// Every service that has an alert which was asked for, by name.
    pub counts: Vec<AlertCounts>,
    /// There are more: send it as `after`. Absent when these are all, and with `per_service`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// The place of an alert in the list: state, severity, the newest first.
type Place = (usize, usize, i64, String);

fn place(row: &store::AlertPlace) -> Place {
    let at = |all: &[&str], word: &str| all.iter().position(|s| *s == word).unwrap_or(all.len());
    let newest_first = row.active_since.millis().saturating_neg();
    (at(&STATES, &row.state), at(&SEVERITIES, &row.severity), newest_first, row.fingerprint.clone())
}

fn cursor((state, severity, since, fingerprint): &Place) -> String {
    format!("{state}.{severity}.{since}.{fingerprint}")
}

fn read_cursor(text: &str) -> Option<Place> {
    let mut parts = text.splitn(4, '.');
    let (state, severity) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let since = parts.next()?.parse().ok()?;
    let fingerprint = parts.next().filter(|text| !text.is_empty())?;
    Some((state, severity, since, fingerprint.to_owned()))
}

fn counted(rows: &[store::AlertPlace]) -> Vec<AlertCounts> {
    let mut by_service: BTreeMap<Option<&str>, AlertCounts> = BTreeMap::new();
    // The rows are in their order, so the first that fires is the worst of its state.
    for row in rows {
        let counts = by_service.entry(row.service.as_deref()).or_default();
        let live = match row.state.as_str() {
            "firing" => {
                counts.firing += 1;
                true
            }
            "unknown" => {
                counts.unknown += 1;
                true
            }
            "pending" => {
                counts.pending += 1;
                false
            }
            _ => {
                counts.resolved += 1;
                false
            }
        };
        let rank = |severity: &str| SEVERITIES.iter().position(|s| *s == severity);
        if live && counts.worst.as_deref().is_none_or(|worst| rank(&row.severity) < rank(worst)) {
            counts.worst = Some(row.severity.clone());
        }
    }
    let named = by_service.into_iter();
    named.map(|(service, counts)| AlertCounts { service: service.map(str::to_owned), ..counts }).collect()
}

/// Keeps the first of each service in each state.
fn thinned(rows: &mut Vec<store::AlertPlace>, most: usize) {
    let mut seen: HashMap<(Option<String>, String), usize> = HashMap::new();
    rows.retain(|row| {
        let count = seen.entry((row.service.clone(), row.state.clone())).or_default();
        *count += 1;
        *count <= most
    });
}

fn check_state(state: Option<&str>) -> Result<(), Fault> {
    if let Some(state) = state
        && AlertState::parse(state).is_none()
    {
        return Err(Fault::invalid(format!("`{state}` is not a state of an alert"))
            .advice("pending, firing, unknown or resolved"));
    }
    Ok(())
}

/// The alerts of a state, in the list's order.
fn places_of(tx: &mut dyn Tx, state: Option<&str>) -> Result<Vec<store::AlertPlace>, Fault> {
    let mut places = if state == Some("resolved") { Vec::new() } else { store::active_places(tx)? };
    if state.is_none_or(|wanted| wanted == "resolved") {
        places.extend(store::ended_places(tx, ENDED_LISTED_MAX)?);
    }
    places.retain(|p| state.is_none_or(|wanted| wanted == p.state));
    places.sort_by_cached_key(place);
    Ok(places)
}

/// Those of a list, read whole, in its order.
fn views_of(tx: &mut dyn Tx, places: &[store::AlertPlace], now: Timestamp) -> Result<Vec<AlertView>, Fault> {
    let fingerprints: Vec<&str> = places.iter().map(|p| p.fingerprint.as_str()).collect();
    let rows = store::by_fingerprints(tx, &fingerprints)?;
    let mut views: HashMap<String, AlertView> =
        viewed(tx, &rows, now)?.into_iter().map(|view| (view.fingerprint.clone(), view)).collect();
    Ok(places.iter().filter_map(|p| views.remove(&p.fingerprint)).collect())
}

fn viewed(tx: &mut dyn Tx, rows: &[store::AlertRow], now: Timestamp) -> Result<Vec<AlertView>, Fault> {
    let mutes = mutes::holding(tx, now)?;
    let numbers: BTreeSet<i64> = rows.iter().filter_map(|row| row.incident).collect();
    let held = incidents::acknowledged_by(tx, &numbers)?;
    let of = |row: &store::AlertRow| {
        let muted_by = if row.ended_at.is_none() && !mutes.is_empty() {
            let labels = labels_of(row)?;
            mutes.iter().find(|m| m.matches(&labels)).and_then(|m| mutes::number(&m.id))
        } else {
            None
        };
        let acknowledged_by = row.incident.and_then(|number| held.get(&number).cloned());
        view(row, muted_by, acknowledged_by)
    };
    rows.iter().map(of).collect()
}

/// Of a body, only its labels.
#[derive(Deserialize)]
struct Labelled {
    labels: Labels,
}

fn labels_of(row: &store::AlertRow) -> Result<Labels, Fault> {
    let read: Result<Labelled, _> = serde_json::from_str(&row.body);
    let read = read.map_err(|e| Fault::internal(format!("the alert {} cannot be read: {e}", row.fingerprint)))?;
    Ok(read.labels)
}

/// Fingerprints of the active alerts that one of these mutes covers.
fn covered(tx: &mut dyn Tx, mutes: &[Mute]) -> Result<HashSet<String>, Fault> {
    let mut out = HashSet::new();
    if mutes.is_empty() {
        return Ok(out);
    }
    for row in store::active(tx)? {
        let labels = labels_of(&row)?;
        if mutes.iter().any(|mute| mute.matches(&labels)) {
            out.insert(row.fingerprint);
        }
    }
    Ok(out)
}

/// The most urgent of some alerts.
pub(crate) struct Urgent {
    pub items: Vec<AlertView>,
    /// Further ones.
    pub more: usize,
}

fn urgent(tx: &mut dyn Tx, mut places: Vec<store::AlertPlace>, most: usize, now: Timestamp) -> Result<Urgent, Fault> {
    places.sort_by_cached_key(place);
    let more = places.len().saturating_sub(most);
    places.truncate(most);
    Ok(Urgent { items: views_of(tx, &places, now)?, more })
}

/// The page of an ask that was checked, `limit` and `after` read.
fn page_of(
    tx: &mut dyn Tx,
    ask: &AlertAsk,
    limit: usize,
    after: Option<&Place>,
    now: Timestamp,
) -> Result<AlertPage, Fault> {
    let mut places = places_of(tx, ask.state.as_deref())?;
    if let Some(wanted) = ask.service.as_deref() {
        places.retain(|p| p.service.as_deref().unwrap_or_default() == wanted);
    }
    let counts = counted(&places);
    if let Some(after) = after {
        listed::go_on(&mut places, |p| place(p) <= *after);
    }
    if let Some(most) = ask.per_service {
        thinned(&mut places, most);
    }
    let last = listed::cut(&mut places, limit).filter(|_| ask.per_service.is_none());
    let next = last.map(|p| cursor(&place(p)));
    Ok(AlertPage { items: views_of(tx, &places, now)?, counts, next })
}

/// What the front page has of all that is active: how many fire that are not muted, and the most urgent.
fn front(tx: &mut dyn Tx, most: usize, now: Timestamp) -> Result<(FiringView, Urgent), Fault> {
    let (places, mutes) = (store::active_places(tx)?, mutes::holding(tx, now)?);
    let muted = covered(tx, &mutes)?;
    let mut firing = FiringView::default();
    for p in places.iter().filter(|p| !muted.contains(&p.fingerprint)) {
        match (p.state.as_str(), p.severity.as_str()) {
            ("unknown", _) => firing.unknown += 1,
            ("firing", "critical") => firing.critical += 1,
            ("firing", _) => firing.warning += 1,
            _ => {}
        }
    }
    Ok((firing, urgent(tx, places, most, now)?))
}

impl App {
    /// Alerts: the active ones, the most urgent first, then those that ended lately; the first 10,000. `state` keeps one state.
    pub async fn alerts_list(&self, state: Option<&str>) -> Result<Vec<AlertView>, Fault> {
        let ask = AlertAsk { state: state.map(str::to_owned), limit: Some(LISTED.max), ..AlertAsk::default() };
        Ok(self.alerts_page(ask).await?.items)
    }

    /// A page of the same list, with how many alerts each service has.
    pub async fn alerts_page(&self, ask: AlertAsk) -> Result<AlertPage, Fault> {
        check_state(ask.state.as_deref())?;
        let limit = LISTED.limit(ask.limit)?;
        if ask.per_service == Some(0) {
            return Err(Fault::invalid("`per_service` is 1 or more").advice("leave it out for all of each service"));
        }
        let after = LISTED.place(ask.after.as_deref(), read_cursor)?;
        let now = self.now();
        let mut page = self.read(move |tx| page_of(tx, &ask, limit, after.as_ref(), now)).await?;
        self.overlay_values(&mut page.items);
        Ok(page)
    }

    /// What fires without being muted, and the most urgent of what is active.
    pub(crate) async fn alerts_front(&self, most: usize) -> Result<(FiringView, Urgent), Fault> {
        let now = self.now();
        let (firing, mut urgent) = self.read(move |tx| front(tx, most, now)).await?;
        self.overlay_values(&mut urgent.items);
        Ok((firing, urgent))
    }

    /// The most urgent of the active alerts that a mute covers.
    pub(super) async fn alerts_covered(&self, mute: Mute, most: usize) -> Result<Urgent, Fault> {
        let now = self.now();
        let mut found = self
            .read(move |tx| {
                let covered = covered(tx, std::slice::from_ref(&mute))?;
                let mut places = store::active_places(tx)?;
                places.retain(|p| covered.contains(&p.fingerprint));
                urgent(tx, places, most, now)
            })
            .await?;
        self.overlay_values(&mut found.items);
        Ok(found)
    }

    /// The most urgent alerts of an incident, as they stand or as they ended.
    pub(crate) async fn alerts_of_incident(&self, number: i64, most: usize) -> Result<Urgent, Fault> {
        let now = self.now();
        let mut found = self
            .read(move |tx| {
                let places = store::places_in(tx, number)?;
                urgent(tx, places, most, now)
            })
            .await?;
        self.overlay_values(&mut found.items);
        Ok(found)
    }

    /// One alert as it stands, or as it ended.
    pub async fn alert_get(&self, fingerprint: &str) -> Result<AlertView, Fault> {
        let (key, now) = (fingerprint.to_owned(), self.now());
        let mut found = self
            .read(move |tx| {
                let row = store::get(tx, &key)?;
                viewed(tx, row.as_slice(), now)
            })
            .await?;
        self.overlay_values(&mut found);
        found.pop().ok_or_else(|| {
            Fault::not_found(format!("there is no alert {fingerprint}"))
                .advice("GET /api/alerts lists them; one that has ended is known for 30 days")
        })
    }

    /// Values move between transitions; only the memory has the last ones.
    fn overlay_values(&self, views: &mut [AlertView]) {
        let live = views.iter_mut().filter(|v| v.state != "resolved");
        let mut by_fingerprint: HashMap<String, &mut AlertView> = live.map(|v| (v.fingerprint.clone(), v)).collect();
        {
            let received = self.alerts.received.lock();
            for (fingerprint, view) in &mut by_fingerprint {
                if let Some(known) = received.get(fingerprint) {
                    view.summary = summary(&known.alert);
                    view.annotations = BTreeMap::from(&*known.alert.annotations);
                }
            }
        }
        let groups = self.alerts.groups.read().clone();
        for running in groups {
            let status = running.status.lock();
            for alert in status.rules.iter().flat_map(|r| r.state.active.values()) {
                if let Some(view) = by_fingerprint.get_mut(&alert.fingerprint) {
                    view.value = alert.value.is_finite().then_some(alert.value);
                    view.summary = summary(alert);
                    view.annotations = BTreeMap::from(&*alert.annotations);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counted::Counted;

    fn row(fingerprint: &str, service: Option<&str>, state: &str, severity: &str, since: i64) -> store::AlertPlace {
        store::AlertPlace {
            fingerprint: fingerprint.to_owned(),
            state: state.to_owned(),
            severity: severity.to_owned(),
            service: service.map(str::to_owned),
            active_since: Timestamp(since),
        }
    }

    fn rows() -> Vec<store::AlertPlace> {
        let mut rows = vec![
            row("a", Some("web"), "firing", "warning", 5),
            row("b", Some("web"), "unknown", "critical", 1),
            row("c", Some("web"), "firing", "critical", 2),
            row("d", None, "pending", "critical", 3),
            row("e", Some("web"), "firing", "critical", 9),
        ];
        rows.sort_by_cached_key(place);
        rows
    }

    #[test]
    fn the_list_has_one_order_and_its_places_survive_as_text() {
        let rows = rows();
        assert_eq!(rows.iter().map(|r| r.fingerprint.as_str()).collect::<String>(), "ecabd");
        for row in &rows {
            assert_eq!(read_cursor(&cursor(&place(row))), Some(place(row)));
        }
        for wrong in ["", "1", "1.2.x.f", "0.0.0.", "f"] {
            assert_eq!(read_cursor(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_not_listed_is_counted() {
        let mut rows = rows();
        let counts = counted(&rows);
        let web = AlertCounts {
            service: Some("web".into()),
            firing: 3,
            unknown: 1,
            worst: Some("critical".into()),
            ..AlertCounts::default()
        };
        assert_eq!(counts, [AlertCounts { pending: 1, ..AlertCounts::default() }, web]);
        thinned(&mut rows, 1);
        assert_eq!(
            rows.iter().map(|r| r.fingerprint.as_str()).collect::<String>(),
            "ebd",
            "one of each service and state"
        );
    }

    const STORM: usize = 10_000;
    const SERVICES: usize = 100;
    const SHOWN: usize = 200;
    /// Statements of one answer: the places of the active and of the ended, the mutes, the rows, their incidents.
    const STATEMENTS_MAX: usize = 6;
    /// What reads alerts whole.
    const WHOLE: &str = "body FROM alerts";

    fn storm(tx: &mut dyn Tx) -> Result<(), Fault> {
        for n in 0..STORM {
            let service = format!("s{}", n % SERVICES);
            let labels = Labels::from_pairs([("alertname", "Slow"), ("service", service.as_str())]);
            let since = Timestamp(i64::try_from(n).unwrap_or(0));
            let body = serde_json::json!({
                "fingerprint": format!("{n:016x}"), "series": labels, "labels": labels, "annotations": {}, "state": "firing",
                "value": "1", "active_since": since, "fired_at": since, "resolved_at": null, "keep_since": null,
                "no_data_since": null,
            });
            let row = store::AlertRow {
                fingerprint: format!("{n:016x}"),
                rule_file: String::new(),
                rule_group: "slow".to_owned(),
                rule: "Slow".to_owned(),
                state: "firing".to_owned(),
                severity: if n % 10 == 0 { "critical" } else { "warning" }.to_owned(),
                service: Some(service),
                environment: None,
                pages: false,
                active_since: since,
                ended_at: None,
                incident: i64::try_from(n % SERVICES).ok(),
                body: body.to_string(),
            };
            store::put(tx, &row)?;
        }
        Ok(())
    }

    #[tokio::test]
    async fn of_a_storm_only_what_is_shown_is_read_whole() {
        let db = tenfold_testkit::temp_db().await;
        db.write(storm).await.expect("it is stored");
        let now = Timestamp(20_000);
        let (page, statements, whole) = db
            .read(move |tx| {
                let mut counted = Counted::new(tx);
                let page = page_of(&mut counted, &AlertAsk::default(), SHOWN, None, now)?;
                Ok::<_, Fault>((page, counted.asked.len(), counted.rows(WHOLE)))
            })
            .await
            .expect("a page");
        assert_eq!((page.items.len(), whole), (SHOWN, SHOWN));
        assert!(statements <= STATEMENTS_MAX, "{statements} statements");
        assert_eq!(page.counts.len(), SERVICES);
        assert_eq!(page.counts.iter().map(|c| c.firing).sum::<usize>(), STORM);
        assert!(page.items.iter().all(|alert| alert.severity == "critical"), "the most urgent come first");

        let ((firing, urgent), statements, whole) = db
            .read(move |tx| {
                let mut counted = Counted::new(tx);
                let told = front(&mut counted, SHOWN, now)?;
                Ok::<_, Fault>((told, counted.asked.len(), counted.rows(WHOLE)))
            })
            .await
            .expect("what the front page has");
        assert_eq!((firing.critical, firing.warning, firing.unknown), (STORM / 10, STORM - STORM / 10, 0));
        assert_eq!((urgent.items.len(), urgent.more, whole), (SHOWN, STORM - SHOWN, SHOWN));
        assert!(statements <= STATEMENTS_MAX, "{statements} statements");
    }
}

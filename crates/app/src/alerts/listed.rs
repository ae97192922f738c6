//! Alerts as pages, chat and the command line list them. A storm can have 100,000 at once: what lists them reads every row
//! once, every incident once, and the memory once; a page of them has the rest as counts.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use tenfold_alerting::{AlertState, Mute};
use tenfold_store::{Tx, alerts as store};
use tenfold_types::{Fault, Timestamp};

use super::{
    mutes,
    transitions::{body, summary, view},
    views::AlertView,
};
use crate::{App, incidents};

/// Ended alerts in one list.
const ENDED_LISTED_MAX: i64 = 200;
/// Alerts in one answer, when the question does not say.
const LISTED_DEFAULT: usize = 1_000;
/// Alerts in one answer.
const LISTED_MAX: usize = 10_000;

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

fn place(row: &store::AlertRow) -> Place {
    let at = |all: &[&str], word: &str| all.iter().position(|s| *s == word).unwrap_or(all.len());
    let newest_first = row.active_since.millis().saturating_neg();
    (at(&STATES, &row.state), at(&SEVERITIES, &row.severity), newest_first, row.fingerprint.clone())
}

fn cursor((state, severity, since, fingerprint): &Place) -> String {
    format!("{state}.{severity}.{since}.{fingerprint}")
}

fn read_cursor(text: &str) -> Result<Place, Fault> {
    let mut parts = text.splitn(4, '.');
    let mut next = || parts.next().unwrap_or_default();
    let (state, severity, since, fingerprint) =
        (next().parse::<usize>(), next().parse::<usize>(), next().parse::<i64>(), next().to_owned());
    match (state, severity, since) {
        (Ok(state), Ok(severity), Ok(since)) if !fingerprint.is_empty() => Ok((state, severity, since, fingerprint)),
        _ => Err(Fault::invalid(format!("`{text}` is not a place in the list of alerts"))
            .advice("send `next` of the answer before as it is, or leave `after` out")),
    }
}

fn counted(rows: &[store::AlertRow]) -> Vec<AlertCounts> {
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
fn thinned(rows: &mut Vec<store::AlertRow>, most: usize) {
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

/// The rows of a state, in the list's order.
fn rows_of(tx: &mut dyn Tx, state: Option<&str>) -> Result<Vec<store::AlertRow>, Fault> {
    let mut rows = store::active(tx)?;
    rows.extend(store::ended(tx, ENDED_LISTED_MAX)?);
    rows.retain(|r| state.is_none_or(|wanted| wanted == r.state));
    rows.sort_by_cached_key(place);
    Ok(rows)
}

/// What a list has read once.
struct Listing {
    mutes: Vec<Mute>,
    /// Who has each incident.
    held: HashMap<i64, Option<String>>,
}

impl Listing {
    fn new(tx: &mut dyn Tx, now: Timestamp) -> Result<Self, Fault> {
        Ok(Self { mutes: mutes::holding(tx, now)?, held: HashMap::new() })
    }

    fn held_by(&mut self, tx: &mut dyn Tx, incident: i64) -> Result<Option<String>, Fault> {
        if let Some(known) = self.held.get(&incident) {
            return Ok(known.clone());
        }
        let name = incidents::acknowledged_by(tx, incident)?;
        self.held.insert(incident, name.clone());
        Ok(name)
    }

    fn view(&mut self, tx: &mut dyn Tx, row: &store::AlertRow) -> Result<AlertView, Fault> {
        let muted_by = if row.ended_at.is_none() && !self.mutes.is_empty() {
            let labels = body(row)?.alert.labels;
            self.mutes.iter().find(|m| m.matches(&labels)).and_then(|m| mutes::number(&m.id))
        } else {
            None
        };
        let acknowledged_by = match row.incident {
            Some(number) => self.held_by(tx, number)?,
            None => None,
        };
        view(row, muted_by, acknowledged_by)
    }
}

impl App {
    /// Alerts: the active ones, the most urgent first, then those that ended lately. `state` keeps one state.
    pub async fn alerts_list(&self, state: Option<&str>) -> Result<Vec<AlertView>, Fault> {
        check_state(state)?;
        let (wanted, now) = (state.map(str::to_owned), self.now());
        let mut views = self
            .read(move |tx| {
                let mut listing = Listing::new(tx, now)?;
                let rows = rows_of(tx, wanted.as_deref())?;
                rows.iter().map(|row| listing.view(tx, row)).collect::<Result<Vec<_>, Fault>>()
            })
            .await?;
        self.overlay_values(&mut views);
        Ok(views)
    }

    /// A page of the same list, with how many alerts each service has.
    pub async fn alerts_page(&self, ask: AlertAsk) -> Result<AlertPage, Fault> {
        check_state(ask.state.as_deref())?;
        let limit = ask.limit.unwrap_or(LISTED_DEFAULT);
        if !(1..=LISTED_MAX).contains(&limit) {
            return Err(Fault::invalid(format!("an answer has 1 to {LISTED_MAX} alerts, not {limit}"))
                .advice("ask again with `after` for those that follow"));
        }
        if ask.per_service == Some(0) {
            return Err(Fault::invalid("`per_service` is 1 or more").advice("leave it out for all of each service"));
        }
        let after = ask.after.as_deref().map(read_cursor).transpose()?;
        let now = self.now();
        let mut page = self
            .read(move |tx| {
                let mut listing = Listing::new(tx, now)?;
                let mut rows = rows_of(tx, ask.state.as_deref())?;
                if let Some(wanted) = ask.service.as_deref() {
                    rows.retain(|r| r.service.as_deref().unwrap_or_default() == wanted);
                }
                let counts = counted(&rows);
                if let Some(after) = &after {
                    rows.retain(|r| place(r) > *after);
                }
                if let Some(most) = ask.per_service {
                    thinned(&mut rows, most);
                }
                let more = rows.len() > limit;
                rows.truncate(limit);
                let last = rows.last().filter(|_| more && ask.per_service.is_none());
                let next = last.map(|row| cursor(&place(row)));
                let items = rows.iter().map(|row| listing.view(tx, row)).collect::<Result<Vec<_>, Fault>>()?;
                Ok(AlertPage { items, counts, next })
            })
            .await?;
        self.overlay_values(&mut page.items);
        Ok(page)
    }

    /// One alert as it stands, or as it ended.
    pub async fn alert_get(&self, fingerprint: &str) -> Result<AlertView, Fault> {
        let (key, now) = (fingerprint.to_owned(), self.now());
        let found = self
            .read(move |tx| {
                let mut listing = Listing::new(tx, now)?;
                let row = store::get(tx, &key)?;
                row.map(|row| listing.view(tx, &row)).transpose()
            })
            .await?;
        let unknown = || {
            Fault::not_found(format!("there is no alert {fingerprint}"))
                .advice("GET /api/alerts lists them; one that has ended is known for 30 days")
        };
        let mut views = [found.ok_or_else(unknown)?];
        self.overlay_values(&mut views);
        let [view] = views;
        Ok(view)
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
                    view.annotations.clone_from(&known.alert.annotations);
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
                    view.annotations.clone_from(&alert.annotations);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(fingerprint: &str, service: Option<&str>, state: &str, severity: &str, since: i64) -> store::AlertRow {
        store::AlertRow {
            fingerprint: fingerprint.to_owned(),
            rule_file: String::new(),
            rule_group: String::new(),
            rule: String::new(),
            state: state.to_owned(),
            severity: severity.to_owned(),
            service: service.map(str::to_owned),
            environment: None,
            pages: false,
            active_since: Timestamp(since),
            ended_at: None,
            incident: None,
            body: String::new(),
        }
    }

    fn rows() -> Vec<store::AlertRow> {
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
            assert_eq!(read_cursor(&cursor(&place(row))).expect("a cursor"), place(row));
        }
        for wrong in ["", "1", "1.2.x.f", "0.0.0.", "f"] {
            assert!(read_cursor(wrong).is_err(), "{wrong}");
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
}

//! Promises compared with what the store says between two lives, and what nobody was told taken from it.

use std::collections::BTreeSet;

use tenfold_app::alerts::AlertView;
use tenfold_app::incidents::IncidentView;
use tenfold_types::Event;

use super::model::{Acknowledged, Model};
use super::truth::{RING, Truth};
use super::words::{BY_RULE, LANES, Lane};

/// What fires, is not muted and is nobody's has paged within this time, when receivers take what comes.
pub(super) const BOUND_MS: i64 = 12 * 60_000;

fn is(alert: &AlertView, lane: &Lane) -> bool {
    (alert.labels.get("alertname"), alert.labels.get("service")) == (Some(lane.alert), Some(lane.service))
}

/// Where somebody is reached, as they were set up.
fn address(person: &str, channel: &str) -> String {
    if channel == "webhook" { RING.to_owned() } else { format!("{person}@example.org") }
}

impl Model {
    /// Compares all that was promised with the store, and takes from it what nobody was told.
    pub fn settle(&mut self, truth: &Truth) -> Result<(), String> {
        self.settle_lanes(truth)?;
        for event in &truth.events {
            self.read(event)?;
        }
        self.settle_mutes(truth)?;
        for (number, promised) in &self.acknowledged {
            let found = truth.incidents.get(number).and_then(|i| i.acknowledged_by.clone());
            let first = promised.by.as_ref().or(found.as_ref());
            if found.is_none() || found.as_ref() != first {
                return Err(format!(
                    "lost: incident {number} was acknowledged by {first:?}, and the store says {found:?}"
                ));
            }
            self.said("incident.acknowledged", &number.to_string())?;
        }
        for incident in truth.incidents.values() {
            self.settle_pages(incident)?;
            // Also when nobody was answered, what the store says holds from now on.
            if let Some(by) = incident.acknowledged_by.clone() {
                let known = Acknowledged { by: Some(by), crossing: false };
                self.acknowledged.entry(incident.number).or_insert(known);
            }
        }
        let known = |incident: i64| truth.incidents.contains_key(&incident);
        if let Some((key, _)) = self.taken.iter().find(|(_, taken)| !known(taken.incident)) {
            return Err(format!("lost: {key} was taken, and its incident is not there"));
        }
        let now_ms = self.now_ms;
        self.exposed.retain(|(_, at_ms)| *at_ms >= now_ms);
        Ok(())
    }

    fn settle_lanes(&mut self, truth: &Truth) -> Result<(), String> {
        for (number, (lane, known)) in LANES.iter().zip(&mut self.lanes).enumerate() {
            let alert = truth.alerts.iter().find(|a| is(a, lane) && a.state == "firing");
            // An end is held back as long as the alert flaps.
            let over = alert.is_none_or(|a| a.flapping.is_some_and(|flap| flap.over_since.is_some()));
            let by_rule = number == BY_RULE;
            if known.promised == Some(over) && !by_rule {
                let what = if over { "fires" } else { "is over" };
                return Err(format!("lost: {lane:?} {what}, as was answered, and the store says {alert:?}"));
            }
            known.perhaps = alert.is_some() || (by_rule && self.bad);
        }
        Ok(())
    }

    fn settle_mutes(&mut self, truth: &Truth) -> Result<(), String> {
        self.mutes.retain(|reason, mute| mute.number.is_some() || truth.mutes.contains_key(reason));
        for (reason, mute) in &mut self.mutes {
            let Some(found) = truth.mutes.get(reason) else { return Err(format!("lost: the mute {mute:?}")) };
            let (id, to_ms) = (*mute.number.get_or_insert(found.id), found.expires_at.millis());
            let cut = found.state == "expired" && to_ms < mute.quiet.to_ms;
            if id != found.id || found.kind != mute.quiet.kind.as_str() || (!cut && to_ms < mute.quiet.to_ms) {
                return Err(format!("lost: {mute:?} is {found:?} in the store"));
            }
            if cut && !mute.ending {
                return Err(format!("nobody ended {mute:?}, and it is over: {found:?}"));
            }
            if mute.ended && found.state != "expired" {
                return Err(format!("lost: the end of {mute:?}, which goes on: {found:?}"));
            }
            (mute.ending, mute.ended) = (cut, cut);
        }
        for number in self.mutes.values().filter_map(|mute| mute.number) {
            self.said("mute.created", &number.to_string())?;
        }
        // What is over covers nothing any more.
        let now_ms = self.now_ms;
        self.mutes.retain(|_, mute| !mute.ended && mute.quiet.to_ms > now_ms);
        Ok(())
    }

    fn settle_pages(&mut self, incident: &IncidentView) -> Result<(), String> {
        for page in &incident.pages {
            self.said("page.queued", &page.id)?;
            // One that was taken late, and whose incident opened again, counts as delivered from then on.
            if page.delivered_at.is_some() && incident.reopened == 0 {
                self.said("page.sent", &page.id)?;
            }
            for attempt in page.attempts.iter().filter(|a| a.state == "accepted") {
                let key = format!("{}.{}", page.id, attempt.channel);
                let Some(taken) = self.taken.get_mut(&key) else {
                    return Err(format!("lost: {key} counts as delivered, and nobody has it: {page:?}"));
                };
                taken.unheard = false;
            }
        }
        let tries = incident.pages.iter().flat_map(|p| p.attempts.iter().map(|a| format!("{}.{}", p.id, a.channel)));
        let tried: BTreeSet<String> = tries.collect();
        let mut sent = self.taken.iter().filter(|(_, taken)| taken.incident == incident.number);
        match sent.find(|(key, _)| !tried.contains(*key)) {
            Some((key, _)) => Err(format!("lost: {key} was taken, and no attempt was written before it was sent")),
            None => Ok(()),
        }
    }

    fn read(&mut self, event: &Event) -> Result<(), String> {
        self.seq = event.seq;
        let page = || event.data["page"].as_str().unwrap_or_default().to_owned();
        let number = event.subject.incident;
        match (event.kind.as_str(), number) {
            ("mute.created", _) => self.once("mute.created", event.data["mute"].to_string()),
            ("page.queued", _) => self.once("page.queued", page()),
            ("page.sent", _) => self.once("page.sent", page()),
            ("incident.acknowledged", Some(number)) => self.once("incident.acknowledged", number.to_string()),
            // The data is back, and nobody is told anew.
            ("alert.fired", Some(_)) if event.data["again"] == true => Ok(()),
            ("alert.fired", Some(number)) => {
                let label = |name: &str| event.data["labels"][name].as_str();
                let fits = |l: &Lane| (label("alertname"), label("service")) == (Some(l.alert), Some(l.service));
                let lane = LANES.iter().position(fits).ok_or_else(|| format!("nobody fires {event:?}"))?;
                if self.exposed.contains(&(lane, event.recorded_at.millis())) {
                    return Ok(());
                }
                Err(format!("{:?} is muted or over, and is told of as incident {number}: {event:?}", LANES[lane]))
            }
            _ => Ok(()),
        }
    }

    fn once(&mut self, kind: &'static str, of: String) -> Result<(), String> {
        if self.recorded.insert((kind, of.clone())) {
            return Ok(());
        }
        Err(format!("{kind} of {of} is twice in the record"))
    }

    fn said(&self, kind: &'static str, of: &str) -> Result<(), String> {
        if self.recorded.contains(&(kind, of.to_owned())) {
            return Ok(());
        }
        Err(format!("lost: {kind} of {of} is not in the record"))
    }

    /// After a life that rested: everything owed has been done.
    pub fn rested(&self, truth: &Truth) -> Result<(), String> {
        if let Some(seq) = truth.broken {
            return Err(format!("the record is broken at {seq}"));
        }
        for page in truth.incidents.values().flat_map(|i| &i.pages) {
            if !matches!(page.state.as_str(), "delivered" | "acknowledged" | "superseded") {
                return Err(format!("a page is left {}: {page:?}", page.state));
            }
        }
        for (lane, known) in LANES.iter().zip(&self.lanes) {
            let alert = truth.alerts.iter().find(|a| is(a, lane) && a.state == "firing");
            match (known.promised, alert) {
                (Some(false), Some(alert)) => return Err(format!("it is over, as was answered, and fires: {alert:?}")),
                (Some(true), None) => return Err(format!("{lane:?} fires, and nobody sees it")),
                (Some(true), Some(_)) if self.now_ms - known.muted_ms < BOUND_MS => {}
                (Some(true), Some(alert)) => {
                    let incident = alert.incident.and_then(|number| truth.incidents.get(&number));
                    let incident = incident.ok_or_else(|| format!("nobody is told of {alert:?}"))?;
                    let paged = self.taken.values().any(|t| t.incident == incident.number);
                    let somebody = incident.state == "acknowledged" || (incident.state == "open" && paged);
                    if !somebody {
                        return Err(format!("{lane:?} fires, and nobody was paged for it: {incident:?}"));
                    }
                }
                _ => {}
            }
        }
        for incident in truth.incidents.values().filter(|i| i.state == "resolved" && i.reopened == 0) {
            self.rested_news(incident)?;
        }
        self.programs.rested(&self.lanes, self.now_ms)
    }

    /// Everybody whose page was taken knows that it is over. One that was opened again is left out: who has not heard of that
    /// is not told twice.
    fn rested_news(&self, incident: &IncidentView) -> Result<(), String> {
        for page in &incident.pages {
            for attempt in page.attempts.iter().filter(|a| a.state == "accepted") {
                let to = address(&page.person, &attempt.channel);
                let told = self.told.get(&(incident.number, attempt.channel.clone(), to.clone()));
                if told.map(String::as_str) != Some("over") {
                    return Err(format!("{to} was paged for {incident:?}, which is over, and knows of it: {told:?}"));
                }
            }
        }
        Ok(())
    }
}

//! What a page says: plain words, what happened, the suspect, and where to acknowledge.

use std::fmt::Write as _;

use tenfold_store::{Tx, alerts, incidents as store};
use tenfold_types::{Fault, Timestamp};

use super::stored::{HANDED, Incident, State};
use super::words::Words;
use crate::{
    Settings,
    alerts::{Notice, SuspectView, Update, UpdateKind},
};

/// The incident number of test pages.
pub(super) const TEST_INCIDENT: i64 = 0;

/// Alerts named in one message.
const ALERTS_LISTED_MAX: usize = 10;
/// Alerts whose runbooks one message names; a storm has thousands, and each page is written anew.
const ALERTS_READ_MAX: i64 = 50;
/// Of the server's place in a name.
const PLACE_CHARS_MAX: usize = 100;

impl Notice {
    /// The host of the server that tells it, with its port. Several servers, a staging one perhaps, may tell the same people, and
    /// each has an incident 3.
    pub fn place(&self) -> &str {
        let behind = self.link.split_once("://").map_or("", |(_, rest)| rest);
        behind.split('/').next().unwrap_or_default()
    }

    /// The same for where colons and brackets may not stand.
    pub fn plain_place(&self) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        self.place().chars().take(PLACE_CHARS_MAX).map(plain).collect()
    }
}

/// The message of a page as things stand now. A receiver's own words come first; what people act by, the suspects and where
/// to acknowledge, stands below them.
pub(super) fn notice(
    tx: &mut dyn Tx,
    settings: &Settings,
    page: &store::PageRow,
    words: &Words,
) -> Result<Notice, Fault> {
    if page.incident == TEST_INCIDENT {
        return Ok(test(settings, page));
    }
    let incident = Incident::get(tx, page.incident)?;
    let number = incident.number;
    let body = &incident.body;
    let link = settings.link(&format!("/incidents/{number}"));
    let place = match (&body.service, &body.environment) {
        (Some(s), Some(e)) => format!("{s} in {e}"),
        (Some(s), None) => s.clone(),
        _ => String::new(),
    };
    let mut text = String::new();
    let open = incident.state == State::Open;
    if open && page.body == HANDED {
        let handed = body.handed.as_deref().unwrap_or("This was handed over to you");
        line(&mut text, &format!("{handed}\n"));
    } else if open && (page.step > 0 || page.round > 0) {
        line(&mut text, "Nobody has acknowledged this yet, so it comes to you now.\n");
    }
    let said = words.said(tx, settings, &incident)?;
    if let Some(own) = &said.text {
        line(&mut text, own);
        line(&mut text, "");
    } else {
        line(&mut text, &body.title);
        let comma = if place.is_empty() { "" } else { ", " };
        line(&mut text, &format!("Incident {number}, {}{comma}{place}", body.severity));
        line(&mut text, &format!("First signs at {}\n", clock(body.onset)));
    }
    for suspect in &body.suspects {
        line(&mut text, &suspect_line(suspect, body.onset));
        if let Some(deploy) = suspect.number {
            line(&mut text, &format!("  Roll back: {}", settings.link(&format!("/deploys/{deploy}"))));
        } else if let Some(flag) = &suspect.flag {
            line(&mut text, &format!("  Switch off: {}", settings.link(&format!("/flags/{flag}"))));
        }
    }
    if said.text.is_none() {
        alerts_listed(tx, number, &mut text)?;
    }
    for trouble in &said.trouble {
        line(&mut text, trouble);
    }
    if open {
        line(&mut text, &format!("\nAcknowledge: {link}"));
        line(&mut text, &format!("or say in chat: !ack {number}"));
    } else {
        line(&mut text, &format!("\n{link}"));
    }
    let own = format!("[{}] Incident {number}: {}", body.severity, body.title);
    Ok(Notice {
        subject: one_line(&said.subject.unwrap_or(own)),
        text,
        link,
        thread: format!("incident-{number}"),
        incident: number,
        service: body.service.clone(),
        environment: body.environment.clone(),
        severity: body.severity.clone(),
        at: incident.opened_at,
    })
}

/// The alerts that go on, when there are several, and their runbooks.
fn alerts_listed(tx: &mut dyn Tx, number: i64, text: &mut String) -> Result<(), Fault> {
    let (count, active) = (live_count(tx, number)?, active(tx, number)?);
    if count > 1 {
        line(text, &format!("{count} alerts:"));
        for alert in active.iter().take(ALERTS_LISTED_MAX) {
            line(text, &format!("- {}", alert.title));
        }
        if count > ALERTS_LISTED_MAX {
            line(text, &format!("and {} more", count - ALERTS_LISTED_MAX));
        }
    }
    let mut runbooks: Vec<String> = active.into_iter().filter_map(|a| a.runbook).collect();
    runbooks.dedup();
    for url in runbooks {
        line(text, &format!("Runbook: {url}"));
    }
    Ok(())
}

/// An alert of an incident that has not ended.
struct Active {
    title: String,
    runbook: Option<String>,
}

fn live_count(tx: &mut dyn Tx, number: i64) -> Result<usize, Fault> {
    Ok(usize::try_from(store::live_count(tx, number)?).unwrap_or(0))
}

/// The first of them.
fn active(tx: &mut dyn Tx, number: i64) -> Result<Vec<Active>, Fault> {
    let mut found = Vec::new();
    for row in alerts::live_in(tx, number, ALERTS_READ_MAX)? {
        let stored: serde_json::Value = serde_json::from_str(&row.body).unwrap_or_default();
        let annotation = |name: &str| stored["annotations"][name].as_str().map(str::to_owned);
        let runbook = tenfold_alerting::runbook(|name| stored["annotations"][name].as_str()).map(str::to_owned);
        found.push(Active { title: annotation("summary").unwrap_or(row.rule), runbook });
    }
    Ok(found)
}

/// What somebody whose page was taken is told of it now.
pub(super) fn update(
    tx: &mut dyn Tx,
    settings: &Settings,
    page: &store::PageRow,
    delivery: &store::DeliveryRow,
    (kind, words): (UpdateKind, &Words),
) -> Result<Update, Fault> {
    let incident = Incident::get(tx, page.incident)?;
    let body = &incident.body;
    let mut notice = notice(tx, settings, page, words)?;
    let news = match kind {
        UpdateKind::Grown => {
            let alerts = match live_count(tx, incident.number)? {
                1 => "1 alert".to_owned(),
                n => format!("{n} alerts"),
            };
            let again = if body.reopened > 0 { "Open again, " } else { "" };
            format!("{again}{alerts} now")
        }
        UpdateKind::Acknowledged => {
            let name = body.acknowledged_by_name.as_deref().or(body.acknowledged_by.as_deref()).unwrap_or("Somebody");
            format!("{name} has it")
        }
        UpdateKind::Over => {
            let minutes = body.resolved_at.map_or(0, |at| at.since_ms(incident.opened_at).max(0) / 60_000);
            if minutes == 0 { "Over within a minute".to_owned() } else { format!("Over after {minutes} min") }
        }
    };
    notice.text = match kind {
        UpdateKind::Over => format!("{news}.\n\n{}\n{}\n", body.title, notice.link),
        UpdateKind::Grown | UpdateKind::Acknowledged => format!("{news}.\n\n{}", notice.text),
    };
    Ok(Update {
        kind,
        message: delivery.message.clone(),
        page_key: delivery.idempotency_key.clone(),
        news: one_line(&news),
        notice,
    })
}

fn test(settings: &Settings, page: &store::PageRow) -> Notice {
    let link = settings.link("/on-call");
    Notice {
        subject: "[test] This is what a page looks like".to_owned(),
        text: format!("Nothing is wrong. Somebody asked for a test page to see that it reaches you.\n\n{link}\n"),
        link,
        thread: format!("test-{}", page.round),
        incident: TEST_INCIDENT,
        service: None,
        environment: None,
        severity: "info".to_owned(),
        at: page.due_at,
    }
}

fn suspect_line(suspect: &SuspectView, onset: Timestamp) -> String {
    let minutes = onset.since_ms(suspect.at).max(0) / 60_000;
    let before = match minutes {
        0 => "less than a minute before".to_owned(),
        n => format!("{n} min before"),
    };
    format!("Suspect: {} by {}, {before}", suspect.text, suspect.actor_name)
}

fn line(out: &mut String, text: &str) {
    // Writing into a String cannot fail.
    let _ = writeln!(out, "{text}");
}

/// Header lines and chat lines hold one line.
fn one_line(text: &str) -> String {
    const SUBJECT_CHARS_MAX: usize = 200;
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SUBJECT_CHARS_MAX).collect()
}

fn clock(at: Timestamp) -> String {
    let text = at.to_string();
    format!("{} UTC", text.get(..19).unwrap_or(&text).replacen('T', " ", 1))
}

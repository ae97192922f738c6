//! A message in the words of the receiver that its incident came by: the templates of a configuration of Alertmanager, filled in
//! with the alerts that go on. What cannot be filled in is said in this program's own words, and why.

use std::sync::Arc;

use tenfold_alerting::{Messages, Notification, NotificationAlert};
use tenfold_store::{Tx, alerts, incidents as store};
use tenfold_types::{Fault, Labels, Timestamp};

use super::stored::{CameBy, Incident};
use crate::{Settings, alerts::Channel};

/// Alerts that a template is filled in with.
const ALERTS_READ_MAX: i64 = 50;
const TEXT_CHARS_MAX: usize = 20_000;

/// In whose words messages by one channel are.
#[derive(Debug, Clone)]
pub(super) struct Words {
    /// None where no routing is loaded.
    pub messages: Option<Arc<Messages>>,
    pub channel: Channel,
    /// When it is said.
    pub now: Timestamp,
}

/// What a receiver's own words come to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Said {
    pub subject: Option<String>,
    pub text: Option<String>,
    /// Why one of them is not there.
    pub trouble: Vec<String>,
}

impl Words {
    pub(super) fn said(&self, tx: &mut dyn Tx, settings: &Settings, incident: &Incident) -> Result<Said, Fault> {
        let mut said = Said::default();
        let (Some(messages), Some(came_by)) = (&self.messages, &incident.body.came_by) else { return Ok(said) };
        let Some(wording) = messages.of(&came_by.receiver, self.channel.as_str()) else { return Ok(said) };
        let live = alerts::live_in(tx, incident.number, ALERTS_READ_MAX)?;
        let mut fill = |template: &str, alerts: Vec<NotificationAlert>| {
            if alerts.is_empty() {
                return None;
            }
            let about = about(settings, came_by, alerts);
            match messages.render(template, &about, self.now) {
                Ok(text) => {
                    let text: String = text.trim().chars().take(TEXT_CHARS_MAX).collect();
                    Some(links_written_out(&text)).filter(|text| !text.is_empty())
                }
                Err(e) => {
                    let (receiver, channel) = (&came_by.receiver, self.channel.as_str());
                    said.trouble.push(format!("The words of the receiver {receiver} for {channel} failed: {e}"));
                    None
                }
            }
        };
        let all: Vec<NotificationAlert> = live.iter().map(|row| alert(settings, row)).collect();
        let text = wording.text.as_deref().and_then(|template| fill(template, all.clone()));
        // The mails of an incident are one conversation, which many readers keep together by its subject.
        let of_subject = if self.channel == Channel::Mail { first(tx, settings, incident.number)? } else { all };
        let subject = wording.subject.as_deref().and_then(|template| fill(template, of_subject));
        Ok(Said { subject, text, ..said })
    }
}

/// Slack's `<address|words>` and `<address>` as text that reads everywhere.
fn links_written_out(text: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((before, behind)) = rest.split_once('<') {
        out.push_str(before);
        let link =
            behind.split_once('>').filter(|(inner, _)| inner.starts_with("http://") || inner.starts_with("https://"));
        let Some((inner, after)) = link else {
            out.push('<');
            rest = behind;
            continue;
        };
        match inner.split_once('|') {
            Some((address, words)) => out.extend([words, " (", address, ")"]),
            None => out.push_str(inner),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

fn about(settings: &Settings, came_by: &CameBy, alerts: Vec<NotificationAlert>) -> Notification {
    Notification {
        receiver: came_by.receiver.clone(),
        alerts,
        group_labels: came_by.group.clone(),
        external_url: settings.link(""),
    }
}

/// The alert that joined first, as it was when it fired.
fn first(tx: &mut dyn Tx, settings: &Settings, number: i64) -> Result<Vec<NotificationAlert>, Fault> {
    let mut found = Vec::new();
    for member in store::members(tx, number, 1)? {
        let row = alerts::get(tx, &member.fingerprint)?;
        found.extend(row.map(|row| NotificationAlert { firing: true, ..alert(settings, &row) }));
    }
    Ok(found)
}

fn alert(settings: &Settings, row: &alerts::AlertRow) -> NotificationAlert {
    let stored: serde_json::Value = serde_json::from_str(&row.body).unwrap_or_default();
    let pairs = |name: &str| {
        let pairs = stored[name].as_object().into_iter().flatten();
        Labels::from_pairs(pairs.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))))
    };
    let own = || settings.link(&format!("/alerts/{}", row.fingerprint));
    NotificationAlert {
        firing: row.ended_at.is_none(),
        labels: pairs("labels"),
        annotations: pairs("annotations"),
        starts_at: stored["fired_at"].as_str().and_then(Timestamp::parse_rfc3339).unwrap_or(row.active_since),
        ends_at: None,
        generator_url: stored["generator_url"].as_str().map_or_else(own, str::to_owned),
        fingerprint: row.fingerprint.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_written_out_and_nothing_else_changes() {
        for (text, wanted) in [
            ("see <https://example.org/a?b=1|the graph>, now", "see the graph (https://example.org/a?b=1), now"),
            ("<http://example.org/>", "http://example.org/"),
            ("a < b and <b>c</b> <!channel> <", "a < b and <b>c</b> <!channel> <"),
            ("<https://example.org", "<https://example.org"),
            ("", ""),
        ] {
            assert_eq!(links_written_out(text), wanted);
        }
    }
}

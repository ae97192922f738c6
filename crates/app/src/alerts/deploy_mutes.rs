//! The mutes of deploys: made when hosts begin to flip, for alerts that the pipeline file names, and ended with it.
//!
//! They must never hold a deploy up: where no more mutes can be made, the deploy goes on and its alerts page.

use serde_json::json;
use tenfold_alerting::MuteKind;
use tenfold_store::alerts as store;
use tenfold_types::{Actor, EventDraft, Fault, Matcher, MatcherOp, Source, Timestamp};

use super::mutes::{Body, MUTES_MAX, insert, stored, words};
use crate::{Caller, Txn};

/// Ended mutes that are looked through for one of the same deploy.
const OVER_LOOKED_AT: i64 = 500;

/// What a deploy asks to be muted. The names are plain ones, checked by the pipeline file.
#[derive(Debug, Clone)]
pub(crate) struct DeployMute {
    pub deploy: i64,
    pub service: String,
    pub environment: String,
    pub names: Vec<String>,
    pub for_ms: i64,
    pub asked_by: Actor,
    pub asked_by_name: String,
}

impl DeployMute {
    fn matchers(&self) -> Vec<Matcher> {
        let names = match self.names.as_slice() {
            [one] => Matcher::equal("alertname", one),
            several => Matcher::new("alertname", MatcherOp::Regex, several.join("|")),
        };
        // An alert need not say its environment; one that says another is not this deploy's.
        let here = Matcher::new("environment", MatcherOp::Regex, format!("({})?", escaped(&self.environment)));
        vec![names, Matcher::equal("service", &self.service), here]
    }
}

/// A name as a regular expression that matches it alone.
fn escaped(name: &str) -> String {
    name.chars().flat_map(|c| ["\\.+*?()|[]{}^$".contains(c).then_some('\\'), Some(c)]).flatten().collect()
}

/// At most one for a deploy: one that was held and went on has had its minutes.
pub(crate) fn deploy_mute_begins(t: &mut Txn<'_>, mute: &DeployMute) -> Result<(), Fault> {
    let open = store::mutes_open(t.tx())?;
    if open.len() >= MUTES_MAX {
        tracing::warn!(deploy = mute.deploy, "there are too many mutes for another one; its alerts page");
        return Ok(());
    }
    let over = store::mutes_over(t.tx(), OVER_LOOKED_AT)?;
    for row in open.iter().chain(&over) {
        if stored(row)?.1.deploy == Some(mute.deploy) {
            return Ok(());
        }
    }
    let body = Body {
        matchers: mute.matchers(),
        reason: format!("deploy {} of {} to {}", mute.deploy, mute.service, mute.environment),
        created_at: Timestamp::from_millis(0),
        created_by: mute.asked_by.id.clone(),
        created_by_name: mute.asked_by_name.clone(),
        kind: MuteKind::Deploy,
        starts_at: None,
        recurs: Vec::new(),
        updated_at: None,
        deploy: Some(mute.deploy),
    };
    let expires_at = t.now().plus_ms(mute.for_ms);
    insert(t, &Caller::system(), body, expires_at)?;
    Ok(())
}

/// Ends the mute of a deploy that is over, is held or goes back.
pub(crate) fn deploy_mute_ends(t: &mut Txn<'_>, deploy: i64, why: &str) -> Result<(), Fault> {
    let now = t.now();
    for row in store::mutes_open(t.tx())? {
        let (mute, body) = stored(&row)?;
        if body.deploy != Some(deploy) {
            continue;
        }
        store::mute_end(t.tx(), row.id, now)?;
        let text = format!("The mute {} of {} has ended: deploy {deploy} is {why}", row.id, words(&mute.spec.matchers));
        let draft = EventDraft::new(Actor::system(), Source::System, "mute.expired", text);
        t.record(draft.data(json!({"mute": row.id, "deploy": deploy})).deploy(deploy))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tenfold_alerting::{Mute, MuteSpec};
    use tenfold_types::Labels;

    use super::*;

    #[test]
    fn it_covers_the_named_alerts_of_this_service_and_place() {
        let asked = DeployMute {
            deploy: 12,
            service: "photos".to_owned(),
            environment: "eu.production".to_owned(),
            names: vec!["UploadErrors".to_owned(), "Slow uploads".to_owned()],
            for_ms: 900_000,
            asked_by: Actor::system(),
            asked_by_name: "Ana".to_owned(),
        };
        let spec = MuteSpec {
            kind: MuteKind::Deploy,
            matchers: asked.matchers(),
            author: "Ana".to_owned(),
            reason: "deploy 12".to_owned(),
            starts_at: Timestamp::from_millis(0),
            ends_at: Timestamp::from_millis(asked.for_ms),
            recurs: vec![],
            deploy: Some(12),
        };
        let mute = Mute::new("1", spec.clone()).expect("a whole mute");
        for (labels, covered) in [
            ([("alertname", "UploadErrors"), ("service", "photos"), ("environment", "eu.production")], true),
            ([("alertname", "Slow uploads"), ("service", "photos"), ("environment", "")], true),
            ([("alertname", "UploadErrors"), ("service", "photos"), ("environment", "eu-production")], false),
            ([("alertname", "UploadErrors"), ("service", "web"), ("environment", "eu.production")], false),
            ([("alertname", "UploadErrorsToo"), ("service", "photos"), ("environment", "eu.production")], false),
        ] {
            assert_eq!(mute.matches(&Labels::from_pairs(labels)), covered, "{labels:?}");
        }
        let long = MuteSpec { ends_at: Timestamp::from_millis(asked.for_ms + 1), ..spec.clone() };
        assert!(Mute::new("1", long).expect_err("too long").contains("15 minutes"));
        let all = MuteSpec { matchers: vec![Matcher::equal("service", "photos")], ..spec.clone() };
        assert!(Mute::new("1", all).expect_err("no names").contains("names"));
        assert!(Mute::new("1", MuteSpec { deploy: None, ..spec }).expect_err("no deploy").contains("deploy"));
    }
}

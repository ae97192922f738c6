//! The mutes of deploys: made when hosts begin to flip, for alerts that the pipeline file names, and ended with it.
//!
//! They must never hold a deploy up: where no more mutes can be made, the deploy goes on and its alerts page.

use std::collections::BTreeMap;

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
        let mut matchers = vec![names, Matcher::equal("service", &self.service)];
        if self.environment == "production" {
            // An alert that says no environment, by either label, is of production.
            matchers.extend(["environment", "env"].map(|l| Matcher::new(l, MatcherOp::Regex, "(production)?")));
        } else {
            matchers.push(Matcher::equal("environment", &self.environment));
        }
        matchers
    }
}

/// The deploy that a mute is of. What else stands in it is not looked at: another mute that cannot be read is no reason to
/// hold a deploy up.
fn deploy_of(row: &store::MuteRow) -> Option<i64> {
    #[derive(serde::Deserialize)]
    struct Only {
        deploy: Option<i64>,
    }
    serde_json::from_str::<Only>(&row.body).ok()?.deploy
}

/// At most one for a deploy: one that was held and went on has had its minutes.
pub(crate) fn deploy_mute_begins(t: &mut Txn<'_>, mute: &DeployMute) -> Result<(), Fault> {
    let open = store::mutes_open(t.tx())?;
    if open.len() >= MUTES_MAX {
        tracing::warn!(deploy = mute.deploy, "there are too many mutes for another one; its alerts page");
        return Ok(());
    }
    let over = store::mutes_over(t.tx(), OVER_LOOKED_AT)?;
    if open.iter().chain(&over).any(|row| deploy_of(row) == Some(mute.deploy)) {
        return Ok(());
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
        annotations: BTreeMap::new(),
    };
    let expires_at = t.now().plus_ms(mute.for_ms);
    insert(t, &Caller::system(), body, expires_at)?;
    Ok(())
}

/// Ends the mute of a deploy that is over, is held or goes back.
pub(crate) fn deploy_mute_ends(t: &mut Txn<'_>, deploy: i64, why: &str) -> Result<(), Fault> {
    let now = t.now();
    for row in store::mutes_open(t.tx())? {
        if deploy_of(&row) != Some(deploy) {
            continue;
        }
        let (mute, _) = stored(&row)?;
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

    fn asked_in(environment: &str) -> DeployMute {
        DeployMute {
            deploy: 12,
            service: "photos".to_owned(),
            environment: environment.to_owned(),
            names: vec!["UploadErrors".to_owned(), "Slow uploads".to_owned()],
            for_ms: 900_000,
            asked_by: Actor::system(),
            asked_by_name: "Ana".to_owned(),
        }
    }

    fn spec_of(asked: &DeployMute) -> MuteSpec {
        MuteSpec {
            kind: MuteKind::Deploy,
            matchers: asked.matchers(),
            author: "Ana".to_owned(),
            reason: "deploy 12".to_owned(),
            starts_at: Timestamp::from_millis(0),
            ends_at: Timestamp::from_millis(asked.for_ms),
            recurs: vec![],
            deploy: Some(12),
        }
    }

    #[test]
    fn it_covers_the_named_alerts_of_this_service_and_place() {
        let (name, service) = (("alertname", "UploadErrors"), ("service", "photos"));
        for (environment, labels, covered) in [
            ("eu.production", vec![name, service, ("environment", "eu.production")], true),
            ("eu.production", vec![name, service, ("environment", "eu-production")], false),
            ("eu.production", vec![name, ("service", "web"), ("environment", "eu.production")], false),
            ("eu.production", vec![("alertname", "UploadErrorsToo"), service, ("environment", "eu.production")], false),
            ("production", vec![name, service, ("environment", "production")], true),
            ("production", vec![name, service, ("env", "production")], true),
            ("production", vec![("alertname", "Slow uploads"), service], true),
            ("production", vec![name, service, ("environment", "staging")], false),
            ("production", vec![name, service, ("env", "staging")], false),
            // What says no environment is of production, and so is what says so by `env`.
            ("staging", vec![name, service], false),
            ("staging", vec![name, service, ("env", "production")], false),
            ("staging", vec![name, service, ("environment", "staging")], true),
        ] {
            let mute = Mute::new("1", spec_of(&asked_in(environment))).expect("a whole mute");
            let matches = mute.matches(&Labels::from_pairs(labels.iter().copied()));
            assert_eq!(matches, covered, "a deploy to {environment}, an alert with {labels:?}");
        }
    }

    #[test]
    fn it_is_of_a_deploy_names_alerts_and_lasts_a_quarter_of_an_hour_at_most() {
        let asked = asked_in("production");
        let spec = spec_of(&asked);
        let long = MuteSpec { ends_at: Timestamp::from_millis(asked.for_ms + 1), ..spec.clone() };
        assert!(Mute::new("1", long).expect_err("too long").contains("15 minutes"));
        let all = MuteSpec { matchers: vec![Matcher::equal("service", "photos")], ..spec.clone() };
        assert!(Mute::new("1", all).expect_err("no names").contains("names"));
        assert!(Mute::new("1", MuteSpec { deploy: None, ..spec }).expect_err("no deploy").contains("deploy"));
    }

    #[test]
    fn a_mute_that_cannot_be_read_is_of_no_deploy() {
        let expires_at = Timestamp::from_millis(0);
        let of = |body: &str| deploy_of(&store::MuteRow { id: 1, expires_at, ended_at: None, body: body.to_owned() });
        for (body, deploy) in [
            (r#"{"deploy": 12, "matchers": "of a later version"}"#, Some(12)),
            (r#"{"matchers": []}"#, None),
            (r#"{"deploy": "twelve"}"#, None),
            ("", None),
        ] {
            assert_eq!(of(body), deploy, "{body}");
        }
    }
}

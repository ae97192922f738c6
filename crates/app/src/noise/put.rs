//! A draft put into force: the rule is changed in the text of its file, and whatever a rule file was before is put back.

use serde::{Deserialize, Serialize};
use serde_json::json;
use tenfold_alerting::{edit_rule, line_diff};
use tenfold_promql::parse;
use tenfold_types::Fault;
use utoipa::ToSchema;

use super::draft::{Which, comparison, proposals};
use crate::{
    App, Caller, Role,
    alerts::{RuleChange, rule_file_version},
};

/// Which draft is put into force.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DraftPut {
    /// The alert's name.
    pub rule: String,
    /// The rule file, where several have an alert of this name.
    #[serde(default)]
    pub file: Option<String>,
    /// Its group, where several of the file have an alert of this name.
    #[serde(default)]
    pub group: Option<String>,
    /// `critical`, `warning` or `info`, where several of the group have this name.
    #[serde(default)]
    pub severity: Option<String>,
    /// As the draft says it, such as `for: 10m`, or its place among the drafts, from 1.
    pub change: String,
}

/// A rule file that was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct RuleFileChanged {
    pub file: String,
    /// Of the text that holds now.
    pub version: String,
    /// What is between the text before and the text that holds now.
    pub diff: String,
    /// One sentence.
    pub text: String,
}

impl App {
    /// Puts a draft of a quieter rule into force. `edited` is the version of the rule file that the draft was made of;
    /// refused when it has changed since.
    pub async fn noise_draft_put(
        &self,
        who: &Caller,
        put: DraftPut,
        edited: Option<String>,
    ) -> Result<RuleFileChanged, Fault> {
        who.require(Role::Deployer, None, None)?;
        let which = Which {
            name: &put.rule,
            file: put.file.as_deref(),
            group: put.group.as_deref(),
            severity: put.severity.as_deref(),
        };
        let found = self.rule_named(which).await?;
        let parsed = parse(&found.rule.expr).map_err(|e| Fault::invalid(e.pointing(&found.rule.expr)))?;
        let proposals = proposals(&found.rule, comparison(&parsed).as_ref());
        let place = put.change.parse::<usize>().ok().and_then(|n| proposals.get(n.checked_sub(1)?));
        let Some(proposal) = place.or_else(|| proposals.iter().find(|p| p.change == put.change)) else {
            let known: Vec<&str> = proposals.iter().map(|p| p.change.as_str()).collect();
            return Err(Fault::invalid(format!("`{:.200}` is no draft of {}", put.change, found.rule.alert))
                .advice(format!("it is one of: {}", known.join(", "))));
        };
        let after = edit_rule(&found.text, &found.rule, &proposal.edit).map_err(|e| {
            Fault::conflict(e).advice(format!("write `{}` into the rule file {} by hand", proposal.change, found.file))
        })?;
        let text = format!("{} made {} quieter, by `{}`", who.name, found.rule.alert, proposal.change);
        let change = RuleChange {
            edited: edited.or_else(|| Some(rule_file_version(&found.text))),
            text: Some(text.clone()),
            data: json!({"draft": {"rule": found.rule.alert, "change": proposal.change}}),
        };
        self.rules_put_over(who, &found.file, &after, change).await?;
        let diff = line_diff(&found.text, &after);
        Ok(RuleFileChanged { version: rule_file_version(&after), file: found.file, diff, text })
    }
}
